//! What is to be written: the rows of each part.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crm_core::{CustomerId, EventId, SmolStr, Timestamp};
use uuid::Uuid;

use super::list::List;
use super::part::{Part, PartId};
use super::wire::{Value, one};
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

impl<'a> Rows<'a> {
    fn push(&mut self, row: &[Cell<'a>]) {
        self.cells.extend_from_slice(row);
        self.width = row.len();
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

    /// The values of some rows of one lane, without the lane.
    pub(super) fn values(rows: &[&[Cell<'a>]]) -> Vec<Value<'a>> {
        rows.iter().flat_map(|row| row[1..].iter().map(Cell::value)).collect()
    }
}

/// What takes the rows of parts.
pub(super) trait Sink<'a> {
    /// Takes a row of a part; those of one part come in order.
    fn push(&mut self, part: PartId, row: &[Cell<'a>]);
}

/// The rows of the parts that have any.
#[derive(Debug, Default)]
pub(super) struct Parts<'a>(pub(super) BTreeMap<PartId, Rows<'a>>);

impl<'a> Sink<'a> for Parts<'a> {
    fn push(&mut self, part: PartId, row: &[Cell<'a>]) {
        self.0.entry(part).or_default().push(row);
    }
}

/// The columns of the parts that have any rows, each as a list that is ready to be sent.
#[derive(Debug)]
pub(super) struct Lists<'s, 'a> {
    parts: &'s [Part],
    /// By part; empty for those without rows.
    columns: Vec<Vec<List<'a>>>,
    /// About how many rows a part has.
    many: usize,
}

impl<'s, 'a> Lists<'s, 'a> {
    pub(super) fn of(parts: &'s [Part], many: usize) -> Self {
        Lists { parts, columns: parts.iter().map(|_| Vec::new()).collect(), many }
    }

    /// The parts that have any, in order.
    pub(super) fn into_columns(self) -> impl Iterator<Item = (PartId, Vec<List<'a>>)> {
        let parts = self.parts.iter().map(|part| part.id);
        parts.zip(self.columns).filter(|(_, columns)| !columns.is_empty())
    }
}

impl<'a> Sink<'a> for Lists<'_, 'a> {
    fn push(&mut self, part: PartId, row: &[Cell<'a>]) {
        let (Some(columns), Some(part)) = (self.columns.get_mut(part as usize), self.parts.get(part as usize)) else {
            return;
        };
        if columns.is_empty() {
            columns.extend(part.cells.iter().map(|(_, kind)| List::of(*kind, self.many)));
        }
        for (list, cell) in columns.iter_mut().zip(row) {
            list.push(cell);
        }
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
type ScorePlace<'a> = (&'a str, &'a str, i64);

/// All that a batch of commits changes, each row once and as it will stand, in the order of lanes and
/// keys, so that two writers take locks in one order.
#[derive(Debug, Default)]
pub(super) struct Writes<'a> {
    pub(super) customers: BTreeMap<(i16, CustomerId), Put<'a>>,
    /// Customers whose version must stay, because something else is written for them.
    pub(super) held: BTreeMap<(i16, CustomerId), i64>,
    pub(super) entries: Vec<(i16, CustomerId, Appended<'a>)>,
    /// None for one that goes.
    pub(super) scores: BTreeMap<(i16, CustomerId), BTreeMap<ScorePlace<'a>, Option<&'a ScoreRow>>>,
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
    /// The lanes of the customers who are written, in order and each once.
    pub(super) fn lanes(&self) -> Vec<i16> {
        let mut lanes: Vec<i16> = self.customers.keys().chain(self.held.keys()).map(|(lane, _)| *lane).collect();
        if !self.held.is_empty() {
            lanes.sort_unstable();
        }
        lanes.dedup();
        lanes
    }

    /// Puts the entries into the order of lanes, and leaves that within a lane as it is. So their positions come in
    /// order, and the server finds each in the index beside the one before it.
    pub(super) fn sort(&mut self) {
        self.entries.sort_by_key(|(lane, ..)| *lane);
    }

    /// About how many rows a part has.
    pub(super) fn many(&self) -> usize {
        self.entries.len().max(self.customers.len())
    }

    /// Hands over the rows of each part. A lane's entries are numbered from 1, or go on from where the lane is known to
    /// end.
    pub(super) fn rows(&self, ends: &BTreeMap<i16, i64>, parts: &mut impl Sink<'a>) {
        let mut row: Vec<Cell<'a>> = Vec::with_capacity(24);
        for ((lane, customer), put) in &self.customers {
            row.clear();
            row.extend([
                Cell::Small(*lane),
                customer_cell(*customer),
                Cell::Big(Some(put.version)),
                Cell::Int(Some(i32::from(put.state.shape))),
                Cell::Bytes(&put.state.bytes),
                Cell::Text(Some(joined(put.traits))),
            ]);
            row.extend(put.traits.columns.values().map(Cell::Big));
            match put.found {
                None => parts.push(PartId::Created, &row),
                Some(found) => {
                    row.push(Cell::Big(Some(found)));
                    parts.push(PartId::Updated, &row);
                }
            }
        }
        for ((lane, customer), version) in &self.held {
            parts.push(PartId::Held, &[Cell::Small(*lane), customer_cell(*customer), Cell::Big(Some(*version))]);
        }
        let mut last = None;
        let mut place = 0;
        for (lane, customer, appended) in &self.entries {
            if last.replace(lane) != Some(lane) {
                place = ends.get(lane).copied().unwrap_or(0);
            }
            place += 1;
            parts.push(PartId::Entries, &entry(*lane, place, *customer, *appended));
        }
        for ((lane, customer), scores) in &self.scores {
            for ((plugin, output, at), score) in scores {
                match score {
                    Some(score) => parts.push(PartId::Scores, &score_row(*lane, *customer, score)),
                    None => {
                        let (lane, whose) = (Cell::Small(*lane), customer_cell(*customer));
                        let named = [Cell::Bytes(plugin.as_bytes()), Cell::Bytes(output.as_bytes())];
                        let [plugin, output] = named;
                        parts.push(PartId::ScoresGone, &[lane, whose, plugin, output, Cell::Big(Some(*at))]);
                    }
                }
            }
        }
        for ((lane, due), stays) in &self.alarms {
            let row = [
                Cell::Small(*lane),
                customer_cell(due.customer),
                Cell::Big(Some(due.alarm.due_at.as_millis())),
                Cell::Small(i16::from(due.alarm.kind.rank())),
            ];
            parts.push(if *stays { PartId::Alarms } else { PartId::AlarmsGone }, &row);
        }
        for ((lane, customer, key), request) in &self.requests {
            let row = [
                Cell::Small(*lane),
                customer_cell(*customer),
                Cell::Bytes(key.as_bytes()),
                Cell::Bytes(request.digest.as_bytes()),
                Cell::Bytes(&request.answer),
            ];
            parts.push(PartId::Requests, &row);
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
            parts.push(part, &[&named[..], &rest[..]].concat());
        }
        for ((lane, name), counted) in &self.counters {
            let named = [Cell::Small(*lane), Cell::Bytes(name.as_bytes())];
            let (part, rest) = match counted {
                Counted::New(value) => (PartId::Counters, vec![*value]),
                Counted::Set(value) => (PartId::CountersSet, vec![*value]),
                Counted::By(by, limit) => (PartId::CountersMoved, vec![*by, *limit]),
            };
            let rest: Vec<Cell<'_>> = rest.into_iter().map(|value| Cell::Big(Some(value))).collect();
            parts.push(part, &[&named[..], &rest[..]].concat());
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
            parts.push(PartId::Outbox, &row);
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
            parts.push(PartId::DeadLetters, &row);
        }
        for ((lane, customer), person) in &self.persons {
            let whose = [Cell::Small(*lane), customer_cell(*customer)];
            if let Some(key) = person.key {
                parts.push(PartId::PersonKeys, &[&whose[..], &[Cell::Bytes(key)]].concat());
            }
            for (name, value) in &person.fields {
                let named = [&whose[..], &[Cell::Bytes(name.as_bytes())]].concat();
                match value {
                    Some(value) => parts.push(PartId::Fields, &[&named[..], &[Cell::Bytes(value)]].concat()),
                    None => parts.push(PartId::FieldsGone, &named),
                }
            }
            if let Some(tokens) = &person.tokens {
                parts.push(PartId::TokensGone, &whose);
                for token in tokens {
                    let token = Cell::Id(Some(Uuid::from_bytes(token.0)));
                    parts.push(PartId::Tokens, &[&whose[..], &[token]].concat());
                }
            }
        }
    }
}

/// Names of sets in one text; none of them has a control character.
fn joined(traits: &Traits) -> Cow<'_, str> {
    match &traits.sets[..] {
        [] => return Cow::Borrowed(""),
        [one] => return Cow::Borrowed(one.as_str()),
        _ => {}
    }
    let mut text = String::with_capacity(traits.sets.iter().map(|set| set.as_str().len() + 1).sum());
    for (at, set) in traits.sets.iter().enumerate() {
        if at > 0 {
            text.push('\u{1f}');
        }
        text.push_str(set.as_str());
    }
    Cow::Owned(text)
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

fn score_row<'a>(lane: i16, customer: CustomerId, score: &'a ScoreRow) -> [Cell<'a>; 12] {
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
        Cell::Bytes(&score.inputs),
        Cell::Big(score.recorded_at.map(Timestamp::as_millis)),
        Cell::Bytes(score.terms.as_bytes()),
    ]
}
