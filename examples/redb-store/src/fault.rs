//! What can go wrong inside, and what the contract calls it.

use std::path::Path;

use crm_storage::StorageError;

/// Why a transaction was not finished.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The database's own error.
    Redb(redb::Error),
    /// A row that no write of this store leaves.
    Damaged(String),
}

/// Each of redb's calls has an error type of its own; `?` takes them all.
impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Fault::Redb(error.into())
    }
}

impl Fault {
    /// A damaged row, with what reading it said.
    pub(crate) fn damaged(row: &str, why: impl std::fmt::Display) -> Fault {
        Fault::Damaged(format!("{row}: {why}"))
    }

    /// Outside, before anything was committed: redb gives up what a transaction wrote when it is dropped, so
    /// it is true that nothing was written.
    pub(crate) fn before_commit(self, doing: &'static str) -> StorageError {
        match self {
            Fault::Damaged(what) | Fault::Redb(redb::Error::Corrupted(what)) => StorageError::Corrupt { what },
            Fault::Redb(error) => StorageError::Backend { doing, source: Box::new(error) },
        }
    }

    /// Outside, when a file was to be opened.
    pub(crate) fn on_open(self, path: &Path) -> StorageError {
        match self {
            Fault::Damaged(what) | Fault::Redb(redb::Error::Corrupted(what)) => StorageError::Corrupt { what },
            Fault::Redb(error) => {
                let reason = format!("{} cannot be used", path.display());
                StorageError::Open { reason, source: Some(Box::new(error)) }
            }
        }
    }
}
