//! Events per second through the whole loop: on the memory store and on SQLite, one at a time and in
//! bulk, over 100,000 customers. Beside SQLite stands the same file written by hand: for the very
//! commits that the engine made, only the inserts and the upsert that each needs, in the same batches
//! with the same durability. Rounds alternate, so that a machine whose speed drifts slows both.
//!
//! ```sh
//! cargo bench --bench events
//! CRM_BENCH_CUSTOMERS=10000 cargo bench --bench events   # a quick look
//! ```
#![allow(clippy::print_stdout, reason = "printing is what a bench is for")]

mod by_hand;
mod recorder;
mod workload;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crm::{Incoming, Ingestion, MemoryStore, SqliteStore};

use by_hand::ByHand;
use recorder::Recorder;
use workload::{BATCH, EVENTS_PER_CUSTOMER, Shop, facts};

const ROUNDS: usize = 3;
const ONE_BY_ONE: usize = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    let customers: u32 = match std::env::var("CRM_BENCH_CUSTOMERS") {
        Ok(number) => number.parse()?,
        Err(_) => 100_000,
    };
    run(customers, tempfile::tempdir()?.path())
}

fn run(customers: u32, folder: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let events = customers as usize * EVENTS_PER_CUSTOMER;
    println!("{customers} customers, {events} facts, batches of {BATCH}, median of {ROUNDS} rounds, one thread");
    println!("{:<46}{:>12}", "", "facts/s");

    // What the engine writes, so that it can be counted, and written by hand.
    let recorder = Arc::new(Recorder::default());
    bulk(&Shop::open(recorder.clone(), customers), facts(customers))?;
    let batches = recorder.take();
    let writes = batches.iter().flatten().flat_map(|commit| &commit.writes);
    let recorded = writes.map(|write| write.events.len()).sum::<usize>() as f64;
    println!("{:<46}{:>12.2}", "events recorded for a fact, decisions included", recorded / events as f64);

    let (mut memory, mut per_core) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (crm, facts) = (Shop::open(Arc::new(MemoryStore::new()), customers), facts(customers));
        let before = on_cpu();
        memory.push(rate(events, || bulk(&crm, facts))?);
        per_core.extend(on_cpu().zip(before).map(|(after, before)| events as f64 / (after - before)));
    }
    println!("{:<46}{:>12.0}", "memory, in bulk", median(memory));
    let per_core = median(per_core);
    println!("{:<46}{per_core:>12.0}", "  by the time this thread was on a core");
    let per_core = per_core * recorded / events as f64;
    println!("{:<46}{per_core:>12.0}  (goal: at least 200,000)", "  facts and decisions, by that time");

    let crm = Shop::open(Arc::new(MemoryStore::new()), customers);
    let single = facts(customers);
    let one = rate(single.len(), || one_by_one(&crm, single))?;
    println!("{:<46}{one:>12.0}", "memory, one at a time");

    let file = |name: &str| -> PathBuf { folder.join(name) };
    let (mut ours, mut hand, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let path = file(&format!("hand-{round}.db"));
        let mut by_hand = ByHand::open(&path)?;
        let raw = rate(events, || by_hand.write(&batches).map_err(Into::into))?;
        drop(by_hand);
        let crm = Shop::open(Arc::new(SqliteStore::open(file(&format!("ours-{round}.db")))?), customers);
        let facts = facts(customers);
        let engine = rate(events, || bulk(&crm, facts))?;
        ratios.push(engine / raw);
        ours.push(engine);
        hand.push(raw);
    }
    println!("{:<46}{:>12.0}", "SQLite by hand, in bulk", median(hand));
    println!("{:<46}{:>12.0}", "SQLite, in bulk", median(ours));
    println!("{:<46}{:>12.2}  (goal: at least 0.6)", "  of SQLite by hand", median(ratios));

    let (mut ours, mut hand, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let some: Vec<Incoming> = facts(customers).into_iter().take(ONE_BY_ONE).collect();
        let recorder = Arc::new(Recorder::default());
        one_by_one(&Shop::open(recorder.clone(), customers), some.clone())?;
        let singles = recorder.take();
        let mut by_hand = ByHand::open(&file(&format!("hand-one-{round}.db")))?;
        let raw = rate(some.len(), || by_hand.write(&singles).map_err(Into::into))?;
        let crm = Shop::open(Arc::new(SqliteStore::open(file(&format!("ours-one-{round}.db")))?), customers);
        let engine = rate(some.len(), || one_by_one(&crm, some))?;
        ratios.push(engine / raw);
        ours.push(engine);
        hand.push(raw);
    }
    println!("{:<46}{:>12.0}", "SQLite by hand, one at a time", median(hand));
    println!("{:<46}{:>12.0}", "SQLite, one at a time", median(ours));
    println!("{:<46}{:>12.2}", "  of SQLite by hand", median(ratios));
    Ok(())
}

/// As it happens: the clock stands at the last fact of each batch.
fn bulk(shop: &Shop, facts: Vec<Incoming>) -> Result<(), Box<dyn Error>> {
    let mut facts = facts.into_iter().peekable();
    let mut recorded = 0;
    while facts.peek().is_some() {
        let batch: Vec<Incoming> = facts.by_ref().take(BATCH).collect();
        let read = batch.len() as u64;
        recorded += read;
        shop.set_clock(recorded);
        let report = shop.crm.ingest(batch, Ingestion::live().with_batch(BATCH))?;
        if report.recorded != read {
            return Err(format!("not everything was recorded: {report:?}").into());
        }
    }
    Ok(())
}

fn one_by_one(shop: &Shop, facts: Vec<Incoming>) -> Result<(), Box<dyn Error>> {
    for (n, fact) in (1..).zip(facts) {
        shop.set_clock(n);
        shop.crm.record(fact)?;
    }
    Ok(())
}

/// For how many seconds this thread has been on a core, where the system tells: a machine that is shared
/// takes it off now and then.
fn on_cpu() -> Option<f64> {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = schedule.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}

fn rate(events: usize, work: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    work()?;
    Ok(events as f64 / start.elapsed().as_secs_f64())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
}
