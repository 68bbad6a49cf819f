//! What is installed, what it is granted, and how it stands to one customer.

use crm_core::audit::{AuditAction, AuditActor, AuditEntry};
use crm_core::consent::Barred;
use crm_core::workflow::{Grants, Held, PluginName, PluginStamp, Usage};
use crm_core::{CustomerId, SmolStr, Timestamp};

use super::Crm;
use crate::error::Error;
use crate::incoming::Who;
use crate::installed::{Installed, has_turn};
use crate::plan::Plan;
use crate::workflow::Asks;

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

impl Plan {
    /// The entries of the audit log about what plugins were kept from: one for each plugin and reason.
    pub(super) fn take_refusals(&mut self) -> Result<Vec<AuditEntry>, Error> {
        let customer: CustomerId = self.customer.id();
        let entry = |((plugin, what), why): ((PluginName, &str), String)| {
            let entry = AuditEntry::new(AuditActor::Plugin(plugin), AuditAction::PluginRefused).about(customer);
            Ok(entry.with_text("what", what)?.with_text("why", &why)?)
        };
        std::mem::take(&mut self.refused).into_iter().map(entry).collect()
    }
}
