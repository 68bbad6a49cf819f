//! Months of the calendar as numbers, and parts of large whole numbers.

use chrono::Datelike as _;
use chrono_tz::Tz;

use crate::loyalty::day_of;
use crate::time::Timestamp;

/// The number of the month that an instant is in, in a zone: one more than that of the month before.
pub(super) fn month_of(at: Timestamp, zone: Tz) -> i32 {
    let day = day_of(at, zone);
    // Years are between 0 and 10000, days before and after the ends of time in a zone included.
    day.year() * 12 + day.month0() as i32
}

/// The part of something that `part` of `whole` is, rounded down; all of it if `part` is more than `whole`, and nothing
/// where either is not positive.
///
/// The quotient is exact as long as `whole` is below 2^62, and off by less than one part in 2^60 beyond.
pub(super) const fn part_of(something: i128, mut part: i128, mut whole: i128) -> i128 {
    if part <= 0 || whole <= 0 || something <= 0 {
        return 0;
    }
    while whole >= 1 << 62 {
        part >>= 1;
        whole >>= 1;
    }
    if part >= whole {
        return something;
    }
    // The first product is at most `something`, the second below 2^124.
    (something / whole) * part + (something % whole) * part / whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_large_number_is_exact_and_never_more_than_the_whole() {
        assert_eq!(part_of(10, 1, 3), 3);
        assert_eq!(part_of(10, 5, 3), 10);
        assert_eq!([part_of(10, -1, 3), part_of(10, 0, 3), part_of(10, 1, 0), part_of(-10, 1, 3)], [0; 4]);
        let large = 1_i128 << 120;
        assert_eq!(part_of(large, 1 << 60, 1 << 61), large / 2);
        assert_eq!(part_of(large, (1 << 100) / 4, 1 << 100), large / 4);
        assert_eq!(part_of(i128::MAX, i128::MAX, i128::MAX), i128::MAX);
    }

    #[test]
    fn months_follow_one_another_over_the_ends_of_years() {
        let month = |text: &str| month_of(Timestamp::parse(text).unwrap(), chrono_tz::Europe::Berlin);
        assert_eq!(month("2027-01-15") - month("2026-12-15"), 1);
        // In Berlin it is January already.
        assert_eq!(month("2026-12-31T23:30:00Z"), month("2027-01-15"));
        assert!(month_of(Timestamp::MIN, chrono_tz::America::New_York) < month_of(Timestamp::MAX, chrono_tz::UTC));
    }
}
