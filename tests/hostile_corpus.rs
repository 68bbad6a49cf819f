//! Guests that mean harm, each in both roles, inside a CRM on each store: its fault is of its kind, the fact stays, nothing is
//! done by halves, a score stays as it was, and the next plugin of the same host does its work.
#![cfg(feature = "plugins")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind among all")]

mod own;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crm::blocking::Crm;
use crm::plugins::{Host, Limits, PluginError, WasmScorer, WasmWorkflow};
use crm::{EventId, MemoryStore, PluginName, ScoreName, Store};
use own::{ana, day, faults, shop_of, somebody, source, visit};

const SCORER: &str = "crm:plugin/scorer@0.1.0";
const WORKFLOW: &str = "crm:plugin/workflow@0.1.0";

/// A module with an allocator that takes one place after another. Imports come first, so `parts` may begin with some.
fn module(manifest: &str, parts: &str) -> Vec<u8> {
    let allocator = "(local $at i32)
        (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.set $next (i32.add (local.get $at) (local.get 3)))
        (local.get $at)";
    module_with_allocator(manifest, parts, allocator)
}

fn module_with_allocator(manifest: &str, parts: &str, allocator: &str) -> Vec<u8> {
    let manifest = manifest.replace('"', "\\\"");
    wat::parse_str(format!(
        r#"(module
        {parts}
        (@custom "crm:manifest" "{manifest}")
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 4096))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {allocator}))"#
    ))
    .unwrap()
}

fn scorer_parts(parts: &str, score: &str) -> String {
    format!(
        r#"{parts}
        (func (export "{SCORER}#configure") (param i32 i32) (result i32) (i32.const 16))
        (func (export "{SCORER}#score") (param i32 i32 i32 i32 i32) (result i32) {score})"#
    )
}

fn workflow_parts(parts: &str, handle: &str) -> String {
    format!(
        r#"{parts}
        (func (export "{WORKFLOW}#configure") (param i32 i32) (result i32) (i32.const 16))
        (func (export "{WORKFLOW}#handle")
            (param i32 i32 i32 i32 i64 i64 i32 i32 i32 i32 i32 i32) (result i32) {handle})"#
    )
}

/// What is in memory from 64 on.
fn data(answer: &[u32]) -> String {
    words(64, answer)
}

/// The words of an answer with one column of floats.
fn answer_of(numbers: &[f64]) -> Vec<u32> {
    let mut words = vec![0, 76, 1, 0, 104, numbers.len() as u32, 0, 0, 0, 0];
    words.extend(numbers.iter().map(|number| number.to_bits()).flat_map(|bits| [bits as u32, (bits >> 32) as u32]));
    words
}

/// Answers at 64 with one action, which tags the customer.
const TAGS: &str = r#"(data (i32.const 600) "add_tag\00tag\00healthy")"#;

fn words(at: u32, words: &[u32]) -> String {
    let bytes: String = words.iter().flat_map(|word| word.to_le_bytes()).map(|byte| format!("\\{byte:02x}")).collect();
    format!(r#"(data (i32.const {at}) "{bytes}")"#)
}

/// A workflow by its name that asks for the tag, after whatever else it does.
fn tagging(name: &str, parts: &str, body: &str) -> Vec<u8> {
    // One action at 512, whose one argument is at 640.
    let answer = [words(64, &[0, 512, 1, 0, 0]), words(512, &[600, 7, 640, 1]), words(640, &[608, 3, 4, 0, 612, 7])];
    module(&listener(name), &workflow_parts(&format!("{parts} {} {TAGS}", answer.concat()), body))
}

fn listener(name: &str) -> String {
    format!(r#"{{"api":"0.1","name":"{name}","version":"1","events":["visited"],"actions":["add_tag"]}}"#)
}

fn judge(limits: &str) -> String {
    format!(r#"{{"api":"0.1","name":"hostile","version":"1",{limits}"outputs":[{{"name":"score","max":1}}]}}"#)
}

/// A scorer that answers 0.25 and 0.75, after whatever else it does.
fn scoring(parts: &str, body: &str, limits: &str) -> Vec<u8> {
    let parts = format!("{parts} {}", data(&answer_of(&[0.25, 0.75])));
    module(&judge(limits), &scorer_parts(&parts, body))
}

const EMIT: &str = r#"(import "crm:plugin/diag@0.1.0" "emit" (func $emit (param i32 i32 i32)))"#;

/// What a guest does beside answering well: by name its module's parts, the body of its function, and what that is called
/// in a scorer, which the clock stops, and in a workflow, which runs out of fuel.
fn harms() -> Vec<(&'static str, String, String, [&'static str; 2])> {
    let answer = "(i32.const 64)";
    let forever = "(loop $ever (br $ever))";
    let start = |body: &str| format!("(func $start {body}) (start $start)");
    let initialize = |body: &str| format!(r#"(func (export "_initialize") {body})"#);
    let fill = "(loop $ever (memory.fill (i32.const 2048) (i32.const 7) (i32.const 60000)) (br $ever))";
    let grow = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)";
    let grow_table = "(loop $more (br_if $more
        (i32.ne (table.grow $t (ref.null func) (i32.const 9000)) (i32.const -1)))) (unreachable)";
    let down = "(func $down (param i64) (result i64) (i64.add (call $down (local.get 0)) (i64.const 1)))";
    let says = |at: i64, length: i64| format!("(call $emit (i32.const 0) (i32.const {at}) (i32.const {length}))");
    let jane = format!(r#"{EMIT} (data (i32.const 1536) "panicked: jane@example.org")"#);
    let plain = |name, parts: &str, body: &str, kinds| (name, parts.to_owned(), format!("{body} {answer}"), kinds);
    let both = |kind| [kind, kind];
    vec![
        plain("an endless loop", "", forever, ["deadline", "fuel"]),
        plain("an endless start function", &start(forever), "", ["deadline", "fuel"]),
        plain("an endless `_initialize`", &initialize(forever), "", ["deadline", "fuel"]),
        plain("a trap in the start function", &start("unreachable"), "", both("trap")),
        plain("bulk fills in a loop", "", fill, ["deadline", "fuel"]),
        plain("endless recursion", down, "(drop (call $down (i64.const 0)))", both("stack")),
        plain("memory growth in a loop", "", grow, both("memory")),
        plain("memory growth in the start function", &start(grow), "", both("memory")),
        plain("table growth in a loop", "(table $t 1 funcref)", grow_table, both("memory")),
        plain("a flood of host calls", EMIT, &format!("(loop $ever {} (br $ever))", says(0, 0)), both("host_calls")),
        plain("a host call outside of memory", EMIT, &says(65_536, 1), both("contract")),
        plain("a host call with a length that lies", EMIT, &says(0, 0xffff_ffff), both("contract")),
        plain(
            "a host call with text that is none",
            &format!(r#"{EMIT} (data (i32.const 1536) "\ff")"#),
            &says(1536, 1),
            both("contract"),
        ),
        plain(
            "a trap after personal data",
            &jane,
            "(call $emit (i32.const 4) (i32.const 1536) (i32.const 26)) (unreachable)",
            both("trap"),
        ),
        ("an answer outside of memory", String::new(), "(i32.const -8)".to_owned(), both("contract")),
        ("an answer that is not aligned", String::new(), "(i32.const 63)".to_owned(), both("contract")),
        ("a division by nought", String::new(), "(i32.div_u (i32.const 64) (i32.const 0))".to_owned(), both("trap")),
    ]
}

/// What it does when it is to free its answer.
fn after(interface: &str, function: &str, body: &str) -> String {
    format!(r#"(func (export "cabi_post_{interface}#{function}") (param i32) {body})"#)
}

fn scorers() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let quick = r#""limits":{"deadline_ms":5},"#;
    let harm = |(name, parts, body, [kind, _]): (_, String, String, [&'static str; 2])| {
        (name, scoring(&parts, &body, if kind == "deadline" { quick } else { "" }), kind)
    };
    let answers = |words: &[u32]| module(&judge(""), &scorer_parts(&data(words), "(i32.const 64)"));
    let floats = |numbers: &[f64]| answers(&answer_of(numbers));
    let ends = |body: &str, limits: &str| scoring(&after(SCORER, "score", body), "(i32.const 64)", limits);
    let more = [
        ("not a number", floats(&[0.5, f64::NAN]), "not_finite"),
        ("an infinity", floats(&[f64::NEG_INFINITY, 0.5]), "not_finite"),
        ("a score out of its range", floats(&[0.5, 1.5]), "out_of_range"),
        ("a score too few", floats(&[0.5]), "row_count"),
        ("a list whose length lies", answers(&[0, 76, 0xffff_ffff]), "contract"),
        ("a trap after the answer", ends("(unreachable)", ""), "trap"),
        ("an endless loop after the answer", ends("(loop $ever (br $ever))", quick), "deadline"),
    ];
    harms().into_iter().map(harm).chain(more).collect()
}

fn workflows() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let harm = |(name, parts, body, [_, kind]): (_, String, String, [&'static str; 2])| {
        (name, tagging("hostile", &parts, &body), kind)
    };
    let allocates = |parts: &str, allocator: &str| {
        module_with_allocator(&listener("hostile"), &workflow_parts(parts, "(i32.const 64)"), allocator)
    };
    let ends = |body: &str| tagging("hostile", &after(WORKFLOW, "handle", body), "(i32.const 64)");
    let more = [
        ("a trap after the answer", ends("(unreachable)"), "trap"),
        ("an endless loop after the answer", ends("(loop $ever (br $ever))"), "fuel"),
        ("an endless allocator", allocates("", "(loop $ever (br $ever)) (unreachable)"), "fuel"),
        ("an allocator that traps", allocates("", "(unreachable)"), "trap"),
        ("an allocator that points outside", allocates("", "(i32.const -8)"), "contract"),
        ("an allocator that does not align", allocates("", "(i32.const 1025)"), "contract"),
    ];
    harms().into_iter().map(harm).chain(more).collect()
}

/// A host whose deadline no healthy guest meets, and which never gives up on one.
fn host() -> Host {
    let mut limits = Limits::default();
    limits.deadline = Duration::from_secs(5);
    limits.quarantine_after = NonZeroU32::MAX;
    Host::new(limits).unwrap()
}

fn on_each_store(test: impl Fn(Arc<dyn Store>)) {
    test(Arc::new(MemoryStore::new()));
    #[cfg(feature = "sqlite")]
    {
        let folder = tempfile::tempdir().unwrap();
        test(Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()));
    }
}

#[test]
fn a_hostile_workflow_leaves_a_fault_of_its_kind_and_nothing_else_and_the_next_one_does_its_work() {
    let host = host();
    for (name, wasm, fault) in workflows() {
        on_each_store(|store| {
            let hostile = WasmWorkflow::load(&host, &wasm, &[]).unwrap();
            let next = WasmWorkflow::load(&host, &tagging("next", "", "(i32.const 64)"), &[]).unwrap();
            let builder = crm::Crm::builder().shared_store(store);
            let (_, crm) = shop_of(builder.workflow(hostile).workflow(next));
            crm.record(visit(day(0))).unwrap();
            assert_eq!(faults(&crm), [fault], "{name}");
            let story = crm.story(ana()).unwrap().unwrap();
            let kinds: Vec<_> = story.events.iter().map(|event| event.body.kind()).collect();
            assert_eq!(kinds, ["visited", "plugin_faulted", "tag_added", "identifier_attached"], "{name}");
            assert_eq!(story.customer.tags().count(), 1, "{name}");
            assert!(story.customer.memory(&PluginName::new("hostile").unwrap()).is_empty(), "{name}");
            assert!(!format!("{:?}", story.events).contains("jane"), "{name}");
        });
    }
}

/// What is known of two customers: their events, their states and their scores.
fn known(crm: &Crm) -> Vec<(Vec<EventId>, crm::Digest, Vec<f64>)> {
    let of = |who| {
        let story = crm.story(who).unwrap().unwrap();
        let events = story.events.iter().map(|event| event.id).collect();
        (events, story.customer.digest(), story.scores.iter().map(|score| score.value).collect())
    };
    vec![of(ana()), of(somebody("ben"))]
}

#[test]
fn a_hostile_scorer_leaves_the_scores_that_were_there_and_the_next_one_does_its_work() {
    let host = host();
    let score = ScoreName { plugin: PluginName::new("hostile").unwrap(), output: "score".parse().unwrap() };
    for (name, wasm, fault) in scorers() {
        on_each_store(|store| {
            let (clock, crm) = shop_of(crm::Crm::builder().shared_store(store));
            let rule = crm.rule("visits >= 1").unwrap();
            crm.define(day(0), crm::Definition::Segment("seen".parse().unwrap(), Some(rule))).unwrap();
            crm.record(visit(day(0))).unwrap();
            let visited = crm::Visited { channel: crm::Channel::Web, place: None };
            crm.record(crm::Incoming::new(somebody("ben"), day(0), source(), visited)).unwrap();
            let mut good = WasmScorer::load(&host, &scoring("", "(i32.const 64)", ""), &[]).unwrap();
            assert_eq!(crm.score(&mut good, day(0)).unwrap().scored, 2);
            let before = known(&crm);
            clock.set(day(1));
            match WasmScorer::load(&host, &wasm, &[]) {
                // What it does when it begins it does before it is installed.
                Err(PluginError::Fault(found)) => assert_eq!(found.kind(), fault, "{name}"),
                Err(error) => panic!("{name}: {error}"),
                Ok(mut hostile) => {
                    let report = crm.score(&mut hostile, day(1)).unwrap();
                    let faults: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
                    assert_eq!((report.scored, report.failed, &faults[..]), (0, 2, &[fault.to_owned()][..]), "{name}");
                }
            }
            assert_eq!(known(&crm), before, "{name}");
            assert_eq!(crm.explain_score(before_id(&crm), &score).unwrap().unwrap().at, day(0), "{name}");
            assert_eq!(crm.score(&mut good, day(1)).unwrap().scored, 2, "after {name}");
        });
    }
}

fn before_id(crm: &Crm) -> crm::CustomerId {
    crm.customer(ana()).unwrap().unwrap().id()
}
