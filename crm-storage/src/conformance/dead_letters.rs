//! Outbox entries that were given back, and those that were given up.

use super::Fixture;
use super::sample::{at, customer, entry, event_id};
use super::shop::Shop;
use crate::commit::{Commit, GivenUp, OutboxEntry};
use crate::row::{DeadLetter, LeaseToken, Leased, Settlement, Verdict};

fn dead(reason: &str) -> Verdict {
    Verdict::Dead { reason: reason.into() }
}

async fn telling(fixture: &dyn Fixture, outbox: Vec<OutboxEntry>) -> Shop {
    let shop = Shop::open(fixture).await;
    shop.done(Commit { outbox, ..Commit::default() }).await;
    shop
}

/// A dead letter as it follows from the lease in which it was given up.
fn letter(leased: &Leased, reason: &str) -> DeadLetter {
    let Leased { entry, token, attempt } = leased.clone();
    DeadLetter { entry, attempts: attempt, reason: reason.into(), token }
}

/// It says why it was given up and how often it was tried, and is never leased again.
pub async fn a_dead_letter_is_kept_and_not_leased(fixture: &dyn Fixture) {
    let odd = OutboxEntry { topic: "t\0 店".into(), body: vec![0, 255], ..entry(1, 0) };
    let shop = telling(fixture, vec![odd, entry(2, 0)]).await;
    assert!(shop.dead_letters(None, 9).await.is_empty());
    for now in [0, 10] {
        shop.lease(now, 10, 9).await;
    }
    let leased = shop.lease(20, 10, 9).await;
    let one = leased.iter().find(|leased| leased.entry.id == event_id(1)).expect("it is leased");
    let reason = "550 no such mailbox, 店 \"'\0";
    assert!(shop.settle(one, dead(reason)).await);
    assert_eq!(shop.dead_letters(None, 9).await, [letter(one, reason)]);
    assert_eq!(shop.dead_letters(None, 9).await[0].attempts, 3);
    assert_eq!(shop.lease(1_000_000, 0, 9).await.iter().map(|l| l.entry.id).collect::<Vec<_>>(), [event_id(2)]);
    assert_eq!(shop.dead_letters(None, 9).await, [letter(one, reason)]);
}

/// In the order of when they were due and of their ids, after any that was listed, also when that one is
/// gone by then.
pub async fn dead_letters_are_listed_in_pages(fixture: &dyn Fixture) {
    let dues = [(1, 30), (2, 10), (3, 10), (4, -10), (5, 10), (6, 40), (7, 0)];
    let shop = telling(fixture, dues.map(|(number, due)| entry(number, due)).into()).await;
    let leased = shop.lease(100, 1000, 9).await;
    let mut letters = Vec::new();
    for (number, leased) in leased.iter().enumerate().rev().filter(|(number, _)| *number != 2) {
        let reason = format!("reason {number}");
        assert!(shop.settle(leased, dead(&reason)).await);
        letters.insert(0, letter(leased, &reason));
    }
    assert_eq!(letters.len(), 6);
    for page_size in [0, 1, 2, 3, 6, 7, usize::MAX] {
        assert_eq!(shop.all_dead_letters(page_size).await, letters, "pages of {page_size}");
    }
    assert_eq!(shop.dead_letters(None, 0).await, letters[..1], "at least one");
    assert!(shop.dead_letters(letters.last(), 9).await.is_empty());
    let gone = Settlement { id: letters[1].entry.id, token: letters[1].token, verdict: Verdict::Done };
    assert_eq!(shop.store.settle(&shop.tenant, &[gone]).await.expect("the store settles"), [true]);
    assert_eq!(shop.dead_letters(Some(&letters[1]), 2).await, letters[2..4]);
}

async fn settle_letter(shop: &Shop, letter: &DeadLetter, verdict: Verdict) -> bool {
    let settlements = [Settlement { id: letter.entry.id, token: letter.token, verdict }];
    shop.store.settle(&shop.tenant, &settlements).await.expect("the store settles") == [true]
}

/// It waits again, its attempts go on, and its token is stale then.
pub async fn a_dead_letter_can_be_revived(fixture: &dyn Fixture) {
    let shop = telling(fixture, vec![entry(1, 0)]).await;
    let leased = shop.lease(0, 10, 9).await;
    assert!(shop.settle(&leased[0], dead("down")).await);
    let letters = shop.dead_letters(None, 9).await;
    for token in [0, u64::MAX, letters[0].token.0 + 1] {
        let stray = DeadLetter { token: LeaseToken(token), ..letters[0].clone() };
        assert!(!settle_letter(&shop, &stray, Verdict::Retry { at: at(0) }).await, "a stray token revives nothing");
    }
    assert!(settle_letter(&shop, &letters[0], Verdict::Retry { at: at(50) }).await);
    assert!(shop.dead_letters(None, 9).await.is_empty());
    assert!(!settle_letter(&shop, &letters[0], Verdict::Retry { at: at(0) }).await, "it is revived once");
    assert!(shop.lease(49, 10, 9).await.is_empty());
    let again = shop.lease(50, 10, 9).await;
    assert_eq!((&again[0].entry, again[0].attempt), (&entry(1, 50), 2));
    assert_ne!(again[0].token, leased[0].token);
    assert!(shop.settle(&again[0], dead("down again")).await);
    assert_eq!(shop.dead_letters(None, 9).await, [letter(&again[0], "down again")]);
}

/// It is gone for good.
pub async fn a_dead_letter_that_is_done_goes(fixture: &dyn Fixture) {
    let shop = telling(fixture, vec![entry(1, 0)]).await;
    let leased = shop.lease(0, 10, 9).await;
    assert!(shop.settle(&leased[0], dead("down")).await);
    let letters = shop.dead_letters(None, 9).await;
    assert!(settle_letter(&shop, &letters[0], Verdict::Done).await);
    assert!(!settle_letter(&shop, &letters[0], Verdict::Done).await);
    assert!(shop.dead_letters(None, 9).await.is_empty());
    assert!(shop.lease(1000, 10, 9).await.is_empty());
}

/// It can be leased again at once, in its old place, and the attempt does not count.
pub async fn an_entry_given_back_can_be_leased_at_once(fixture: &dyn Fixture) {
    let shop = telling(fixture, vec![entry(1, 0), entry(2, 5)]).await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let leased = shop.lease(5, 1000, 9).await;
        let seen: Vec<_> = leased.iter().map(|leased| (leased.entry.clone(), leased.attempt)).collect();
        assert_eq!(seen, [(entry(1, 0), 1), (entry(2, 5), 1)]);
        for leased in &leased {
            assert!(!tokens.contains(&(leased.entry.id, leased.token.0)), "each lease of an entry has another token");
            tokens.push((leased.entry.id, leased.token.0));
            assert!(shop.settle(leased, Verdict::GiveBack).await);
            assert!(!shop.settle(leased, Verdict::GiveBack).await, "it is given back once");
            assert!(!shop.settle(leased, Verdict::Done).await);
        }
    }
    let leased = shop.lease(5, 10, 1).await;
    let again = shop.lease(15, 10, 1).await;
    assert_eq!(again[0].attempt, 2);
    assert!(!shop.settle(&leased[0], Verdict::GiveBack).await, "a stale token gives nothing back");
    assert!(shop.settle(&again[0], Verdict::GiveBack).await);
    assert_eq!(shop.lease(15, 10, 1).await[0].attempt, 2, "the lease before it counts");
}

/// An entry with the id of a dead letter is left as it is; once that is taken away, the id is free.
pub async fn an_entry_with_the_id_of_a_dead_letter_is_left(fixture: &dyn Fixture) {
    let shop = telling(fixture, vec![entry(1, 0)]).await;
    let leased = shop.lease(0, 10, 9).await;
    assert!(shop.settle(&leased[0], dead("down")).await);
    let other = OutboxEntry { customer: customer(7), ..entry(1, 3) };
    shop.done(Commit { outbox: vec![other.clone()], ..Commit::default() }).await;
    assert!(shop.lease(1000, 10, 9).await.is_empty());
    assert_eq!(shop.dead_letters(None, 9).await, [letter(&leased[0], "down")]);
    assert!(shop.settle(&leased[0], Verdict::Done).await);
    shop.done(Commit { outbox: vec![other.clone()], ..Commit::default() }).await;
    let again = shop.lease(1000, 10, 9).await;
    assert_eq!((&again[0].entry, again[0].attempt), (&other, 1));
}

/// Whoever comes late gives up nothing.
pub async fn a_stale_token_gives_up_nothing(fixture: &dyn Fixture) {
    let shop = telling(fixture, vec![entry(1, 0)]).await;
    let first = shop.lease(0, 10, 9).await;
    let second = shop.lease(10, 10, 9).await;
    assert!(!shop.settle(&first[0], dead("late")).await);
    assert!(shop.dead_letters(None, 9).await.is_empty());
    assert!(shop.settle(&second[0], Verdict::Done).await);
    assert!(!shop.settle(&second[0], dead("later")).await);
    assert!(shop.dead_letters(None, 9).await.is_empty());
}

/// It is listed among the others with its attempts and its reason, is not leased, and can be revived; one whose id is
/// there, waiting or dead, is left out.
pub async fn what_was_given_up_elsewhere_is_a_dead_letter(fixture: &dyn Fixture) {
    let shop = telling(fixture, vec![entry(1, 0), entry(2, 5)]).await;
    let leased = shop.lease(0, 10, 9).await;
    assert!(shop.settle(&leased[0], dead("down")).await);
    let odd = OutboxEntry { topic: "t\0 店".into(), body: vec![0, 255], ..entry(3, -7) };
    let buried = |entry: OutboxEntry, reason: &str| GivenUp { entry, attempts: 3, reason: reason.into() };
    let dead_letters = vec![
        buried(entry(1, 1), "another"),
        buried(entry(2, 2), "waiting"),
        buried(odd.clone(), "550 店 \"'\0"),
        buried(entry(3, 9), "twice"),
        buried(entry(4, 9), ""),
        buried(entry(5, 9), "told of in the same commit"),
    ];
    shop.done(Commit { outbox: vec![entry(5, 3)], dead_letters, ..Commit::default() }).await;
    let there = |entry: OutboxEntry, reason: &str| DeadLetter {
        entry,
        attempts: 3,
        reason: reason.into(),
        token: LeaseToken(0),
    };
    let letters = [there(odd, "550 店 \"'\0"), letter(&leased[0], "down"), there(entry(4, 9), "")];
    assert_eq!(shop.dead_letters(None, 9).await, letters);
    assert_eq!(shop.all_dead_letters(1).await, letters);
    let waiting: Vec<_> = shop.lease(1_000, 10, 9).await.into_iter().map(|leased| leased.entry).collect();
    assert_eq!(waiting, [entry(5, 3), entry(2, 5)]);
    assert!(settle_letter(&shop, &letters[2], Verdict::Retry { at: at(7) }).await);
    assert!(!settle_letter(&shop, &letters[2], Verdict::Done).await, "it is revived once");
    let again = shop.lease(7, 10, 9).await;
    assert_eq!((&again[0].entry, again[0].attempt), (&entry(4, 7), 4));
    assert!(settle_letter(&shop, &letters[0], Verdict::Done).await);
    assert_eq!(shop.dead_letters(None, 9).await, letters[1..2]);
}
