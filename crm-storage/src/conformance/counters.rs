//! Counters that customers share.

use super::Fixture;
use super::sample::{create, step};
use super::shop::Shop;
use crate::commit::{Commit, CounterStep};
use crate::error::CommitError;

fn moves(counters: impl IntoIterator<Item = CounterStep>) -> Commit {
    Commit { counters: counters.into_iter().collect(), ..Commit::default() }
}

fn refused(name: &str, value: i128, limit: i64) -> CommitError {
    CommitError::CounterLimit { name: name.into(), value, limit }
}

/// It starts at 0, may stand at its limit and at 0, and not beyond them.
pub async fn a_counter_stays_between_zero_and_its_limit(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(moves([step("coupon", 2, 2)])).await;
    assert_eq!(shop.commit(moves([step("coupon", 1, 2)])).await, Err(refused("coupon", 3, 2)));
    assert_eq!(shop.commit(moves([step("coupon", -3, 2)])).await, Err(refused("coupon", -1, 2)));
    assert_eq!(shop.commit(moves([step("other", -1, 2)])).await, Err(refused("other", -1, 2)));
    shop.done(moves([step("coupon", -2, 2)])).await;
    assert_eq!(shop.counter("coupon").await, 0);
    // Each step brings its own limit; a lower one than the value refuses also a step of nothing.
    shop.done(moves([step("coupon", 9, 9)])).await;
    assert_eq!(shop.commit(moves([step("coupon", 0, 5)])).await, Err(refused("coupon", 9, 5)));
    assert_eq!(shop.commit(moves([step("coupon", -1, 5)])).await, Err(refused("coupon", 8, 5)));
}

/// Steps of one counter in one commit are judged one after the other.
pub async fn steps_of_one_commit_add_up(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let over = moves([step("a", 1, 2), step("b", 1, 2), step("a", 1, 2), step("a", 1, 2)]);
    assert_eq!(shop.commit(over).await, Err(refused("a", 3, 2)));
    assert_eq!((shop.counter("a").await, shop.counter("b").await), (0, 0));
    shop.done(moves([step("a", 2, 2), step("a", -1, 2), step("b", 1, 2), step("a", 1, 2)])).await;
    assert_eq!((shop.counter("a").await, shop.counter("b").await), (2, 1));
}

/// No sum overflows.
pub async fn counters_do_not_overflow(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let most = i128::from(i64::MAX);
    shop.done(moves([step("a", i64::MAX, i64::MAX)])).await;
    assert_eq!(shop.counter("a").await, most);
    let refusal = shop.commit(moves([step("a", i64::MAX, i64::MAX)])).await;
    assert_eq!(refusal, Err(refused("a", most * 2, i64::MAX)));
    let lowest = i128::from(i64::MIN);
    assert_eq!(shop.commit(moves([step("a", i64::MIN, 0)])).await, Err(refused("a", most + lowest, 0)));
    assert_eq!(shop.commit(moves([step("b", i64::MIN, i64::MIN)])).await, Err(refused("b", lowest, i64::MIN)));
    assert_eq!(shop.counter("a").await, most);
}

/// A name is taken as it is.
pub async fn counters_are_told_apart_by_every_byte(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let names = ["", "a", "A", "a ", "a\0", "é", "e\u{301}"];
    for (at, name) in names.iter().enumerate() {
        shop.done(Commit { counters: vec![step(name, at as i64, 99)], ..create(at as u64).into() }).await;
    }
    for (at, name) in names.iter().enumerate() {
        assert_eq!(shop.counter(name).await, at as i128);
    }
}
