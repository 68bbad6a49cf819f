//! The identifiers of one customer: since when, how recently, and who answers for each.

use serde::{Deserialize, Serialize};

use super::{Assurance, IdentifierKey, ScopeKey};
use crate::flat::FlatMap;
use crate::time::Timestamp;

/// How many identifiers that a person merely stated are kept: of more, those stated longest ago are
/// forgotten. Whoever fills in forms all day must not grow a customer without end.
pub const STATED_MAX: usize = 64;

/// What is known of one identifier of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// When it was first told; [`Timestamp::MIN`] where that was not kept.
    pub first: Timestamp,
    /// When it was last told.
    pub last: Timestamp,
    /// The most that anybody answered for it.
    pub assurance: Assurance,
    /// When that was first so.
    pub assured_at: Timestamp,
    /// Who issued it, where that is kept.
    pub scope: Option<ScopeKey>,
}

/// Identifiers by their hash.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Held(FlatMap<IdentifierKey, Seen>);

impl Held {
    /// Notes that an identifier was told at an instant.
    pub(crate) fn note(&mut self, key: IdentifierKey, scope: Option<ScopeKey>, at: Timestamp, assurance: &Assurance) {
        if let Some(seen) = self.0.get_mut(&key) {
            seen.first = seen.first.min(at);
            seen.last = seen.last.max(at);
            seen.scope = seen.scope.or(scope);
            if assurance.rank() > seen.assurance.rank() {
                seen.assurance.clone_from(assurance);
                seen.assured_at = at;
            }
            return;
        }
        if assurance.is_stated() {
            self.make_room();
        }
        self.0.insert(key, Seen { first: at, last: at, assurance: assurance.clone(), assured_at: at, scope });
    }

    /// Forgets an identifier.
    pub(crate) fn forget(&mut self, key: &IdentifierKey) {
        self.0.remove(key);
    }

    /// Adds what is known of another's, as if all had been told of one customer.
    pub(crate) fn join(&mut self, other: &Held) {
        for (key, theirs) in other.iter() {
            let Some(seen) = self.0.get_mut(key) else {
                self.0.insert(*key, theirs.clone());
                continue;
            };
            seen.first = seen.first.min(theirs.first);
            seen.last = seen.last.max(theirs.last);
            seen.scope = seen.scope.or(theirs.scope);
            let rank = |seen: &Seen| (std::cmp::Reverse(seen.assurance.rank()), seen.assured_at);
            if rank(theirs) < rank(seen) {
                seen.assurance.clone_from(&theirs.assurance);
                seen.assured_at = theirs.assured_at;
            }
        }
    }

    /// What is known of an identifier.
    pub(crate) fn get(&self, key: &IdentifierKey) -> Option<&Seen> {
        self.0.get(key)
    }

    /// Whether the customer is known by it.
    pub(crate) fn resolves(&self, key: &IdentifierKey) -> bool {
        self.get(key).is_some_and(|seen| !seen.assurance.is_stated())
    }

    /// All, by hash.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&IdentifierKey, &Seen)> + Clone {
        self.0.iter()
    }

    /// Those by which the customer is known.
    pub(crate) fn known(&self) -> impl Iterator<Item = &IdentifierKey> + Clone {
        self.iter().filter(|(_, seen)| !seen.assurance.is_stated()).map(|(key, _)| key)
    }

    /// Those that were merely stated.
    pub(crate) fn stated(&self) -> impl Iterator<Item = &IdentifierKey> + Clone {
        self.iter().filter(|(_, seen)| seen.assurance.is_stated()).map(|(key, _)| key)
    }

    fn make_room(&mut self) {
        if self.stated().count() < STATED_MAX {
            return;
        }
        let stated = self.iter().filter(|(_, seen)| seen.assurance.is_stated());
        if let Some(oldest) = stated.min_by_key(|(key, seen)| (seen.last, **key)).map(|(key, _)| *key) {
            self.0.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{IdentifierKind, VerificationMethod};

    fn key(n: u8) -> IdentifierKey {
        IdentifierKey { kind: IdentifierKind::Email, hash: [n; 16] }
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms).unwrap()
    }

    #[test]
    fn the_most_that_was_answered_for_stays_with_its_instant() {
        let mut held = Held::default();
        let by = |name| Assurance::Verified { by: VerificationMethod::new(name).unwrap() };
        held.note(key(1), None, at(5), &Assurance::Stated);
        assert!(!held.resolves(&key(1)));
        held.note(key(1), None, at(6), &by("double_opt_in"));
        held.note(key(1), None, at(7), &by("one_time_code"));
        held.note(key(1), None, at(9), &Assurance::Stated);
        let seen = held.get(&key(1)).unwrap();
        assert_eq!((seen.first, seen.last, seen.assured_at), (at(5), at(9), at(6)));
        assert_eq!(seen.assurance, by("double_opt_in"));
        assert!(held.resolves(&key(1)));
    }

    #[test]
    fn stated_ones_push_out_stated_ones_and_never_a_known_one() {
        let mut held = Held::default();
        held.note(key(255), None, at(0), &Assurance::Vouched);
        for n in 0..200 {
            held.note(key(n), None, at(1 + i64::from(n)), &Assurance::Stated);
        }
        assert_eq!(held.known().collect::<Vec<_>>(), [&key(255)]);
        assert_eq!(held.stated().count(), STATED_MAX);
        assert!(held.get(&key(199)).is_some() && held.get(&key(135)).is_none());
    }
}
