//! Keys that are given up, and keys that move.

use std::sync::Arc;

use super::concurrency::{THREADS, together};
use super::sample::{
    claim, create, customer, entry, event_id, fields, key, owner, release, request, step, tag, tokens, update,
};
use super::shop::Shop;
use super::{Fixture, block_on};
use crate::commit::{Claim, ClaimKey, Commit, Committed, Release, Version};
use crate::error::CommitError;

fn moves(releases: Vec<Release>, claims: Vec<Claim>) -> Commit {
    Commit { releases, claims, ..Commit::default() }
}

fn order() -> ClaimKey {
    key("order", "1")
}

fn not_owned(key: ClaimKey, number: u64) -> Result<Committed, CommitError> {
    Err(CommitError::NotOwned { key, customer: customer(number) })
}

/// A shop in which customer 1 has two keys.
async fn with_keys(fixture: &dyn Fixture) -> Shop {
    let shop = Shop::open(fixture).await;
    let claims = vec![claim(order(), 1, 1), claim(key("order", "2"), 1, 1)];
    shop.done(Commit { claims, writes: vec![create(1).event(1), create(2)], ..Commit::default() }).await;
    shop
}

/// It is nobody's then, and another customer can take it; the other keys stay.
pub async fn a_released_key_can_be_claimed_by_another(fixture: &dyn Fixture) {
    let shop = with_keys(fixture).await;
    shop.done(moves(vec![release(order(), 1)], vec![])).await;
    let keys = [order(), key("order", "2")];
    assert_eq!(shop.resolve(&keys).await, [None, Some(owner(1, 1))]);
    assert_eq!(shop.commit(moves(vec![release(order(), 1)], vec![])).await, not_owned(order(), 1));
    shop.done(moves(vec![], vec![claim(order(), 2, 2)])).await;
    assert_eq!(shop.resolve(&keys).await, [Some(owner(2, 2)), Some(owner(1, 1))]);
}

/// One commit moves a key to another customer, or to another event of the same one.
pub async fn a_commit_that_releases_and_claims_moves_a_key(fixture: &dyn Fixture) {
    let shop = with_keys(fixture).await;
    shop.done(moves(vec![release(order(), 1)], vec![claim(order(), 2, 9)])).await;
    assert_eq!(shop.resolve(&[order()]).await, [Some(owner(2, 9))]);
    shop.done(moves(vec![release(order(), 2)], vec![claim(order(), 2, 10), claim(order(), 2, 10)])).await;
    assert_eq!(shop.resolve(&[order()]).await, [Some(owner(2, 10))]);
    // Two customers exchange their keys.
    let swap = moves(
        vec![release(order(), 2), release(key("order", "2"), 1)],
        vec![claim(order(), 1, 11), claim(key("order", "2"), 2, 11)],
    );
    shop.done(swap).await;
    assert_eq!(shop.resolve(&[order(), key("order", "2")]).await, [Some(owner(1, 11)), Some(owner(2, 11))]);
}

/// Each commit of a call is judged on which keys the ones before it left.
pub async fn a_key_released_in_a_commit_is_free_for_the_next(fixture: &dyn Fixture) {
    let shop = with_keys(fixture).await;
    let answers = shop
        .commits(vec![
            moves(vec![], vec![claim(order(), 2, 2)]),
            moves(vec![release(order(), 1)], vec![]),
            moves(vec![], vec![claim(order(), 2, 2)]),
            moves(vec![release(order(), 1)], vec![]),
        ])
        .await;
    let done = Ok(Committed::Done { versions: vec![] });
    let taken = Err(CommitError::Claimed { key: order(), owner: owner(1, 1) });
    assert_eq!(answers, [taken, done.clone(), done, not_owned(order(), 1)]);
    assert_eq!(shop.resolve(&[order()]).await, [Some(owner(2, 2))]);
}

/// A key that nobody has, that another has, or that differs in a byte cannot be given up; nothing of such a
/// commit is written.
pub async fn releasing_a_key_one_does_not_have_leaves_no_trace(fixture: &dyn Fixture) {
    let shop = with_keys(fixture).await;
    let before = shop.seen().await;
    let strange =
        [(key("order", "9"), 1), (order(), 2), (order(), 9), (key("Order", "1"), 1), (key("order", "1\0"), 1)];
    for (stray, number) in strange {
        let commit = Commit {
            request: Some(request(1, "k", "a")),
            writes: vec![update(1, 1).event(5).change(5).set(tag("new")).personal(fields([("f", Some(b"v"))]))],
            releases: vec![release(key("order", "2"), 1), release(stray.clone(), number)],
            claims: vec![claim(key("order", "2"), 2, 2), claim(key("order", "3"), 1, 5)],
            counters: vec![step("coupon", 1, 9)],
            outbox: vec![entry(5, 0)],
            ..Commit::default()
        };
        assert_eq!(shop.commit(commit).await, not_owned(stray, number));
    }
    assert_eq!(shop.seen().await, before);
    let keys = [order(), key("order", "2"), key("order", "3")];
    assert_eq!(shop.resolve(&keys).await, [Some(owner(1, 1)), Some(owner(1, 1)), None]);
    assert_eq!(shop.counter("coupon").await, 0);
    shop.done(Commit { request: Some(request(1, "k", "a")), ..update(1, 1).event(5).into() }).await;
}

/// A commit that is refused for another reason gives up nothing.
pub async fn a_refused_commit_releases_nothing(fixture: &dyn Fixture) {
    let shop = with_keys(fixture).await;
    shop.done(moves(vec![], vec![claim(key("order", "3"), 2, 2)])).await;
    let released = || vec![release(order(), 1)];
    let taken = moves(released(), vec![claim(order(), 2, 9), claim(key("order", "3"), 1, 1)]);
    assert!(matches!(shop.commit(taken).await, Err(CommitError::Claimed { .. })));
    let over = Commit { counters: vec![step("a", 2, 1)], ..moves(released(), vec![claim(order(), 2, 9)]) };
    assert!(matches!(shop.commit(over).await, Err(CommitError::CounterLimit { .. })));
    assert_eq!(shop.resolve(&[order()]).await, [Some(owner(1, 1))]);
}

/// Event ids come before releases, releases before claims, claims before counters.
pub async fn releases_are_judged_after_events_and_before_claims(fixture: &dyn Fixture) {
    let shop = with_keys(fixture).await;
    let mut commit = Commit {
        writes: vec![update(1, 1).event(1)],
        releases: vec![release(key("order", "8"), 1), release(key("order", "9"), 1)],
        claims: vec![claim(order(), 2, 2)],
        counters: vec![step("a", 2, 1)],
        ..Commit::default()
    };
    let exists = Err(CommitError::EventExists { customer: customer(1), event: event_id(1) });
    assert_eq!(shop.commit(commit.clone()).await, exists);
    commit.writes[0].events.clear();
    assert_eq!(shop.commit(commit.clone()).await, not_owned(key("order", "8"), 1));
    commit.releases.remove(0);
    assert_eq!(shop.commit(commit.clone()).await, not_owned(key("order", "9"), 1));
    commit.releases.remove(0);
    let taken = Err(CommitError::Claimed { key: order(), owner: owner(1, 1) });
    assert_eq!(shop.commit(commit.clone()).await, taken);
    commit.releases.push(release(order(), 1));
    assert!(matches!(shop.commit(commit.clone()).await, Err(CommitError::CounterLimit { .. })));
    commit.counters.clear();
    assert_eq!(shop.done(commit).await, [Version(2)]);
    assert_eq!(shop.resolve(&[order()]).await, [Some(owner(2, 2))]);
}

/// A commit that gives up a key twice contradicts itself, whoever has it.
pub async fn a_key_released_twice_is_malformed(fixture: &dyn Fixture) {
    let shop = with_keys(fixture).await;
    for second in [1, 2] {
        let twice = moves(vec![release(order(), 1), release(key("order", "2"), 1), release(order(), second)], vec![]);
        assert!(matches!(shop.commit(twice).await, Err(CommitError::Malformed { .. })));
    }
    assert_eq!(shop.resolve(&[order()]).await, [Some(owner(1, 1))]);
}

/// Of 16 who move one key from its owner at once, one wins, and the others change nothing.
pub async fn of_many_who_move_one_key_one_wins(fixture: &dyn Fixture) {
    let shop = Arc::new(with_keys(fixture).await);
    let mut holder = 1;
    for round in 1..=10 {
        let number = |thread: u64| 1000 * round + thread;
        let answers = together(|thread| {
            let moved = moves(vec![release(order(), holder)], vec![claim(order(), number(thread), 1)]);
            let write = create(number(thread)).event(1).personal(tokens([round]));
            block_on(shop.commit(Commit { writes: vec![write], ..moved }))
        });
        let won: Vec<u64> = (0..THREADS).filter(|&thread| answers[thread as usize].is_ok()).map(number).collect();
        assert_eq!(won.len(), 1, "{answers:?}");
        assert_eq!(shop.resolve(&[order()]).await, [Some(owner(won[0], 1))]);
        let lost = answers.iter().filter(|answer| **answer == not_owned(order(), holder)).count();
        assert_eq!(lost, THREADS as usize - 1, "{answers:?}");
        holder = won[0];
    }
    assert_eq!(shop.customers().await.len(), 12);
}
