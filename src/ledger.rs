//! Who was erased, kept where a restored backup does not bring them back.

use std::io::{ErrorKind, Read as _, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use crm_core::privacy::ErasureRecord;

/// What went wrong with a ledger.
#[derive(Debug, thiserror::Error)]
#[error("the ledger of erasures: {doing}")]
pub struct LedgerError {
    /// What was being done.
    pub doing: &'static str,
    /// The host's own error.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Keeps the records of erasures apart from the store and from its backups: a file on another volume, another
/// database, an append-only bucket. Records hold keyed hashes and a time, nothing else, and are needed for as long as
/// there are backups of before the erasure.
#[async_trait]
pub trait ErasureLedger: std::fmt::Debug + Send + Sync + 'static {
    /// Adds a record, of an erasure or that there was none after all. It must be durable when this returns.
    ///
    /// # Errors
    ///
    /// `LedgerError` if it may not have been kept: nobody is erased then.
    async fn append(&self, record: &ErasureRecord) -> Result<(), LedgerError>;

    /// All records, in any order, those that take back another one included.
    ///
    /// # Errors
    ///
    /// `LedgerError` unless all could be read.
    async fn records(&self) -> Result<Vec<ErasureRecord>, LedgerError>;
}

/// A ledger in a file: one record a line. Each is synced before the erasure goes on. A line that was cut off by a
/// crash is passed over, because the erasure did not go on then either. Calls block while they write.
#[derive(Debug)]
pub struct FileLedger {
    path: PathBuf,
    turn: Mutex<()>,
}

impl FileLedger {
    /// In a file, which is made when the first record is added. Only one process may add to it at a time.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        FileLedger { path: path.into(), turn: Mutex::new(()) }
    }

    fn read(&self) -> Result<Vec<u8>, LedgerError> {
        let fail = |source: std::io::Error| failed("reading the file", source);
        let mut bytes = Vec::new();
        match std::fs::File::open(&self.path) {
            Ok(mut file) => file.read_to_end(&mut bytes).map_err(fail).map(|_| bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(bytes),
            Err(error) => Err(fail(error)),
        }
    }
}

fn failed(doing: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LedgerError {
    LedgerError { doing, source: Some(source.into()) }
}

#[async_trait]
impl ErasureLedger for FileLedger {
    async fn append(&self, record: &ErasureRecord) -> Result<(), LedgerError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let write = || -> std::io::Result<()> {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&self.path)?;
            // A line of its own, even after one that was cut off.
            let line = [b"\n", record.encode().as_slice(), b"\n"].concat();
            file.write_all(&line)?;
            file.sync_all()
        };
        write().map_err(|source| failed("adding to the file", source))
    }

    async fn records(&self) -> Result<Vec<ErasureRecord>, LedgerError> {
        let bytes = self.read()?;
        // What follows the last end of a line was cut off, and so was what another record follows directly.
        let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let mut records = Vec::with_capacity(lines.len());
        for line in lines {
            match ErasureRecord::decode(line) {
                Ok(record) => records.push(record),
                // A whole object that is none of ours was damaged, not cut off.
                Err(error) if line.ends_with(b"}") => return Err(failed("reading a record", error)),
                Err(_) => {}
            }
        }
        Ok(records)
    }
}
