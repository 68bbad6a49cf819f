//! What is to be written: the rows of each part.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crm_core::{CustomerId, EventId, SmolStr};
use uuid::Uuid;

use super::part::{Kind, Part, PartId};
use super::wire::{Value, list, one};
use crate::commit::{Appended, ClaimKey, GivenUp, OutboxEntry, Request, Token, Traits};
use crate::row::{ClaimOwner, Due, ScoreRow, StateRow};

/// The value of a cell.
#[derive(Debug, Clone)]
pub(super) enum Cell<'a> {
    Small(i16),
    Int(Option<i32>),
    Big(Option<i64>),
    Float(f64),
    Id(Option<Uuid>),
    Bytes(&'a [u8]),
    Text(Option<Cow<'a, str>>),
}

impl<'a> Cell<'a> {
    fn value(&self) -> Value<'a> {
        match self {
            Cell::Small(value) => one(*value),
            Cell::Int(value) => one(*value),
            Cell::Big(value) => one(*value),
            Cell::Float(value) => one(*value),
            Cell::Id(value) => one(*value),
            Cell::Bytes(value) => one(*value),
            Cell::Text(value) => one(value.clone()),
        }
    }
}

/// The rows of one part, cell after cell.
#[derive(Debug, Default)]
pub(super) struct Rows<'a> {
    cells: Vec<Cell<'a>>,
    width: usize,
}

/// Takes what a column should hold out of each of its cells.
macro_rules! column {
    ($cells:expr, $pattern:pat => $value:expr) => {
        list($cells.filter_map(|cell| if let $pattern = cell { Some($value) } else { None }).collect())
    };
}

impl<'a> Rows<'a> {
    pub(super) fn push(&mut self, row: impl IntoIterator<Item = Cell<'a>>) {
        let before = self.cells.len();
        self.cells.extend(row);
        self.width = self.cells.len() - before;
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &[Cell<'a>]> {
        self.cells.chunks(self.width.max(1))
    }

    /// The lane of a row.
    pub(super) fn lane(row: &[Cell<'a>]) -> i16 {
        match row.first() {
            Some(Cell::Small(lane)) => *lane,
            _ => 0,
        }
    }

    /// The values of the first row.
    pub(super) fn first(&self) -> Vec<Value<'a>> {
        self.cells.iter().take(self.width).map(Cell::value).collect()
    }

    /// Each column as a list.
    pub(super) fn columns(&self, part: &Part) -> Vec<Value<'a>> {
        let kinds = part.cells.iter().enumerate();
        let column = |(at, (_, kind)): (usize, &(&str, Kind))| {
            let cells = self.cells.iter().skip(at).step_by(self.width.max(1));
            match kind {
                Kind::Small => column!(cells, Cell::Small(value) => *value),
                Kind::Int => column!(cells, Cell::Int(value) => *value),
                Kind::Big => column!(cells, Cell::Big(value) => *value),
                Kind::Float => column!(cells, Cell::Float(value) => *value),
                Kind::Id => column!(cells, Cell::Id(value) => *value),
                Kind::Bytes => column!(cells, Cell::Bytes(value) => *value),
                Kind::Text => column!(cells, Cell::Text(value) => value.clone()),
            }
        };
        kinds.map(column).collect()
    }

    /// The values of some rows of one lane, without the lane.
    pub(super) fn values(rows: &[&[Cell<'a>]]) -> Vec<Value<'a>> {
        rows.iter().flat_map(|row| row[1..].iter().map(Cell::value)).collect()
    }
}

/// The rows of the parts that have any.
#[derive(Debug, Default)]
struct Parts<'a>(BTreeMap<PartId, Rows<'a>>);

impl<'a> Parts<'a> {
    fn push(&mut self, part: PartId, row: impl IntoIterator<Item = Cell<'a>>) {
        self.0.entry(part).or_default().push(row);
    }
}

/// A customer's row as it will stand.
#[derive(Debug)]
pub(super) struct Put<'a> {
    /// The version that was found; none for a new customer.
    pub(super) found: Option<i64>,
    pub(super) version: i64,
    pub(super) state: &'a StateRow,
    pub(super) traits: &'a Traits,
}

/// What becomes of a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moved {
    /// Nobody had it.
    Taken(ClaimOwner),
    /// The customer who had it gives it up.
    Dropped(CustomerId),
    /// The customer who had it gives it up for another, or for another event.
    Passed(CustomerId, ClaimOwner),
}

/// What becomes of a counter.
#[derive(Debug, Clone, Copy)]
pub(super) enum Counted {
    /// It is not there yet.
    New(i64),
    /// It is there.
    Set(i64),
    /// By how much, and to what limit.
    By(i64, i64),
}

/// What becomes of a customer's personal rows.
#[derive(Debug, Default)]
pub(super) struct Person<'a> {
    pub(super) key: Option<&'a [u8]>,
    pub(super) fields: BTreeMap<&'a str, Option<&'a [u8]>>,
    pub(super) tokens: Option<BTreeSet<Token>>,
}

/// A score's place: its plugin, its output, and as of when.
type ScoreKey<'a> = (&'a str, &'a str, i64);

/// All that a batch of commits changes, each row once and as it will stand, in the order of lanes and
/// keys, so that two writers take locks in one order.
#[derive(Debug, Default)]
pub(super) struct Writes<'a> {
    /// The lanes of the customers who are written.
    pub(super) heads: BTreeSet<i16>,
    pub(super) customers: BTreeMap<(i16, CustomerId), Put<'a>>,
    /// Customers whose version must stay, because something else is written for them.
    pub(super) held: BTreeMap<(i16, CustomerId), i64>,
    pub(super) entries: Vec<(i16, CustomerId, Appended<'a>)>,
    pub(super) scores: BTreeMap<(i16, CustomerId), BTreeMap<ScoreKey<'a>, &'a ScoreRow>>,
    /// Whether each will be there.
    pub(super) alarms: BTreeMap<(i16, Due), bool>,
    pub(super) requests: BTreeMap<(i16, CustomerId, &'a str), &'a Request>,
    pub(super) claims: BTreeMap<(i16, &'a ClaimKey), Moved>,
    pub(super) counters: BTreeMap<(i16, &'a SmolStr), Counted>,
    pub(super) outbox: BTreeMap<(i16, EventId), &'a OutboxEntry>,
    pub(super) dead: BTreeMap<(i16, EventId), &'a GivenUp>,
    pub(super) persons: BTreeMap<(i16, CustomerId), Person<'a>>,
}

const fn customer_cell<'a>(customer: CustomerId) -> Cell<'a> {
    Cell::Id(Some(*customer.as_uuid()))
}

const fn event_cell<'a>(event: EventId) -> Cell<'a> {
    Cell::Id(Some(*event.as_uuid()))
}

impl<'a> Writes<'a> {
    /// The rows of each part, in the order of the parts. A lane's entries are numbered from 1, or go on
    /// from where the lane is known to end.
    pub(super) fn rows(&self, ends: &BTreeMap<i16, i64>) -> Vec<(PartId, Rows<'a>)> {
        let mut parts = Parts::default();
        for ((lane, customer), put) in &self.customers {
            let mut row = vec![
                Cell::Small(*lane),
                customer_cell(*customer),
                Cell::Big(Some(put.version)),
                Cell::Int(Some(i32::from(put.state.shape))),
                Cell::Bytes(&put.state.bytes),
                Cell::Text(Some(Cow::Owned(joined(put.traits)))),
            ];
            row.extend(put.traits.columns.values().map(Cell::Big));
            match put.found {
                None => parts.push(PartId::Created, row),
                Some(found) => {
                    row.push(Cell::Big(Some(found)));
                    parts.push(PartId::Updated, row);
                }
            }
        }
        for ((lane, customer), version) in &self.held {
            parts.push(PartId::Held, [Cell::Small(*lane), customer_cell(*customer), Cell::Big(Some(*version))]);
        }
        let mut places = ends.clone();
        for (lane, customer, appended) in &self.entries {
            let place = places.entry(*lane).or_default();
            *place += 1;
            parts.push(PartId::Entries, entry(*lane, *place, *customer, *appended));
        }
        for ((lane, customer), scores) in &self.scores {
            for score in scores.values() {
                parts.push(PartId::Scores, score_row(*lane, *customer, score));
            }
        }
        for ((lane, due), stays) in &self.alarms {
            let row = [
                Cell::Small(*lane),
                customer_cell(due.customer),
                Cell::Big(Some(due.alarm.due_at.as_millis())),
                Cell::Small(i16::from(due.alarm.kind.rank())),
            ];
            parts.push(if *stays { PartId::Alarms } else { PartId::AlarmsGone }, row);
        }
        for ((lane, customer, key), request) in &self.requests {
            let row = [
                Cell::Small(*lane),
                customer_cell(*customer),
                Cell::Bytes(key.as_bytes()),
                Cell::Bytes(request.digest.as_bytes()),
                Cell::Bytes(&request.answer),
            ];
            parts.push(PartId::Requests, row);
        }
        for ((lane, key), moved) in &self.claims {
            let named = [Cell::Small(*lane), Cell::Bytes(key.kind.as_bytes()), Cell::Bytes(&key.key)];
            let owned = |owner: &ClaimOwner| [customer_cell(owner.customer), event_cell(owner.event)];
            let (part, rest) = match moved {
                Moved::Taken(owner) => (PartId::Claims, owned(owner).to_vec()),
                Moved::Dropped(owner) => (PartId::ClaimsGone, vec![customer_cell(*owner)]),
                Moved::Passed(before, owner) => {
                    let [customer, event] = owned(owner);
                    (PartId::ClaimsMoved, vec![customer, event, customer_cell(*before)])
                }
            };
            parts.push(part, [&named[..], &rest[..]].concat());
        }
        for ((lane, name), counted) in &self.counters {
            let named = [Cell::Small(*lane), Cell::Bytes(name.as_bytes())];
            let (part, rest) = match counted {
                Counted::New(value) => (PartId::Counters, vec![*value]),
                Counted::Set(value) => (PartId::CountersSet, vec![*value]),
                Counted::By(by, limit) => (PartId::CountersMoved, vec![*by, *limit]),
            };
            let rest: Vec<Cell<'_>> = rest.into_iter().map(|value| Cell::Big(Some(value))).collect();
            parts.push(part, [&named[..], &rest[..]].concat());
        }
        for ((lane, id), entry) in &self.outbox {
            let row = [
                Cell::Small(*lane),
                event_cell(*id),
                customer_cell(entry.customer),
                Cell::Bytes(entry.topic.as_bytes()),
                Cell::Big(Some(entry.due_at.as_millis())),
                Cell::Bytes(&entry.body),
            ];
            parts.push(PartId::Outbox, row);
        }
        for ((lane, id), GivenUp { entry, attempts, reason }) in &self.dead {
            let row = [
                Cell::Small(*lane),
                event_cell(*id),
                customer_cell(entry.customer),
                Cell::Bytes(entry.topic.as_bytes()),
                Cell::Big(Some(entry.due_at.as_millis())),
                Cell::Bytes(&entry.body),
                Cell::Big(Some(i64::from(*attempts))),
                Cell::Bytes(reason.as_bytes()),
            ];
            parts.push(PartId::DeadLetters, row);
        }
        for ((lane, customer), person) in &self.persons {
            let whose = [Cell::Small(*lane), customer_cell(*customer)];
            if let Some(key) = person.key {
                parts.push(PartId::PersonKeys, [&whose[..], &[Cell::Bytes(key)]].concat());
            }
            for (name, value) in &person.fields {
                let named = [&whose[..], &[Cell::Bytes(name.as_bytes())]].concat();
                match value {
                    Some(value) => parts.push(PartId::Fields, [&named[..], &[Cell::Bytes(value)]].concat()),
                    None => parts.push(PartId::FieldsGone, named),
                }
            }
            if let Some(tokens) = &person.tokens {
                parts.push(PartId::TokensGone, whose.clone());
                for token in tokens {
                    let token = Cell::Id(Some(Uuid::from_bytes(token.0)));
                    parts.push(PartId::Tokens, [&whose[..], &[token]].concat());
                }
            }
        }
        parts.0.into_iter().collect()
    }
}

/// Names of sets in one text; none of them has a control character.
fn joined(traits: &Traits) -> String {
    let mut text = String::new();
    for (at, set) in traits.sets.iter().enumerate() {
        if at > 0 {
            text.push('\u{1f}');
        }
        text.push_str(set.as_str());
    }
    text
}

fn entry<'a>(lane: i16, place: i64, customer: CustomerId, appended: Appended<'a>) -> [Cell<'a>; 11] {
    let (lane, place, customer) = (Cell::Small(lane), Cell::Big(Some(place)), customer_cell(customer));
    match appended {
        Appended::Event(event) => [
            lane,
            place,
            customer,
            event_cell(event.id),
            Cell::Big(Some(event.at.as_millis())),
            Cell::Big(Some(event.recorded_at.as_millis())),
            Cell::Bytes(event.kind.as_bytes()),
            Cell::Int(Some(i32::from(event.shape))),
            Cell::Text(event.source.as_ref().map(|source| Cow::Borrowed(source.as_str()))),
            Cell::Id(event.cause.map(|cause| *cause.as_uuid())),
            Cell::Bytes(&event.body),
        ],
        Appended::Change(change) => [
            lane,
            place,
            customer,
            Cell::Id(None),
            Cell::Big(Some(change.at.as_millis())),
            Cell::Big(None),
            Cell::Bytes(change.kind.as_bytes()),
            Cell::Int(None),
            Cell::Text(None),
            Cell::Id(None),
            Cell::Bytes(&change.body),
        ],
    }
}

fn score_row<'a>(lane: i16, customer: CustomerId, score: &'a ScoreRow) -> [Cell<'a>; 9] {
    [
        Cell::Small(lane),
        customer_cell(customer),
        Cell::Bytes(score.plugin.as_bytes()),
        Cell::Bytes(score.output.as_bytes()),
        Cell::Big(Some(score.at.as_millis())),
        // Adding 0 turns -0 into 0 and leaves every other number as it is.
        Cell::Float(score.value + 0.0),
        Cell::Bytes(score.version.as_bytes()),
        Cell::Bytes(score.digest.as_bytes()),
        Cell::Bytes(score.input.as_bytes()),
    ]
}
