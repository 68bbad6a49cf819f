//! What a plugin did for one customer: what it keeps, which version of it that was, and how much it did on the last
//! day. It is folded from the decisions, so that a limit holds alike on every store and after every replay.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::grants::points_given;
use super::{PluginStamp, Remembered};
use crate::event::Deed;
use crate::id::Digest;
use crate::time::Timestamp;

/// Milliseconds in a day of UTC.
const DAY_MILLIS: i64 = 86_400_000;

/// How much a plugin did on one day of UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Days since 1970-01-01.
    day: i64,
    decisions: u32,
    messages: u32,
    points: u64,
}

impl Usage {
    /// Decisions of whatever kind.
    #[must_use]
    pub const fn decisions(&self) -> u32 {
        self.decisions
    }

    /// Messages to the host.
    #[must_use]
    pub const fn messages(&self) -> u32 {
        self.messages
    }

    /// Points given.
    #[must_use]
    pub const fn points(&self) -> u64 {
        self.points
    }

    /// How much it is on the day of an instant. Days that are over count no more; what is dated back counts on the
    /// last day, so that nobody gains by it.
    #[must_use]
    pub fn on(self, at: Timestamp) -> Self {
        let day = at.as_millis().div_euclid(DAY_MILLIS);
        if day > self.day { Usage { day, ..Usage::default() } } else { self }
    }

    /// Counts one more decision, on the day of an instant.
    pub fn note(&mut self, at: Timestamp, deed: &Deed) {
        *self = self.on(at);
        self.decisions = self.decisions.saturating_add(1);
        self.messages = self.messages.saturating_add(u32::from(matches!(deed, Deed::Notified(_))));
        self.points = self.points.saturating_add(points_given(deed));
    }

    /// That of two members of one customer.
    pub(crate) fn join(self, other: Self) -> Self {
        let (one, other, day) = match self.day.cmp(&other.day) {
            std::cmp::Ordering::Less => return other,
            std::cmp::Ordering::Greater => return self,
            std::cmp::Ordering::Equal => (self, other, self.day),
        };
        Usage {
            day,
            decisions: one.decisions.saturating_add(other.decisions),
            messages: one.messages.saturating_add(other.messages),
            points: one.points.saturating_add(other.points),
        }
    }
}

/// What is kept of a plugin for a customer. What it remembers prints masked.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginKept {
    memory: Vec<u8>,
    /// The version and the digest of the one whose memory it is.
    run: Option<(SmolStr, Digest)>,
    last: Usage,
}

impl PluginKept {
    /// What the plugin asked to be given again; empty at first.
    #[must_use]
    pub fn memory(&self) -> &[u8] {
        &self.memory
    }

    /// Which version of the plugin wrote the memory, while there is one: it goes on until it gives back an empty one.
    #[must_use]
    pub fn run(&self) -> Option<(&str, &Digest)> {
        self.run.as_ref().filter(|_| !self.memory.is_empty()).map(|(version, digest)| (version.as_str(), digest))
    }

    /// How much it did on the day of an instant.
    #[must_use]
    pub fn today(&self, at: Timestamp) -> Usage {
        self.last.on(at)
    }

    pub(crate) fn note(&mut self, at: Timestamp, by: &PluginStamp, deed: &Deed) {
        self.last.note(at, deed);
        if let Deed::Remembered(Remembered { memory, .. }) = deed {
            self.memory.clone_from(memory);
            self.run = (!memory.is_empty()).then(|| (by.version.clone(), by.digest));
        }
    }

    /// What it remembers may say who somebody was.
    pub(crate) fn forget(&mut self) {
        self.memory.clear();
        self.run = None;
    }

    /// With that of another member: the memory stays, where there is one.
    pub(crate) fn join(&mut self, other: &Self) {
        if self.memory.is_empty() {
            self.memory.clone_from(&other.memory);
            self.run.clone_from(&other.run);
        }
        self.last = self.last.join(other.last);
    }
}

impl std::fmt::Debug for PluginKept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let PluginKept { memory, run, last } = self;
        let bytes = memory.len();
        f.debug_struct("PluginKept").field("bytes", &bytes).field("run", run).field("last", last).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;
    use crate::workflow::{Fields, Notified, Topic};

    fn noon() -> Timestamp {
        Timestamp::parse("2020-03-01T12:00:00Z").unwrap()
    }

    fn message() -> Deed {
        Deed::Notified(Notified { topic: Topic::new("hello").unwrap(), fields: Fields::new() })
    }

    #[test]
    fn a_new_day_begins_at_nothing_and_what_is_dated_back_counts_on_the_last() {
        let mut usage = Usage::default();
        usage.note(noon(), &message());
        usage.note(noon().minus(Span::days(3)), &message());
        assert_eq!((usage.messages(), usage.decisions()), (2, 2));
        assert_eq!(usage.on(noon().plus(Span::millis(11 * 3_600_000))).messages(), 2);
        assert_eq!(usage.on(noon().plus(Span::millis(12 * 3_600_000))).messages(), 0);
    }

    #[test]
    fn of_two_members_the_same_day_adds_up_and_the_later_one_counts() {
        let mut one = Usage::default();
        one.note(noon(), &message());
        let mut other = Usage::default();
        other.note(noon().plus(Span::millis(3_600_000)), &message());
        assert_eq!(one.join(other).messages(), 2);
        other.note(noon().plus(Span::days(1)), &message());
        assert_eq!((one.join(other), other.join(one)), (other, other));
    }
}
