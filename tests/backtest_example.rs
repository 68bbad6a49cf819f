//! The example about backtests over the orders of an online music shop, beside the same figures worked out from its file
//! by a page of code that knows nothing of a CRM.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    reason = "a panic is how a test fails, and counts are exact"
)]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output};

use crm::Timestamp;

fn run(arguments: &[&str]) -> Output {
    // Tests are in `deps`, examples beside it. `cargo test` builds both.
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(format!("backtest{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is missing: run `cargo test`, which builds it", path.display());
    Command::new(path).args(arguments).output().unwrap()
}

fn day(text: &str) -> i64 {
    Timestamp::parse(text).unwrap().as_millis() / 86_400_000
}

/// The orders of each customer: days since 1970, and cents.
fn orders() -> BTreeMap<String, Vec<(i64, f64)>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/cdnow_sample.csv.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let mut orders: BTreeMap<String, Vec<(i64, f64)>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let cents = (cells[4].parse::<f64>().unwrap() * 100.0).round();
        orders.entry(cells[0].to_owned()).or_default().push((day(cells[2]), cents));
    }
    orders
}

/// Days since the last order, orders, days since the first order and cents; and whether they bought again.
type Row = ((f64, f64, f64, f64), bool);

fn rows() -> Vec<Row> {
    let orders = orders();
    let mut rows = Vec::new();
    for then in (0..7).map(|n| day("1997-10-01") + 30 * n) {
        for orders in orders.values() {
            let before: Vec<_> = orders.iter().filter(|(at, _)| *at <= then).collect();
            let Some(last) = before.iter().map(|(at, _)| *at).max() else { continue };
            let first = before.iter().map(|(at, _)| *at).min().unwrap();
            let cents = before.iter().map(|(_, cents)| cents).sum();
            let again = orders.iter().any(|(at, _)| then < *at && *at <= then + 90);
            rows.push((((then - last) as f64, before.len() as f64, (then - first) as f64, cents), again));
        }
    }
    rows
}

/// What the example says of a scorer, by the beginning of the line.
fn told(text: &str, title: &str, line: &str) -> Vec<f64> {
    let after = text.split(title).nth(1).unwrap_or_else(|| panic!("no {title} in {text}"));
    let found = after.lines().find_map(|of| of.trim_start().strip_prefix(line));
    let found = found.unwrap_or_else(|| panic!("no {line} in {after}"));
    let numbers = found.split(|c: char| !(c.is_ascii_digit() || c == '.')).filter(|word| !word.is_empty());
    numbers.filter_map(|word| word.parse().ok()).collect()
}

/// Holds what the example says against scores worked out here.
fn check(text: &str, title: &str, scores: &[(f64, bool)]) {
    let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{title}: {found}, not {expected}");
    let count = scores.len() as f64;
    let happened = scores.iter().filter(|(_, happened)| *happened).count() as f64;
    assert_eq!(told(text, title, "It happened to"), [happened, count]);
    // Of each to whom it happened: how many of the others are below, and how many at the same score, half of whom count.
    let of = |kind: bool| scores.iter().filter(move |(_, happened)| *happened == kind).map(|(score, _)| *score);
    let (yes, mut no): (Vec<f64>, Vec<f64>) = (of(true).collect(), of(false).collect());
    no.sort_by(f64::total_cmp);
    let below = |score: &f64| no.partition_point(|other| other < score) + no.partition_point(|other| other <= score);
    let halves: usize = yes.iter().map(below).sum();
    near(told(text, title, "AUC")[0], halves as f64 / (2 * yes.len() * no.len()) as f64);
    let square = |(score, happened): &(f64, bool)| (f64::from(u8::from(*happened)) - score).powi(2);
    near(told(text, title, "Brier score")[0], scores.iter().map(square).sum::<f64>() / count);
    // The tenth with the highest scores, sharing what happened among those at its end.
    let mut sorted = scores.to_vec();
    sorted.sort_by(|one, other| other.0.total_cmp(&one.0));
    let (size, lowest) = (sorted.len() / 10, sorted[sorted.len() / 10 - 1].0);
    let of = |is: &dyn Fn(f64) -> bool| sorted.iter().filter(|(score, _)| is(*score)).collect::<Vec<_>>();
    let (above, tied) = (of(&|score| score > lowest), of(&|score| score.total_cmp(&lowest).is_eq()));
    let yes = |of: &[&(f64, bool)]| of.iter().filter(|(_, happened)| *happened).count() as f64;
    let best = yes(&above) + yes(&tied) * (size - above.len()) as f64 / tied.len() as f64;
    let first = told(&text[text.find(title).unwrap()..], "decile", "1 ");
    assert_eq!(first[0], size as f64);
    assert!((first[2] - best).abs() < 0.05 + 1e-9, "{first:?}, not {best}");
    let lift = best / size as f64 / (happened / count);
    assert!((first[3] - lift).abs() < 0.005 + 1e-9, "{first:?}, not {lift}");
}

fn chance(sum: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-sum))
}

#[test]
fn the_figures_are_those_of_the_file() {
    let output = run(&[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let rows = rows();
    let scored = |score: &dyn Fn(f64, f64, f64, f64) -> f64| -> Vec<(f64, bool)> {
        rows.iter()
            .map(|((last, orders, first, cents), again)| (score(*last, *orders, *first, *cents), *again))
            .collect()
    };
    let recency = scored(&|days, _, _, _| chance(-0.31 + -0.48 * days / 30.0));
    check(&text, "by recency alone", &recency);
    let rfm = scored(&|days, orders, _, cents| {
        chance(-1.69 + -0.29 * days / 30.0 + 0.91 * libm::log(orders) + 0.17 * libm::log1p(cents / 100.0))
    });
    check(&text, "by recency, frequency and spend", &rfm);
    // The plugin scores who stays away, by its own logistic regression.
    if cfg!(feature = "plugins") {
        let saturated = |amount: f64, half: f64| amount.max(0.0) / (amount.max(0.0) + half);
        let churn = scored(&|last, orders, _, cents| {
            let [r, f, m] =
                [saturated(last, 90.0), saturated(orders, 4.0), saturated((cents / orders).floor(), 3_000.0)];
            chance(1.123 + 3.321 * r - 4.534 * f - 1.183 * m)
        });
        let away: Vec<(f64, bool)> = churn.into_iter().map(|(score, again)| (score, !again)).collect();
        check(&text, "Who stays away", &away);
    }
}

#[test]
fn what_cannot_be_replayed_says_why() {
    let refused = |arguments: &[&str]| {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused(&["--to", "1999-01-01"]).starts_with("backtest: a replay to 1999-01-01"));
    assert!(refused(&["--from", "1998-05-01"]).contains("which is before"));
    assert!(refused(&["--every", "0"]).contains("no instants"));
    assert!(refused(&["--orders", "nowhere.csv"]).contains("nowhere.csv"));
}
