//! What is installed, what it is granted, and how it stands to one customer.

use std::sync::Arc;

use crm_core::consent::Barred;
use crm_core::customer::Customer;
use crm_core::workflow::{Grants, Held, PluginName, PluginStamp, Usage};
use crm_core::{Definitions, Digest, SmolStr, Timestamp};

use super::Crm;
use crate::error::Error;
use crate::incoming::Who;
use crate::installed::{Installed, Plugins, has_turn};
use crate::workflow::{Asks, Breaker, Workflow};

/// What a plugin is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PluginRole {
    /// It is called for events and changes.
    Workflow,
    /// It gives customers scores.
    Scorer {
        /// Which.
        outputs: Vec<SmolStr>,
    },
}

/// A plugin that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginInstalled {
    /// Which one.
    pub stamp: PluginStamp,
    /// What it is.
    pub role: PluginRole,
    /// What it asks for.
    pub asks: Asks,
    /// What it was granted when it was installed; of a scorer, when it was loaded.
    pub granted: Grants,
    /// What is defined for its name and holds now, within that.
    pub defined: Option<Grants>,
    /// What it asks for and does not have.
    pub missing: Asks,
    /// Whether it is run.
    pub breaker: Breaker,
}

/// How a plugin stands to one customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginStanding {
    /// Which of the versions that are installed is called for them.
    pub stamp: PluginStamp,
    /// What it was granted when it was installed; of a scorer, when it was loaded.
    pub granted: Grants,
    /// What is defined for its name and holds now, within that.
    pub defined: Option<Grants>,
    /// Why it is not called now, or they are not scored; none if nothing stands against it.
    pub barred: Option<Barred>,
    /// The version whose memory is kept for them, while there is one.
    pub run: Option<SmolStr>,
    /// What it did for them today.
    pub today: Usage,
    /// Whether it may do nothing more today.
    pub exhausted: bool,
}

impl Crm {
    /// The plugins that are installed, with what each asks for, what it was granted and whether it is run: the workflows
    /// in the order in which they are called, then the [scorers](crate::CrmBuilder::scorer) that `advance` asks. A scorer
    /// that is at work on a batch is waited for. Scorers that are handed to [`score`](Self::score) by whoever calls it are
    /// installed nowhere.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn plugins(&self) -> Result<Vec<PluginInstalled>, Error> {
        let (now, definitions) = (self.now(), self.definitions().await?);
        let of = |stamp: &PluginStamp, role, asks: Asks, grants: &Grants, breaker| {
            let defined = definitions.grants(&stamp.name, now);
            let missing = missing(&asks, Held::new(grants, defined), &definitions, now);
            let (stamp, granted, defined) = (stamp.clone(), grants.clone(), defined.cloned());
            PluginInstalled { stamp, role, asks, granted, defined, missing, breaker }
        };
        let mut all: Vec<PluginInstalled> = Vec::new();
        for Installed { workflow, grants } in &self.inner.plugins.workflows {
            let (asks, breaker) = (workflow.asks().clone(), workflow.breaker());
            all.push(of(workflow.stamp(), PluginRole::Workflow, asks, grants, breaker));
        }
        for scorer in &self.inner.scorers {
            let asks = Asks { features: scorer.asks.clone(), ..Asks::default() };
            let role = PluginRole::Scorer { outputs: scorer.outputs.clone() };
            all.push(of(&scorer.stamp, role, asks, &scorer.grants, scorer.breaker().await));
        }
        Ok(all)
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

    /// How a plugin stands to a customer now: which version is called, what it was granted, why none is called if none
    /// is, and what it did today. A scorer does nothing by itself; of a workflow and a scorer of one name it is the
    /// workflow. None if there is no such customer, or no plugin of that name.
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
        let Some((_, one)) = named.find(|(place, _)| has_turn(all, *place, &customer)) else {
            return Ok(self.scorer_standing(&customer, plugin, at, &definitions));
        };
        let held = Held::new(&one.grants, definitions.grants(plugin, at));
        let kept = customer.plugin(plugin);
        let today = kept.map(|kept| kept.today(at)).unwrap_or_default();
        let allowed = customer.may_process(held.purposes(), held.though_restricted(), at, &definitions);
        Ok(Some(PluginStanding {
            stamp: one.workflow.stamp().clone(),
            granted: Grants::clone(&one.grants),
            defined: definitions.grants(plugin, at).cloned(),
            barred: allowed.err(),
            run: kept.and_then(|kept| kept.run()).map(|(version, _)| SmolStr::new(version)),
            today,
            exhausted: today.decisions() >= held.limits().decisions_a_day,
        }))
    }

    fn scorer_standing(
        &self,
        customer: &Customer,
        plugin: &PluginName,
        at: Timestamp,
        definitions: &Definitions,
    ) -> Option<PluginStanding> {
        let one = self.inner.scorers.iter().find(|one| one.stamp.name == *plugin)?;
        let defined = definitions.grants(plugin, at);
        let purposes = Held::new(&one.grants, defined).purposes();
        let by_purpose = || customer.may_process(purposes, false, at, definitions).err();
        Some(PluginStanding {
            stamp: one.stamp.clone(),
            granted: one.grants.clone(),
            defined: defined.cloned(),
            barred: customer.unscored().map(Barred::from).or_else(by_purpose),
            run: None,
            today: Usage::default(),
            exhausted: false,
        })
    }
}

/// What a plugin asks for and does not have.
fn missing(asks: &Asks, held: Held<'_>, definitions: &Definitions, now: Timestamp) -> Asks {
    let view = held.view().and_then(|view| definitions.view(view, now));
    let but = |names: &[SmolStr], granted: &dyn Fn(&str) -> bool| -> Vec<SmolStr> {
        names.iter().filter(|name| !granted(name)).cloned().collect()
    };
    let shown = |field: &_| view.is_some_and(|view| view.fields.contains(field));
    Asks {
        features: but(&asks.features, &|name| held.sees(name)),
        fields: asks.fields.iter().filter(|field| !shown(*field)).cloned().collect(),
        events: but(&asks.events, &|name| held.hears(name)),
        actions: but(&asks.actions, &|name| held.may(name)),
        lookups: but(&asks.lookups, &|name| held.may_look_up(name)),
    }
}

fn is_build(installed: &Installed, name: &PluginName, digest: &Digest) -> bool {
    let stamp = installed.workflow.stamp();
    stamp.name == *name && stamp.digest == *digest
}
