//! A scorer in WASM.

use crm_core::attribute::Attribute;
use crm_core::workflow::{Grants, PluginStamp};
use crm_core::{Currency, SmolStr, Timestamp};
use crm_plugins::{Batch, Cells, Column, Entry, Host, OutputKind, Plugin};

use super::{PluginError, stamp};
use crate::scorer::{ScoreBatch, Scorer};
use crate::workflow::{Breaker, PluginFault};

/// A scorer in WASM.
#[derive(Debug)]
pub struct WasmScorer {
    stamp: PluginStamp,
    grants: Grants,
    /// Those that are granted, and for each that it asks for its place among them.
    attributes: Vec<Attribute>,
    places: Vec<Option<usize>>,
    outputs: Vec<SmolStr>,
    scorer: crm_plugins::Scorer,
}

impl WasmScorer {
    /// Loads one from the bytes of a core module or a component. Parameters that are left out have
    /// their defaults. Compiling takes some tens of milliseconds.
    ///
    /// # Errors
    ///
    /// `PluginError`, with the name of what is wrong.
    pub fn load(host: &Host, wasm: &[u8], params: &[Entry]) -> Result<Self, PluginError> {
        Self::load_granted(host, wasm, params, &Grants::all())
    }

    /// The same with what the shop grants it: a feature that is not granted is missing for every customer, and whoever
    /// objects to its purpose is not scored.
    ///
    /// # Errors
    ///
    /// `PluginError`, with the name of what is wrong.
    pub fn load_granted(host: &Host, wasm: &[u8], params: &[Entry], grants: &Grants) -> Result<Self, PluginError> {
        Self::of(&host.load(wasm)?, params, grants)
    }

    /// One of a plugin that is loaded, such as one of a [`Registry`](super::Registry): whoever keeps it sees what it does
    /// here, and can clear it.
    ///
    /// # Errors
    ///
    /// `PluginError`, with the name of what is wrong.
    pub fn of(plugin: &Plugin, params: &[Entry], grants: &Grants) -> Result<Self, PluginError> {
        if let Some(output) = plugin.manifest().outputs.iter().find(|output| output.kind == OutputKind::Word) {
            return Err(PluginError::Word { plugin: plugin.name().to_owned(), output: output.name.clone() });
        }
        let mut attributes = Vec::new();
        let mut places = Vec::new();
        for (name, attribute) in super::attributes(plugin, plugin.manifest().features.iter())? {
            places.push(grants.features.has(&name).then_some(attributes.len()));
            if grants.features.has(&name) {
                attributes.push(attribute);
            }
        }
        Ok(WasmScorer {
            stamp: stamp(plugin)?,
            grants: grants.clone(),
            attributes,
            places,
            outputs: plugin.manifest().outputs.iter().map(|output| SmolStr::new(&output.name)).collect(),
            scorer: plugin.scorer(params)?,
        })
    }

    /// The plugin behind it, to keep when this is installed: what it has done so far, whether it is in quarantine, and
    /// [the way out](Plugin::clear).
    #[must_use]
    pub fn plugin(&self) -> &Plugin {
        self.scorer.plugin()
    }
}

impl Scorer for WasmScorer {
    fn stamp(&self) -> &PluginStamp {
        &self.stamp
    }

    fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    fn outputs(&self) -> &[SmolStr] {
        &self.outputs
    }

    fn grants(&self) -> Option<&Grants> {
        Some(&self.grants)
    }

    fn asks(&self) -> Vec<SmolStr> {
        self.plugin().manifest().features.iter().map(SmolStr::new).collect()
    }

    fn breaker(&self) -> Breaker {
        super::breaker(self.plugin())
    }

    fn score(&mut self, batch: &ScoreBatch<'_>) -> Result<Vec<Vec<Option<f64>>>, PluginFault> {
        let rows = batch.customers.len();
        // Whole numbers of up to 2^53 are exact as floats, and no count or amount of a shop is larger.
        let column = |place: &Option<usize>| match place {
            Some(place) => Column::floats(batch.columns[*place].iter().map(|cell| cell.map(|cell| cell as f64))),
            None => Column::floats(std::iter::repeat_n(None, rows)),
        };
        let columns = self.places.iter().map(column).collect::<Result<_, _>>();
        let context = score_context(batch.as_of, batch.seed, batch.currency);
        let batch = columns
            .and_then(|columns| Batch::new(rows, context, columns))
            .map_err(|error| PluginFault::new(error.to_string()))?;
        let scores = self.scorer.score(&batch);
        // What it saw may be of another tenant than what it sees next, and comes in any order. A fresh instance costs
        // microseconds, and a batch has a thousand customers.
        self.scorer.forget();
        let columns = scores.map_err(|fault| super::fault(&fault))?;
        Ok(columns.iter().map(|column| (0..rows).map(|row| score(column, row)).collect()).collect())
    }
}

/// What a scorer in WASM is told that is the same for all rows: `as_of_ms`, `seed` as the 64 bits of it, and `currency` by its
/// code.
#[must_use]
pub fn score_context(as_of: Timestamp, seed: u64, currency: Currency) -> Vec<Entry> {
    vec![
        Entry::new("as_of_ms", as_of.as_millis()),
        Entry::new("seed", seed.cast_signed()),
        Entry::new("currency", currency.code()),
    ]
}

/// A cell as a score. Whole numbers are exact up to 2^53, as all of what a plugin is given is; a truth is 1 or 0.
fn score(column: &Column, row: usize) -> Option<f64> {
    if column.is_null(row) {
        return None;
    }
    match column.cells() {
        Cells::Floats(cells) => cells.get(row).copied(),
        Cells::Ints(cells) => cells.get(row).map(|cell| *cell as f64),
        Cells::Booleans(cells) => cells.get(row).map(|cell| f64::from(u8::from(*cell))),
        // Refused when it was loaded.
        Cells::Words { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_and_truths_are_scores_as_floats_are() {
        let scores = |column: &Column| [score(column, 0), score(column, 1), score(column, 2)];
        assert_eq!(scores(&Column::floats([Some(0.5), None]).unwrap()), [Some(0.5), None, None]);
        assert_eq!(scores(&Column::ints([Some(-3), None])), [Some(-3.0), None, None]);
        assert_eq!(scores(&Column::booleans([Some(true), Some(false)])), [Some(1.0), Some(0.0), None]);
    }
}
