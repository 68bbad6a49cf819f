//! Gifts of points: what leaves one customer arrives with another, and nothing else.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod loyal;

use std::sync::Arc;

use crm::loyalty::Period;
use crm::{
    Allowance, CustomerId, Definition, Error, GiftExpiry, GiftPolicy, GivePoints, LoyaltyError, MemoryStore, Program,
    ProgramId, Refusal, Span, Store, Timestamp, TogetherError,
};
use loyal::{Shop, all_at_once, at, generous, points, refused};
use proptest::prelude::*;

fn gift(amount: i64) -> GivePoints {
    GivePoints { program: points(), points: amount, reason: "birthday".parse().unwrap() }
}

fn give(shop: &Shop, from: CustomerId, to: CustomerId, amount: i64, key: &str) -> Result<(), LoyaltyError> {
    refused(shop.crm.give_points(from, to, gift(amount), key)).map(drop)
}

fn why(refused: Result<(), LoyaltyError>) -> TogetherError {
    match refused {
        Err(LoyaltyError::Together(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_gift_leaves_one_and_arrives_with_the_other_once() {
    let shop = Shop::new(generous());
    let (ana, ben) = (shop.rich("ana", 100), shop.visitor("ben"));
    let first = shop.crm.give_points(ana, ben, gift(30), "b1").unwrap();
    let again = shop.crm.give_points(ana, ben, gift(30), "b1").unwrap();
    assert_eq!((first.replayed, again.replayed, &first.events), (false, true, &again.events));
    assert_eq!((shop.balance(ana), shop.balance(ben)), (70, 30));
    let last_key = |who| {
        let statement = shop.crm.statement(who, &points(), Timestamp::MIN, Timestamp::MAX).unwrap().unwrap();
        statement.account.lines.last().and_then(|line| line.key.clone())
    };
    assert_eq!([last_key(ana), last_key(ben)], [Some("b1".into()), Some("b1".into())], "on both statements");
    assert!(matches!(shop.crm.give_points(ana, ben, gift(31), "b1"), Err(Error::KeyReused)));
    assert!(matches!(shop.crm.give_points(ana, ben, gift(31), ""), Err(Error::KeyLength { bytes: 0 })));
    assert_eq!(shop.check_totals(), 100);
    shop.check_replay(ana);
    shop.check_replay(ben);
}

#[test]
fn a_gift_is_answered_after_all_is_given_away() {
    let shop = Shop::new(generous());
    let (ana, ben) = (shop.rich("ana", 100), shop.visitor("ben"));
    give(&shop, ana, ben, 100, "all").unwrap();
    assert!(shop.crm.give_points(ana, ben, gift(100), "all").unwrap().replayed);
    assert_eq!(give(&shop, ana, ben, 1, "one more"), Err(LoyaltyError::NotEnough { asked: 1, available: 0 }));
}

#[test]
fn refusals_say_why() {
    let policy = GiftPolicy { at_least: 5, at_most: Some(50), ..GiftPolicy::default() };
    let shop = Shop::new(Program { gifts: Some(policy), ..generous() });
    let (ana, ben) = (shop.rich("ana", 100), shop.visitor("ben"));
    let size = |points| TogetherError::GiftSize { points, at_least: 5, at_most: 50 };
    assert_eq!(why(give(&shop, ana, ben, 4, "a")), size(4));
    assert_eq!(why(give(&shop, ana, ben, 51, "b")), size(51));
    assert!(matches!(give(&shop, ana, ben, -5, "c"), Err(LoyaltyError::Amount { points: -5, .. })));
    assert!(matches!(give(&shop, ana, ben, i64::MIN, "c2"), Err(LoyaltyError::Amount { .. })));
    assert_eq!(why(give(&shop, ana, ana, 5, "d")), TogetherError::WithThemself { customer: ana });
    let nobody = CustomerId::new(at(0), [9; 10]);
    assert!(matches!(
        shop.crm.give_points(ana, nobody, gift(5), "e"),
        Err(Error::NoCustomer { customer }) if customer == nobody
    ));
    let other = GivePoints { program: ProgramId::new("miles").unwrap(), ..gift(5) };
    assert!(matches!(
        shop.crm.give_points(ana, ben, other, "f"),
        Err(Error::Refused(Refusal::Loyalty(LoyaltyError::NoProgram { .. })))
    ));
    shop.crm.erase(ben).unwrap();
    assert_eq!(why(give(&shop, ana, ben, 5, "g")), TogetherError::Erased { customer: ben });
    let none = Shop::new(Program { gifts: None, ..generous() });
    let (ana, ben) = (none.rich("ana", 100), none.visitor("ben"));
    assert_eq!(why(give(&none, ana, ben, 5, "h")), TogetherError::NoGifts { program: points() });
    assert_eq!((none.balance(ana), none.balance(ben)), (100, 0));
}

#[test]
fn nobody_gives_more_in_a_month_than_the_programme_allows() {
    let each = Some(Allowance { points: 50, per: Period::Month });
    let shop = Shop::new(Program { gifts: Some(GiftPolicy { each, ..GiftPolicy::default() }), ..generous() });
    let (ana, ben) = (shop.rich("ana", 200), shop.visitor("ben"));
    give(&shop, ana, ben, 40, "a").unwrap();
    let allowed = TogetherError::Allowance { asked: 11, left: 10, per: Period::Month };
    assert_eq!(why(give(&shop, ana, ben, 11, "b")), allowed);
    give(&shop, ana, ben, 10, "c").unwrap();
    shop.clock.set(at(31 * 24));
    give(&shop, ana, ben, 50, "d").unwrap();
    assert_eq!(shop.balance(ben), 100);
    shop.check_replay(ana);
}

#[test]
fn a_month_of_giving_begins_at_midnight_of_the_zone_though_the_clocks_change() {
    let each = Some(Allowance { points: 50, per: Period::Month });
    let gifts = Some(GiftPolicy { each, ..GiftPolicy::default() });
    let shop = Shop::new(Program { gifts, zone: "Europe/Lisbon".parse().unwrap(), ..generous() });
    // April begins in summer time there, an hour before it does in UTC.
    let april = Timestamp::parse("2026-03-31T23:00:00Z").unwrap();
    shop.clock.set(april.minus(Span::millis(1)));
    let (ana, ben) = (shop.rich("ana", 200), shop.visitor("ben"));
    give(&shop, ana, ben, 50, "march").unwrap();
    let allowed = TogetherError::Allowance { asked: 1, left: 0, per: Period::Month };
    assert_eq!(why(give(&shop, ana, ben, 1, "more")), allowed);
    shop.clock.set(april);
    give(&shop, ana, ben, 50, "april").unwrap();
    assert_eq!(why(give(&shop, ana, ben, 1, "more in april")), allowed);
}

#[test]
fn points_last_no_longer_for_being_handed_on_unless_the_programme_says_so() {
    for (expiry, left) in [(GiftExpiry::Kept, 0), (GiftExpiry::Fresh, 100)] {
        let policy = GiftPolicy { expiry, ..GiftPolicy::default() };
        let program = Program { gifts: Some(policy), ..generous() }.expiring_after(Span::days(30));
        let shop = Shop::new(program);
        let (ana, ben) = (shop.rich("ana", 100), shop.visitor("ben"));
        shop.clock.set(at(20 * 24));
        give(&shop, ana, ben, 100, "all").unwrap();
        shop.advance(at(31 * 24));
        assert_eq!(shop.balance(ben), left, "{expiry:?}");
        shop.check_totals();
    }
}

#[test]
fn what_was_given_pays_what_is_owed_first() {
    let shop = Shop::new(generous());
    let ana = shop.rich("ana", 100);
    let ben = shop.order("ben", "1", 40, at(0));
    let redeem =
        crm::RedeemPoints { program: points(), points: 40, reason: "mug".parse().unwrap(), order: None, total: None };
    shop.crm.execute(ben, crm::Command::RedeemPoints(redeem), "mug").unwrap();
    shop.refund("ben", "1", 40, at(0));
    assert_eq!(shop.balance(ben), -40);
    assert!(matches!(give(&shop, ben, ana, 1, "none"), Err(LoyaltyError::NotEnough { .. })));
    give(&shop, ana, ben, 60, "help").unwrap();
    assert_eq!((shop.balance(ana), shop.balance(ben)), (40, 20));
    shop.check_totals();
}

#[test]
fn what_was_given_and_is_taken_back_is_owed_by_the_giver() {
    let shop = Shop::new(generous());
    let (ana, ben) = (shop.order("ana", "1", 40, at(0)), shop.visitor("ben"));
    give(&shop, ana, ben, 40, "all").unwrap();
    shop.refund("ana", "1", 40, at(0));
    assert_eq!((shop.balance(ana), shop.balance(ben), shop.check_totals()), (-40, 40, 0));
    // Handed back it pays the debt, and nothing was made of nothing.
    give(&shop, ben, ana, 40, "back").unwrap();
    assert_eq!((shop.balance(ana), shop.balance(ben), shop.check_totals()), (0, 0, 0));
    shop.check_replay(ana);
}

#[test]
fn one_who_is_several_gives_of_all_and_whose_they_were_has_given_them() {
    let shop = Shop::new(generous());
    let (ana, bea, ben) = (shop.rich("ana", 30), shop.rich("bea", 50), shop.visitor("ben"));
    let merged = shop.crm.merge(ana, bea, "one person".parse().unwrap()).unwrap().customer;
    assert_eq!(why(give(&shop, ana, bea, 5, "self")), TogetherError::WithThemself { customer: bea });
    give(&shop, bea, ben, 60, "most").unwrap();
    assert_eq!((shop.balance(merged), shop.balance(ben)), (20, 60));
    assert_eq!(shop.check_totals(), 80);
    shop.check_replay(merged);
    shop.crm.part(bea, ana, "two after all".parse().unwrap()).unwrap();
    // Bea gave sixty: what was Ana's of it she pays for.
    assert_eq!((shop.own_balance(ana), shop.own_balance(bea), shop.balance(ben)), (30, -10, 60));
    assert_eq!(shop.check_totals(), 80);
    shop.check_replay(ana);
    shop.check_replay(bea);
}

#[test]
fn a_gift_to_one_of_several_is_theirs() {
    let shop = Shop::new(generous());
    let (ana, ben, bob) = (shop.rich("ana", 30), shop.visitor("ben"), shop.visitor("bob"));
    shop.crm.merge(ben, bob, "one person".parse().unwrap()).unwrap();
    give(&shop, ana, bob, 10, "bob").unwrap();
    assert_eq!((shop.balance(ben), shop.own_balance(ben), shop.own_balance(bob)), (10, 0, 10));
    shop.crm.part(ben, bob, "two after all".parse().unwrap()).unwrap();
    assert_eq!((shop.balance(ben), shop.balance(bob)), (0, 10));
    shop.check_totals();
}

/// The seam at which another system turned 100 points into 2,000.
fn all_give_one_balance_away(store: Arc<dyn Store>) {
    let shop = Shop::over(store, generous());
    let ana = shop.rich("ana", 100);
    let others: Vec<CustomerId> = (0..32).map(|n| shop.visitor(&format!("other {n}"))).collect();
    let made = all_at_once(32, |n| give(&shop, ana, others[n], 15, &format!("gift {n}")).is_ok());
    assert_eq!(made.iter().filter(|made| **made).count(), 6);
    assert_eq!(shop.balance(ana), 10);
    let received: i128 = others.iter().map(|other| shop.balance(*other)).sum();
    assert_eq!((received, shop.check_totals()), (90, 100));
    // The same keys again give nothing more.
    all_at_once(32, |n| give(&shop, ana, others[n], 15, &format!("gift {n}")).is_ok());
    assert_eq!((shop.balance(ana), shop.check_totals()), (10, 100));
}

fn two_give_each_other(store: Arc<dyn Store>) {
    let shop = Shop::over(store, generous());
    let both = [shop.rich("ana", 50), shop.rich("ben", 50)];
    all_at_once(16, |n| give(&shop, both[n % 2], both[1 - n % 2], 1 + n as i64, &format!("{n}")).unwrap_or(()));
    assert_eq!((shop.balance(both[0]) + shop.balance(both[1]), shop.check_totals()), (100, 100));
}

#[test]
fn however_many_give_one_balance_away_in_memory_exactly_what_is_there_goes() {
    all_give_one_balance_away(Arc::new(MemoryStore::new()));
    two_give_each_other(Arc::new(MemoryStore::new()));
}

#[cfg(feature = "sqlite")]
#[test]
fn however_many_give_one_balance_away_in_sqlite_exactly_what_is_there_goes() {
    let folder = tempfile::tempdir().unwrap();
    all_give_one_balance_away(Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()));
    let folder = tempfile::tempdir().unwrap();
    two_give_each_other(Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()));
}

#[test]
fn a_later_version_of_a_programme_may_end_gifts() {
    let shop = Shop::new(generous());
    let (ana, ben) = (shop.rich("ana", 100), shop.visitor("ben"));
    give(&shop, ana, ben, 10, "before").unwrap();
    shop.crm.define(at(1), Definition::Program(points(), Some(Program { gifts: None, ..generous() }))).unwrap();
    shop.clock.set(at(1));
    assert_eq!(why(give(&shop, ana, ben, 10, "after")), TogetherError::NoGifts { program: points() });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever is given by whom, merged and parted in between or not, nothing is made and nothing is lost.
    #[test]
    fn points_are_neither_made_nor_lost(
        steps in prop::collection::vec((0_usize..4, 0_usize..4, 1_i64..60, 0_u8..6), 1..14),
        fresh in any::<bool>(),
    ) {
        let expiry = if fresh { GiftExpiry::Fresh } else { GiftExpiry::Kept };
        let policy = GiftPolicy { expiry, ..GiftPolicy::default() };
        let shop = Shop::new(Program { gifts: Some(policy), ..generous() });
        let all: Vec<CustomerId> = (0..4).map(|n| shop.rich(&format!("c{n}"), 50)).collect();
        for (n, (from, to, amount, what)) in steps.into_iter().enumerate() {
            match what {
                0 => drop(shop.crm.merge(all[from], all[to], "one".parse().unwrap())),
                1 => drop(shop.crm.part(all[from], all[to], "two".parse().unwrap())),
                _ => {
                    let before = (shop.balance(all[from]), shop.balance(all[to]));
                    match give(&shop, all[from], all[to], amount, &format!("{n}")) {
                        Ok(()) => {
                            let moved = i128::from(amount);
                            let after = (before.0 - moved, before.1 + moved);
                            prop_assert_eq!((shop.balance(all[from]), shop.balance(all[to])), after);
                        }
                        Err(LoyaltyError::NotEnough { .. }) => prop_assert!(before.0 < i128::from(amount)),
                        Err(LoyaltyError::Together(TogetherError::WithThemself { .. })) => {}
                        Err(other) => panic!("{other:?}"),
                    }
                }
            }
            prop_assert_eq!(shop.check_totals(), 200);
        }
        all.iter().for_each(|id| shop.check_replay(*id));
    }
}

#[test]
fn what_is_asked_for_can_be_spawned() {
    fn spawned<T: Send>(_: &T) {}
    let crm = crm::Crm::in_memory();
    let (one, other) = (CustomerId::new(at(0), [1; 10]), CustomerId::new(at(0), [2; 10]));
    let program = points();
    spawned(&crm.give_points(one, other, gift(1), "key"));
    spawned(&crm.pool(one, &program, crm::PoolCommand::Leave { member: other }, "key"));
    let name = crm::ReferralName::new("friend").unwrap();
    spawned(&crm.refer(&name, one, other, "key"));
    let (name, seed) = (crm::DrawName::new("spring").unwrap(), crm::Seed::from_bytes([1; 32]));
    let everybody = crm::DrawEntries::Where(crm::Predicate::All(Vec::new()));
    spawned(&crm.draw(&name, &everybody, &seed, "key"));
    spawned(&crm.advance(at(1)));
}
