//! The lines of a run, each beside its limit.

use std::time::{Duration, Instant};

#[derive(Default)]
pub(crate) struct Report {
    lines: Vec<[String; 4]>,
}

impl Report {
    /// A line whose value may not be below its limit.
    pub(crate) fn at_least(&mut self, what: &str, value: f64, limit: f64, detail: &str) {
        self.line(what, value, format!("≥ {limit}"), value >= limit, detail);
    }

    /// A line whose value may not be above its limit.
    pub(crate) fn at_most(&mut self, what: &str, value: f64, limit: f64, detail: &str) {
        self.line(what, value, format!("≤ {limit}"), value <= limit, detail);
    }

    fn line(&mut self, what: &str, value: f64, limit: String, kept: bool, detail: &str) {
        let kept = if kept { "" } else { " ✗" };
        println!("{what}: {value:.2} ({limit}){kept} — {detail}");
        self.lines.push([what.to_owned(), format!("{value:.2}{kept}"), limit, detail.to_owned()]);
    }

    /// The lines as a table.
    pub(crate) fn print(&self) {
        println!("\n| what | measured | limit | |\n|---|---|---|---|");
        for [what, value, limit, detail] in &self.lines {
            println!("| {what} | {value} | {limit} | {detail} |");
        }
    }
}

/// Runs two things in turn, several times, and gives the median time of each: what else the machine does
/// meets both.
pub(crate) fn in_turn(rounds: usize, mut a: impl FnMut(), mut b: impl FnMut()) -> (Duration, Duration) {
    let (mut times_a, mut times_b) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        times_a.push(time(&mut a));
        times_b.push(time(&mut b));
    }
    (median(&mut times_a), median(&mut times_b))
}

pub(crate) fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

pub(crate) fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// So many things in a time, as a rate.
pub(crate) fn rate(things: usize, time: Duration) -> f64 {
    things as f64 / time.as_secs_f64()
}

/// A rate as people read it.
pub(crate) fn shown(rate: f64) -> String {
    if rate >= 10_000.0 { format!("{:.0}k/s", rate / 1000.0) } else { format!("{rate:.0}/s") }
}
