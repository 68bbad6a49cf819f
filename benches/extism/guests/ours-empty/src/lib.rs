//! A scorer that is given nothing and says nothing: what remains is the call.

use crm_plugin_sdk::{Batch, Column, Failure, Scorer, register_scorer};

#[derive(Default)]
struct Bench;

impl Scorer for Bench {
    fn score(&self, _: &Batch) -> Result<Vec<Column>, Failure> {
        Ok(vec![Column::numbers(Vec::new())])
    }
}

register_scorer!(Bench {
    name: "bench-empty",
    features: [],
    outputs: ["score": float],
});
