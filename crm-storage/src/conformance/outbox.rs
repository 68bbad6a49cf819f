//! What the host is to be told: leased, delivered, settled.

use crm_core::Timestamp;

use super::Fixture;
use super::sample::{at, create, customer, entry, event_id};
use super::shop::Shop;
use crate::commit::{Commit, OutboxEntry};
use crate::row::{LeaseToken, Leased, Settlement, Verdict};

fn tells(outbox: impl IntoIterator<Item = OutboxEntry>) -> Commit {
    Commit { outbox: outbox.into_iter().collect(), ..Commit::default() }
}

fn ids(leased: &[Leased]) -> Vec<OutboxEntry> {
    leased.iter().map(|leased| leased.entry.clone()).collect()
}

/// By when they are due and then by id; not before they are due, and at that instant.
pub async fn entries_are_leased_in_the_order_of_when_they_are_due(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let mut entries = vec![entry(1, 30), entry(2, 10), entry(3, 10), entry(4, -10), entry(5, 10), entry(6, 40)];
    shop.done(tells(entries.clone())).await;
    entries.sort_by_key(|entry| (entry.due_at, entry.id));
    assert!(shop.lease(-11, 5, 9).await.is_empty());
    assert!(shop.lease(40, 5, 0).await.is_empty());
    assert_eq!(ids(&shop.lease(30, 5, 2).await), entries[..2]);
    assert_eq!(ids(&shop.lease(30, 5, 100).await), entries[2..5]);
    assert!(shop.lease(30, 5, 100).await.is_empty(), "what is leased is not leased again");
    assert_eq!(ids(&shop.lease(40, 5, 100).await), entries, "the leases have ended, and the last entry is due");
}

/// What is leased says how often it was, and comes as it was written.
pub async fn a_lease_counts_the_attempts(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let written = OutboxEntry { topic: "mail\0 店".into(), body: vec![0, 255], ..entry(1, 0) };
    shop.done(Commit { outbox: vec![written.clone()], ..create(1).event(1).into() }).await;
    let mut tokens = Vec::new();
    for attempt in 1..=4 {
        let leased = shop.lease(i64::from(attempt) * 10, 5, 9).await;
        assert_eq!(ids(&leased), std::slice::from_ref(&written));
        assert_eq!(leased[0].attempt, attempt);
        assert!(!tokens.contains(&leased[0].token.0), "each lease of an entry has another token");
        tokens.push(leased[0].token.0);
    }
}

/// At its last instant a lease has ended, and not one millisecond before.
pub async fn a_lease_ends_at_its_last_instant(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(tells([entry(1, 0)])).await;
    assert_eq!(shop.lease(100, 50, 9).await.len(), 1);
    assert!(shop.lease(149, 50, 9).await.is_empty());
    assert_eq!(shop.lease(150, 0, 9).await.len(), 1);
    assert_eq!(shop.lease(150, 50, 9).await.len(), 1, "a lease of no length has ended at once");
}

/// It is gone, and stays gone.
pub async fn an_entry_that_is_done_goes(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(tells([entry(1, 0), entry(2, 0)])).await;
    let leased = shop.lease(0, 50, 9).await;
    assert!(shop.settle(&leased[0], Verdict::Done).await);
    assert!(!shop.settle(&leased[0], Verdict::Done).await, "it is settled once");
    assert!(!shop.settle(&leased[0], Verdict::Retry { at: at(9) }).await);
    assert_eq!(ids(&shop.lease(1000, 50, 9).await), [leased[1].entry.clone()]);
}

/// It is due again then, in its new place, and the attempts go on.
pub async fn an_entry_to_be_retried_is_due_again_then(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(tells([entry(1, 0), entry(2, 20)])).await;
    let leased = shop.lease(0, 500, 9).await;
    assert!(shop.settle(&leased[0], Verdict::Retry { at: at(30) }).await);
    assert!(!shop.settle(&leased[0], Verdict::Done).await, "a lease is settled once");
    assert!(shop.lease(19, 50, 9).await.is_empty());
    let again = shop.lease(30, 50, 9).await;
    assert_eq!(ids(&again), [entry(2, 20), entry(1, 30)]);
    assert_eq!(again.iter().map(|leased| leased.attempt).collect::<Vec<_>>(), [1, 2]);
    assert!(shop.settle(&again[1], Verdict::Retry { at: Timestamp::MIN }).await, "it may be due in the past");
    assert_eq!(shop.lease(30, 50, 9).await[0].attempt, 3);
}

/// Whoever comes late with an older token changes nothing.
pub async fn a_stale_token_settles_nothing(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(tells([entry(1, 0), entry(2, 0)])).await;
    let first = shop.lease(0, 10, 9).await;
    assert!(shop.settle(&first[1], Verdict::Done).await);
    let second = shop.lease(10, 10, 9).await;
    assert!(!shop.settle(&first[0], Verdict::Done).await);
    assert!(!shop.settle(&first[0], Verdict::Retry { at: at(0) }).await);
    for token in [0, u64::MAX, i64::MAX as u64, second[0].token.0 + 1] {
        assert!(!shop.settle_with(&second[0], LeaseToken(token), Verdict::Done).await, "{token}");
    }
    assert!(shop.lease(19, 10, 9).await.is_empty(), "the second lease holds");
    assert!(shop.settle(&second[0], Verdict::Done).await);
}

/// A lease that has ended can still be settled, as long as nobody else has leased the entry.
pub async fn a_lease_that_has_ended_can_be_settled_until_the_next_one(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(tells([entry(1, 0)])).await;
    let leased = shop.lease(0, 10, 9).await;
    assert!(shop.lease(5, 10, 9).await.is_empty());
    assert!(shop.settle(&leased[0], Verdict::Done).await);
    assert!(shop.lease(1000, 10, 9).await.is_empty());
}

/// One answer for each settlement, in order; an entry given twice is settled once.
pub async fn settlements_are_answered_in_order(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(tells((1..=3).map(|number| entry(number, number as i64)))).await;
    let leased = shop.lease(9, 10, 9).await;
    let settlement = |at: usize, verdict| Settlement { id: leased[at].entry.id, token: leased[at].token, verdict };
    let settlements = [
        settlement(2, Verdict::Done),
        Settlement { id: event_id(99), token: leased[0].token, verdict: Verdict::Done },
        settlement(0, Verdict::Retry { at: at(50) }),
        settlement(2, Verdict::Done),
        settlement(0, Verdict::Done),
        settlement(1, Verdict::Done),
    ];
    let settled = shop.store.settle(&shop.tenant, &settlements).await.expect("the store settles");
    assert_eq!(settled, [true, false, true, false, false, true]);
    assert!(shop.store.settle(&shop.tenant, &[]).await.expect("the store settles").is_empty());
    assert_eq!(ids(&shop.lease(100, 10, 9).await), [entry(1, 50)]);
}

/// An id that waits is left as it is; one that is done may come again, and old tokens do not fit it.
pub async fn an_entry_whose_id_waits_already_is_left_as_it_is(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(tells([entry(1, 0)])).await;
    shop.done(tells([OutboxEntry { customer: customer(7), ..entry(1, 99) }, entry(2, 0), entry(2, 5)])).await;
    let leased = shop.lease(0, 10, 9).await;
    let mut expected = [entry(1, 0), entry(2, 0)];
    expected.sort_by_key(|entry| entry.id);
    assert_eq!(ids(&leased), expected);
    for leased in &leased {
        assert!(shop.settle(leased, Verdict::Done).await);
    }
    shop.done(tells([entry(1, 0)])).await;
    let again = shop.lease(100, 10, 9).await;
    assert_eq!((ids(&again), again[0].attempt), (vec![entry(1, 0)], 1));
    for old in &leased {
        assert!(!shop.settle_with(&again[0], old.token, Verdict::Done).await);
    }
}
