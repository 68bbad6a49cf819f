//! Plugins that are installed and idle cost little: their code, and at most a MiB each beside it.
//!
//! One test on its own, because it measures the memory of the process.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]
#![allow(clippy::print_stdout, reason = "the figures are what the longer form is run for")]

mod support;

use crm_plugins::Registry;
use support::{SCORER, SCORER_MANIFEST, module, patient_host, scorer_parts};

const EACH_MAX: usize = 1 << 20;

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    kib.and_then(|kib| kib.trim().trim_end_matches(" kB").parse::<usize>().ok()).unwrap_or(0) << 10
}

/// `bytes` with the name in its manifest replaced by another of the same length.
fn renamed(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let (from, to) = (format!("\"name\":\"{from}\""), format!("\"name\":\"{to}\""));
    let place = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
    [&bytes[..place], to.as_bytes(), &bytes[place + from.len()..]].concat()
}

#[test]
fn idle_plugins_cost_at_most_a_mebibyte_each_beyond_their_code() {
    let count = if std::env::var_os("CRM_SOAK").is_some() { 1_000 } else { 100 };
    let registry = Registry::new(patient_host());

    // One file under many names: all but the first cost what is beyond the code, which they share.
    let churn = guest_build::build("churn").unwrap();
    registry.install(&churn).unwrap();
    let before = resident();
    for number in 0..count {
        registry.install(&renamed(&churn, "churn", &format!("c{number:04}"))).unwrap();
    }
    let beyond_code = resident().saturating_sub(before) / count;
    println!("{count} names for one file: {beyond_code} bytes each");
    assert!(beyond_code <= EACH_MAX, "{beyond_code} bytes each");

    // Files of their own, each with code of its own, which is in the figure.
    let before = resident();
    for number in 0..count {
        let manifest = SCORER_MANIFEST.replace("hostile", &format!("own{number}"));
        let body = format!("(drop (i32.const {number})) (i32.const 64)");
        registry.install(&module(&manifest, &scorer_parts(SCORER, "", &body))).unwrap();
    }
    let with_code = resident().saturating_sub(before) / count;
    println!("{count} small files: {with_code} bytes each, code and all");
    assert!(with_code <= EACH_MAX, "{with_code} bytes each");
    assert_eq!(registry.list().len(), 1 + 2 * count);
}
