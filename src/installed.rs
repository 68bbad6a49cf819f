//! The workflows that are installed, with what each is granted, and which of several versions is called.

use std::collections::BTreeMap;
use std::sync::Arc;

use crm_core::customer::Customer;
use crm_core::workflow::{Grants, SourceName};

use crate::lookup::LookupSource;
use crate::workflow::Workflow;

/// A workflow and what it was granted when it was installed.
#[derive(Debug, Clone)]
pub(crate) struct Installed {
    pub(crate) workflow: Arc<dyn Workflow>,
    pub(crate) grants: Arc<Grants>,
}

/// Where plugins may look things up, by name.
pub(crate) type Sources = BTreeMap<SourceName, Arc<dyn LookupSource>>;

/// What is installed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plugins {
    pub(crate) workflows: Vec<Installed>,
    pub(crate) sources: Sources,
}

impl Plugins {
    /// The same inside a transaction of the shop's, which waits for nobody: there is nothing to look things up in.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn inside(&self) -> Self {
        Plugins { workflows: self.workflows.clone(), sources: Sources::new() }
    }

    /// Whether a plan may have to wait for something that a workflow wants to know.
    pub(crate) fn may_want(&self) -> bool {
        !self.sources.is_empty() || self.workflows.iter().any(|one| !one.workflow.asks().fields.is_empty())
    }
}

/// Whether it is the turn of one of the workflows, for a customer. Of several versions of one name it is that of the
/// one whose memory the customer has, until it gives back an empty one; otherwise that of the one that was added last.
pub(crate) fn has_turn(all: &[Installed], place: usize, customer: &Customer) -> bool {
    let name = &all[place].workflow.stamp().name;
    let versions = || all.iter().enumerate().filter(|(_, one)| one.workflow.stamp().name == *name);
    if versions().count() == 1 {
        return true;
    }
    let run = customer.plugin(name).and_then(|kept| kept.run());
    let of_run = run.and_then(|(_, digest)| versions().rfind(|(_, one)| one.workflow.stamp().digest == *digest));
    of_run.or_else(|| versions().next_back()).is_some_and(|(turn, _)| turn == place)
}
