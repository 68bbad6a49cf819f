//! When a customer's scores are to be made anew. What is kept is when each plugin was asked last, and what has happened
//! since; when something is due follows from that and from the policy in force.

use serde::{Deserialize, Serialize};

use super::Customer;
use crate::definitions::Definitions;
use crate::score::ScorePolicy;
use crate::time::Timestamp;
use crate::workflow::PluginName;

/// What is known of one plugin's scores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refresh {
    /// As of when the plugin was asked last.
    asked: Option<Timestamp>,
    /// When the first fact came since that makes the score due.
    told: Option<Timestamp>,
    /// After a fault: not before.
    not_before: Option<Timestamp>,
}

impl Customer {
    /// The plugins whose scores are to be made anew at or before an instant, by name, each with since when.
    #[must_use]
    pub fn scores_due(&self, until: Timestamp, definitions: &Definitions) -> Vec<(PluginName, Timestamp)> {
        let due = self.refreshes(definitions).filter(|(_, due_at)| *due_at <= until);
        due.map(|(plugin, due_at)| (plugin.clone(), due_at)).collect()
    }

    /// When the next of them is due.
    pub(super) fn next_refresh(&self, definitions: &Definitions) -> Option<Timestamp> {
        self.refreshes(definitions).map(|(_, due_at)| due_at).min()
    }

    fn refreshes<'d>(&self, definitions: &'d Definitions) -> impl Iterator<Item = (&'d PluginName, Timestamp)> {
        let clock = self.clock.filter(|_| definitions.has_score_policies() && !self.is_erased());
        let clock = clock.filter(|_| self.unscored().is_none());
        let policies = clock.into_iter().flat_map(|clock| definitions.score_policies(clock));
        let due = policies.filter_map(|(plugin, policy)| Some((plugin, self.refresh_due(plugin, policy)?)));
        // A policy that has ended by then makes nothing due.
        due.filter(|(plugin, due_at)| definitions.score_policies(*due_at).any(|(there, _)| there == *plugin))
    }

    fn refresh_due(&self, plugin: &PluginName, policy: &ScorePolicy) -> Option<Timestamp> {
        let own = self.refreshes.as_ref().and_then(|all| all.get(plugin)).copied().unwrap_or_default();
        let since = own.asked.or(self.facts.first_at());
        let by_age = policy.older_than.and_then(|age| match own.asked {
            Some(asked) => Some(asked.plus(age)),
            None => self.facts.first_at(),
        });
        let by_schedule = policy.every.and_then(|every| since.map(|since| every.after(since)));
        let due = [own.told, by_age, by_schedule].into_iter().flatten().min()?;
        Some(own.not_before.map_or(due, |not_before| due.max(not_before)))
    }

    /// A fact came that may make scores due.
    pub fn tell_scores(&mut self, kind: &str, at: Timestamp, definitions: &Definitions) {
        for (plugin, policy) in definitions.score_policies(at) {
            if policy.on.contains(kind) {
                let own = self.refreshes.get_or_insert_default().get_or_default(plugin);
                own.told.get_or_insert(at);
            }
        }
    }

    /// A plugin was asked about the customer as of an instant, whether or not it gave a score.
    pub fn note_scored(&mut self, plugin: &PluginName, as_of: Timestamp) {
        let own = self.refreshes.get_or_insert_default().get_or_default(plugin);
        own.asked = own.asked.max(Some(as_of));
        own.told = own.told.filter(|told| *told > as_of);
        own.not_before = None;
    }

    /// Whether a plugin was asked as of an instant, or a later one.
    #[must_use]
    pub fn was_asked(&self, plugin: &PluginName, as_of: Timestamp) -> bool {
        let own = self.refreshes.as_ref().and_then(|all| all.get(plugin));
        own.is_some_and(|own| own.asked >= Some(as_of))
    }

    /// A plugin could not be asked: not before an instant.
    pub fn put_off_scores(&mut self, plugin: &PluginName, not_before: Timestamp) {
        self.refreshes.get_or_insert_default().get_or_default(plugin).not_before = Some(not_before);
    }

    /// When a plugin was asked is in no event: whoever is folded anew, merged or parted is scored anew.
    pub(super) fn forget_refreshes(&mut self, definitions: &Definitions) {
        let Some(clock) = self.clock else { return };
        for (plugin, _) in definitions.score_policies(clock) {
            self.refreshes.get_or_insert_default().get_or_default(plugin).told = Some(clock);
        }
    }
}
