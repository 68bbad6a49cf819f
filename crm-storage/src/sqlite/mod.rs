//! A store in one SQLite file.
//!
//! One thread writes and commits for everybody at once; readers answer in the thread
//! that asks. The file is in write-ahead mode and each commit is synced, so what was acknowledged
//! survives the loss of power. Several processes may open one file: each write takes SQLite's own lock
//! first and sees what the others wrote.

mod column;
mod fault;
mod migrations;
mod open;
mod options;
mod outbox;
mod read;
mod readers;
mod session;
mod sql;
mod write;
mod writer;

use std::path::Path;

use async_trait::async_trait;
use crm_core::{CustomerId, Span, TenantId, Timestamp};
use rusqlite::Connection;

use crate::commit::{ClaimKey, Commit, Committed};
use crate::error::{CommitError, DefineError, StorageError};
use crate::row::{
    ChangeRow, ClaimOwner, Cursor, CustomerRow, DefinitionRows, Due, EventRow, Leased, Loaded, Page, ScoreRow,
    Settlement,
};
use crate::store::{Capabilities, Store};
use fault::Fault;
pub use options::SqliteOptions;
use readers::Readers;
use writer::{Access, Writer};

/// Keeps customers in one SQLite file.
///
/// Dropping it waits until everything asked for is done, copies the log back and closes the file.
///
/// ```
/// use crm_storage::SqliteStore;
///
/// # let directory = std::env::temp_dir().join(format!("crm-storage-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// let store = SqliteStore::open(directory.join("shop.crm"))?;
/// # drop(store);
/// # std::fs::remove_dir_all(directory)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SqliteStore {
    // Fields are dropped in this order: the writer is the last to close, and cuts the log.
    readers: Readers,
    writer: Writer,
}

/// From how many rows on a list is read by the writer.
const LONG_LIST: usize = 64;

impl SqliteStore {
    /// Opens a file, or makes one where there is none.
    ///
    /// # Errors
    ///
    /// `Open` if the file cannot be opened, is no store, or is newer than this program; it is then left
    /// as it was. Also if the program's SQLite is older than 3.51.3.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StorageError> {
        Self::open_with(path, &SqliteOptions::default())
    }

    /// Opens a file with options, or makes one where there is none.
    ///
    /// # Errors
    ///
    /// As [`SqliteStore::open`], but for what the options allow.
    pub fn open_with(path: impl AsRef<Path>, options: &SqliteOptions) -> Result<Self, StorageError> {
        let opened = open::open(path.as_ref(), options)?;
        let readers = Readers::new(opened.readers);
        Ok(SqliteStore { readers, writer: Writer::start(opened.writer, options.busy_timeout)? })
    }

    /// Reads a list of so many rows by their keys. Whoever reads many is about to write them: the writer
    /// has their pages at hand, where a reader's are void after each write, and the way to its thread is
    /// paid once for the list.
    async fn read_list<T: Send + 'static>(
        &self,
        doing: &'static str,
        rows: usize,
        read: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StorageError> {
        if rows >= LONG_LIST {
            return self.writer.ask(doing, Access::Read, |session| read(session.connection)).await;
        }
        self.read(doing, read).await
    }

    async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        read: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StorageError> {
        if self.readers.is_empty() {
            return self.writer.ask(doing, Access::Read, |session| read(session.connection)).await;
        }
        let read = self.readers.read(|connection| read::in_transaction(connection, read));
        read.unwrap_or_else(|| Err(Fault::Damaged("no reader".into()))).map_err(|fault| fault.while_doing(doing))
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::one_lane(true)
    }

    async fn commit(
        &self,
        tenant: &TenantId,
        commits: Vec<Commit>,
    ) -> Result<Vec<Result<Committed, CommitError>>, StorageError> {
        if commits.is_empty() {
            return Ok(Vec::new());
        }
        let tenant = tenant.clone();
        let access = Access::Write(commits.len());
        self.writer.ask("commit", access, move |session| session.commit(&tenant, &commits)).await
    }

    async fn load(&self, tenant: &TenantId, customers: &[CustomerId]) -> Result<Loaded, StorageError> {
        let (tenant, customers) = (tenant.clone(), customers.to_vec());
        let rows = customers.len();
        self.read_list("load customers", rows, move |file| read::load(file, &tenant, &customers)).await
    }

    async fn history(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<EventRow>, StorageError> {
        let tenant = tenant.clone();
        self.read("read a history", move |file| read::history(file, &tenant, customer, after, limit)).await
    }

    async fn changes(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<ChangeRow>, StorageError> {
        let tenant = tenant.clone();
        self.read("read changes", move |file| read::changes(file, &tenant, customer, after, limit)).await
    }

    async fn scores(&self, tenant: &TenantId, customer: CustomerId) -> Result<Vec<ScoreRow>, StorageError> {
        let tenant = tenant.clone();
        self.read("read scores", move |file| read::scores(file, &tenant, customer)).await
    }

    async fn resolve(&self, tenant: &TenantId, keys: &[ClaimKey]) -> Result<Vec<Option<ClaimOwner>>, StorageError> {
        let (tenant, keys) = (tenant.clone(), keys.to_vec());
        let rows = keys.len();
        self.read_list("resolve keys", rows, move |file| read::resolve(file, &tenant, &keys)).await
    }

    async fn customers(
        &self,
        tenant: &TenantId,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Vec<CustomerRow>, StorageError> {
        let tenant = tenant.clone();
        self.read("list customers", move |file| read::customers(file, &tenant, after, limit)).await
    }

    async fn due(&self, tenant: &TenantId, until: Timestamp, limit: usize) -> Result<Vec<Due>, StorageError> {
        let tenant = tenant.clone();
        self.read("list alarms", move |file| read::due(file, &tenant, until, limit)).await
    }

    async fn lease(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        lease: Span,
        limit: usize,
    ) -> Result<Vec<Leased>, StorageError> {
        let tenant = tenant.clone();
        self.writer.ask("lease", Access::Write(1), move |session| session.lease(&tenant, now, lease, limit)).await
    }

    async fn settle(&self, tenant: &TenantId, settlements: &[Settlement]) -> Result<Vec<bool>, StorageError> {
        if settlements.is_empty() {
            return Ok(Vec::new());
        }
        let (tenant, settlements) = (tenant.clone(), settlements.to_vec());
        self.writer.ask("settle", Access::Write(1), move |session| session.settle(&tenant, &settlements)).await
    }

    async fn definitions(&self, tenant: &TenantId) -> Result<DefinitionRows, StorageError> {
        let tenant = tenant.clone();
        self.read("read definitions", move |file| read::definitions(file, &tenant)).await
    }

    async fn define(&self, tenant: &TenantId, expected: u64, body: Vec<u8>) -> Result<u64, DefineError> {
        let tenant = tenant.clone();
        let work = move |session: &mut session::Session<'_>| session.define(&tenant, expected, &body);
        let revision = self.writer.ask("define", Access::Write(1), work).await?;
        revision.map_err(|actual| DefineError::Conflict { actual })
    }
}
