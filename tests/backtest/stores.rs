//! Over each store it comes to the same.

use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    Currency, Definition, DerivedIds, Incoming, Ingestion, Known, ManualClock, OrderPlaced, ScoreReplay, Span,
    Timestamp, WorkflowReplay,
};

use super::shop::{Noting, Own, day, euros, source, thanks, who};

/// The same facts on another store give the same scores and the same requests.
#[test]
fn every_store_gives_the_same_backtest() {
    let folder = tempfile::tempdir().unwrap();
    let stores: [Arc<dyn crm::Store>; 2] =
        [Arc::new(crm::MemoryStore::new()), Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap())];
    let reports = stores.map(|store| {
        let clock = Arc::new(ManualClock::at(day(90)));
        let builder = crm::Crm::builder().shared_store(store).clock(Arc::clone(&clock)).ids(DerivedIds);
        let crm = Crm::from(builder.build());
        crm.define(Timestamp::MIN, Definition::Currency(Currency::EUR)).unwrap();
        let facts = (0..120_u32).map(|n| {
            let order = OrderPlaced::new(euros(i64::from(1 + n % 17)));
            Incoming::new(who(n as usize % 31), day(n * 13 % 80), source(), order)
                .with_key(n.to_string().parse().unwrap())
        });
        crm.ingest(facts, Ingestion::live()).unwrap();
        let replay = ScoreReplay::new(day(5), day(60), Span::days(11)).with_known(Known::Happened);
        let report = crm.backtest_scorer(&mut Noting::recency(), replay, |_| {}).unwrap();
        assert_eq!(report.cost.entries, 120 + 31, "each order, and by what each was known first");
        let calls = WorkflowReplay::new(day(0), day(90)).with_known(Known::Happened);
        let workflow = crm.backtest_workflow(&Own::new(thanks), calls, |_| {}).unwrap();
        (report.digest, report.outputs, report.scored, workflow.calls, workflow.asked, workflow.samples)
    });
    assert_eq!(reports[0], reports[1]);
    assert_eq!(reports[0].2, 100);
}
