//! Takes the orders in as if day by day: the clock is set to the end of each day, the day's orders come
//! in, and what is due is worked off.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use crm::{Ingestion, Span, Timestamp};
use indicatif::{ProgressBar, ProgressStyle};

use crate::incoming::incoming;
use crate::orders::{Entry, OrderFile};
use crate::shop::Shop;

/// What became of the file.
pub(crate) struct Replay {
    /// Up to when time has passed.
    pub(crate) as_of: Timestamp,
    /// Orders and refunds that are new.
    pub(crate) recorded: u64,
    /// Orders and refunds that the database knew already.
    pub(crate) known: u64,
    /// Rows whose order or refund the CRM refused, by reason.
    pub(crate) refused_rows: BTreeMap<&'static str, u64>,
}

/// Replays a file up to an instant, or to the end of its last day.
pub(crate) fn replay(shop: &Shop, file: &OrderFile, as_of: Option<Timestamp>) -> Result<Replay, Box<dyn Error>> {
    let end = match file.last_at() {
        Some(last) => Timestamp::from_millis(last)?.midnight().plus(Span::days(1)),
        None => Timestamp::from_millis(0)?,
    };
    let as_of = as_of.unwrap_or(end);
    let mut replay = Replay { as_of, recorded: 0, known: 0, refused_rows: BTreeMap::new() };

    // Drawn on a terminal only.
    let progress = ProgressBar::new(file.entries.len() as u64);
    progress.set_style(ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} orders")?);
    progress.enable_steady_tick(Duration::from_millis(200));
    let day_of = |entry: &Entry| Timestamp::from_millis(entry.at_ms).map(Timestamp::midnight);
    for day in file.entries.chunk_by(|a, b| a.at_ms.div_euclid(86_400_000) == b.at_ms.div_euclid(86_400_000)) {
        let Some(first) = day.first() else { continue };
        let midnight = day_of(first)?;
        let evening = midnight.plus(Span::days(1)).min(as_of);
        shop.clock.set(evening);
        let facts = day.iter().map(|entry| incoming(file, entry, shop.currency)).collect::<Result<Vec<_>, _>>()?;
        let report = shop.crm.ingest(facts, Ingestion::live().telling_refusals(day.len()))?;
        replay.recorded += report.recorded;
        replay.known += report.known;
        for (number, refusal) in &report.refusals {
            let rows = day.get(usize::try_from(*number)?).map_or(0, |entry| file.lines(entry).len() as u64);
            *replay.refused_rows.entry(refusal.reason()).or_default() += rows;
        }
        shop.crm.advance(evening)?;
        progress.set_message(midnight.to_string()[..10].to_owned());
        progress.inc(day.len() as u64);
    }
    shop.clock.set(as_of);
    shop.crm.advance(as_of)?;
    progress.finish_and_clear();
    Ok(replay)
}
