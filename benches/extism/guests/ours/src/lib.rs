//! The three models as a scorer of ours. The parameter `model` says which.

use bench_models::{FEATURES, Linear, Logistic, Model, Trees};
use crm_plugin_sdk::{Batch, Column, Entries, Failure, Scorer, register_scorer};

#[derive(Default)]
struct Bench(Option<Box<dyn Model>>);

const NAMES: [&str; FEATURES] = ["a", "b", "c", "d", "e", "f"];

impl Scorer for Bench {
    fn configure(&mut self, params: &Entries) -> Result<(), Failure> {
        self.0 = Some(match params.text("model") {
            Some("linear") => Box::new(Linear),
            Some("logistic") => Box::new(Logistic),
            Some("trees") => Box::new(Trees::new()),
            _ => return Err(Failure::new("no-such-model", "linear, logistic or trees")),
        });
        Ok(())
    }

    fn score(&self, batch: &Batch) -> Result<Vec<Column>, Failure> {
        let cells = NAMES.map(|name| batch.floats(name));
        let mut columns: [&[f64]; FEATURES] = [&[]; FEATURES];
        for ((column, cells), name) in columns.iter_mut().zip(&cells).zip(NAMES) {
            let cells = cells.as_ref().map_err(Clone::clone)?;
            *column = cells.all().ok_or_else(|| Failure::new("missing-cells", name))?;
        }
        let model = self.0.as_ref().ok_or_else(|| Failure::new("not-configured", ""))?;
        Ok(vec![Column::numbers(model.score(&columns))])
    }
}

register_scorer!(Bench {
    name: "bench",
    features: ["a", "b", "c", "d", "e", "f"],
    outputs: ["score": float],
    params: ["model": text],
});
