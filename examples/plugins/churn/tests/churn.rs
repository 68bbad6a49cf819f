//! The scorer's logic, tested natively: no host is needed.

use churn::Churn;
use crm_plugin_sdk::{Batch, Column, Scorer};

/// The score of one customer, rounded to hundredths.
fn score(recency: Option<f64>, orders: Option<i64>, tenure: Option<f64>) -> Option<f64> {
    let batch = Batch::new(1)
        .with("recency_days", Column::floats([recency]))
        .with("orders", Column::ints([orders]))
        .with("tenure_days", Column::floats([tenure]));
    let columns = Churn.score(&batch).unwrap();
    columns[0].float(0).map(|score| (score * 100.0).round() / 100.0)
}

#[test]
fn two_of_the_customers_own_gaps_are_even_odds() {
    // Eleven orders in 100 days: a gap of 10.
    assert_eq!(score(Some(0.0), Some(11), Some(100.0)), Some(0.12));
    assert_eq!(score(Some(20.0), Some(11), Some(120.0)), Some(0.5));
    assert_eq!(score(Some(40.0), Some(11), Some(140.0)), Some(0.88));
}

#[test]
fn a_slow_customer_is_not_gone_when_a_fast_one_is() {
    let fast = score(Some(50.0), Some(11), Some(150.0));
    let slow = score(Some(50.0), Some(3), Some(750.0));
    assert!(fast > Some(0.9) && slow < Some(0.2), "{fast:?} {slow:?}");
}

#[test]
fn a_single_order_is_measured_by_the_typical_gap() {
    assert_eq!(score(Some(120.0), Some(1), Some(120.0)), Some(0.5));
    assert_eq!(score(Some(120.0), None, None), Some(0.5));
}

#[test]
fn who_never_ordered_has_no_score() {
    assert_eq!(score(None, Some(0), Some(30.0)), None);
}

#[test]
fn odd_histories_stay_within_the_range() {
    // All orders on one day, and a record that claims less time than has passed since the last.
    assert_eq!(score(Some(1000.0), Some(5), Some(1000.0)), Some(1.0));
    assert_eq!(score(Some(30.0), Some(2), Some(10.0)), Some(1.0));
}
