//! The shop: its database, its rules, and its two plugins.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use crm::blocking::Crm;
use crm::plugins::{Host, Limits, WasmScorer, WasmWorkflow};
use crm::{
    Currency, Definition, DerivedIds, LifecyclePolicy, ManualClock, Program, ProgramId, ScoreReport, SegmentName, Span,
    SqliteStore, TierName, Timestamp,
};

/// A shop and its CRM.
pub(crate) struct Shop {
    /// The CRM.
    pub(crate) crm: Crm,
    /// Its clock, which follows the orders.
    pub(crate) clock: Arc<ManualClock>,
    /// The currency of the orders.
    pub(crate) currency: Currency,
    scorer: WasmScorer,
}

impl Shop {
    /// Opens the database and lays down the rules. `since` is when the first order was placed.
    pub(crate) fn open(db: &Path, currency: Currency, since: Option<i64>) -> Result<Self, Box<dyn Error>> {
        let host = Host::new(Limits::default())?;
        let scorer = WasmScorer::load(&host, &guest_build::build("churn")?, &[])?;
        let workflow = WasmWorkflow::load(&host, &guest_build::build("winback")?, &[])?;

        let start = Timestamp::from_millis(since.unwrap_or(0))?;
        let clock = Arc::new(ManualClock::at(start));
        let crm = crm::Crm::builder()
            .store(SqliteStore::open(db)?)
            .clock(Arc::clone(&clock))
            // Ids that follow from the customers' numbers: every run on every machine has the same.
            .ids(DerivedIds)
            .workflow(workflow)
            .build();
        let shop = Shop { crm: crm.into(), clock, currency, scorer };
        for definition in rules(currency)? {
            // From the beginning of time, so that another file with older orders finds them in force.
            shop.crm.define(Timestamp::MIN, definition)?;
        }
        for (name, text) in SEGMENTS {
            let rule = shop.crm.rule(text)?;
            shop.crm.define(Timestamp::MIN, Definition::Segment(SegmentName::new(name)?, Some(rule)))?;
        }
        Ok(shop)
    }

    /// Scores everybody.
    pub(crate) fn score(&mut self, as_of: Timestamp) -> Result<ScoreReport, Box<dyn Error>> {
        Ok(self.crm.score(&mut self.scorer, as_of)?)
    }
}

/// The shop's rules: windows of the life cycle, and points that last a year.
fn rules(currency: Currency) -> Result<Vec<Definition>, Box<dyn Error>> {
    let policy = LifecyclePolicy {
        intent_fades_after: Span::days(30),
        quiet_after: Span::days(182),
        ..LifecyclePolicy::default()
    };
    let program = Program::point_per_unit(currency)
        .expiring_after(Span::days(365))
        .with_tier(TierName::new("silver")?, 100)
        .with_tier(TierName::new("gold")?, 500);
    Ok(vec![
        Definition::Currency(currency),
        Definition::Lifecycle(policy),
        Definition::Program(ProgramId::new("points")?, Some(program)),
    ])
}

/// Four segments, by their rules.
const SEGMENTS: [(&str, &str); 4] = [
    ("regulars", r#"orders.in_last("90d") >= 2"#),
    ("one-timers", "orders == 1"),
    ("big-spenders", "spend >= 200"),
    ("lapsing", r#"stage == "purchase" && recency_days >= 120"#),
];
