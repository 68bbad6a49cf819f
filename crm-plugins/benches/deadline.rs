//! How long after its deadline an endless loop has stopped: 50 ms are allowed, and twice that on an idle
//! core. `cargo bench -p crm-plugins --bench deadline [-- <calls>]`
//!
//! The machine's load is printed beside the figures, because on a busy one the thread that stops guests
//! waits for a core like any other.

#![allow(clippy::print_stdout, reason = "a report is printed")]

use std::time::{Duration, Instant};

use crm_plugins::{Batch, Host, Limits};

const INTERFACE: &str = "crm:plugin/scorer@0.1.0";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let calls = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(200_usize);
    let mut limits = Limits::default();
    limits.quarantine_after = std::num::NonZeroU32::MAX;
    let deadline = limits.deadline;
    let plugin = Host::new(limits)?.load(&endless()?)?;
    let batch = Batch::new(2, vec![], vec![])?;
    let load_before = load();

    let mut took: Vec<Duration> = Vec::with_capacity(calls);
    let mut scorer = plugin.scorer(&[])?;
    for _ in 0..calls {
        let started = Instant::now();
        let result = scorer.score(&batch);
        took.push(started.elapsed());
        assert_eq!(result.map_err(|fault| fault.kind()), Err("deadline"));
    }
    took.sort();
    let at = |share: f64| took[((took.len() - 1) as f64 * share).round() as usize];
    println!("endless loop, deadline {deadline:?}, {calls} calls, load before {load_before}, after {}", load());
    println!("stopped after p50 {:?}, p99 {:?}, max {:?}", at(0.5), at(0.99), at(1.0));
    println!("p99 is {:.2} deadlines; allowed are 2 on an idle core", at(0.99).as_secs_f64() / deadline.as_secs_f64());
    Ok(())
}

/// The load average of the last minute.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned()
}

fn endless() -> Result<Vec<u8>, wat::Error> {
    let manifest = r#"{\"api\":\"0.1\",\"name\":\"endless\",\"version\":\"1\",\"outputs\":[{\"name\":\"score\"}]}"#;
    wat::parse_str(format!(
        r#"(module
        (@custom "crm:manifest" "{manifest}")
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        (func (export "{INTERFACE}#configure") (param i32 i32) (result i32) (i32.const 16))
        (func (export "{INTERFACE}#score") (param i32 i32 i32 i32 i32) (result i32)
            (loop $ever (br $ever)) (unreachable)))"#
    ))
}
