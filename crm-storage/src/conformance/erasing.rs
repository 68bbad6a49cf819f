//! Removing what is personal, for good.

use std::sync::Arc;

use crm_core::AlarmKind::Lifecycle;

use super::concurrency::together;
use super::sample::{
    alarm, claim, create, customer, due, entry, event, fields, key, owner, release, request, token, tokens, update,
    with_details,
};
use super::shop::Shop;
use super::{Fixture, block_on};
use crate::commit::{Commit, Committed, OutboxEntry, Version};
use crate::error::CommitError;
use crate::row::{Copies, Details, Erased, Parts, Verdict};

/// A customer with everything, and a neighbour who has the like.
async fn furnished(fixture: &dyn Fixture) -> Shop {
    let shop = Shop::open(fixture).await;
    for number in [1, 2] {
        let write = with_details(create(number)).event(1).change(1).alarm(None, Some(alarm(10, Lifecycle)));
        let name = |key: &str| format!("{key} of {number}");
        shop.done(Commit {
            request: Some(request(number, "k", "answer")),
            claims: ["email", "order", "card"].map(|kind| claim(key(kind, name(kind)), number, 1)).into(),
            outbox: (0..4).map(|n| OutboxEntry { customer: customer(number), ..entry(10 * number + n, 5) }).collect(),
            ..write.into()
        })
        .await;
    }
    shop
}

/// What was counted, in the order of the fields of [`Erased`].
fn counts(erased: &Erased) -> (u64, bool, u64, u64, u64) {
    (erased.fields, erased.key, erased.tokens, erased.outbox, erased.claims)
}

/// Fields, the key, tokens, outbox entries and the named keys; the answer says how many.
pub async fn what_is_personal_is_gone(fixture: &dyn Fixture) {
    let shop = furnished(fixture).await;
    let keys = [key("email", "email of 1"), key("card", "card of 1")];
    assert_eq!(counts(&shop.erase(customer(1), &keys).await), (1, true, 2, 4, 2));
    let details = shop.details(customer(1), Parts { outbox: true, ..Parts::PERSONAL }).await;
    assert_eq!(details, Details::default());
    assert_eq!(shop.resolve(&keys).await, [None, None]);
    assert_eq!(shop.found(token(1)).await, [customer(2)], "nobody is found by what was erased");
    assert_eq!(shop.found(token(2)).await, [customer(2)]);
    let left = shop.lease(1000, 0, 99).await;
    assert!(left.len() == 4 && left.iter().all(|leased| leased.entry.customer == customer(2)));
}

/// State, traits, history, scores, requests and the alarm stay, and so do keys that were not named.
pub async fn what_is_not_personal_stays(fixture: &dyn Fixture) {
    let shop = furnished(fixture).await;
    let before = shop.kept(usize::MAX).await;
    shop.erase(customer(1), &[key("email", "email of 1")]).await;
    let mut expected = before;
    expected.customers[0].version = Version(2);
    let kept = Details { key: None, personal: vec![], tokens: 0, outbox: vec![], ..expected.details[0].clone() };
    expected.details[0] = kept;
    assert_eq!(shop.kept(usize::MAX).await, expected);
    let keys = [key("email", "email of 1"), key("order", "order of 1"), key("card", "card of 1")];
    assert_eq!(shop.resolve(&keys).await, [None, Some(owner(1, 1)), Some(owner(1, 1))]);
    assert_eq!(shop.due(crm_core::Timestamp::MAX, 9).await, [due(10, Lifecycle, 1), due(10, Lifecycle, 2)]);
    let again = Commit { request: Some(request(1, "k", "answer")), ..Commit::default() };
    assert_eq!(shop.commit(again).await, Ok(Committed::Replayed { answer: b"answer".to_vec() }));
    let exists = Err(CommitError::EventExists { customer: customer(1), event: event(1).id });
    assert_eq!(shop.commit(update(1, 2).event(1)).await, exists);
}

/// The version rises by one, so a write that was decided before is a conflict, and one after it is done.
pub async fn whoever_decided_before_an_erasure_is_refused(fixture: &dyn Fixture) {
    let shop = furnished(fixture).await;
    shop.done(create(3)).await;
    for number in [1, 3] {
        shop.erase(customer(number), &[]).await;
        let stale = shop.commit(update(number, 1).personal(fields([("name", Some(b"Ann"))]))).await;
        assert_eq!(stale, Err(CommitError::Conflict { customer: customer(number), actual: Some(Version(2)) }));
        assert!(shop.details(customer(number), Parts::PERSONAL).await.personal.is_empty());
        assert_eq!(shop.done(update(number, 2)).await, [Version(3)]);
    }
    assert_eq!(shop.load_one(customer(2)).await.map(|row| row.version), Some(Version(1)));
}

/// Entries go whether they wait, are leased, are to be retried or are dead, and cannot be settled then.
pub async fn outbox_entries_are_erased_in_every_state(fixture: &dyn Fixture) {
    let shop = furnished(fixture).await;
    let leased = shop.lease(5, 1000, 99).await;
    let mut own = leased.iter().filter(|leased| leased.entry.customer == customer(1));
    let (held, dead, retried, free) = (own.next(), own.next(), own.next(), own.next());
    let [held, dead, retried, free] = [held, dead, retried, free].map(|leased| leased.expect("it is leased"));
    assert!(shop.settle(dead, Verdict::Dead { reason: "gone".into() }).await);
    assert!(shop.settle(retried, Verdict::Retry { at: super::sample::at(99) }).await);
    assert!(shop.settle(free, Verdict::GiveBack).await);
    assert_eq!(shop.erase(customer(1), &[]).await.outbox, 4);
    for gone in [held, dead, retried, free] {
        for verdict in [Verdict::Retry { at: super::sample::at(0) }, Verdict::GiveBack, Verdict::Done] {
            assert!(!shop.settle(gone, verdict).await, "what is erased cannot be settled");
        }
    }
    assert!(shop.dead_letters(None, 9).await.is_empty());
    assert!(shop.lease(999, 10, 99).await.is_empty());
    // The neighbour's leases hold.
    for leased in leased.iter().filter(|leased| leased.entry.customer == customer(2)) {
        assert!(shop.settle(leased, Verdict::Done).await);
    }
    // An entry of an id that was erased is new.
    shop.done(Commit { outbox: vec![held.entry.clone()], ..Commit::default() }).await;
    let again = shop.lease(999, 10, 9).await;
    assert_eq!((&again[0].entry, again[0].attempt), (&held.entry, 1));
    assert!(!shop.settle(held, Verdict::Done).await);
}

/// Of the keys named, those that others have, or that nobody has, are left as they are.
pub async fn only_keys_that_the_customer_has_are_given_up(fixture: &dyn Fixture) {
    let shop = furnished(fixture).await;
    let [own, others, nobodys] = ["email of 1", "email of 2", "email of 3"].map(|name| key("email", name));
    let close = [key("Email", "email of 1"), key("email", "email of 1\0"), key("email", "")];
    let asked = [&[others.clone(), own.clone(), nobodys, own.clone()][..], &close].concat();
    assert_eq!(shop.erase(customer(1), &asked).await.claims, 1);
    assert_eq!(shop.resolve(&[own.clone(), others]).await, [None, Some(owner(2, 1))]);
    let late = Commit { releases: vec![release(own.clone(), 1)], ..Commit::default() };
    assert_eq!(shop.commit(late).await, Err(CommitError::NotOwned { key: own.clone(), customer: customer(1) }));
    shop.done(Commit { claims: vec![claim(own.clone(), 2, 7)], ..Commit::default() }).await;
    assert_eq!(shop.resolve(&[own]).await, [Some(owner(2, 7))], "a key that was given up can be taken");
}

/// Everything is counted once.
pub async fn erasing_again_finds_nothing(fixture: &dyn Fixture) {
    let shop = furnished(fixture).await;
    let keys = [key("email", "email of 1")];
    shop.erase(customer(1), &keys).await;
    let before = shop.kept(usize::MAX).await;
    assert_eq!(counts(&shop.erase(customer(1), &keys).await), (0, false, 0, 0, 0));
    let mut after = shop.kept(usize::MAX).await;
    after.customers[0].version = before.customers[0].version;
    assert_eq!(after, before);
}

/// A store that keeps logs says so of every erasure: of a second one, of somebody whose only entry was delivered, and of
/// somebody of whom there never was anything personal.
pub async fn copies_in_logs_are_not_called_gone_where_nothing_was_found(fixture: &dyn Fixture) {
    let shop = furnished(fixture).await;
    let first = shop.erase(customer(1), &[]).await.copies;
    let again = shop.erase(customer(1), &[]).await.copies;
    shop.done(Commit { outbox: vec![entry(9, 0)], ..create(9).into() }).await;
    let leased = shop.lease(5, 1000, 99).await;
    let told = leased.iter().find(|leased| leased.entry.customer == customer(9)).expect("it is leased");
    assert!(shop.settle(told, Verdict::Done).await);
    shop.done(create(8)).await;
    let others = [again, shop.erase(customer(9), &[]).await.copies, shop.erase(customer(8), &[]).await.copies];
    let keeps_logs = others.map(|copies| copies == Copies::UntilLogsExpire);
    assert_eq!(keeps_logs, [first == Copies::UntilLogsExpire; 3], "{first:?}, then {others:?}");
}

/// There may be outbox entries about somebody who is not there, and keys of theirs.
pub async fn erasing_somebody_unknown_removes_entries_and_keys(fixture: &dyn Fixture) {
    let shop = furnished(fixture).await;
    let before = shop.kept(usize::MAX).await;
    assert_eq!(counts(&shop.erase(customer(9), &[key("email", "email of 1")]).await), (0, false, 0, 0, 0));
    shop.done(Commit { claims: vec![claim(key("order", "9"), 9, 9)], outbox: vec![entry(9, 0)], ..Commit::default() })
        .await;
    assert_eq!(counts(&shop.erase(customer(9), &[key("order", "9")]).await), (0, false, 0, 1, 1));
    assert_eq!(shop.resolve(&[key("order", "9")]).await, [None]);
    assert_eq!(shop.kept(usize::MAX).await, before);
    assert_eq!(shop.load_one(customer(9)).await, None, "an erasure makes no customer");
    assert_eq!(counts(&shop.neighbour("unknown").erase(customer(1), &[]).await), (0, false, 0, 0, 0));
    assert_eq!(shop.kept(usize::MAX).await, before);
}

/// Somebody who was erased may come back, and is erased again.
pub async fn an_erased_customer_can_be_written_again(fixture: &dyn Fixture) {
    let shop = furnished(fixture).await;
    shop.erase(customer(1), &[]).await;
    shop.done(update(1, 2).event(2).personal(fields([("mail", Some(b"ann"))]))).await;
    shop.done(update(1, 3).personal(tokens([1]))).await;
    let details = shop.details(customer(1), Parts::PERSONAL).await;
    assert_eq!((details.personal, details.key, details.tokens), (vec![("mail".into(), b"ann".to_vec())], None, 1));
    assert_eq!(shop.found(token(1)).await, [customer(1), customer(2)]);
    assert_eq!(counts(&shop.erase(customer(1), &[]).await), (1, false, 1, 0, 0));
    assert_eq!(shop.load_one(customer(1)).await.map(|row| row.version), Some(Version(5)));
}

/// Of 16 who erase one customer at once, each row is counted by one; of a writer and an eraser, neither
/// undoes what the other did.
pub async fn erasures_at_once_count_each_row_once(fixture: &dyn Fixture) {
    let shop = Arc::new(furnished(fixture).await);
    let keys = [key("email", "email of 1"), key("card", "card of 1")];
    let erased = together(|_| block_on(shop.erase(customer(1), &keys)));
    let sum = |of: fn(&Erased) -> u64| erased.iter().map(of).sum::<u64>();
    let sums = [sum(|e| e.fields), sum(|e| u64::from(e.key)), sum(|e| e.tokens), sum(|e| e.outbox), sum(|e| e.claims)];
    assert_eq!(sums, [1, 1, 2, 4, 2]);
    for number in 100..110 {
        shop.done(with_details(create(number))).await;
        let written = together(|thread| match thread {
            0 => {
                block_on(shop.erase(customer(number), &[]));
                false
            }
            _ => block_on(shop.commit(update(number, 1).personal(fields([("late", Some(b"x"))])))).is_ok(),
        });
        let left = shop.details(customer(number), Parts::PERSONAL).await;
        assert_eq!(left, Details::default(), "the write came first and was erased, or it was refused: {written:?}");
    }
}
