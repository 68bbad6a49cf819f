//! A store that keeps everything in memory: for tests, and for data that may be lost.
//!
//! One mutex guards it, and no method holds it while it waits. A commit is judged wholly before any of
//! it is applied, and applying cannot fail; so a refused commit leaves no trace.

mod id_hash;
mod outbox;
mod tenant;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use crm_core::{CustomerId, Span, TenantId, Timestamp};

use crate::commit::{ClaimKey, Commit, Committed};
use crate::error::{CommitError, CursorError, DefineError, StorageError};
use crate::feed::check_consumer;
use crate::lane::Lane;
use crate::row::{
    ClaimOwner, Cursor, CursorStep, DeadLetter, DefinitionRows, Details, Due, Entries, Entry, Erased, FeedCursor,
    FeedRow, Leased, Loaded, Page, Parts, Scanned, ScoresAsked, Settlement,
};
use crate::selection::Selection;
use crate::store::{Capabilities, Store};
use tenant::Tenant;

/// Keeps everything in memory, as transactionally as a database, and loses it when it is dropped.
///
/// ```
/// use crm_core::{CustomerId, TenantId, Timestamp};
/// use crm_storage::{MemoryStore, Store};
///
/// # async fn example() -> Result<(), crm_storage::StorageError> {
/// let store = MemoryStore::new();
/// let nobody = CustomerId::new(Timestamp::MIN, [0; 10]);
/// let loaded = store.load(&TenantId::default(), &[nobody]).await?;
/// assert_eq!(loaded.rows, [None]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct MemoryStore {
    kept: Mutex<Everything>,
}

#[derive(Debug, Default)]
struct Everything {
    tenants: HashMap<TenantId, Tenant>,
    /// All entries in the order in which they were appended: whose each is, and its place among theirs.
    log: Vec<(TenantId, CustomerId, usize)>,
    cursors: HashMap<String, FeedCursor>,
}

impl MemoryStore {
    /// A store with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        MemoryStore::default()
    }

    /// Nothing panics while it holds the lock, and what is applied is applied in steps that cannot fail,
    /// so even a poisoned lock guards whole commits.
    fn kept(&self) -> MutexGuard<'_, Everything> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a tenant; one that nothing was written for is empty.
    fn read<T>(&self, tenant: &TenantId, read: impl FnOnce(&Tenant) -> T) -> T {
        match self.kept().tenants.get(tenant) {
            Some(tenant) => read(tenant),
            None => read(&Tenant::default()),
        }
    }

    /// Writes for a tenant, which is made if nothing was written for it before.
    fn write<T>(&self, tenant: &TenantId, write: impl FnOnce(&mut Tenant) -> T) -> T {
        write(self.kept().tenant(tenant).0)
    }
}

impl Everything {
    /// A tenant, and the log.
    fn tenant(&mut self, tenant: &TenantId) -> (&mut Tenant, &mut Vec<(TenantId, CustomerId, usize)>) {
        if !self.tenants.contains_key(tenant) {
            self.tenants.insert(tenant.clone(), Tenant::default());
        }
        (self.tenants.entry(tenant.clone()).or_default(), &mut self.log)
    }

    fn feed(&self, after: u64, limit: usize) -> Vec<FeedRow> {
        let start = usize::try_from(after).unwrap_or(usize::MAX).min(self.log.len());
        let row = |(at, (tenant, customer, place)): (usize, &(TenantId, CustomerId, usize))| {
            let entry = self.tenants.get(tenant)?.entry(*customer, *place)?.clone();
            Some(FeedRow { position: at as u64 + 1, tenant: tenant.clone(), customer: *customer, entry })
        };
        self.log.iter().enumerate().skip(start).take(limit.max(1)).filter_map(row).collect()
    }

    fn cursor(&mut self, consumer: &str, step: CursorStep) -> Result<FeedCursor, CursorError> {
        let stands = self.cursors.get(consumer).copied().unwrap_or_default();
        let moved = stands.after(step, self.log.len() as u64)?;
        if moved != stands {
            self.cursors.insert(consumer.to_owned(), moved);
        }
        Ok(moved)
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::one_lane(false)
    }

    async fn commit(
        &self,
        tenant: &TenantId,
        commits: Vec<Commit>,
    ) -> Result<Vec<Result<Committed, CommitError>>, StorageError> {
        if commits.is_empty() {
            return Ok(Vec::new());
        }
        let mut kept = self.kept();
        let (rows, log) = kept.tenant(tenant);
        let mut log = |customer, place| log.push((tenant.clone(), customer, place));
        Ok(commits.into_iter().map(|commit| rows.commit(commit, &mut log)).collect())
    }

    async fn load(&self, tenant: &TenantId, customers: &[CustomerId]) -> Result<Loaded, StorageError> {
        Ok(self.read(tenant, |tenant| Loaded {
            rows: customers.iter().map(|&customer| tenant.customer(customer)).collect(),
            definitions: tenant.revision(),
        }))
    }

    async fn details(
        &self,
        tenant: &TenantId,
        customers: &[CustomerId],
        parts: Parts,
    ) -> Result<Vec<Option<Details>>, StorageError> {
        Ok(self.read(tenant, |tenant| customers.iter().map(|&customer| tenant.details(customer, parts)).collect()))
    }

    async fn scan(
        &self,
        tenant: &TenantId,
        after: Option<CustomerId>,
        limit: usize,
        scores: Option<&ScoresAsked>,
    ) -> Result<Scanned, StorageError> {
        Ok(self.read(tenant, |tenant| tenant.scan(after, limit.max(1), scores)))
    }

    async fn history(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
        entries: Entries,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Entry>, StorageError> {
        Ok(self.read(tenant, |tenant| tenant.history(customer, entries, after, limit)))
    }

    async fn resolve(&self, tenant: &TenantId, keys: &[ClaimKey]) -> Result<Vec<Option<ClaimOwner>>, StorageError> {
        Ok(self.read(tenant, |tenant| keys.iter().map(|key| tenant.owner(key)).collect()))
    }

    async fn select(
        &self,
        tenant: &TenantId,
        selection: &Selection,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Vec<CustomerId>, StorageError> {
        selection.check()?;
        Ok(self.read(tenant, |tenant| tenant.select(selection, after, limit.max(1))))
    }

    async fn count(&self, tenant: &TenantId, selection: &Selection) -> Result<u64, StorageError> {
        selection.check()?;
        Ok(self.read(tenant, |tenant| tenant.count(selection)))
    }

    async fn due(&self, tenant: &TenantId, until: Timestamp, limit: usize) -> Result<Vec<Due>, StorageError> {
        Ok(self.read(tenant, |tenant| tenant.due(until, limit)))
    }

    async fn lease(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        lease: Span,
        limit: usize,
    ) -> Result<Vec<Leased>, StorageError> {
        Ok(self.write(tenant, |tenant| tenant.outbox.lease(now, lease, limit)))
    }

    async fn settle(&self, tenant: &TenantId, settlements: &[Settlement]) -> Result<Vec<bool>, StorageError> {
        Ok(self.write(tenant, |tenant| settlements.iter().map(|settlement| tenant.outbox.settle(settlement)).collect()))
    }

    async fn dead_letters(
        &self,
        tenant: &TenantId,
        after: Option<&DeadLetter>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StorageError> {
        Ok(self.read(tenant, |tenant| tenant.outbox.dead_letters(after, limit.max(1))))
    }

    async fn definitions(&self, tenant: &TenantId) -> Result<DefinitionRows, StorageError> {
        Ok(self.read(tenant, Tenant::definitions))
    }

    async fn define(&self, tenant: &TenantId, expected: u64, body: Vec<u8>) -> Result<u64, DefineError> {
        self.write(tenant, |tenant| tenant.define(expected, body))
    }

    async fn erase(&self, tenant: &TenantId, customer: CustomerId, keys: &[ClaimKey]) -> Result<Erased, StorageError> {
        Ok(self.write(tenant, |tenant| tenant.erase(customer, keys)))
    }

    async fn feed(&self, lane: Lane, after: u64, limit: usize) -> Result<Vec<FeedRow>, StorageError> {
        Ok(if lane == Lane(0) { self.kept().feed(after, limit) } else { Vec::new() })
    }

    async fn cursor(&self, consumer: &str, lane: Lane, step: CursorStep) -> Result<FeedCursor, CursorError> {
        check_consumer(consumer)?;
        if lane == Lane(0) { self.kept().cursor(consumer, step) } else { FeedCursor::default().after(step, 0) }
    }
}
