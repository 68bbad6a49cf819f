//! Inside a transaction that the shop has open on PostgreSQL.

use std::sync::Arc;

use crm_core::CustomerId;
use crm_core::customer::{Command, Customer};
use crm_storage::postgres::tokio_postgres;
use crm_storage::{PostgresStore, PostgresTransaction, Store};

use super::{Crm, Executed, Inside, Recorded};
use crate::error::Error;
use crate::incoming::{Incoming, Who};

/// A CRM inside one transaction of the shop's, on PostgreSQL.
///
/// A conflict is answered as [`Error::Conflict`] and never tried again; what a call asked of the store is
/// there wholly or not at all, and after an error the shop's transaction is as it was before that. A future
/// that is dropped before it is done leaves the transaction in a state that is not known: roll it back.
#[derive(Debug)]
pub struct InPostgresTransaction<'t> {
    crm: Crm,
    transaction: PostgresTransaction<'t>,
}

impl Crm {
    /// Steps into a transaction that the shop has open on a connection of its own, to the database that
    /// `store` keeps. Take the shop's own locks first, and step in once, last: the CRM then locks the lanes
    /// of its customers until the shop's transaction ends.
    ///
    /// The tenant must have been used before, or be used by nobody else meanwhile: what a new tenant
    /// begins with is written inside as well.
    ///
    /// # Errors
    ///
    /// `Storage` if the transaction may only read, is on a database without the store's schema, or would not
    /// be as durable as the store; it is as it was then.
    pub async fn within_postgres<'t>(
        &self,
        store: &'t PostgresStore,
        transaction: &'t tokio_postgres::Transaction<'t>,
    ) -> Result<InPostgresTransaction<'t>, Error> {
        let transaction = store.within(transaction);
        transaction.check().await?;
        Ok(InPostgresTransaction { crm: self.clone(), transaction })
    }

    /// The same CRM over another store, inside somebody's transaction.
    fn inside(&self, store: Arc<dyn Store>) -> Crm {
        // Definitions are read anew: what is defined inside may never come to be.
        let inner = self.inner.again(store, self.inner.plugins.clone(), Inside::Task);
        Crm::new(Arc::new(inner), self.tenant.clone())
    }
}

impl InPostgresTransaction<'_> {
    pub(super) const fn crm(&self) -> &Crm {
        &self.crm
    }

    /// Has any work done with the CRM as it is inside the transaction. What reads or writes more than single
    /// customers and definitions answers that it is not supported there.
    pub async fn run<T, F>(&self, work: impl FnOnce(Crm) -> F) -> T
    where
        F: Future<Output = T>,
    {
        self.transaction.run(|store| work(self.crm.inside(store))).await
    }

    /// See [`Crm::record`].
    ///
    /// # Errors
    ///
    /// The same, and `Conflict`.
    pub async fn record(&self, incoming: Incoming) -> Result<Recorded, Error> {
        self.run(async move |crm| crm.record(incoming).await).await
    }

    /// See [`Crm::execute`].
    ///
    /// # Errors
    ///
    /// The same, and `Conflict`.
    pub async fn execute(&self, customer: CustomerId, command: Command, key: &str) -> Result<Executed, Error> {
        self.run(async move |crm| crm.execute(customer, command, key).await).await
    }

    /// See [`Crm::customer`].
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn customer(&self, who: impl Into<Who> + Send) -> Result<Option<Customer>, Error> {
        self.run(async move |crm| crm.customer(who).await).await
    }
}
