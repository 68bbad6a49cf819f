//! What a programme says of points that are redeemed holds when they are, and not in quotes alone.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

#[allow(dead_code, reason = "each test file uses its part")]
mod loyal;

use crm::loyalty::{CaptureHold, HoldPoints, Redemption, UndoPosting};
use crm::{
    Cart, Command, Currency, CustomerId, EventId, Identifier, LoyaltyError, MemberAllowance, Money, OrderRef,
    PoolCommand, PoolKind, Program, RedeemPoints, Remark, Timestamp,
};
use loyal::{Shop, at, generous, points};

fn why() -> Remark {
    "checkout".parse().unwrap()
}

fn eur(minor: i64) -> Option<Money> {
    Some(Money::new(minor, Currency::EUR))
}

/// A point is worth seven cents; at least ten are redeemed, for up to half of an order.
fn program() -> Program {
    Program { redemption: Some(Redemption { points: 1, minor: 7, at_least: 10, up_to_percent: 50 }), ..generous() }
}

fn ask(shop: &Shop, id: CustomerId, command: Command) -> Result<EventId, LoyaltyError> {
    let key = format!("{id} {}", shop.crm.story(id).unwrap().unwrap().events.len());
    shop.ask(id, command, &key)
}

fn redeem(
    shop: &Shop,
    id: CustomerId,
    amount: i64,
    order: Option<&str>,
    total: Option<Money>,
) -> Result<EventId, LoyaltyError> {
    let order = order.map(|order| OrderRef::new(order).unwrap());
    let asked = RedeemPoints { program: points(), points: amount, reason: why(), order, total };
    ask(shop, id, Command::RedeemPoints(asked))
}

fn too_few(asked: i64) -> Result<EventId, LoyaltyError> {
    Err(LoyaltyError::TooFewRedeemed { asked, at_least: 10 })
}

fn share(asked: i64, most: i64) -> Result<EventId, LoyaltyError> {
    Err(LoyaltyError::ShareRedeemed { asked, most, up_to_percent: 50 })
}

fn later(shop: &Shop, hour: u64) -> Timestamp {
    shop.clock.set(at(hour));
    at(hour)
}

#[test]
fn fewer_points_than_the_least_are_redeemed_for_nothing() {
    let shop = Shop::new(program());
    let ana = shop.rich("ana", 100);
    shop.order("ana", "1", 100, at(0));
    for order in [None, Some("1"), Some("not told yet")] {
        assert_eq!(redeem(&shop, ana, 9, order, None), too_few(9));
        assert!(matches!(redeem(&shop, ana, 0, order, None), Err(LoyaltyError::Amount { .. })));
        redeem(&shop, ana, 10, order, None).unwrap();
    }
    shop.crm.pool(ana, &points(), PoolCommand::Open { kind: PoolKind::Household }, "open").unwrap();
    let ben = shop.visitor("ben");
    shop.crm.pool(ana, &points(), PoolCommand::Join { member: ben, allowance: MemberAllowance::AsAll }, "ben").unwrap();
    let of_pool = |points_| PoolCommand::Redeem { member: ben, points: points_, reason: why() };
    assert!(shop.crm.pool(ana, &points(), of_pool(9), "nine").is_err());
    shop.crm.pool(ana, &points(), of_pool(10), "ten").unwrap();
}

#[test]
fn an_order_that_is_known_is_paid_with_points_up_to_its_share_however_often_they_are_redeemed() {
    let shop = Shop::new(program());
    let ana = shop.rich("ana", 1_000);
    // Half of it is ten euros, for which 143 points are needed.
    shop.order("ana", "1", 20, at(0));
    assert_eq!(redeem(&shop, ana, 144, Some("1"), None), share(144, 143));
    let first = redeem(&shop, ana, 100, Some("1"), None).unwrap();
    assert_eq!(redeem(&shop, ana, 44, Some("1"), None), share(44, 43));
    redeem(&shop, ana, 43, Some("1"), None).unwrap();
    assert_eq!(redeem(&shop, ana, 10, Some("1"), None), share(10, 0));
    assert_eq!(redeem(&shop, ana, 10, Some("1"), eur(1_000_000)), share(10, 0), "what was told of the order counts");
    // What is undone was not redeemed, and what came back of the order is paid with nothing.
    ask(&shop, ana, Command::UndoPosting(UndoPosting { posting: first, reason: why() })).unwrap();
    redeem(&shop, ana, 100, Some("1"), None).unwrap();
    shop.refund("ana", "1", 10, later(&shop, 1));
    assert_eq!(redeem(&shop, ana, 10, Some("1"), None), share(10, 0));
    shop.check_replay(ana);
}

#[test]
fn an_order_that_is_not_told_yet_is_paid_up_to_the_share_of_what_the_shop_says_it_comes_to() {
    let shop = Shop::new(program());
    let ana = shop.rich("ana", 1_000);
    assert_eq!(redeem(&shop, ana, 144, Some("1"), eur(2_000)), share(144, 143));
    redeem(&shop, ana, 100, Some("1"), eur(2_000)).unwrap();
    assert_eq!(redeem(&shop, ana, 44, Some("1"), eur(2_000)), share(44, 43));
    assert_eq!(redeem(&shop, ana, 144, None, eur(2_000)), share(144, 143), "of no number it is by itself");
    let dollars = Some(Money::new(2_000, Currency::USD));
    let other = LoyaltyError::RedeemedCurrency { order: Currency::USD, program: Currency::EUR };
    assert_eq!(redeem(&shop, ana, 10, Some("2"), dollars), Err(other));
    // Where nobody says it, there is no share of it.
    redeem(&shop, ana, 500, Some("2"), None).unwrap();
}

#[test]
fn what_is_held_is_captured_within_the_same_limits() {
    let shop = Shop::new(program());
    let ana = shop.rich("ana", 1_000);
    shop.order("ana", "1", 20, at(0));
    let hold: crm::loyalty::HoldName = "cart".parse().unwrap();
    let asked = HoldPoints { program: points(), points: 200, hold: hold.clone(), until: None };
    ask(&shop, ana, Command::HoldPoints(asked)).unwrap();
    let capture = |amount| {
        let (program, hold, order) = (points(), hold.clone(), Some(OrderRef::new("1").unwrap()));
        Command::CaptureHold(CaptureHold { program, hold, points: amount, reason: why(), order })
    };
    assert_eq!(ask(&shop, ana, capture(None)), share(200, 143));
    assert_eq!(ask(&shop, ana, capture(Some(9))), too_few(9));
    ask(&shop, ana, capture(Some(143))).unwrap();
    assert_eq!((shop.balance(ana), shop.check_totals()), (877, 877), "what was not captured is free again");
}

#[test]
fn of_several_who_are_one_what_any_of_them_redeemed_for_an_order_counts() {
    let shop = Shop::new(program());
    let (ana, ben) = (shop.rich("ana", 100), shop.rich("ben", 100));
    shop.order("ana", "1", 20, at(0));
    shop.crm.merge(ana, ben, why()).unwrap();
    redeem(&shop, ana, 130, Some("1"), None).unwrap();
    assert_eq!(redeem(&shop, ben, 14, Some("1"), None), share(14, 13));
    redeem(&shop, ben, 13, Some("1"), None).unwrap();
    shop.check_replay(ana);
}

#[test]
fn what_a_quote_offers_is_never_refused() {
    for (worth, percent, cents, had) in
        [((1, 7), 50, 1_999, 1_000), ((3, 2), 33, 1_001, 1_000), ((100, 1), 100, 99, 9_999), ((1, 7), 50, 2_000, 77)]
    {
        let redemption = Redemption { points: worth.0, minor: worth.1, at_least: 1, up_to_percent: percent };
        let shop = Shop::new(Program { redemption: Some(redemption), ..generous() });
        let ana = shop.rich("ana", had);
        let cart = Cart::new(Money::new(cents, Currency::EUR));
        let offered = shop.crm.quote(ana, &points(), &cart).unwrap().redeemable.points;
        assert!(offered > 0);
        redeem(&shop, ana, offered, Some("1"), eur(cents)).unwrap();
        if offered < had {
            assert!(redeem(&shop, ana, 1, Some("1"), eur(cents)).is_err(), "{cents} cents");
        }
    }
}

#[test]
fn a_programme_that_says_nothing_of_redemptions_has_no_limits() {
    let shop = Shop::new(generous());
    let ana = shop.rich("ana", 100);
    shop.order("ana", "1", 1, at(0));
    redeem(&shop, ana, 1, Some("1"), None).unwrap();
    redeem(&shop, ana, 99, Some("1"), eur(1)).unwrap();
    let who = Identifier::email("nobody@example.com").unwrap();
    let quote = shop.crm.quote(who, &points(), &Cart::new(Money::new(100, Currency::EUR))).unwrap();
    assert_eq!(quote.redeemable.points, 0, "a quote offers none");
}
