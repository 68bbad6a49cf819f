//! So much within each day, week, month, quarter or year, and how much of it was used.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::Period;
use crate::time::Timestamp;

/// So much within each stretch of the calendar, in the zone of the programme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowance {
    /// How much: points, or how often.
    pub points: u64,
    /// Within which stretch.
    pub per: Period,
}

/// When something was done that is counted, and in which zone its day, week, month, quarter and year are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedAt {
    /// When.
    pub at: Timestamp,
    /// The zone of the programme then.
    pub zone: Tz,
}

const PERIODS: [Period; 5] = [Period::Day, Period::Week, Period::Month, Period::Quarter, Period::Year];

/// How much was used of whichever allowance there may be: in the last day, week, month, quarter and year in which
/// anything was. So an allowance can be changed at any time, and what was used before counts for the new one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Used(Vec<(Period, Timestamp, i64)>);

impl Used {
    /// Something was used.
    pub(crate) fn note(&mut self, counted: CountedAt, points: i64) {
        for period in PERIODS {
            self.add(period, period.begin(counted.at, counted.zone), points);
        }
    }

    fn add(&mut self, period: Period, begin: Timestamp, points: i64) {
        match self.0.iter_mut().find(|(own, ..)| *own == period) {
            Some((_, last, sum)) if *last == begin => *sum = sum.saturating_add(points),
            Some((_, last, sum)) if *last < begin => (*last, *sum) = (begin, points),
            // It is of a stretch that is over.
            Some(_) => {}
            None => self.0.push((period, begin, points)),
        }
    }

    /// How much was used in the stretch that an instant is in.
    pub(crate) fn within(&self, period: Period, counted: CountedAt) -> i64 {
        let begin = period.begin(counted.at, counted.zone);
        let own = self.0.iter().find(|(own, from, _)| *own == period && *from == begin);
        own.map_or(0, |(.., points)| *points)
    }

    /// What two used who are one now.
    pub(crate) fn join(&mut self, other: &Self) {
        other.0.iter().for_each(|(period, begin, points)| self.add(*period, *begin, *points));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Allowance {
    /// How much is left where so much was used.
    pub(crate) fn left(self, used: i64) -> i64 {
        i64::try_from(self.points).unwrap_or(i64::MAX).saturating_sub(used).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(at: &str) -> CountedAt {
        CountedAt { at: Timestamp::parse(at).unwrap(), zone: Tz::Europe__Berlin }
    }

    #[test]
    fn what_was_used_counts_within_its_stretch_in_the_zone() {
        let mut used = Used::default();
        used.note(counted("2026-03-31T21:00:00Z"), 10);
        // In Berlin it is April already.
        used.note(counted("2026-03-31T22:30:00Z"), 5);
        let within = |period| used.within(period, counted("2026-04-01T12:00:00Z"));
        assert_eq!(PERIODS.map(within), [5, 15, 5, 5, 15]);
        assert_eq!(used.within(Period::Month, counted("2026-05-01T12:00:00Z")), 0);
        assert_eq!(used.within(Period::Year, counted("2026-05-01T12:00:00Z")), 15);
    }

    #[test]
    fn what_two_used_adds_up() {
        let (mut one, mut other) = (Used::default(), Used::default());
        one.note(counted("2026-03-01T12:00:00Z"), 10);
        other.note(counted("2026-03-01T13:00:00Z"), 7);
        other.note(counted("2026-03-02T13:00:00Z"), 1);
        let mut joined = one.clone();
        joined.join(&other);
        other.join(&one);
        for period in PERIODS {
            let at = counted("2026-03-02T14:00:00Z");
            assert_eq!(joined.within(period, at), other.within(period, at));
        }
        assert_eq!(joined.within(Period::Month, counted("2026-03-02T14:00:00Z")), 18);
    }
}
