//! Numbers with decimals, counted in millionths: what rules compare instead of floats.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many decimals are kept.
const DECIMALS: u32 = 6;
const SCALE: i64 = 1_000_000;

/// A number with at most six decimals, up to about ±9.2 × 10¹² (an `i64` of millionths): exact, ordered and alike on
/// every machine. As JSON it is a text, such as `"1.85"`.
///
/// ```
/// use crm_core::{Decimal, Millionths};
///
/// assert_eq!(Millionths::of(Decimal::new(185, 2)).map(Millionths::get), Some(1_850_000));
/// assert_eq!(Millionths::of(Decimal::new(1, 7)), None, "it has a seventh decimal");
/// assert_eq!(Millionths::of_score(0.7).map(Millionths::get), Some(700_000));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millionths(i64);

impl Millionths {
    /// So many millionths.
    #[must_use]
    pub const fn new(millionths: i64) -> Self {
        Millionths(millionths)
    }

    /// A decimal; none if it has more than six decimals, or no room.
    #[must_use]
    pub fn of(decimal: Decimal) -> Option<Self> {
        let millionths = decimal.checked_mul(Decimal::from(SCALE))?;
        if millionths.is_integer() { millionths.to_i64().map(Millionths) } else { None }
    }

    /// A score, rounded to the nearest millionth, halves away from zero; what has no room is the greatest or the
    /// least there is. None for what is no number.
    #[must_use]
    pub fn of_score(score: f64) -> Option<Self> {
        // Both steps never turn two numbers round, so that what is compared so is ordered as scores are.
        (!score.is_nan()).then(|| Millionths((score * SCALE as f64).round() as i64))
    }

    /// The least finite score that is at least this; none if there is none. Whatever compares scores themselves can
    /// so compare them as [`of_score`](Self::of_score) rounds them.
    ///
    /// ```
    /// use crm_core::Millionths;
    ///
    /// let least = Millionths::new(700_000).least_score().unwrap_or(f64::NAN);
    /// assert!(least < 0.7 && Millionths::of_score(least) == Some(Millionths::new(700_000)));
    /// assert_eq!(Millionths::of_score(least.next_down()), Some(Millionths::new(699_999)));
    /// ```
    #[must_use]
    pub fn least_score(self) -> Option<f64> {
        let reaches = |score: f64| Millionths::of_score(score).is_some_and(|own| own >= self);
        if !reaches(f64::MAX) {
            return None;
        }
        // Floats in the order of their size are whole numbers in theirs.
        let (mut low, mut high) = (rank(f64::MIN), rank(f64::MAX));
        while low < high {
            let middle = low + (high - low) / 2;
            if reaches(unrank(middle)) { high = middle } else { low = middle + 1 }
        }
        Some(unrank(low))
    }

    /// How many millionths.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// As a decimal.
    #[must_use]
    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.0, DECIMALS).normalize()
    }
}

/// The place of a float among all finite ones, the negative zero before the other.
const fn rank(float: f64) -> i128 {
    let bits = float.to_bits();
    let size = (bits & !(1 << 63)) as i128;
    if bits >> 63 == 1 { -1 - size } else { size }
}

const fn unrank(rank: i128) -> f64 {
    f64::from_bits(if rank < 0 { (-1 - rank) as u64 | (1 << 63) } else { rank as u64 })
}

impl std::fmt::Display for Millionths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.to_decimal(), f)
    }
}

impl Serialize for Millionths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // What people read has a point in it, and what is a cache has not.
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Millionths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        if !deserializer.is_human_readable() {
            return i64::deserialize(deserializer).map(Millionths);
        }
        let text = smol_str::SmolStr::deserialize(deserializer)?;
        let decimal = Decimal::from_str_exact(&text).ok().and_then(Millionths::of);
        decimal.ok_or_else(|| D::Error::custom("a decimal of at most six decimals is expected"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_score_but_what_is_no_number_has_a_place() {
        let of = |score| Millionths::of_score(score).map(Millionths::get);
        assert_eq!(of(f64::NAN), None);
        assert_eq!([of(f64::INFINITY), of(f64::MAX), of(1e300)], [Some(i64::MAX); 3]);
        assert_eq!([of(f64::NEG_INFINITY), of(f64::MIN)], [Some(i64::MIN); 2]);
        assert_eq!([of(-0.0), of(0.0), of(f64::MIN_POSITIVE)], [Some(0); 3]);
        assert_eq!([of(0.7), of(0.1 + 0.2), of(-0.000_000_6)], [Some(700_000), Some(300_000), Some(-1)]);
    }

    #[test]
    fn decimals_are_texts_for_people() {
        let number = Millionths::new(1_850_000);
        assert_eq!(serde_json::to_string(&number).unwrap(), r#""1.85""#);
        assert_eq!(serde_json::from_str::<Millionths>(r#""1.850""#).unwrap(), number);
        for wrong in [r#""1.0000001""#, r#""NaN""#, r#""1e400""#, "1.85", r#""99999999999999""#] {
            assert!(serde_json::from_str::<Millionths>(wrong).is_err(), "{wrong}");
        }
        let bytes = postcard::to_stdvec(&number).unwrap();
        assert_eq!(postcard::from_bytes::<Millionths>(&bytes).unwrap(), number);
    }

    proptest! {
        /// A limit among scores divides them as it does among millionths.
        #[test]
        fn a_limit_divides_scores_where_it_divides_millionths(limit: i64, near in -3..3_i64, score: f64) {
            let limit = Millionths::new(limit.saturating_add(near));
            let least = limit.least_score().unwrap();
            let at_least = |score: f64| Millionths::of_score(score).is_some_and(|own| own >= limit);
            prop_assert!(at_least(least));
            prop_assert!(least <= f64::MIN || !at_least(least.next_down()));
            prop_assert_eq!(at_least(score), score >= least);
        }

        #[test]
        fn small_limits_too(limit in -3_000_000..3_000_000_i64, score in -3.0..3.0_f64) {
            let least = Millionths::new(limit).least_score().unwrap();
            prop_assert_eq!(Millionths::of_score(score).is_some_and(|own| own.get() >= limit), score >= least);
        }
    }
}
