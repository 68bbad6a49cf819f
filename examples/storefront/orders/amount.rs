//! Decimal numbers as files write them, and what is booked for them.
//!
//! The numbers are kept exactly, as digits and a count of decimals, because a shop's file is what its
//! totals are checked against. 28 decimals are not enough for real files: one grocery export holds
//! `1.6653349999999998e-16` where its own subtraction should have given zero. Hence 38, the most that
//! stay exact in an `i128`.

use rust_decimal::Decimal;

/// Digits an `i128` always holds, and the most decimals kept.
const DIGITS_MAX: u32 = 38;
/// The most one row may be worth, in minor units. Ten trillion euros is a typing error.
const MINOR_MAX: i128 = 1_000_000_000_000_000;
/// Decimals of a [`Decimal`] at most.
const DECIMAL_SCALE_MAX: u32 = 28;

/// A decimal number, `digits` / 10^`scale`, with the smallest scale that does: equal values are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exact {
    digits: i128,
    scale: u32,
}

/// Why a text is no [`Exact`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberError {
    NotANumber,
    /// A number, but above 38 digits or with more than 38 decimals.
    OutOfRange,
}

/// What is booked for an exact amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Booked {
    pub(super) minor: i64,
    pub(super) rounding: Rounding,
}

/// Booked minus exact for one row, in 10^-38 of the currency's unit. At most half a unit, so it fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rounding(i128);

/// The exact sum of [`Rounding`]s: 10^-28 units and, apart, what is left in 10^-38.
#[derive(Debug, Default)]
pub(super) struct RoundingSum {
    coarse: i128,
    fine: i128,
}

impl Exact {
    /// Reads `-12.50`, `+3`, `.5`, `1e2`. Blanks around it are ignored; nothing else is.
    pub(super) fn parse(text: &str) -> Result<Self, NumberError> {
        use NumberError::{NotANumber, OutOfRange};
        let text = text.trim();
        let (is_negative, unsigned) = sign(text);
        let (number, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, whole(exponent).ok_or(NotANumber)?),
            None => (unsigned, 0),
        };
        let (units, decimals) = number.split_once('.').unwrap_or((number, ""));
        if units.len() + decimals.len() == 0 || !is_digits(units) || !is_digits(decimals) {
            return Err(NotANumber);
        }
        let all = || units.bytes().chain(decimals.bytes());
        let trailing_zeros = all().rev().take_while(|digit| *digit == b'0').count();
        let kept = all().count() - trailing_zeros;
        let mut digits: i128 = 0;
        for digit in all().take(kept) {
            digits = shifted(digits, 1).ok_or(OutOfRange)? + i128::from(digit - b'0');
        }
        if is_negative {
            digits = -digits;
        }
        let length = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let shift = exponent.saturating_add(length(trailing_zeros)).saturating_sub(length(decimals.len()));
        Self::new(digits, shift).ok_or(OutOfRange)
    }

    /// `digits` * 10^`shift`. The digits do not end in a zero unless there are none.
    fn new(digits: i128, shift: i64) -> Option<Self> {
        if digits == 0 {
            return Some(Self { digits, scale: 0 });
        }
        let places = u32::try_from(shift.unsigned_abs()).ok().filter(|places| *places <= DIGITS_MAX)?;
        if shift < 0 {
            Some(Self { digits, scale: places })
        } else {
            shifted(digits, places).map(|digits| Self { digits, scale: 0 })
        }
    }

    pub(super) fn checked_mul(self, factor: Self) -> Option<Self> {
        let mut digits = self.digits.checked_mul(factor.digits)?;
        let mut shift = -i64::from(self.scale + factor.scale);
        while digits != 0 && digits % 10 == 0 {
            digits /= 10;
            shift += 1;
        }
        Self::new(digits, shift)
    }

    pub(super) fn is_zero(self) -> bool {
        self.digits == 0
    }

    pub(super) fn is_negative(self) -> bool {
        self.digits < 0
    }

    /// The value if it is a whole number.
    pub(super) fn whole(self) -> Option<i64> {
        if self.scale == 0 { i64::try_from(self.digits).ok() } else { None }
    }

    /// One text per value, for hashing.
    pub(super) fn canonical(self) -> String {
        format!("{}e-{}", self.digits, self.scale)
    }

    /// Rounds half to even to `exponent` decimals. `None` above 10^15 minor units.
    pub(super) fn booked(self, exponent: u32) -> Option<Booked> {
        let (minor, rounding) = if self.scale <= exponent {
            let minor = if self.digits == 0 { 0 } else { shifted(self.digits, exponent - self.scale)? };
            (minor, 0)
        } else {
            let unit = 10_i128.checked_pow(self.scale - exponent)?;
            let minor = half_even(self.digits, unit);
            let difference = minor.checked_mul(unit)?.checked_sub(self.digits)?;
            (minor, shifted(difference, DIGITS_MAX - self.scale)?)
        };
        if minor.abs() > MINOR_MAX {
            return None;
        }
        Some(Booked { minor: i64::try_from(minor).ok()?, rounding: Rounding(rounding) })
    }
}

impl Rounding {
    pub(super) fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl RoundingSum {
    const FINE_PER_COARSE: i128 = 10_i128.pow(DIGITS_MAX - DECIMAL_SCALE_MAX);

    /// Cannot overflow: a row adds less than 10^28 and 10^10, and no file has 10^10 rows.
    pub(super) fn add(&mut self, rounding: Rounding) {
        self.coarse += rounding.0.div_euclid(Self::FINE_PER_COARSE);
        self.fine += rounding.0.rem_euclid(Self::FINE_PER_COARSE);
    }

    /// The sum, exactly if it has no more than 28 digits and decimals, else the nearest that has.
    pub(super) fn total(&self) -> Decimal {
        let digits = self.coarse + half_even(self.fine, Self::FINE_PER_COARSE);
        let scale = DECIMAL_SCALE_MAX;
        let too_many = (0..scale)
            .find(|places| (digits / 10_i128.pow(*places)).abs() < 10_i128.pow(DECIMAL_SCALE_MAX))
            .unwrap_or(scale);
        let nearest = half_even(digits, 10_i128.pow(too_many));
        Decimal::try_from_i128_with_scale(nearest, scale - too_many).map_or(Decimal::MAX, |sum| sum.normalize())
    }
}

/// `digits` * 10^`places`, if that has no more than 38 digits.
fn shifted(digits: i128, places: u32) -> Option<i128> {
    let shifted = digits.checked_mul(10_i128.checked_pow(places)?)?;
    (shifted.unsigned_abs() < 10_u128.pow(DIGITS_MAX)).then_some(shifted)
}

/// `digits` / `unit`, rounded half to even.
fn half_even(digits: i128, unit: i128) -> i128 {
    let (below, rest) = (digits.div_euclid(unit), digits.rem_euclid(unit));
    let is_up = rest > unit - rest || (rest == unit - rest && below % 2 != 0);
    below + i128::from(is_up)
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An exponent; one beyond `i64` is as good as the limit.
fn whole(text: &str) -> Option<i64> {
    let (is_negative, digits) = sign(text);
    if digits.is_empty() || !is_digits(digits) {
        return None;
    }
    let value = digits.parse().unwrap_or(i64::MAX);
    Some(if is_negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minor(text: &str, exponent: u32) -> Option<i64> {
        Exact::parse(text).ok()?.booked(exponent).map(|booked| booked.minor)
    }

    #[test]
    fn numbers_are_read_by_value() {
        let cases: &[(&str, i128, u32)] = &[
            ("12.50", 125, 1),
            (" -12.50\t", -125, 1),
            ("+3", 3, 0),
            (".5", 5, 1),
            ("5.", 5, 0),
            ("1e2", 100, 0),
            ("1.5E+1", 15, 0),
            ("120e-1", 12, 0),
            ("-0.00", 0, 0),
            ("0e999999999999999999999999", 0, 0),
            ("2.220446e-16", 2_220_446, 22),
            ("1.6653349999999998e-16", 16_653_349_999_999_998, 32),
        ];
        for (text, digits, scale) in cases {
            assert_eq!(Exact::parse(text), Ok(Exact { digits: *digits, scale: *scale }), "{text}");
        }
        let padded = format!("{}7.5{}", "0".repeat(60), "0".repeat(60));
        assert_eq!(Exact::parse(&padded), Ok(Exact { digits: 75, scale: 1 }));
    }

    #[test]
    fn what_is_no_number_is_told_from_a_number_that_does_not_fit() {
        for text in [
            "",
            " ",
            "abc",
            "NaN",
            "inf",
            "-",
            ".",
            "e5",
            "1e",
            "1e+",
            "1e1.5",
            "1,000.00",
            "1 000",
            "--1",
            "€5",
            "0x10",
            "١",
            "1_000",
            "1.2.3",
            "1234567890123456789012345678901234567890x",
        ] {
            assert_eq!(Exact::parse(text), Err(NumberError::NotANumber), "{text:?}");
        }
        for text in [
            "1e400",
            "-1e400",
            "1e-400",
            "1e99999999999999999999999",
            "1e-99999999999999999999999",
            "1234567890123456789012345678901234567891",
            "0.1234567890123456789012345678901234567891",
        ] {
            assert_eq!(Exact::parse(text), Err(NumberError::OutOfRange), "{text}");
        }
    }

    #[test]
    fn amounts_round_half_to_even_at_the_minor_unit_of_the_currency() {
        let cases = [
            ("2.345", 2, 234),
            ("2.355", 2, 236),
            ("-2.345", 2, -234),
            ("-2.355", 2, -236),
            ("2.3450000000000000000000000000000001", 2, 235),
            ("2.34", 2, 234),
            ("0.5", 0, 0),
            ("1.5", 0, 2),
            ("-0.5", 0, 0),
            ("1234.5675", 3, 1_234_568),
            ("7", 4, 70_000),
            ("2.220446e-16", 2, 0),
            ("10000000000000", 2, 1_000_000_000_000_000),
            ("0", 40, 0),
        ];
        for (text, exponent, expected) in cases {
            assert_eq!(minor(text, exponent), Some(expected), "{text} with {exponent} decimals");
        }
        for text in ["10000000000000.01", "-10000000000000.01", "1e30", "9e37"] {
            assert_eq!(minor(text, 2), None, "{text}");
        }
        assert_eq!(minor("1", 40), None);
    }

    #[test]
    fn a_product_is_exact_or_refused() {
        let product = |a: &str, b: &str| Exact::parse(a).unwrap().checked_mul(Exact::parse(b).unwrap());
        assert_eq!(product("0.125", "8"), Some(Exact { digits: 1, scale: 0 }));
        assert_eq!(product("-1.005", "3"), Some(Exact { digits: -3015, scale: 3 }));
        assert_eq!(product("5e30", "2e-30"), Some(Exact { digits: 10, scale: 0 }));
        assert_eq!(product("1e20", "0"), Some(Exact { digits: 0, scale: 0 }));
        assert_eq!(product("1e20", "1e20"), None);
        assert_eq!(product("1e-20", "1e-20"), None);
    }

    #[test]
    fn the_rounding_of_many_rows_adds_up_exactly() {
        let mut sum = RoundingSum::default();
        let mut add = |text: &str, times: usize| {
            let booked = Exact::parse(text).unwrap().booked(2).unwrap();
            (0..times).for_each(|_| sum.add(booked.rounding));
            sum.total().to_string()
        };
        assert_eq!(add("1.004", 1), "-0.004");
        assert_eq!(add("1.006", 1), "0");
        assert_eq!(add("1.015", 1_000_000), "5000");
        assert_eq!(add("1.025", 1_000_000), "0");
        assert_eq!(add("1.6653349999999998e-16", 100), "-0.00000000000001665335");
        let many_digits = add("1.0150000000000000000000000001", 1_000_000);
        assert_eq!(many_digits, "4999.9999999999999833466499", "28 digits at most");
    }
}
