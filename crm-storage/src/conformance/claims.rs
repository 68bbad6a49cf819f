//! Keys that one customer of a tenant can have.

use super::Fixture;
use super::sample::{claim, create, customer, key, owner};
use super::shop::Shop;
use crate::commit::{Claim, Commit};
use crate::error::CommitError;

fn takes(claims: impl IntoIterator<Item = Claim>) -> Commit {
    Commit { claims: claims.into_iter().collect(), ..Commit::default() }
}

/// Neither another customer nor another event of the same one can take it.
pub async fn a_key_has_one_owner(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let order = || key("order", "1");
    shop.done(Commit { claims: vec![claim(order(), 1, 1)], ..create(1).event(1).into() }).await;
    let taken = Err(CommitError::Claimed { key: order(), owner: owner(1, 1) });
    assert_eq!(shop.commit(takes([claim(order(), 2, 2)])).await, taken);
    assert_eq!(shop.commit(takes([claim(order(), 2, 1)])).await, taken);
    assert_eq!(shop.commit(takes([claim(order(), 1, 2)])).await, taken);
    assert_eq!(shop.resolve(&[order()]).await, [Some(owner(1, 1))]);
}

/// Its owner may take it again, in another commit or twice in one.
pub async fn taking_a_key_again_for_the_same_event_changes_nothing(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let order = || claim(key("order", "1"), 1, 1);
    shop.done(takes([order(), order()])).await;
    shop.done(takes([order(), claim(key("order", "2"), 1, 1), order()])).await;
    assert_eq!(shop.resolve(&[key("order", "1"), key("order", "2")]).await, [Some(owner(1, 1)); 2]);
}

/// A key that was taken again in a refused commit is still its owner's.
pub async fn a_refused_commit_does_not_give_up_a_key_taken_before(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let mine = || claim(key("order", "1"), 1, 1);
    shop.done(takes([mine(), claim(key("order", "2"), 2, 2)])).await;
    let refused = shop.commit(takes([mine(), claim(key("order", "3"), 1, 1), claim(key("order", "2"), 1, 1)])).await;
    assert!(refused.is_err());
    let owners = shop.resolve(&[key("order", "1"), key("order", "2"), key("order", "3")]).await;
    assert_eq!(owners, [Some(owner(1, 1)), Some(owner(2, 2)), None]);
}

/// The kind is part of the key, and every byte counts.
pub async fn keys_are_told_apart_by_kind_and_by_every_byte(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let keys = [
        key("order", ""),
        key("", ""),
        key("", "order"),
        key("order", "a"),
        key("order", "A"),
        key("Order", "a"),
        key("order", "a "),
        key("order", "a\0"),
        key("order", [0xff, 0xfe]),
        key("order", [0]),
        key("order", vec![b'a'; 1024]),
    ];
    let claims = keys.iter().enumerate().map(|(at, key)| claim(key.clone(), at as u64, at as u64));
    shop.done(takes(claims)).await;
    let owners: Vec<_> = (0..keys.len() as u64).map(|number| Some(owner(number, number))).collect();
    assert_eq!(shop.resolve(&keys).await, owners);
}

/// Owners come in the order of the keys, once for each time a key is given.
pub async fn owners_come_in_the_order_asked_for(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(takes([claim(key("order", "1"), 1, 1), claim(key("card", "1"), 2, 2)])).await;
    let asked = [key("card", "1"), key("card", "2"), key("order", "1"), key("card", "1")];
    assert_eq!(shop.resolve(&asked).await, [Some(owner(2, 2)), None, Some(owner(1, 1)), Some(owner(2, 2))]);
    assert!(shop.resolve(&[]).await.is_empty());
    // A claim makes no customer.
    assert_eq!(shop.load_one(customer(2)).await, None);
}
