//! How a file is opened.

use std::time::Duration;

use crm_core::{Column, SetKind};

use super::migrations::Owner;

/// How a [`SqliteStore`](super::SqliteStore) opens its file.
///
/// ```
/// use std::time::Duration;
/// use crm_storage::SqliteOptions;
///
/// let options = SqliteOptions::default().busy_timeout(Duration::from_secs(2)).readers(8);
/// # let _ = options;
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct SqliteOptions {
    pub(super) busy_timeout: Duration,
    pub(super) cache_kib: u32,
    pub(super) readers: usize,
    pub(super) allow_older_sqlite: bool,
    pub(super) owner: Owner,
    pub(super) indexed: Option<Vec<Column>>,
    pub(super) index_sets: Option<Vec<SetKind>>,
    pub(super) index_scores: Option<bool>,
    pub(super) scrub_up_to: u64,
}

impl Default for SqliteOptions {
    /// Waits 5 seconds for another process, caches 128 MiB for writing, has 4 readers, and insists on an
    /// SQLite without the known checkpoint race.
    fn default() -> Self {
        SqliteOptions {
            busy_timeout: Duration::from_secs(5),
            cache_kib: 128 * 1024,
            readers: 4,
            allow_older_sqlite: false,
            owner: Owner::Us,
            indexed: None,
            index_sets: None,
            index_scores: None,
            scrub_up_to: 256 << 20,
        }
    }
}

impl SqliteOptions {
    /// SQLite counts milliseconds in 32 bits.
    const LONGEST_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);

    /// How long a write waits for another process that writes to the same file, at most 24 days.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout.min(Self::LONGEST_TIMEOUT);
        self
    }

    /// The page cache of the writer in KiB; each reader has an eighth of it. What is cached need not be
    /// read again: give it room for the customers who are active at one time, about 2 KiB each.
    pub fn cache_kib(mut self, kib: u32) -> Self {
        self.cache_kib = kib;
        self
    }

    /// How many connections read at once, each in the thread that asks. With 0 the writer's connection
    /// does everything, one thing at a time.
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers;
        self
    }

    /// Accepts an SQLite older than 3.51.3. Up to 3.51.2 a checkpoint that races with a write on another
    /// connection can lose committed pages. So there are no readers then; and no other process may have
    /// the file open, which only the host can see to.
    pub fn allow_older_sqlite(mut self) -> Self {
        self.allow_older_sqlite = true;
        self
    }

    /// Accepts a file that has tables of other programs, and puts the store's tables, all named `crm_…`,
    /// beside them: so a shop can write its own rows and the CRM's in one transaction. Without it such a
    /// file is refused.
    pub fn beside_other_tables(mut self) -> Self {
        self.owner = Owner::Host;
        self
    }

    /// Up to which size of the file in bytes an erasure clears copies by itself, with
    /// [`SqliteStore::scrub`](super::SqliteStore::scrub), which takes longer the more there is that is
    /// personal; 256 MiB if nothing is said. Past it an erasure is `Pending` until `scrub` is called, which
    /// may be once for many.
    pub fn scrub_up_to(mut self, bytes: u64) -> Self {
        self.scrub_up_to = bytes;
        self
    }

    /// The columns by which customers are often chosen. Each has an index, which costs a page more for
    /// each commit that moves its number; selections that need no such column read all customers. Without
    /// a word about it, indexes stay as they are.
    pub fn indexed(mut self, columns: &[Column]) -> Self {
        self.indexed = Some(columns.to_vec());
        self
    }
    /// The kinds of sets by which customers are often chosen. Each has a table of who is in them, which costs a
    /// page more for each set that a commit adds or takes away, and nothing where none moves. It is filled
    /// when a kind is declared, in one transaction that reads all customers, and dropped when it no longer is;
    /// without a word about it, it stays as it is.
    pub fn index_sets(mut self, kinds: &[SetKind]) -> Self {
        self.index_sets = Some(kinds.to_vec());
        self
    }

    /// Whether there is an index of scores by plugin, output and value. It costs a page more for each score that
    /// is written. A selection by a score reads all scores, old ones too, whose value compares so, and keeps
    /// the customers whose newest one it is. Without a word about it, it stays as it is.
    pub fn index_scores(mut self, index: bool) -> Self {
        self.index_scores = Some(index);
        self
    }
}
