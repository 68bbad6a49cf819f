//! A customer's state as bytes. It is a cache: whoever does not know its shape folds the events again.

use super::{Customer, DecidedState, FactState, Standing};
use crate::exact::exact;
use crate::id::{CustomerId, Digest, EventId};
use crate::time::Timestamp;

/// The shape in which states are written now.
pub const STATE_SHAPE: u16 = 1;

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

impl Customer {
    /// The state as bytes, in the shape [`STATE_SHAPE`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // Writing to memory what has no unknown lengths cannot fail.
        exact(|buffer| {
            let written = postcard::to_extend(self, std::mem::take(buffer));
            *buffer = written.unwrap_or_default();
        })
    }

    /// Reads a state back.
    ///
    /// # Errors
    ///
    /// `SnapshotError`; the events are still there to be folded.
    pub fn decode(shape: u16, bytes: &[u8]) -> Result<Self, SnapshotError> {
        if shape != STATE_SHAPE {
            return Err(SnapshotError::Shape { shape });
        }
        postcard::from_bytes(bytes).map_err(|source| SnapshotError::Corrupt { source })
    }

    /// The digest of the state: equal on every backend for the same facts and decisions at the same
    /// time. What depends on when the CRM looked (the customer's clock, the armed alarm) is left out.
    #[must_use]
    pub fn digest(&self) -> Digest {
        type Digested<'a> = (CustomerId, &'a FactState, &'a DecidedState, &'a Standing, &'a [(Timestamp, EventId)]);
        let digested: Digested<'_> = (self.id, &self.facts, &self.decided, &self.standing, &self.waiting);
        Digest::of(&postcard::to_stdvec(&digested).unwrap_or_default())
    }
}
