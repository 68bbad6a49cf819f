//! A store for the `crm` crate over [redb](https://docs.rs/redb), a key-value store in one file: what you get
//! by following `docs/writing-a-store.md` from its beginning to its end, feed and outbox included.
//!
//! Start with `tables.rs`, which is the whole schema, and go on with `writing.rs`, where a commit is judged and
//! applied. The test is three lines and a folder, in `tests/conformance.rs`; it runs every promise of the
//! contract against this store.
//!
//! Every method does its work at once, on the thread that polls it: good for a program with threads of its own,
//! while a server on an async runtime would wrap the body of `read` and `write` in its `spawn_blocking`.

use std::path::Path;

use async_trait::async_trait;
use crm_core::{CustomerId, Span, TenantId, Timestamp};
use crm_storage::{
    Capabilities, ClaimKey, ClaimOwner, Commit, CommitError, Committed, Cursor, CursorError, CursorStep, DeadLetter,
    DefineError, DefinitionRows, Details, Due, Entries, Entry, Erased, FeedCursor, FeedRow, Judgement, Lane, Leased,
    Loaded, Page, Parts, Selection, Settlement, StorageError, Store, check_consumer,
};
use redb::{Builder, Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, WriteTransaction};

use crate::fault::Fault;
use crate::reading::Reading;
use crate::tables::{CURSORS, FEED};
use crate::writing::Writing;

mod erasing;
mod fault;
mod outbox;
mod parts;
mod reading;
mod selecting;
mod tables;
mod writing;

/// The lane of everything: redb has one writer, so there is nothing to gain from more.
const LANE: Lane = Lane(0);

/// Customers in one file.
#[derive(Debug)]
pub struct RedbStore {
    database: Database,
}

/// What a write transaction comes to when nothing fails.
struct Outcome<T> {
    answer: T,
    /// Whether anything was written. If not, no disk need be waited for.
    wrote: bool,
}

impl RedbStore {
    /// Opens a file, or creates it. Only one process can have it open.
    ///
    /// The whole file is read and its checksums are compared, because redb trusts its pages afterwards: damage
    /// must be found here, or a look-up could panic.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the file is damaged, and `Open` for anything else, such as a process that has it open.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StorageError> {
        let open = || {
            let database = Builder::new().set_check_integrity_on_open(true).create(&path)?;
            let transaction = database.begin_write()?;
            tables::create(&transaction)?;
            transaction.commit()?;
            Ok(RedbStore { database })
        };
        open().map_err(|fault: Fault| fault.on_open(path.as_ref()))
    }

    /// Looks at one snapshot of the whole store.
    fn read<T>(
        &self,
        doing: &'static str,
        look: impl FnOnce(&ReadTransaction) -> Result<T, Fault>,
    ) -> Result<T, StorageError> {
        let run = || look(&self.database.begin_read()?);
        run().map_err(|fault| fault.before_commit(doing))
    }

    /// Looks at one snapshot of a tenant.
    fn read_of<T>(
        &self,
        tenant: &TenantId,
        doing: &'static str,
        look: impl FnOnce(Reading<'_>) -> Result<T, Fault>,
    ) -> Result<T, StorageError> {
        self.read(doing, |transaction| look(Reading { tenant: tenant.as_str(), transaction }))
    }

    /// Runs one write transaction, alone. Whatever fails before its commit leaves no trace; of a commit that
    /// fails nobody knows how far it came.
    fn write<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&WriteTransaction) -> Result<Outcome<T>, Fault>,
    ) -> Result<T, StorageError> {
        let run = || {
            let mut transaction = self.database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            let outcome = work(&transaction)?;
            Ok((transaction, outcome))
        };
        let (transaction, Outcome { answer, wrote }) = run().map_err(|fault: Fault| fault.before_commit(doing))?;
        if wrote {
            transaction.commit().map_err(|error| StorageError::Unknown { source: Some(Box::new(error)) })?;
        }
        Ok(answer)
    }

    /// Runs one write transaction for a tenant.
    fn write_of<T>(
        &self,
        tenant: &TenantId,
        doing: &'static str,
        work: impl FnOnce(Writing<'_>) -> Result<Outcome<T>, Fault>,
    ) -> Result<T, StorageError> {
        self.write(doing, |transaction| work(Writing { tenant: tenant.as_str(), transaction }))
    }
}

#[async_trait]
impl Store for RedbStore {
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
        self.write_of(tenant, "commit", |writing| {
            let (mut answer, mut wrote) = (Vec::with_capacity(commits.len()), false);
            for commit in &commits {
                answer.push(match commit.judge(&writing)? {
                    Judgement::Refuse(refusal) => Err(refusal),
                    Judgement::Replay(answer) => Ok(Committed::Replayed { answer }),
                    Judgement::Apply { versions, counters } => {
                        wrote = true;
                        writing.apply(commit, &versions, &counters)?;
                        Ok(Committed::Done { versions })
                    }
                });
            }
            Ok(Outcome { answer, wrote })
        })
    }

    async fn load(&self, tenant: &TenantId, customers: &[CustomerId]) -> Result<Loaded, StorageError> {
        self.read_of(tenant, "load customers", |reading| reading.load(customers))
    }

    async fn details(
        &self,
        tenant: &TenantId,
        customers: &[CustomerId],
        parts: Parts,
    ) -> Result<Vec<Option<Details>>, StorageError> {
        self.read_of(tenant, "read details", |reading| {
            customers.iter().map(|customer| reading.details(*customer, parts)).collect()
        })
    }

    async fn history(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
        entries: Entries,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Entry>, StorageError> {
        self.read_of(tenant, "read a history", |reading| reading.history(customer, entries, after, limit))
    }

    async fn resolve(&self, tenant: &TenantId, keys: &[ClaimKey]) -> Result<Vec<Option<ClaimOwner>>, StorageError> {
        self.read_of(tenant, "resolve keys", |reading| reading.owners(keys))
    }

    async fn select(
        &self,
        tenant: &TenantId,
        selection: &Selection,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Vec<CustomerId>, StorageError> {
        selection.check()?;
        self.read_of(tenant, "select customers", |reading| {
            let mut meant = Vec::new();
            selecting::walk(reading, selection, after, |customer| {
                meant.push(customer);
                meant.len() < limit
            })?;
            Ok(meant)
        })
    }

    async fn count(&self, tenant: &TenantId, selection: &Selection) -> Result<u64, StorageError> {
        selection.check()?;
        self.read_of(tenant, "count customers", |reading| {
            let mut count = 0;
            selecting::walk(reading, selection, None, |_| {
                count += 1;
                true
            })?;
            Ok(count)
        })
    }

    async fn due(&self, tenant: &TenantId, until: Timestamp, limit: usize) -> Result<Vec<Due>, StorageError> {
        self.read_of(tenant, "list alarms", |reading| reading.due(until, limit))
    }

    async fn lease(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        lease: Span,
        limit: usize,
    ) -> Result<Vec<Leased>, StorageError> {
        self.write_of(tenant, "lease outbox entries", |writing| {
            let answer = outbox::lease(&writing, now, lease, limit)?;
            Ok(Outcome { wrote: !answer.is_empty(), answer })
        })
    }

    async fn settle(&self, tenant: &TenantId, settlements: &[Settlement]) -> Result<Vec<bool>, StorageError> {
        self.write_of(tenant, "settle outbox entries", |writing| {
            let settled = settlements.iter().map(|settlement| outbox::settle(&writing, settlement));
            let answer: Vec<bool> = settled.collect::<Result<_, _>>()?;
            Ok(Outcome { wrote: answer.contains(&true), answer })
        })
    }

    async fn dead_letters(
        &self,
        tenant: &TenantId,
        after: Option<&DeadLetter>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StorageError> {
        self.read_of(tenant, "list dead letters", |reading| outbox::dead_letters(reading, after, limit))
    }

    async fn definitions(&self, tenant: &TenantId) -> Result<DefinitionRows, StorageError> {
        self.read_of(tenant, "read definitions", |reading| reading.definitions())
    }

    async fn define(&self, tenant: &TenantId, expected: u64, body: Vec<u8>) -> Result<u64, DefineError> {
        self.write_of(tenant, "add a definition", |writing| {
            let answer = writing.define(expected, &body)?;
            Ok(Outcome { wrote: answer.is_ok(), answer })
        })?
    }

    async fn erase(&self, tenant: &TenantId, customer: CustomerId, keys: &[ClaimKey]) -> Result<Erased, StorageError> {
        self.write_of(tenant, "erase a customer", |writing| {
            Ok(Outcome { answer: erasing::erase(&writing, customer, keys)?, wrote: true })
        })
    }

    async fn feed(&self, lane: Lane, after: u64, limit: usize) -> Result<Vec<FeedRow>, StorageError> {
        if lane != LANE {
            return Ok(Vec::new());
        }
        self.read("read the feed", |transaction| reading::feed(transaction, after, limit))
    }

    async fn cursor(&self, consumer: &str, lane: Lane, step: CursorStep) -> Result<FeedCursor, CursorError> {
        check_consumer(consumer)?;
        if lane != LANE {
            return FeedCursor::default().after(step, 0);
        }
        self.write("move a cursor", |transaction| {
            let end = transaction.open_table(FEED)?.last()?.map_or(0, |(key, _)| key.value());
            let mut cursors = transaction.open_table(CURSORS)?;
            let (position, epoch) = cursors.get(consumer)?.map_or((0, 0), |row| row.value());
            let stood = FeedCursor { position, epoch };
            let answer = stood.after(step, end);
            let moved = answer.as_ref().ok().filter(|now| **now != stood);
            if let Some(now) = moved {
                cursors.insert(consumer, (now.position, now.epoch))?;
            }
            Ok(Outcome { wrote: moved.is_some(), answer })
        })?
    }
}
