//! What a plugin costs in our host, in Extism and as native code: the same models over the same 1,024
//! customers, in turn in one run.
//!
//! ```sh
//! cd benches/extism && cargo run --release
//! ```
//!
//! With names after it (`linear`, `logistic`, `trees`, `empty`, `workflow`) only those.
//!
//! Each way begins with columns and ends with a column of scores. Extism moves bytes, so there the input is
//! written and the answer read as JSON (of rows, of columns) or as packed bytes, by host and guest; *ready input*
//! leaves the host's part out. Neither host has anything else to do: one instance for all batches, and for Extism
//! no deadline, which ours has.
//!
//! *Native Rust* is a loop over slices, and what the limits are held against. *Native, same contract* is given a batch,
//! finds its columns by their names and returns a checked column, as a plugin does.

mod formats;
mod turns;

use std::error::Error;
use std::path::Path;

use bench_models::{Columns, FEATURES, Linear, Logistic, Model, Trees};
use crm_plugins::{Batch, Cells, Column, Entry, Host, Limits, Plugin, Scorer, TriggerEvent};
use extism::{CompiledPlugin, Manifest, PluginBuilder, Wasm};

use formats::{Format, NAMES};
use turns::Turns;

const ROWS: usize = 1_024;

type Failed = Box<dyn Error>;

fn main() -> Result<(), Failed> {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/Cargo.toml");
    let ours = guest_build::build_in(&guests, "bench-ours")?;
    let simd = guest_build::build_simd_in(&guests, "bench-ours")?;
    let empty = guest_build::build_in(&guests, "bench-ours-empty")?;
    let workflow = guest_build::build_in(&guests, "bench-ours-workflow")?;
    let theirs = guest_build::build_in(&guests, "bench-theirs")?;
    println!(
        "guests: ours {} bytes, simd128 {}, workflow {}, Extism's {}",
        ours.len(),
        simd.len(),
        workflow.len(),
        theirs.len()
    );

    let host = Host::new(Limits::default())?;
    let guests = Guests { plain: host.load(&ours)?, simd: host.load(&simd)?, theirs: compiled(&theirs)? };
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let is_asked = |name: &str| asked.is_empty() || asked.iter().any(|asked| asked == name);
    let mut held = true;
    let models: [(&str, &dyn Model, [f64; 2]); 3] =
        [("linear", &Linear, [4.5, 3.5]), ("logistic", &Logistic, [3.5, 3.5]), ("trees", &Trees::new(), [1.9, 1.9])];
    for (name, model, limits) in models {
        held &= !is_asked(name) || guests.compare(name, model, limits)?;
    }
    held &= !is_asked("empty") || empty_calls(&host.load(&empty)?, &guests.theirs)?;
    held &= !is_asked("workflow") || workflow_calls(&host.load(&workflow)?, &guests.theirs)?;
    println!("\n{}", if held { "all limits hold" } else { "a limit does not hold" });
    Ok(())
}

fn compiled(wasm: &[u8]) -> Result<CompiledPlugin, Failed> {
    let manifest = Manifest::new([Wasm::data(wasm)]);
    Ok(CompiledPlugin::new(PluginBuilder::new(manifest))?)
}

/// The models as plugins.
struct Guests {
    plain: Plugin,
    simd: Plugin,
    theirs: CompiledPlugin,
}

impl Guests {
    /// Scores the same columns in all ways. The limits are those of a plain guest and of one with vector code,
    /// as multiples of native code.
    fn compare(&self, name: &str, model: &dyn Model, limits: [f64; 2]) -> Result<bool, Failed> {
        let cells = cells();
        let columns: Columns<'_> = std::array::from_fn(|column| cells[column].as_slice());
        let expected = model.score(&columns);
        let batch = batch(&cells)?;
        let mut plain = scorer(&self.plain, name)?;
        let mut simd = scorer(&self.simd, name)?;
        for scorer in [&mut plain, &mut simd] {
            let scores = scorer.score(&batch)?;
            if (0..ROWS).any(|row| scores[0].float(row) != expected.get(row).copied()) {
                return Err(format!("the {name} plugin and native code disagree").into());
            }
        }
        let mut theirs = extism::Plugin::new_from_compiled(&self.theirs)?;
        let inputs = Format::ALL.map(|format| format.write(&columns));
        for (format, input) in Format::ALL.iter().zip(&inputs) {
            let scores = format.read(theirs.call(format.function(name), input.as_slice())?)?;
            // The JSON reader of host and guest is the fast one, which may miss the last digit.
            let is_close = |(score, expected): (&f64, &f64)| (score - expected).abs() <= 1e-12;
            if scores.len() != ROWS || !scores.iter().zip(&expected).all(is_close) {
                return Err(format!("Extism's {name} and native code disagree").into());
            }
        }

        let mut turns = Turns::default();
        for _ in turns.rounds() {
            turns.time("native Rust", || Ok(model.score(&columns)))?;
            turns.time("native, same contract", || by_contract(model, &NAMES, &batch))?;
            turns.time("plugin", || Ok(plain.score(&batch)?))?;
            turns.time("plugin, simd128", || Ok(simd.score(&batch)?))?;
        }
        for _ in turns.rounds() {
            for (format, input) in Format::ALL.iter().zip(&inputs) {
                turns.time(format.name(), || {
                    let written = format.write(&columns);
                    format.read(theirs.call(format.function(name), written.as_slice())?)
                })?;
                turns.time(format.ready_name(), || {
                    Ok(theirs.call::<&[u8], &[u8]>(format.function(name), input.as_slice())?.len())
                })?;
            }
        }

        println!("\n{name}, {ROWS} rows of {FEATURES}");
        turns.print(ROWS);
        let mut held = turns.at_most("plugin", "native Rust", limits[0]);
        held &= turns.at_most("plugin, simd128", "native Rust", limits[1]);
        if name == "linear" {
            held &= turns.at_least(Format::Rows.name(), "plugin", 100.0);
            held &= turns.at_least(Format::Bytes.name(), "plugin", 7.0);
        }
        Ok(held)
    }
}

/// What a plugin does for its caller, in native code: columns found by their names in a batch, and a checked column given back.
fn by_contract(model: &dyn Model, features: &[&str], batch: &Batch) -> Result<Vec<Column>, Failed> {
    let mut columns: Columns<'_> = [&[]; FEATURES];
    for (column, name) in columns.iter_mut().zip(NAMES) {
        let place = features.iter().position(|feature| *feature == name).ok_or("a feature that is not there")?;
        *column = match batch.columns().get(place) {
            Some(found) if found.nulls().iter().all(|null| *null == 0) => match found.cells() {
                Cells::Floats(cells) => cells,
                Cells::Ints(_) | Cells::Booleans(_) | Cells::Words { .. } => return Err("no numbers".into()),
            },
            _ => return Err("missing cells".into()),
        };
    }
    Ok(vec![Column::new(Cells::Floats(model.score(&columns)), Vec::new())?])
}

/// A call that moves nothing but an empty batch in and an empty column out, and nothing at all for Extism.
fn empty_calls(plugin: &Plugin, theirs: &CompiledPlugin) -> Result<bool, Failed> {
    let mut ours = plugin.scorer(&[])?;
    let mut theirs = extism::Plugin::new_from_compiled(theirs)?;
    let batch = Batch::new(0, vec![], vec![])?;
    let mut turns = Turns::default();
    for _ in turns.rounds() {
        turns.time_many("plugin", || Ok(ours.score(&batch)?))?;
        turns.time_many("Extism", || Ok(theirs.call::<&[u8], &[u8]>("empty", &[])?.len()))?;
    }
    println!("\nan empty call");
    turns.print(1);
    Ok(turns.at_least("Extism", "plugin", 20.0))
}

/// A workflow's answer to one event, eight values in and two actions out, in an instance of its own.
fn workflow_calls(plugin: &Plugin, theirs: &CompiledPlugin) -> Result<bool, Failed> {
    let workflow = plugin.workflow(&[])?;
    let fields = vec![
        Entry::new("from", "purchase"),
        Entry::new("to", "historical"),
        Entry::new("days", 182_i64),
        Entry::new("share", 0.75),
    ];
    let event = TriggerEvent { id: "e-1".into(), kind: "stage_changed".into(), at_ms: 0, seed: 7, fields };
    let customer = [("orders", 4_i64), ("spend", 25_000), ("points", 120), ("recency_days", 182)];
    let customer = customer.map(|(name, value)| Entry::new(name, value));
    let json = serde_json::json!({
        "from": "purchase", "to": "historical", "days": 182, "share": 0.75,
        "orders": 4, "spend": 25_000, "points": 120, "recency_days": 182,
    });
    let mut kept = extism::Plugin::new_from_compiled(theirs)?;
    let actions = |bytes: &[u8]| Ok::<_, Failed>(serde_json::from_slice::<Vec<serde_json::Value>>(bytes)?.len());
    let counts =
        [workflow.handle(&event, &customer, &[])?.actions.len(), actions(kept.call("handle", json.to_string())?)?];
    if counts != [2, 2] {
        return Err("the workflows disagree".into());
    }
    let mut turns = Turns::default();
    for _ in turns.rounds() {
        turns.time_many("plugin, fresh instance", || Ok(workflow.handle(&event, &customer, &[])?))?;
        turns.time_many("Extism, fresh instance", || {
            let mut fresh = extism::Plugin::new_from_compiled(theirs)?;
            actions(fresh.call("handle", json.to_string())?)
        })?;
        turns.time_many("Extism, kept instance", || actions(kept.call("handle", json.to_string())?))?;
    }
    println!("\na workflow's answer to one event");
    turns.print(1);
    Ok(turns.within("plugin, fresh instance", 25_000.0))
}

fn scorer(plugin: &Plugin, model: &str) -> Result<Scorer, Failed> {
    Ok(plugin.scorer(&[Entry::new("model", model)])?)
}

/// Numbers between 0 and 1 that look like nothing.
fn cells() -> [Vec<f64>; FEATURES] {
    let mut state = 42_u64;
    std::array::from_fn(|_| {
        (0..ROWS)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 40) as f64 / (1_u64 << 24) as f64
            })
            .collect()
    })
}

fn batch(cells: &[Vec<f64>; FEATURES]) -> Result<Batch, Failed> {
    let column = |cells: &Vec<f64>| Column::floats(cells.iter().copied().map(Some));
    let columns = cells.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    Ok(Batch::new(cells[0].len(), vec![], columns)?)
}
