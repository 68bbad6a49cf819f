//! A workflow looks things up: answered from what is at hand, and stopped at what is not.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod support;

use std::num::NonZeroU32;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crm_plugins::{Answer, Entry, Fault, Host, InputError, Limits, LookupTable, Lookups, Need, Value, Workflow};
use support::{WORKFLOW, WORKFLOW_MANIFEST, event, host, module};

const MANIFEST: &str = r#"{"api":"0.1","name":"hostile","version":"1","events":["poke"],"lookups":["prices"]}"#;

const FETCH: &str = r#"(import "crm:plugin/lookup@0.1.0" "fetch"
    (func $fetch (param i32 i32 i32 i32 i32 i32 i32)))"#;

/// A workflow that looks up `keys` and returns the values, as they lie in its memory, as its memory.
/// An error of the look-up it returns as its own.
fn guest(manifest: &str, source: &str, keys: &[&str], field: &str) -> Vec<u8> {
    let mut at = 1024;
    let mut pairs = String::new();
    let mut texts = String::new();
    for key in keys {
        for word in [at, key.len()] {
            pairs.extend((word as u32).to_le_bytes().map(|byte| format!("\\{byte:02x}")));
        }
        texts.push_str(&format!(r#"(data (i32.const {at}) "{key}")"#));
        at += key.len();
    }
    let body = format!(
        "(call $fetch (i32.const 512) (i32.const {}) (i32.const 640) (i32.const {}) (i32.const 560) (i32.const {})
            (i32.const 900))
        (if (i32.load8_u (i32.const 900)) (then (return (i32.const 900))))
        (i32.store (i32.const 76) (i32.load (i32.const 904)))
        (i32.store (i32.const 80) (i32.mul (i32.load (i32.const 908)) (i32.const 16)))
        (i32.const 64)",
        source.len(),
        keys.len(),
        field.len()
    );
    let parts = format!(
        r#"{FETCH} (data (i32.const 512) "{source}") (data (i32.const 560) "{field}")
        (data (i32.const 640) "{pairs}") {texts}
        (func (export "{WORKFLOW}#configure") (param i32 i32) (result i32) (i32.const 16))
        (func (export "{WORKFLOW}#handle")
            (param i32 i32 i32 i32 i64 i64 i32 i32 i32 i32 i32 i32) (result i32) {body})"#
    );
    module(manifest, &parts)
}

fn workflow(wasm: &[u8]) -> Workflow {
    host().load(wasm).unwrap().workflow_with(&[], &["prices", "stock"]).unwrap()
}

fn ask(workflow: &Workflow, lookups: impl Lookups + 'static) -> Result<Vec<i64>, Fault> {
    let lookups: Arc<dyn Lookups> = Arc::new(lookups);
    let memory = workflow.handle_with(&event("poke", vec![]), &[], &[], &lookups)?.memory;
    // A value takes 16 bytes: its case, and from the eighth byte on what it holds. Case 2 is a whole number.
    let whole = |value: &[u8]| {
        assert_eq!(value[0], 2);
        i64::from_le_bytes(value[8..].try_into().unwrap())
    };
    Ok(memory.chunks(16).map(whole).collect())
}

#[test]
fn a_look_up_is_answered_from_what_is_at_hand() {
    let workflow = workflow(&guest(MANIFEST, "prices", &["mug", "jug"], "minor"));
    let table = LookupTable::new().with("prices", "jug", "minor", 1_250).with("prices", "mug", "minor", 700);
    assert_eq!(ask(&workflow, table).unwrap(), [700, 1_250]);
    assert_eq!(workflow.plugin().inspect().imports, ["crm:plugin/lookup@0.1.0"]);
}

#[test]
fn what_is_not_at_hand_is_named_and_the_next_call_has_it() {
    let workflow = workflow(&guest(MANIFEST, "prices", &["mug", "jug"], "minor"));
    let table = LookupTable::new().with("prices", "mug", "minor", 700);
    let need = Need { source: "prices".into(), keys: vec!["mug".into(), "jug".into()], field: "minor".into() };
    for _ in 0..10 {
        let fault = ask(&workflow, table.clone()).unwrap_err();
        assert_eq!(fault, Fault::Need(need.clone()));
        assert!(!fault.is_plugins() && !fault.depends_on_clock());
        assert!(!format!("{fault} {fault:?}").contains("mug"), "keys are a guest's words");
    }
    // Ten of them have not put it into quarantine.
    assert_eq!(ask(&workflow, table.with("prices", "jug", "minor", 1)).unwrap(), [700, 1]);
    let fault = workflow.handle(&event("poke", vec![]), &[], &[]).unwrap_err();
    assert_eq!(fault, Fault::Need(need), "without look-ups nothing is at hand");
}

struct Says(Answer);

impl Lookups for Says {
    fn fetch(&self, source: &str, keys: &[&str], field: &str) -> Answer {
        assert_eq!((source, keys, field), ("prices", &["mug"][..], "minor"));
        self.0.clone()
    }
}

#[test]
fn a_source_that_cannot_be_asked_is_the_plugins_to_deal_with() {
    let workflow = workflow(&guest(MANIFEST, "prices", &["mug"], "minor"));
    let Fault::Refused { code, .. } = ask(&workflow, Says(Answer::Unavailable)).unwrap_err() else {
        panic!("it passes the failure on")
    };
    assert_eq!(code, "unavailable");
}

#[test]
fn a_wrong_answer_is_the_callers_fault() {
    let workflow = workflow(&guest(MANIFEST, "prices", &["mug"], "minor"));
    let fault = ask(&workflow, Says(Answer::Values(vec![]))).unwrap_err();
    assert_eq!(fault, Fault::Input(InputError::Answer { expected: 1, actual: 0 }));
    let fault = ask(&workflow, Says(Answer::Values(vec![Value::Float(f64::NAN)]))).unwrap_err();
    assert_eq!(fault, Fault::Input(InputError::NotFinite { name: "prices".into() }));
}

/// Answers when the deadline is over.
struct Slow(Duration);

impl Lookups for Slow {
    fn fetch(&self, _: &str, keys: &[&str], _: &str) -> Answer {
        std::thread::sleep(self.0);
        Answer::Values(vec![Value::Int(1); keys.len()])
    }
}

#[test]
fn a_call_that_waited_for_a_look_up_past_its_deadline_has_failed_though_it_answered() {
    let host = support::strict_host();
    let plugin = host.load(&guest(MANIFEST, "prices", &["mug"], "minor")).unwrap();
    let workflow = plugin.workflow_with(&[], &["prices"]).unwrap();
    let limit = host.limits().deadline;
    for _ in 0..2 {
        assert_eq!(ask(&workflow, Slow(limit * 2)).unwrap_err(), Fault::Deadline { limit });
        let counters = plugin.inspect().counters;
        assert_eq!(counters.last_fuel, None, "what the clock stopped has no fuel to tell of");
        assert!(counters.busy >= limit * 2);
    }
}

#[test]
fn a_source_that_is_not_granted_is_named_before_anything_runs() {
    let plugin = host().load(&guest(MANIFEST, "prices", &["mug"], "minor")).unwrap();
    for refused in [plugin.workflow(&[]), plugin.workflow_with(&[], &["stock"])] {
        assert_eq!(refused.unwrap_err(), Fault::Input(InputError::LookupNotGranted { name: "prices".into() }));
    }
}

#[test]
fn look_ups_are_linked_for_workflows_that_name_a_source_only() {
    let refusal = |wasm: &[u8]| host().load(wasm).unwrap_err().to_string();
    let undeclared = guest(WORKFLOW_MANIFEST, "prices", &["mug"], "minor");
    assert_eq!(refusal(&undeclared), "this imports look-ups, and its manifest names no source for them");
    let scorer = support::SCORER_MANIFEST.replace("\"outputs\"", "\"lookups\":[\"prices\"],\"outputs\"");
    let scorer = module(&scorer, &support::scorer_parts(support::SCORER, "", "(i32.const 64)"));
    assert_eq!(refusal(&scorer), "the manifest names sources for look-ups, and this exports no workflow");
}

#[test]
fn each_look_up_that_is_not_allowed_is_of_its_kind() {
    let thousand = vec!["a"; 257];
    let long = "k".repeat(40_000);
    let cases = [
        (guest(MANIFEST, "stock", &["mug"], "minor"), "undeclared_lookup"),
        (guest(MANIFEST, "prices", &["mug"], "Minor"), "contract"),
        (guest(MANIFEST, "prices", &["\\ff"], "minor"), "contract"),
        (guest(MANIFEST, "prices", &thousand[..40], "minor"), "need"),
    ];
    for (wasm, kind) in cases {
        assert_eq!(ask(&workflow(&wasm), LookupTable::new()).unwrap_err().kind(), kind);
    }
    // Keys may share their text: two of 40,000 bytes are over 64 KiB, and a list of 257 is too long.
    let shared = |count: u32, bytes: usize| {
        let pair: String = [2048, bytes as u32]
            .iter()
            .flat_map(|word: &u32| word.to_le_bytes())
            .map(|byte| format!("\\{byte:02x}"))
            .collect();
        let pairs = pair.repeat(count as usize);
        let body = format!(
            "(call $fetch (i32.const 512) (i32.const 6) (i32.const 50000) (i32.const {count}) (i32.const 560)
                (i32.const 5) (i32.const 900)) (i32.const 64)"
        );
        let parts = format!(
            r#"{FETCH} (data (i32.const 512) "prices") (data (i32.const 560) "minor") (data (i32.const 2048) "{long}")
            (data (i32.const 50000) "{pairs}")
            (func (export "{WORKFLOW}#configure") (param i32 i32) (result i32) (i32.const 16))
            (func (export "{WORKFLOW}#handle")
                (param i32 i32 i32 i32 i64 i64 i32 i32 i32 i32 i32 i32) (result i32) {body})"#
        );
        workflow(&module(MANIFEST, &parts))
    };
    let fault = ask(&shared(2, 40_000), LookupTable::new()).unwrap_err();
    assert_eq!(fault, Fault::Lookup { what: "bytes of keys", limit: 64 << 10 });
    let fault = ask(&shared(257, 1), LookupTable::new()).unwrap_err();
    assert_eq!(fault, Fault::Lookup { what: "keys", limit: 256 });
    assert!(fault.is_plugins());
}

#[test]
fn a_workflow_sees_personal_fields_that_it_asked_for_and_a_scorer_cannot_ask() {
    let manifest = WORKFLOW_MANIFEST.replace("\"events\"", "\"fields\":[\"given_name\"],\"events\"");
    let parts = support::workflow_parts("", "(i32.const 64)");
    let plugin = host().load(&module(&manifest, &parts)).unwrap();
    let seen = |name: &str| plugin.handle(&event("poke", vec![]), &[Entry::new(name, "Jane")], &[]);
    assert!(seen("given_name").is_ok());
    assert_eq!(seen("email").unwrap_err(), Fault::Input(InputError::Feature { name: "email".into() }));
    let scorer = support::SCORER_MANIFEST.replace("\"outputs\"", "\"fields\":[\"given_name\"],\"outputs\"");
    let scorer = module(&scorer, &support::scorer_parts(support::SCORER, "", "(i32.const 64)"));
    let refusal = host().load(&scorer).unwrap_err().to_string();
    assert_eq!(refusal, "the manifest asks for personal fields, and only workflows see those");
}

#[test]
fn a_guest_written_with_the_sdk_looks_things_up_and_sees_a_personal_field() {
    let manifest = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/Cargo.toml");
    let plugin = host().load(&guest_build::build_in(&manifest, "restock").unwrap()).unwrap();
    assert_eq!(plugin.manifest().lookups, ["stock"]);
    assert_eq!(plugin.manifest().fields, ["given_name"]);
    assert!(plugin.inspect().imports.contains(&"crm:plugin/lookup@0.1.0".to_owned()));
    let workflow = plugin.workflow_with(&[], &["stock"]).unwrap();
    let visited = event("visited", vec![Entry::new("products", "mug jug")]);
    let customer = [Entry::new("given_name", "Jane")];

    // As an engine goes about it: call, load what is needed, call again.
    let mut table = LookupTable::new();
    let outcome = loop {
        match workflow.handle_with(&visited, &customer, &[], &(Arc::new(table.clone()) as Arc<dyn Lookups>)) {
            Err(Fault::Need(need)) => {
                assert_eq!((need.source.as_str(), need.field.as_str()), ("stock", "on_hand"));
                for key in &need.keys {
                    table.insert(&need.source, key, &need.field, if key == "jug" { 3 } else { 0 });
                }
            }
            answer => break answer.unwrap(),
        }
    };
    assert_eq!(outcome.actions.len(), 1);
    assert_eq!(outcome.actions[0].arg("product"), Some(&Value::Text("jug".into())));
    assert_eq!(outcome.actions[0].arg("name"), Some(&Value::Text("Jane".into())));
    assert_eq!(plugin.inspect().counters.faults.get("need"), Some(&1));
}

/// Holds whoever asks until it is told to let them go.
#[derive(Debug, Default)]
struct Crowd {
    /// How many are held, and whether they may go.
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Crowd {
    fn change(&self, change: impl FnOnce(&mut (usize, bool))) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn wait_until(&self, is_so: impl Fn(usize, bool) -> bool) {
        drop(self.changed.wait_while(self.state.lock().unwrap(), |(held, go)| !is_so(*held, *go)).unwrap());
    }
}

impl Lookups for Crowd {
    fn fetch(&self, _: &str, keys: &[&str], _: &str) -> Answer {
        self.change(|(held, _)| *held += 1);
        self.wait_until(|_, go| go);
        Answer::Values(vec![Value::Int(1); keys.len()])
    }
}

#[test]
fn where_as_many_workflows_run_as_run_at_once_there_is_no_room_for_more_and_nothing_is_held_against_the_plugin() {
    let mut limits = Limits::default();
    (limits.deadline, limits.quarantine_after) = (Duration::from_millis(20), NonZeroU32::MAX);
    let wasm = guest(MANIFEST, "prices", &["mug"], "minor");
    let workflow = Host::new(limits).unwrap().load(&wasm).unwrap().workflow_with(&[], &["prices"]).unwrap();
    let crowd = Arc::new(Crowd::default());
    let call = |lookups: Arc<dyn Lookups>| workflow.handle_with(&event("poke", vec![]), &[], &[], &lookups);
    std::thread::scope(|scope| {
        for _ in 0..64 {
            // On a busy machine the deadline may pass before the guest asks.
            scope.spawn(|| while call(Arc::<Crowd>::clone(&crowd)).is_err() && !crowd.state.lock().unwrap().1 {});
        }
        crowd.wait_until(|held, _| held == 64);
        let before = workflow.plugin().inspect();
        assert_eq!(call(Arc::new(LookupTable::new())), Err(Fault::NoRoom));
        assert_eq!(workflow.plugin().inspect(), before);
        crowd.change(|(_, go)| *go = true);
    });
    let table = Arc::new(LookupTable::new().with("prices", "mug", "minor", 700));
    assert!((0..100).any(|_| call(Arc::<LookupTable>::clone(&table)).is_ok()), "the slots are free again");
}
