//! How long somebody has been in a segment, and until when they were.

use serde::{Deserialize, Serialize};

use crate::time::{Span, Timestamp};

/// Since when somebody is in a segment, and when they last left it, as the past is known now. Whoever comes and goes at
/// one instant was not there, and whoever goes and comes back at one was there throughout.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Spell {
    /// Since when they are in it without interruption; none if they are not.
    pub since: Option<Timestamp>,
    /// When they last left it; none if they never did.
    pub left: Option<Timestamp>,
    /// What both were before they last left: to go on from there if they come back at that very instant.
    before: (Option<Timestamp>, Option<Timestamp>),
}

/// What it takes to come back is no part of what is known.
impl PartialEq for Spell {
    fn eq(&self, other: &Self) -> bool {
        (self.since, self.left) == (other.since, other.left)
    }
}

impl Eq for Spell {}

impl Spell {
    /// Notes whether they are in it from an instant on. Instants come in their order.
    pub(crate) fn note(&mut self, is_in: bool, at: Timestamp) {
        match (is_in, self.since) {
            (true, None) if self.left == Some(at) => (self.since, self.left) = self.before,
            (true, None) => self.since = Some(at),
            (false, Some(since)) if since == at => self.since = None,
            (false, Some(_)) => {
                self.before = (self.since, self.left);
                (self.since, self.left) = (None, Some(at));
            }
            (true, Some(_)) | (false, None) => {}
        }
    }

    /// Whether they are in it or ever were.
    #[must_use]
    pub const fn ever(self) -> bool {
        self.since.is_some() || self.left.is_some()
    }

    /// Whether they are in it or were at any instant of the last so long, its first not included.
    #[must_use]
    pub fn within(self, span: Span, at: Timestamp) -> bool {
        self.since.is_some() || self.left.is_some_and(|left| left.plus(span) > at)
    }

    /// Whether they are in it for so long at least.
    #[must_use]
    pub fn lasts(self, span: Span, at: Timestamp) -> bool {
        self.since.is_some_and(|since| since.plus(span) <= at)
    }

    /// When it will be so long ago that they were in it.
    pub(crate) fn forgotten(self, span: Span) -> Option<Timestamp> {
        self.left.filter(|_| self.since.is_none()).map(|left| left.plus(span))
    }

    /// When they will have been in it for so long.
    pub(crate) fn reached(self, span: Span) -> Option<Timestamp> {
        self.since.map(|since| since.plus(span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    fn told(moves: &[(bool, i64)]) -> Spell {
        let mut spell = Spell::default();
        moves.iter().for_each(|(is_in, millis)| spell.note(*is_in, at(*millis)));
        spell
    }

    fn spell(since: Option<i64>, left: Option<i64>) -> Spell {
        Spell { since: since.map(at), left: left.map(at), before: (None, None) }
    }

    #[test]
    fn nobody_was_there_who_came_and_went_at_one_instant() {
        assert_eq!(told(&[(true, 5), (false, 5)]), Spell::default());
        assert_eq!(told(&[(true, 1), (false, 3), (true, 5), (false, 5)]), spell(None, Some(3)));
        assert_eq!(told(&[(true, 1), (false, 3), (true, 5), (false, 5), (true, 5)]), spell(Some(5), Some(3)));
    }

    #[test]
    fn whoever_goes_and_comes_back_at_one_instant_stayed() {
        assert_eq!(told(&[(true, 1), (false, 5), (true, 5)]), spell(Some(1), None));
        let again = [(true, 1), (false, 2), (true, 3), (false, 5), (true, 5), (false, 5)];
        assert_eq!(told(&again[..5]), spell(Some(3), Some(2)));
        assert_eq!(told(&again), spell(None, Some(5)));
        assert_eq!(told(&[(true, 1), (true, 4), (false, 6), (false, 9)]), spell(None, Some(6)));
    }

    #[test]
    fn so_long_ago_ends_at_the_very_instant() {
        let gone = spell(None, Some(10));
        assert!(gone.ever() && gone.within(Span::millis(5), at(14)) && !gone.within(Span::millis(5), at(15)));
        assert_eq!(gone.forgotten(Span::millis(5)), Some(at(15)));
        let there = spell(Some(10), None);
        assert!(!there.lasts(Span::millis(5), at(14)) && there.lasts(Span::millis(5), at(15)));
        assert_eq!((there.reached(Span::millis(5)), there.forgotten(Span::millis(5))), (Some(at(15)), None));
    }
}
