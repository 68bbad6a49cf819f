//! Scores how likely it is that a customer does not come back.
//!
//! Someone who ordered every ten days and has been away for fifty is further gone than someone who
//! orders once a year. So recency is measured in the customer's own mean gaps between orders:
//! `churn = 1 / (1 + e^(2 - r))` with `r = recency / gap`, which is 0.12 on the day of an order,
//! 0.5 after two gaps and 0.88 after four.

use crm_plugin_sdk::{Batch, Column, Failure, Scorer, register_scorer};

/// The gap of customers who have too few orders for one of their own, in days.
const TYPICAL_GAP_DAYS: f64 = 60.0;

/// See the crate.
#[derive(Debug, Default)]
pub struct Churn;

impl Scorer for Churn {
    fn score(&self, batch: &Batch) -> Result<Vec<Column>, Failure> {
        let recency = batch.floats("recency_days")?;
        let orders = batch.floats("orders")?;
        let tenure = batch.floats("tenure_days")?;
        Ok(vec![batch.map(|row| Some(churn(recency.get(row)?, orders.get(row), tenure.get(row))))])
    }
}

fn churn(recency: f64, orders: Option<f64>, tenure: Option<f64>) -> f64 {
    let gap = match (orders, tenure) {
        (Some(orders), Some(tenure)) if orders >= 2.0 => (tenure - recency) / (orders - 1.0),
        _ => TYPICAL_GAP_DAYS,
    };
    1.0 / (1.0 + libm::exp(2.0 - recency / gap.max(1.0)))
}

register_scorer!(Churn {
    name: "churn",
    features: ["recency_days", "orders", "tenure_days"],
    outputs: ["churn": float in 0..=1],
});
