//! The schema, as numbered steps that are never edited. A database notes in `crm_migration` which of them
//! it has had, and the rest are run when it is opened, all in one transaction. Tables are named `crm_…`,
//! so that they can stand beside a shop's own.

use crm_core::Digest;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::open::refused;
use crate::error::StorageError;
use crate::migration::Step;

/// Marks a file that is ours alone: `crms` in ASCII.
pub(super) const APPLICATION_ID: i32 = 0x6372_6d73;

/// A step as it stands in this program.
#[derive(Debug)]
pub(super) struct Known {
    name: &'static str,
    pub(super) sql: &'static str,
}

/// What step 1 takes over from a file that is older than the ledger.
const FROM_FIRST_LAYOUT: &str = include_str!("migrations/from_first_layout.sql");

/// The steps in order.
pub(super) const ALL: [Known; 3] = [
    Known { name: "rows", sql: include_str!("migrations/0001_rows.sql") },
    Known { name: "inputs", sql: include_str!("migrations/0002_inputs.sql") },
    Known { name: "score terms", sql: include_str!("migrations/0003_score_terms.sql") },
];

/// Whose database it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// Ours alone.
    Us,
    /// A shop's, which has tables of its own.
    Host,
}

/// The steps that a database has not had yet.
pub(super) fn pending(file: &Connection, owner: Owner) -> Result<Vec<Step>, StorageError> {
    let steps = ALL.iter().zip(1..).skip(done(file, owner)?);
    Ok(steps.map(|(step, number)| Step { number, name: step.name.to_owned(), sql: step.sql.to_owned() }).collect())
}

/// How many steps a database has had. Refuses one that is not for us, that is newer than this program, or
/// whose steps were other ones.
fn done(file: &Connection, owner: Owner) -> Result<usize, StorageError> {
    let failed = |error| refused("the file cannot be read", error);
    let read = |pragma| file.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    classify(read("application_id").map_err(failed)?, read("user_version").map_err(failed)?, owner)?;
    let ledger = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'crm_migration'";
    if file.query_row(ledger, [], |_| Ok(())).optional().map_err(failed)?.is_none() {
        let tables: i64 = file.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
        let ours = tables == 0 || owner == Owner::Host || has_first_layout(file).map_err(failed)?;
        return if ours { Ok(0) } else { Err(foreign()) };
    }
    let mut select = file.prepare("SELECT step, checksum FROM crm_migration ORDER BY step").map_err(failed)?;
    let rows = select.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)));
    let rows: Vec<_> = rows.and_then(Iterator::collect).map_err(failed)?;
    for ((number, checksum), expected) in rows.iter().zip(1..) {
        let Some(known) = ALL.get(expected - 1) else { return Err(newer(rows.len())) };
        if *number != expected as i64 || checksum[..] != Digest::of(known.sql.as_bytes()).as_bytes()[..] {
            let reason = format!("step {number} of the schema is not the one that this program knows");
            return Err(StorageError::Open { reason, source: None });
        }
    }
    Ok(rows.len())
}

/// Whether a file of ours is from before there was a ledger.
fn has_first_layout(file: &Connection) -> rusqlite::Result<bool> {
    let application: i32 = file.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('tenant', 'entry', 'outbox')";
    let tables: i64 = file.query_row(tables, [], |row| row.get(0))?;
    Ok(application == APPLICATION_ID && tables == 3)
}

/// Judges the marks of a file, which stand in its header.
pub(super) fn classify(application: i32, version: i32, owner: Owner) -> Result<(), StorageError> {
    match (application, usize::try_from(version)) {
        (APPLICATION_ID, Ok(steps)) if steps <= ALL.len() => Ok(()),
        (APPLICATION_ID, _) => Err(newer(version.unsigned_abs() as usize)),
        (0, Ok(0)) => Ok(()),
        _ if owner == Owner::Host => Ok(()),
        _ => Err(foreign()),
    }
}

pub(super) fn foreign() -> StorageError {
    let reason = "the file belongs to another program (SqliteOptions::beside_other_tables accepts it)";
    StorageError::Open { reason: reason.into(), source: None }
}

fn newer(steps: usize) -> StorageError {
    let reason = format!("the file has schema version {steps}, and this program knows up to {}", ALL.len());
    StorageError::Open { reason, source: None }
}

/// Brings a database up to date. Several processes may try at once: the first one does it.
pub(super) fn migrate(file: &mut Connection, owner: Owner) -> Result<(), StorageError> {
    let failed = |error| refused("the schema cannot be brought up to date", error);
    // In a transaction, so that another process cannot finish between one mark and the next.
    let looking = file.transaction().map_err(failed)?;
    let had = done(&looking, owner)?;
    looking.finish().map_err(failed)?;
    if had == ALL.len() {
        return Ok(());
    }
    let transaction = file.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let had = done(&transaction, owner)?;
    let first_layout = had == 0 && has_first_layout(&transaction).map_err(failed)?;
    for (step, number) in ALL.iter().zip(1_i64..).skip(had) {
        transaction.execute_batch(step.sql).map_err(failed)?;
        let checksum = Digest::of(step.sql.as_bytes());
        let row = rusqlite::params![number, step.name, &checksum.as_bytes()[..]];
        transaction
            .execute("INSERT INTO crm_migration (step, name, checksum) VALUES (?1, ?2, ?3)", row)
            .map_err(failed)?;
        if number == 1 && first_layout {
            transaction.execute_batch(FROM_FIRST_LAYOUT).map_err(failed)?;
        }
    }
    if owner == Owner::Us {
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
        transaction.pragma_update(None, "user_version", ALL.len() as i64).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}
