//! Good guests with a byte flipped, in each of their sections and at random, and shaken in worse ways: refused, or loaded
//! and answered with a type, and never a panic. What is done with each file is what the fuzz target does.
//!
//! `CRM_SHAKES=100000 CRM_SEED=7 cargo test -p crm-plugins --test flips -- shaken --nocapture` shakes for as long as is
//! wanted, on any toolchain.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic in a test is its report")]

#[path = "../fuzz/src/entry.rs"]
mod entry;
#[path = "../fuzz/src/mutate.rs"]
mod mutate;
mod support;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crm_plugins::{Host, Limits};
use mutate::{Numbers, mutate};
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

/// Whether a good guest is answered; on a busy machine it may miss the deadline, but not each time.
fn is_answered(host: &Host, wasm: &[u8]) -> bool {
    (0..20).any(|_| entry::load_and_call(host, wasm) == "ok")
}

fn sections(wasm: &[u8]) -> Vec<Range<usize>> {
    let header = 0..8;
    let mut sections = Vec::from([header]);
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        if let Some((_, range)) = payload.unwrap().as_section() {
            // With the section's own header, which begins where the section before ended.
            let start = sections.last().map_or(8, |before: &Range<usize>| before.end);
            sections.push(start..usize::try_from(range.end).unwrap());
        }
    }
    sections
}

#[test]
fn a_flipped_byte_is_refused_or_answered() {
    let flips = if std::env::var_os("CRM_SOAK").is_some() { 10_000 } else { 1_000 };
    let wasm = guest();
    let sections = sections(&wasm);
    assert_eq!(sections.last().unwrap().end, wasm.len());
    assert!(sections.len() >= 13, "a section of each kind: {sections:?}");
    let host = host();
    assert!(is_answered(&host, &wasm));

    let outcomes = Mutex::new(BTreeMap::<&str, usize>::new());
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (host, wasm, sections, outcomes) = (&host, &wasm, &sections, &outcomes);
            scope.spawn(move || {
                let mut numbers = Numbers::new(thread);
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
    assert!(is_answered(&host, &wasm), "after all that");
    let outcomes = outcomes.into_inner().unwrap();
    // Both ends are reached: files that are refused and files that run.
    assert!(outcomes["invalid"] > flips / 10 && outcomes["ok"] > flips / 50, "{outcomes:?}");
    println!("{flips} flips: {outcomes:?}");
}

#[test]
fn each_beginning_of_a_file_is_refused() {
    let wasm = guest();
    let host = host();
    // What is left of the names at its end is a whole guest.
    let names = sections(&wasm).last().unwrap().clone();
    assert!(wasm[names.clone()].windows(4).any(|window| window == b"name"));
    for length in 0..wasm.len() {
        let outcome = entry::load_and_call(&host, &wasm[..length]);
        assert_eq!(outcome == "ok", length == names.start, "{length} bytes: {outcome}");
    }
}

/// Guests in both roles and both forms.
fn goods() -> Vec<Vec<u8>> {
    let scorer = guest();
    let action = r#"(data (i32.const 512) "\58\02\00\00\06\00\00\00\c0\02\00\00\01\00\00\00") (data (i32.const 600) "notify")
        (data (i32.const 704) "\58\02\00\00\01\00\00\00\03")"#;
    let workflow = support::workflow_that_answers(&[0, 512, 1, 64, 8], action);
    // With the contract in it, a module becomes a component without this host.
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v0_1");
    let c = std::fs::read(folder.join("churn-c.wasm")).unwrap();
    let mut wit = wit_parser::Resolve::default();
    let package = wit.push_source("plugin.wit", include_str!("../wit/v0_1/plugin.wit")).unwrap();
    let mut component = scorer.clone();
    let world = wit.select_world(&[package], Some("scorer-plugin")).unwrap();
    let text = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut component, &wit, world, text, false).unwrap();
    let component = wit_component::ComponentEncoder::default().module(&component).unwrap().encode().unwrap();
    vec![scorer, workflow, component, c]
}

#[test]
fn what_was_shaken_is_refused_or_answered_and_nothing_takes_long() {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let soak = std::env::var_os("CRM_SOAK").is_some();
    let shakes = number("CRM_SHAKES").unwrap_or(if soak { 10_000 } else { 500 });
    let seed = number("CRM_SEED").unwrap_or(0);
    let (host, goods) = (host(), goods());
    assert!(goods.iter().all(|good| is_answered(&host, good)));
    let began = Instant::now();
    let mut outcomes = BTreeMap::<&str, usize>::new();
    let mut longest = Duration::ZERO;
    for shake in 0..shakes {
        // Each file is that of its seed and number alone, so that one that is found is had again.
        let file = mutate(&mut Numbers::new(seed.wrapping_mul(1 << 40) + shake), &goods);
        let started = Instant::now();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| entry::load_and_call(&host, &file)));
        let outcome = outcome.unwrap_or_else(|_| panic!("shake {shake} of seed {seed}: {} bytes", file.len()));
        longest = longest.max(started.elapsed());
        assert!(longest < Duration::from_secs(10), "shake {shake} of seed {seed} took {longest:?}");
        *outcomes.entry(outcome).or_default() += 1;
    }
    println!("{shakes} shakes of seed {seed} in {:?}, the longest {longest:?}: {outcomes:?}", began.elapsed());
    assert!(outcomes["invalid"] > 0 && outcomes["ok"] > 0, "{outcomes:?}");
}
