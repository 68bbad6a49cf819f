//! Inside a transaction that the shop has open: the CRM's writes are there when the shop commits, and were
//! never there when it rolls back.

use std::sync::Arc;

use crm_core::CustomerId;
use crm_core::customer::{Command, Customer};
use crm_storage::sqlite::{HostTransaction, rusqlite};

use super::{Crm, Executed, Inside, Recorded};
use crate::error::Error;
use crate::incoming::{Incoming, Who};

/// A CRM inside one transaction of the shop's. Calls return when they are done, on the shop's thread.
///
/// A conflict is answered as [`Error::Conflict`] and never tried again; what a call asked of the store is
/// there wholly or not at all, and after an error the shop's transaction is as it was before that. What
/// the CRM itself remembers moves only when it is read again outside.
#[derive(Debug)]
pub struct InTransaction<'t> {
    crm: Crm,
    transaction: HostTransaction<'t>,
}

impl Crm {
    /// Steps into a transaction that the shop has open on a connection of its own, to the file that the
    /// CRM's store keeps, or to another one with the same tables. Begin it as
    /// `TransactionBehavior::Immediate`, and call [`install`](crate::sqlite::install) once for the
    /// connection. While it is open, nothing else of this thread may write through the CRM outside of it:
    /// it would wait for this very transaction.
    ///
    /// ```
    /// use crm::sqlite::{install, rusqlite::{Connection, TransactionBehavior}};
    /// use crm::{Channel, Crm, Identifier, Incoming, Source, Visited};
    ///
    /// let mut shop = Connection::open_in_memory()?;
    /// shop.execute_batch("CREATE TABLE sale (number INTEGER)")?;
    /// install(&mut shop)?;
    /// let crm = Crm::in_memory();
    /// let ana = Identifier::email("ana@example.com")?;
    /// let visit = Incoming::new(&ana, crm.now(), Source::new("shop")?, Visited { channel: Channel::Web, place: None });
    ///
    /// let transaction = shop.transaction_with_behavior(TransactionBehavior::Immediate)?;
    /// transaction.execute("INSERT INTO sale VALUES (1)", [])?;
    /// let mut inside = crm.within(&transaction)?;
    /// inside.record(visit)?;
    /// assert!(inside.customer(&ana)?.is_some());
    /// drop(inside);
    /// transaction.commit()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Storage` if there is no transaction, the connection was not made ready, or the lock for writing
    /// cannot be had.
    pub fn within<'t>(&self, transaction: &'t rusqlite::Connection) -> Result<InTransaction<'t>, Error> {
        let transaction = HostTransaction::new(transaction)?;
        // Definitions are read anew: what is defined inside may never come to be, and it may be another database.
        let inner = self.inner.again(transaction.store(), self.inner.plugins.clone(), Inside::Thread);
        Ok(InTransaction { crm: Crm::new(Arc::new(inner), self.tenant.clone()), transaction })
    }
}

impl InTransaction<'_> {
    pub(super) const fn crm(&self) -> &Crm {
        &self.crm
    }

    /// Has any work done with the CRM as it is inside the transaction. The work may await nothing but that
    /// CRM and what needs no other thread's help from this one.
    pub fn run<T, F>(&mut self, work: impl FnOnce(Crm) -> F) -> T
    where
        F: Future<Output = T>,
    {
        self.transaction.run(work(self.crm.clone()))
    }

    /// See [`Crm::record`].
    ///
    /// # Errors
    ///
    /// The same, and `Conflict`.
    pub fn record(&mut self, incoming: Incoming) -> Result<Recorded, Error> {
        self.transaction.run(self.crm.record(incoming))
    }

    /// See [`Crm::execute`].
    ///
    /// # Errors
    ///
    /// The same, and `Conflict`.
    pub fn execute(&mut self, customer: CustomerId, command: Command, key: &str) -> Result<Executed, Error> {
        self.transaction.run(self.crm.execute(customer, command, key))
    }

    /// See [`Crm::customer`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn customer(&mut self, who: impl Into<Who> + Send) -> Result<Option<Customer>, Error> {
        self.transaction.run(self.crm.customer(who))
    }
}
