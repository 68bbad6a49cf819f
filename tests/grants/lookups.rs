//! What workflows look up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use crm::blocking::Crm;
use crm::{
    Command, Deed, FieldName, FieldValue, Grants, Ingestion, LookupSource, Names, SmolStr, SourceFailed, SourceName,
    TenantId,
};

use super::{named, refusals, tag};
use crate::own::{Own, ana, ask, day, deeds, faults, messages, order, points, shop_of, tell, visit};

/// Pieces in stock, which are one fewer each time somebody asks.
#[derive(Debug, Default)]
pub(super) struct Stock {
    pub(super) asked: Arc<Mutex<Vec<Vec<String>>>>,
    pub(super) broken: bool,
}

#[async_trait]
impl LookupSource for Stock {
    async fn fetch(
        &self,
        _: &TenantId,
        field: &FieldName,
        keys: &[SmolStr],
    ) -> Result<Vec<Option<FieldValue>>, SourceFailed> {
        if self.broken {
            return Err(SourceFailed);
        }
        let mut asked = self.asked.lock().unwrap();
        asked.push(keys.iter().map(SmolStr::to_string).collect());
        let left = 100 - asked.len() as i64;
        let pieces = |key: &SmolStr| (key != "unknown" && field.as_str() == "pieces").then_some(FieldValue::Int(left));
        Ok(keys.iter().map(pieces).collect())
    }
}

pub(super) fn stock() -> SourceName {
    SourceName::new("stock").unwrap()
}

fn pieces() -> FieldName {
    "pieces".parse().unwrap()
}

/// Tells how many pieces of two things there are, and of one that there is not.
fn keeper(listens: &'static [&'static str]) -> Own {
    Own::new("keeper", listens, |call| {
        let first = call.look_up(&stock(), &pieces(), &["bicycle", "unknown"])?;
        let second = call.look_up(&stock(), &pieces(), &["bicycle", "bell"])?;
        let value = |value: &Option<FieldValue>| value.clone().unwrap_or(FieldValue::Bool(false));
        let all = [&first[0], &first[1], &second[0], &second[1]].map(value);
        let named = all.into_iter().zip(["a", "b", "c", "d"]).map(|(value, name)| (name.parse().unwrap(), value));
        ask(vec![Command::Notify { topic: "stock".parse().unwrap(), fields: named.collect() }])
    })
}

/// What the host was told, each in the order of the names.
pub(super) fn told(crm: &Crm) -> Vec<Vec<FieldValue>> {
    let mut told = Vec::new();
    crm.deliver(day(999), |delivery| {
        let fields: BTreeMap<_, _> = delivery.fields.clone().into_iter().collect();
        told.push(fields.into_values().collect());
        crm::Delivered::Done
    })
    .unwrap();
    told
}

pub(super) fn looked_up(crm: &Crm) -> Vec<crm::LookedUp> {
    let looked = |deed| match deed {
        Deed::LookedUp(looked) => Some(looked),
        _ => None,
    };
    deeds(crm).into_iter().filter_map(looked).collect()
}

#[test]
fn what_a_workflow_looks_up_is_fetched_once_for_a_plan_and_recorded() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let source = Stock { asked: Arc::clone(&asked), broken: false };
    let builder = crm::Crm::builder().lookup_source(stock(), source).workflow(keeper(&["visited", "order_placed"]));
    let (clock, crm) = shop_of(builder);
    crm.record(visit(day(0))).unwrap();
    let int = FieldValue::Int;
    let once = vec![int(99), FieldValue::Bool(false), int(99), int(98)];
    assert_eq!(told(&crm), [once], "the bicycle is the same each time");
    assert_eq!(*asked.lock().unwrap(), [vec!["bicycle", "unknown"], vec!["bell"]], "and was asked for once");
    let recorded = looked_up(&crm);
    assert_eq!(recorded.len(), 2);
    assert_eq!(recorded[0].values, [Some(int(99)), None]);
    assert_eq!(recorded[0].keys[0], recorded[1].keys[0], "the same key has the same hash");
    let bodies = crm.story(ana()).unwrap().unwrap().events.into_iter().map(|event| event.body.encode());
    assert!(bodies.map(|body| String::from_utf8(body).unwrap()).all(|body| !body.contains("bicycle")));
    assert!(faults(&crm).is_empty());

    // By whatever way it comes: in a batch, as an order of somebody who is there, and with the passing of time.
    clock.set(day(1));
    let report = crm.ingest([order(day(1), 50)], Ingestion::live()).unwrap();
    assert_eq!((report.recorded, told(&crm).len()), (1, 1));
}

#[test]
fn what_time_brings_and_what_the_shop_commands_may_be_looked_up_for_too() {
    let listens = &["stage_changed", "tag_added"];
    let (clock, crm) = shop_of(crm::Crm::builder().lookup_source(stock(), Stock::default()).workflow(keeper(listens)));
    let customer = crm.record(order(day(0), 50)).unwrap().customer;
    assert_eq!(told(&crm).len(), 1, "somebody new has a stage");
    crm.execute(customer, tag("vip"), "once").unwrap();
    assert_eq!(told(&crm).len(), 1);
    clock.set(day(999));
    crm.advance(day(999)).unwrap();
    assert_eq!(told(&crm).len(), 1, "they have gone");
    assert!(faults(&crm).is_empty(), "{:?}", faults(&crm));
}

#[test]
fn a_source_that_fails_is_a_fault_of_the_call_and_the_fact_stays() {
    let broken = Stock { broken: true, ..Stock::default() };
    let (_, crm) = shop_of(crm::Crm::builder().lookup_source(stock(), broken).workflow(keeper(&["order_placed"])));
    crm.record(order(day(0), 50)).unwrap();
    assert_eq!(crm.customer(ana()).unwrap().unwrap().book(&points()).unwrap().balance(), 50);
    assert_eq!((faults(&crm), messages(&crm)), (vec!["the source stock failed".to_owned()], 0));
}

#[test]
fn a_source_that_is_not_granted_or_not_there_is_not_asked() {
    let mut grants = Grants::all();
    grants.lookups = Names::these(["prices"]);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let source = || Stock { asked: Arc::clone(&asked), broken: false };
    let builder = crm::Crm::builder().lookup_source(stock(), source());
    let (_, crm) = shop_of(builder.workflow_granted(keeper(&["visited"]), grants));
    crm.record(visit(day(0))).unwrap();
    assert_eq!(faults(&crm), ["not granted: a look-up in a source"]);
    assert_eq!(refusals(&crm), [named("keeper", "look_up")]);

    let elsewhere = SourceName::new("prices").unwrap();
    let builder = crm::Crm::builder().lookup_source(elsewhere, source());
    let (_, crm) = shop_of(builder.workflow(keeper(&["visited"])));
    crm.record(visit(day(0))).unwrap();
    assert_eq!(faults(&crm), ["a look-up in a source that is not there"]);
    assert!(asked.lock().unwrap().is_empty());
}

#[test]
fn a_workflow_that_always_wants_to_know_more_is_stopped() {
    let endless = Own::new("endless", &["visited"], |call| {
        for n in 0..1_000 {
            call.look_up(&stock(), &pieces(), &[&format!("thing {n}")])?;
        }
        ask(vec![tell("never")])
    });
    let asked = Arc::new(Mutex::new(Vec::new()));
    let source = Stock { asked: Arc::clone(&asked), broken: false };
    let (_, crm) = shop_of(crm::Crm::builder().lookup_source(stock(), source).workflow(endless));
    crm.record(visit(day(0))).unwrap();
    assert_eq!(faults(&crm), ["more than 8 rounds of look-ups"]);
    assert_eq!(asked.lock().unwrap().len(), 8);
    assert_eq!(looked_up(&crm).len(), 8, "what it did see is recorded with the fault");
}

#[test]
fn too_many_keys_and_too_long_ones_are_refused_before_anybody_is_asked() {
    for (count, bytes) in [(crm::LOOKUP_KEYS_MAX + 1, 1), (1, crm::LOOKUP_KEY_BYTES_MAX + 1)] {
        let greedy = Own::new("greedy", &["visited"], move |call| {
            let key = "x".repeat(bytes);
            call.look_up(&stock(), &pieces(), &vec![key.as_str(); count])?;
            ask(Vec::new())
        });
        let asked = Arc::new(Mutex::new(Vec::new()));
        let source = Stock { asked: Arc::clone(&asked), broken: false };
        let (_, crm) = shop_of(crm::Crm::builder().lookup_source(stock(), source).workflow(greedy));
        crm.record(visit(day(0))).unwrap();
        assert_eq!(faults(&crm), ["a look-up of too many keys, or of one too long"]);
        assert!(asked.lock().unwrap().is_empty());
    }
}
