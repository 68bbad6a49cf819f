//! The contract. Each promise here is a case of the conformance suite.

use async_trait::async_trait;
use crm_core::{CustomerId, Span, TenantId, Timestamp};

use crate::commit::{ClaimKey, Commit, Committed};
use crate::enrol::{Enrolled, Enrolment};
use crate::error::{CommitError, CursorError, DefineError, StorageError};
use crate::lane::Lane;
use crate::row::{
    ClaimOwner, Cursor, CursorStep, DeadLetter, DefinitionRows, Details, Due, Entries, Entry, Erased, FeedCursor,
    FeedRow, Leased, Loaded, Page, Parts, Scanned, ScoresAsked, Settlement,
};
use crate::selection::Selection;

/// What a store can do beyond the minimum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// How many lanes rows are spread over, a power of two. The feed has an order within each.
    pub lanes: u16,
    /// Whether what was acknowledged survives the loss of power.
    pub durable: bool,
    /// Whether there is a feed. Without one `feed` and `cursor` answer `Unsupported`.
    pub feed: bool,
}

impl Capabilities {
    /// A store of one lane, with a feed.
    #[must_use]
    pub const fn one_lane(durable: bool) -> Self {
        Capabilities { lanes: 1, durable, feed: true }
    }

    /// With so many lanes, which must be a power of two.
    #[must_use]
    pub const fn lanes(mut self, lanes: u16) -> Self {
        self.lanes = lanes;
        self
    }

    /// Without a feed.
    #[must_use]
    pub const fn without_feed(mut self) -> Self {
        self.feed = false;
        self
    }
}

/// Keeps the customers of any number of tenants. Values go in and values come out; no transaction
/// handle crosses it, and it reads no clock. No method ever sees or touches another tenant's rows; the feed
/// alone is the store's and not a tenant's.
///
/// Futures may be dropped at any time: what was not yet acknowledged is then either whole or absent.
#[async_trait]
pub trait Store: std::fmt::Debug + Send + Sync + 'static {
    /// What it can do beyond the minimum.
    fn capabilities(&self) -> Capabilities;

    /// Applies commits in the order given, each wholly or not at all, and each judged on what the ones
    /// before it left. A refused commit does not keep the others from being applied. When the call
    /// returns `Ok`, everything that is `Done` is durable, if the store is. Calls at one time may share a
    /// transaction and a sync; each is answered after it.
    ///
    /// A commit is judged in this order: malformed; its request (a known key with the same digest is
    /// `Replayed`, with another one `KeyReused`); the versions of its customers, in order; event ids;
    /// releases; claims; counters. One answer per commit, in order. An empty list costs nothing.
    async fn commit(
        &self,
        tenant: &TenantId,
        commits: Vec<Commit>,
    ) -> Result<Vec<Result<Committed, CommitError>>, StorageError>;

    /// Customers by id, in the order asked for, with what is acknowledged; none for one who is not there.
    /// Costs one look-up for each.
    async fn load(&self, tenant: &TenantId, customers: &[CustomerId]) -> Result<Loaded, StorageError>;

    /// What is kept about customers beside the state and the history, in the order asked for; none for one
    /// who is not there. Costs a look-up for each part that is asked for.
    async fn details(
        &self,
        tenant: &TenantId,
        customers: &[CustomerId],
        parts: Parts,
    ) -> Result<Vec<Option<Details>>, StorageError>;

    /// Customers in the order of their ids, at most `limit` of them (at least one) after one, without their states:
    /// whoever works through all of them reads no more than that. With `scores`, a part of what there is of a
    /// plugin's scores comes along. Pages are stable under writes, and a row is no older than its version.
    ///
    /// As it is here it selects, loads and reads details; a store that can leave the states unread is faster.
    async fn scan(
        &self,
        tenant: &TenantId,
        after: Option<CustomerId>,
        limit: usize,
        scores: Option<&ScoresAsked>,
    ) -> Result<Scanned, StorageError> {
        crate::scan::by_reading(self, tenant, after, limit, scores).await
    }

    /// A customer's events, changes or both, in the order in which they were committed, at most `limit` of
    /// them (at least one) after a place. None for a customer who is not there. Pages are stable under
    /// writes. A page costs what it returns; SQLite reads all of the customer's index for the first two pages and
    /// the last, and for each page inside a shop's transaction.
    async fn history(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
        entries: Entries,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Entry>, StorageError>;

    /// Who has each key, in the order asked for; none for a key that nobody has.
    async fn resolve(&self, tenant: &TenantId, keys: &[ClaimKey]) -> Result<Vec<Option<ClaimOwner>>, StorageError>;

    /// The customers that a selection means, in the order of their ids, at most `limit` of them (at least
    /// one) after one. Pages are stable under writes: a customer who is meant all the while comes once.
    ///
    /// Costs a scan of the tenant's customers, up to where the page is full, unless something that must hold has
    /// an index: a token always has one; columns, sets and scores where that was declared. Then it costs
    /// the customers of the index that fits the fewest of them; a store may leave this choice to its planner.
    async fn select(
        &self,
        tenant: &TenantId,
        selection: &Selection,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Vec<CustomerId>, StorageError>;

    /// How many customers a selection means, at one moment.
    async fn count(&self, tenant: &TenantId, selection: &Selection) -> Result<u64, StorageError>;

    /// Adds to a set, in the order of their ids, at most `limit` (at least one) of the customers after one whom a
    /// selection means and who are not in it. Of each the version rises by one, so that whoever decided on what was
    /// there before is refused; the set is among their sets, and the change in their history and in the feed. All
    /// else of them stays as it is, the state too. Each is added wholly or not at all; when the call failed, those who
    /// were added stay so, and the same call again goes on with the others.
    ///
    /// This is for a new segment, of which a store of its own query language can write a page in a statement or two.
    /// As it is here it selects, loads and commits.
    async fn enrol(
        &self,
        tenant: &TenantId,
        enrolment: &Enrolment,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Enrolled, StorageError> {
        crate::enrol::by_commits(self, tenant, enrolment, after, limit).await
    }

    /// Alarms due at or before an instant, in the order of instant, kind and customer, at most `limit`.
    async fn due(&self, tenant: &TenantId, until: Timestamp, limit: usize) -> Result<Vec<Due>, StorageError>;

    /// Leases outbox entries that are due at `now` and not leased, in the order of when they are due and
    /// of their ids, at most `limit`, until `now` plus `lease`. A lease that has ended (at its last
    /// instant it has) leaves its entry to be leased again, with another token.
    ///
    /// Of several who lease at one time, each gets others; a store may then give one of them fewer than
    /// are due.
    async fn lease(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        lease: Span,
        limit: usize,
    ) -> Result<Vec<Leased>, StorageError>;

    /// Settles leased entries and dead letters, all in one transaction. Answers in order whether each was
    /// settled; `false` for an entry that is gone, whose token is not that of its latest lease, or whose
    /// latest lease was settled before. A lease that has ended can be settled until the entry is leased
    /// again.
    async fn settle(&self, tenant: &TenantId, settlements: &[Settlement]) -> Result<Vec<bool>, StorageError>;

    /// Dead letters in the order of when they were due and of their ids, at most `limit` of them (at least
    /// one) after one that was listed before.
    async fn dead_letters(
        &self,
        tenant: &TenantId,
        after: Option<&DeadLetter>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StorageError>;

    /// The tenant's definitions.
    async fn definitions(&self, tenant: &TenantId) -> Result<DefinitionRows, StorageError>;

    /// Adds a definition if the revision is still `expected`; the new revision is one more.
    async fn define(&self, tenant: &TenantId, expected: u64, body: Vec<u8>) -> Result<u64, DefineError>;

    /// Removes for good, in one transaction, what is personal about a customer: fields, their key, search
    /// tokens, outbox entries waiting or dead, and of the keys named those that the customer has. State,
    /// history and requests stay. The version rises by one, so that whoever decided on what was there
    /// before is refused. Of a customer who is not there, only outbox entries and keys are removed.
    ///
    /// Erasing again removes what came since, raises the version again, and tries again to clear copies that
    /// were pending.
    async fn erase(&self, tenant: &TenantId, customer: CustomerId, keys: &[ClaimKey]) -> Result<Erased, StorageError>;

    /// All that was appended to a lane (a customer's is [`Lane::of_customer`]), of all tenants, in the order in which it was committed, at most
    /// `limit` rows (at least one) after a position. Positions have no gaps: what is answered once is all
    /// there was and will ever be up to its last position. A lane that does not exist is empty.
    async fn feed(&self, lane: Lane, after: u64, limit: usize) -> Result<Vec<FeedRow>, StorageError>;

    /// Looks at the cursor of a consumer of the feed, takes it, or moves it. A consumer is any name of 1 to
    /// 255 bytes; what it did not move yet stands at 0. A lane that does not exist is always at its end.
    async fn cursor(&self, consumer: &str, lane: Lane, step: CursorStep) -> Result<FeedCursor, CursorError>;
}
