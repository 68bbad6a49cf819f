//! The SQLite store keeps every promise of the contract, with readers of its own and with one connection
//! for everything.
#![cfg(feature = "sqlite-unbundled")]

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use crm_storage::conformance::Fixture;
use crm_storage::{SqliteOptions, SqliteStore, Store};
use tempfile::TempDir;

struct Files {
    scratch: TempDir,
    options: SqliteOptions,
}

impl Files {
    fn new(options: SqliteOptions) -> Self {
        Files { scratch: tempfile::tempdir().expect("a folder for the test"), options }
    }

    fn path(&self) -> PathBuf {
        self.scratch.path().join("shop.crm")
    }

    fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open_with(self.path(), &self.options).expect("the file opens"))
    }
}

#[async_trait]
impl Fixture for Files {
    async fn fresh(&self) -> Arc<dyn Store> {
        self.open()
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        assert_eq!(Arc::strong_count(&store), 1, "the case has let go of the store");
        drop(store);
        // The log was copied back and cut, so the file alone is the whole store.
        assert!(!self.path().with_extension("crm-wal").exists());
        Some(self.open())
    }
}

mod with_readers {
    crm_storage::conformance!(super::Files::new(super::SqliteOptions::default()));
}

mod with_one_connection {
    crm_storage::conformance!(super::Files::new(super::SqliteOptions::default().readers(0)));
}

mod with_every_index {
    use crm_core::{Column, SetKind};

    crm_storage::conformance!(super::Files::new(
        super::SqliteOptions::default().indexed(&Column::ALL).index_sets(&SetKind::ALL).index_scores(true)
    ));
}
