//! The contract. Each promise here is a case of the conformance suite.

use async_trait::async_trait;
use crm_core::{CustomerId, Span, TenantId, Timestamp};

use crate::commit::{ClaimKey, Commit, Committed};
use crate::error::{CommitError, DefineError, StorageError};
use crate::row::{
    ChangeRow, ClaimOwner, Cursor, CustomerRow, DefinitionRows, Due, EventRow, Leased, Loaded, Page, ScoreRow,
    Settlement,
};

/// What a store can do beyond the minimum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// How many lanes rows are spread over. Order is promised within a lane.
    pub lanes: u16,
    /// Whether what was acknowledged survives the loss of power.
    pub durable: bool,
}

impl Capabilities {
    /// A store of one lane.
    #[must_use]
    pub const fn one_lane(durable: bool) -> Self {
        Capabilities { lanes: 1, durable }
    }
}

/// Keeps the customers of any number of tenants. Values go in and values come out; no transaction
/// handle crosses it, and it reads no clock. No method ever sees or touches another tenant's rows.
///
/// Futures may be dropped at any time: what was not yet acknowledged is then either whole or absent.
#[async_trait]
pub trait Store: std::fmt::Debug + Send + Sync + 'static {
    /// What it can do beyond the minimum.
    fn capabilities(&self) -> Capabilities;

    /// Applies commits in the order given, each wholly or not at all, and each judged on what the ones
    /// before it left. A refused commit does not keep the others from being applied. When the call
    /// returns `Ok`, everything that is `Done` is durable, if the store is.
    ///
    /// A commit is judged in this order: malformed; its request (a known key with the same digest is
    /// `Replayed`, with another one `KeyReused`); the versions of its customers, in order; event ids;
    /// claims; counters. One answer per commit, in order. An empty list costs nothing.
    async fn commit(
        &self,
        tenant: &TenantId,
        commits: Vec<Commit>,
    ) -> Result<Vec<Result<Committed, CommitError>>, StorageError>;

    /// Customers by id, in the order asked for, with what is acknowledged.
    async fn load(&self, tenant: &TenantId, customers: &[CustomerId]) -> Result<Loaded, StorageError>;

    /// A customer's events in the order in which they were committed, at most `limit` of them (at least
    /// one) after a place. None for a customer who is not there. Pages are stable under writes.
    async fn history(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<EventRow>, StorageError>;

    /// A customer's changes in the order in which they were committed, page by page.
    async fn changes(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<ChangeRow>, StorageError>;

    /// All scores of a customer, by plugin, output and instant.
    async fn scores(&self, tenant: &TenantId, customer: CustomerId) -> Result<Vec<ScoreRow>, StorageError>;

    /// Who has each key, in the order asked for; none for a key that nobody has.
    async fn resolve(&self, tenant: &TenantId, keys: &[ClaimKey]) -> Result<Vec<Option<ClaimOwner>>, StorageError>;

    /// Customers in the order of their ids, at most `limit` of them (at least one) after one.
    async fn customers(
        &self,
        tenant: &TenantId,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Vec<CustomerRow>, StorageError>;

    /// Alarms due at or before an instant, in the order of instant, kind and customer, at most `limit`.
    async fn due(&self, tenant: &TenantId, until: Timestamp, limit: usize) -> Result<Vec<Due>, StorageError>;

    /// Leases outbox entries that are due at `now` and not leased, in the order of when they are due and
    /// of their ids, at most `limit`, until `now` plus `lease`. A lease that has ended (at its last
    /// instant it has) leaves its entry to be leased again, with another token.
    async fn lease(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        lease: Span,
        limit: usize,
    ) -> Result<Vec<Leased>, StorageError>;

    /// Settles leased entries, all in one transaction. Answers in order whether each was settled; `false`
    /// for an entry that is gone, whose token is not that of its latest lease, or whose latest lease was
    /// settled before. A lease that has ended can be settled until the entry is leased again.
    async fn settle(&self, tenant: &TenantId, settlements: &[Settlement]) -> Result<Vec<bool>, StorageError>;

    /// The tenant's definitions.
    async fn definitions(&self, tenant: &TenantId) -> Result<DefinitionRows, StorageError>;

    /// Adds a definition if the revision is still `expected`; the new revision is one more.
    async fn define(&self, tenant: &TenantId, expected: u64, body: Vec<u8>) -> Result<u64, DefineError>;
}
