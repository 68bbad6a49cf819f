//! Points that count towards tiers, by the time at which they were earned.

use serde::{Deserialize, Serialize};

use super::event::Qualifying;
use crate::time::Timestamp;

/// Points that count towards tiers, by the time at which they were earned: one entry for each instant with any left, and
/// their sum.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Qualified(Vec<(Timestamp, i64)>, i128);

impl Qualified {
    pub(super) fn note(&mut self, qualifying: Qualifying) {
        let Qualifying { points, at } = qualifying;
        match self.0.binary_search_by_key(&at, |(at, _)| *at) {
            Ok(place) => {
                let before = self.0[place].1;
                self.0[place].1 = before.saturating_add(points);
                self.1 += i128::from(self.0[place].1) - i128::from(before);
                if self.0[place].1 == 0 {
                    self.0.remove(place);
                }
            }
            Err(_) if points == 0 => {}
            Err(place) => {
                self.0.insert(place, (at, points));
                self.1 += i128::from(points);
            }
        }
    }

    pub(super) const fn ever(&self) -> i128 {
        self.1
    }

    /// Those that were earned at an instant or later, and before another one.
    pub(super) fn within(&self, from: Timestamp, until: Timestamp) -> i128 {
        let first = self.0.partition_point(|(at, _)| *at < from);
        let end = self.0.partition_point(|(at, _)| *at < until).max(first);
        let sum = |part: &[(Timestamp, i64)]| part.iter().map(|(_, points)| i128::from(*points)).sum::<i128>();
        // What lies without is summed up where that is less.
        if end - first > self.0.len() / 2 {
            self.1 - sum(&self.0[..first]) - sum(&self.0[end..])
        } else {
            sum(&self.0[first..end])
        }
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
