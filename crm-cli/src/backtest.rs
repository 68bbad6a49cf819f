//! What a plugin would have said about a shop's past, held against what then happened.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;

use crm::analysis::AnalysisError;
use crm::blocking::Crm;
use crm::plugins::{PluginError, WasmScorer, WasmWorkflow};
use crm::{
    Currency, Definition, DerivedIds, ExternalSystem, Identifier, Incoming, Ingestion, Known, ManualClock, Money,
    OrderPlaced, Outlook, OutputBacktest, ReplayProgress, ScoreReplay, ScorerBacktest, Source, Span, Timestamp,
    WorkflowBacktest, WorkflowReplay,
};
use crm_plugins::{Host, Limits};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value as Json, json};

use crate::BacktestArgs;
use crate::answer::Answer;
use crate::error::Error;

/// The columns of the file, in any order.
const COLUMNS: [&str; 3] = ["customer", "time", "total"];

pub(crate) fn run(args: &BacktestArgs, limits: &Limits) -> Result<Answer, Error> {
    let path = &args.file;
    let wasm = std::fs::read(path).map_err(|source| Error::Read { path: path.clone(), source })?;
    let host = Host::new(limits.clone())?;
    let plugin = host.load(&wasm).map_err(|source| Error::Refused { path: path.clone(), source })?;
    let params = args.params.read(plugin.manifest())?;
    let (from, to) = (instant(&args.from)?, instant(&args.to)?);
    let past = Past::read(&args.orders, currency(&args.currency)?)?;
    if to > past.crm.now() {
        return Err(Error::Future { to: args.to.clone(), now: past.crm.now().to_string() });
    }
    let unknown = |error: PluginError| Error::Plugin { path: path.clone(), source: Box::new(error) };
    let bar = progress();
    let shown = |progress: &ReplayProgress| {
        bar.set_length(progress.of);
        bar.set_position(progress.rows);
    };
    // The orders were all taken in at once, and nobody knew of them before: each counts from when it was placed.
    let answer = if plugin.is_scorer() {
        let mut scorer = WasmScorer::load(&host, &wasm, &params).map_err(unknown)?;
        let days = Span::days(args.days);
        let outlook = if args.stays_away { Outlook::StaysAway(days) } else { Outlook::Buys(days) };
        let replay = ScoreReplay::new(from, to, Span::days(args.every));
        let replay = replay.with_outlook(outlook).with_known(Known::Happened);
        let report = past.crm.backtest_scorer(&mut scorer, replay, shown).map_err(failed)?;
        scorer_answer(args, &past, &report)
    } else {
        let workflow = WasmWorkflow::load(&host, &wasm, &params).map_err(unknown)?;
        let replay = WorkflowReplay::new(from, to).with_known(Known::Happened);
        let report = past.crm.backtest_workflow(&workflow, replay, shown).map_err(failed)?;
        workflow_answer(&past, &report)
    };
    bar.finish_and_clear();
    Ok(answer)
}

fn instant(text: &str) -> Result<Timestamp, Error> {
    Timestamp::parse(text).map_err(|_| Error::Time { text: text.to_owned() })
}

pub(crate) fn currency(code: &str) -> Result<Currency, Error> {
    Currency::new(code).map_err(|_| Error::Currency { code: code.to_owned() })
}

fn failed(error: crm::Error) -> Error {
    Error::Engine(Box::new(error))
}

fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    match ProgressStyle::with_template("{bar:40} {pos} of {len}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// A shop's orders in a CRM of its own, in memory.
struct Past {
    crm: Crm,
    orders: usize,
}

impl Past {
    fn read(path: &Path, currency: Currency) -> Result<Past, Error> {
        let facts = facts(path, currency)?;
        let orders = facts.len();
        let last = facts.iter().map(|(at, ..)| *at).max().ok_or_else(|| Error::NoOrders { path: path.into() })?;
        let clock = Arc::new(ManualClock::at(last.plus(Span::days(1))));
        let crm = Crm::from(crm::Crm::builder().clock(clock).ids(DerivedIds).build());
        crm.define(Timestamp::MIN, Definition::Currency(currency)).map_err(failed)?;
        let lines: Vec<u64> = facts.iter().map(|(_, line, _)| *line).collect();
        let facts = facts.into_iter().map(|(_, _, fact)| fact);
        let report = crm.ingest(facts, Ingestion::history()).map_err(failed)?;
        if let Some((number, refusal)) = report.refusals.first() {
            let line = usize::try_from(*number).ok().and_then(|number| lines.get(number)).copied().unwrap_or_default();
            return Err(Error::Row { path: path.into(), line, reason: refusal.to_string() });
        }
        Ok(Past { crm, orders })
    }
}

/// The orders of a file with the lines that they stand in, by time.
fn facts(path: &Path, currency: Currency) -> Result<Vec<(Timestamp, u64, Incoming)>, Error> {
    let unreadable = |line: u64, error: &csv::Error| crate::table::unreadable(path, line, error);
    let file = std::fs::File::open(path).map_err(|source| Error::Read { path: path.into(), source })?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let header = reader.headers().map_err(|error| unreadable(1, &error))?.clone();
    let place = |name: &str| {
        header.iter().position(|column| column == name).ok_or_else(|| Error::NoColumn {
            path: path.into(),
            name: name.to_owned(),
            whose: "says of each order what a backtest goes by",
            found: header.iter().collect::<Vec<_>>().join(", "),
        })
    };
    let [customer, time, total] = COLUMNS;
    let (customer, time, total) = (place(customer)?, place(time)?, place(total)?);
    let mut facts = Vec::new();
    for (row, record) in reader.records().enumerate() {
        let line = row as u64 + 2;
        let record = record.map_err(|error| unreadable(line, &error))?;
        let line = record.position().map_or(line, csv::Position::line);
        let cell = |place: usize| record.get(place).unwrap_or_default();
        let fact = order(cell(customer), cell(time), cell(total), currency);
        let fact = fact.map_err(|reason| Error::Row { path: path.into(), line, reason })?;
        // Two orders may be alike; the line tells them apart, and a file that is read twice has the same ones.
        let key = format!("line-{line}").parse();
        let key = key.map_err(|_| Error::Row { path: path.into(), line, reason: "too many lines".into() })?;
        facts.push((fact.0, line, fact.1.with_key(key)));
    }
    facts.sort_by_key(|(at, ..)| *at);
    Ok(facts)
}

fn order(customer: &str, time: &str, total: &str, currency: Currency) -> Result<(Timestamp, Incoming), String> {
    let at =
        Timestamp::parse(time).map_err(|_| format!("`{time}` is no time; write 2026-01-31 or 2026-01-31T12:00:00Z"))?;
    let money = Money::parse(total, currency).map_err(|error| format!("`{total}` is no total: {error}"))?;
    if money.minor() < 0 {
        return Err(format!("the total `{total}` is negative; leave refunds out"));
    }
    let who = ExternalSystem::new("file").map_err(|error| error.to_string());
    let who = who.and_then(|system| Identifier::external(&system, customer).map_err(|error| error.to_string()));
    let who = who.map_err(|error| format!("`{customer}` is no customer: {error}"))?;
    let source = Source::new("file").map_err(|error| error.to_string())?;
    Ok((at, Incoming::new(who, at, source, OrderPlaced::new(money))))
}

fn scorer_answer(args: &BacktestArgs, past: &Past, report: &ScorerBacktest) -> Answer {
    let what = if args.stays_away { "stays away for" } else { "buys within" };
    let mut text = format!(
        "{} orders of {} customers; {} scores, every {} days from {} to {}\n",
        past.orders, report.customers, report.scored, args.every, args.from, args.to
    );
    faults_text(&mut text, &report.faults);
    for output in &report.outputs {
        output_text(&mut text, output, &format!("{what} {} days", args.days));
    }
    if let Some(nanos) = report.cost.nanos_per_row() {
        let _ = writeln!(text, "\n{nanos:.0} ns a score, {} calls", report.cost.calls);
    }
    let json = json!({
        "role": "scorer",
        "orders": past.orders,
        "customers": report.customers,
        "left_out": report.left_out,
        "scored": report.scored,
        "without": report.without,
        "failed": report.failed,
        "faults": counts_json(&report.faults),
        "digest": report.digest.to_string(),
        "outlook": { "stays_away": args.stays_away, "days": args.days },
        "outputs": report.outputs.iter().map(output_json).collect::<Json>(),
        "ns_per_row": report.cost.nanos_per_row(),
    });
    Answer { text, json, is_well: report.faults.is_empty() }
}

fn output_text(text: &mut String, output: &OutputBacktest, what: &str) {
    let outcomes = &output.outcomes;
    let share = outcomes.rate().map(|rate| format!(" ({:.1} %)", rate * 100.0)).unwrap_or_default();
    let _ =
        writeln!(text, "\n{}: {} of {} judged: {what}{share}", output.output, outcomes.happened(), outcomes.count());
    match outcomes.auc() {
        Ok(auc) => {
            let _ = writeln!(text, "AUC       {:.4} ± {:.4}", auc.area, auc.standard_error);
        }
        Err(why) => {
            let _ = writeln!(text, "AUC       none: {why}");
        }
    }
    match outcomes.calibration(10) {
        Ok(calibration) => {
            let (brier, rate) = (calibration.brier, calibration.of_rate);
            let _ = writeln!(text, "Brier     {brier:.4}, by the rate alone {rate:.4}");
            let _ = writeln!(text, "error     {:.4}, expected of the calibration", calibration.expected_error);
        }
        Err(why) => {
            let _ = writeln!(text, "Brier     none: {why}");
        }
    }
    if let Ok(groups) = outcomes.gains(10) {
        let _ = writeln!(text, "\n{:<8}{:>10}{:>12}{:>8}{:>10}", "tenth", "scores", "from", "lift", "gained");
        for (place, group) in groups.iter().enumerate() {
            let gained = group.gained * 100.0;
            let (customers, lowest, lift) = (group.customers, group.lowest, group.lift);
            let _ = writeln!(text, "{:<8}{customers:>10}{lowest:>12.4}{lift:>8.2}{gained:>8.1} %", place + 1);
        }
    }
}

fn output_json(output: &OutputBacktest) -> Json {
    let outcomes = &output.outcomes;
    let or_why = |found: Result<Json, AnalysisError>| found.unwrap_or_else(|why| json!({ "none": why.to_string() }));
    let auc = outcomes.auc().map(|auc| json!({ "area": auc.area, "standard_error": auc.standard_error }));
    let calibration = outcomes.calibration(10).map(|calibration| {
        let bin = |bin: &crm::analysis::CalibrationBin| {
            json!({
                "upper": bin.upper, "customers": bin.customers, "happened": bin.happened, "mean_score": bin.mean_score
            })
        };
        json!({
            "brier": calibration.brier, "brier_of_rate": calibration.of_rate,
            "expected_error": calibration.expected_error, "bins": calibration.bins.iter().map(bin).collect::<Json>(),
        })
    });
    let gains = outcomes.gains(10).map(|groups| {
        let group = |group: &crm::analysis::GainsGroup| {
            json!({
                "customers": group.customers, "lowest": group.lowest, "happened": group.happened, "lift": group.lift,
                "gained": group.gained,
            })
        };
        groups.iter().map(group).collect::<Json>()
    });
    let instant = |instant: &crm::InstantScores| {
        json!({
            "at": instant.at.to_string(), "scored": instant.scored, "judged": instant.judged,
            "happened": instant.happened, "mean": instant.mean, "auc": instant.auc.as_ref().ok().map(|auc| auc.area),
        })
    };
    json!({
        "output": output.output.as_str(),
        "judged": outcomes.count(),
        "happened": outcomes.happened(),
        "auc": or_why(auc),
        "calibration": or_why(calibration),
        "gains": or_why(gains),
        "instants": output.instants.iter().map(instant).collect::<Json>(),
    })
}

fn workflow_answer(past: &Past, report: &WorkflowBacktest) -> Answer {
    let calls: u64 = report.calls.values().sum();
    let mut text = format!("{} orders of {} customers; {calls} calls\n", past.orders, report.customers);
    for (kind, calls) in &report.calls {
        let _ = writeln!(text, "{kind:<20}{calls:>10} calls");
    }
    faults_text(&mut text, &report.faults);
    for (command, asked) in &report.asked {
        let (count, done, already) = (asked.asked, asked.carried_out, asked.already_so);
        let _ = writeln!(text, "{command:<20}{count:>10} asked, {done} carried out, {already} already so");
        for (reason, count) in &asked.refused {
            let _ = writeln!(text, "{:<20}{count:>10} refused: {reason}", "");
        }
    }
    gaps_text(&mut text, report);
    let asked = |(command, asked): (&crm::SmolStr, &crm::AskedThen)| {
        let value = json!({
            "asked": asked.asked, "carried_out": asked.carried_out, "already_so": asked.already_so,
            "refused": asked.refused,
        });
        (command.to_string(), value)
    };
    let json = json!({
        "role": "workflow",
        "orders": past.orders,
        "customers": report.customers,
        "left_out": report.left_out,
        "calls": counts_json(&report.calls),
        "faults": counts_json(&report.faults),
        "asked": report.asked.iter().map(asked).collect::<serde_json::Map<_, _>>(),
        "looked_up": counts_json(&report.looked_up),
        "gaps": {
            "look_ups": counts_json(&report.gaps.look_ups), "cards": report.gaps.cards, "scores": report.gaps.scores,
        },
    });
    Answer { text, json, is_well: report.faults.is_empty() }
}

/// What the past could not tell the workflow.
fn gaps_text(text: &mut String, report: &WorkflowBacktest) {
    for (source, count) in &report.gaps.look_ups {
        let _ = writeln!(text, "{count} look-ups in {source} of which there is no record: those calls came to nothing");
    }
    if report.gaps.cards > 0 {
        let _ = writeln!(text, "{} calls saw no field of the card: none is opened to try something", report.gaps.cards);
    }
    if report.gaps.scores > 0 {
        let _ = writeln!(text, "older scores of {} outputs may be gone", report.gaps.scores);
    }
}

fn faults_text(text: &mut String, faults: &BTreeMap<crm::SmolStr, u64>) {
    for (fault, count) in faults {
        let _ = writeln!(text, "failed {count} times: {fault}");
    }
}

/// Counts by name.
fn counts_json(counts: &BTreeMap<crm::SmolStr, u64>) -> Json {
    counts.iter().map(|(name, count)| (name.to_string(), Json::from(*count))).collect::<serde_json::Map<_, _>>().into()
}
