//! Would this scorer have been any good? A shop's orders, and two scorers that are asked once a month who buys again,
//! knowing what was known then; and a year later everybody knows.
//!
//! ```sh
//! cargo run --release --example backtest
//! cargo run --release --example backtest -- --orders my-orders.csv --columns customer=buyer,time=day,amount=total \
//!     --from 2025-01-01 --to 2025-09-30
//! ```

#[path = "storefront/incoming.rs"]
#[allow(dead_code, reason = "other examples use more of it")]
mod incoming;
#[path = "storefront/orders/mod.rs"]
#[allow(dead_code, reason = "the storefront uses more of it")]
mod orders;

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use crm::blocking::Crm;
use crm::{
    Attribute, Currency, Definition, DerivedIds, Digest, Ingestion, Known, ManualClock, Outlook, OutputBacktest,
    OutputShadow, PluginFault, PluginStamp, ScoreBatch, ScoreReplay, Scorer, ScorerBacktest, SmolStr, Span, Timestamp,
};

/// How good scorers would have been, by what then happened.
#[derive(Debug, Parser)]
#[command(name = "backtest")]
struct Arguments {
    /// The orders, as csv or csv.gz; by default those of an online music shop, 1997 to 1998.
    #[arg(long, value_name = "FILE")]
    orders: Option<PathBuf>,
    /// What the columns mean, where their names do not tell:
    /// customer=…,time=…,amount=… and optionally order=…,product=…,quantity=…,price=….
    #[arg(long, value_name = "ROLE=COLUMN,…")]
    columns: Option<orders::ColumnMap>,
    /// The currency of the amounts.
    #[arg(long, value_name = "CODE", default_value = "USD")]
    currency: Currency,
    /// The first instant at which everybody is scored.
    #[arg(long, value_name = "DATE", default_value = "1997-10-01")]
    from: String,
    /// The last one.
    #[arg(long, value_name = "DATE", default_value = "1998-03-31")]
    to: String,
    /// Days from one to the next.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    every: u32,
    /// Within how many days after an instant customers buy again, or stay away.
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    within: u32,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(help) => help.exit(),
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "backtest: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/cdnow_sample.csv.gz");
    let path = arguments.orders.clone().unwrap_or(sample);
    let file = orders::read(&path, arguments.columns.as_ref(), arguments.currency.exponent())?;
    let (Some(first), Some(last)) = (file.first_at(), file.last_at()) else { return Err("no orders".into()) };
    let (first, last) = (Timestamp::from_millis(first)?, Timestamp::from_millis(last)?);

    // The whole history is taken in at once, the day after its last order.
    let clock = Arc::new(ManualClock::at(last.midnight().plus(Span::days(1))));
    let crm = Crm::from(crm::Crm::builder().clock(clock).ids(DerivedIds).build());
    crm.define(Timestamp::MIN, Definition::Currency(arguments.currency))?;
    let facts = file.entries.iter().map(|entry| incoming::incoming(&file, entry, arguments.currency));
    crm.ingest(facts.collect::<Result<Vec<_>, _>>()?, Ingestion::history())?;

    let out = &mut std::io::stdout().lock();
    writeln!(out, "{} orders and refunds, {first} to {last}", file.entries.len())?;
    let (from, to) = (Timestamp::parse(&arguments.from)?, Timestamp::parse(&arguments.to)?);
    let within = Span::days(arguments.within);
    // Nobody knew of the orders before they were taken in: they count from when they were placed.
    let replay = ScoreReplay::new(from, to, Span::days(arguments.every)).with_known(Known::Happened);
    let buys = replay.with_outlook(Outlook::Buys(within));

    let shadow = crm.shadow_scorers(&mut Rfm::recency_alone()?, &mut Rfm::fitted()?, buys, |_| {})?;
    report(out, "Who buys again, by recency alone", &shadow.old)?;
    report(out, "Who buys again, by recency, frequency and spend", &shadow.new)?;
    shadow.outputs.iter().try_for_each(|output| compare(out, output))?;

    #[cfg(feature = "plugins")]
    {
        let host = crm::plugins::Host::new(crm::plugins::Limits::default())?;
        let mut churn = crm::plugins::WasmScorer::load(&host, &guest_build::build("churn")?, &[])?;
        let stays_away = replay.with_outlook(Outlook::StaysAway(within));
        report(out, "Who stays away, by the plugin", &crm.backtest_scorer(&mut churn, stays_away, |_| {})?)?;
    }
    Ok(())
}

/// The chance that somebody buys again, by logistic regression on recency, frequency and monetary value.
///
/// The weights were fitted with scikit-learn to the first of the months of the sample: of each first of April to
/// July 1997 who bought within 90 days.
#[derive(Debug)]
struct Rfm {
    stamp: PluginStamp,
    outputs: [SmolStr; 1],
    weights: Weights,
}

/// Of what the weights are.
#[derive(Debug, Clone, Copy)]
struct Weights {
    always: f64,
    /// For 30 days since the last order.
    recency: f64,
    /// For the natural logarithm of the number of orders.
    frequency: f64,
    /// For the natural logarithm of one more than the spend, in units of the currency.
    monetary: f64,
}

impl Rfm {
    fn fitted() -> Result<Self, Box<dyn Error>> {
        Rfm::new("rfm", Weights { always: -1.69, recency: -0.29, frequency: 0.91, monetary: 0.17 })
    }

    fn recency_alone() -> Result<Self, Box<dyn Error>> {
        Rfm::new("recency", Weights { always: -0.31, recency: -0.48, frequency: 0.0, monetary: 0.0 })
    }

    fn new(name: &str, weights: Weights) -> Result<Self, Box<dyn Error>> {
        let digest = Digest::of(format!("{weights:?}").as_bytes());
        let stamp = PluginStamp { name: name.parse()?, version: "1".into(), digest };
        Ok(Rfm { stamp, outputs: ["buys".into()], weights })
    }
}

impl Scorer for Rfm {
    fn stamp(&self) -> &PluginStamp {
        &self.stamp
    }

    fn attributes(&self) -> &[Attribute] {
        &[Attribute::RecencyDays, Attribute::Orders, Attribute::Spend]
    }

    fn outputs(&self) -> &[SmolStr] {
        &self.outputs
    }

    fn score(&mut self, batch: &ScoreBatch<'_>) -> Result<Vec<Vec<Option<f64>>>, PluginFault> {
        let [recency, orders, spend] = &batch.columns[..] else { return Err(PluginFault::new("wrong columns")) };
        let Weights { always, recency: of_recency, frequency, monetary } = self.weights;
        let score = |((days, orders), cents): ((&Option<i64>, &Option<i64>), &Option<i64>)| {
            let (days, orders, cents) = ((*days)? as f64, (*orders)? as f64, (*cents)?.max(0) as f64);
            let sum = always
                + of_recency * days / 30.0
                + frequency * libm::log(orders)
                + monetary * libm::log1p(cents / 100.0);
            Some(1.0 / (1.0 + libm::exp(-sum)))
        };
        Ok(vec![recency.iter().zip(orders).zip(spend).map(score).collect()])
    }
}

fn report(out: &mut impl Write, title: &str, report: &ScorerBacktest) -> Result<(), Box<dyn Error>> {
    writeln!(out, "\n{title} ({} {})", report.plugin.name, report.plugin.version)?;
    let per_row = report.cost.nanos_per_row().unwrap_or_default();
    writeln!(out, "  {} scores in {} batches, {per_row:.0} ns each", report.scored, report.cost.calls)?;
    for (fault, count) in &report.faults {
        writeln!(out, "  failed {count} times: {fault}")?;
    }
    report.outputs.iter().try_for_each(|output| draw(out, output))
}

fn draw(out: &mut impl Write, output: &OutputBacktest) -> Result<(), Box<dyn Error>> {
    let outcomes = &output.outcomes;
    let (auc, calibration) = (outcomes.auc()?, outcomes.calibration(10)?);
    writeln!(out, "  It happened to {} of {}", outcomes.happened(), outcomes.count())?;
    writeln!(out, "  AUC {:.6}, standard error {:.6}", auc.area, auc.standard_error)?;
    writeln!(out, "  Brier score {:.6}, by the rate alone {:.6}", calibration.brier, calibration.of_rate)?;
    writeln!(out, "  Expected calibration error {:.6}", calibration.expected_error)?;
    writeln!(out, "\n  {:<12}{:>9}{:>10}{:>10}", "on", "scored", "happened", "AUC")?;
    for one in &output.instants {
        let auc = one.auc.map_or_else(|why| why.to_string(), |auc| format!("{:.4}", auc.area));
        let day: String = one.at.to_string().chars().take(10).collect();
        writeln!(out, "  {day:<12}{:>9}{:>10}{auc:>10}", one.scored, one.happened)?;
    }
    writeln!(out, "\n  {:<12}{:>9}{:>10}{:>10}{:>10}{:>10}", "decile", "scores", "from", "happened", "lift", "gained")?;
    for (n, group) in (1..).zip(outcomes.gains(10)?) {
        let (customers, lowest, happened) = (group.customers, group.lowest, group.happened);
        let (lift, gained) = (group.lift, 100.0 * group.gained);
        writeln!(out, "  {n:<12}{customers:>9}{lowest:>10.4}{happened:>10.1}{lift:>10.2}{gained:>9.1}%")?;
    }
    writeln!(out, "\n  {:<12}{:>9}{:>10}{:>10}", "score up to", "scores", "mean", "happened")?;
    for bin in calibration.bins {
        let (Some(mean), Some(rate)) = (bin.mean_score, bin.rate()) else { continue };
        writeln!(out, "  {:<12.1}{:>9}{mean:>10.4}{:>9.1}%", bin.upper, bin.customers, 100.0 * rate)?;
    }
    Ok(())
}

fn compare(out: &mut impl Write, output: &OutputShadow) -> Result<(), Box<dyn Error>> {
    let found = output.differences.as_ref().map_err(|why| format!("{}: {why}", output.output))?;
    writeln!(out, "\nThe second beside the first")?;
    writeln!(out, "  {} of {} scores differ, by {:.4} in the mean", found.differ, found.pairs, found.mean_distance)?;
    for (share, distance) in found.quantiles {
        writeln!(out, "  {:>5.1} % by {distance:.4} at most", 100.0 * share)?;
    }
    if let Some(correlation) = found.rank_correlation {
        writeln!(out, "  Rank correlation {correlation:.4}")?;
    }
    if let Some(moved) = output.most_moved.first() {
        writeln!(out, "  The farthest: {} on {}, from {:.4} to {:.4}", moved.customer, moved.at, moved.old, moved.new)?;
    }
    Ok(())
}
