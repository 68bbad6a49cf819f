//! What plugins may do, and the scores that they give.

use std::collections::BTreeSet;

use super::Definitions;
use super::versions::Versions;
use crate::score::{ScoreName, ScoreOutput, ScorePolicy};
use crate::time::Timestamp;
use crate::workflow::{Grants, PluginName};

impl Definitions {
    /// What is granted to a plugin, if that is defined.
    #[must_use]
    pub fn grants(&self, plugin: &PluginName, at: Timestamp) -> Option<&Grants> {
        self.grants.get(plugin)?.at(at)?.as_deref()
    }

    /// Scores of a plugin are made for a purpose, whoever said so.
    pub fn note_purposes(&mut self, plugin: PluginName) {
        self.made_for_purposes.insert(plugin);
    }

    /// Whether a plugin was ever for a purpose: by a definition, or because [scores were made](Self::note_purposes) for
    /// one.
    #[must_use]
    pub fn has_purposes(&self, plugin: &PluginName) -> bool {
        if self.made_for_purposes.contains(plugin) {
            return true;
        }
        let versions = self.grants.get(plugin).into_iter().flat_map(|Versions(versions)| versions);
        versions.into_iter().any(|(_, grants)| grants.as_ref().is_some_and(|grants| grants.purpose.is_some()))
    }

    /// The plugins in force that give scores which rules ask about, by name, with what they give.
    pub fn scorers(&self, at: Timestamp) -> impl Iterator<Item = (&PluginName, &BTreeSet<ScoreOutput>)> {
        self.scorers.iter().filter_map(move |(plugin, versions)| Some((plugin, versions.at(at)?.as_ref()?)))
    }

    /// The scores that rules ask about: those of any version of any definition, so that time alone changes nothing in
    /// it. Only these are in the states of customers.
    #[must_use]
    pub const fn asked_scores(&self) -> &BTreeSet<ScoreName> {
        &self.asked_scores
    }

    /// How many they are: another number, other scores.
    pub(crate) fn scores_mark(&self) -> u32 {
        u32::try_from(self.asked_scores.len()).unwrap_or(u32::MAX)
    }

    /// The policies in force by which scores are made anew, by plugin.
    pub fn score_policies(&self, at: Timestamp) -> impl Iterator<Item = (&PluginName, &ScorePolicy)> {
        self.score_policies.iter().filter_map(move |(plugin, versions)| Some((plugin, versions.at(at)?.as_ref()?)))
    }

    /// Whether any version of such a policy is there.
    pub(crate) fn has_score_policies(&self) -> bool {
        !self.score_policies.is_empty()
    }

    /// Whether any version of such a policy is about a plugin: then states know when it was asked.
    #[must_use]
    pub fn has_score_policy(&self, plugin: &PluginName) -> bool {
        self.score_policies.contains_key(plugin)
    }
}
