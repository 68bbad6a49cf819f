//! A customer's state as bytes. It is a cache: whoever does not know its shape folds the events again.

use super::Customer;
use crate::column::SetKey;
use crate::definitions::Definitions;
use crate::exact::exact;
use crate::id::Digest;
use crate::time::Timestamp;
use crate::timer::{Alarm, AlarmKind};

/// The shape in which states are written now.
pub const STATE_SHAPE: u16 = 10;

/// A stored state that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Written in another shape: fold the events again.
    #[error("a state of shape {shape}, this version knows {STATE_SHAPE}")]
    Shape {
        /// Its shape.
        shape: u16,
    },
    /// Not what its shape says.
    #[error("a stored state cannot be read: {source}")]
    Corrupt {
        /// What is wrong with it.
        source: postcard::Error,
    },
}

/// What stands before every state, whatever its shape: up to when time has passed, and which alarm the
/// store was asked to keep. Whoever folds the events again needs both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The customer's clock.
    pub clock: Option<Timestamp>,
    /// The alarm in the store.
    pub alarm: Option<Alarm>,
}

impl Header {
    pub(super) const BYTES: usize = 17;

    fn write(self, to: &mut Vec<u8>) {
        let instant = |at: Option<Timestamp>| at.map_or(i64::MIN, Timestamp::as_millis).to_le_bytes();
        to.extend_from_slice(&instant(self.clock));
        to.extend_from_slice(&instant(self.alarm.map(|alarm| alarm.due_at)));
        to.push(self.alarm.map_or(0, |alarm| alarm.kind.rank()));
    }

    /// Reads it from the bytes of a state of any shape; none if they are damaged.
    #[must_use]
    pub fn read(state: &[u8]) -> Option<Self> {
        let instant = |place: usize| -> Option<Option<Timestamp>> {
            let millis = i64::from_le_bytes(state.get(place..place + 8)?.try_into().ok()?);
            if millis == i64::MIN { Some(None) } else { Timestamp::from_millis(millis).ok().map(Some) }
        };
        let kind = AlarmKind::by_rank(*state.get(16)?);
        let alarm = instant(8)?.map(|due_at| kind.map(|kind| Alarm { due_at, kind }));
        Some(Header { clock: instant(0)?, alarm: alarm.map_or(Some(None), |alarm| alarm.map(Some))? })
    }
}

impl Customer {
    /// The state as bytes, in the shape [`STATE_SHAPE`], after its [`Header`] and what is told
    /// [at a glance](Self::points_at_a_glance). Which segments the customer is in stands in the [sets](Customer::sets) alone.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        exact(|buffer| {
            Header { clock: self.clock, alarm: self.alarm }.write(buffer);
            // Writing to memory what has no unknown lengths cannot fail.
            let written = self.write_glance(std::mem::take(buffer));
            let written = written.and_then(|written| postcard::to_extend(self, written));
            *buffer = written.unwrap_or_default();
        })
    }

    /// Reads a state back, with the sets that were kept beside it: they say which segments the customer is in.
    ///
    /// # Errors
    ///
    /// `SnapshotError`; the events are still there to be folded.
    pub fn decode(shape: u16, bytes: &[u8], sets: &[SetKey], definitions: &Definitions) -> Result<Self, SnapshotError> {
        if shape != STATE_SHAPE {
            return Err(SnapshotError::Shape { shape });
        }
        let corrupt = |source| SnapshotError::Corrupt { source };
        let header = Header::read(bytes).ok_or_else(|| corrupt(postcard::Error::DeserializeUnexpectedEnd))?;
        let state = Customer::after_glance(&bytes[Header::BYTES..]).map_err(corrupt)?;
        let mut customer: Customer = postcard::from_bytes(state).map_err(corrupt)?;
        customer.clock = header.clock;
        customer.alarm = header.alarm;
        customer.standing.memberships.read(sets, definitions.segment_book());
        Ok(customer)
    }

    /// The digest of the state: equal on every backend for the same facts and decisions at the same
    /// time. What depends on when the CRM looked (the customer's clock, the armed alarm) is left out,
    /// and so are scores, which are no events.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let digested = (self.id, &self.facts, &self.decided, self.standing.digested(), &self.waiting);
        Digest::of(&postcard::to_stdvec(&digested).unwrap_or_default())
    }
}
