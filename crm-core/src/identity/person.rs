//! What there is to know of a customer in order to decide who is who.

use super::{IdentifierKey, ScopeKey};
use crate::id::CustomerId;
use crate::time::Timestamp;

/// An identifier that a customer is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeldIdentifier {
    /// Its keyed hash.
    pub key: IdentifierKey,
    /// The keyed hash of who issued it; none where nobody does, or that was not kept.
    pub scope: Option<ScopeKey>,
    /// Since when; [`Timestamp::MIN`] where that was not kept.
    pub since: Timestamp,
}

/// A customer as far as it matters for who is who: [`Customer::summary`](crate::customer::Customer::summary).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonSummary {
    /// Who.
    pub id: CustomerId,
    /// What they are known by; what they merely stated is not among it.
    pub identifiers: Vec<HeldIdentifier>,
    /// The ids of all whom they were merged of, the own one included.
    pub members: Vec<CustomerId>,
    /// Of whom somebody decided that they are somebody else: no rule makes one person of the two.
    pub not: Vec<CustomerId>,
}

/// Which of two customers survives a merge: the lesser. Known before anonymous, then the one whose id is
/// lower, and ids sort by creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Precedence {
    anonymous: bool,
    id: CustomerId,
}

impl PersonSummary {
    /// Somebody who was not merged with anybody, nor told apart from anybody.
    #[must_use]
    pub fn new(id: CustomerId, identifiers: Vec<HeldIdentifier>) -> Self {
        PersonSummary { id, identifiers, members: vec![id], not: Vec::new() }
    }

    /// Whether they are known by nothing that names a person.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        !self.identifiers.iter().any(|held| held.key.kind.names_person())
    }

    /// Their place in the order of survivors: the lesser survives.
    #[must_use]
    pub fn precedence(&self) -> Precedence {
        Precedence { anonymous: self.is_anonymous(), id: self.id }
    }
}

/// Which of two customers survives their merge; the same whichever is named first.
#[must_use]
pub fn survivor(a: &PersonSummary, b: &PersonSummary) -> CustomerId {
    a.precedence().min(b.precedence()).id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::IdentifierKind;

    fn person(created_ms: i64, kinds: &[IdentifierKind]) -> PersonSummary {
        let at = Timestamp::from_millis(created_ms).unwrap();
        let held = |kind: &IdentifierKind| HeldIdentifier {
            key: IdentifierKey { kind: *kind, hash: [1; 16] },
            scope: None,
            since: at,
        };
        PersonSummary::new(CustomerId::new(at, [0; 10]), kinds.iter().map(held).collect())
    }

    #[test]
    fn the_known_survive_the_anonymous_and_the_old_the_young() {
        let device = person(1, &[IdentifierKind::Device]);
        let email = person(2, &[IdentifierKind::Email]);
        let card = person(3, &[IdentifierKind::Card, IdentifierKind::Device]);
        for (a, b, expected) in [(&device, &email, &email), (&email, &card, &email), (&device, &card, &card)] {
            assert_eq!((survivor(a, b), survivor(b, a)), (expected.id, expected.id));
        }
        assert!(person(1, &[]).is_anonymous());
    }
}
