//! Doubts about who is who: identifiers that were set aside, and people who may be one, for a person to decide.

use serde::{Deserialize, Serialize};

use super::{Aside, Clue, IdentifierKey, SuggestedMerge};
use crate::flat::FlatMap;
use crate::id::CustomerId;
use crate::text::Remark;

/// How many people who may be the same one are kept for a customer, and how many identifiers that were set aside.
pub const DOUBTS_MAX: usize = 64;

/// Somebody else may be the same person, by their cards or by an identifier that came with a fact of the one and is the
/// other's. Recorded for both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuplicateSuggested {
    /// Who.
    pub other: CustomerId,
    /// How alike they are, from 0 to 1,000; none if they share an identifier instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<u16>,
    /// What makes them alike.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clues: Vec<Clue>,
    /// The identifier that they share, if that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<IdentifierKey>,
    /// What speaks against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<Aside>,
}

impl DuplicateSuggested {
    /// What is noted of one of two who may be one person by an identifier: that the other one may be. What speaks against
    /// it is said of that other one too, whoever of the two it was found with.
    #[must_use]
    pub fn by_identifier(suggested: &SuggestedMerge, other: CustomerId) -> Self {
        let against = match suggested.reason {
            Aside::Blocked => Aside::Blocked,
            Aside::Limit { kind, limit, with } => Aside::Limit { kind, limit, with: with.map(|_| other) },
            Aside::Disagrees { kind, with } => Aside::Disagrees { kind, with: with.map(|_| other) },
            Aside::BelongsTo { customer } => Aside::BelongsTo { customer },
        };
        DuplicateSuggested { other, score: None, clues: Vec::new(), shared: Some(suggested.by), against: Some(against) }
    }
}

/// Somebody decided that they are two people, and will not be asked again. Recorded for both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuplicateRejected {
    /// Who is not the same.
    pub other: CustomerId,
    /// Why, in few words.
    pub reason: Remark,
}

/// What is thought of somebody who may be the same person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// How alike they are, from 0 to 1,000; none if they share an identifier.
    pub score: Option<u16>,
    /// Whether it was decided that they are two.
    pub rejected: bool,
}

/// The doubts about one customer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Doubts {
    others: FlatMap<CustomerId, Doubt>,
    aside: FlatMap<IdentifierKey, Aside>,
}

impl Doubts {
    /// Whoever was rejected stays so. Of too many, those least alike make room.
    pub(crate) fn suggest(&mut self, other: CustomerId, score: Option<u16>) {
        let rejected = self.others.get(&other).is_some_and(|doubt| doubt.rejected);
        self.put(other, Doubt { score, rejected });
    }

    pub(crate) fn reject(&mut self, other: CustomerId) {
        let score = self.others.get(&other).and_then(|doubt| doubt.score);
        self.put(other, Doubt { score, rejected: true });
    }

    fn put(&mut self, other: CustomerId, doubt: Doubt) {
        if self.others.get(&other).is_none() && self.others.len() >= DOUBTS_MAX {
            let open = self.others.iter().filter(|(_, doubt)| !doubt.rejected);
            let least = open.min_by_key(|(id, doubt)| (doubt.score.unwrap_or(1_000), **id)).map(|(id, _)| *id);
            let oldest = self.others.iter().map(|(id, _)| *id).min();
            if let Some(id) = least.or(oldest) {
                self.others.remove(&id);
            }
        }
        self.others.insert(other, doubt);
    }

    pub(crate) fn set_aside(&mut self, identifier: IdentifierKey, reason: Aside) {
        if self.aside.get(&identifier).is_none() && self.aside.len() >= DOUBTS_MAX {
            let first = self.aside.iter().map(|(key, _)| *key).next();
            first.map(|key| self.aside.remove(&key));
        }
        self.aside.insert(identifier, reason);
    }

    pub(crate) fn get(&self, other: CustomerId) -> Option<Doubt> {
        self.others.get(&other).copied()
    }

    pub(crate) fn others(&self) -> impl Iterator<Item = (CustomerId, Doubt)> + '_ {
        self.others.iter().map(|(id, doubt)| (*id, *doubt))
    }

    pub(crate) fn aside(&self) -> impl Iterator<Item = (&IdentifierKey, &Aside)> {
        self.aside.iter()
    }

    /// Adds those of another member of the same customer.
    pub(crate) fn join(&mut self, other: &Doubts) {
        for (id, doubt) in other.others() {
            let own = self.get(id);
            let rejected = doubt.rejected || own.is_some_and(|own| own.rejected);
            let score = doubt.score.max(own.and_then(|own| own.score));
            self.others.insert(id, Doubt { score, rejected });
        }
        for (key, reason) in other.aside() {
            let least = self.aside.get(key).map_or(*reason, |own| (*own).min(*reason));
            self.aside.insert(*key, least);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn who_was_rejected_stays_so_and_the_least_alike_make_room() {
        let id = |n: u16| {
            CustomerId::new(
                Timestamp::MIN,
                [n.to_be_bytes(), [0; 2], [0; 2], [0; 2], [0; 2]].concat().try_into().unwrap(),
            )
        };
        let mut doubts = Doubts::default();
        doubts.suggest(id(1), Some(600));
        doubts.reject(id(1));
        doubts.suggest(id(1), Some(900));
        assert_eq!(doubts.get(id(1)), Some(Doubt { score: Some(900), rejected: true }));
        for n in 2..200 {
            doubts.suggest(id(n), Some(500 + n));
        }
        assert_eq!(doubts.others().count(), DOUBTS_MAX);
        assert!(doubts.get(id(1)).is_some() && doubts.get(id(199)).is_some() && doubts.get(id(2)).is_none());
    }
}
