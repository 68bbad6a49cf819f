//! Two scores of each customer: how much a new scorer says otherwise.

use super::outcomes::AnalysisError;

/// An old and a new score of each of some customers. Sixteen bytes for each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pairs {
    old: Vec<f64>,
    new: Vec<f64>,
}

/// How new scores differ from old ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Differences {
    /// How many pairs there are.
    pub pairs: usize,
    /// How many of them differ at all.
    pub differ: usize,
    /// The mean of new less old: to which side they moved together.
    pub mean: f64,
    /// The mean of how far they moved, to whichever side.
    pub mean_distance: f64,
    /// How far one moved at most.
    pub max_distance: f64,
    /// How far half of them, nine in ten, 99 and 999 in a thousand moved at most: each with the smallest distance that
    /// so many do not exceed (the nearest rank).
    pub quantiles: [(f64, f64); 4],
    /// Spearman's rank correlation: 1 when the order is the same, -1 when it is the other way round. None when all
    /// old or all new scores are equal, since then there is no order.
    pub rank_correlation: Option<f64>,
}

impl Pairs {
    /// The shares of which [`Differences::quantiles`] tells.
    const SHARES: [(f64, usize, usize); 4] = [(0.5, 1, 2), (0.9, 9, 10), (0.99, 99, 100), (0.999, 999, 1_000)];

    /// Takes scores: those at one place are of one customer.
    ///
    /// # Errors
    ///
    /// `Lengths` if there are more of one kind, `NotFinite` if one of them is not.
    pub fn new(old: Vec<f64>, new: Vec<f64>) -> Result<Self, AnalysisError> {
        if old.len() != new.len() {
            return Err(AnalysisError::Lengths { old: old.len(), new: new.len() });
        }
        if old.iter().chain(&new).any(|score| !score.is_finite()) {
            return Err(AnalysisError::NotFinite);
        }
        Ok(Pairs { old, new })
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.old.len()
    }

    /// How they differ. Costs sorting them four times.
    ///
    /// Source of the rank correlation: C. Spearman, "The proof and measurement of association between two things",
    /// American Journal of Psychology 15 (1904).
    ///
    /// # Errors
    ///
    /// `Empty` without pairs, `NotFinite` if two are farther apart than a float can say.
    pub fn differences(&self) -> Result<Differences, AnalysisError> {
        let pairs = self.count();
        if pairs == 0 {
            return Err(AnalysisError::Empty);
        }
        let mut moved: Vec<f64> = self.old.iter().zip(&self.new).map(|(old, new)| new - old).collect();
        let mut distances: Vec<f64> = moved.iter().copied().map(f64::abs).collect();
        // Floats are added up in the order of their size, so that the order of customers does not show in the last digit.
        moved.sort_unstable_by(f64::total_cmp);
        distances.sort_unstable_by(f64::total_cmp);
        let (sum, sum_of_distances) = (moved.iter().sum::<f64>(), distances.iter().sum::<f64>());
        if !sum.is_finite() || !sum_of_distances.is_finite() {
            return Err(AnalysisError::NotFinite);
        }
        let nearest = |(share, part, whole): (f64, usize, usize)| {
            let rank = (pairs as u128 * part as u128).div_ceil(whole as u128);
            (share, usize::try_from(rank).ok().and_then(|rank| distances.get(rank - 1)).copied().unwrap_or_default())
        };
        Ok(Differences {
            pairs,
            differ: distances.iter().filter(|distance| **distance > 0.0).count(),
            mean: sum / pairs as f64,
            mean_distance: sum_of_distances / pairs as f64,
            max_distance: distances.last().copied().unwrap_or_default(),
            quantiles: Self::SHARES.map(nearest),
            rank_correlation: correlation(&twice_ranks(&self.old), &twice_ranks(&self.new)),
        })
    }
}

/// Twice the rank of each, counted from 1, less the mean of all ranks: equal ones share the mean of their ranks, and
/// twice a mean is whole. They add up to nothing.
fn twice_ranks(scores: &[f64]) -> Vec<i64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|one, other| scores[*one].total_cmp(&scores[*other]));
    let mut ranks = vec![0; scores.len()];
    let mut before = 0_i64;
    // Negative zero and zero are one score.
    for tied in order.chunk_by(|one, other| scores[*one].partial_cmp(&scores[*other]).is_some_and(|o| o.is_eq())) {
        let twice = 2 * before + 1 + tied.len() as i64;
        tied.iter().for_each(|place| ranks[*place] = twice - 1 - scores.len() as i64);
        before += tied.len() as i64;
    }
    ranks
}

/// Pearson's correlation of numbers that add up to nothing, from sums of whole numbers.
fn correlation(one: &[i64], other: &[i64]) -> Option<f64> {
    let product =
        |one: &[i64], other: &[i64]| one.iter().zip(other).map(|(a, b)| i128::from(*a) * i128::from(*b)).sum::<i128>();
    let (across, of_one, of_other) = (product(one, other), product(one, one), product(other, other));
    // Where nothing is tied both are the same number, and the correlation of equal orders is 1 exactly.
    let scale = if of_one == of_other { of_one as f64 } else { (of_one as f64).sqrt() * (of_other as f64).sqrt() };
    (of_one > 0 && of_other > 0).then(|| across as f64 / scale)
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "what is compared is exact")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn differences(old: &[f64], new: &[f64]) -> Result<Differences, AnalysisError> {
        Pairs::new(old.to_vec(), new.to_vec())?.differences()
    }

    #[test]
    fn equal_scores_do_not_differ() {
        let same = differences(&[0.1, 0.2, 0.3], &[0.1, 0.2, 0.3]).unwrap();
        assert_eq!((same.pairs, same.differ, same.max_distance, same.rank_correlation), (3, 0, 0.0, Some(1.0)));
        let turned = differences(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]).unwrap();
        assert_eq!((turned.differ, turned.mean, turned.rank_correlation), (2, 0.0, Some(-1.0)));
        assert_eq!(turned.mean_distance, 4.0 / 3.0);
        assert_eq!(differences(&[1.0, 1.0], &[1.0, 2.0]).unwrap().rank_correlation, None);
    }

    #[test]
    fn what_does_not_pair_says_why() {
        assert_eq!(differences(&[], &[]), Err(AnalysisError::Empty));
        assert_eq!(differences(&[1.0], &[]), Err(AnalysisError::Lengths { old: 1, new: 0 }));
        assert_eq!(differences(&[1.0], &[f64::NAN]), Err(AnalysisError::NotFinite));
        assert_eq!(differences(&[f64::MAX], &[f64::MIN]), Err(AnalysisError::NotFinite));
    }

    #[test]
    fn quantiles_are_distances_that_so_many_do_not_exceed() {
        let new: Vec<f64> = (1..=100).map(f64::from).collect();
        let found = differences(&[0.0; 100], &new).unwrap();
        assert_eq!(found.quantiles, [(0.5, 50.0), (0.9, 90.0), (0.99, 99.0), (0.999, 100.0)]);
        assert_eq!((found.mean, found.max_distance), (50.5, 100.0));
    }

    proptest! {
        /// In whatever order the customers come.
        #[test]
        fn the_order_of_pairs_does_not_matter(
            rows in prop::collection::vec((-1.0..1.0_f64, -1.0..1.0_f64), 1..60),
            turned in any::<prop::sample::Index>(),
        ) {
            let found = |rows: &[(f64, f64)]| {
                let (old, new): (Vec<f64>, Vec<f64>) = rows.iter().copied().unzip();
                differences(&old, &new).unwrap()
            };
            let mut others = rows.clone();
            others.rotate_left(turned.index(rows.len()));
            others[..rows.len() / 2].reverse();
            prop_assert_eq!(found(&rows), found(&others));
        }

        /// Against ranks counted one by one, each against all others, and Pearson's formula over them.
        #[test]
        fn the_rank_correlation_is_that_of_ranks_counted_one_by_one(
            rows in prop::collection::vec((0..12_i32, 0..12_i32), 2..60),
        ) {
            let ranks = |of: &dyn Fn(&(i32, i32)) -> i32| -> Vec<f64> {
                rows.iter().map(|row| {
                    let below = rows.iter().filter(|other| of(other) < of(row)).count();
                    let equal = rows.iter().filter(|other| of(other) == of(row)).count();
                    below as f64 + (equal as f64 + 1.0) / 2.0
                }).collect()
            };
            let (old, new) = (ranks(&|row| row.0), ranks(&|row| row.1));
            let mean = (rows.len() as f64 + 1.0) / 2.0;
            let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
            let naive = product(&old, &new) / (product(&old, &old) * product(&new, &new)).sqrt();
            let scores = |of: &dyn Fn(&(i32, i32)) -> i32| rows.iter().map(|row| f64::from(of(row)) / 3.0).collect();
            let found = Pairs::new(scores(&|row| row.0), scores(&|row| row.1)).unwrap().differences().unwrap();
            match found.rank_correlation {
                Some(correlation) => prop_assert!((correlation - naive).abs() < 1e-9),
                None => prop_assert!(naive.is_nan()),
            }
        }
    }
}
