//! Many threads, one store: nobody is doubled, nothing is lost.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    Command, Currency, Definition, ExternalSystem, Identifier, Incoming, ManualClock, MemoryStore, Money, OrderPlaced,
    OrderRef, Program, ProgramId, RedeemPoints, Source, Span, Store, Timestamp,
};

fn at(hour: u64) -> Timestamp {
    Timestamp::parse("2020-01-01").unwrap().plus(Span::millis(hour * 3_600_000))
}

fn points() -> ProgramId {
    ProgramId::new("points").unwrap()
}

fn order(who: &str, number: u64) -> Incoming {
    let who = Identifier::external(&ExternalSystem::new("shop").unwrap(), who).unwrap();
    let placed =
        OrderPlaced::new(Money::new(10_000, Currency::EUR)).with_order(OrderRef::new(number.to_string()).unwrap());
    Incoming::new(who, at(number), Source::new("shop").unwrap(), placed).with_key(number.to_string().parse().unwrap())
}

/// Several instances of an application over one store.
fn instances(store: Arc<dyn Store>, clock: &Arc<ManualClock>) -> Vec<Crm> {
    let build = |_| crm::Crm::builder().shared_store(Arc::clone(&store)).clock(Arc::clone(clock)).build().into();
    let instances: Vec<Crm> = (0..6).map(build).collect();
    let program = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(30));
    instances[0].define(at(0), Definition::Program(points(), Some(program))).unwrap();
    instances
}

fn all_at_once(instances: &[Crm], work: impl Fn(usize, &Crm) + Sync) {
    std::thread::scope(|scope| {
        for (n, crm) in instances.iter().enumerate() {
            let work = &work;
            scope.spawn(move || work(n, crm));
        }
    });
}

fn check(store: Arc<dyn Store>) {
    let clock = Arc::new(ManualClock::at(at(100)));
    let instances = instances(store, &clock);
    // Everybody sends the same orders of two customers, each in an order of their own.
    all_at_once(&instances, |n, crm| {
        for number in 0..12 {
            let number = (number * 5 + n as u64) % 12;
            let who = if number.is_multiple_of(2) { "ana" } else { "ben" };
            crm.record(order(who, number)).unwrap();
        }
    });
    let overview = instances[0].overview().unwrap();
    assert_eq!((overview.customers, overview.orders, overview.points.earned), (2, 12, 1_200));

    // Everybody redeems all there is: one succeeds.
    let ana = instances[0].customer(Identifier::external(&ExternalSystem::new("shop").unwrap(), "ana").unwrap());
    let ana = ana.unwrap().unwrap().id();
    let won = std::sync::atomic::AtomicU32::new(0);
    all_at_once(&instances, |n, crm| {
        let redeem = RedeemPoints { program: points(), points: 600, reason: "all".parse().unwrap(), order: None };
        let redeemed = crm.execute(ana, Command::RedeemPoints(redeem), &format!("redeem {n}"));
        won.fetch_add(u32::from(redeemed.is_ok()), std::sync::atomic::Ordering::SeqCst);
    });
    assert_eq!(won.into_inner(), 1);

    // Everybody advances: each alarm is worked off once.
    clock.set(at(10_000));
    all_at_once(&instances, |_, crm| {
        crm.advance(at(10_000)).unwrap();
    });
    let points = instances[0].overview().unwrap().points;
    assert_eq!((points.earned, points.spent, points.expired, points.outstanding()), (1_200, 600, 600, 0));
}

#[test]
fn instances_over_one_memory_store_do_not_get_in_each_others_way() {
    check(Arc::new(MemoryStore::new()));
}

#[cfg(feature = "sqlite")]
#[test]
fn instances_over_one_sqlite_file_do_not_get_in_each_others_way() {
    let path = std::env::temp_dir().join(format!("crm-concurrency-{}.db", std::process::id()));
    check(Arc::new(crm::SqliteStore::open(&path).unwrap()));
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", path.display()));
    }
}
