//! A good guest with a byte flipped, in each of its sections and at random: refused, or loaded and
//! answered with a type, and never a panic. What is done with each file is what the fuzz target does.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic in a test is its report")]

#[path = "../fuzz/src/entry.rs"]
mod entry;
mod support;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;

use crm_plugins::{Host, Limits};
use support::{answer_of, data, scorer};

/// A small guest with a section of each kind, so that a flip in any of them is tried often.
fn guest() -> Vec<u8> {
    let parts = format!(
        r#"(import "crm:plugin/diag@0.1.0" "emit" (func $emit (param i32 i32 i32)))
        (type $unary (func (param i32) (result i32)))
        (table $t 2 funcref) (elem (i32.const 0) $double $half)
        (global $calls (mut i32) (i32.const 0))
        (func $double (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
        (func $half (param i32) (result i32) (i32.shr_u (local.get 0) (i32.const 1)))
        (func $start (global.set $calls (i32.const 1))) (start $start)
        (data $late "late") {}"#,
        data(&answer_of(&[0.25, 0.75]))
    );
    let body = "(memory.init $late (i32.const 512) (i32.const 0) (i32.const 4))
        (call $emit (i32.const 0) (i32.const 512) (i32.const 4))
        (global.set $calls (call_indirect $t (type $unary) (global.get $calls) (i32.const 0)))
        (if (i32.gt_u (call $half (global.get $calls)) (i32.const 100)) (then (unreachable)))
        (i32.const 64)";
    scorer(&parts, body)
}

/// A host that stops what loops soon, and never stops trying.
fn host() -> Host {
    let mut limits = Limits::default();
    limits.deadline = Duration::from_millis(20);
    limits.fuel = 1_000_000;
    Host::new(limits).unwrap()
}

fn sections(wasm: &[u8]) -> Vec<Range<usize>> {
    let mut sections = vec![0..8];
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        if let Some((_, range)) = payload.unwrap().as_section() {
            // With the section's own header, which begins where the section before ended.
            let start = sections.last().map_or(8, |before: &Range<usize>| before.end);
            sections.push(start..usize::try_from(range.end).unwrap());
        }
    }
    sections
}

/// The same numbers in each run (xorshift, Marsaglia 2003).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

#[test]
fn a_flipped_byte_is_refused_or_answered() {
    let flips = if std::env::var_os("CRM_SOAK").is_some() { 10_000 } else { 1_000 };
    let wasm = guest();
    let sections = sections(&wasm);
    assert_eq!(sections.last().unwrap().end, wasm.len());
    assert!(sections.len() >= 13, "a section of each kind: {sections:?}");
    let host = host();
    assert_eq!(entry::load_and_call(&host, &wasm), "ok");

    let outcomes = Mutex::new(BTreeMap::<&str, usize>::new());
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (host, wasm, sections, outcomes) = (&host, &wasm, &sections, &outcomes);
            scope.spawn(move || {
                let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 + thread);
                for flip in 0..flips / 2 {
                    // Each section in turn, and each byte of it as likely as the others.
                    let section = &sections[flip % sections.len()];
                    let place = section.start + numbers.below(section.len());
                    let mut flipped = wasm.clone();
                    flipped[place] ^= 1 + numbers.below(255) as u8;
                    let outcome = entry::load_and_call(host, &flipped);
                    *outcomes.lock().unwrap().entry(outcome).or_default() += 1;
                }
            });
        }
    });
    assert_eq!(entry::load_and_call(&host, &wasm), "ok", "after all that");
    let outcomes = outcomes.into_inner().unwrap();
    // Both ends are reached: files that are refused and files that run.
    assert!(outcomes["invalid"] > flips / 10 && outcomes["ok"] > flips / 50, "{outcomes:?}");
    println!("{flips} flips: {outcomes:?}");
}

#[test]
fn each_beginning_of_a_file_is_refused() {
    let wasm = guest();
    let host = host();
    for length in 0..wasm.len() {
        assert_ne!(entry::load_and_call(&host, &wasm[..length]), "ok", "{length} bytes");
    }
}
