//! The outbox: what the host is to be told, delivered at least once.

use std::collections::HashSet;

use crm_core::event::JsonProblem;
use crm_core::workflow::Fields;
use crm_core::{CustomerId, EventId, SmolStr, Span, Timestamp};
use crm_storage::{DeadLetter, Leased, OutboxEntry, Settlement, Verdict};

use super::Crm;
use crate::error::Error;

/// Something that the host is to be told.
#[derive(Clone, PartialEq)]
pub struct Delivery {
    /// The same however often it is delivered: what was handled under it once need not be again.
    pub id: EventId,
    /// About whom.
    pub customer: CustomerId,
    /// What about.
    pub topic: SmolStr,
    /// The facts of it.
    pub fields: Fields,
    /// Which attempt it is, from 1.
    pub attempt: u32,
}

/// Shows which fields there are, and none of their values, which may tell of a person.
impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Delivery { id, customer, topic, fields, attempt } = self;
        f.debug_struct("Delivery")
            .field("id", id)
            .field("customer", customer)
            .field("topic", topic)
            .field("fields", &fields.keys().map(crm_core::workflow::FieldName::as_str).collect::<Vec<_>>())
            .field("attempt", attempt)
            .finish()
    }
}

/// What a host did with a delivery.
#[derive(Clone, PartialEq, Eq)]
pub enum Delivered {
    /// It is done.
    Done,
    /// It failed: again after this time. After [`ATTEMPTS`] attempts it is given up.
    Retry(Span),
    /// It was not tried, because the host is busy or shuts down: it and the rest are handed out at the next
    /// call, as if they had not been now.
    GiveBack,
    /// It will never succeed: it becomes a dead letter, with the reason.
    Dead(SmolStr),
}

/// Shows nothing of a reason: a mail server's answer quotes the address.
impl std::fmt::Debug for Delivered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Delivered::Done => f.write_str("Done"),
            Delivered::Retry(after) => f.debug_tuple("Retry").field(after).finish(),
            Delivered::GiveBack => f.write_str("GiveBack"),
            Delivered::Dead(reason) => write!(f, "Dead({} bytes)", reason.len()),
        }
    }
}

/// After so many attempts a delivery that failed becomes a dead letter.
pub const ATTEMPTS: u32 = 100;

/// How long a handler has, before somebody else may be given the same entry.
const LEASE: Span = Span::millis(5 * 60 * 1_000);
const DELIVERIES_PER_LEASE: usize = 64;

/// An entry as it is handed out; the reason why it cannot be, if its body cannot be read.
fn deliverable(lease: Leased) -> Result<Delivery, SmolStr> {
    let OutboxEntry { id, customer, topic, body, .. } = lease.entry;
    match serde_json::from_slice(&body) {
        Ok(fields) => Ok(Delivery { id, customer, topic, fields, attempt: lease.attempt }),
        Err(error) => Err(SmolStr::new(format!("its body cannot be read: {}", JsonProblem::from(&error)))),
    }
}

impl Crm {
    /// Hands what is due in the outbox to a handler, oldest first, until nothing is due any more. Each
    /// entry is handed out at least once, and once more if the process dies before it is settled.
    /// Answers how many were done.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed; what was not settled is handed out again later.
    pub async fn deliver<H>(&self, now: Timestamp, mut handler: H) -> Result<u64, Error>
    where
        H: FnMut(&Delivery) -> Delivered + Send,
    {
        self.check_ledger().await?;
        let mut done = 0;
        let mut put_off = HashSet::new();
        let mut stop = false;
        loop {
            let leased = self.store().lease(&self.tenant, now, LEASE, DELIVERIES_PER_LEASE).await?;
            if leased.is_empty() {
                return Ok(done);
            }
            let mut settlements = Vec::with_capacity(leased.len());
            // At the end of time an entry that was put off is due again at once.
            let fresh = leased.iter().any(|lease| !put_off.contains(&lease.entry.id));
            for lease in leased {
                let (id, token) = (lease.entry.id, lease.token);
                let verdict = match deliverable(lease) {
                    _ if stop || put_off.contains(&id) => Verdict::GiveBack,
                    Err(reason) => Verdict::Dead { reason },
                    Ok(delivery) => match handler(&delivery) {
                        Delivered::Done => Verdict::Done,
                        Delivered::GiveBack => {
                            stop = true;
                            Verdict::GiveBack
                        }
                        Delivered::Dead(reason) => Verdict::Dead { reason },
                        // One that was revived has as many again.
                        Delivered::Retry(_) if delivery.attempt.is_multiple_of(ATTEMPTS) => {
                            Verdict::Dead { reason: SmolStr::new(format!("failed {ATTEMPTS} times")) }
                        }
                        Delivered::Retry(after) => {
                            put_off.insert(id);
                            Verdict::Retry { at: now.plus(after.max(Span::millis(1))) }
                        }
                    },
                };
                settlements.push(Settlement { id, token, verdict });
            }
            let settled = self.store().settle(&self.tenant, &settlements).await?;
            let done_now = settlements.iter().zip(settled).filter(|(s, ok)| *ok && s.verdict == Verdict::Done);
            done += done_now.count() as u64;
            if !fresh || stop {
                return Ok(done);
            }
        }
    }

    /// Deliveries that were given up, in the order of when they were due, at most `limit` of them (at least
    /// one) after one that was listed before.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn dead_letters(&self, after: Option<&DeadLetter>, limit: usize) -> Result<Vec<DeadLetter>, Error> {
        self.check_ledger().await?;
        Ok(self.store().dead_letters(&self.tenant, after, limit).await?)
    }

    /// Has a dead letter delivered again from an instant on, or takes it away if there is none. Answers
    /// whether it was still there.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn revive(&self, letter: &DeadLetter, at: Option<Timestamp>) -> Result<bool, Error> {
        let verdict = at.map_or(Verdict::Done, |at| Verdict::Retry { at });
        let settlement = Settlement { id: letter.entry.id, token: letter.token, verdict };
        Ok(self.store().settle(&self.tenant, &[settlement]).await? == [true])
    }
}
