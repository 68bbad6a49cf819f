//! How long points last: every kind of end, at its instant and not before, by time alone; what is told ahead of it, what
//! lengthens it, and until when it can be taken back.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind among all")]

#[allow(dead_code, reason = "each test file uses its part")]
mod loyal;
mod own;

use std::sync::{Arc, Mutex};

use crm::loyalty::{On, Period, ReinstatePoints};
use crm::{
    Command, CustomerId, Definition, EarningRule, Expiry, Formula, Grants, LoyaltyError, Program, RedeemPoints, Span,
    TierName, TierRule, Timestamp, WorkflowReply,
};
use loyal::{Shop, at, generous, points};
use own::Own;

fn instant(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// Noughts o'clock of a day after the beginning.
fn day(days: u64) -> Timestamp {
    at(days * 24)
}

/// The last instant before another one.
fn before(instant: Timestamp) -> Timestamp {
    instant.minus(Span::millis(1))
}

fn spend(shop: &Shop, who: CustomerId, amount: i64, key: &str) {
    let redeem =
        RedeemPoints { program: points(), points: amount, reason: "a mug".parse().unwrap(), order: None, total: None };
    shop.crm.execute(who, Command::RedeemPoints(redeem), key).unwrap();
}

/// What somebody has at the last instant before another one and at it, when nothing but time passes.
fn around(shop: &Shop, who: CustomerId, end: Timestamp) -> (i128, i128) {
    shop.advance(before(end));
    let had = shop.balance(who);
    shop.advance(end);
    (had, shop.balance(who))
}

#[test]
fn points_last_until_midnight_of_the_zone_ends_their_month_though_the_clocks_change() {
    // Midnight of the first of April is summer time in Lisbon, of the first of November winter time again.
    for (earned, months, end) in [
        ("2026-02-10T09:00:00Z", 1, "2026-03-31T23:00:00Z"),
        ("2026-09-30T23:30:00Z", 0, "2026-11-01T00:00:00Z"),
        // A month after the last of January is the last of February, of which a leap year has one more.
        ("2028-01-31T12:00:00Z", 1, "2028-03-01T00:00:00Z"),
    ] {
        let zone = "Europe/Lisbon".parse().unwrap();
        let shop = Shop::new(Program { zone, expiry: Expiry::EndOf { period: Period::Month, months }, ..generous() });
        shop.advance(instant(earned));
        let ana = shop.order("ana", "1", 100, instant(earned));
        assert_eq!(around(&shop, ana, instant(end)), (100, 0), "{earned}");
        shop.check_replay(ana);
    }
}

#[test]
fn all_end_at_one_instant_and_what_is_earned_from_then_on_does_not() {
    let shop = Shop::new(Program { expiry: Expiry::At(day(30)), ..generous() });
    let ana = shop.order("ana", "1", 100, at(0));
    shop.advance(day(29));
    shop.order("ana", "2", 10, day(29));
    assert_eq!(around(&shop, ana, day(30)), (110, 0));
    shop.order("ana", "3", 7, day(30));
    shop.advance(day(3_000));
    assert_eq!((shop.balance(ana), shop.check_totals()), (7, 7));
    shop.check_replay(ana);
}

#[test]
fn whatever_the_customer_does_puts_off_the_end_of_all_their_points_and_what_the_shop_does_not() {
    let shop = Shop::new(Program { expiry: Expiry::AfterActivity(Span::days(30)), ..generous() });
    let ana = shop.order("ana", "1", 100, at(0));
    let idle = shop.order("idle", "2", 100, at(0));
    shop.advance(day(20));
    shop.visitor("ana");
    shop.advance(day(40));
    assert_eq!((shop.balance(ana), shop.balance(idle)), (100, 0), "a visit is enough");
    // What the shop gives is no doing of the customer's, and lasts itself from when it was given.
    shop.award(ana, 5, "sorry");
    assert_eq!(around(&shop, ana, day(50)), (105, 5));
    assert_eq!(around(&shop, ana, day(70)), (5, 0));
    shop.check_replay(ana);
}

#[test]
fn what_is_earned_in_a_tier_lasts_longer_and_goes_on_doing_so_when_the_tier_is_lost() {
    let silver = || TierName::new("silver").unwrap();
    let mut visits = EarningRule::new("visit".parse().unwrap(), Formula::Fixed(2));
    visits.on = On::Visit;
    let mut program = Program { expiry: Expiry::After(Span::days(10)), ..generous() }.earning(visits);
    let mut rule = TierRule::new(silver(), 100);
    rule.points_last_longer = Some(Span::days(20));
    program.tiers.rules.push(rule);
    let shop = Shop::new(program);
    let tier = |id| shop.customer(id).standing().tier(&points()).cloned();
    let ana = shop.order("ana", "1", 100, at(0));
    assert_eq!(tier(ana), Some(silver()));
    // The points that made a tier were earned before it.
    shop.advance(day(1));
    shop.order("ana", "2", 40, day(1));
    shop.award(ana, 3, "thanks");
    shop.visitor("ana");
    assert_eq!(around(&shop, ana, day(10)), (145, 45));
    // It all comes back that was bought first, and with it goes the tier.
    shop.refund("ana", "1", 100, day(10));
    assert_eq!((tier(ana), shop.balance(ana)), (None, 45));
    shop.order("ana", "3", 7, day(10));
    assert_eq!(around(&shop, ana, day(20)), (52, 45));
    assert_eq!(around(&shop, ana, day(31)), (45, 0));
    shop.check_replay(ana);
}

/// What was told ahead of points that end: when, how many, and when they end.
type Told = Arc<Mutex<Vec<(Timestamp, i64, Timestamp)>>>;

/// A shop with a workflow that notes what customers are to be reminded of.
fn reminding(program: Program) -> (Shop, Told) {
    let told: Told = Arc::default();
    let noted = Arc::clone(&told);
    let clerk = Own::new("clerk", &["points_reminded"], move |call| {
        let number = |name: &str| match call.trigger.fields.iter().find(|(own, _)| own == name).map(|(_, value)| value)
        {
            Some(crm::TriggerValue::Int(number)) => *number,
            other => panic!("{name} is {other:?}"),
        };
        let end = Timestamp::from_millis(number("expires_at")).unwrap();
        noted.lock().unwrap().push((call.trigger.at, number("points"), end));
        Ok(WorkflowReply::default())
    });
    let Shop { crm, clock } = Shop::new(program);
    let shop = Shop { crm: crm.with_workflow(clerk, Grants::all()), clock };
    (shop, told)
}

#[test]
fn it_is_told_ahead_once_how_many_points_will_end_and_when() {
    let ends = Program { expiry: Expiry::After(Span::days(30)), remind: Some(Span::days(7)), ..generous() };
    let (shop, told) = reminding(ends);
    let told = || std::mem::take(&mut *told.lock().unwrap());
    let ana = shop.order("ana", "1", 100, at(0));
    shop.order("ana", "2", 50, at(0));
    shop.advance(day(5));
    shop.order("ana", "5", 11, day(5));
    shop.advance(day(10));
    shop.order("ana", "3", 25, day(10));
    spend(&shop, ana, 30, "some of the first");
    shop.advance(before(day(23)));
    assert_eq!(told(), []);
    shop.advance(day(25));
    assert_eq!(told(), [(day(23), 120, day(30))], "of all that end together, and nothing of what was spent");
    shop.advance(day(29));
    assert_eq!(told(), [(day(28), 11, day(35))], "and not of the first ones again");
    // What is spent meanwhile is not told of again; what ends later is, if it is still there.
    spend(&shop, ana, 131, "the rest of both");
    shop.advance(day(32));
    assert_eq!(told(), []);
    shop.advance(day(50));
    assert_eq!(told(), [(day(33), 25, day(40))]);
    assert_eq!(shop.balance(ana), 0);
    // Whoever has spent all is told of nothing.
    shop.order("ana", "4", 9, day(50));
    spend(&shop, ana, 9, "all of it");
    shop.advance(day(100));
    assert_eq!(told(), []);
    shop.check_replay(ana);
}

#[test]
fn what_ended_can_be_given_back_until_its_window_closes_and_lasts_anew() {
    let window = Program { expiry: Expiry::After(Span::days(10)), reinstate_within: Some(Span::days(5)), ..generous() };
    let back = |points_| {
        Command::ReinstatePoints(ReinstatePoints {
            program: points(),
            points: points_,
            reason: "she asked nicely".parse().unwrap(),
        })
    };
    let ask = |shop: &Shop, who, command, key: &str| shop.ask(who, command, key).map(drop);
    let none = Err(LoyaltyError::NotReinstatable { asked: 0, available: 0 });
    let shop = Shop::new(window.clone());
    let ana = shop.order("ana", "1", 100, at(0));
    assert_eq!(ask(&shop, ana, back(None), "before"), none);
    shop.advance(before(day(15)));
    let many = Err(LoyaltyError::NotReinstatable { asked: 101, available: 100 });
    assert_eq!(ask(&shop, ana, back(Some(101)), "too many"), many);
    assert_eq!(ask(&shop, ana, back(Some(60)), "some"), Ok(()));
    assert_eq!((shop.balance(ana), around(&shop, ana, before(day(25)))), (60, (60, 0)));
    shop.check_replay(ana);
    let shop = Shop::new(window);
    let ana = shop.order("ana", "1", 100, at(0));
    shop.advance(day(15));
    assert_eq!(ask(&shop, ana, back(None), "late"), none);
    assert_eq!((shop.balance(ana), shop.check_totals()), (0, 0));
}

#[test]
fn a_tier_that_was_lost_or_reached_since_changes_nothing_of_what_a_refund_takes_back() {
    let gold = || TierName::new("gold").unwrap();
    let mut program = generous().with_tier(gold(), 100);
    program.tiers.window = crm::loyalty::Window::Rolling(Span::days(5));
    program.multipliers.push(crm::Multiplier {
        name: "gold".parse().unwrap(),
        by: crm::loyalty::Factor(3_000),
        tiers: [gold()].into(),
        when: None,
        rules: [].into(),
        from: None,
        until: None,
    });
    let shop = Shop::new(program);
    let tier = |id| shop.customer(id).standing().tier(&points()).cloned();
    let ana = shop.order("ana", "plain", 100, at(0));
    shop.advance(day(1));
    shop.order("ana", "golden", 50, day(1));
    assert_eq!((tier(ana), shop.balance(ana)), (Some(gold()), 250));
    // In gold: a hundred were given, and a hundred go.
    shop.refund("ana", "plain", 100, day(1));
    assert_eq!(shop.balance(ana), 150);
    // And in gold no more: of three times fifty half goes, and then the other half.
    shop.advance(day(20));
    assert_eq!(tier(ana), None);
    shop.refund("ana", "golden", 25, day(20));
    assert_eq!(shop.balance(ana), 75);
    shop.advance(day(21));
    shop.refund("ana", "golden", 25, day(21));
    assert_eq!((shop.balance(ana), shop.check_totals()), (0, 0));
    shop.check_replay(ana);
}

#[test]
fn a_voiding_that_is_voided_changes_nothing() {
    let shop = Shop::new(generous());
    let ana = shop.rich("ana", 100);
    let pay = RedeemPoints {
        program: points(),
        points: 60,
        reason: "paid".parse().unwrap(),
        order: Some("1".parse().unwrap()),
        total: None,
    };
    shop.crm.execute(ana, Command::RedeemPoints(pay), "pay").unwrap();
    shop.order("ana", "1", 10, at(0));
    shop.void("ana", "1", at(0));
    let after = shop.balance(ana);
    assert_eq!(after, 100);
    shop.void("ana", "void of 1", at(0));
    assert_eq!((shop.balance(ana), shop.check_totals()), (100, 100));
    shop.check_replay(ana);
    // It is placed again, and stands by itself.
    shop.clock.set(at(1));
    shop.order_again("ana", "1", 10, at(1));
    assert_eq!(shop.balance(ana), 110);
}

#[test]
fn a_programme_that_is_defined_anew_leaves_the_ends_of_what_is_there() {
    let shop = Shop::new(Program { expiry: Expiry::After(Span::days(10)), ..generous() });
    let ana = shop.order("ana", "1", 100, at(0));
    let longer = Program { expiry: Expiry::After(Span::days(100)), ..generous() };
    shop.crm.define(day(1), Definition::Program(points(), Some(longer))).unwrap();
    shop.advance(day(1));
    shop.order("ana", "2", 7, day(1));
    assert_eq!(around(&shop, ana, day(10)), (107, 7));
    assert_eq!(around(&shop, ana, day(101)), (7, 0));
}

#[test]
fn what_is_given_again_when_a_refund_was_a_mistake_ends_when_it_would_have() {
    let shop = Shop::new(Program { expiry: Expiry::After(Span::days(10)), ..generous() });
    let ana = shop.order("ana", "1", 100, at(0));
    shop.advance(day(2));
    shop.refund("ana", "1", 60, day(2));
    shop.advance(day(5));
    shop.void("ana", &format!("refund of 1 at {}", day(2)), day(5));
    assert_eq!(around(&shop, ana, day(10)), (100, 0));
    shop.check_replay(ana);
}
