//! Key customers: the fewest who bring a given share of profit or revenue (Pareto, Cours d'économie politique, 1896;
//! Juran, Quality Control Handbook, 1951, made the rule of it), how concentrated a base is (the curve of Lorenz, Methods
//! of measuring the concentration of wealth, 1905, taken from the top, and Gini's coefficient), and who costs more than
//! they bring (the curve of cumulated profit rises above the whole and falls back: it is known as the whale curve).
//!
//! All is in whole minor units of one currency, added up in 128 bits; only shares are rounded, half to even.

use serde::{Deserialize, Serialize};

use super::ratio::{MILLION, parts_per_million};

/// Of what a share is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShareOf {
    /// Of what is left when those who cost more than they bring are taken off. Cumulated from the top it rises above
    /// the whole and comes back to it.
    Net,
    /// Of what those bring who bring something.
    Gains,
}

/// A customer's place among all, the one who brings most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParetoPlace<K> {
    /// Who.
    pub customer: K,
    /// What they bring, in minor units; negative if they cost more.
    pub minor: i64,
    /// What they and all before them bring.
    pub running: i128,
}

/// All customers by what they bring.
///
/// ```
/// use crm_core::value::{Pareto, ShareOf};
///
/// let base = Pareto::of([("ada", 700), ("ben", 200), ("cem", 150), ("dag", -50)]);
/// let key = base.key(800_000, ShareOf::Net);
/// assert_eq!(key.iter().map(|place| place.customer).collect::<Vec<_>>(), ["ada", "ben"]);
/// assert_eq!(base.costly().len(), 1);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pareto<K> {
    places: Vec<ParetoPlace<K>>,
    gainers: usize,
}

impl<K: Copy + Ord> Pareto<K> {
    /// Ranks customers by what they bring in minor units of one currency: the most first, and of those who bring the
    /// same the lower id. A customer who is given twice has two places. Costs a sort.
    #[must_use]
    pub fn of(base: impl IntoIterator<Item = (K, i64)>) -> Self {
        let mut base: Vec<(K, i64)> = base.into_iter().collect();
        base.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut running = 0;
        let places: Vec<ParetoPlace<K>> = base
            .into_iter()
            .map(|(customer, minor)| {
                running += i128::from(minor);
                ParetoPlace { customer, minor, running }
            })
            .collect();
        let gainers = places.partition_point(|place| place.minor > 0);
        Pareto { places, gainers }
    }

    /// Everybody, with what they bring together with all before them: the curve of concentration, exactly.
    #[must_use]
    pub fn places(&self) -> &[ParetoPlace<K>] {
        &self.places
    }

    /// The whole that shares are of, in minor units.
    #[must_use]
    pub fn whole(&self, of: ShareOf) -> i128 {
        match of {
            ShareOf::Net => self.top(self.places.len()),
            ShareOf::Gains => self.top(self.gainers),
        }
    }

    /// The key customers: the fewest who bring at least so many parts per million of the whole. Nobody for a share of
    /// 0, and where there is nothing to have a share in; all who bring something for more than everything.
    ///
    /// Of those who bring the same as the last one needed, the ones with the lower ids are in and the others are not:
    /// fewest is fewest. [`tied`](Self::tied) says how many that leaves out.
    #[must_use]
    pub fn key(&self, parts_per_million: u32, of: ShareOf) -> &[ParetoPlace<K>] {
        let whole = self.whole(of);
        if whole <= 0 {
            return &[];
        }
        let gainers = &self.places[..self.gainers];
        let wanted = whole.saturating_mul(parts_per_million.into());
        // What gainers bring together rises from each to the next.
        let before = gainers.partition_point(|place| place.running.saturating_mul(MILLION) < wanted);
        let count = if wanted == 0 { 0 } else { before.saturating_add(1).min(gainers.len()) };
        &gainers[..count]
    }

    /// How many bring the same as the last of the first `count`, and are not among them.
    #[must_use]
    pub fn tied(&self, count: usize) -> usize {
        let Some(last) = count.checked_sub(1).and_then(|last| self.places.get(last)) else { return 0 };
        self.places[count..].iter().take_while(|place| place.minor == last.minor).count()
    }

    /// Those who cost more than they bring, the costliest last.
    #[must_use]
    pub fn costly(&self) -> &[ParetoPlace<K>] {
        &self.places[self.places.partition_point(|place| place.minor >= 0)..]
    }

    /// What the first `count` bring, in parts per million of the whole; none where the whole is not above zero.
    #[must_use]
    pub fn share_of_top(&self, count: usize, of: ShareOf) -> Option<i64> {
        let whole = self.whole(of);
        if whole > 0 { parts_per_million(self.top(count), whole) } else { None }
    }

    /// The curve of concentration at `steps` equal steps of the customers, for a chart: how many, and what these bring
    /// in parts per million of the whole. Steps within one customer are rounded up to that customer.
    #[must_use]
    pub fn curve(&self, steps: u32, of: ShareOf) -> Vec<(usize, i64)> {
        let n = self.places.len() as u128;
        (1..=steps)
            .filter_map(|step| {
                let count = (n * u128::from(step)).div_ceil(steps.into()) as usize;
                Some((count, self.share_of_top(count, of)?))
            })
            .collect()
    }

    /// The coefficient of Gini in parts per million: 0 if all bring the same, towards 1,000,000 if one brings all.
    /// None if somebody brings less than nothing, for which it has no meaning, or if nobody brings anything.
    #[must_use]
    pub fn gini(&self) -> Option<i64> {
        if self.places.last()?.minor < 0 {
            return None;
        }
        let n = self.places.len() as i128;
        // Σ (n + 1 − 2·place)·minor ÷ (n·Σ minor), with places from 1 at the top.
        let weighted = self.places.iter().zip(1_i128..).fold(0_i128, |sum, (place, rank)| {
            sum.saturating_add((n + 1 - 2 * rank).saturating_mul(place.minor.into()))
        });
        parts_per_million(weighted, n.saturating_mul(self.whole(ShareOf::Net)))
    }

    /// What the first `count` bring.
    fn top(&self, count: usize) -> i128 {
        let last = count.min(self.places.len()).checked_sub(1);
        last.and_then(|last| self.places.get(last)).map_or(0, |place| place.running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(minors: &[i64]) -> Pareto<usize> {
        Pareto::of(minors.iter().copied().enumerate())
    }

    fn key(minors: &[i64], share: u32, whole: ShareOf) -> Vec<usize> {
        of(minors).key(share, whole).iter().map(|place| place.customer).collect()
    }

    #[test]
    fn the_share_is_of_what_was_asked() {
        let minors = [100, 60, -60, 40];
        assert_eq!(key(&minors, 800_000, ShareOf::Net), [0, 1], "of 140");
        assert_eq!(key(&minors, 700_000, ShareOf::Net), [0]);
        assert_eq!(key(&minors, 800_000, ShareOf::Gains), [0, 1], "exactly, of 200");
        assert_eq!(key(&minors, 800_001, ShareOf::Gains), [0, 1, 3]);
    }

    #[test]
    fn nothing_has_no_key_customers() {
        for minors in [&[][..], &[0, 0], &[-5], &[5, -9]] {
            assert!(key(minors, 500_000, ShareOf::Net).is_empty(), "{minors:?}");
        }
        assert!(key(&[5], 0, ShareOf::Net).is_empty());
        assert_eq!(key(&[5, 0, -1], 2_000_000, ShareOf::Net), [0], "more than everything");
        assert_eq!(key(&[5, -9], 1_000_000, ShareOf::Gains), [0]);
    }

    #[test]
    fn of_equal_customers_the_lower_id_is_in_and_the_rest_are_counted() {
        let base = of(&[10, 30, 10, 10]);
        let key = base.key(600_000, ShareOf::Net);
        assert_eq!(key.iter().map(|place| place.customer).collect::<Vec<_>>(), [1, 0]);
        assert_eq!((base.tied(2), base.tied(1), base.tied(0), base.tied(9)), (2, 0, 0, 0));
    }

    #[test]
    fn a_curve_of_profit_rises_above_the_whole_where_some_cost_more_than_they_bring() {
        let base = of(&[80, 60, 0, -40]);
        assert_eq!(base.curve(4, ShareOf::Net), [(1, 800_000), (2, 1_400_000), (3, 1_400_000), (4, 1_000_000)]);
        assert_eq!(base.costly().iter().map(|place| place.customer).collect::<Vec<_>>(), [3]);
        assert_eq!(base.curve(1, ShareOf::Gains), [(4, 714_286)]);
        assert!(of(&[]).curve(3, ShareOf::Net).is_empty());
    }

    #[test]
    fn gini_is_zero_for_equals_and_nears_one_for_a_monopoly() {
        assert_eq!(of(&[5, 5, 5]).gini(), Some(0));
        assert_eq!(of(&[0, 0, 0, 12]).gini(), Some(750_000));
        assert_eq!((of(&[]).gini(), of(&[0]).gini(), of(&[1, -1]).gini()), (None, None, None));
    }

    proptest! {
        #[test]
        fn key_customers_reach_the_share_and_one_fewer_does_not(
            minors in proptest::collection::vec(-1_000..10_000_i64, 0..40), share in 1..1_000_000_u32,
        ) {
            for whole in [ShareOf::Net, ShareOf::Gains] {
                let base = of(&minors);
                let wanted = base.whole(whole) * i128::from(share);
                let key = base.key(share, whole);
                if base.whole(whole) > 0 {
                    prop_assert!(base.top(key.len()) * MILLION >= wanted);
                    prop_assert!(base.top(key.len() - 1) * MILLION < wanted);
                } else {
                    prop_assert!(key.is_empty());
                }
            }
        }

        #[test]
        fn the_order_of_the_input_does_not_matter_and_amounts_add_up(
            minors in proptest::collection::vec(any::<i64>(), 0..40),
        ) {
            let base = of(&minors);
            prop_assert_eq!(&base, &Pareto::of(minors.iter().copied().enumerate().rev()));
            prop_assert_eq!(base.whole(ShareOf::Net), minors.iter().map(|minor| i128::from(*minor)).sum::<i128>());
            let costs: i128 = base.costly().iter().map(|place| i128::from(place.minor)).sum();
            prop_assert_eq!(base.whole(ShareOf::Gains) + costs, base.whole(ShareOf::Net));
            prop_assert!(base.gini().is_none_or(|gini| (0..=1_000_000).contains(&gini)));
        }

        #[test]
        fn a_greater_share_takes_no_fewer_customers(
            minors in proptest::collection::vec(-100..1_000_i64, 0..30), less in 0..1_000_000_u32, more in 0..500_000_u32,
        ) {
            let base = of(&minors);
            prop_assert!(base.key(less, ShareOf::Net).len() <= base.key(less + more, ShareOf::Net).len());
        }
    }
}
