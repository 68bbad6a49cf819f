//! Stretches of the calendar, in the time zone of a programme: what caps, tiers and expiry are counted by.

use chrono::{Datelike as _, Days, Months, NaiveDate, NaiveTime, TimeZone as _};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A stretch of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From Monday to Sunday (ISO 8601).
    Week,
    /// From the first of a month to its last day.
    Month,
    /// Three months, from January, April, July or October on.
    Quarter,
    /// From the first of January to the last of December.
    Year,
}

impl Period {
    /// The first instant of the stretch that an instant is in.
    #[must_use]
    pub fn begin(self, at: Timestamp, zone: Tz) -> Timestamp {
        begin_of(self.first_day(day_of(at, zone)), zone)
    }

    /// The first instant after the stretch that an instant is in: midnight on the wall of the zone, or the first
    /// instant of the day where midnight is skipped.
    #[must_use]
    pub fn end(self, at: Timestamp, zone: Tz) -> Timestamp {
        let first = self.first_day(day_of(at, zone));
        let next = match self {
            Period::Day => first.checked_add_days(Days::new(1)),
            Period::Week => first.checked_add_days(Days::new(7)),
            Period::Month => first.checked_add_months(Months::new(1)),
            Period::Quarter => first.checked_add_months(Months::new(3)),
            Period::Year => first.checked_add_months(Months::new(12)),
        };
        next.map_or(Timestamp::MAX, |next| begin_of(next, zone))
    }

    fn first_day(self, day: NaiveDate) -> NaiveDate {
        let first = match self {
            Period::Day => Some(day),
            Period::Week => day.checked_sub_days(Days::new(day.weekday().num_days_from_monday().into())),
            Period::Month => day.with_day(1),
            Period::Quarter => NaiveDate::from_ymd_opt(day.year(), (day.month0() / 3) * 3 + 1, 1),
            Period::Year => NaiveDate::from_ymd_opt(day.year(), 1, 1),
        };
        // Only the first week of the calendar's first year has no Monday.
        first.unwrap_or(day)
    }
}

/// The day that an instant is on, in a zone.
#[must_use]
pub fn day_of(at: Timestamp, zone: Tz) -> NaiveDate {
    at.to_datetime().with_timezone(&zone).date_naive()
}

/// The first instant of a day in a zone: midnight, the earlier one where it comes twice, and what comes after the gap
/// where it is skipped.
#[must_use]
pub fn begin_of(day: NaiveDate, zone: Tz) -> Timestamp {
    let midnight = day.and_time(NaiveTime::MIN);
    // Gaps are of some hours at most, but for a whole day that a country skipped once.
    let first = (0..=24 * 4).find_map(|quarters| {
        let local = midnight.checked_add_signed(chrono::Duration::minutes(quarters * 15))?;
        zone.from_local_datetime(&local).earliest()
    });
    let millis = first.map_or(Timestamp::MAX.as_millis(), |first| first.timestamp_millis());
    let within = millis.clamp(Timestamp::MIN.as_millis(), Timestamp::MAX.as_millis());
    // It was brought within the range just now.
    Timestamp::from_millis(within).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_stretch_begins_and_ends_at_midnight_of_the_zone() {
        let zone = chrono_tz::Europe::Berlin;
        let cases = [
            (Period::Day, "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
            (Period::Week, "2026-11-22T12:00:00Z", "2026-11-15T23:00:00Z", "2026-11-22T23:00:00Z"),
            (Period::Month, "2028-02-29T12:00:00Z", "2028-01-31T23:00:00Z", "2028-02-29T23:00:00Z"),
            (Period::Quarter, "2026-05-31T12:00:00Z", "2026-03-31T22:00:00Z", "2026-06-30T22:00:00Z"),
            (Period::Year, "2026-12-31T23:30:00Z", "2026-12-31T23:00:00Z", "2027-12-31T23:00:00Z"),
        ];
        for (period, now, begin, end) in cases {
            assert_eq!((period.begin(at(now), zone), period.end(at(now), zone)), (at(begin), at(end)), "{period:?}");
        }
    }

    #[test]
    fn a_day_whose_midnight_is_skipped_begins_after_the_gap() {
        // Clocks went from 24:00 to 01:00 on that day.
        let zone = chrono_tz::America::Sao_Paulo;
        let day = NaiveDate::from_ymd_opt(2018, 11, 4).unwrap();
        assert_eq!(begin_of(day, zone), at("2018-11-04T03:00:00Z"));
        // Samoa skipped the whole of 30 December 2011.
        let day = NaiveDate::from_ymd_opt(2011, 12, 30).unwrap();
        assert_eq!(begin_of(day, chrono_tz::Pacific::Apia), at("2011-12-30T10:00:00Z"));
    }

    #[test]
    fn the_ends_of_time_are_kept() {
        for period in [Period::Day, Period::Week, Period::Month, Period::Quarter, Period::Year] {
            for zone in [chrono_tz::UTC, chrono_tz::Pacific::Apia, chrono_tz::America::New_York] {
                assert!(period.begin(Timestamp::MIN, zone) <= period.end(Timestamp::MIN, zone));
                assert!(period.begin(Timestamp::MAX, zone) <= period.end(Timestamp::MAX, zone));
            }
        }
    }
}
