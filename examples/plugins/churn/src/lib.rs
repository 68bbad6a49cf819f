//! Scores how likely it is that a customer does not order again within half a year (182 days).
//!
//! A logistic regression on recency, frequency and money, each first brought between 0 and 1 by `x / (x + half)`, so
//! that the hundredth order counts less than the second: `churn = 1 / (1 + e^-z)` with
//! `z = 1.123 + 3.321 r - 4.534 f - 1.183 m`. The coefficients are those of the CDNOW customers in `examples/data`;
//! `tests/fit.rs` fits them again, and says how well they tell customers apart whom they were not fitted on.

use crm_plugin_sdk::{Batch, Column, Failure, Scorer, register_scorer};

/// The constant, and the weights of recency, frequency and money.
pub const COEFFICIENTS: [f64; 4] = [1.123, 3.321, -4.534, -1.183];

/// Where each of the three is half way: 90 days, four orders, and an average order of 30.00.
const HALVES: [f64; 3] = [90.0, 4.0, 3_000.0];

/// See the crate.
#[derive(Debug, Default)]
pub struct Churn;

impl Scorer for Churn {
    fn score(&self, batch: &Batch) -> Result<Vec<Column>, Failure> {
        let recency = batch.floats("recency_days")?;
        let orders = batch.floats("orders")?;
        let average = batch.floats("average_order")?;
        // Who never ordered has no score. An order that is not counted is one; one without an amount was a gift.
        let score =
            |row| Some(churn(recency.get(row)?, orders.get(row).unwrap_or(1.0), average.get(row).unwrap_or(0.0)));
        Ok(vec![batch.map(score)])
    }
}

/// The three features as the model sees them. Money is in minor units.
pub fn features(recency_days: f64, orders: f64, average_order: f64) -> [f64; 3] {
    [saturated(recency_days, HALVES[0]), saturated(orders, HALVES[1]), saturated(average_order, HALVES[2])]
}

/// The score of one customer. Its sums stand in the order in which the same scorer in other languages does them.
fn churn(recency_days: f64, orders: f64, average_order: f64) -> f64 {
    let [recency, frequency, money] = features(recency_days, orders, average_order);
    let [constant, by_recency, by_frequency, by_money] = COEFFICIENTS;
    let z = constant + by_recency * recency + by_frequency * frequency + by_money * money;
    1.0 / (1.0 + libm::exp(-z))
}

/// From 0, at nothing, towards 1; a half at `half`.
fn saturated(amount: f64, half: f64) -> f64 {
    let counted = if amount > 0.0 { amount } else { 0.0 };
    counted / (counted + half)
}

register_scorer!(Churn {
    name: "churn",
    features: ["recency_days", "orders", "average_order"],
    outputs: ["churn": float in 0..=1],
});
