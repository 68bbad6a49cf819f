//! One scorer in four languages: `examples/plugins/churn` and its sisters in C, JavaScript and Python, built as their
//! authors build them, give the same scores to the last bit.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic in a test is its report")]

use std::io::Write as _;
use std::time::Duration;

use crm_plugins::{Batch, Column, Fault, Host, Limits, LoadError, LoadLimits, Plugin};
use guest_build::{BuildError, Language};
use sha2::{Digest, Sha256};

const ROWS: usize = 4_096;

/// What a host that trusts the interpreters allows. The component with SpiderMonkey has 12.1 MB, the one with CPython
/// 18.4 MB; their largest functions have 168 and 417 KiB, and the memory that they begin with is 9.1 and 12.3 MiB.
fn limits(language: Language) -> Limits {
    let mut limits = Limits::default();
    // No healthy guest takes so long, also on a busy machine.
    limits.deadline = Duration::from_secs(60);
    if language == Language::JavaScript || language == Language::Python {
        limits.load = interpreters();
        limits.memory_bytes = 128 << 20;
    }
    limits
}

fn interpreters() -> LoadLimits {
    let mut load = LoadLimits::default();
    load.file_bytes = 24 << 20;
    load.function_bytes = 512 << 10;
    load.function_work = 40_000_000;
    load.work = 100_000_000;
    load
}

fn load(language: Language, wasm: &[u8]) -> Plugin {
    Host::new(limits(language)).unwrap().load(wasm).unwrap_or_else(|error| panic!("{language:?}: {error:?}"))
}

/// The scorer's file; none if the tools of its language are not here, and then one line says so.
fn built(language: Language) -> Option<Vec<u8>> {
    match language.build() {
        Ok(wasm) => Some(wasm),
        Err(BuildError::Missing { program, hint }) => {
            // Not by a macro: what those print is kept from view while a test passes.
            let line = format!("skipped {language:?}: there is no {program} here; {hint}\n");
            let _ = std::io::stderr().write_all(line.as_bytes());
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Customers of all kinds: a third of the cells missing or at the end of what their type holds.
fn customers() -> Batch {
    let mut state = 0x5eed_u64;
    let mut next = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let floats = [0.0, -0.0, -1.0, f64::MIN_POSITIVE, f64::MIN, f64::MAX, 5e-324, 1e300, 90.0];
    let ints = [0, -1, 1, 4, i64::MIN, i64::MAX, (1 << 53) + 1, -(1 << 60) - 1];
    let mut float = |least: f64, most: u64| match next(9) {
        0 => None,
        1 | 2 => Some(floats[next(floats.len() as u64) as usize]),
        _ => Some(least + next(most * 1_000) as f64 / 1_000.0),
    };
    let recency = (0..ROWS).map(|_| float(0.0, 700)).collect::<Vec<_>>();
    let average = (0..ROWS).map(|_| float(-500.0, 40_000)).collect::<Vec<_>>();
    let mut int = || match next(9) {
        0 => None,
        1 | 2 => Some(ints[next(ints.len() as u64) as usize]),
        _ => Some(next(60) as i64),
    };
    let orders = (0..ROWS).map(|_| int()).collect::<Vec<_>>();
    let columns = vec![Column::floats(recency).unwrap(), Column::ints(orders), Column::floats(average).unwrap()];
    Batch::new(ROWS, vec![], columns).unwrap()
}

/// The scores' bits, missing ones told apart.
fn digest(plugin: &Plugin) -> [u8; 32] {
    let columns = plugin.scorer(&[]).unwrap().score(&customers()).unwrap();
    let mut digest = Sha256::new();
    for row in 0..ROWS {
        match columns[0].float(row) {
            Some(score) => digest.update(score.to_bits().to_le_bytes()),
            None => digest.update([0]),
        }
    }
    digest.finalize().into()
}

/// That `language` scores as Rust does, and declines what Rust declines.
fn check(language: Language) {
    let Some(wasm) = built(language) else { return };
    let plugin = load(language, &wasm);
    let rust = load(Language::Rust, &Language::Rust.build().unwrap());
    assert_eq!(plugin.manifest(), rust.manifest());
    assert_eq!(digest(&plugin), digest(&rust), "{language:?} scores otherwise than Rust");
    for plugin in [plugin, rust] {
        let fault = plugin.scorer(&[]).unwrap().score(&named()).unwrap_err();
        assert!(matches!(&fault, Fault::Refused { code, .. } if code == "wrong-kind"), "{language:?}: {fault:?}");
    }
}

/// A customer whose recency is a text.
fn named() -> Batch {
    let columns = vec![Column::words([Some("yesterday")]), Column::ints([Some(1)]), Column::ints([Some(1)])];
    Batch::new(1, vec![], columns).unwrap()
}

#[test]
fn the_scorer_in_c_gives_the_same_numbers() {
    check(Language::C);
}

#[test]
fn the_scorer_in_javascript_gives_the_same_numbers() {
    check(Language::JavaScript);
}

#[test]
fn the_scorer_in_python_gives_the_same_numbers() {
    check(Language::Python);
}

#[test]
fn an_interpreter_is_refused_by_a_host_that_did_not_ask_for_one() {
    let Some(wasm) = built(Language::JavaScript) else { return };
    let refused = Host::new(Limits::default()).unwrap().load(&wasm).unwrap_err();
    assert!(matches!(refused, LoadError::TooLarge { what: "bytes in the file", .. }), "{refused}");
}
