//! Holds of customers who are merged and parted: each stays that of whoever placed it, though several have one name.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

#[allow(dead_code, reason = "each test file uses its part")]
mod loyal;

use crm::loyalty::{CaptureHold, HoldName, HoldPoints, ReleaseHold};
use crm::{Command, CustomerId, LoyaltyError, Remark, Timestamp};
use loyal::{Shop, at, generous, points};

fn why() -> Remark {
    "cart".parse().unwrap()
}

fn cart() -> HoldName {
    "cart".parse().unwrap()
}

fn ask(shop: &Shop, id: CustomerId, command: Command) -> Result<(), LoyaltyError> {
    let key = format!("{id} {}", shop.crm.story(id).unwrap().unwrap().events.len());
    shop.ask(id, command, &key).map(drop)
}

fn hold(shop: &Shop, id: CustomerId, amount: i64, until: Option<Timestamp>) -> Result<(), LoyaltyError> {
    ask(shop, id, Command::HoldPoints(HoldPoints { program: points(), points: amount, hold: cart(), until }))
}

fn capture(shop: &Shop, id: CustomerId) -> Result<(), LoyaltyError> {
    let (program, hold, reason) = (points(), cart(), why());
    ask(shop, id, Command::CaptureHold(CaptureHold { program, hold, points: None, reason, order: None }))
}

fn release(shop: &Shop, id: CustomerId) -> Result<(), LoyaltyError> {
    ask(shop, id, Command::ReleaseHold(ReleaseHold { program: points(), hold: cart() }))
}

/// What somebody, or all whom they were merged of, can spend and have held, and by hold.
fn book(shop: &Shop, id: CustomerId) -> (i128, i128, Vec<i64>) {
    shop.check_totals();
    shop.check_replay(id);
    let customer = shop.customer(id);
    let book = customer.book(&points()).unwrap();
    let mut holds: Vec<i64> = book.holds().map(|(_, hold)| hold.points()).collect();
    holds.sort_unstable();
    holds.reverse();
    (book.balance(), book.held(), holds)
}

/// Two who each hold points for a cart of the same name, and are merged.
fn merged() -> (Shop, CustomerId, CustomerId) {
    let shop = Shop::new(generous());
    let (ana, ben) = (shop.rich("ana", 100), shop.rich("ben", 100));
    hold(&shop, ana, 60, Some(at(48))).unwrap();
    hold(&shop, ben, 30, None).unwrap();
    shop.crm.merge(ana, ben, why()).unwrap();
    assert_eq!(book(&shop, ana), (110, 90, vec![60, 30]));
    (shop, ana, ben)
}

#[test]
fn holds_of_one_name_stay_two_when_their_owners_are_merged_and_each_is_captured_by_itself() {
    let (shop, ana, ben) = merged();
    capture(&shop, ben).unwrap();
    assert_eq!(book(&shop, ana), (110, 60, vec![60]));
    assert_eq!((shop.own_balance(ana), shop.own_balance(ben)), (40, 70));
    capture(&shop, ana).unwrap();
    assert_eq!(book(&shop, ana), (110, 0, vec![]));
    assert_eq!(capture(&shop, ana), Err(LoyaltyError::NoHold { hold: cart() }));
}

#[test]
fn one_is_released_or_over_without_the_other() {
    let (shop, ana, ben) = merged();
    release(&shop, ben).unwrap();
    assert_eq!(book(&shop, ana), (140, 60, vec![60]));
    shop.advance(at(48));
    assert_eq!(book(&shop, ana), (200, 0, vec![]));
    let (shop, ana, _) = merged();
    shop.advance(at(48));
    assert_eq!(book(&shop, ana), (170, 30, vec![30]));
    // It is the only one of that name now, whoever of them asks.
    release(&shop, ana).unwrap();
    assert_eq!(book(&shop, ana), (200, 0, vec![]));
}

#[test]
fn whoever_is_parted_has_their_own_hold_again() {
    let (shop, ana, ben) = merged();
    shop.crm.part(ana, ben, why()).unwrap();
    assert_eq!((book(&shop, ana), book(&shop, ben)), ((40, 60, vec![60]), (70, 30, vec![30])));
    capture(&shop, ana).unwrap();
    assert_eq!((book(&shop, ana), book(&shop, ben)), ((40, 0, vec![]), (70, 30, vec![30])));
}

#[test]
fn while_two_are_one_the_name_of_either_is_taken_and_what_one_holds_of_both_is_one_hold() {
    let (shop, ana, ben) = merged();
    assert_eq!(hold(&shop, ben, 1, None), Err(LoyaltyError::HoldTaken { hold: cart() }));
    release(&shop, ana).unwrap();
    release(&shop, ben).unwrap();
    hold(&shop, ben, 150, None).unwrap();
    assert_eq!(book(&shop, ana), (50, 150, vec![150]));
    // Parted, each has what is held of theirs; merged again it is one.
    shop.crm.part(ana, ben, why()).unwrap();
    let both = [book(&shop, ana), book(&shop, ben)];
    assert_eq!(both.iter().map(|(_, held, _)| held).sum::<i128>(), 150);
    assert!(both.iter().all(|(_, _, holds)| holds.len() == 1));
    shop.crm.merge(ana, ben, why()).unwrap();
    capture(&shop, ana).unwrap();
    assert_eq!(book(&shop, ana), (50, 0, vec![]));
}

#[test]
fn somebody_else_among_them_is_asked_whose_it_is() {
    let shop = Shop::new(generous());
    let (ana, ben, cleo) = (shop.rich("ana", 100), shop.rich("ben", 100), shop.visitor("cleo"));
    hold(&shop, ana, 60, None).unwrap();
    hold(&shop, ben, 30, None).unwrap();
    shop.crm.merge(ana, ben, why()).unwrap();
    shop.crm.merge(ana, cleo, why()).unwrap();
    let refused = capture(&shop, cleo).unwrap_err();
    assert_eq!(refused.to_string(), "several who were merged have a hold cart");
    capture(&shop, ben).unwrap();
    capture(&shop, cleo).unwrap();
    assert_eq!(book(&shop, ana), (110, 0, vec![]));
}
