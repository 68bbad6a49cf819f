//! Referrals: both are rewarded, once, and only when nothing can be sent back any more.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod loyal;

use std::sync::Arc;

use crm::loyalty::{CHAIN_LIMIT, Period};
use crm::{
    Allowance, Currency, CustomerId, Definition, Direction, Error, ExternalSystem, Identifier, Incoming, LoyaltyError,
    MemoryStore, Money, OrderPlaced, Program, Referral, ReferralName, ReferralStanding, Refusal, Source, Span, Store,
    Strength, Tie, TieKind, Timestamp, TogetherError, Untie,
};
use loyal::{Shop, all_at_once, at, points};

const DAY: u64 = 24;

fn friend() -> ReferralName {
    ReferralName::new("bring-a-friend").unwrap()
}

fn referral() -> Referral {
    Referral {
        program: points(),
        referrer: 500,
        referred: 200,
        at_least: Some(Money::new(2_000, Currency::EUR)),
        wait: Span::days(14),
        each: None,
    }
}

/// Orders earn nothing here, so that what is there is of referrals.
fn shop_over(store: Arc<dyn Store>, referral: Referral) -> Shop {
    let shop = Shop::over(store, Program::new(Currency::EUR));
    shop.crm.define(Timestamp::MIN, Definition::Referral(friend(), Some(referral))).unwrap();
    shop
}

fn shop_with(referral: Referral) -> Shop {
    shop_over(Arc::new(MemoryStore::new()), referral)
}

fn refer(shop: &Shop, by: CustomerId, who: CustomerId) -> Result<bool, TogetherError> {
    match shop.crm.refer(&friend(), by, who, &format!("{by} brought {who}")) {
        Ok(done) => Ok(done.replayed),
        Err(Error::Refused(Refusal::Loyalty(LoyaltyError::Together(why)))) => Err(why),
        Err(other) => panic!("{other:?}"),
    }
}

fn standing(shop: &Shop, who: CustomerId) -> Option<ReferralStanding> {
    shop.customer(who).referred().map(crm::Referred::standing)
}

#[test]
fn both_are_rewarded_when_the_first_order_can_no_longer_be_sent_back() {
    let shop = shop_with(referral());
    let (ana, ben) = (shop.visitor("ana"), shop.visitor("ben"));
    assert_eq!(refer(&shop, ana, ben), Ok(false));
    assert_eq!(refer(&shop, ana, ben), Ok(true));
    // The first order is too small to count.
    shop.order("ben", "1", 19, at(DAY));
    shop.order("ben", "2", 20, at(3 * DAY));
    shop.advance(at(17 * DAY - 1));
    assert_eq!((shop.balance(ana), shop.balance(ben)), (0, 0));
    shop.advance(at(17 * DAY));
    assert_eq!((shop.balance(ana), shop.balance(ben)), (500, 200));
    assert_eq!(standing(&shop, ben), Some(ReferralStanding::Rewarded));
    // Nothing of it happens twice, and what comes back now changes nothing.
    shop.order("ben", "3", 50, at(18 * DAY));
    shop.refund("ben", "2", 20, at(18 * DAY));
    shop.advance(at(100 * DAY));
    assert_eq!((shop.balance(ana), shop.balance(ben)), (500, 200));
    shop.check_replay(ana);
    shop.check_replay(ben);
}

#[test]
fn whoever_brings_somebody_is_tied_to_them_by_the_same_commit() {
    let shop = shop_with(referral());
    let [ana, ben, cem] = ["ana", "ben", "cem"].map(|who| shop.visitor(who));
    let ties = |who: CustomerId| -> Vec<(CustomerId, Direction)> {
        let customer = shop.customer(who);
        let referred = customer.ties().filter(|tie| *tie.kind == TieKind::Referred);
        referred.map(|tie| (tie.other, tie.direction)).collect()
    };
    refer(&shop, ana, ben).unwrap();
    assert_eq!((ties(ana), ties(ben)), (vec![(ben, Direction::Outgoing)], vec![(ana, Direction::Incoming)]));
    // What is refused ties nobody.
    assert!(refer(&shop, cem, ben).is_err() && ties(cem).is_empty());
    assert_eq!(refer(&shop, ana, ben), Ok(true));
    assert_eq!(ties(ben).len(), 1, "the same again is none");
    // The referral goes on though the tie is ended.
    let untie = Untie { from: ana, to: ben, kind: TieKind::Referred };
    shop.clock.set(at(1));
    shop.crm.untie(untie, at(1), Source::new("shop").unwrap(), "untie".parse().unwrap()).unwrap();
    assert!(ties(ana).is_empty() && ties(ben).is_empty());
    assert_eq!(refer(&shop, cem, ben), Err(TogetherError::ReferredBefore { customer: ben, by: ana }));
    shop.order("ben", "1", 30, at(DAY));
    shop.advance(at(15 * DAY));
    assert_eq!((shop.balance(ana), shop.balance(ben)), (500, 200));
    shop.check_replay(ana);
    shop.check_replay(ben);
}

#[test]
fn somebody_with_all_the_ties_there_may_be_brings_others_without_one() {
    // It takes a thousand ties to come to that.
    if std::env::var_os("CRM_SOAK").is_none() {
        return;
    }
    let shop = shop_with(referral());
    let [ana, ben] = ["ana", "ben"].map(|who| shop.visitor(who));
    for n in 0..crm::TIES_MAX {
        let tie =
            Tie { from: ana, to: shop.visitor(&n.to_string()), kind: TieKind::Household, strength: Strength::FULL };
        shop.crm.tie(tie, at(0), Source::new("shop").unwrap(), n.to_string().parse().unwrap()).unwrap();
    }
    refer(&shop, ana, ben).unwrap();
    assert_eq!(standing(&shop, ben), Some(ReferralStanding::Waits));
    assert_eq!(shop.customer(ben).ties().count(), 0);
}

#[test]
fn what_comes_back_in_time_leaves_nothing_to_reward() {
    let shop = shop_with(referral());
    let (ana, ben) = (shop.visitor("ana"), shop.visitor("ben"));
    refer(&shop, ana, ben).unwrap();
    shop.order("ben", "1", 30, at(DAY));
    // What is left of it is below twenty.
    shop.refund("ben", "1", 11, at(14 * DAY));
    shop.advance(at(30 * DAY));
    assert_eq!((shop.balance(ana), shop.balance(ben)), (0, 0));
    assert_eq!(standing(&shop, ben), Some(ReferralStanding::Waits));
    // The next order that counts has a window of its own.
    shop.order("ben", "2", 30, at(31 * DAY));
    shop.advance(at(44 * DAY));
    assert_eq!(shop.balance(ana), 0);
    shop.advance(at(45 * DAY));
    assert_eq!((shop.balance(ana), shop.balance(ben)), (500, 200));
}

#[test]
fn it_makes_no_difference_when_time_is_worked_off() {
    // What comes back after the window comes back late, though nobody worked off the window before.
    let late = shop_with(referral());
    let (ana, ben) = (late.visitor("ana"), late.visitor("ben"));
    refer(&late, ana, ben).unwrap();
    late.order("ben", "1", 30, at(DAY));
    late.clock.set(at(20 * DAY));
    late.refund("ben", "1", 30, at(16 * DAY));
    assert_eq!(late.balance(ben), 0, "rewarding writes two customers, and only advance does");
    late.advance(at(20 * DAY));
    assert_eq!((late.balance(ana), late.balance(ben)), (500, 200));
    // In one go or day by day, it is the same.
    let run = |steps: &[u64]| {
        let shop = shop_with(Referral { each: Some(Allowance { points: 1, per: Period::Month }), ..referral() });
        let ana = shop.visitor("ana");
        let brought = ["ben", "cem", "dan"].map(|who| shop.visitor(who));
        for (day, (who, id)) in (1..).zip(["ben", "cem", "dan"].iter().zip(brought)) {
            refer(&shop, ana, id).unwrap();
            shop.order(who, who, 30, at(day * DAY));
        }
        for day in steps {
            shop.advance(at(day * DAY));
        }
        (shop.balance(ana), brought.map(|id| shop.balance(id)))
    };
    let days: Vec<u64> = (0..60).collect();
    assert_eq!(run(&[60]), run(&days));
    assert_eq!(run(&[60]), (500, [200; 3]), "the one who brought them is rewarded once a month");
}

#[test]
fn who_brings_others_is_rewarded_so_often_in_each_month_of_the_zone() {
    let program = Program { zone: "Europe/Lisbon".parse().unwrap(), ..Program::new(Currency::EUR) };
    let shop = Shop::over(Arc::new(MemoryStore::new()), program);
    let once = Referral { each: Some(Allowance { points: 1, per: Period::Month }), ..referral() };
    shop.crm.define(Timestamp::MIN, Definition::Referral(friend(), Some(once))).unwrap();
    let ana = shop.visitor("ana");
    // April begins in summer time there, an hour before it does in UTC.
    let april = Timestamp::parse("2026-03-31T23:00:00Z").unwrap();
    let placed = april.minus(Span::days(14));
    let before = placed.minus(Span::millis(1));
    for who in ["ben", "cem", "dan"] {
        refer(&shop, ana, shop.visitor(who)).unwrap();
    }
    for (who, at) in [("ben", before), ("cem", placed), ("dan", placed)] {
        shop.clock.set(at);
        shop.order(who, who, 30, at);
    }
    shop.advance(april.minus(Span::millis(1)));
    assert_eq!(shop.balance(ana), 500);
    shop.advance(april);
    assert_eq!(shop.balance(ana), 1_000, "once in March, and once in April");
}

#[test]
fn only_who_is_new_can_be_brought_and_only_once() {
    let shop = shop_with(referral());
    let [ana, ben, cem] = ["ana", "ben", "cem"].map(|who| shop.visitor(who));
    shop.order("cem", "1", 1, at(0));
    assert_eq!(refer(&shop, ana, cem), Err(TogetherError::NotNew { customer: cem }));
    assert_eq!(refer(&shop, ana, ana), Err(TogetherError::WithThemself { customer: ana }));
    refer(&shop, ana, ben).unwrap();
    assert_eq!(refer(&shop, cem, ben), Err(TogetherError::ReferredBefore { customer: ben, by: ana }));
    let other = ReferralName::new("other").unwrap();
    assert!(matches!(
        shop.crm.refer(&other, cem, ana, "other"),
        Err(Error::Refused(Refusal::Loyalty(LoyaltyError::Together(TogetherError::NoReferral { .. }))))
    ));
    assert!(matches!(
        shop.crm.refer(&friend(), cem, CustomerId::new(at(0), [1; 10]), "x"),
        Err(Error::NoCustomer { .. })
    ));
    let dan = shop.visitor("dan");
    shop.crm.erase(dan).unwrap();
    assert_eq!(refer(&shop, ana, dan), Err(TogetherError::Erased { customer: dan }));
    assert_eq!(refer(&shop, dan, ana), Err(TogetherError::Erased { customer: dan }));
}

#[test]
fn an_order_from_before_that_is_told_later_shows_that_nobody_was_new() {
    let shop = shop_with(referral());
    shop.clock.set(at(10 * DAY));
    let (ana, ben) = (shop.visitor("ana"), shop.visitor("ben"));
    refer(&shop, ana, ben).unwrap();
    shop.order("ben", "2", 30, at(11 * DAY));
    shop.clock.set(at(12 * DAY));
    shop.order("ben", "1", 30, at(9 * DAY));
    shop.advance(at(40 * DAY));
    assert_eq!((shop.balance(ana), standing(&shop, ben)), (0, Some(ReferralStanding::Lapsed)));
}

#[test]
fn rings_are_refused_however_long_and_chains_too_long_to_tell() {
    let shop = shop_with(referral());
    let all: Vec<CustomerId> = (0..CHAIN_LIMIT + 4).map(|n| shop.visitor(&format!("c{n}"))).collect();
    for pair in all[..10].windows(2) {
        refer(&shop, pair[0], pair[1]).unwrap();
    }
    for last in 1..10 {
        assert_eq!(refer(&shop, all[last], all[0]), Err(TogetherError::Ring { customer: all[0] }));
    }
    let long = all[9..].windows(2).map(|pair| refer(&shop, pair[0], pair[1]));
    let refused: Vec<_> = long.filter_map(Result::err).collect();
    assert_eq!(refused.first(), Some(&TogetherError::Chain));
}

#[test]
fn an_order_in_another_currency_counts_for_nothing() {
    let shop = shop_with(referral());
    let (ana, ben) = (shop.visitor("ana"), shop.visitor("ben"));
    refer(&shop, ana, ben).unwrap();
    let dollars = OrderPlaced::new(Money::new(9_000, Currency::USD));
    let who = Identifier::external(&ExternalSystem::new("shop").unwrap(), "ben").unwrap();
    shop.crm.record(Incoming::new(who, at(0), Source::new("till").unwrap(), dollars)).unwrap();
    shop.advance(at(40 * DAY));
    assert_eq!((shop.balance(ana), standing(&shop, ben)), (0, Some(ReferralStanding::Waits)));
}

#[test]
fn two_who_turn_out_to_be_one_brought_nobody() {
    let shop = shop_with(referral());
    let (ana, ben) = (shop.visitor("ana"), shop.visitor("ben"));
    refer(&shop, ana, ben).unwrap();
    shop.order("ben", "1", 30, at(DAY));
    let one = shop.crm.merge(ana, ben, "one person".parse().unwrap()).unwrap().customer;
    shop.advance(at(30 * DAY));
    assert_eq!((shop.balance(one), standing(&shop, one)), (0, Some(ReferralStanding::Lapsed)));
    let (cem, dan) = (shop.visitor("cem"), shop.visitor("dan"));
    shop.crm.merge(cem, dan, "one person".parse().unwrap()).unwrap();
    assert_eq!(refer(&shop, cem, dan), Err(TogetherError::WithThemself { customer: dan }));
    shop.check_replay(one);
}

#[test]
fn a_merged_customer_is_brought_once_and_the_reward_goes_to_whom_it_was_told_of() {
    let shop = shop_with(referral());
    let [ana, ben, cem, dan] = ["ana", "ben", "cem", "dan"].map(|who| shop.visitor(who));
    refer(&shop, ana, ben).unwrap();
    shop.clock.set(at(1));
    refer(&shop, cem, dan).unwrap();
    let one = shop.crm.merge(ben, dan, "one person".parse().unwrap()).unwrap().customer;
    shop.order("dan", "1", 30, at(DAY));
    shop.advance(at(30 * DAY));
    assert_eq!([ana, cem, one].map(|id| shop.balance(id)), [500, 0, 200]);
    assert_eq!(shop.own_balance(ben), 200);
    // The one who brought somebody may have been merged too.
    let (eva, fay) = (shop.visitor("eva"), shop.visitor("fay"));
    refer(&shop, cem, eva).unwrap();
    shop.crm.merge(cem, fay, "one person".parse().unwrap()).unwrap();
    shop.order("eva", "2", 30, at(31 * DAY));
    shop.advance(at(60 * DAY));
    assert_eq!((shop.own_balance(cem), shop.own_balance(fay), shop.balance(eva)), (500, 0, 200));
    [ana, one, cem, eva].into_iter().for_each(|id| shop.check_replay(id));
}

#[test]
fn whoever_was_erased_is_rewarded_for_nothing() {
    let shop = shop_with(referral());
    let [ana, ben, cem] = ["ana", "ben", "cem"].map(|who| shop.visitor(who));
    refer(&shop, ana, ben).unwrap();
    refer(&shop, ben, cem).unwrap();
    shop.order("ben", "1", 30, at(DAY));
    shop.order("cem", "2", 30, at(DAY));
    shop.advance(at(2 * DAY));
    let by = crm::AuditActor::Host(crm::ActorName::new("shop").unwrap());
    shop.crm.erase_with(ben, crm::ErasureRequest::new(by).forced()).unwrap();
    shop.advance(at(30 * DAY));
    assert_eq!([ana, cem].map(|id| shop.balance(id)), [0, 200]);
    assert_eq!(shop.balance(ben), 0);
}

fn everybody_advances(store: Arc<dyn Store>) {
    let shop = shop_over(store, referral());
    let ana = shop.visitor("ana");
    let all: Vec<CustomerId> = (0..12).map(|n| shop.visitor(&format!("c{n}"))).collect();
    all_at_once(12, |n| refer(&shop, ana, all[n]).unwrap());
    for n in 0..12 {
        shop.order(&format!("c{n}"), &format!("o{n}"), 30, at(DAY));
    }
    shop.clock.set(at(30 * DAY));
    all_at_once(4, |_| shop.crm.advance(at(30 * DAY)).unwrap());
    assert_eq!(shop.balance(ana), 12 * 500);
    assert!(all.iter().all(|id| shop.balance(*id) == 200));
    shop.check_replay(ana);
}

fn nobody_closes_a_ring(store: Arc<dyn Store>) {
    let shop = shop_over(store, referral());
    let all: Vec<CustomerId> = (0..6).map(|n| shop.visitor(&format!("c{n}"))).collect();
    // Each brings the next and the last the first: all at once, so that none sees the others.
    let made = all_at_once(6, |n| refer(&shop, all[n], all[(n + 1) % 6]).is_ok());
    assert_eq!(made.iter().filter(|made| **made).count(), 5);
}

#[test]
fn in_memory_each_is_rewarded_once_and_no_ring_is_closed() {
    everybody_advances(Arc::new(MemoryStore::new()));
    nobody_closes_a_ring(Arc::new(MemoryStore::new()));
}

#[cfg(feature = "sqlite")]
#[test]
fn in_sqlite_each_is_rewarded_once_and_no_ring_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    everybody_advances(Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()));
    let folder = tempfile::tempdir().unwrap();
    nobody_closes_a_ring(Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()));
}
