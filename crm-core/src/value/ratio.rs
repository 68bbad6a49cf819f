//! Shares of whole numbers as whole numbers: rounded half to even, as money is.

/// How many parts a million are in a whole.
pub(super) const MILLION: i128 = 1_000_000;

/// `part × scale ÷ whole`, rounded half to even; none of a whole of zero. What does not fit 128 bits stops there.
pub(super) fn share(part: i128, whole: i128, scale: i128) -> Option<i128> {
    let product = part.saturating_mul(scale);
    let (floor, rest) = (product.checked_div_euclid(whole)?, product.checked_rem_euclid(whole)?);
    // The rest is not negative, and below the size of the whole: so what is left to the next is not either.
    let left = whole.saturating_abs() - rest;
    let up = rest > left || (rest == left && floor % 2 != 0);
    Some(if up { floor.saturating_add(whole.signum()) } else { floor })
}

/// As much of an `i128` as an `i64` holds.
pub(super) fn clamped(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// Parts per million of a whole, rounded half to even; none of a whole of zero.
pub(super) fn parts_per_million(part: i128, whole: i128) -> Option<i64> {
    share(part, whole, MILLION).map(clamped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn halves_go_to_the_even_neighbour_whatever_the_sign() {
        let cases = [(1, 2, 0), (3, 2, 2), (5, 2, 2), (-1, 2, 0), (-3, 2, -2), (1, -2, 0), (3, -2, -2), (7, 3, 2)];
        for (part, whole, rounded) in cases {
            assert_eq!(share(part, whole, 1), Some(rounded), "{part} of {whole}");
        }
        assert_eq!(share(1, 0, 1), None);
        assert_eq!(parts_per_million(1, 3), Some(333_333));
        assert_eq!(parts_per_million(i128::MAX, 1), Some(i64::MAX));
    }

    proptest! {
        #[test]
        fn a_rounded_share_is_at_most_half_away(part in any::<i64>(), whole in any::<i64>(), scale in 1..1_000_000_i128) {
            prop_assume!(whole != 0);
            let (part, whole) = (i128::from(part), i128::from(whole));
            let rounded = share(part, whole, scale).unwrap();
            prop_assert!(2 * (rounded * whole - part * scale).abs() <= whole.abs());
            prop_assert_eq!(share(-part, whole, scale), Some(-rounded));
        }
    }
}
