//! Input about money and points that must not hurt: each gets a typed error or the documented answer, what is refused
//! changes nothing, and it is the same on every store.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

#[cfg(feature = "postgres")]
#[path = "../crm-storage/tests/postgres_server/mod.rs"]
mod postgres_server;

use std::cell::Cell;
use std::sync::Arc;

use crm::blocking::Crm;
use crm::loyalty::{
    AdjustPoints, CaptureHold, ForfeitPoints, HOLDS_MAX, HoldName, HoldPoints, LOYALTY_POINTS_MAX, ReinstatePoints,
    ReleaseHold, UndoPosting,
};
use crm::{
    AwardPoints, Command, Currency, CustomerId, Definition, EarningRule, Error, EventId, Expiry, ExternalSystem,
    Formula, Identifier, Incoming, Line, LoyaltyError, ManualClock, MemoryStore, Money, OrderPlaced, OrderRef,
    PaymentReceived, Program, ProgramId, RedeemPoints, Refunded, Refusal, Remark, RuleName, Source, Span, Store,
    TenantId, Timestamp, UseName,
};
use crm_core::order::AMOUNT_MAX_MINOR;

struct Shop {
    crm: Crm,
    clock: Arc<ManualClock>,
    ana: CustomerId,
}

fn at(hour: u64) -> Timestamp {
    Timestamp::parse("2026-01-01").unwrap().plus(Span::millis(hour * 3_600_000))
}

fn points() -> ProgramId {
    ProgramId::new("points").unwrap()
}

fn reason() -> Remark {
    "test".parse().unwrap()
}

fn ana() -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), "ana").unwrap()
}

/// A store, in which each shop of a test is a tenant of its own.
struct Place {
    store: Arc<dyn Store>,
    shops: Cell<u32>,
}

/// The same on every store.
fn on_each_store(test: impl Fn(&Place)) {
    let over = |store: Arc<dyn Store>| test(&Place { store, shops: Cell::new(0) });
    over(Arc::new(MemoryStore::new()));
    #[cfg(feature = "sqlite")]
    {
        let folder = tempfile::tempdir().unwrap();
        over(Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()));
    }
    #[cfg(feature = "postgres")]
    if let Some(server) = postgres_server::server() {
        let url = server.url(&server.database());
        let options = crm::PostgresOptions::default().lanes(4);
        over(Arc::new(postgres_server::block_on(crm::PostgresStore::connect(&url, &options)).unwrap()));
    }
}

impl Place {
    /// A shop in which Ana has 100 points.
    fn shop(&self, program: Program) -> Shop {
        self.shops.set(self.shops.get() + 1);
        let clock = Arc::new(ManualClock::at(at(0)));
        let crm = crm::Crm::builder().shared_store(Arc::clone(&self.store)).clock(Arc::clone(&clock)).build();
        let crm = Crm::from(crm).tenant(TenantId::new(format!("shop-{}", self.shops.get())).unwrap());
        crm.define(Timestamp::MIN, Definition::Program(points(), Some(program))).unwrap();
        let placed = OrderPlaced::new(Money::new(10_000, Currency::EUR)).with_order(OrderRef::new("first").unwrap());
        let ana = crm.record(Incoming::new(ana(), at(0), Source::new("shop").unwrap(), placed)).unwrap().customer;
        Shop { crm, clock, ana }
    }

    fn plain(&self) -> Shop {
        self.shop(Program::point_per_unit(Currency::EUR))
    }
}

impl Shop {
    fn tell(&self, hour: u64, fact: impl Into<crm::Fact>) {
        let key = format!("{hour}").parse().unwrap();
        self.clock.set(at(hour));
        self.crm.record(Incoming::new(ana(), at(hour), Source::new("shop").unwrap(), fact).with_key(key)).unwrap();
    }

    fn ask(&self, command: Command, key: &str) -> Result<Vec<EventId>, LoyaltyError> {
        match self.crm.execute(self.ana, command, key) {
            Ok(done) => Ok(done.events),
            Err(Error::Refused(Refusal::Loyalty(refusal))) => Err(refusal),
            Err(error) => panic!("{error}"),
        }
    }

    fn digest(&self) -> crm::Digest {
        self.crm.customer(self.ana).unwrap().unwrap().digest()
    }

    fn balance(&self) -> (i128, i64) {
        let customer = self.crm.customer(self.ana).unwrap().unwrap();
        customer.book(&points()).map_or((0, 0), |book| (book.balance(), book.owed()))
    }
}

#[test]
fn numbers_that_are_none_or_beyond_the_limit_are_refused_and_nothing_moves() {
    on_each_store(|place| {
        let shop = place.plain();
        let before = shop.digest();
        let (program, hold) = (points(), HoldName::new("h").unwrap());
        let wrong = [0, -1, i64::MIN, LOYALTY_POINTS_MAX + 1, i64::MAX];
        for (n, points) in wrong.into_iter().enumerate() {
            let (program, reason) = (program.clone(), reason());
            let commands = [
                Command::AwardPoints(AwardPoints { program: program.clone(), points, reason: reason.clone() }),
                Command::RedeemPoints(RedeemPoints {
                    program: program.clone(),
                    points,
                    reason: reason.clone(),
                    order: None,
                    total: None,
                }),
                Command::HoldPoints(HoldPoints { program, points, hold: hold.clone(), until: None }),
            ];
            for command in commands {
                let refused = shop.ask(command.clone(), &format!("{n} {}", command.name()));
                assert_eq!(refused, Err(LoyaltyError::Amount { points, max: LOYALTY_POINTS_MAX }), "{command:?}");
            }
        }
        for points in [0, i64::MIN, i64::MAX, -LOYALTY_POINTS_MAX - 1] {
            let adjust = Command::AdjustPoints(AdjustPoints { program: program.clone(), points, reason: reason() });
            assert_eq!(
                shop.ask(adjust, &format!("adjust {points}")),
                Err(LoyaltyError::Amount { points, max: LOYALTY_POINTS_MAX })
            );
        }
        assert_eq!(shop.digest(), before);
    });
}

#[test]
fn json_with_numbers_that_are_none_is_no_command() {
    for number in ["9223372036854775808", "1e400", "NaN", "Infinity", "-Infinity", "1.5", "\"7\"", "null", "[7]"] {
        let json = format!(r#"{{"award_points":{{"program":"points","points":{number},"reason":"test"}}}}"#);
        assert!(serde_json::from_str::<Command>(&json).is_err(), "{number}");
    }
    for currency in ["eur", "EU", "EURO", "XXQ", "", "€"] {
        let json = format!(r#"{{"minor":1,"currency":"{currency}"}}"#);
        assert!(serde_json::from_str::<Money>(&json).is_err(), "{currency}");
    }
}

#[test]
fn what_is_not_there_has_its_own_refusal() {
    on_each_store(|place| {
        let shop = place.plain();
        let before = shop.digest();
        let other = ProgramId::new("other").unwrap();
        let award = |program: &ProgramId| {
            Command::AwardPoints(AwardPoints { program: program.clone(), points: 1, reason: reason() })
        };
        assert_eq!(shop.ask(award(&other), "1"), Err(LoyaltyError::NoProgram { program: other.clone() }));
        let hold = HoldName::new("never").unwrap();
        let no_hold = Err(LoyaltyError::NoHold { hold: hold.clone() });
        let release = ReleaseHold { program: points(), hold: hold.clone() };
        assert_eq!(shop.ask(Command::ReleaseHold(release), "2"), no_hold);
        let capture = CaptureHold { program: points(), hold, points: None, reason: reason(), order: None };
        assert_eq!(shop.ask(Command::CaptureHold(capture), "3"), no_hold);
        let posting = EventId::from_uuid(uuid::Uuid::from_u128(7));
        let undo = Command::UndoPosting(UndoPosting { posting, reason: reason() });
        assert_eq!(shop.ask(undo, "4"), Err(LoyaltyError::NoPosting { posting }));
        let reinstate = Command::ReinstatePoints(ReinstatePoints { program: points(), points: None, reason: reason() });
        assert_eq!(shop.ask(reinstate, "5"), Err(LoyaltyError::NotReinstatable { asked: 0, available: 0 }));
        let spend = RedeemPoints { program: points(), points: 101, reason: reason(), order: None, total: None };
        assert_eq!(
            shop.ask(Command::RedeemPoints(spend), "6"),
            Err(LoyaltyError::NotEnough { asked: 101, available: 100 })
        );
        assert_eq!(shop.digest(), before);
        let leave = || Command::ForfeitPoints(ForfeitPoints { program: points(), reason: reason() });
        shop.ask(leave(), "7").unwrap();
        assert_eq!(shop.ask(leave(), "8"), Err(LoyaltyError::NoPoints { program: points() }));
    });
}

#[test]
fn refunds_above_what_was_paid_take_back_what_was_given_and_no_more() {
    on_each_store(|place| {
        let refund = |name: &str, euros: i64| Refunded {
            order: OrderRef::new(name).ok(),
            amount: Money::new(euros * 100, Currency::EUR),
        };
        let shop = place.plain();
        shop.tell(1, refund("first", 500));
        assert_eq!(shop.balance(), (0, 0));
        // Two parts above it together, and one more.
        let shop = place.plain();
        for (hour, balance) in [(1, 40), (2, 0), (3, 0)] {
            shop.tell(hour, refund("first", 60));
            assert_eq!(shop.balance(), (balance, 0));
        }
        // Of an order that nobody knows: nothing. When it comes, it earns what is left of it.
        let shop = place.plain();
        shop.tell(1, refund("later", 30));
        assert_eq!(shop.balance(), (100, 0));
        shop.tell(2, OrderPlaced::new(Money::new(5_000, Currency::EUR)).with_order(OrderRef::new("later").unwrap()));
        assert_eq!(shop.balance(), (120, 0));
        // In another currency it is not this order's.
        shop.tell(3, Refunded { order: OrderRef::new("first").ok(), amount: Money::new(10_000, Currency::USD) });
        assert_eq!(shop.balance(), (120, 0));
        // After the points were spent they are owed.
        let spend = RedeemPoints { program: points(), points: 120, reason: reason(), order: None, total: None };
        shop.ask(Command::RedeemPoints(spend), "all").unwrap();
        shop.tell(4, refund("first", 100));
        assert_eq!(shop.balance(), (-100, 100));
    });
}

#[test]
fn points_are_gone_from_the_instant_on_at_which_they_expire() {
    on_each_store(|place| {
        let shop = place.shop(Program::point_per_unit(Currency::EUR).expiring_after(Span::millis(3_600_000)));
        let spend = || {
            Command::RedeemPoints(RedeemPoints {
                program: points(),
                points: 100,
                reason: reason(),
                order: None,
                total: None,
            })
        };
        shop.clock.set(at(1));
        assert_eq!(shop.ask(spend(), "late"), Err(LoyaltyError::NotEnough { asked: 100, available: 0 }));
        let shop = place.shop(Program::point_per_unit(Currency::EUR).expiring_after(Span::millis(3_600_000)));
        shop.clock.set(Timestamp::from_millis(at(1).as_millis() - 1).unwrap());
        assert!(shop.ask(spend(), "in time").is_ok());
        // An end that has passed already is no end of what is earned later.
        let over = Program {
            expiry: Expiry::At(Timestamp::parse("2020-01-01").unwrap()),
            ..Program::point_per_unit(Currency::EUR)
        };
        let shop = place.shop(over);
        shop.crm.advance(at(100)).unwrap();
        assert_eq!(shop.balance(), (100, 0));
    });
}

#[test]
fn prices_and_pieces_beyond_all_measure_stop_at_the_limit() {
    on_each_store(|place| {
        let rule = |name: &str, gives| EarningRule::new(RuleName::new(name).unwrap(), gives);
        let program = Program::new(Currency::EUR)
            .earning(rule("pieces", Formula::PerItem(u32::MAX)))
            .earning(rule("money", Formula::PerMoney { points: u32::MAX, per_minor: 1 }));
        let shop = place.shop(program);
        let line = Line { quantity: Some(i64::MAX), minor: 1_000_000_000_000_000, ..Line::default() };
        let placed = OrderPlaced::new(Money::new(1_000_000_000_000_000, Currency::EUR)).with_lines(vec![line]);
        shop.tell(1, placed);
        let (balance, _) = shop.balance();
        assert!(
            balance <= 4 * i128::from(LOYALTY_POINTS_MAX) && balance >= i128::from(LOYALTY_POINTS_MAX),
            "{balance}"
        );
        // A currency without decimals, and one with three, earn nothing by money where the programme has another.
        let shop = place.plain();
        for (hour, currency) in [(2, "JPY"), (3, "KWD")] {
            shop.tell(hour, OrderPlaced::new(Money::new(500, currency.parse().unwrap())));
            assert_eq!(shop.balance(), (100, 0));
        }
    });
}

#[test]
fn the_same_key_is_answered_alike_and_another_body_is_a_conflict() {
    on_each_store(|place| {
        let shop = place.plain();
        let redeem = |points| {
            Command::RedeemPoints(RedeemPoints {
                program: self::points(),
                points,
                reason: reason(),
                order: None,
                total: None,
            })
        };
        let first = shop.crm.execute(shop.ana, redeem(10), "key").unwrap();
        let again = shop.crm.execute(shop.ana, redeem(10), "key").unwrap();
        assert!(!first.replayed && again.replayed && again.events == first.events);
        assert!(matches!(shop.crm.execute(shop.ana, redeem(11), "key"), Err(Error::KeyReused)));
        for key in [String::new(), "k".repeat(1_000_000)] {
            assert!(matches!(shop.crm.execute(shop.ana, redeem(1), &key), Err(Error::KeyLength { .. })));
        }
        assert_eq!(shop.balance(), (90, 0));
        assert!(
            UseName::new("a\0b").is_err()
                && HoldName::new("").is_err()
                && HoldName::new("h".repeat(1_000_000)).is_err()
        );
    });
}

#[test]
fn amounts_of_facts_are_none_below_nothing_and_none_beyond_the_limit() {
    on_each_store(|place| {
        let shop = place.plain();
        let before = shop.digest();
        let first = || OrderRef::new("first").ok();
        for minor in [-1, i64::MIN, AMOUNT_MAX_MINOR + 1, i64::MAX] {
            let amount = Money::new(minor, Currency::EUR);
            let line = Line { minor: i64::MAX, ..Line::default() };
            let paid = OrderPlaced { points_minor: 101, ..OrderPlaced::new(Money::new(100, Currency::EUR)) };
            let wrong: [crm::Fact; 5] = [
                OrderPlaced::new(amount).into(),
                OrderPlaced::new(Money::new(100, Currency::EUR)).with_lines(vec![line]).into(),
                paid.into(),
                Refunded { order: first(), amount }.into(),
                PaymentReceived { order: first(), amount }.into(),
            ];
            for fact in wrong {
                let told = Incoming::new(ana(), at(0), Source::new("shop").unwrap(), fact.clone());
                assert!(matches!(shop.crm.record(told), Err(Error::Fact(_))), "{fact:?}");
            }
        }
        assert_eq!(shop.digest(), before);
        // Nothing is an amount: it earns nothing, and takes nothing back.
        shop.tell(1, OrderPlaced::new(Money::new(0, Currency::EUR)).with_order(OrderRef::new("free").unwrap()));
        shop.tell(2, Refunded { order: OrderRef::new("free").ok(), amount: Money::new(0, Currency::EUR) });
        shop.tell(3, Refunded { order: first(), amount: Money::new(0, Currency::EUR) });
        // A currency that was withdrawn is one while the list has it: orders of its time are in it.
        assert!(Currency::new("DEM").is_err());
        shop.tell(4, OrderPlaced::new(Money::new(75_345, "HRK".parse().unwrap())));
        assert_eq!(shop.balance(), (100, 0));
    });
}

#[test]
fn a_hold_is_captured_once_and_for_no_more_than_it_holds() {
    on_each_store(|place| {
        let shop = place.plain();
        let name = |name: &str| HoldName::new(name).unwrap();
        let hold = |hold: &str, points| {
            Command::HoldPoints(HoldPoints { program: self::points(), points, hold: name(hold), until: None })
        };
        let capture = |hold: &str, points| {
            let (program, hold) = (self::points(), name(hold));
            Command::CaptureHold(CaptureHold { program, hold, points, reason: reason(), order: None })
        };
        let release = |hold: &str| Command::ReleaseHold(ReleaseHold { program: points(), hold: name(hold) });
        let gone = |hold: &str| Err(LoyaltyError::NoHold { hold: name(hold) });
        shop.ask(hold("a", 40), "a").unwrap();
        shop.ask(hold("b", 30), "b").unwrap();
        let before = shop.digest();
        assert_eq!(shop.ask(hold("a", 1), "a again"), Err(LoyaltyError::HoldTaken { hold: name("a") }));
        assert_eq!(shop.ask(hold("c", 31), "c"), Err(LoyaltyError::NotEnough { asked: 31, available: 30 }));
        for until in [at(0), Timestamp::MIN] {
            let (program, hold, over) =
                (self::points(), name("over"), Err(LoyaltyError::HoldOver { until, at: at(0) }));
            let asked = HoldPoints { program, points: 1, hold, until: Some(until) };
            assert_eq!(shop.ask(Command::HoldPoints(asked), &format!("{until}")), over);
        }
        let more = Err(LoyaltyError::MoreThanHeld { asked: 41, held: 40 });
        assert_eq!(shop.ask(capture("a", Some(41)), "more"), more);
        for points in [0, -1, i64::MIN] {
            let none = Err(LoyaltyError::Amount { points, max: LOYALTY_POINTS_MAX });
            assert_eq!(shop.ask(capture("a", Some(points)), &format!("{points}")), none);
        }
        assert_eq!(shop.digest(), before);
        shop.ask(capture("a", Some(25)), "some of it").unwrap();
        assert_eq!(shop.balance(), (45, 0), "the rest is free again");
        assert_eq!(shop.ask(capture("a", None), "twice"), gone("a"));
        shop.ask(release("b"), "release").unwrap();
        assert_eq!(shop.ask(capture("b", None), "after"), gone("b"));
        assert_eq!(shop.ask(release("b"), "release again"), gone("b"));
        assert_eq!(shop.balance(), (75, 0));
        for n in 0..HOLDS_MAX {
            shop.ask(hold(&format!("h{n}"), 1), &format!("hold {n}")).unwrap();
        }
        assert_eq!(shop.ask(hold("one more", 1), "one more"), Err(LoyaltyError::Holds));
        assert_eq!(shop.balance(), (11, 0));
    });
}

#[test]
fn of_two_who_redeem_the_whole_balance_at_once_one_gets_it() {
    on_each_store(|place| {
        let shop = place.plain();
        let begin = std::sync::Barrier::new(2);
        let redeem = |key: &str| {
            begin.wait();
            let all = RedeemPoints { program: points(), points: 100, reason: reason(), order: None, total: None };
            shop.ask(Command::RedeemPoints(all), key).map(drop)
        };
        let both = std::thread::scope(|scope| {
            let redeem = &redeem;
            let [one, other] = ["one", "other"].map(|key| scope.spawn(move || redeem(key)));
            [one.join().unwrap(), other.join().unwrap()]
        });
        let refused = Err(LoyaltyError::NotEnough { asked: 100, available: 0 });
        assert!(both == [Ok(()), refused.clone()] || both == [refused, Ok(())], "{both:?}");
        assert_eq!(shop.balance(), (0, 0));
    });
}
