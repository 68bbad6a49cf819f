//! Shares of what the members of a pool earn: they go to the pool, and come back from there when what had earned them does.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

#[allow(dead_code, reason = "each test file uses its part")]
mod loyal;

use std::sync::Arc;

use crm::loyalty::{Pending, ProgramError, Shortfall};
use crm::{
    Command, CustomerId, Definition, Error, Expiry, LoyaltyError, MemberAllowance, MemoryStore, OnLeaving, PoolCommand,
    PoolKind, PoolPolicy, Program, RedeemPoints, Remark, Span, Store,
};
use loyal::{Shop, all_at_once, at, generous, points};
use proptest::prelude::*;

fn why() -> Remark {
    "together".parse().unwrap()
}

fn sharing(share_millionths: u32) -> Program {
    let pools = PoolPolicy { members: 100, each: None, on_leaving: OnLeaving::Stay, share_millionths };
    Program { pools: Some(pools), ..generous() }
}

/// A shop where Ben is in Ana's pool.
fn shop(program: Program) -> (Shop, CustomerId, CustomerId) {
    let shop = Shop::new(program);
    let (ana, ben) = (shop.visitor("ana"), shop.visitor("ben"));
    pool(&shop, ana, PoolCommand::Open { kind: PoolKind::Household }, "open");
    pool(&shop, ana, PoolCommand::Join { member: ben, allowance: MemberAllowance::AsAll }, "ben");
    (shop, ana, ben)
}

fn pool(shop: &Shop, owner: CustomerId, command: PoolCommand, key: &str) {
    shop.crm.pool(owner, &points(), command, key).unwrap();
}

fn spend(shop: &Shop, id: CustomerId, amount: i64) -> Result<(), LoyaltyError> {
    let redeem = RedeemPoints { program: points(), points: amount, reason: why(), order: None, total: None };
    shop.ask(id, Command::RedeemPoints(redeem), &format!("spend {amount} of {id}")).map(drop)
}

fn pending(shop: &Shop, id: CustomerId) -> i128 {
    shop.customer(id).book(&points()).map_or(0, crm::PointsBook::pending)
}

/// What both can spend, after all of it adds up and both are what their histories say.
fn both(shop: &Shop, [ana, ben]: [CustomerId; 2]) -> (i128, i128) {
    shop.check_totals();
    [ana, ben].iter().for_each(|id| shop.check_replay(*id));
    (shop.balance(ana), shop.balance(ben))
}

#[test]
fn a_share_of_what_a_member_earns_goes_to_the_pool_and_nobody_spends_it_before() {
    let (shop, ana, ben) = shop(sharing(300_000));
    shop.order("ben", "1", 101, at(0));
    assert_eq!((both(&shop, [ana, ben]), pending(&shop, ben)), ((0, 71), 30), "rounded down");
    assert_eq!(spend(&shop, ben, 72), Err(LoyaltyError::NotEnough { asked: 72, available: 71 }));
    shop.advance(at(1));
    assert_eq!((both(&shop, [ana, ben]), pending(&shop, ben)), ((30, 71), 0));
    assert_eq!(shop.advance(at(2)), 0, "once");
    // What the owner earns is in the pool anyhow.
    shop.order("ana", "2", 10, at(2));
    shop.advance(at(3));
    assert_eq!(both(&shop, [ana, ben]), (40, 71));
}

#[test]
fn all_of_it_goes_to_the_pool_where_the_programme_says_so_and_less_than_a_point_does_not() {
    let (whole, ana, ben) = shop(sharing(1_000_000));
    whole.order("ben", "1", 100, at(0));
    whole.advance(at(1));
    assert_eq!(both(&whole, [ana, ben]), (100, 0));
    assert_eq!(whole.customer(ben).book(&points()).unwrap().qualifying(), 100, "what counts towards tiers is theirs");
    let (little, ana, ben) = shop(sharing(1));
    little.order("ben", "1", 100, at(0));
    assert_eq!(little.advance(at(1)), 0);
    assert_eq!(both(&little, [ana, ben]), (0, 100));
}

#[test]
fn it_goes_when_the_points_can_be_spent_and_a_refund_before_that_lowers_it() {
    let pending_for = Pending::For(Span::days(14));
    let (shop, ana, ben) = shop(Program { pending: pending_for, ..sharing(400_000) });
    shop.order("ben", "1", 100, at(0));
    shop.clock.set(at(24));
    shop.refund("ben", "1", 50, at(24));
    shop.advance(at(13 * 24));
    assert_eq!((both(&shop, [ana, ben]), pending(&shop, ben)), ((0, 0), 50));
    shop.advance(at(14 * 24));
    assert_eq!((both(&shop, [ana, ben]), pending(&shop, ben)), ((20, 30), 0));
}

#[test]
fn what_is_taken_back_later_is_taken_back_from_where_it_went() {
    let (shop, ana, ben) = shop(sharing(300_000));
    shop.order("ben", "1", 100, at(0));
    shop.advance(at(1));
    spend(&shop, ben, 70).unwrap();
    shop.award(ben, 5, "kept");
    shop.clock.set(at(2));
    shop.refund("ben", "1", 50, at(2));
    assert_eq!(both(&shop, [ana, ben]), (30, -30), "of Ben's own seventy half is gone");
    shop.advance(at(3));
    assert_eq!(both(&shop, [ana, ben]), (15, -30));
    // The refund was a mistake.
    shop.void("ben", &format!("refund of 1 at {}", at(2)), at(3));
    shop.advance(at(4));
    assert_eq!(both(&shop, [ana, ben]), (30, 5));
    shop.void("ben", "1", at(4));
    shop.advance(at(5));
    assert_eq!(both(&shop, [ana, ben]), (0, -65));
    assert_eq!(shop.check_totals(), -65);
}

#[test]
fn a_pool_that_spent_it_owes_it_or_the_programme_bears_it() {
    for (shortfall, left) in [(Shortfall::Owed, -100), (Shortfall::OwedUpTo(30), -30), (Shortfall::Borne, 0)] {
        let (shop, ana, ben) = shop(Program { shortfall, ..sharing(1_000_000) });
        shop.order("ben", "1", 100, at(0));
        shop.advance(at(1));
        spend(&shop, ana, 100).unwrap();
        shop.award(ben, 7, "own");
        shop.void("ben", "1", at(1));
        shop.advance(at(2));
        assert_eq!(both(&shop, [ana, ben]), (left, 7), "{shortfall:?}");
    }
}

#[test]
fn what_expired_in_the_pool_is_not_taken_back_again() {
    let (shop, ana, ben) = shop(Program { expiry: Expiry::After(Span::days(10)), ..sharing(600_000) });
    shop.order("ben", "1", 100, at(0));
    shop.advance(at(1));
    spend(&shop, ana, 20).unwrap();
    shop.advance(at(11 * 24));
    assert_eq!(both(&shop, [ana, ben]), (0, 0));
    shop.award(ana, 50, "new");
    shop.void("ben", "1", at(11 * 24));
    shop.advance(at(12 * 24));
    assert_eq!(both(&shop, [ana, ben]), (30, 0), "the twenty that were spent are taken back, and nothing of Ben");
}

#[test]
fn a_part_that_comes_back_takes_nothing_of_a_member_whose_own_points_expired() {
    let (shop, ana, ben) = shop(Program { expiry: Expiry::After(Span::days(10)), ..sharing(600_000) });
    shop.order("ben", "1", 100, at(0));
    shop.advance(at(1));
    spend(&shop, ana, 20).unwrap();
    shop.advance(at(10 * 24));
    shop.award(ben, 50, "new");
    shop.award(ana, 50, "new");
    // Of sixty that the pool had, thirty are too many, and no more than twenty did not expire there.
    shop.refund("ben", "1", 50, at(10 * 24));
    shop.advance(at(11 * 24));
    assert_eq!(both(&shop, [ana, ben]), (30, 50));
}

#[test]
fn a_share_that_nobody_let_go_before_its_end_ends_in_the_pool() {
    let reinstate_within = Some(Span::days(10));
    let (shop, ana, ben) =
        shop(Program { expiry: Expiry::After(Span::days(10)), reinstate_within, ..sharing(300_000) });
    shop.order("ben", "1", 100, at(0));
    shop.clock.set(at(11 * 24));
    shop.award(ben, 1, "touch");
    assert_eq!((shop.balance(ben), pending(&shop, ben)), (1, 30), "it is still on its way");
    shop.advance(at(11 * 24));
    assert_eq!((both(&shop, [ana, ben]), pending(&shop, ben)), ((0, 1), 0));
    let open = |id| shop.customer(id).book(&points()).unwrap().reinstatable(at(11 * 24));
    assert_eq!((open(ana), open(ben)), (30, 70), "each can have back what was theirs");
}

#[test]
fn a_share_lasts_as_long_as_the_pool_is_active_however_late_it_goes_there() {
    let (shop, ana, ben) = shop(Program { expiry: Expiry::AfterActivity(Span::days(10)), ..sharing(300_000) });
    shop.order("ben", "1", 100, at(0));
    shop.clock.set(at(9 * 24));
    shop.order("ana", "2", 5, at(9 * 24));
    shop.clock.set(at(11 * 24));
    shop.award(ben, 1, "touch");
    shop.advance(at(11 * 24));
    assert_eq!(both(&shop, [ana, ben]), (35, 1));
    shop.advance(at(19 * 24));
    assert_eq!(both(&shop, [ana, ben]), (0, 1));
}

#[test]
fn whoever_leaves_earns_for_themself_and_what_was_earned_before_is_the_pools() {
    let (shop, ana, ben) = shop(sharing(500_000));
    shop.order("ben", "1", 100, at(0));
    pool(&shop, ana, PoolCommand::Leave { member: ben }, "leave");
    shop.order("ben", "2", 100, at(0));
    shop.advance(at(1));
    assert_eq!(both(&shop, [ana, ben]), (50, 150));
    shop.void("ben", "1", at(1));
    shop.void("ben", "2", at(1));
    shop.advance(at(2));
    assert_eq!(both(&shop, [ana, ben]), (0, 0));
}

#[test]
fn what_goes_to_nobody_any_more_stays_with_whoever_earned_it() {
    let (shop, ana, ben) = shop(sharing(500_000));
    shop.order("ben", "1", 100, at(0));
    shop.crm.merge(ana, ben, why()).unwrap();
    shop.advance(at(1));
    assert_eq!((shop.own_balance(ana), shop.own_balance(ben)), (0, 100));
    shop.crm.part(ana, ben, why()).unwrap();
    shop.void("ben", "1", at(1));
    shop.advance(at(2));
    assert_eq!(both(&shop, [ana, ben]), (0, 0));

    // What went to the pool before comes back though the two are one by then.
    shop.order("ben", "2", 100, at(2));
    shop.advance(at(3));
    assert_eq!(both(&shop, [ana, ben]), (50, 50));
    shop.crm.merge(ana, ben, why()).unwrap();
    shop.refund("ben", "2", 50, at(3));
    shop.advance(at(4));
    assert_eq!((shop.own_balance(ana), shop.own_balance(ben), shop.check_totals()), (25, 25, 50));
}

#[test]
fn the_pool_of_somebody_who_was_erased_gets_nothing() {
    let (shop, ana, ben) = shop(sharing(500_000));
    shop.order("ben", "1", 100, at(0));
    shop.advance(at(1));
    shop.order("ben", "2", 100, at(1));
    shop.crm.erase(ana).unwrap();
    shop.advance(at(2));
    assert_eq!((shop.balance(ana), shop.balance(ben)), (50, 150));
    shop.void("ben", "1", at(2));
    shop.advance(at(3));
    assert_eq!((shop.balance(ana), shop.balance(ben), shop.check_totals()), (0, 100, 100));
}

#[test]
fn more_than_all_is_no_share() {
    let shop = Shop::new(generous());
    let more = shop.crm.define(at(0), Definition::Program(points(), Some(sharing(1_000_001))));
    assert!(matches!(more, Err(Error::Definition(_))), "{more:?}");
    assert!(matches!(sharing(1_000_001).check(), Err(ProgramError::OutOfBounds { is: 1_000_001, .. })));
}

/// Shares of many who order while many let time pass go to the pool once each.
#[test]
fn shares_go_once_however_many_let_time_pass() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let shop = Shop::over(Arc::clone(&store), sharing(250_000));
    let owner = shop.visitor("owner");
    pool(&shop, owner, PoolCommand::Open { kind: PoolKind::Company }, "open");
    let members: Vec<CustomerId> = (0..8).map(|n| shop.visitor(&format!("m{n}"))).collect();
    for member in &members {
        let join = PoolCommand::Join { member: *member, allowance: MemberAllowance::AsAll };
        pool(&shop, owner, join, &member.to_string());
    }
    let shop = &shop;
    all_at_once(16, |n| {
        if n < 8 {
            for k in 0..4 {
                shop.order(&format!("m{n}"), &format!("{n}-{k}"), 10, at(0));
            }
        }
        // Whoever is not first has nothing to do, or is told to come again.
        let _ = shop.crm.advance(at(0));
    });
    shop.advance(at(1));
    assert_eq!((shop.balance(owner), shop.check_totals()), (8 * 4 * 2, 8 * 4 * 10));
    assert!(members.iter().all(|member| shop.balance(*member) == 4 * 8));
}

#[derive(Debug, Clone)]
enum Step {
    Order(i64),
    Refund(usize, i64),
    Void(usize),
    Hours(u64),
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1_i64..200).prop_map(Step::Order),
        3 => (0_usize..6, 1_i64..150).prop_map(|(order, euros)| Step::Refund(order, euros)),
        1 => (0_usize..6).prop_map(Step::Void),
        3 => (0_u64..40).prop_map(Step::Hours),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Of what is left of each order the pool has its share, rounded down, and the member the rest, as soon as it is all
    /// settled; before that the two have together what is left, or what is still to be taken back from the pool.
    #[test]
    fn the_pool_has_its_share_of_what_is_left_of_each_order(
        share in prop_oneof![Just(1_000_000_u32), 0_u32..=1_000_000],
        waits in prop_oneof![Just(0_u64), 1_u64..60],
        steps in prop::collection::vec(a_step(), 1..14),
    ) {
        let held_back = if waits == 0 { Pending::No } else { Pending::For(Span::millis(waits * 3_600_000)) };
        let (shop, ana, ben) = shop(Program { pending: held_back, ..sharing(share) });
        let (mut now, mut orders) = (0, Vec::<(i64, i64)>::new());
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Order(euros) => {
                    shop.order("ben", &orders.len().to_string(), euros, at(now));
                    orders.push((euros, 0));
                }
                Step::Refund(order, euros) => {
                    let Some((total, refunded)) = orders.get_mut(order) else { continue };
                    now += 1;
                    shop.clock.set(at(now));
                    shop.refund("ben", &order.to_string(), euros, at(now));
                    *refunded = (*refunded + euros).min(*total);
                }
                Step::Void(order) => {
                    let Some((total, refunded)) = orders.get_mut(order) else { continue };
                    if *refunded != *total {
                        shop.void("ben", &order.to_string(), at(now));
                        *refunded = *total;
                    }
                }
                Step::Hours(hours) => {
                    now += hours;
                    shop.advance(at(now));
                }
            }
            let left: i64 = orders.iter().map(|(total, refunded)| total - refunded).sum();
            prop_assert!(shop.check_totals() >= left.into(), "after {}", n);
        }
        shop.advance(at(now + waits));
        let left = orders.iter().map(|(total, refunded)| total - refunded);
        let (theirs, own) = left.fold((0, 0), |(theirs, own), left| {
            let part = left * i64::from(share) / 1_000_000;
            (theirs + part, own + left - part)
        });
        prop_assert_eq!(both(&shop, [ana, ben]), (theirs.into(), own.into()));
        prop_assert_eq!(pending(&shop, ben), 0);
    }
}
