//! The memory store beside a bare hash map: the map checks the version, replaces the state and pushes the
//! event, and does nothing else of what the store promises.

use std::collections::HashMap;

use crm_core::{CustomerId, TenantId};
use crm_storage::conformance::block_on;
use crm_storage::{Commit, EventRow, Expected, MemoryStore, StateRow, Store, Traits};

use crate::report::{Report, in_turn, rate, shown};
use crate::workload::Base;

#[derive(Default)]
struct Kept {
    version: u64,
    state: Option<StateRow>,
    traits: Traits,
    events: Vec<EventRow>,
}

pub(crate) fn run(report: &mut Report, quick: bool) {
    let customers = if quick { 2_000 } else { 200_000 };
    let (size, calls, rounds) = if quick { (32, 3, 1) } else { (1000, 60, 7) };
    let tenant = TenantId::default();
    let store = MemoryStore::new();
    let mut map: HashMap<CustomerId, Kept> = HashMap::new();
    let (mut ours, mut theirs) = (Base::new(customers), Base::new(customers));
    let commit = |batch: Vec<Commit>| {
        let answers = block_on(store.commit(&tenant, batch)).unwrap();
        assert!(answers.iter().all(Result::is_ok));
    };
    ours.make().into_iter().for_each(&commit);
    theirs.make().into_iter().for_each(|batch| put(&mut map, batch));
    let make = |base: &mut Base| -> Vec<Vec<Vec<Commit>>> {
        (0..rounds).map(|_| (0..calls).map(|_| base.batch(size)).collect()).collect()
    };
    let (our_rounds, their_rounds) = (make(&mut ours), make(&mut theirs));
    let (mut our_rounds, mut their_rounds) = (our_rounds.into_iter(), their_rounds.into_iter());
    let (store_time, map_time) = in_turn(
        rounds,
        || our_rounds.next().into_iter().flatten().for_each(&commit),
        || their_rounds.next().into_iter().flatten().for_each(|batch| put(&mut map, batch)),
    );
    let (a, b) = (rate(size * calls, store_time), rate(size * calls, map_time));
    let detail = format!("{} in the store, {} in the map", shown(a), shown(b));
    report.at_least("memory, of a bare hash map", a / b, 0.5, &detail);
}

fn put(map: &mut HashMap<CustomerId, Kept>, batch: Vec<Commit>) {
    for write in batch.into_iter().flat_map(|commit| commit.writes) {
        let kept = map.entry(write.customer).or_default();
        let expected = match write.expected {
            Expected::New => 0,
            Expected::At(version) => version.0,
        };
        assert_eq!(kept.version, expected);
        kept.version += 1;
        kept.state = write.state;
        kept.traits = write.traits;
        kept.events.extend(write.events);
    }
}
