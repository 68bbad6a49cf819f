//! A large programme of another system is taken in, lot by lot: all of it is there, and its totals are what the other
//! system said. A few hundred balances as a rule, a hundred thousand with `CRM_SOAK=1`, or as many as `CRM_BALANCES`
//! says; `--nocapture` shows how long it took.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic, reason = "a panic is how a test fails")]

#[cfg(feature = "sqlite")]
mod scratch;

use std::sync::Arc;
use std::time::Instant;

use crm::blocking::Crm;
use crm::loyalty::ImportedLot;
use crm::{
    Currency, Definition, ExpectedPoints, ExternalSystem, Identifier, ImportedBalance, ManualClock, MemoryStore,
    PointsImport, Program, ProgramId, Source, Span, Store, Timestamp, UnknownCustomers,
};

fn day(day: u32) -> Timestamp {
    Timestamp::parse("2025-01-01").unwrap().plus(Span::days(day))
}

fn balances() -> u64 {
    if let Some(balances) = std::env::var("CRM_BALANCES").ok().and_then(|balances| balances.parse().ok()) {
        return balances;
    }
    if std::env::var_os("CRM_SOAK").is_some() { 100_000 } else { 300 }
}

fn who(n: u64) -> Identifier {
    Identifier::external(&ExternalSystem::new("till").unwrap(), &n.to_string()).unwrap()
}

/// What is there of the `n`th: a lot that lasts, one that ends in a while, and for every tenth one that is over.
fn balance(n: u64) -> ImportedBalance {
    let points = i64::try_from(n % 1_000 + 1).unwrap();
    let mut lots = vec![ImportedLot::new(points, day(10)), ImportedLot::new(points * 2, day(20)).expiring_at(day(400))];
    if n.is_multiple_of(10) {
        lots.push(ImportedLot::new(7, day(1)).expiring_at(day(50)));
    }
    ImportedBalance::new(who(n), lots)
}

fn take_in(store: Arc<dyn Store>, name: &str) {
    let many = balances();
    let clock = Arc::new(ManualClock::at(day(100)));
    let crm: Crm = crm::Crm::builder().shared_store(store).clock(Arc::clone(&clock)).build().into();
    let points = ProgramId::new("points").unwrap();
    let program = Program::point_per_unit(Currency::EUR);
    crm.define(Timestamp::MIN, Definition::Program(points.clone(), Some(program))).unwrap();
    let lasts: i128 = (0..many).map(|n| i128::from(n % 1_000 + 1)).sum();
    let mut import = PointsImport::new(points.clone(), "till".parse().unwrap(), "balance of the till".parse().unwrap());
    import.unknown = UnknownCustomers::Introduced(Source::new("till").unwrap());
    // A total that is off by one is found out before anything is written.
    import.expected = ExpectedPoints { balances: Some(many), points: Some(lasts * 3 + 1), ..ExpectedPoints::default() };
    let all = || (0..many).map(balance);
    assert!(crm.import_points(&import, all, |_| {}).is_err());
    assert_eq!(crm.overview().unwrap().customers, 0);

    import.expected.points = Some(lasts * 3);
    let started = Instant::now();
    let imported = crm.import_points(&import, all, |_| {}).unwrap();
    let took = started.elapsed();
    assert_eq!((imported.taken, imported.sums.points), (many, lasts * 3));
    assert_eq!(imported.sums.expired, i128::from(many.div_ceil(10) * 7));
    let there = crm.overview().unwrap();
    assert_eq!((there.customers, there.points.outstanding()), (many, lasts * 3));
    let started = Instant::now();
    let trial = crm.trial_balance(&points, day(100)).unwrap();
    println!("{name}: {many} balances taken in within {took:.1?}, and summed up within {:.1?}", started.elapsed());
    assert!(trial.adds_up());
    assert_eq!((trial.outstanding(), trial.customers), (lasts * 3, many));

    // The same again changes nothing, and what ends, ends.
    let again = crm.import_points(&import, all, |_| {}).unwrap();
    assert_eq!((again.taken, crm.overview().unwrap().points.outstanding()), (0, lasts * 3));
    clock.set(day(400));
    crm.advance(day(400)).unwrap();
    assert_eq!(crm.overview().unwrap().points.outstanding(), lasts);
}

#[test]
fn a_large_programme_is_taken_in_with_its_totals_in_memory() {
    take_in(Arc::new(MemoryStore::new()), "memory");
}

#[cfg(feature = "sqlite")]
#[test]
fn a_large_programme_is_taken_in_with_its_totals_on_sqlite() {
    let file = scratch::Scratch::new();
    take_in(Arc::new(crm::SqliteStore::open(&file.0).unwrap()), "SQLite");
}
