//! Cases and messages: what opens and closes, whatever comes when; whose a number is; and what rules ask of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use crm::blocking::Crm;
use crm::{
    CaseClosed, CaseKind, CaseOpened, CaseOutcome, CaseRef, CaseReopened, Channel, Contacted, CustomerId, Definition,
    DerivedIds, Error, EventId, ExternalSystem, Fact, FactRefusal, Identifier, Incoming, Ingestion, ManualClock,
    MessageReceived, Purpose, SegmentName, Source, Span, Timestamp, Voided, Who,
};

fn day(day: i64) -> Timestamp {
    Timestamp::parse("2026-01-01").unwrap().plus(Span::days(u32::try_from(day).unwrap()))
}

fn source() -> Source {
    Source::new("desk").unwrap()
}

fn who(name: &str) -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), name).unwrap()
}

fn case(name: &str) -> CaseRef {
    CaseRef::new(name).unwrap()
}

fn opened(name: &str) -> CaseOpened {
    CaseOpened { case: case(name), kind: CaseKind::Complaint, topic: None }
}

fn closed(name: &str) -> CaseClosed {
    CaseClosed { case: case(name), outcome: CaseOutcome::Resolved }
}

fn shop() -> Crm {
    let crm = crm::Crm::builder().clock(ManualClock::at(day(300))).ids(DerivedIds).build();
    let crm = Crm::from(crm);
    let rule = crm.rule(r#"cases.of_kind("complaint").open() > 0"#).unwrap();
    crm.define(day(0), Definition::Segment(SegmentName::new("waiting").unwrap(), Some(rule))).unwrap();
    crm
}

fn tell(
    crm: &Crm,
    of: impl Into<Who>,
    at: i64,
    key: &str,
    fact: impl Into<Fact>,
) -> Result<(CustomerId, EventId), Error> {
    let incoming = Incoming::new(of, day(at), source(), fact).with_key(key.parse().unwrap());
    crm.record(incoming).map(|recorded| (recorded.customer, recorded.event))
}

fn waits(crm: &Crm, id: CustomerId) -> bool {
    let customer = crm.customer(id).unwrap().unwrap();
    let is_in = customer.standing().is_in(&SegmentName::new("waiting").unwrap());
    assert_eq!(is_in, customer.facts().cases().open().next().is_some());
    is_in
}

#[test]
fn a_case_is_open_until_it_is_closed_in_whatever_order_that_is_told() {
    let crm = shop();
    let (ana, _) = tell(&crm, who("ana"), 10, "1", closed("C-1")).unwrap();
    assert!(!waits(&crm, ana));
    tell(&crm, who("ana"), 5, "2", opened("C-1")).unwrap();
    assert!(!waits(&crm, ana), "it was closed since");
    let again = CaseReopened { case: case("C-1"), reason: None };
    let (_, reopened) = tell(&crm, who("ana"), 20, "3", again).unwrap();
    assert!(waits(&crm, ana));
    crm.record(Incoming::new(ana, day(21), source(), Voided { event: reopened, reason: None })).unwrap();
    assert!(!waits(&crm, ana));
    tell(&crm, who("ana"), 2, "4", closed("C-2")).unwrap();
    tell(&crm, who("ana"), 3, "5", opened("C-2")).unwrap();
    assert!(waits(&crm, ana), "what closed it before it was opened closed nothing");
    assert_eq!(crm.count(&crm.rule(r#"cases >= 2 && days_since(cases.open().first()) == 297"#).unwrap()).unwrap(), 1);
}

#[test]
fn a_number_is_of_one_case_and_leads_to_whose_it_is() {
    let crm = shop();
    let (ana, first) = tell(&crm, who("ana"), 1, "1", opened("C-1")).unwrap();
    assert_eq!(tell(&crm, who("ana"), 1, "1", opened("C-1")).unwrap(), (ana, first), "the same again");
    for (of, at) in [("ana", 2), ("ben", 2), ("ben", 0)] {
        let Err(Error::Fact(FactRefusal::CaseTaken { case: taken, customer, event })) =
            tell(&crm, who(of), at, "2", opened("C-1"))
        else {
            panic!("{of} at {at}")
        };
        assert_eq!((taken, customer, event), (case("C-1"), ana, first));
    }
    assert_eq!(tell(&crm, case("C-1"), 3, "3", closed("C-1")).unwrap().0, ana);
    assert!(!waits(&crm, ana));
    let nobody = tell(&crm, case("C-9"), 3, "4", closed("C-9"));
    assert!(matches!(nobody, Err(Error::Fact(FactRefusal::NoCase { .. }))), "{nobody:?}");
    // Told wrong, voided, and told right under another key.
    crm.record(Incoming::new(ana, day(4), source(), Voided { event: first, reason: None })).unwrap();
    let right = CaseOpened { kind: CaseKind::Return, ..opened("C-1") };
    assert_eq!(tell(&crm, who("ana"), 5, "5", right).unwrap().0, ana);
    assert_eq!(crm.count(&crm.rule(r#"cases.of_kind("return").open() == 1 && cases == 1"#).unwrap()).unwrap(), 1);
    assert!(matches!(tell(&crm, who("ana"), 6, "6", opened("C-1")), Err(Error::Fact(FactRefusal::CaseTaken { .. }))));
}

#[test]
fn a_file_of_cases_is_taken_in_at_once() {
    let crm = shop();
    let row =
        |of: Who, at, key: &str, fact: Fact| Incoming::new(of, day(at), source(), fact).with_key(key.parse().unwrap());
    let rows = [
        row(who("ana").into(), 1, "1", opened("C-1").into()),
        row(case("C-1").into(), 2, "2", closed("C-1").into()),
        row(who("ben").into(), 3, "3", opened("C-1").into()),
        row(who("ben").into(), 3, "4", opened("C-2").into()),
        row(who("ben").into(), 4, "5", opened("C-2").into()),
        row(case("C-7").into(), 4, "6", closed("C-7").into()),
    ];
    let report = crm.ingest(rows.clone(), Ingestion::history()).unwrap();
    assert_eq!((report.recorded, report.known), (3, 0));
    let again = crm.ingest(rows, Ingestion::history()).unwrap();
    assert_eq!((again.recorded, again.known), (0, 3));
    assert_eq!(crm.count(&crm.rule("cases.open() == 1").unwrap()).unwrap(), 1);
}

#[test]
fn merged_and_parted_exported_and_taken_in_cases_stay_whose_they_are() {
    let crm = shop();
    let (ana, _) = tell(&crm, who("ana"), 1, "1", opened("C-1")).unwrap();
    let (ben, _) = tell(&crm, who("ben"), 2, "2", opened("C-2")).unwrap();
    let head = crm.merge(ana, ben, "one person".parse().unwrap()).unwrap().customer;
    assert_eq!(crm.customer(head).unwrap().unwrap().facts().cases().open().count(), 2);
    tell(&crm, case("C-2"), 3, "3", closed("C-2")).unwrap();
    crm.part(ana, ben, "two after all".parse().unwrap()).unwrap();
    assert!(waits(&crm, ana) && !waits(&crm, ben));
    let export = crm.export(ana).unwrap().unwrap();
    let again = shop();
    again.import(&export).unwrap();
    assert!(waits(&again, ana));
    assert_eq!(tell(&again, case("C-1"), 9, "9", closed("C-1")).unwrap().0, ana, "the number came with it");
}

#[test]
fn messages_are_counted_either_way_and_by_channel() {
    let crm = shop();
    let sent = |channel| Contacted { purpose: Purpose::new("service").unwrap(), channel, scope: None };
    let received = |channel| MessageReceived { channel, subject: None };
    tell(&crm, who("ana"), 200, "1", sent(Channel::Email)).unwrap();
    tell(&crm, who("ana"), 210, "2", received(Channel::Sms)).unwrap();
    tell(&crm, who("ana"), 220, "3", sent(Channel::Sms)).unwrap();
    tell(&crm, who("ana"), 290, "4", received(Channel::Email)).unwrap();
    for (text, count) in [
        ("messages == 4 && messages.sent() == 2 && messages.received() == 2", 1),
        (r#"messages.of_channel("sms") == 2 && messages.sent().of_channel("sms") == 1"#, 1),
        (r#"messages.in_last("90d") == 2"#, 1),
        (r#"messages.in_last("30d") == 1 && messages.sent().in_last("30d") == 0"#, 1),
        ("days_since(messages.last()) == 10 && days_since(messages.sent().last()) == 80", 1),
        (r#"first_seen == messages.first() && !known(messages.of_channel("letter").last())"#, 1),
        ("enquiries > 0 || visits > 0", 0),
    ] {
        assert_eq!(crm.count(&crm.rule(text).unwrap()).unwrap(), count, "{text}");
    }
}
