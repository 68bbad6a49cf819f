//! What is erased is gone from the file, its log and its free pages, in whatever spelling; and it is said
//! when somebody who reads keeps a copy alive.
#![cfg(feature = "sqlite-unbundled")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crm_core::{CustomerId, EventId, TenantId, Timestamp};
use crm_storage::conformance::block_on;
use crm_storage::{
    Commit, Copies, CustomerWrite, Expected, OutboxEntry, PersonalMove, SqliteOptions, SqliteStore, StateRow, Store,
    Token, Version,
};

const CUSTOMERS: u64 = 180;

/// No two customers have a canary in common, and none is part of another.
fn canary(number: u64) -> String {
    format!("Canary-{:016x}-Kanarie", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn customer(number: u64) -> CustomerId {
    CustomerId::from_uuid(uuid::Uuid::from_u64_pair(number.wrapping_mul(0x2545_f491_4f6c_dd1d), number))
}

fn token(number: u64) -> Token {
    let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Token(*uuid::Uuid::from_u64_pair(mixed, mixed.rotate_left(29)).as_bytes())
}

/// Personal rows of many sizes, up to some that take pages of their own, each full of the canary.
fn personal(number: u64, round: u64) -> PersonalMove {
    let canary = canary(number);
    let value = |repeat: u64| Some(canary.repeat(repeat as usize).into_bytes());
    PersonalMove {
        key: Some(canary.repeat(2).into_bytes()),
        fields: vec![
            ("name".into(), value(1 + (number + round) % 3)),
            ("address".into(), value(1 + (number * 7 + round) % 40)),
            ("story".into(), value(if number.is_multiple_of(10) { 500 } else { 4 })),
            (canary.as_str().into(), value(1)),
            ("gone".into(), if round == 0 { value(5) } else { None }),
        ],
        tokens: Some((0..5).map(|at| token(number * 8 + (at + round) % 8)).collect()),
    }
}

fn commit(number: u64, round: u64) -> Commit {
    let expected = if round == 0 { Expected::New } else { Expected::At(Version(round)) };
    let mut write = CustomerWrite::new(customer(number), expected, StateRow { shape: 1, bytes: vec![7; 300] });
    write.personal = Some(Box::new(personal(number, round)));
    let told = |at: u64| OutboxEntry {
        id: EventId::from_uuid(uuid::Uuid::from_u64_pair(number.wrapping_mul(0x9e37_79b9_7f4a_7c15), round * 8 + at)),
        customer: customer(number),
        topic: canary(number).into(),
        due_at: Timestamp::from_millis((number * 31 % 977) as i64).unwrap(),
        body: canary(number).repeat(1 + at as usize * 20).into_bytes(),
    };
    Commit { writes: vec![write], outbox: (0..2).map(told).collect(), ..Commit::default() }
}

/// Every spelling in which a text might have been kept.
fn spellings(text: &str) -> Vec<Vec<u8>> {
    let texts = [text.to_owned(), text.to_uppercase(), text.to_lowercase()];
    let wide = |text: &str, order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect();
    let of = |text: &String| [text.as_bytes().to_vec(), wide(text, u16::to_le_bytes), wide(text, u16::to_be_bytes)];
    texts.iter().flat_map(of).collect()
}

/// Who can be found in the raw bytes of all files in a folder, by canary or by token.
fn found(directory: &Path) -> BTreeSet<u64> {
    let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let bytes: Vec<u8> = files.flat_map(|path| std::fs::read(path).unwrap()).collect();
    // Each spelling of a canary has the same length, and begins as that of everybody's.
    let mut known: HashMap<Vec<u8>, u64> = HashMap::new();
    for number in 0..CUSTOMERS {
        known.extend(spellings(&canary(number)).into_iter().map(|spelling| (spelling, number)));
    }
    let mut found = BTreeSet::new();
    for (prefix, whole) in spellings("Canary-").iter().zip(spellings(&canary(0))) {
        for at in memchr::memmem::find_iter(&bytes, prefix) {
            found.extend(bytes.get(at..at + whole.len()).and_then(|spelling| known.get(spelling)));
        }
    }
    let tokens: HashMap<[u8; 16], u64> = (0..CUSTOMERS * 8).map(|at| (token(at).0, at / 8)).collect();
    found.extend(bytes.array_windows::<16>().filter_map(|window| tokens.get(window)));
    found
}

#[test]
fn nothing_of_an_erased_customer_is_left_in_any_file() {
    let scratch = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(scratch.path().join("shop.crm")).unwrap();
    let tenant = TenantId::default();
    let commit_all = |numbers: Vec<u64>, round| {
        let commits = numbers.into_iter().map(|number| commit(number, round)).collect();
        assert!(block_on(store.commit(&tenant, commits)).unwrap().iter().all(Result::is_ok));
    };
    // Neighbours come and go, so that pages split, join and are freed while copies lie in them.
    for round in 0..3 {
        for part in 0..6 {
            commit_all((0..CUSTOMERS).filter(|number| number % 6 == part).collect(), round);
        }
    }
    assert_eq!(found(scratch.path()).len() as u64, CUSTOMERS);
    for number in (0..CUSTOMERS).filter(|number| number % 3 != 1) {
        let erased = block_on(store.erase(&tenant, customer(number), &[])).unwrap();
        assert_eq!((erased.fields, erased.key, erased.tokens, erased.outbox), (4, true, 5, 6));
        assert_eq!(erased.copies, Copies::Gone);
        if number % 30 == 0 {
            assert!(!found(scratch.path()).contains(&number), "{number}, right after it was erased");
        }
    }
    let left: BTreeSet<u64> = (0..CUSTOMERS).filter(|number| number % 3 == 1).collect();
    assert_eq!(found(scratch.path()), left);
}

#[test]
fn a_large_file_is_scrubbed_when_asked() {
    let scratch = tempfile::tempdir().unwrap();
    let store =
        SqliteStore::open_with(scratch.path().join("shop.crm"), &SqliteOptions::default().scrub_up_to(0)).unwrap();
    let tenant = TenantId::default();
    let commits = (0..50).map(|number| commit(number, 0)).collect();
    assert!(block_on(store.commit(&tenant, commits)).unwrap().iter().all(Result::is_ok));
    for number in 0..50 {
        let erased = block_on(store.erase(&tenant, customer(number), &[])).unwrap();
        assert_eq!((erased.fields, erased.copies), (5, Copies::Pending));
    }
    assert_eq!(block_on(store.scrub()).unwrap(), Copies::Gone);
    assert!(found(scratch.path()).is_empty());
    // The tables are as they were: indexes, keys and all.
    assert!(block_on(store.commit(&tenant, vec![commit(60, 0)])).unwrap()[0].is_ok());
    assert_eq!(block_on(store.lease(&tenant, Timestamp::MAX, crm_core::Span::days(1), 9)).unwrap().len(), 2);
}

#[test]
fn a_reader_that_holds_on_to_a_copy_makes_it_pending_until_it_ends() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shop.crm");
    let options = SqliteOptions::default().busy_timeout(Duration::from_millis(50));
    let store = SqliteStore::open_with(&path, &options).unwrap();
    let tenant = TenantId::default();
    block_on(store.commit(&tenant, vec![commit(1, 0)])).unwrap();
    // Another process that reads, and does not end its transaction.
    let reader = rusqlite::Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM crm_personal").unwrap();
    reader.query_row("SELECT count(*) FROM crm_personal", [], |row| row.get::<_, i64>(0)).unwrap();
    let erased = block_on(store.erase(&tenant, customer(1), &[])).unwrap();
    assert_eq!((erased.fields, erased.copies), (5, Copies::Pending));
    assert!(found(scratch.path()).contains(&1), "the copy that the reader still sees");
    reader.execute_batch("COMMIT").unwrap();
    let again = block_on(store.erase(&tenant, customer(1), &[])).unwrap();
    assert_eq!((again.fields, again.copies), (0, Copies::Gone));
    assert!(found(scratch.path()).is_empty());
}

#[test]
fn an_erasure_that_waits_for_a_reader_keeps_nobody_from_writing() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shop.crm");
    // It waits for longer than all that follows takes, also on a machine that has much else to do.
    let options = SqliteOptions::default().busy_timeout(Duration::from_secs(120));
    let store = Arc::new(SqliteStore::open_with(&path, &options).unwrap());
    let tenant = TenantId::default();
    block_on(store.commit(&tenant, vec![commit(1, 0)])).unwrap()[0].as_ref().unwrap();
    let count = |file: &rusqlite::Connection| {
        file.query_row("SELECT count(*) FROM crm_personal", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let reader = rusqlite::Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(count(&reader), 5);
    let eraser = Arc::clone(&store);
    let eraser = std::thread::spawn(move || block_on(eraser.erase(&TenantId::default(), customer(1), &[])));
    // A checkout that has less time.
    let other = rusqlite::Connection::open(&path).unwrap();
    other.busy_timeout(Duration::from_secs(20)).unwrap();
    while count(&other) > 0 {
        std::thread::yield_now();
    }
    for number in 2..12 {
        other.execute("UPDATE crm_tenant SET leases = leases", []).unwrap();
        block_on(store.commit(&tenant, vec![commit(number, 0)])).unwrap()[0].as_ref().unwrap();
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!eraser.is_finished(), "the reader is still there");
    reader.execute_batch("COMMIT").unwrap();
    let erased = eraser.join().unwrap().unwrap();
    assert_eq!((erased.fields, erased.copies), (5, Copies::Gone));
    assert!(!found(scratch.path()).contains(&1));
}

#[test]
fn an_erasure_that_cannot_clear_copies_says_what_it_erased() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shop.crm");
    let store = SqliteStore::open(&path).unwrap();
    let tenant = TenantId::default();
    let commits = (0..3).map(|number| commit(number, 0)).collect();
    assert!(block_on(store.commit(&tenant, commits)).unwrap().iter().all(Result::is_ok));
    // A reference is in the way of writing a table anew, as a full disk or a lock may be.
    let other = rusqlite::Connection::open(&path).unwrap();
    other
        .execute_batch(
            "CREATE TABLE note (tenant, customer, FOREIGN KEY (tenant, customer) REFERENCES crm_person_key);
             INSERT INTO note SELECT tenant, customer FROM crm_person_key ORDER BY customer DESC LIMIT 1",
        )
        .unwrap();
    let referred: Vec<u8> = other.query_row("SELECT customer FROM note", [], |row| row.get(0)).unwrap();
    assert_ne!(referred, customer(1).as_uuid().as_bytes());
    let erased = block_on(store.erase(&tenant, customer(1), &[])).unwrap();
    assert_eq!((erased.fields, erased.key, erased.copies), (5, true, Copies::Pending));
    assert!(block_on(store.scrub()).is_err());
    other.execute_batch("DROP TABLE note").unwrap();
    let again = block_on(store.erase(&tenant, customer(1), &[])).unwrap();
    assert_eq!((again.fields, again.copies), (0, Copies::Gone));
    assert_eq!(found(scratch.path()), [0, 2].into());
}
