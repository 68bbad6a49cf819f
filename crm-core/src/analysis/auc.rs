//! How well scores order customers: the area under the receiver operating characteristic.

use super::outcomes::{AnalysisError, Outcomes};

/// The area under the curve, with how far chance may have moved it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Auc {
    /// The chance that of two customers the one to whom it happened has the higher score, equal scores counting half:
    /// 1 for a perfect order, ½ for none, less for one that is the wrong way round.
    pub area: f64,
    /// The standard error of the area by Hanley and McNeil, who assume exponential scores; about two of them to
    /// either side hold the true area 95 times in a hundred.
    pub standard_error: f64,
}

impl Outcomes {
    /// The area under the curve, by counting pairs: the statistic of Mann and Whitney divided by the number of
    /// pairs. The count is of whole numbers and exact. Costs a walk over the scores.
    ///
    /// Source: J. A. Hanley, B. J. McNeil, "The meaning and use of the area under a receiver operating characteristic
    /// (ROC) curve", Radiology 143 (1982).
    ///
    /// # Errors
    ///
    /// `Empty` without scores, `OneClass` if it happened to all or to none.
    pub fn auc(&self) -> Result<Auc, AnalysisError> {
        let (happened, others) = (self.happened(), self.count() - self.happened());
        if self.count() == 0 {
            return Err(AnalysisError::Empty);
        }
        if happened == 0 || others == 0 {
            return Err(AnalysisError::OneClass { count: self.count() });
        }
        // Twice the statistic, so that half a pair is one. It fits: both are at most 2^60.
        let (mut twice, mut above) = (0_u128, 0_u128);
        for tie in self.ties() {
            twice += tie.others as u128 * (2 * above + tie.happened as u128);
            above += tie.happened as u128;
        }
        let area = twice as f64 / (2 * happened as u128 * others as u128) as f64;
        Ok(Auc { area, standard_error: standard_error(area, happened as f64, others as f64) })
    }
}

fn standard_error(area: f64, happened: f64, others: f64) -> f64 {
    let square = area * area;
    let of_happened = area / (2.0 - area) - square;
    let of_others = 2.0 * square / (1.0 + area) - square;
    let variance = area * (1.0 - area) + (happened - 1.0) * of_happened + (others - 1.0) * of_others;
    (variance.max(0.0) / (happened * others)).sqrt()
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "what is compared is exact")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn auc(happened: &[f64], others: &[f64]) -> Result<f64, AnalysisError> {
        Outcomes::new(happened.to_vec(), others.to_vec())?.auc().map(|auc| auc.area)
    }

    #[test]
    fn a_perfect_order_is_one_none_is_a_half_and_the_wrong_way_round_is_nothing() {
        assert_eq!(auc(&[0.8, 0.9], &[0.1, 0.2, 0.3]), Ok(1.0));
        assert_eq!(auc(&[0.5, 0.5], &[0.5]), Ok(0.5));
        assert_eq!(auc(&[0.1], &[0.2]), Ok(0.0));
        assert_eq!(auc(&[], &[]), Err(AnalysisError::Empty));
        assert_eq!(auc(&[0.1, 0.2], &[]), Err(AnalysisError::OneClass { count: 2 }));
        assert_eq!(auc(&[], &[0.1]), Err(AnalysisError::OneClass { count: 1 }));
    }

    /// The example of the paper: 58 normal and 51 abnormal images of computed tomography, rated from 1 to 5. The
    /// paper gives 0.893, and 0.032 as the standard error that it works out from this area.
    #[test]
    fn the_radiologist_of_hanley_and_mcneil_has_an_area_of_0_893() {
        let rated = |counts: [usize; 5]| -> Vec<f64> {
            (1..).zip(counts).flat_map(|(rating, count)| std::iter::repeat_n(f64::from(rating), count)).collect()
        };
        let auc = Outcomes::new(rated([3, 2, 2, 11, 33]), rated([33, 6, 6, 11, 2])).unwrap().auc().unwrap();
        assert!((auc.area - 0.893).abs() < 0.000_5, "{auc:?}");
        assert!((auc.standard_error - 0.032).abs() < 0.000_5, "{auc:?}");
    }

    proptest! {
        /// Every pair is looked at.
        #[test]
        fn the_area_is_the_share_of_pairs_in_the_right_order(
            happened in prop::collection::vec(0..20_i32, 1..40),
            others in prop::collection::vec(0..20_i32, 1..40),
        ) {
            let mut halves = 0_u32;
            for one in &happened {
                halves += others.iter().map(|other| 1 + u32::from(one > other) - u32::from(one < other)).sum::<u32>();
            }
            let naive = f64::from(halves) / (2 * happened.len() * others.len()) as f64;
            let scores = |of: &[i32]| of.iter().map(|score| f64::from(*score) / 7.0).collect::<Vec<_>>();
            let outcomes = Outcomes::new(scores(&happened), scores(&others)).unwrap();
            prop_assert_eq!(outcomes.auc().unwrap().area.to_bits(), naive.to_bits());
            // The other way round it is the rest.
            let reversed = Outcomes::new(scores(&others), scores(&happened)).unwrap().auc().unwrap().area;
            prop_assert!((reversed + naive - 1.0).abs() < 1e-12);
        }

        /// Only the order of scores counts.
        #[test]
        fn the_area_stays_when_scores_are_stretched(
            happened in prop::collection::vec(-1e6..1e6_f64, 1..30),
            others in prop::collection::vec(-1e6..1e6_f64, 1..30),
        ) {
            let stretched = |of: &[f64]| of.iter().map(|score| score * 8.0).collect::<Vec<_>>();
            let one = Outcomes::new(happened.clone(), others.clone()).unwrap().auc().unwrap();
            let other = Outcomes::new(stretched(&happened), stretched(&others)).unwrap().auc().unwrap();
            prop_assert_eq!(one, other);
            prop_assert!(one.standard_error.is_finite() && one.standard_error >= 0.0);
        }
    }
}
