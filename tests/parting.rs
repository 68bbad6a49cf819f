//! What each side has when somebody is parted: who is found by what, which facts were told already, what moved,
//! and whose word about consent counts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    Barred, ChangeBody, Channel, ConfirmProof, Confirmation, ConsentStatus, ContactQuery, Currency, CustomerId,
    Definition, Digest, Error, ExternalSystem, FactRefusal, Identifier, Incoming, Ingestion, Locale, ManualClock,
    MergeRefusal, Method, Money, OptIn, OrderPlaced, Predicate, Proof, Purpose, SegmentName, Source, Span, Stage,
    Timestamp, Visited, Voided, Wording,
};
use proptest::prelude::*;

fn hour(hour: i64) -> Timestamp {
    Timestamp::from_millis(hour * 3_600_000).unwrap()
}

fn who(n: u8) -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), &n.to_string()).unwrap()
}

fn email(name: &str) -> Identifier {
    Identifier::email(&format!("{name}@example.com")).unwrap()
}

fn source() -> Source {
    Source::new("test").unwrap()
}

fn why() -> crm::Remark {
    "test".parse().unwrap()
}

fn shop() -> (Arc<ManualClock>, Crm) {
    let clock = Arc::new(ManualClock::at(hour(0)));
    let crm = crm::Crm::builder().clock(Arc::clone(&clock)).ids(crm::DerivedIds).build();
    (clock, Crm::from(crm))
}

fn visit(who: impl Into<crm::Who>, at: i64, key: &str) -> Incoming {
    let visit = Visited { channel: Channel::Web, place: None };
    Incoming::new(who, hour(at), source(), visit).with_key(key.parse().unwrap())
}

fn came(crm: &Crm, who: &Identifier, key: &str) -> CustomerId {
    crm.record(visit(who, 0, key)).unwrap().customer
}

fn found(crm: &Crm, who: &Identifier) -> Option<CustomerId> {
    crm.customer(who).unwrap().map(|customer| customer.id())
}

fn is_known_by(crm: &Crm, customer: CustomerId, address: &Identifier) -> crm::Recorded {
    let told = Incoming::new(customer, crm.now(), source(), crm.identified(address));
    crm.record(told.with_key(format!("{customer} known").parse().unwrap())).unwrap()
}

#[test]
fn an_identifier_told_through_two_members_leads_to_whoever_had_it_first() {
    for ana_first in [true, false] {
        let (clock, crm) = shop();
        let (ana, ben) = (came(&crm, &who(1), "1"), came(&crm, &who(2), "2"));
        let (first, second) = if ana_first { (ana, ben) } else { (ben, ana) };
        is_known_by(&crm, first, &email("both"));
        crm.merge(ana, ben, why()).unwrap();
        clock.set(hour(1));
        is_known_by(&crm, second, &email("both"));
        crm.part(ana, ben, why()).unwrap();
        assert_eq!(found(&crm, &email("both")), Some(first));
    }
}

#[test]
fn an_identifier_that_one_side_is_known_by_leads_to_that_side_when_they_are_parted() {
    for ana_first in [true, false] {
        let (clock, crm) = shop();
        let (ana, ben) = (came(&crm, &who(1), "1"), came(&crm, &who(2), "2"));
        let (first, second) = if ana_first { (ana, ben) } else { (ben, ana) };
        let told = is_known_by(&crm, first, &email("one"));
        crm.merge(ana, ben, why()).unwrap();
        clock.set(hour(1));
        is_known_by(&crm, second, &email("one"));
        // It was a mistake: only the other one has that address.
        crm.record(Incoming::new(first, crm.now(), source(), Voided { event: told.event, reason: None })).unwrap();
        clock.set(hour(2));
        crm.part(ana, ben, why()).unwrap();
        assert_eq!(found(&crm, &email("one")), Some(second));
        let later = crm.record(visit(email("one"), 2, "later")).unwrap();
        assert_eq!(later.customer, second);
        // Merged and parted again it is so still.
        crm.merge(ana, ben, why()).unwrap();
        crm.part(ben, ana, why()).unwrap();
        assert_eq!(found(&crm, &email("one")), Some(second));
    }
}

#[test]
fn a_fact_told_again_with_another_time_through_another_member_contradicts_the_first() {
    let (clock, crm) = shop();
    let (ana, ben) = (came(&crm, &who(1), "1"), came(&crm, &who(2), "2"));
    crm.record(visit(who(1), 0, "before")).unwrap();
    crm.merge(ana, ben, why()).unwrap();
    clock.set(hour(20));
    crm.record(visit(who(1), 5, "after")).unwrap();
    crm.record(visit(who(2), 30, "ahead")).unwrap();
    for (key, at) in [("before", 7), ("after", 8), ("ahead", 9), ("before", 40), ("after", 41)] {
        for member in [who(1), who(2)] {
            let told = crm.record(visit(&member, at, key));
            assert!(matches!(told, Err(Error::Fact(FactRefusal::OtherContent { .. }))), "{key} at {at}: {told:?}");
            let told = crm.record(visit([member.clone().into()], at, key));
            assert!(matches!(told, Err(Error::Fact(FactRefusal::OtherContent { .. }))), "{key} at {at}: {told:?}");
            let report = crm.ingest([visit(&member, at, key)], Ingestion::live()).unwrap();
            assert_eq!(report.refused["other_content"], 1);
        }
    }
    for (key, at) in [("before", 0), ("after", 5), ("ahead", 30)] {
        for member in [who(1), who(2)] {
            assert!(crm.record(visit(&member, at, key)).unwrap().known, "{key}");
        }
    }
    assert_eq!(crm.customer(ana).unwrap().unwrap().facts().visits(), 4);
    // Apart they are two again, and each may be told what the other was told.
    crm.part(ana, ben, why()).unwrap();
    assert!(!crm.record(visit(who(2), 7, "before")).unwrap().known);
}

#[test]
fn whoever_goes_on_under_another_id_moves_on_from_what_both_were() {
    let (clock, crm) = shop();
    let name = |name: &str| SegmentName::new(name).unwrap();
    for (segment, is_in) in [
        ("visitors", Predicate::compare(crm::Attribute::Visits, crm::Comparison::Ge, 1)),
        ("buyers", Predicate::compare(crm::Attribute::Orders, crm::Comparison::Ge, 1)),
    ] {
        crm.define(hour(0), Definition::Segment(name(segment), Some(is_in))).unwrap();
    }
    let (ana, ben) = (came(&crm, &who(1), "1"), came(&crm, &who(2), "2"));
    let order = OrderPlaced::new(Money::new(5_000, Currency::EUR));
    crm.record(Incoming::new(ana, crm.now(), source(), order)).unwrap();
    crm.merge(ana, ben, why()).unwrap();
    clock.set(hour(1));
    let parted = crm.part(ben, ana, why()).unwrap();
    let [head, alias] = if crm.customer(ana).unwrap().unwrap().id() == parted.stayed { [ana, ben] } else { [ben, ana] };
    assert_ne!(head, alias);
    let told: Vec<ChangeBody> = parted.changes.into_iter().map(|change| change.body).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().any(|body| matches!(
        body,
        ChangeBody::StageChanged { from: Some(Stage::Purchase), to: Some(Stage::Prospect), .. }
    )));
    let buyers = name("buyers");
    assert!(told.iter().any(|body| matches!(body, ChangeBody::SegmentLeft { segment, .. } if *segment == buyers)));
}

fn marketing() -> Purpose {
    Purpose::new("marketing").unwrap()
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

fn unsubscribes(crm: &Crm, customer: CustomerId) {
    let link = crm.unsubscribe_token(customer, marketing(), Channel::Email);
    crm.withdraw_by_token(link.as_str()).unwrap();
}

fn may(crm: &Crm, customer: CustomerId, address: &str) -> Result<(), Barred> {
    let query = ContactQuery::new(marketing(), Channel::Email, crm.now());
    crm.may_contact(customer, &query, Some(&email(address))).unwrap().map(|_| ())
}

#[test]
fn a_yes_that_covered_a_no_goes_on_covering_it_when_somebody_else_is_merged_in() {
    let withdrawn = Err(Barred::NoConsent { status: ConsentStatus::Withdrawn });
    for third_said_no in [false, true] {
        let (clock, crm) = shop();
        let later = || clock.set(crm.now().plus(Span::days(1)));
        let [a, b, c] = [1, 2, 3].map(|n| came(&crm, &who(n), &n.to_string()));
        unsubscribes(&crm, a);
        if third_said_no {
            unsubscribes(&crm, c);
        }
        later();
        crm.merge(a, b, why()).unwrap();
        later();
        assert_eq!(may(&crm, a, "b"), withdrawn);
        consents(&crm, b, &email("b"));
        assert_eq!(may(&crm, a, "b"), Ok(()));
        later();
        crm.merge(c, b, why()).unwrap();
        assert_eq!(may(&crm, a, "b"), if third_said_no { withdrawn.clone() } else { Ok(()) });
        later();
        consents(&crm, a, &email("a"));
        assert_eq!(may(&crm, c, "a"), Ok(()), "said of the one person they all are");
        // Each side has its own words back; the yes of one who was parted covers the other no more.
        later();
        crm.part(c, a, why()).unwrap();
        assert_eq!(may(&crm, a, "a"), Ok(()));
        let silent = Err(Barred::NoConsent { status: ConsentStatus::Unknown });
        assert_eq!(may(&crm, c, "a"), if third_said_no { withdrawn.clone() } else { silent });
    }
}

#[test]
fn an_identifier_that_was_told_by_mistake_leads_to_nobody_once_that_is_said() {
    for batch in [false, true] {
        for order in [["known", "void"], ["void", "known"]] {
            let (_, crm) = shop();
            let ana = came(&crm, &who(1), "1");
            let address = email("mistake");
            let told =
                Incoming::new(ana, hour(0), source(), crm.identified(&address)).with_key("told".parse().unwrap());
            let event = crm::EventId::of_fact(crm.as_async().tenant_id(), &source(), "told");
            let void = Incoming::new(ana, hour(0), source(), Voided { event, reason: None });
            let facts: Vec<Incoming> =
                order.iter().map(|fact| if *fact == "known" { told.clone() } else { void.clone() }).collect();
            if batch {
                assert_eq!(crm.ingest(facts.clone(), Ingestion::live()).unwrap().recorded, 2);
            } else {
                facts.iter().for_each(|fact| assert!(!crm.record(fact.clone()).unwrap().known));
            }
            assert_eq!(found(&crm, &address), None, "{order:?}, in a batch: {batch}");
            assert!(facts.into_iter().all(|fact| crm.record(fact).unwrap().known));
            let ben = crm.record(visit(&address, 0, "2")).unwrap().customer;
            assert_ne!(ben, ana);
            assert_eq!(crm.customer(ana).unwrap().unwrap().identifiers().count(), 1);
        }
    }
}

#[test]
fn an_identifier_that_was_told_twice_goes_on_leading_to_its_customer_when_one_was_a_mistake() {
    let (_, crm) = shop();
    let (ana, ben) = (came(&crm, &who(1), "1"), came(&crm, &who(2), "2"));
    crm.merge(ana, ben, why()).unwrap();
    let told = [ana, ben].map(|id| is_known_by(&crm, id, &email("both")).event);
    for (event, left) in told.into_iter().zip([true, false]) {
        let void = Voided { event, reason: None };
        crm.record(Incoming::new(ben, crm.now(), source(), void)).unwrap();
        assert_eq!(found(&crm, &email("both")).is_some(), left);
    }
    // The first one they came with is no such word.
    assert_eq!(found(&crm, &who(1)), found(&crm, &who(2)));
}

#[test]
fn no_rule_makes_one_person_again_of_those_whom_somebody_parted() {
    let (clock, crm) = shop();
    let both = || [email("family").verified(), Identifier::device("tablet").unwrap().into()];
    let mother = crm.record(visit([email("family").verified()], 0, "1")).unwrap().customer;
    let daughter = crm.record(visit([Identifier::device("tablet").unwrap().into()], 0, "2")).unwrap().customer;
    assert_eq!(crm.record(visit(both(), 0, "3")).unwrap().customer, mother);
    assert_eq!(found(&crm, &Identifier::device("tablet").unwrap()), Some(mother));
    clock.set(hour(1));
    crm.part(daughter, mother, why()).unwrap();
    for n in 4..7 {
        assert_eq!(crm.record(visit(both(), 1, &n.to_string())).unwrap().customer, mother);
        assert_eq!(found(&crm, &Identifier::device("tablet").unwrap()), Some(daughter));
    }
    assert!(crm.customer(daughter).unwrap().unwrap().doubt(mother).unwrap().rejected);
    let aside: Vec<_> = crm.customer(mother).unwrap().unwrap().set_aside().map(|(key, _)| key.kind).collect();
    assert_eq!(aside, [crm::IdentifierKind::Device]);
    // An address of the one that is proved by the other makes them one no more either, nor takes it away.
    let proof = crm.identified(&email("family"));
    let told = crm.record(Incoming::new(daughter, crm.now(), source(), proof));
    assert!(
        matches!(told, Err(Error::Fact(FactRefusal::IdentifierTaken { customer })) if customer == mother),
        "{told:?}"
    );
    // Somebody may say that they are one after all.
    assert!(!crm.merge(daughter, mother, why()).unwrap().known);
    assert_eq!(crm.record(visit(both(), 1, "9")).unwrap().customer, mother);
    assert_eq!(found(&crm, &Identifier::device("tablet").unwrap()), Some(mother));
}

#[test]
fn what_one_voided_leads_to_nobody_while_they_are_merged_with_whom_it_was_told_of() {
    let (clock, crm) = shop();
    let (ana, ben) = (came(&crm, &who(1), "1"), came(&crm, &who(2), "2"));
    let told = is_known_by(&crm, ana, &email("one"));
    // Told of somebody else: it is about nothing of theirs.
    crm.record(Incoming::new(ben, crm.now(), source(), Voided { event: told.event, reason: None })).unwrap();
    assert_eq!(found(&crm, &email("one")), Some(ana));
    crm.merge(ana, ben, why()).unwrap();
    assert_eq!(found(&crm, &email("one")), None);
    clock.set(hour(1));
    crm.part(ana, ben, why()).unwrap();
    assert_eq!(found(&crm, &email("one")), Some(ana));
}

/// What a host may do with a few people and a few addresses.
#[derive(Debug, Clone)]
enum Step {
    /// Somebody is known by an address, or was, or will be.
    Known(u8, u8, i64),
    /// One of those was wrong, whether or not it was told yet; or it is said of it from so many hours on.
    Void(u8, u8, i64),
    /// Somebody comes with addresses.
    Comes(Vec<u8>, i64),
    Merge(u8, u8),
    Part(u8, u8),
    Erase(u8),
    /// Somebody is known by one address instead of another.
    Correct(u8, u8, u8),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let one = || 0..4_u8;
    prop_oneof![
        5 => (one(), one(), 0..20_i64).prop_map(|(who, address, at)| Step::Known(who, address, at)),
        3 => (one(), 0..20_u8, prop_oneof![3 => Just(0), 1 => 1..9_i64]).prop_map(|(who, n, ahead)| Step::Void(who, n, ahead)),
        3 => (proptest::collection::vec(one(), 1..3), 0..20_i64).prop_map(|(with, at)| Step::Comes(with, at)),
        4 => (one(), one()).prop_map(|(one, other)| Step::Merge(one, other)),
        4 => (one(), one()).prop_map(|(one, other)| Step::Part(one, other)),
        1 => one().prop_map(Step::Erase),
        1 => (one(), one(), one()).prop_map(|(who, wrong, right)| Step::Correct(who, wrong, right)),
        1 => (1..9_i64).prop_map(Step::Wait),
    ]
}

fn address(n: u8) -> Identifier {
    // Of one kind people may have several, of the other a second one speaks against its being one person.
    let system = || ExternalSystem::new("erp").unwrap();
    if n < 2 { email(&n.to_string()) } else { Identifier::external(&system(), &n.to_string()).unwrap() }
}

/// Whoever is known by an address is found by it or shares it with whoever is, whoever is found by it is known by it
/// or will be, and the stored state is the fold of the stored events.
fn check(crm: &Crm) {
    let key = |n: u8| crm.identified(&address(n)).identifier;
    let definitions = crm.definitions().unwrap();
    let mut all = Vec::new();
    crm.for_each_customer(|customer| all.push(customer.clone())).unwrap();
    for customer in &all {
        let mut events = crm.story(customer.id()).unwrap().unwrap().events;
        events.sort_by_key(|event| event.customer);
        let told = events.iter().map(|event| (event.customer, event.id, event.at, &event.body));
        let again = crm::Customer::replay(customer.id(), told, customer.clock().unwrap(), &definitions);
        assert_eq!((again.facts(), again.digest()), (customer.facts(), customer.digest()));
        if customer.is_erased() {
            assert_eq!((customer.identifiers().count(), customer.ties().count()), (0, 0));
        }
    }
    for n in 0..4 {
        let known: Vec<_> =
            all.iter().filter(|one| one.identifiers().any(|own| *own == key(n))).map(|one| one.id()).collect();
        match crm.customer(address(n)).unwrap() {
            None => assert!(known.is_empty(), "{n}: {known:?}"),
            Some(found) => {
                assert!(!found.is_erased());
                let waits = found.waiting().next().is_some();
                assert!(known.contains(&found.id()) || (waits && known.is_empty()), "{} by {n}: {known:?}", found.id());
            }
        }
    }
}

/// Takes the steps one after the other and looks at everybody after each.
fn walk(steps: &[Step]) {
    let (clock, crm) = shop();
    let ids: Vec<_> = (0..4).map(|n| came(&crm, &who(n), &format!("first-{n}"))).collect();
    let id = |n: &u8| ids[usize::from(*n)];
    let mut now = 5;
    clock.set(hour(now));
    for (n, step) in steps.iter().enumerate() {
        match step {
            Step::Known(who, n_address, at) => {
                let told = crm.identified(&address(*n_address));
                let told = Incoming::new(id(who), hour(*at), source(), told).with_key(n.to_string().parse().unwrap());
                match crm.record(told) {
                    Ok(_) => {}
                    Err(Error::Fact(FactRefusal::IdentifierTaken { customer })) => {
                        assert!(!crm.customer(id(who)).unwrap().unwrap().is(customer), "taken by themself");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            Step::Void(who, fact, ahead) => {
                let event = crm::EventId::of_fact(crm.as_async().tenant_id(), &source(), &fact.to_string());
                let void = Incoming::new(id(who), hour(now + ahead), source(), Voided { event, reason: None });
                crm.record(void.with_key(format!("void-{n}").parse().unwrap())).unwrap();
            }
            Step::Comes(with, at) => {
                let with: Vec<_> = with.iter().map(|n| address(*n).verified()).collect();
                crm.record(visit(with, *at, &format!("comes-{n}"))).unwrap();
            }
            Step::Merge(one, other) => match crm.merge(id(one), id(other), why()) {
                Ok(_) | Err(Error::Merge(MergeRefusal::Erased { .. })) => {}
                Err(error) => panic!("{error}"),
            },
            Step::Part(one, other) => match crm.part(id(one), id(other), why()) {
                Ok(_) | Err(Error::Merge(MergeRefusal::NotMerged { .. })) => {}
                Err(error) => panic!("{error}"),
            },
            Step::Erase(one) => drop(crm.erase(id(one)).unwrap()),
            Step::Correct(one, wrong, right) => {
                let right = address(*right).verified();
                match crm.rectify_identifier(id(one), &address(*wrong), &right, crm::AuditActor::Rule) {
                    Ok(()) | Err(Error::Rectify(_) | Error::Personal(crm::PersonalError::Erased { .. })) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Step::Wait(hours) => {
                now += hours;
                clock.set(hour(now));
                crm.advance(hour(now)).unwrap();
            }
        }
        check(&crm);
    }
}

#[test]
fn what_one_will_be_known_by_leads_to_them_though_somebody_voided_it_with_whom_they_were_one() {
    walk(&[Step::Void(0, 2, 0), Step::Merge(0, 1), Step::Known(1, 0, 6), Step::Part(0, 1), Step::Wait(1)]);
}

#[test]
fn what_one_will_be_known_by_leads_to_them_once_the_other_is_known_by_it_no_more() {
    let [one, other] = [Step::Known(1, 0, 0), Step::Known(0, 0, 6)];
    walk(&[Step::Merge(0, 1), one, other, Step::Void(1, 1, 0), Step::Part(0, 1), Step::Wait(1)]);
}

#[test]
fn what_one_will_be_known_by_leads_to_nobody_once_they_are_one_with_somebody_who_voided_it() {
    walk(&[Step::Known(1, 0, 6), Step::Void(0, 0, 0), Step::Merge(0, 1), Step::Wait(1)]);
}

#[test]
fn an_identifier_that_two_share_leads_to_the_other_once_one_is_known_by_it_no_more() {
    let told_both = |at| [Step::Merge(0, 1), Step::Known(0, 0, 0), Step::Known(1, 0, at), Step::Part(0, 1)];
    for end in
        [[Step::Void(0, 1, 0), Step::Wait(1)], [Step::Void(0, 1, 1), Step::Wait(1)], [Step::Erase(0), Step::Wait(1)]]
    {
        for at in [0, 6] {
            walk(&[&told_both(at)[..], &end].concat());
        }
    }
}

#[test]
fn an_identifier_that_two_will_share_leads_to_whoever_is_known_by_it_first() {
    let [one, other] = [Step::Known(1, 0, 14), Step::Known(0, 0, 7)];
    walk(&[one, Step::Merge(0, 1), other, Step::Part(0, 1), Step::Wait(2), Step::Wait(8)]);
    let told = [0, 20].map(|at| Step::Known(0, 0, at));
    let end = [Step::Known(1, 0, 0), Step::Part(0, 1), Step::Void(0, 1, 0), Step::Wait(15)];
    walk(&[&[Step::Merge(0, 1)][..], &told, &end].concat());
}

#[test]
fn an_identifier_leads_rather_to_one_who_was_parted_and_is_known_by_it_than_to_another_who_will_be() {
    let (one, other) = (Step::Known(2, 0, 0), Step::Known(3, 0, 6));
    for (n, told) in [(2, [one.clone(), other.clone()]), (3, [other, one])] {
        let wrong = [Step::Void(1, n, 0), Step::Merge(1, 2)];
        walk(&[&wrong[..], &told, &[Step::Part(2, 1), Step::Wait(1)]].concat());
    }
}

#[test]
fn an_identifier_leads_to_nobody_from_when_it_is_said_that_it_was_a_mistake() {
    for (at, others) in [(0, 0), (6, 0), (6, 1)] {
        let (clock, crm) = shop();
        let told = Incoming::new(who(1), hour(at), source(), crm.identified(&email("one")));
        let told = crm.record(told.with_key("told".parse().unwrap())).unwrap();
        for _ in 0..others {
            came(&crm, &who(1), "visit");
        }
        let void = Voided { event: told.event, reason: None };
        crm.record(Incoming::new(who(1), hour(7), source(), void)).unwrap();
        for (now, leads) in [(6, true), (7, false)] {
            clock.set(hour(now));
            crm.advance(hour(now)).unwrap();
            assert_eq!(found(&crm, &email("one")).is_some(), leads, "told at {at}, at {now}");
        }
        assert_ne!(came(&crm, &email("one"), "2"), told.customer);
    }
}

#[test]
fn somebody_new_who_is_to_be_known_by_something_is_not_once_that_was_a_mistake() {
    let (_, crm) = shop();
    let told = crm.record(Incoming::new(who(1), hour(6), source(), crm.identified(&email("one")))).unwrap();
    crm.record(Incoming::new(who(1), hour(0), source(), Voided { event: told.event, reason: None })).unwrap();
    assert_eq!(found(&crm, &email("one")), None);
}

#[test]
fn an_identifier_that_somebody_is_to_be_known_by_is_not_taken_when_it_is_told_of_them_again() {
    let (clock, crm) = shop();
    let (ana, ben) = (came(&crm, &who(1), "1"), came(&crm, &who(2), "2"));
    let tell = |customer, at| crm.record(Incoming::new(customer, hour(at), source(), crm.identified(&email("one"))));
    tell(ana, 6).unwrap();
    tell(ana, 7).unwrap();
    assert!(matches!(tell(ben, 0), Err(Error::Fact(FactRefusal::IdentifierTaken { customer })) if customer == ana));
    crm.merge(ana, ben, why()).unwrap();
    tell(ben, 0).unwrap();
    assert_eq!(crm.customer(email("one")).unwrap().unwrap().identifiers().count(), 3);
    // Of the two it leads to the one who is known by it now.
    crm.part(ana, ben, why()).unwrap();
    assert_eq!(found(&crm, &email("one")), Some(ben));
    clock.set(hour(7));
    crm.advance(hour(7)).unwrap();
    assert_eq!(found(&crm, &email("one")), Some(ben));
}

/// Somebody is known by an address, is one for a while with whoever voided that, and another has come to it meanwhile.
fn come_to_meanwhile(third: u8) -> Vec<Step> {
    vec![Step::Known(0, 0, 0), Step::Void(1, 0, 0), Step::Merge(0, 1), Step::Known(third, 0, 0), Step::Part(0, 1)]
}

#[test]
fn an_identifier_leads_back_to_whoever_was_parted_once_a_third_who_came_to_it_is_known_by_it_no_more() {
    for end in [
        vec![Step::Void(2, 3, 0)],
        vec![Step::Void(2, 3, 2), Step::Wait(3)],
        vec![Step::Erase(2)],
        vec![Step::Correct(2, 0, 1)],
        // The third is one with others by then, or apart again, or voided it for whoever they are one with.
        vec![Step::Merge(2, 3), Step::Void(3, 3, 0), Step::Part(2, 3)],
        vec![Step::Merge(2, 3), Step::Known(3, 0, 0), Step::Part(2, 3), Step::Void(2, 3, 0), Step::Void(3, 6, 0)],
        vec![Step::Merge(2, 3), Step::Known(3, 0, 0), Step::Part(2, 3), Step::Erase(2), Step::Void(3, 6, 0)],
        vec![Step::Void(3, 3, 0), Step::Merge(2, 3)],
        // The one who was parted is one with another one by then.
        vec![Step::Merge(0, 3), Step::Void(2, 3, 0), Step::Part(0, 3)],
        vec![Step::Merge(0, 3), Step::Known(3, 0, 0), Step::Part(0, 3), Step::Void(0, 0, 0), Step::Void(2, 3, 0)],
        vec![Step::Merge(0, 2), Step::Part(0, 2), Step::Void(2, 3, 0)],
    ] {
        walk(&[&come_to_meanwhile(2)[..], &end].concat());
    }
    let (clock, crm) = shop();
    let [ana, ben, cem] = [1, 2, 3].map(|n| came(&crm, &who(n), &n.to_string()));
    let void = |by, event| crm.record(Incoming::new(by, crm.now(), source(), Voided { event, reason: None })).unwrap();
    void(ben, is_known_by(&crm, ana, &email("one")).event);
    crm.merge(ana, ben, why()).unwrap();
    clock.set(hour(1));
    let theirs = is_known_by(&crm, cem, &email("one"));
    crm.part(ana, ben, why()).unwrap();
    assert_eq!(found(&crm, &email("one")), Some(cem));
    void(cem, theirs.event);
    assert_eq!(found(&crm, &email("one")), Some(ana));
}

#[test]
fn whoever_shares_an_identifier_still_does_after_an_import() {
    let (clock, crm) = shop();
    let [ana, ben, cem] = [1, 2, 3].map(|n| came(&crm, &who(n), &n.to_string()));
    let void = |crm: &Crm, by, event| {
        crm.record(Incoming::new(by, crm.now(), source(), Voided { event, reason: None })).unwrap();
    };
    void(&crm, ben, is_known_by(&crm, ana, &email("one")).event);
    crm.merge(ana, ben, why()).unwrap();
    clock.set(hour(1));
    let theirs = is_known_by(&crm, cem, &email("one"));
    crm.part(ana, ben, why()).unwrap();
    let elsewhere = shop().1;
    for id in [cem, ana] {
        let export = crm.export(id).unwrap().unwrap();
        let imported = elsewhere.import(&export).unwrap();
        assert_eq!(imported.listed, u64::from(id == ana));
    }
    assert_eq!(found(&elsewhere, &email("one")), Some(cem));
    void(&elsewhere, cem, theirs.event);
    assert_eq!(found(&elsewhere, &email("one")), Some(ana));
}

#[test]
fn what_waits_leads_to_its_customer_when_it_comes_though_it_was_corrected_before() {
    for taken in [false, true] {
        let mut steps = vec![Step::Known(0, 0, 0), Step::Known(0, 0, 9), Step::Correct(0, 0, 1)];
        steps.extend(taken.then_some(Step::Known(1, 0, 0)));
        steps.extend([Step::Wait(5), Step::Void(1, 3, 0)]);
        walk(&steps);
    }
}

#[test]
fn however_many_share_an_identifier_it_leads_to_one_after_the_other() {
    const MANY: u8 = 70;
    let (_, crm) = shop();
    let ids: Vec<CustomerId> = (0..MANY).map(|n| came(&crm, &who(n), &format!("came {n}"))).collect();
    for pair in ids.windows(2) {
        // The first one is known by it: while they are one, it is told of the other too.
        is_known_by(&crm, pair[0], &email("all"));
        crm.merge(pair[0], pair[1], why()).unwrap();
        is_known_by(&crm, pair[1], &email("all"));
        crm.part(pair[0], pair[1], why()).unwrap();
    }
    // Some go from among the others, and then whoever it leads to, until there is nobody.
    for n in (10..60).step_by(3) {
        crm.erase(ids[n]).unwrap();
    }
    let mut left: std::collections::BTreeSet<CustomerId> =
        ids.iter().enumerate().filter(|(n, _)| !(10..60).contains(n) || n % 3 != 1).map(|(_, id)| *id).collect();
    while let Some(leads) = found(&crm, &email("all")) {
        assert!(left.remove(&leads));
        crm.erase(leads).unwrap();
    }
    assert!(left.is_empty(), "{} are not found", left.len());
}

/// As many as are asked for, or else few.
fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    asked.unwrap_or(if std::env::var_os("CRM_SOAK").is_some() { 600 } else { 60 })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn whoever_is_known_by_something_is_found_by_it(steps in proptest::collection::vec(step(), 1..40)) {
        walk(&steps);
    }
}

#[test]
fn what_waits_to_be_sent_to_one_of_two_goes_with_them_when_they_are_parted_and_erased() {
    for through_head in [true, false] {
        let (clock, crm) = shop();
        let (ana, ben) = (came(&crm, &who(1), "1"), came(&crm, &who(2), "2"));
        let head = crm.merge(ana, ben, why()).unwrap().customer;
        let other = if head == ana { ben } else { ana };
        let (told, rest) = if through_head { (head, other) } else { (other, head) };
        let to = "somebody@example.com";
        let fields = [("to".parse().unwrap(), crm::FieldValue::Text(to.into()))].into();
        crm.execute(told, crm::Command::Notify { topic: "mail".parse().unwrap(), fields }, "tell").unwrap();
        crm.part(ana, ben, why()).unwrap();
        let has = |customer| crm.export(customer).unwrap().unwrap().to_string().contains(to);
        assert_eq!((has(told), has(rest)), (true, false));
        crm.erase(told).unwrap();
        assert!(!has(rest));
        clock.set(hour(1));
        let mut sent = 0;
        crm.deliver(hour(1), |_| {
            sent += 1;
            crm::Delivered::Done
        })
        .unwrap();
        assert_eq!(sent, 0, "what was to be sent to somebody who is erased is not sent");
    }
}
