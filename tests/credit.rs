//! Store credit and gift cards through the engine: once under each key, exactly what is there however many ask, gone at
//! its time, and apart from points.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crm::blocking::Crm;
use crm::{
    Actor, AdjustCredit, AuditActor, AwardPoints, Blocker, CaptureCredit, Channel, Command, CreditCause, CreditError,
    CreditHoldName, CreditTotals, Currency, Customer, CustomerId, Deed, Definition, Definitions, DerivedIds,
    ErasureRequest, Error, EventBody, ExternalSystem, GiftCardCode, GiftCardSale, GiftCardState, GrantCredit,
    HoldCredit, Identifier, Incoming, LookupKey, ManualClock, MemoryStore, Money, Program, ProgramId, Refusal,
    ReleaseCredit, Remark, ReverseCredit, Source, Span, SpendCredit, Store, Timestamp, Visited,
};
use proptest::prelude::*;

const EUR: Currency = Currency::EUR;

fn hour(hour: u32) -> Timestamp {
    Timestamp::parse("2026-01-05").unwrap().plus(Span::millis(u64::from(hour) * 3_600_000))
}

fn eur(minor: i64) -> Money {
    Money::new(minor, EUR)
}

fn why() -> Remark {
    "test".parse().unwrap()
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(hour(0)))
}

fn over(store: Arc<dyn Store>, clock: &Arc<ManualClock>) -> Crm {
    let key = LookupKey::new(&[7; 32]);
    Crm::from(crm::Crm::builder().shared_store(store).clock(Arc::clone(clock)).ids(DerivedIds).lookup_key(key).build())
}

fn shop() -> (Arc<ManualClock>, Crm) {
    let clock = clock();
    let crm = over(Arc::new(MemoryStore::new()), &clock);
    (clock, crm)
}

fn who(n: u32) -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), &n.to_string()).unwrap()
}

fn meet(crm: &Crm, n: u32) -> CustomerId {
    let visit = Visited { channel: Channel::Web, place: None };
    crm.record(Incoming::new(who(n), hour(0), Source::new("shop").unwrap(), visit)).unwrap().customer
}

fn grant(minor: i64, expires: Option<u32>) -> Command {
    GrantCredit { amount: eur(minor), reason: why(), expires_at: expires.map(hour) }.into()
}

fn spend(minor: i64) -> Command {
    SpendCredit { amount: eur(minor), order: None }.into()
}

fn name(name: &str) -> CreditHoldName {
    CreditHoldName::new(name).unwrap()
}

fn hold(n: &str, minor: i64, until: u32) -> Command {
    HoldCredit { hold: name(n), amount: eur(minor), until: hour(until), order: None }.into()
}

fn code(n: u32) -> GiftCardCode {
    GiftCardCode::parse(&format!("CANARY-{n:06}")).unwrap()
}

fn totals(crm: &Crm, customer: CustomerId) -> CreditTotals {
    let customer = crm.customer(customer).unwrap().unwrap();
    customer.credit_in(EUR).map(|book| book.totals()).unwrap_or_default()
}

fn base(crm: &Crm) -> CreditTotals {
    crm.credit_trial_balance().unwrap().currencies.get(&EUR).copied().unwrap_or_default()
}

#[track_caller]
fn refusal<T: std::fmt::Debug>(told: Result<T, Error>) -> CreditError {
    match told {
        Err(Error::Refused(Refusal::Credit(error))) => error,
        other => panic!("{other:?}"),
    }
}

/// Does something with a CRM over each store that is at hand.
fn over_each_store(work: impl Fn(&Arc<ManualClock>, Arc<dyn Store>)) {
    work(&clock(), Arc::new(MemoryStore::new()));
    #[cfg(feature = "sqlite")]
    {
        let folder = tempfile::tempdir().unwrap();
        work(&clock(), Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()));
    }
}

#[test]
fn under_the_same_key_the_same_is_done_once_and_anything_else_is_a_conflict() {
    let (clock, crm) = shop();
    let ana = meet(&crm, 1);
    let first = crm.execute(ana, grant(100, None), "g").unwrap();
    clock.set(hour(9_000));
    let again = crm.execute(ana, grant(100, None), "g").unwrap();
    assert_eq!((first.replayed, again.replayed, &first.events), (false, true, &again.events));
    assert!(matches!(crm.execute(ana, grant(101, None), "g"), Err(Error::KeyReused)));
    assert!(matches!(crm.execute(ana, spend(500), "g"), Err(Error::KeyReused)), "though it would be refused");
    assert!(matches!(crm.execute(ana, grant(1, None), ""), Err(Error::KeyLength { bytes: 0 })));
    let spent = crm.execute(ana, spend(100), "s").unwrap();
    assert!(crm.execute(ana, spend(100), "s").unwrap().replayed, "though nothing is left");
    let reverse = ReverseCredit { spend: spent.events[0], amount: None, reason: why(), expired_until: None };
    crm.execute(ana, reverse.clone().into(), "r").unwrap();
    assert!(crm.execute(ana, reverse.clone().into(), "r").unwrap().replayed);
    let spend = spent.events[0];
    assert_eq!(refusal(crm.execute(ana, reverse.into(), "r2")), CreditError::AlreadyReversed { spend });
    assert_eq!(totals(&crm, ana).balance, 100);
}

#[test]
fn a_gift_card_is_issued_and_redeemed_once_under_each_key() {
    let (_, crm) = shop();
    let (ana, ben) = (meet(&crm, 1), meet(&crm, 2));
    let sale = GiftCardSale::new(eur(5_000));
    let first = crm.issue_gift_card(ana, &code(1), sale.clone(), "line 1").unwrap();
    let again = crm.issue_gift_card(ana, &code(1), sale.clone(), "line 1").unwrap();
    assert_eq!((first.replayed, again.replayed), (false, true));
    assert_eq!((first.card, first.event), (again.card, again.event));
    for (other, sale) in [(code(2), sale.clone()), (code(1), GiftCardSale::new(eur(4_999)))] {
        assert!(matches!(crm.issue_gift_card(ana, &other, sale, "line 1"), Err(Error::KeyReused)));
    }
    for buyer in [ana, ben] {
        let taken = crm.issue_gift_card(buyer, &code(1), sale.clone(), "line 2");
        assert_eq!(refusal(taken), CreditError::CodeTaken);
    }
    let redeemed = crm.redeem_gift_card(ben, &code(1), "checkout").unwrap();
    assert_eq!((redeemed.amount, redeemed.replayed), (eur(5_000), false));
    let again = crm.redeem_gift_card(ben, &code(1), "checkout").unwrap();
    assert_eq!((again.amount, again.event, again.replayed), (eur(5_000), redeemed.event, true));
    assert!(matches!(crm.redeem_gift_card(ben, &code(2), "checkout"), Err(Error::KeyReused)));
    assert_eq!(refusal(crm.redeem_gift_card(ben, &code(1), "other")), CreditError::CardRedeemed);
    assert!(crm.issue_gift_card(ana, &code(1), sale, "line 1").unwrap().replayed, "though it is redeemed");
    assert_eq!((totals(&crm, ana).on_cards, totals(&crm, ben).balance), (0, 5_000));
    let all = base(&crm);
    assert_eq!((all.issued, all.balance, all.transferred, all.difference()), (5_000, 5_000, 0, 0));
}

#[test]
fn a_card_that_is_unknown_blocked_expired_or_redeemed_is_refused_for_its_own_reason() {
    let (clock, crm) = shop();
    let (ana, ben) = (meet(&crm, 1), meet(&crm, 2));
    let issue = |n: u32, expires: Option<u32>| {
        let sale = GiftCardSale { expires_at: expires.map(hour), ..GiftCardSale::new(eur(100)) };
        crm.issue_gift_card(ana, &code(n), sale, &format!("issue {n}")).unwrap().card
    };
    let redeem = |n: u32| crm.redeem_gift_card(ben, &code(n), &format!("redeem {n} {}", crm.now()));
    let (lost, _short, used) = (issue(1, None), issue(2, Some(10)), issue(3, None));
    assert_eq!(refusal(redeem(9)), CreditError::NoCard);
    assert_eq!(crm.gift_card(crm.gift_card_id(&code(9))).unwrap(), None);
    let blocked = crm.block_gift_card(lost, why(), "block 1").unwrap();
    assert!(blocked.event.is_some() && !blocked.replayed);
    assert!(crm.block_gift_card(lost, why(), "block 1").unwrap().replayed);
    assert_eq!(crm.block_gift_card(lost, why(), "block again").unwrap().event, None, "it is so already");
    assert_eq!(refusal(redeem(1)), CreditError::CardBlocked);
    redeem(3).unwrap();
    clock.set(hour(1));
    assert_eq!(refusal(redeem(3)), CreditError::CardRedeemed);
    assert_eq!(refusal(crm.block_gift_card(used, why(), "block 3")), CreditError::CardRedeemed);
    clock.set(hour(10));
    assert_eq!(crm.gift_card(crm.gift_card_id(&code(2))).unwrap().unwrap().state, GiftCardState::Expired);
    assert_eq!(refusal(redeem(2)), CreditError::CardExpired, "at its instant it is gone");
    crm.advance(hour(10)).unwrap();
    assert_eq!(refusal(redeem(2)), CreditError::CardExpired);
    assert_eq!(refusal(crm.block_gift_card(crm.gift_card_id(&code(2)), why(), "b")), CreditError::CardExpired);
    let all = base(&crm);
    assert_eq!((all.issued, all.balance, all.blocked, all.expired, all.on_cards), (300, 100, 100, 100, 0));
    assert_eq!((all.transferred, all.difference()), (0, 0));
    let past = GiftCardSale { expires_at: Some(hour(10)), ..GiftCardSale::new(eur(100)) };
    let past = crm.issue_gift_card(ana, &code(4), past, "past");
    assert_eq!(refusal(past), CreditError::ExpiryPast { at: hour(10) });
    for minor in [0, -1, i64::MAX] {
        let amount = crm.issue_gift_card(ana, &code(4), GiftCardSale::new(eur(minor)), "amount");
        assert!(matches!(refusal(amount), CreditError::Amount { .. }));
    }
}

#[test]
fn whoever_buys_a_card_may_redeem_it_and_what_was_on_it_keeps_its_expiry() {
    let (clock, crm) = shop();
    let ana = meet(&crm, 1);
    let sale = GiftCardSale { expires_at: Some(hour(50)), ..GiftCardSale::new(eur(700)) };
    crm.issue_gift_card(ana, &code(1), sale, "issue").unwrap();
    crm.redeem_gift_card(ana, &code(1), "redeem").unwrap();
    let all = totals(&crm, ana);
    assert_eq!((all.balance, all.on_cards, all.transferred, all.difference()), (700, 0, 0, 0));
    clock.set(hour(50));
    crm.advance(hour(50)).unwrap();
    assert_eq!((totals(&crm, ana).balance, totals(&crm, ana).expired), (0, 700));
}

#[test]
fn cards_of_customers_who_are_merged_and_parted_stay_with_whoever_bought_them() {
    let (_, crm) = shop();
    let (ana, ben, kim) = (meet(&crm, 1), meet(&crm, 2), meet(&crm, 3));
    for (n, buyer) in [(1, ana), (2, ben), (3, ben)] {
        crm.issue_gift_card(buyer, &code(n), GiftCardSale::new(eur(100)), &n.to_string()).unwrap();
    }
    crm.merge(ana, ben, why()).unwrap();
    crm.issue_gift_card(ben, &code(4), GiftCardSale::new(eur(100)), "4").unwrap();
    assert_eq!(totals(&crm, ana).on_cards, 400);
    crm.redeem_gift_card(kim, &code(2), "kim").unwrap();
    // One of those who are one redeems the card of another.
    crm.redeem_gift_card(ana, &code(3), "ana").unwrap();
    crm.block_gift_card(crm.gift_card_id(&code(4)), why(), "block").unwrap();
    crm.part(ana, ben, why()).unwrap();
    assert_eq!((totals(&crm, ana).on_cards, totals(&crm, ana).balance), (100, 100));
    assert_eq!((totals(&crm, ben).on_cards, totals(&crm, ben).balance, totals(&crm, ben).blocked), (0, 0, 100));
    assert_eq!(crm.gift_card(crm.gift_card_id(&code(1))).unwrap().unwrap().buyer, ana);
    let all = base(&crm);
    assert_eq!((all.issued, all.transferred, all.difference()), (400, 0, 0));
}

#[test]
fn thirty_two_who_spend_at_once_get_exactly_what_is_there() {
    over_each_store(|clock, store| {
        let crm = over(store, clock);
        let ana = meet(&crm, 1);
        for (n, minor) in [300, 300, 400].into_iter().enumerate() {
            crm.execute(ana, grant(minor, Some(100 + n as u32)), &format!("grant {n}")).unwrap();
        }
        let (won, refused) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for n in 0..32 {
                let (crm, won, refused) = (&crm, &won, &refused);
                scope.spawn(move || match crm.execute(ana, spend(100), &format!("spend {n}")) {
                    Ok(_) => won.fetch_add(1, Ordering::SeqCst),
                    other => {
                        let told = refusal(other);
                        assert_eq!(told, CreditError::NotEnough { currency: EUR, asked: 100, available: 0 });
                        refused.fetch_add(1, Ordering::SeqCst)
                    }
                });
            }
        });
        assert_eq!((won.into_inner(), refused.into_inner()), (10, 22));
        let all = totals(&crm, ana);
        assert_eq!((all.balance, all.redeemed, all.difference()), (0, 1_000, 0));
        // The whole balance at once: one gets it.
        crm.execute(ana, grant(777, None), "again").unwrap();
        let won = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for n in 0..32 {
                let (crm, won) = (&crm, &won);
                scope.spawn(move || {
                    let told = crm.execute(ana, spend(777), &format!("all {n}"));
                    won.fetch_add(u32::from(told.is_ok()), Ordering::SeqCst);
                });
            }
        });
        assert_eq!((won.into_inner(), totals(&crm, ana).balance), (1, 0));
    });
}

#[test]
fn of_many_who_redeem_a_card_at_once_exactly_one_does() {
    over_each_store(|clock, store| {
        let crm = over(store, clock);
        let buyer = meet(&crm, 0);
        crm.issue_gift_card(buyer, &code(1), GiftCardSale::new(eur(500)), "issue").unwrap();
        let people: Vec<CustomerId> = (1..=16).map(|n| meet(&crm, n)).collect();
        let won = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for customer in &people {
                let (crm, won) = (&crm, &won);
                scope.spawn(move || match crm.redeem_gift_card(*customer, &code(1), "redeem") {
                    Ok(_) => {
                        won.fetch_add(1, Ordering::SeqCst);
                    }
                    other => assert_eq!(refusal(other), CreditError::CardRedeemed),
                });
            }
        });
        assert_eq!(won.into_inner(), 1);
        let all = base(&crm);
        assert_eq!((all.balance, all.on_cards, all.transferred, all.difference()), (500, 0, 0, 0));
        // And two of one key are one request.
        crm.issue_gift_card(buyer, &code(2), GiftCardSale::new(eur(500)), "issue 2").unwrap();
        let events: Vec<_> = std::thread::scope(|scope| {
            let tasks: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| crm.redeem_gift_card(people[0], &code(2), "one key").unwrap().event))
                .collect();
            tasks.into_iter().map(|task| task.join().unwrap()).collect()
        });
        assert!(events.iter().all(|event| *event == events[0]));
        assert_eq!(base(&crm).balance, 1_000);
    });
}

#[test]
fn a_hold_is_captured_by_one_of_many_at_once() {
    over_each_store(|clock, store| {
        let crm = over(store, clock);
        let ana = meet(&crm, 1);
        crm.execute(ana, grant(900, None), "grant").unwrap();
        crm.execute(ana, hold("p", 600, 10), "hold").unwrap();
        let won = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for n in 0..16 {
                let (crm, won) = (&crm, &won);
                scope.spawn(move || {
                    let command: Command = if n % 2 == 0 {
                        CaptureCredit { hold: name("p"), amount: Some(eur(600)) }.into()
                    } else {
                        ReleaseCredit { hold: name("p") }.into()
                    };
                    match crm.execute(ana, command, &format!("end {n}")) {
                        Ok(_) => {
                            won.fetch_add(1, Ordering::SeqCst);
                        }
                        other => {
                            let told = refusal(other);
                            let (hold, other) = (name("p"), name("p"));
                            let expected =
                                [CreditError::HoldCaptured { hold }, CreditError::HoldReleased { hold: other }];
                            assert!(expected.contains(&told), "{told}");
                        }
                    }
                });
            }
        });
        let all = totals(&crm, ana);
        assert_eq!((won.into_inner(), all.held, all.balance + all.redeemed), (1, 0, 900));
    });
}

#[test]
fn what_is_due_is_gone_at_its_own_time_however_time_is_let_pass() {
    let lives = |stops: &[u32]| {
        let (clock, crm) = shop();
        let ana = meet(&crm, 1);
        crm.execute(ana, grant(100, Some(10)), "a").unwrap();
        crm.execute(ana, grant(200, Some(30)), "b").unwrap();
        crm.execute(ana, hold("p", 150, 20), "c").unwrap();
        let sale = GiftCardSale { expires_at: Some(hour(25)), ..GiftCardSale::new(eur(50)) };
        crm.issue_gift_card(ana, &code(1), sale, "d").unwrap();
        for stop in stops {
            clock.set(hour(*stop));
            crm.advance(hour(*stop)).unwrap();
        }
        let statement = crm.credit_statement(ana, EUR).unwrap().unwrap();
        let lines = statement.lines.into_iter().map(|line| {
            assert!(matches!(line.by, Actor::Shop | Actor::Rule));
            (line.at, line.cause.name(), line.minor, line.held, line.balance_after, line.held_after)
        });
        (lines.collect::<Vec<_>>(), totals(&crm, ana))
    };
    let (lines, all) = lives(&[40]);
    let due: Vec<_> = lines.iter().skip(3).copied().collect();
    assert_eq!(
        due,
        [
            (hour(20), "lapsed", 150, -150, 300, 0),
            // The first lot was over while it was held.
            (hour(20), "expired", -100, 0, 200, 0),
            (hour(30), "expired", -200, 0, 0, 0),
        ]
    );
    assert_eq!((all.expired, all.balance, all.on_cards, all.difference()), (350, 0, 0, 0));
    for stops in [vec![1, 9, 10, 11, 20, 21, 25, 30, 40], vec![20, 40], vec![25, 26, 40]] {
        assert_eq!(lives(&stops), (lines.clone(), all), "{stops:?}");
    }
}

#[test]
fn parting_settles_what_was_spent_and_held_of_the_others() {
    let (clock, crm) = shop();
    let (ana, ben) = (meet(&crm, 1), meet(&crm, 2));
    crm.execute(ana, grant(100, Some(90)), "a").unwrap();
    crm.execute(ben, grant(50, None), "b").unwrap();
    crm.merge(ana, ben, why()).unwrap();
    let spent = crm.execute(ben, spend(120), "s").unwrap();
    assert_eq!(totals(&crm, ana).balance, 30);
    clock.set(hour(5));
    crm.part(ben, ana, why()).unwrap();
    let (of_ana, of_ben) = (totals(&crm, ana), totals(&crm, ben));
    assert_eq!((of_ana.balance, of_ana.owed, of_ben.balance, of_ben.owed), (100, 0, 0, 70));
    let customer = crm.customer(ana).unwrap().unwrap();
    assert_eq!(customer.credit_in(EUR).unwrap().lots()[0].terms.expires_at, Some(hour(90)), "as it was");
    let all = base(&crm);
    assert_eq!((all.redeemed, all.transferred, all.difference()), (120, 0, 0), "nothing moved in or out");
    let lines = crm.credit_statement(ben, EUR).unwrap().unwrap().lines;
    let last = lines.last().unwrap();
    assert!(matches!(last.cause, CreditCause::Settled { with, .. } if with == ana));
    assert!(last.after.is_some(), "because they were parted");
    // What Ben spent comes back to Ben.
    let reverse = ReverseCredit { spend: spent.events[0], amount: None, reason: why(), expired_until: None };
    let there = refusal(crm.execute(ana, reverse.clone().into(), "r"));
    assert_eq!(there, CreditError::NoSpend { spend: spent.events[0] });
    crm.execute(ben, reverse.into(), "r").unwrap();
    assert_eq!((totals(&crm, ben).balance, totals(&crm, ben).owed), (50, 0));
}

#[test]
fn money_never_mixes_with_points() {
    let (_, crm) = shop();
    let ana = meet(&crm, 1);
    let points = ProgramId::new("points").unwrap();
    let program = Definition::Program(points.clone(), Some(Program::point_per_unit(EUR)));
    crm.define(hour(0), program).unwrap();
    let award = AwardPoints { program: points.clone(), points: 500, reason: why() };
    crm.execute(ana, Command::AwardPoints(award), "award").unwrap();
    assert_eq!(
        refusal(crm.execute(ana, spend(1), "s")),
        CreditError::NotEnough { currency: EUR, asked: 1, available: 0 }
    );
    crm.execute(ana, grant(300, None), "g").unwrap();
    crm.execute(ana, spend(200), "s2").unwrap();
    let customer = crm.customer(ana).unwrap().unwrap();
    assert_eq!(customer.book(&points).unwrap().balance(), 500);
    assert_eq!((customer.credit_in(EUR).unwrap().balance(), crm.overview().unwrap().points.spent), (100, 0));
    let dollars = SpendCredit { amount: Money::new(1, Currency::USD), order: None };
    let none = CreditError::NotEnough { currency: Currency::USD, asked: 1, available: 0 };
    assert_eq!(refusal(crm.execute(ana, dollars.into(), "usd")), none, "nor with another currency");
}

#[test]
fn money_stands_against_an_erasure_until_it_is_spent_paid_back_or_over() {
    let (clock, crm) = shop();
    let ana = meet(&crm, 1);
    let stands = || match crm.erase(ana) {
        Err(Error::Blocked(blocked)) => blocked.by,
        other => panic!("{other:?}"),
    };
    crm.execute(ana, grant(300, Some(90)), "g").unwrap();
    crm.execute(ana, spend(100), "s").unwrap();
    crm.execute(ana, hold("h", 50, 100), "h").unwrap();
    assert_eq!(stands(), [Blocker::StoreCredit { amount: eur(200), until: Some(hour(100)) }], "held or not");
    clock.set(hour(90));
    crm.advance(hour(90)).unwrap();
    assert_eq!(stands(), [Blocker::StoreCredit { amount: eur(50), until: Some(hour(100)) }], "what is held lasts");
    clock.set(hour(100));
    let sale = GiftCardSale { expires_at: Some(hour(200)), ..GiftCardSale::new(eur(500)) };
    crm.issue_gift_card(ana, &code(1), sale, "1").unwrap();
    assert_eq!(stands(), [Blocker::GiftCards { amount: eur(500), until: Some(hour(200)) }], "the hold is over");
    assert!(crm.erase(ana).unwrap_err().to_string().contains("gift cards of 5.00 EUR"));
    crm.block_gift_card(crm.gift_card_id(&code(1)), why(), "paid back").unwrap();
    assert_eq!(crm.erase(ana).unwrap().identifiers, 1);
}

#[test]
fn an_erasure_keeps_the_books_and_gives_nothing_more() {
    let (clock, crm) = shop();
    let (ana, ben) = (meet(&crm, 1), meet(&crm, 2));
    crm.execute(ana, grant(300, Some(90)), "g").unwrap();
    for (n, buyer) in [(1, ana), (2, ana), (3, ben)] {
        crm.issue_gift_card(buyer, &code(n), GiftCardSale::new(eur(500)), &n.to_string()).unwrap();
    }
    let before = base(&crm);
    let Err(Error::Blocked(blocked)) = crm.erase(ana) else { panic!("the shop owes her money") };
    let credit = Blocker::StoreCredit { amount: eur(300), until: Some(hour(90)) };
    assert_eq!(blocked.by, [credit, Blocker::GiftCards { amount: eur(1_000), until: None }]);
    assert_eq!(base(&crm), before);
    let request = ErasureRequest::new(AuditActor::Rule).forced();
    crm.erase_with(ana, request).unwrap();
    assert_eq!(base(&crm), before);
    assert_eq!(refusal(crm.execute(ana, grant(1, None), "g2")), CreditError::Erased);
    assert_eq!(refusal(crm.redeem_gift_card(ana, &code(3), "r")), CreditError::Erased);
    let more = crm.issue_gift_card(ana, &code(4), GiftCardSale::new(eur(1)), "4");
    assert_eq!(refusal(more), CreditError::Erased);
    // Whoever holds a card of theirs redeems it still.
    crm.redeem_gift_card(ben, &code(1), "r").unwrap();
    crm.block_gift_card(crm.gift_card_id(&code(2)), why(), "b").unwrap();
    clock.set(hour(90));
    crm.advance(hour(90)).unwrap();
    let all = base(&crm);
    assert_eq!((all.issued, all.expired, all.balance, all.on_cards, all.blocked), (1_800, 300, 500, 500, 500));
    assert_eq!((all.transferred, all.difference()), (0, 0));
}

#[test]
fn a_code_is_nowhere_in_the_store_and_a_card_goes_with_its_buyers_export() {
    let (clock, crm) = shop();
    let (ana, ben) = (meet(&crm, 1), meet(&crm, 2));
    let sale = GiftCardSale { order: Some("A-17".parse().unwrap()), ..GiftCardSale::new(eur(500)) };
    let card = crm.issue_gift_card(ana, &code(1), sale, "line").unwrap().card;
    crm.execute(ana, grant(300, Some(90)), "g").unwrap();
    let export = crm.export(ana).unwrap().unwrap();
    let text = export.to_string();
    assert!(text.contains(&card.to_string()));
    let secret = code(1).expose();
    for spelling in [secret.clone(), secret.replace('-', ""), secret.to_lowercase()] {
        assert!(!text.contains(&spelling));
        assert!(!format!("{:?}", crm.story(ana).unwrap()).contains(&spelling));
    }
    assert_eq!(refusal(crm.redeem_gift_card(ben, &code(2), "r")).to_string(), "there is no such gift card");
    // In another store the card is found by its code, and redeemed once.
    let other = over(Arc::new(MemoryStore::new()), &clock);
    other.import(&export).unwrap();
    let kim = meet(&other, 3);
    assert_eq!(other.gift_card(card).unwrap().unwrap().buyer, ana);
    other.redeem_gift_card(kim, &code(1), "r").unwrap();
    assert_eq!(refusal(other.redeem_gift_card(kim, &code(1), "r2")), CreditError::CardRedeemed);
    assert_eq!((totals(&other, kim).balance, totals(&other, ana).balance), (500, 300));
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u32),
    Grant(i64, Option<u32>),
    Spend(i64),
    Hold(u8, i64, u32),
    Capture(u8, Option<i64>),
    Release(u8),
    Adjust(i64),
    Reverse(usize),
    Issue(u32, i64, Option<u32>),
    Redeem(u32),
    Block(u32),
    Merge(usize),
    Part(usize),
}

fn step() -> impl Strategy<Value = (usize, Step)> {
    let minor = || 1..200_i64;
    let later = || prop::option::of(1..60_u32);
    let what = prop_oneof![
        4 => (1..20_u32).prop_map(Step::Wait),
        5 => (minor(), later()).prop_map(|(minor, later)| Step::Grant(minor, later)),
        5 => minor().prop_map(Step::Spend),
        3 => (0..4_u8, minor(), 1..40_u32).prop_map(|(hold, minor, until)| Step::Hold(hold, minor, until)),
        2 => (0..4_u8, prop::option::of(minor())).prop_map(|(hold, minor)| Step::Capture(hold, minor)),
        1 => (0..4_u8).prop_map(Step::Release),
        1 => minor().prop_map(Step::Adjust),
        2 => (0..6_usize).prop_map(Step::Reverse),
        3 => (0..5_u32, minor(), later()).prop_map(|(card, minor, later)| Step::Issue(card, minor, later)),
        3 => (0..5_u32).prop_map(Step::Redeem),
        1 => (0..5_u32).prop_map(Step::Block),
        2 => (0..3_usize).prop_map(Step::Merge),
        2 => (0..3_usize).prop_map(Step::Part),
    ];
    (0..3_usize, what)
}

/// Lives through some steps, and gives what can be seen of each customer afterwards.
fn live(crm: &Crm, clock: &ManualClock, steps: &[(usize, Step)]) -> Vec<(crm::Digest, CreditTotals)> {
    let people: Vec<CustomerId> = (0..3).map(|n| meet(crm, n)).collect();
    let mut now = 0;
    let mut spends = Vec::new();
    for (n, (of, step)) in steps.iter().enumerate() {
        let (of, key) = (people[*of], n.to_string());
        let execute = |command: Command| match crm.execute(of, command, &key) {
            Ok(executed) => Some(executed.events),
            Err(Error::Refused(_)) => None,
            Err(other) => panic!("{other}"),
        };
        let or_refused = |told: Result<(), Error>| match told {
            Ok(()) | Err(Error::Refused(_) | Error::Merge(_)) => {}
            Err(other) => panic!("{other}"),
        };
        let named = |n: u8| name(&n.to_string());
        match step.clone() {
            Step::Wait(hours) => {
                now += hours;
                clock.set(hour(now));
                if hours % 2 == 0 {
                    crm.advance(hour(now)).unwrap();
                }
            }
            Step::Grant(minor, later) => drop(execute(grant(minor, later.map(|later| now + later)))),
            Step::Spend(minor) => spends.extend(execute(spend(minor)).map(|events| events[0])),
            Step::Hold(n, minor, until) => drop(execute(hold(&n.to_string(), minor, now + until))),
            Step::Capture(n, minor) => {
                let command = CaptureCredit { hold: named(n), amount: minor.map(eur) };
                spends.extend(execute(command.into()).map(|events| events[0]));
            }
            Step::Release(n) => drop(execute(ReleaseCredit { hold: named(n) }.into())),
            Step::Adjust(minor) => drop(execute(AdjustCredit { amount: eur(minor), reason: why() }.into())),
            Step::Reverse(n) => {
                if let Some(spend) = spends.get(n).copied() {
                    let until = Some(hour(now + 7));
                    let command = ReverseCredit { spend, amount: None, reason: why(), expired_until: until };
                    execute(command.into());
                }
            }
            Step::Issue(n, minor, later) => {
                let expires_at = later.map(|later| hour(now + later));
                let sale = GiftCardSale { expires_at, ..GiftCardSale::new(eur(minor)) };
                or_refused(crm.issue_gift_card(of, &code(n), sale, &key).map(drop));
            }
            Step::Redeem(n) => or_refused(crm.redeem_gift_card(of, &code(n), &key).map(drop)),
            Step::Block(n) => or_refused(crm.block_gift_card(crm.gift_card_id(&code(n)), why(), &key).map(drop)),
            Step::Merge(other) => or_refused(crm.merge(of, people[other], why()).map(drop)),
            Step::Part(other) => or_refused(crm.part(of, people[other], why()).map(drop)),
        }
    }
    crm.advance(hour(now)).unwrap();
    people.iter().map(|id| (crm.customer(*id).unwrap().unwrap().digest(), totals(crm, *id))).collect()
}

/// What the histories alone say, posting by posting, is what the reports say.
fn audit(crm: &Crm) {
    let mut by_account: BTreeMap<String, i128> = BTreeMap::new();
    let mut heads: Vec<_> = (0..3).map(|n| crm.customer(who(n)).unwrap().unwrap()).collect();
    heads.sort_by_key(|customer| customer.id());
    heads.dedup_by_key(|customer| customer.id());
    for customer in &heads {
        let story = crm.story(customer.id()).unwrap().unwrap();
        for event in &story.events {
            let EventBody::Decision(decision) = &event.body else { continue };
            let entries: Vec<_> = if let Deed::CreditPosted(posting) = &decision.deed {
                posting.entries().to_vec()
            } else if let Deed::GiftCardPosted(posting) = &decision.deed {
                posting.entries().to_vec()
            } else {
                continue;
            };
            assert_eq!(entries.iter().map(|(_, minor)| minor).sum::<i128>(), 0);
            for (account, minor) in entries {
                *by_account.entry(format!("{account:?}")).or_default() += minor;
            }
        }
        // The state is a cache: the histories alone give the same.
        let events = story.events.iter().map(|event| (event.customer, event.id, event.at, &event.body));
        let replayed = Customer::replay(customer.id(), events, customer.clock().unwrap(), &Definitions::default());
        assert_eq!((replayed.credit(), replayed.digest()), (customer.credit(), customer.digest()));
        assert_eq!(customer.next_alarm(&Definitions::default()), customer.alarm());
        let statement = crm.credit_statement(customer.id(), EUR).unwrap().unwrap();
        let last = statement.lines.last().map(|line| (line.balance_after, line.held_after, line.owed_after));
        let book = customer.credit_in(EUR).map(|book| book.totals()).unwrap_or_default();
        assert_eq!(last.unwrap_or_default(), (book.balance, book.held, book.owed));
        if !customer.is_merged() {
            // Of several each history is in order by itself.
            assert!(statement.lines.iter().all(|line| line.balance_after >= 0 && line.held_after >= 0));
        }
    }
    let all = base(crm);
    let of = |account: &str| by_account.get(account).copied().unwrap_or(0);
    assert_eq!((of("CustomerBalance"), of("CustomerHeld"), -of("CustomerDebt")), (all.balance, all.held, all.owed));
    assert_eq!((of("GiftCards"), -of("Issued"), of("Redeemed")), (all.on_cards, all.issued, all.redeemed));
    assert_eq!((-of("Refunded"), of("Expired"), of("Adjusted")), (all.refunded, all.expired, all.adjusted));
    assert_eq!((of("Blocked"), of("Transferred"), all.transferred), (all.blocked, 0, 0));
    assert_eq!(all.difference(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("CRM_SOAK").is_some() { 2_000 } else { 60 }))]

    #[test]
    fn the_books_add_up_whatever_happens_and_are_the_same_on_every_backend(
        steps in proptest::collection::vec(step(), 1..50),
    ) {
        let mut seen = Vec::new();
        over_each_store(|clock, store| {
            let crm = over(store, clock);
            let lived = live(&crm, clock, &steps);
            audit(&crm);
            SEEN.with_borrow_mut(|all| all.push(lived));
        });
        SEEN.with_borrow_mut(|all| seen.append(all));
        prop_assert!(seen.iter().all(|one| *one == seen[0]), "{:#?}", seen);
    }
}

thread_local! {
    static SEEN: std::cell::RefCell<Vec<Vec<(crm::Digest, CreditTotals)>>> = const { std::cell::RefCell::new(Vec::new()) };
}
