//! Where customers are kept: the contract, the conformance suite that proves a store keeps it, and the
//! stores of this project.
//!
//! A store knows nothing of customer relations. It keeps rows under a tenant, takes changes as whole
//! [`Commit`]s, and promises what [`Store`] says. [`MemoryStore`] is for tests and for data that may be
//! lost; `SqliteStore` keeps one file; `PostgresStore` keeps a schema of a database.

mod block_on;
mod commit;
mod enrol;
mod error;
mod feed;
mod judge;
mod lane;
mod malformed;
mod memory;
#[cfg(any(feature = "sqlite-unbundled", feature = "postgres"))]
mod migration;
#[cfg(feature = "postgres")]
pub mod postgres;
mod row;
mod scan;
mod selection;
#[cfg(feature = "sqlite-unbundled")]
pub mod sqlite;
mod store;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use block_on::block_on;
pub use commit::{
    AlarmMove, Appended, Claim, ClaimKey, Commit, Committed, CounterStep, CustomerWrite, Expected, GivenUp,
    IdempotencyKey, OutboxEntry, PersonalMove, Release, Request, Token, Traits, Version,
};
pub use enrol::{Enrolled, Enrolment};
pub use error::{CommitError, CursorError, DefineError, StorageError};
pub use feed::check_consumer;
pub use judge::{Judgement, Kept};
pub use lane::Lane;
pub use memory::MemoryStore;
#[cfg(any(feature = "sqlite-unbundled", feature = "postgres"))]
pub use migration::Step;
#[cfg(feature = "postgres")]
pub use postgres::{Dialect, PostgresOptions, PostgresStore, PostgresTransaction};
pub use row::{
    ChangeRow, ClaimOwner, Copies, Cursor, CursorStep, CustomerRow, DeadLetter, DefinitionRows, Details, Due, Entries,
    Entry, Erased, EventRow, FeedCursor, FeedRow, LeaseToken, Leased, Loaded, OutputScores, Page, Parts, RequestRow,
    Scanned, ScannedRow, ScoreKey, ScoreRow, ScoresAsked, Settlement, StateRow, Verdict,
};
pub use selection::{Selectable, Selection};
#[cfg(feature = "sqlite-unbundled")]
pub use sqlite::{SqliteOptions, SqliteStore};
pub use store::{Capabilities, Store};
