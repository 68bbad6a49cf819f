//! When scores are made anew.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::time::{Span, Timestamp};

/// When a customer's scores of a plugin are made anew: whichever comes first.
///
/// Whoever was never scored is as old as their first fact, and due by age and schedule from then on; whoever may not be
/// scored is never due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScorePolicy {
    /// When a fact of one of these kinds came, such as `order_placed`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub on: BTreeSet<SmolStr>,
    /// When the newest score is so old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older_than: Option<Span>,
    /// At these instants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<ScoreSchedule>,
    /// After the plugin failed, or was not installed where time was let pass: until when it is tried again.
    pub retry_after: Span,
}

/// An instant, and each that comes so long after the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreSchedule {
    /// The first.
    pub first: Timestamp,
    /// How long until the next one.
    pub step: Span,
}

/// A policy that cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScorePolicyError {
    /// Nothing makes a score anew.
    #[error("nothing makes a score anew: say on what, how old, or how often")]
    Never,
    /// An age, a step or a wait is too short.
    #[error("{which} is shorter than {} ms", ScorePolicy::LEAST.as_millis())]
    TooShort {
        /// Which of them.
        which: &'static str,
    },
    /// Too many kinds of facts.
    #[error("{count} kinds of facts, and {max} are the most")]
    Kinds {
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
    },
}

impl ScorePolicy {
    /// The shortest age, step and wait: a minute.
    pub const LEAST: Span = Span::millis(60_000);
    /// The most kinds of facts.
    pub const KINDS_MAX: usize = 64;

    /// Anew when a score is so old, and after a fault an hour later.
    #[must_use]
    pub const fn older_than(age: Span) -> Self {
        ScorePolicy { on: BTreeSet::new(), older_than: Some(age), every: None, retry_after: Span::millis(3_600_000) }
    }

    /// Anew when facts of these kinds come, and after a fault an hour later.
    #[must_use]
    pub fn on<K: Into<SmolStr>>(kinds: impl IntoIterator<Item = K>) -> Self {
        let on = kinds.into_iter().map(Into::into).collect();
        ScorePolicy { on, older_than: None, every: None, retry_after: Span::millis(3_600_000) }
    }

    /// Checks the limits.
    ///
    /// # Errors
    ///
    /// `Never` if nothing is said of when, `TooShort` and `Kinds` past a limit.
    pub fn check(&self) -> Result<(), ScorePolicyError> {
        let ScorePolicy { on, older_than, every, retry_after } = self;
        if on.is_empty() && older_than.is_none() && every.is_none() {
            return Err(ScorePolicyError::Never);
        }
        if on.len() > Self::KINDS_MAX {
            return Err(ScorePolicyError::Kinds { count: on.len(), max: Self::KINDS_MAX });
        }
        let spans =
            [("an age", *older_than), ("a step", every.map(|every| every.step)), ("a wait", Some(*retry_after))];
        let short = spans.into_iter().find(|(_, span)| span.is_some_and(|span| span < Self::LEAST));
        short.map_or(Ok(()), |(which, _)| Err(ScorePolicyError::TooShort { which }))
    }
}

impl ScoreSchedule {
    /// The first of its instants after one.
    #[must_use]
    pub fn after(&self, instant: Timestamp) -> Timestamp {
        if instant < self.first {
            return self.first;
        }
        let step = self.step.as_millis().max(1);
        let since = instant.as_millis().saturating_sub(self.first.as_millis());
        let next = (since / step + 1).saturating_mul(step);
        Timestamp::from_millis(self.first.as_millis().saturating_add(next)).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_millis(minute * 60_000).unwrap()
    }

    #[test]
    fn a_schedule_goes_on_step_by_step() {
        let every = ScoreSchedule { first: at(10), step: Span::millis(300_000) };
        let next = |minute| every.after(at(minute)).as_millis() / 60_000;
        assert_eq!([0, 9, 10, 14, 15, 16].map(next), [10, 10, 15, 15, 20, 20]);
        assert_eq!(every.after(Timestamp::MAX), Timestamp::MAX);
    }

    #[test]
    fn a_policy_says_when_and_not_too_often() {
        let short = Span::millis(59_999);
        let daily = ScorePolicy::older_than(Span::days(1));
        assert_eq!(daily.check(), Ok(()));
        assert_eq!(ScorePolicy::on(["order_placed"]).check(), Ok(()));
        assert_eq!(ScorePolicy::on::<&str>([]).check(), Err(ScorePolicyError::Never));
        assert_eq!(ScorePolicy::older_than(short).check(), Err(ScorePolicyError::TooShort { which: "an age" }));
        let hasty = ScorePolicy { retry_after: short, ..daily };
        assert_eq!(hasty.check(), Err(ScorePolicyError::TooShort { which: "a wait" }));
        let many = ScorePolicy::on((0..65).map(|n| n.to_string()));
        assert_eq!(many.check(), Err(ScorePolicyError::Kinds { count: 65, max: 64 }));
    }
}
