//! A place for a database file that is gone when the test is.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// The path of a file that is not there yet, alone in a folder.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    /// In a folder that was not there before: a process of the same number may have left some, or work beside this one.
    pub(crate) fn new() -> Self {
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let folder = std::env::temp_dir().join(format!("crm-scratch-{}-{count}", std::process::id()));
            match std::fs::create_dir(&folder) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => unreachable!("no folder for the test: {error}"),
                Ok(()) => return Scratch(folder.join("crm.db")),
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(folder) = self.0.parent() {
            drop(std::fs::remove_dir_all(folder));
        }
    }
}
