//! A whole base scored, from the numbers that stores keep to scores that are stored: in memory by the customers a second
//! of one core, and on SQLite beside what the store itself takes to read the same rows and write the same scores. The
//! scorer is native and linear, so that what is measured is all that surrounds one.
//!
//! `cargo bench -p crm --no-default-features --features sqlite --bench scores`, with `-- --customers 1000000` for more
//! than a hundred thousand.
//!
//! A few customers are recorded as any are; the others are copies of their rows under other ids. Where states are read,
//! because a rule asks about the score, every customer is recorded.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints what it measured")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crm::blocking::{Crm, wait};
use crm::{
    Attribute, Channel, Currency, CustomerId, Definition, DerivedIds, Digest, Identifier, Incoming, MemoryStore, Money,
    OrderPlaced, PluginFault, PluginName, PluginStamp, SCORE_BATCH, ScoreBatch, ScoreInputs, ScoreOutput, ScoreRow,
    ScoreRunName, Scorer, SegmentName, SmolStr, Source, Span, SqliteStore, Store, TenantId, Timestamp, Visited,
};
use crm_storage::{Commit, CustomerWrite, Expected, ScoresAsked};

/// In memory, how many customers a second at least.
const PER_SECOND: f64 = 300_000.0;
/// On SQLite, how many times the store's own cost at most.
const LIMIT: f64 = 1.5;
const ROUNDS: usize = 3;
/// How many customers are recorded; the others are copies of them.
const KINDS: u32 = 16;

const FEATURES: [Attribute; 6] = [
    Attribute::RecencyDays,
    Attribute::Orders,
    Attribute::TenureDays,
    Attribute::Spend,
    Attribute::Visits,
    Attribute::AverageOrder,
];
const WEIGHTS: [f64; 6] = [-0.012, 0.31, 0.002, 0.000_04, 0.05, 0.000_1];

/// A sum of weighted features; what is missing counts as 0.
#[derive(Debug)]
struct Linear(PluginStamp, [SmolStr; 1]);

impl Scorer for Linear {
    fn stamp(&self) -> &PluginStamp {
        &self.0
    }

    fn attributes(&self) -> &[Attribute] {
        &FEATURES
    }

    fn outputs(&self) -> &[SmolStr] {
        &self.1
    }

    fn score(&mut self, batch: &ScoreBatch<'_>) -> Result<Vec<Vec<Option<f64>>>, PluginFault> {
        let mut scores = vec![0.0; batch.customers.len()];
        for (column, weight) in batch.columns.iter().zip(WEIGHTS) {
            for (score, value) in scores.iter_mut().zip(column) {
                *score += weight * value.unwrap_or(0) as f64;
            }
        }
        Ok(vec![scores.into_iter().map(Some).collect()])
    }
}

fn linear() -> Linear {
    let name = PluginName::new("linear").unwrap();
    Linear(PluginStamp { name, version: "1.0.0".into(), digest: Digest::of(b"linear") }, ["score".into()])
}

fn crm(store: Arc<dyn Store>) -> Crm {
    Crm::from(crm::Crm::builder().shared_store(store).ids(DerivedIds).build())
}

fn day(day: u32) -> Timestamp {
    Timestamp::parse("2026-01-01").unwrap().plus(Span::days(day))
}

fn record(crm: &Crm, n: u32) {
    let source = || Source::new("shop").unwrap();
    let who = Identifier::email(&format!("c{n}@example.com")).unwrap();
    for key in 0..1 + n % 3 {
        let fact = Incoming::new(&who, day(key), source(), Visited { channel: Channel::Web, place: None });
        crm.record(fact.with_key(format!("visit-{n}-{key}").parse().unwrap())).unwrap();
    }
    for key in 0..n % 8 {
        let order = OrderPlaced::new(Money::new(1_050 + i64::from(n), Currency::EUR));
        let fact = Incoming::new(&who, day(10 + 7 * key), source(), order);
        crm.record(fact.with_key(format!("order-{n}-{key}").parse().unwrap())).unwrap();
    }
}

/// Puts so many customers into a store.
fn make(store: &Arc<dyn Store>, customers: u64) {
    let crm = crm(Arc::clone(store));
    (0..KINDS).for_each(|n| record(&crm, n));
    let tenant = TenantId::default();
    let kinds = wait(store.scan(&tenant, None, 1_000, None)).unwrap().rows;
    let ids: Vec<CustomerId> = kinds.iter().map(|row| row.customer).collect();
    let states = wait(store.load(&tenant, &ids)).unwrap().rows;
    let kinds: Vec<_> = kinds.into_iter().zip(states).map(|(row, state)| (row.traits, state.unwrap().state)).collect();
    let numbers: Vec<u64> = (0..customers - u64::from(KINDS)).collect();
    for page in numbers.chunks(1_000) {
        let commit = |n: &u64| {
            let (traits, state) = kinds[(*n % kinds.len() as u64) as usize].clone();
            let mut entropy = [0; 10];
            entropy[2..].copy_from_slice(&n.to_be_bytes());
            let mut write = CustomerWrite::new(CustomerId::new(day(0), entropy), Expected::New, state);
            write.traits = traits;
            Commit { writes: vec![write], ..Commit::default() }
        };
        let answers = wait(store.commit(&tenant, page.iter().map(commit).collect())).unwrap();
        assert!(answers.iter().all(Result::is_ok));
    }
}

/// Scores everybody by a run that goes on where it was.
fn run(store: Arc<dyn Store>) -> (Duration, u64) {
    let crm = crm(store);
    let mut scorer = linear();
    let start = Instant::now();
    let run = crm.score_run(&ScoreRunName::new("bench").unwrap(), scorer.stamp(), day(100)).unwrap();
    while crm.score_step(&run, &mut scorer).unwrap().is_some() {}
    let took = start.elapsed();
    assert!(run.progress().complete);
    (took, run.progress().report.scored)
}

/// The same pages read and the same scores written, by the store alone: the rows are made beforehand.
fn alone(store: &Arc<dyn Store>) -> (Duration, u64) {
    let tenant = TenantId::default();
    let mut scorer = linear();
    let asked = ScoresAsked { plugin: "linear".into(), outputs: vec!["score".into()], at: day(100) };
    let mut after = None;
    let (mut took, mut scored) = (Duration::ZERO, 0);
    loop {
        let start = Instant::now();
        let page = wait(store.scan(&tenant, after, SCORE_BATCH, Some(&asked))).unwrap();
        took += start.elapsed();
        let Some(last) = page.rows.last() else { return (took, scored) };
        after = Some(last.customer);
        let rows: Vec<_> =
            page.rows.iter().filter(|row| row.traits.columns.get(crm_core::Column::Orders).is_some()).collect();
        let customers: Vec<CustomerId> = rows.iter().map(|row| row.customer).collect();
        let value = |attribute: Attribute| {
            rows.iter().map(move |row| attribute.of_columns(&row.traits.columns, day(100))).collect()
        };
        let columns: Vec<Vec<Option<i64>>> = FEATURES.into_iter().map(value).collect();
        let batch = ScoreBatch { as_of: day(100), seed: 0, currency: Currency::EUR, customers: &customers, columns };
        let scores = scorer.score(&batch).unwrap();
        let commit = |(place, row): (usize, &&crm_storage::ScannedRow)| {
            let cells = FEATURES.into_iter().zip(batch.columns.iter().map(|column| column[place]));
            let inputs = ScoreInputs(cells.collect()).encode();
            let score = ScoreRow {
                plugin: "linear".into(),
                output: "score".into(),
                at: day(100),
                value: scores[0][place].unwrap(),
                version: "1.0.0".into(),
                digest: Digest::of(b"linear"),
                input: Digest::of(&inputs),
                inputs,
                recorded_at: Some(day(100)),
                terms: SmolStr::default(),
            };
            let write = CustomerWrite::scores(row.customer, Expected::At(row.version), vec![score]);
            Commit { writes: vec![write], ..Commit::default() }
        };
        let commits: Vec<Commit> = rows.iter().enumerate().map(commit).collect();
        scored += commits.len() as u64;
        let start = Instant::now();
        let answers = wait(store.commit(&tenant, commits)).unwrap();
        took += start.elapsed();
        assert!(answers.iter().all(Result::is_ok));
    }
}

/// Where a rule asks about the score, so that every state is read, asked and written.
fn followed(customers: u32) -> (Duration, u64) {
    let crm = crm(Arc::new(MemoryStore::new()));
    let outputs = Some([ScoreOutput::new("score").unwrap()].into());
    crm.define(day(0), Definition::Scorer(linear().0.name, outputs)).unwrap();
    let rule = crm.rule(r#"score("linear") > 1.0"#).unwrap();
    crm.define(day(0), Definition::Segment(SegmentName::new("high").unwrap(), Some(rule))).unwrap();
    (0..customers).for_each(|n| record(&crm, n));
    let start = Instant::now();
    let report = crm.score(&mut linear(), day(100)).unwrap();
    (start.elapsed(), report.scored)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn told(what: &str, nanos: f64, rest: &str) {
    println!("{what:<44}{:>9.0} ns a customer{:>12.0} a second  {rest}", nanos, 1e9 / nanos);
}

fn copy(from: &Path, name: &str) -> PathBuf {
    let to = from.with_file_name(name);
    std::fs::copy(from, &to).unwrap();
    to
}

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--customers").skip(1);
    let customers: u64 = arguments.next().map_or(100_000, |number| number.parse().unwrap());
    println!("{customers} customers, six features, one linear score; medians of {ROUNDS}");
    let nanos = |(took, scored): (Duration, u64)| {
        assert_eq!(scored, customers);
        took.as_nanos() as f64 / customers as f64
    };
    let memory = |measure: &dyn Fn(Arc<dyn Store>) -> (Duration, u64)| {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        make(&store, customers);
        nanos(measure(store))
    };
    let ours = median((0..ROUNDS).map(|_| memory(&run)).collect());
    let own = median((0..ROUNDS).map(|_| memory(&|store| alone(&store))).collect());
    told("memory: a run", ours, &format!("(limit: {PER_SECOND:.0} at least)"));
    told("memory: the store alone", own, &format!("ratio {:.2}", ours / own));

    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base.db");
    let open = |file: &Path| -> Arc<dyn Store> { Arc::new(SqliteStore::open(file).unwrap()) };
    make(&open(&base), customers);
    let (mut ours, mut own) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let file = copy(&base, &format!("run-{round}.db"));
        ours.push(nanos(run(open(&file))));
        std::fs::remove_file(file).unwrap();
        let file = copy(&base, &format!("alone-{round}.db"));
        own.push(nanos(alone(&open(&file))));
        std::fs::remove_file(file).unwrap();
    }
    let (ours, own) = (median(ours), median(own));
    told("SQLite: a run", ours, &format!("ratio {:.2} (limit: {LIMIT})", ours / own));
    told("SQLite: the store alone", own, "");

    let count = 20_000.min(customers) as u32;
    let (took, scored) = followed(count);
    told("memory: a run where a segment asks", took.as_nanos() as f64 / scored as f64, &format!("({count} customers)"));
}
