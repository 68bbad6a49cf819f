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
use crate::error::{CommitError, DefineError, StorageError};
use crate::row::{
    ChangeRow, ClaimOwner, Cursor, CustomerRow, DefinitionRows, Due, EventRow, Leased, Loaded, Page, ScoreRow,
    Settlement,
};
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
    tenants: Mutex<HashMap<TenantId, Tenant>>,
}

impl MemoryStore {
    /// A store with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        MemoryStore::default()
    }

    /// Nothing panics while it holds the lock, and what is applied is applied in steps that cannot fail,
    /// so even a poisoned lock guards whole commits.
    fn tenants(&self) -> MutexGuard<'_, HashMap<TenantId, Tenant>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a tenant; one that nothing was written for is empty.
    fn read<T>(&self, tenant: &TenantId, read: impl FnOnce(&Tenant) -> T) -> T {
        match self.tenants().get(tenant) {
            Some(tenant) => read(tenant),
            None => read(&Tenant::default()),
        }
    }

    /// Writes for a tenant, which is made if nothing was written for it before.
    fn write<T>(&self, tenant: &TenantId, write: impl FnOnce(&mut Tenant) -> T) -> T {
        let mut tenants = self.tenants();
        match tenants.get_mut(tenant) {
            Some(tenant) => write(tenant),
            None => write(tenants.entry(tenant.clone()).or_default()),
        }
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
        Ok(self.write(tenant, |tenant| commits.into_iter().map(|commit| tenant.commit(commit)).collect()))
    }

    async fn load(&self, tenant: &TenantId, customers: &[CustomerId]) -> Result<Loaded, StorageError> {
        Ok(self.read(tenant, |tenant| Loaded {
            rows: customers.iter().map(|&customer| tenant.customer(customer)).collect(),
            definitions: tenant.revision(),
        }))
    }

    async fn history(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<EventRow>, StorageError> {
        Ok(self.read(tenant, |tenant| page(tenant.events(customer), after, limit)))
    }

    async fn changes(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<ChangeRow>, StorageError> {
        Ok(self.read(tenant, |tenant| page(tenant.changes(customer), after, limit)))
    }

    async fn scores(&self, tenant: &TenantId, customer: CustomerId) -> Result<Vec<ScoreRow>, StorageError> {
        Ok(self.read(tenant, |tenant| tenant.scores(customer)))
    }

    async fn resolve(&self, tenant: &TenantId, keys: &[ClaimKey]) -> Result<Vec<Option<ClaimOwner>>, StorageError> {
        Ok(self.read(tenant, |tenant| keys.iter().map(|key| tenant.owner(key)).collect()))
    }

    async fn customers(
        &self,
        tenant: &TenantId,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Vec<CustomerRow>, StorageError> {
        Ok(self.read(tenant, |tenant| tenant.customers(after, limit.max(1))))
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

    async fn definitions(&self, tenant: &TenantId) -> Result<DefinitionRows, StorageError> {
        Ok(self.read(tenant, Tenant::definitions))
    }

    async fn define(&self, tenant: &TenantId, expected: u64, body: Vec<u8>) -> Result<u64, DefineError> {
        self.write(tenant, |tenant| tenant.define(expected, body))
    }
}

/// A page of rows that are only ever added at the end: a place is the number of rows before it.
fn page<T: Clone>(rows: &[T], after: Option<Cursor>, limit: usize) -> Page<T> {
    let start = after.map_or(0, |cursor| usize::try_from(cursor.0).unwrap_or(usize::MAX)).min(rows.len());
    let end = start.saturating_add(limit.max(1)).min(rows.len());
    Page { rows: rows[start..end].to_vec(), next: (end < rows.len()).then_some(Cursor(end as u64)) }
}
