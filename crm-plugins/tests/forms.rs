//! A plugin is the same whether it comes as a module, which runs as it is, or as a component of it.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod support;

use std::sync::Arc;

use crm_plugins::{Batch, Column, Entry, LookupTable, Lookups, Plugin, Value};
use support::{SCORER, WORKFLOW, as_component, event, host, module};

fn both(wasm: &[u8]) -> [Plugin; 2] {
    let host = host();
    [host.load(wasm).unwrap(), host.load(&as_component(wasm)).unwrap()]
}

/// Returns the columns that it was given.
fn mirror() -> Vec<u8> {
    let manifest = r#"{"api":"0.1","name":"mirror","version":"1","features":["a","b","c","d"],"outputs":[
        {"name":"a"},{"name":"b","kind":"int"},{"name":"c","kind":"boolean"},{"name":"d","kind":"word"}]}"#;
    let body = "(i32.store (i32.const 68) (local.get 3)) (i32.store (i32.const 72) (local.get 4)) (i32.const 64)";
    module(&manifest.replace('\n', ""), &support::scorer_parts(SCORER, "", body))
}

#[test]
fn each_kind_of_column_comes_back_as_it_went_in() {
    for plugin in both(&mirror()) {
        let mut scorer = plugin.scorer(&[]).unwrap();
        for rows in [0, 1, 2, 7, 1_000] {
            for missing in [1, 3, usize::MAX] {
                let is_there = |row: &usize| !(row + 1).is_multiple_of(missing);
                let words = ["", "de", "fr", "Öland, 東京"];
                let columns = vec![
                    Column::floats((0..rows).map(|row| is_there(&row).then_some(row as f64 / 3.0))).unwrap(),
                    Column::ints((0..rows).map(|row| is_there(&row).then_some(i64::MIN + row as i64))),
                    Column::booleans((0..rows).map(|row| is_there(&row).then_some(row % 3 == 0))),
                    Column::words((0..rows).map(|row| is_there(&row).then_some(words[row % 4]))),
                ];
                let batch = Batch::new(rows, vec![Entry::new("as_of_ms", 7)], columns).unwrap();
                assert_eq!(scorer.score(&batch).unwrap(), batch.columns(), "{rows} rows, every {missing}. missing");
            }
        }
    }
}

/// Asks for one action whose arguments are the fields of the event, and keeps what it was given as its memory.
fn echo() -> Vec<u8> {
    let data = r#"(data (i32.const 600) "notify")
        (data (i32.const 512) "\58\02\00\00\06\00\00\00")"#;
    let body = "(i32.store (i32.const 520) (local.get 6)) (i32.store (i32.const 524) (local.get 7))
        (i32.store (i32.const 68) (i32.const 512)) (i32.store (i32.const 72) (i32.const 1))
        (i32.store (i32.const 76) (local.get 10)) (i32.store (i32.const 80) (local.get 11))
        (i32.const 64)";
    support::workflow(data, body)
}

fn each_value() -> Vec<Entry> {
    vec![
        Entry::new("null", Value::Null),
        Entry::new("no", false),
        Entry::new("yes", true),
        Entry::new("int", i64::MIN),
        Entry::new("float", -0.1),
        Entry::new("text", "Grüße"),
        Entry::new("empty", ""),
        Entry::new("bytes", Value::Bytes(vec![0, 255, 7])),
    ]
}

#[test]
fn each_kind_of_value_comes_back_as_it_went_in() {
    for plugin in both(&echo()) {
        for memory in [&b""[..], b"x", &[9; 65_536]] {
            let outcome = plugin.handle(&event("poke", each_value()), &[], memory).unwrap();
            assert_eq!(outcome.memory, memory);
            assert_eq!(outcome.actions.len(), 1);
            assert_eq!((outcome.actions[0].kind.as_str(), &outcome.actions[0].args), ("notify", &each_value()));
        }
    }
}

/// Looks up eight keys and asks for an action whose arguments are the answers.
fn messenger() -> Vec<u8> {
    let manifest = r#"{"api":"0.1","name":"messenger","version":"1","events":["poke"],"actions":["notify"],
        "lookups":["stock"]}"#;
    let words = |words: &[u32]| -> String {
        words.iter().flat_map(|word| word.to_le_bytes()).map(|byte| format!("\\{byte:02x}")).collect()
    };
    let keys: Vec<u32> = (0..8).flat_map(|key| [1_024 + key, 1]).collect();
    let entries: String = (0..8)
        .map(|key| {
            let entry = 2_048 + 24 * key;
            format!(
                "(i32.store (i32.const {entry}) (i32.const {})) (i32.store (i32.const {}) (i32.const 1))
                (memory.copy (i32.const {}) (i32.add (i32.load (i32.const 904)) (i32.const {})) (i32.const 16))",
                1_024 + key,
                entry + 4,
                entry + 8,
                16 * key
            )
        })
        .collect();
    let parts = format!(
        r#"(import "crm:plugin/lookup@0.1.0" "fetch" (func $fetch (param i32 i32 i32 i32 i32 i32 i32)))
        (data (i32.const 512) "stock") (data (i32.const 520) "notify") (data (i32.const 560) "any")
        (data (i32.const 640) "{}") (data (i32.const 1024) "abcdefgh")
        (data (i32.const 1100) "{}") (data (i32.const 64) "{}")
        (func (export "{WORKFLOW}#configure") (param i32 i32) (result i32) (i32.const 16))
        (func (export "{WORKFLOW}#handle")
            (param i32 i32 i32 i32 i64 i64 i32 i32 i32 i32 i32 i32) (result i32)
            (call $fetch (i32.const 512) (i32.const 5) (i32.const 640) (i32.const 8) (i32.const 560) (i32.const 3)
                (i32.const 900))
            (if (i32.load8_u (i32.const 900)) (then (return (i32.const 900))))
            {entries} (i32.const 64))"#,
        words(&keys),
        words(&[520, 6, 2_048, 8]),
        words(&[0, 1_100, 1, 0, 0]),
    );
    module(&manifest.replace('\n', ""), &parts)
}

#[test]
fn each_kind_of_value_is_an_answer_to_a_look_up() {
    let mut table = LookupTable::new();
    for (key, entry) in "abcdefgh".chars().zip(each_value()) {
        table = table.with("stock", &key.to_string(), "any", entry.value);
    }
    let table: Arc<dyn Lookups> = Arc::new(table);
    for plugin in both(&messenger()) {
        let workflow = plugin.workflow_with(&[], &["stock"]).unwrap();
        let outcome = workflow.handle_with(&event("poke", vec![]), &[], &[], &table).unwrap();
        let answers: Vec<&Value> = outcome.actions[0].args.iter().map(|arg| &arg.value).collect();
        assert_eq!(answers, each_value().iter().map(|entry| &entry.value).collect::<Vec<_>>());
    }
}

#[test]
fn guests_that_compilers_make_answer_the_same() {
    let [module, component] = both(&guest_build::build("churn").unwrap());
    let recency = (0..500).map(|row| (row % 7 != 6).then_some(f64::from(row)));
    let columns = vec![
        Column::floats(recency).unwrap(),
        Column::ints((0..500).map(|row| Some(row % 12))),
        Column::floats((0..500).map(|row| Some(f64::from(row * 37 % 9_000)))).unwrap(),
    ];
    let batch = Batch::new(500, vec![], columns).unwrap();
    let scores = |plugin: &Plugin| plugin.scorer(&[]).unwrap().score(&batch).unwrap();
    assert_eq!(scores(&module), scores(&component));

    let customer = [Entry::new("orders", 4), Entry::new("spend", 25_000), Entry::new("points", 120)];
    let left = event("stage_changed", vec![Entry::new("from", "purchase"), Entry::new("to", "historical")]);
    let [module, component] = both(&guest_build::build("winback").unwrap());
    let answers = [module, component].map(|plugin| {
        let outcome = plugin.handle(&left, &customer, &[]).unwrap();
        (outcome, plugin.inspect().counters.last_fuel)
    });
    assert_eq!(answers[0].0, answers[1].0);
    assert!(!answers[0].0.actions.is_empty() && answers.iter().all(|(_, fuel)| *fuel > Some(0)));
}
