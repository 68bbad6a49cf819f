//! The stored state is a cache: a file whose states are of another shape works as if nothing was.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod by_function;

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use by_function::ByFunction;
use crm::blocking::Crm;
use crm::loyalty::report::PointsStanding;
use crm::{
    Attribute, Cause, Comparison, Currency, Definition, DerivedIds, ExternalSystem, Identifier, Incoming, ManualClock,
    Money, Number, OrderPlaced, PluginName, Predicate, Program, ProgramId, ScoreName, ScoreOutput, SegmentName, Source,
    Span, SqliteStore, Timestamp,
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
    let scorer = Definition::Scorer(PluginName::new("risk").unwrap(), Some([ScoreOutput::new("risk").unwrap()].into()));
    crm.define(day(0), scorer).unwrap();
    let risky = Predicate::compare(Number::Score(risk()), Comparison::Gt, 500_000);
    crm.define(day(0), Definition::Segment(SegmentName::new("risky").unwrap(), Some(risky))).unwrap();
    let away = Predicate::compare(Attribute::RecencyDays, Comparison::Ge, 120);
    crm.define(day(0), Definition::Segment(SegmentName::new("lapsing").unwrap(), Some(away))).unwrap();
    crm
}

fn risk() -> ScoreName {
    ScoreName { plugin: PluginName::new("risk").unwrap(), output: ScoreOutput::new("risk").unwrap() }
}

fn score(crm: &Crm, at: Timestamp, value: f64) {
    let mut same = ByFunction::new("risk", &[], &["risk"], move |_, _| vec![Some(value)]);
    assert_eq!(crm.score(&mut same, at).unwrap().scored, 1);
}

fn who() -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), "ana").unwrap()
}

fn order(at: Timestamp) -> Incoming {
    Incoming::new(who(), at, Source::new("shop").unwrap(), OrderPlaced::new(Money::new(5_000, Currency::EUR)))
}

/// Everything that can be seen after a year, with the states spoiled after each step or not.
fn run(spoil: bool) -> (crm::Overview, Vec<crm::Change>, Vec<Option<PointsStanding>>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crm.db");
    let standing = RefCell::new(Vec::new());
    let step = |at: Timestamp, work: &dyn Fn(&Crm)| {
        let crm = open(&path, at);
        let points = |crm: &Crm| crm.points(who(), &ProgramId::new("points").unwrap()).unwrap();
        standing.borrow_mut().push(points(&crm));
        work(&crm);
        standing.borrow_mut().push(points(&crm));
        drop(crm);
        if spoil {
            let file = rusqlite::Connection::open(&path).unwrap();
            file.execute("UPDATE crm_customer SET shape = 60000", []).unwrap();
        }
    };
    let record = |at: Timestamp| step(day(1), &|crm| drop(crm.record(order(at)).unwrap()));
    record(day(0));
    record(day(1));
    // From the future, and due while the state is spoiled.
    record(day(30));
    step(day(2), &|crm| score(crm, day(2), 0.7));
    step(day(3), &|crm| score(crm, day(1), 0.2));
    for until in [20, 31, 130, 140, 365] {
        step(day(until), &|crm| assert!(crm.advance(day(until)).unwrap() <= 1));
        let scored = until == 140;
        step(day(until), &|crm| {
            if scored {
                score(crm, day(140), 0.1)
            }
        });
    }
    let crm = open(&path, day(365));
    let ana = order(day(0));
    let mut ids = Vec::new();
    crm.for_each_customer(|customer| ids.push(customer.id())).unwrap();
    assert!(crm.record(ana).unwrap().known);
    let seen = (crm.overview().unwrap(), crm.story(ids[0]).unwrap().unwrap().changes, standing.into_inner());
    drop(crm);
    seen
}

#[test]
fn states_of_another_shape_are_folded_anew_as_if_nothing_was() {
    let (overview, changes, standing) = run(true);
    let risky = changes.iter().filter(|change| change.cause == Cause::Scored).map(|change| change.at);
    assert_eq!(risky.collect::<Vec<_>>(), [day(2), day(140)], "in, and out again");
    let balances: Vec<Option<i128>> = standing.iter().map(|one| one.map(|one| one.balance())).collect();
    assert!(balances.contains(&None) && balances.contains(&Some(150)), "{balances:?}");
    assert_eq!((overview, changes, standing), run(false));
}
