//! Birthdays: a day of the year, with or without the year.

use chrono::{Datelike as _, NaiveDate};
use smol_str::SmolStr;

use super::error::CardError;

/// A day of the year on which somebody was born, and the year if they told it. 29 February is one without a
/// year, and with a leap year. It prints masked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct Birthday {
    year: Option<u16>,
    month: u8,
    day: u8,
}

/// On which day somebody who was born on 29 February is congratulated in other years. Laws differ on when they
/// come of age (28 February in New Zealand and Taiwan, 1 March in England and Hong Kong), and so do people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeapDay {
    /// The last of February: in their own month, and never late.
    #[default]
    February28,
    /// The day after the last of February.
    March1,
}

impl Birthday {
    /// A birthday; the year is one of 1 to 9999.
    ///
    /// # Errors
    ///
    /// `Form` if there is no such day.
    pub fn new(year: Option<u16>, month: u8, day: u8) -> Result<Self, CardError> {
        let wrong =
            CardError::Form { what: "birthday", form: "a day of the calendar, with a year of 1 to 9999 or none" };
        // A leap year stands for the year that is not known.
        let known = year.unwrap_or(2000);
        let exists = NaiveDate::from_ymd_opt(i32::from(known), u32::from(month), u32::from(day)).is_some();
        if exists && (1..=9999).contains(&known) { Ok(Birthday { year, month, day }) } else { Err(wrong) }
    }

    /// Reads `1990-02-28` or, without a year, `--02-29`.
    ///
    /// # Errors
    ///
    /// `Form` for anything else.
    pub fn parse(text: &str) -> Result<Self, CardError> {
        let wrong = || CardError::Form { what: "birthday", form: "1990-02-28 or --02-29" };
        let number = |text: &str, digits: usize| {
            let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| text.parse::<u16>().ok()).flatten()
        };
        let (year, rest) = match text.strip_prefix("--") {
            Some(rest) => (None, rest),
            None => {
                let (year, rest) = text.split_once('-').ok_or_else(wrong)?;
                (Some(number(year, 4).ok_or_else(wrong)?), rest)
            }
        };
        let (month, day) = rest.split_once('-').ok_or_else(wrong)?;
        let two = |text| number(text, 2).and_then(|number| u8::try_from(number).ok());
        let (month, day) = two(month).zip(two(day)).ok_or_else(wrong)?;
        Birthday::new(year, month, day)
    }

    /// The year, if it is known.
    #[must_use]
    pub const fn year(&self) -> Option<u16> {
        self.year
    }

    /// The month, 1 to 12.
    #[must_use]
    pub const fn month(&self) -> u8 {
        self.month
    }

    /// The day of the month, 1 to 31.
    #[must_use]
    pub const fn day(&self) -> u8 {
        self.day
    }

    /// The day on which it is celebrated in a year; none before the year of birth, and none outside of the
    /// years 1 to 9999.
    #[must_use]
    pub fn celebrated_in(&self, year: u16, leap_day: LeapDay) -> Option<NaiveDate> {
        let born = self.year.is_none_or(|born| born <= year);
        if !born || !(1..=9999).contains(&year) {
            return None;
        }
        let on = |month, day| NaiveDate::from_ymd_opt(i32::from(year), month, day);
        on(self.month.into(), self.day.into()).or_else(|| match leap_day {
            LeapDay::February28 => on(2, 28),
            LeapDay::March1 => on(3, 1),
        })
    }

    /// Whole years of age on a day; none if the year is not known or the day is before the birth. By the same
    /// rule as the celebration.
    #[must_use]
    pub fn age_on(&self, day: NaiveDate, leap_day: LeapDay) -> Option<u16> {
        let born = self.year?;
        let year = u16::try_from(day.year()).ok()?;
        let full = year.checked_sub(born)?;
        let celebrated = self.celebrated_in(year, leap_day)?;
        if day >= celebrated { Some(full) } else { full.checked_sub(1) }
    }
}

impl TryFrom<SmolStr> for Birthday {
    type Error = CardError;

    fn try_from(text: SmolStr) -> Result<Self, CardError> {
        Self::parse(&text)
    }
}

impl From<Birthday> for SmolStr {
    fn from(Birthday { year, month, day }: Birthday) -> SmolStr {
        match year {
            Some(year) => smol_str::format_smolstr!("{year:04}-{month:02}-{day:02}"),
            None => smol_str::format_smolstr!("--{month:02}-{day:02}"),
        }
    }
}

impl std::fmt::Debug for Birthday {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Birthday(***)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_29th_of_february_is_a_birthday_without_a_year_and_in_leap_years() {
        let leap = Birthday::parse("--02-29").unwrap();
        let day = |text: &str| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
        assert_eq!(leap.celebrated_in(2024, LeapDay::March1), day("2024-02-29"));
        assert_eq!(leap.celebrated_in(2026, LeapDay::February28), day("2026-02-28"));
        assert_eq!(leap.celebrated_in(2026, LeapDay::March1), day("2026-03-01"));
        assert!(Birthday::parse("2000-02-29").is_ok());
        for bad in [
            "1900-02-29",
            "2026-02-29",
            "--02-30",
            "0000-01-01",
            "10000-01-01",
            "--13-01",
            "2026-2-1",
            "",
            "--",
            "٢٠٢٦-01-01",
        ] {
            assert!(Birthday::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn age_rises_on_the_day_it_is_celebrated() {
        let born = Birthday::parse("2000-02-29").unwrap();
        let on = |text: &str, rule| born.age_on(NaiveDate::parse_from_str(text, "%Y-%m-%d").unwrap(), rule);
        assert_eq!(on("2018-02-28", LeapDay::February28), Some(18));
        assert_eq!(on("2018-02-28", LeapDay::March1), Some(17));
        assert_eq!(on("2018-03-01", LeapDay::March1), Some(18));
        assert_eq!(on("1999-12-31", LeapDay::March1), None);
        assert_eq!(on("2000-01-01", LeapDay::March1), None, "not born yet");
        assert_eq!(born.celebrated_in(1999, LeapDay::March1), None);
    }

    proptest! {
        /// What is written is read again.
        #[test]
        fn a_birthday_survives_its_text(year in proptest::option::of(1_u16..=9999), month in 1_u8..=12, day in 1_u8..=31) {
            if let Ok(birthday) = Birthday::new(year, month, day) {
                prop_assert_eq!(Birthday::parse(&SmolStr::from(birthday)), Ok(birthday));
            }
        }
    }
}
