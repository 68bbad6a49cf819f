//! Opening a file: whose it is, and the settings that what was promised rests on. Each setting is read
//! back, since SQLite passes over in silence what it cannot do.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::host::STATEMENTS;
use super::indexes::Indexes;
use super::migrations::{self, Owner};
use super::options::SqliteOptions;
use crate::error::StorageError;
use crate::migration::Step;

/// The first SQLite without the checkpoint race.
const SAFE_SQLITE: i32 = 3_051_003;

/// After how many pages the log is copied back into the file. Of the time of small commits, a fifth to
/// a half goes into copying back at SQLite's own 1,000; more than 8,000 gains nothing.
const CHECKPOINT_PAGES: i64 = 8000;

/// To what size the log is cut when it starts over: that of a full one.
const LOG_BYTES: i64 = 64 << 20;

/// The connections to one file.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) writer: Connection,
    pub(super) readers: Vec<Connection>,
}

pub(super) fn open(path: &Path, options: &SqliteOptions) -> Result<Opened, StorageError> {
    let readers = readers_allowed(rusqlite::version_number(), options)?;
    // An absolute path means a file whatever it is called. SQLite takes some relative ones for a URI, a
    // database in memory, or a temporary one.
    let path = &std::path::absolute(path).map_err(|error| StorageError::Open {
        reason: "the path means no file".into(),
        source: Some(Box::new(error)),
    })?;
    refuse_others(path, options.owner)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut writer = connect(path, flags, options)?;
    // A newer schema may be in the log alone. Then closing must not copy it into the file.
    config(&writer, DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    migrations::migrate(&mut writer, options.owner)?;
    Indexes::declare(&mut writer, options)?;
    config(&writer, DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    configure_log(&writer, options.busy_timeout)?;
    configure(&writer, options.cache_kib)?;
    let reader = |_| {
        let reader = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, options)?;
        configure(&reader, options.cache_kib / 8)?;
        reader.set_prepared_statement_cache_capacity(32);
        Ok(reader)
    };
    let readers = (0..readers).map(reader).collect::<Result<_, StorageError>>()?;
    writer.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(Opened { writer, readers })
}

/// The steps that a file has not had yet.
pub(super) fn pending(path: &Path, options: &SqliteOptions) -> Result<Vec<Step>, StorageError> {
    refuse_others(path, options.owner)?;
    let file = match header(path)? {
        Some(_) => connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, options)?,
        None => Connection::open_in_memory().map_err(|error| refused("no memory for a database", error))?,
    };
    migrations::pending(&file, options.owner)
}

/// How many readers there may be with this SQLite.
fn readers_allowed(sqlite: i32, options: &SqliteOptions) -> Result<usize, StorageError> {
    match (sqlite >= SAFE_SQLITE, options.allow_older_sqlite) {
        (true, _) => Ok(options.readers),
        (false, true) => Ok(0),
        (false, false) => Err(StorageError::Open {
            reason: format!(
                "the program has SQLite {}.{}.{}, in which a checkpoint can lose committed pages; \
                 3.51.3 is the first without that error (SqliteOptions::allow_older_sqlite accepts it)",
                sqlite / 1_000_000,
                sqlite / 1000 % 1000,
                sqlite % 1000
            ),
            source: None,
        }),
    }
}

/// Refuses a file that is not ours, or newer than this program, by its header alone, so that not a byte
/// of it is touched.
fn refuse_others(path: &Path, owner: Owner) -> Result<(), StorageError> {
    let Some(header) = header(path)? else { return Ok(()) };
    if !header.starts_with(b"SQLite format 3\0") {
        if has_journal(path) {
            return Ok(());
        }
        return Err(StorageError::Open { reason: "the file is not an SQLite database".into(), source: None });
    }
    // Big-endian numbers at fixed places: https://www.sqlite.org/fileformat2.html#the_database_header
    let number =
        |at: usize| header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_be_bytes);
    let (application, version) = (number(68), number(60));
    // A file of ours has its mark from the first page that is written, so one without it is another's.
    if application == 0 && owner == Owner::Us {
        return Err(migrations::foreign());
    }
    migrations::classify(application, version, owner)
}

/// Whether a rollback journal lies beside a file. After a loss of power while the file was made, any of
/// its pages may be missing, the first one too; SQLite takes back what there is by the journal.
fn has_journal(path: &Path) -> bool {
    let mut journal = path.as_os_str().to_owned();
    journal.push("-journal");
    // The beginning of a journal: https://www.sqlite.org/fileformat2.html#the_rollback_journal
    let magic = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    header(Path::new(&journal)).is_ok_and(|found| found.is_some_and(|found| found.starts_with(&magic)))
}

/// The first bytes of a file; none if it is not there or empty.
fn header(path: &Path) -> Result<Option<Vec<u8>>, StorageError> {
    let failed = |error: std::io::Error| StorageError::Open {
        reason: "the file cannot be read".into(),
        source: Some(Box::new(error)),
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut header = Vec::with_capacity(100);
    file.take(100).read_to_end(&mut header).map_err(failed)?;
    Ok((!header.is_empty()).then_some(header))
}

fn connect(path: &Path, flags: OpenFlags, options: &SqliteOptions) -> Result<Connection, StorageError> {
    let failed = |error| refused("the file cannot be opened", error);
    // Each connection is used by one thread at a time, so SQLite need not lock it.
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(failed)?;
    connection.busy_timeout(options.busy_timeout).map_err(failed)?;
    Ok(connection)
}

/// Switches a file to a write-ahead log. That takes the file alone for a moment, and SQLite does not
/// wait for it as it waits for other locks.
fn configure_log(file: &Connection, patience: Duration) -> Result<(), StorageError> {
    let deadline = Instant::now() + patience;
    loop {
        match switch_to_log(file) {
            Ok(mode) if mode.eq_ignore_ascii_case("wal") => break,
            Ok(mode) if Instant::now() >= deadline => same("journal_mode", &mode.as_str(), &"wal")?,
            Err(error) if !is_busy(&error) || Instant::now() >= deadline => {
                return Err(refused("the file cannot have a write-ahead log", error));
            }
            Ok(_) | Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    set(file, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    set(file, "journal_size_limit", LOG_BYTES)
}

/// The mode that a file is in after it was told to have a write-ahead log. The answer is read to its end:
/// SQLite gives the mode first and commits the switch then. If that fails, the connection goes on saying
/// that there is a log when there is none, so nothing may be asked of it again.
fn switch_to_log(file: &Connection) -> rusqlite::Result<String> {
    let mut switch = file.prepare("PRAGMA journal_mode = WAL")?;
    let mut rows = switch.query([])?;
    let mode = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?.get(0)?;
    while rows.next()?.is_some() {}
    Ok(mode)
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn configure(file: &Connection, cache_kib: u32) -> Result<(), StorageError> {
    set(file, "synchronous", 2)?;
    set(file, "foreign_keys", 1)?;
    set(file, "secure_delete", 1)?;
    set(file, "cell_size_check", 1)?;
    set(file, "temp_store", 2)?;
    set(file, "cache_size", -i64::from(cache_kib))?;
    set(file, "trusted_schema", 0)?;
    // Otherwise SQLite plans by the numbers that are bound, and a statement with a bound limit is prepared anew each
    // time it runs: a fifth of the time of a search. Where a selection begins is chosen here anyway.
    config(file, DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    config(file, DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)
}

/// Whether the linked SQLite is one without the checkpoint race, or an older one is accepted.
pub(super) fn check_version(older: bool) -> Result<(), StorageError> {
    let options = SqliteOptions { allow_older_sqlite: older, ..SqliteOptions::default() };
    readers_allowed(rusqlite::version_number(), &options).map(|_| ())
}

/// What the store's promises rest on in a connection that is not its own. (`secure_delete = FAST` reads as 2,
/// and leaves freed pages as they are.)
const HOST_SETTINGS: [(&str, &[i64]); 3] = [("synchronous", &[2, 3]), ("secure_delete", &[1]), ("foreign_keys", &[1])];

/// Journals that survive a crash.
const HOST_JOURNALS: [&str; 4] = ["wal", "delete", "truncate", "persist"];

/// Makes those settings.
pub(super) fn configure_host(file: &Connection) -> Result<(), StorageError> {
    config(file, DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true)?;
    HOST_SETTINGS.into_iter().try_for_each(|(pragma, values)| set(file, pragma, values[0]))
}

/// Checks those settings.
pub(super) fn check_host(file: &Connection) -> Result<(), StorageError> {
    let unread = |error| refused("a setting cannot be read", error);
    let refuse = |pragma: &str, value: String| {
        let reason = format!("{pragma} is {value}: call sqlite::install for the connection");
        Err(StorageError::Open { reason, source: None })
    };
    for (pragma, values) in HOST_SETTINGS {
        let actual: i64 = file.pragma_query_value(None, pragma, |row| row.get(0)).map_err(unread)?;
        if !values.contains(&actual) {
            return refuse(pragma, actual.to_string());
        }
    }
    // Indexes of sets are kept by triggers.
    if !file.db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER).map_err(unread)? {
        return refuse("SQLITE_DBCONFIG_ENABLE_TRIGGER", "off".to_owned());
    }
    let journal: String = file.pragma_query_value(None, "journal_mode", |row| row.get(0)).map_err(unread)?;
    // A database in memory has no other, and nothing to survive.
    let in_memory = file.path().is_none_or(str::is_empty);
    let kept = HOST_JOURNALS.iter().any(|kept| journal.eq_ignore_ascii_case(kept));
    if kept || in_memory { Ok(()) } else { refuse("journal_mode", journal) }
}

fn set(file: &Connection, pragma: &'static str, value: i64) -> Result<(), StorageError> {
    let failed = |error| refused("a setting cannot be made", error);
    // Some pragmas answer with their new value and some do not, so it is read in a second step.
    file.pragma_update(None, pragma, value).map_err(failed)?;
    let actual: i64 = file.pragma_query_value(None, pragma, |row| row.get(0)).map_err(failed)?;
    same(pragma, &actual, &value)
}

fn config(file: &Connection, setting: DbConfig, value: bool) -> Result<(), StorageError> {
    let failed = |error| refused("a setting cannot be made", error);
    file.set_db_config(setting, value).map_err(failed)?;
    same("database configuration", &file.db_config(setting).map_err(failed)?, &value)
}

fn same<T: PartialEq + std::fmt::Debug>(setting: &str, actual: &T, wanted: &T) -> Result<(), StorageError> {
    if actual == wanted {
        return Ok(());
    }
    Err(StorageError::Open { reason: format!("{setting} is {actual:?} and not {wanted:?}"), source: None })
}

pub(super) fn refused(reason: &str, error: rusqlite::Error) -> StorageError {
    StorageError::Open { reason: reason.into(), source: Some(Box::new(error)) }
}

#[cfg(test)]
mod tests {
    use super::super::sql;
    use super::*;

    #[test]
    fn an_sqlite_with_the_checkpoint_race_is_refused_or_works_alone() {
        let options = SqliteOptions::default();
        assert_eq!(readers_allowed(3_051_003, &options).unwrap(), 4);
        let refusal = readers_allowed(3_051_002, &options).unwrap_err().to_string();
        assert!(refusal.contains("SQLite 3.51.2"), "{refusal}");
        assert_eq!(readers_allowed(3_046_000, &options.allow_older_sqlite()).unwrap(), 0);
    }

    #[test]
    fn every_setting_is_what_was_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let opened = open(&directory.path().join("settings"), &SqliteOptions::default()).unwrap();
        let read = |file: &Connection, pragma| {
            file.pragma_query_value(None, pragma, |row| row.get::<_, rusqlite::types::Value>(0)).unwrap()
        };
        for file in opened.readers.iter().chain([&opened.writer]) {
            assert_eq!(read(file, "journal_mode"), "wal".to_owned().into());
            for (pragma, value) in [
                ("synchronous", 2_i64),
                ("foreign_keys", 1),
                ("secure_delete", 1),
                ("trusted_schema", 0),
                ("busy_timeout", 5000),
                ("application_id", i64::from(migrations::APPLICATION_ID)),
                ("user_version", migrations::ALL.len() as i64),
            ] {
                assert_eq!(read(file, pragma), value.into(), "{pragma}");
            }
            assert!(file.db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE).unwrap());
            for sql in [sql::VERSION, sql::PERSONAL, sql::TOKENS, "SELECT id FROM crm_customer WHERE id > ?1 LIMIT ?2"]
            {
                let mut statement = file.prepare(sql).unwrap();
                for number in [1, 200] {
                    statement.exists((number, number)).unwrap();
                }
                let again = statement.get_status(rusqlite::StatementStatus::RePrepare);
                assert_eq!(again, 0, "prepared once, whatever is bound: {sql}");
            }
        }
        assert_eq!(read(&opened.writer, "wal_autocheckpoint"), CHECKPOINT_PAGES.into());
        assert_eq!(read(&opened.writer, "cache_size"), (-128 * 1024_i64).into());
        assert!(opened.readers[0].execute("DELETE FROM crm_tenant", []).is_err());
        drop(opened);
    }
}
