//! The feed: all that was appended, of all tenants, in an order that never changes. Stores without one
//! say so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crm_core::{CustomerId, TenantId};

use super::sample::{claim, create, customer, entry, fields, key, score, step, touch, update};
use super::shop::Shop;
use super::{Fixture, block_on};
use crate::commit::{Commit, Version};
use crate::error::{CursorError, StorageError};
use crate::lane::Lane;
use crate::row::{CursorStep, Entries, Entry, FeedRow};

/// Whose entries.
type Whose = (TenantId, CustomerId);

/// The whole feed, lane by lane. Checks that positions have no gap and that each row is in the lane of its
/// customer.
async fn lanes(shop: &Shop, page_size: usize) -> Vec<Vec<FeedRow>> {
    let mut lanes = Vec::new();
    for lane in shop.lanes() {
        let rows = shop.whole_lane(lane, page_size).await;
        for (row, position) in rows.iter().zip(1..) {
            assert_eq!(row.position, position, "positions are 1, 2, 3 and so on");
            assert_eq!(shop.neighbour(row.tenant.as_str()).lane(row.customer), lane);
        }
        lanes.push(rows);
    }
    lanes
}

/// The entries of each customer, in the order of the feed.
fn by_customer(rows: impl IntoIterator<Item = FeedRow>) -> BTreeMap<Whose, Vec<Entry>> {
    let mut entries: BTreeMap<Whose, Vec<Entry>> = BTreeMap::new();
    rows.into_iter().for_each(|row| entries.entry((row.tenant, row.customer)).or_default().push(row.entry));
    entries
}

/// The histories of tenants, of customers who have one.
async fn histories(shops: &[&Shop]) -> BTreeMap<Whose, Vec<Entry>> {
    let mut histories = BTreeMap::new();
    for shop in shops {
        for row in shop.customers().await {
            let entries = shop.history(row.customer, Entries::All, usize::MAX).await;
            histories.insert((shop.tenant.clone(), row.customer), entries);
        }
    }
    histories.retain(|_, entries| !entries.is_empty());
    histories
}

/// Writes a little of everything under two tenants: commits over several customers, changes without a
/// state, commits that append nothing, and refused ones.
async fn busy(fixture: &dyn Fixture) -> (Shop, Shop) {
    let a = Shop::open(fixture).await;
    let b = a.neighbour("other");
    for (shop, first) in [(&a, 0), (&b, 100)] {
        let number = |at: u64| first + at;
        let writes = (0..8).map(|at| create(at).event(number(at)).event(number(at) + 50).change(number(at)));
        shop.done(Commit { writes: writes.collect(), ..Commit::default() }).await;
    }
    for round in 1..6 {
        for shop in [&a, &b] {
            let writes = (0..4).map(|at| update(at, round).change(round).event(1000 * round + at)).collect();
            shop.done(Commit { writes, ..Commit::default() }).await;
            shop.done(touch(2, 1 + round).change(90 + round).score(score("p", "o", 1, 1.0))).await;
            shop.done(Commit { outbox: vec![entry(round, 0)], counters: vec![step("a", 1, 99)], ..Commit::default() })
                .await;
            assert!(shop.commit(update(7, 9).event(7777).change(1)).await.is_err());
            shop.done(update(6, round).personal(fields([("name", Some(b"Ann"))]))).await;
        }
    }
    (a, b)
}

/// Over all lanes the feed holds every entry of every tenant once, and each customer's in the order of
/// their history.
pub async fn every_entry_is_in_the_feed_once(fixture: &dyn Fixture) {
    let (a, b) = busy(fixture).await;
    if !a.has_feed() {
        return;
    }
    let lanes = lanes(&a, 1000).await;
    assert_eq!(by_customer(lanes.concat()), histories(&[&a, &b]).await);
    let tenants: BTreeSet<&str> = lanes.iter().flatten().map(|row| row.tenant.as_str()).collect();
    assert_eq!(tenants, BTreeSet::from(["other", "shop"]));
}

/// The entries of a lane come in the order of the commits, of one call as of several.
pub async fn a_lane_has_the_order_of_its_commits(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    if !shop.has_feed() {
        return;
    }
    let lane = shop.lane(customer(1));
    let numbers: Vec<u64> = (1..).filter(|number| shop.lane(customer(*number)) == lane).take(3).collect();
    let [one, two, three] = [numbers[0], numbers[1], numbers[2]];
    shop.done(create(two).event(3).change(1)).await;
    let commits = [create(three).event(2), update(two, 1).event(1), create(one).change(7), update(three, 1).event(9)];
    shop.commits(commits.into_iter().map(Commit::from).collect()).await;
    shop.done(update(one, 1).event(5)).await;
    let order: Vec<CustomerId> = shop.whole_lane(lane, 2).await.iter().map(|row| row.customer).collect();
    assert_eq!(order, [two, two, three, two, one, three, one].map(customer));
}

/// A refused commit leaves no gap and no entry, whichever part of it is refused.
pub async fn refused_commits_leave_no_gap(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    if !shop.has_feed() {
        return;
    }
    shop.done(Commit { claims: vec![claim(key("order", "1"), 1, 1)], ..create(1).event(1).into() }).await;
    for version in 1..10 {
        let next = |event| Commit::from(update(1, version).event(event).change(version));
        let commits = vec![
            Commit { writes: vec![update(1, version).event(50 + version), update(9, 1)], ..Commit::default() },
            Commit { writes: vec![update(1, version).event(50 + version).event(1)], ..Commit::default() },
            Commit { claims: vec![claim(key("order", "1"), 2, 2)], ..next(60 + version) },
            Commit { counters: vec![step("a", 2, 1)], ..next(70 + version) },
            next(100 + version),
        ];
        let answers = shop.commits(commits).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    }
    let lanes = lanes(&shop, 5).await;
    assert_eq!(by_customer(lanes.concat()), histories(&[&shop]).await);
    assert_eq!(lanes.concat().len(), 19);
}

/// Whoever asks again gets the same rows, in pages of any size and after more was written.
pub async fn the_feed_is_repeatable(fixture: &dyn Fixture) {
    let (a, _) = busy(fixture).await;
    if !a.has_feed() {
        return;
    }
    let first = lanes(&a, usize::MAX).await;
    let Some((longest, lane)) = first.iter().zip(a.lanes()).max_by_key(|(rows, _)| rows.len()) else { return };
    for page_size in [0, 1, 2, 3, 7, longest.len(), 1000] {
        assert_eq!(a.whole_lane(lane, page_size).await, *longest, "pages of {page_size}");
    }
    assert_eq!(a.feed(lane, 0, 0).await, longest[..1], "at least one");
    let end = longest.len() as u64;
    assert_eq!(a.feed(lane, end - 1, 9).await, longest[longest.len() - 1..]);
    for after in [end, end + 1, i64::MAX as u64, u64::MAX] {
        assert!(a.feed(lane, after, 9).await.is_empty(), "after {after}");
    }
    let writes = (0..8).map(|number| create(500 + number).event(number));
    a.done(Commit { writes: writes.collect(), ..Commit::default() }).await;
    a.erase(customer(1), &[]).await;
    let later = lanes(&a, usize::MAX).await;
    for (later, first) in later.iter().zip(&first) {
        assert_eq!(later[..first.len()], first[..]);
    }
}

/// While 4 writers append, a reader who remembers only the last position sees each entry once, in order.
pub async fn a_polling_reader_skips_nothing_and_sees_nothing_twice(fixture: &dyn Fixture) {
    const WRITERS: u64 = 4;
    let shop = Arc::new(Shop::open(fixture).await);
    if !shop.has_feed() {
        return;
    }
    let used: BTreeSet<Lane> = (0..WRITERS * 3).map(|number| shop.lane(customer(number))).collect();
    let writing = AtomicUsize::new(WRITERS as usize);
    let seen: Vec<FeedRow> = std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (shop, writing) = (Arc::clone(&shop), &writing);
            scope.spawn(move || {
                for round in 0..40 {
                    let writes = (0..3).map(|at| {
                        let number = writer * 3 + at;
                        let write = if round == 0 { create(number) } else { update(number, round) };
                        write.event(round).change(round)
                    });
                    let mut commits = vec![Commit { writes: writes.collect(), ..Commit::default() }];
                    commits.push(update(writer * 3, 99).event(9999).into());
                    let answers = block_on(shop.commits(commits));
                    assert!(answers[0].is_ok() && answers[1].is_err(), "{answers:?}");
                }
                writing.fetch_sub(1, Ordering::SeqCst);
            });
        }
        let (mut seen, mut after) = (Vec::new(), BTreeMap::new());
        loop {
            // What is written before this is asked is there; so the last round sees the last entry.
            let is_last = writing.load(Ordering::SeqCst) == 0;
            for lane in &used {
                let position = after.entry(*lane).or_insert(0);
                loop {
                    let page = block_on(shop.feed(*lane, *position, 7));
                    for row in &page {
                        assert_eq!(row.position, *position + 1, "the next position");
                        *position = row.position;
                    }
                    if page.is_empty() {
                        break;
                    }
                    seen.extend(page);
                }
            }
            if is_last {
                break seen;
            }
            std::thread::yield_now();
        }
    });
    assert_eq!(seen.len() as u64, WRITERS * 3 * 40 * 2);
    assert_eq!(by_customer(seen), histories(&[&shop]).await);
    assert!(shop.customers().await.iter().all(|row| row.version == Version(40)));
}

/// It is empty, and a cursor in it stands at the start.
pub async fn a_lane_that_does_not_exist_is_empty(fixture: &dyn Fixture) {
    let (shop, _) = busy(fixture).await;
    if !shop.has_feed() {
        return;
    }
    let lanes = shop.store.capabilities().lanes;
    assert!(lanes.is_power_of_two(), "{lanes} lanes");
    for lane in [lanes, lanes + 1, u16::MAX].map(Lane) {
        assert!(shop.feed(lane, 0, 9).await.is_empty());
        let stands = shop.cursor("reader", lane, CursorStep::Look).await.expect("the store has cursors");
        assert_eq!((stands.position, stands.epoch), (0, 0));
        let moved = shop.cursor("reader", lane, CursorStep::Move { epoch: 0, to: 1 }).await;
        assert!(matches!(moved, Err(CursorError::OutOfRange { end: 0, .. })), "{moved:?}");
    }
}

/// A store whose capabilities have no feed answers `Unsupported`, whatever it is asked.
pub async fn a_store_without_a_feed_says_so(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    if shop.has_feed() {
        return;
    }
    shop.done(create(1).event(1)).await;
    for lane in [0, 1, u16::MAX].map(Lane) {
        assert!(matches!(shop.store.feed(lane, 0, 9).await, Err(StorageError::Unsupported { .. })));
        for step in [CursorStep::Look, CursorStep::Take, CursorStep::Move { epoch: 0, to: 0 }] {
            let answer = shop.cursor("reader", lane, step).await;
            assert!(matches!(answer, Err(CursorError::Storage(StorageError::Unsupported { .. }))), "{answer:?}");
        }
    }
}
