//! The book under everything that can happen to it, one posting at a time.

use super::book::PointsBook;
use super::*;
use crate::id::{CustomerId, EventId, Source, TenantId};
use crate::money::{Currency, Money};
use crate::order::{Order, OrderRef, Orders};
use crate::text::Remark;
use crate::time::{Span, Timestamp};

fn id() -> ProgramId {
    ProgramId::new("points").unwrap()
}

fn day(day: i64) -> Timestamp {
    Timestamp::from_millis(day * 86_400_000).unwrap()
}

fn member(n: u8) -> CustomerId {
    CustomerId::new(day(0), [n; 10])
}

fn fact(n: i64) -> EventId {
    EventId::of_fact(&TenantId::default(), &Source::new("test").unwrap(), &n.to_string())
}

fn reason() -> Remark {
    Remark::new("test").unwrap()
}

fn hold(name: &str) -> HoldName {
    HoldName::new(name).unwrap()
}

fn program() -> Program {
    Program::point_per_unit(Currency::EUR)
}

fn post(book: &mut PointsBook, posting: &Posting) {
    assert_eq!(posting.entries().map(|(_, points)| points).sum::<i128>(), 0, "{posting:?}");
    book.apply(posting);
    let lots: i128 = book.lots().iter().map(|lot| i128::from(lot.left())).sum();
    assert_eq!(lots - i128::from(book.owed()), book.totals().outstanding(), "{posting:?}");
    assert_eq!(lots, book.pending() + book.held() + book.balance() + i128::from(book.owed()));
    assert!(book.lots().iter().all(|lot| lot.pending >= 0 && lot.active >= 0 && lot.held >= 0));
    let held: i128 = book.holds().map(|(_, hold)| i128::from(hold.points())).sum();
    assert_eq!(held, book.held());
}

fn award(book: &mut PointsBook, points: i64, at: i64, program: &Program) {
    let award = AwardPoints { program: id(), points, reason: reason() };
    let posting = award.decide(book, program, None, day(at)).unwrap();
    post(book, &posting);
}

fn redeem(book: &mut PointsBook, points: i64, order: Option<&OrderRef>) -> Result<Posting, LoyaltyError> {
    let redeem = RedeemPoints { program: id(), points, reason: reason(), order: order.cloned(), total: None };
    let posting = redeem.decide(book, &Orders::default())?;
    post(book, &posting);
    Ok(posting)
}

fn give(book: &mut PointsBook, origin: Origin, points: i64, at: i64, lasts: Option<i64>) {
    let expires_at = lasts.map(|days| day(at + days));
    let terms = LotTerms::new(origin, day(at), expires_at);
    let kind = terms.fact().map_or(PostingKind::Awarded { reason: reason() }, |fact| PostingKind::Earned { fact });
    let posting = book.give(Posting::new(id(), kind), points, terms);
    book.apply(&posting);
}

fn order(name: &OrderRef, minor: i64, refunded: i64) -> Order {
    Order {
        event: fact(99),
        order: Some(name.clone()),
        placed_at: day(0),
        total: Money::new(minor, Currency::EUR),
        refunded,
        beside: None,
    }
}

fn undoing<'a>(undone: &'a Posting, orders: &'a [Order]) -> Undoing<'a> {
    Undoing { undone, took: Vec::new(), gone: None, settled: false, order: orders.first() }
}

/// When the first points end that can expire, and how many do.
fn next_end(book: &PointsBook) -> Option<(Timestamp, i64)> {
    let first = book.ends(|_| None, |_| None).map(|(end, _)| end).min()?;
    let own = book.ends(|_| None, |_| None).filter(|(end, _)| *end == first);
    Some((first, own.map(|(_, lot)| lot.pending + lot.active).sum()))
}

#[test]
fn what_is_held_cannot_be_spent_and_is_captured_or_released_once() {
    let mut book = PointsBook::default();
    award(&mut book, 100, 0, &program());
    let ask = |points, name: &str, until| HoldPoints { program: id(), points, hold: hold(name), until };
    let posting = ask(70, "a", None).decide(&book, day(0)).unwrap();
    post(&mut book, &posting);
    assert_eq!((book.balance(), book.held()), (30, 70));
    assert_eq!(ask(1, "a", None).decide(&book, day(0)), Err(LoyaltyError::HoldTaken { hold: hold("a") }));
    assert_eq!(ask(31, "b", None).decide(&book, day(0)), Err(LoyaltyError::NotEnough { asked: 31, available: 30 }));
    let over = Err(LoyaltyError::HoldOver { until: day(1), at: day(1) });
    assert_eq!(ask(1, "b", Some(day(1))).decide(&book, day(1)), over);
    assert_eq!(redeem(&mut book, 31, None), Err(LoyaltyError::NotEnough { asked: 31, available: 30 }));
    let none = Orders::default();
    let capture = |points| {
        let (program, hold, reason) = (id(), hold("a"), reason());
        CaptureHold { program, hold, points, reason, order: None }
    };
    assert_eq!(capture(Some(71)).decide(&book, None, &none), Err(LoyaltyError::MoreThanHeld { asked: 71, held: 70 }));
    assert!(matches!(capture(Some(0)).decide(&book, None, &none), Err(LoyaltyError::Amount { .. })));
    for posting in capture(Some(50)).decide(&book, None, &none).unwrap() {
        post(&mut book, &posting);
    }
    assert_eq!((book.balance(), book.held(), book.totals().spent), (50, 0, 50));
    assert_eq!(capture(None).decide(&book, None, &none), Err(LoyaltyError::NoHold { hold: hold("a") }));
    let release = ReleaseHold { program: id(), hold: hold("a") };
    assert_eq!(release.decide(&book, None), Err(LoyaltyError::NoHold { hold: hold("a") }));
}

#[test]
fn a_hold_ends_at_its_time_and_what_expired_meanwhile_expires_then() {
    let mut book = PointsBook::default();
    award(&mut book, 100, 0, &program().expiring_after(Span::days(10)));
    let ask = HoldPoints { program: id(), points: 60, hold: hold("a"), until: Some(day(20)) };
    let posting = ask.decide(&book, day(0)).unwrap();
    post(&mut book, &posting);
    let posting = book.expire(&id(), day(10), |_| None, |_| None, None).unwrap();
    post(&mut book, &posting);
    assert_eq!((book.balance(), book.held(), book.totals().expired), (0, 60, 40));
    assert_eq!((book.expire(&id(), day(19), |_| None, |_| None, None), next_end(&book)), (None, None));
    assert_eq!(book.next_hold_end(), Some(day(20)));
    assert!(book.end_holds(&id(), day(19)).is_empty());
    for posting in book.end_holds(&id(), day(20)) {
        post(&mut book, &posting);
    }
    assert_eq!((book.balance(), next_end(&book)), (60, Some((day(10), 60))));
}

#[test]
fn what_becomes_free_pays_the_debt_first() {
    let mut book = PointsBook::default();
    award(&mut book, 100, 0, &program());
    let posting = HoldPoints { program: id(), points: 40, hold: hold("a"), until: None }.decide(&book, day(0)).unwrap();
    post(&mut book, &posting);
    let taken = Posting::new(id(), PostingKind::Adjusted { reason: reason() });
    let posting = book.take(taken, 90, None, Shortfall::OwedUpTo(20));
    assert_eq!((posting.owed, posting.borne), (20, 10));
    post(&mut book, &posting);
    assert_eq!((book.balance(), book.owed(), book.totals().adjusted), (-20, 20, -80));
    let posting = ReleaseHold { program: id(), hold: hold("a") }.decide(&book, None).unwrap();
    post(&mut book, &posting);
    assert_eq!((book.balance(), book.owed()), (20, 0));
}

#[test]
fn pending_points_become_active_at_their_time_or_when_the_order_was_delivered() {
    let mut book = PointsBook::default();
    for (n, waits) in [(1, Waits::Until(day(14))), (2, Waits::Delivery(Span::days(14)))] {
        let terms = LotTerms { waits: Some(waits), ..LotTerms::new(Origin::Fact(fact(n)), day(0), None) };
        let posting = book.give(Posting::new(id(), PostingKind::Earned { fact: fact(n) }), 10 * n, terms);
        post(&mut book, &posting);
    }
    assert_eq!((book.balance(), book.pending()), (0, 30));
    let delivered = |on: Option<i64>| move |of: EventId| on.filter(|_| of == fact(2)).map(day);
    assert_eq!(book.next_activation(delivered(None)), Some(day(14)));
    assert_eq!(book.activate(&id(), day(13), delivered(None)), None);
    let posting = book.activate(&id(), day(14), delivered(None)).unwrap();
    post(&mut book, &posting);
    assert_eq!((book.balance(), book.pending(), book.next_activation(delivered(None))), (10, 20, None));
    assert_eq!(book.next_activation(delivered(Some(20))), Some(day(34)));
    let posting = book.activate(&id(), day(34), delivered(Some(20))).unwrap();
    post(&mut book, &posting);
    assert_eq!((book.balance(), book.pending()), (30, 0));
    assert_eq!(book.activate(&id(), day(99), delivered(Some(20))), None);
}

#[test]
fn what_was_spent_for_an_order_comes_back_with_it_by_its_share_and_never_twice() {
    let mut book = PointsBook::default();
    let name = OrderRef::new("1001").unwrap();
    award(&mut book, 30, 0, &program().expiring_after(Span::days(10)));
    award(&mut book, 100, 0, &program());
    redeem(&mut book, 50, Some(&name)).unwrap();
    assert_eq!((book.balance(), book.lots().len()), (80, 1));
    assert!(book.returns(&id(), &[order(&name, 1_000, 0)], |_| false).is_empty());
    for (refunded, balance) in [(333, 96), (333, 96), (1_000, 130), (1_000, 130)] {
        for posting in book.returns(&id(), &[order(&name, 1_000, refunded)], |_| false) {
            post(&mut book, &posting);
        }
        assert_eq!(book.balance(), balance, "{refunded}");
    }
    // They last as they did.
    assert_eq!(next_end(&book), Some((day(10), 30)));
    assert_eq!(book.totals().spent, 0);
}

#[test]
fn a_posting_is_undone_once_and_for_what_has_not_come_back_otherwise() {
    let mut book = PointsBook::default();
    let name = OrderRef::new("1001").unwrap();
    give(&mut book, Origin::Award, 100, 0, Some(10));
    let spent = redeem(&mut book, 100, Some(&name)).unwrap();
    for posting in book.returns(&id(), &[order(&name, 1_000, 400)], |_| false) {
        post(&mut book, &posting);
    }
    assert_eq!(book.balance(), 40);
    let undo = UndoPosting { posting: fact(7), reason: reason() };
    let of = [order(&name, 1_000, 400)];
    let undoing = undoing(&spent, &of);
    let posting = undo.decide(&book, &undoing, None).unwrap();
    post(&mut book, &posting);
    assert_eq!((book.balance(), book.totals().spent), (100, 0));
    assert_eq!(undo.decide(&book, &undoing, None), Err(LoyaltyError::Undone { posting: fact(7) }));
    assert_eq!(book.returns(&id(), &[order(&name, 1_000, 1_000)], |_| false), []);
    let moved = Posting::new(id(), PostingKind::Activated);
    let undo = UndoPosting { posting: fact(8), reason: reason() };
    let refused = LoyaltyError::NotUndoable { posting: fact(8), kind: "activated" };
    assert_eq!(undo.decide(&book, &Undoing { undone: &moved, ..undoing }, None), Err(refused));
}

#[test]
fn an_award_that_is_undone_is_taken_back_with_what_it_counted() {
    let mut book = PointsBook::default();
    let given = AwardPoints { program: id(), points: 50, reason: reason() };
    let given = given.decide(&book, &program(), None, day(0)).unwrap();
    post(&mut book, &given);
    assert_eq!(book.qualifying(), 50);
    redeem(&mut book, 20, None).unwrap();
    let undo = UndoPosting { posting: fact(7), reason: reason() };
    let owed = undo.decide(&book, &undoing(&given, &[]), None).unwrap();
    let borne = Program { shortfall: Shortfall::Borne, ..program() };
    let borne = undo.decide(&book, &undoing(&given, &[]), Some(&borne)).unwrap();
    assert_eq!((owed.owed, owed.borne, borne.owed, borne.borne), (20, 0, 0, 20));
    let mut other = book.clone();
    post(&mut book, &owed);
    post(&mut other, &borne);
    assert_eq!((book.balance(), book.qualifying(), other.balance(), other.qualifying()), (-20, 0, 0, 0));
}

#[test]
fn what_expired_is_given_back_within_its_window_and_once() {
    let mut book = PointsBook::default();
    award(&mut book, 50, 0, &program().expiring_after(Span::days(10)));
    let posting = book.expire(&id(), day(10), |_| None, |_| None, Some(day(40))).unwrap();
    post(&mut book, &posting);
    assert_eq!((book.reinstatable(day(39)), book.reinstatable(day(40))), (50, 0));
    let reinstate = |points| ReinstatePoints { program: id(), points, reason: reason() };
    let again = program().expiring_after(Span::days(10));
    let refused = reinstate(Some(51)).decide(&book, &again, None, day(20));
    assert_eq!(refused, Err(LoyaltyError::NotReinstatable { asked: 51, available: 50 }));
    let posting = reinstate(Some(20)).decide(&book, &again, None, day(20)).unwrap();
    post(&mut book, &posting);
    assert_eq!((book.balance(), book.reinstatable(day(20)), book.totals().expired), (20, 30, 30));
    assert_eq!(next_end(&book), Some((day(30), 20)));
    let posting = reinstate(None).decide(&book, &again, None, day(20)).unwrap();
    post(&mut book, &posting);
    assert!(reinstate(None).decide(&book, &again, None, day(20)).is_err());
}

#[test]
fn whoever_leaves_leaves_everything() {
    let mut book = PointsBook::default();
    award(&mut book, 50, 0, &program());
    let posting = HoldPoints { program: id(), points: 20, hold: hold("a"), until: None }.decide(&book, day(0)).unwrap();
    post(&mut book, &posting);
    let posting = book.forfeit(Posting::new(id(), PostingKind::Forfeited { reason: reason() }));
    post(&mut book, &posting);
    assert_eq!((book.balance(), book.held(), book.totals().forfeited, book.holds().count()), (0, 0, 50, 0));
}

fn spend(book: &mut PointsBook, by: CustomerId, points: i64) {
    let kind = PostingKind::Spent { reason: reason(), order: None, refunded: 0 };
    let posting = book.take(Posting::new(id(), kind), points, None, Shortfall::Owed);
    book.apply(&Posting { spent_by: Some(by), ..posting });
}

/// However often and however long others spend, what is kept of it follows facts and what is still to expire.
#[test]
fn what_was_lent_is_kept_once_for_each_borrower_and_what_it_was() {
    for (lasts, most) in [(None, 2), (Some(30), 2 * 32)] {
        let mut book = PointsBook::default();
        for at in 0..1_000 {
            give(&mut book, Origin::Award, 100, at, lasts);
            for _ in 0..5 {
                spend(&mut book, member(1), 7);
                spend(&mut book, member(2), 13);
            }
            assert!(book.lent().len() <= most, "{} on day {at}", book.lent().len());
        }
        assert_eq!((book.lent_to(member(1)), book.lent_to(member(2))), (35_000, 65_000));
        let back = book.get_back(&id(), member(1));
        assert_eq!(back.points(), 35_000);
        // What would have expired by then expires at once, and what lasts is as it was.
        let lasts_on = |terms: &LotTerms| terms.expires_at.is_none_or(|at| at > day(999));
        let later = back.moves.iter().filter(|change| change.opens.as_ref().is_some_and(lasts_on));
        assert_eq!(later.map(|lot| lot.points).sum::<i64>(), lasts.map_or(35_000, |days| days * 35));
        book.apply(&back);
        assert_eq!((book.lent_to(member(1)), book.balance()), (0, 35_000));
    }
    let mut book = PointsBook::default();
    for n in 0..20 {
        give(&mut book, Origin::Fact(fact(n)), 100, n, Some(5));
        (0..10).for_each(|_| spend(&mut book, member(1), 10));
    }
    assert_eq!(book.lent().len(), 20);
}
