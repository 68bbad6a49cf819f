//! What an export holds, and that it can be taken in again: over each store.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

#[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "there is no file then"))]
use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    Attribute, AwardPoints, CardUpdate, Channel, ClaimCoupon, Clock, Command, Comparison, ContactPoint, CouponCode,
    Currency, CustomerId, Definition, Error, ExternalSystem, FieldName, FieldValue, Identifier, ImportError, Incoming,
    LookupKey, ManualClock, MemoryStore, Money, Name, OrderPlaced, OrderRef, Predicate, Program, ProgramId, Refunded,
    SearchQuery, SegmentName, Source, Span, Store, SuppressionReason, Tag, TenantId, Timestamp, Visited, Who,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn hour(hour: i64) -> Timestamp {
    Timestamp::from_millis(hour * 3_600_000).unwrap()
}

fn points() -> ProgramId {
    ProgramId::new("points").unwrap()
}

fn who(n: u8) -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), &n.to_string()).unwrap()
}

fn source() -> Source {
    Source::new("test").unwrap()
}

fn shop_on(store: Arc<dyn Store>) -> (Arc<ManualClock>, Crm) {
    let clock = Arc::new(ManualClock::at(hour(0)));
    let crm = crm::Crm::builder().shared_store(store).clock(Arc::clone(&clock)).ids(crm::DerivedIds).build();
    (clock, Crm::from(crm))
}

fn shop() -> (Arc<ManualClock>, Crm) {
    let (clock, crm) = shop_on(Arc::new(MemoryStore::new()));
    let program = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(3));
    crm.define(hour(0), Definition::Program(points(), Some(program))).unwrap();
    let bought = Predicate::compare(Attribute::Orders, Comparison::Ge, 1);
    crm.define(hour(0), Definition::Segment(SegmentName::new("buyers").unwrap(), Some(bought))).unwrap();
    (clock, crm)
}

/// An empty CRM, over a folder that is there as long as it is.
struct Empty {
    crm: Crm,
    _folder: Option<tempfile::TempDir>,
}

impl std::ops::Deref for Empty {
    type Target = Crm;

    fn deref(&self) -> &Crm {
        &self.crm
    }
}

/// Empty stores of each kind, with the definitions of another one.
fn empty(of: &Crm, at: Timestamp) -> Vec<Empty> {
    let mut stores: Vec<(Arc<dyn Store>, _)> = vec![(Arc::new(MemoryStore::new()), None)];
    #[cfg(feature = "sqlite")]
    {
        let folder = tempfile::tempdir().unwrap();
        stores.push((Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()), Some(folder)));
    }
    let definitions = of.export_definitions().unwrap();
    let shops = stores.into_iter().map(|(store, _folder)| {
        let (clock, crm) = shop_on(store);
        clock.set(at);
        assert_eq!(crm.import_definitions(&definitions).unwrap(), 2);
        assert_eq!(crm.import_definitions(&definitions).unwrap(), 0);
        Empty { crm, _folder }
    });
    shops.collect()
}

fn record(crm: &Crm, who: impl Into<Who> + Send, at: Timestamp, fact: impl Into<crm::Fact>) -> CustomerId {
    crm.record(Incoming::new(who, at, source(), fact)).unwrap().customer
}

/// An export without what is of another moment.
fn lasting(mut export: Value) -> Value {
    let object = export.as_object_mut().unwrap();
    for moment in ["exported_at", "alarm"] {
        object.remove(moment);
    }
    export
}

/// A customer of two, about whom there is something of everything.
fn everything() -> (Arc<ManualClock>, Crm, CustomerId) {
    let (clock, crm) = shop();
    let email = Identifier::email("ana@example.com").unwrap();
    let ana = record(&crm, &email, hour(0), Visited { channel: Channel::Web, place: None });
    let order = OrderPlaced::new(Money::new(5_000, Currency::EUR)).with_order(OrderRef::new("o-1").unwrap());
    let other = record(&crm, who(1), hour(1), order);
    clock.set(hour(2));
    let card = CardUpdate::new()
        .name(Name::new("Ana", "Silva").unwrap())
        .contact_points(vec![ContactPoint::email("ana@example.com").unwrap()]);
    crm.update_card(ana, card, &source(), hour(1)).unwrap();
    crm.update_card(ana, CardUpdate::new().name(Name::new("Anna", "Silva").unwrap()), &source(), hour(2)).unwrap();
    crm.keep_personal(other, &[(FieldName::new("city").unwrap(), Some("王 Porto"))]).unwrap();
    crm.suppress(&email, SuppressionReason::Bounced, &source()).unwrap();
    let award = AwardPoints { program: points(), points: 7, reason: "welcome".parse().unwrap() };
    crm.execute(ana, Command::AwardPoints(award), "award").unwrap();
    let claim = ClaimCoupon { coupon: CouponCode::new("SPRING").unwrap(), uses: 2 };
    crm.execute(other, Command::ClaimCoupon(claim), "coupon").unwrap();
    let fields = [(FieldName::new("to").unwrap(), FieldValue::Text("Ana".into()))].into_iter().collect();
    crm.execute(ana, Command::Notify { topic: "mail".parse().unwrap(), fields }, "tell").unwrap();
    let head = crm.merge(ana, other, "one person".parse().unwrap()).unwrap().customer;
    (clock, crm, head)
}

#[test]
fn what_is_exported_is_all_and_comes_back_as_it_was() {
    let (clock, crm, ana) = everything();
    let export = crm.export(ana).unwrap().unwrap();
    assert_eq!(export["format"], "crm-export/1");
    let count = |list: &str| export[list].as_array().unwrap().len();
    assert_eq!((count("members"), count("claims"), count("outbox"), count("requests")), (2, 3, 1, 3));
    assert_eq!(export["card"]["name"].as_array().unwrap().len(), 2, "what held before too");
    assert_eq!(export["personal"]["city"], "王 Porto");
    assert_eq!(export["suppressed"][0]["reason"], "Bounced");
    let before = crm.customer(ana).unwrap().unwrap();
    for again in empty(&crm, clock.now()) {
        let imported = again.import(&export).unwrap();
        assert_eq!((imported.customer, imported.members.len(), imported.requests, imported.outbox), (ana, 2, 3, 1));
        let after = again.customer(ana).unwrap().unwrap();
        assert_eq!(after.digest(), before.digest());
        assert_eq!(lasting(again.export(ana).unwrap().unwrap())["events"], export["events"]);
        let mut whole = lasting(again.export(ana).unwrap().unwrap());
        let mut expected = lasting(export.clone());
        // The list of what is suppressed is not a customer's.
        for side in [&mut whole, &mut expected] {
            side.as_object_mut().unwrap().remove("suppressed");
        }
        assert_eq!(whole, expected);
        assert_eq!(again.customer(Identifier::email("ana@example.com").unwrap()).unwrap().unwrap().id(), ana);
        assert!(again.customer(Who::Order(OrderRef::new("o-1").unwrap())).unwrap().is_some());
        assert_eq!(again.search(&SearchQuery::new("anna").unwrap(), 5).unwrap()[0].customer, ana);
        let award = AwardPoints { program: points(), points: 7, reason: "welcome".parse().unwrap() };
        let member = export["requests"].as_array().unwrap().iter().find(|one| one["key"] == "award").unwrap();
        let member: CustomerId = serde_json::from_value(member["customer"].clone()).unwrap();
        assert!(again.execute(member, Command::AwardPoints(award), "award").unwrap().replayed);
        assert!(matches!(again.import(&export), Err(Error::Import(ImportError::CustomerThere { .. }))));
        // The alarms go on.
        assert_eq!(again.advance(hour(24 * 400)).unwrap(), 1);
    }
}

#[test]
fn an_import_that_cannot_be_is_refused_and_nothing_is_there_then() {
    let (_, crm, ana) = everything();
    let export = crm.export(ana).unwrap().unwrap();
    let refused = |crm: &Crm, export: &Value| match crm.import(export) {
        Err(Error::Import(error)) => error,
        other => panic!("{other:?}"),
    };
    for again in empty(&crm, hour(2)) {
        let before = again.overview().unwrap();
        let spoiled = |pointer: &str, with: Value| {
            let mut export = export.clone();
            *export.pointer_mut(pointer).unwrap() = with;
            refused(&again, &export)
        };
        let malformed = |path: &str| ImportError::Malformed { path: path.to_owned() };
        assert_eq!(spoiled("/format", json!("crm-export/9")), malformed("format"));
        assert_eq!(spoiled("/members", json!([])), malformed("members"));
        assert_eq!(spoiled("/members/1", export["members"][0].clone()), malformed("members"));
        assert_eq!(spoiled("/events/0/at", json!("Canary")), malformed("events[0]"));
        assert_eq!(spoiled("/events/0/body", json!({ "json": { "canary": 1 } })), malformed("events[0]"));
        assert_eq!(spoiled("/events/1", export["events"][0].clone()), malformed("events[1]"));
        assert_eq!(spoiled("/events", json!([])), malformed("events"));
        assert_eq!(spoiled("/claims/0/key", json!("00")), malformed("claims[0]"));
        assert_eq!(spoiled("/claims/0/kind", json!("suppressed")), malformed("claims[0]"));
        let stranger = json!(CustomerId::new(hour(0), [9; 10]));
        for list in ["changes", "requests", "claims", "outbox", "personal_rows"] {
            let at = format!("/{list}/0/customer");
            assert_eq!(spoiled(&at, stranger.clone()), malformed(&format!("{list}[0]")));
        }
        let card = export["personal_rows"].as_array().unwrap().iter().position(|row| row["name"] == "card.name");
        let card = card.unwrap();
        let value = format!("/personal_rows/{card}/value");
        assert_eq!(spoiled(&value, json!("Canary")), malformed(&format!("personal_rows[{card}]")));
        assert_eq!(spoiled("/requests/0/key", json!("")), malformed("requests[0]"));
        assert_eq!(spoiled("/tenant", json!("other")), ImportError::Tenant);
        assert_eq!(spoiled("/digest", json!("00".repeat(32))), ImportError::OtherDefinitions);
        let many = ImportError::TooMany { path: "members", count: 40, max: 32 };
        assert_eq!(spoiled("/members", json!(vec![stranger.clone(); 40])), many);
        for junk in [json!(null), json!([]), json!({ "format": "crm-export/1" })] {
            refused(&again, &junk);
        }
        assert_eq!(again.overview().unwrap(), before, "nobody is there");
        // Somebody else is found by it.
        let there = record(&again, who(1), hour(0), Visited { channel: Channel::Web, place: None });
        let taken = refused(&again, &export);
        let same = export["members"].as_array().unwrap().contains(&json!(there));
        assert!(
            if same {
                matches!(taken, ImportError::CustomerThere { .. })
            } else {
                matches!(taken, ImportError::ClaimTaken { .. })
            },
            "{taken:?}"
        );
    }
    let (_, bare) = shop_on(Arc::new(MemoryStore::new()));
    assert_eq!(refused(&bare, &export), ImportError::OtherDefinitions);
    let other = Crm::from(crm::Crm::builder().lookup_key(LookupKey::new(&[7; 32])).build());
    assert!(matches!(other.import(&export), Err(Error::LookupKey)));
    let tenant = crm.tenant(TenantId::new("other").unwrap());
    assert_eq!(refused(&tenant, &export), ImportError::Tenant);
}

#[test]
fn an_erased_customer_comes_back_erased() {
    let (_, crm, ana) = everything();
    let by = crm::AuditActor::Rule;
    crm.erase_with(ana, crm::ErasureRequest::new(by.clone()).forced()).unwrap();
    let export = crm.export_for(ana, by).unwrap().unwrap();
    let last = crm.audit_log(None, 10).unwrap().records.pop().unwrap();
    assert_eq!(*last.entry.action(), crm::AuditAction::Exported);
    assert!(export["erased"] == true && !export.to_string().contains("Silva"));
    for again in empty(&crm, hour(2)) {
        again.import(&export).unwrap();
        assert!(again.customer(ana).unwrap().unwrap().is_erased());
        let mut filled = export.clone();
        filled["personal_rows"] = json!([{ "customer": ana, "name": "city", "value": "Porto" }]);
        assert!(again.import(&filled).is_err());
    }
}

#[test]
fn whoever_merely_stated_an_address_is_found_by_it_after_an_import_when_it_is_proved() {
    let (clock, crm) = shop();
    let ana = Identifier::email("ana@example.com").unwrap();
    let order = |who: Who, key: &str| {
        let order = OrderPlaced::new(Money::new(100, Currency::EUR));
        Incoming::new(who, hour(0), source(), order).with_key(key.parse().unwrap())
    };
    let guest = |key: &str| order(Who::from([ana.clone().unverified()]), key);
    let guests = ["1", "2"].map(|key| crm.record(guest(key)).unwrap().customer);
    let exports = guests.map(|guest| crm.export(guest).unwrap().unwrap());
    for again in empty(&crm, clock.now()) {
        // Another guest gave it there.
        let other = again.record(guest("3")).unwrap().customer;
        for export in &exports {
            again.import(export).unwrap();
        }
        let known = again.record(guest("1")).unwrap();
        assert!(known.known && known.customer == guests[0], "the same fact is that guest's still");
        assert!(matches!(again.import(&exports[0]), Err(Error::Import(ImportError::CustomerThere { .. }))));
        let proved = again.record(order(Who::from([ana.clone().verified()]), "4")).unwrap().customer;
        let customer = again.customer(proved).unwrap().unwrap();
        assert!(guests.iter().chain([&other]).all(|guest| customer.is(*guest)), "{:?}", customer.members().count());
        assert_eq!(customer.facts().orders().list().len(), 4);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Visit(u8, i64),
    Order(u8, i64, i64),
    Refund(u8, i64),
    Tag(u8),
    Merge(u8, u8),
    Part(u8, u8),
    Hold(u8, bool),
    Erase(u8),
    Advance(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let one = || 0..4_u8;
    prop_oneof![
        (one(), 0..200_i64).prop_map(|(n, at)| Step::Visit(n, at)),
        (one(), 0..200_i64, 0..9_000_i64).prop_map(|(n, at, minor)| Step::Order(n, at, minor)),
        (one(), 0..9_000_i64).prop_map(|(n, minor)| Step::Refund(n, minor)),
        one().prop_map(Step::Tag),
        (one(), one()).prop_map(|(one, other)| Step::Merge(one, other)),
        (one(), one()).prop_map(|(one, other)| Step::Part(one, other)),
        (one(), any::<bool>()).prop_map(|(n, placed)| Step::Hold(n, placed)),
        one().prop_map(Step::Erase),
        (0..300_i64).prop_map(Step::Advance),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Whatever happened, whoever was merged: what was given out is taken in as what it was.
    #[test]
    fn an_export_comes_back_to_the_same_digest(steps in proptest::collection::vec(step(), 1..25)) {
        let (clock, crm) = shop();
        let known = |n: u8| crm.customer(who(n)).unwrap().map(|customer| customer.id());
        for (at, step) in steps.iter().enumerate() {
            match step {
                Step::Visit(n, at) => drop(record(&crm, who(*n), hour(*at), Visited { channel: Channel::Web, place: None })),
                Step::Order(n, when, minor) => {
                    let number = OrderRef::new(format!("o-{at}")).unwrap();
                    let order = OrderPlaced::new(Money::new(*minor, Currency::EUR)).with_order(number);
                    record(&crm, who(*n), hour(*when), order);
                }
                Step::Refund(n, minor) => {
                    let refund = Refunded { order: None, amount: Money::new(*minor, Currency::EUR) };
                    record(&crm, who(*n), crm.now(), refund);
                }
                Step::Tag(n) => {
                    if let Some(id) = known(*n) {
                        crm.execute(id, Command::AddTag(Tag::new("vip").unwrap()), &format!("{at}")).unwrap();
                    }
                }
                Step::Merge(one, other) => {
                    if let Some((one, other)) = known(*one).zip(known(*other)) {
                        crm.merge(one, other, "same".parse().unwrap()).unwrap();
                    }
                }
                Step::Part(one, other) => {
                    let ids = crm.export_ids(&[*one, *other]);
                    if let [Some(one), Some(other)] = ids[..] {
                        drop(crm.part(one, other, "not the same".parse().unwrap()));
                    }
                }
                Step::Hold(n, placed) => {
                    let name = crm::LegalHoldName::new("audit").unwrap();
                    let hold = crm::HoldPlaced { name: name.clone(), record: crm::Record::Everything, until: None };
                    match known(*n) {
                        Some(id) if *placed => crm.hold(id, hold, crm::AuditActor::Rule).unwrap(),
                        Some(id) => drop(crm.release_hold(id, &name, crm::AuditActor::Rule).unwrap()),
                        None => {}
                    }
                }
                Step::Erase(n) => {
                    if let Some(id) = known(*n) {
                        drop(crm.erase_with(id, crm::ErasureRequest::new(crm::AuditActor::Rule).forced()));
                    }
                }
                Step::Advance(hours) => {
                    clock.set(crm.now().max(hour(*hours)));
                    crm.advance(crm.now()).unwrap();
                }
            }
        }
        let mut heads = Vec::new();
        crm.for_each_customer(|customer| heads.push(customer.id())).unwrap();
        heads.retain(|id| crm.customer(*id).unwrap().unwrap().id() == *id);
        for again in empty(&crm, crm.now()) {
            for id in &heads {
                let export = crm.export(*id).unwrap().unwrap();
                again.import(&export).unwrap();
                let digests = [&crm, &again.crm].map(|crm| crm.customer(*id).unwrap().unwrap().digest());
                prop_assert_eq!(digests[0], digests[1]);
                prop_assert_eq!(lasting(again.export(*id).unwrap().unwrap()), lasting(export));
            }
        }
    }
}

/// The ids under which somebody was first met, whoever they were merged into.
trait Ids {
    fn export_ids(&self, who: &[u8]) -> Vec<Option<CustomerId>>;
}

impl Ids for Crm {
    fn export_ids(&self, wanted: &[u8]) -> Vec<Option<CustomerId>> {
        let own = |n: &u8| {
            let customer = self.customer(who(*n)).unwrap()?;
            let key = LookupKey::public().hash(&TenantId::default(), &who(*n));
            let story = self.story(customer.id()).unwrap()?;
            let attached = story.events.iter().find(|event| {
                matches!(&event.body, crm::EventBody::Decision(decision)
                    if matches!(&decision.deed, crm::Deed::IdentifierAttached(attached) if attached.identifier == key))
            });
            attached.map(|event| event.customer)
        };
        wanted.iter().map(own).collect()
    }
}

#[test]
fn what_was_given_up_comes_back_given_up_with_its_reason() {
    let (clock, crm, ana) = everything();
    let mut tries = 0;
    let mut give_up = |_: &crm::Delivery| {
        tries += 1;
        if tries < 3 { crm::Delivered::Retry(Span::millis(1)) } else { crm::Delivered::Dead("550 no such box".into()) }
    };
    for later in 0..3 {
        crm.deliver(hour(3 + later), &mut give_up).unwrap();
    }
    let letters = crm.dead_letters(None, 10).unwrap();
    assert_eq!((letters.len(), letters[0].attempts, letters[0].reason.as_str()), (1, 3, "550 no such box"));
    let export = crm.export(ana).unwrap().unwrap();
    for again in empty(&crm, clock.now()) {
        let imported = again.import(&export).unwrap();
        assert_eq!((imported.outbox, imported.dead_letters), (0, 1));
        let there = again.dead_letters(None, 10).unwrap().remove(0);
        assert_eq!((&there.entry, there.attempts, &there.reason), (&letters[0].entry, 3, &letters[0].reason));
        assert_eq!(again.deliver(hour(9_000), |_| crm::Delivered::Done).unwrap(), 0, "nobody is told");
        assert_eq!(again.export(ana).unwrap().unwrap()["outbox"], export["outbox"]);
        assert!(again.revive(&there, Some(hour(3))).unwrap());
        let mut told = 0;
        let tell = |delivery: &crm::Delivery| {
            told = delivery.attempt;
            crm::Delivered::Done
        };
        assert_eq!(again.deliver(hour(9_000), tell).unwrap(), 1);
        assert_eq!(told, 4, "its attempts go on");
    }
}

/// A visit by somebody who merely says that an address is theirs.
fn guest(crm: &Crm, email: &Identifier, key: &str) -> crm::Recorded {
    let visit = Visited { channel: Channel::Web, place: None };
    let came = Incoming::new([email.clone().unverified()], hour(0), source(), visit);
    crm.record(came.with_key(key.parse().unwrap())).unwrap()
}

#[test]
fn who_merely_stated_an_address_is_found_when_it_is_proved_after_an_import() {
    let (clock, crm) = shop();
    let email = Identifier::email("ana@example.com").unwrap();
    let guests = ["g0", "g1"].map(|key| guest(&crm, &email, key).customer);
    let exports = guests.map(|guest| crm.export(guest).unwrap().unwrap());
    assert_eq!(exports[1]["listed"].as_array().unwrap().len(), 2);
    for again in empty(&crm, clock.now()) {
        let other = guest(&again, &email, "g9").customer;
        for (export, id) in exports.iter().zip(guests) {
            let imported = again.import(export).unwrap();
            assert_eq!((imported.customer, imported.listed), (id, 2), "on the list and under the fact");
            let mut spoiled = export.clone();
            spoiled["listed"][0]["key"] = json!("00");
            assert!(matches!(again.import(&spoiled), Err(Error::Import(_))));
        }
        let same = guest(&again, &email, "g1");
        assert!(same.known && same.customer == guests[1], "the same fact is the same guest");
        let by = crm::VerificationMethod::new("link").unwrap();
        let proof = again.identified(&email).assured(crm::Assurance::Verified { by });
        record(&again, guests[1], hour(0), proof);
        let ana = again.customer(&email).unwrap().unwrap();
        assert_eq!(ana.facts().visits(), 3);
        for id in [guests[0], guests[1], other] {
            assert_eq!(again.customer(id).unwrap().unwrap().id(), ana.id());
        }
    }
    // A list has an end.
    for again in empty(&crm, clock.now()) {
        (0..32).for_each(|n| drop(guest(&again, &email, &format!("there before {n}"))));
        assert_eq!(again.import(&exports[0]).unwrap().listed, 1, "under the fact alone");
    }
}

#[test]
fn a_history_comes_back_in_the_order_between_its_events_and_changes() {
    let entries = |store: &Arc<dyn Store>, id| {
        let all = crm_storage::Entries::All;
        let page = crm::blocking::wait(store.history(&TenantId::default(), id, all, None, 1_000));
        page.unwrap().rows
    };
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let (clock, crm) = shop_on(Arc::clone(&store));
    let program = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(3));
    crm.define(hour(0), Definition::Program(points(), Some(program))).unwrap();
    let bought = Predicate::compare(Attribute::Orders, Comparison::Ge, 1);
    crm.define(hour(0), Definition::Segment(SegmentName::new("buyers").unwrap(), Some(bought))).unwrap();
    let mut ana = None;
    for at in [0, 30, 60, 24 * 500] {
        clock.set(hour(at));
        crm.advance(hour(at)).unwrap();
        let order = OrderPlaced::new(Money::new(5_000, Currency::EUR));
        ana = Some(record(&crm, who(1), hour(at), order));
    }
    let ana = ana.unwrap();
    let before = entries(&store, ana);
    let is_event = |entry: &crm_storage::Entry| matches!(entry, crm_storage::Entry::Event(_));
    let turns = before.windows(2).filter(|two| is_event(&two[0]) != is_event(&two[1])).count();
    assert!(turns > 3, "events and changes by turns: {turns}");
    let export = crm.export(ana).unwrap().unwrap();
    let mut stores: Vec<Arc<dyn Store>> = vec![Arc::new(MemoryStore::new())];
    #[cfg(feature = "sqlite")]
    let folder = tempfile::tempdir().unwrap();
    #[cfg(feature = "sqlite")]
    stores.push(Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()));
    for store in stores {
        let (clock, again) = shop_on(Arc::clone(&store));
        clock.set(crm.now());
        again.import_definitions(&crm.export_definitions().unwrap()).unwrap();
        for wrong in [json!(100_000), json!(-1), json!(null)] {
            let mut spoiled = export.clone();
            spoiled["changes"].as_array_mut().unwrap().last_mut().unwrap()["after"] = wrong;
            assert!(matches!(again.import(&spoiled), Err(Error::Import(ImportError::Malformed { .. }))));
        }
        again.import(&export).unwrap();
        assert_eq!(entries(&store, ana), before);
    }
    // An export that does not say so is taken in all the same.
    let mut old = export;
    old.as_object_mut().unwrap().remove("listed");
    for change in old["changes"].as_array_mut().unwrap() {
        change.as_object_mut().unwrap().remove("after");
    }
    for again in empty(&crm, crm.now()) {
        again.import(&old).unwrap();
        assert_eq!(again.customer(ana).unwrap().unwrap().digest(), crm.customer(ana).unwrap().unwrap().digest());
    }
}
