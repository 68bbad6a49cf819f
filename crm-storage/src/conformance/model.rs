//! What a store should do, written as plainly as possible: one map for each kind of row, and a commit
//! that is tried on a copy of them all.

use std::collections::{BTreeMap, BTreeSet};

use crm_core::{CustomerId, EventId, SmolStr, Span, Timestamp};

use super::shop::Seen;
use crate::commit::{
    ClaimKey, Commit, Committed, Expected, IdempotencyKey, OutboxEntry, Request, Token, Traits, Version,
};
use crate::error::CommitError;
use crate::row::{
    ClaimOwner, CustomerRow, Details, Due, Entry, LeaseToken, Leased, RequestRow, ScoreRow, Settlement, Verdict,
};
use crate::selection::{Selectable, Selection};

#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    customers: BTreeMap<CustomerId, CustomerRow>,
    entries: BTreeMap<CustomerId, Vec<Entry>>,
    traits: BTreeMap<CustomerId, Traits>,
    scores: BTreeMap<CustomerId, BTreeMap<(SmolStr, SmolStr, Timestamp), ScoreRow>>,
    people: BTreeMap<CustomerId, Person>,
    alarms: BTreeSet<Due>,
    pub(super) claims: BTreeMap<ClaimKey, ClaimOwner>,
    pub(super) counters: BTreeMap<SmolStr, i64>,
    requests: BTreeMap<(CustomerId, IdempotencyKey), Request>,
    outbox: Vec<Waiting>,
    pub(super) definitions: Vec<Vec<u8>>,
}

/// What is personal about a customer.
#[derive(Debug, Clone, Default)]
struct Person {
    key: Option<Vec<u8>>,
    fields: BTreeMap<SmolStr, Vec<u8>>,
    tokens: BTreeSet<Token>,
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
            let entries = self.entries.entry(write.customer).or_default();
            for event in &write.events {
                if entries.iter().any(|entry| is_event(entry, event.id)) {
                    return Err(CommitError::EventExists { customer: write.customer, event: event.id });
                }
                entries.push(Entry::Event(event.clone()));
            }
        }
        for release in &commit.releases {
            match self.claims.remove(&release.key) {
                Some(owner) if owner.customer == release.customer => {}
                _ => return Err(CommitError::NotOwned { key: release.key.clone(), customer: release.customer }),
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
                let sets = write.traits.sets.clone();
                let row = CustomerRow { customer: write.customer, version, state: state.clone(), sets };
                self.customers.insert(write.customer, row);
                self.traits.insert(write.customer, write.traits.clone());
            }
            let changes = write.changes.iter().cloned().map(Entry::Change);
            self.entries.entry(write.customer).or_default().extend(changes);
            if let Some(moved) = &write.personal {
                let person = self.people.entry(write.customer).or_default();
                person.key = moved.key.clone().or(person.key.take());
                for (name, value) in &moved.fields {
                    person.fields.remove(name);
                    person.fields.extend(value.clone().map(|value| (name.clone(), value)));
                }
                if let Some(tokens) = &moved.tokens {
                    person.tokens = tokens.iter().copied().collect();
                }
            }
            for gone in &write.scores_gone {
                let key = (gone.plugin.clone(), gone.output.clone(), gone.at);
                self.scores.entry(write.customer).or_default().remove(&key);
            }
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

    /// Dead letters in order, with their attempts and reasons.
    fn dead(&self) -> Vec<(OutboxEntry, u32, SmolStr)> {
        let letter = |waiting: &Waiting| Some((waiting.entry.clone(), waiting.attempt, waiting.dead.clone()?));
        let mut letters: Vec<_> = self.outbox.iter().filter_map(letter).collect();
        letters.sort_by_key(|(entry, _, _)| (entry.due_at, entry.id));
        letters
    }

    /// Whether an entry of this id was given up.
    pub(super) fn is_dead(&self, id: EventId) -> bool {
        self.outbox.iter().any(|waiting| waiting.entry.id == id && waiting.dead.is_some())
    }

    /// Says how many fields, keys of the person, tokens, outbox entries and claims are gone.
    pub(super) fn erase(&mut self, customer: CustomerId, keys: &[ClaimKey]) -> [u64; 5] {
        self.customers.entry(customer).and_modify(|row| row.version.0 += 1);
        let person = self.people.remove(&customer).unwrap_or_default();
        let (outbox, claims) = (self.outbox.len(), self.claims.len());
        self.outbox.retain(|waiting| waiting.entry.customer != customer);
        self.claims.retain(|key, owner| owner.customer != customer || !keys.contains(key));
        [
            person.fields.len() as u64,
            u64::from(person.key.is_some()),
            person.tokens.len() as u64,
            (outbox - self.outbox.len()) as u64,
            (claims - self.claims.len()) as u64,
        ]
    }

    pub(super) fn select(&self, selection: &Selection) -> Vec<CustomerId> {
        let meant = |id: &CustomerId| selection.holds(&Candidate { model: self, id: *id });
        self.customers.keys().copied().filter(meant).collect()
    }

    fn details(&self, customer: CustomerId) -> Details {
        let person = self.people.get(&customer).cloned().unwrap_or_default();
        let requests = self.requests.values().filter(|request| request.customer == customer);
        let row = |request: &Request| RequestRow {
            key: request.key.clone(),
            digest: request.digest,
            answer: request.answer.clone(),
        };
        let about = self.outbox.iter().filter(|waiting| waiting.entry.customer == customer);
        let mut about: Vec<&Waiting> = about.collect();
        about.sort_by_key(|waiting| (waiting.dead.is_some(), waiting.entry.due_at, waiting.entry.id));
        Details {
            traits: self.traits.get(&customer).cloned().unwrap_or_default(),
            scores: self.scores.get(&customer).into_iter().flat_map(|scores| scores.values().cloned()).collect(),
            key: person.key,
            personal: person.fields.into_iter().collect(),
            tokens: person.tokens.len() as u64,
            requests: requests.map(row).collect(),
            outbox: about.into_iter().map(|waiting| waiting.entry.clone()).collect(),
        }
    }

    /// What the store should show, but for the outbox.
    pub(super) fn seen(&self) -> Seen {
        let history: Vec<Vec<Entry>> =
            self.customers.keys().map(|id| self.entries.get(id).cloned().unwrap_or_default()).collect();
        let event = |entry: &Entry| if let Entry::Event(event) = entry { Some(event.clone()) } else { None };
        let change = |entry: &Entry| if let Entry::Change(change) = entry { Some(change.clone()) } else { None };
        Seen {
            customers: self.customers.values().cloned().collect(),
            events: history.iter().map(|entries| entries.iter().filter_map(event).collect()).collect(),
            changes: history.iter().map(|entries| entries.iter().filter_map(change).collect()).collect(),
            history,
            details: self.customers.keys().map(|id| self.details(*id)).collect(),
            due: self.alarms.iter().copied().collect(),
            outbox: Vec::new(),
            dead: self.dead(),
            definitions: self.definitions.clone(),
        }
    }
}

fn is_event(entry: &Entry, id: EventId) -> bool {
    matches!(entry, Entry::Event(event) if event.id == id)
}

/// A customer of the model, of whom a selection is asked.
struct Candidate<'a> {
    model: &'a Model,
    id: CustomerId,
}

impl Selectable for Candidate<'_> {
    fn traits(&self) -> &Traits {
        static NONE: Traits = Traits::NONE;
        self.model.traits.get(&self.id).unwrap_or(&NONE)
    }

    fn score(&self, plugin: &str, output: &str) -> Option<f64> {
        let mut scores = self.model.scores.get(&self.id)?.values();
        scores.rfind(|score| score.plugin == plugin && score.output == output).map(|score| score.value)
    }

    fn has_token(&self, token: Token) -> bool {
        self.model.people.get(&self.id).is_some_and(|person| person.tokens.contains(&token))
    }
}
