//! What follows from what was said about consent: the statuses, and how they moved.

use super::Customer;
use crate::change::{Cause, Change, ChangeBody};
use crate::consent::{ConsentKey, ConsentStatus};
use crate::definitions::Definitions;
use crate::expression::Inputs;
use crate::flat::FlatMap;
use crate::time::Timestamp;

/// Statuses that are known, by what they are about.
pub(super) type Statuses = FlatMap<ConsentKey, ConsentStatus>;

impl Customer {
    /// The statuses at an instant of everything that was spoken of by name.
    pub(super) fn statuses(&self, at: Timestamp, definitions: &Definitions) -> Statuses {
        let status = |key: ConsentKey| {
            let status = self.consent(&key, at, definitions).status;
            (status != ConsentStatus::Unknown).then_some((key, status))
        };
        self.facts.consents().keys().filter_map(status).collect()
    }

    /// Brings the noted statuses up to date and tells which moved.
    pub(super) fn derive_consents(
        &mut self,
        at: Timestamp,
        cause: Cause,
        definitions: &Definitions,
        changes: &mut Vec<Change>,
    ) {
        let now = self.statuses(at, definitions);
        if now == self.standing.consents {
            return;
        }
        self.watch.touch(Inputs::CONSENTS);
        let before = std::mem::replace(&mut self.standing.consents, now);
        let now = &self.standing.consents;
        let status = |of: &Statuses, key: &ConsentKey| of.get(key).copied().unwrap_or(ConsentStatus::Unknown);
        let gone = before.iter().filter(|(key, _)| now.get(*key).is_none());
        for (key, _) in now.iter().chain(gone) {
            let (from, to) = (status(&before, key), status(now, key));
            if from != to {
                let ConsentKey { purpose, channel, scope } = key.clone();
                changes.push(Change {
                    at,
                    cause,
                    body: ChangeBody::ConsentChanged { purpose, channel, scope, from, to },
                });
            }
        }
    }
}
