//! A request is carried out once, and gets its first answer for ever.

use std::sync::{Arc, Barrier};

use super::sample::{create, customer, request, update};
use super::shop::Shop;
use super::{Fixture, block_on};
use crate::commit::{Commit, Committed, Version};
use crate::error::CommitError;

fn requested(key: &str, body: &str) -> Commit {
    Commit { request: Some(request(1, key, body)), ..create(1).event(1).into() }
}

fn replayed(body: &str) -> Result<Committed, CommitError> {
    Ok(Committed::Replayed { answer: body.as_bytes().to_vec() })
}

/// Its version is stale by then, which does not matter; later commits do not either.
pub async fn a_request_sent_again_gets_its_first_answer(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(requested("k", "a")).await;
    assert_eq!(shop.commit(requested("k", "a")).await, replayed("a"));
    for version in 1..20 {
        shop.done(update(1, version).event(1 + version)).await;
        assert_eq!(shop.commit(requested("k", "a")).await, replayed("a"));
    }
    // The answer of the first time counts, also if the caller comes with another.
    let mut other = requested("k", "a");
    other.request.iter_mut().for_each(|request| request.answer = b"another".to_vec());
    assert_eq!(shop.commit(other).await, replayed("a"));
    assert_eq!(shop.load_one(customer(1)).await.map(|row| row.version), Some(Version(20)));
}

/// The digest tells one body from another.
pub async fn a_key_with_another_digest_is_refused(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(requested("k", "a")).await;
    assert_eq!(shop.commit(requested("k", "b")).await, Err(CommitError::KeyReused));
    assert_eq!(shop.commit(requested("k", "a")).await, replayed("a"));
}

/// Keys belong to their customer, and every byte of them counts.
pub async fn a_key_belongs_to_its_customer(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(requested("k", "a")).await;
    shop.done(Commit { request: Some(request(2, "k", "b")), ..create(2).into() }).await;
    for (at, other) in ["K", "k ", "k\0", &"k".repeat(255)].into_iter().enumerate() {
        shop.done(Commit { request: Some(request(1, other, "c")), ..update(1, 1 + at as u64).into() }).await;
    }
    assert_eq!(shop.commit(requested("k", "a")).await, replayed("a"));
    let again = Commit { request: Some(request(2, "k", "b")), ..Commit::default() };
    assert_eq!(shop.commit(again).await, replayed("b"));
}

/// The caller decides again and sends the same key with a commit that holds.
pub async fn a_refused_commit_does_not_use_up_its_key(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1)).await;
    assert!(shop.commit(requested("k", "a")).await.is_err());
    shop.done(Commit { request: Some(request(1, "k", "b")), ..update(1, 1).into() }).await;
    assert_eq!(shop.commit(requested("k", "b")).await, replayed("b"));
}

/// An empty answer is an answer.
pub async fn an_answer_may_be_empty(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(requested("k", "")).await;
    assert_eq!(shop.commit(requested("k", "")).await, replayed(""));
}

/// The same request from 8 threads at once is carried out by one of them.
pub async fn requests_sent_at_once_are_carried_out_once(fixture: &dyn Fixture) {
    let shop = Arc::new(Shop::open(fixture).await);
    for round in 0..20 {
        let (key, start) = (format!("k{round}"), Arc::new(Barrier::new(8)));
        let commit = Commit { request: Some(request(1, &key, "a")), ..create(100 + round).into() };
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (shop, start, commit) = (Arc::clone(&shop), Arc::clone(&start), commit.clone());
                std::thread::spawn(move || {
                    start.wait();
                    block_on(shop.commit(commit))
                })
            })
            .collect();
        let answers: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect();
        let done = answers.iter().filter(|answer| matches!(answer, Ok(Committed::Done { .. }))).count();
        assert_eq!(done, 1, "{answers:?}");
        assert_eq!(answers.into_iter().filter(|answer| *answer == replayed("a")).count(), 7);
    }
}
