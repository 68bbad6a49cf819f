//! Guests that were built when a version of the contract was released. A host that breaks one of them breaks shops.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crm_plugins::{Batch, Column, Entry, Plugin, Value};
use sha2::{Digest, Sha256};
use support::{event, host};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v0_1")
}

fn load(name: &str) -> Plugin {
    host().load(&std::fs::read(folder().join(name)).unwrap()).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// The contract of 0.1 is final. What has to change comes in a folder of its own beside it
/// (`docs/decisions/0024-the-contract-of-plugins-is-final.md`); a comment is no reason either, because authors' tools read
/// the text.
#[test]
fn the_contract_0_1_is_the_text_that_was_released() {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("wit/v0_1");
    let files: Vec<_> = std::fs::read_dir(&wit).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["plugin.wit"]);
    let text = std::fs::read(wit.join("plugin.wit")).unwrap();
    assert_eq!(sha256(&text), "113ecc9826f36028b08cb5f29f6a1d7a4fb2f9e48bf35b272c20b4289ff1daa5", "0.1 is final");
}

#[test]
fn the_guests_of_0_1_are_those_that_were_released() {
    let sums = std::fs::read_to_string(folder().join("SHA256SUMS")).unwrap();
    assert_eq!(sums.lines().count(), 3);
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").unwrap();
        let wasm = std::fs::read(folder().join(name)).unwrap();
        assert_eq!(sha256(&wasm), sum, "{name} is another file");
        assert!(wasm.len() <= 60 << 10, "{name} has {} bytes", wasm.len());
    }
}

#[test]
fn scorers_of_0_1_score_as_they_did() {
    let columns = || {
        vec![
            Column::floats([Some(90.0), None, Some(365.0)]).unwrap(),
            Column::ints([Some(4), Some(1), Some(1)]),
            Column::floats([Some(3_000.0), Some(3_000.0), None]).unwrap(),
        ]
    };
    for name in ["churn.wasm", "churn-c.wasm"] {
        let plugin = load(name);
        assert_eq!((plugin.name(), plugin.version(), plugin.manifest().api.as_str()), ("churn", "0.1.0", "0.1"));
        let scores = plugin.scorer(&[]).unwrap().score(&Batch::new(3, vec![], columns()).unwrap()).unwrap();
        let bits = [0, 1, 2].map(|row| scores[0].float(row).map(f64::to_bits));
        assert_eq!(bits, [Some(0x3fde_ccf1_a4ad_b8fd), None, Some(0x3fee_4cb5_87be_51e0)], "{name}");
    }
}

#[test]
fn workflows_of_0_1_answer_as_they_did() {
    let winback = load("winback.wasm");
    let workflow = winback.workflow(&[Entry::new("spend_above", 20_000)]).unwrap();
    let customer = [Entry::new("orders", 4), Entry::new("spend", 25_000), Entry::new("points", 120)];
    let left = event("stage_changed", vec![Entry::new("from", "purchase"), Entry::new("to", "historical")]);
    let outcome = workflow.handle(&left, &customer, &[]).unwrap();
    let kinds: Vec<&str> = outcome.actions.iter().map(|action| action.kind.as_str()).collect();
    assert_eq!(kinds, ["add_tag", "notify"]);
    assert_eq!(outcome.actions[0].arg("tag"), Some(&Value::Text("win-back".into())));
    assert_eq!(outcome.actions[1].arg("points"), Some(&Value::Int(120)));
}
