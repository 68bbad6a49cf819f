//! The CRM inside a transaction of the host's: rolled back by the host, nothing of it is there.

use crm_core::{CustomerId, TenantId};
use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use super::commit::commit;
use super::fault::Fault;
use super::gather::Place;
use super::schema::{self, qualified};
use super::session::Session;
use super::shape::Shape;
use super::{Access, find_tenant, read};
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

    /// Checks, before anything is written, that the transaction can carry the store's work: that it is on a
    /// database with this store's schema and lanes, may write, and will be as durable as the store is.
    ///
    /// # Errors
    ///
    /// `Open` with the reason; the host's transaction is as it was. `Backend` if the database fails.
    pub async fn check(&self) -> Result<(), StorageError> {
        let failed = |error: tokio_postgres::Error| Fault::from(error).while_doing("look at the host's transaction");
        let refuse = |reason: String| Err(StorageError::Open { reason, source: None });
        let heads = format!("{}.lane_head", self.shape.schema);
        // Looked up by name first: a statement that fails would end the host's transaction.
        let looked = "SELECT to_regclass($1) IS NOT NULL, current_setting('transaction_read_only') = 'on', \
                      current_setting('synchronous_commit') = 'off'";
        let looked = self.transaction.query_typed(looked, &[(&heads, Type::TEXT)]).await.map_err(failed)?;
        let [there, read_only, careless] = match &looked[..] {
            [row] => [0, 1, 2].map(|column| row.try_get::<_, bool>(column).unwrap_or(false)),
            _ => [false; 3],
        };
        if !there {
            return refuse(format!("the host's transaction is on a database without the schema {}", self.shape.schema));
        }
        if read_only {
            return refuse("the host's transaction may only read".into());
        }
        if careless && self.shape.durable {
            return refuse("synchronous_commit is off in the host's transaction".into());
        }
        let steps = qualified(schema::STEPS_THERE, &self.shape.schema);
        let asked = format!("SELECT (SELECT count(*) FROM {heads}), ({steps})");
        let asked = self.transaction.query_typed(&asked, &[]).await.map_err(failed)?;
        let row = asked.first();
        let steps = row.and_then(|row| row.try_get::<_, Vec<u8>>(1).ok());
        if steps.as_deref() != Some(schema::STEPS_TAKEN.as_bytes()) {
            let schema = &self.shape.schema;
            return refuse(format!("the schema {schema} of the host's database is of another version of this program"));
        }
        let lanes = row.and_then(|row| row.try_get::<_, i64>(0).ok()).unwrap_or(0);
        if lanes != i64::from(self.shape.lanes) {
            return refuse(format!("the schema of the host's database has {lanes} lanes, not {}", self.shape.lanes));
        }
        Ok(())
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
