//! Orders that are cancelled, of which the shop says that they never were: what they earned goes, what was paid for them
//! comes back, and whatever is told of them after that changes nothing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

#[allow(dead_code, reason = "each test file uses its part")]
mod loyal;

use crm::loyalty::{AdjustPoints, CaptureHold, ForfeitPoints, HoldPoints, ReinstatePoints, UndoPosting};
use crm::{Command, CustomerId, Expiry, LoyaltyError, OrderRef, Program, RedeemPoints, Remark, Span, Timestamp};
use loyal::{Shop, at, generous, points};

fn why() -> Remark {
    "paid".parse().unwrap()
}

fn number(text: &str) -> OrderRef {
    OrderRef::new(text).unwrap()
}

fn redeem(amount: i64, order: &str) -> Command {
    let order = Some(number(order));
    Command::RedeemPoints(RedeemPoints { program: points(), points: amount, reason: why(), order, total: None })
}

fn ask(shop: &Shop, id: CustomerId, command: Command, key: &str) -> Result<crm::EventId, LoyaltyError> {
    shop.ask(id, command, key)
}

/// An hour on, which has come.
fn later(shop: &Shop, hour: u64) -> Timestamp {
    shop.clock.set(at(hour));
    at(hour)
}

/// Somebody with a hundred points who pays sixty of them for an order of ten euros, which earns ten.
fn paid() -> (Shop, CustomerId) {
    let shop = Shop::new(generous());
    let ana = shop.rich("ana", 100);
    ask(&shop, ana, redeem(60, "1"), "pay").unwrap();
    shop.order("ana", "1", 10, at(0));
    assert_eq!(shop.balance(ana), 50);
    (shop, ana)
}

#[test]
fn a_cancelled_order_gives_back_what_was_paid_for_it_and_takes_what_it_earned() {
    let (shop, ana) = paid();
    shop.void("ana", "1", at(0));
    assert_eq!(shop.balance(ana), 100);
    shop.refund("ana", "1", 10, at(0));
    assert_eq!((shop.balance(ana), shop.check_totals()), (100, 100), "what is told of it later changes nothing");
    shop.check_replay(ana);
}

#[test]
fn what_came_back_with_a_refund_does_not_come_back_again_when_the_order_is_cancelled() {
    let (shop, ana) = paid();
    shop.refund("ana", "1", 5, at(0));
    assert_eq!(shop.balance(ana), 75, "30 of what was paid, and 5 of what was earned");
    shop.void("ana", "1", at(0));
    assert_eq!(shop.balance(ana), 100);
    shop.check_replay(ana);
}

#[test]
fn an_order_that_is_cancelled_before_it_is_told_gives_back_what_was_paid_for_it() {
    let shop = Shop::new(generous());
    let ana = shop.rich("ana", 100);
    ask(&shop, ana, redeem(60, "1"), "pay").unwrap();
    shop.void("ana", "1", at(0));
    assert_eq!(shop.balance(ana), 40, "nobody knows yet which order that is");
    shop.order("ana", "1", 10, at(0));
    assert_eq!((shop.balance(ana), shop.check_totals()), (100, 100));
    shop.check_replay(ana);
}

#[test]
fn a_cancelled_order_is_not_paid_for_any_more_and_one_that_is_placed_again_stands_by_itself() {
    let (shop, ana) = paid();
    shop.void("ana", "1", at(0));
    let refused = Err(LoyaltyError::OrderVoided { order: number("1") });
    assert_eq!(ask(&shop, ana, redeem(60, "1"), "pay again"), refused);
    let hold: crm::loyalty::HoldName = "cart".parse().unwrap();
    let asked = HoldPoints { program: points(), points: 60, hold: hold.clone(), until: None };
    ask(&shop, ana, Command::HoldPoints(asked), "hold").unwrap();
    let capture = |order| {
        let (program, hold, reason) = (points(), hold.clone(), why());
        Command::CaptureHold(CaptureHold { program, hold, points: None, reason, order: Some(number(order)) })
    };
    assert_eq!(ask(&shop, ana, capture("1"), "capture"), refused);
    ask(&shop, ana, capture("2"), "capture for another").unwrap();
    shop.order("ana", "2", 10, at(0));
    assert_eq!(shop.balance(ana), 50);
    shop.refund("ana", "2", 5, at(0));
    assert_eq!(shop.balance(ana), 75);
    shop.void("ana", "2", at(0));
    assert_eq!((shop.balance(ana), shop.check_totals()), (100, 100));
    shop.check_replay(ana);
}

#[test]
fn an_order_that_is_placed_again_under_its_number_has_nothing_to_do_with_the_one_that_was_cancelled() {
    let (shop, ana) = paid();
    shop.void("ana", "1", later(&shop, 1));
    shop.order_again("ana", "1", 10, later(&shop, 2));
    assert_eq!(shop.balance(ana), 110);
    ask(&shop, ana, redeem(60, "1"), "pay for it").unwrap();
    shop.refund("ana", "1", 5, later(&shop, 3));
    assert_eq!(shop.balance(ana), 75, "half of what was paid for this one, and half of what it earned is gone");
    shop.refund("ana", "1", 5, later(&shop, 4));
    assert_eq!((shop.balance(ana), shop.check_totals()), (100, 100));
    shop.check_replay(ana);
}

#[test]
fn a_refund_that_was_told_by_mistake_leaves_what_came_back() {
    let (shop, ana) = paid();
    shop.refund("ana", "1", 10, later(&shop, 1));
    assert_eq!(shop.balance(ana), 100);
    let mistaken = format!("refund of 1 at {}", at(1));
    shop.void("ana", &mistaken, later(&shop, 2));
    assert_eq!(shop.balance(ana), 110, "the order stands, and earns again");
    shop.void("ana", "1", later(&shop, 3));
    assert_eq!((shop.balance(ana), shop.check_totals()), (100, 100), "nothing comes back twice");
    shop.check_replay(ana);
}

#[test]
fn a_payment_that_was_undone_by_hand_does_not_come_back_with_the_order() {
    let shop = Shop::new(generous());
    let ana = shop.rich("ana", 100);
    let posting = ask(&shop, ana, redeem(60, "1"), "pay").unwrap();
    ask(&shop, ana, redeem(20, "1"), "pay more").unwrap();
    shop.order("ana", "1", 10, at(0));
    let undo = Command::UndoPosting(UndoPosting { posting, reason: why() });
    ask(&shop, ana, undo.clone(), "undo").unwrap();
    assert_eq!(shop.balance(ana), 90);
    shop.void("ana", "1", at(0));
    assert_eq!(shop.balance(ana), 100);
    assert_eq!(ask(&shop, ana, undo, "undo again"), Err(LoyaltyError::Undone { posting }));
    shop.check_replay(ana);
}

/// Two payments of sixty and forty points for an order of ten euros, half of which came back.
fn paid_twice() -> (Shop, CustomerId, [crm::EventId; 2]) {
    let shop = Shop::new(generous());
    let ana = shop.rich("ana", 100);
    let payments = [60, 40].map(|points| ask(&shop, ana, redeem(points, "1"), &format!("pay {points}")).unwrap());
    shop.order("ana", "1", 10, at(0));
    shop.refund("ana", "1", 5, later(&shop, 1));
    assert_eq!(shop.balance(ana), 55, "half of what was paid, and five that it earned");
    (shop, ana, payments)
}

fn undo(posting: crm::EventId) -> Command {
    Command::UndoPosting(UndoPosting { posting, reason: why() })
}

#[test]
fn of_two_payments_of_which_one_is_undone_by_hand_no_more_comes_back_of_the_other_than_its_share() {
    for (which, balance) in [(0, 85), (1, 75)] {
        let (shop, ana, payments) = paid_twice();
        ask(&shop, ana, undo(payments[which]), "undo").unwrap();
        assert_eq!(shop.balance(ana), balance, "all of the one, and half of the other");
        shop.refund("ana", "1", 1, later(&shop, 2));
        let more = if which == 0 { 4 } else { 6 };
        assert_eq!(shop.balance(ana), balance + more - 1, "a tenth of the other");
        shop.refund("ana", "1", 4, later(&shop, 3));
        assert_eq!((shop.balance(ana), shop.check_totals()), (100, 100));
        assert_eq!(ask(&shop, ana, undo(payments[1 - which]), "undo the other").map(|_| ()), Ok(()));
        assert_eq!((shop.balance(ana), shop.check_totals()), (100, 100), "nothing is left of it");
        shop.check_replay(ana);
    }
    let (shop, ana, payments) = paid_twice();
    payments.iter().for_each(|payment| assert!(ask(&shop, ana, undo(*payment), &payment.to_string()).is_ok()));
    assert_eq!((shop.balance(ana), shop.check_totals()), (105, 105), "both");
    shop.check_replay(ana);
}

#[test]
fn a_payment_that_came_back_takes_nothing_of_what_is_paid_later_when_it_is_undone() {
    let (shop, ana) = paid();
    let [first, second] = [20, 30].map(|points| ask(&shop, ana, redeem(points, "2"), &points.to_string()).unwrap());
    shop.order("ana", "2", 10, at(0));
    shop.void("ana", "2", later(&shop, 1));
    shop.order_again("ana", "2", 10, later(&shop, 2));
    let third = ask(&shop, ana, redeem(40, "2"), "pay again").unwrap();
    assert_eq!(shop.balance(ana), 20);
    for gone in [first, second] {
        ask(&shop, ana, undo(gone), &gone.to_string()).unwrap();
        assert_eq!(shop.balance(ana), 20, "it came back with the order that was cancelled");
    }
    ask(&shop, ana, undo(third), "third").unwrap();
    assert_eq!((shop.balance(ana), shop.check_totals()), (60, 60));
    shop.check_replay(ana);
}

#[test]
fn of_payments_from_several_lots_that_are_undone_each_lot_comes_back_once() {
    let shop = Shop::new(Program { expiry: Expiry::After(Span::days(10)), ..generous() });
    let ana = shop.rich("ana", 60);
    later(&shop, 24);
    shop.award(ana, 40, "a day later");
    let payment = ask(&shop, ana, redeem(60, "1"), "pay").unwrap();
    ask(&shop, ana, redeem(40, "1"), "pay more").unwrap();
    ask(&shop, ana, undo(payment), "undo").unwrap();
    shop.order("ana", "1", 10, later(&shop, 25));
    shop.void("ana", "1", later(&shop, 26));
    assert_eq!(shop.balance(ana), 100);
    shop.advance(day(10));
    assert_eq!((shop.balance(ana), shop.check_totals()), (40, 40), "sixty last for ten days, and forty a day longer");
    shop.check_replay(ana);
}

#[test]
fn a_payment_that_came_back_with_its_order_gives_nothing_when_it_is_undone() {
    for voided in [false, true] {
        let shop = Shop::new(generous());
        let ana = shop.rich("ana", 100);
        let posting = ask(&shop, ana, redeem(60, "1"), "pay").unwrap();
        shop.order("ana", "1", 10, at(0));
        if voided {
            shop.void("ana", "1", later(&shop, 1))
        } else {
            shop.refund("ana", "1", 10, later(&shop, 1))
        }
        let undo = Command::UndoPosting(UndoPosting { posting, reason: why() });
        ask(&shop, ana, undo, "undo").unwrap();
        assert_eq!((shop.balance(ana), shop.check_totals()), (100, 100), "voided: {voided}");
        shop.check_replay(ana);
    }
}

#[test]
fn what_would_have_expired_meanwhile_expires_when_it_comes_back() {
    let shop = Shop::new(Program { expiry: Expiry::After(Span::days(10)), ..generous() });
    let ana = shop.rich("ana", 100);
    ask(&shop, ana, redeem(60, "1"), "pay").unwrap();
    shop.order("ana", "1", 10, at(0));
    let later = at(11 * 24);
    shop.advance(later);
    assert_eq!(shop.balance(ana), 0);
    shop.void("ana", "1", later);
    assert_eq!((shop.balance(ana), shop.check_totals()), (0, 0), "and what had expired of it is not owed");
    shop.check_replay(ana);
}

#[test]
fn of_merged_customers_whoever_paid_for_an_order_of_the_others_has_it_back() {
    let shop = Shop::new(generous());
    let (ana, ben) = (shop.rich("ana", 100), shop.visitor("ben"));
    shop.crm.merge(ana, ben, why()).unwrap();
    ask(&shop, ben, redeem(60, "1"), "pay").unwrap();
    shop.order("ben", "1", 10, at(0));
    shop.void("ben", "1", at(0));
    assert_eq!(shop.balance(ana), 100);
    shop.check_replay(ana);
}

fn day(days: u64) -> Timestamp {
    at(days * 24)
}

/// Points last for ten days, and can be given back for ten more.
fn fleeting() -> Shop {
    let reinstate_within = Some(Span::days(10));
    Shop::new(Program { expiry: Expiry::After(Span::days(10)), reinstate_within, ..generous() })
}

fn reinstate(points_: Option<i64>) -> Command {
    Command::ReinstatePoints(ReinstatePoints { program: points(), points: points_, reason: why() })
}

#[test]
fn what_was_reinstated_goes_with_the_order_that_had_earned_it() {
    let shop = fleeting();
    let ana = shop.order("ana", "1", 100, at(0));
    shop.award(ana, 30, "award");
    shop.advance(day(11));
    ask(&shop, ana, reinstate(Some(110)), "again").unwrap();
    assert_eq!(shop.balance(ana), 110);
    shop.refund("ana", "1", 50, day(11));
    assert_eq!(shop.balance(ana), 60, "fifty of what it had earned are gone with half of it");
    shop.void("ana", "1", day(11));
    assert_eq!((shop.balance(ana), shop.check_totals()), (10, 10), "ten of the award were given back");
    shop.check_replay(ana);
}

#[test]
fn what_is_reinstated_of_an_order_that_came_back_meanwhile_goes_at_once() {
    let shop = fleeting();
    let ana = shop.order("ana", "1", 100, at(0));
    let _ = shop.order("ana", "2", 40, at(0));
    shop.advance(day(11));
    shop.refund("ana", "1", 50, day(11));
    shop.void("ana", "2", day(11));
    assert_eq!(shop.balance(ana), 0, "what expired cannot be taken");
    ask(&shop, ana, reinstate(None), "again").unwrap();
    assert_eq!((shop.balance(ana), shop.check_totals()), (50, 50), "what is left of the first order still earns");
    shop.advance(day(12));
    shop.refund("ana", "1", 20, day(12));
    assert_eq!((shop.balance(ana), shop.check_totals()), (30, 30));
    shop.check_replay(ana);
}

#[test]
fn what_was_reinstated_and_expired_again_is_not_taken_back_with_its_order() {
    let shop = fleeting();
    let ana = shop.order("ana", "1", 100, at(0));
    shop.advance(day(11));
    ask(&shop, ana, reinstate(None), "again").unwrap();
    shop.advance(day(22));
    assert_eq!(shop.balance(ana), 0);
    shop.void("ana", "1", day(22));
    assert_eq!((shop.balance(ana), shop.check_totals()), (0, 0));
    shop.check_replay(ana);
}

#[test]
fn what_is_reinstated_and_pays_a_debt_is_not_reinstated_twice() {
    let shop = fleeting();
    let ana = shop.order("ana", "1", 50, at(0));
    shop.advance(day(15));
    // By now the one can be given back no more, and the other can.
    shop.order("ana", "2", 50, day(15));
    shop.advance(day(26));
    shop.order("ana", "3", 100, day(26));
    ask(&shop, ana, redeem(100, "4"), "spend").unwrap();
    shop.void("ana", "3", day(26));
    assert_eq!(shop.balance(ana), -100);
    ask(&shop, ana, reinstate(None), "once").unwrap();
    assert_eq!(shop.balance(ana), -50);
    let refused = Err(LoyaltyError::NotReinstatable { asked: 0, available: 0 });
    assert_eq!(ask(&shop, ana, reinstate(None), "twice"), refused);
    shop.check_replay(ana);
}

#[test]
fn what_was_left_behind_is_not_taken_back_once_more() {
    let shop = Shop::new(generous());
    let ana = shop.order("ana", "1", 100, at(0));
    let award = Command::AwardPoints(crm::AwardPoints { program: points(), points: 30, reason: why() });
    let posting = ask(&shop, ana, award, "award").unwrap();
    let leave = Command::ForfeitPoints(ForfeitPoints { program: points(), reason: why() });
    ask(&shop, ana, leave, "leave").unwrap();
    shop.void("ana", "1", at(0));
    ask(&shop, ana, Command::UndoPosting(UndoPosting { posting, reason: why() }), "undo").unwrap();
    assert_eq!((shop.balance(ana), shop.check_totals()), (0, 0), "nobody owes what they left");
    shop.check_replay(ana);
}

#[test]
fn of_an_award_that_is_undone_nothing_is_taken_that_expired_by_itself() {
    let shop = fleeting();
    let ana = shop.visitor("ana");
    let award = Command::AwardPoints(crm::AwardPoints { program: points(), points: 100, reason: why() });
    let posting = ask(&shop, ana, award, "award").unwrap();
    ask(&shop, ana, redeem(40, "1"), "pay").unwrap();
    shop.order("ana", "1", 10, at(0));
    // What was paid comes back into the award's lot, and expires with it.
    shop.refund("ana", "1", 5, at(0));
    assert_eq!(shop.balance(ana), 85);
    shop.advance(day(11));
    let adjust = AdjustPoints { program: points(), points: 50, reason: why() };
    ask(&shop, ana, Command::AdjustPoints(adjust), "adjust").unwrap();
    ask(&shop, ana, Command::UndoPosting(UndoPosting { posting, reason: why() }), "undo").unwrap();
    assert_eq!((shop.balance(ana), shop.check_totals()), (30, 30), "twenty were spent and stay so");
    shop.check_replay(ana);
}

#[test]
fn what_was_reinstated_of_an_award_goes_when_the_award_is_undone() {
    let shop = fleeting();
    let ana = shop.visitor("ana");
    let award = |points_| Command::AwardPoints(crm::AwardPoints { program: points(), points: points_, reason: why() });
    let posting = ask(&shop, ana, award(100), "award").unwrap();
    later(&shop, 1);
    ask(&shop, ana, award(30), "another").unwrap();
    shop.advance(day(11));
    ask(&shop, ana, reinstate(Some(110)), "again").unwrap();
    assert_eq!(shop.balance(ana), 110, "all of the one, and ten of the other");
    ask(&shop, ana, redeem(60, "1"), "pay").unwrap();
    ask(&shop, ana, undo(posting), "undo").unwrap();
    assert_eq!((shop.balance(ana), shop.check_totals()), (-50, -50), "what was spent of it is owed");
    shop.check_replay(ana);
}

#[test]
fn what_was_reinstated_of_an_award_and_expired_again_is_not_taken_when_it_is_undone() {
    let shop = fleeting();
    let ana = shop.visitor("ana");
    let award = |points_| Command::AwardPoints(crm::AwardPoints { program: points(), points: points_, reason: why() });
    let posting = ask(&shop, ana, award(100), "award").unwrap();
    shop.advance(day(11));
    ask(&shop, ana, reinstate(Some(70)), "again").unwrap();
    ask(&shop, ana, redeem(20, "1"), "pay").unwrap();
    shop.advance(day(22));
    ask(&shop, ana, award(30), "another").unwrap();
    ask(&shop, ana, undo(posting), "undo").unwrap();
    assert_eq!((shop.balance(ana), shop.check_totals()), (10, 10), "twenty of it were spent");
    shop.check_replay(ana);
}

#[test]
fn what_had_expired_of_an_award_is_not_given_back_once_the_award_is_undone() {
    let shop = fleeting();
    let ana = shop.visitor("ana");
    let award = |points_| Command::AwardPoints(crm::AwardPoints { program: points(), points: points_, reason: why() });
    // Two at one instant, and another one.
    let [first, second] =
        [100, 50].map(|points| ask(&shop, ana, award(points), &format!("award of {points}")).unwrap());
    later(&shop, 1);
    ask(&shop, ana, award(30), "another").unwrap();
    ask(&shop, ana, redeem(20, "1"), "pay").unwrap();
    shop.advance(day(11));
    assert_eq!(shop.balance(ana), 0);
    ask(&shop, ana, undo(first), "undo").unwrap();
    let many = LoyaltyError::NotReinstatable { asked: 61, available: 60 };
    assert_eq!(ask(&shop, ana, reinstate(Some(61)), "too many"), Err(many));
    assert_eq!((shop.balance(ana), shop.check_totals()), (0, 0), "what had expired of it is not taken");
    ask(&shop, ana, undo(second), "undo the other").unwrap();
    assert_eq!((shop.balance(ana), shop.check_totals()), (-20, -20), "of both twenty were spent");
    let many = LoyaltyError::NotReinstatable { asked: 31, available: 30 };
    assert_eq!(ask(&shop, ana, reinstate(Some(31)), "still too many"), Err(many));
    ask(&shop, ana, reinstate(None), "again").unwrap();
    assert_eq!((shop.balance(ana), shop.check_totals()), (10, 10));
    shop.check_replay(ana);
}

#[test]
fn of_what_several_paid_for_an_order_the_share_of_the_others_comes_back_at_once_when_one_payment_is_undone() {
    let shop = Shop::new(generous());
    let (ana, ben) = (shop.rich("ana", 200), shop.visitor("ben"));
    shop.crm.merge(ana, ben, why()).unwrap();
    ask(&shop, ana, redeem(100, "1"), "ana pays").unwrap();
    let payment = ask(&shop, ben, redeem(100, "1"), "ben pays").unwrap();
    shop.order("ana", "1", 10, at(0));
    shop.refund("ana", "1", 5, later(&shop, 1));
    assert_eq!(shop.balance(ana), 105, "what was spent last is back, and five that it earned");
    ask(&shop, ana, undo(payment), "undo").unwrap();
    assert_eq!((shop.balance(ana), shop.check_totals()), (155, 155), "half of what is left");
    shop.refund("ana", "1", 5, later(&shop, 2));
    assert_eq!((shop.balance(ana), shop.check_totals()), (200, 200));
    shop.check_replay(ana);
}

/// One commit for all of them.
fn ingest(shop: &Shop, facts: Vec<crm::Incoming>, how: crm::Ingestion) {
    let number = facts.len() as u64;
    let report = shop.crm.ingest(facts, how).unwrap();
    assert_eq!((report.recorded, &report.refusals[..]), (number, &[][..]), "{how:?} at {}", shop.crm.now());
}

fn told(key: &str, at: Timestamp, fact: impl Into<crm::Fact>) -> crm::Incoming {
    let ana = crm::Identifier::external(&crm::ExternalSystem::new("shop").unwrap(), "ana").unwrap();
    crm::Incoming::new(ana, at, crm::Source::new("shop").unwrap(), fact).with_key(key.parse().unwrap())
}

fn placed(order: &str) -> crm::OrderPlaced {
    crm::OrderPlaced::new(crm::Money::new(10_00, crm::Currency::EUR)).with_order(number(order))
}

fn voided(key: &str) -> crm::Voided {
    let event = crm::EventId::of_fact(&crm::TenantId::default(), &crm::Source::new("shop").unwrap(), key);
    crm::Voided { event, reason: None }
}

#[test]
fn an_order_that_is_cancelled_and_placed_again_in_one_batch_gives_back_what_was_paid_for_the_first() {
    for how in [crm::Ingestion::live(), crm::Ingestion::history()] {
        // In order, late, and late with the cancelled order itself.
        for passed in [0, 5] {
            let (shop, ana) = paid();
            shop.advance(at(passed));
            shop.clock.set(at(passed.max(2)));
            ingest(&shop, vec![told("x", at(1), voided("1")), told("again", at(2), placed("1"))], how);
            assert_eq!((shop.balance(ana), shop.check_totals()), (110, 110), "{how:?} {passed}");
            ask(&shop, ana, redeem(60, "1"), "pay for it").unwrap();
            shop.refund("ana", "1", 10, shop.crm.now());
            assert_eq!((shop.balance(ana), shop.check_totals()), (100, 100), "{how:?} {passed}");
            shop.check_replay(ana);
        }
        let shop = Shop::new(generous());
        let ana = shop.rich("ana", 100);
        ask(&shop, ana, redeem(60, "1"), "pay").unwrap();
        shop.advance(at(5));
        let all = vec![told("1", at(1), placed("1")), told("x", at(2), voided("1")), told("again", at(3), placed("1"))];
        ingest(&shop, all, how);
        assert_eq!((shop.balance(ana), shop.check_totals()), (110, 110), "{how:?}");
        shop.check_replay(ana);
    }
}
