//! The workflows that are installed, with what each is granted, and which of several versions is called.

use std::collections::BTreeMap;
use std::sync::Arc;

use crm_core::customer::Customer;
use crm_core::workflow::{Grants, PluginStamp, SourceName};

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

/// What a workflow was granted when it was installed; of another version, what the newest one of its name was.
pub(crate) fn granted_to(all: &[Installed], stamp: &PluginStamp) -> Option<Arc<Grants>> {
    let of_name = || all.iter().filter(|one| one.workflow.stamp().name == stamp.name);
    let own = of_name().rfind(|one| one.workflow.stamp() == stamp);
    own.or_else(|| of_name().next_back()).map(|one| Arc::clone(&one.grants))
}
