//! What a plugin costs, beside native code that does nothing, in turn in one run.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use crm_plugins::{Batch, Cells, Column, Entry, Fault, Host, Limits, Plugin, TriggerEvent, Workflow, WorkflowOutcome};
use serde_json::json;

use crate::BenchArgs;
use crate::answer::{Answer, size};
use crate::error::Error;
use crate::sample;

/// A unit in which memory grows.
const PAGE_BYTES: usize = 64 << 10;

pub(crate) fn run(args: &BenchArgs, limits: &Limits) -> Result<Answer, Error> {
    let path = &args.file;
    let wasm = std::fs::read(path).map_err(|source| Error::Read { path: path.clone(), source })?;
    let host = Host::new(limits.clone())?;
    let plugin = host.load(&wasm).map_err(|source| Error::Refused { path: path.clone(), source })?;
    let params = args.params.read(plugin.manifest())?;
    let subject = Subject { path, wasm: &wasm, params: &params, plugin, limits };
    if subject.plugin.is_scorer() { subject.scorer(args) } else { subject.workflow(args) }
}

struct Subject<'a> {
    path: &'a Path,
    wasm: &'a [u8],
    params: &'a [Entry],
    plugin: Plugin,
    limits: &'a Limits,
}

impl Subject<'_> {
    fn scorer(&self, args: &BenchArgs) -> Result<Answer, Error> {
        let rows = args.rows as usize;
        let features = &self.plugin.manifest().features;
        let batch = sample::usual(rows, features)?;
        let mut scorer = self.plugin.scorer(self.params).map_err(failed)?;
        // What is done once is not what is measured.
        scorer.score(&batch).map_err(failed)?;
        let (mut plugin, mut native) = (Vec::new(), Vec::new());
        for _ in 0..args.rounds {
            let start = Instant::now();
            black_box(scorer.score(black_box(&batch)).map_err(failed)?);
            plugin.push(start.elapsed());
            let start = Instant::now();
            black_box(pass_through(black_box(&batch)));
            native.push(start.elapsed());
        }
        let per_row = |times: Vec<Duration>| median(times) / rows as f64;
        let (plugin, native) = (per_row(plugin), per_row(native));
        let memory = self.memory(|host| {
            let mut scorer = host.scorer(self.params)?;
            scorer.score(&batch).map(drop)
        })?;
        let fuel = self.fuel_of(&batch)?;
        let text = format!(
            "{rows} customers a batch, median of {} batches\n\
             plugin                {plugin:>10.2} ns a customer\n\
             native, passing on    {native:>10.2} ns a customer\n\
             ratio                 {:>10.1}\n\
             fuel                  {fuel:>10} a batch, counted once: a shop does not count it\n\
             memory                {:>10} KiB\n\
             file                  {:>10}\n{}",
            args.rounds,
            plugin / native,
            memory >> 10,
            size(self.wasm.len()),
            debug_note(),
        );
        let json = json!({
            "role": "scorer", "rows": rows, "rounds": args.rounds, "plugin_ns_per_row": plugin,
            "native_ns_per_row": native, "ratio": plugin / native, "memory_bytes": memory,
            "file_bytes": self.wasm.len(), "fuel": fuel,
        });
        Ok(Answer::well(text, json))
    }

    fn workflow(&self, args: &BenchArgs) -> Result<Answer, Error> {
        let manifest = self.plugin.manifest();
        let kind = manifest.events.first().cloned().unwrap_or_default();
        let event = sample::event(&kind);
        let customer = sample::customer(manifest);
        let granted: Vec<&str> = manifest.lookups.iter().map(String::as_str).collect();
        let nothing = sample::nothing_there();
        let workflow = self.plugin.workflow_with(self.params, &granted).map_err(failed)?;
        let call = |workflow: &Workflow| workflow.handle_with(&event, &customer, &[], &nothing);
        call(&workflow).map_err(failed)?;
        let (mut plugin, mut native) = (Vec::new(), Vec::new());
        for _ in 0..args.rounds {
            let start = Instant::now();
            black_box(call(&workflow).map_err(failed)?);
            plugin.push(start.elapsed());
            let start = Instant::now();
            black_box(do_nothing(black_box(&event), black_box(&customer)));
            native.push(start.elapsed());
        }
        let (plugin, native) = (median(plugin), median(native));
        let mut handle = |plugin: &Plugin| {
            plugin.workflow_with(self.params, &granted).and_then(|workflow| call(&workflow)).map(drop)
        };
        let memory = self.memory(&mut handle)?;
        let fuel = self.plugin.inspect().counters.last_fuel.unwrap_or_default();
        let text = format!(
            "event `{kind}`, a fresh instance each, median of {} events\n\
             plugin                {:>10.2} µs an event\n\
             native, doing nothing {:>10.2} µs an event\n\
             fuel                  {fuel:>10} of {}\n\
             memory                {:>10} KiB\n\
             file                  {:>10}\n{}",
            args.rounds,
            plugin / 1e3,
            native / 1e3,
            self.limits.fuel,
            memory >> 10,
            size(self.wasm.len()),
            debug_note(),
        );
        let json = json!({
            "role": "workflow", "event": kind, "rounds": args.rounds, "plugin_ns_per_event": plugin,
            "native_ns_per_event": native, "memory_bytes": memory, "file_bytes": self.wasm.len(), "fuel": fuel,
        });
        Ok(Answer::well(text, json))
    }

    /// How much fuel a batch takes, in a host of its own that counts it.
    fn fuel_of(&self, batch: &Batch) -> Result<u64, Error> {
        let mut limits = self.limits.clone();
        // Neither is a question here.
        limits.deadline = Duration::from_secs(10);
        limits.fuel = u64::MAX >> 1;
        let host = Host::counting(limits)?;
        let plugin = host.load(self.wasm).map_err(|source| Error::Refused { path: self.path.into(), source })?;
        let mut scorer = plugin.scorer(self.params).map_err(failed)?;
        // An instance has one tank for all its calls, that of its parameters among them.
        let mut so_far = || -> Result<u64, Error> {
            scorer.score(batch).map_err(failed)?;
            Ok(plugin.inspect().counters.last_fuel.unwrap_or_default())
        };
        let first = so_far()?;
        Ok(so_far()?.saturating_sub(first))
    }

    /// The least memory, in whole pages, with which `call` succeeds: found by trying.
    fn memory(&self, mut call: impl FnMut(&Plugin) -> Result<(), Fault>) -> Result<usize, Error> {
        let most = self.limits.memory_bytes / PAGE_BYTES;
        let pages = least(16, most as u64, |pages| {
            let mut limits = self.limits.clone();
            // Time is no question here.
            limits.deadline = Duration::from_secs(10);
            limits.memory_bytes = pages as usize * PAGE_BYTES;
            self.works(limits, &mut call)
        })?;
        Ok(pages as usize * PAGE_BYTES)
    }

    fn works(&self, limits: Limits, call: &mut impl FnMut(&Plugin) -> Result<(), Fault>) -> Result<bool, Error> {
        // A file that declares more memory than the limit is refused before it runs.
        let Ok(plugin) = Host::new(limits)?.load(self.wasm) else { return Ok(false) };
        Ok(call(&plugin).is_ok())
    }
}

/// The least number with which `works` is true, up to a hundredth too many: doubled from `low` on until it
/// is, then halved. `most` is not tried; it is the answer if nothing below it is.
fn least(low: u64, most: u64, mut works: impl FnMut(u64) -> Result<bool, Error>) -> Result<u64, Error> {
    let (mut below, mut enough) = (0, low);
    while enough < most && !works(enough)? {
        below = enough;
        enough = enough.saturating_mul(2);
    }
    enough = enough.min(most);
    while enough - below > (enough / 100).max(1) {
        let middle = below + (enough - below) / 2;
        if works(middle)? {
            enough = middle;
        } else {
            below = middle;
        }
    }
    Ok(enough)
}

/// What native code does that only hands on: it copies the first column, or makes one of noughts, as a
/// scorer's result that is checked like a plugin's.
fn pass_through(batch: &Batch) -> Vec<Column> {
    let rows = batch.rows() as usize;
    let (cells, nulls) = match batch.columns().first().map(|column| (column.cells(), column.nulls())) {
        Some((Cells::Floats(cells), nulls)) => (cells.clone(), nulls.to_vec()),
        _ => (vec![0.0; rows], Vec::new()),
    };
    Column::new(Cells::Floats(cells), nulls).into_iter().collect()
}

fn do_nothing(event: &TriggerEvent, customer: &[Entry]) -> WorkflowOutcome {
    black_box((event, customer));
    WorkflowOutcome { actions: Vec::new(), memory: Vec::new() }
}

fn failed(fault: Fault) -> Error {
    Error::Fault { place: String::new(), fault }
}

/// In nanoseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).map_or(f64::NAN, |time| time.as_nanos() as f64)
}

fn debug_note() -> &'static str {
    if cfg!(debug_assertions) { "this `crm` is a debug build: times are those of a slow host\n" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_that_works_is_found_within_a_hundredth() {
        for wanted in [1, 2, 3, 16, 17, 99, 5_000, 123_456, 999_999] {
            let found = least(16, 1_000_000, |number| Ok(number >= wanted)).unwrap();
            assert!((wanted..=wanted + wanted / 100).contains(&found), "{found} for {wanted}");
        }
        assert_eq!(least(16, 1_000, |_| Ok(false)).unwrap(), 1_000);
    }
}
