//! The same of guests in WASM, written by hand.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crm::blocking::Crm;
use crm::plugins::{Entry, Host, Limits, PluginError, WasmScorer, WasmWorkflow};
use crm::{CardUpdate, Definition, Field, Grants, Identities, Incoming, Names, PluginName, Span, Tag, View, ViewName};

use super::lookups::{Stock, looked_up, stock};
use super::{named, refusals};
use crate::own::{ana, day, faults, order, shop_of, source, visit};

/// A host whose deadline no healthy guest meets, also on a busy machine.
fn host() -> Host {
    let mut limits = Limits::default();
    limits.deadline = Duration::from_secs(5);
    Host::new(limits).unwrap()
}

/// A workflow written by hand: `handle` is the body of its function, whose answer is no action, and the memory of
/// which the address stands at 76 and the length at 80. `parts` are more fields of the module.
fn guest(manifest: &str, parts: &str, handle: &str) -> WasmWorkflow {
    load(manifest, parts, handle).unwrap()
}

fn load(manifest: &str, parts: &str, handle: &str) -> Result<WasmWorkflow, PluginError> {
    let manifest = format!(r#"{{"api":"0.1","version":"1","events":["visited"],{manifest}}}"#);
    let manifest = manifest.replace('"', "\\\"");
    let workflow = "crm:plugin/workflow@0.1.0";
    let text = format!(
        r#"(module
        {parts}
        (@custom "crm:manifest" "{manifest}")
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 4096))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (local $at i32)
            (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
            (global.set $next (i32.add (local.get $at) (local.get 3)))
            (local.get $at))
        (func (export "{workflow}#configure") (param i32 i32) (result i32) (i32.const 16))
        (func (export "{workflow}#handle")
            (param i32 i32 i32 i32 i64 i64 i32 i32 i32 i32 i32 i32) (result i32)
            {handle}
            (i32.const 64)))"#
    );
    WasmWorkflow::load(&host(), &wat::parse_str(text).unwrap(), &[])
}

/// Remembers one zero for each entry that it is given of the customer.
const COUNTS: &str = "(i32.store (i32.const 76) (i32.const 64)) (i32.store (i32.const 80) (local.get 9))";

/// Remembers the text of the first entry that it is given of the customer.
const FIRST: &str = "(i32.store (i32.const 76) (i32.load (i32.add (local.get 8) (i32.const 16))))
    (i32.store (i32.const 80) (i32.load (i32.add (local.get 8) (i32.const 20))))";

/// Remembers the id of the event.
const ID: &str = "(i32.store (i32.const 76) (local.get 0)) (i32.store (i32.const 80) (local.get 1))";

fn memory(crm: &Crm, plugin: &str) -> Vec<u8> {
    crm.customer(ana()).unwrap().unwrap().memory(&PluginName::new(plugin).unwrap()).to_vec()
}

#[test]
fn a_feature_that_is_not_granted_is_not_there() {
    let manifest = r#""name":"counts","features":["spend","customer","stage","orders"]"#;
    let mut grants = Grants::all();
    grants.features = Names::these(["stage", "orders"]);
    let mut blind = Grants::all();
    blind.features = Names::none();
    for (grants, count) in [(Grants::all(), 4), (grants, 2), (blind, 0)] {
        let (_, crm) = shop_of(crm::Crm::builder().workflow_granted(guest(manifest, "", COUNTS), grants));
        crm.record(visit(day(0))).unwrap();
        assert_eq!((memory(&crm, "counts").len(), faults(&crm)), (count, Vec::<String>::new()));
    }
}

#[test]
fn a_guest_is_given_a_pseudonym_for_the_customer_and_another_one_than_the_next_guest() {
    let names = |name: &str| format!(r#""name":"{name}","features":["customer"]"#);
    let ids = r#""name":"ids""#;
    let mut plain = Grants::all();
    plain.identities = Identities::Plain;
    let builder = crm::Crm::builder().workflow(guest(&names("one"), "", FIRST));
    let builder = builder.workflow(guest(&names("other"), "", FIRST)).workflow(guest(ids, "", ID));
    let (_, crm) = shop_of(builder.workflow_granted(guest(&names("plain"), "", FIRST), plain));
    let recorded = crm.record(visit(day(0))).unwrap();
    let (one, other) = (memory(&crm, "one"), memory(&crm, "other"));
    assert!(one != other && one.len() == 32 && other.len() == 32, "{:?}", faults(&crm));
    assert_eq!(memory(&crm, "plain"), recorded.customer.to_string().into_bytes());
    let id = memory(&crm, "ids");
    assert!(id.len() == 32 && id != recorded.event.to_string().into_bytes());
}

#[test]
fn a_guest_looks_things_up_where_that_is_granted() {
    let manifest = r#""name":"keeper","lookups":["stock"]"#;
    let parts = r#"(import "crm:plugin/lookup@0.1.0" "fetch"
            (func $fetch (param i32 i32 i32 i32 i32 i32 i32)))
        (data (i32.const 512) "stock") (data (i32.const 560) "pieces") (data (i32.const 1024) "bicycle")
        (data (i32.const 640) "\00\04\00\00\07\00\00\00")"#;
    let handle =
        "(call $fetch (i32.const 512) (i32.const 5) (i32.const 640) (i32.const 1) (i32.const 560) (i32.const 6)
            (i32.const 900))
        (i32.store (i32.const 76) (i32.load (i32.const 904)))
        (i32.store (i32.const 80) (i32.mul (i32.load (i32.const 908)) (i32.const 16)))";
    let asked = Arc::new(Mutex::new(Vec::new()));
    let builder = || {
        let source = Stock { asked: Arc::clone(&asked), broken: false };
        crm::Crm::builder().lookup_source(stock(), source)
    };
    let (_, crm) = shop_of(builder().workflow(guest(manifest, parts, handle)));
    crm.record(visit(day(0))).unwrap();
    // A value takes 16 bytes: its case, which is 2 for a whole number, and from the eighth byte on what it is.
    let value = memory(&crm, "keeper");
    assert_eq!(value.len(), 16, "{:?}", faults(&crm));
    assert_eq!((value[0], &value[8..]), (2, &99_i64.to_le_bytes()[..]));
    assert_eq!((looked_up(&crm).len(), asked.lock().unwrap().len()), (1, 1));

    let mut grants = Grants::all();
    grants.lookups = Names::none();
    let (_, crm) = shop_of(builder().workflow_granted(guest(manifest, parts, handle), grants));
    crm.record(visit(day(0))).unwrap();
    assert_eq!(faults(&crm), ["not granted: a look-up in a source"]);
    assert_eq!((refusals(&crm), asked.lock().unwrap().len()), (vec![named("keeper", "look_up")], 1));
}

#[test]
fn a_guest_sees_the_fields_of_the_card_that_its_view_shows() {
    let manifest = r#""name":"reader","fields":["language","employer"]"#;
    let mut grants = Grants::all();
    let view = ViewName::new("greeting").unwrap();
    grants.view = Some(view.clone());
    let (clock, crm) = shop_of(crm::Crm::builder().workflow_granted(guest(manifest, "", FIRST), grants));
    crm.define(day(0), Definition::View(view, Some(View::of([Field::Language])))).unwrap();
    let bare = crm::Visited { channel: crm::Channel::Web, place: None };
    let order = crm.record(order(day(0), 5)).unwrap();
    let update = CardUpdate::new()
        .language(crm::Language::new("pt").unwrap())
        .employer(crm::CardLine::new("Baker Street").unwrap());
    crm.update_card(order.customer, update, &source(), day(0)).unwrap();
    clock.set(day(1));
    crm.record(Incoming::new(order.customer, day(1), source(), bare)).unwrap();
    assert_eq!((memory(&crm, "reader"), faults(&crm)), (b"pt".to_vec(), Vec::new()));
}

#[test]
fn a_guest_that_never_ends_is_stopped_and_the_fact_stays() {
    let manifest = r#""name":"endless""#;
    let (_, crm) = shop_of(crm::Crm::builder().workflow(guest(manifest, "", "(loop $ever (br $ever))")));
    crm.record(visit(day(0))).unwrap();
    let stopped = faults(&crm);
    assert!(stopped == ["fuel"] || stopped == ["deadline"], "{stopped:?}");
    // Which of the two it was is recorded, and whatever is folded anew goes by that.
    crm.refresh().unwrap();
    assert_eq!(faults(&crm), stopped);
}

#[test]
fn the_winback_plugin_does_as_much_as_it_is_granted() {
    let mut grants = Grants::all();
    grants.limits.points_an_event = Some(99);
    grants.topics = Names::none();
    let wasm = guest_build::build("winback").unwrap();
    let workflow = WasmWorkflow::load(&host(), &wasm, &[Entry::new("spend_above", 3_000_i64)]).unwrap();
    let (clock, crm) = shop_of(crm::Crm::builder().workflow_granted(workflow, grants));
    crm.record(order(day(0), 50)).unwrap();
    clock.set(day(200));
    crm.advance(day(200)).unwrap();
    let has_tag = || crm.customer(ana()).unwrap().unwrap().has_tag(&Tag::new("win-back").unwrap());
    assert!(has_tag());
    crm.record(order(day(200), 10)).unwrap();
    assert!(!has_tag());
    assert_eq!(
        faults(&crm),
        ["not granted: the topic of the action notify", "not granted: more than 99 points an event"]
    );
    let audited = [named("winback", "notify"), named("winback", "points_an_event")];
    assert_eq!(refusals(&crm), audited, "by the passing of time too");
    let [installed] = &crm.plugins().unwrap()[..] else { panic!() };
    assert_eq!((installed.asks.features.len(), installed.missing.features.len()), (3, 0));
}

#[test]
fn a_feature_that_is_not_granted_is_missing_for_every_customer_that_is_scored() {
    let wasm = guest_build::build("churn").unwrap();
    let mut all = WasmScorer::load(&host(), &wasm, &[]).unwrap();
    let asked = crm::Scorer::attributes(&all).len();
    let mut grants = Grants::none();
    let mut none = WasmScorer::load_granted(&host(), &wasm, &[], &grants).unwrap();
    assert_eq!((asked > 0, crm::Scorer::attributes(&none).len()), (true, 0));
    let (_, crm) = shop_of(crm::Crm::builder());
    crm.record(order(day(0), 50)).unwrap();
    assert_eq!(crm.score(&mut all, day(120)).unwrap().scored, 1);
    let blind = crm.score(&mut none, day(121)).unwrap();
    assert_eq!((blind.failed, blind.scored + blind.without), (0, 1));
    grants.features = Names::these(["recency_*"]);
    assert_eq!(crm::Scorer::attributes(&WasmScorer::load_granted(&host(), &wasm, &[], &grants).unwrap()).len(), 1);
}

/// Workflows are told of every fact, of every change, of scores, of decisions that an action asks for, and of one
/// decision besides.
#[test]
fn there_is_nothing_that_workflows_are_told_of_and_a_guest_cannot_listen_to() {
    let decisions = crm::Deed::KINDS.iter().filter(|(_, action)| action.is_some()).map(|(kind, _)| *kind);
    let decisions = decisions.chain(["points_reminded"]);
    let others = crm::Fact::KINDS.iter().chain(crm::ChangeBody::KINDS).copied();
    let told: BTreeSet<&str> = others.chain(decisions).chain(["scored"]).collect();
    assert_eq!(crm::plugins::EVENTS.into_iter().collect::<BTreeSet<_>>(), told);
    assert_eq!(crm::plugins::EVENTS.len(), told.len(), "each once");
}

#[test]
fn scorers_are_listed_beside_workflows_and_explained_with_what_each_was_granted() {
    let wasm = guest_build::build("churn").unwrap();
    let mut grants = Grants::none();
    grants.features = Names::these(["recency_*"]);
    grants.purpose = Some(crm::Purpose::new("marketing").unwrap());
    let scorer = WasmScorer::load_granted(&host(), &wasm, &[], &grants).unwrap();
    let stamp = crm::Scorer::stamp(&scorer).clone();
    let asks = crm::Scorer::asks(&scorer);
    let (_, crm) = shop_of(crm::Crm::builder().scorer(scorer).workflow(guest(r#""name":"w""#, "", COUNTS)));
    crm.record(order(day(0), 50)).unwrap();
    let mut defined = Grants::all();
    defined.features = Names::none();
    let definition = Definition::Grants(stamp.name.clone(), Some(Box::new(defined.clone())));
    crm.define(day(0), definition).unwrap();
    let [workflow, scorer] = &crm.plugins().unwrap()[..] else { panic!() };
    assert_eq!((&workflow.role, &workflow.breaker), (&crm::PluginRole::Workflow, &crm::Breaker::Closed));
    assert_eq!(scorer.role, crm::PluginRole::Scorer { outputs: vec!["churn".into()] });
    assert_eq!((&scorer.stamp, &scorer.asks.features, &scorer.missing.features), (&stamp, &asks, &asks));
    assert_eq!((&scorer.granted, scorer.defined.as_ref()), (&grants, Some(&defined)));
    assert_eq!(scorer.breaker, crm::Breaker::Closed);
    let standing = || crm.explain_plugin(ana(), &stamp.name).unwrap().unwrap();
    assert_eq!((&standing().granted, &standing().defined, standing().barred), (&grants, &Some(defined), None));
    let objected = crm::Objected { to: crm::Objection::Marketing };
    crm.record(Incoming::new(ana(), day(0), source(), objected)).unwrap();
    assert!(matches!(standing().barred, Some(crm::Barred::Objected { to: crm::Objection::Marketing, .. })));
}

#[test]
fn a_guest_that_fails_again_and_again_is_put_into_quarantine_until_the_shop_clears_it() {
    let workflow = guest(r#""name":"broken""#, "", "unreachable");
    let plugin = workflow.plugin().clone();
    let (clock, crm) = shop_of(crm::Crm::builder().workflow(workflow));
    for n in 0..7 {
        clock.set(day(0).plus(Span::millis(n)));
        crm.record(visit(day(0).plus(Span::millis(n)))).unwrap();
    }
    let told = |trap: usize, quarantined: usize| [vec!["trap"; trap], vec!["quarantined"; quarantined]].concat();
    assert_eq!(faults(&crm), told(5, 2));
    assert!(matches!(plugin.standing(), crm::plugins::Standing::Quarantined { faults: 5, .. }));
    let breaker = || crm.plugins().unwrap()[0].breaker.clone();
    assert_eq!(breaker(), crm::Breaker::Open { faults: 5, last: "trap".into() });
    plugin.clear();
    assert_eq!(breaker(), crm::Breaker::Closed);
    clock.set(day(1));
    crm.record(visit(day(1))).unwrap();
    assert_eq!(faults(&crm), [told(5, 2), told(1, 0)].concat());
    assert_eq!(plugin.inspect().counters.calls, 8);
}

#[test]
fn a_field_that_has_several_values_is_refused_by_name() {
    let fields = r#""name":"nosy","fields":["addresses"]"#;
    match load(fields, "", COUNTS) {
        Err(PluginError::Unknown { what, name, .. }) => assert_eq!((what, name.as_str()), ("field", "addresses")),
        other => panic!("{other:?}"),
    }
}
