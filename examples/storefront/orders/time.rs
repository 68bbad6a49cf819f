//! The ways order files write a moment.
//!
//! ISO 8601 as databases and spreadsheets export it (`2011-06-30`, `2011-06-30 20:08:00.5`,
//! `2011-06-30T20:08:00+02:00`, `2011-06-30 20`, `20110630`) and the month-first `6/30/2011 20:08` of
//! spreadsheets set to US English. A time without a zone is taken as UTC: the file does not say more.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};

/// Milliseconds since 1970 of the moment `text` names, from year 1 to year 9999 in UTC.
pub(super) fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    let moment = if text.contains('/') { month_first(text) } else { iso(text) }?;
    (1..=9999).contains(&moment.year()).then(|| moment.timestamp_millis())
}

fn iso(text: &str) -> Option<DateTime<Utc>> {
    if text.len() == 8 {
        let (year, month_day) = text.split_at_checked(4)?;
        let (month, day) = month_day.split_at_checked(2)?;
        return midnight(year, month, day);
    }
    let (date, time) = match text.split_once([' ', 'T']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let (year, month_day) = date.split_once('-')?;
    let (month, day) = month_day.split_once('-')?;
    if [year.len(), month.len(), day.len()] != [4, 2, 2] {
        return None;
    }
    let midnight = midnight(year, month, day)?;
    let Some(time) = time else {
        return Some(midnight);
    };
    let (clock, zone) = split_zone(time);
    // An hour alone is the coarse clock of event logs; a zone behind it would be ambiguous with minutes.
    let since_midnight = if clock.contains(':') {
        clock_time(clock, 2)?
    } else if zone.is_none() && clock.len() == 2 {
        TimeDelta::hours(number(clock, 23)?)
    } else {
        return None;
    };
    let local = midnight.checked_add_signed(since_midnight)?;
    match zone {
        Some(zone) => local.checked_sub_signed(offset(zone)?),
        None => Some(local),
    }
}

fn month_first(text: &str) -> Option<DateTime<Utc>> {
    let (date, time) = match text.split_once(' ') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let (month, day_year) = date.split_once('/')?;
    let (day, year) = day_year.split_once('/')?;
    if year.len() != 4 || month.len() > 2 || day.len() > 2 {
        return None;
    }
    let midnight = midnight(year, month, day)?;
    let since_midnight = time.map_or(Some(TimeDelta::zero()), |time| clock_time(time, 1))?;
    midnight.checked_add_signed(since_midnight)
}

fn midnight(year: &str, month: &str, day: &str) -> Option<DateTime<Utc>> {
    let year = i32::try_from(number(year, 9999)?).ok()?;
    let month = u32::try_from(number(month, 12)?).ok()?;
    let day = u32::try_from(number(day, 31)?).ok()?;
    NaiveDate::from_ymd_opt(year, month, day)?.and_hms_opt(0, 0, 0).map(|midnight| midnight.and_utc())
}

/// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.fff`. Second 60 is refused: no clock in UTC milliseconds has it.
fn clock_time(clock: &str, hour_digits_min: usize) -> Option<TimeDelta> {
    let (hour, rest) = clock.split_once(':')?;
    let (minute, second) = rest.split_once(':').unwrap_or((rest, "00"));
    let (second, fraction) = match second.split_once('.') {
        Some((second, fraction)) => (second, Some(fraction)),
        None => (second, None),
    };
    if !(hour_digits_min..=2).contains(&hour.len()) || [minute.len(), second.len()] != [2, 2] {
        return None;
    }
    let millis = fraction.map_or(Some(0), millis)?;
    let seconds = number(hour, 23)? * 3600 + number(minute, 59)? * 60 + number(second, 59)?;
    Some(TimeDelta::milliseconds(seconds * 1000 + millis))
}

/// The first three of one to nine digits after the point; the moment is cut, not rounded, to milliseconds.
fn millis(fraction: &str) -> Option<i64> {
    if fraction.len() > 9 || number(fraction, 999_999_999).is_none() {
        return None;
    }
    let digits: String = fraction.chars().chain(['0', '0']).take(3).collect();
    number(&digits, 999)
}

/// Splits `Z`, `+hh:mm` or `-hh:mm` off the end of a clock time.
fn split_zone(time: &str) -> (&str, Option<&str>) {
    match time.find(['Z', '+', '-']) {
        Some(start) => {
            let (clock, zone) = time.split_at(start);
            (clock, Some(zone))
        }
        None => (time, None),
    }
}

/// How far a zone is ahead of UTC.
fn offset(zone: &str) -> Option<TimeDelta> {
    if zone == "Z" {
        return Some(TimeDelta::zero());
    }
    let (is_behind, ahead) = match zone.strip_prefix('-') {
        Some(ahead) => (true, ahead),
        None => (false, zone.strip_prefix('+')?),
    };
    let (hours, minutes) = ahead.split_once(':')?;
    if [hours.len(), minutes.len()] != [2, 2] {
        return None;
    }
    let minutes = number(hours, 23)? * 60 + number(minutes, 59)?;
    Some(TimeDelta::minutes(if is_behind { -minutes } else { minutes }))
}

/// ASCII digits only, up to `max`.
fn number(text: &str, max: i64) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|number| *number <= max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    #[test]
    fn each_way_of_writing_a_moment_is_read() {
        let noon = 15_155 * DAY + DAY / 2;
        let cases = [
            ("1970-01-01", 0),
            ("1969-12-31 23:59:59.999", -1),
            ("20110630", 15_155 * DAY),
            ("2011-06-30", 15_155 * DAY),
            (" 2011-06-30 12 ", noon),
            ("2011-06-30 12:00", noon),
            ("2011-06-30 12:00:01", noon + 1_000),
            ("2011-06-30 12:00:01.5", noon + 1_500),
            ("2011-06-30 12:00:01.123456789", noon + 1_123),
            ("2011-06-30T12:00:00", noon),
            ("2011-06-30T12:00:00Z", noon),
            ("2011-06-30T12:00:00.250Z", noon + 250),
            ("2011-06-30T12:00:00+02:00", noon - 7_200_000),
            ("2011-06-30T12:00:00-05:30", noon + 19_800_000),
            ("2011-06-30 12:00:00+00:00", noon),
            ("6/30/2011 12:00", noon),
            ("06/30/2011 12:00:30", noon + 30_000),
            ("6/30/2011", 15_155 * DAY),
            ("12/1/2010 8:26", 14_944 * DAY + (8 * 60 + 26) * 60_000),
            ("2012-02-29", 15_399 * DAY),
            ("0001-01-01", -719_162 * DAY),
            ("9999-12-31 23:59:59.999", 2_932_897 * DAY - 1),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn what_no_calendar_or_clock_shows_is_refused() {
        for text in [
            "",
            " ",
            "yesterday",
            "2011",
            "2011-06",
            "2011-6-30",
            "2011-02-30",
            "2011-02-29",
            "1900-02-29",
            "2011-13-01",
            "2011-00-10",
            "2011-06-00",
            "20110631",
            "2011063",
            "0000-01-01",
            "10000-01-01",
            "-001-01-01",
            "00000101",
            "2011-06-30 24:00",
            "2011-06-30 12:60",
            "2011-06-30 23:59:60",
            "2011-06-30 1",
            "2011-06-30 1:00",
            "2011-06-30 12:0",
            "2011-06-30 12:00:0",
            "2011-06-30 12:00:00.",
            "2011-06-30 12:00:00.1234567890",
            "2011-06-30 12:00:00.1x",
            "2011-06-30T12:00:00+2:00",
            "2011-06-30T12:00:00+0200",
            "2011-06-30T12:00:00+24:00",
            "2011-06-30T12:00:00z",
            "2011-06-30T12:00:00ZZ",
            "2011-06-30T12Z",
            "2011-06-30T",
            "2011-06-30 +02:00",
            "2011-06-30  12:00",
            "30/6/2011 12:00",
            "6/30/11",
            "6/31/2011",
            "6/30/2011 24:00",
            "6/30/2011 12:00Z",
            "1309435200",
            "1309435200000",
            "２０１１０６３０",
            "٢٠١١-٠٦-٣٠",
            "+2011-06-30",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_zone_cannot_move_a_moment_out_of_the_years_that_are_accepted() {
        assert_eq!(parse("0001-01-01T00:00:00+00:01"), None);
        assert_eq!(parse("9999-12-31T23:59:59-00:01"), None);
        assert!(parse("0001-01-01T00:00:00-00:01").is_some());
        assert!(parse("9999-12-31T23:59:59+00:01").is_some());
    }
}
