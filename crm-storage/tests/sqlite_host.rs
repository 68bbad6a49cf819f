//! The store inside a transaction that the shop has open on a connection of its own.
#![cfg(feature = "sqlite-unbundled")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use crm_core::{CustomerId, TenantId};
use crm_storage::conformance::block_on;
use crm_storage::sqlite::{HostTransaction, install};
use crm_storage::{Commit, Copies, CustomerWrite, Expected, Selection, SqliteStore, StateRow, Store};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tempfile::TempDir;

fn customer(number: u64) -> CustomerId {
    CustomerId::from_uuid(uuid::Uuid::from_u64_pair(number, 0))
}

fn commit(number: u64) -> Commit {
    CustomerWrite::new(customer(number), Expected::New, StateRow { shape: 1, bytes: vec![7; 30] }).into()
}

fn shop(scratch: &TempDir) -> Connection {
    let mut connection = Connection::open(scratch.path().join("shop.db")).unwrap();
    install(&mut connection).unwrap();
    connection
}

fn begin(connection: &mut Connection) -> Transaction<'_> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap()
}

#[test]
fn a_tenant_that_the_shop_went_back_behind_is_made_again() {
    let scratch = tempfile::tempdir().unwrap();
    let mut shop = shop(&scratch);
    let transaction = begin(&mut shop);
    let (ours, theirs) = (TenantId::new("ours").unwrap(), TenantId::new("theirs").unwrap());
    let mut inside = HostTransaction::new(&transaction).unwrap();
    let store = inside.store();
    transaction.execute_batch("SAVEPOINT mine").unwrap();
    inside.run(store.commit(&ours, vec![commit(1)])).unwrap()[0].as_ref().unwrap();
    transaction.execute_batch("ROLLBACK TO mine").unwrap();
    // Whoever comes first now has the number that was given before.
    for (tenant, number) in [(&theirs, 2), (&ours, 1)] {
        inside.run(store.commit(tenant, vec![commit(number)])).unwrap()[0].as_ref().unwrap();
        let seen = inside.run(store.select(tenant, &Selection::EVERYBODY, None, 9)).unwrap();
        assert_eq!(seen, [customer(number)], "{tenant:?}");
    }
}

#[test]
fn what_another_thread_asks_is_answered_while_the_shops_thread_waits_for_it() {
    let scratch = tempfile::tempdir().unwrap();
    let mut shop = shop(&scratch);
    let (done, finished) = channel();
    // Apart, so that the test fails and does not hang when nobody is woken.
    std::thread::spawn(move || {
        let transaction = begin(&mut shop);
        let mut inside = HostTransaction::new(&transaction).unwrap();
        let store: Arc<SqliteStore> = inside.store();
        let (reply, answer) = futures_channel::oneshot::channel();
        std::thread::spawn(move || {
            // The shop's thread has gone to sleep by then.
            std::thread::sleep(Duration::from_millis(50));
            let answer = block_on(store.commit(&TenantId::default(), vec![commit(1)]));
            drop(reply.send(answer));
        });
        let answer = inside.run(answer).unwrap();
        done.send(answer.unwrap()[0].is_ok()).unwrap();
    });
    assert_eq!(finished.recv_timeout(Duration::from_secs(60)), Ok(true));
}

#[test]
fn scrubbing_inside_is_put_off_and_leaves_the_shops_settings_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let mut shop = shop(&scratch);
    shop.busy_timeout(Duration::from_millis(1234)).unwrap();
    let transaction = begin(&mut shop);
    let mut inside = HostTransaction::new(&transaction).unwrap();
    let store = inside.store();
    assert_eq!(inside.run(store.scrub()).unwrap(), Copies::Pending);
    drop(inside);
    transaction.commit().unwrap();
    assert_eq!(shop.pragma_query_value(None, "busy_timeout", |row| row.get::<_, i64>(0)).unwrap(), 1234);
}
