//! The schema, as numbered steps that are never edited. A file says in `user_version` how many of them
//! it has; the rest are run when it is opened, all in one transaction.

use rusqlite::Connection;

use super::open::refused;
use crate::error::StorageError;

/// Marks a file as ours: `crms` in ASCII.
pub(super) const APPLICATION_ID: i32 = 0x6372_6d73;

/// The steps in order.
pub(super) const ALL: [&str; 1] = [include_str!("migrations/0001_rows.sql")];

/// What a file says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing yet.
    Empty,
    /// A store that has had so many steps.
    Store { steps: usize },
}

/// What a file is, by its own account.
fn identify(file: &Connection) -> Result<Found, StorageError> {
    let read = |pragma| file.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let failed = |error| refused("the file cannot be read", error);
    let application = read("application_id").map_err(failed)?;
    let version = read("user_version").map_err(failed)?;
    let tables: i64 = file.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    classify(application, version, tables == 0)
}

/// Judges the marks of a file.
pub(super) fn classify(application: i32, version: i32, empty: bool) -> Result<Found, StorageError> {
    if application == 0 && version == 0 && empty {
        return Ok(Found::Empty);
    }
    if application != APPLICATION_ID {
        return Err(StorageError::Open { reason: "the file belongs to another program".into(), source: None });
    }
    match usize::try_from(version) {
        Ok(steps) if (1..=ALL.len()).contains(&steps) => Ok(Found::Store { steps }),
        _ => Err(StorageError::Open {
            reason: format!("the file has schema version {version}, and this program knows up to {}", ALL.len()),
            source: None,
        }),
    }
}

/// Brings a file up to date. Several processes may try at once: the first one does it.
pub(super) fn migrate(file: &mut Connection) -> Result<(), StorageError> {
    let failed = |error| refused("the schema cannot be brought up to date", error);
    // In a transaction, so that another process cannot finish between one mark and the next.
    let looking = file.transaction().map_err(failed)?;
    let found = identify(&looking)?;
    looking.finish().map_err(failed)?;
    if found == (Found::Store { steps: ALL.len() }) {
        return Ok(());
    }
    let transaction = file.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(failed)?;
    let done = match identify(&transaction)? {
        Found::Empty => 0,
        Found::Store { steps } => steps,
    };
    for step in &ALL[done..] {
        transaction.execute_batch(step).map_err(failed)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
    transaction.pragma_update(None, "user_version", ALL.len() as i64).map_err(failed)?;
    transaction.commit().map_err(failed)
}
