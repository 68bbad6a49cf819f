//! What goes wrong inside, and what becomes of it outside.

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

use super::server_error::shown;
use crate::error::StorageError;

/// Why a piece of work failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server refused a statement, and nothing of its transaction is kept.
    Refused(tokio_postgres::Error),
    /// The connection went away. What was not committed yet is not kept.
    Lost(tokio_postgres::Error),
    /// The connection went away while something was being committed.
    Unknown(tokio_postgres::Error),
    /// No connection could be had.
    Pool(PoolError),
    /// A row is not what was written.
    Damaged(String),
    /// It was asked for something that it cannot do.
    Storage(StorageError),
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        if Fault::is_loss(&error) { Fault::Lost(error) } else { Fault::Refused(error) }
    }
}

impl From<PoolError> for Fault {
    fn from(error: PoolError) -> Self {
        Fault::Pool(error)
    }
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Self {
        Fault::Storage(error)
    }
}

impl Fault {
    /// Whether an error means that the connection went away. A server that is shutting down (class 57P) says
    /// so in the middle of a commit too, and class 08 and 40003 say themselves that the outcome is not known.
    pub(super) fn is_loss(error: &tokio_postgres::Error) -> bool {
        error.code().is_none_or(|code| {
            let code = code.code();
            code.starts_with("57P") || code.starts_with("08") || code == "40003"
        })
    }

    /// Of a call that ends with a commit: whoever hears nothing does not know.
    pub(super) fn committing(error: tokio_postgres::Error) -> Self {
        if Fault::is_loss(&error) { Fault::Unknown(error) } else { Fault::Refused(error) }
    }

    /// As the caller sees it who wanted to do something.
    pub(super) fn while_doing(self, doing: &'static str) -> StorageError {
        match self {
            Fault::Damaged(what) => StorageError::Corrupt { what },
            Fault::Refused(error) | Fault::Lost(error) => StorageError::Backend { doing, source: shown(error) },
            Fault::Unknown(error) => StorageError::Unknown { source: Some(shown(error)) },
            Fault::Pool(PoolError::Backend(error)) => StorageError::Backend { doing, source: shown(error) },
            Fault::Pool(error) => StorageError::Backend { doing, source: Box::new(error) },
            Fault::Storage(error) => error,
        }
    }

    /// Whether the same again may well succeed: another transaction was in the way.
    pub(super) fn is_passing(&self) -> bool {
        let passing = [&SqlState::T_R_SERIALIZATION_FAILURE, &SqlState::T_R_DEADLOCK_DETECTED];
        self.code().is_some_and(|code| passing.contains(&code))
    }

    /// Whether a row was there that had not been when it was looked for.
    pub(super) fn is_duplicate(&self) -> bool {
        self.code() == Some(&SqlState::UNIQUE_VIOLATION)
    }

    /// Whether the rows contradict a statement: a duplicate, a number out of range, a count that is not
    /// what it should be.
    pub(super) fn is_contradiction(&self) -> bool {
        self.code().is_some_and(|code| ["21", "22", "23"].iter().any(|class| code.code().starts_with(class)))
    }

    fn code(&self) -> Option<&SqlState> {
        match self {
            Fault::Refused(error) => error.code(),
            Fault::Lost(_) | Fault::Unknown(_) | Fault::Pool(_) | Fault::Damaged(_) | Fault::Storage(_) => None,
        }
    }
}
