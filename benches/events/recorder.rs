//! A store in memory that keeps a copy of every commit.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use crm::{CustomerId, MemoryStore, Span, StorageError, Store, TenantId, Timestamp};
use crm_storage::{
    Capabilities, ClaimKey, ClaimOwner, Commit, CommitError, Committed, Cursor, CursorError, CursorStep, DeadLetter,
    DefineError, DefinitionRows, Details, Due, Entries, Entry, Erased, FeedCursor, FeedRow, Lane, Leased, Loaded, Page,
    Parts, Selection, Settlement,
};

#[derive(Debug, Default)]
pub(crate) struct Recorder {
    store: MemoryStore,
    batches: Mutex<Vec<Vec<Commit>>>,
}

impl Recorder {
    /// The commits so far, by call.
    pub(crate) fn take(&self) -> Vec<Vec<Commit>> {
        std::mem::take(&mut *self.batches.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A store of its own kind, so that the bench keeps a hand on it while the engine owns the other.
#[async_trait]
impl Store for Recorder {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn commit(
        &self,
        tenant: &TenantId,
        commits: Vec<Commit>,
    ) -> Result<Vec<Result<Committed, CommitError>>, StorageError> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).push(commits.clone());
        self.store.commit(tenant, commits).await
    }

    async fn load(&self, tenant: &TenantId, customers: &[CustomerId]) -> Result<Loaded, StorageError> {
        self.store.load(tenant, customers).await
    }

    async fn details(
        &self,
        tenant: &TenantId,
        customers: &[CustomerId],
        parts: Parts,
    ) -> Result<Vec<Option<Details>>, StorageError> {
        self.store.details(tenant, customers, parts).await
    }

    async fn history(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
        entries: Entries,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Entry>, StorageError> {
        self.store.history(tenant, customer, entries, after, limit).await
    }

    async fn resolve(&self, tenant: &TenantId, keys: &[ClaimKey]) -> Result<Vec<Option<ClaimOwner>>, StorageError> {
        self.store.resolve(tenant, keys).await
    }

    async fn select(
        &self,
        tenant: &TenantId,
        selection: &Selection,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Vec<CustomerId>, StorageError> {
        self.store.select(tenant, selection, after, limit).await
    }

    async fn count(&self, tenant: &TenantId, selection: &Selection) -> Result<u64, StorageError> {
        self.store.count(tenant, selection).await
    }

    async fn due(&self, tenant: &TenantId, until: Timestamp, limit: usize) -> Result<Vec<Due>, StorageError> {
        self.store.due(tenant, until, limit).await
    }

    async fn lease(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        lease: Span,
        limit: usize,
    ) -> Result<Vec<Leased>, StorageError> {
        self.store.lease(tenant, now, lease, limit).await
    }

    async fn settle(&self, tenant: &TenantId, settlements: &[Settlement]) -> Result<Vec<bool>, StorageError> {
        self.store.settle(tenant, settlements).await
    }

    async fn dead_letters(
        &self,
        tenant: &TenantId,
        after: Option<&DeadLetter>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StorageError> {
        self.store.dead_letters(tenant, after, limit).await
    }

    async fn definitions(&self, tenant: &TenantId) -> Result<DefinitionRows, StorageError> {
        self.store.definitions(tenant).await
    }

    async fn define(&self, tenant: &TenantId, expected: u64, body: Vec<u8>) -> Result<u64, DefineError> {
        self.store.define(tenant, expected, body).await
    }

    async fn erase(&self, tenant: &TenantId, customer: CustomerId, keys: &[ClaimKey]) -> Result<Erased, StorageError> {
        self.store.erase(tenant, customer, keys).await
    }

    async fn feed(&self, lane: Lane, after: u64, limit: usize) -> Result<Vec<FeedRow>, StorageError> {
        self.store.feed(lane, after, limit).await
    }

    async fn cursor(&self, consumer: &str, lane: Lane, step: CursorStep) -> Result<FeedCursor, CursorError> {
        self.store.cursor(consumer, lane, step).await
    }
}
