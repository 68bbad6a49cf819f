//! Indexes that are declared for a file: of columns, sets and scores.
#![cfg(feature = "sqlite-unbundled")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]

use std::path::Path;

use crm_core::expression::Comparison;
use crm_core::{Column, CustomerId, Digest, SetKey, SetKind, TenantId, Timestamp};
use crm_storage::conformance::block_on;
use crm_storage::sqlite::HostTransaction;
use crm_storage::{CustomerWrite, Expected, ScoreRow, Selection, SqliteOptions, SqliteStore, StateRow, Store, Version};
use rusqlite::config::DbConfig;

fn customer(number: u64) -> CustomerId {
    CustomerId::from_uuid(uuid::Uuid::from_u64_pair(number, 0))
}

fn set(text: &str) -> SetKey {
    SetKey::parse(text).unwrap()
}

/// A write of the version after so many, with these sets.
fn write(number: u64, before: u64, sets: &[&str]) -> CustomerWrite {
    let expected = if before == 0 { Expected::New } else { Expected::At(Version(before)) };
    let mut write = CustomerWrite::new(customer(number), expected, StateRow { shape: 1, bytes: vec![7; 64] });
    write.traits.sets = sets.iter().map(|text| set(text)).collect();
    write.traits.sets.sort();
    write
}

fn commit(store: &SqliteStore, writes: Vec<CustomerWrite>) {
    let commits = writes.into_iter().map(Into::into).collect();
    let answers = block_on(store.commit(&TenantId::default(), commits)).unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

fn members(store: &SqliteStore, name: &str) -> Vec<CustomerId> {
    block_on(store.select(&TenantId::default(), &Selection::In(set(name)), None, 100)).unwrap()
}

/// What a statement answers, as one line of text for each row.
fn rows(path: &Path, sql: &str) -> Vec<String> {
    let file = rusqlite::Connection::open(path).unwrap();
    let mut statement = file.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn objects(path: &Path) -> Vec<String> {
    let declared = "SELECT name FROM sqlite_schema WHERE name GLOB 'crm_by_*' OR name GLOB 'crm_member_*' \
                    OR name = 'crm_score_by_value' ORDER BY name";
    rows(path, declared)
}

fn kept(path: &Path, kind: &str) -> Vec<String> {
    rows(path, &format!("SELECT name || ' ' || hex(customer) FROM crm_member_{kind} ORDER BY name, customer"))
}

fn open(path: &Path, options: &SqliteOptions) -> SqliteStore {
    SqliteStore::open_with(path, options).unwrap()
}

#[test]
fn sets_are_indexed_by_the_kinds_that_are_declared() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shop.crm");
    let plain = SqliteOptions::default();
    let store = open(&path, &plain);
    commit(&store, vec![write(1, 0, &["tag:vip", "segment:big"]), write(2, 0, &["tag:vip", "tier:club/gold"])]);
    drop(store);
    assert!(objects(&path).is_empty());
    // What was there before is in the index when a kind is declared on a file that is there.
    let store = open(&path, &plain.clone().index_sets(&[SetKind::Tag, SetKind::Tier]));
    let of = |kind: &str| ["", "_added", "_moved"].map(|part| format!("crm_member_{kind}{part}"));
    assert_eq!(objects(&path), [of("tag"), of("tier")].concat());
    assert_eq!((kept(&path, "tag").len(), kept(&path, "tier").len()), (2, 1));
    for name in ["tag:vip", "segment:big", "tier:club/gold"] {
        assert!(!members(&store, name).is_empty(), "{name}");
    }
    drop(store);
    // Without a word about them they stay, and are kept.
    let store = open(&path, &plain);
    commit(&store, vec![write(3, 0, &["tag:vip", "segment:big"])]);
    assert_eq!(members(&store, "tag:vip"), [1, 2, 3].map(customer));
    assert_eq!(kept(&path, "tag").len(), 3);
    drop(store);
    let store = open(&path, &plain.clone().index_sets(&[SetKind::Segment]));
    assert_eq!(objects(&path), of("segment"));
    assert_eq!(members(&store, "tag:vip"), [1, 2, 3].map(customer));
    assert_eq!(members(&store, "segment:big"), [1, 3].map(customer));
    drop(store);
    drop(open(&path, &plain.index_sets(&[])));
    assert!(objects(&path).is_empty());
}

#[test]
fn an_index_of_sets_follows_every_write_whoever_makes_it() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shop.crm");
    // Opened before the index is declared, as by another process.
    let before = open(&path, &SqliteOptions::default());
    let store = open(&path, &SqliteOptions::default().index_sets(&SetKind::ALL));
    let strange =
        ["tag:\"", "tag:\\", "tag:\\\"", "tag:[\"a\",\"b\"]", "tag:a,b", "tag:\u{200b}", "tag:tier:x", "tag:😀"];
    commit(&before, vec![write(1, 0, &strange), write(2, 0, &[]), write(3, 0, &["tag:a", "consent:mail"])]);
    let mut tags: Vec<String> =
        strange.iter().map(|name| format!("{name} {}", customer(1).as_uuid().simple())).collect();
    tags.push(format!("tag:a {}", customer(3).as_uuid().simple()));
    tags.sort();
    let lower = |rows: Vec<String>| {
        let mut rows: Vec<String> = rows
            .iter()
            .map(|row| row.rsplit_once(' ').unwrap())
            .map(|(name, id)| format!("{name} {}", id.to_lowercase()))
            .collect();
        rows.sort();
        rows
    };
    assert_eq!(lower(kept(&path, "tag")), tags);
    for name in strange {
        assert_eq!(members(&store, name), [customer(1)], "{name}");
    }
    commit(&store, vec![write(1, 1, &["tag:a", "tag:\\", "segment:a"]), write(2, 1, &["tag:a"]), write(3, 1, &[])]);
    assert_eq!(members(&before, "tag:a"), [1, 2].map(customer));
    assert_eq!(members(&before, "tag:\\"), [customer(1)]);
    assert_eq!((kept(&path, "tag").len(), kept(&path, "segment").len(), kept(&path, "consent").len()), (3, 1, 0));
    // A commit that is refused leaves nothing.
    let refused = block_on(before.commit(&TenantId::default(), vec![write(2, 1, &["tag:b"]).into()])).unwrap();
    assert!(refused[0].is_err());
    assert!(members(&store, "tag:b").is_empty());
}

#[test]
fn an_index_of_sets_is_kept_inside_a_shops_transaction() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shop.db");
    let options = SqliteOptions::default().beside_other_tables().index_sets(&[SetKind::Tag]);
    let store = open(&path, &options);
    let mut shop = rusqlite::Connection::open(&path).unwrap();
    crm_storage::sqlite::install(&mut shop).unwrap();
    for (number, kept) in [(1, true), (2, false)] {
        let transaction = shop.transaction().unwrap();
        let mut inside = HostTransaction::new(&transaction).unwrap();
        let view = inside.store();
        let tenant = TenantId::default();
        inside.run(async {
            let commits = vec![write(number, 0, &["tag:a"]).into()];
            view.commit(&tenant, commits).await.unwrap()[0].as_ref().unwrap();
            let selected = view.select(&tenant, &Selection::In(set("tag:a")), None, 9).await.unwrap();
            assert_eq!(selected.len() as u64, number);
        });
        drop((view, inside));
        if kept { transaction.commit().unwrap() } else { transaction.rollback().unwrap() }
    }
    assert_eq!(members(&store, "tag:a"), [customer(1)]);
    assert_eq!(self::kept(&path, "tag").len(), 1);
    // Without triggers the index would not be kept.
    shop.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).unwrap();
    let transaction = shop.transaction().unwrap();
    let refused = HostTransaction::new(&transaction).unwrap_err().to_string();
    assert!(refused.contains("TRIGGER"), "{refused}");
}

#[test]
fn a_commit_that_moves_no_set_writes_nothing_for_them() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shop.crm");
    let store = open(&path, &SqliteOptions::default().index_sets(&[SetKind::Tag]));
    commit(&store, vec![write(1, 0, &["tag:a", "tag:b"])]);
    let other = rusqlite::Connection::open(&path).unwrap();
    // Whatever is written there fails from now on.
    other
        .execute_batch(
            "CREATE TRIGGER crm_no_added BEFORE INSERT ON crm_member_tag BEGIN SELECT raise(ABORT, 'written'); END;
             CREATE TRIGGER crm_no_gone BEFORE DELETE ON crm_member_tag BEGIN SELECT raise(ABORT, 'written'); END;",
        )
        .unwrap();
    commit(&store, vec![write(1, 1, &["tag:a", "tag:b"])]);
    commit(&store, vec![write(1, 2, &["tag:a", "tag:b", "segment:x"])]);
    let moved = block_on(store.commit(&TenantId::default(), vec![write(1, 3, &["tag:a"]).into()]));
    assert!(moved.is_err(), "what moves is written");
}

#[test]
fn scores_are_indexed_when_that_is_declared() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shop.crm");
    let scored = |number, before, at, value| {
        let mut write = write(number, before, &[]);
        write.scores = vec![ScoreRow {
            plugin: "p".into(),
            output: "o".into(),
            at: Timestamp::from_millis(at).unwrap(),
            value,
            version: "1".into(),
            digest: Digest::of(b""),
            input: Digest::of(b""),
            inputs: Vec::new(),
            recorded_at: None,
            terms: "".into(),
        }];
        write
    };
    let above = |store: &SqliteStore, value| {
        let selection = Selection::Score { plugin: "p".into(), output: "o".into(), is: Comparison::Gt, value };
        block_on(store.select(&TenantId::default(), &selection, None, 100)).unwrap()
    };
    let store = open(&path, &SqliteOptions::default());
    commit(&store, vec![scored(1, 0, 1, 0.9), scored(2, 0, 1, 0.9)]);
    drop(store);
    let store = open(&path, &SqliteOptions::default().index_scores(true));
    assert_eq!(objects(&path), ["crm_score_by_value"]);
    commit(&store, vec![scored(1, 1, 2, 0.1), scored(3, 0, 1, 0.8)]);
    assert_eq!(above(&store, 0.5), [2, 3].map(customer), "the newest score counts");
    drop(store);
    let store = open(&path, &SqliteOptions::default().index_scores(false).indexed(&[Column::Spend]));
    assert_eq!(objects(&path), ["crm_by_spend"]);
    assert_eq!(above(&store, 0.5), [2, 3].map(customer));
}
