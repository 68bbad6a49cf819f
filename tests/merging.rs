//! Merging and parting through the public interface: what is found by which id, what follows, and that it is
//! so on every store.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    AwardPoints, Channel, Command, Currency, CustomerId, Definition, Error, ExternalSystem, Identifier, Incoming,
    Ingestion, ManualClock, MergeRefusal, Money, OrderPlaced, OrderRef, Predicate, Program, ProgramId, RedeemPoints,
    Refunded, SegmentName, Source, Span, Stage, Store, Tag, Timestamp, Visited,
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

fn shop_on(store: Arc<dyn Store>) -> (Arc<ManualClock>, Crm) {
    let clock = Arc::new(ManualClock::at(hour(0)));
    let crm = crm::Crm::builder().shared_store(store).clock(Arc::clone(&clock)).ids(crm::DerivedIds).build();
    let crm = Crm::from(crm);
    let program = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(30));
    crm.define(hour(0), Definition::Program(points(), Some(program))).unwrap();
    let tagged = Predicate::tag(&Tag::new("vip").unwrap());
    crm.define(hour(0), Definition::Segment(SegmentName::new("vips").unwrap(), Some(tagged))).unwrap();
    let asking = [
        ("busy", r#"orders.in_last("4d") >= 2 || points > 60"#),
        ("was-busy", r#"was_in("busy", "9d") && !segment("busy")"#),
        ("steady", r#"in_for("busy", "2d") || was_in("was-busy")"#),
    ];
    for (name, rule) in asking {
        let rule = crm.rule(rule).unwrap();
        crm.define(hour(0), Definition::Segment(SegmentName::new(name).unwrap(), Some(rule))).unwrap();
    }
    (clock, crm)
}

fn shop() -> (Arc<ManualClock>, Crm) {
    shop_on(Arc::new(crm::MemoryStore::new()))
}

fn visit(crm: &Crm, who: &Identifier, key: &str) -> CustomerId {
    let visit = Visited { channel: Channel::Web, place: None };
    let fact = Incoming::new(who, crm.now(), source(), visit).with_key(key.parse().unwrap());
    crm.record(fact).unwrap().customer
}

fn order(crm: &Crm, who: impl Into<crm::Who> + Send, number: &str, amount: i64) -> CustomerId {
    let placed = OrderPlaced::new(euros(amount)).with_order(OrderRef::new(number).unwrap());
    crm.record(Incoming::new(who, crm.now(), source(), placed).with_key(number.parse().unwrap())).unwrap().customer
}

fn balance(crm: &Crm, who: impl Into<crm::Who> + Send) -> i128 {
    crm.customer(who).unwrap().unwrap().book(&points()).map_or(0, |book| book.balance())
}

fn redeem(points_: i64) -> Command {
    Command::RedeemPoints(RedeemPoints {
        program: points(),
        points: points_,
        reason: "test".parse().unwrap(),
        order: None,
        total: None,
    })
}

fn why() -> crm::Remark {
    "test".parse().unwrap()
}

#[test]
fn a_merged_customer_is_found_by_everything_that_led_to_either() {
    let (_, crm) = shop();
    let (a, b) = (order(&crm, who(1), "o-1", 40), order(&crm, who(2), "o-2", 2));
    let merged = crm.merge(b, a, why()).unwrap();
    assert!(!merged.known);
    let head = merged.customer;
    assert_eq!(head, a.min(b));
    for found in [
        crm.customer(a).unwrap(),
        crm.customer(b).unwrap(),
        crm.customer(who(1)).unwrap(),
        crm.customer(who(2)).unwrap(),
        crm.customer(OrderRef::new("o-1").unwrap()).unwrap(),
        crm.customer(OrderRef::new("o-2").unwrap()).unwrap(),
    ] {
        let found = found.unwrap();
        assert_eq!((found.id(), found.facts().orders().list().len()), (head, 2));
        assert_eq!(found.identifiers().count(), 2);
    }
    assert_eq!(balance(&crm, head), 42);
    // It counts as one, wherever customers are counted.
    assert_eq!(crm.overview().unwrap().customers, 1);
    let mut seen = Vec::new();
    crm.for_each_customer(|customer| seen.push(customer.id())).unwrap();
    assert_eq!(seen, [head]);
    let story = crm.story(b).unwrap().unwrap();
    assert_eq!(story.events.iter().filter(|event| event.body.kind() == "order_placed").count(), 2);
    assert_eq!(story.events.iter().filter(|event| event.body.kind() == "merged").count(), 2);
}

#[test]
fn merging_again_or_with_oneself_changes_nothing_and_chains_are_flat() {
    let (_, crm) = shop();
    let ids: Vec<_> = (1..=4).map(|n| visit(&crm, &who(n), &n.to_string())).collect();
    assert!(crm.merge(ids[0], ids[0], why()).unwrap().known);
    crm.merge(ids[0], ids[1], why()).unwrap();
    crm.merge(ids[2], ids[3], why()).unwrap();
    crm.merge(ids[3], ids[1], why()).unwrap();
    let head = crm.customer(ids[0]).unwrap().unwrap();
    let events = crm.story(ids[0]).unwrap().unwrap().events.len();
    for one in &ids {
        for other in &ids {
            let again = crm.merge(*one, *other, why()).unwrap();
            assert!(again.known && again.customer == head.id() && again.changes.is_empty());
        }
        assert_eq!(crm.customer(*one).unwrap().unwrap(), head);
    }
    assert_eq!(crm.story(ids[0]).unwrap().unwrap().events.len(), events);
    assert_eq!(head.members().count(), 4);
}

#[test]
fn a_known_customer_survives_an_anonymous_one_who_was_there_before() {
    let (clock, crm) = shop();
    let device = Identifier::device("cookie-1").unwrap();
    let anonymous = visit(&crm, &device, "v-1");
    clock.set(hour(5));
    let known = visit(&crm, &who(1), "v-2");
    assert_eq!(crm.merge(anonymous, known, why()).unwrap().customer, known);
    assert_eq!(crm.customer(&device).unwrap().unwrap().id(), known);
    assert_eq!(crm.customer(anonymous).unwrap().unwrap().facts().visits(), 2);
}

#[test]
fn what_happens_to_a_merged_customer_goes_with_whom_it_came_through() {
    let (clock, crm) = shop();
    let (a, b) = (order(&crm, who(1), "o-1", 100), order(&crm, who(2), "o-2", 50));
    crm.merge(a, b, why()).unwrap();
    clock.set(hour(1));
    order(&crm, who(2), "o-3", 30);
    order(&crm, a, "o-4", 7);
    // Through b's order number: b's own.
    let refund = Refunded { order: Some(OrderRef::new("o-3").unwrap()), amount: euros(10) };
    crm.record(Incoming::new(OrderRef::new("o-3").unwrap(), crm.now(), source(), refund)).unwrap();
    let visit = |who: &Identifier, at: i64| {
        let fact = Incoming::new(who, hour(at), source(), Visited { channel: Channel::Web, place: None });
        fact.with_key(at.to_string().parse().unwrap())
    };
    clock.set(hour(20));
    let report =
        crm.ingest(vec![visit(&who(2), 10), visit(&who(1), 11), visit(&who(2), 12)], Ingestion::live()).unwrap();
    assert_eq!((report.recorded, report.refused.len()), (3, 0));
    // A late one, too.
    crm.record(visit(&who(2), 2)).unwrap();
    assert!(crm.record(visit(&who(1), 2)).unwrap().known, "the same fact, through whomever it comes");
    assert_eq!(balance(&crm, a), 100 + 50 + 20 + 7);
    let both = crm.customer(a).unwrap().unwrap();
    assert_eq!((both.facts().visits(), both.facts().orders().list().len()), (4, 4));

    let parted = crm.part(b, a, why()).unwrap();
    assert_eq!((parted.left, parted.stayed), (b, a));
    let [a, b] = [a, b].map(|id| crm.customer(id).unwrap().unwrap());
    assert_eq!((a.facts().visits(), b.facts().visits()), (1, 3));
    assert_eq!(a.book(&points()).unwrap().balance(), 107);
    assert_eq!(b.book(&points()).unwrap().balance(), 70);
    assert_eq!(crm.overview().unwrap().customers, 2);
    assert_eq!(crm.customer(OrderRef::new("o-3").unwrap()).unwrap().unwrap().id(), b.id());
}

#[test]
fn after_parting_each_pays_for_what_they_spent() {
    let (clock, crm) = shop();
    // b's points expire first and are spent first.
    let b = order(&crm, who(2), "o-2", 50);
    clock.set(hour(30));
    let a = order(&crm, who(1), "o-1", 100);
    crm.merge(a, b, why()).unwrap();
    crm.execute(a, redeem(120), "spend").unwrap();
    assert!(crm.execute(a, redeem(120), "spend").unwrap().replayed);
    assert_eq!(balance(&crm, b), 30);
    let refused = crm.execute(b, redeem(31), "more").unwrap_err();
    assert!(matches!(refused, Error::Refused(_)), "{refused}");
    crm.part(b, a, why()).unwrap();
    // b spent nothing and has everything back, to expire when it would have; a owes what was not there.
    assert_eq!((balance(&crm, b), balance(&crm, a)), (50, -20));
    let lots = crm.customer(b).unwrap().unwrap().book(&points()).unwrap().lots().to_vec();
    assert!(lots.iter().all(|lot| lot.terms.expires_at == Some(hour(0).plus(Span::days(30)))), "{lots:?}");
    let totals = crm.overview().unwrap().points;
    assert_eq!((totals.earned, totals.spent, totals.outstanding()), (150, 120, 30));
    // What a earns next pays the debt first.
    order(&crm, who(1), "o-5", 25);
    assert_eq!(balance(&crm, a), 5);
    clock.set(hour(24 * 40));
    crm.advance(clock_now(&crm)).unwrap();
    assert_eq!((balance(&crm, b), balance(&crm, a)), (0, 0));
}

fn clock_now(crm: &Crm) -> Timestamp {
    crm.now()
}

#[test]
fn segments_stage_and_tags_follow_merging_and_parting() {
    let (_, crm) = shop();
    let (a, b) = (visit(&crm, &who(1), "1"), order(&crm, who(2), "o", 10));
    crm.execute(b, Command::AddTag(Tag::new("vip").unwrap()), "tag").unwrap();
    let merged = crm.merge(a, b, why()).unwrap();
    let kinds: Vec<_> = merged.changes.iter().map(|change| change.body.kind()).collect();
    let one = crm.customer(a).unwrap().unwrap();
    assert_eq!((one.stage(), one.standing().segments().count()), (Some(Stage::Purchase), 1));
    assert!(one.id() == b || kinds.contains(&"stage_changed"), "{kinds:?}");
    // Taken off while they are one, it is off for both.
    crm.execute(a, Command::RemoveTag(Tag::new("vip").unwrap()), "untag").unwrap();
    crm.part(a, b, why()).unwrap();
    let [a, b] = [a, b].map(|id| crm.customer(id).unwrap().unwrap());
    assert_eq!((a.stage(), b.stage()), (Some(Stage::Prospect), Some(Stage::Purchase)));
    assert_eq!(a.tags().count() + b.tags().count(), 0);
    assert_eq!(a.standing().segments().count() + b.standing().segments().count(), 0);
}

#[test]
fn whoever_was_merged_before_goes_with_their_side_and_whoever_came_later_stays() {
    let (_, crm) = shop();
    let ids: Vec<_> = (0..5).map(|n| visit(&crm, &who(n), &n.to_string())).collect();
    crm.merge(ids[0], ids[1], why()).unwrap();
    crm.merge(ids[2], ids[3], why()).unwrap();
    crm.merge(ids[1], ids[3], why()).unwrap();
    crm.merge(ids[2], ids[4], why()).unwrap();
    crm.part(ids[0], ids[3], why()).unwrap();
    let members = |id: CustomerId| crm.customer(id).unwrap().unwrap().members().collect::<Vec<_>>();
    let sorted = |mut ids: Vec<CustomerId>| {
        ids.sort_unstable();
        ids
    };
    assert_eq!(members(ids[1]), sorted(vec![ids[0], ids[1]]));
    assert_eq!(members(ids[4]), sorted(vec![ids[2], ids[3], ids[4]]));
    let never = crm.part(ids[0], ids[3], why()).unwrap_err();
    assert!(matches!(never, Error::Merge(MergeRefusal::NotMerged { .. })), "{never}");
    assert!(crm.part(ids[0], ids[0], why()).is_err());
    // They can be merged again, and parted again.
    crm.merge(ids[0], ids[2], why()).unwrap();
    assert_eq!(members(ids[4]).len(), 5);
    crm.part(ids[4], ids[0], why()).unwrap();
    assert_eq!((members(ids[0]).len(), members(ids[4]).len()), (2, 3));
}

#[test]
fn personal_values_stay_with_the_id_they_were_kept_under() {
    let (_, crm) = shop();
    let (a, b) = (visit(&crm, &who(1), "1"), visit(&crm, &who(2), "2"));
    let field = |name: &str| crm::FieldName::new(name).unwrap();
    crm.keep_personal(a, &[(field("name"), Some("Ana"))]).unwrap();
    crm.merge(a, b, why()).unwrap();
    crm.keep_personal(b, &[(field("city"), Some("Bonn"))]).unwrap();
    for id in [a, b] {
        assert_eq!(crm.personal(id).unwrap().into_values().collect::<Vec<_>>(), ["Bonn", "Ana"]);
    }
    crm.part(a, b, why()).unwrap();
    assert_eq!(crm.personal(a).unwrap().into_values().collect::<Vec<_>>(), ["Ana"]);
    assert_eq!(crm.personal(b).unwrap().into_values().collect::<Vec<_>>(), ["Bonn"]);
}

#[test]
fn merging_somebody_who_is_not_there_is_refused() {
    let (_, crm) = shop();
    let a = visit(&crm, &who(1), "1");
    let nobody = CustomerId::new(hour(1), [9; 10]);
    for (one, other) in [(a, nobody), (nobody, a)] {
        assert!(matches!(crm.merge(one, other, why()), Err(Error::NoCustomer { customer }) if customer == nobody));
        assert!(crm.part(one, other, why()).is_err());
    }
    assert!(!crm.customer(a).unwrap().unwrap().is_merged());
}

#[test]
fn a_state_that_cannot_be_read_is_folded_anew_from_all_histories() {
    let store: Arc<dyn Store> = Arc::new(crm::MemoryStore::new());
    let (_, crm) = shop_on(Arc::clone(&store));
    let (a, b, c) = (order(&crm, who(1), "o-1", 10), order(&crm, who(2), "o-2", 5), visit(&crm, &who(3), "v"));
    crm.merge(a, b, why()).unwrap();
    crm.merge(b, c, why()).unwrap();
    crm.part(c, a, why()).unwrap();
    crm.merge(a, c, why()).unwrap();
    let expected = crm.customer(a).unwrap().unwrap();
    let tenant = crm::TenantId::default();
    for id in [a, b, c] {
        let loaded = crm::blocking::wait(store.load(&tenant, &[id])).unwrap();
        let row = loaded.rows.into_iter().next().flatten().unwrap();
        // Written by a version that is not known here: only what stands before every state can be read.
        let state = crm_storage::StateRow { shape: 999, bytes: row.state.bytes[..17].to_vec() };
        let mut write = crm_storage::CustomerWrite::new(id, crm_storage::Expected::At(row.version), state);
        write.traits = crm::blocking::wait(store.details(&tenant, &[id], crm_storage::Parts::ALL)).unwrap()[0]
            .clone()
            .unwrap()
            .traits;
        let commit = crm_storage::Commit { writes: vec![write], ..Default::default() };
        crm::blocking::wait(store.commit(&tenant, vec![commit])).unwrap().pop().unwrap().unwrap();
    }
    for id in [a, b, c] {
        let again = crm.customer(id).unwrap().unwrap();
        assert_eq!((again.digest(), again.joins(), again.id()), (expected.digest(), expected.joins(), expected.id()));
    }
    assert_eq!(order(&crm, who(2), "o-9", 1), expected.id());
    assert_eq!(balance(&crm, a), 16);
}

#[test]
fn merging_recording_and_parting_at_once_leaves_every_fact_with_its_own() {
    let (_, crm) = shop();
    let ids: Vec<_> = (0..4).map(|n| visit(&crm, &who(n), &format!("first-{n}"))).collect();
    std::thread::scope(|scope| {
        for n in 0..4_u8 {
            let crm = &crm;
            scope.spawn(move || {
                for m in 0..25 {
                    visit(crm, &who(n), &format!("{n}-{m}"));
                }
            });
        }
        for turn in 0..2_usize {
            let (crm, ids) = (&crm, &ids);
            scope.spawn(move || {
                for m in 0..12 {
                    let (one, other) = (ids[(m + turn) % 4], ids[(m + turn + 1) % 4]);
                    crm.merge(one, other, why()).unwrap();
                    match crm.part(one, other, why()) {
                        Ok(_) | Err(Error::Merge(MergeRefusal::NotMerged { .. })) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    // Whoever is still merged is parted, whoever with.
    for one in &ids {
        for other in &ids {
            if one != other {
                let _ = crm.part(*one, *other, why());
            }
        }
    }
    for id in &ids {
        let customer = crm.customer(*id).unwrap().unwrap();
        assert_eq!((customer.id(), customer.is_merged(), customer.facts().visits()), (*id, false, 26));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Order(u8, i64),
    Refund(u8, i64),
    Late(u8, i64),
    Redeem(u8, i64),
    Award(u8, i64),
    Merge(u8, u8),
    Part(u8, u8),
    Wait(i64),
    Override(u8, bool, Option<i64>),
    Clear(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let one = || 0..4_u8;
    prop_oneof![
        3 => (one(), 1..90_i64).prop_map(|(who, amount)| Step::Order(who, amount)),
        1 => (one(), 1..90_i64).prop_map(|(who, amount)| Step::Refund(who, amount)),
        1 => (one(), 1..400_i64).prop_map(|(who, back)| Step::Late(who, back)),
        2 => (one(), 1..90_i64).prop_map(|(who, points)| Step::Redeem(who, points)),
        1 => (one(), 1..90_i64).prop_map(|(who, points)| Step::Award(who, points)),
        3 => (one(), one()).prop_map(|(one, other)| Step::Merge(one, other)),
        2 => (one(), one()).prop_map(|(one, other)| Step::Part(one, other)),
        2 => (0..200_i64).prop_map(Step::Wait),
        1 => (one(), any::<bool>(), proptest::option::of(1..150_i64))
            .prop_map(|(who, is_in, until)| Step::Override(who, is_in, until)),
        1 => one().prop_map(Step::Clear),
    ]
}

/// Does the steps, and checks after each that what is stored is the fold of what is stored.
fn walk(steps: &[Step], store: Arc<dyn Store>) -> Vec<String> {
    let (clock, crm) = shop_on(store);
    let ids: Vec<_> = (0..4).map(|n| visit(&crm, &who(n), &format!("first-{n}"))).collect();
    let definitions = crm.definitions().unwrap();
    let mut now = 0;
    for (n, step) in steps.iter().enumerate() {
        let id = |who: u8| ids[usize::from(who)];
        match step {
            Step::Order(who_, amount) => {
                order(&crm, who(*who_), &format!("o-{n}"), *amount);
            }
            Step::Refund(who_, amount) => {
                let fact = Refunded { order: None, amount: euros(*amount) };
                let key = format!("r-{n}").parse().unwrap();
                crm.record(Incoming::new(who(*who_), crm.now(), source(), fact).with_key(key)).unwrap();
            }
            Step::Late(who_, back) => {
                let at = hour((now - back).max(0));
                let placed = OrderPlaced::new(euros(*back));
                let key = format!("l-{n}").parse().unwrap();
                crm.record(Incoming::new(who(*who_), at, source(), placed).with_key(key)).unwrap();
            }
            Step::Redeem(who_, points) => {
                let _ = crm.execute(id(*who_), redeem(*points), &format!("{n}"));
            }
            Step::Award(who_, amount) => {
                let award = AwardPoints { program: points(), points: *amount, reason: why() };
                crm.execute(id(*who_), Command::AwardPoints(award), &format!("{n}")).unwrap();
            }
            Step::Override(who_, is_in, lasts) => {
                let to = if *is_in { crm::Override::In } else { crm::Override::Out };
                let until = lasts.map(|hours| hour(now + hours));
                let asked = crm::OverrideSegment { until, ..crm::OverrideSegment::new("busy".parse().unwrap(), to) };
                crm.override_segment(id(*who_), asked, &format!("{n}")).unwrap();
            }
            Step::Clear(who_) => {
                let cleared = crm::OverrideCleared { segment: "busy".parse().unwrap(), by: None, reason: None };
                crm.clear_override(id(*who_), cleared, &format!("{n}")).unwrap();
            }
            Step::Merge(one, other) => {
                crm.merge(id(*one), id(*other), why()).unwrap();
            }
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
    }
    let mut all = Vec::new();
    let mut earned = 0;
    crm.for_each_customer(|customer| all.push(customer.clone())).unwrap();
    let mut digests = Vec::new();
    for customer in &all {
        let mut events = crm.story(customer.id()).unwrap().unwrap().events;
        // By member, each in its own order.
        events.sort_by_key(|event| event.customer);
        let told = events.iter().map(|event| (event.customer, event.id, event.at, &event.body));
        let again = crm::Customer::replay(customer.id(), told, customer.clock().unwrap(), &definitions);
        assert_eq!(again.facts(), customer.facts());
        assert_eq!(again.digest(), customer.digest());
        assert_eq!(again.spells(), customer.spells());
        assert_eq!(again.joins(), customer.joins());
        earned += customer.book(&points()).map_or(0, |book| book.totals().outstanding());
        digests.push(format!("{} {}", customer.id(), customer.digest()));
    }
    assert_eq!(earned, crm.overview().unwrap().points.outstanding());
    assert_eq!(all.iter().flat_map(|customer| customer.members()).count(), 4, "everybody is there once");
    for id in ids {
        assert!(crm.customer(id).unwrap().unwrap().is(id));
    }
    digests
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn whatever_is_merged_and_parted_the_stored_state_is_the_fold_of_the_stored_events(
        steps in proptest::collection::vec(step(), 0..30),
    ) {
        walk(&steps, Arc::new(crm::MemoryStore::new()));
    }
}

#[cfg(feature = "sqlite")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn merging_comes_to_the_same_on_sqlite(steps in proptest::collection::vec(step(), 0..30)) {
        let folder = tempfile::tempdir().unwrap();
        let on_disk = walk(&steps, Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()));
        prop_assert_eq!(on_disk, walk(&steps, Arc::new(crm::MemoryStore::new())));
    }
}
