//! The shop: its database, its rules, and its two plugins.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use crm::blocking::Crm;
use crm::plugins::{Host, Limits, WasmScorer, WasmWorkflow};
use crm::{
    Attribute, Comparison, Currency, Definition, DerivedIds, ExternalSystem, Identifier, LifecyclePolicy, ManualClock,
    Predicate, Program, ProgramId, ScoreReport, SegmentName, Span, SqliteStore, Stage, TierName, Timestamp,
};

/// The name under which the file's customer numbers are known.
const SYSTEM: &str = "shop";

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
        Ok(shop)
    }

    /// The identifier of one of the shop's customers.
    pub(crate) fn identifier(&self, id: &str) -> Result<Identifier, Box<dyn Error>> {
        Ok(Identifier::external(&ExternalSystem::new(SYSTEM)?, id)?)
    }

    /// Scores everybody.
    pub(crate) fn score(&mut self, as_of: Timestamp) -> Result<ScoreReport, Box<dyn Error>> {
        Ok(self.crm.score(&mut self.scorer, as_of)?)
    }
}

/// The shop's rules: windows of the life cycle, points that last a year, and four segments.
fn rules(currency: Currency) -> Result<Vec<Definition>, Box<dyn Error>> {
    let policy = LifecyclePolicy { intent_fades_after: Span::days(30), quiet_after: Span::days(182), own_rhythm: None };
    let program = Program::point_per_unit(currency)
        .expiring_after(Span::days(365))
        .with_tier(TierName::new("silver")?, 100)
        .with_tier(TierName::new("gold")?, 500);
    let units = |units: i64| units.saturating_mul(10_i64.saturating_pow(currency.exponent()));
    let segments = [
        ("regulars", Predicate::orders_in_last(90, Comparison::Ge, 2)),
        ("one-timers", Predicate::compare(Attribute::Orders, Comparison::Eq, 1)),
        ("big-spenders", Predicate::compare(Attribute::Spend, Comparison::Ge, units(200))),
        (
            "lapsing",
            Predicate::All(vec![
                Predicate::stage(Stage::Purchase),
                Predicate::compare(Attribute::RecencyDays, Comparison::Ge, 120),
            ]),
        ),
    ];
    let mut rules = vec![
        Definition::Currency(currency),
        Definition::Lifecycle(policy),
        Definition::Program(ProgramId::new("points")?, Some(program)),
    ];
    for (name, predicate) in segments {
        rules.push(Definition::Segment(SegmentName::new(name)?, Some(predicate)));
    }
    Ok(rules)
}
