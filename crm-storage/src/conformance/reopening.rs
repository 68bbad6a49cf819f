//! What is kept when the store is closed and opened again. Stores that keep nothing pass.

use crm_core::AlarmKind::Lifecycle;

use super::Fixture;
use super::sample::{
    alarm, at, claim, create, customer, entry, event, key, owner, release, request, step, tag, token, update,
    with_details,
};
use super::shop::Shop;
use crate::commit::{Commit, Committed, Version};
use crate::error::CommitError;
use crate::row::{CursorStep, Verdict};
use crate::selection::Selection;

async fn reopened(fixture: &dyn Fixture, shop: Shop) -> Option<Shop> {
    let Shop { store, tenant } = shop;
    Some(Shop { store: fixture.reopen(store).await?, tenant })
}

/// Rows of every kind are there, under every tenant.
pub async fn reopening_keeps_everything(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(Commit {
        request: Some(request(1, "k", "answer")),
        writes: vec![with_details(create(1).event(1).change(1).alarm(None, Some(alarm(9, Lifecycle)))), create(2)],
        claims: vec![claim(key("order", "1"), 1, 1)],
        counters: vec![step("coupon", 3, 9)],
        outbox: vec![entry(1, 5)],
        ..Commit::default()
    })
    .await;
    shop.done(update(1, 1).event(2).set(tag("vip"))).await;
    shop.store.define(&shop.tenant, 0, b"{}".to_vec()).await.expect("it is added");
    shop.neighbour("other").done(create(7)).await;
    let before = shop.seen().await;
    let Some(shop) = reopened(fixture, shop).await else { return };
    assert_eq!(shop.seen().await, before);
    assert_eq!(shop.resolve(&[key("order", "1")]).await, [Some(owner(1, 1))]);
    assert_eq!(shop.counter("coupon").await, 3);
    assert_eq!(shop.neighbour("other").customers().await.len(), 1);
    assert_eq!(shop.found(token(1)).await, [customer(1)]);
    assert_eq!(shop.select(&Selection::In(tag("vip")), None, 9).await, [customer(1)]);
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

/// What was erased, released, revived and given up stays so.
pub async fn reopening_keeps_what_was_taken_away(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let claims = vec![claim(key("order", "1"), 1, 1), claim(key("order", "2"), 1, 1), claim(key("order", "3"), 1, 1)];
    let outbox = (1..5).map(|number| entry(number, number as i64)).collect();
    shop.done(Commit { claims, outbox, ..with_details(create(1)).into() }).await;
    shop.done(Commit { releases: vec![release(key("order", "1"), 1)], ..Commit::default() }).await;
    let leased = shop.lease(9, 100, 9).await;
    assert!(shop.settle(&leased[1], Verdict::Dead { reason: "gone".into() }).await);
    assert!(shop.settle(&leased[2], Verdict::Dead { reason: "gone, too".into() }).await);
    assert!(shop.settle(&leased[3], Verdict::GiveBack).await);
    shop.erase(customer(1), &[key("order", "2")]).await;
    let letters = shop.all_dead_letters(9).await;
    let before = shop.kept(usize::MAX).await;
    let Some(shop) = reopened(fixture, shop).await else { return };
    assert_eq!(shop.kept(usize::MAX).await, before);
    assert_eq!(shop.all_dead_letters(9).await, letters);
    let keys = ["1", "2", "3"].map(|order| key("order", order));
    assert_eq!(shop.resolve(&keys).await, [None, None, Some(owner(1, 1))]);
    assert!(shop.found(token(1)).await.is_empty());
    assert!(!shop.settle(&leased[0], Verdict::Done).await, "what was erased cannot be settled");
    assert!(shop.settle(&leased[1], Verdict::Retry { at: at(9) }).await, "a dead letter keeps its token");
    let again = shop.lease(9, 100, 9).await;
    assert_eq!(again.iter().map(|leased| leased.attempt).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(shop.commit(update(1, 1)).await.ok(), None);
    assert_eq!(shop.done(update(1, 2)).await, [Version(3)]);
}

/// The feed goes on where it ended, and consumers stand where they stood.
pub async fn reopening_keeps_the_feed_and_its_cursors(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    if !shop.has_feed() {
        return;
    }
    let lane = shop.lane(customer(1));
    shop.done((0..9).fold(create(1).change(1), |write, number| write.event(number))).await;
    let before = shop.whole_lane(lane, 9).await;
    shop.cursor("mailer", lane, CursorStep::Take).await.expect("it is taken");
    shop.cursor("mailer", lane, CursorStep::Move { epoch: 1, to: 7 }).await.expect("it moves");
    let Some(shop) = reopened(fixture, shop).await else { return };
    assert_eq!(shop.whole_lane(lane, 9).await, before);
    let stands = shop.cursor("mailer", lane, CursorStep::Look).await.expect("it stands somewhere");
    assert_eq!((stands.position, stands.epoch), (7, 1));
    let taken = shop.cursor("mailer", lane, CursorStep::Take).await.expect("it is taken");
    assert_eq!((taken.position, taken.epoch), (7, 2));
    assert!(shop.cursor("mailer", lane, CursorStep::Move { epoch: 1, to: 8 }).await.is_err());
    shop.done(update(1, 1).event(100)).await;
    let after = shop.whole_lane(lane, 4).await;
    assert_eq!((&after[..10], after[10].position), (&before[..], 11));
    shop.cursor("mailer", lane, CursorStep::Move { epoch: 2, to: 11 }).await.expect("it moves to the end");
}
