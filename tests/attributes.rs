//! Attributes that the shop declares for its rules: told as facts, asked by rules, gone with an erasure.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use crm::blocking::Crm;
use crm::{
    AttributeSet, CustomerId, DeclaredError, DeclaredKind, DeclaredName, DeclaredText, DeclaredValue, Definition,
    DefinitionError, DerivedIds, Error, EventId, ExternalSystem, FactRefusal, Identifier, Incoming, ManualClock,
    SegmentName, Source, Timestamp, Voided,
};

fn hour(hour: i64) -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000 + hour * 3_600_000).unwrap()
}

fn source() -> Source {
    Source::new("shop").unwrap()
}

fn who(name: &str) -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), name).unwrap()
}

fn called(name: &str) -> DeclaredName {
    DeclaredName::new(name).unwrap()
}

fn text(text: &str) -> DeclaredText {
    DeclaredText::new(text).unwrap()
}

fn segment(name: &str) -> SegmentName {
    SegmentName::new(name).unwrap()
}

fn shop() -> Crm {
    let crm = crm::Crm::builder().clock(ManualClock::at(hour(100))).ids(DerivedIds).build();
    let crm = Crm::from(crm);
    let stores = DeclaredKind::OneOf([text("Basel"), text("Bern")].into());
    crm.define(hour(0), Definition::Attribute(called("store"), Some(stores))).unwrap();
    crm.define(hour(0), Definition::Attribute(called("shoe_size"), Some(DeclaredKind::Whole))).unwrap();
    let rule = crm.rule(r#"attribute("store") == "Basel" && attribute("shoe_size") >= 42"#).unwrap();
    crm.define(hour(0), Definition::Segment(segment("big-in-basel"), Some(rule))).unwrap();
    crm
}

fn tell(crm: &Crm, of: &str, at: i64, key: &str, set: AttributeSet) -> (CustomerId, EventId) {
    let incoming = Incoming::new(who(of), hour(at), source(), set).with_key(key.parse().unwrap());
    let recorded = crm.record(incoming).unwrap();
    (recorded.customer, recorded.event)
}

fn size(number: i64) -> AttributeSet {
    AttributeSet::new(called("shoe_size"), DeclaredValue::Whole(number))
}

fn store(name: &str) -> AttributeSet {
    AttributeSet::new(called("store"), DeclaredValue::Text(text(name)))
}

fn is_in(crm: &Crm, id: CustomerId) -> bool {
    crm.customer(id).unwrap().unwrap().standing().is_in(&segment("big-in-basel"))
}

#[test]
fn the_last_word_counts_whenever_it_comes() {
    let crm = shop();
    let (ana, _) = tell(&crm, "ana", 10, "1", store("Basel"));
    assert!(!is_in(&crm, ana));
    tell(&crm, "ana", 20, "2", size(43));
    assert!(is_in(&crm, ana), "at once");
    tell(&crm, "ana", 15, "3", size(38));
    assert!(is_in(&crm, ana), "an older word that comes late does not count");
    let (_, moved) = tell(&crm, "ana", 25, "4", store("Bern"));
    assert!(!is_in(&crm, ana));
    let void = Voided { event: moved, reason: None };
    crm.record(Incoming::new(who("ana"), hour(30), source(), void)).unwrap();
    assert!(is_in(&crm, ana), "what was wrong is as if it had not been said");
    tell(&crm, "ana", 40, "5", AttributeSet::unset(called("shoe_size")));
    assert!(!is_in(&crm, ana));
    let missing = crm.rule(r#"!known(attribute("shoe_size"))"#).unwrap();
    assert_eq!(crm.count(&missing).unwrap(), 1);
    let why = crm.explain(who("ana"), &segment("big-in-basel")).unwrap().unwrap();
    assert_eq!((why.holds, why.parts[0].holds, why.parts[1].holds), (None, Some(true), None));
}

#[test]
fn what_was_not_declared_is_refused() {
    let crm = shop();
    let (ana, _) = tell(&crm, "ana", 10, "1", size(40));
    let refused = |at: i64, set: AttributeSet| match crm.record(Incoming::new(ana, hour(at), source(), set)) {
        Err(Error::Fact(FactRefusal::Attribute(refusal))) => refusal,
        other => panic!("{other:?}"),
    };
    let unknown = AttributeSet::new(called("hat"), DeclaredValue::Whole(3));
    assert_eq!(refused(11, unknown), DeclaredError::Undeclared { attribute: called("hat") });
    let wrong = AttributeSet::new(called("shoe_size"), DeclaredValue::Flag(true));
    assert!(matches!(refused(11, wrong), DeclaredError::WrongType { expected: "a whole number", .. }));
    assert!(matches!(refused(11, store("Genf")), DeclaredError::NotListed { choices: 2, .. }));
    assert!(matches!(refused(-1, size(40)), DeclaredError::Undeclared { .. }), "not yet");
    crm.define(hour(50), Definition::Attribute(called("shoe_size"), None)).unwrap();
    assert!(matches!(refused(60, size(41)), DeclaredError::Undeclared { .. }), "no longer");
    let asked = crm.rule(r#"attribute("shoe_size") == 40"#).unwrap_err();
    assert!(asked.to_string().contains(r#"there is no attribute "shoe_size""#), "{asked}");
    tell(&crm, "ana", 70, "2", AttributeSet::unset(called("shoe_size")));
    assert_eq!(crm.customer(ana).unwrap().unwrap().facts().declared(&called("shoe_size")), None);
}

#[test]
fn an_attribute_keeps_its_type_and_a_shop_has_so_many() {
    let crm = shop();
    let other = crm.define(hour(60), Definition::Attribute(called("shoe_size"), Some(DeclaredKind::Text)));
    let Err(Error::Definition(DefinitionError::Declaration(other))) = other else { panic!("{other:?}") };
    assert_eq!(other.to_string(), "attribute shoe_size is a whole number, and cannot become a text");
    crm.define(hour(60), Definition::Attribute(called("store"), Some(DeclaredKind::Text))).unwrap();
    for n in 0..DeclaredKind::ATTRIBUTES_MAX - 2 {
        crm.define(hour(0), Definition::Attribute(called(&format!("a{n}")), Some(DeclaredKind::Flag))).unwrap();
    }
    let one_more = crm.define(hour(0), Definition::Attribute(called("b"), Some(DeclaredKind::Flag)));
    assert!(matches!(one_more, Err(Error::Definition(DefinitionError::Declaration(_)))), "{one_more:?}");
    crm.define(hour(70), Definition::Attribute(called("a1"), None)).unwrap();
}

#[test]
fn merged_customers_have_the_last_word_of_both_and_parted_each_their_own() {
    let crm = shop();
    let (ana, _) = tell(&crm, "ana", 10, "1", store("Basel"));
    let (ben, _) = tell(&crm, "ben", 20, "2", size(45));
    tell(&crm, "ana", 15, "3", size(38));
    let head = crm.merge(ana, ben, "one person".parse().unwrap()).unwrap().customer;
    assert!(is_in(&crm, head));
    crm.part(ana, ben, "two after all".parse().unwrap()).unwrap();
    let size = |id| crm.customer(id).unwrap().unwrap().facts().declared(&called("shoe_size")).cloned();
    assert_eq!((size(ana), size(ben)), (Some(DeclaredValue::Whole(38)), Some(DeclaredValue::Whole(45))));
    assert!(!is_in(&crm, ana) && !is_in(&crm, ben));
}

#[test]
fn an_export_has_them_and_an_erasure_takes_them() {
    let crm = shop();
    let (ana, _) = tell(&crm, "ana", 10, "1", store("Basel"));
    tell(&crm, "ana", 11, "2", size(44));
    let export = crm.export(ana).unwrap().unwrap();
    let again = shop();
    assert_eq!(again.import(&export).unwrap().customer, ana);
    assert!(is_in(&again, ana));
    assert_eq!(again.customer(ana).unwrap().unwrap().digest(), crm.customer(ana).unwrap().unwrap().digest());
    crm.erase(ana).unwrap();
    assert!(!is_in(&crm, ana));
    assert_eq!(crm.customer(ana).unwrap().unwrap().facts().all_declared().count(), 0);
    crm.record(Incoming::new(ana, hour(90), source(), size(44))).unwrap();
    assert_eq!(crm.customer(ana).unwrap().unwrap().facts().all_declared().count(), 0, "nor does any come to stay");
}
