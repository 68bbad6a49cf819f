//! What the SQLite store does with files: its own, others', newer ones, damaged ones, and one that
//! several stores have open.
#![cfg(feature = "sqlite-unbundled")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]

use std::path::Path;
use std::sync::Arc;

use crm_core::{Alarm, AlarmKind, Column, CustomerId, EventId, TenantId, Timestamp};
use crm_storage::conformance::block_on;
use crm_storage::{
    AlarmMove, ChangeRow, Claim, ClaimKey, Commit, CommitError, Committed, CustomerWrite, Entries, Entry, EventRow,
    Expected, OutboxEntry, Parts, Selection, SqliteOptions, SqliteStore, StateRow, StorageError, Store, Version,
};

fn customer(number: u64) -> CustomerId {
    CustomerId::from_uuid(uuid::Uuid::from_u64_pair(number, 0))
}

fn event(number: u64) -> EventId {
    EventId::from_uuid(uuid::Uuid::from_u64_pair(number, 1))
}

fn write(number: u64, expected: Expected) -> CustomerWrite {
    CustomerWrite::new(customer(number), expected, StateRow { shape: 1, bytes: vec![7; 256] })
}

/// A commit with a row of most kinds, all under one number.
fn commit(number: u64) -> Commit {
    let instant = Timestamp::from_millis(number as i64).unwrap();
    let event_row = |id| EventRow {
        id: event(id),
        at: instant,
        recorded_at: instant,
        kind: "order_placed".into(),
        shape: 1,
        source: None,
        cause: None,
        body: vec![b' '; 200],
    };
    let mut write = write(number, Expected::New);
    write.events = (0..3).map(|at| event_row(number * 3 + at)).collect();
    write.changes = vec![ChangeRow { at: instant, kind: "stage_changed".into(), body: b"{}".to_vec() }];
    write.alarm = Some(AlarmMove { from: None, to: Some(Alarm { due_at: instant, kind: AlarmKind::Lifecycle }) });
    let key = ClaimKey { kind: "order".into(), key: number.to_be_bytes().to_vec() };
    Commit {
        writes: vec![write],
        claims: vec![Claim { key, customer: customer(number), event: event(number * 3) }],
        outbox: vec![OutboxEntry {
            id: event(number * 3),
            customer: customer(number),
            topic: "mail".into(),
            due_at: instant,
            body: b"{}".to_vec(),
        }],
        ..Commit::default()
    }
}

fn refusal(path: &Path) -> String {
    match SqliteStore::open(path) {
        Err(StorageError::Open { reason, .. }) => reason,
        other => panic!("{} should be refused: {other:?}", path.display()),
    }
}

/// Every file in a directory with its bytes.
fn contents(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect();
    files.sort();
    files
}

fn filled(path: &Path, commits: u64) {
    filled_from(path, 0, commits);
}

fn filled_from(path: &Path, first: u64, commits: u64) {
    let store = SqliteStore::open(path).unwrap();
    let commits = (first..first + commits).map(commit).collect();
    let answers = block_on(store.commit(&TenantId::default(), commits)).unwrap();
    assert!(answers.iter().all(Result::is_ok));
}

#[test]
fn a_newer_file_is_refused_and_untouched() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shop.crm");
    filled(&path, 5);
    let file = rusqlite::Connection::open(&path).unwrap();
    file.pragma_update(None, "user_version", 1000).unwrap();
    file.close().unwrap();
    let before = contents(scratch.path());
    assert!(refusal(&path).contains("schema version 1000"));
    assert_eq!(contents(scratch.path()), before);
}

#[test]
fn a_newer_schema_that_is_only_in_the_log_is_refused_and_the_file_untouched() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shop.crm");
    filled(&path, 5);
    let other = rusqlite::Connection::open(&path).unwrap();
    other.pragma_update(None, "user_version", 1000).unwrap();
    // As after a crash: the log is there, and the process that wrote it is not.
    let crashed = scratch.path().join("crashed.crm");
    std::fs::copy(&path, &crashed).unwrap();
    std::fs::copy(path.with_extension("crm-wal"), crashed.with_extension("crm-wal")).unwrap();
    drop(other);
    let before = (std::fs::read(&crashed).unwrap(), std::fs::read(crashed.with_extension("crm-wal")).unwrap());
    assert!(refusal(&crashed).contains("schema version 1000"));
    let after = (std::fs::read(&crashed).unwrap(), std::fs::read(crashed.with_extension("crm-wal")).unwrap());
    assert!(before == after);
}

#[test]
fn another_programs_file_is_refused_and_untouched() {
    let scratch = tempfile::tempdir().unwrap();
    let database = scratch.path().join("other.db");
    let file = rusqlite::Connection::open(&database).unwrap();
    file.execute_batch(
        "PRAGMA journal_mode = WAL; CREATE TABLE customer (name TEXT); INSERT INTO customer VALUES ('x')",
    )
    .unwrap();
    file.close().unwrap();
    let text = scratch.path().join("notes.txt");
    std::fs::write(&text, "SQLite format 4: a text that is no database at all").unwrap();
    let short = scratch.path().join("short");
    std::fs::write(&short, "SQLite").unwrap();
    let before = contents(scratch.path());
    assert!(refusal(&database).contains("another program"));
    assert!(refusal(&text).contains("not an SQLite database"));
    assert!(refusal(&short).contains("not an SQLite database"));
    refusal(scratch.path());
    refusal(&scratch.path().join("no/such/directory"));
    assert_eq!(contents(scratch.path()), before);
}

#[test]
fn an_empty_file_becomes_a_store() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("file:shop?mode=memory");
    std::fs::write(&path, "").unwrap();
    filled(&path, 1);
    assert!(std::fs::metadata(&path).unwrap().len() > 0, "a path is a path and no URI");
    assert_eq!(refusal(Path::new("")), "the path means no file");
}

#[test]
fn a_damaged_file_gives_errors_and_no_panic() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shop.crm");
    filled(&path, 300);
    let whole = std::fs::read(&path).unwrap();
    let tenant = TenantId::default();
    let mut failures = 0;
    for round in 0..60_usize {
        let mut bytes = whole.clone();
        match round % 3 {
            // A page of noise, a file cut short, and single bytes changed all over.
            0 => {
                let page = 4096 * (round % (whole.len() / 4096));
                (page..page + 4096).for_each(|at| bytes[at] = (at * 31 + round) as u8);
            }
            1 => bytes.truncate(whole.len() * round / 60),
            _ => (round..bytes.len()).step_by(997).for_each(|at| bytes[at] ^= 0x55),
        }
        let damaged = scratch.path().join(format!("damaged-{round}"));
        std::fs::write(&damaged, bytes).unwrap();
        let Ok(store) = SqliteStore::open(&damaged) else {
            failures += 1;
            continue;
        };
        block_on(async {
            let ids: Vec<_> = (0..300).map(customer).collect();
            let mut failed = store.load(&tenant, &ids).await.is_err();
            failed |= store.select(&tenant, &Selection::EVERYBODY, None, 1000).await.is_err();
            for id in ids {
                failed |= store.history(&tenant, id, Entries::All, None, 10).await.is_err();
                failed |= store.details(&tenant, &[id], Parts::ALL).await.is_err();
            }
            failed |= store.due(&tenant, Timestamp::MAX, 1000).await.is_err();
            failed |= store.commit(&tenant, (0..600).map(commit).collect()).await.is_err();
            failed |= store.lease(&tenant, Timestamp::MAX, crm_core::Span::days(1), 1000).await.is_err();
            failures += u32::from(failed);
        });
    }
    assert!(failures > 20, "only {failures} of 60 damaged files were noticed");
}

#[test]
fn a_row_of_another_shape_is_corrupt_and_not_a_panic() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shop.crm");
    filled(&path, 3);
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch(
        "UPDATE crm_customer SET shape = 99999; UPDATE crm_entry SET at = 9223372036854775807; UPDATE crm_alarm SET kind = 255;
         UPDATE crm_claim SET customer = x'00'; UPDATE crm_outbox SET attempt = -1;",
    )
    .unwrap();
    drop(file);
    let store = SqliteStore::open(&path).unwrap();
    let tenant = TenantId::default();
    let key = ClaimKey { kind: "order".into(), key: 1_u64.to_be_bytes().to_vec() };
    let corrupt = |error| matches!(error, StorageError::Corrupt { .. });
    block_on(async {
        assert!(corrupt(store.load(&tenant, &[customer(1)]).await.unwrap_err()));
        assert!(corrupt(store.history(&tenant, customer(1), Entries::Events, None, 9).await.unwrap_err()));
        assert!(corrupt(store.history(&tenant, customer(1), Entries::Changes, None, 9).await.unwrap_err()));
        assert!(corrupt(store.due(&tenant, Timestamp::MAX, 9).await.unwrap_err()));
        assert!(corrupt(store.resolve(&tenant, &[key]).await.unwrap_err()));
        assert!(corrupt(store.lease(&tenant, Timestamp::MAX, crm_core::Span::days(1), 9).await.unwrap_err()));
        // What is not damaged still works, on the reader and on the writer.
        assert_eq!(store.load(&tenant, &[customer(77)]).await.unwrap().rows, [None]);
        assert!(store.commit(&tenant, vec![commit(77)]).await.unwrap()[0].is_ok());
    });
}

#[test]
fn several_stores_share_a_file() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shop.crm");
    // All of them find no file, and make it together.
    let stores: Vec<_> = std::thread::scope(|scope| {
        let open = || scope.spawn(|| Arc::new(SqliteStore::open(&path).unwrap()));
        let threads: Vec<_> = (0..4).map(|_| open()).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let tenant = TenantId::default();
    for version in 0..20 {
        let expected = if version == 0 { Expected::New } else { Expected::At(Version(version)) };
        let answers: Vec<_> = std::thread::scope(|scope| {
            let commit = |store: &Arc<SqliteStore>| {
                let (store, tenant) = (Arc::clone(store), &tenant);
                scope.spawn(move || block_on(store.commit(tenant, vec![write(1, expected).into()])).unwrap().remove(0))
            };
            let threads: Vec<_> = stores.iter().map(commit).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(answers.iter().filter(|answer| matches!(answer, Ok(Committed::Done { .. }))).count(), 1);
        let lost = Err(CommitError::Conflict { customer: customer(1), actual: Some(Version(version + 1)) });
        assert_eq!(answers.iter().filter(|answer| **answer == lost).count(), 3);
    }
    block_on(async {
        let revision = stores[0].define(&tenant, 0, b"{}".to_vec()).await.unwrap();
        for store in &stores {
            let loaded = store.load(&tenant, &[customer(1)]).await.unwrap();
            assert_eq!((loaded.definitions, loaded.rows[0].as_ref().unwrap().version), (revision, Version(20)));
        }
    });
}

/// Whoever copies the file alone meanwhile has all of it.
#[test]
fn the_log_is_copied_back_when_nothing_happens() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shop.crm");
    let store = SqliteStore::open(&path).unwrap();
    block_on(store.commit(&TenantId::default(), vec![commit(1)])).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let copy = scratch.path().join("copy.crm");
    loop {
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::fs::copy(&path, &copy).unwrap();
        // A copy that was made while the log was copied back may be half of it.
        let there = SqliteStore::open(&copy).and_then(|copied| {
            let loaded = block_on(copied.load(&TenantId::default(), &[customer(1)]))?;
            Ok(loaded.rows[0].is_some())
        });
        if there.unwrap_or(false) {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "the log was not copied back");
    }
}

#[test]
fn a_caller_who_goes_away_leaves_its_commit_whole_or_absent() {
    let scratch = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(scratch.path().join("shop.crm")).unwrap();
    let tenant = TenantId::default();
    for number in 0..50 {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut call = store.commit(&tenant, vec![commit(number)]);
        let _ = call.as_mut().poll(&mut context);
        drop(call);
    }
    block_on(async {
        store.commit(&tenant, vec![commit(1000)]).await.unwrap();
        for number in 0..50 {
            let there = store.load(&tenant, &[customer(number)]).await.unwrap().rows[0].is_some();
            let events = store.history(&tenant, customer(number), Entries::Events, None, 9).await.unwrap().rows.len();
            assert_eq!(events, if there { 3 } else { 0 });
        }
    });
}

#[test]
fn one_callers_damaged_row_fails_nobody_elses_commit() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shop.crm");
    let store = SqliteStore::open(&path).unwrap();
    let (ours, theirs) = (TenantId::new("ours").unwrap(), TenantId::new("theirs").unwrap());
    block_on(store.commit(&theirs, vec![write(1, Expected::New).into()])).unwrap()[0].as_ref().unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute("UPDATE crm_customer SET version = -1", []).unwrap();
    // While somebody else writes, calls gather; the ones behind the first share a transaction at the latest.
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut begin = |tenant, write: CustomerWrite| {
        let mut call = store.commit(tenant, vec![write.into()]);
        assert!(call.as_mut().poll(&mut context).is_pending());
        call
    };
    let first = begin(&ours, write(1, Expected::New));
    let damaged = begin(&theirs, write(1, Expected::At(Version(1))));
    let last = begin(&ours, write(2, Expected::New));
    other.execute_batch("COMMIT").unwrap();
    assert!(matches!(block_on(damaged), Err(StorageError::Corrupt { .. })));
    assert!([first, last].into_iter().all(|call| block_on(call).unwrap()[0].is_ok()));
    assert_eq!(block_on(store.select(&ours, &Selection::EVERYBODY, None, 9)).unwrap(), [customer(1), customer(2)]);
}

#[test]
fn declared_columns_are_indexed_and_others_are_not() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shop.crm");
    let indexes = || {
        let file = rusqlite::Connection::open(&path).unwrap();
        let mut names =
            file.prepare("SELECT name FROM sqlite_schema WHERE name LIKE 'crm_by_%' ORDER BY name").unwrap();
        let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap();
        names.map(Result::unwrap).collect::<Vec<_>>()
    };
    filled(&path, 20);
    assert!(indexes().is_empty());
    let open = |columns: &[Column]| drop(SqliteStore::open_with(&path, &SqliteOptions::default().indexed(columns)));
    open(&[Column::Spend, Column::Stage]);
    assert_eq!(indexes(), ["crm_by_spend", "crm_by_stage"]);
    filled_from(&path, 20, 5);
    assert_eq!(indexes(), ["crm_by_spend", "crm_by_stage"], "without a word about them they stay");
    open(&[Column::Stage]);
    assert_eq!(indexes(), ["crm_by_stage"]);
    let file = rusqlite::Connection::open(&path).unwrap();
    let plan = "EXPLAIN QUERY PLAN SELECT count(*) FROM crm_customer WHERE tenant = 1 AND stage = 3";
    let plan: String = file.query_row(plan, [], |row| row.get("detail")).unwrap();
    assert!(plan.contains("crm_by_stage"), "{plan}");
}

#[test]
fn the_steps_that_a_file_lacks_can_be_read_before_it_is_opened() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shop.crm");
    let options = SqliteOptions::default();
    let pending = || SqliteStore::pending(&path, &options).unwrap();
    let steps = pending();
    assert!(!path.exists(), "asking makes no file");
    assert_eq!((steps[0].number, steps[0].name.as_str()), (1, "rows"));
    assert!(steps[0].to_string().contains("CREATE TABLE crm_customer"));
    filled(&path, 1);
    assert!(pending().is_empty());
}

#[test]
fn a_step_that_was_altered_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shop.crm");
    filled(&path, 1);
    let alter = |sql: &str| rusqlite::Connection::open(&path).unwrap().execute(sql, []).unwrap();
    alter("UPDATE crm_migration SET checksum = zeroblob(32)");
    assert!(refusal(&path).contains("step 1"));
    alter("DELETE FROM crm_migration");
    assert!(matches!(SqliteStore::open(&path), Err(StorageError::Open { .. })), "a ledger without its steps");
}

#[test]
fn a_shops_file_is_taken_only_when_that_is_asked_for() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shop.db");
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch(
        "CREATE TABLE customer (name TEXT); INSERT INTO customer VALUES ('x');
         PRAGMA application_id = 77; PRAGMA user_version = 12;",
    )
    .unwrap();
    file.close().unwrap();
    assert!(refusal(&path).contains("another program"));
    let options = SqliteOptions::default().beside_other_tables();
    assert_eq!(SqliteStore::pending(&path, &options).unwrap().len(), 3);
    let store = SqliteStore::open_with(&path, &options).unwrap();
    assert!(block_on(store.commit(&TenantId::default(), vec![commit(1)])).unwrap()[0].is_ok());
    drop(store);
    assert!(refusal(&path).contains("another program"), "also when the store's tables are in it");
    let file = rusqlite::Connection::open(&path).unwrap();
    let mark = |pragma| file.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((mark("application_id"), mark("user_version")), (77, 12), "the shop's marks are its own");
    assert_eq!(file.query_row("SELECT name FROM customer", [], |row| row.get::<_, String>(0)).unwrap(), "x");
    // A file that is the store's alone may be opened so as well.
    let own = scratch.path().join("shop.crm");
    filled(&own, 1);
    drop(SqliteStore::open_with(&own, &options).unwrap());
    filled_from(&own, 1, 1);
}

#[test]
fn a_file_of_the_first_layout_is_brought_up_to_date_with_all_that_is_in_it() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shop.crm");
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch("PRAGMA journal_mode = WAL; PRAGMA application_id = 0x63726d73; PRAGMA user_version = 1")
        .unwrap();
    file.execute_batch(include_str!("fixtures/first_layout.sql")).unwrap();
    let (ana, seen) = (customer(1), event(1));
    let (id, told) = (ana.as_uuid().as_bytes(), seen.as_uuid().as_bytes());
    file.execute("INSERT INTO tenant VALUES (1, 'default', 1, 5)", []).unwrap();
    file.execute("INSERT INTO definition VALUES (1, 1, '{}')", []).unwrap_err();
    file.execute("INSERT INTO definition VALUES (1, 1, x'7b7d')", []).unwrap();
    file.execute("INSERT INTO customer VALUES (1, ?1, 3, 1, x'07')", [id]).unwrap();
    let entry = "INSERT INTO entry VALUES (1, 1, ?1, ?2, 5, 6, 'visited', 1, 'shop', NULL, x'7b7d')";
    file.execute(entry, [id, told]).unwrap();
    file.execute(
        "INSERT INTO entry (position, tenant, customer, at, kind, body) VALUES (2, 1, ?1, 5, 'x', x'7b7d')",
        [id],
    )
    .unwrap();
    file.execute("INSERT INTO alarm VALUES (1, 9, 1, ?1)", [id]).unwrap();
    file.execute("INSERT INTO claim VALUES (1, 'order', x'31', ?1, ?2)", [id, told]).unwrap();
    file.execute("INSERT INTO outbox VALUES (1, ?2, ?1, 'mail', 7, 0, NULL, NULL, x'7b7d')", [id, told]).unwrap();
    file.close().unwrap();
    let tenant = TenantId::default();
    for _ in 0..2 {
        let store = SqliteStore::open(&path).unwrap();
        block_on(async {
            let loaded = store.load(&tenant, &[ana]).await.unwrap();
            assert_eq!((loaded.definitions, loaded.rows[0].as_ref().unwrap().version), (1, Version(3)));
            let history = store.history(&tenant, ana, Entries::All, None, 9).await.unwrap().rows;
            assert!(matches!(&history[..], [Entry::Event(event), Entry::Change(_)] if event.id == seen), "{history:?}");
            assert_eq!(store.due(&tenant, Timestamp::MAX, 9).await.unwrap().len(), 1);
            let key = ClaimKey { kind: "order".into(), key: b"1".to_vec() };
            assert_eq!(store.resolve(&tenant, &[key]).await.unwrap()[0].unwrap().customer, ana);
            assert_eq!(store.feed(crm_storage::Lane(0), 0, 9).await.unwrap().len(), 2);
            let leased = store.lease(&tenant, Timestamp::MAX, crm_core::Span::millis(0), 9).await.unwrap();
            assert_eq!(leased.len(), 1);
        });
    }
    let file = rusqlite::Connection::open(&path).unwrap();
    let old: i64 = file
        .query_row("SELECT count(*) FROM sqlite_schema WHERE tbl_name NOT LIKE 'crm_%'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(old, 0, "nothing of the first layout is left");
}
