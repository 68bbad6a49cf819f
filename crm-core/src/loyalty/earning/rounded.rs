//! Exact fractions of points, until they are rounded: products of whole numbers over products of whole numbers, of any
//! size.

use smallvec::SmallVec;

use super::super::LOYALTY_POINTS_MAX;

/// A whole number in words of 64 bits, the lowest first.
type Words = SmallVec<[u64; 8]>;

/// The factors of a product.
type Factors = SmallVec<[u64; 2]>;

/// A product over a product; nothing is lost before it is rounded.
#[derive(Debug, Clone, Default)]
pub(super) struct Fraction {
    over: Factors,
    under: Factors,
}

impl Fraction {
    pub(super) fn of(number: u64) -> Self {
        Fraction { over: SmallVec::from_slice(&[number]), under: SmallVec::new() }
    }

    pub(super) fn times(mut self, number: u64) -> Self {
        add(&mut self.over, number);
        self
    }

    /// Divided by a number. By nothing is not divided.
    pub(super) fn per(mut self, number: u64) -> Self {
        if number > 1 {
            add(&mut self.under, number);
        }
        self
    }

    /// Down to a whole number, at most [`LOYALTY_POINTS_MAX`].
    pub(super) fn down(&self) -> i64 {
        let (quotient, _) = self.quotient(1);
        limited(&quotient)
    }

    /// Down to a whole number that is counted on with; of what no order comes to, the most there is.
    pub(super) fn whole(&self) -> u64 {
        match self.quotient(1).0.as_slice() {
            [] => 0,
            [word] => *word,
            _ => u64::MAX,
        }
    }

    /// Up to a whole number, at most [`LOYALTY_POINTS_MAX`].
    pub(super) fn up(&self) -> i64 {
        let (quotient, rest) = self.quotient(1);
        (limited(&quotient) + i64::from(rest)).min(LOYALTY_POINTS_MAX)
    }

    /// To the nearest whole number, halves to the even one, at most [`LOYALTY_POINTS_MAX`].
    pub(super) fn half_even(&self) -> i64 {
        let (mut doubled, rest) = self.quotient(2);
        let odd = doubled.first().is_some_and(|lowest| lowest & 1 == 1);
        divide(&mut doubled, 2);
        let whole = limited(&doubled);
        let up = odd && (rest || whole & 1 == 1);
        (whole + i64::from(up)).min(LOYALTY_POINTS_MAX)
    }

    /// So many times it, down to a whole number, and whether something is left. Dividing one by one comes to the same
    /// as dividing by the product.
    fn quotient(&self, times: u64) -> (Words, bool) {
        let mut words = Words::from_slice(&[times]);
        self.over.iter().for_each(|number| multiply(&mut words, *number));
        let mut rest = false;
        for number in &self.under {
            rest |= divide(&mut words, *number) != 0;
        }
        (words, rest)
    }
}

/// One more factor; it is multiplied with the last one where that fits, as it does for what people pay.
fn add(factors: &mut Factors, number: u64) {
    match factors.last_mut() {
        Some(last) if last.checked_mul(number).is_some() => *last = last.saturating_mul(number),
        _ => factors.push(number),
    }
}

fn multiply(words: &mut Words, number: u64) {
    let mut carry = 0_u128;
    for word in words.iter_mut() {
        let product = u128::from(*word) * u128::from(number) + carry;
        *word = product as u64;
        carry = product >> 64;
    }
    if carry > 0 {
        words.push(carry as u64);
    }
}

/// Divides by a number above 0, and says what is left.
fn divide(words: &mut Words, number: u64) -> u64 {
    let number = u128::from(number.max(1));
    let mut rest = 0_u128;
    for word in words.iter_mut().rev() {
        let left = (rest << 64) | u128::from(*word);
        *word = (left / number) as u64;
        rest = left % number;
    }
    while words.len() > 1 && words.last() == Some(&0) {
        words.pop();
    }
    rest as u64
}

fn limited(words: &Words) -> i64 {
    match words.as_slice() {
        [] => 0,
        [word] => i64::try_from(*word).map_or(LOYALTY_POINTS_MAX, |whole| whole.min(LOYALTY_POINTS_MAX)),
        _ => LOYALTY_POINTS_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn halves_go_to_the_even_number() {
        // What, by what, and what it comes to: down, half even, up.
        let cases = [
            (0, 2, [0, 0, 0]),
            (1, 2, [0, 0, 1]),
            (3, 2, [1, 2, 2]),
            (5, 2, [2, 2, 3]),
            (7, 2, [3, 4, 4]),
            (4, 2, [2, 2, 2]),
            (5, 3, [1, 2, 2]),
            (4, 3, [1, 1, 2]),
            (2_499_999, 1_000_000, [2, 2, 3]),
            (2_500_000, 1_000_000, [2, 2, 3]),
            (2_500_001, 1_000_000, [2, 3, 3]),
            (3_500_000, 1_000_000, [3, 4, 4]),
        ];
        for (over, under, expected) in cases {
            let fraction = Fraction::of(over).per(under);
            assert_eq!([fraction.down(), fraction.half_even(), fraction.up()], expected, "{over}/{under}");
        }
    }

    #[test]
    fn what_is_too_much_stops_at_the_limit_and_large_numbers_cancel_out() {
        let huge = (0..100).fold(Fraction::of(u64::MAX), |fraction, _| fraction.times(u64::MAX));
        assert_eq!([huge.down(), huge.half_even(), huge.up()], [LOYALTY_POINTS_MAX; 3]);
        let back = (0..101).fold(huge.times(7), |fraction, _| fraction.per(u64::MAX));
        assert_eq!([back.down(), back.half_even(), back.up()], [7; 3]);
    }

    proptest! {
        #[test]
        fn it_is_what_whole_numbers_come_to(
            over in proptest::collection::vec(0..2_000_u64, 1..9),
            under in proptest::collection::vec(1..2_000_u64, 0..9),
        ) {
            let all = over.iter().skip(1).fold(Fraction::of(over[0]), |fraction, number| fraction.times(*number));
            let all = under.iter().fold(all, |fraction, number| fraction.per(*number));
            let (over, under) = (over.iter().map(|n| i128::from(*n)).product::<i128>(), under.iter().map(|n| i128::from(*n)).product::<i128>());
            let limit = |whole: i128| whole.min(i128::from(LOYALTY_POINTS_MAX)) as i64;
            let (down, rest) = (over / under, over % under);
            let up = down + i128::from(rest > 0);
            let nearer = match (rest * 2).cmp(&under) {
                std::cmp::Ordering::Less => down,
                std::cmp::Ordering::Greater => down + 1,
                std::cmp::Ordering::Equal => down + down % 2,
            };
            prop_assert_eq!([all.down(), all.half_even(), all.up()], [limit(down), limit(nearer), limit(up)]);
        }
    }
}
