//! Times of several ways to do the same, taken in turn, so that a busy moment of the machine falls on all of them.

use std::error::Error;
use std::hint::black_box;
use std::ops::Range;
use std::time::Instant;

const ROUNDS: usize = 300;
const CALLS: u32 = 32;

/// The times of each way, in nanoseconds, in the order in which they were first taken.
#[derive(Default)]
pub(crate) struct Turns {
    ways: Vec<(&'static str, Vec<f64>)>,
}

impl Turns {
    pub(crate) fn rounds(&self) -> Range<usize> {
        0..ROUNDS
    }

    /// Times one call.
    pub(crate) fn time<T>(
        &mut self,
        way: &'static str,
        mut call: impl FnMut() -> Result<T, Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        black_box(call()?);
        self.note(way, start.elapsed().as_nanos() as f64);
        Ok(())
    }

    /// Times a few calls together, which are too short for a clock one by one.
    pub(crate) fn time_many<T>(
        &mut self,
        way: &'static str,
        mut call: impl FnMut() -> Result<T, Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        for _ in 0..CALLS {
            black_box(call()?);
        }
        self.note(way, start.elapsed().as_nanos() as f64 / f64::from(CALLS));
        Ok(())
    }

    fn note(&mut self, way: &'static str, time: f64) {
        match self.ways.iter_mut().find(|(known, _)| *known == way) {
            Some((_, times)) => times.push(time),
            None => self.ways.push((way, vec![time])),
        }
    }

    fn median(&self, way: &str) -> f64 {
        let times = self.ways.iter().find(|(known, _)| *known == way).map(|(_, times)| times.clone());
        let mut times = times.unwrap_or_default();
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// Prints each median, a row, and how many times the first way it is.
    pub(crate) fn print(&self, rows: usize) {
        let first = self.ways.first().map_or(f64::NAN, |(way, _)| self.median(way));
        for (way, _) in &self.ways {
            let median = self.median(way);
            println!("{way:<26}{:>12.2} ns {:>9.2} ×", median / rows as f64, median / first);
        }
    }

    /// Prints whether `way` takes at most `limit` times as long as `other`.
    pub(crate) fn at_most(&self, way: &str, other: &str, limit: f64) -> bool {
        let ratio = self.median(way) / self.median(other);
        say(ratio <= limit, &format!("{way} is {ratio:.2} × {other}, at most {limit} ×"))
    }

    /// Prints whether `way` takes at least `limit` times as long as `other`.
    pub(crate) fn at_least(&self, way: &str, other: &str, limit: f64) -> bool {
        let ratio = self.median(way) / self.median(other);
        say(ratio >= limit, &format!("{way} is {ratio:.1} × {other}, at least {limit} ×"))
    }

    /// Prints whether `way` takes at most `limit` nanoseconds.
    pub(crate) fn within(&self, way: &str, limit: f64) -> bool {
        let time = self.median(way);
        say(time <= limit, &format!("{way} takes {:.1} µs, at most {:.0} µs", time / 1e3, limit / 1e3))
    }
}

fn say(held: bool, what: &str) -> bool {
    println!("{} {what}", if held { "holds:" } else { "DOES NOT HOLD:" });
    held
}
