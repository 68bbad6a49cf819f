//! A store over another one, in which something else happens right before a call.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use crm::{CustomerId, DeadLetter, Span, StorageError, Store, TenantId, Timestamp};
use crm_storage::{
    Capabilities, ClaimKey, ClaimOwner, Commit, CommitError, Committed, Cursor, CursorError, CursorStep, DefineError,
    DefinitionRows, Details, Due, Entries, Entry, Erased, FeedCursor, FeedRow, Lane, Leased, Loaded, Page, Parts,
    Selection, Settlement,
};

/// Before which call: the one of this kind for these customers, after so many of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Before {
    Load(Vec<CustomerId>, usize),
}

type Deed = Box<dyn FnOnce() + Send>;

#[derive(Clone)]
pub(crate) struct Between {
    inner: Arc<dyn Store>,
    deed: Arc<Mutex<Option<(Before, Deed)>>>,
}

impl std::fmt::Debug for Between {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Between")
    }
}

impl Between {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Self {
        Between { inner, deed: Arc::default() }
    }

    /// Does something once, before a call.
    pub(crate) fn once(&self, before: Before, deed: impl FnOnce() + Send + 'static) {
        *self.deed.lock().unwrap() = Some((before, Box::new(deed)));
    }

    pub(crate) fn is_done(&self) -> bool {
        self.deed.lock().unwrap().is_none()
    }

    fn before_load(&self, customers: &[CustomerId]) {
        let deed = {
            let mut place = self.deed.lock().unwrap();
            match &mut *place {
                Some((Before::Load(ids, 0), _)) if ids == customers => place.take(),
                Some((Before::Load(ids, left), _)) if ids == customers => {
                    *left -= 1;
                    None
                }
                _ => None,
            }
        };
        if let Some((_, deed)) = deed {
            std::thread::spawn(deed).join().unwrap();
        }
    }
}

#[async_trait]
impl Store for Between {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn commit(
        &self,
        tenant: &TenantId,
        commits: Vec<Commit>,
    ) -> Result<Vec<Result<Committed, CommitError>>, StorageError> {
        self.inner.commit(tenant, commits).await
    }

    async fn load(&self, tenant: &TenantId, customers: &[CustomerId]) -> Result<Loaded, StorageError> {
        self.before_load(customers);
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
