//! A plugin that was loaded.

use std::fmt;
use std::sync::Arc;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Span};

use crate::code::Compiled;
use crate::engine::HostInner;
use crate::fault::Fault;
use crate::instance::Call;
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::meter::{self, Counters, Meter, Standing};
use crate::scorer::Scorer;
use crate::value::Entry;
use crate::workflow::{TriggerEvent, Workflow, WorkflowOutcome};

/// A loaded plugin: compiled code, what it has done so far, and a breaker. Cheap to clone and to
/// share between threads; all clones, scorers and workflows of it share the breaker.
///
/// [`Limits::quarantine_after`] faults in a row open the breaker. From then on each call answers
/// [`Fault::Quarantined`] at once, without running the guest, until [`Plugin::clear`]. An answer ends
/// a run of faults, so a plugin that fails now and then stays active and its counters say how often.
#[derive(Clone)]
pub struct Plugin(Arc<PluginInner>);

pub(crate) struct PluginInner {
    pub(crate) host: Arc<HostInner>,
    pub(crate) manifest: Manifest,
    /// The host's, or less where the manifest says that less is enough.
    pub(crate) limits: Limits,
    /// How many ticks of the host's clock a call has.
    pub(crate) deadline_ticks: u64,
    pub(crate) digest: [u8; 32],
    pub(crate) file_bytes: usize,
    pub(crate) imports: Vec<String>,
    pub(crate) scorer: Option<Arc<Compiled>>,
    pub(crate) workflow: Option<Arc<Compiled>>,
    pub(crate) meter: Meter,
}

/// A plugin as a person or a page wants to see it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PluginInfo {
    /// Name, version, and all that the plugin asks for.
    pub manifest: Manifest,
    /// The SHA-256 of the file.
    pub digest: [u8; 32],
    /// Bytes of the file.
    pub file_bytes: usize,
    /// Whether it scores customers.
    pub is_scorer: bool,
    /// Whether it answers events.
    pub is_workflow: bool,
    /// The interfaces that it imports: its capabilities, by name and in order.
    pub imports: Vec<String>,
    /// Whether it is run.
    pub standing: Standing,
    /// What it has done since it was loaded.
    pub counters: Counters,
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

    /// The limits that hold: the host's, or less where the manifest says that less is enough.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// All that is known about it at this moment.
    pub fn inspect(&self) -> PluginInfo {
        PluginInfo {
            manifest: self.0.manifest.clone(),
            digest: self.0.digest,
            file_bytes: self.0.file_bytes,
            is_scorer: self.is_scorer(),
            is_workflow: self.is_workflow(),
            imports: self.0.imports.clone(),
            standing: self.standing(),
            counters: self.0.meter.counters(),
        }
    }

    /// Whether the plugin is run.
    pub fn standing(&self) -> Standing {
        self.0.meter.standing()
    }

    /// Ends a quarantine, and forgets the faults that led towards one. Counters stay.
    pub fn clear(&self) {
        self.0.meter.clear();
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

    /// A workflow with these parameters, to which no look-ups are granted; what is left out has its
    /// default. Nothing runs yet.
    ///
    /// # Errors
    ///
    /// [`Fault::Input`] if the plugin is no workflow, a parameter is wrong, or the manifest names a
    /// source for look-ups.
    pub fn workflow(&self, params: &[Entry]) -> Result<Workflow, Fault> {
        self.workflow_with(params, &[])
    }

    /// As [`Plugin::workflow`], with the sources that it may look things up in. More may be granted
    /// than the manifest names.
    ///
    /// # Errors
    ///
    /// As [`Plugin::workflow`]; the first source of the manifest that is not granted is named.
    pub fn workflow_with(&self, params: &[Entry], lookups_granted: &[&str]) -> Result<Workflow, Fault> {
        Workflow::new(self.clone(), params, lookups_granted)
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

    /// Runs one call if the breaker lets it, and accounts for it.
    pub(crate) fn run<T>(
        &self,
        step: Step,
        at_ms: Option<i64>,
        work: impl FnOnce(&Call<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let span = step.span(self);
        let _entered = span.enter();
        let call = Call::begin(self);
        let result = self.0.meter.admit().and_then(|()| work(&call));
        let fault = result.as_ref().err();
        let kind = fault.map_or("ok", Fault::kind);
        if !span.is_disabled() {
            span.record("outcome", kind);
        }
        let opened = self.0.meter.note(&meter::Call {
            fault,
            proves_health: !matches!(step, Step::Configure),
            took: call.took(),
            fuel: call.fuel(),
            at_ms,
        });
        if opened {
            tracing::warn!(plugin = self.name(), version = self.version(), fault = kind, "plugin put into quarantine");
        }
        result
    }
}

/// What a call is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Configure,
    Score { rows: u32 },
    Handle,
}

impl Step {
    /// Names the plugin, never its customers.
    fn span(self, plugin: &Plugin) -> Span {
        // The macros would ask the same, after they have collected what the span holds.
        if LevelFilter::current() < Level::DEBUG {
            return Span::none();
        }
        let (plugin, version, outcome) = (plugin.name(), plugin.version(), tracing::field::Empty);
        match self {
            Step::Configure => tracing::debug_span!("configure", plugin, version, outcome),
            Step::Score { rows } => tracing::debug_span!("score", plugin, version, rows, outcome),
            Step::Handle => tracing::debug_span!("handle", plugin, version, outcome),
        }
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("name", &self.name()).field("version", &self.version()).finish_non_exhaustive()
    }
}
