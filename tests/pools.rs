//! Pools: what a household or a company has together, and who may spend how much of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod loyal;

use std::sync::Arc;

use crm::loyalty::{Period, UndoPosting};
use crm::{
    Allowance, Command, CustomerId, Decision, Deed, EventBody, LoyaltyError, MemberAllowance, MemoryStore, OnLeaving,
    PoolCommand, PoolKind, PoolPolicy, PoolStep, Program, Remark, Store, TogetherError,
};
use loyal::{Shop, all_at_once, at, generous, points, refused};
use proptest::prelude::*;

fn why(text: &str) -> Remark {
    text.parse().unwrap()
}

fn ask(shop: &Shop, owner: CustomerId, command: PoolCommand, key: &str) -> Result<bool, LoyaltyError> {
    refused(shop.crm.pool(owner, &points(), command, key)).map(|done| done.replayed)
}

fn open(shop: &Shop, owner: CustomerId) {
    ask(shop, owner, PoolCommand::Open { kind: PoolKind::Household }, "open").unwrap();
}

fn join(shop: &Shop, owner: CustomerId, member: CustomerId, allowance: MemberAllowance) {
    ask(shop, owner, PoolCommand::Join { member, allowance }, &format!("join {member} {allowance:?}")).unwrap();
}

fn leave(shop: &Shop, owner: CustomerId, member: CustomerId, key: &str) -> Result<bool, LoyaltyError> {
    ask(shop, owner, PoolCommand::Leave { member }, key)
}

fn contribute(shop: &Shop, owner: CustomerId, member: CustomerId, amount: i64) -> Result<bool, LoyaltyError> {
    let key = format!("in {member} {amount}");
    ask(shop, owner, PoolCommand::Contribute { member, points: amount, reason: why("for all") }, &key)
}

fn redeem(shop: &Shop, owner: CustomerId, member: CustomerId, amount: i64, key: &str) -> Result<bool, LoyaltyError> {
    ask(shop, owner, PoolCommand::Redeem { member, points: amount, reason: why("mug") }, key)
}

fn a_month(points: u64) -> MemberAllowance {
    MemberAllowance::Own(Allowance { points, per: Period::Month })
}

fn used_up<T: std::fmt::Debug>(refused: Result<T, LoyaltyError>) -> i64 {
    match refused {
        Err(LoyaltyError::Together(TogetherError::Allowance { left, .. })) => left,
        other => panic!("{other:?}"),
    }
}

fn spent_by(shop: &Shop, owner: CustomerId) -> Vec<(CustomerId, i64)> {
    let spent = |event: &crm::Event| {
        if let EventBody::Decision(Decision { deed: Deed::PoolMoved(moved), .. }) = &event.body
            && let PoolStep::Spent { member, points, .. } = &moved.step
        {
            return Some((*member, *points));
        }
        None
    };
    shop.crm.story(owner).unwrap().unwrap().events.iter().filter_map(spent).collect()
}

#[test]
fn a_household_saves_together_and_it_is_told_who_spent() {
    let shop = Shop::new(generous());
    let (ana, ben, cem) = (shop.rich("ana", 100), shop.rich("ben", 40), shop.visitor("cem"));
    open(&shop, ana);
    join(&shop, ana, ben, MemberAllowance::AsAll);
    join(&shop, ana, cem, a_month(30));
    contribute(&shop, ana, ben, 40).unwrap();
    assert_eq!((shop.balance(ana), shop.balance(ben)), (140, 0));
    redeem(&shop, ana, ben, 70, "one").unwrap();
    redeem(&shop, ana, cem, 30, "two").unwrap();
    assert!(redeem(&shop, ana, cem, 30, "two").unwrap(), "the same again is answered alike");
    assert_eq!(used_up(redeem(&shop, ana, cem, 1, "three")), 0);
    assert_eq!(redeem(&shop, ana, ben, 41, "four"), Err(LoyaltyError::NotEnough { asked: 41, available: 40 }));
    assert_eq!(spent_by(&shop, ana), [(ben, 70), (cem, 30)]);
    let events = shop.crm.story(ana).unwrap().unwrap().events;
    for event in &events {
        if let EventBody::Decision(Decision { deed: Deed::PoolMoved(moved), .. }) = &event.body
            && let PoolStep::Spent { posting, points, .. } = &moved.step
        {
            let posted = events.iter().find(|event| event.id == *posting).map(|event| &event.body);
            let Some(EventBody::Decision(Decision { deed: Deed::PointsPosted(posted), .. })) = posted else {
                panic!("what was spent is a posting")
            };
            assert_eq!(posted.points(), -i128::from(*points));
        }
    }
    let owner = shop.customer(ana);
    let told: std::collections::BTreeMap<_, _> =
        owner.pool(&points()).unwrap().members().map(|(id, own)| (id, (own.contributed(), own.spent()))).collect();
    assert_eq!(told, [(ben, (40, 70)), (cem, (0, 30))].into());
    assert_eq!(shop.customer(cem).in_pools(&points()).collect::<Vec<_>>(), [ana]);
    assert_eq!(shop.check_totals(), 40);
    for id in [ana, ben, cem] {
        shop.check_replay(id);
    }
}

#[test]
fn an_allowance_begins_anew_with_its_period_and_counts_what_was_spent_under_another_one() {
    let shop = Shop::new(generous());
    let (ana, ben) = (shop.rich("ana", 500), shop.visitor("ben"));
    open(&shop, ana);
    join(&shop, ana, ben, a_month(50));
    redeem(&shop, ana, ben, 50, "january").unwrap();
    shop.clock.set(at(31 * 24));
    redeem(&shop, ana, ben, 50, "february").unwrap();
    assert_eq!(used_up(redeem(&shop, ana, ben, 1, "more")), 0);
    join(&shop, ana, ben, MemberAllowance::Own(Allowance { points: 130, per: Period::Year }));
    assert_eq!(used_up(redeem(&shop, ana, ben, 31, "year")), 30);
    redeem(&shop, ana, ben, 30, "rest").unwrap();
    // Leaving and coming back is no way to have more.
    leave(&shop, ana, ben, "leave").unwrap();
    ask(&shop, ana, PoolCommand::Join { member: ben, allowance: a_month(50) }, "back").unwrap();
    assert_eq!(used_up(redeem(&shop, ana, ben, 1, "again")), 0);
    shop.check_replay(ana);
}

#[test]
fn an_allowance_begins_anew_at_midnight_of_the_zone_though_the_clocks_change() {
    let shop = Shop::new(Program { zone: "Europe/Lisbon".parse().unwrap(), ..generous() });
    let (ana, ben) = (shop.rich("ana", 500), shop.visitor("ben"));
    open(&shop, ana);
    join(&shop, ana, ben, a_month(50));
    // April begins in summer time there, an hour before it does in UTC.
    let april = crm::Timestamp::parse("2026-03-31T23:00:00Z").unwrap();
    shop.clock.set(april.minus(crm::Span::millis(1)));
    redeem(&shop, ana, ben, 50, "march").unwrap();
    assert_eq!(used_up(redeem(&shop, ana, ben, 1, "more")), 0);
    shop.clock.set(april);
    redeem(&shop, ana, ben, 50, "april").unwrap();
    assert_eq!(used_up(redeem(&shop, ana, ben, 1, "more in april")), 0);
}

#[test]
fn what_is_undone_of_a_pools_spending_can_be_spent_again_by_whoever_spent_it() {
    let shop = Shop::new(generous());
    let (ana, ben) = (shop.rich("ana", 500), shop.visitor("ben"));
    open(&shop, ana);
    join(&shop, ana, ben, a_month(100));
    redeem(&shop, ana, ben, 80, "1").unwrap();
    assert_eq!(used_up(redeem(&shop, ana, ben, 80, "2")), 20);
    let story = shop.crm.story(ana).unwrap().unwrap();
    let spent = story.events.iter().find_map(|event| {
        let EventBody::Decision(Decision { deed: Deed::PoolMoved(moved), .. }) = &event.body else { return None };
        let PoolStep::Spent { posting, .. } = &moved.step else { return None };
        Some(*posting)
    });
    let undo = UndoPosting { posting: spent.unwrap(), reason: why("mistaken") };
    let undone = shop.crm.execute(ana, Command::UndoPosting(undo.clone()), "undo").unwrap();
    assert_eq!(undone.events.len(), 2, "the points, and that they are Ben's to spend");
    let own = |shop: &Shop| shop.customer(ana).pool(&points()).and_then(|pool| pool.member(ben).map(|own| own.spent()));
    assert_eq!((shop.balance(ana), own(&shop)), (500, Some(0)));
    assert!(shop.crm.execute(ana, Command::UndoPosting(undo), "again").is_err());
    redeem(&shop, ana, ben, 80, "3").unwrap();
    assert_eq!(used_up(redeem(&shop, ana, ben, 80, "4")), 20);
    assert_eq!(shop.check_totals(), 420);
    shop.check_replay(ana);
}

#[test]
fn what_was_put_in_stays_unless_the_programme_lets_it_go() {
    for (on_leaving, goes) in [(OnLeaving::Stay, 0), (OnLeaving::TakeOwn, 25)] {
        let pools = Some(PoolPolicy { members: 5, each: None, on_leaving, share_millionths: 0 });
        let shop = Shop::new(Program { pools, ..generous() });
        let (ana, ben) = (shop.rich("ana", 100), shop.rich("ben", 60));
        open(&shop, ana);
        join(&shop, ana, ben, MemberAllowance::Any);
        contribute(&shop, ana, ben, 60).unwrap();
        redeem(&shop, ana, ben, 35, "mug").unwrap();
        leave(&shop, ana, ben, "leave").unwrap();
        assert_eq!((shop.balance(ana), shop.balance(ben)), (125 - goes, goes), "{on_leaving:?}");
        assert_eq!(shop.customer(ben).in_pools(&points()).count(), 0);
        let none = TogetherError::NoMember { customer: ben };
        assert_eq!(redeem(&shop, ana, ben, 1, "gone"), Err(none.clone().into()));
        assert_eq!(leave(&shop, ana, ben, "leave twice"), Err(none.into()));
        assert!(leave(&shop, ana, ben, "leave").unwrap());
        assert_eq!(shop.check_totals(), 125);
        shop.check_replay(ana);
        shop.check_replay(ben);
    }
}

#[test]
fn whoever_leaves_takes_no_more_than_there_is() {
    let pools = Some(PoolPolicy { members: 5, each: None, on_leaving: OnLeaving::TakeOwn, share_millionths: 0 });
    let shop = Shop::new(Program { pools, ..generous() });
    let (ana, ben, cem) = (shop.visitor("ana"), shop.rich("ben", 60), shop.visitor("cem"));
    open(&shop, ana);
    join(&shop, ana, ben, MemberAllowance::Any);
    join(&shop, ana, cem, MemberAllowance::Any);
    contribute(&shop, ana, ben, 60).unwrap();
    redeem(&shop, ana, cem, 50, "mug").unwrap();
    leave(&shop, ana, ben, "leave").unwrap();
    assert_eq!((shop.balance(ana), shop.balance(ben), shop.check_totals()), (0, 10, 10));
}

#[test]
fn whoever_comes_back_and_leaves_again_takes_nothing_of_the_others() {
    let pools = Some(PoolPolicy { members: 5, each: None, on_leaving: OnLeaving::TakeOwn, share_millionths: 0 });
    let shop = Shop::new(Program { pools, ..generous() });
    let (ana, ben) = (shop.rich("ana", 100), shop.rich("ben", 60));
    open(&shop, ana);
    join(&shop, ana, ben, MemberAllowance::Any);
    contribute(&shop, ana, ben, 60).unwrap();
    leave(&shop, ana, ben, "leave").unwrap();
    assert_eq!((shop.balance(ana), shop.balance(ben)), (100, 60));
    ask(&shop, ana, PoolCommand::Join { member: ben, allowance: MemberAllowance::Any }, "back").unwrap();
    leave(&shop, ana, ben, "leave again").unwrap();
    assert_eq!((shop.balance(ana), shop.balance(ben), shop.check_totals()), (100, 60, 160));
}

#[test]
fn two_members_who_are_one_have_the_larger_allowance_and_leave_with_what_is_there() {
    let pools = Some(PoolPolicy { members: 5, each: None, on_leaving: OnLeaving::TakeOwn, share_millionths: 0 });
    let shop = Shop::new(Program { pools, ..generous() });
    let [ana, cem] = ["ana", "cem"].map(|who| shop.visitor(who));
    let (ben, bob) = (shop.rich("ben", 60), shop.rich("bob", 40));
    open(&shop, ana);
    join(&shop, ana, ben, a_month(50));
    join(&shop, ana, bob, a_month(20));
    join(&shop, ana, cem, MemberAllowance::Any);
    contribute(&shop, ana, ben, 60).unwrap();
    contribute(&shop, ana, bob, 40).unwrap();
    redeem(&shop, ana, cem, 70, "cem").unwrap();
    let one = shop.crm.merge(ben, bob, why("one person")).unwrap().customer;
    redeem(&shop, ana, ben, 21, "more than bob may").unwrap();
    leave(&shop, ana, ben, "leave").unwrap();
    assert_eq!((shop.balance(ana), shop.balance(one), shop.check_totals()), (0, 9, 9));
}

#[test]
fn of_two_pools_that_are_one_what_was_used_of_both_counts() {
    let shop = Shop::new(generous());
    let (ana, zoe, ben) = (shop.rich("ana", 100), shop.rich("zoe", 100), shop.visitor("ben"));
    open(&shop, ana);
    open(&shop, zoe);
    join(&shop, zoe, ben, a_month(50));
    redeem(&shop, zoe, ben, 30, "of zoe's").unwrap();
    leave(&shop, zoe, ben, "leave").unwrap();
    join(&shop, ana, ben, a_month(50));
    shop.crm.merge(ana, zoe, why("one person")).unwrap();
    assert_eq!(used_up(redeem(&shop, ana, ben, 21, "of both")), 20);
    redeem(&shop, ana, ben, 20, "the rest").unwrap();
}

#[test]
fn refusals_say_why() {
    let pools = Some(PoolPolicy { members: 1, each: None, on_leaving: OnLeaving::Stay, share_millionths: 0 });
    let shop = Shop::new(Program { pools, ..generous() });
    let [ana, ben, cem] = ["ana", "ben", "cem"].map(|who| shop.rich(who, 10));
    let joining = |member| PoolCommand::Join { member, allowance: MemberAllowance::Any };
    let refused = |owner, command, key| match ask(&shop, owner, command, key) {
        Err(LoyaltyError::Together(why)) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(ana, joining(ben), "a"), TogetherError::NoPool { customer: ana, program: points() });
    open(&shop, ana);
    assert_eq!(refused(ana, joining(ana), "b"), TogetherError::WithThemself { customer: ana });
    join(&shop, ana, ben, MemberAllowance::Any);
    assert_eq!(refused(ana, joining(cem), "c"), TogetherError::Members { max: 1 });
    open(&shop, cem);
    assert_eq!(refused(cem, joining(ben), "d"), TogetherError::OtherPool { customer: ben, pool: ana });
    let (amount, reason) = (1, why("mug"));
    let spend = PoolCommand::Redeem { member: cem, points: amount, reason };
    assert_eq!(refused(ana, spend, "e"), TogetherError::NoMember { customer: cem });
    assert!(matches!(redeem(&shop, ana, ben, 0, "f"), Err(LoyaltyError::Amount { .. })));
    assert!(matches!(contribute(&shop, ana, ben, 11), Err(LoyaltyError::NotEnough { .. })));
    shop.crm.erase(ben).unwrap();
    let spend = PoolCommand::Redeem { member: ben, points: 1, reason: why("mug") };
    assert_eq!(refused(ana, spend, "g"), TogetherError::Erased { customer: ben });
    let none = Shop::new(Program { pools: None, ..generous() });
    let ana = none.visitor("ana");
    let opened = ask(&none, ana, PoolCommand::Open { kind: PoolKind::Company }, "open");
    assert_eq!(opened, Err(TogetherError::NoPools { program: points() }.into()));
}

#[test]
fn two_members_who_are_one_have_used_of_one_allowance_and_parted_each_their_own() {
    let shop = Shop::new(generous());
    let (ana, ben, bob) = (shop.rich("ana", 500), shop.visitor("ben"), shop.visitor("bob"));
    open(&shop, ana);
    join(&shop, ana, ben, a_month(50));
    join(&shop, ana, bob, a_month(50));
    redeem(&shop, ana, ben, 20, "ben").unwrap();
    redeem(&shop, ana, bob, 25, "bob").unwrap();
    shop.crm.merge(ben, bob, why("one person")).unwrap();
    assert_eq!(used_up(redeem(&shop, ana, ben, 6, "both")), 5);
    redeem(&shop, ana, bob, 5, "rest").unwrap();
    shop.crm.part(ben, bob, why("two after all")).unwrap();
    assert_eq!(used_up(redeem(&shop, ana, ben, 31, "ben again")), 30);
    assert_eq!(used_up(redeem(&shop, ana, bob, 21, "bob again")), 20);
}

#[test]
fn the_pool_of_an_owner_who_is_several_is_found_and_stays_theirs() {
    let shop = Shop::new(generous());
    let (ana, zoe, ben) = (shop.rich("ana", 30), shop.rich("zoe", 50), shop.visitor("ben"));
    open(&shop, zoe);
    join(&shop, zoe, ben, MemberAllowance::Any);
    let one = shop.crm.merge(ana, zoe, why("one person")).unwrap().customer;
    redeem(&shop, ana, ben, 60, "of both").unwrap();
    assert_eq!(spent_by(&shop, one), [(ben, 60)]);
    shop.check_replay(one);
    shop.crm.part(ana, zoe, why("two after all")).unwrap();
    let pool = shop.customer(zoe).pool(&points()).cloned().unwrap();
    assert_eq!(pool.member(ben).map(|own| own.spent()), Some(60));
    assert!(shop.customer(ana).pool(&points()).is_none());
    assert_eq!(shop.check_totals(), 20);
    shop.check_replay(ana);
    shop.check_replay(zoe);
}

fn allowances_hold(store: Arc<dyn Store>) {
    let pools = PoolPolicy {
        members: 40,
        each: Some(Allowance { points: 20, per: Period::Month }),
        on_leaving: OnLeaving::Stay,
        share_millionths: 0,
    };
    let shop = Shop::over(store, Program { pools: Some(pools), ..generous() });
    let ana = shop.rich("ana", 1_000);
    open(&shop, ana);
    let members: Vec<CustomerId> = (0..8).map(|n| shop.visitor(&format!("m{n}"))).collect();
    members.iter().for_each(|member| join(&shop, ana, *member, MemberAllowance::AsAll));
    // Each of eight asks four times for eight of twenty.
    let made = all_at_once(32, |n| redeem(&shop, ana, members[n % 8], 8, &format!("{n}")).is_ok());
    assert_eq!(made.iter().filter(|made| **made).count(), 16);
    let owner = shop.customer(ana);
    assert!(owner.pool(&points()).unwrap().members().all(|(_, own)| own.spent() == 16));
    assert_eq!((shop.balance(ana), shop.check_totals()), (872, 872));
}

fn one_pool_is_spent_once(store: Arc<dyn Store>) {
    let shop = Shop::over(store, generous());
    let ana = shop.rich("ana", 100);
    open(&shop, ana);
    let members: Vec<CustomerId> = (0..32).map(|n| shop.visitor(&format!("m{n}"))).collect();
    members.iter().for_each(|member| join(&shop, ana, *member, MemberAllowance::Any));
    let made = all_at_once(32, |n| redeem(&shop, ana, members[n], 15, &format!("{n}")).is_ok());
    assert_eq!((made.iter().filter(|made| **made).count(), shop.balance(ana)), (6, 10));
    shop.check_replay(ana);
}

#[test]
fn allowances_hold_in_memory_however_many_spend_at_once() {
    allowances_hold(Arc::new(MemoryStore::new()));
    one_pool_is_spent_once(Arc::new(MemoryStore::new()));
}

#[cfg(feature = "sqlite")]
#[test]
fn allowances_hold_in_sqlite_however_many_spend_at_once() {
    let folder = tempfile::tempdir().unwrap();
    allowances_hold(Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()));
    let folder = tempfile::tempdir().unwrap();
    one_pool_is_spent_once(Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Coming, going, putting in, spending, merging and parting: points are what they were less what was spent, and
    /// nobody spent beyond their allowance.
    #[test]
    fn a_pool_neither_makes_nor_loses_points(
        steps in prop::collection::vec((0_usize..3, 0_usize..4, 1_i64..40, 0_u8..8), 1..16),
    ) {
        let each = Some(Allowance { points: 60, per: Period::Month });
        let pools = Some(PoolPolicy { members: 3, each, on_leaving: OnLeaving::TakeOwn, share_millionths: 0 });
        let shop = Shop::new(Program { pools, ..generous() });
        let all: Vec<CustomerId> = (0..4).map(|n| shop.rich(&format!("c{n}"), 50)).collect();
        open(&shop, all[0]);
        let mut spent = 0;
        for (n, (one, other, amount, what)) in steps.into_iter().enumerate() {
            let (owner, member, key) = (all[0], all[one + 1], format!("{n}"));
            match what {
                0 => drop(shop.crm.merge(all[one], all[other], why("one"))),
                1 => drop(shop.crm.part(all[one], all[other], why("two"))),
                2 | 3 => {
                    let command = PoolCommand::Join { member, allowance: MemberAllowance::AsAll };
                    drop(ask(&shop, owner, command, &key));
                }
                4 => drop(leave(&shop, owner, member, &key)),
                5 => drop(contribute(&shop, owner, member, amount)),
                _ => {
                    if redeem(&shop, owner, member, amount, &key).is_ok() {
                        spent += i128::from(amount);
                    }
                }
            }
            prop_assert_eq!(shop.check_totals(), 200 - spent);
        }
        let by_members: i64 = spent_by(&shop, all[0]).iter().map(|(_, points)| *points).sum();
        prop_assert_eq!(i128::from(by_members), spent);
        all.iter().for_each(|id| shop.check_replay(*id));
    }
}
