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
        let redeem =
            RedeemPoints { program: points(), points: 600, reason: "all".parse().unwrap(), order: None, total: None };
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
    let folder = tempfile::tempdir().unwrap();
    check(Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()));
}

/// Somebody is parted from whoever voided what they are known by, while a third who came to it gives it up; or several
/// who share it give it up at once.
#[test]
fn an_identifier_leads_to_whoever_is_known_by_it_though_it_is_given_up_while_others_come_to_share_it() {
    let clock = Arc::new(ManualClock::at(at(100)));
    let instances = instances(Arc::new(MemoryStore::new()), &clock);
    let crm = &instances[0];
    let source = || Source::new("shop").unwrap();
    let why = || "test".parse::<crm::Remark>().unwrap();
    let known = |customer, address: &Identifier| {
        let told = Incoming::new(customer, crm.now(), source(), crm.identified(address));
        crm.record(told.with_key(format!("{customer} is known").parse().unwrap())).unwrap().event
    };
    let void = |crm: &Crm, by, event| {
        crm.record(Incoming::new(by, crm.now(), source(), crm::Voided { event, reason: None })).unwrap();
    };
    for round in 0..150 {
        let address = Identifier::email(&format!("{round}@example.com")).unwrap();
        let number = |n: u64| 100 + 10 * round + n;
        let come = |n| crm.record(order(&format!("{round} {n}"), number(n))).unwrap().customer;
        let people: Vec<crm::CustomerId> = (0..4).map(come).collect();
        let first = known(people[0], &address);
        void(crm, people[1], first);
        crm.merge(people[0], people[1], why()).unwrap();
        let second = known(people[2], &address);
        crm.merge(people[2], people[3], why()).unwrap();
        let third = known(people[3], &address);
        crm.part(people[2], people[3], why()).unwrap();
        all_at_once(&instances[..3], |n, crm| match n {
            0 => drop(crm.part(people[0], people[1], why()).unwrap()),
            1 => void(crm, people[2], second),
            _ => void(crm, people[3], third),
        });
        let leads_to = crm.customer(&address).unwrap().map(|customer| customer.id());
        assert_eq!(leads_to, Some(people[0]), "round {round}");
        void(crm, people[0], first);
        assert!(crm.customer(&address).unwrap().is_none());
    }
}
