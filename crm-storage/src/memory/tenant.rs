//! What is kept of one tenant: judging a commit, applying it, and reading.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use crm_core::{CustomerId, Digest, EventId, SmolStr, Timestamp};

use super::id_hash::IdHash;
use super::outbox::Outbox;
use crate::commit::{
    Claim, ClaimKey, Commit, Committed, CounterStep, CustomerWrite, Expected, IdempotencyKey, Version,
};
use crate::error::{CommitError, DefineError};
use crate::row::{ChangeRow, ClaimOwner, CustomerRow, DefinitionRows, Due, EventRow, ScoreRow, StateRow};

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
    events: Vec<EventRow>,
    event_ids: EventIds,
    changes: Vec<ChangeRow>,
    scores: BTreeMap<(SmolStr, SmolStr, Timestamp), ScoreRow>,
}

#[derive(Debug)]
struct Answered {
    digest: Digest,
    answer: Vec<u8>,
}

impl Tenant {
    pub(super) fn commit(&mut self, commit: Commit) -> Result<Committed, CommitError> {
        commit.check()?;
        if let Some(answer) = self.answered(&commit)? {
            return Ok(Committed::Replayed { answer });
        }
        self.judge(&commit)?;
        Ok(Committed::Done { versions: self.apply(commit) })
    }

    fn answered(&self, commit: &Commit) -> Result<Option<Vec<u8>>, CommitError> {
        let Some(request) = &commit.request else { return Ok(None) };
        match self.requests.get(&(request.customer, request.key.clone())) {
            None => Ok(None),
            Some(first) if first.digest == request.digest => Ok(Some(first.answer.clone())),
            Some(_) => Err(CommitError::KeyReused),
        }
    }

    fn judge(&self, commit: &Commit) -> Result<(), CommitError> {
        commit.writes.iter().try_for_each(|write| self.judge_version(write))?;
        commit.writes.iter().try_for_each(|write| self.judge_events(write))?;
        commit.claims.iter().try_for_each(|claim| self.judge_claim(claim))?;
        self.judge_counters(&commit.counters)
    }

    fn judge_version(&self, write: &CustomerWrite) -> Result<(), CommitError> {
        let actual = self.customers.get(&write.customer).map(|kept| kept.version);
        let expected = match write.expected {
            Expected::New => None,
            Expected::At(version) => Some(version),
        };
        if actual == expected { Ok(()) } else { Err(CommitError::Conflict { customer: write.customer, actual }) }
    }

    fn judge_events(&self, write: &CustomerWrite) -> Result<(), CommitError> {
        let Some(kept) = self.customers.get(&write.customer) else { return Ok(()) };
        match write.events.iter().find(|event| kept.event_ids.contains(event.id)) {
            None => Ok(()),
            Some(event) => Err(CommitError::EventExists { customer: write.customer, event: event.id }),
        }
    }

    fn judge_claim(&self, claim: &Claim) -> Result<(), CommitError> {
        match self.claims.get(&claim.key) {
            Some(&owner) if owner != owner_of(claim) => Err(CommitError::Claimed { key: claim.key.clone(), owner }),
            _ => Ok(()),
        }
    }

    /// Steps of one counter add up within a commit.
    fn judge_counters(&self, steps: &[CounterStep]) -> Result<(), CommitError> {
        let mut moved: BTreeMap<&SmolStr, i128> = BTreeMap::new();
        for CounterStep { name, by, limit } in steps {
            let value = moved.entry(name).or_insert_with(|| self.counters.get(name).copied().unwrap_or(0).into());
            *value += i128::from(*by);
            if !(0..=i128::from(*limit)).contains(value) {
                return Err(CommitError::CounterLimit { name: name.clone(), value: *value, limit: *limit });
            }
        }
        Ok(())
    }

    fn apply(&mut self, commit: Commit) -> Vec<Version> {
        let versions = commit.writes.into_iter().map(|write| self.write(write)).collect();
        for claim in commit.claims {
            let owner = owner_of(&claim);
            self.claims.insert(claim.key, owner);
        }
        for step in commit.counters {
            // Each step was judged to stay between 0 and its limit, so the sum cannot overflow.
            *self.counters.entry(step.name).or_insert(0) += step.by;
        }
        commit.outbox.into_iter().for_each(|entry| self.outbox.add(entry));
        if let Some(request) = commit.request {
            let answered = Answered { digest: request.digest, answer: request.answer };
            self.requests.insert((request.customer, request.key), answered);
        }
        versions
    }

    fn write(&mut self, write: CustomerWrite) -> Version {
        if let Some(alarm) = write.alarm {
            let due = |alarm| Due { alarm, customer: write.customer };
            alarm.from.map(|from| self.alarms.remove(&due(from)));
            alarm.to.map(|to| self.alarms.insert(due(to)));
        }
        let CustomerWrite { customer, state, events, changes, scores, .. } = write;
        match (self.customers.get_mut(&customer), state) {
            (Some(kept), state) => kept.write(state, events, changes, scores),
            (None, Some(state)) => {
                let mut kept = Kept::new(state);
                kept.add(events, changes, scores);
                let version = kept.version;
                self.customers.insert(customer, kept);
                self.order.insert(customer);
                version
            }
            // A write without a state was judged to be for a customer who is there.
            (None, None) => Version(0),
        }
    }

    pub(super) fn customer(&self, customer: CustomerId) -> Option<CustomerRow> {
        let kept = self.customers.get(&customer)?;
        Some(CustomerRow { customer, version: kept.version, state: kept.state.clone() })
    }

    pub(super) fn customers(&self, after: Option<CustomerId>, limit: usize) -> Vec<CustomerRow> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let ids = self.order.range((from, Bound::Unbounded)).take(limit);
        ids.filter_map(|&customer| self.customer(customer)).collect()
    }

    pub(super) fn events(&self, customer: CustomerId) -> &[EventRow] {
        self.customers.get(&customer).map_or(&[], |kept| &kept.events)
    }

    pub(super) fn changes(&self, customer: CustomerId) -> &[ChangeRow] {
        self.customers.get(&customer).map_or(&[], |kept| &kept.changes)
    }

    pub(super) fn scores(&self, customer: CustomerId) -> Vec<ScoreRow> {
        self.customers.get(&customer).map_or_else(Vec::new, |kept| kept.scores.values().cloned().collect())
    }

    pub(super) fn owner(&self, key: &ClaimKey) -> Option<ClaimOwner> {
        self.claims.get(key).copied()
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

impl Kept {
    fn new(state: StateRow) -> Self {
        Kept {
            version: Version(1),
            state,
            events: Vec::new(),
            event_ids: EventIds::Few(Vec::new()),
            changes: Vec::new(),
            scores: BTreeMap::new(),
        }
    }

    fn write(
        &mut self,
        state: Option<StateRow>,
        events: Vec<EventRow>,
        changes: Vec<ChangeRow>,
        scores: Vec<ScoreRow>,
    ) -> Version {
        if let Some(state) = state {
            self.version.0 += 1;
            self.state = state;
        }
        self.add(events, changes, scores);
        self.version
    }

    fn add(&mut self, events: Vec<EventRow>, changes: Vec<ChangeRow>, scores: Vec<ScoreRow>) {
        events.iter().for_each(|event| self.event_ids.insert(event.id));
        append(&mut self.events, events);
        append(&mut self.changes, changes);
        for mut score in scores {
            // Adding 0 turns -0 into 0 and leaves every other number as it is.
            score.value += 0.0;
            self.scores.insert((score.plugin.clone(), score.output.clone(), score.at), score);
        }
    }
}

/// Appends by taking over the new list where there was none.
fn append<T>(rows: &mut Vec<T>, mut new: Vec<T>) {
    if rows.is_empty() { *rows = new } else { rows.append(&mut new) }
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
