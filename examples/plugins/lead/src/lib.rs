//! Scores how likely a customer is to order within the next 30 days: whom to call first.
//!
//! Boosted trees, whose model is the file `lead.trees` beside the sources. `tests/fit.rs` makes it out of the orders of
//! a wholesaler in `examples/data`, and says how well it ranks a month that it has not seen. To bring a model of your own,
//! put it in the file's place: [`Trees::read`] says what is in it.

mod trees;

use crm_plugin_sdk::{Batch, Column, Entries, Failure, Scorer, register_scorer};

pub use trees::{Trees, TreesError};

/// What the model asks about, in the order of its file.
pub const FEATURES: [&str; 6] = ["recency_days", "tenure_days", "orders", "refunds", "spend", "average_order"];

/// The model.
pub const MODEL: &[u8] = include_bytes!("../lead.trees");

/// See the crate.
#[derive(Debug, Default)]
pub struct Lead(Option<Trees>);

impl Scorer for Lead {
    fn configure(&mut self, _: &Entries) -> Result<(), Failure> {
        let trees = Trees::read(MODEL).map_err(|error| Failure::new("bad-model", error.to_string()))?;
        if trees.features() != FEATURES.len() {
            return Err(Failure::new("bad-model", "the model asks about other features"));
        }
        self.0 = Some(trees);
        Ok(())
    }

    fn score(&self, batch: &Batch) -> Result<Vec<Column>, Failure> {
        let trees = self.0.as_ref().ok_or_else(|| Failure::new("not-configured", "score before configure"))?;
        let mut columns = Vec::new();
        for name in FEATURES {
            columns.push(batch.floats(name)?);
        }
        // What is missing counts as less than everything, as it did when the model was made.
        let mut row_of = [f64::NEG_INFINITY; FEATURES.len()];
        Ok(vec![batch.map(|row| {
            for (cell, column) in row_of.iter_mut().zip(&columns) {
                *cell = column.get(row).unwrap_or(f64::NEG_INFINITY);
            }
            Some(1.0 / (1.0 + libm::exp(-trees.sum(&row_of))))
        })])
    }
}

register_scorer!(Lead {
    name: "lead",
    features: ["recency_days", "tenure_days", "orders", "refunds", "spend", "average_order"],
    outputs: ["lead": float in 0..=1],
});
