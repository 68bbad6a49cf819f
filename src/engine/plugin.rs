//! What is installed, what it is granted, and how it stands to one customer.

use std::sync::Arc;

use crm_core::consent::Barred;
use crm_core::workflow::{Grants, Held, PluginName, PluginStamp, Usage};
use crm_core::{Digest, SmolStr, Timestamp};

use super::Crm;
use crate::error::Error;
use crate::incoming::Who;
use crate::installed::{Installed, Plugins, has_turn};
use crate::workflow::{Asks, Workflow};

/// A workflow that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginInstalled {
    /// Which one.
    pub stamp: PluginStamp,
    /// What it asks for.
    pub asks: Asks,
    /// What it was granted when it was installed.
    pub granted: Grants,
    /// What is defined for its name and holds now, within that.
    pub defined: Option<Grants>,
    /// What it asks for and does not have.
    pub missing: Asks,
}

/// How a plugin stands to one customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginStanding {
    /// Which of the versions that are installed is called for them.
    pub stamp: PluginStamp,
    /// Why it is not called now; none if it is.
    pub barred: Option<Barred>,
    /// The version whose memory is kept for them, while there is one.
    pub run: Option<SmolStr>,
    /// What it did for them today.
    pub today: Usage,
    /// Whether it may do nothing more today.
    pub exhausted: bool,
}

impl Crm {
    /// The workflows that are installed, in the order in which they are called, with what each asks for and what it
    /// was granted.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn plugins(&self) -> Result<Vec<PluginInstalled>, Error> {
        let (now, definitions) = (self.now(), self.definitions().await?);
        let all = self.inner.plugins.workflows.iter();
        Ok(all
            .map(|Installed { workflow, grants }| {
                let stamp = workflow.stamp();
                let defined = definitions.grants(&stamp.name, now);
                let held = Held::new(grants, defined);
                let view = held.view().and_then(|view| definitions.view(view, now));
                let asks = workflow.asks().clone();
                let but = |names: &[SmolStr], granted: &dyn Fn(&str) -> bool| -> Vec<SmolStr> {
                    names.iter().filter(|name| !granted(name)).cloned().collect()
                };
                let shown = |field: &_| view.is_some_and(|view| view.fields.contains(field));
                let missing = Asks {
                    features: but(&asks.features, &|name| held.sees(name)),
                    fields: asks.fields.iter().filter(|field| !shown(*field)).cloned().collect(),
                    events: but(&asks.events, &|name| held.hears(name)),
                    actions: but(&asks.actions, &|name| held.may(name)),
                    lookups: but(&asks.lookups, &|name| held.may_look_up(name)),
                };
                PluginInstalled {
                    stamp: stamp.clone(),
                    asks,
                    granted: Grants::clone(grants),
                    defined: defined.cloned(),
                    missing,
                }
            })
            .collect())
    }

    /// The same CRM with one more workflow, as [`CrmBuilder::workflow_granted`](crate::CrmBuilder::workflow_granted)
    /// installs it; in the place of the one that has the same name and digest, if there is one. This handle stays as it
    /// is: what is under way with it, and whatever else is done with it, is done with what was installed before. A host
    /// replaces a version while it runs by handing the new handle to whoever comes next.
    ///
    /// What is remembered of the store, such as the definitions, is read anew once.
    #[must_use]
    pub fn with_workflow(&self, workflow: impl Workflow + 'static, grants: Grants) -> Crm {
        let mut plugins = self.inner.plugins.clone();
        let stamp = workflow.stamp().clone();
        let installed = Installed { workflow: Arc::new(workflow), grants: Arc::new(grants) };
        match plugins.workflows.iter_mut().find(|one| is_build(one, &stamp.name, &stamp.digest)) {
            Some(there) => *there = installed,
            None => plugins.workflows.push(installed),
        }
        self.with_plugins(plugins)
    }

    /// The same CRM without the workflow of a name and digest. Customers for whom it keeps something go on with the newest
    /// of the other versions, which takes that over.
    #[must_use]
    pub fn without_workflow(&self, name: &PluginName, digest: &Digest) -> Crm {
        let mut plugins = self.inner.plugins.clone();
        plugins.workflows.retain(|one| !is_build(one, name, digest));
        self.with_plugins(plugins)
    }

    fn with_plugins(&self, plugins: Plugins) -> Crm {
        let inner = self.inner.again(Arc::clone(&self.inner.store), plugins, self.inner.inside);
        Crm { inner: Arc::new(inner), ..self.clone() }
    }

    /// How a plugin stands to a customer now: which version is called, why none is if none is, and what it did today.
    /// None if there is no such customer, or no plugin of that name.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn explain_plugin(
        &self,
        who: impl Into<Who> + Send,
        plugin: &PluginName,
    ) -> Result<Option<PluginStanding>, Error> {
        let Some(customer) = self.customer(who).await? else { return Ok(None) };
        let (now, definitions) = (self.now(), self.definitions().await?);
        let at: Timestamp = customer.clock().map_or(now, |clock| clock.max(now));
        let all = &self.inner.plugins.workflows;
        let mut named = all.iter().enumerate().filter(|(_, one)| one.workflow.stamp().name == *plugin);
        let Some((_, one)) = named.find(|(place, _)| has_turn(all, *place, &customer)) else { return Ok(None) };
        let held = Held::new(&one.grants, definitions.grants(plugin, at));
        let kept = customer.plugin(plugin);
        let today = kept.map(|kept| kept.today(at)).unwrap_or_default();
        let allowed = customer.may_process(held.purposes(), held.though_restricted(), at, &definitions);
        Ok(Some(PluginStanding {
            stamp: one.workflow.stamp().clone(),
            barred: allowed.err(),
            run: kept.and_then(|kept| kept.run()).map(|(version, _)| SmolStr::new(version)),
            today,
            exhausted: today.decisions() >= held.limits().decisions_a_day,
        }))
    }
}

fn is_build(installed: &Installed, name: &PluginName, digest: &Digest) -> bool {
    let stamp = installed.workflow.stamp();
    stamp.name == *name && stamp.digest == *digest
}
