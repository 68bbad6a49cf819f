//! Every promise of the contract, each in a folder of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use crm_storage::Store;
use crm_storage::conformance::Fixture;
use redb_store::RedbStore;

crm_storage::conformance!(Folder::new());

/// A folder for one file, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("redb-store-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Folder(path)
    }
}

#[async_trait]
impl Fixture for Folder {
    async fn fresh(&self) -> Arc<dyn Store> {
        Arc::new(RedbStore::open(self.0.join("shop.redb")).expect("the file opens"))
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        // redb locks the file, so opening it again fails if anything still holds it.
        drop(store);
        Some(self.fresh().await)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
