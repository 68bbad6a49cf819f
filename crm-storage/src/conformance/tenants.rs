//! No method ever sees or touches another tenant's rows.

use crm_core::AlarmKind::Lifecycle;

use super::Fixture;
use super::sample::{alarm, claim, create, customer, entry, key, owner, request, score, step, touch, update};
use super::shop::Shop;
use crate::commit::{Commit, Committed, Version};
use crate::row::{LeaseToken, Settlement, Verdict};

/// Writes a little of everything, under ids that every tenant uses. `mark` tells the tenants apart.
async fn furnish(shop: &Shop, mark: &str) {
    let mut write =
        create(1).event(1).change(1).alarm(None, Some(alarm(10, Lifecycle))).score(score("rfm", "x", 1, 1.0));
    write.state.iter_mut().for_each(|state| state.bytes = mark.as_bytes().to_vec());
    write.events[0].body = mark.as_bytes().to_vec();
    write.changes[0].body = mark.as_bytes().to_vec();
    write.scores[0].version = mark.into();
    let mut told = entry(1, 5);
    told.topic = mark.into();
    shop.done(Commit {
        request: Some(request(1, "k", mark)),
        writes: vec![write],
        claims: vec![claim(key("order", "1"), 1, 1)],
        counters: vec![step("coupon", mark.len() as i64, 99)],
        outbox: vec![told],
        ..Commit::default()
    })
    .await;
    shop.store.define(&shop.tenant, 0, mark.as_bytes().to_vec()).await.expect("it is added");
}

/// Everything a tenant sees carries its own mark.
async fn sees_its_own(shop: &Shop, mark: &str) {
    let seen = shop.seen().await;
    let bytes = mark.as_bytes();
    assert_eq!(seen.customers.iter().map(|row| &row.state.bytes[..]).collect::<Vec<_>>(), [bytes]);
    assert_eq!(seen.events.iter().flatten().map(|event| &event.body[..]).collect::<Vec<_>>(), [bytes]);
    assert_eq!(seen.changes.iter().flatten().map(|change| &change.body[..]).collect::<Vec<_>>(), [bytes]);
    assert_eq!(seen.scores.iter().flatten().map(|score| score.version.as_str()).collect::<Vec<_>>(), [mark]);
    assert_eq!(seen.due.len(), 1);
    assert_eq!(seen.outbox.iter().map(|entry| entry.topic.as_str()).collect::<Vec<_>>(), [mark]);
    assert_eq!(seen.definitions, [bytes]);
    assert_eq!(shop.resolve(&[key("order", "1")]).await, [Some(owner(1, 1))]);
    assert_eq!(shop.counter("coupon").await, mark.len() as i128);
    let again = Commit { request: Some(request(1, "k", mark)), ..Commit::default() };
    assert_eq!(shop.commit(again).await, Ok(Committed::Replayed { answer: bytes.to_vec() }));
}

/// Two tenants use the same ids for everything, and a third has nothing.
pub async fn tenants_never_meet(fixture: &dyn Fixture) {
    let a = Shop::open(fixture).await;
    let names = ["b", "SHOP", "sho", "shop2"];
    let others = names.map(|name| a.neighbour(name));
    furnish(&a, "canary of a").await;
    for (other, name) in others.iter().zip(names) {
        assert!(other.seen().await.customers.is_empty());
        assert_eq!(other.load(&[customer(1)]).await, [None]);
        furnish(other, name).await;
    }
    sees_its_own(&a, "canary of a").await;
    for (other, name) in others.iter().zip(names) {
        sees_its_own(other, name).await;
    }
}

/// What one tenant writes, moves, leases and settles leaves the other as it was.
pub async fn one_tenants_writes_leave_the_others_rows(fixture: &dyn Fixture) {
    let a = Shop::open(fixture).await;
    let b = a.neighbour("b");
    furnish(&a, "a").await;
    furnish(&b, "bb").await;
    let clear = update(1, 1).event(2).change(2).alarm(Some(alarm(10, Lifecycle)), None);
    b.done(Commit { counters: vec![step("coupon", 7, 99)], outbox: vec![entry(2, 5)], ..clear.into() }).await;
    b.done(touch(1, 2).score(score("rfm", "x", 1, 9.0))).await;
    b.done(create(2)).await;
    b.store.define(&b.tenant, 1, b"more".to_vec()).await.expect("it is added");
    for leased in b.lease(100, 1000, 9).await {
        let tokens = (0..50).chain([leased.token.0]).map(LeaseToken);
        let stray = tokens.map(|token| Settlement { id: leased.entry.id, token, verdict: Verdict::Done });
        let settled = a.store.settle(&a.tenant, &stray.collect::<Vec<_>>()).await.expect("the store settles");
        assert!(settled.iter().all(|settled| !settled), "another tenant's lease was settled");
        assert!(b.settle(&leased, Verdict::Done).await);
    }
    sees_its_own(&a, "a").await;
    assert_eq!(a.load_one(customer(1)).await.map(|row| row.version), Some(Version(1)));
    assert_eq!(b.customers().await.len(), 2);
}
