//! Files that are refused before anything of them is compiled, each with its reason.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

#[path = "support/dear.rs"]
mod dear;
mod support;

use std::time::{Duration, Instant};

use crm_plugins::{Host, Limits, LoadError};
use dear::{Module, NOTHING, OWN, body, repeat};
use support::{SCORER, SCORER_MANIFEST, host, module, scorer, scorer_parts};

fn refusal(host: &Host, wasm: &[u8]) -> String {
    match host.load(wasm) {
        Ok(plugin) => format!("{} was loaded", plugin.name()),
        Err(LoadError::Manifest(error)) => format!("manifest: {error}"),
        Err(LoadError::Invalid(error)) => format!("invalid: {error}"),
        Err(error) => error.to_string(),
    }
}

/// A scorer with more module fields.
fn with(parts: &str) -> Vec<u8> {
    scorer(parts, "(i32.const 64)")
}

#[test]
fn what_hurts_is_refused_quickly_and_named() {
    let nested = |block: &str, depth: usize| {
        let body = format!("{} {}", format!("({block} ").repeat(depth), ")".repeat(depth));
        with(&format!("(func {body})"))
    };
    let table = format!("(func (br_table {} (i32.const 0)))", "0 ".repeat(5_001));
    let locals = format!("(func (local {}))", "i32 ".repeat(2_001));
    let body = format!("(func {})", "(nop) ".repeat(140_000));
    let cases = [
        (nested("loop", 65), "65 nested loops are over the limit of 64"),
        (nested("block", 1_025), "1025 nested blocks are over the limit of 1024"),
        (with(&table), "5000 branch targets are over the limit of 4096"),
        (with(&locals), "2001 locals of one function are over the limit of 2000"),
        (with(&body), "bytes of one function are over the limit of 131072"),
        (with(&"(func) ".repeat(20_001)), "functions are over the limit of 20000"),
        (with("(table 10000000 funcref)"), "declared table elements are over the limit"),
        (with(&format!("(func {} {})", "loop ".repeat(10_000), "end ".repeat(10_000))), "65 nested loops"),
        (with(&"(func) ".repeat(100_000)), "functions are over the limit of 20000"),
        (
            with(&format!("(func (br_table {} (i32.const 0)))", "0 ".repeat(1_000_001))),
            "bytes of one function are over the limit of 131072",
        ),
        (vec![0; (4 << 20) + 1], "4194305 bytes in the file are over the limit of 4194304"),
    ];
    let host = host();
    let started = Instant::now();
    for (wasm, words) in cases {
        let refusal = refusal(&host, &wasm);
        assert!(refusal.contains(words), "{refusal} instead of {words}");
    }
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// Kilobytes that would take the compiler minutes, and gigabytes of memory.
#[test]
fn what_is_much_work_for_the_compiler_is_refused_quickly_and_named() {
    let once = |module: Module, function: Vec<u8>| module.fill(NOTHING, &function, 4 << 20, 1).encode();
    let plain = || Module::new(&[]);
    let gets =
        |count: usize| (0..count).flat_map(|one| [dear::with(0x20, one), vec![0x1a]].concat()).collect::<Vec<_>>();
    // Each variable is written in the innermost of many blocks, which is left to each of them.
    let mut nested = [2, 0x40].repeat(200);
    for one in 0..400 {
        nested.extend([vec![0x23, 0], dear::with(0x21, one), vec![0x20, 0], dear::with(0x0d, one % 200)].concat());
    }
    nested.extend(vec![0x0b; 200]);
    nested.extend(gets(400));
    let wide_loops = [[0x41, 0].repeat(1_000), [3, OWN as u8, 0x0b].repeat(500), vec![0x1a; 1_000]].concat();
    let mut wide_calls = Module::new(&[(0, 1_000)]);
    let wide = wide_calls.add(OWN, body(0, &[0]));
    let call = [vec![2, 0x40], dear::with(0x10, wide), vec![0x0c, 0, 0x0b]].concat();
    let looped = [repeat(&[3, 0x40, 0x20, 0, 0x0d, 0, 0x0b], 20_000), gets(2_000)].concat();
    let one = "units of work for the compiler in one function are over the limit of 1000000";
    let all = "units of work for the compiler are over the limit of 10000000";
    let cases = [
        ("loops one after another", once(plain(), body(0, &repeat(&[3, 0x40, 0x0b], 100_000))), one),
        ("loops past many variables", once(plain(), body(2_000, &looped)), one),
        ("loops that hand a thousand values on", once(Module::new(&[(1_000, 1_000)]), body(0, &wide_loops)), one),
        ("blocks left in many ways", once(plain(), body(400, &nested)), one),
        ("calls that give a thousand values", once(wide_calls, body(0, &repeat(&call, 100_000))), one),
        (
            "growth again and again",
            once(plain(), body(0, &[vec![0x41, 0], repeat(&[0x40, 0], 100_000), vec![0x1a]].concat())),
            one,
        ),
        (
            "tables read again and again",
            once(plain(), body(0, &[vec![0x41, 0], repeat(&[0x25, 0, 0xd1], 100_000), vec![0x1a]].concat())),
            one,
        ),
        (
            "functions that take much",
            Module::new(&[(1_000, 0)]).fill(OWN, &body(0, &[]), 4 << 20, 19_990).encode(),
            all,
        ),
        (
            "four mebibytes of divisions",
            plain()
                .fill(
                    NOTHING,
                    &body(1, &[vec![0x20, 0], repeat(&[0x20, 0, 0x6f], 60_000), vec![0x1a]].concat()),
                    4_000_000,
                    20_000,
                )
                .encode(),
            all,
        ),
    ];
    let host = host();
    for (name, wasm, words) in cases {
        assert!(wasm.len() < 4 << 20, "{name}");
        let started = Instant::now();
        let refusal = refusal(&host, &wasm);
        assert!(refusal.contains(words), "{name}: {refusal} instead of {words}");
        assert!(started.elapsed() < Duration::from_secs(5), "{name}: {:?}", started.elapsed());
    }
    // The same in small is taken.
    let small = [
        once(plain(), body(0, &repeat(&[3, 0x40, 0x0b], 300))),
        once(plain(), body(20, &[repeat(&[3, 0x40, 0x20, 0, 0x0d, 0, 0x0b], 300), gets(20)].concat())),
        once(
            Module::new(&[(10, 10)]),
            body(0, &[[0x41, 0].repeat(10), [3, OWN as u8, 0x0b].repeat(20), vec![0x1a; 10]].concat()),
        ),
    ];
    for wasm in small {
        assert_eq!(refusal(&host, &wasm), "hostile was loaded");
    }
}

/// A component with a manifest and these parts.
fn component(parts: &str) -> Vec<u8> {
    let manifest = SCORER_MANIFEST.replace('"', "\\\"");
    wat::parse_str(format!(r#"(component $top (@custom "crm:manifest" "{manifest}") {parts})"#)).unwrap()
}

#[test]
fn what_is_small_and_comes_to_much_is_refused_quickly_and_named() {
    let diag = r#"(import "crm:plugin/diag@0.1.0" (instance $diag
        (type $l (enum "debug" "info" "warn" "error" "panic")) (export "level" (type $level (eq $l)))
        (export "emit" (func (param "level" $level) (param "message" string)))))"#;
    let lowered = "(core func (canon lower (func $diag \"emit\") (memory (core memory $m \"m\"))))".repeat(20_001);
    let memory = r#"(core module $has (memory (export "m") 1)) (core instance $m (instantiate $has))"#;
    // Each component makes two instances of the one before it: of the last one 2^40 follow.
    let tower: String = (1..=40)
        .map(|level| {
            let below = format!("(alias outer $top $c{} (component $below))", level - 1);
            format!("(component $c{level} {below} {})", "(instance (instantiate $below))".repeat(2))
        })
        .collect();
    let many = format!("(core module $m) {}", "(core instance (instantiate $m))".repeat(65));
    let cases = [
        (
            component(&format!("(component $c0) {tower} (instance (instantiate $c40))")),
            "instances are over the limit of 64",
        ),
        (component(&many), "65 instances are over the limit of 64"),
        (component(&"(core module)".repeat(64)), "65 modules are over the limit of 64"),
        (component(&format!("{diag} {memory} {lowered}")), "functions are over the limit of 20000"),
        (component(&"(type string)".repeat(50_001)), "definitions are over the limit of 50000"),
        (with(&"(type (func (param i32)))".repeat(50_001)), "definitions are over the limit of 50000"),
        (
            with(&r#"(import "crm:plugin/diag@0.1.0" "emit" (func (param i32 i32 i32)))"#.repeat(65)),
            "65 imports are over the limit of 64",
        ),
        // Sixteen bytes each in every instance, which no limit of memory counts.
        (with(&"(global i32 (i32.const 0))".repeat(50_001)), "definitions are over the limit of 50000"),
        (with(&"(elem func)".repeat(50_001)), "definitions are over the limit of 50000"),
        (with(&r#"(data "")"#.repeat(50_001)), "definitions are over the limit of 50000"),
    ];
    let host = host();
    for (wasm, words) in cases {
        let started = Instant::now();
        let refusal = refusal(&host, &wasm);
        assert!(refusal.contains(words), "{refusal} instead of {words}");
        assert!(started.elapsed() < Duration::from_secs(2), "{words}: {:?}", started.elapsed());
    }
}

#[test]
fn a_manifest_that_is_too_long_is_refused_unread() {
    let longest = |bytes: usize| {
        let padded = format!("{SCORER_MANIFEST}{}", " ".repeat(bytes - SCORER_MANIFEST.len()));
        module(&padded, &scorer_parts(SCORER, "", "(i32.const 64)"))
    };
    assert!(host().load(&longest(64 << 10)).is_ok());
    assert_eq!(refusal(&host(), &longest((64 << 10) + 1)), "65537 bytes of manifest are over the limit of 65536");
}

#[test]
fn features_that_are_off_are_refused() {
    let cases = [
        ("(func $f (return_call $f))", "tail calls"),
        ("(func (drop (struct.new_default $s))) (type $s (struct))", "gc"),
        ("(tag $t) (func (throw $t))", "exceptions"),
        ("(func (drop (i32.atomic.load (i32.const 0))))", "threads"),
        ("(func (drop (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0))))", "relaxed SIMD"),
        ("(memory 1)", "multiple memories"),
        ("(memory $large i64 1)", "64-bit memory"),
        ("(memory $shared 1 1 shared)", "shared memory"),
        ("(type (func (param externref (ref null eq))))", "references of garbage collection"),
    ];
    let host = host();
    for (parts, words) in cases {
        let refusal = refusal(&host, &with(parts));
        assert!(refusal.starts_with("invalid: "), "{words}: {refusal}");
    }
}

#[test]
fn four_gigabytes_of_declared_memory_are_refused() {
    let text = format!(r#"(module (memory 65535) (export "{SCORER}#score" (memory 0)))"#);
    let refusal = refusal(&host(), &wat::parse_str(text).unwrap());
    assert_eq!(refusal, "4294901760 bytes of declared memory are over the limit of 16777216");
}

#[test]
fn fixed_width_simd_is_on() {
    let simd = "(func (result v128) (i32x4.splat (i32.const 1)))";
    assert!(host().load(&with(simd)).is_ok());
}

#[test]
fn what_is_not_given_is_named() {
    let import = |module: &str, name: &str| with(&format!(r#"(import "{module}" "{name}" (func $import))"#));
    let host = host();
    for (wasm, words) in [
        (import("env", "system"), "plugins are not given `env system`"),
        (import("wasi_snapshot_preview1", "fd_write"), "plugins are not given `wasi_snapshot_preview1 fd_write`"),
        (
            import("crm:plugin/diag@0.9.0", "emit"),
            "`crm:plugin/diag@0.9.0` is of a version that this host does not know; it knows 0.1.0",
        ),
    ] {
        assert_eq!(refusal(&host, &wasm), words);
    }
    let component = r#"(component (import "wasi:cli/environment@0.2.0" (instance)))"#;
    assert_eq!(
        refusal(&host, &wat::parse_str(component).unwrap()),
        "plugins are not given `wasi:cli/environment@0.2.0`"
    );
}

#[test]
fn an_import_of_another_type_does_not_fit() {
    let emit = r#"(import "crm:plugin/diag@0.1.0" "emit" (func $emit (param i64)))"#;
    let wasm = scorer(emit, "(call $emit (i64.const 0)) (i32.const 64)");
    assert_eq!(refusal(&host(), &wasm), "this module does not fit the contract");
}

#[test]
fn an_unknown_contract_version_is_named() {
    let later = scorer_parts("crm:plugin/scorer@0.2.0", "", "(i32.const 64)");
    let host = host();
    assert_eq!(
        refusal(&host, &module(SCORER_MANIFEST, &later)),
        "`crm:plugin/scorer@0.2.0` is of a version that this host does not know; it knows 0.1.0"
    );
    let manifest = SCORER_MANIFEST.replace("\"0.1\"", "\"7.0\"");
    assert_eq!(
        refusal(&host, &module(&manifest, &scorer_parts(SCORER, "", "(i32.const 64)"))),
        "manifest: the manifest asks for contract `7.0`, and this host knows 0.1"
    );
}

#[test]
fn manifest_and_exports_must_agree() {
    let scorer = scorer_parts(SCORER, "", "(i32.const 64)");
    let two = format!(r#"{scorer} (@custom "crm:manifest" "{{}}")"#);
    let host = host();
    for (wasm, words) in [
        (module(SCORER_MANIFEST, ""), "this exports neither a scorer nor a workflow"),
        (module(SCORER_MANIFEST, &two), "this has more than one manifest"),
        (module("{", &scorer), "manifest: the manifest is not of the known shape"),
        (module(support::WORKFLOW_MANIFEST, &scorer), "this exports a scorer, and its manifest declares no outputs"),
        (wat::parse_str("(module)").unwrap(), "this exports neither a scorer nor a workflow"),
        (wat::parse_str("(component)").unwrap(), "this exports neither a scorer nor a workflow"),
        (b"#!/bin/sh".to_vec(), "this is no WebAssembly module or component"),
        (vec![], "this is no WebAssembly module or component"),
    ] {
        assert_eq!(refusal(&host, &wasm), words);
    }
    let missing = format!(r#"(module (func (export "{SCORER}#score")))"#);
    assert_eq!(refusal(&host, &wat::parse_str(missing).unwrap()), "this has no manifest");
}

#[test]
fn an_export_that_is_missing_or_of_another_type_does_not_fit() {
    let manifest = SCORER_MANIFEST;
    for parts in [
        format!(r#"(func (export "{SCORER}#score"))"#),
        format!(r#"(global (export "{SCORER}#score") i32 (i32.const 0))"#),
    ] {
        let refusal = refusal(&host(), &module(manifest, &parts));
        assert_eq!(refusal, "this module does not fit the contract");
    }
}

#[test]
fn a_component_whose_exports_have_other_types_faults_when_used() {
    let manifest = SCORER_MANIFEST.replace('"', "\\\"");
    let text = format!(
        r#"(component
            (@custom "crm:manifest" "{manifest}")
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f")))
            (instance $scorer (export "configure" (func $f)) (export "score" (func $f)))
            (export "{SCORER}" (instance $scorer)))"#
    );
    let plugin = host().load(&wat::parse_str(text).unwrap()).unwrap();
    assert_eq!(plugin.scorer(&[]).unwrap_err().kind(), "contract");
}

#[test]
fn names_and_other_custom_sections_cost_nothing() {
    let names = "n".repeat(3 << 20);
    let wasm = with(&format!(r#"(@custom "name" "{names}") (@custom "component-type" "lies")"#));
    let started = Instant::now();
    assert!(host().load(&wasm).is_ok());
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_million_names_are_too_large_or_cost_nothing() {
    // The names of a million functions: a count, then for each its number, a length and a letter.
    let leb = |mut number: usize| {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    };
    let mut names = leb(1_000_000);
    for number in 0..1_000_000 {
        names.extend(leb(number));
        names.extend([1, b'n']);
    }
    let section: Vec<u8> = [&[4][..], b"name", &[1], &leb(names.len()), &names].concat();
    let wasm = [with(""), vec![0], leb(section.len()), section].concat();
    assert!(refusal(&host(), &wasm).contains("bytes in the file are over the limit of 4194304"));

    let mut limits = Limits::default();
    limits.load.file_bytes = 8 << 20;
    assert!(Host::new(limits).unwrap().load(&wasm).is_ok());
}

#[test]
fn a_truncated_file_is_refused() {
    let wasm = guest_build::build("churn").unwrap();
    let host = host();
    for length in (0..wasm.len()).step_by(wasm.len() / 300 + 1) {
        assert!(host.load(&wasm[..length]).is_err(), "{length} bytes were loaded");
    }
}

#[test]
fn a_flipped_byte_is_refused_or_stays_in_the_sandbox() {
    let wasm = guest_build::build("winback").unwrap();
    let host = support::strict_host();
    for place in (0..wasm.len()).step_by(wasm.len() / 40 + 1) {
        let mut flipped = wasm.clone();
        flipped[place] ^= 0x41;
        if let Ok(plugin) = host.load(&flipped) {
            // Any answer will do, as long as there is one.
            let _ = plugin.handle(&support::event("scored", vec![]), &[], &[]);
        }
    }
}
