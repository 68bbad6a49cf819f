//! What is kept when the store is closed and opened again. Stores that keep nothing pass.

use crm_core::AlarmKind::Lifecycle;

use super::Fixture;
use super::sample::{alarm, claim, create, customer, entry, event, key, owner, request, score, step, update};
use super::shop::Shop;
use crate::commit::{Commit, Committed, Version};
use crate::error::CommitError;
use crate::row::Verdict;

async fn reopened(fixture: &dyn Fixture, shop: Shop) -> Option<Shop> {
    let Shop { store, tenant } = shop;
    Some(Shop { store: fixture.reopen(store).await?, tenant })
}

/// Rows of every kind are there, under every tenant.
pub async fn reopening_keeps_everything(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(Commit {
        request: Some(request(1, "k", "answer")),
        writes: vec![
            create(1).event(1).change(1).alarm(None, Some(alarm(9, Lifecycle))).score(score("p", "o", 1, 0.5)),
            create(2),
        ],
        claims: vec![claim(key("order", "1"), 1, 1)],
        counters: vec![step("coupon", 3, 9)],
        outbox: vec![entry(1, 5)],
        ..Commit::default()
    })
    .await;
    shop.done(update(1, 1).event(2)).await;
    shop.store.define(&shop.tenant, 0, b"{}".to_vec()).await.expect("it is added");
    shop.neighbour("other").done(create(7)).await;
    let before = shop.seen().await;
    let Some(shop) = reopened(fixture, shop).await else { return };
    assert_eq!(shop.seen().await, before);
    assert_eq!(shop.resolve(&[key("order", "1")]).await, [Some(owner(1, 1))]);
    assert_eq!(shop.counter("coupon").await, 3);
    assert_eq!(shop.neighbour("other").customers().await.len(), 1);
    let Some(shop) = reopened(fixture, shop).await else { return };
    assert_eq!(shop.seen().await, before);
}

/// Requests are remembered, and so are event ids and versions.
pub async fn reopening_keeps_what_commits_are_judged_by(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let first = || Commit { request: Some(request(1, "k", "answer")), ..create(1).event(1).into() };
    shop.done(first()).await;
    let Some(shop) = reopened(fixture, shop).await else { return };
    assert_eq!(shop.commit(first()).await, Ok(Committed::Replayed { answer: b"answer".to_vec() }));
    let other = Commit { request: Some(request(1, "k", "another")), ..Commit::default() };
    assert_eq!(shop.commit(other).await, Err(CommitError::KeyReused));
    let exists = Err(CommitError::EventExists { customer: customer(1), event: event(1).id });
    assert_eq!(shop.commit(update(1, 1).event(1)).await, exists);
    assert_eq!(shop.done(update(1, 1).event(2)).await, [Version(2)]);
    assert_eq!(shop.events(customer(1), 1).await, [event(1), event(2)]);
}

/// A lease outlives the store, and no token is given a second time.
pub async fn reopening_keeps_leases(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(Commit { outbox: vec![entry(1, 0), entry(2, 0)], ..Commit::default() }).await;
    let leased = shop.lease(0, 100, 1).await;
    let Some(shop) = reopened(fixture, shop).await else { return };
    let other = shop.lease(99, 100, 9).await;
    assert_eq!(other.len(), 1);
    assert_ne!((other[0].entry.id, other[0].token), (leased[0].entry.id, leased[0].token));
    assert!(!shop.settle_with(&other[0], leased[0].token, Verdict::Done).await);
    assert!(shop.settle(&leased[0], Verdict::Done).await);
    assert_eq!(shop.lease(1000, 1, 9).await[0].attempt, 2);
}
