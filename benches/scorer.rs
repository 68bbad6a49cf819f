//! What a score costs: the churn plugin over a batch of 1,024 customers, beside the same arithmetic in
//! native Rust, in turn in one run.
//!
//! ```sh
//! cargo bench --bench scorer
//! ```
#![allow(clippy::print_stdout, reason = "printing is what a bench is for")]

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use crm::plugins::{Host, Limits, WasmScorer};
use crm::{Currency, CustomerId, ScoreBatch, Scorer, Timestamp};

const ROWS: usize = 1_024;
const ROUNDS: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let host = Host::new(Limits::default())?;
    let mut plugin = WasmScorer::load(&host, &guest_build::build("churn")?, &[])?;
    let as_of = Timestamp::parse("1998-07-01")?;
    let customers: Vec<CustomerId> = (0..ROWS).map(|n| CustomerId::new(as_of, [n as u8; 10])).collect();
    let column = |of: fn(i64) -> Option<i64>| (0..ROWS as i64).map(of).collect::<Vec<_>>();
    // In the order in which the plugin asks for them: recency_days, orders, average_order.
    let columns = vec![
        column(|n| Some(n * 7 % 400)),
        column(|n| Some(1 + n % 12)),
        column(|n| (n % 10 != 0).then_some(400 + n * 37 % 9_000)),
    ];
    let batch = ScoreBatch { as_of, seed: 0, currency: Currency::EUR, customers: &customers, columns };

    let scores = plugin.score(&batch)?;
    let expected = native(&batch);
    if scores.first() != Some(&expected) {
        return Err("the plugin and the native code disagree".into());
    }
    let (mut wasm, mut rust) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        black_box(plugin.score(black_box(&batch))?);
        wasm.push(start.elapsed().as_nanos() as f64 / ROWS as f64);
        let start = Instant::now();
        black_box(native(black_box(&batch)));
        rust.push(start.elapsed().as_nanos() as f64 / ROWS as f64);
    }
    let (wasm, rust) = (median(wasm), median(rust));
    println!("{ROWS} customers a batch, median of {ROUNDS} batches");
    println!("{:<24}{wasm:>8.1} ns a customer", "plugin");
    println!("{:<24}{rust:>8.1} ns a customer", "native Rust");
    println!("{:<24}{:>8.2}", "ratio", wasm / rust);
    Ok(())
}

/// What the plugin computes.
fn native(batch: &ScoreBatch<'_>) -> Vec<Option<f64>> {
    let [recency, orders, average] = &batch.columns[..] else { return Vec::new() };
    let saturated = |amount: i64, half: f64| {
        let counted = amount.max(0) as f64;
        counted / (counted + half)
    };
    let score = |((recency, orders), average): ((&Option<i64>, &Option<i64>), &Option<i64>)| {
        let recency = saturated((*recency)?, 90.0);
        let frequency = saturated(orders.unwrap_or(1), 4.0);
        let money = saturated(average.unwrap_or(0), 3_000.0);
        let z = 1.123 + 3.321 * recency - 4.534 * frequency - 1.183 * money;
        Some(1.0 / (1.0 + libm::exp(-z)))
    };
    recency.iter().zip(orders).zip(average).map(score).collect()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
