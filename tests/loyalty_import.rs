//! A large programme of another system is taken in, lot by lot: all of it is there, and its totals are what the other
//! system said. A few hundred balances as a rule, a hundred thousand with `CRM_SOAK=1`, or as many as `CRM_BALANCES`
//! says; `--nocapture` shows how long it took.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic, reason = "a panic is how a test fails")]

mod between;
mod failing;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use between::{Before, Between};
use failing::{Failing, Fate};

use crm::blocking::Crm;
use crm::loyalty::ImportedLot;
use crm::{
    Channel, Currency, CustomerId, Definition, DerivedIds, Error, ExpectedPoints, ExternalSystem, Identifier,
    ImportStep, ImportedBalance, Incoming, ManualClock, MemoryStore, PointsImport, PointsImportError, Program,
    ProgramId, Source, Span, Store, Timestamp, UnknownCustomers, Visited,
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

/// A shop with a programme, as of the hundredth day.
fn shop(store: Arc<dyn Store>) -> Crm {
    let crm = crm::Crm::builder().shared_store(store).clock(ManualClock::at(day(100))).ids(DerivedIds).build();
    let program = Program::point_per_unit(Currency::EUR);
    let crm = Crm::from(crm);
    crm.define(Timestamp::MIN, Definition::Program(ProgramId::new("points").unwrap(), Some(program))).unwrap();
    crm
}

fn import() -> PointsImport {
    let reason = "balance of the till".parse().unwrap();
    let mut import = PointsImport::new(ProgramId::new("points").unwrap(), "till".parse().unwrap(), reason);
    import.unknown = UnknownCustomers::Introduced(Source::new("till").unwrap());
    import
}

fn visit(crm: &Crm, n: u64, on: u32) -> CustomerId {
    let visited = Visited { channel: Channel::Web, place: None };
    crm.record(Incoming::new(who(n), day(on), Source::new("web").unwrap(), visited)).unwrap().customer
}

/// What each of some customers has, and how many events are told of them.
fn had(crm: &Crm, many: u64) -> Vec<(i128, usize)> {
    let one = |n| {
        let story = crm.story(who(n)).unwrap().unwrap();
        (story.customer.book(&ProgramId::new("points").unwrap()).unwrap().balance(), story.events.len())
    };
    (0..many).map(one).collect()
}

#[test]
fn whoever_comes_while_a_page_is_taken_in_has_their_balance_once_all_the_same() {
    let inner: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let between = Between::new(Arc::clone(&inner));
    let (crm, other) = (shop(Arc::new(between.clone())), shop(Arc::clone(&inner)));
    let known: Vec<CustomerId> = (0..5).map(|n| visit(&other, n, 1)).collect();
    // Right before the page's states are read, when it is known already whom the store knows.
    between.once(Before::Load(known, 0), move || {
        let crm = shop(inner);
        visit(&crm, 7, 60);
        visit(&crm, 3, 60);
    });
    let imported = crm.import_points(&import(), || (0..10).map(balance), |_| {}).unwrap();
    assert!(between.is_done());
    assert_eq!((imported.taken, imported.known, imported.introduced), (10, 0, 4));
    let balances: Vec<i128> = had(&other, 10).into_iter().map(|(balance, _)| balance).collect();
    assert_eq!(balances, (0..10).map(|n| 3 * (n + 1)).collect::<Vec<i128>>());
}

/// The whole page is refused, as if others had been first with each: they go one by one.
#[test]
fn a_page_that_is_overtaken_goes_one_by_one_and_comes_to_the_same() {
    let of = |fates: Vec<Fate>| {
        let store = Failing { inner: Arc::new(MemoryStore::new()), fates: Arc::new(Mutex::new(Vec::new())) };
        let crm = shop(Arc::new(store.clone()));
        for n in 0..3 {
            visit(&crm, n, 1);
        }
        *store.fates.lock().unwrap() = fates;
        let mut places = Vec::new();
        let told = |step| {
            if let ImportStep::Taken { place, known: false, .. } = step {
                places.push(place);
            }
        };
        let imported = crm.import_points(&import(), || (0..8).map(balance), told).unwrap();
        assert!(store.fates.lock().unwrap().is_empty());
        assert_eq!((imported.taken, imported.introduced, places), (8, 5, (0..8).collect()));
        (had(&crm, 8), crm.overview().unwrap().digest)
    };
    // The first commit only asks for keys.
    assert_eq!(of(vec![Fate::Overtaken, Fate::Fine]), of(Vec::new()));
}

#[test]
fn an_import_whose_answer_was_lost_is_sent_again_and_nobody_has_it_twice() {
    for fate in [Fate::Lost, Fate::Unanswered] {
        let store = Failing { inner: Arc::new(MemoryStore::new()), fates: Arc::default() };
        let crm = shop(Arc::new(store.clone()));
        store.fates.lock().unwrap().push(fate);
        assert!(matches!(crm.import_points(&import(), || (0..8).map(balance), |_| {}), Err(Error::Storage(_))));
        let imported = crm.import_points(&import(), || (0..8).map(balance), |_| {}).unwrap();
        let before = if fate == Fate::Lost { 0 } else { 8 };
        assert_eq!((imported.taken, imported.known), (8 - before, before), "{fate:?}");
        let balances: Vec<i128> = had(&crm, 8).into_iter().map(|(balance, _)| balance).collect();
        assert_eq!(balances, (0..8).map(|n| 3 * (n + 1)).collect::<Vec<i128>>());
    }
}

#[test]
fn those_before_one_that_is_another_the_second_time_are_taken_in() {
    let crm = shop(Arc::new(MemoryStore::new()));
    let times = std::sync::atomic::AtomicU32::new(0);
    let changing = || {
        let again = times.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 0;
        (0..8).map(move |n| if again && n == 5 { balance(n + 100) } else { balance(n) })
    };
    let error = crm.import_points(&import(), changing, |_| {}).unwrap_err();
    assert!(matches!(error, Error::PointsImport(PointsImportError::Changed { place: 5 })), "{error}");
    assert_eq!(crm.overview().unwrap().customers, 5);
    assert_eq!(had(&crm, 5)[4].0, 15);
}

#[test]
fn a_large_programme_is_taken_in_with_its_totals_in_memory() {
    take_in(Arc::new(MemoryStore::new()), "memory");
}

#[cfg(feature = "sqlite")]
#[test]
fn a_large_programme_is_taken_in_with_its_totals_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    take_in(Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()), "SQLite");
}
