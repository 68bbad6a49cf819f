//! Where customers are kept: the contract, the conformance suite that proves a store keeps it, and the
//! stores of this project.
//!
//! A store knows nothing of customer relations. It keeps rows under a tenant, takes changes as whole
//! [`Commit`]s, and promises what [`Store`] says. [`MemoryStore`] is for tests and for data that may be
//! lost; `SqliteStore` keeps one file.

mod commit;
mod error;
mod malformed;
mod memory;
mod row;
#[cfg(feature = "sqlite-unbundled")]
pub mod sqlite;
mod store;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use commit::{
    AlarmMove, Claim, ClaimKey, Commit, Committed, CounterStep, CustomerWrite, Expected, IdempotencyKey, OutboxEntry,
    Request, Version,
};
pub use error::{CommitError, DefineError, StorageError};
pub use memory::MemoryStore;
pub use row::{
    ChangeRow, ClaimOwner, Cursor, CustomerRow, DefinitionRows, Due, EventRow, LeaseToken, Leased, Loaded, Page,
    ScoreRow, Settlement, StateRow, Verdict,
};
#[cfg(feature = "sqlite-unbundled")]
pub use sqlite::{SqliteOptions, SqliteStore};
pub use store::{Capabilities, Store};
