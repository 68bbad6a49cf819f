//! Ten years of one programme, day by day, in a zone whose clocks change, over three leap days: on each of them the
//! postings add up, and whoever is looked at of those to whom anything happened has in their book what was posted for them. A
//! thousand members as a rule, ten thousand with `CRM_SOAK=1`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crm::blocking::Crm;
use crm::loyalty::{Account, On, Pending, Period, Window};
use crm::{
    AttributeSet, Command, Currency, CustomerId, Decision, DeclaredKind, DeclaredName, DeclaredValue, Deed, Definition,
    DerivedIds, EarningRule, EventBody, Expiry, ExternalSystem, Fact, Formula, Identifier, Incoming, Ingestion,
    ManualClock, MemoryStore, Money, OrderPlaced, OrderRef, Program, ProgramId, RedeemPoints, Refunded, RuleName,
    Source, Span, Store, TierName, Tiers, Timestamp,
};
use crm_storage::{Entry, Lane};

fn day(day: u32) -> Timestamp {
    Timestamp::parse("2020-01-01T12:00:00Z").unwrap().plus(Span::days(day))
}

fn someone(n: u32) -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), &n.to_string()).unwrap()
}

fn points() -> ProgramId {
    ProgramId::new("points").unwrap()
}

fn birthday() -> DeclaredName {
    DeclaredName::new("birthday").unwrap()
}

/// A point for each euro after two weeks, to the end of the sixth month after; twenty on each birthday.
fn program() -> Program {
    let mut yearly = EarningRule::new(RuleName::new("birthday").unwrap(), Formula::Fixed(20));
    yearly.on = On::Yearly(birthday());
    let program = Program {
        zone: "Europe/Berlin".parse().unwrap(),
        pending: Pending::For(Span::days(14)),
        expiry: Expiry::EndOf { period: Period::Month, months: 6 },
        remind: Some(Span::days(7)),
        tiers: Tiers {
            window: Window::Calendar(Period::Year),
            kept_until_end_of: Some(Period::Year),
            ..Tiers::default()
        },
        ..Program::point_per_unit(Currency::EUR).earning(yearly)
    };
    program.with_tier(TierName::new("silver").unwrap(), 100).with_tier(TierName::new("gold").unwrap(), 250)
}

/// What a customer has: pending, active, held, and what they owe.
type Has = [i128; 4];

const OF_CUSTOMERS: [Account; 4] =
    [Account::CustomerPending, Account::CustomerActive, Account::CustomerHeld, Account::CustomerDebt];

/// What the feed of a store says was posted so far, by account and by customer.
#[derive(Default)]
struct Books {
    read: u64,
    accounts: BTreeMap<Account, i128>,
    customers: BTreeMap<CustomerId, Has>,
    /// For whom anything was posted since it was last asked.
    moved: BTreeSet<CustomerId>,
    birthdays: u32,
}

impl Books {
    fn follow(&mut self, store: &dyn Store) {
        loop {
            let rows = crm::blocking::wait(store.feed(Lane(0), self.read, 1_000)).unwrap();
            let Some(last) = rows.last() else { return };
            self.read = last.position;
            for row in rows {
                let Entry::Event(event) = row.entry else { continue };
                let body = EventBody::decode(&event.kind, event.shape, &event.body).unwrap();
                let EventBody::Decision(Decision { deed: Deed::PointsPosted(posting), .. }) = body else { continue };
                self.birthdays += u32::from(posting.kind.name() == "awarded");
                self.moved.insert(row.customer);
                let own = self.customers.entry(row.customer).or_default();
                for (account, points) in posting.entries() {
                    *self.accounts.entry(account).or_default() += points;
                    if let Some(place) = OF_CUSTOMERS.iter().position(|of| *of == account) {
                        own[place] += points;
                    }
                }
            }
        }
    }

    /// Whoever is looked at has in their book what their postings come to, and nobody has less than nothing. Of those for
    /// whom anything was posted every fourth is, another one each time, or all of them.
    fn check(&mut self, crm: &Crm, some: Option<usize>) {
        let mut place = some.unwrap_or(0);
        let look = |_: &CustomerId| {
            place += 1;
            some.is_none() || place.is_multiple_of(4)
        };
        for id in self.moved.iter().copied().filter(look).collect::<Vec<_>>() {
            self.moved.remove(&id);
            let customer = crm.customer(id).unwrap().unwrap();
            let book = customer.book(&points()).unwrap();
            let active: i128 = book.lots().iter().map(|lot| i128::from(lot.active)).sum();
            let has = [book.pending(), active, book.held(), -i128::from(book.owed())];
            assert_eq!(has, self.customers[&id], "{id}");
            assert!(book.lots().iter().all(|lot| lot.pending >= 0 && lot.active >= 0 && lot.held >= 0), "{id}");
            let lots: i128 = book.lots().iter().map(|lot| i128::from(lot.left())).sum();
            assert_eq!(lots - i128::from(book.owed()), book.totals().outstanding(), "{id}");
        }
    }

    fn of(&self, account: Account) -> i128 {
        self.accounts.get(&account).copied().unwrap_or(0)
    }
}

#[test]
fn the_trial_balance_holds_on_every_day_of_ten_years() {
    let members = if std::env::var_os("CRM_SOAK").is_some() { 10_000 } else { 1_000 };
    let store = Arc::new(MemoryStore::new());
    let clock = Arc::new(ManualClock::at(day(0)));
    let shared: Arc<dyn Store> = Arc::<MemoryStore>::clone(&store);
    let crm = crm::Crm::builder().shared_store(shared).clock(Arc::clone(&clock)).ids(DerivedIds).build();
    let crm = Crm::from(crm);
    crm.define(Timestamp::MIN, Definition::Attribute(birthday(), Some(DeclaredKind::Instant))).unwrap();
    crm.define(Timestamp::MIN, Definition::Program(points(), Some(program()))).unwrap();
    let source = Source::new("shop").unwrap();
    let tell = |n: u32, at: Timestamp, fact: Fact, key: String| {
        Incoming::new(someone(n), at, source.clone(), fact).with_key(key.parse().unwrap())
    };
    // One in four was born on a leap day.
    let born = |n: u32| if n.is_multiple_of(4) { "1996-02-29" } else { "1990-07-14" };
    let facts = (0..members).map(|n| {
        let value = Some(DeclaredValue::Instant(Timestamp::parse(born(n)).unwrap()));
        tell(n, day(0), AttributeSet { attribute: birthday(), value }.into(), format!("b{n}"))
    });
    crm.ingest(facts.collect::<Vec<_>>(), Ingestion::live()).unwrap();

    let mut books = Books::default();
    for today in 1..3_653 {
        let now = day(today);
        clock.set(now);
        // Everybody buys some three times in two years, sends half of it back at times, and spends what there is at others.
        for n in (0..members).filter(|n| (n * 7 + today).is_multiple_of(240)) {
            let number = format!("{n}-{today}");
            let total = Money::new(i64::from(10 + (n * 31 + today * 17) % 190) * 100, Currency::EUR);
            let placed = OrderPlaced::new(total).with_order(OrderRef::new(&number).unwrap());
            let customer = crm.record(tell(n, now, placed.into(), number.clone())).unwrap().customer;
            if (n + today).is_multiple_of(5) {
                let amount = Money::new(total.minor() / 2, Currency::EUR);
                let refund = Refunded { order: Some(OrderRef::new(&number).unwrap()), amount };
                crm.record(tell(n, now, refund.into(), format!("r{number}"))).unwrap();
            }
            if (n + today).is_multiple_of(3) {
                let there = crm.customer(customer).unwrap().unwrap().book(&points()).unwrap().balance();
                let points = i64::try_from(there).unwrap();
                if points > 0 {
                    let redeem = RedeemPoints {
                        program: self::points(),
                        points,
                        reason: "all".parse().unwrap(),
                        order: None,
                        total: None,
                    };
                    crm.execute(customer, Command::RedeemPoints(redeem), &number).unwrap();
                }
            }
        }
        crm.advance(now).unwrap();
        books.follow(&*store);
        assert_eq!(books.accounts.values().sum::<i128>(), 0, "on day {today}");
        books.check(&crm, Some(today as usize));
        if today.is_multiple_of(365) || today == 3_652 {
            books.check(&crm, None);
            let totals = crm.overview().unwrap().points;
            let there: i128 = OF_CUSTOMERS.iter().map(|account| books.of(*account)).sum();
            assert_eq!(there, totals.outstanding(), "on day {today}");
            let closed = [totals.earned, totals.spent, totals.reversed, totals.expired];
            let told = [
                -books.of(Account::Issued),
                books.of(Account::Redeemed),
                books.of(Account::Reversed),
                books.of(Account::Expired),
            ];
            assert_eq!(closed, told, "on day {today}");
        }
    }
    let trial = crm.trial_balance(&points(), day(3_652)).unwrap();
    assert!(trial.adds_up() && trial.outstanding() == crm.overview().unwrap().points.outstanding(), "{trial:?}");
    // Ten birthdays each, in years without a leap day too.
    assert_eq!(books.birthdays, members * 10);
    assert!([Account::Redeemed, Account::Reversed, Account::Expired].iter().all(|account| books.of(*account) > 0));
}
