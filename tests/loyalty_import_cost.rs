//! What it takes to take in a programme of another system, by SQLite's own tracing: as many statements for each balance
//! however many there are, and one transaction for many of them.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "sql_capture/trace.rs"]
mod trace;

use crm::blocking::Crm;
use crm::loyalty::ImportedLot;
use crm::{
    Currency, Definition, ExternalSystem, Identifier, ImportedBalance, ManualClock, PointsImport, Program, ProgramId,
    Source, Span, SqliteStore, Timestamp, UnknownCustomers,
};

fn day(day: u32) -> Timestamp {
    Timestamp::parse("2025-01-01").unwrap().plus(Span::days(day))
}

fn balance(n: u64) -> ImportedBalance {
    let who = Identifier::external(&ExternalSystem::new("till").unwrap(), &n.to_string()).unwrap();
    ImportedBalance::new(who, vec![ImportedLot::new(7, day(10)), ImportedLot::new(9, day(20)).expiring_at(day(400))])
}

/// What was asked of SQLite: in how many transactions that write, and in how many statements.
#[derive(Debug, Clone, Copy)]
struct Cost {
    transactions: usize,
    statements: usize,
}

impl Cost {
    fn of(work: impl FnOnce()) -> Self {
        let captured = trace::captured(work);
        let transactions = captured.iter().filter(|text| text.starts_with("BEGIN IMMEDIATE")).count();
        Cost { transactions, statements: captured.len() }
    }
}

/// Of taking in so many balances of people who are new, and of sending them again.
fn costs(many: u64) -> (Cost, Cost) {
    let folder = tempfile::tempdir().unwrap();
    let crm = crm::Crm::builder()
        .clock(ManualClock::at(day(100)))
        .store(SqliteStore::open(folder.path().join("crm.db")).unwrap())
        .build();
    let crm = Crm::from(crm);
    let points = ProgramId::new("points").unwrap();
    let program = Program::point_per_unit(Currency::EUR);
    crm.define(Timestamp::MIN, Definition::Program(points.clone(), Some(program))).unwrap();
    let mut import = PointsImport::new(points, "till".parse().unwrap(), "balance of the till".parse().unwrap());
    import.unknown = UnknownCustomers::Introduced(Source::new("till").unwrap());
    let taken = std::cell::Cell::new((0, 0));
    let import = || {
        let imported = crm.import_points(&import, || (0..many).map(balance), |_| {}).unwrap();
        taken.set((imported.taken, imported.known));
    };
    let first = Cost::of(import);
    assert_eq!(taken.get(), (many, 0));
    let again = Cost::of(import);
    assert_eq!(taken.get(), (0, many));
    (first, again)
}

/// One test, because everything is traced that this process asks of SQLite.
#[test]
fn a_balance_costs_the_same_however_many_there_are_and_many_share_a_transaction() {
    // Connections are traced that are opened after this.
    Cost::of(|| ());
    let (few, few_again) = costs(512);
    let (many, many_again) = costs(2_048);
    // Pages of 256, each looked at and written; and a few for what comes before.
    for (cost, balances) in [(few, 512), (few_again, 512), (many, 2_048), (many_again, 2_048)] {
        assert!(cost.transactions <= 2 * balances / 256 + 2, "{cost:?} for {balances}");
    }
    for (cost, balances) in [(few, 512), (many, 2_048)] {
        assert!(cost.statements <= 24 * balances, "{cost:?} for {balances}");
    }
    assert!(many.statements <= 4 * few.statements, "{many:?} and {few:?}");
    assert!(many_again.statements <= 4 * few_again.statements, "{many_again:?} and {few_again:?}");
}
