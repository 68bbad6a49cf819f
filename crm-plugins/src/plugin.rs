//! A plugin that was loaded.

use std::fmt;
use std::sync::Arc;

use crate::engine::{Compiled, HostInner};
use crate::fault::Fault;
use crate::manifest::Manifest;
use crate::scorer::Scorer;
use crate::value::Entry;
use crate::workflow::{TriggerEvent, Workflow, WorkflowOutcome};

/// A loaded plugin: compiled code without state, cheap to clone and to share between threads.
#[derive(Clone)]
pub struct Plugin(Arc<PluginInner>);

pub(crate) struct PluginInner {
    pub(crate) host: Arc<HostInner>,
    pub(crate) manifest: Manifest,
    pub(crate) digest: [u8; 32],
    pub(crate) scorer: Option<Compiled>,
    pub(crate) workflow: Option<Compiled>,
}

impl Plugin {
    pub(crate) fn new(inner: PluginInner) -> Plugin {
        Plugin(Arc::new(inner))
    }

    /// What the plugin says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// The plugin's name, from its manifest.
    pub fn name(&self) -> &str {
        &self.0.manifest.name
    }

    /// The plugin's version, from its manifest.
    pub fn version(&self) -> &str {
        &self.0.manifest.version
    }

    /// The SHA-256 of the file as it was given: the identity of this code.
    pub fn digest(&self) -> [u8; 32] {
        self.0.digest
    }

    /// Whether the plugin scores customers.
    pub fn is_scorer(&self) -> bool {
        self.0.scorer.is_some()
    }

    /// Whether the plugin answers events.
    pub fn is_workflow(&self) -> bool {
        self.0.workflow.is_some()
    }

    /// A scorer with these parameters; what is left out has its default. Its first instance is
    /// made and configured here.
    ///
    /// # Errors
    ///
    /// [`Fault::Input`] if the plugin is no scorer or a parameter is wrong, or what the plugin
    /// faulted with while it was configured.
    pub fn scorer(&self, params: &[Entry]) -> Result<Scorer, Fault> {
        Scorer::new(self.clone(), params)
    }

    /// A workflow with these parameters; what is left out has its default. Nothing runs yet.
    ///
    /// # Errors
    ///
    /// [`Fault::Input`] if the plugin is no workflow or a parameter is wrong.
    pub fn workflow(&self, params: &[Entry]) -> Result<Workflow, Fault> {
        Workflow::new(self.clone(), params)
    }

    /// Answers one event with the default parameters: [`Workflow::handle`] in one step.
    ///
    /// # Errors
    ///
    /// As [`Plugin::workflow`] and [`Workflow::handle`].
    pub fn handle(&self, event: &TriggerEvent, customer: &[Entry], memory: &[u8]) -> Result<WorkflowOutcome, Fault> {
        self.workflow(&[])?.handle(event, customer, memory)
    }

    pub(crate) fn inner(&self) -> &PluginInner {
        &self.0
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("name", &self.name()).field("version", &self.version()).finish_non_exhaustive()
    }
}
