//! The outbox of one tenant: what waits, in the order in which it is due, and who works on it.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;

use crm_core::{CustomerId, EventId, SmolStr, Span, Timestamp};

use crate::commit::{GivenUp, OutboxEntry};
use crate::row::{DeadLetter, LeaseToken, Leased, Settlement, Verdict};

#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: HashMap<EventId, Waiting>,
    order: BTreeSet<(Timestamp, EventId)>,
    dead: BTreeSet<(Timestamp, EventId)>,
    /// How many leases were given; each has the number as its token, so no token comes twice.
    leases: u64,
}

#[derive(Debug)]
struct Waiting {
    entry: OutboxEntry,
    attempt: u32,
    lease: Option<Lease>,
    /// Why it was given up, if it was.
    dead: Option<SmolStr>,
}

/// The latest lease of an entry, until it is settled.
#[derive(Debug, Clone, Copy)]
struct Lease {
    token: LeaseToken,
    until: Timestamp,
}

impl Outbox {
    pub(super) fn add(&mut self, entry: OutboxEntry) {
        if !self.waiting.contains_key(&entry.id) {
            self.order.insert((entry.due_at, entry.id));
            self.waiting.insert(entry.id, Waiting { entry, attempt: 0, lease: None, dead: None });
        }
    }

    /// Adds an entry that was given up elsewhere.
    pub(super) fn bury(&mut self, letter: GivenUp) {
        let GivenUp { entry, attempts, reason } = letter;
        if !self.waiting.contains_key(&entry.id) {
            self.dead.insert((entry.due_at, entry.id));
            let lease = Some(Lease { token: LeaseToken(0), until: Timestamp::MIN });
            self.waiting.insert(entry.id, Waiting { entry, attempt: attempts, lease, dead: Some(reason) });
        }
    }

    pub(super) fn lease(&mut self, now: Timestamp, lease: Span, limit: usize) -> Vec<Leased> {
        let token = LeaseToken(self.leases + 1);
        let due = self.order.iter().take_while(|(due_at, _)| *due_at <= now);
        let free = due.filter(|(_, id)| self.waiting.get(id).is_some_and(|waiting| waiting.is_free(now)));
        let ids: Vec<EventId> = free.take(limit).map(|&(_, id)| id).collect();
        if !ids.is_empty() {
            self.leases = token.0;
        }
        let lease = Lease { token, until: now.plus(lease) };
        ids.into_iter().filter_map(|id| Some(self.waiting.get_mut(&id)?.lease_out(lease))).collect()
    }

    pub(super) fn settle(&mut self, settlement: &Settlement) -> bool {
        let Some(waiting) = self.waiting.get_mut(&settlement.id) else { return false };
        if waiting.lease.is_none_or(|lease| lease.token != settlement.token) {
            return false;
        }
        let place = (waiting.entry.due_at, settlement.id);
        self.order.remove(&place);
        self.dead.remove(&place);
        match &settlement.verdict {
            Verdict::Done => {
                self.waiting.remove(&settlement.id);
            }
            Verdict::Retry { at } => {
                (waiting.lease, waiting.dead) = (None, None);
                waiting.entry.due_at = *at;
                self.order.insert((*at, settlement.id));
            }
            Verdict::GiveBack => {
                (waiting.lease, waiting.dead) = (None, None);
                waiting.attempt = waiting.attempt.saturating_sub(1);
                self.order.insert(place);
            }
            Verdict::Dead { reason } => {
                waiting.dead = Some(reason.clone());
                self.dead.insert(place);
            }
        }
        true
    }

    pub(super) fn dead_letters(&self, after: Option<&DeadLetter>, limit: usize) -> Vec<DeadLetter> {
        let after = after.map_or(Bound::Unbounded, |after| Bound::Excluded((after.entry.due_at, after.entry.id)));
        let dead = self.dead.range((after, Bound::Unbounded)).take(limit);
        dead.filter_map(|(_, id)| self.waiting.get(id)?.dead_letter()).collect()
    }

    /// Entries about a customer: those that wait, then the dead ones.
    pub(super) fn about(&self, customer: CustomerId) -> Vec<OutboxEntry> {
        let ids = self.order.iter().chain(&self.dead).map(|(_, id)| id);
        let entries = ids.filter_map(|id| self.waiting.get(id)).map(|waiting| &waiting.entry);
        entries.filter(|entry| entry.customer == customer).cloned().collect()
    }

    /// Removes the entries about a customer; says how many.
    pub(super) fn erase(&mut self, customer: CustomerId) -> u64 {
        let gone: Vec<(Timestamp, EventId)> =
            self.about(customer).into_iter().map(|entry| (entry.due_at, entry.id)).collect();
        for place in &gone {
            self.order.remove(place);
            self.dead.remove(place);
            self.waiting.remove(&place.1);
        }
        gone.len() as u64
    }
}

impl Waiting {
    fn dead_letter(&self) -> Option<DeadLetter> {
        let (reason, lease) = (self.dead.clone()?, self.lease?);
        Some(DeadLetter { entry: self.entry.clone(), attempts: self.attempt, reason, token: lease.token })
    }

    fn is_free(&self, now: Timestamp) -> bool {
        self.lease.is_none_or(|lease| lease.until <= now)
    }

    fn lease_out(&mut self, lease: Lease) -> Leased {
        self.lease = Some(lease);
        self.attempt = self.attempt.saturating_add(1);
        Leased { entry: self.entry.clone(), token: lease.token, attempt: self.attempt }
    }
}
