//! What is measured of scores, beside what scikit-learn 1.9.1 and SciPy 1.17.1 measure of the same rows:
//!
//! ```python
//! i = np.arange(500)
//! s = (i * 37 % 101) / 100
//! y = ((i * i * 13 + 5 * i) % 19 < 19 * s * 0.6).astype(int)
//! t = (i * i % 23) / 22
//! roc_auc_score(y, s), brier_score_loss(y, s), calibration_curve(y, s, n_bins=10, strategy="uniform")
//! spearmanr(s, t).statistic, [np.quantile(abs(t - s), q, method="inverted_cdf") for q in (.5, .9, .99, .999)]
//! ```
//!
//! The sizes of the bins and the expected calibration error are of NumPy, over the same edges.
#![allow(clippy::unwrap_used, clippy::float_cmp, reason = "a panic is how a test fails, and whole numbers are exact")]

use crm_core::analysis::{Outcomes, Pairs};

const ROWS: u32 = 500;

fn score(i: u32) -> f64 {
    f64::from(i * 37 % 101) / 100.0
}

fn happened(i: u32) -> bool {
    f64::from((i * i * 13 + 5 * i) % 19) < 19.0 * score(i) * 0.6
}

fn rows() -> Outcomes {
    let of = |kind: bool| (0..ROWS).filter(move |i| happened(*i) == kind).map(score).collect();
    Outcomes::new(of(true), of(false)).unwrap()
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
}

#[test]
fn the_area_under_the_curve_is_that_of_scikit_learn() {
    let outcomes = rows();
    assert_eq!((outcomes.count(), outcomes.happened()), (500, 187));
    near(outcomes.auc().unwrap().area, 0.706_053_202_576_412_6);
    // The statistic of Mann and Whitney, by SciPy.
    near(outcomes.auc().unwrap().area * 187.0 * 313.0, 41_326.0);
}

#[test]
fn calibration_is_that_of_scikit_learn() {
    let found = rows().calibration(10).unwrap();
    near(found.brier, 0.237_607_8);
    near(found.expected_error, 0.148_62);
    let rates = [6.0 / 55.0, 10.0 / 49.0, 10.0 / 49.0, 0.26, 0.38, 17.0 / 49.0, 24.0 / 49.0, 0.6, 0.6, 28.0 / 49.0];
    let means = [
        0.05,
        0.154_693_877_551_020_46,
        0.254_693_877_551_020_4,
        0.355,
        0.455,
        0.555_306_122_448_979_6,
        0.655_306_122_448_979_6,
        0.755,
        0.855,
        0.955_918_367_346_938_8,
    ];
    for (bin, (rate, mean)) in found.bins.iter().zip(rates.into_iter().zip(means)) {
        near(bin.rate().unwrap(), rate);
        near(bin.mean_score.unwrap(), mean);
    }
    let sizes: Vec<usize> = found.bins.iter().map(|bin| bin.customers).collect();
    assert_eq!(sizes, [55, 49, 49, 50, 50, 49, 49, 50, 50, 49]);
}

#[test]
fn rank_correlation_and_quantiles_are_those_of_scipy_and_numpy() {
    let other = |i: u32| f64::from(i * i % 23) / 22.0;
    let found = Pairs::new((0..ROWS).map(score).collect(), (0..ROWS).map(other).collect()).unwrap();
    let found = found.differences().unwrap();
    near(found.rank_correlation.unwrap(), -0.031_660_909_661_133_23);
    near(found.mean_distance, 0.342_012_727_272_727_25);
    near(found.max_distance, 0.99);
    let expected = [0.299_090_909_090_909_1, 0.707_272_727_272_727_3, 0.879_090_909_090_909, 0.99];
    for ((_, distance), expected) in found.quantiles.into_iter().zip(expected) {
        near(distance, expected);
    }
}

#[test]
fn the_deciles_hold_all_rows_and_gain_all_that_happened() {
    let gains = rows().gains(10).unwrap();
    assert!(gains.iter().all(|group| group.customers == 50));
    near(gains.iter().map(|group| group.happened).sum(), 187.0);
    assert_eq!((gains[9].gained, gains[9].lift_so_far, gains[9].lowest), (1.0, 1.0, 0.0));
    assert!(gains[0].lift > 1.4 && gains[9].lift < 0.4, "{gains:?}");
}
