//! A commit is applied wholly or not at all, whichever part of it is refused.

use crm_core::AlarmKind::{FactDue, Lifecycle};
use crm_core::Column;

use super::Fixture;
use super::sample::{
    alarm, claim, create, customer, entry, event_id, fields, key, owner, release, request, score, step, tag, token,
    tokens, update, with_details,
};
use super::shop::Shop;
use crate::commit::{Commit, Committed, CustomerWrite, GivenUp, PersonalMove, Version};
use crate::error::CommitError;

/// A shop with a little of everything.
async fn furnished(fixture: &dyn Fixture) -> Shop {
    let shop = Shop::open(fixture).await;
    shop.done(Commit {
        request: Some(request(1, "used", "first")),
        writes: vec![
            with_details(create(1).event(1).change(1).alarm(None, Some(alarm(10, Lifecycle)))),
            create(2).event(2).change(2),
        ],
        claims: vec![
            claim(key("order", "1"), 1, 1),
            claim(key("order", "2"), 1, 2),
            claim(key("order", "12"), 1, 2),
            claim(key("order", "13"), 1, 2),
        ],
        counters: vec![step("coupon", 3, 5), step("stock", 1, 9)],
        outbox: vec![entry(1, 5)],
        ..Commit::default()
    })
    .await;
    shop
}

/// A commit that would touch every kind of row, and is in order. Its new keys come before the taken one.
fn everything() -> Commit {
    let first = update(1, 1).event(11).event(12).change(11).alarm(Some(alarm(10, Lifecycle)), Some(alarm(20, FactDue)));
    let moved = fields([("name", Some(b"Anna")), ("mail", Some(b"x"))]);
    let moved = PersonalMove { key: Some(b"new".to_vec()), tokens: tokens([2, 3]).tokens, ..moved };
    let first = first.column(Column::Orders, 4).set(tag("new")).personal(moved);
    Commit {
        request: Some(request(1, "fresh", "answer")),
        writes: vec![
            first.score(score("rfm", "total", 1, 2.0)).score(score("rfm", "new", 1, 2.0)),
            with_details(create(3).event(13).change(13).alarm(None, Some(alarm(30, FactDue)))),
            update(2, 1).event(14).change(14),
        ],
        releases: vec![release(key("order", "12"), 1), release(key("order", "13"), 1)],
        claims: vec![
            claim(key("order", "10"), 1, 11),
            claim(key("order", "1"), 1, 1),
            claim(key("order", "11"), 3, 13),
            claim(key("order", "13"), 3, 13),
        ],
        counters: vec![step("coupon", 1, 5), step("other", 2, 9), step("stock", -1, 9)],
        outbox: vec![entry(21, 1), entry(22, 9)],
        dead_letters: vec![GivenUp { entry: entry(23, 4), attempts: 2, reason: "down".into() }],
    }
}

/// Breaks the commit, sees it refused without a trace, and sees it done once it is whole.
async fn leaves_no_trace(fixture: &dyn Fixture, break_it: impl FnOnce(&mut Commit), refusal: CommitError) {
    let shop = furnished(fixture).await;
    let keys = ["1", "2", "10", "11", "12", "13", "14"].map(|order| key("order", order));
    let before = (shop.seen().await, shop.resolve(&keys).await);
    let mut broken = everything();
    break_it(&mut broken);
    let bystander = |number| Commit::from(create(number).event(number).change(number));
    let answers = shop.commits(vec![bystander(100), broken, bystander(101)]).await;
    let done = Ok(Committed::Done { versions: vec![Version(1)] });
    assert_eq!(answers, [done.clone(), Err(refusal), done]);
    let mut after = (shop.seen().await, shop.resolve(&keys).await);
    // The commits around it are there, and nothing else is.
    assert_eq!(after.0.customers.split_off(2).len(), 2);
    assert_eq!((after.0.events.split_off(2).len(), after.0.changes.split_off(2).len()), (2, 2));
    assert_eq!((after.0.history.split_off(2).len(), after.0.details.split_off(2).len()), (2, 2));
    assert_eq!(after, before);
    assert_eq!((shop.found(token(2)).await, shop.found(token(3)).await), (vec![customer(1)], vec![]));
    let counters = [shop.counter("coupon").await, shop.counter("stock").await, shop.counter("other").await];
    assert_eq!(counters, [3, 1, 0]);
    // A trace of any kind would keep the whole commit from being done: an event, a key, the request.
    assert_eq!(shop.done(everything()).await, [Version(2), Version(1), Version(2)]);
    assert_eq!(shop.events(customer(1), 10).await.len(), 3);
    let owners = [Some(owner(1, 11)), Some(owner(3, 13)), None, Some(owner(3, 13))];
    assert_eq!(shop.resolve(&keys[2..6]).await, owners);
    assert_eq!(
        (shop.found(token(2)).await, shop.found(token(3)).await),
        (vec![customer(1), customer(3)], vec![customer(1)])
    );
    assert_eq!(shop.counter("other").await, 2);
}

/// The last of three customers is at another version.
pub async fn a_version_conflict_leaves_no_trace(fixture: &dyn Fixture) {
    let stale = |commit: &mut Commit| commit.writes[2] = update(2, 9).event(14);
    let refusal = CommitError::Conflict { customer: customer(2), actual: Some(Version(1)) };
    leaves_no_trace(fixture, stale, refusal).await;
}

/// The last event of the last customer is there already.
pub async fn an_existing_event_leaves_no_trace(fixture: &dyn Fixture) {
    let repeat = |commit: &mut Commit| commit.writes[2] = update(2, 1).event(14).event(15).event(2);
    leaves_no_trace(fixture, repeat, CommitError::EventExists { customer: customer(2), event: event_id(2) }).await;
}

/// The last key is another customer's.
pub async fn a_taken_key_leaves_no_trace(fixture: &dyn Fixture) {
    let taken = |commit: &mut Commit| commit.claims.push(claim(key("order", "2"), 3, 13));
    leaves_no_trace(fixture, taken, CommitError::Claimed { key: key("order", "2"), owner: owner(1, 2) }).await;
}

/// The last key that is given up is another customer's.
pub async fn a_key_that_is_not_owned_leaves_no_trace(fixture: &dyn Fixture) {
    let stray = |commit: &mut Commit| commit.releases.push(release(key("order", "2"), 3));
    leaves_no_trace(fixture, stray, CommitError::NotOwned { key: key("order", "2"), customer: customer(3) }).await;
}

/// The last counter would pass its limit.
pub async fn a_counter_past_its_limit_leaves_no_trace(fixture: &dyn Fixture) {
    let over = |commit: &mut Commit| commit.counters.push(step("coupon", 2, 5));
    let refusal = CommitError::CounterLimit { name: "coupon".into(), value: 6, limit: 5 };
    leaves_no_trace(fixture, over, refusal).await;
}

/// The idempotency key was used for something else.
pub async fn a_reused_key_leaves_no_trace(fixture: &dyn Fixture) {
    let reuse = |commit: &mut Commit| commit.request = Some(request(1, "used", "second"));
    leaves_no_trace(fixture, reuse, CommitError::KeyReused).await;
}

/// The commit contradicts itself in its last part.
pub async fn a_malformed_commit_leaves_no_trace(fixture: &dyn Fixture) {
    let twice = |commit: &mut Commit| commit.writes.push(CustomerWrite { events: Vec::new(), ..update(1, 1) });
    leaves_no_trace(fixture, twice, CommitError::Malformed { what: "a customer comes twice" }).await;
}

/// A replay changes nothing, whatever else the commit says.
pub async fn a_replay_leaves_no_trace(fixture: &dyn Fixture) {
    let shop = furnished(fixture).await;
    let before = shop.seen().await;
    let replay = Commit { request: Some(request(1, "used", "first")), ..everything() };
    assert_eq!(shop.commit(replay).await, Ok(Committed::Replayed { answer: b"first".to_vec() }));
    assert_eq!(shop.seen().await, before);
    assert_eq!(shop.counter("coupon").await, 3);
    assert_eq!(shop.resolve(&[key("order", "10")]).await, [None]);
}
