//! Every promise of the contract, each in a folder of its own.

use std::sync::Arc;

use async_trait::async_trait;
use crm_storage::Store;
use crm_storage::conformance::Fixture;
use redb_store::RedbStore;
use tempfile::TempDir;

crm_storage::conformance!(Folder(tempfile::tempdir().expect("a folder for the test")));

/// A folder for one file, gone with the test.
struct Folder(TempDir);

#[async_trait]
impl Fixture for Folder {
    async fn fresh(&self) -> Arc<dyn Store> {
        Arc::new(RedbStore::open(self.0.path().join("shop.redb")).expect("the file opens"))
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        // redb locks the file, so opening it again fails if anything still holds it.
        drop(store);
        Some(self.fresh().await)
    }
}
