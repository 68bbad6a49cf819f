//! Ties between customers: who referred whom, who lives with whom, who works for which company and what
//! they may decide there. Organisations are customers like any other.
//!
//! A tie has two sides, and each customer's own history tells of theirs: so it can be read from either end
//! without a search, and each state follows from its own events alone. Both facts are written in one commit
//! and under one id, so there is never one without the other. For that reason a tie cannot be voided, which
//! would take out one side: it is ended, by a fact that has two sides as well.
//!
//! Of somebody who was merged each member has their own ties, by the ids that were told: so a tie has the same two ids
//! on either side, whoever goes on as whom. An end that is told of one of them ends those of all, as package `crm`
//! takes care of. Whoever is erased is tied to nobody any more, and the other sides end.
//!
//! Facts about ties fold by `(at, id)` like all others, whenever they come: the last word about a customer, a kind
//! and a direction holds. Of two at one instant the one with the higher id is last.

mod event;

use serde::{Deserialize, Serialize};

pub use event::{Tie, Tied, Untie, Untied};

use crate::flat::FlatMap;
use crate::id::CustomerId;
use crate::text::text_type;
use crate::time::Timestamp;

/// How many ties a customer may have at one time, both directions counted. A state is read and written for
/// every event: a thousand ties are about 30 kB of it.
pub const TIES_MAX: usize = 1_000;

/// How many ties that have ended a state keeps, the newest ends; all are in the history.
pub const PAST_TIES_MAX: usize = 100;

text_type!(
    /// The name of a kind of tie that the shop made up, such as `godparent`.
    TieName, "kind of tie", 64
);

/// In which way two customers are tied: read `from … to`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TieKind {
    /// `from` brought `to` to the shop.
    Referred,
    /// They live together. It is mutual: there is no `from` and no `to`.
    Household,
    /// `from` is employed by `to`.
    WorksFor,
    /// `from` follows `to`, on a social network or in the shop.
    Follows,
    /// `from` manages `to`: an account, or a person.
    Manages,
    /// `from` buys on behalf of `to`.
    BuysFor,
    /// `from` decides on purchases of `to`.
    DecidesFor,
    /// Another way, with a name of the shop's; it has a direction.
    Other(TieName),
}

impl TieKind {
    /// Whether both sides are alike.
    #[must_use]
    pub const fn is_mutual(&self) -> bool {
        match self {
            TieKind::Household => true,
            TieKind::Referred
            | TieKind::WorksFor
            | TieKind::Follows
            | TieKind::Manages
            | TieKind::BuysFor
            | TieKind::DecidesFor
            | TieKind::Other(_) => false,
        }
    }

    /// Its name, as in JSON; the shop's own for another kind.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            TieKind::Referred => "referred",
            TieKind::Household => "household",
            TieKind::WorksFor => "works_for",
            TieKind::Follows => "follows",
            TieKind::Manages => "manages",
            TieKind::BuysFor => "buys_for",
            TieKind::DecidesFor => "decides_for",
            TieKind::Other(name) => name.as_str(),
        }
    }

    /// For each of two customers, the other one and which side they are.
    fn sides(&self, from: CustomerId, to: CustomerId) -> Result<[(CustomerId, Direction); 2], TieError> {
        if from == to {
            return Err(TieError::WithThemself { customer: from });
        }
        let [outgoing, incoming] = match self.is_mutual() {
            true => [Direction::Mutual; 2],
            false => [Direction::Outgoing, Direction::Incoming],
        };
        Ok([(to, outgoing), (from, incoming)])
    }
}

/// Which side of a tie a customer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The tie goes out from them: they referred, they follow.
    Outgoing,
    /// It comes in: they were referred, they are followed.
    Incoming,
    /// There are no sides.
    Mutual,
}

impl Direction {
    /// The other side.
    #[must_use]
    pub const fn mirrored(self) -> Self {
        match self {
            Direction::Outgoing => Direction::Incoming,
            Direction::Incoming => Direction::Outgoing,
            Direction::Mutual => Direction::Mutual,
        }
    }
}

/// How strong a tie is, in per mille: 0 to 1,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Strength(u16);

impl Strength {
    /// As strong as can be.
    pub const FULL: Strength = Strength(1_000);

    /// So many per mille.
    ///
    /// # Errors
    ///
    /// `Strength` for more than 1,000.
    pub const fn new(per_mille: u16) -> Result<Self, TieError> {
        if per_mille > Self::FULL.0 { Err(TieError::Strength { per_mille }) } else { Ok(Strength(per_mille)) }
    }

    /// In per mille.
    #[must_use]
    pub const fn per_mille(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for Strength {
    type Error = TieError;

    fn try_from(per_mille: u16) -> Result<Self, TieError> {
        Self::new(per_mille)
    }
}

impl From<Strength> for u16 {
    fn from(strength: Strength) -> u16 {
        strength.0
    }
}

/// Why a tie was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TieError {
    /// Nobody is tied to themself.
    #[error("{customer} cannot be tied to themself")]
    WithThemself {
        /// Who.
        customer: CustomerId,
    },
    /// Stronger than a tie can be.
    #[error("a strength of {per_mille} per mille, more than 1000")]
    Strength {
        /// The number given.
        per_mille: u16,
    },
    /// One of the two has as many ties as one may have.
    #[error("{customer} has {max} ties already")]
    TooMany {
        /// Which of the two.
        customer: CustomerId,
        /// The limit.
        max: usize,
    },
    /// Nobody is tied to somebody who was erased.
    #[error("{customer} was erased")]
    Erased {
        /// Which of the two.
        customer: CustomerId,
    },
    /// A tie was told of as a fact of one customer. It has two sides, which are written together.
    #[error("a tie has two sides, and was told of for one")]
    OneSided,
}

/// A tie as one of its sides has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TieSide<'a> {
    /// The customer on this side, by the id that was given when the tie was told of: of somebody who was merged,
    /// one of their members.
    pub own: CustomerId,
    /// The customer on the other side, by the id that was given when the tie was told of.
    pub other: CustomerId,
    /// In which way they are tied.
    pub kind: &'a TieKind,
    /// Which side this is.
    pub direction: Direction,
    /// How strongly, by the last word about it.
    pub strength: Strength,
    /// Since when without a break.
    pub since: Timestamp,
    /// Until when; none while it lasts.
    pub until: Option<Timestamp>,
}

/// What tells ties of one customer apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Key {
    other: CustomerId,
    kind: TieKind,
    direction: Direction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Lasting {
    since: Timestamp,
    strength: Strength,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Ended {
    own: CustomerId,
    key: Key,
    was: Lasting,
    until: Timestamp,
}

/// The ties of one customer. Most have none, so that it takes one byte of a state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ties(Option<Box<Book>>);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Book {
    /// By member: one for somebody who was not merged.
    lasting: FlatMap<CustomerId, FlatMap<Key, Lasting>>,
    /// In the order in which they ended.
    past: Vec<Ended>,
}

impl Ties {
    /// Those that last, member by member, by the other's id, kind and direction.
    pub fn lasting(&self) -> impl Iterator<Item = TieSide<'_>> {
        let members = self.0.iter().flat_map(|book| book.lasting.iter());
        members.flat_map(|(own, ties)| ties.iter().map(|(key, tie)| side(*own, key, *tie, None)))
    }

    /// The last [`PAST_TIES_MAX`] that ended, the oldest end first.
    pub fn past(&self) -> impl Iterator<Item = TieSide<'_>> {
        let ended = self.0.iter().flat_map(|book| book.past.iter());
        ended.map(|ended| side(ended.own, &ended.key, ended.was, Some(ended.until)))
    }

    /// Whether one more tie, told through a member, would be one too many.
    #[must_use]
    pub fn is_full_for(&self, own: CustomerId, tied: &Tied) -> bool {
        let Some(book) = &self.0 else { return false };
        let lasting: usize = book.lasting.iter().map(|(_, ties)| ties.len()).sum();
        lasting >= TIES_MAX && book.lasting.get(&own).is_none_or(|ties| ties.get(&tied.key()).is_none())
    }

    /// Told again while it lasts, a tie is as strong as it is told last, and as old as it was.
    pub(crate) fn tie(&mut self, own: CustomerId, at: Timestamp, tied: &Tied) {
        let ties = self.0.get_or_insert_default().lasting.get_or_default(&own);
        let key = tied.key();
        let since = ties.get(&key).map_or(at, |lasting| lasting.since);
        ties.insert(key, Lasting { since, strength: tied.strength });
    }

    pub(crate) fn untie(&mut self, own: CustomerId, at: Timestamp, untied: &Untied) {
        let Some(book) = &mut self.0 else { return };
        let Some(ties) = book.lasting.get_mut(&own) else { return };
        let key = untied.key();
        let Some(was) = ties.remove(&key) else { return };
        if ties.len() == 0 {
            book.lasting.remove(&own);
        }
        book.past.push(Ended { own, key, was, until: at });
        if book.past.len() > PAST_TIES_MAX {
            book.past.remove(0);
        }
    }
}

impl Tied {
    fn key(&self) -> Key {
        Key { other: self.other, kind: self.kind.clone(), direction: self.direction }
    }
}

impl Untied {
    fn key(&self) -> Key {
        Key { other: self.other, kind: self.kind.clone(), direction: self.direction }
    }
}

fn side(own: CustomerId, key: &Key, tie: Lasting, until: Option<Timestamp>) -> TieSide<'_> {
    TieSide {
        own,
        other: key.other,
        kind: &key.kind,
        direction: key.direction,
        strength: tie.strength,
        since: tie.since,
        until,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn somebody(n: u16) -> CustomerId {
        let [high, low] = n.to_be_bytes();
        CustomerId::new(Timestamp::parse("2026-01-01").unwrap(), [high, low, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000).unwrap()
    }

    fn tied(other: u16, per_mille: u16) -> Tied {
        let strength = Strength::new(per_mille).unwrap();
        Tied { other: somebody(other), kind: TieKind::Follows, direction: Direction::Incoming, strength }
    }

    fn untied(other: u16) -> Untied {
        Untied { other: somebody(other), kind: TieKind::Follows, direction: Direction::Incoming }
    }

    #[test]
    fn a_tie_has_two_sides_and_nobody_is_tied_to_themself() {
        let tie = |from, to, kind| Tie { from: somebody(from), to: somebody(to), kind, strength: Strength::FULL };
        let sides = |kind| tie(1, 2, kind).sides().unwrap().map(|side| (side.other, side.direction));
        let (one, two) = (somebody(1), somebody(2));
        assert_eq!(sides(TieKind::Referred), [(two, Direction::Outgoing), (one, Direction::Incoming)]);
        assert_eq!(sides(TieKind::Household), [(two, Direction::Mutual), (one, Direction::Mutual)]);
        assert_eq!(tie(1, 1, TieKind::Follows).sides(), Err(TieError::WithThemself { customer: one }));
        assert_eq!(Strength::new(1_001), Err(TieError::Strength { per_mille: 1_001 }));
        assert!(serde_json::from_str::<Strength>("1001").is_err());
    }

    #[test]
    fn a_tie_told_again_changes_its_strength_and_keeps_its_age() {
        let mut ties = Ties::default();
        ties.tie(somebody(9_999), at(1), &tied(7, 300));
        ties.tie(somebody(9_999), at(5), &tied(7, 900));
        let seen: Vec<_> = ties.lasting().map(|tie| (tie.other, tie.strength.per_mille(), tie.since)).collect();
        assert_eq!(seen, [(somebody(7), 900, at(1))]);
        ties.untie(somebody(9_999), at(6), &untied(7));
        ties.untie(somebody(9_999), at(7), &untied(7));
        assert_eq!(ties.lasting().count(), 0);
        assert_eq!(ties.past().map(|tie| (tie.since, tie.until)).collect::<Vec<_>>(), [(at(1), Some(at(6)))]);
        ties.tie(somebody(9_999), at(8), &tied(7, 1));
        assert_eq!(ties.lasting().next().unwrap().since, at(8));
    }

    #[test]
    fn a_state_keeps_the_newest_ends_and_knows_when_it_is_full() {
        let mut ties = Ties::default();
        for n in 0..TIES_MAX as u16 {
            assert!(!ties.is_full_for(somebody(9_999), &tied(n, 1)));
            ties.tie(somebody(9_999), at(0), &tied(n, 1));
        }
        assert!(ties.is_full_for(somebody(9_999), &tied(TIES_MAX as u16, 1)));
        assert!(!ties.is_full_for(somebody(9_999), &tied(3, 2)), "one that is there can be told again");
        for n in 0..150 {
            ties.untie(somebody(9_999), at(i64::from(n)), &untied(n));
        }
        assert_eq!(ties.past().count(), PAST_TIES_MAX);
        assert_eq!(ties.past().next().unwrap().until, Some(at(50)));
        let bytes = postcard::to_stdvec(&ties).unwrap();
        assert_eq!(postcard::from_bytes::<Ties>(&bytes).unwrap(), ties);
        assert!(bytes.len() < 40 * 950, "{}", bytes.len());
        assert_eq!(postcard::to_stdvec(&Ties::default()).unwrap().len(), 1);
    }
}
