//! What recording costs while many plugins are loaded: orders a second on the memory store, with nobody loading and
//! while four threads load plugins that nobody loaded before.
//!
//! ```sh
//! cargo bench --bench loading
//! ```
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints what it measured")]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crm::blocking::Crm;
use crm::plugins::{Host, Limits};
use crm::{
    Currency, DerivedIds, ExternalSystem, Identifier, Incoming, ManualClock, Money, OrderPlaced, Source, Timestamp,
};

/// By how much recording may take longer, in parts of itself.
const LIMIT: f64 = 0.20;
const ROUNDS: usize = 9;
const LOADERS: usize = 4;
/// How long each side of a round records.
const PERIOD: Duration = Duration::from_millis(700);

/// The plugin with another text in its data, which makes it another file, to be compiled by itself. None of them runs.
fn another(wasm: &[u8], number: u32) -> Vec<u8> {
    let text = b"recency_days";
    let at = wasm.windows(text.len()).position(|window| window == text).unwrap();
    [&wasm[..at], format!("{number:012}").as_bytes(), &wasm[at + text.len()..]].concat()
}

/// Orders a second, by customers who each order twice.
fn recorded(crm: &Crm, next: &mut u32) -> f64 {
    let day = Timestamp::parse("2024-05-01").unwrap();
    let begun = Instant::now();
    let mut orders = 0;
    while begun.elapsed() < PERIOD {
        let who = Identifier::external(&ExternalSystem::new("shop").unwrap(), &(*next / 2).to_string()).unwrap();
        let order = OrderPlaced::new(Money::new(1_990, Currency::EUR));
        let incoming = Incoming::new(who, day, Source::new("shop").unwrap(), order);
        crm.record(incoming.with_key(format!("o{next}").parse().unwrap())).unwrap();
        (*next, orders) = (*next + 1, orders + 1);
    }
    f64::from(orders) / begun.elapsed().as_secs_f64()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wasm = guest_build::build("churn")?;
    let (number, loaded) = (AtomicU32::new(0), AtomicU32::new(0));
    let day = Timestamp::parse("2024-05-01")?;
    let crm = Crm::from(crm::Crm::builder().clock(ManualClock::at(day)).ids(DerivedIds).build());
    let mut next = 0;
    recorded(&crm, &mut next);
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(recorded(&crm, &mut next));
        let (host, over) = (Host::new(Limits::default())?, AtomicBool::new(false));
        std::thread::scope(|scope| {
            for _ in 0..LOADERS {
                scope.spawn(|| {
                    let mut kept = Vec::new();
                    while !over.load(Ordering::Relaxed) {
                        kept.push(host.load(&another(&wasm, number.fetch_add(1, Ordering::Relaxed))).unwrap());
                        loaded.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            beside.push(recorded(&crm, &mut next));
            over.store(true, Ordering::Relaxed);
        });
    }
    let mut slower: Vec<f64> = alone.iter().zip(&beside).map(|(alone, beside)| alone / beside - 1.0).collect();
    for times in [&mut alone, &mut beside, &mut slower] {
        times.sort_by(f64::total_cmp);
    }
    let middle = ROUNDS / 2;
    println!(
        "{:.0} orders a second, {:.0} while {LOADERS} threads load ({} plugins in all): {:.1} % longer (limit {:.0} %), \
         worst round {:.1} %",
        alone[middle],
        beside[middle],
        loaded.load(Ordering::Relaxed),
        100.0 * slower[middle],
        100.0 * LIMIT,
        100.0 * slower[ROUNDS - 1],
    );
    Ok(())
}
