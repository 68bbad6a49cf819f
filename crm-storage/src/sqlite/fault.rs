//! What goes wrong inside, and what becomes of it outside.

use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::error::StorageError;

/// Why a piece of work failed. Several callers may share it, since their work shares a transaction.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// SQLite refused.
    Sqlite(Arc<rusqlite::Error>),
    /// A row is not what was written.
    Damaged(String),
    /// The transaction that was to carry the work is no more.
    Ended,
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Fault::Sqlite(Arc::new(error))
    }
}

impl Fault {
    /// Whether somebody else has the lock.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Fault::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy))
    }

    /// As the caller sees it who wanted to do something, of which nothing was written.
    pub(super) fn while_doing(self, doing: &'static str) -> StorageError {
        match self {
            Fault::Damaged(what) => StorageError::Corrupt { what },
            Fault::Ended => StorageError::Backend { doing, source: "the shop's transaction has ended".into() },
            Fault::Sqlite(error) if is_damage(&error) => StorageError::Corrupt { what: error.to_string() },
            Fault::Sqlite(error) => StorageError::Backend { doing, source: Box::new(error) },
        }
    }

    /// As the caller sees it whose transaction failed in its last step. The log may have been written
    /// though it could not be synced, and be found again after a crash.
    pub(super) fn while_committing(self) -> StorageError {
        match self {
            Fault::Damaged(what) => StorageError::Corrupt { what },
            Fault::Ended => StorageError::Unknown { source: None },
            Fault::Sqlite(error) => StorageError::Unknown { source: Some(Box::new(error)) },
        }
    }
}

/// Whether it says that the file is damaged. A column of another type or length than was written says
/// so as well.
fn is_damage(error: &rusqlite::Error) -> bool {
    let conversion = matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..)
    );
    conversion || matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}
