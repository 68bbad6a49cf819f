//! What expired and can be given back: of what it was, so that it goes again when that does.

use serde::{Deserialize, Serialize};

use super::lots::{LotTerms, Origin};
use crate::id::EventId;
use crate::time::Timestamp;

/// What had given points that expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Giver {
    /// A fact earned them: they are earned by it again when they are given back.
    Fact(EventId),
    /// They were awarded at this instant, or put right.
    Award(Timestamp),
    /// Something that does not go again: another customer, another system.
    Other,
}

impl Giver {
    /// What gave the points of a lot.
    pub(super) const fn of(terms: &LotTerms) -> Self {
        match (terms.fact(), terms.awarded_at()) {
            (Some(fact), _) => Giver::Fact(fact),
            (None, Some(at)) => Giver::Award(at),
            (None, None) => Giver::Other,
        }
    }

    /// Where points of it come from that are given back.
    pub(super) const fn origin(self) -> Origin {
        match self {
            Giver::Fact(fact) => Origin::Fact(fact),
            Giver::Award(at) => Origin::Reawarded(at),
            Giver::Other => Origin::Reinstated,
        }
    }
}

/// Points of an award that was undone, which were gone by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoneAward {
    /// When they were awarded.
    pub awarded_at: Timestamp,
    /// How many.
    pub points: i64,
}

/// What expired at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Gone {
    /// Until before when it can be given back.
    until: Timestamp,
    /// How many points of what: what facts had earned first, else in the order in which it would have been spent.
    of: Vec<(Giver, i64)>,
}

/// The most expiries that are remembered so that they can be reinstated.
const GONE_MAX: usize = 16;

/// What expired and can be given back, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AllGone(Vec<Gone>);

impl AllGone {
    /// So much expired, in the order in which it would have been spent.
    pub(super) fn note(&mut self, until: Timestamp, mut of: Vec<(Giver, i64)>) {
        of.sort_by_key(|(giver, _)| !matches!(giver, Giver::Fact(_)));
        self.0.push(Gone { until, of });
        if self.0.len() > GONE_MAX {
            self.0.remove(0);
        }
    }

    /// So much of it is given back at an instant: the oldest first, and of what expired together what facts had earned.
    pub(super) fn give_back(&mut self, mut points: i64, at: Timestamp) -> Vec<(Giver, i64)> {
        let mut back: Vec<(Giver, i64)> = Vec::new();
        for gone in self.0.iter_mut().filter(|gone| gone.until > at) {
            for (giver, there) in &mut gone.of {
                let part = points.min(*there);
                if part == 0 {
                    continue;
                }
                points -= part;
                *there -= part;
                match back.last_mut().filter(|(last, _)| last == giver) {
                    Some((_, sum)) => *sum = sum.saturating_add(part),
                    None => back.push((*giver, part)),
                }
            }
        }
        self.sweep();
        back
    }

    /// So much of what was awarded at an instant never was: it cannot be given back, what could be for longest first.
    pub(super) fn forget(&mut self, UndoneAward { awarded_at, mut points }: UndoneAward) {
        for (giver, there) in self.0.iter_mut().rev().flat_map(|gone| &mut gone.of) {
            if *giver == Giver::Award(awarded_at) {
                let part = points.min(*there);
                points -= part;
                *there -= part;
            }
        }
        self.sweep();
    }

    fn sweep(&mut self) {
        self.0.iter_mut().for_each(|gone| gone.of.retain(|(_, points)| *points > 0));
        self.0.retain(|gone| !gone.of.is_empty());
    }

    /// How many points can be given back at an instant.
    pub(super) fn open(&self, at: Timestamp) -> i64 {
        let open = self.0.iter().filter(|gone| gone.until > at).flat_map(|gone| &gone.of);
        open.fold(0, |sum, (_, points)| sum.saturating_add(*points))
    }

    /// How many of them something had given.
    pub(super) fn of(&self, giver: Giver) -> i64 {
        let own = self.0.iter().flat_map(|gone| &gone.of).filter(|(of, _)| *of == giver);
        own.fold(0, |sum, (_, points)| sum.saturating_add(*points))
    }

    pub(super) fn join(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
