//! The outbox of one tenant: what waits, in the order in which it is due, and who works on it.

use std::collections::{BTreeSet, HashMap};

use crm_core::{EventId, Span, Timestamp};

use crate::commit::OutboxEntry;
use crate::row::{LeaseToken, Leased, Settlement, Verdict};

#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: HashMap<EventId, Waiting>,
    order: BTreeSet<(Timestamp, EventId)>,
    /// How many leases were given; each has the number as its token, so no token comes twice.
    leases: u64,
}

#[derive(Debug)]
struct Waiting {
    entry: OutboxEntry,
    attempt: u32,
    lease: Option<Lease>,
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
            self.waiting.insert(entry.id, Waiting { entry, attempt: 0, lease: None });
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
        self.order.remove(&(waiting.entry.due_at, settlement.id));
        match settlement.verdict {
            Verdict::Done => {
                self.waiting.remove(&settlement.id);
            }
            Verdict::Retry { at } => {
                waiting.lease = None;
                waiting.entry.due_at = at;
                self.order.insert((at, settlement.id));
            }
        }
        true
    }
}

impl Waiting {
    fn is_free(&self, now: Timestamp) -> bool {
        self.lease.is_none_or(|lease| lease.until <= now)
    }

    fn lease_out(&mut self, lease: Lease) -> Leased {
        self.lease = Some(lease);
        self.attempt = self.attempt.saturating_add(1);
        Leased { entry: self.entry.clone(), token: lease.token, attempt: self.attempt }
    }
}
