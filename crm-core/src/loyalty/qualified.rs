//! Points that count towards tiers, by the time at which they were earned.

use serde::{Deserialize, Serialize};

use super::event::Qualifying;
use crate::time::Timestamp;

/// Points that count towards tiers, by the time at which they were earned: one entry for each instant with any left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Qualified(Vec<(Timestamp, i64)>);

impl Qualified {
    pub(super) fn note(&mut self, qualifying: Qualifying) {
        let Qualifying { points, at } = qualifying;
        match self.0.binary_search_by_key(&at, |(at, _)| *at) {
            Ok(place) => {
                self.0[place].1 = self.0[place].1.saturating_add(points);
                if self.0[place].1 == 0 {
                    self.0.remove(place);
                }
            }
            Err(_) if points == 0 => {}
            Err(place) => self.0.insert(place, (at, points)),
        }
    }

    pub(super) fn ever(&self) -> i128 {
        self.0.iter().map(|(_, points)| i128::from(*points)).sum()
    }

    /// Those that were earned at an instant or later, and before another one.
    pub(super) fn within(&self, from: Timestamp, until: Timestamp) -> i128 {
        let first = self.0.partition_point(|(at, _)| *at < from);
        self.0[first..].iter().take_while(|(at, _)| *at < until).map(|(_, points)| i128::from(*points)).sum()
    }

    /// When the first of those was earned that were earned at an instant or later.
    pub(super) fn next_from(&self, from: Timestamp) -> Option<Timestamp> {
        self.0.get(self.0.partition_point(|(at, _)| *at < from)).map(|(at, _)| *at)
    }

    /// All of them, the newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = (Timestamp, i64)> {
        self.0.iter().rev().copied()
    }

    pub(super) fn join(&mut self, other: &Self) {
        other.0.iter().for_each(|(at, points)| self.note(Qualifying { points: *points, at: *at }));
    }
}
