//! Ties of people who are merged, parted and erased: whatever comes first, two sides never part.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod failing;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crm::blocking::Crm;
use crm::{
    Channel, CustomerId, Direction, Error, ExternalSystem, FactKey, FactRefusal, Identifier, Incoming, ManualClock,
    MemoryStore, MergeRefusal, Remark, Source, Span, Store, Strength, Tie, TieKind, Timestamp, Untie, Visited,
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

fn why() -> Remark {
    "test".parse().unwrap()
}

fn meet(crm: &Crm, count: u32) -> Vec<CustomerId> {
    let met = (0..count).map(|n| {
        let who = Identifier::external(&ExternalSystem::new("shop").unwrap(), &n.to_string()).unwrap();
        let visit = Visited { channel: Channel::Web, place: None };
        crm.record(Incoming::new(who, hour(0), source(), visit)).unwrap().customer
    });
    met.collect()
}

fn tie(from: CustomerId, to: CustomerId, kind: TieKind, per_mille: u16) -> Tie {
    Tie { from, to, kind, strength: Strength::new(per_mille).unwrap() }
}

fn untie(from: CustomerId, to: CustomerId, kind: TieKind) -> Untie {
    Untie { from, to, kind }
}

/// Ties by who they are between: as whom each goes on now, in which way, how strongly and since when.
type Between = BTreeMap<(CustomerId, CustomerId, TieKind, Direction), Vec<(u16, Timestamp)>>;

/// Each tie of each person is there on the other side too, the other way round.
#[track_caller]
fn mirrored(crm: &Crm, met: &[CustomerId]) -> Between {
    let head = |id: CustomerId| crm.customer(id).unwrap().unwrap().id();
    let mut all = Between::new();
    let mut heads: Vec<CustomerId> = met.iter().map(|id| head(*id)).collect();
    heads.sort_unstable();
    heads.dedup();
    for id in heads {
        for tie in crm.customer(id).unwrap().unwrap().ties() {
            let place = (id, head(tie.other), tie.kind.clone(), tie.direction);
            all.entry(place).or_default().push((tie.strength.per_mille(), tie.since));
        }
    }
    all.values_mut().for_each(|ties| ties.sort_unstable());
    for ((one, other, kind, direction), ties) in &all {
        let mirror = all.get(&(*other, *one, kind.clone(), direction.mirrored()));
        assert_eq!(mirror, Some(ties), "{kind:?} of {one} and {other}: {all:#?}");
    }
    all
}

fn count(ties: &Between) -> usize {
    ties.values().map(Vec::len).sum()
}

/// Does something with a CRM over each store.
fn over_each_store(clock: &Arc<ManualClock>, work: impl Fn(&Crm)) {
    let mut stores: Vec<Arc<dyn Store>> = vec![Arc::new(MemoryStore::new())];
    let folder = tempfile::tempdir().unwrap();
    #[cfg(feature = "sqlite")]
    stores.push(Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()));
    while let Some(store) = stores.pop() {
        clock.set(hour(10));
        work(&Crm::from(crm::Crm::builder().shared_store(store).clock(Arc::clone(clock)).build()));
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(hour(10)))
}

#[test]
fn a_tie_ends_for_both_sides_through_whichever_member_its_end_is_told() {
    let clock = clock();
    over_each_store(&clock, |crm| {
        let met = meet(crm, 4);
        let [ana, anna, acme, acne] = met[..] else { panic!("four") };
        crm.tie(tie(ana, acme, TieKind::WorksFor, 500), hour(1), source(), key(1)).unwrap();
        crm.merge(ana, anna, why()).unwrap();
        crm.merge(acme, acne, why()).unwrap();
        assert_eq!(count(&mirrored(crm, &met)), 2);
        let end = untie(anna, acne, TieKind::WorksFor);
        assert!(!crm.untie(end.clone(), hour(3), source(), key(2)).unwrap().known);
        assert!(crm.untie(end.clone(), hour(3), source(), key(2)).unwrap().known);
        assert_eq!(count(&mirrored(crm, &met)), 0);
        crm.part(ana, anna, why()).unwrap();
        crm.part(acne, acme, why()).unwrap();
        assert_eq!(count(&mirrored(crm, &met)), 0, "and it stays so when they are parted");
        assert!(crm.untie(end, hour(3), source(), key(2)).unwrap().known);
    });
}

#[test]
fn a_tie_of_each_member_is_one_of_its_own_and_all_end_together() {
    let clock = clock();
    over_each_store(&clock, |crm| {
        let met = meet(crm, 3);
        let [ana, anna, acme] = met[..] else { panic!("three") };
        crm.tie(tie(ana, acme, TieKind::WorksFor, 300), hour(1), source(), key(1)).unwrap();
        crm.merge(ana, anna, why()).unwrap();
        crm.tie(tie(anna, acme, TieKind::WorksFor, 900), hour(2), source(), key(2)).unwrap();
        assert_eq!(count(&mirrored(crm, &met)), 4);
        crm.part(ana, anna, why()).unwrap();
        let apart = mirrored(crm, &met);
        assert_eq!(apart[&(ana, acme, TieKind::WorksFor, Direction::Outgoing)], [(300, hour(1))]);
        assert_eq!(apart[&(anna, acme, TieKind::WorksFor, Direction::Outgoing)], [(900, hour(2))]);
        crm.merge(ana, anna, why()).unwrap();
        crm.untie(untie(ana, acme, TieKind::WorksFor), hour(4), source(), key(3)).unwrap();
        assert_eq!(count(&mirrored(crm, &met)), 0);
        crm.part(ana, anna, why()).unwrap();
        assert_eq!(count(&mirrored(crm, &met)), 0);
    });
}

#[test]
fn a_tie_that_is_told_late_has_ended_if_its_end_was_told_through_another_member() {
    let clock = clock();
    over_each_store(&clock, |crm| {
        let met = meet(crm, 4);
        let [ana, anna, acme, acne] = met[..] else { panic!("four") };
        // Told while they were two: it says nothing of the others.
        crm.untie(untie(anna, acne, TieKind::Manages), hour(9), source(), key(1)).unwrap();
        clock.set(hour(11));
        crm.merge(ana, anna, why()).unwrap();
        crm.merge(acme, acne, why()).unwrap();
        crm.untie(untie(anna, acne, TieKind::WorksFor), hour(5), source(), key(2)).unwrap();
        crm.untie(untie(anna, acme, TieKind::WorksFor), hour(3), source(), key(3)).unwrap();

        crm.tie(tie(ana, acme, TieKind::WorksFor, 500), hour(1), source(), key(4)).unwrap();
        assert_eq!(count(&mirrored(crm, &met)), 0);
        let past: Vec<_> = crm.customer(acne).unwrap().unwrap().past_ties().map(|tie| (tie.since, tie.until)).collect();
        assert_eq!(past, [(hour(1), Some(hour(3)))], "by the first end after it");
        assert!(crm.tie(tie(ana, acme, TieKind::WorksFor, 500), hour(1), source(), key(4)).unwrap().known);

        crm.tie(tie(ana, acme, TieKind::WorksFor, 500), hour(6), source(), key(5)).unwrap();
        crm.tie(tie(ana, acme, TieKind::Manages, 500), hour(2), source(), key(6)).unwrap();
        crm.tie(tie(acme, ana, TieKind::WorksFor, 500), hour(2), source(), key(7)).unwrap();
        assert_eq!(count(&mirrored(crm, &met)), 6, "after the ends, of another kind, the other way round");
        crm.part(ana, anna, why()).unwrap();
        assert_eq!(count(&mirrored(crm, &met)), 6);
    });
}

#[test]
fn whoever_is_erased_is_tied_to_nobody_and_cannot_be_tied_again() {
    let clock = clock();
    over_each_store(&clock, |crm| {
        let met = meet(crm, 5);
        let [ana, anna, ben, acme, zoe] = met[..] else { panic!("five") };
        crm.tie(tie(ana, ben, TieKind::Referred, 500), hour(1), source(), key(1)).unwrap();
        crm.tie(tie(ben, anna, TieKind::Household, 500), hour(1), source(), key(2)).unwrap();
        crm.tie(tie(anna, acme, TieKind::WorksFor, 500), hour(1), source(), key(3)).unwrap();
        crm.tie(tie(ben, acme, TieKind::WorksFor, 500), hour(1), source(), key(4)).unwrap();
        // One is told before it begins.
        crm.tie(tie(zoe, ana, TieKind::Follows, 500), hour(20), source(), key(5)).unwrap();
        crm.merge(ana, anna, why()).unwrap();
        let erasure = crm.erase(ana).unwrap();
        assert!(erasure.places().any(|place| place == ("ties", 4)), "{erasure:?}");
        assert_eq!(count(&mirrored(crm, &met)), 2, "of those who are left");
        assert_eq!(crm.erase(anna).unwrap().places().map(|(_, count)| count).sum::<u64>(), 0);
        let past: Vec<_> = crm.customer(ben).unwrap().unwrap().past_ties().map(|tie| tie.until).collect();
        assert_eq!(past, [Some(hour(10)); 2]);
        for (from, to) in [(ana, ben), (ben, anna), (zoe, ana)] {
            let told = crm.tie(tie(from, to, TieKind::Follows, 5), hour(11), source(), key("again"));
            assert!(matches!(told, Err(Error::Fact(FactRefusal::Tie(_)))), "{told:?}");
        }
        // What was told before is known still, and its end may be told again.
        assert!(crm.tie(tie(ana, ben, TieKind::Referred, 500), hour(1), source(), key(1)).unwrap().known);
        crm.untie(untie(ana, ben, TieKind::Referred), hour(12), source(), key("end")).unwrap();
        clock.set(hour(30));
        crm.advance(hour(30)).unwrap();
        assert_eq!(count(&mirrored(crm, &met)), 2);
    });
}

#[test]
fn an_erasure_that_was_cut_off_among_the_ties_is_finished_by_erasing_again() {
    for turn in 0..8 {
        for fate in [Fate::Lost, Fate::Unanswered] {
            let fates = Arc::new(Mutex::new(Vec::new()));
            let store = Failing { inner: Arc::new(MemoryStore::new()), fates: Arc::clone(&fates) };
            let crm = Crm::from(crm::Crm::builder().store(store).clock(clock()).build());
            let met = meet(&crm, 4);
            for n in 1..4 {
                crm.tie(tie(met[0], met[n], TieKind::Follows, 5), hour(1), source(), key(n)).unwrap();
            }
            // The last one is the next one's.
            let mut next = vec![Fate::Fine; turn];
            next.insert(0, fate);
            *fates.lock().unwrap() = next;
            let first = crm.erase(met[0]);
            fates.lock().unwrap().clear();
            assert!(first.is_ok() || matches!(first, Err(Error::Storage(_))), "{first:?}");
            crm.erase(met[0]).unwrap();
            assert_eq!(count(&mirrored(&crm, &met)), 0);
            assert!(crm.customer(met[0]).unwrap().unwrap().is_erased());
        }
    }
}

/// What a host may do.
#[derive(Debug, Clone)]
enum Step {
    Tie(u8, u8, bool, u16, u32),
    Untie(u8, u8, bool, u32),
    Merge(u8, u8),
    Part(u8, u8),
    Erase(u8),
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    let one = || 0..5_u8;
    prop_oneof![
        6 => (one(), one(), any::<bool>(), 0..1_001_u16, 0..30_u32)
            .prop_map(|(from, to, mutual, strength, at)| Step::Tie(from, to, mutual, strength, at)),
        4 => (one(), one(), any::<bool>(), 0..30_u32).prop_map(|(a, b, mutual, at)| Step::Untie(a, b, mutual, at)),
        3 => (one(), one()).prop_map(|(one, other)| Step::Merge(one, other)),
        2 => (one(), one()).prop_map(|(one, other)| Step::Part(one, other)),
        1 => one().prop_map(Step::Erase),
        1 => Just(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("CRM_SOAK").is_some() { 1_000 } else { 50 }))]

    /// Whatever is tied, untied, merged, parted and erased, in whatever order, two sides mirror each other, nobody is
    /// tied to somebody who was erased, and an end that is told last of all leaves none of its kind.
    #[test]
    fn two_sides_mirror_each_other_whoever_they_become(steps in proptest::collection::vec(step(), 1..30)) {
        let clock = clock();
        let builder = crm::Crm::builder().clock(Arc::clone(&clock)).ids(crm::DerivedIds);
        let crm = Crm::from(builder.build());
        let met = meet(&crm, 5);
        let kind = |mutual| if mutual { TieKind::Household } else { TieKind::Follows };
        let who = |n: &u8| met[usize::from(*n)];
        let mut now = 10;
        for (n, step) in steps.iter().enumerate() {
            match step {
                Step::Tie(from, to, mutual, strength, at) => {
                    let told = tie(who(from), who(to), kind(*mutual), *strength);
                    let erased = [from, to].iter().any(|id| crm.customer(who(id)).unwrap().unwrap().is_erased());
                    match crm.tie(told, hour(*at), source(), key(n)) {
                        Ok(_) => prop_assert!(!erased),
                        Err(Error::Fact(FactRefusal::Tie(_))) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                Step::Untie(from, to, mutual, at) => {
                    let end = untie(who(from), who(to), kind(*mutual));
                    match crm.untie(end, hour(*at), source(), key(n)) {
                        Ok(_) => {}
                        Err(Error::Fact(FactRefusal::Tie(_))) => continue,
                        Err(error) => panic!("{error}"),
                    }
                    if *at <= now {
                        let ties = mirrored(&crm, &met);
                        let [from, to] = [from, to].map(|id| crm.customer(who(id)).unwrap().unwrap().id());
                        let direction = if *mutual { Direction::Mutual } else { Direction::Outgoing };
                        let left = ties.get(&(from, to, kind(*mutual), direction)).into_iter().flatten();
                        prop_assert!(left.clone().all(|(_, since)| *since >= hour(*at)), "{:?}", left);
                    }
                }
                Step::Merge(one, other) => match crm.merge(who(one), who(other), why()) {
                    Ok(_) | Err(Error::Merge(MergeRefusal::Erased { .. })) => {}
                    Err(error) => panic!("{error}"),
                },
                Step::Part(one, other) => match crm.part(who(one), who(other), why()) {
                    Ok(_) | Err(Error::Merge(MergeRefusal::NotMerged { .. })) => {}
                    Err(error) => panic!("{error}"),
                },
                Step::Erase(one) => drop(crm.erase(who(one)).unwrap()),
                Step::Wait => {
                    now += 5;
                    clock.set(hour(now));
                    crm.advance(hour(now)).unwrap();
                }
            }
            let ties = mirrored(&crm, &met);
            for (one, other, ..) in ties.keys() {
                for id in [one, other] {
                    prop_assert!(!crm.customer(*id).unwrap().unwrap().is_erased());
                }
            }
        }
    }
}
