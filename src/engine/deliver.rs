//! The outbox: what the host is to be told, delivered at least once.

use std::collections::HashSet;

use crm_core::workflow::Fields;
use crm_core::{CustomerId, EventId, SmolStr, Span, Timestamp};
use crm_storage::{Settlement, Verdict};

use super::Crm;
use crate::error::Error;

/// Something that the host is to be told.
#[derive(Debug, Clone, PartialEq)]
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

/// What a host did with a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// It is done.
    Done,
    /// It failed: again after this time.
    Retry(Span),
}

/// How long a handler has, before somebody else may be given the same entry.
const LEASE: Span = Span::millis(5 * 60 * 1_000);
const DELIVERIES_PER_LEASE: usize = 64;

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
        let mut done = 0;
        let mut put_off = HashSet::new();
        loop {
            let leased = self.store().lease(&self.tenant, now, LEASE, DELIVERIES_PER_LEASE).await?;
            if leased.is_empty() {
                return Ok(done);
            }
            let mut settlements = Vec::with_capacity(leased.len());
            // At the end of time an entry that was put off is due again at once.
            let fresh = leased.iter().any(|lease| !put_off.contains(&lease.entry.id));
            for lease in leased {
                if put_off.contains(&lease.entry.id) {
                    continue;
                }
                let fields = serde_json::from_slice(&lease.entry.body)
                    .map_err(|e| Error::corrupt(format!("outbox entry {}: {e}", lease.entry.id)))?;
                let delivery = Delivery {
                    id: lease.entry.id,
                    customer: lease.entry.customer,
                    topic: lease.entry.topic,
                    fields,
                    attempt: lease.attempt,
                };
                let verdict = match handler(&delivery) {
                    Delivered::Done => Verdict::Done,
                    Delivered::Retry(after) => {
                        put_off.insert(delivery.id);
                        Verdict::Retry { at: now.plus(after.max(Span::millis(1))) }
                    }
                };
                settlements.push(Settlement { id: delivery.id, token: lease.token, verdict });
            }
            let settled = self.store().settle(&self.tenant, &settlements).await?;
            let done_now = settlements.iter().zip(settled).filter(|(s, ok)| *ok && s.verdict == Verdict::Done);
            done += done_now.count() as u64;
            if !fresh {
                return Ok(done);
            }
        }
    }
}
