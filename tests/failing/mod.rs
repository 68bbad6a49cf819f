//! A store over another one, some of whose commits fail: before they were applied, or after.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use crm::{CustomerId, DeadLetter, Span, StorageError, Store, TenantId, Timestamp};
use crm_storage::{
    Capabilities, ClaimKey, ClaimOwner, Commit, CommitError, Committed, Cursor, CursorError, CursorStep, DefineError,
    DefinitionRows, Details, Due, Entries, Entry, Erased, FeedCursor, FeedRow, Lane, Leased, Loaded, Page, Parts,
    Selection, Settlement,
};

/// What becomes of the next commit.
#[allow(dead_code, reason = "each test has its own use for some of them")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is applied, and said so.
    Fine,
    /// It is not applied.
    Lost,
    /// It is refused, as when somebody else has just taken or given up a key that it moves.
    Overtaken,
    /// It is applied, and the answer is lost.
    Unanswered,
    /// It is not applied, and nobody can tell.
    Unheard,
}

#[derive(Debug, Clone)]
pub(crate) struct Failing {
    pub(crate) inner: Arc<dyn Store>,
    /// The fates of the next commits; when there are none left, all is fine.
    pub(crate) fates: Arc<Mutex<Vec<Fate>>>,
}

fn failure() -> StorageError {
    StorageError::Backend { doing: "committing", source: "the disk is on fire".into() }
}

#[async_trait]
impl Store for Failing {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn commit(
        &self,
        tenant: &TenantId,
        commits: Vec<Commit>,
    ) -> Result<Vec<Result<Committed, CommitError>>, StorageError> {
        let fate = if commits.is_empty() { None } else { self.fates.lock().unwrap().pop() };
        match fate.unwrap_or(Fate::Fine) {
            Fate::Fine => self.inner.commit(tenant, commits).await,
            Fate::Lost => Err(failure()),
            Fate::Overtaken => {
                let key = ClaimKey { kind: "identifier".into(), key: b"somebody else's".to_vec() };
                let customer = |commit: &Commit| commit.writes.first().unwrap().customer;
                let refused = |commit| CommitError::NotOwned { key: key.clone(), customer: customer(commit) };
                Ok(commits.iter().map(|commit| Err(refused(commit))).collect())
            }
            Fate::Unheard => Err(StorageError::Unknown { source: None }),
            Fate::Unanswered => {
                self.inner.commit(tenant, commits).await?;
                Err(StorageError::Unknown { source: None })
            }
        }
    }

    async fn load(&self, tenant: &TenantId, customers: &[CustomerId]) -> Result<Loaded, StorageError> {
        self.inner.load(tenant, customers).await
    }

    async fn details(
        &self,
        tenant: &TenantId,
        customers: &[CustomerId],
        parts: Parts,
    ) -> Result<Vec<Option<Details>>, StorageError> {
        self.inner.details(tenant, customers, parts).await
    }

    async fn history(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
        entries: Entries,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Entry>, StorageError> {
        self.inner.history(tenant, customer, entries, after, limit).await
    }

    async fn resolve(&self, tenant: &TenantId, keys: &[ClaimKey]) -> Result<Vec<Option<ClaimOwner>>, StorageError> {
        self.inner.resolve(tenant, keys).await
    }

    async fn select(
        &self,
        tenant: &TenantId,
        selection: &Selection,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Vec<CustomerId>, StorageError> {
        self.inner.select(tenant, selection, after, limit).await
    }

    async fn count(&self, tenant: &TenantId, selection: &Selection) -> Result<u64, StorageError> {
        self.inner.count(tenant, selection).await
    }

    async fn due(&self, tenant: &TenantId, until: Timestamp, limit: usize) -> Result<Vec<Due>, StorageError> {
        self.inner.due(tenant, until, limit).await
    }

    async fn lease(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        lease: Span,
        limit: usize,
    ) -> Result<Vec<Leased>, StorageError> {
        self.inner.lease(tenant, now, lease, limit).await
    }

    async fn settle(&self, tenant: &TenantId, settlements: &[Settlement]) -> Result<Vec<bool>, StorageError> {
        self.inner.settle(tenant, settlements).await
    }

    async fn dead_letters(
        &self,
        tenant: &TenantId,
        after: Option<&DeadLetter>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StorageError> {
        self.inner.dead_letters(tenant, after, limit).await
    }

    async fn definitions(&self, tenant: &TenantId) -> Result<DefinitionRows, StorageError> {
        self.inner.definitions(tenant).await
    }

    async fn define(&self, tenant: &TenantId, expected: u64, body: Vec<u8>) -> Result<u64, DefineError> {
        self.inner.define(tenant, expected, body).await
    }

    async fn erase(&self, tenant: &TenantId, customer: CustomerId, keys: &[ClaimKey]) -> Result<Erased, StorageError> {
        self.inner.erase(tenant, customer, keys).await
    }

    async fn feed(&self, lane: Lane, after: u64, limit: usize) -> Result<Vec<FeedRow>, StorageError> {
        self.inner.feed(lane, after, limit).await
    }

    async fn cursor(&self, consumer: &str, lane: Lane, step: CursorStep) -> Result<FeedCursor, CursorError> {
        self.inner.cursor(consumer, lane, step).await
    }
}
