//! Any bytes are refused, or loaded and called, and never make the host panic.
#![no_main]

#[path = "../src/entry.rs"]
mod entry;

use std::sync::LazyLock;
use std::time::Duration;

use crm_plugins::{Host, Limits};
use libfuzzer_sys::fuzz_target;

static HOST: LazyLock<Host> = LazyLock::new(|| {
    let mut limits = Limits::default();
    limits.deadline = Duration::from_millis(20);
    limits.fuel = 1_000_000;
    Host::new(limits).expect("WebAssembly runs here")
});

fuzz_target!(|bytes: &[u8]| {
    entry::load_and_call(&HOST, bytes);
});
