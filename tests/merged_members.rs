//! Merged customers where two things happen at once, or where what one member did meets another's.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod between;

use std::sync::Arc;

use between::{Before, Between};
use crm::blocking::Crm;
use crm::{
    AwardPoints, Barred, CardLine, CardTold, CardUpdate, Channel, Command, ConfirmProof, Confirmation, ConsentStatus,
    ContactQuery, Currency, CustomerId, Definition, Digest, Error, ExternalSystem, Identifier, Incoming, Locale,
    ManualClock, MergeRefusal, Method, Money, OptIn, OrderPlaced, OrderRef, Program, ProgramId, Proof, Purpose,
    RedeemPoints, Refunded, Source, Span, Store, Strength, Tie, TieKind, Timestamp, Visited, Voided, Wording,
};
use proptest::prelude::*;

fn hour(hour: i64) -> Timestamp {
    Timestamp::from_millis(hour * 3_600_000).unwrap()
}

fn points() -> ProgramId {
    ProgramId::new("points").unwrap()
}

fn who(n: u8) -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), &n.to_string()).unwrap()
}

fn euros(amount: i64) -> Money {
    Money::new(amount * 100, Currency::EUR)
}

fn source() -> Source {
    Source::new("test").unwrap()
}

fn why() -> crm::Remark {
    "test".parse().unwrap()
}

fn over(store: Arc<dyn Store>, clock: &Arc<ManualClock>) -> Crm {
    Crm::from(crm::Crm::builder().shared_store(store).clock(Arc::clone(clock)).ids(crm::DerivedIds).build())
}

fn shop_on(store: Arc<dyn Store>) -> (Arc<ManualClock>, Crm) {
    let clock = Arc::new(ManualClock::at(hour(0)));
    let crm = over(store, &clock);
    let program = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(30));
    crm.define(hour(0), Definition::Program(points(), Some(program))).unwrap();
    (clock, crm)
}

fn shop() -> (Arc<ManualClock>, Crm) {
    shop_on(Arc::new(crm::MemoryStore::new()))
}

fn visit_at(crm: &Crm, who: &Identifier, at: Timestamp, key: &str) -> crm::Recorded {
    let visit = Visited { channel: Channel::Web, place: None };
    crm.record(Incoming::new(who, at, source(), visit).with_key(key.parse().unwrap())).unwrap()
}

fn visit(crm: &Crm, who: &Identifier, key: &str) -> CustomerId {
    visit_at(crm, who, crm.now(), key).customer
}

fn order(crm: &Crm, who: &Identifier, number: &str, amount: i64) -> CustomerId {
    let placed = OrderPlaced::new(euros(amount)).with_order(OrderRef::new(number).unwrap());
    crm.record(Incoming::new(who, crm.now(), source(), placed).with_key(number.parse().unwrap())).unwrap().customer
}

fn balance(crm: &Crm, who: CustomerId) -> i128 {
    crm.customer(who).unwrap().unwrap().book(&points()).map_or(0, |book| book.balance())
}

fn redeem(points_: i64) -> Command {
    Command::RedeemPoints(RedeemPoints { program: points(), points: points_, reason: why(), order: None, total: None })
}

/// Two instances over one store: the one stops where the test says, and the other does something then.
struct Two {
    between: Between,
    one: Crm,
    other: Crm,
}

fn two() -> Two {
    let inner: Arc<dyn Store> = Arc::new(crm::MemoryStore::new());
    let (clock, other) = shop_on(Arc::clone(&inner));
    let between = Between::new(inner);
    Two { one: over(Arc::new(between.clone()), &clock), between, other }
}

#[test]
fn whoever_is_parted_while_being_read_is_read_as_they_are_then() {
    let Two { between, one, other } = two();
    let (a, b) = (visit(&other, &who(1), "1"), visit(&other, &who(2), "2"));
    let head = other.merge(a, b, why()).unwrap().customer;
    let alias = if head == a { b } else { a };
    between.once(Before::Load(vec![head], 0), move || {
        other.part(a, b, why()).unwrap();
    });
    let found = one.customer(alias).unwrap().unwrap();
    assert_eq!((found.id(), found.is_merged(), found.facts().visits()), (alias, false, 1));
    assert!(between.is_done());
}

#[test]
fn two_who_merge_the_same_two_at_once_merge_them_once() {
    let Two { between, one, other } = two();
    // Somebody anonymous was there first, and goes on under the id of the other.
    let a = visit(&other, &Identifier::device("cookie-1").unwrap(), "1");
    let b = visit(&other, &who(2), "2");
    // Each is read once to let time pass, and once to be merged.
    between.once(Before::Load(vec![b], 1), move || {
        assert_eq!(other.merge(a, b, why()).unwrap().customer, b);
    });
    let merged = one.merge(a, b, why()).unwrap();
    assert!(between.is_done());
    assert_eq!((merged.customer, merged.known), (b, true));
    let story = one.story(a).unwrap().unwrap();
    assert_eq!(story.events.iter().filter(|event| event.body.kind() == "merged").count(), 2);
}

#[test]
fn a_card_that_two_tell_at_once_loses_neither_telling() {
    let Two { between, one, other } = two();
    let (a, b) = (visit(&other, &who(1), "1"), visit(&other, &who(2), "2"));
    let head = other.merge(a, b, why()).unwrap().customer;
    let alias = if head == a { b } else { a };
    let told = |text: &str, at| {
        let update = CardUpdate::new().employer(CardLine::new(text).unwrap());
        CardTold { customer: alias, update, source: source(), at: hour(at) }
    };
    let newer = told("New", 2);
    between.once(Before::Load(vec![head], 0), move || {
        let CardTold { customer, update, source, at } = newer;
        other.update_card(customer, update, &source, at).unwrap();
    });
    let answers = one.update_cards(&[told("Old", 1)]).unwrap();
    assert!(between.is_done());
    assert!(answers[0].as_ref().unwrap().event.is_some());
    assert_eq!(one.card(alias).unwrap().employer(), Some("New"));
    assert_eq!(one.card_history(alias).unwrap().len(), 2);
}

fn marketing() -> Purpose {
    Purpose::new("marketing").unwrap()
}

fn email(name: &str) -> Identifier {
    Identifier::email(&format!("{name}@example.com")).unwrap()
}

/// Says yes to marketing by mail.
fn consents(crm: &Crm, customer: CustomerId, address: &Identifier) {
    let wording =
        Wording { version: "1".parse().unwrap(), sha256: Digest::of(b"yes"), locale: Locale::new("en").unwrap() };
    let proof = Proof::new(Method::Form, wording, "web".parse().unwrap());
    let asked = OptIn::new(marketing(), Channel::Email, address.clone(), proof);
    let token = crm.request_opt_in(customer, asked).unwrap().token;
    let by = ConfirmProof { collected_by: "page".parse().unwrap(), address: None };
    assert!(matches!(crm.confirm_opt_in(&token, by).unwrap(), Confirmation::Confirmed { .. }));
}

fn unsubscribes(crm: &Crm, customer: CustomerId) -> bool {
    let link = crm.unsubscribe_token(customer, marketing(), Channel::Email);
    crm.withdraw_by_token(link.as_str()).unwrap().event.is_some()
}

#[track_caller]
fn is_barred(crm: &Crm, customer: CustomerId) {
    let query = ContactQuery::new(marketing(), Channel::Email, crm.now());
    let barred = Err(Barred::NoConsent { status: ConsentStatus::Withdrawn });
    assert_eq!(crm.may_contact(customer, &query, None).unwrap(), barred);
}

#[test]
fn whoever_unsubscribes_while_merged_with_somebody_who_did_before_stays_unsubscribed_when_parted() {
    let (clock, crm) = shop();
    let later = || clock.set(crm.now().plus(Span::days(1)));
    let (a, b) = (visit(&crm, &email("a"), "1"), visit(&crm, &email("b"), "2"));
    consents(&crm, a, &email("a"));
    consents(&crm, b, &email("b"));
    later();
    assert!(unsubscribes(&crm, a));
    later();
    crm.merge(a, b, why()).unwrap();
    later();
    assert!(unsubscribes(&crm, b));
    assert!(!unsubscribes(&crm, b), "again it is so");
    later();
    crm.part(a, b, why()).unwrap();
    is_barred(&crm, a);
    is_barred(&crm, b);
}

#[test]
fn a_yes_from_before_the_merge_does_not_take_back_what_the_other_withdrew() {
    for quiet in [Span::days(3), Span::millis(0)] {
        let (clock, crm) = shop();
        let (a, b) = (visit(&crm, &email("a"), "1"), visit(&crm, &email("b"), "2"));
        assert!(unsubscribes(&crm, a));
        clock.set(hour(24));
        consents(&crm, b, &email("b"));
        // Nothing happens to either until they are merged.
        clock.set(crm.now().plus(quiet));
        crm.merge(a, b, why()).unwrap();
        is_barred(&crm, a);
        is_barred(&crm, b);
        clock.set(crm.now().plus(Span::days(1)));
        consents(&crm, b, &email("b"));
        let query = ContactQuery::new(marketing(), Channel::Email, crm.now());
        assert!(
            crm.may_contact(a, &query, Some(&email("b"))).unwrap().is_ok(),
            "a yes of the one person they are is for both"
        );
    }
}

#[test]
fn points_that_were_lent_and_then_expired_are_not_taken_back_with_their_order() {
    let (clock, crm) = shop();
    let (a, b) = (order(&crm, &who(1), "o-1", 100), visit(&crm, &who(2), "2"));
    crm.merge(a, b, why()).unwrap();
    crm.execute(b, redeem(100), "spend").unwrap();
    crm.part(a, b, why()).unwrap();
    assert_eq!((balance(&crm, a), balance(&crm, b)), (100, -100));
    clock.set(hour(40 * 24));
    crm.advance(crm.now()).unwrap();
    assert_eq!(balance(&crm, a), 0);
    let refund = Refunded { order: Some(OrderRef::new("o-1").unwrap()), amount: euros(100) };
    crm.record(Incoming::new(who(1), crm.now(), source(), refund)).unwrap();
    assert_eq!(balance(&crm, a), 0, "what expired is gone already, as for anybody else");
}

#[test]
fn a_fact_from_the_future_is_known_through_whichever_member_it_comes_again() {
    let (_, crm) = shop();
    let (a, b) = (visit(&crm, &who(1), "1"), visit(&crm, &who(2), "2"));
    crm.merge(a, b, why()).unwrap();
    assert!(!visit_at(&crm, &who(1), hour(9), "later").known);
    assert!(visit_at(&crm, &who(2), hour(9), "later").known);
    assert!(visit_at(&crm, &who(1), hour(9), "later").known);
}

#[test]
fn a_tie_told_before_its_two_were_merged_is_known_when_it_is_told_again() {
    let (_, crm) = shop();
    let (a, b) = (visit(&crm, &who(1), "1"), visit(&crm, &who(2), "2"));
    let tell = |from, to, key: &str| {
        let tie = Tie { from, to, kind: TieKind::Household, strength: Strength::FULL };
        crm.tie(tie, hour(0), source(), key.parse().unwrap()).unwrap()
    };
    assert!(!tell(a, b, "t-1").known && !tell(b, a, "t-2").known);
    crm.merge(a, b, why()).unwrap();
    assert!(tell(a, b, "t-1").known && tell(b, a, "t-2").known);
}

#[test]
fn a_tie_from_the_future_that_comes_when_its_two_are_merged_is_folded_as_ever() {
    let store: Arc<dyn Store> = Arc::new(crm::MemoryStore::new());
    let (clock, crm) = shop_on(Arc::clone(&store));
    let ids: Vec<_> = (0..4).map(|n| visit(&crm, &who(n), &n.to_string())).collect();
    for (n, (from, to)) in [(ids[0], ids[1]), (ids[1], ids[0]), (ids[2], ids[3])].into_iter().enumerate() {
        let tie = Tie { from, to, kind: TieKind::BuysFor, strength: Strength::FULL };
        crm.tie(tie, hour(5), source(), format!("t-{n}").parse().unwrap()).unwrap();
    }
    crm.merge(ids[0], ids[1], why()).unwrap();
    crm.merge(ids[2], ids[3], why()).unwrap();
    clock.set(hour(6));
    crm.advance(hour(6)).unwrap();
    check(&crm, &store);
}

#[test]
fn an_order_number_used_again_through_another_member_leads_to_its_order_after_parting() {
    let (_, crm) = shop();
    let (a, b) = (order(&crm, &who(1), "o-1", 100), visit(&crm, &who(2), "2"));
    crm.merge(a, b, why()).unwrap();
    let first = crm_core::EventId::of_fact(&crm::TenantId::default(), &source(), "o-1");
    crm.record(Incoming::new(who(1), crm.now(), source(), Voided { event: first, reason: None })).unwrap();
    let placed = OrderPlaced::new(euros(100)).with_order(OrderRef::new("o-1").unwrap());
    crm.record(Incoming::new(who(2), crm.now(), source(), placed).with_key("o-1 again".parse().unwrap())).unwrap();
    crm.part(a, b, why()).unwrap();
    let found = crm.customer(OrderRef::new("o-1").unwrap()).unwrap().unwrap();
    assert_eq!((found.id(), found.facts().orders().list().len()), (b, 1));
}

/// Facts by number: what each says and when it happens follows from the number, through whomever it comes.
#[derive(Debug, Clone)]
enum Step {
    Tell(u8, u8),
    Redeem(u8, i64),
    Award(u8, i64),
    Merge(u8, u8),
    Part(u8, u8),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let one = || 0..4_u8;
    prop_oneof![
        6 => (one(), 0..40_u8).prop_map(|(who, n)| Step::Tell(who, n)),
        2 => (one(), 1..90_i64).prop_map(|(who, points)| Step::Redeem(who, points)),
        1 => (one(), 1..90_i64).prop_map(|(who, points)| Step::Award(who, points)),
        3 => (one(), one()).prop_map(|(one, other)| Step::Merge(one, other)),
        2 => (one(), one()).prop_map(|(one, other)| Step::Part(one, other)),
        2 => (0..300_i64).prop_map(Step::Wait),
    ]
}

fn fact(n: u8) -> crm::Fact {
    let event = |n: u8| crm_core::EventId::of_fact(&crm::TenantId::default(), &source(), &format!("f-{n}"));
    match n % 5 {
        0 => Visited { channel: Channel::Web, place: None }.into(),
        1 | 2 => OrderPlaced::new(euros(i64::from(n) * 3)).into(),
        3 => Refunded { order: None, amount: euros(i64::from(n)) }.into(),
        _ => Voided { event: event(n / 2), reason: None }.into(),
    }
}

/// What is stored of everybody is the fold of what is stored of them, and nobody but they is waited for.
fn check(crm: &Crm, store: &Arc<dyn Store>) {
    let definitions = crm.definitions().unwrap();
    let mut all = Vec::new();
    crm.for_each_customer(|customer| all.push(customer.clone())).unwrap();
    let mut armed = Vec::new();
    for customer in &all {
        let mut events = crm.story(customer.id()).unwrap().unwrap().events;
        events.sort_by_key(|event| event.customer);
        let told = events.iter().map(|event| (event.customer, event.id, event.at, &event.body));
        let again = crm::Customer::replay(customer.id(), told, customer.clock().unwrap(), &definitions);
        assert_eq!(again.facts(), customer.facts());
        assert_eq!(again.waiting().collect::<Vec<_>>(), customer.waiting().collect::<Vec<_>>());
        assert_eq!((again.digest(), again.joins()), (customer.digest(), customer.joins()));
        let next = customer.next_alarm(&definitions);
        assert_eq!(next, customer.alarm());
        armed.extend(next.map(|alarm| (customer.id(), alarm)));
        for (_, book) in customer.books() {
            let held: i128 = book.lots().iter().map(|lot| i128::from(lot.left())).sum();
            assert_eq!(held - i128::from(book.owed()), book.balance());
        }
    }
    assert_eq!(all.iter().flat_map(|customer| customer.members()).count(), 4);
    let due = crm::blocking::wait(store.due(&crm::TenantId::default(), Timestamp::MAX, 100)).unwrap();
    let mut due: Vec<_> = due.into_iter().map(|due| (due.customer, due.alarm)).collect();
    due.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(due, armed);
}

fn walk(steps: &[Step], store: Arc<dyn Store>) {
    let (clock, crm) = shop_on(Arc::clone(&store));
    let ids: Vec<_> = (0..4).map(|n| visit(&crm, &who(n), &format!("first-{n}"))).collect();
    let id = |who: u8| ids[usize::from(who)];
    let mut now = 0;
    for (turn, step) in steps.iter().enumerate() {
        match step {
            Step::Tell(who_, n) => {
                let at = hour(i64::from(*n) * 31 % 1_000);
                let fact =
                    Incoming::new(who(*who_), at, source(), fact(*n)).with_key(format!("f-{n}").parse().unwrap());
                crm.record(fact.clone()).unwrap();
                assert!(crm.record(fact).unwrap().known);
            }
            Step::Redeem(who, points) => drop(crm.execute(id(*who), redeem(*points), &format!("{turn}"))),
            Step::Award(who, amount) => {
                let award = AwardPoints { program: points(), points: *amount, reason: why() };
                crm.execute(id(*who), Command::AwardPoints(award), &format!("{turn}")).unwrap();
            }
            Step::Merge(one, other) => drop(crm.merge(id(*one), id(*other), why()).unwrap()),
            Step::Part(one, other) => match crm.part(id(*one), id(*other), why()) {
                Ok(_) | Err(Error::Merge(MergeRefusal::NotMerged { .. })) => {}
                Err(error) => panic!("{error}"),
            },
            Step::Wait(hours) => {
                now += hours;
                clock.set(hour(now));
                crm.advance(hour(now)).unwrap();
            }
        }
        check(&crm, &store);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("CRM_SOAK").is_some() { 2_000 } else { 80 }))]

    /// Facts that come late, early, twice, or through several, and that void each other.
    #[test]
    fn the_stored_state_is_the_fold_of_the_stored_events_and_armed_for_what_is_next(
        steps in proptest::collection::vec(step(), 0..40),
    ) {
        walk(&steps, Arc::new(crm::MemoryStore::new()));
    }
}

#[test]
fn whoever_was_parted_from_both_sides_is_merged_with_neither() {
    let (_clock, crm) = shop_on(Arc::new(crm::MemoryStore::new()));
    let ids: Vec<_> = (0..4).map(|n| visit(&crm, &who(n), &format!("first-{n}"))).collect();
    for (one, other) in [(3, 0), (1, 2), (0, 1)] {
        crm.merge(ids[one], ids[other], why()).unwrap();
    }
    crm.part(ids[0], ids[3], why()).unwrap();
    crm.part(ids[3], ids[1], why()).unwrap();
    assert_eq!(crm.customer(ids[1]).unwrap().unwrap().joins().len(), 1);
    let parted = crm.part(ids[1], ids[3], why()).unwrap_err();
    assert!(matches!(parted, Error::Merge(MergeRefusal::NotMerged { .. })), "{parted}");
}

#[test]
fn a_long_chain_of_merges_ends_where_a_person_is_made_of_too_many() {
    let (_, crm) = shop();
    let people = if std::env::var_os("CRM_SOAK").is_some() { 10_000 } else { 100 };
    let visit = |n: usize| {
        let who = Identifier::external(&ExternalSystem::new("shop").unwrap(), &n.to_string()).unwrap();
        Incoming::new(&who, crm.now(), source(), Visited { channel: Channel::Web, place: None })
    };
    let ids: Vec<CustomerId> = (0..people).map(|n| crm.record(visit(n)).unwrap().customer).collect();
    let max = crm::MEMBERS_MAX;
    for (n, pair) in ids.windows(2).enumerate() {
        let merged = crm.merge(pair[0], pair[1], why());
        // Whoever could not be merged begins the next person.
        match merged {
            Ok(merged) => {
                assert!((n + 1) % max != 0 && merged.customer == crm.customer(pair[0]).unwrap().unwrap().id())
            }
            Err(Error::Merge(MergeRefusal::Members { members })) => assert_eq!(((n + 1) % max, members), (0, max + 1)),
            Err(other) => panic!("{n}: {other}"),
        }
    }
    // The last with the first closes no circle, and everybody leads to whoever they are part of.
    let _ = crm.merge(ids[people - 1], ids[0], why());
    for (n, id) in ids.iter().enumerate() {
        let person = crm.customer(*id).unwrap().unwrap();
        assert!(person.is(*id) && person.members().count() <= max, "{n}");
        assert_eq!(person.facts().visits(), person.members().count() as u32);
    }
}

#[test]
fn who_is_merged_while_being_erased_is_erased_with_whom_they_were_merged_or_not_merged_at_all() {
    for at in 0..12 {
        for whole in [true, false] {
            let Two { between, one, other } = two();
            let (a, b) = (visit(&other, &who(1), "1"), visit(&other, &who(2), "2"));
            for person in [a, b] {
                let update = CardUpdate::new().employer(CardLine::new("Planted").unwrap());
                other.update_card(person, update, &source(), hour(0)).unwrap();
            }
            let (erased, merged_with) = if whole { (a, b) } else { (b, a) };
            let merging = other.clone();
            between.once(Before::Load(vec![erased], at), move || drop(merging.merge(erased, merged_with, why())));
            let erasure = one.erase(erased).unwrap();
            let rest: Vec<CustomerId> = [a, b].into_iter().filter(|id| !erasure.customers.contains(id)).collect();
            for gone in &erasure.customers {
                let export = other.export(*gone).unwrap().map(|export| export.to_string()).unwrap_or_default();
                assert!(!export.contains("Planted"), "{at} {whole}: {export}");
            }
            for kept in rest {
                assert_eq!(other.card(kept).unwrap().employer(), Some("Planted"), "{at} {whole}");
                assert!(!other.customer(kept).unwrap().unwrap().is_merged(), "{at} {whole}");
            }
        }
    }
}
