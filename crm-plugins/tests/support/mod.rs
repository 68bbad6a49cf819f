//! Hosts, and guests written by hand: the smallest modules that keep to the contract, with one
//! thing wrong.

#![allow(dead_code, reason = "each test file uses a part")]

use std::num::NonZeroU32;
use std::time::Duration;

use crm_plugins::{Batch, Entry, Fault, Host, Limits, Plugin, TriggerEvent};

pub(crate) const SCORER: &str = "crm:plugin/scorer@0.1.0";
pub(crate) const WORKFLOW: &str = "crm:plugin/workflow@0.1.0";

/// A host whose deadline no healthy guest meets, also on a busy machine.
pub(crate) fn host() -> Host {
    let mut limits = Limits::default();
    limits.deadline = Duration::from_secs(5);
    Host::new(limits).unwrap()
}

/// A host that never puts anything into quarantine, to see the same fault many times.
pub(crate) fn patient_host() -> Host {
    let mut limits = Limits::default();
    limits.deadline = Duration::from_secs(5);
    limits.quarantine_after = NonZeroU32::MAX;
    Host::new(limits).unwrap()
}

/// A host with the deadline that shops have.
pub(crate) fn strict_host() -> Host {
    Host::new(Limits::default()).unwrap()
}

pub(crate) const SCORER_MANIFEST: &str =
    r#"{"api":"0.1","name":"hostile","version":"1","outputs":[{"name":"score","max":1}]}"#;

pub(crate) const WORKFLOW_MANIFEST: &str =
    r#"{"api":"0.1","name":"hostile","version":"1","events":["poke"],"actions":["notify"]}"#;

/// A scorer without features and with one output; `parts` are more module fields, `score` is the
/// body of its function, which leaves the address of its answer.
pub(crate) fn scorer(parts: &str, score: &str) -> Vec<u8> {
    module(SCORER_MANIFEST, &scorer_parts(SCORER, parts, score))
}

pub(crate) fn scorer_parts(interface: &str, parts: &str, score: &str) -> String {
    format!(
        r#"{parts}
        (func (export "{interface}#configure") (param i32 i32) (result i32) (i32.const 16))
        (func (export "{interface}#score") (param i32 i32 i32 i32 i32) (result i32) {score})"#
    )
}

/// A workflow; as [`scorer`].
pub(crate) fn workflow(parts: &str, handle: &str) -> Vec<u8> {
    module(WORKFLOW_MANIFEST, &workflow_parts(parts, handle))
}

pub(crate) fn workflow_parts(parts: &str, handle: &str) -> String {
    format!(
        r#"{parts}
        (func (export "{WORKFLOW}#configure") (param i32 i32) (result i32) (i32.const 16))
        (func (export "{WORKFLOW}#handle")
            (param i32 i32 i32 i32 i64 i64 i32 i32 i32 i32 i32 i32) (result i32) {handle})"#
    )
}

/// A module with an allocator that never frees. Imports come first, so `parts` may begin with some.
pub(crate) fn module(manifest: &str, parts: &str) -> Vec<u8> {
    let allocator = "(local $at i32)
        (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.set $next (i32.add (local.get $at) (local.get 3)))
        (loop $more
            (if (i32.gt_u (global.get $next) (i32.shl (memory.size) (i32.const 16)))
                (then
                    (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
                    (br $more))))
        (local.get $at)";
    module_with_allocator(manifest, parts, allocator)
}

/// A module whose allocator has this body: it takes where something is, its size, alignment and new size.
pub(crate) fn module_with_allocator(manifest: &str, parts: &str, allocator: &str) -> Vec<u8> {
    let manifest = manifest.replace('"', "\\\"");
    let text = format!(
        r#"(module
        {parts}
        (@custom "crm:manifest" "{manifest}")
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 4096))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {allocator}))"#
    );
    wat::parse_str(text).unwrap()
}

/// A scorer that answers with these words (32 bits each) from address 64 on.
pub(crate) fn scorer_that_answers(words: &[u32]) -> Vec<u8> {
    scorer(&data(words), "(i32.const 64)")
}

/// A workflow that answers with these words from address 64 on.
pub(crate) fn workflow_that_answers(words: &[u32], more: &str) -> Vec<u8> {
    workflow(&format!("{} {more}", data(words)), "(i32.const 64)")
}

pub(crate) fn data(words: &[u32]) -> String {
    let bytes = words.iter().flat_map(|word| word.to_le_bytes());
    let text: String = bytes.map(|byte| format!("\\{byte:02x}")).collect();
    format!(r#"(data (i32.const 64) "{text}")"#)
}

/// The words of an answer with one column of floats.
pub(crate) fn answer_of(numbers: &[f64]) -> Vec<u32> {
    let (column, cells) = (64 + 12, 64 + 12 + 28);
    let mut words = vec![0, column, 1, 0, cells, numbers.len() as u32, 0, 0, 0, 0];
    for bits in numbers.iter().map(|number| number.to_bits()) {
        words.extend([bits as u32, (bits >> 32) as u32]);
    }
    words
}

/// The same plugin as a component, made of its module by the contract's own text.
pub(crate) fn as_component(module: &[u8]) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_source("plugin.wit", include_str!("../../wit/v0_1/plugin.wit")).unwrap();
    let is_scorer = module.windows(SCORER.len()).any(|bytes| bytes == SCORER.as_bytes());
    let world = if is_scorer { "scorer-plugin" } else { "workflow-plugin" };
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = module.to_vec();
    wit_component::embed_component_metadata(&mut module, &resolve, world, wit_component::StringEncoding::UTF8, true)
        .unwrap();
    wit_component::ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

/// Two rows without columns.
pub(crate) fn two_rows() -> Batch {
    Batch::new(2, vec![], vec![]).unwrap()
}

/// What scoring two rows comes to, which is the same for the module and for a component of it.
pub(crate) fn score(host: &Host, wasm: &[u8]) -> Result<Vec<Option<f64>>, Fault> {
    let scores = score_as_it_is(host, wasm);
    assert_eq!(score_as_it_is(host, &as_component(wasm)), scores, "as a component");
    scores
}

/// What scoring two rows comes to.
pub(crate) fn score_as_it_is(host: &Host, wasm: &[u8]) -> Result<Vec<Option<f64>>, Fault> {
    let columns = host.load(wasm).unwrap().scorer(&[])?.score(&two_rows())?;
    Ok((0..2).map(|row| columns[0].float(row)).collect())
}

/// What poking a workflow comes to.
pub(crate) fn poke(plugin: &Plugin) -> Result<crm_plugins::WorkflowOutcome, Fault> {
    plugin.handle(&event("poke", vec![]), &[], &[])
}

pub(crate) fn event(kind: &str, fields: Vec<Entry>) -> TriggerEvent {
    TriggerEvent { id: "e-1".into(), kind: kind.into(), at_ms: 0, seed: 7, fields }
}
