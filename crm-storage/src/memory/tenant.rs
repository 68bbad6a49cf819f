//! What is kept of one tenant: judging a commit, applying it, and reading.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::convert::Infallible;
use std::ops::Bound;

use crm_core::{CustomerId, Digest, EventId, SmolStr, Timestamp};

use super::id_hash::IdHash;
use super::outbox::Outbox;
use crate::commit::{
    Appended, Claim, ClaimKey, Commit, Committed, CustomerWrite, IdempotencyKey, Token, Traits, Version,
};
use crate::error::{CommitError, DefineError};
use crate::judge::{self, Judgement};
use crate::row::{
    ChangeRow, ClaimOwner, Copies, Cursor, CustomerRow, DefinitionRows, Details, Due, Entries, Entry, Erased, EventRow,
    OutputScores, Page, Parts, RequestRow, Scanned, ScannedRow, ScoreRow, ScoresAsked, StateRow,
};
use crate::selection::{Selectable, Selection};

/// The rows of a tenant.
#[derive(Debug, Default)]
pub(super) struct Tenant {
    customers: HashMap<CustomerId, Kept, IdHash>,
    /// The ids of the customers in order; it changes only when there is a new one.
    order: BTreeSet<CustomerId>,
    claims: HashMap<ClaimKey, ClaimOwner>,
    requests: HashMap<(CustomerId, IdempotencyKey), Answered>,
    counters: HashMap<SmolStr, i64>,
    alarms: BTreeSet<Due>,
    pub(super) outbox: Outbox,
    definitions: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Kept {
    version: Version,
    state: StateRow,
    traits: Traits,
    entries: Vec<Entry>,
    event_ids: EventIds,
    /// By plugin, output and instant: most have one, and a vector grows by as much as it needs.
    scores: Vec<ScoreRow>,
    personal: Option<Box<Personal>>,
}

#[derive(Debug, Default)]
struct Personal {
    key: Option<Vec<u8>>,
    fields: BTreeMap<SmolStr, Vec<u8>>,
    tokens: BTreeSet<Token>,
}

#[derive(Debug)]
struct Answered {
    digest: Digest,
    answer: Vec<u8>,
}

impl Tenant {
    /// Judges a commit and applies it. `log` is told of each customer to whom entries were appended, with
    /// the place of each entry among theirs.
    pub(super) fn commit(
        &mut self,
        commit: Commit,
        log: &mut impl FnMut(CustomerId, usize),
    ) -> Result<Committed, CommitError> {
        let Ok(judgement) = commit.judge(self);
        match judgement {
            Judgement::Apply { versions, counters } => {
                self.apply(commit, counters, log);
                Ok(Committed::Done { versions })
            }
            Judgement::Replay(answer) => Ok(Committed::Replayed { answer }),
            Judgement::Refuse(refusal) => Err(refusal),
        }
    }

    fn apply(&mut self, commit: Commit, counters: BTreeMap<SmolStr, i64>, log: &mut impl FnMut(CustomerId, usize)) {
        commit.writes.into_iter().for_each(|write| self.write(write, log));
        for release in commit.releases {
            self.claims.remove(&release.key);
        }
        for claim in commit.claims {
            let owner = owner_of(&claim);
            self.claims.insert(claim.key, owner);
        }
        self.counters.extend(counters);
        commit.outbox.into_iter().for_each(|entry| self.outbox.add(entry));
        commit.dead_letters.into_iter().for_each(|letter| self.outbox.bury(letter));
        if let Some(request) = commit.request {
            let answered = Answered { digest: request.digest, answer: request.answer };
            self.requests.insert((request.customer, request.key), answered);
        }
    }

    fn write(&mut self, write: CustomerWrite, log: &mut impl FnMut(CustomerId, usize)) {
        if let Some(alarm) = write.alarm {
            let due = |alarm| Due { alarm, customer: write.customer };
            alarm.from.map(|from| self.alarms.remove(&due(from)));
            alarm.to.map(|to| self.alarms.insert(due(to)));
        }
        let customer = write.customer;
        let kept = match (self.customers.get_mut(&customer), &write.state) {
            (Some(kept), _) => kept,
            (None, Some(_)) => {
                self.order.insert(customer);
                self.customers.entry(customer).or_insert_with(Kept::new)
            }
            // A write without a state was judged to be for a customer who is there.
            (None, None) => return,
        };
        let before = kept.entries.len();
        kept.write(write);
        (before..kept.entries.len()).for_each(|place| log(customer, place));
    }

    pub(super) fn customer(&self, customer: CustomerId) -> Option<CustomerRow> {
        let kept = self.customers.get(&customer)?;
        let sets = kept.traits.sets.clone();
        Some(CustomerRow { customer, version: kept.version, state: kept.state.clone(), sets })
    }

    pub(super) fn select(&self, selection: &Selection, after: Option<CustomerId>, limit: usize) -> Vec<CustomerId> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let ids = self.order.range((from, Bound::Unbounded)).copied();
        ids.filter(|id| self.customers.get(id).is_some_and(|kept| selection.holds(kept))).take(limit).collect()
    }

    pub(super) fn count(&self, selection: &Selection) -> u64 {
        self.customers.values().filter(|kept| selection.holds(*kept)).count() as u64
    }

    pub(super) fn details(&self, customer: CustomerId, parts: Parts) -> Option<Details> {
        let kept = self.customers.get(&customer)?;
        let mut details = Details::default();
        if parts.traits {
            details.traits = kept.traits.clone();
        }
        if parts.scores {
            details.scores = kept.scores.clone();
        }
        if parts.personal
            && let Some(personal) = &kept.personal
        {
            details.key.clone_from(&personal.key);
            details.personal = personal.fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            details.tokens = personal.tokens.len() as u64;
        }
        if parts.requests {
            let own = self.requests.iter().filter(|((owner, _), _)| *owner == customer);
            let row = |((_, key), answered): (&(CustomerId, IdempotencyKey), &Answered)| RequestRow {
                key: key.clone(),
                digest: answered.digest,
                answer: answered.answer.clone(),
            };
            details.requests = own.map(row).collect();
            details.requests.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        }
        if parts.outbox {
            details.outbox = self.outbox.about(customer);
        }
        Some(details)
    }

    pub(super) fn scan(&self, after: Option<CustomerId>, limit: usize, scores: Option<&ScoresAsked>) -> Scanned {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let ids = self.order.range((from, Bound::Unbounded)).take(limit);
        let row = |customer: &CustomerId| {
            let kept = self.customers.get(customer)?;
            let (traits, shape) = (kept.traits.clone(), kept.state.shape);
            let scores = scores.map(|asked| kept.asked(asked)).unwrap_or_default();
            Some(ScannedRow { customer: *customer, version: kept.version, shape, traits, scores })
        };
        Scanned { rows: ids.filter_map(row).collect(), definitions: self.revision() }
    }

    pub(super) fn history(
        &self,
        customer: CustomerId,
        wanted: Entries,
        after: Option<Cursor>,
        limit: usize,
    ) -> Page<Entry> {
        let entries = self.customers.get(&customer).map_or(&[][..], |kept| &kept.entries);
        // A place is the number of entries before it.
        let start = after.map_or(0, |cursor| usize::try_from(cursor.0).unwrap_or(usize::MAX)).min(entries.len());
        let mut found = (start..entries.len()).filter(|&place| wanted.contain(&entries[place]));
        let places: Vec<usize> = found.by_ref().take(limit.max(1)).collect();
        let next = found.next().and(places.last()).map(|last| Cursor(*last as u64 + 1));
        Page { rows: places.into_iter().map(|place| entries[place].clone()).collect(), next }
    }

    /// One entry of a customer by its place among theirs.
    pub(super) fn entry(&self, customer: CustomerId, place: usize) -> Option<&Entry> {
        self.customers.get(&customer)?.entries.get(place)
    }

    pub(super) fn owner(&self, key: &ClaimKey) -> Option<ClaimOwner> {
        self.claims.get(key).copied()
    }

    pub(super) fn erase(&mut self, customer: CustomerId, keys: &[ClaimKey]) -> Erased {
        let mut claims = 0;
        for key in keys {
            if self.owner(key).is_some_and(|owner| owner.customer == customer) {
                self.claims.remove(key);
                claims += 1;
            }
        }
        let outbox = self.outbox.erase(customer);
        let personal = self.customers.get_mut(&customer).and_then(|kept| {
            kept.version.0 += 1;
            kept.personal.take()
        });
        let personal = personal.unwrap_or_default();
        Erased {
            fields: personal.fields.len() as u64,
            key: personal.key.is_some(),
            tokens: personal.tokens.len() as u64,
            outbox,
            claims,
            copies: Copies::Gone,
        }
    }

    pub(super) fn due(&self, until: Timestamp, limit: usize) -> Vec<Due> {
        self.alarms.iter().take_while(|due| due.alarm.due_at <= until).take(limit).copied().collect()
    }

    pub(super) fn revision(&self) -> u64 {
        self.definitions.len() as u64
    }

    pub(super) fn definitions(&self) -> DefinitionRows {
        DefinitionRows { revision: self.revision(), rows: self.definitions.clone() }
    }

    pub(super) fn define(&mut self, expected: u64, body: Vec<u8>) -> Result<u64, DefineError> {
        let actual = self.revision();
        if expected != actual {
            return Err(DefineError::Conflict { actual });
        }
        self.definitions.push(body);
        Ok(self.revision())
    }
}

impl judge::Kept for Tenant {
    type Error = Infallible;

    fn version(&self, customer: CustomerId) -> Result<Option<Version>, Infallible> {
        Ok(self.customers.get(&customer).map(|kept| kept.version))
    }

    fn request(&self, customer: CustomerId, key: &IdempotencyKey) -> Result<Option<(Digest, Vec<u8>)>, Infallible> {
        let answered = self.requests.get(&(customer, key.clone()));
        Ok(answered.map(|answered| (answered.digest, answered.answer.clone())))
    }

    fn has_event(&self, customer: CustomerId, event: EventId) -> Result<bool, Infallible> {
        Ok(self.customers.get(&customer).is_some_and(|kept| kept.event_ids.contains(event)))
    }

    fn owner(&self, key: &ClaimKey) -> Result<Option<ClaimOwner>, Infallible> {
        Ok(self.claims.get(key).copied())
    }

    fn counter(&self, name: &SmolStr) -> Result<i64, Infallible> {
        Ok(self.counters.get(name).copied().unwrap_or(0))
    }
}

impl Selectable for Kept {
    fn traits(&self) -> &Traits {
        &self.traits
    }

    fn score(&self, plugin: &str, output: &str) -> Option<f64> {
        self.scores_of(plugin, output).last().map(|score| score.value)
    }

    fn has_token(&self, token: Token) -> bool {
        self.personal.as_ref().is_some_and(|personal| personal.tokens.contains(&token))
    }
}

impl Kept {
    fn new() -> Self {
        Kept {
            version: Version(0),
            state: StateRow { shape: 0, bytes: Vec::new() },
            traits: Traits::NONE,
            entries: Vec::new(),
            event_ids: EventIds::Few(Vec::new()),
            scores: Vec::new(),
            personal: None,
        }
    }

    /// Where a score is, or would be.
    fn place_of(&self, plugin: &str, output: &str, at: Timestamp) -> Result<usize, usize> {
        let key = (plugin, output, at);
        self.scores.binary_search_by(|score| (score.plugin.as_str(), score.output.as_str(), score.at).cmp(&key))
    }

    /// The scores of one output, oldest first.
    fn scores_of(&self, plugin: &str, output: &str) -> &[ScoreRow] {
        let is_before = |score: &ScoreRow| (score.plugin.as_str(), score.output.as_str()) < (plugin, output);
        let is_its = |score: &ScoreRow| score.plugin == plugin && score.output == output;
        let start = self.scores.partition_point(is_before);
        let count = self.scores[start..].partition_point(is_its);
        &self.scores[start..start + count]
    }

    fn asked(&self, asked: &ScoresAsked) -> Vec<OutputScores> {
        let of_output = |output: &SmolStr| {
            let own = self.scores_of(&asked.plugin, output);
            let known = own.binary_search_by_key(&asked.at, |score| score.at).ok();
            let known = known.and_then(|place| own.get(place)).cloned();
            OutputScores { instants: own.iter().map(|score| score.at).collect(), known }
        };
        asked.outputs.iter().map(of_output).collect()
    }

    /// Makes room for more entries. Most customers have few, whose vector grows by as much as it needs; of a long one that
    /// would copy all of it for each commit.
    fn make_room(&mut self, more: usize) {
        if self.entries.len() < EventIds::FEW {
            self.entries.reserve_exact(more);
        } else {
            self.entries.reserve(more);
        }
    }

    fn write(&mut self, write: CustomerWrite) {
        let placed = |appended| match appended {
            Appended::Event(event) => Entry::Event(EventRow::clone(event)),
            Appended::Change(change) => Entry::Change(ChangeRow::clone(change)),
        };
        let in_order: Vec<Entry> =
            if write.changes_after.is_empty() { Vec::new() } else { write.appended().map(placed).collect() };
        if let Some(state) = write.state {
            self.version.0 += 1;
            self.state = state;
            self.traits = write.traits;
        }
        write.events.iter().for_each(|event| self.event_ids.insert(event.id));
        self.make_room(write.events.len() + write.changes.len());
        if in_order.is_empty() {
            self.entries.extend(write.events.into_iter().map(Entry::Event));
            self.entries.extend(write.changes.into_iter().map(Entry::Change));
        } else {
            self.entries.extend(in_order);
        }
        for gone in write.scores_gone {
            if let Ok(place) = self.place_of(&gone.plugin, &gone.output, gone.at) {
                self.scores.remove(place);
            }
        }
        for mut score in write.scores {
            // Adding 0 turns -0 into 0 and leaves every other number as it is.
            score.value += 0.0;
            match self.place_of(&score.plugin, &score.output, score.at) {
                Ok(place) => self.scores[place] = score,
                Err(place) => {
                    self.scores.reserve_exact(1);
                    self.scores.insert(place, score);
                }
            }
        }
        if let Some(moved) = write.personal {
            let personal = self.personal.get_or_insert_default();
            if moved.key.is_some() {
                personal.key = moved.key;
            }
            for (name, value) in moved.fields {
                match value {
                    Some(value) => personal.fields.insert(name, value),
                    None => personal.fields.remove(&name),
                };
            }
            if let Some(tokens) = moved.tokens {
                personal.tokens = tokens.into_iter().collect();
            }
        }
    }
}

/// The ids of a customer's events. Most customers have few, and then a scan over neighbouring bytes is
/// faster than a hash table and needs a quarter of its room.
#[derive(Debug)]
enum EventIds {
    Few(Vec<EventId>),
    Many(HashSet<EventId>),
}

impl EventIds {
    const FEW: usize = 64;

    fn contains(&self, id: EventId) -> bool {
        match self {
            EventIds::Few(ids) => ids.contains(&id),
            EventIds::Many(ids) => ids.contains(&id),
        }
    }

    fn insert(&mut self, id: EventId) {
        match self {
            EventIds::Few(ids) if ids.len() < Self::FEW => ids.push(id),
            EventIds::Few(ids) => *self = EventIds::Many(ids.drain(..).chain([id]).collect()),
            EventIds::Many(ids) => {
                ids.insert(id);
            }
        }
    }
}

fn owner_of(claim: &Claim) -> ClaimOwner {
    ClaimOwner { customer: claim.customer, event: claim.event }
}
