//! How commits are judged: one by one, in order, and each in a fixed order of reasons.

use super::Fixture;
use super::sample::{
    alarm, claim, create, customer, entry, event, event_id, fields, key, owner, request, score, state, step, touch,
    update,
};
use super::shop::Shop;
use crate::commit::{ClaimKey, Commit, Committed, CustomerWrite, Expected, OutboxEntry, Version};
use crate::error::CommitError;

/// An empty list is answered by an empty list.
pub async fn an_empty_list_of_commits_has_no_answers(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    assert!(shop.commits(Vec::new()).await.is_empty());
}

/// An empty commit is done and changes nothing.
pub async fn an_empty_commit_is_done(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let before = shop.seen().await;
    assert!(shop.done(Commit::default()).await.is_empty());
    assert_eq!(shop.seen().await, before);
}

/// There is one answer per commit, in order, and a refused one does not keep the others out.
pub async fn a_refused_commit_does_not_keep_the_others_from_being_applied(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let commits = [create(1), create(1), create(2), update(9, 1), update(2, 1), create(3)];
    let answers = shop.commits(commits.into_iter().map(Commit::from).collect()).await;
    let done = |version| Ok(Committed::Done { versions: vec![Version(version)] });
    let conflict = |number, actual| Err(CommitError::Conflict { customer: customer(number), actual });
    let expected = [done(1), conflict(1, Some(Version(1))), done(1), conflict(9, None), done(2), done(1)];
    assert_eq!(answers, expected);
    let versions = shop.load(&[customer(1), customer(2), customer(3)]).await;
    assert_eq!(versions.iter().flatten().map(|row| row.version.0).collect::<Vec<_>>(), [1, 2, 1]);
}

/// Versions, event ids, claims, counters and requests all count from the commit before in the same call.
pub async fn each_commit_is_judged_on_what_the_ones_before_it_left(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let first = Commit {
        request: Some(request(1, "k", "a")),
        claims: vec![claim(key("order", "1"), 1, 1)],
        counters: vec![step("coupon", 1, 1)],
        ..create(1).event(1).into()
    };
    let answers = shop
        .commits(vec![
            first.clone(),
            first,
            update(1, 1).event(1).into(),
            Commit { claims: vec![claim(key("order", "1"), 2, 2)], ..Commit::default() },
            Commit { counters: vec![step("coupon", 1, 1)], ..Commit::default() },
            update(1, 1).event(2).into(),
        ])
        .await;
    let expected = [
        Ok(Committed::Done { versions: vec![Version(1)] }),
        Ok(Committed::Replayed { answer: b"a".to_vec() }),
        Err(CommitError::EventExists { customer: customer(1), event: event_id(1) }),
        Err(CommitError::Claimed { key: key("order", "1"), owner: owner(1, 1) }),
        Err(CommitError::CounterLimit { name: "coupon".into(), value: 2, limit: 1 }),
        Ok(Committed::Done { versions: vec![Version(2)] }),
    ];
    assert_eq!(answers, expected);
}

/// The versions come in the order of the writes, not of the ids.
pub async fn versions_are_answered_in_the_order_of_the_writes(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(2)).await;
    shop.done(update(2, 1)).await;
    let commit = Commit { writes: vec![create(3), update(2, 2), create(1)], ..Commit::default() };
    assert_eq!(shop.done(commit).await, [Version(1), Version(3), Version(1)]);
}

/// A conflict names the customer and the version there is.
pub async fn a_version_that_is_not_there_is_a_conflict(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1)).await;
    shop.done(update(1, 1)).await;
    for (number, expected, actual) in [
        (1, Expected::New, Some(Version(2))),
        (1, Expected::At(Version(1)), Some(Version(2))),
        (1, Expected::At(Version(3)), Some(Version(2))),
        (1, Expected::At(Version(0)), Some(Version(2))),
        (1, Expected::At(Version(u64::MAX)), Some(Version(2))),
        (2, Expected::At(Version(0)), None),
        (2, Expected::At(Version(1)), None),
        (2, Expected::At(Version(u64::MAX)), None),
    ] {
        let refusal = shop.commit(CustomerWrite::new(customer(number), expected, state(0))).await;
        assert_eq!(refusal, Err(CommitError::Conflict { customer: customer(number), actual }), "{expected:?}");
    }
    assert_eq!(shop.load_one(customer(1)).await.map(|row| row.version), Some(Version(2)));
}

/// A write without a state is checked, and leaves the version as it is.
pub async fn a_write_without_a_state_leaves_the_version(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1)).await;
    let before = shop.load_one(customer(1)).await;
    let given = score("rfm", "total", 5, 3.0);
    assert_eq!(shop.done(touch(1, 1).score(given.clone()).change(1)).await, [Version(1)]);
    assert_eq!(shop.load_one(customer(1)).await, before);
    assert_eq!(shop.scores(customer(1)).await, std::slice::from_ref(&given));
    assert_eq!(shop.changes(customer(1), 10).await.len(), 1);
    let conflict = |number, actual| Err(CommitError::Conflict { customer: customer(number), actual });
    assert_eq!(shop.commit(touch(1, 2).score(given.clone())).await, conflict(1, Some(Version(1))));
    assert_eq!(shop.commit(touch(2, 1).score(given)).await, conflict(2, None));
}

/// An id belongs to its customer: two customers may have events of one id.
pub async fn event_ids_are_unique_within_their_customer(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1).event(1)).await;
    shop.done(create(2).event(1)).await;
    for write in [update(1, 1).event(1), update(1, 1).event(2).event(1), update(1, 1).event(2).event(3).event(1)] {
        let refusal = Err(CommitError::EventExists { customer: customer(1), event: event_id(1) });
        assert_eq!(shop.commit(write).await, refusal);
    }
    shop.done(update(1, 1).event(3).event(2)).await;
    assert_eq!(shop.events(customer(1), 10).await, [event(1), event(3), event(2)]);
    assert_eq!(shop.events(customer(2), 10).await, [event(1)]);
}

/// Of several reasons, the first in the order of the contract is given; within one kind, the first listed.
pub async fn the_first_reason_in_order_is_given(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(Commit {
        request: Some(request(1, "used", "first")),
        claims: vec![claim(key("order", "1"), 1, 1), claim(key("order", "2"), 1, 1)],
        writes: vec![create(1).event(1).event(2), create(2).event(1)],
        ..Commit::default()
    })
    .await;
    let mut commit = Commit {
        request: Some(request(1, "used", "second")),
        writes: vec![update(1, 7).event(8).event(2), update(2, 8).event(1)],
        claims: vec![claim(key("order", "3"), 3, 3), claim(key("order", "2"), 3, 3), claim(key("order", "1"), 3, 3)],
        counters: vec![step("a", 1, 9), step("b", 2, 1), step("c", 3, 1)],
        ..Commit::default()
    };
    let mut malformed = commit.clone();
    malformed.writes.push(create(1));
    assert!(matches!(shop.commit(malformed).await, Err(CommitError::Malformed { .. })));
    assert_eq!(shop.commit(commit.clone()).await, Err(CommitError::KeyReused));
    commit.request = Some(request(1, "used", "first"));
    assert_eq!(shop.commit(commit.clone()).await, Ok(Committed::Replayed { answer: b"first".to_vec() }));
    commit.request = None;
    let conflict = |number| Err(CommitError::Conflict { customer: customer(number), actual: Some(Version(1)) });
    assert_eq!(shop.commit(commit.clone()).await, conflict(1));
    commit.writes[0].expected = Expected::At(Version(1));
    assert_eq!(shop.commit(commit.clone()).await, conflict(2));
    commit.writes[1].expected = Expected::At(Version(1));
    let exists = |number, event| Err(CommitError::EventExists { customer: customer(number), event: event_id(event) });
    assert_eq!(shop.commit(commit.clone()).await, exists(1, 2));
    commit.writes[0].events.pop();
    assert_eq!(shop.commit(commit.clone()).await, exists(2, 1));
    commit.writes[1].events.pop();
    let claimed = |order| Err(CommitError::Claimed { key: key("order", order), owner: owner(1, 1) });
    assert_eq!(shop.commit(commit.clone()).await, claimed("2"));
    commit.claims.remove(1);
    assert_eq!(shop.commit(commit.clone()).await, claimed("1"));
    commit.claims.remove(1);
    let limit = |name: &str, value| Err(CommitError::CounterLimit { name: name.into(), value, limit: 1 });
    assert_eq!(shop.commit(commit.clone()).await, limit("b", 2));
    commit.counters.remove(1);
    assert_eq!(shop.commit(commit.clone()).await, limit("c", 3));
    commit.counters.remove(1);
    assert_eq!(shop.done(commit).await, [Version(2), Version(2)]);
    assert_eq!(shop.counter("a").await, 1);
}

/// A commit that contradicts itself is refused, whatever is stored.
pub async fn a_malformed_commit_is_refused(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1)).await;
    let claims = |claims| Commit { claims, ..Commit::default() };
    let long = ClaimKey { kind: "order".into(), key: vec![7; ClaimKey::MAX_BYTES + 1] };
    let long_name = "n".repeat(Commit::NAME_MAX_BYTES + 1);
    let commits: Vec<Commit> = vec![
        Commit { writes: vec![update(1, 1), touch(1, 1)], ..Commit::default() },
        Commit { writes: (2..200).chain([150]).map(create).collect(), ..Commit::default() },
        touch(1, 1).event(1).into(),
        touch(1, 1).alarm(None, Some(alarm(1, crm_core::AlarmKind::FactDue))).into(),
        CustomerWrite { state: None, ..create(2) }.into(),
        update(1, 1).event(5).event(6).event(5).into(),
        (0..100).chain([50]).fold(update(1, 1), CustomerWrite::event).into(),
        touch(1, 1).score(score("p", "o", 1, f64::NAN)).into(),
        touch(1, 1).score(score("p", "o", 1, f64::INFINITY)).into(),
        claims(vec![claim(long, 1, 1)]),
        claims(vec![claim(key(&long_name, "1"), 1, 1)]),
        Commit { counters: vec![step(&long_name, 1, 9)], ..Commit::default() },
        Commit { outbox: vec![OutboxEntry { topic: long_name.as_str().into(), ..entry(1, 1) }], ..Commit::default() },
        touch(1, 1).score(score(&long_name, "o", 1, 1.0)).into(),
        touch(1, 1).score(score("p", &long_name, 1, 1.0)).into(),
        update(1, 1).personal(fields([(&long_name, Some(b"x"))])).into(),
        claims(vec![claim(key("order", "1"), 1, 1), claim(key("order", "1"), 1, 2)]),
        claims((0..100).map(|n| claim(key("order", "1"), 1, n)).collect()),
    ];
    let before = shop.seen().await;
    for (at, answer) in shop.commits(commits).await.into_iter().enumerate() {
        assert!(matches!(answer, Err(CommitError::Malformed { .. })), "commit {at}: {answer:?}");
    }
    assert_eq!(shop.seen().await, before);
    let at_the_limit = ClaimKey { kind: "order".into(), key: vec![7; ClaimKey::MAX_BYTES] };
    shop.done(claims(vec![claim(at_the_limit.clone(), 1, 1)])).await;
    assert_eq!(shop.resolve(&[at_the_limit]).await, [Some(owner(1, 1))]);
}
