//! No method ever sees or touches another tenant's rows.

use crm_core::AlarmKind::Lifecycle;
use crm_core::Column;

use super::Fixture;
use super::sample::{
    alarm, at, claim, create, customer, entry, fields, key, owner, release, request, score, step, tag, token, touch,
    update,
};
use super::shop::Shop;
use crate::commit::{Commit, Committed, OutboxEntry, PersonalMove, Token, Version};
use crate::row::{Details, Entry, LeaseToken, Parts, Settlement, Verdict};
use crate::selection::Selection;

/// Writes a little of everything, under ids that every tenant uses. `mark` tells the tenants apart.
async fn furnish(shop: &Shop, mark: &str) {
    let mut write =
        create(1).event(1).change(1).alarm(None, Some(alarm(10, Lifecycle))).score(score("rfm", "x", 1, 1.0));
    write.state.iter_mut().for_each(|state| state.bytes = mark.as_bytes().to_vec());
    write.events[0].body = mark.as_bytes().to_vec();
    write.changes[0].body = mark.as_bytes().to_vec();
    write.scores[0].version = mark.into();
    let write = write.column(Column::Orders, 1).column(Column::Spend, mark.len() as i64).set(tag("vip")).set(tag(mark));
    let moved = fields([("name", Some(mark.as_bytes()))]);
    let write = write.personal(PersonalMove {
        key: Some(mark.as_bytes().to_vec()),
        tokens: Some(vec![token(1), own_token(mark)]),
        ..moved
    });
    let told = |number, due| OutboxEntry { topic: mark.into(), customer: customer(1), ..entry(number, due) };
    shop.done(Commit {
        request: Some(request(1, "k", mark)),
        writes: vec![write],
        claims: vec![claim(key("order", "1"), 1, 1), claim(key("order", "2"), 1, 1), claim(key("email", mark), 1, 1)],
        counters: vec![step("coupon", mark.len() as i64, 99), step(mark, 1, 1)],
        outbox: vec![told(1, 5), told(2, -5)],
        ..Commit::default()
    })
    .await;
    let leased = shop.lease(-5, 10, 9).await;
    assert_eq!(leased.len(), 1);
    assert!(shop.settle(&leased[0], Verdict::Dead { reason: mark.into() }).await);
    shop.store.define(&shop.tenant, 0, mark.as_bytes().to_vec()).await.expect("it is added");
}

/// A token that only the tenant with this mark has.
fn own_token(mark: &str) -> Token {
    let mut token = token(2);
    token.0.iter_mut().zip(mark.bytes()).for_each(|(byte, mark)| *byte = mark);
    token
}

/// Everything a tenant sees carries its own mark, whichever method is asked.
async fn sees_its_own(shop: &Shop, mark: &str, marks: &[&str]) {
    let seen = shop.seen().await;
    let bytes = mark.as_bytes();
    assert_eq!(seen.customers.iter().map(|row| &row.state.bytes[..]).collect::<Vec<_>>(), [bytes]);
    assert_eq!(seen.events.iter().flatten().map(|event| &event.body[..]).collect::<Vec<_>>(), [bytes]);
    assert_eq!(seen.changes.iter().flatten().map(|change| &change.body[..]).collect::<Vec<_>>(), [bytes]);
    assert_eq!(seen.history.iter().flatten().count(), 2);
    let [details] = &seen.details[..] else { unreachable!("one customer: {:?}", seen.details) };
    assert_eq!(details.scores.iter().map(|score| score.version.as_str()).collect::<Vec<_>>(), [mark]);
    assert_eq!(details.traits.columns.get(Column::Spend), Some(mark.len() as i64));
    assert_eq!(details.traits.sets.len(), 2);
    assert!(details.traits.sets.contains(&tag(mark)));
    assert_eq!(details.key.as_deref(), Some(bytes));
    assert_eq!(details.personal, [("name".into(), bytes.to_vec())]);
    assert_eq!(details.tokens, 2);
    assert_eq!(details.requests.iter().map(|request| &request.answer[..]).collect::<Vec<_>>(), [bytes]);
    assert_eq!(details.outbox.iter().map(|entry| entry.topic.as_str()).collect::<Vec<_>>(), [mark, mark]);
    assert_eq!(seen.due.len(), 1);
    assert_eq!(seen.outbox.iter().map(|entry| entry.topic.as_str()).collect::<Vec<_>>(), [mark]);
    assert_eq!(seen.dead.iter().map(|(_, _, reason)| reason.as_str()).collect::<Vec<_>>(), [mark]);
    assert_eq!(seen.definitions, [bytes]);
    let definitions = shop.store.load(&shop.tenant, &[]).await.expect("the store loads").definitions;
    assert_eq!(definitions, 1);
    assert_eq!(shop.resolve(&[key("order", "1"), key("order", "2")]).await, [Some(owner(1, 1)); 2]);
    assert_eq!(shop.counter("coupon").await, mark.len() as i128);
    let again = Commit { request: Some(request(1, "k", mark)), ..Commit::default() };
    assert_eq!(shop.commit(again).await, Ok(Committed::Replayed { answer: bytes.to_vec() }));
    let one_order = Selection::Compare(Column::Orders, crm_core::expression::Comparison::Eq, 1);
    for selection in [Selection::EVERYBODY, one_order, Selection::In(tag("vip")), Selection::Found(token(1))] {
        assert_eq!(shop.select(&selection, None, 9).await, [customer(1)], "{selection:?}");
        assert_eq!(shop.count(&selection).await, 1, "{selection:?}");
    }
    for other in marks {
        let is_own = other == &mark;
        assert_eq!(shop.resolve(&[key("email", other)]).await, [is_own.then(|| owner(1, 1))]);
        assert_eq!(shop.counter(other).await, i128::from(is_own));
        for selection in [Selection::In(tag(other)), Selection::Found(own_token(other))] {
            let own = u64::from(is_own);
            assert_eq!(shop.count(&selection).await, own, "{selection:?}");
            assert_eq!(shop.select(&selection, None, 9).await.len() as u64, own, "{selection:?}");
        }
    }
    if shop.has_feed() {
        let rows = shop.whole_lane(shop.lane(customer(1)), 10).await.into_iter();
        let own: Vec<Entry> = rows.filter(|row| row.tenant == shop.tenant).map(|row| row.entry).collect();
        assert_eq!(own, seen.history[0]);
    }
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
    let marks = ["canary of a", "b", "SHOP", "sho", "shop2"];
    sees_its_own(&a, "canary of a", &marks).await;
    for (other, name) in others.iter().zip(names) {
        sees_its_own(other, name, &marks).await;
    }
    if a.has_feed() {
        let mut tenants = Vec::new();
        for lane in a.lanes() {
            tenants.extend(a.whole_lane(lane, 3).await.into_iter().map(|row| row.tenant.as_str().to_owned()));
        }
        tenants.sort_unstable();
        assert_eq!(tenants, ["SHOP", "SHOP", "b", "b", "sho", "sho", "shop", "shop", "shop2", "shop2"]);
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
    b.done(Commit { releases: vec![release(key("order", "1"), 1)], ..Commit::default() }).await;
    b.done(Commit { claims: vec![claim(key("order", "1"), 2, 2)], ..Commit::default() }).await;
    b.store.define(&b.tenant, 1, b"more".to_vec()).await.expect("it is added");
    for leased in b.lease(100, 1000, 9).await {
        let tokens = (0..50).chain([leased.token.0]).map(LeaseToken);
        let stray = tokens.map(|token| Settlement { id: leased.entry.id, token, verdict: Verdict::Done });
        let settled = a.store.settle(&a.tenant, &stray.collect::<Vec<_>>()).await.expect("the store settles");
        assert!(settled.iter().all(|settled| !settled), "another tenant's lease was settled");
        assert!(b.settle(&leased, Verdict::Done).await);
    }
    sees_its_own(&a, "a", &["a", "bb"]).await;
    for letter in b.dead_letters(None, 9).await {
        let revive = Settlement { id: letter.entry.id, token: letter.token, verdict: Verdict::Retry { at: at(0) } };
        let mine = a.dead_letters(None, 9).await.remove(0);
        let settled = a.store.settle(&a.tenant, std::slice::from_ref(&revive)).await.expect("the store settles");
        // A token may happen to be the same in both tenants; then it was the other tenant's own letter.
        assert_eq!(settled, [mine.token == letter.token]);
        assert_eq!(b.dead_letters(None, 9).await, std::slice::from_ref(&letter));
    }
    assert_eq!(a.load_one(customer(1)).await.map(|row| row.version), Some(Version(1)));
    assert_eq!(b.customers().await.len(), 2);
}

/// An erasure takes nothing from another tenant's customer of the same id.
pub async fn one_tenants_erasure_leaves_the_others_rows(fixture: &dyn Fixture) {
    let a = Shop::open(fixture).await;
    let b = a.neighbour("b");
    furnish(&a, "a").await;
    furnish(&b, "bb").await;
    let erased = b.erase(customer(1), &[key("order", "1"), key("order", "2"), key("order", "3")]).await;
    assert_eq!((erased.fields, erased.key, erased.tokens, erased.outbox, erased.claims), (1, true, 2, 2, 2));
    sees_its_own(&a, "a", &["a", "bb"]).await;
    assert_eq!(a.load_one(customer(1)).await.map(|row| row.version), Some(Version(1)));
    assert!(b.found(token(1)).await.is_empty());
    assert_eq!(b.details(customer(1), Parts { outbox: true, ..Parts::PERSONAL }).await, Details::default());
}
