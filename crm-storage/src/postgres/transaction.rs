//! The CRM inside a transaction of the host's: rolled back by the host, nothing of it is there.

use crm_core::{CustomerId, TenantId};
use tokio_postgres::Transaction;

use super::commit::commit;
use super::fault::Fault;
use super::gather::Place;
use super::session::Session;
use super::shape::Shape;
use super::{Access, find_tenant, read, schema};
use crate::commit::{ClaimKey, Commit, Committed};
use crate::error::{CommitError, DefineError, StorageError};
use crate::row::{ClaimOwner, Cursor, DefinitionRows, Details, Entries, Entry, Loaded, Page, Parts};
use crate::store::Capabilities;

/// Loads and commits inside a transaction that the host has open on the same database.
///
/// Each call is a savepoint of its own, so a call that fails leaves the host's transaction as it was. A
/// conflict is answered and never tried again. Lanes are locked until the host's transaction ends: take the
/// host's own locks first, and write all customers in one call, whose lanes are then locked in order.
///
/// If one of the futures is dropped before it is done, what the host's transaction has is not known: roll it back.
///
/// Nothing is left behind at the connection, neither prepared statements nor settings.
pub struct PostgresTransaction<'a> {
    shape: &'a Shape,
    transaction: &'a Transaction<'a>,
}

impl std::fmt::Debug for PostgresTransaction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresTransaction").field("schema", &self.shape.schema).finish_non_exhaustive()
    }
}

impl<'a> PostgresTransaction<'a> {
    pub(super) const fn new(shape: &'a Shape, transaction: &'a Transaction<'a>) -> Self {
        PostgresTransaction { shape, transaction }
    }

    async fn at<'t>(&self, tenant: &'t TenantId, access: Access) -> Result<(Session<'a>, Place<'t>), Fault> {
        let number = schema::number(tenant.as_str());
        let place = Place { name: tenant, number, lanes: self.shape.lanes };
        let wall = self.shape.wall.then(|| number.to_string());
        let mut session = Session::host(self.transaction, &self.shape.texts, wall);
        find_tenant(&mut session, self.shape, &place, access).await?;
        Ok((session, place))
    }

    /// As [`Store::load`](crate::Store::load).
    ///
    /// # Errors
    ///
    /// `Backend` if the database fails.
    pub async fn load(&self, tenant: &TenantId, customers: &[CustomerId]) -> Result<Loaded, StorageError> {
        let work = async {
            let (mut session, place) = self.at(tenant, Access::Read).await?;
            read::load(&mut session, self.shape, &place, customers).await
        };
        work.await.map_err(|fault: Fault| fault.while_doing("load customers"))
    }

    /// As [`Store::details`](crate::Store::details).
    ///
    /// # Errors
    ///
    /// `Backend` if the database fails.
    pub async fn details(
        &self,
        tenant: &TenantId,
        customers: &[CustomerId],
        parts: Parts,
    ) -> Result<Vec<Option<Details>>, StorageError> {
        let work = async {
            let (mut session, place) = self.at(tenant, Access::Read).await?;
            read::details(&mut session, self.shape, &place, customers, parts).await
        };
        work.await.map_err(|fault: Fault| fault.while_doing("read details"))
    }

    /// As [`Store::history`](crate::Store::history).
    ///
    /// # Errors
    ///
    /// `Backend` if the database fails.
    pub async fn history(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
        entries: Entries,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Entry>, StorageError> {
        let work = async {
            let (mut session, place) = self.at(tenant, Access::Read).await?;
            read::history(&mut session, self.shape, &place, customer, entries, after, limit).await
        };
        work.await.map_err(|fault: Fault| fault.while_doing("read a history"))
    }

    /// As [`Store::resolve`](crate::Store::resolve).
    ///
    /// # Errors
    ///
    /// `Backend` if the database fails.
    pub async fn resolve(&self, tenant: &TenantId, keys: &[ClaimKey]) -> Result<Vec<Option<ClaimOwner>>, StorageError> {
        let work = async {
            let (mut session, place) = self.at(tenant, Access::Read).await?;
            read::resolve(&mut session, self.shape, &place, keys).await
        };
        work.await.map_err(|fault: Fault| fault.while_doing("resolve keys"))
    }

    /// As [`Store::definitions`](crate::Store::definitions).
    ///
    /// # Errors
    ///
    /// `Backend` if the database fails.
    pub async fn definitions(&self, tenant: &TenantId) -> Result<DefinitionRows, StorageError> {
        let work = async {
            let (mut session, place) = self.at(tenant, Access::Read).await?;
            read::definitions(&mut session, self.shape, &place).await
        };
        work.await.map_err(|fault: Fault| fault.while_doing("read definitions"))
    }

    /// As [`Store::commit`](crate::Store::commit), but nothing is kept until the host commits, and nothing is
    /// tried again.
    ///
    /// # Errors
    ///
    /// `Backend` if the database fails; nothing of the call is in the transaction then. A serialization
    /// failure is among them, and then the host's transaction is to be made again as a whole.
    pub async fn commit(
        &self,
        tenant: &TenantId,
        commits: &[Commit],
    ) -> Result<Vec<Result<Committed, CommitError>>, StorageError> {
        let work = async {
            let (mut session, place) = self.at(tenant, Access::Write).await?;
            commit(&mut session, self.shape, &place, commits).await
        };
        work.await.map_err(|fault: Fault| fault.while_doing("commit"))
    }

    /// As [`Store::define`](crate::Store::define).
    ///
    /// # Errors
    ///
    /// `Conflict` if another was added first, `Storage` if the database fails.
    pub async fn define(&self, tenant: &TenantId, expected: u64, body: &[u8]) -> Result<u64, DefineError> {
        let work = async {
            let (mut session, place) = self.at(tenant, Access::Write).await?;
            read::define(&mut session, self.shape, &place, expected, body).await
        };
        let defined = work.await.map_err(|fault: Fault| fault.while_doing("define"))?;
        defined.map_err(|actual| DefineError::Conflict { actual })
    }

    /// What the store can do.
    pub(super) const fn capabilities(&self) -> Capabilities {
        Capabilities::one_lane(self.shape.durable).lanes(self.shape.lanes)
    }
}
