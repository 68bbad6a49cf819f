//! The scorer's logic, tested natively: no host is needed.

use churn::Churn;
use crm_plugin_sdk::{Batch, Column, Scorer};

/// The score of one customer, rounded to hundredths.
fn score(recency: Option<f64>, orders: Option<i64>, average: Option<f64>) -> Option<f64> {
    let batch = Batch::new(1)
        .with("recency_days", Column::floats([recency]))
        .with("orders", Column::ints([orders]))
        .with("average_order", Column::floats([average]));
    let columns = Churn.score(&batch).unwrap();
    columns[0].float(0).map(|score| (score * 100.0).round() / 100.0)
}

#[test]
fn who_has_been_away_longer_is_likelier_gone() {
    let scores = [0.0, 30.0, 90.0, 365.0].map(|days| score(Some(days), Some(3), Some(3_000.0)).unwrap());
    assert_eq!(scores, [0.2, 0.36, 0.56, 0.78]);
}

#[test]
fn who_ordered_often_or_much_is_likelier_to_return() {
    let once = score(Some(60.0), Some(1), Some(3_000.0)).unwrap();
    let often = score(Some(60.0), Some(12), Some(3_000.0)).unwrap();
    let much = score(Some(60.0), Some(1), Some(30_000.0)).unwrap();
    assert_eq!((once, often, much), (0.72, 0.18, 0.62));
}

#[test]
fn what_is_not_known_counts_as_the_least() {
    assert_eq!(score(Some(60.0), None, None), score(Some(60.0), Some(1), Some(0.0)));
}

#[test]
fn who_never_ordered_has_no_score() {
    assert_eq!(score(None, Some(0), None), None);
}

#[test]
fn odd_histories_stay_within_the_range() {
    for recency in [f64::MIN, -1.0, 0.0, f64::MAX] {
        for orders in [i64::MIN, 0, i64::MAX] {
            for average in [f64::MIN, -0.0, f64::MAX] {
                let score = score(Some(recency), Some(orders), Some(average)).unwrap();
                assert!((0.0..=1.0).contains(&score), "{recency} {orders} {average}: {score}");
            }
        }
    }
}
