//! Instants and spans. Time is always given: nothing in this crate reads a clock.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};

/// An instant in UTC, in whole milliseconds since 1970-01-01T00:00:00Z, from year 1 to year 9999.
///
/// ```
/// use crm_core::Timestamp;
///
/// let noon = Timestamp::parse("1997-01-01T12:00:00Z")?;
/// assert_eq!(noon.as_millis(), 852_120_000_000);
/// assert!(Timestamp::from_millis(i64::MAX).is_err());
/// # Ok::<(), crm_core::TimeError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Timestamp(i64);

/// Why a time was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// Before year 1 or after year 9999.
    #[error("{millis} ms since 1970 is outside the years 1 to 9999")]
    OutOfRange {
        /// The value in milliseconds.
        millis: i64,
    },
    /// Neither an RFC 3339 instant nor a date.
    #[error("not an RFC 3339 time or a date, in {bytes} bytes")]
    Unreadable {
        /// How long the text is. It is not repeated: it may be another column's, and personal.
        bytes: usize,
    },
}

impl Timestamp {
    /// 0001-01-01T00:00:00Z.
    pub const MIN: Timestamp = Timestamp(-62_135_596_800_000);
    /// 9999-12-31T23:59:59.999Z.
    pub const MAX: Timestamp = Timestamp(253_402_300_799_999);

    /// An instant from milliseconds since 1970.
    ///
    /// # Errors
    ///
    /// `OutOfRange` outside the years 1 to 9999.
    pub const fn from_millis(millis: i64) -> Result<Self, TimeError> {
        if millis < Self::MIN.0 || millis > Self::MAX.0 {
            return Err(TimeError::OutOfRange { millis });
        }
        Ok(Timestamp(millis))
    }

    /// Reads an RFC 3339 instant (`1997-01-01T12:00:00Z`) or a date, which means its midnight in UTC.
    ///
    /// # Errors
    ///
    /// `Unreadable` for anything else, `OutOfRange` outside the years 1 to 9999.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
            return Self::from_millis(instant.timestamp_millis());
        }
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .map_err(|_| TimeError::Unreadable { bytes: text.len() })
            .and_then(|date| Self::from_millis(NaiveDateTime::from(date).and_utc().timestamp_millis()))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This instant moved by a span; stops at [`Timestamp::MAX`].
    #[must_use]
    pub const fn plus(self, span: Span) -> Self {
        // Neither operand can exceed 2^48 in size, so the sum cannot overflow.
        let sum = self.0 + span.0;
        if sum > Self::MAX.0 { Self::MAX } else { Timestamp(sum) }
    }

    /// This instant moved back by a span; stops at [`Timestamp::MIN`].
    #[must_use]
    pub const fn minus(self, span: Span) -> Self {
        let difference = self.0 - span.0;
        if difference < Self::MIN.0 { Self::MIN } else { Timestamp(difference) }
    }

    /// Whole days of 24 hours since `earlier`, rounded down; 0 when `earlier` is later than this.
    #[must_use]
    pub const fn days_since(self, earlier: Timestamp) -> i64 {
        if self.0 <= earlier.0 { 0 } else { (self.0 - earlier.0) / DAY_MS }
    }

    /// The start of its day in UTC.
    #[must_use]
    pub const fn midnight(self) -> Self {
        Timestamp(self.0 - self.0.rem_euclid(DAY_MS))
    }

    /// The same instant as chrono has it.
    #[must_use]
    pub fn to_datetime(self) -> DateTime<Utc> {
        // Every value in range is one that chrono can hold.
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }
}

const DAY_MS: i64 = 86_400_000;

impl TryFrom<i64> for Timestamp {
    type Error = TimeError;
    fn try_from(millis: i64) -> Result<Self, TimeError> {
        Self::from_millis(millis)
    }
}

impl From<Timestamp> for i64 {
    fn from(time: Timestamp) -> i64 {
        time.0
    }
}

impl TryFrom<DateTime<Utc>> for Timestamp {
    type Error = TimeError;
    fn try_from(time: DateTime<Utc>) -> Result<Self, TimeError> {
        Self::from_millis(time.timestamp_millis())
    }
}

impl From<Timestamp> for DateTime<Utc> {
    fn from(time: Timestamp) -> Self {
        time.to_datetime()
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = self.to_datetime();
        let form = if self.0.rem_euclid(1000) == 0 { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S%.3fZ" };
        write!(f, "{}", time.format(form))
    }
}

impl std::fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// A length of time that is not negative, in milliseconds, at most 10,000 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct Span(i64);

impl Span {
    const MAX_MS: i64 = 3_652_500 * DAY_MS;

    /// Days of 24 hours.
    #[must_use]
    pub const fn days(days: u32) -> Self {
        Self::millis(days as u64 * DAY_MS as u64)
    }

    /// Milliseconds; more than 10,000 years is 10,000 years.
    #[must_use]
    pub const fn millis(millis: u64) -> Self {
        if millis > Self::MAX_MS as u64 { Span(Self::MAX_MS) } else { Span(millis as i64) }
    }

    /// In milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }
}

impl From<u64> for Span {
    fn from(millis: u64) -> Self {
        Self::millis(millis)
    }
}

impl From<Span> for u64 {
    fn from(span: Span) -> u64 {
        // A span is never negative.
        span.0.unsigned_abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_ends_where_it_says() {
        assert_eq!(Timestamp::MIN.to_string(), "0001-01-01T00:00:00Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
        assert!(Timestamp::from_millis(Timestamp::MIN.0 - 1).is_err());
        assert!(Timestamp::from_millis(Timestamp::MAX.0 + 1).is_err());
        assert_eq!(Timestamp::MAX.plus(Span::days(u32::MAX)), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.minus(Span::days(1)), Timestamp::MIN);
    }

    #[test]
    fn text_without_a_zone_or_past_year_9999_is_refused() {
        for bad in ["", "1997", "1997-02-30", "1997-01-01 12:00", "10000-01-01T00:00:00Z", "1997-01-01T25:00:00Z"] {
            assert!(Timestamp::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Timestamp::parse("1997-01-01").unwrap().to_string(), "1997-01-01T00:00:00Z");
    }

    #[test]
    fn days_are_whole_and_never_negative() {
        let day = Timestamp::parse("2000-02-29").unwrap();
        assert_eq!(day.plus(Span::days(2)).days_since(day), 2);
        assert_eq!(day.plus(Span::millis(DAY_MS as u64 - 1)).days_since(day), 0);
        assert_eq!(day.days_since(day.plus(Span::days(3))), 0);
        assert_eq!(Timestamp(-1).midnight().to_string(), "1969-12-31T00:00:00Z");
    }
}
