//! Random operations on points by many threads at once, each beside a second set of books that is kept as simply as can
//! be; and many who want the same points at the same time. A part of the operations as a rule, all with `CRM_SOAK=1`;
//! `--nocapture` shows how long they took.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic, reason = "a panic is how a test fails")]

mod auditor;

#[cfg(feature = "postgres")]
#[path = "../crm-storage/tests/postgres_server/mod.rs"]
mod postgres_server;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Instant;

use auditor::{At, Book, DAY, Missing, Place, Rules};
use crm::blocking::Crm;
use crm::loyalty::{
    AdjustPoints, CaptureHold, HoldName, HoldPoints, Pending, ReinstatePoints, ReleaseHold, Shortfall, UndoPosting,
};
use crm::{
    AwardPoints, Command, Currency, CustomerId, Definition, Error, EventId, Expiry, ExternalSystem, Identifier,
    Incoming, ManualClock, MemoryStore, Money, OrderPlaced, OrderRef, PointsTotals, Program, ProgramId, RedeemPoints,
    Refunded, Remark, Source, Span, Store, Timestamp, Voided,
};

const THREADS: usize = 64;
const CUSTOMERS: usize = 16;
const PROGRAMS: usize = 3;
const ROUNDS: usize = 4;
/// After so many operations of a thread others come in the place of its customers, but for the first one, who stays to the
/// end and has a long history. Those who left are looked at again at the end of each round.
const SERVED: usize = 4_000;
/// Of so many operations at least it is kept of each customer what they were.
const LOG_KEPT: usize = 60;

fn rules(n: usize) -> Rules {
    let plain = Rules { pending: None, expires: None, missing: Missing::Owed, reinstate: None };
    match n {
        0 => Rules { expires: Some(30 * DAY), reinstate: Some(10 * DAY), ..plain },
        1 => Rules { pending: Some(3 * DAY), missing: Missing::OwedUpTo(50), ..plain },
        _ => Rules { pending: Some(2 * DAY), expires: Some(5 * DAY), missing: Missing::Borne, ..plain },
    }
}

fn span(millis: At) -> Span {
    Span::millis(millis.unsigned_abs())
}

/// The same rules as a programme has them.
fn program(rules: Rules) -> Program {
    Program {
        pending: rules.pending.map_or(Pending::No, |wait| Pending::For(span(wait))),
        expiry: rules.expires.map_or(Expiry::Never, |lasts| Expiry::After(span(lasts))),
        shortfall: match rules.missing {
            Missing::Owed => Shortfall::Owed,
            Missing::OwedUpTo(most) => Shortfall::OwedUpTo(most.unsigned_abs()),
            Missing::Borne => Shortfall::Borne,
        },
        reinstate_within: rules.reinstate.map(span),
        ..Program::point_per_unit(Currency::EUR)
    }
}

fn program_id(n: usize) -> ProgramId {
    ProgramId::new(format!("p{n}")).unwrap()
}

fn instant(at: At) -> Timestamp {
    Timestamp::from_millis(at).unwrap()
}

fn reason() -> Remark {
    "test".parse().unwrap()
}

fn order_ref(who: &str, order: u32) -> OrderRef {
    OrderRef::new(format!("{who}-{order}")).unwrap()
}

fn shop(store: &Arc<dyn Store>, at: At) -> (Crm, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(instant(at)));
    let crm = crm::Crm::builder().shared_store(Arc::clone(store)).clock(Arc::clone(&clock)).build();
    (crm.into(), clock)
}

/// Numbers that are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, below: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % below.unsigned_abs()).unwrap()
    }

    fn one_in(&mut self, n: i64) -> bool {
        self.below(n) == 0
    }
}

struct Member {
    name: String,
    id: CustomerId,
    books: Vec<Book>,
    /// What happened lately, to be read when something does not agree.
    log: Vec<String>,
    /// For each programme, the postings that can be undone.
    done: Vec<Vec<EventId>>,
    /// The facts that told of orders.
    placed: Vec<EventId>,
}

impl Member {
    fn identifier(&self) -> Identifier {
        Identifier::external(&ExternalSystem::new("shop").unwrap(), &self.name).unwrap()
    }
}

/// One thread: its customers, its clock, and the CRM over the store that all share.
struct Desk {
    crm: Crm,
    clock: Arc<ManualClock>,
    now: At,
    dice: Dice,
    members: Vec<Member>,
    left: Vec<Member>,
    steps: usize,
    sent: u64,
    refused: u64,
    name: usize,
}

impl Desk {
    fn open(store: &Arc<dyn Store>, name: usize, now: At) -> Self {
        let (crm, clock) = shop(store, now);
        let mut desk = Desk {
            crm,
            clock,
            now,
            dice: Dice(name as u64 * 7_919 + 1),
            members: Vec::new(),
            left: Vec::new(),
            steps: 0,
            sent: 0,
            refused: 0,
            name,
        };
        desk.welcome();
        desk
    }

    /// Fills the places of those who left.
    fn welcome(&mut self) {
        while self.members.len() < CUSTOMERS {
            let books = (0..PROGRAMS).map(|n| Book::new(rules(n))).collect();
            let name = format!("{}-{}", self.name, self.members.len() + self.left.len());
            let (id, _) = self.record(&name, self.now, OrderPlaced::new(Money::new(0, Currency::EUR)));
            let (log, done) = (Vec::new(), vec![Vec::new(); PROGRAMS]);
            self.members.push(Member { name, id, books, log, done, placed: Vec::new() });
        }
    }

    fn record(&mut self, who: &str, at: At, fact: impl Into<crm::Fact>) -> (CustomerId, EventId) {
        self.sent += 1;
        let who = Identifier::external(&ExternalSystem::new("shop").unwrap(), who).unwrap();
        let key = format!("{}-{}", self.name, self.sent).parse().unwrap();
        let incoming = Incoming::new(who, instant(at), Source::new("shop").unwrap(), fact).with_key(key);
        let recorded = self.crm.record(incoming.clone()).unwrap();
        if self.dice.one_in(16) {
            assert_eq!(self.crm.record(incoming).unwrap().customer, recorded.customer);
        }
        (recorded.customer, recorded.event)
    }

    /// Carries out a command, at times twice, and gives what it led to unless it was refused.
    fn execute(&mut self, member: usize, command: Command) -> Option<Vec<EventId>> {
        self.sent += 1;
        let (id, key) = (self.members[member].id, format!("{}-{}", self.name, self.sent));
        let done = match self.crm.execute(id, command.clone(), &key) {
            Ok(done) => done,
            Err(Error::Refused(_)) => {
                self.refused += 1;
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        if self.dice.one_in(16) {
            let again = self.crm.execute(id, command, &key).unwrap();
            assert!(again.replayed && again.events == done.events);
        }
        Some(done.events)
    }

    fn step(&mut self) {
        self.steps += 1;
        if self.steps.is_multiple_of(SERVED) {
            self.left.extend(self.members.drain(1..));
            self.welcome();
        }
        self.now += 1 + if self.dice.one_in(3) { self.dice.below(DAY) } else { 0 };
        self.clock.set(instant(self.now));
        let (member, of) = (self.dice.below(CUSTOMERS as i64) as usize, self.dice.below(PROGRAMS as i64) as usize);
        let now = self.now;
        let refused = self.refused;
        self.members[member].books.iter_mut().for_each(|book| book.tick(now));
        let points = 1 + self.dice.below(120);
        let hold = self.dice.below(4) as u32;
        let hold_name = HoldName::new(format!("h{hold}")).unwrap();
        let program = program_id(of);
        let orders = self.members[member].placed.len() as u32;
        let an_order = (orders > 0).then(|| self.dice.below(i64::from(orders.max(1))) as u32);
        let paid = an_order.filter(|_| self.dice.one_in(2));
        let paid_ref = paid.map(|order| order_ref(&self.members[member].name, order));
        let what = self.dice.below(13);
        let member_log = &mut self.members[member].log;
        if member_log.len() >= 2 * LOG_KEPT {
            member_log.drain(..LOG_KEPT);
        }
        member_log
            .push(format!("{now}: {what} in {of}, {points} points, hold {hold}, order {an_order:?}, paid {paid:?}"));
        match what {
            0..=2 => {
                let euros = 1 + self.dice.below(200);
                let late = if self.dice.one_in(20) { self.dice.below(2 * DAY) } else { 0 };
                let name = self.members[member].name.clone();
                let number = order_ref(&name, orders);
                let placed = OrderPlaced::new(Money::new(euros * 100, Currency::EUR)).with_order(number);
                let (_, event) = self.record(&name, now - late, placed);
                let member = &mut self.members[member];
                member.placed.push(event);
                for book in &mut member.books {
                    book.order(orders, euros, now - late);
                    book.tick(now);
                }
            }
            3 => {
                let Some(order) = an_order else { return };
                let euros = 1 + self.dice.below(150);
                let name = self.members[member].name.clone();
                let amount = Money::new(euros * 100, Currency::EUR);
                self.record(&name, now, Refunded { order: Some(order_ref(&name, order)), amount });
                let books = &mut self.members[member].books;
                books.iter_mut().for_each(|book| book.refund(order, euros));
                books.iter_mut().for_each(|book| book.tick(now));
            }
            4 => {
                let award = Command::AwardPoints(AwardPoints { program, points, reason: reason() });
                let events = self.execute(member, award).unwrap();
                self.members[member].books[of].award(points, now);
                self.members[member].done[of].push(events[0]);
            }
            5 | 6 => {
                let redeem = RedeemPoints { program, points, reason: reason(), order: paid_ref, total: None };
                let events = self.execute(member, Command::RedeemPoints(redeem));
                assert_eq!(events.is_some(), self.members[member].books[of].redeem(points, paid), "redeem {points}");
                self.members[member].done[of].extend(events.map(|events| events[0]));
            }
            7 => {
                let until = self.dice.one_in(2).then(|| now + self.dice.below(3 * DAY));
                let asked = HoldPoints { program, points, hold: hold_name, until: until.map(instant) };
                let held = self.execute(member, Command::HoldPoints(asked)).is_some();
                assert_eq!(held, self.members[member].books[of].hold(hold, points, until, now), "hold {points}");
            }
            8 => {
                let points = self.dice.one_in(2).then_some(points);
                let asked = CaptureHold { program, hold: hold_name, points, reason: reason(), order: paid_ref };
                let events = self.execute(member, Command::CaptureHold(asked));
                assert_eq!(events.is_some(), self.members[member].books[of].capture(hold, points, paid), "capture");
                self.members[member].done[of].extend(events.map(|events| events[0]));
            }
            9 => {
                let released = self.execute(member, Command::ReleaseHold(ReleaseHold { program, hold: hold_name }));
                assert_eq!(released.is_some(), self.members[member].books[of].release(hold), "release");
            }
            10 => {
                let count = self.members[member].books[of].done();
                assert_eq!(count, self.members[member].done[of].len());
                if count == 0 {
                    return;
                }
                // Of the last ones, so that histories that are read stay the measure of it.
                let which = count - 1 - self.dice.below(count.min(8) as i64) as usize;
                let undo = UndoPosting { posting: self.members[member].done[of][which], reason: reason() };
                let undone = self.execute(member, Command::UndoPosting(undo)).is_some();
                assert_eq!(undone, self.members[member].books[of].undo(which), "undo");
            }
            // Fewer than refunds: what is voided is not paid for any more.
            11 if self.dice.one_in(3) => {
                let Some(order) = an_order else { return };
                let Member { name, placed, .. } = &self.members[member];
                let (name, event) = (name.clone(), placed[order as usize]);
                self.record(&name, now, Voided { event, reason: None });
                let books = &mut self.members[member].books;
                books.iter_mut().for_each(|book| book.void(order));
                books.iter_mut().for_each(|book| book.tick(now));
            }
            _ if self.dice.one_in(2) => {
                let asked = ReinstatePoints { program, points: Some(points), reason: reason() };
                let back = self.execute(member, Command::ReinstatePoints(asked)).is_some();
                assert_eq!(back, self.members[member].books[of].reinstate(points, now), "reinstate");
            }
            _ => {
                let points = if self.dice.one_in(2) { points } else { -points };
                let adjust = AdjustPoints { program, points, reason: reason() };
                let done = self.execute(member, Command::AdjustPoints(adjust)).is_some();
                assert_eq!(done, self.members[member].books[of].adjust(points, now), "adjust {points}");
            }
        }
        // What came in late may be due by now.
        self.members[member].books.iter_mut().for_each(|book| book.tick(now));
        // What is refused writes nothing, not even what is due.
        if refused == self.refused {
            self.compare(&self.members[member]);
        }
    }

    fn compare(&self, member: &Member) {
        let customer = self.crm.customer(member.identifier()).unwrap().unwrap();
        for (n, own) in member.books.iter().enumerate() {
            let standing = self.crm.points(member.id, &program_id(n)).unwrap().unwrap();
            let empty = crm::PointsBook::default();
            let book = customer.book(&program_id(n)).unwrap_or(&empty);
            let PointsTotals { earned, spent, reversed, expired, adjusted, .. } = book.totals();
            let real = (book.balance(), book.pending(), book.held(), book.owed());
            let told = (standing.balance(), standing.pending, standing.held, standing.owed);
            assert_eq!(told, (real.0, real.1, real.2, real.3.into()), "{} in {n}, at a glance", member.name);
            let naive = (
                own.balance(),
                own.sum(|place| matches!(place, Place::Pending(_))),
                own.sum(|place| matches!(place, Place::Held(_))),
                own.owed,
            );
            let lately = &member.log[member.log.len().saturating_sub(LOG_KEPT)..];
            assert_eq!(real, naive, "{} in {n}: {:#?}\n{:#?}\n{lately:#?}", member.name, own.all, book.lots());
            let totals = (own.earned, own.spent, own.reversed, own.expired, own.adjusted);
            assert_eq!((earned, spent, reversed, expired, adjusted), totals, "{}", member.name);
            let lots: i128 = book.lots().iter().map(|lot| i128::from(lot.left())).sum();
            assert_eq!(lots - i128::from(book.owed()), book.totals().outstanding());
            assert_eq!(
                by_end(book.lots().iter().map(|lot| (lot.terms.expires_at.map(Timestamp::as_millis), lot.left()))),
                by_end(own.all.iter().map(|points| (points.expires, points.points)))
            );
        }
    }
}

fn by_end(lots: impl Iterator<Item = (Option<At>, i64)>) -> std::collections::BTreeMap<Option<At>, i64> {
    let mut ends = std::collections::BTreeMap::new();
    lots.for_each(|(end, points)| *ends.entry(end).or_default() += points);
    ends
}

/// A tenth of a million on all three stores together, of which each has a share; a million on each with `CRM_SOAK=1`, or as
/// many as `CRM_OPERATIONS` says.
fn operations(share: usize) -> usize {
    if let Some(operations) = std::env::var("CRM_OPERATIONS").ok().and_then(|operations| operations.parse().ok()) {
        return operations;
    }
    if std::env::var_os("CRM_SOAK").is_some() { 1_000_000 } else { share }
}

fn audit(store: &Arc<dyn Store>, name: &str, operations: usize) {
    let started = Instant::now();
    let start = 20_000 * DAY;
    let (crm, _) = shop(store, start);
    for n in 0..PROGRAMS {
        crm.define(Timestamp::MIN, Definition::Program(program_id(n), Some(program(rules(n))))).unwrap();
    }
    let steps = operations / THREADS / ROUNDS;
    let barrier = Barrier::new(THREADS);
    let failed = AtomicBool::new(false);
    let length = 2 * steps as At * DAY;
    let books: Vec<Vec<Book>> = std::thread::scope(|scope| {
        let work = |name: usize| {
            let (crm, barrier, failed) = (&crm, &barrier, &failed);
            move || {
                let mut desk = Desk::open(store, name, start);
                for round in 1..=ROUNDS {
                    // One that fails must not leave the others waiting.
                    let steps = AssertUnwindSafe(|| (0..steps).for_each(|_| desk.step()));
                    let failure = catch_unwind(steps).err();
                    failed.fetch_or(failure.is_some(), Ordering::SeqCst);
                    barrier.wait();
                    if let Some(failure) = failure {
                        resume_unwind(failure);
                    }
                    assert!(!failed.load(Ordering::SeqCst), "another one failed");
                    // Everything that is due by the end of the round, of everybody, by one call.
                    desk.now = start + round as At * length;
                    if name == 0 {
                        crm.advance(instant(desk.now)).unwrap();
                    }
                    barrier.wait();
                    desk.clock.set(instant(desk.now));
                    for member in desk.members.iter_mut().chain(&mut desk.left) {
                        member.books.iter_mut().for_each(|book| book.tick(desk.now));
                    }
                    desk.members.iter().chain(&desk.left).for_each(|member| desk.compare(member));
                    barrier.wait();
                }
                desk.members.into_iter().chain(desk.left).flat_map(|member| member.books).collect::<Vec<Book>>()
            }
        };
        let desks: Vec<_> = (0..THREADS).map(|name| scope.spawn(work(name))).collect();
        desks.into_iter().map(|desk| desk.join().unwrap()).collect()
    });
    let all = || books.iter().flatten();
    let totals = crm.overview().unwrap().points;
    let [earned, spent, reversed, expired, adjusted] = [
        all().map(|book| book.earned).sum::<i128>(),
        all().map(|book| book.spent).sum(),
        all().map(|book| book.reversed).sum(),
        all().map(|book| book.expired).sum(),
        all().map(|book| book.adjusted).sum(),
    ];
    assert_eq!(
        [totals.earned, totals.spent, totals.reversed, totals.expired, totals.adjusted],
        [earned, spent, reversed, expired, adjusted]
    );
    let outstanding: i128 = all().map(|book| book.sum(|_| true) - i128::from(book.owed)).sum();
    assert_eq!(earned + adjusted, outstanding + spent + reversed + expired);
    assert!(earned > 0 && spent > 0 && reversed > 0 && expired > 0, "the run has something of everything");
    let (books, took) = (books.iter().flatten().count(), started.elapsed());
    println!("{name}: {} operations by {THREADS} threads on {books} books in {took:.1?}", steps * ROUNDS * THREADS);
}

#[test]
fn the_books_agree_with_naive_ones_in_memory() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    audit(&store, "memory", operations(50_000));
}

#[cfg(feature = "sqlite")]
#[test]
fn the_books_agree_with_naive_ones_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap());
    audit(&store, "SQLite", operations(30_000));
}

#[cfg(feature = "postgres")]
#[test]
fn the_books_agree_with_naive_ones_on_postgresql() {
    let Some(server) = postgres_server::server() else { return };
    let url = server.url(&server.database());
    let options = crm::PostgresOptions::default().lanes(64);
    let store = postgres_server::block_on(crm::PostgresStore::connect(&url, &options)).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    audit(&store, "PostgreSQL", operations(20_000));
}

/// 32 at once want points that are there a few times only.
fn contend(store: &Arc<dyn Store>) {
    const TASKS: u32 = 32;
    let (crm, _) = shop(store, 20_000 * DAY);
    crm.define(Timestamp::MIN, Definition::Program(program_id(0), Some(program(rules(0))))).unwrap();
    let who = Identifier::external(&ExternalSystem::new("shop").unwrap(), "contended").unwrap();
    let placed = OrderPlaced::new(Money::new(100_000, Currency::EUR));
    let incoming = Incoming::new(who.clone(), instant(20_000 * DAY), Source::new("shop").unwrap(), placed);
    let id = crm.record(incoming).unwrap().customer;
    let all_at_once = |work: &(dyn Fn(u32, &Crm) -> bool + Sync)| -> u32 {
        let won = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for n in 0..TASKS {
                let (won, store) = (&won, store);
                scope.spawn(move || {
                    let (crm, _) = shop(store, 20_000 * DAY);
                    won.fetch_add(u32::from(work(n, &crm)), Ordering::SeqCst);
                });
            }
        });
        won.into_inner()
    };
    let execute = |crm: &Crm, command: Command, key: String| match crm.execute(id, command, &key) {
        Ok(_) => true,
        Err(Error::Refused(_)) => false,
        Err(error) => panic!("{error}"),
    };
    let won = all_at_once(&|n, crm| {
        let hold = HoldName::new(format!("h{n}")).unwrap();
        let asked = HoldPoints { program: program_id(0), points: 150, hold, until: None };
        execute(crm, Command::HoldPoints(asked), format!("hold {n}"))
    });
    assert_eq!(won, 6, "1,000 points are held 150 at a time");
    let customer = crm.customer(who.clone()).unwrap().unwrap();
    let book = customer.book(&program_id(0)).unwrap();
    assert_eq!((book.balance(), book.held()), (100, 900));
    let hold = book.holds().map(|(name, _)| name.clone()).next().unwrap();
    let won = all_at_once(&|n, crm| {
        let (program, hold, reason) = (program_id(0), hold.clone(), reason());
        let capture = CaptureHold { program, hold, points: None, reason, order: None };
        execute(crm, Command::CaptureHold(capture), format!("capture {n}"))
    });
    assert_eq!(won, 1, "a hold is captured once");
    let won = all_at_once(&|n, crm| {
        let redeem = RedeemPoints { program: program_id(0), points: 30, reason: reason(), order: None, total: None };
        execute(crm, Command::RedeemPoints(redeem), format!("redeem {n}"))
    });
    assert_eq!(won, 3, "100 points are spent 30 at a time");
    let key = "the same".to_owned();
    let won = all_at_once(&|_, crm| {
        let redeem = RedeemPoints { program: program_id(0), points: 10, reason: reason(), order: None, total: None };
        execute(crm, Command::RedeemPoints(redeem), key.clone())
    });
    let customer = crm.customer(who).unwrap().unwrap();
    assert_eq!((won, customer.book(&program_id(0)).unwrap().balance()), (TASKS, 0), "all get the first answer");
}

#[test]
fn points_that_many_want_go_as_often_as_they_are_there_in_memory() {
    contend(&(Arc::new(MemoryStore::new()) as Arc<dyn Store>));
}

#[cfg(feature = "sqlite")]
#[test]
fn points_that_many_want_go_as_often_as_they_are_there_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    contend(&(Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()) as Arc<dyn Store>));
}

#[cfg(feature = "postgres")]
#[test]
fn points_that_many_want_go_as_often_as_they_are_there_on_postgresql() {
    let Some(server) = postgres_server::server() else { return };
    let url = server.url(&server.database());
    let options = crm::PostgresOptions::default().lanes(16);
    let store = postgres_server::block_on(crm::PostgresStore::connect(&url, &options)).unwrap();
    contend(&(Arc::new(store) as Arc<dyn Store>));
}
