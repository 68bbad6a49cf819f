//! Amounts of money: whole minor units of a currency, never floats. Decimals exist at the border only.

use rust_decimal::Decimal;
use rust_decimal::prelude::{RoundingStrategy, ToPrimitive};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// A currency of ISO 4217 by its alphabetic code, in capitals, by which they are ordered.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency {
    listed: iso_currency::Currency,
    /// Found once: the list says it by a search.
    exponent: u8,
}

/// Why an amount or a currency was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoneyError {
    /// Not an ISO 4217 code in capitals, or one without minor units, such as gold (`XAU`).
    #[error("{code:?} is not the ISO 4217 code of a currency")]
    UnknownCurrency {
        /// The code given if it is three letters, as codes are; else `***`: it may be another column's, and personal.
        code: String,
    },
    /// Two amounts of different currencies were to be added.
    #[error("{left} and {right} cannot be added")]
    CurrencyMismatch {
        /// Of the first amount.
        left: Currency,
        /// Of the second.
        right: Currency,
    },
    /// The amount does not fit an `i64` of minor units.
    #[error("the amount does not fit 64 bits of minor units")]
    Overflow,
    /// More decimals than the currency has.
    #[error("{amount} has more decimals than {currency}, which has {}", currency.exponent())]
    TooPrecise {
        /// The amount given.
        amount: Decimal,
        /// The currency it was to be in.
        currency: Currency,
    },
}

impl Currency {
    /// The euro.
    pub const EUR: Currency = Currency { listed: iso_currency::Currency::EUR, exponent: 2 };
    /// The US dollar.
    pub const USD: Currency = Currency { listed: iso_currency::Currency::USD, exponent: 2 };
    /// The pound sterling.
    pub const GBP: Currency = Currency { listed: iso_currency::Currency::GBP, exponent: 2 };

    /// A currency by its ISO 4217 code. One that was withdrawn lately, such as the kuna (`HRK`), is still on the list: orders
    /// of its time are in it.
    ///
    /// # Errors
    ///
    /// `UnknownCurrency` if the code is not on the list, not in capitals, or has no minor units.
    pub fn new(code: &str) -> Result<Self, MoneyError> {
        // The currencies of most shops skip the search through the list.
        match code {
            "EUR" => return Ok(Self::EUR),
            "USD" => return Ok(Self::USD),
            "GBP" => return Ok(Self::GBP),
            _ => {}
        }
        let unknown = || {
            let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
            MoneyError::UnknownCurrency { code: if is_code { code.to_owned() } else { "***".to_owned() } }
        };
        let listed = iso_currency::Currency::from_code(code).ok_or_else(unknown)?;
        let exponent = listed.exponent().and_then(|e| u8::try_from(e).ok()).ok_or_else(unknown)?;
        Ok(Currency { listed, exponent })
    }

    /// The three letters.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.listed.code()
    }

    /// How many decimals its minor unit has: 2 for EUR, 0 for JPY, 3 for KWD.
    #[must_use]
    pub const fn exponent(&self) -> u32 {
        self.exponent as u32
    }
}

impl Ord for Currency {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.code().cmp(other.code())
    }
}

impl PartialOrd for Currency {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        crate::text::read(from, Self::new)
    }
}

impl TryFrom<SmolStr> for Currency {
    type Error = MoneyError;
    fn try_from(code: SmolStr) -> Result<Self, MoneyError> {
        Self::new(&code)
    }
}

impl From<Currency> for SmolStr {
    fn from(currency: Currency) -> Self {
        SmolStr::new_static(currency.code())
    }
}

impl std::str::FromStr for Currency {
    type Err = MoneyError;
    fn from_str(code: &str) -> Result<Self, MoneyError> {
        Self::new(code)
    }
}

impl std::fmt::Display for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

impl std::fmt::Debug for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount in minor units: `minor: 1050` in EUR is €10.50 (exponents: ISO 4217).
///
/// ```
/// use crm_core::{Currency, Money};
///
/// let price = Money::parse("10.50", Currency::EUR)?;
/// assert_eq!(price.minor(), 1050);
/// assert_eq!(price.checked_add(Money::new(50, Currency::EUR))?.to_string(), "11.00 EUR");
/// assert!(price.checked_add(Money::new(50, Currency::USD)).is_err());
/// # Ok::<(), crm_core::MoneyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

/// An amount that was rounded to its currency's minor unit, and by how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounded {
    /// The amount after rounding.
    pub money: Money,
    /// Rounded minus exact, in major units; zero when nothing was rounded.
    pub difference: Decimal,
}

impl Money {
    /// An amount of minor units.
    #[must_use]
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Money { minor, currency }
    }

    /// In minor units.
    #[must_use]
    pub const fn minor(&self) -> i64 {
        self.minor
    }

    /// The currency.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// Reads a decimal text in major units, such as `10.50`, exactly.
    ///
    /// # Errors
    ///
    /// `TooPrecise` if the currency has fewer decimals, `Overflow` if the text is no decimal number
    /// that fits.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let amount = Decimal::from_str_exact(text).map_err(|_| MoneyError::Overflow)?;
        let rounded = Self::round_half_even(amount, currency)?;
        if rounded.difference.is_zero() { Ok(rounded.money) } else { Err(MoneyError::TooPrecise { amount, currency }) }
    }

    /// Rounds a decimal in major units to the minor unit, ties to even.
    ///
    /// # Errors
    ///
    /// `Overflow` if the amount does not fit.
    pub fn round_half_even(amount: Decimal, currency: Currency) -> Result<Rounded, MoneyError> {
        let exponent = currency.exponent();
        let booked = amount.round_dp_with_strategy(exponent, RoundingStrategy::MidpointNearestEven);
        let minor = booked
            .checked_mul(Decimal::from(10_i64.pow(exponent)))
            .and_then(|minor| minor.to_i64())
            .ok_or(MoneyError::Overflow)?;
        let difference = booked.checked_sub(amount).ok_or(MoneyError::Overflow)?.normalize();
        Ok(Rounded { money: Money { minor, currency }, difference })
    }

    /// The amount in major units, with as many decimals as the currency has.
    #[must_use]
    pub fn to_decimal(&self) -> Decimal {
        minor_to_decimal(i128::from(self.minor), self.currency)
    }

    /// Adds two amounts of one currency.
    ///
    /// # Errors
    ///
    /// `CurrencyMismatch` if the currencies differ, `Overflow` if the sum does not fit.
    pub fn checked_add(self, other: Money) -> Result<Money, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch { left: self.currency, right: other.currency });
        }
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Money { minor, ..self })
    }
}

/// A sum of minor units as a decimal in major units; sums beyond 28 digits stop at the largest decimal.
#[must_use]
pub fn minor_to_decimal(minor: i128, currency: Currency) -> Decimal {
    Decimal::try_from_i128_with_scale(minor, currency.exponent()).unwrap_or(if minor < 0 {
        Decimal::MIN
    } else {
        Decimal::MAX
    })
}

impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.to_decimal(), self.currency)
    }
}

impl std::fmt::Debug for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn currencies_are_codes_on_the_list_in_capitals() {
        assert_eq!(Currency::new("JPY").unwrap().exponent(), 0);
        assert_eq!(Currency::new("KWD").unwrap().exponent(), 3);
        for bad in ["", "eur", "EURO", "ZZZ", "XAU", "€€€"] {
            assert!(Currency::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn currencies_are_ordered_by_their_codes_and_not_as_the_list_is() {
        let [xcg, zar, aoa] = ["XCG", "ZAR", "AOA"].map(|code| Currency::new(code).unwrap());
        assert!(aoa < Currency::EUR && Currency::EUR < xcg && xcg < zar);
    }

    #[test]
    fn constants_agree_with_the_list() {
        for known in [Currency::EUR, Currency::USD, Currency::GBP] {
            let listed = iso_currency::Currency::from_code(known.code()).unwrap();
            assert_eq!(u32::from(listed.exponent().unwrap()), known.exponent());
        }
    }

    #[test]
    fn ties_round_to_even_and_say_by_how_much() {
        let cases = [("0.125", 12, "-0.005"), ("0.135", 14, "0.005"), ("-0.125", -12, "0.005"), ("2.5500", 255, "0")];
        for (text, minor, difference) in cases {
            let rounded = Money::round_half_even(text.parse().unwrap(), Currency::EUR).unwrap();
            assert_eq!(rounded.money.minor(), minor, "{text}");
            assert_eq!(rounded.difference, difference.parse().unwrap(), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let max = Money::new(i64::MAX, Currency::EUR);
        assert_eq!(max.checked_add(Money::new(1, Currency::EUR)), Err(MoneyError::Overflow));
        assert_eq!(Money::parse("92233720368547758.08", Currency::EUR), Err(MoneyError::Overflow));
        assert_eq!(Money::parse("92233720368547758.07", Currency::EUR), Ok(max));
        for bad in ["NaN", "1e400", "", "ten", "Infinity"] {
            assert_eq!(Money::parse(bad, Currency::EUR), Err(MoneyError::Overflow), "{bad}");
        }
        assert!(matches!(Money::parse("0.001", Currency::EUR), Err(MoneyError::TooPrecise { .. })));
    }
}
