//! Working inside a transaction that the shop has open on a connection of its own.
//!
//! The shop's thread is the only one that may touch its connection. So a store is made whose queue this
//! thread works off itself: while a piece of work waits for the store, the thread does what was asked for.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use rusqlite::Connection;

use super::SqliteStore;
use super::fault::Fault;
use super::migrations::{self, Owner};
use super::open;
use super::queue::{Job, Jobs, Outcome};
use super::readers::Readers;
use super::session::Session;
use super::writer::Writer;
use crate::error::StorageError;

/// Room for all statements of the store in a connection's cache, and some of the shop's.
pub(super) const STATEMENTS: usize = 128;

/// Makes a connection of the shop's ready to carry the store's work inside its transactions: makes the
/// store's tables beside the shop's where they are missing, and sets what the store's promises rest on:
/// `synchronous = FULL`, `secure_delete`, `foreign_keys` and room for prepared statements. To be called
/// once for each connection, outside of a transaction.
///
/// # Errors
///
/// `Open` if the tables are newer than this program or a setting cannot be made.
pub fn install(connection: &mut Connection) -> Result<(), StorageError> {
    open::check_version(false)?;
    migrations::migrate(connection, Owner::Host)?;
    open::configure_host(connection)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// The store inside one transaction of the shop's. What is done through it is there when the shop commits,
/// and was never there when the shop rolls back.
#[derive(Debug)]
pub struct HostTransaction<'t> {
    session: Session<'t>,
    jobs: Jobs,
    store: Arc<SqliteStore>,
}

impl<'t> HostTransaction<'t> {
    /// Steps into a transaction: a `rusqlite::Transaction` can be given as it is. It must be one that
    /// writes, best begun with `TransactionBehavior::Immediate`; one that has only read so far asks for the
    /// lock for writing here.
    ///
    /// # Errors
    ///
    /// `Open` if there is no transaction, [`install`] was not called for the connection, or the schema is
    /// not that of this program; `Backend` if the lock for writing cannot be had. The transaction stays open.
    pub fn new(transaction: &'t Connection) -> Result<Self, StorageError> {
        let refuse = |reason: &str| Err(StorageError::Open { reason: reason.into(), source: None });
        if transaction.is_autocommit() {
            return refuse("there is no transaction to step into");
        }
        open::check_version(false)?;
        open::check_host(transaction)?;
        if !migrations::pending(transaction, Owner::Host)?.is_empty() {
            return refuse("the store's tables are missing or old: call sqlite::install for the connection");
        }
        // Writes nothing, and takes the lock.
        let lock = transaction.execute("UPDATE crm_tenant SET leases = leases WHERE id IS NULL", []);
        lock.map_err(|error| Fault::from(error).while_doing("take the lock for writing"))?;
        let (writer, jobs) = Writer::without_thread();
        let readers = Readers::new(Vec::new());
        let histories = Arc::default();
        let store = SqliteStore { readers, writer, busy_timeout: Duration::ZERO, scrubbed_up_to: 0, histories };
        Ok(HostTransaction { session: Session::new(transaction), jobs, store: Arc::new(store) })
    }

    /// The store, to be used by the work given to [`run`](Self::run): it answers only while that runs.
    #[must_use]
    pub fn store(&self) -> Arc<SqliteStore> {
        Arc::clone(&self.store)
    }

    /// Runs work that uses the store, on this thread, until it is done. Each thing that the work asks of
    /// the store is done wholly or not at all; when it fails, the shop's transaction is as it was before.
    pub fn run<T>(&mut self, work: impl Future<Output = T>) -> T {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut work = pin!(work);
        // Another thread that asks the store for something wakes this one as well.
        self.store.writer.wakes(Some(std::thread::current()));
        loop {
            if let Poll::Ready(done) = work.as_mut().poll(&mut context) {
                self.store.writer.wakes(None);
                return done;
            }
            let mut idle = true;
            while let Some(job) = self.jobs.next() {
                self.answer(job);
                idle = false;
            }
            if idle {
                std::thread::park();
            }
        }
    }

    fn answer(&mut self, mut job: Box<dyn Job>) {
        // Some errors end the whole transaction, and a savepoint outside of one would begin one of its own.
        if self.session.connection.is_autocommit() {
            return job.answer(&Outcome::Failed(Fault::Ended));
        }
        // The shop may have gone back to a savepoint of its own since.
        self.session.forget_tenants();
        let savepoint = |sql| self.session.connection.execute_batch(sql).map_err(Fault::from);
        let begun = savepoint("SAVEPOINT crm_work");
        let done = begun.and_then(|()| job.run(&mut self.session));
        let savepoint = |sql| self.session.connection.execute_batch(sql).map_err(Fault::from);
        let outcome = match done.and_then(|()| savepoint("RELEASE crm_work")) {
            Ok(()) => Outcome::Committed,
            Err(fault) => {
                // When SQLite has ended the whole transaction, there is nothing left to go back to: whatever is
                // asked for from now on is refused, and the shop's commit fails.
                if let Err(fault) = savepoint("ROLLBACK TO crm_work; RELEASE crm_work") {
                    tracing::warn!(?fault, "the shop's transaction is lost");
                }
                Outcome::Failed(fault)
            }
        };
        job.answer(&outcome);
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
