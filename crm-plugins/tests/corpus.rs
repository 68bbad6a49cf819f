//! Hostile guests, again and again: each fault is of its kind, a healthy plugin of the same host goes on
//! working, and memory is back where it was.
//!
//! One test on its own, because it measures the memory of the process.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

#[path = "support/dear.rs"]
mod dear;
mod support;

use crm_plugins::{Fault, Host, Plugin};
use support::{
    SCORER, SCORER_MANIFEST, WORKFLOW, WORKFLOW_MANIFEST, answer_of, module, module_with_allocator, patient_host,
    scorer, scorer_parts, scorer_that_answers, two_rows, workflow, workflow_parts, workflow_that_answers,
};

/// The limit is not the host's 5 s, so that a hundred endless loops take seconds.
fn impatient(parts: &str, body: &str) -> Vec<u8> {
    let manifest = SCORER_MANIFEST.replace("\"outputs\"", "\"limits\":{\"deadline_ms\":2},\"outputs\"");
    module(&manifest, &scorer_parts(SCORER, parts, body))
}

/// A workflow with an allocator of this body.
fn allocates(parts: &str, allocator: &str) -> Vec<u8> {
    module_with_allocator(WORKFLOW_MANIFEST, &workflow_parts(parts, "(i32.const 64)"), allocator)
}

/// A guest that answers properly and does this when it is to free its answer.
fn after(interface: &str, function: &str, body: &str) -> String {
    format!(r#"(func (export "cabi_post_{interface}#{function}") (param i32) {body})"#)
}

const EMIT: &str = r#"(import "crm:plugin/diag@0.1.0" "emit" (func $emit (param i32 i32 i32)))"#;

/// Guests by name, with the kind of their fault.
fn guests() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let forever = "(loop $ever (br $ever)) (unreachable)";
    let start = |body: &str| format!("(func $start {body}) (start $start)");
    let fill = "(loop $ever (memory.fill (i32.const 0) (i32.const 7) (i32.const 65536)) (br $ever)) (unreachable)";
    let copy = "(loop $ever (memory.copy (i32.const 0) (i32.const 8) (i32.const 65528)) (br $ever)) (unreachable)";
    let table_fill =
        "(loop $ever (table.fill $t (i32.const 0) (ref.null func) (i32.const 90000)) (br $ever)) (unreachable)";
    let grow = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)";
    let grow_table =
        "(loop $more (br_if $more (i32.ne (table.grow $t (ref.null func) (i32.const 9000)) (i32.const -1))))
        (unreachable)";
    let down = "(func $down (param i64) (result i64) (i64.add (call $down (local.get 0)) (i64.const 1)))";
    let flood = "(loop $ever (call $emit (i32.const 0) (i32.const 0) (i32.const 0)) (br $ever)) (unreachable)";
    let says = |at: i64, length: i64| {
        format!("(call $emit (i32.const 0) (i32.const {at}) (i32.const {length})) (i32.const 64)")
    };
    let jane = format!(r#"{EMIT} (data (i32.const 512) "panicked: jane@example.org")"#);
    let table = "(table $t 90000 funcref)";
    let good = support::data(&answer_of(&[0.25, 0.75]));
    let initialize = |body: &str| format!(r#"(func (export "_initialize") {body})"#);
    let mut large = answer_of(&[0.5, 0.5]);
    large[5] = 5 << 20;
    let all_memory = "(drop (memory.grow (i32.const 255))) (i32.const 64)";
    vec![
        ("an endless loop", impatient("", forever), "deadline"),
        ("an endless start function", impatient(&start("(loop $ever (br $ever))"), "(i32.const 64)"), "deadline"),
        ("bulk fills in a loop", impatient("", fill), "deadline"),
        ("bulk copies in a loop", impatient("", copy), "deadline"),
        ("table fills in a loop", impatient(table, table_fill), "deadline"),
        ("a trap in the start function", scorer(&start("unreachable"), "(i32.const 64)"), "trap"),
        ("endless recursion", scorer(down, "(drop (call $down (i64.const 0))) (i32.const 64)"), "stack"),
        ("memory growth in a loop", scorer("", grow), "memory"),
        ("memory growth in the start function", scorer(&start(grow), "(i32.const 64)"), "memory"),
        ("table growth in a loop", scorer("(table $t 1 funcref)", grow_table), "memory"),
        ("a flood of host calls", scorer(EMIT, flood), "host_calls"),
        ("a host call outside of memory", scorer(EMIT, &says(65_536, 1)), "contract"),
        ("a host call with a length that lies", scorer(EMIT, &says(0, 0xffff_ffff)), "contract"),
        (
            "a host call with text that is none",
            scorer(&format!(r#"{EMIT} (data (i32.const 512) "\ff")"#), &says(512, 1)),
            "contract",
        ),
        (
            "a trap after personal data",
            scorer(&jane, &format!("{} (unreachable)", "(call $emit (i32.const 4) (i32.const 512) (i32.const 26))")),
            "trap",
        ),
        ("a list whose length lies", scorer_that_answers(&[0, 76, 0xffff_ffff]), "contract"),
        ("not a number", scorer_that_answers(&answer_of(&[0.5, f64::NAN])), "not_finite"),
        ("an infinity", scorer_that_answers(&answer_of(&[f64::NEG_INFINITY, 0.5])), "not_finite"),
        ("an endless workflow", workflow("", forever), "fuel"),
        ("bulk fills in a workflow", workflow("", fill), "fuel"),
        ("an endless `_initialize`", impatient(&initialize("(loop $ever (br $ever))"), "(i32.const 64)"), "deadline"),
        ("a trap in `_initialize`", scorer(&initialize("unreachable"), "(i32.const 64)"), "trap"),
        (
            "an endless loop after the answer",
            impatient(&format!("{good} {}", after(SCORER, "score", "(loop $ever (br $ever))")), "(i32.const 64)"),
            "deadline",
        ),
        (
            "a trap after the answer",
            scorer(&format!("{good} {}", after(SCORER, "score", "(unreachable)")), "(i32.const 64)"),
            "trap",
        ),
        (
            "an endless loop after a workflow's answer",
            workflow_that_answers(&[0; 5], &after(WORKFLOW, "handle", "(loop $ever (br $ever))")),
            "fuel",
        ),
        ("an endless allocator", allocates("", "(loop $ever (br $ever)) (unreachable)"), "fuel"),
        ("an allocator that traps", allocates("", "(unreachable)"), "trap"),
        ("an allocator that points outside", allocates("", "(i32.const -8)"), "contract"),
        ("an allocator that does not align", allocates("", "(i32.const 1025)"), "contract"),
        (
            "an allocator that calls the host",
            allocates(EMIT, "(call $emit (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 1024)"),
            "trap",
        ),
        ("a result of forty mebibytes in sixteen", scorer(&support::data(&large), all_memory), "contract"),
        ("a failure whose code lies outside", scorer_that_answers(&[1, 65_000, 4_000, 0, 0]), "contract"),
    ]
}

/// Calls a guest in whichever role it has.
fn run(plugin: &Plugin) -> Option<Fault> {
    if plugin.is_workflow() {
        // With a field, which has to be aligned.
        return plugin.handle(&support::event("poke", vec![crm_plugins::Entry::new("amount", 1_i64)]), &[], &[]).err();
    }
    plugin.scorer(&[]).and_then(|mut scorer| scorer.score(&two_rows())).err()
}

/// Bytes of memory that this process has in use; 0 where nobody says.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    kib.and_then(|kib| kib.trim().trim_end_matches(" kB").parse::<usize>().ok()).unwrap_or(0) << 10
}

/// Files by name that are refused, with the kind of the refusal; the last ones are loaded.
fn files() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = scorer_that_answers(&answer_of(&[0.25, 0.75]));
    let with = |parts: &str| scorer(parts, "(i32.const 64)");
    let nested = format!("(func {} {})", "loop ".repeat(10_000), "end ".repeat(10_000));
    let unknown = r#"(import "env" "system" (func (param i32) (result i32)))"#;
    let loops = dear::body(0, &[3, 0x40, 0x0b].repeat(30_000));
    let other = r#"(import "crm:plugin/diag@0.1.0" "emit" (func $emit (param i64)))"#;
    vec![
        ("no WebAssembly", b"#!/bin/sh".to_vec(), "not_wasm"),
        ("a truncated file", good[..good.len() / 2].to_vec(), "invalid"),
        ("four mebibytes and a byte", vec![0; (4 << 20) + 1], "too_large"),
        ("10,000 nested loops", with(&nested), "too_large"),
        ("20,001 functions", with(&"(func) ".repeat(20_001)), "too_large"),
        ("a table of ten million entries", with("(table 10000000 funcref)"), "too_large"),
        ("a component's parts", b"\0asm\x0d\0\x01\0".to_vec(), "no_role"),
        (
            "loops that are work for minutes",
            dear::Module::new(&[]).fill(dear::NOTHING, &loops, 1 << 20, 1).encode(),
            "too_large",
        ),
        (
            "a manifest of a hundred kilobytes",
            module(&" ".repeat(100_000), &scorer_parts(SCORER, "", "(i32.const 64)")),
            "too_large",
        ),
        ("a manifest that is none", module("{", &scorer_parts(SCORER, "", "(i32.const 64)")), "manifest"),
        ("no role", module(SCORER_MANIFEST, ""), "no_role"),
        (
            "another version of the contract",
            module(SCORER_MANIFEST, &scorer_parts("crm:plugin/scorer@9.0.0", "", "(i32.const 64)")),
            "unknown_contract",
        ),
        (
            "a role that the manifest does not have",
            module(WORKFLOW_MANIFEST, &scorer_parts(SCORER, "", "(i32.const 64)")),
            "mismatch",
        ),
        ("compiled code", [b"\x7fELF".to_vec(), vec![0; 64]].concat(), "not_wasm"),
        ("64-bit memory", with("(memory $large i64 1)"), "invalid"),
        (
            "a function missing",
            module(SCORER_MANIFEST, &format!(r#"(func (export "{SCORER}#score"))"#)),
            "componentize",
        ),
        ("threads", with("(func (drop (i32.atomic.load (i32.const 0))))"), "invalid"),
        ("an import that is not given", with(unknown), "unknown_import"),
        ("an import of another type", scorer(other, "(call $emit (i64.const 0)) (i32.const 64)"), "componentize"),
        ("a good file", good, "ok"),
    ]
}

#[test]
fn each_hostile_guest_is_stopped_a_hundred_times_and_leaves_nothing_behind() {
    // What a fault may leave without a leak: the allocator's own caches and what the kernel maps lazily.
    // A leaked instance would be 64 KiB at least and up to 16 MiB, times eighty.
    const TOLERANCE: usize = 4 << 20;
    let host = patient_host();
    files_leave_nothing_behind(&host, TOLERANCE);
    let mut healthy = host.load(&scorer_that_answers(&answer_of(&[0.25, 0.75]))).unwrap().scorer(&[]).unwrap();
    let guests = guests().into_iter().flat_map(|(name, wasm, kind)| {
        let component = support::as_component(&wasm);
        [(name.to_owned(), wasm, kind), (format!("{name}, as a component"), component, kind)]
    });
    for (name, wasm, kind) in guests {
        let plugin = host.load(&wasm).unwrap();
        let mut baseline = 0;
        // Each run of an endless one takes its deadline.
        let is_quick = kind != "deadline" || std::env::var_os("CRM_SOAK").is_some();
        let (rounds, warm) = if is_quick { (100, 20) } else { (25, 10) };
        for round in 1..=rounds {
            let fault = run(&plugin).unwrap_or_else(|| panic!("{name} was answered"));
            assert_eq!(fault.kind(), kind, "{name}: {fault}");
            assert!(!format!("{fault} {fault:?}").contains("jane"), "{name}: {fault:?}");
            if round == warm {
                baseline = resident();
            }
        }
        let grown = resident().saturating_sub(baseline);
        assert!(grown < TOLERANCE, "{name}: {grown} bytes more after {rounds} runs than after {warm}");
        let scores = healthy.score(&two_rows()).unwrap();
        assert_eq!((scores[0].float(0), scores[0].float(1)), (Some(0.25), Some(0.75)), "after {name}");
    }
}

/// Each is loaded a hundred times, and nothing of it stays.
fn files_leave_nothing_behind(host: &Host, tolerance: usize) {
    let healthy = host.load(&scorer_that_answers(&answer_of(&[0.125, 0.125]))).unwrap();
    for (name, file, kind) in files() {
        let mut baseline = 0;
        for round in 1..=100 {
            let loaded = host.load(&file);
            assert_eq!(loaded.as_ref().map_or_else(|refusal| refusal.kind(), |_| "ok"), kind, "{name}");
            if round == 20 {
                baseline = resident();
            }
        }
        let grown = resident().saturating_sub(baseline);
        assert!(grown < tolerance, "{name}: {grown} bytes more after 100 loads than after 20");
        assert!(healthy.scorer(&[]).unwrap().score(&two_rows()).is_ok(), "after {name}");
    }
}
