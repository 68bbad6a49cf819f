//! What plugins are tried with: customers and events as shops have them.

use std::sync::Arc;

use crm::plugins::score_context;
use crm::{Currency, PluginName, Timestamp, score_seed};
use crm_plugin_sdk::Batch as Sample;
use crm_plugins::{Answer, Batch, Entry, Lookups, Manifest, TriggerEvent, Value};

use crate::error::Error;

/// What a shop tells a scorer about all rows.
pub(crate) fn context(manifest: &Manifest, as_of: Timestamp, currency: Currency) -> Vec<Entry> {
    // A name that no shop takes is complained of elsewhere.
    let seed = PluginName::new(&manifest.name).map_or(0, |name| score_seed(&name, as_of));
    score_context(as_of, seed, currency)
}

/// Customers as shops have them: numbers of usual size, one cell in ten missing.
pub(crate) fn usual(rows: usize, features: &[String]) -> Result<Batch, Error> {
    let broken = |reason: String| Error::Row { path: "sample".into(), line: 0, reason };
    let sample = Sample::new(rows);
    let sample = features.iter().enumerate().fold(sample, |sample, (place, name)| {
        let cell = |row: usize| {
            let number = (row * (7 + place) + 3) % 400;
            ((row + place) % 10 != 9).then_some(number as f64)
        };
        sample.with(name.as_str(), crm_plugin_sdk::Column::floats((0..rows).map(cell)))
    });
    crm_plugin_harness::batch(&sample, features).map_err(|error| broken(error.to_string()))
}

/// A customer with all that a workflow asks for.
pub(crate) fn customer(manifest: &Manifest) -> Vec<Entry> {
    let feature = |name: &String| match name.as_str() {
        "stage" => Entry::new(name, "purchase"),
        "customer" => Entry::new(name, "5a1e0f42c0ffee00"),
        _ => Entry::new(name, 5),
    };
    let fields = manifest.fields.iter().map(|name| Entry::new(name, "sample"));
    manifest.features.iter().map(feature).chain(fields).collect()
}

/// An event with all the fields that some kind has.
pub(crate) fn event(kind: &str) -> TriggerEvent {
    let texts = [
        "channel",
        "currency",
        "tag",
        "attribute",
        "case",
        "kind",
        "outcome",
        "contract",
        "program",
        "posting",
        "topic",
        "segment",
        "order",
        "list",
        "tie",
        "coupon",
        "reward",
        "badge",
        "tier",
        "purpose",
        "scope",
    ];
    let stages = [Entry::new("from", "purchase"), Entry::new("to", "historical")];
    let numbers = ["items", "total", "lines", "amount", "points", "strength", "expires_at", "minor", "on", "missing"];
    let fields = texts.iter().map(|name| Entry::new(*name, "EUR"));
    let fields = fields.chain(numbers.iter().map(|name| Entry::new(*name, 12_300))).chain(stages);
    let scored = [Entry::new("scorer", "churn"), Entry::new("output", "churn"), Entry::new("value", Value::Float(0.9))];
    TriggerEvent {
        id: "sample".into(),
        kind: kind.into(),
        at_ms: 1_767_225_600_000,
        seed: 1,
        fields: fields.chain(scored).collect(),
    }
}

/// A shop whose sources have nothing.
struct NothingThere;

impl Lookups for NothingThere {
    fn fetch(&self, _: &str, keys: &[&str], _: &str) -> Answer {
        Answer::Values(vec![Value::Null; keys.len()])
    }
}

/// Look-ups in such a shop.
pub(crate) fn nothing_there() -> Arc<dyn Lookups> {
    Arc::new(NothingThere)
}
