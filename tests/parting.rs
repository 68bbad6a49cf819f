//! What each side has when somebody is parted: who is found by what, which facts were told already, what moved,
//! and whose word about consent counts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    Barred, ChangeBody, Channel, ConfirmProof, Confirmation, ConsentStatus, ContactQuery, Currency, CustomerId,
    Definition, Digest, Error, ExternalSystem, FactRefusal, Identifier, Incoming, Ingestion, Locale, ManualClock,
    Method, Money, OptIn, OrderPlaced, Predicate, Proof, Purpose, SegmentName, Source, Span, Stage, Timestamp, Visited,
    Voided, Wording,
};

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
        let later = crm.record(visit(&email("one"), 2, "later")).unwrap();
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
    crm.record(visit(&who(1), 0, "before")).unwrap();
    crm.merge(ana, ben, why()).unwrap();
    clock.set(hour(20));
    crm.record(visit(&who(1), 5, "after")).unwrap();
    crm.record(visit(&who(2), 30, "ahead")).unwrap();
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
    assert!(!crm.record(visit(&who(2), 7, "before")).unwrap().known);
}

#[test]
fn whoever_goes_on_under_another_id_moves_on_from_what_both_were() {
    let (clock, crm) = shop();
    let name = |name: &str| SegmentName::new(name).unwrap();
    for (segment, is_in) in [
        ("visitors", Predicate::Compare(crm::Attribute::Visits, crm::Comparison::Ge, 1)),
        ("buyers", Predicate::Compare(crm::Attribute::Orders, crm::Comparison::Ge, 1)),
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
    assert!(told.contains(&ChangeBody::SegmentLeft { segment: name("buyers") }));
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
