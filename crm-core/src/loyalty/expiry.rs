//! How long points last.

use chrono::{Months, NaiveDate};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::period::{Period, begin_of, day_of};
use super::{LotTerms, Origin, Program, TierName};
use crate::time::{Span, Timestamp};

/// How long points last. Points are gone from the instant on at which they expire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Expiry {
    /// For ever.
    #[default]
    Never,
    /// All until the same instant; what is earned from then on lasts for ever, until the programme has a new version.
    At(Timestamp),
    /// So long after they were earned.
    After(Span),
    /// Until the end of the month or year, in the zone of the programme, in which so many months after the day on
    /// which they were earned are over: with 12 and [`Period::Year`] all of a year's points last to the end of the next.
    EndOf {
        /// Of what.
        period: Period,
        /// How many months are added first; a day that the month lacks is its last one.
        months: u32,
    },
    /// So long after the customer was last active: each [activity](crate::event::Fact::is_activity) puts off the end
    /// of all points. Nobody's points expire before they were earned that long ago. A version of the programme with
    /// another span holds for points that are there too, and ends none of them before it takes over. It is acted by when
    /// anything happens to the customer; who is not heard of has their alarm as it was, until it rings or `Crm::refresh`
    /// is called.
    AfterActivity(Span),
}

impl Program {
    /// For how long after the last activity points last that have no end of their own.
    pub(crate) const fn lasts_after_activity(&self) -> Option<Span> {
        match self.expiry {
            Expiry::AfterActivity(span) => Some(span),
            Expiry::Never | Expiry::At(_) | Expiry::After(_) | Expiry::EndOf { .. } => None,
        }
    }

    /// Whether it says when points end that are there already, or when they are reminded of.
    pub(crate) const fn moves_ends(&self) -> bool {
        self.lasts_after_activity().is_some() || self.remind.is_some()
    }

    /// What holds for points that somebody of a tier gets at an instant and can spend at once.
    pub(crate) fn terms(&self, origin: Origin, earned_at: Timestamp, tier: Option<&TierName>) -> LotTerms {
        let terms = LotTerms::new(origin, earned_at, self.expires_at(earned_at, tier));
        match self.expiry {
            Expiry::AfterActivity(_) => LotTerms { longer: self.lasts_longer(tier), ..terms },
            Expiry::Never | Expiry::At(_) | Expiry::After(_) | Expiry::EndOf { .. } => terms,
        }
    }

    fn lasts_longer(&self, tier: Option<&TierName>) -> Span {
        tier.and_then(|tier| self.tiers.rule(tier)?.points_last_longer).unwrap_or(Span::millis(0))
    }

    /// When points end that are earned at an instant by somebody of a tier, if their end is fixed then. A tier may
    /// lengthen it.
    #[must_use]
    pub fn expires_at(&self, earned_at: Timestamp, tier: Option<&TierName>) -> Option<Timestamp> {
        let end = match self.expiry {
            Expiry::Never | Expiry::AfterActivity(_) => return None,
            Expiry::At(instant) if instant <= earned_at => return None,
            Expiry::At(instant) => instant,
            Expiry::After(span) => earned_at.plus(span),
            Expiry::EndOf { period, months } => end_of(earned_at, period, months, self.zone),
        };
        Some(end.plus(self.lasts_longer(tier)))
    }
}

/// When something ends or is due by the versions of a programme, the oldest first: by each at an instant, but not before it
/// takes over, and by the first of them that is in force then.
pub(crate) fn by_versions(
    versions: impl Iterator<Item = (Option<Timestamp>, Timestamp, Option<Timestamp>)>,
) -> Option<Timestamp> {
    let mut due = versions.filter_map(|(at, from, until)| Some((at?.max(from), until)));
    due.find(|(at, until)| until.is_none_or(|until| *at < until)).map(|(at, _)| at)
}

fn end_of(earned_at: Timestamp, period: Period, months: u32, zone: Tz) -> Timestamp {
    let day: NaiveDate = day_of(earned_at, zone);
    let later = day.checked_add_months(Months::new(months));
    later.map_or(Timestamp::MAX, |later| period.end(begin_of(later, zone), zone))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn program(expiry: Expiry) -> Program {
        Program { expiry, zone: chrono_tz::Europe::Lisbon, ..Program::point_per_unit(Currency::EUR) }
    }

    #[test]
    fn points_last_to_the_end_of_a_period_in_the_zone_of_the_programme() {
        let cases = [
            (Period::Month, 0, "2027-02-10T00:00:00Z", "2027-03-01T00:00:00Z"),
            // A year after a leap day is the last of February.
            (Period::Day, 12, "2028-02-29T12:00:00Z", "2029-03-01T00:00:00Z"),
            // In Lisbon it is April already, and summer.
            (Period::Month, 0, "2027-03-31T23:30:00Z", "2027-04-30T23:00:00Z"),
            (Period::Year, 12, "2027-12-31T23:59:59Z", "2029-01-01T00:00:00Z"),
        ];
        for (period, months, earned, expires) in cases {
            let program = program(Expiry::EndOf { period, months });
            assert_eq!(program.expires_at(at(earned), None), Some(at(expires)), "{earned}");
        }
    }

    #[test]
    fn an_end_that_has_passed_is_none() {
        let program = program(Expiry::At(at("2027-01-01")));
        assert_eq!(program.expires_at(at("2026-12-31"), None), Some(at("2027-01-01")));
        assert_eq!(program.expires_at(at("2027-01-01"), None), None);
    }
}
