//! Ties between customers: two sides that never part.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod failing;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use crm::blocking::Crm;
use crm::{
    Channel, CustomerId, Direction, Error, ExternalSystem, Fact, FactKey, FactRefusal, Identifier, Incoming, Ingestion,
    ManualClock, MemoryStore, Source, Span, Store, Strength, TIES_MAX, TenantId, Tie, TieError, TieKind, TieName,
    Timestamp, Untie, Visited, Voided,
};
use failing::{Failing, Fate};
use proptest::prelude::*;

fn hour(hour: u32) -> Timestamp {
    Timestamp::parse("2026-01-05").unwrap().plus(Span::millis(u64::from(hour) * 3_600_000))
}

fn source() -> Source {
    Source::new("shop").unwrap()
}

fn key(key: impl std::fmt::Display) -> FactKey {
    FactKey::new(key.to_string()).unwrap()
}

fn visit(who: u32, at: Timestamp) -> Incoming {
    let who = Identifier::external(&ExternalSystem::new("shop").unwrap(), &who.to_string()).unwrap();
    Incoming::new(who, at, source(), Visited { channel: Channel::Web, place: None })
}

fn meet(crm: &Crm, count: u32) -> Vec<CustomerId> {
    (0..count).map(|n| crm.record(visit(n, hour(0))).unwrap().customer).collect()
}

fn tie(from: CustomerId, to: CustomerId, kind: TieKind, per_mille: u16) -> Tie {
    Tie { from, to, kind, strength: Strength::new(per_mille).unwrap() }
}

type Seen = (CustomerId, String, Direction, u16, Timestamp);

fn ties(crm: &Crm, customer: CustomerId) -> Vec<Seen> {
    let customer = crm.customer(customer).unwrap().unwrap();
    let seen = customer
        .ties()
        .map(|tie| (tie.other, format!("{:?}", tie.kind), tie.direction, tie.strength.per_mille(), tie.since));
    seen.collect()
}

/// Each tie of each customer is there on the other side too, the other way round.
fn mirrored(crm: &Crm, customers: &[CustomerId]) -> BTreeSet<(CustomerId, Seen)> {
    let all = customers.iter().flat_map(|id| ties(crm, *id).into_iter().map(|tie| (*id, tie)));
    let all: BTreeSet<(CustomerId, Seen)> = all.collect();
    for (id, (other, kind, direction, strength, since)) in &all {
        let mirror = (*id, kind.clone(), direction.mirrored(), *strength, *since);
        assert!(all.contains(&(*other, mirror)), "{id} has a {kind} with {other}, who has none: {all:?}");
    }
    all
}

/// Does something with a CRM over each store.
fn over_each_store(clock: &Arc<ManualClock>, work: impl Fn(&Crm)) {
    let mut stores: Vec<Arc<dyn Store>> = vec![Arc::new(MemoryStore::new())];
    #[cfg(feature = "sqlite")]
    let folder = tempfile::tempdir().unwrap();
    #[cfg(feature = "sqlite")]
    stores.push(Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()));
    while let Some(store) = stores.pop() {
        work(&Crm::from(crm::Crm::builder().shared_store(store).clock(Arc::clone(clock)).build()));
    }
}

#[test]
fn a_tie_is_read_from_either_side_recorded_once_and_ended_on_both() {
    let clock = Arc::new(ManualClock::at(hour(10)));
    over_each_store(&clock, |crm| {
        let met = meet(crm, 3);
        let [ana, ben, acme] = met[..] else { panic!("three") };
        let referred = tie(ana, ben, TieKind::Referred, 800);
        let first = crm.tie(referred.clone(), hour(1), source(), key(1)).unwrap();
        assert!(!first.known);
        for _ in 0..2 {
            let again = crm.tie(referred.clone(), hour(1), source(), key(1)).unwrap();
            assert!(again.known && again.event == first.event);
        }
        crm.tie(tie(ben, ana, TieKind::Household, 1_000), hour(2), source(), key(2)).unwrap();
        crm.tie(tie(ana, acme, TieKind::WorksFor, 1_000), hour(3), source(), key(3)).unwrap();
        crm.tie(tie(ana, acme, TieKind::DecidesFor, 500), hour(4), source(), key(4)).unwrap();
        let godparent = TieKind::Other(TieName::new("godparent").unwrap());
        crm.tie(tie(ana, ben, godparent, 1), hour(4), source(), key(5)).unwrap();
        assert_eq!(mirrored(crm, &met).len(), 10);
        let of_acme = ties(crm, acme);
        assert!(of_acme.contains(&(ana, "WorksFor".into(), Direction::Incoming, 1_000, hour(3))));
        assert!(ties(crm, ben).contains(&(ana, "Referred".into(), Direction::Incoming, 800, hour(1))));

        // Stronger, since the same day; told late it is weaker for nobody.
        crm.tie(tie(ana, ben, TieKind::Referred, 900), hour(6), source(), key(6)).unwrap();
        crm.tie(tie(ana, ben, TieKind::Referred, 100), hour(5), source(), key(7)).unwrap();
        assert!(ties(crm, ben).contains(&(ana, "Referred".into(), Direction::Incoming, 900, hour(1))));

        // Whoever names the two the other way round ends the same household.
        let untie = Untie { from: ana, to: ben, kind: TieKind::Household };
        assert!(!crm.untie(untie.clone(), hour(8), source(), key(8)).unwrap().known);
        assert!(crm.untie(untie, hour(8), source(), key(8)).unwrap().known);
        assert_eq!(mirrored(crm, &met).len(), 8);
        for (one, other) in [(ana, ben), (ben, ana)] {
            let customer = crm.customer(one).unwrap().unwrap();
            let past: Vec<_> = customer.past_ties().map(|tie| (tie.other, tie.since, tie.until)).collect();
            assert_eq!(past, [(other, hour(2), Some(hour(8)))]);
        }

        // Facts fold into the same customer, however their state was lost.
        for id in &met {
            let story = crm.story(*id).unwrap().unwrap();
            let events = story.events.iter().map(|event| (event.customer, event.id, event.at, &event.body));
            let definitions = crm.definitions().unwrap();
            let again = crm::Customer::replay(*id, events, story.customer.clock().unwrap(), &definitions);
            assert_eq!(again.digest(), story.customer.digest());
        }
        let other = crm.tenant(TenantId::new("other").unwrap());
        let nobody = other.tie(referred, hour(1), source(), key(1));
        assert!(matches!(nobody, Err(Error::Fact(FactRefusal::NoCustomer { customer })) if customer == ana));
    });
}

#[test]
fn what_cannot_be_a_tie_is_refused_and_leaves_both_as_they_were() {
    let clock = Arc::new(ManualClock::at(hour(10)));
    over_each_store(&clock, |crm| {
        let met = meet(crm, 3);
        let [ana, ben, zoe] = met[..] else { panic!("three") };
        crm.tie(tie(ana, ben, TieKind::Follows, 5), hour(1), source(), key(1)).unwrap();
        let before = mirrored(crm, &met);
        let refusal = |told: Result<crm::TieRecorded, Error>| match told {
            Err(Error::Fact(refusal)) => refusal,
            other => panic!("{other:?}"),
        };
        let themself = refusal(crm.tie(tie(ana, ana, TieKind::Follows, 5), hour(1), source(), key(2)));
        assert_eq!(themself, FactRefusal::Tie(TieError::WithThemself { customer: ana }));
        let nobody = CustomerId::new(hour(0), [9; 10]);
        for (from, to) in [(ana, nobody), (nobody, ana)] {
            let refused = refusal(crm.tie(tie(from, to, TieKind::Follows, 5), hour(2), source(), key(3)));
            assert_eq!(refused, FactRefusal::NoCustomer { customer: nobody });
        }
        // The key of another word: seen from either side, and at another time.
        for other in
            [tie(ana, zoe, TieKind::Follows, 5), tie(zoe, ben, TieKind::Follows, 5), tie(ana, ben, TieKind::Follows, 6)]
        {
            let refused = refusal(crm.tie(other, hour(1), source(), key(1)));
            assert!(matches!(refused, FactRefusal::OtherContent { .. }), "{refused:?}");
        }
        let refused = refusal(crm.tie(tie(ana, ben, TieKind::Follows, 5), hour(7), source(), key(1)));
        assert!(matches!(refused, FactRefusal::OtherContent { .. }), "{refused:?}");
        // One side alone cannot be told of, by any way in.
        let [one_side, _] = tie(ana, zoe, TieKind::Follows, 5).sides().unwrap();
        let fact = Incoming::new(ana, hour(2), source(), one_side);
        let refused = crm.record(fact.clone());
        assert!(matches!(refused, Err(Error::Fact(FactRefusal::Tie(TieError::OneSided)))), "{refused:?}");
        assert_eq!(crm.ingest([fact], Ingestion::live()).unwrap().refused["tie"], 1);
        assert_eq!(mirrored(crm, &met), before);
    });
}

#[test]
fn a_voiding_does_not_part_the_two_sides() {
    for void_first in [false, true] {
        let clock = Arc::new(ManualClock::at(hour(10)));
        over_each_store(&clock, |crm| {
            let met = meet(crm, 2);
            let event = crm::EventId::of_fact(crm.as_async().tenant_id(), &source(), "t");
            let void = Incoming::new(met[0], hour(5), source(), Fact::from(Voided { event, reason: None }));
            if void_first {
                crm.record(void.clone()).unwrap();
            }
            crm.tie(tie(met[0], met[1], TieKind::Manages, 5), hour(1), source(), key("t")).unwrap();
            crm.record(void.with_key(key("void"))).unwrap();
            assert_eq!(mirrored(crm, &met).len(), 2);
        });
    }
}

#[test]
fn a_customer_has_a_thousand_ties_at_most_and_a_retry_of_an_old_one_is_still_known() {
    let clock = Arc::new(ManualClock::at(hour(10)));
    let crm = Crm::from(crm::Crm::builder().clock(clock).build());
    let met = meet(&crm, TIES_MAX as u32 + 2);
    let (star, fans) = (met[0], &met[1..]);
    for (n, fan) in fans[..TIES_MAX].iter().enumerate() {
        crm.tie(tie(*fan, star, TieKind::Follows, 5), hour(1), source(), key(n)).unwrap();
    }
    let one_more = || crm.tie(tie(fans[TIES_MAX], star, TieKind::Follows, 5), hour(2), source(), key("more"));
    let full = FactRefusal::Tie(TieError::TooMany { customer: star, max: TIES_MAX });
    assert!(matches!(one_more(), Err(Error::Fact(refused)) if refused == full));
    assert!(ties(&crm, fans[TIES_MAX]).is_empty());
    // There is room again once one has ended, and the retry of the one that ended is not a new one.
    crm.untie(Untie { from: fans[3], to: star, kind: TieKind::Follows }, hour(3), source(), key("end")).unwrap();
    assert!(!one_more().unwrap().known);
    assert!(crm.tie(tie(fans[3], star, TieKind::Follows, 5), hour(1), source(), key(3)).unwrap().known);
    assert_eq!(mirrored(&crm, &met).len(), 2 * TIES_MAX);
    assert!(crm.customer(star).unwrap().unwrap().encode().len() < 45_000);
}

#[test]
fn a_tie_from_the_future_waits_with_both() {
    let clock = Arc::new(ManualClock::at(hour(1)));
    over_each_store(&clock, |crm| {
        clock.set(hour(1));
        let met = meet(crm, 2);
        crm.tie(tie(met[0], met[1], TieKind::WorksFor, 5), hour(5), source(), key(1)).unwrap();
        assert!(mirrored(crm, &met).is_empty());
        clock.set(hour(6));
        crm.advance(hour(6)).unwrap();
        assert_eq!(mirrored(crm, &met).len(), 2);
    });
}

#[test]
fn ties_told_by_many_at_once_are_all_there_on_both_sides() {
    let clock = Arc::new(ManualClock::at(hour(10)));
    over_each_store(&clock, |crm| {
        let met = meet(crm, 4);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let met = &met;
                scope.spawn(move || {
                    for n in 0..12 {
                        let (from, to) = (met[(n + thread) % 4], met[(n + thread + 1 + n % 3) % 4]);
                        let kind = TieKind::Other(TieName::new(format!("{thread}-{n}")).unwrap());
                        crm.tie(tie(from, to, kind, 5), hour(1), source(), key(format!("{thread}-{n}"))).unwrap();
                    }
                });
            }
        });
        assert_eq!(mirrored(crm, &met).len(), 2 * 4 * 12);
    });
}

/// What a host may do, each with the fate of its commit.
#[derive(Debug, Clone)]
enum Step {
    Tie(u8, u8, bool, u16, u32),
    Untie(u8, u8, bool, u32),
    Visit(u8, u32),
    Void(u8, usize),
}

fn step() -> impl Strategy<Value = (Step, Fate)> {
    let step = prop_oneof![
        5 => (0..4_u8, 0..4_u8, any::<bool>(), 0..1_001_u16, 0..30_u32)
            .prop_map(|(from, to, mutual, strength, at)| Step::Tie(from, to, mutual, strength, at)),
        3 => (0..4_u8, 0..4_u8, any::<bool>(), 0..30_u32).prop_map(|(a, b, mutual, at)| Step::Untie(a, b, mutual, at)),
        1 => (0..4_u8, 0..30_u32).prop_map(|(who, at)| Step::Visit(who, at)),
        1 => (0..4_u8, 0..20_usize).prop_map(|(who, n)| Step::Void(who, n)),
    ];
    (step, prop_oneof![4 => Just(Fate::Fine), 1 => Just(Fate::Lost), 1 => Just(Fate::Unanswered)])
}

/// Carries a step out; answers whether the store failed meanwhile.
fn carry_out(crm: &Crm, met: &[CustomerId], n: usize, step: &Step) -> bool {
    let kind = |mutual| if mutual { TieKind::Household } else { TieKind::Follows };
    let who = |n: &u8| met[usize::from(*n)];
    let done = match step {
        Step::Tie(from, to, mutual, strength, at) => {
            crm.tie(tie(who(from), who(to), kind(*mutual), *strength), hour(*at), source(), key(n)).map(drop)
        }
        Step::Untie(from, to, mutual, at) => {
            let untie = Untie { from: who(from), to: who(to), kind: kind(*mutual) };
            crm.untie(untie, hour(*at), source(), key(n)).map(drop)
        }
        Step::Visit(who, at) => crm.record(visit(u32::from(*who), hour(*at)).with_key(key(n))).map(drop),
        Step::Void(customer, other) => {
            let event = crm::EventId::of_fact(crm.as_async().tenant_id(), &source(), &other.to_string());
            let void = Voided { event, reason: None };
            crm.record(Incoming::new(who(customer), hour(20), source(), void).with_key(key(n))).map(drop)
        }
    };
    match done {
        Ok(()) => false,
        Err(Error::Fact(FactRefusal::Tie(TieError::WithThemself { .. }))) => false,
        Err(Error::Storage(_)) => true,
        Err(other) => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Whatever is called in whatever order, and however the store fails, two sides mirror each other; and once
    /// everything was sent again, the order in which it was sent does not matter.
    #[test]
    fn two_sides_always_mirror_each_other(
        steps in proptest::collection::vec(step(), 1..20),
        turn in any::<prop::sample::Index>(),
    ) {
        let run = |turn: usize| {
            let fates = Arc::new(Mutex::new(Vec::new()));
            let store = Failing { inner: Arc::new(MemoryStore::new()), fates: Arc::clone(&fates) };
            let clock = Arc::new(ManualClock::at(hour(15)));
            let builder = crm::Crm::builder().store(store).clock(Arc::clone(&clock)).ids(crm::DerivedIds);
            let crm = Crm::from(builder.build());
            let met = meet(&crm, 4);
            let mut order: Vec<usize> = (0..steps.len()).collect();
            order.rotate_left(turn);
            for n in &order {
                let (step, fate) = &steps[*n];
                fates.lock().unwrap().push(*fate);
                carry_out(&crm, &met, *n, step);
                fates.lock().unwrap().clear();
                mirrored(&crm, &met);
            }
            for n in &order {
                assert!(!carry_out(&crm, &met, *n, &steps[*n].0));
            }
            clock.set(hour(40));
            crm.advance(hour(40)).unwrap();
            mirrored(&crm, &met)
        };
        prop_assert_eq!(run(turn.index(steps.len())), run(0));
    }
}
