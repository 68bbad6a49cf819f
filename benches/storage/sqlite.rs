//! SQLite through the contract beside the same SQL by hand.

use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crm_core::TenantId;
use crm_storage::conformance::block_on;
use crm_storage::{Commit, SqliteOptions, SqliteStore, Store};
use tempfile::TempDir;

use crate::by_hand::ByHand;
use crate::report::{Report, in_turn, median, rate, shown, time};
use crate::workload::{Base, customer};

/// All of it, or the batches of 1 alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    All,
    Single,
}

pub(crate) fn run(report: &mut Report, extent: Extent, quick: bool) {
    let customers = if quick { 2_000 } else { 200_000 };
    let folder = tempfile::tempdir().unwrap();
    let tenant = TenantId::default();
    let store = SqliteStore::open_with(folder.path().join("store"), &SqliteOptions::default()).unwrap();
    let mut by_hand = ByHand::open(&folder.path().join("by-hand"));
    let (mut ours, mut theirs) = (Base::new(customers), Base::new(customers));
    for batch in ours.make() {
        commit(&store, &tenant, batch);
    }
    theirs.make().into_iter().for_each(|batch| by_hand.commit(batch));

    let mut batch_of_32 = Duration::ZERO;
    for (size, limit) in [(1, 0.85), (32, 0.92), (1000, 0.95)] {
        let calls = if quick { 3 } else { 12_000 / (size + 11) };
        let rounds = if quick { 1 } else { 9 };
        // What is written is made beforehand.
        let make = |base: &mut Base| -> Vec<Vec<Vec<Commit>>> {
            (0..rounds).map(|_| (0..calls).map(|_| base.batch(size)).collect()).collect()
        };
        let (our_rounds, their_rounds) = (make(&mut ours), make(&mut theirs));
        let (mut our_rounds, mut their_rounds) = (our_rounds.into_iter(), their_rounds.into_iter());
        let (trait_time, hand_time) = in_turn(
            rounds,
            || our_rounds.next().into_iter().flatten().for_each(|batch| commit(&store, &tenant, batch)),
            || their_rounds.next().into_iter().flatten().for_each(|batch| by_hand.commit(batch)),
        );
        if size == 32 {
            batch_of_32 = trait_time / u32::try_from(calls).unwrap();
        }
        let (a, b) = (rate(size * calls, trait_time), rate(size * calls, hand_time));
        let detail = format!("{} through the store, {} by hand", shown(a), shown(b));
        report.at_least(&format!("SQLite, batches of {size}, of the same SQL by hand"), a / b, limit, &detail);
        if extent == Extent::Single {
            return;
        }
    }

    concurrent(report, &store, &tenant, &mut ours, rate(32, batch_of_32), quick);
    reads(report, &store, &tenant, &by_hand, customers, quick);
    commit_beside_a_sync(report, &store, &tenant, &mut ours, &folder, quick);
}

fn commit(store: &SqliteStore, tenant: &TenantId, batch: Vec<Commit>) {
    let answers = block_on(store.commit(tenant, batch)).unwrap();
    assert!(answers.iter().all(Result::is_ok), "{:?}", answers.iter().find(|answer| answer.is_err()));
}

/// 64 threads, each with one event at a time.
fn concurrent(report: &mut Report, store: &SqliteStore, tenant: &TenantId, base: &mut Base, of: f64, quick: bool) {
    let each = if quick { 2 } else { 150 };
    let commits: Vec<_> =
        (0..each).flat_map(|_| base.batch(64)).map(|commit| std::sync::Mutex::new(Some(commit))).collect();
    let next = AtomicUsize::new(0);
    let took = time(|| {
        std::thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    // The commits of one customer are many apart, so that they come in order.
                    while let Some(slot) = commits.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let one = slot.lock().unwrap().take().unwrap();
                        let answers = block_on(store.commit(tenant, vec![one])).unwrap();
                        drop(answers);
                    }
                });
            }
        });
    });
    let all = rate(commits.len(), took);
    let detail = format!("{} of 64 callers, {} in batches of 32", shown(all), shown(of));
    report.at_least("SQLite, 64 callers with one event each, of batches of 32", all / of, 0.8, &detail);
    // Some may have met a version that was not there yet; the rest of the bench goes by what is.
    let ids: Vec<_> = (0..base.versions.len()).map(customer).collect();
    for (numbers, chunk) in (0..).step_by(1000).zip(ids.chunks(1000)) {
        let rows = block_on(store.load(tenant, chunk)).unwrap().rows;
        for (at, row) in rows.into_iter().enumerate() {
            base.versions[numbers + at] = row.map_or(0, |row| row.version.0);
        }
    }
}

/// Lists of 64 customers by id.
fn reads(report: &mut Report, store: &SqliteStore, tenant: &TenantId, hand: &ByHand, customers: usize, quick: bool) {
    let lists = if quick { 5 } else { 500 };
    let mut dice = crate::workload::Dice(3);
    let lists: Vec<Vec<_>> =
        (0..lists).map(|_| (0..64).map(|_| customer((dice.roll() % customers as u64) as usize)).collect()).collect();
    let (ours, raw) = in_turn(
        if quick { 1 } else { 9 },
        || {
            for list in &lists {
                assert_eq!(block_on(store.load(tenant, list)).unwrap().rows.iter().flatten().count(), 64);
            }
        },
        || {
            for list in &lists {
                let mut select = hand
                    .file
                    .prepare_cached("SELECT version, shape, state FROM crm_customer WHERE tenant = 1 AND id = ?1")
                    .unwrap();
                let row = |row: &rusqlite::Row<'_>| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, u16>(1)?, row.get::<_, Vec<u8>>(2)?))
                };
                let rows: Vec<_> =
                    list.iter().map(|id| select.query_row([id.as_uuid().as_bytes()], row).unwrap()).collect();
                assert_eq!(rows.len(), 64);
            }
        },
    );
    let each = |time: Duration| time.as_secs_f64() * 1e6 / (lists.len() * 64) as f64;
    let detail = format!("{:.2} µs each, {:.2} µs by hand", each(ours), each(raw));
    let ratio = ours.as_secs_f64() / raw.as_secs_f64();
    report.at_most("SQLite, a list of 64 point reads, of the raw statements", ratio, 1.5, &detail);
}

/// The median of single commits beside the median of appending a page to a file and syncing it.
fn commit_beside_a_sync(
    report: &mut Report,
    store: &SqliteStore,
    tenant: &TenantId,
    base: &mut Base,
    folder: &TempDir,
    quick: bool,
) {
    let calls = if quick { 20 } else { 3_000 };
    let mut file = File::create(folder.path().join("sync")).unwrap();
    let (mut commits, mut syncs) = (Vec::new(), Vec::new());
    for _ in 0..calls {
        let one = base.batch(1);
        commits.push(time(|| commit(store, tenant, one)));
        syncs.push(time(|| {
            file.write_all(&[7; 4096]).unwrap();
            file.sync_data().unwrap();
        }));
    }
    let (commit, sync) = (median(&mut commits), median(&mut syncs));
    let detail = format!("{commit:.0?} a commit, {sync:.0?} a page appended and synced");
    let ratio = commit.as_secs_f64() / sync.as_secs_f64();
    report.at_most("SQLite, the median durable commit, of a raw sync", ratio, 2.5, &detail);
}
