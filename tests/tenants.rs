//! Two shops in one store never see each other's customers: under the same identifiers, order numbers and keys each sees
//! its own canary and not the other's, through methods of every kind. That no method of a store mixes tenants, one after
//! the other, is a case of the conformance suite.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod by_function;

use std::sync::Arc;

use by_function::ByFunction;
use crm::blocking::Crm;
use crm::{
    Attribute, ClaimCoupon, Command, Comparison, Currency, CustomerId, Definition, Delivered, FieldName, FieldValue,
    Identifier, Incoming, Ingestion, ManualClock, Money, OrderPlaced, OrderRef, PluginFault, PluginName, PluginStamp,
    Predicate, Program, ProgramId, Source, Span, SqliteStore, Tag, TenantId, Timestamp, Workflow, WorkflowCall,
    WorkflowReply,
};

fn day(day: u32) -> Timestamp {
    Timestamp::parse("2026-01-01").unwrap().plus(Span::days(day))
}

fn ana() -> Identifier {
    Identifier::email("ana@example.com").unwrap()
}

/// Tells the host the customer's tags whenever an order is placed.
#[derive(Debug)]
struct Teller(PluginStamp);

impl Workflow for Teller {
    fn stamp(&self) -> &PluginStamp {
        &self.0
    }

    fn listens(&self, kind: &str) -> bool {
        kind == "tag_added" || kind == "tagged"
    }

    fn handle(&self, call: &WorkflowCall<'_>) -> Result<WorkflowReply, PluginFault> {
        let tags: Vec<&str> = call.customer.tags().map(Tag::as_str).collect();
        let fields = [(FieldName::new("tags").unwrap(), FieldValue::Text(tags.join(",").into()))];
        let notify = Command::Notify { topic: "tagged".parse().unwrap(), fields: fields.into_iter().collect() };
        Ok(WorkflowReply { commands: vec![notify], memory: None })
    }
}

fn stamp(name: &str) -> PluginStamp {
    PluginStamp { name: PluginName::new(name).unwrap(), version: "1".into(), digest: crm::Digest::of(name.as_bytes()) }
}

/// Gives everybody what they spent, so that the scores of two shops differ.
fn by_spend() -> ByFunction {
    ByFunction::new("by-spend", &[Attribute::Spend], &["spend"], |_, row| vec![row[0].map(|spend| spend as f64)])
}

/// A shop that does a little of everything, each thing with its own mark.
fn furnish(crm: &Crm, mark: &str, euros: i64) -> CustomerId {
    let source = Source::new("shop").unwrap();
    let program = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(30));
    crm.define(day(0), Definition::Program(ProgramId::new(mark).unwrap(), Some(program))).unwrap();
    let placed = OrderPlaced::new(Money::new(euros * 100, Currency::EUR)).with_order(OrderRef::new("1").unwrap());
    let order = Incoming::new(ana(), day(1), source.clone(), placed).with_key("order 1".parse().unwrap());
    let recorded = crm.record(order.clone()).unwrap();
    assert!(!recorded.known, "{mark}: another shop's order of the same key is another order");
    assert_eq!(crm.ingest([order], Ingestion::live()).unwrap().known, 1);
    let customer = recorded.customer;
    crm.execute(customer, Command::AddTag(Tag::new(mark).unwrap()), "tag").unwrap();
    let coupon = ClaimCoupon { coupon: "ONCE".parse().unwrap(), uses: 1 };
    crm.execute(customer, Command::ClaimCoupon(coupon), "coupon").unwrap();
    crm.keep_personal(customer, &[(FieldName::new("name").unwrap(), Some(mark))]).unwrap();
    crm.score(&mut by_spend(), day(1)).unwrap();
    customer
}

/// What a shop sees is its own, and nothing of the other's.
fn sees_its_own(crm: &Crm, customer: CustomerId, mark: &str, other: &str, euros: i64) {
    let found = crm.customer(ana()).unwrap().unwrap();
    assert_eq!(found.id(), customer);
    let story = format!("{:?}", crm.story(customer).unwrap().unwrap());
    let export = crm.export(customer).unwrap().unwrap().to_string();
    let personal = format!("{:?}", crm.personal(customer).unwrap());
    let definitions: Vec<_> = crm.definitions().unwrap().program_ids().map(ToString::to_string).collect();
    for seen in [&story, &export, &personal, &definitions.join(",")] {
        assert!(seen.contains(mark) && !seen.contains(other), "{mark}: {seen}");
    }
    let overview = crm.overview().unwrap();
    assert_eq!((overview.customers, overview.orders), (1, 1));
    let spent = Predicate::compare(Attribute::Spend, Comparison::Eq, euros * 100);
    assert_eq!(crm.select(&spent, None, 9).unwrap().customers, [customer]);
    let has_others = Predicate::tag(&Tag::new(other).unwrap());
    assert_eq!((crm.count(&spent).unwrap(), crm.count(&has_others).unwrap()), (1, 0));
    let mut everybody = Vec::new();
    crm.for_each_customer(|customer| everybody.push(customer.id())).unwrap();
    assert_eq!(everybody, [customer]);
    let scores: Vec<_> = crm.story(customer).unwrap().unwrap().scores.iter().map(|score| score.value).collect();
    assert_eq!(scores, [(euros * 100) as f64]);
}

#[test]
fn two_shops_in_one_store_never_meet() {
    let folder = tempfile::tempdir().unwrap();
    for store in [None, Some(SqliteStore::open(folder.path().join("crm.db")).unwrap())] {
        let clock = Arc::new(ManualClock::at(day(1)));
        let builder = crm::Crm::builder().clock(Arc::clone(&clock)).workflow(Teller(stamp("teller")));
        let builder = match store {
            Some(store) => builder.store(store),
            None => builder,
        };
        let crm = Crm::from(builder.build());
        let [a, b] = ["a", "b"].map(|tenant| crm.tenant(TenantId::new(tenant).unwrap()));
        let (in_a, in_b) = (furnish(&a, "canary-a", 70), furnish(&b, "canary-b", 30));
        sees_its_own(&a, in_a, "canary-a", "canary-b", 70);
        sees_its_own(&b, in_b, "canary-b", "canary-a", 30);
        assert!(crm.customer(ana()).unwrap().is_none(), "a third shop has nobody");
        // Ids of the other shop mean nobody here.
        assert!(a.customer(in_b).unwrap().is_none() && a.story(in_b).unwrap().is_none());
        assert!(a.export(in_b).unwrap().is_none() && a.personal(in_b).unwrap().is_empty());
        assert!(a.execute(in_b, Command::AddTag(Tag::new("x").unwrap()), "x").is_err());
        assert_eq!(a.erase(in_b).unwrap().fields, 0);
        // What one shop is told, gives up or advances is not the other's.
        let told = |crm: &Crm, answer: Delivered| {
            let mut told = Vec::new();
            crm.deliver(day(1), |delivery| {
                told.push(serde_json::to_string(&delivery.fields).unwrap());
                answer.clone()
            })
            .unwrap();
            told
        };
        let to_a = told(&a, Delivered::Dead("no such address".into()));
        assert!(to_a.len() == 1 && to_a[0].contains("canary-a"), "{to_a:?}");
        assert!(b.dead_letters(None, 9).unwrap().is_empty());
        let letters = a.dead_letters(None, 9).unwrap();
        assert!(!b.revive(&letters[0], None).unwrap());
        assert!(told(&b, Delivered::Done)[0].contains("canary-b"));
        clock.set(day(60));
        let balance = |crm: &Crm| {
            let customer = crm.customer(ana()).unwrap().unwrap();
            customer.books().map(|(_, book)| book.balance()).sum::<i128>()
        };
        a.advance(day(60)).unwrap();
        assert_eq!((balance(&a), balance(&b)), (0, 30), "time passes for one shop at a time");
        b.refresh().unwrap();
        assert_eq!((balance(&a), balance(&b)), (0, 0));
        a.erase(in_a).unwrap();
        assert!(a.customer(ana()).unwrap().is_none() && b.customer(ana()).unwrap().is_some());
        assert_eq!(b.personal(in_b).unwrap().len(), 1);
    }
}
