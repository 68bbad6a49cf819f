//! Whether scores are chances: of those with a score of 0.3, it should happen to three in ten.

use super::outcomes::{AnalysisError, Outcomes};

/// How many bins there may be.
pub const BINS_MAX: usize = 1_000;

/// Scores that are chances, held against how often it happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// The mean square of the distance between a score and what happened, which is 1 or 0: nothing is perfect, and what
    /// everybody having the rate of all would get is [`of_rate`](Self::of_rate). Source: G. W. Brier, "Verification of
    /// forecasts expressed in terms of probability", Monthly Weather Review 78 (1950); here for one outcome, which is
    /// half of what he adds up over both.
    pub brier: f64,
    /// The Brier score of giving everybody the rate of all.
    pub of_rate: f64,
    /// The expected calibration error: the mean over all customers of how far their bin's mean score is from how often
    /// it happened in it. Source: M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities
    /// using Bayesian binning", AAAI 2015.
    pub expected_error: f64,
    /// The bins, lowest scores first, empty ones included.
    pub bins: Vec<CalibrationBin>,
}

/// The customers whose scores are in one bin of equal width, its upper end included; the lowest one holds 0 too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrationBin {
    /// Its upper end.
    pub upper: f64,
    /// How many customers are in it.
    pub customers: usize,
    /// To how many of them it happened.
    pub happened: usize,
    /// The mean of their scores; none in an empty bin.
    pub mean_score: Option<f64>,
}

impl CalibrationBin {
    /// To which share it happened; none in an empty bin.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        (self.customers > 0).then(|| self.happened as f64 / self.customers as f64)
    }
}

impl Outcomes {
    /// Holds scores against how often it happened, in so many bins of equal width from 0 to 1; ten are usual. Costs a
    /// walk over the scores.
    ///
    /// # Errors
    ///
    /// `Empty` without scores, `NotProbability` for one below 0 or above 1, `Groups` for no bins or more than
    /// [`BINS_MAX`].
    pub fn calibration(&self, bins: usize) -> Result<Calibration, AnalysisError> {
        let count = self.count();
        if count == 0 {
            return Err(AnalysisError::Empty);
        }
        if !(1..=BINS_MAX).contains(&bins) {
            return Err(AnalysisError::Groups { groups: bins, count, max: BINS_MAX });
        }
        let mut found = vec![(0_usize, 0_usize, 0.0_f64); bins];
        let (mut squares, mut bin) = (0.0, bins - 1);
        for tie in self.ties() {
            if !(0.0..=1.0).contains(&tie.score) {
                return Err(AnalysisError::NotProbability { score: tie.score });
            }
            // Scores fall, and bins with them.
            while bin > 0 && tie.score <= bin as f64 / bins as f64 {
                bin -= 1;
            }
            let (happened, others) = (tie.happened as f64, tie.others as f64);
            let (customers, of_them, sum) = &mut found[bin];
            *customers += tie.happened + tie.others;
            *of_them += tie.happened;
            *sum += tie.score * (happened + others);
            squares += happened * (1.0 - tie.score) * (1.0 - tie.score) + others * tie.score * tie.score;
        }
        let bin = |(n, (customers, happened, sum)): (usize, (usize, usize, f64))| CalibrationBin {
            upper: (n + 1) as f64 / bins as f64,
            customers,
            happened,
            mean_score: (customers > 0).then(|| sum / customers as f64),
        };
        let bins: Vec<CalibrationBin> = found.into_iter().enumerate().map(bin).collect();
        let distance = |bin: &CalibrationBin| Some(bin.customers as f64 * (bin.rate()? - bin.mean_score?).abs());
        let expected_error = bins.iter().filter_map(distance).sum::<f64>() / count as f64;
        let rate = self.happened() as f64 / count as f64;
        Ok(Calibration { brier: squares / count as f64, of_rate: rate * (1.0 - rate), expected_error, bins })
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "what is compared is exact")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn chances_that_come_true_as_often_as_they_say_have_no_error() {
        let calibration = Outcomes::new(vec![0.25, 0.75, 0.75, 0.75], vec![0.25, 0.25, 0.25, 0.75]).unwrap();
        let calibration = calibration.calibration(10).unwrap();
        assert_eq!((calibration.expected_error, calibration.of_rate), (0.0, 0.25));
        assert_eq!(calibration.brier, 0.1875);
        let of = |n: usize| (calibration.bins[n].customers, calibration.bins[n].rate(), calibration.bins[n].mean_score);
        assert_eq!((of(2), of(7), of(0)), ((4, Some(0.25), Some(0.25)), (4, Some(0.75), Some(0.75)), (0, None, None)));
    }

    #[test]
    fn a_bin_holds_its_upper_end_and_the_lowest_one_nothing_too() {
        let calibration = Outcomes::new(vec![0.0, 0.1, 1.0], vec![0.2, 0.3, 0.7]).unwrap().calibration(10).unwrap();
        let customers: Vec<usize> = calibration.bins.iter().map(|bin| bin.customers).collect();
        assert_eq!(customers, [2, 1, 1, 0, 0, 0, 1, 0, 0, 1]);
    }

    #[test]
    fn what_is_no_chance_says_so() {
        let score = |score: f64| Outcomes::new(vec![score], vec![0.5]).unwrap().calibration(10);
        assert_eq!(score(1.5), Err(AnalysisError::NotProbability { score: 1.5 }));
        assert_eq!(score(-0.5), Err(AnalysisError::NotProbability { score: -0.5 }));
        let outcomes = Outcomes::new(vec![1.0], vec![]).unwrap();
        assert!(matches!(outcomes.calibration(0), Err(AnalysisError::Groups { .. })));
        assert!(matches!(outcomes.calibration(usize::MAX), Err(AnalysisError::Groups { .. })));
        assert_eq!(Outcomes::default().calibration(10), Err(AnalysisError::Empty));
        assert_eq!(outcomes.calibration(1).unwrap().brier, 0.0, "one class is no matter here");
    }

    proptest! {
        /// Against looking at every customer in every bin.
        #[test]
        fn calibration_is_that_of_a_walk_customer_by_customer(
            rows in prop::collection::vec((0..=60_u32, any::<bool>()), 1..100),
            bins in 1..15_usize,
        ) {
            let rows: Vec<(f64, bool)> = rows.into_iter().map(|(n, happened)| (f64::from(n) / 60.0, happened)).collect();
            let of = |kind: bool| rows.iter().filter(move |(_, happened)| *happened == kind).map(|(score, _)| *score);
            let found = Outcomes::new(of(true).collect(), of(false).collect()).unwrap().calibration(bins).unwrap();
            let square = |(score, happened): &(f64, bool)| (f64::from(u8::from(*happened)) - score).powi(2);
            let brier = rows.iter().map(square).sum::<f64>() / rows.len() as f64;
            prop_assert!((found.brier - brier).abs() < 1e-12);
            let mut error = 0.0;
            for (n, bin) in found.bins.iter().enumerate() {
                let (lower, upper) = (n as f64 / bins as f64, (n + 1) as f64 / bins as f64);
                let is_in = |score: f64| score <= upper && (score > lower || n == 0);
                let members: Vec<_> = rows.iter().filter(|(score, _)| is_in(*score)).collect();
                prop_assert_eq!(bin.customers, members.len());
                prop_assert_eq!(bin.happened, members.iter().filter(|(_, happened)| *happened).count());
                let sum: f64 = members.iter().map(|(score, _)| score).sum();
                error += (bin.happened as f64 - sum).abs();
            }
            prop_assert!((found.expected_error - error / rows.len() as f64).abs() < 1e-9);
        }
    }
}
