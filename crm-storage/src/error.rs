//! What can go wrong with a store, and what a commit can be refused for.

use crm_core::{CustomerId, EventId};

use crate::commit::{ClaimKey, Version};
use crate::row::{ClaimOwner, FeedCursor};

/// Why one commit was refused. Nothing of it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Another writer was first. Load, decide again, commit again.
    #[error("{customer} is at {actual:?}, which is not what the write expected")]
    Conflict {
        /// Whose write.
        customer: CustomerId,
        /// The version there is; none if there is no such customer.
        actual: Option<Version>,
    },
    /// The idempotency key was used before, for something else.
    #[error("the idempotency key was used before with another body")]
    KeyReused,
    /// The customer has an event of that id already.
    #[error("{customer} has event {event} already")]
    EventExists {
        /// Whose write.
        customer: CustomerId,
        /// Which event.
        event: EventId,
    },
    /// Another customer, or another event of the same one, has the key.
    #[error("a {} key is taken by {}", key.kind, owner.customer)]
    Claimed {
        /// Which key.
        key: ClaimKey,
        /// Who has it.
        owner: ClaimOwner,
    },
    /// A key is given up by somebody who does not have it.
    #[error("a {} key is given up by {customer}, who does not have it", key.kind)]
    NotOwned {
        /// Which key.
        key: ClaimKey,
        /// Who gave it up.
        customer: CustomerId,
    },
    /// A counter would leave its range.
    #[error("counter {name} would be {value}, which is not between 0 and {limit}")]
    CounterLimit {
        /// Which counter.
        name: crm_core::SmolStr,
        /// What it would stand at.
        value: i128,
        /// The limit.
        limit: i64,
    },
    /// The commit contradicts itself or exceeds a limit: a customer twice, events without a state, a
    /// key of more than 1,024 bytes.
    #[error("a malformed commit: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
}

impl CommitError {
    /// Whether somebody else was first, so that loading and deciding again may come to something else: they wrote one of
    /// the customers, took a key, or gave one up.
    #[must_use]
    pub const fn is_lost_race(&self) -> bool {
        matches!(self, CommitError::Conflict { .. } | CommitError::Claimed { .. } | CommitError::NotOwned { .. })
    }
}

/// The store failed. Whether something was written depends on the kind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// It cannot be opened as it is.
    #[error("cannot open the store: {reason}")]
    Open {
        /// Why, in words.
        reason: String,
        /// The backend's own error, if it had one.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The backend failed, and nothing was written.
    #[error("the store failed to {doing}")]
    Backend {
        /// What it was doing.
        doing: &'static str,
        /// Its own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The answer was lost: the commits may or may not have been applied. Load again to find out, or
    /// send again what carries an idempotency key.
    #[error("the store did not answer; the outcome is unknown")]
    Unknown {
        /// The backend's own error, if it had one.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The store does not do this; its capabilities say so.
    #[error("the store does not {what}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
    },
    /// What was asked for exceeds a limit.
    #[error("the store cannot be asked that: {what}")]
    Malformed {
        /// What is wrong, and the limit.
        what: String,
    },
    /// What was read back is not what was written.
    #[error("stored data is damaged: {what}")]
    Corrupt {
        /// What is wrong with it.
        what: String,
    },
}

/// Why a cursor was not moved. It stands where it stood.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CursorError {
    /// Somebody else took it since.
    #[error("the cursor was taken by somebody else, in epoch {}", at.epoch)]
    Fenced {
        /// Where it stands.
        at: FeedCursor,
    },
    /// It would go the wrong way, or past the end of the lane.
    #[error("a cursor at {} cannot be moved so: the lane ends at {end}", at.position)]
    OutOfRange {
        /// Where it stands.
        at: FeedCursor,
        /// The last position of the lane; 0 if it is empty.
        end: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a definition was not added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DefineError {
    /// Another was added first.
    #[error("the definitions are at revision {actual}")]
    Conflict {
        /// The revision there is.
        actual: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
