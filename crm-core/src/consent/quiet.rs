//! Quiet hours: windows of local time. What counts is what the clock on the wall shows, so an hour that is
//! skipped in spring is never quiet, and one that comes twice in autumn is quiet both times.

use chrono::{Datelike as _, Days, Duration, NaiveDate, NaiveDateTime, NaiveTime, TimeZone as _, Timelike as _, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::error::PolicyError;
use crate::interaction::Channel;
use crate::time::Timestamp;

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "they are what they are")]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Day {
    /// All of them.
    pub const ALL: [Day; 7] =
        [Day::Monday, Day::Tuesday, Day::Wednesday, Day::Thursday, Day::Friday, Day::Saturday, Day::Sunday];

    fn of(date: NaiveDate) -> Self {
        // It counts from 0 to 6.
        Self::ALL[date.weekday().num_days_from_monday() as usize % 7]
    }
}

/// A time on the clock, in whole minutes, written `HH:MM`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct LocalTime(u16);

/// Not a time between 00:00 and 23:59.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time from 00:00 to 23:59")]
pub struct NoTime;

impl LocalTime {
    /// From an hour, 0 to 23, and a minute, 0 to 59.
    ///
    /// # Errors
    ///
    /// `NoTime` for anything else.
    pub const fn new(hour: u16, minute: u16) -> Result<Self, NoTime> {
        if hour > 23 || minute > 59 { Err(NoTime) } else { Ok(LocalTime(hour * 60 + minute)) }
    }

    fn on(self, date: NaiveDate) -> NaiveDateTime {
        // Less than a day.
        let time = NaiveTime::from_num_seconds_from_midnight_opt(u32::from(self.0) * 60, 0);
        date.and_time(time.unwrap_or_default())
    }
}

impl TryFrom<SmolStr> for LocalTime {
    type Error = NoTime;

    fn try_from(text: SmolStr) -> Result<Self, NoTime> {
        let two = |part: &str| match part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()) {
            true => part.parse().map_err(|_| NoTime),
            false => Err(NoTime),
        };
        let (hour, minute) = text.split_once(':').ok_or(NoTime)?;
        Self::new(two(hour)?, two(minute)?)
    }
}

impl From<LocalTime> for SmolStr {
    fn from(time: LocalTime) -> Self {
        smol_str::format_smolstr!("{:02}:{:02}", time.0 / 60, time.0 % 60)
    }
}

impl std::fmt::Debug for LocalTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&SmolStr::from(*self))
    }
}

/// A window in which nobody is contacted by a channel. It is half open: at its end one may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// By which channel.
    pub channel: Channel,
    /// The days on which it begins.
    pub days: Vec<Day>,
    /// From.
    pub from: LocalTime,
    /// To; at or before `from` it is on the next day.
    pub to: LocalTime,
}

impl QuietHours {
    /// Every day from 21:00 to 8:00, as the TCPA has it for calls (47 CFR 64.1200(c)(1)).
    #[must_use]
    pub fn at_night(channel: Channel) -> Self {
        QuietHours { channel, days: Day::ALL.to_vec(), from: LocalTime(21 * 60), to: LocalTime(8 * 60) }
    }

    /// When the window ends that covers a local time; none if it does not.
    fn covers(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        let date = local.date();
        let time = LocalTime((local.hour() * 60 + local.minute()) as u16);
        let begins_on = |date: NaiveDate| self.days.contains(&Day::of(date));
        let crosses = self.from >= self.to;
        if !crosses {
            return (begins_on(date) && (self.from..self.to).contains(&time)).then(|| self.to.on(date));
        }
        if begins_on(date) && time >= self.from {
            return Some(self.to.on(date.checked_add_days(Days::new(1))?));
        }
        let yesterday = date.checked_sub_days(Days::new(1))?;
        (begins_on(yesterday) && time < self.to).then(|| self.to.on(date))
    }
}

fn covering(hours: &[QuietHours], channel: Channel, local: NaiveDateTime) -> Option<NaiveDateTime> {
    hours.iter().filter(|hours| hours.channel == channel).filter_map(|hours| hours.covers(local)).max()
}

/// Until when a channel is quiet at an instant; none if it is not.
pub(crate) fn quiet_until(hours: &[QuietHours], channel: Channel, at: Timestamp, zone: Tz) -> Option<Timestamp> {
    let mut now = at.to_datetime();
    let mut quiet = false;
    // Windows may follow on one another for a week; each step ends one of them, or a part of one that a
    // change of the clock cut in two.
    for _ in 0..STEPS_MAX {
        let Some(end) = covering(hours, channel, now.with_timezone(&zone).naive_local()) else { break };
        quiet = true;
        now = first_after(now, end, zone);
    }
    quiet.then(|| Timestamp::try_from(now).unwrap_or(Timestamp::MAX))
}

const STEPS_MAX: usize = 1_024;

/// The first instant after another at which the clock on the wall shows a time, or has passed over it.
fn first_after(now: chrono::DateTime<Utc>, shown: NaiveDateTime, zone: Tz) -> chrono::DateTime<Utc> {
    // The longest leap so far was a whole day: Samoa had no 30 December 2011.
    for minutes in 0..=24 * 60 {
        let Some(local) = shown.checked_add_signed(Duration::minutes(minutes)) else { break };
        let found = match zone.from_local_datetime(&local) {
            chrono::LocalResult::None => continue,
            chrono::LocalResult::Single(instant) => instant.with_timezone(&Utc),
            chrono::LocalResult::Ambiguous(first, second) if first <= now => second.with_timezone(&Utc),
            chrono::LocalResult::Ambiguous(first, _) => first.with_timezone(&Utc),
        };
        if found > now {
            return found;
        }
    }
    now.checked_add_signed(Duration::minutes(1)).unwrap_or(now)
}

/// Checks that windows have days, and that each channel has an hour a week left.
pub(super) fn check(hours: &[QuietHours]) -> Result<(), PolicyError> {
    if hours.iter().any(|hours| hours.days.is_empty()) {
        return Err(PolicyError::NoDay);
    }
    let monday = NaiveDateTime::default().checked_add_days(Days::new(4)).unwrap_or_default();
    for channel in Channel::ALL {
        if hours.iter().all(|hours| hours.channel != channel) {
            continue;
        }
        let free = (0..7 * 24 * 60)
            .filter_map(|minutes| monday.checked_add_signed(Duration::minutes(minutes)))
            .filter(|local| covering(hours, channel, *local).is_none());
        if free.take(60).count() < 60 {
            return Err(PolicyError::AlwaysQuiet { channel });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn window(from: (u16, u16), to: (u16, u16), days: &[Day]) -> Vec<QuietHours> {
        let time = |(hour, minute)| LocalTime::new(hour, minute).unwrap();
        vec![QuietHours { channel: Channel::Sms, days: days.to_vec(), from: time(from), to: time(to) }]
    }

    #[track_caller]
    fn until(hours: &[QuietHours], at: &str, zone: Tz, expected: Option<&str>) {
        assert_eq!(quiet_until(hours, Channel::Sms, utc(at), zone), expected.map(utc), "{at}");
    }

    #[test]
    fn a_window_may_cross_midnight_and_belongs_to_the_day_on_which_it_begins() {
        let friday_night = window((22, 0), (6, 0), &[Day::Friday]);
        // 2026-01-09 was a Friday; Berlin was one hour ahead of UTC.
        let berlin = Tz::Europe__Berlin;
        until(&friday_night, "2026-01-09T20:59:59Z", berlin, None);
        until(&friday_night, "2026-01-09T21:00:00Z", berlin, Some("2026-01-10T05:00:00Z"));
        until(&friday_night, "2026-01-10T04:59:59Z", berlin, Some("2026-01-10T05:00:00Z"));
        until(&friday_night, "2026-01-10T05:00:00Z", berlin, None);
        until(&friday_night, "2026-01-10T22:00:00Z", berlin, None);
        assert_eq!(quiet_until(&friday_night, Channel::Email, utc("2026-01-09T23:00:00Z"), berlin), None);
    }

    #[test]
    fn a_skipped_hour_is_not_quiet_and_ends_a_window_that_was_to_end_in_it() {
        // Berlin, 2026-03-29: after 01:59:59 comes 03:00. New York, 2026-03-08: the same.
        let to_half_past_two = window((0, 0), (2, 30), &Day::ALL);
        until(&to_half_past_two, "2026-03-29T00:30:00Z", Tz::Europe__Berlin, Some("2026-03-29T01:00:00Z"));
        until(&to_half_past_two, "2026-03-29T01:00:00Z", Tz::Europe__Berlin, None);
        until(&to_half_past_two, "2026-03-08T06:00:00Z", Tz::America__New_York, Some("2026-03-08T07:00:00Z"));
        let only_the_skipped = window((2, 0), (3, 0), &Day::ALL);
        for minute in 0..180 {
            let at = Timestamp::from_millis(utc("2026-03-29T00:00:00Z").as_millis() + minute * 60_000).unwrap();
            assert_eq!(quiet_until(&only_the_skipped, Channel::Sms, at, Tz::Europe__Berlin), None);
        }
        // The night is an hour shorter.
        until(
            &window((21, 0), (8, 0), &Day::ALL),
            "2026-03-28T20:00:00Z",
            Tz::Europe__Berlin,
            Some("2026-03-29T06:00:00Z"),
        );
    }

    #[test]
    fn a_doubled_hour_is_quiet_both_times() {
        // Berlin, 2026-10-25: 02:00 to 02:59 comes twice, at 00:00Z and at 01:00Z.
        let doubled = window((2, 0), (3, 0), &Day::ALL);
        until(&doubled, "2026-10-25T00:10:00Z", Tz::Europe__Berlin, Some("2026-10-25T02:00:00Z"));
        until(&doubled, "2026-10-25T01:10:00Z", Tz::Europe__Berlin, Some("2026-10-25T02:00:00Z"));
        // A window that ends within it ends, and begins again as the clock goes back.
        let half = window((1, 0), (2, 30), &Day::ALL);
        until(&half, "2026-10-24T23:30:00Z", Tz::Europe__Berlin, Some("2026-10-25T00:30:00Z"));
        until(&half, "2026-10-25T00:30:00Z", Tz::Europe__Berlin, None);
        until(&half, "2026-10-25T01:10:00Z", Tz::Europe__Berlin, Some("2026-10-25T01:30:00Z"));
        // New York, 2026-11-01: 01:00 to 01:59 comes twice, at 05:00Z and at 06:00Z.
        let night = window((21, 0), (8, 0), &Day::ALL);
        until(&night, "2026-11-01T05:30:00Z", Tz::America__New_York, Some("2026-11-01T13:00:00Z"));
        until(&night, "2026-10-31T13:00:00Z", Tz::America__New_York, None);
    }

    #[test]
    fn a_leap_day_is_a_day_like_any_other() {
        // 2028-02-29 is a Tuesday.
        let tuesday = window((0, 0), (0, 0), &[Day::Tuesday]);
        until(&tuesday, "2028-02-28T23:59:59Z", Tz::UTC, None);
        until(&tuesday, "2028-02-29T00:00:00Z", Tz::UTC, Some("2028-03-01T00:00:00Z"));
        until(&tuesday, "2028-02-29T23:59:59Z", Tz::UTC, Some("2028-03-01T00:00:00Z"));
    }

    #[test]
    fn a_day_that_a_country_left_out_is_passed_over() {
        // Samoa went from 29 to 31 December 2011 at midnight, which was 10:00Z on the 30th.
        let night = window((21, 0), (8, 0), &Day::ALL);
        until(&night, "2011-12-30T09:00:00Z", Tz::Pacific__Apia, Some("2011-12-30T18:00:00Z"));
    }

    #[test]
    fn quiet_hours_leave_an_hour_a_week() {
        let always = window((0, 0), (0, 0), &Day::ALL);
        assert_eq!(check(&always), Err(PolicyError::AlwaysQuiet { channel: Channel::Sms }));
        assert_eq!(check(&window((0, 0), (23, 0), &Day::ALL)), Ok(()));
        assert_eq!(check(&window((0, 0), (23, 0), &[])), Err(PolicyError::NoDay));
        let bits = |hours| Timestamp::parse(hours).unwrap();
        // At the ends of time nothing breaks.
        for at in [Timestamp::MIN, Timestamp::MAX, bits("1970-01-01")] {
            let _ = quiet_until(&always, Channel::Sms, at, Tz::Pacific__Apia);
        }
    }

    #[test]
    fn times_are_written_as_on_a_clock() {
        let time: LocalTime = serde_json::from_str("\"08:05\"").unwrap();
        assert_eq!(serde_json::to_string(&time).unwrap(), "\"08:05\"");
        for bad in ["\"8:05\"", "\"24:00\"", "\"08:60\"", "\"0805\"", "\"+8:05\"", "\"08:05:00\"", "805"] {
            assert!(serde_json::from_str::<LocalTime>(bad).is_err(), "{bad}");
        }
    }
}
