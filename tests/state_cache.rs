//! The stored state is a cache: a file whose states are of another shape works as if nothing was.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::path::Path;
use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    Attribute, Comparison, Currency, Definition, DerivedIds, ExternalSystem, Identifier, Incoming, ManualClock, Money,
    OrderPlaced, Predicate, Program, ProgramId, SegmentName, Source, Span, SqliteStore, Timestamp,
};

fn day(day: u32) -> Timestamp {
    Timestamp::parse("2020-01-01").unwrap().plus(Span::days(day))
}

fn open(path: &Path, at: Timestamp) -> Crm {
    let clock = Arc::new(ManualClock::at(at));
    let crm = crm::Crm::builder().store(SqliteStore::open(path).unwrap()).clock(clock).ids(DerivedIds).build();
    let crm = Crm::from(crm);
    let program = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(100));
    crm.define(day(0), Definition::Program(ProgramId::new("points").unwrap(), Some(program))).unwrap();
    let away = Predicate::compare(Attribute::RecencyDays, Comparison::Ge, 120);
    crm.define(day(0), Definition::Segment(SegmentName::new("lapsing").unwrap(), Some(away))).unwrap();
    crm
}

fn order(at: Timestamp) -> Incoming {
    let ana = Identifier::external(&ExternalSystem::new("shop").unwrap(), "ana").unwrap();
    Incoming::new(ana, at, Source::new("shop").unwrap(), OrderPlaced::new(Money::new(5_000, Currency::EUR)))
}

/// Everything that can be seen after a year, with the states spoiled after each step or not.
fn run(spoil: bool) -> (crm::Overview, Vec<crm::Change>) {
    let path = std::env::temp_dir().join(format!("crm-state-{spoil}-{}.db", std::process::id()));
    let step = |at: Timestamp, work: &dyn Fn(&Crm)| {
        let crm = open(&path, at);
        work(&crm);
        drop(crm);
        if spoil {
            let file = rusqlite::Connection::open(&path).unwrap();
            file.execute("UPDATE crm_customer SET shape = 9", []).unwrap();
        }
    };
    let record = |at: Timestamp| step(day(1), &|crm| drop(crm.record(order(at)).unwrap()));
    record(day(0));
    record(day(1));
    // From the future, and due while the state is spoiled.
    record(day(30));
    for until in [20, 31, 130, 140, 365] {
        step(day(until), &|crm| assert!(crm.advance(day(until)).unwrap() <= 1));
    }
    let crm = open(&path, day(365));
    let ana = order(day(0));
    let mut ids = Vec::new();
    crm.for_each_customer(|customer| ids.push(customer.id())).unwrap();
    assert!(crm.record(ana).unwrap().known);
    let seen = (crm.overview().unwrap(), crm.story(ids[0]).unwrap().unwrap().changes);
    drop(crm);
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", path.display()));
    }
    seen
}

#[test]
fn states_of_another_shape_are_folded_anew_as_if_nothing_was() {
    assert_eq!(run(true), run(false));
}
