//! The loop from outside: facts go in, customers come out.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind among all")]

use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    Attribute, Channel, Command, Comparison, Currency, Definition, Error, ExternalSystem, FactRefusal, Identifier,
    Incoming, Ingestion, LifecyclePolicy, ManualClock, Money, OrderPlaced, OrderRef, Predicate, Program, ProgramId,
    RedeemPoints, Refunded, SegmentName, Source, Span, Stage, Timestamp, Visited, Voided,
};

fn day(day: u32) -> Timestamp {
    Timestamp::parse("2020-01-01").unwrap().plus(Span::days(day))
}

fn shop() -> (Arc<ManualClock>, Crm) {
    let clock = Arc::new(ManualClock::at(day(0)));
    let crm = crm::Crm::builder().clock(Arc::clone(&clock)).ids(crm::DerivedIds).build();
    let crm = Crm::from(crm);
    let from = day(0);
    let policy = LifecyclePolicy {
        intent_fades_after: Span::days(30),
        quiet_after: Span::days(180),
        ..LifecyclePolicy::default()
    };
    crm.define(from, Definition::Lifecycle(policy)).unwrap();
    let program = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(365));
    crm.define(from, Definition::Program(points(), Some(program))).unwrap();
    let recent = Predicate::orders_in_last(90, Comparison::Ge, 2);
    crm.define(from, Definition::Segment(SegmentName::new("regulars").unwrap(), Some(recent))).unwrap();
    let lapsing = Predicate::compare(Attribute::RecencyDays, Comparison::Ge, 120);
    crm.define(from, Definition::Segment(SegmentName::new("lapsing").unwrap(), Some(lapsing))).unwrap();
    (clock, crm)
}

fn points() -> ProgramId {
    ProgramId::new("points").unwrap()
}

fn someone(id: &str) -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), id).unwrap()
}

fn order(who: &str, at: Timestamp, number: &str, euros: i64) -> Incoming {
    let placed = OrderPlaced::new(Money::new(euros * 100, Currency::EUR)).with_order(OrderRef::new(number).unwrap());
    Incoming::new(someone(who), at, Source::new("shop").unwrap(), placed).with_key(number.parse().unwrap())
}

fn refund(who: &str, at: Timestamp, key: &str, number: Option<&str>, euros: i64) -> Incoming {
    let order = number.map(|number| OrderRef::new(number).unwrap());
    let refund = Refunded { order, amount: Money::new(euros * 100, Currency::EUR) };
    Incoming::new(someone(who), at, Source::new("shop").unwrap(), refund).with_key(key.parse().unwrap())
}

fn balance(crm: &Crm, who: &str) -> i128 {
    crm.customer(someone(who)).unwrap().unwrap().book(&points()).map_or(0, |book| book.balance())
}

fn stage(crm: &Crm, who: &str) -> Option<Stage> {
    crm.customer(someone(who)).unwrap().and_then(|customer| customer.stage())
}

fn segments(crm: &Crm, who: &str) -> Vec<String> {
    crm.customer(someone(who)).unwrap().unwrap().standing().segments().map(ToString::to_string).collect()
}

#[test]
fn an_order_makes_a_customer_who_goes_quiet_and_is_won_back() {
    let (clock, crm) = shop();
    crm.record(order("ana", day(0), "1", 50)).unwrap();
    assert_eq!(stage(&crm, "ana"), Some(Stage::Purchase));
    crm.advance(day(179)).unwrap();
    assert_eq!(stage(&crm, "ana"), Some(Stage::Purchase));
    crm.advance(day(180)).unwrap();
    assert_eq!(stage(&crm, "ana"), Some(Stage::Historical));
    clock.set(day(200));
    crm.record(order("ana", day(200), "2", 20)).unwrap();
    assert_eq!(stage(&crm, "ana"), Some(Stage::Purchase));
    let story = crm.story(someone("ana")).unwrap().unwrap();
    let stages: Vec<_> = story
        .changes
        .iter()
        .filter_map(|change| match &change.body {
            crm::ChangeBody::StageChanged { to, .. } => Some((change.at, to.unwrap())),
            _ => None,
        })
        .collect();
    assert_eq!(stages, [(day(0), Stage::Purchase), (day(180), Stage::Historical), (day(200), Stage::Purchase)]);
}

#[test]
fn the_same_fact_again_changes_nothing_and_another_under_its_key_is_refused() {
    let (_, crm) = shop();
    let first = crm.record(order("ana", day(0), "1", 50)).unwrap();
    let again = crm.record(order("ana", day(0), "1", 50)).unwrap();
    assert!(again.known && again.event == first.event && again.changes.is_empty());
    let other = crm.record(order("ana", day(0), "1", 51));
    assert!(matches!(other, Err(Error::Fact(FactRefusal::OtherContent { .. }))), "{other:?}");
    // The same key with another time is found by the store, and told by the history.
    let moved = crm.record(order("ana", day(0).plus(Span::millis(5)), "1", 50));
    assert!(matches!(moved, Err(Error::Fact(FactRefusal::OtherContent { .. }))), "{moved:?}");
    let taken = crm.record(order("ben", day(0), "1", 50));
    assert!(
        matches!(taken, Err(Error::Fact(FactRefusal::OtherContent { .. } | FactRefusal::OrderTaken { .. }))),
        "{taken:?}"
    );
    assert_eq!(crm.overview().unwrap().customers, 1);
    assert_eq!(balance(&crm, "ana"), 50);
}

#[test]
fn a_refund_takes_points_and_stage_back_whenever_it_arrives() {
    for refund_first in [false, true] {
        let (clock, crm) = shop();
        clock.set(day(10));
        let facts = [order("ana", day(1), "1", 50), refund("ana", day(2), "r1", Some("1"), 50)];
        let facts: Vec<_> = if refund_first { facts.into_iter().rev().collect() } else { facts.into() };
        for fact in facts {
            crm.record(fact).unwrap();
        }
        assert_eq!(balance(&crm, "ana"), 0);
        assert_eq!(stage(&crm, "ana"), Some(Stage::Prospect), "refund first: {refund_first}");
    }
}

#[test]
fn points_taken_back_after_they_were_spent_are_owed_and_paid_first() {
    let (clock, crm) = shop();
    let ana = crm.record(order("ana", day(0), "1", 50)).unwrap().customer;
    let redeem = |points| {
        Command::RedeemPoints(RedeemPoints {
            program: self::points(),
            points,
            reason: "mug".parse().unwrap(),
            order: None,
            total: None,
        })
    };
    assert!(matches!(crm.execute(ana, redeem(51), "k0"), Err(Error::Refused(_))));
    crm.execute(ana, redeem(40), "k1").unwrap();
    assert!(crm.execute(ana, redeem(40), "k1").unwrap().replayed);
    assert!(matches!(crm.execute(ana, redeem(41), "k1"), Err(Error::Refused(_) | Error::KeyReused)));
    clock.set(day(1));
    crm.record(refund("ana", day(1), "r1", None, 50)).unwrap();
    assert_eq!(balance(&crm, "ana"), -40);
    crm.record(order("ana", day(1), "2", 100)).unwrap();
    assert_eq!(balance(&crm, "ana"), 60);
    let totals = crm.overview().unwrap().points;
    // The order and the refund are of one instant, and the order comes first: the refund is of it, and no longer of the
    // first one, whose points are given again.
    assert_eq!((totals.earned, totals.reversed, totals.spent, totals.expired), (200, 100, 40, 0));
}

#[test]
fn points_expire_at_their_time_and_segments_change_their_mind_by_themselves() {
    let (_, crm) = shop();
    crm.record(order("ana", day(0), "1", 50)).unwrap();
    crm.record(order("ana", day(0), "2", 5)).unwrap();
    assert_eq!(segments(&crm, "ana"), ["regulars"]);
    crm.advance(day(89)).unwrap();
    assert_eq!(segments(&crm, "ana"), ["regulars"]);
    crm.advance(day(90)).unwrap();
    assert!(segments(&crm, "ana").is_empty());
    crm.advance(day(120)).unwrap();
    assert_eq!(segments(&crm, "ana"), ["lapsing"]);
    crm.advance(day(364)).unwrap();
    assert_eq!(balance(&crm, "ana"), 55);
    crm.advance(day(365)).unwrap();
    assert_eq!(balance(&crm, "ana"), 0);
    assert_eq!(crm.overview().unwrap().points.expired, 55);
}

#[test]
fn a_voided_order_leaves_no_trace_but_its_history() {
    let (clock, crm) = shop();
    let visit = Visited { channel: Channel::Web, place: None };
    crm.record(Incoming::new(someone("ana"), day(0), Source::new("shop").unwrap(), visit)).unwrap();
    clock.set(day(2));
    let wrong = crm.record(order("ana", day(1), "1", 50)).unwrap();
    let void = Voided { event: wrong.event, reason: None };
    crm.record(Incoming::new(wrong.customer, day(2), Source::new("shop").unwrap(), void)).unwrap();
    assert_eq!((stage(&crm, "ana"), balance(&crm, "ana")), (Some(Stage::Prospect), 0));
    assert_eq!(crm.overview().unwrap().orders, 0);
    let story = crm.story(wrong.customer).unwrap().unwrap();
    assert!(story.events.iter().any(|event| event.id == wrong.event));
}

#[test]
fn a_fact_from_the_future_waits_and_then_happens_as_if_it_came_just_then() {
    let live = shop();
    for (number, at) in [("1", 0), ("2", 30)] {
        live.0.set(day(at));
        live.1.record(order("ana", day(at), number, 50)).unwrap();
    }
    let (clock, crm) = shop();
    crm.record(order("ana", day(0), "1", 50)).unwrap();
    assert!(!crm.record(order("ana", day(30), "2", 50)).unwrap().known);
    assert!(crm.record(order("ana", day(30), "2", 50)).unwrap().known);
    assert_eq!((balance(&crm, "ana"), crm.overview().unwrap().orders), (50, 1));
    for (clock, crm) in [&live, &(clock, crm.clone())] {
        clock.set(day(31));
        crm.advance(day(31)).unwrap();
    }
    assert_eq!((balance(&crm, "ana"), crm.overview().unwrap().orders), (100, 2));
    assert_eq!(crm.overview().unwrap().digest, live.1.overview().unwrap().digest);
    let changes = |crm: &Crm| crm.story(someone("ana")).unwrap().unwrap().changes;
    assert_eq!(changes(&crm), changes(&live.1));
}

#[test]
fn somebody_whose_first_fact_lies_in_the_future_appears_when_it_comes() {
    let (clock, crm) = shop();
    crm.record(order("ana", day(30), "1", 50)).unwrap();
    assert_eq!((stage(&crm, "ana"), crm.overview().unwrap().orders), (None, 0));
    clock.set(day(31));
    crm.advance(day(31)).unwrap();
    assert_eq!((stage(&crm, "ana"), balance(&crm, "ana")), (Some(Stage::Purchase), 50));
}

#[test]
fn a_refund_can_go_by_the_order_alone() {
    let (clock, crm) = shop();
    clock.set(day(3));
    let source = Source::new("till").unwrap();
    let refund = |number: &str| {
        let order = OrderRef::new(number).unwrap();
        let refund = Refunded { order: Some(order.clone()), amount: Money::new(5_000, Currency::EUR) };
        Incoming::new(order, day(2), source.clone(), refund)
    };
    assert!(matches!(crm.record(refund("1")), Err(Error::Fact(FactRefusal::NoOrder { .. }))));
    crm.record(order("ana", day(1), "1", 50)).unwrap();
    crm.record(refund("1")).unwrap();
    assert_eq!((stage(&crm, "ana"), balance(&crm, "ana")), (Some(Stage::Prospect), 0));
    // In one batch the order is found too.
    let report = crm.ingest([order("ben", day(1), "2", 50), refund("2"), refund("3")], Ingestion::live()).unwrap();
    assert_eq!((report.recorded, report.refused.get("no_order")), (2, Some(&1)));
    assert_eq!(balance(&crm, "ben"), 0);
}

#[test]
fn ingesting_twice_or_in_another_order_gives_the_same_customers() {
    let facts = || {
        let mut facts = Vec::new();
        for n in 0..40_u32 {
            let who = format!("c{}", n % 7);
            facts.push(order(&who, day(n * 5), &n.to_string(), i64::from(n) * 3 + 1));
            if n % 3 == 0 {
                facts.push(refund(&who, day(n * 5 + 2), &format!("r{n}"), Some(&n.to_string()), 10));
            }
        }
        facts
    };
    let run = |order: fn(&mut Vec<Incoming>), batch: usize| {
        let (clock, crm) = shop();
        clock.set(day(300));
        let mut facts = facts();
        order(&mut facts);
        let report = crm.ingest(facts.clone(), Ingestion::history().with_batch(batch)).unwrap();
        assert_eq!((report.recorded, report.known), (54, 0));
        let before = crm.overview().unwrap();
        let report = crm.ingest(facts, Ingestion::history()).unwrap();
        assert_eq!((report.recorded, report.known), (0, 54));
        assert_eq!(crm.overview().unwrap(), before);
        crm.advance(day(300)).unwrap();
        let after = crm.overview().unwrap();
        (after.stages, after.segments, after.turnover, after.orders, after.refunds, after.points.outstanding())
    };
    let in_order = run(|_| {}, 1_024);
    assert_eq!(run(|facts| facts.reverse(), 1_024), in_order);
    assert_eq!(run(|_| {}, 5), in_order);
    assert_eq!(run(|facts| facts.sort_by_key(|fact| format!("{fact:?}").len()), 9), in_order);
}

#[test]
fn many_facts_of_one_instant_are_one_customer_like_any_other() {
    let (clock, crm) = shop();
    clock.set(day(1));
    let facts: Vec<_> = (0..6_000).map(|n| order("ana", day(1), &n.to_string(), 1)).collect();
    let report = crm.ingest(facts.clone(), Ingestion::live()).unwrap();
    assert_eq!((report.recorded, report.refused.len()), (6_000, 0));
    assert_eq!(crm.ingest(facts, Ingestion::live()).unwrap().known, 6_000);
    assert_eq!(balance(&crm, "ana"), 6_000);
}

#[test]
fn tenants_know_nothing_of_each_other() {
    let (_, crm) = shop();
    crm.record(order("ana", day(0), "1", 50)).unwrap();
    let other = crm.tenant("other".parse().unwrap());
    assert!(other.customer(someone("ana")).unwrap().is_none());
    assert_eq!(other.overview().unwrap().customers, 0);
    assert!(!other.record(order("ana", day(0), "1", 50)).unwrap().known);
}

fn visit(who: &str, at: Timestamp, key: &str) -> Incoming {
    let visit = Visited { channel: Channel::Web, place: None };
    Incoming::new(someone(who), at, Source::new("shop").unwrap(), visit).with_key(key.parse().unwrap())
}

#[test]
fn a_fact_from_the_future_does_not_hide_what_is_due_before_it() {
    let run = |future: bool| {
        let (clock, crm) = shop();
        crm.record(order("ana", day(0), "1", 50)).unwrap();
        clock.set(day(200));
        if future {
            crm.record(visit("ana", day(300), "v")).unwrap();
        }
        crm.advance(day(200)).unwrap();
        (segments(&crm, "ana"), crm.story(someone("ana")).unwrap().unwrap().changes)
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn an_identifier_can_be_told_first_and_again() {
    let (_, crm) = shop();
    let told = |key: &str| {
        let known = crm.identified(&someone("ana"));
        Incoming::new(someone("ana"), day(0), Source::new("crm").unwrap(), known).with_key(key.parse().unwrap())
    };
    let ana = crm.record(told("i1")).unwrap().customer;
    assert_eq!(crm.record(told("i2")).unwrap().customer, ana);
    assert_eq!(crm.customer(ana).unwrap().unwrap().identifiers().count(), 1);
    let other = crm.identified(&someone("ana"));
    let taken = crm.record(Incoming::new(someone("ben"), day(0), Source::new("crm").unwrap(), other));
    assert!(taken.is_ok() || matches!(taken, Err(Error::Fact(FactRefusal::IdentifierTaken { .. }))), "{taken:?}");
    assert_eq!(crm.customer(someone("ana")).unwrap().unwrap().id(), ana);
}

#[test]
fn what_a_customer_merely_states_leads_to_nobody_until_it_is_vouched_for() {
    let (_, crm) = shop();
    let ana = crm.record(visit("ana", day(0), "v")).unwrap().customer;
    let tell = |who: &str, whose: &str, assurance, key: &str| {
        let told = crm.identified(&someone(whose)).assured(assurance);
        let incoming = Incoming::new(someone(who), day(0), Source::new("form").unwrap(), told);
        crm.record(incoming.with_key(key.parse().unwrap()))
    };
    let ben = tell("ben", "ana", crm::Assurance::Stated, "1").unwrap().customer;
    tell("ben", "ben's other", crm::Assurance::Stated, "2").unwrap();
    assert_ne!(ben, ana);
    assert_eq!(crm.customer(someone("ana")).unwrap().unwrap().id(), ana);
    assert_eq!(crm.customer(someone("ben's other")).unwrap(), None);
    assert_eq!(crm.customer(ben).unwrap().unwrap().stated_identifiers().count(), 2);
    tell("ben", "ben's other", crm::Assurance::Vouched, "3").unwrap();
    assert_eq!(crm.customer(someone("ben's other")).unwrap().unwrap().id(), ben);
}

#[test]
fn points_that_expired_are_not_taken_back_again() {
    let (clock, crm) = shop();
    crm.record(order("ana", day(0), "1", 50)).unwrap();
    clock.set(day(366));
    crm.advance(day(366)).unwrap();
    crm.record(refund("ana", day(10), "r1", Some("1"), 50)).unwrap();
    assert_eq!(balance(&crm, "ana"), 0, "nothing was spent, so nothing is owed");
}

#[test]
fn one_advance_leaves_a_customer_where_two_leave_them() {
    let run = |split: bool| {
        let (clock, crm) = shop();
        crm.record(order("ana", day(0), "1", 50)).unwrap();
        clock.set(day(150));
        if split {
            crm.advance(day(120)).unwrap();
        }
        crm.advance(day(150)).unwrap();
        crm.customer(someone("ana")).unwrap().unwrap()
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn a_voided_order_gives_its_number_back_to_its_customer() {
    let (clock, crm) = shop();
    clock.set(day(1));
    let wrong = crm.record(order("ana", day(0), "1", 500)).unwrap();
    let void = Voided { event: wrong.event, reason: None };
    crm.record(Incoming::new(wrong.customer, day(0), Source::new("shop").unwrap(), void)).unwrap();
    let corrected = |key: &str| order("ana", day(0), "1", 50).with_key(key.parse().unwrap());
    crm.record(corrected("1 corrected")).unwrap();
    assert_eq!(balance(&crm, "ana"), 50);
    let again = crm.record(corrected("1 corrected twice"));
    assert!(matches!(again, Err(Error::Fact(FactRefusal::OrderTaken { .. }))), "{again:?}");
}

#[test]
fn a_definition_for_the_past_is_followed_by_a_refresh() {
    let clock = Arc::new(ManualClock::at(day(0)));
    let crm = Crm::from(crm::Crm::builder().clock(Arc::clone(&clock)).build());
    crm.record(order("ana", day(0), "1", 50)).unwrap();
    clock.set(day(50));
    let policy = LifecyclePolicy { quiet_after: Span::days(30), ..LifecyclePolicy::default() };
    crm.define(day(0), Definition::Lifecycle(policy)).unwrap();
    crm.define(day(0), Definition::Program(points(), Some(Program::point_per_unit(Currency::EUR)))).unwrap();
    assert_eq!(crm.refresh().unwrap(), 1);
    assert_eq!((stage(&crm, "ana"), balance(&crm, "ana")), (Some(Stage::Historical), 50));
    assert_eq!(crm.refresh().unwrap(), 0);
}

#[test]
fn a_store_made_with_another_look_up_key_is_refused() {
    let store: Arc<dyn crm::Store> = Arc::new(crm::MemoryStore::new());
    let open = |key: u8| {
        let key = crm::LookupKey::new(&[key; 32]);
        Crm::from(crm::Crm::builder().shared_store(Arc::clone(&store)).lookup_key(key).build())
    };
    open(1).record(visit("ana", day(0), "v")).unwrap();
    let other = open(2);
    assert!(matches!(other.customer(someone("ana")), Err(Error::LookupKey)));
    assert!(matches!(other.record(visit("ana", day(0), "v")), Err(Error::LookupKey)));
    assert!(open(1).customer(someone("ana")).unwrap().is_some());
}

#[test]
fn a_predicate_nested_ten_thousand_deep_is_refused() {
    let (_, crm) = shop();
    let deep = (0..10_000).fold(Predicate::All(Vec::new()), |inner, _| Predicate::Not(Box::new(inner)));
    let refused = crm.define(day(0), Definition::Segment(SegmentName::new("deep").unwrap(), Some(deep)));
    assert!(matches!(refused, Err(Error::Definition(_))));
}

#[test]
fn an_order_that_its_refund_was_waiting_for_opens_no_window() {
    let run = |refunded: u32| {
        let (clock, crm) = shop();
        clock.set(day(102));
        crm.record(order("ana", day(0), "1", 50)).unwrap();
        crm.record(refund("ana", day(refunded), "r", Some("2"), 70)).unwrap();
        crm.record(order("ana", day(100), "2", 70)).unwrap();
        crm.advance(day(200)).unwrap();
        stage(&crm, "ana")
    };
    assert_eq!(run(99), Some(Stage::Historical));
    assert_eq!(run(101), Some(Stage::Historical));
}
