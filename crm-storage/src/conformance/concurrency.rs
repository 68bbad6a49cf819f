//! Many threads at once.

use std::sync::{Arc, Barrier};

use super::sample::{claim, create, customer, event_id, key, step, update};
use super::shop::Shop;
use super::{Fixture, block_on};
use crate::commit::{Commit, Committed, Version};
use crate::error::CommitError;

pub(super) const THREADS: u64 = 16;

/// Runs something on 16 threads that start together, and gives what came out.
pub(super) fn together<T: Send>(work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(THREADS as usize);
    std::thread::scope(|scope| {
        let work = &work;
        let start = &start;
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    start.wait();
                    work(thread)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    })
}

/// Each round 16 writers expect the same version: one wins, and the others learn the new one.
pub async fn of_many_writers_of_one_version_one_wins(fixture: &dyn Fixture) {
    let shop = Arc::new(Shop::open(fixture).await);
    shop.done(create(1)).await;
    for version in 1..=20 {
        let answers = together(|thread| block_on(shop.commit(update(1, version).event(version * 100 + thread))));
        let conflict = CommitError::Conflict { customer: customer(1), actual: Some(Version(version + 1)) };
        let lost = answers.iter().filter(|answer| **answer == Err(conflict.clone())).count();
        let won = answers.iter().filter(|answer| matches!(answer, Ok(Committed::Done { .. }))).count();
        assert_eq!((won, lost), (1, THREADS as usize - 1), "{answers:?}");
    }
    assert_eq!(shop.events(customer(1), 100).await.len(), 20);
}

/// Writers of different customers never get in each other's way.
pub async fn writers_of_different_customers_all_succeed(fixture: &dyn Fixture) {
    let shop = Arc::new(Shop::open(fixture).await);
    together(|thread| {
        block_on(async {
            shop.done(create(thread).event(0)).await;
            for version in 1..25 {
                shop.done(update(thread, version).event(version).change(version)).await;
                let row = shop.load_one(customer(thread)).await.expect("the customer is there");
                assert_eq!(row.version, Version(version + 1), "a writer reads what it wrote");
            }
        });
    });
    for row in shop.customers().await {
        assert_eq!(row.version, Version(25));
        let events: Vec<_> = shop.events(row.customer, 7).await.iter().map(|event| event.id).collect();
        assert_eq!(events, (0..25).map(event_id).collect::<Vec<_>>());
    }
}

/// Of 16 customers who claim one key at once, one gets it; a limit of 5 is reached and not passed.
pub async fn claims_and_counters_hold_under_a_race(fixture: &dyn Fixture) {
    let shop = Arc::new(Shop::open(fixture).await);
    let claimed = together(|thread| {
        let claims = vec![claim(key("order", "1"), thread, thread)];
        block_on(shop.commit(Commit { claims, ..create(thread).into() })).is_ok()
    });
    assert_eq!(claimed.into_iter().filter(|won| *won).count(), 1);
    assert_eq!(shop.customers().await.len(), 1);
    let counted = together(|thread| {
        let counters = vec![step("coupon", 1, 5)];
        block_on(shop.commit(Commit { counters, ..create(100 + thread).into() })).is_ok()
    });
    assert_eq!(counted.into_iter().filter(|won| *won).count(), 5);
    assert_eq!((shop.counter("coupon").await, shop.customers().await.len()), (5, 6));
}

/// Commits over many customers, named in opposite orders, do not lock each other out.
pub async fn commits_over_many_customers_do_not_deadlock(fixture: &dyn Fixture) {
    let shop = Arc::new(Shop::open(fixture).await);
    shop.done(Commit { writes: (0..20).map(create).collect(), ..Commit::default() }).await;
    together(|thread| {
        block_on(async {
            let mut applied = 0;
            while applied < 3 {
                let mut numbers: Vec<u64> = (0..20).collect();
                if thread % 2 == 1 {
                    numbers.reverse();
                }
                let ids: Vec<_> = numbers.iter().map(|&number| customer(number)).collect();
                let loaded = shop.load(&ids).await;
                let versions = loaded.iter().flatten().map(|row| row.version.0);
                let writes = numbers.iter().zip(versions).map(|(&number, version)| update(number, version)).collect();
                applied += u64::from(shop.commit(Commit { writes, ..Commit::default() }).await.is_ok());
            }
        });
    });
    assert!(shop.customers().await.iter().all(|row| row.version == Version(1 + 3 * THREADS)));
}

/// An entry is leased by one of those who ask at once.
pub async fn leases_do_not_overlap(fixture: &dyn Fixture) {
    let shop = Arc::new(Shop::open(fixture).await);
    let outbox = (0..64).map(|number| super::sample::entry(number, 0)).collect();
    shop.done(Commit { outbox, ..Commit::default() }).await;
    let leased = together(|_| block_on(shop.lease(0, 1000, 5)));
    let mut ids: Vec<_> = leased.iter().flatten().map(|leased| leased.entry.id).collect();
    assert_eq!(ids.len(), 64);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 64);
}
