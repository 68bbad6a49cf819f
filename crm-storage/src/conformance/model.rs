//! What a store should do, written as plainly as possible: one map for each kind of row, and a commit
//! that is tried on a copy of them all.

use std::collections::{BTreeMap, BTreeSet};

use crm_core::{CustomerId, SmolStr, Span, Timestamp};

use super::shop::Seen;
use crate::commit::{ClaimKey, Commit, Committed, Expected, IdempotencyKey, OutboxEntry, Request, Version};
use crate::error::CommitError;
use crate::row::{
    ChangeRow, ClaimOwner, CustomerRow, Due, EventRow, LeaseToken, Leased, ScoreRow, Settlement, Verdict,
};

#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    customers: BTreeMap<CustomerId, CustomerRow>,
    events: BTreeMap<CustomerId, Vec<EventRow>>,
    changes: BTreeMap<CustomerId, Vec<ChangeRow>>,
    scores: BTreeMap<CustomerId, BTreeMap<(SmolStr, SmolStr, Timestamp), ScoreRow>>,
    alarms: BTreeSet<Due>,
    pub(super) claims: BTreeMap<ClaimKey, ClaimOwner>,
    pub(super) counters: BTreeMap<SmolStr, i64>,
    requests: BTreeMap<(CustomerId, IdempotencyKey), Request>,
    outbox: Vec<Waiting>,
    pub(super) definitions: Vec<Vec<u8>>,
}

#[derive(Debug, Clone)]
struct Waiting {
    entry: OutboxEntry,
    attempt: u32,
    /// Whatever token the store gave, and when the lease ends.
    lease: Option<(LeaseToken, Timestamp)>,
    /// Why it was given up.
    dead: Option<SmolStr>,
}

impl Model {
    pub(super) fn commit(&mut self, commit: &Commit) -> Result<Committed, CommitError> {
        commit.check()?;
        if let Some(request) = &commit.request
            && let Some(first) = self.requests.get(&(request.customer, request.key.clone()))
        {
            let same = first.digest == request.digest;
            return if same {
                Ok(Committed::Replayed { answer: first.answer.clone() })
            } else {
                Err(CommitError::KeyReused)
            };
        }
        let mut tried = self.clone();
        let versions = tried.apply(commit)?;
        *self = tried;
        Ok(Committed::Done { versions })
    }

    fn apply(&mut self, commit: &Commit) -> Result<Vec<Version>, CommitError> {
        for write in &commit.writes {
            let actual = self.version(write.customer);
            let expected = match write.expected {
                Expected::New => None,
                Expected::At(version) => Some(version),
            };
            if actual != expected {
                return Err(CommitError::Conflict { customer: write.customer, actual });
            }
        }
        for write in &commit.writes {
            let events = self.events.entry(write.customer).or_default();
            for event in &write.events {
                if events.iter().any(|other| other.id == event.id) {
                    return Err(CommitError::EventExists { customer: write.customer, event: event.id });
                }
                events.push(event.clone());
            }
        }
        for claim in &commit.claims {
            let owner = ClaimOwner { customer: claim.customer, event: claim.event };
            let actual = *self.claims.entry(claim.key.clone()).or_insert(owner);
            if actual != owner {
                return Err(CommitError::Claimed { key: claim.key.clone(), owner: actual });
            }
        }
        for step in &commit.counters {
            let counter = self.counters.entry(step.name.clone()).or_insert(0);
            let value = i128::from(*counter) + i128::from(step.by);
            if value < 0 || value > i128::from(step.limit) {
                return Err(CommitError::CounterLimit { name: step.name.clone(), value, limit: step.limit });
            }
            *counter += step.by;
        }
        for write in &commit.writes {
            if let Some(state) = &write.state {
                let version = Version(self.version(write.customer).map_or(0, |version| version.0) + 1);
                let row = CustomerRow { customer: write.customer, version, state: state.clone() };
                self.customers.insert(write.customer, row);
            }
            self.changes.entry(write.customer).or_default().extend(write.changes.iter().cloned());
            for score in &write.scores {
                let key = (score.plugin.clone(), score.output.clone(), score.at);
                self.scores.entry(write.customer).or_default().insert(key, score.clone());
            }
            let due = |alarm| Due { alarm, customer: write.customer };
            write.alarm.and_then(|moved| moved.from).map(|alarm| self.alarms.remove(&due(alarm)));
            write.alarm.and_then(|moved| moved.to).map(|alarm| self.alarms.insert(due(alarm)));
        }
        for entry in &commit.outbox {
            if self.outbox.iter().all(|waiting| waiting.entry.id != entry.id) {
                self.outbox.push(Waiting { entry: entry.clone(), attempt: 0, lease: None, dead: None });
            }
        }
        if let Some(request) = &commit.request {
            self.requests.insert((request.customer, request.key.clone()), request.clone());
        }
        Ok(commit.writes.iter().filter_map(|write| self.version(write.customer)).collect())
    }

    pub(super) fn version(&self, customer: CustomerId) -> Option<Version> {
        self.customers.get(&customer).map(|row| row.version)
    }

    /// The one alarm of a customer.
    pub(super) fn alarm(&self, customer: CustomerId) -> Option<crm_core::Alarm> {
        self.alarms.iter().find(|due| due.customer == customer).map(|due| due.alarm)
    }

    /// Checks what the store leased, and remembers its tokens.
    pub(super) fn lease(&mut self, now: Timestamp, lease: Span, limit: usize, leased: &[Leased]) {
        self.outbox.sort_by_key(|waiting| (waiting.entry.due_at, waiting.entry.id));
        let free = self
            .outbox
            .iter_mut()
            .filter(|waiting| waiting.dead.is_none() && waiting.entry.due_at <= now)
            .filter(|waiting| waiting.lease.is_none_or(|(_, until)| until <= now));
        let mut given = leased.iter();
        for waiting in free.take(limit) {
            let leased = given.next().expect("the store leases every entry that is due and free");
            waiting.attempt += 1;
            assert_eq!((&leased.entry, leased.attempt), (&waiting.entry, waiting.attempt));
            assert_ne!(waiting.lease.map(|(token, _)| token), Some(leased.token), "another lease has another token");
            waiting.lease = Some((leased.token, now.plus(lease)));
        }
        assert_eq!(given.next(), None, "the store leases nothing else");
    }

    pub(super) fn settle(&mut self, settlement: &Settlement) -> bool {
        let found = self.outbox.iter().position(|waiting| {
            waiting.entry.id == settlement.id && waiting.lease.is_some_and(|(token, _)| token == settlement.token)
        });
        let Some(at) = found else { return false };
        let waiting = &mut self.outbox[at];
        match &settlement.verdict {
            Verdict::Done => drop(self.outbox.remove(at)),
            Verdict::Retry { at: due_at } => {
                (waiting.lease, waiting.dead) = (None, None);
                waiting.entry.due_at = *due_at;
            }
            Verdict::GiveBack => {
                (waiting.lease, waiting.dead) = (None, None);
                waiting.attempt -= 1;
            }
            Verdict::Dead { reason } => waiting.dead = Some(reason.clone()),
        }
        true
    }

    /// What the store should show, but for the outbox.
    pub(super) fn seen(&self) -> Seen {
        let of =
            |customer: &CustomerId| (self.events.get(customer), self.changes.get(customer), self.scores.get(customer));
        let lists: Vec<_> = self.customers.keys().map(of).collect();
        Seen {
            customers: self.customers.values().cloned().collect(),
            events: lists.iter().map(|(events, _, _)| events.cloned().unwrap_or_default()).collect(),
            changes: lists.iter().map(|(_, changes, _)| changes.cloned().unwrap_or_default()).collect(),
            scores: lists
                .iter()
                .map(|(_, _, scores)| scores.iter().flat_map(|map| map.values().cloned()).collect())
                .collect(),
            due: self.alarms.iter().copied().collect(),
            outbox: Vec::new(),
            definitions: self.definitions.clone(),
        }
    }
}
