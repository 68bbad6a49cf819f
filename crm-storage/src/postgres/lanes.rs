//! Holding lanes until the transaction ends, and learning where they end.

use std::collections::BTreeSet;

use tokio_postgres::Row;

use super::column::Columns;
use super::ends::Ends;
use super::fault::Fault;
use super::options::Dialect;
use super::part::{LOCKS, Places};
use super::shape::Shape;
use super::wire::{Call, call, list, one};
use super::writes::Writes;

/// With so many lanes or fewer, one lane too is taken by a statement of its own.
const FEW_LANES: u16 = 16;

/// The lanes of a batch in the plain dialect that was not judged.
#[derive(Debug)]
pub(super) struct Heads {
    /// Each lane in order, how far it is known to have come, and how many entries are added.
    lanes: Vec<(i16, i64, i64)>,
    pub(super) places: Places,
    /// Whether the lanes are held by a statement before.
    lock_first: bool,
}

impl Heads {
    pub(super) fn of(shape: &Shape, writes: &Writes<'_>) -> Self {
        let mut added = writes.entries.iter().map(|(lane, ..)| *lane).peekable();
        let lanes = writes.lanes().into_iter().map(|lane| {
            let many = std::iter::from_fn(|| added.next_if_eq(&lane)).count();
            (lane, shape.ends.known(lane), many as i64)
        });
        let lanes: Vec<(i16, i64, i64)> = lanes.collect();
        // Where lanes are few, somebody is in one lane often enough that the lock is better taken first.
        let lock_first = lanes.len() > 1 || !lanes.is_empty() && shape.lanes <= FEW_LANES;
        let places = match lanes.len() {
            0 => Places::Given,
            _ if !lock_first => Places::OneLane,
            // As measured with batches of 32 in 31 lanes and of 1,000 in 640.
            many if writes.entries.len() * 4 <= many * 5 => Places::Each,
            _ => Places::Found,
        };
        Heads { lanes, places, lock_first }
    }

    /// How far each lane is known to have come.
    pub(super) fn known(&self) -> impl Iterator<Item = (i16, i64)> {
        self.lanes.iter().map(|(lane, known, _)| (*lane, *known))
    }

    /// How far one of the lanes is known to have come.
    pub(super) fn known_of(&self, lane: i16) -> i64 {
        self.place_of(lane).map_or(0, |(_, known, _)| *known)
    }

    fn place_of(&self, lane: i16) -> Option<&(i16, i64, i64)> {
        let place = self.lanes.binary_search_by_key(&lane, |(lane, ..)| *lane).ok()?;
        self.lanes.get(place)
    }

    /// What is sent before the entries.
    pub(super) fn before<'a>(&self, shape: &Shape) -> Option<Call<'a>> {
        self.lock_first.then(|| lock_lanes(shape, self.lanes.iter().map(|(lane, ..)| *lane)))
    }

    /// What is sent after the entries: it asks some of the lanes where they end now.
    pub(super) fn after<'a>(&self, shape: &Shape) -> Option<Call<'a>> {
        let asked = self.lanes.iter().filter(|(_, known, added)| *added > 0 && Ends::should_ask(*known, *added));
        let asked: Vec<i16> = asked.map(|(lane, ..)| *lane).collect();
        (!asked.is_empty()).then(|| call!(shape.texts.ends_of_lanes, list(asked)))
    }

    /// Remembers how far the lanes have come, once it is committed. `answers` are of what was sent after the entries;
    /// one that cannot be read is left out, since what was committed did not fail.
    pub(super) fn came(&self, shape: &Shape, answers: &[Row]) {
        for (lane, known, added) in &self.lanes {
            shape.ends.came_to(*lane, known.saturating_add(*added));
        }
        for (lane, end) in answers.iter().filter_map(|row| end(row).ok()) {
            shape.ends.came_to(lane, end);
        }
    }
}

/// Takes lanes until the transaction ends, in ascending order.
pub(super) fn lock<'a>(shape: &Shape, lanes: &BTreeSet<i16>) -> Vec<Call<'a>> {
    match shape.dialect {
        _ if lanes.is_empty() => Vec::new(),
        Dialect::Plain => vec![lock_lanes(shape, lanes.iter().copied())],
        Dialect::Sharded => lanes.iter().map(|lane| call!(shape.texts.lock_head, one(*lane))).collect(),
    }
}

/// By the second numbers of their advisory locks, in ascending order.
fn lock_lanes<'a>(shape: &Shape, lanes: impl Iterator<Item = i16>) -> Call<'a> {
    let mut keys: Vec<i32> = lanes.map(|lane| i32::from(lane) & i32::from(LOCKS - 1)).collect();
    keys.sort_unstable();
    keys.dedup();
    call!(shape.texts.lock_lanes, list(keys))
}

/// Where lanes end. To be sent after they are taken.
pub(super) fn ends<'a>(shape: &Shape, lanes: &BTreeSet<i16>) -> Vec<Call<'a>> {
    match shape.dialect {
        _ if lanes.is_empty() => Vec::new(),
        Dialect::Plain => vec![call!(shape.texts.ends_of_lanes, list(lanes.iter().copied().collect()))],
        Dialect::Sharded => lanes.iter().map(|lane| call!(shape.texts.end_of_lane, one(*lane))).collect(),
    }
}

/// A lane and where it ends.
pub(super) fn end(row: &Row) -> Result<(i16, i64), Fault> {
    let mut columns = Columns::of(row);
    let (lane, end): (i16, Option<i64>) = (columns.plain()?, columns.plain()?);
    Ok((lane, end.unwrap_or(0)))
}
