//! What is kept, as it is written and read.

use crm_core::{Alarm, CustomerId, Digest, EventId, SmolStr, Source, Timestamp};

use crate::commit::{OutboxEntry, Version};

/// A customer's state, encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRow {
    /// In which shape.
    pub shape: u16,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A customer as they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerRow {
    /// Who.
    pub customer: CustomerId,
    /// How many commits wrote them.
    pub version: Version,
    /// The state.
    pub state: StateRow,
}

/// Customers, and how recent the tenant's definitions are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// In the order in which they were asked for; none for a customer who is not there.
    pub rows: Vec<Option<CustomerRow>>,
    /// The revision of the definitions: 0 when there are none.
    pub definitions: u64,
}

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Its id, unique within its customer.
    pub id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// When it became known.
    pub recorded_at: Timestamp,
    /// Its kind.
    pub kind: SmolStr,
    /// The shape of its body.
    pub shape: u16,
    /// Where it came from, if from outside.
    pub source: Option<Source>,
    /// The event that caused it, if one did.
    pub cause: Option<EventId>,
    /// JSON.
    pub body: Vec<u8>,
}

/// A change as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    /// When it happened.
    pub at: Timestamp,
    /// Its kind.
    pub kind: SmolStr,
    /// JSON.
    pub body: Vec<u8>,
}

/// A score that a plugin gave a customer.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreRow {
    /// The plugin's name.
    pub plugin: SmolStr,
    /// Which of its outputs.
    pub output: SmolStr,
    /// As of when.
    pub at: Timestamp,
    /// The score, always finite. The sign of a zero is not kept.
    pub value: f64,
    /// The version the plugin gives itself.
    pub version: SmolStr,
    /// SHA-256 of the plugin.
    pub digest: Digest,
    /// SHA-256 of what it was given.
    pub input: Digest,
}

/// A place in a list that is read page by page. Opaque: only the store that gave it can read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub u64);

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where to go on; none at the end.
    pub next: Option<Cursor>,
}

/// Who has a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimOwner {
    /// The customer.
    pub customer: CustomerId,
    /// The event by which it was taken.
    pub event: EventId,
}

/// An alarm that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// What and when.
    pub alarm: Alarm,
    /// Whose.
    pub customer: CustomerId,
}

/// Fences a lease: only its holder can settle what was leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseToken(pub u64);

/// An outbox entry that the caller may work on until the lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// The entry.
    pub entry: OutboxEntry,
    /// To be shown when it is settled.
    pub token: LeaseToken,
    /// How often it has been leased, this time included.
    pub attempt: u32,
}

/// What became of a leased entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Which entry.
    pub id: EventId,
    /// The token of the lease.
    pub token: LeaseToken,
    /// What became of it.
    pub verdict: Verdict,
}

/// What is done with an outbox entry after a delivery was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Delivered: it goes.
    Done,
    /// Not delivered: it is due again then.
    Retry {
        /// When.
        at: Timestamp,
    },
}

/// A tenant's definitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DefinitionRows {
    /// How many there are; rises with each.
    pub revision: u64,
    /// JSON, in the order in which they were added.
    pub rows: Vec<Vec<u8>>,
}
