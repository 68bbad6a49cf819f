//! Bytes read back are not trusted: a file that was changed behind the store's back is refused, or what was changed is
//! not in use. Nothing panics.

use crm_core::{CustomerId, TenantId};
use crm_storage::conformance::block_on;
use crm_storage::{CustomerWrite, Expected, Selection, StateRow, StorageError, Store};
use redb_store::RedbStore;
use uuid::Uuid;

#[test]
fn a_damaged_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.redb");
    let tenant = TenantId::default();
    let store = RedbStore::open(&path).unwrap();
    let commit = |number| {
        let customer = CustomerId::from_uuid(Uuid::from_u128(number));
        let write = CustomerWrite::new(customer, Expected::New, StateRow { shape: 1, bytes: vec![7; 1000] });
        crm_storage::Commit { writes: vec![write], ..Default::default() }
    };
    let answers = block_on(store.commit(&tenant, (0..300).map(commit).collect())).unwrap();
    assert!(answers.iter().all(Result::is_ok));
    drop(store);

    let whole = std::fs::read(&path).unwrap();
    let mut refused = 0;
    for at in (0..40).map(|part| whole.len() / 40 * part + 100) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        std::fs::write(&path, damaged).unwrap();
        match RedbStore::open(&path) {
            Ok(store) => assert_eq!(block_on(store.count(&tenant, &Selection::EVERYBODY)).unwrap(), 300),
            Err(StorageError::Corrupt { .. }) => refused += 1,
            Err(other) => panic!("damage has a name of its own: {other}"),
        }
    }
    assert!(refused > 0);
}
