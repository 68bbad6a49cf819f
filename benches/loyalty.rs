//! What earning costs: a quote, and an order under a programme of twenty rules beside the same order without any, on the
//! memory store; a balance on SQLite beside a raw read of the row it is in; and what a customer with a long history costs.
//!
//! `cargo bench -p crm --no-default-features --features sqlite --bench loyalty`
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints what it measured")]

use std::sync::Arc;
use std::time::Instant;

use crm::blocking::Crm;
use crm::loyalty::{Cap, Factor, On, Per, Period, Rounding, RoundingPlace, UndoPosting};
use crm::{
    AwardPoints, Cart, Channel, Command, Currency, CustomerId, Definition, DerivedIds, EarningRule, ExternalSystem,
    Formula, Identifier, Incoming, Ingestion, Line, ManualClock, Money, Multiplier, OrderPlaced, OrderRef, ProductRef,
    Program, ProgramId, RedeemPoints, Refunded, RuleName, Source, Span, SqliteStore, Timestamp, Visited,
};

const ROUNDS: u32 = 2_000;
/// Microseconds that a quote may take.
const QUOTE_LIMIT: f64 = 20.0;
/// Microseconds that earning may add to an order.
const EARNING_LIMIT: f64 = 30.0;
/// What a balance may cost, of a raw read of its row.
const BALANCE_LIMIT: f64 = 2.0;
const CUSTOMERS: u32 = 1_000;

fn day(day: u32) -> Timestamp {
    Timestamp::parse("2026-01-05").unwrap().plus(Span::days(day))
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_unstable_by(f64::total_cmp);
    of[of.len() / 2]
}

fn micros(timed: impl FnOnce()) -> f64 {
    let began = Instant::now();
    timed();
    began.elapsed().as_nanos() as f64 / 1_000.0
}

fn points() -> ProgramId {
    ProgramId::new("points").unwrap()
}

fn product(n: u32) -> ProductRef {
    ProductRef::new(format!("product-{n}")).unwrap()
}

/// Twenty rules for orders: a half asks for products, a half for who it is, a quarter has a cap; and two multipliers.
fn program(crm: &Crm) -> Program {
    let mut program = Program::new(Currency::EUR);
    program.rounding = Rounding::HalfEven(RoundingPlace::Order);
    for n in 0..20_u32 {
        let name = RuleName::new(format!("rule-{n}")).unwrap();
        let mut rule = EarningRule::new(name, Formula::PerMoney { points: n + 1, per_minor: 100 + n });
        if n % 2 == 0 {
            rule.lines.products.extend([product(n % 5), product(n)]);
        } else {
            let text = format!(r#"orders.in_last("90d") >= {} && spend > {n}"#, n % 4);
            rule.when = Some(crm.rule(&text).unwrap());
        }
        if n % 4 == 0 {
            rule.cap = Some(Cap { points: 1_000_000, per: Per::Period(Period::Month) });
        }
        rule.on = On::Order;
        program.earning.push(rule);
    }
    for n in 0..2 {
        program.multipliers.push(Multiplier {
            name: RuleName::new(format!("multiplier-{n}")).unwrap(),
            by: Factor(1_100),
            tiers: [].into(),
            when: None,
            rules: [].into(),
            from: None,
            until: None,
        });
    }
    program
}

fn cart() -> Cart {
    let line = |n| Line { product: Some(product(n)), minor: 1_250, quantity: Some(1), ..Line::default() };
    Cart::new(Money::new(5_000, Currency::EUR)).with_lines((0..4).map(line).collect()).with_channel(Channel::Web)
}

fn someone(n: u32) -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), &n.to_string()).unwrap()
}

fn shop(with: bool) -> (Crm, CustomerId) {
    let crm = crm::Crm::builder().clock(ManualClock::at(day(2))).ids(DerivedIds).build();
    let crm = Crm::from(crm);
    let customer = fill(&crm, with);
    (crm, customer)
}

/// One customer, who came and ordered ten times.
fn fill(crm: &Crm, with: bool) -> CustomerId {
    if with {
        let program = program(crm);
        crm.define(Timestamp::MIN, Definition::Program(points(), Some(program))).unwrap();
    }
    let visit = Visited { channel: Channel::Web, place: None };
    let customer = crm.record(Incoming::new(someone(0), day(0), Source::new("shop").unwrap(), visit)).unwrap().customer;
    for n in 0..10 {
        place(crm, customer, n);
    }
    customer
}

fn place(crm: &Crm, customer: CustomerId, n: u32) {
    let at = day(1).plus(Span::millis(u64::from(n) * 60_000));
    let fact = Incoming::new(customer, at, Source::new("shop").unwrap(), OrderPlaced::from(cart()));
    crm.record(fact.with_key(format!("o{n}").parse().unwrap())).unwrap();
}

fn quotes() {
    let (crm, customer) = shop(true);
    let (points, cart) = (points(), cart());
    let quoted = crm.quote(customer, &points, &cart).unwrap();
    assert!(quoted.points() > 0 && quoted.earning.reasons.len() == 20);
    let rounds = (0..ROUNDS).map(|_| micros(|| drop(crm.quote(customer, &points, &cart).unwrap()))).collect();
    println!("a quote by twenty rules: {:.1} us (limit {QUOTE_LIMIT})", median(rounds));
}

/// Each on a customer of eleven events, so that it is not the growing of a state that is measured.
fn orders() {
    let rounds = 200;
    let of = |with: bool| {
        let each = (0..rounds).map(|_| {
            let (crm, customer) = shop(with);
            micros(|| place(&crm, customer, 11))
        });
        median(each.collect())
    };
    let (with, without) = (of(true), of(false));
    println!(
        "an order: {with:.1} us with a programme of twenty rules, {without:.1} us without: earning {:.1} us \
         (limit {EARNING_LIMIT})",
        with - without
    );
}

/// Balances of customers who ordered twice under a programme of one rule, and the same rows by hand on a connection of
/// its own. The sides take turns.
fn balances() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crm.db");
    let store = SqliteStore::open(&path).unwrap();
    let crm = Crm::from(crm::Crm::builder().store(store).clock(ManualClock::at(day(2))).ids(DerivedIds).build());
    let program = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(365));
    crm.define(Timestamp::MIN, Definition::Program(points(), Some(program))).unwrap();
    let orders = (0..2 * CUSTOMERS).map(|n| {
        let incoming = Incoming::new(someone(n / 2), day(1), Source::new("shop").unwrap(), OrderPlaced::from(cart()));
        incoming.with_key(format!("o{n}").parse().unwrap())
    });
    crm.ingest(orders.collect::<Vec<_>>(), Ingestion::live()).unwrap();
    let ids: Vec<CustomerId> = (0..CUSTOMERS).map(|n| crm.customer(someone(n)).unwrap().unwrap().id()).collect();
    let by_hand = rusqlite::Connection::open(&path).unwrap();
    let tenant: i64 = by_hand.query_row("SELECT DISTINCT tenant FROM crm_customer", [], |row| row.get(0)).unwrap();
    let mut statement =
        by_hand.prepare("SELECT version, shape, state, sets FROM crm_customer WHERE tenant = ?1 AND id = ?2").unwrap();
    let (mut raw, mut read, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut whole, mut whole_ratios) = (Vec::new(), Vec::new());
    for _ in 0..31 {
        let by_row = micros(|| {
            for id in &ids {
                let row = (tenant, id.as_uuid().as_bytes());
                let read = |row: &rusqlite::Row<'_>| {
                    Ok((
                        row.get::<_, i64>(0)?,
                        row.get::<_, i64>(1)?,
                        row.get::<_, Vec<u8>>(2)?,
                        row.get::<_, Option<String>>(3)?,
                    ))
                };
                std::hint::black_box(statement.query_row(row, read).unwrap());
            }
        });
        let program = points();
        let by_crm = micros(|| {
            for id in &ids {
                assert_eq!(crm.points(*id, &program).unwrap().unwrap().balance(), 100);
            }
        });
        let by_customer = micros(|| {
            for id in &ids {
                let customer = crm.customer(*id).unwrap().unwrap();
                assert_eq!(customer.book(&program).unwrap().balance(), 100);
            }
        });
        raw.push(by_row / f64::from(CUSTOMERS));
        read.push(by_crm / f64::from(CUSTOMERS));
        ratios.push(by_crm / by_row);
        whole.push(by_customer / f64::from(CUSTOMERS));
        whole_ratios.push(by_customer / by_row);
    }
    let (raw, read, ratio) = (median(raw), median(read), median(ratios));
    println!("a balance on SQLite: {read:.2} us, {ratio:.2} of a raw row's {raw:.2} us (limit {BALANCE_LIMIT})");
    let (whole, ratio) = (median(whole), median(whole_ratios));
    println!("the same by the whole customer: {whole:.2} us, {ratio:.2} of a raw row's");
}

/// One customer, who buys again and again and pays every second order with points: what an order, a refund, an award, an
/// undoing and a balance take once there are so many orders. The median of ten each.
fn history() {
    let clock = Arc::new(ManualClock::at(day(1)));
    let crm = crm::Crm::builder().clock(Arc::clone(&clock)).ids(DerivedIds).build();
    let crm = Crm::from(crm);
    let program = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(300));
    crm.define(Timestamp::MIN, Definition::Program(points(), Some(program))).unwrap();
    let number = |n: u32| OrderRef::new(format!("o{n}")).unwrap();
    let then = |n: u32| day(1).plus(Span::millis(u64::from(n) * 60_000_000));
    let place = |n: u32| {
        let at = then(n);
        let placed = OrderPlaced::from(cart()).with_order(number(n));
        crm.record(Incoming::new(someone(0), at, Source::new("shop").unwrap(), placed)).unwrap().customer
    };
    let why = || "bench".parse().unwrap();
    let (mut orders, mut keys) = (0, 0);
    for many in [250, 500, 1_000, 2_000, 4_000] {
        let mut costs: [Vec<f64>; 5] = Default::default();
        while orders < many + 10 {
            orders += 1;
            let measured = orders > many;
            clock.set(then(orders).plus(Span::millis(1)));
            let mut customer = None;
            let order = micros(|| customer = Some(place(orders)));
            let customer = customer.unwrap();
            keys += 4;
            let key = |n: u32| format!("k{}", keys + n);
            let award = AwardPoints { program: points(), points: 5, reason: why() };
            let mut awarded = None;
            let award = micros(|| awarded = Some(crm.execute(customer, Command::AwardPoints(award), &key(0)).unwrap()));
            if orders % 2 == 0 {
                let redeem = RedeemPoints {
                    program: points(),
                    points: 40,
                    reason: why(),
                    order: Some(number(orders)),
                    total: None,
                };
                crm.execute(customer, Command::RedeemPoints(redeem), &key(1)).unwrap();
            }
            if !measured {
                continue;
            }
            let at = then(orders).plus(Span::millis(1));
            let refunded = Refunded { order: Some(number(orders)), amount: Money::new(10, Currency::EUR) };
            let refunded = Incoming::new(customer, at, Source::new("shop").unwrap(), refunded);
            let refund = micros(|| drop(crm.record(refunded).unwrap()));
            let posting = awarded.unwrap().events[0];
            let undo = Command::UndoPosting(UndoPosting { posting, reason: why() });
            let undo = micros(|| drop(crm.execute(customer, undo, &key(2)).unwrap()));
            let balance = micros(|| assert!(crm.points(customer, &points()).unwrap().is_some()));
            for (costs, cost) in costs.iter_mut().zip([order, award, refund, undo, balance]) {
                costs.push(cost);
            }
        }
        let [order, award, refund, undo, balance] = costs.map(median);
        println!(
            "after {many} orders: an order {order:.0} us, an award {award:.0}, a refund {refund:.0}, an undoing {undo:.0}, \
             a balance {balance:.1}"
        );
    }
}

fn main() {
    if std::env::args().any(|argument| argument == "--history") {
        return history();
    }
    quotes();
    orders();
    balances();
    history();
}
