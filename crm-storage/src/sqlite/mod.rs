//! A store in one SQLite file.
//!
//! One connection writes and commits for everybody at once, in a thread of its own or in that of a caller
//! who only waits; readers answer in the thread that asks. The file is in write-ahead mode and each commit is synced, so what was acknowledged
//! survives the loss of power. Several processes may open one file: each write takes SQLite's own lock
//! first and sees what the others wrote.

mod column;
mod driver;
mod enrol;
mod erase;
mod fault;
mod histories;
mod host;
mod indexes;
mod migrations;
mod open;
mod options;
mod outbox;
mod queue;
mod read;
mod readers;
mod select;
mod session;
mod sql;
mod write;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use crm_core::{CustomerId, Span, TenantId, Timestamp};
pub use rusqlite;
use rusqlite::Connection;

use crate::commit::{ClaimKey, Commit, Committed};
use crate::enrol::{Enrolled, Enrolment};
use crate::error::{CommitError, CursorError, DefineError, StorageError};
use crate::feed::check_consumer;
use crate::lane::Lane;
use crate::migration::Step;
use crate::row::{
    ClaimOwner, Copies, Cursor, CursorStep, DeadLetter, DefinitionRows, Details, Due, Entries, Entry, Erased,
    FeedCursor, FeedRow, Leased, Loaded, Page, Parts, Scanned, ScoresAsked, Settlement,
};
use crate::selection::Selection;
use crate::store::{Capabilities, Store};
use fault::Fault;
use histories::{Histories, Wanted};
pub use host::{HostTransaction, install};
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
/// # let directory = tempfile::tempdir()?;
/// # let directory = directory.path();
/// let store = SqliteStore::open(directory.join("shop.crm"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SqliteStore {
    // Fields are dropped in this order: the writer is the last to close, and cuts the log.
    readers: Readers,
    writer: Writer,
    busy_timeout: Duration,
    /// Up to which size of the file an erasure clears copies by itself.
    scrubbed_up_to: u64,
    histories: Arc<Histories>,
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
        let busy_timeout = options.busy_timeout;
        let writer = Writer::start(opened.writer, busy_timeout)?;
        Ok(SqliteStore {
            readers,
            writer,
            busy_timeout,
            scrubbed_up_to: options.scrub_up_to,
            histories: Arc::default(),
        })
    }

    /// The steps of the schema that a file has not had yet, without taking them. Opening it takes them.
    ///
    /// # Errors
    ///
    /// As [`SqliteStore::open`]; a file that is not there has had none.
    pub fn pending(path: impl AsRef<Path>, options: &SqliteOptions) -> Result<Vec<Step>, StorageError> {
        open::pending(path.as_ref(), options)
    }

    /// Clears the copies of what was erased that are left in unused parts of the file and in its log. Writes
    /// the personal tables and the outbox anew, which takes a time in which nobody else writes, in proportion
    /// to their size. Each erasure does it by itself while the file is small, see
    /// [`SqliteOptions::scrub_up_to`].
    ///
    /// Answers `Pending` if somebody was reading for longer than the busy timeout: their copies are in the
    /// log, and are cleared the next time.
    ///
    /// # Errors
    ///
    /// `Backend` or `Unknown` if the file could not be written.
    pub async fn scrub(&self) -> Result<Copies, StorageError> {
        // Inside somebody else's transaction the log cannot be cut.
        if !self.writer.has_thread() {
            return Ok(Copies::Pending);
        }
        let rewrite = |session: &mut session::Session<'_>| session.rewrite_personal();
        self.writer.ask("rewrite the personal tables", Access::Write(1), rewrite).await?;
        let patience = self.busy_timeout;
        let deadline = Instant::now() + patience;
        loop {
            let cut = move |session: &mut session::Session<'_>| Ok(session.cut_log(patience));
            if self.writer.ask("cut the log", Access::Alone, cut).await? {
                return Ok(Copies::Gone);
            }
            if Instant::now() >= deadline {
                return Ok(Copies::Pending);
            }
            // Who reads may take a while, and who writes goes before.
            let pause = |_: &mut session::Session<'_>| {
                std::thread::sleep(Duration::from_millis(5));
                Ok(())
            };
            self.writer.ask("wait for readers", Access::Alone, pause).await?;
        }
    }

    /// The size of the file in bytes.
    async fn size(&self) -> Result<u64, StorageError> {
        let pages = |file: &Connection| {
            let number = |pragma| file.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
            Ok(number("page_count")?.unsigned_abs() * number("page_size")?.unsigned_abs())
        };
        self.read("measure the file", pages).await
    }

    /// Reads a list of so many rows by their keys. Whoever reads many is about to write them: the writer
    /// has their pages at hand, where a reader's are void after each write, and the way to its thread is
    /// paid once for the list.
    async fn read_list<T: Send + 'static>(
        &self,
        doing: &'static str,
        rows: usize,
        read: impl Fn(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StorageError> {
        if rows >= LONG_LIST {
            return self.writer.ask(doing, Access::Read, move |session| read(session.connection)).await;
        }
        self.read(doing, read).await
    }

    async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        read: impl Fn(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StorageError> {
        if self.readers.is_empty() {
            return self.read_alone(doing, read).await;
        }
        self.read_alone(doing, move |connection| read::in_transaction(connection, &read)).await
    }

    /// Reads by a single statement, which sees one moment by itself.
    async fn read_alone<T: Send + 'static>(
        &self,
        doing: &'static str,
        read: impl Fn(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StorageError> {
        if self.readers.is_empty() {
            return self.writer.ask(doing, Access::Read, move |session| read(session.connection)).await;
        }
        let read = self.readers.read(read);
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
        if let &[customer] = customers {
            let tenant = tenant.clone();
            return self.read_alone("load a customer", move |file| read::load_one(file, &tenant, customer)).await;
        }
        let (tenant, customers) = (tenant.clone(), customers.to_vec());
        let rows = customers.len();
        self.read_list("load customers", rows, move |file| read::load(file, &tenant, &customers)).await
    }

    async fn details(
        &self,
        tenant: &TenantId,
        customers: &[CustomerId],
        parts: Parts,
    ) -> Result<Vec<Option<Details>>, StorageError> {
        let (tenant, customers) = (tenant.clone(), customers.to_vec());
        let rows = customers.len();
        self.read_list("read details", rows, move |file| read::details(file, &tenant, &customers, parts)).await
    }

    async fn scan(
        &self,
        tenant: &TenantId,
        after: Option<CustomerId>,
        limit: usize,
        scores: Option<&ScoresAsked>,
    ) -> Result<Scanned, StorageError> {
        let (tenant, scores) = (tenant.clone(), scores.cloned());
        let read = move |file: &Connection| read::scan(file, &tenant, after, limit, scores.as_ref());
        self.read_list("scan customers", limit, read).await
    }

    async fn history(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
        entries: Entries,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Entry>, StorageError> {
        let wanted = Wanted { tenant: tenant.clone(), customer, entries };
        // What a transaction of the shop's has appended may be taken back.
        let histories = self.writer.has_thread().then(|| Arc::clone(&self.histories));
        let read = move |file: &Connection| read::history(file, &wanted, after, limit, histories.as_deref());
        self.read("read a history", read).await
    }

    async fn resolve(&self, tenant: &TenantId, keys: &[ClaimKey]) -> Result<Vec<Option<ClaimOwner>>, StorageError> {
        let (tenant, keys) = (tenant.clone(), keys.to_vec());
        let rows = keys.len();
        self.read_list("resolve keys", rows, move |file| read::resolve(file, &tenant, &keys)).await
    }

    async fn select(
        &self,
        tenant: &TenantId,
        selection: &Selection,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Vec<CustomerId>, StorageError> {
        selection.check()?;
        let (tenant, selection) = (tenant.clone(), selection.clone());
        self.read("select customers", move |file| read::select(file, &tenant, &selection, after, limit)).await
    }

    async fn count(&self, tenant: &TenantId, selection: &Selection) -> Result<u64, StorageError> {
        selection.check()?;
        let (tenant, selection) = (tenant.clone(), selection.clone());
        self.read("count customers", move |file| read::count(file, &tenant, &selection)).await
    }

    async fn enrol(
        &self,
        tenant: &TenantId,
        enrolment: &Enrolment,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Enrolled, StorageError> {
        enrolment.missing().check()?;
        let (tenant, enrolment) = (tenant.clone(), enrolment.clone());
        let work = move |session: &mut session::Session<'_>| session.enrol(&tenant, &enrolment, after, limit);
        self.writer.ask("enrol customers", Access::Write(1), work).await
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

    async fn dead_letters(
        &self,
        tenant: &TenantId,
        after: Option<&DeadLetter>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StorageError> {
        let tenant = tenant.clone();
        let after = after.map(|letter| (letter.entry.due_at, letter.entry.id));
        self.read("list dead letters", move |file| read::dead_letters(file, &tenant, after, limit)).await
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

    async fn erase(&self, tenant: &TenantId, customer: CustomerId, keys: &[ClaimKey]) -> Result<Erased, StorageError> {
        let (tenant, keys) = (tenant.clone(), keys.to_vec());
        let work = move |session: &mut session::Session<'_>| session.erase(&tenant, customer, &keys);
        let mut erased = self.writer.ask("erase", Access::Write(1), work).await?;
        // The rows are gone, whatever happens to their copies now.
        let scrubbed =
            async { if self.size().await? <= self.scrubbed_up_to { self.scrub().await } else { Ok(Copies::Pending) } };
        erased.copies = scrubbed.await.unwrap_or_else(|error| {
            tracing::warn!(%error, "copies of what was erased could not be cleared");
            Copies::Pending
        });
        Ok(erased)
    }

    async fn feed(&self, lane: Lane, after: u64, limit: usize) -> Result<Vec<FeedRow>, StorageError> {
        if lane != Lane(0) {
            return Ok(Vec::new());
        }
        self.read("read the feed", move |file| read::feed(file, after, limit)).await
    }

    async fn cursor(&self, consumer: &str, lane: Lane, step: CursorStep) -> Result<FeedCursor, CursorError> {
        check_consumer(consumer)?;
        if lane != Lane(0) {
            return FeedCursor::default().after(step, 0);
        }
        let name = consumer.to_owned();
        let work = move |session: &mut session::Session<'_>| session.cursor(&name, step);
        self.writer.ask("move a cursor", Access::Write(1), work).await?
    }
}
