//! How many were in a segment on which day, how many came and how many went.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use smol_str::{SmolStr, format_smolstr};

use super::SegmentName;
use crate::change::Cause;
use crate::profile::TimeZone;
use crate::time::Timestamp;

/// A while during which somebody was in a segment without interruption, as the past is known now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Stay {
    /// Which segment.
    pub segment: SegmentName,
    /// From when.
    pub from: Timestamp,
    /// What made them come.
    pub entered_by: Cause,
    /// The clause that decided, or that it was an override, as in [`ChangeBody`](crate::change::ChangeBody).
    pub entered_because: Option<SmolStr>,
    /// Until when, this instant not included; none while they are there.
    pub until: Option<Timestamp>,
    /// What made them go, if they did.
    pub left_by: Option<Cause>,
    /// The clause that decided; none if the segment ended.
    pub left_because: Option<SmolStr>,
}

impl Stay {
    /// Whether they were there at an instant.
    #[must_use]
    pub fn covers(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// A day in some time zone, and the members of a segment on it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MemberDay {
    /// The date, as `2026-01-31`.
    pub date: SmolStr,
    /// The first instant of the day. Days have 23 to 25 hours, as their zone has it.
    pub starts: Timestamp,
    /// The first instant after it.
    pub ends: Timestamp,
    /// How many were in the segment when it ended: those of the day before, and who joined, without who left.
    pub members: u64,
    /// How often somebody joined on that day.
    pub joined: u64,
    /// How often somebody left on that day.
    pub left: u64,
}

/// More days than are counted at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {} days", MemberDays::MAX)]
pub struct TooManyDays;

/// The days of a range, counted stay by stay: what is kept does not grow with the members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDays {
    days: Vec<MemberDay>,
    /// On which days there was one more than on the day before, or fewer.
    moves: Vec<i64>,
}

impl MemberDays {
    /// The most days: ten years.
    pub const MAX: usize = 3_660;

    /// The days of a zone from the one with the first instant to the one with the last, both included; none if the
    /// last is before the first.
    ///
    /// # Errors
    ///
    /// `TooManyDays` for more than [`MAX`](Self::MAX).
    pub fn new(first: Timestamp, last: Timestamp, zone: &TimeZone) -> Result<Self, TooManyDays> {
        let zone = zone.rules();
        let mut days = Vec::new();
        let mut date = date_of(first, zone);
        while let Some(today) = date.filter(|_| first <= last) {
            let starts = starts(today, zone);
            date = today.succ_opt();
            let ends = date.map_or(Timestamp::MAX, |tomorrow| self::starts(tomorrow, zone));
            if starts > last {
                break;
            }
            // A zone that moved over the date line has days that never were.
            if starts < ends {
                let date = format_smolstr!("{today}");
                days.push(MemberDay { date, starts, ends, members: 0, joined: 0, left: 0 });
            }
            if days.len() > Self::MAX {
                return Err(TooManyDays);
            }
        }
        let moves = vec![0; days.len() + 1];
        Ok(MemberDays { days, moves })
    }

    /// Counts a stay.
    pub fn add(&mut self, stay: &Stay) {
        let day_of = |at: Timestamp| self.days.partition_point(|day| day.ends <= at);
        let (first, gone) = (day_of(stay.from), stay.until.map(day_of));
        if let Some(day) = self.days.get_mut(first).filter(|day| day.starts <= stay.from) {
            day.joined += 1;
        }
        if let (Some(until), Some(day)) = (stay.until, gone.and_then(|gone| self.days.get_mut(gone)))
            && day.starts <= until
        {
            day.left += 1;
        }
        if let Some(here) = self.moves.get_mut(first) {
            *here += 1;
        }
        if let Some(gone) = gone.and_then(|gone| self.moves.get_mut(gone)) {
            *gone -= 1;
        }
    }

    /// The days with what was counted.
    #[must_use]
    pub fn days(mut self) -> Vec<MemberDay> {
        let mut members = 0_i64;
        for (day, moved) in self.days.iter_mut().zip(&self.moves) {
            members += moved;
            day.members = u64::try_from(members).unwrap_or(0);
        }
        self.days
    }
}

fn date_of(at: Timestamp, zone: Tz) -> Option<NaiveDate> {
    Some(Utc.timestamp_millis_opt(at.as_millis()).single()?.with_timezone(&zone).date_naive())
}

/// The first instant of a day: midnight, or the first that clocks show after it where they are put forward then.
fn starts(date: NaiveDate, zone: Tz) -> Timestamp {
    let mut shown = NaiveDateTime::new(date, NaiveTime::MIN);
    // No clock was ever put forward by more than a day.
    for _ in 0..=2 * 24 * 60 {
        if let Some(instant) = zone.from_local_datetime(&shown).earliest() {
            return Timestamp::from_millis(instant.timestamp_millis()).unwrap_or(Timestamp::MAX);
        }
        let Some(next) = shown.checked_add_signed(TimeDelta::minutes(1)) else { break };
        shown = next;
    }
    Timestamp::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn stay(from: &str, until: Option<&str>) -> Stay {
        Stay {
            segment: SegmentName::new("vip").unwrap(),
            from: at(from),
            entered_by: Cause::Definition,
            entered_because: None,
            until: until.map(at),
            left_by: None,
            left_because: None,
        }
    }

    fn counted(first: &str, last: &str, zone: &str, stays: &[Stay]) -> Vec<(String, u64, u64, u64)> {
        let mut days = MemberDays::new(at(first), at(last), &TimeZone::new(zone).unwrap()).unwrap();
        stays.iter().for_each(|stay| days.add(stay));
        days.days().into_iter().map(|day| (day.date.to_string(), day.members, day.joined, day.left)).collect()
    }

    #[test]
    fn each_day_has_those_of_the_day_before_and_who_came_without_who_went() {
        let stays = [
            stay("2025-12-01", None),
            stay("2025-12-01", Some("2026-01-02")),
            stay("2026-01-02T10:00:00Z", Some("2026-01-02T12:00:00Z")),
            stay("2026-01-03", Some("2026-02-01")),
            stay("2025-01-01", Some("2025-02-01")),
            stay("2027-01-01", None),
        ];
        let row = |day: &str, members, joined, left| (format!("2026-01-0{day}"), members, joined, left);
        let expected = [row("1", 2, 0, 0), row("2", 1, 1, 2), row("3", 2, 1, 0)];
        assert_eq!(counted("2026-01-01", "2026-01-03T23:00:00Z", "UTC", &stays), expected);
        assert!(counted("2026-01-03", "2026-01-01", "UTC", &stays).is_empty());
    }

    #[test]
    fn days_are_those_of_the_calendar_also_where_clocks_are_moved() {
        let hours = |first: &str, zone: &str| -> Vec<i64> {
            let last = at(first).plus(crate::time::Span::days(2));
            let days = MemberDays::new(at(first), last, &TimeZone::new(zone).unwrap()).unwrap().days();
            days.iter().map(|day| (day.ends.as_millis() - day.starts.as_millis()) / 3_600_000).collect()
        };
        assert_eq!(hours("2026-03-28T12:00:00Z", "Europe/Berlin"), [24, 23, 24]);
        assert_eq!(hours("2026-10-24T12:00:00Z", "Europe/Berlin"), [24, 25, 24]);
        // Midnight is put forward, and a whole day never was.
        assert_eq!(hours("2018-11-03T12:00:00Z", "America/Sao_Paulo"), [24, 23, 24]);
        assert_eq!(hours("2011-12-29T12:00:00Z", "Pacific/Apia"), [24, 24, 24]);
        let late = [stay("2026-01-01T23:30:00Z", None)];
        assert_eq!(counted("2026-01-02", "2026-01-02", "Europe/Berlin", &late), [("2026-01-02".to_owned(), 1, 1, 0)]);
    }

    #[test]
    fn more_than_ten_years_are_too_many() {
        let zone = TimeZone::new("UTC").unwrap();
        assert_eq!(MemberDays::new(at("2000-01-01"), at("2026-01-01"), &zone), Err(TooManyDays));
        assert!(MemberDays::new(at("9999-12-30"), Timestamp::MAX, &zone).is_ok());
    }
}
