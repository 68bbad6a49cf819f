//! A new segment of four conditions over a million customers on SQLite, beside the same rows written by hand: in one
//! transaction, in two statements, with the same settings of the connection.
//!
//! `cargo bench -p crm --no-default-features --features sqlite --bench fill`, with `-- --customers 50000` for fewer.
//!
//! A few customers are recorded as any are; the others are copies of their rows under other ids, history included, so
//! that the file is made in a minute. Both write into copies of that file, turn by turn.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints what it measured")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crm::blocking::Crm;
use crm::{
    Channel, Currency, Definition, DerivedIds, Identifier, Incoming, Money, OrderPlaced, SegmentName, Source,
    SqliteStore, Timestamp, Visited,
};
use rusqlite::{Connection, params};

/// How much longer than by hand it may take.
const LIMIT: f64 = 1.5;
const ROUNDS: usize = 3;
/// How many customers are recorded; the others are copies of them.
const KINDS: u32 = 16;
const RULE: &str = r#"orders >= 3 && spend >= 40 && visits >= 1 && stage == "purchase""#;

fn crm(file: &Path) -> Crm {
    Crm::from(crm::Crm::builder().store(SqliteStore::open(file).unwrap()).ids(DerivedIds).build())
}

/// A file of so many customers.
fn make(file: &Path, customers: u64) {
    let crm = crm(file);
    let source = || Source::new("shop").unwrap();
    for n in 0..KINDS {
        let who = Identifier::email(&format!("c{n}@example.com")).unwrap();
        let now = crm.now();
        for key in 0..1 + n % 3 {
            let visit = Visited { channel: Channel::Web, place: None };
            let fact = Incoming::new(&who, now, source(), visit);
            crm.record(fact.with_key(format!("visit-{n}-{key}").parse().unwrap())).unwrap();
        }
        for key in 0..n % 8 {
            let fact = Incoming::new(&who, now, source(), OrderPlaced::new(Money::new(1_050, Currency::EUR)));
            crm.record(fact.with_key(format!("order-{n}-{key}").parse().unwrap())).unwrap();
        }
    }
    drop(crm);
    let db = Connection::open(file).unwrap();
    let columns: Vec<String> = {
        let mut names = db.prepare("SELECT name FROM pragma_table_info('crm_customer')").unwrap();
        let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap();
        names.map(Result::unwrap).filter(|name| name != "id").collect()
    };
    let columns = columns.join(", ");
    // Ids in the order in which customers come, as they do.
    let copies = customers / u64::from(KINDS) - 1;
    db.execute_batch(&format!(
        "BEGIN;
         CREATE TEMP TABLE copy (old BLOB, new BLOB);
         INSERT INTO copy
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {copies})
             SELECT id, unhex(printf('0190%012x8%015x', n, row_number() OVER ()))
             FROM n CROSS JOIN (SELECT id FROM crm_customer WHERE orders IS NOT NULL);
         INSERT INTO crm_customer (id, {columns})
             SELECT new, {columns} FROM copy JOIN crm_customer ON id = old ORDER BY new;
         INSERT INTO crm_entry (tenant, customer, id, at, recorded_at, kind, shape, source, cause, body)
             SELECT tenant, new, crm_entry.id, at, recorded_at, kind, shape, source, cause, body
             FROM copy JOIN crm_entry ON customer = old ORDER BY new, position;
         COMMIT;
         PRAGMA wal_checkpoint(TRUNCATE);"
    ))
    .unwrap();
}

/// Defines the segment and fills it.
fn fill(file: &Path) -> (Duration, u64) {
    let crm = crm(file);
    let rule = crm.rule(RULE).unwrap();
    let start = Instant::now();
    crm.define(Timestamp::MIN, Definition::Segment(SegmentName::new("regulars").unwrap(), Some(rule))).unwrap();
    let report = crm.fill(|_| {}).unwrap();
    let took = start.elapsed();
    assert_eq!(report.complete.len(), 1);
    (took, report.moved)
}

/// The same rows by hand, all at once.
fn by_hand(file: &Path, told: &[u8]) -> (Duration, u64) {
    let mut db = Connection::open(file).unwrap();
    let settings: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).unwrap();
    assert_eq!(settings, "wal");
    // What the store sets.
    db.execute_batch(
        "PRAGMA wal_autocheckpoint = 8000; PRAGMA journal_size_limit = 67108864; PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -131072;",
    )
    .unwrap();
    let start = Instant::now();
    let transaction = db.transaction().unwrap();
    let conditions = "tenant = 1 AND orders >= 3 AND spend >= 4000 AND visits >= 1 AND stage = 3";
    let tell = format!(
        "INSERT INTO crm_entry (tenant, customer, at, kind, body) \
         SELECT 1, id, ?1, 'segment_entered', ?2 FROM crm_customer WHERE {conditions}"
    );
    let members = transaction.execute(&tell, params![Timestamp::MIN.as_millis(), told]).unwrap();
    let enrol = format!(
        "UPDATE crm_customer SET version = version + 1, sets = ifnull(sets, char(31)) || 'segment:regulars' || char(31) \
         WHERE {conditions}"
    );
    assert_eq!(transaction.execute(&enrol, []).unwrap(), members);
    transaction.commit().unwrap();
    (start.elapsed(), members as u64)
}

/// What both wrote: how many are in the set, at which versions, and what was told.
fn written(file: &Path) -> (u64, u64, u64) {
    let db = Connection::open(file).unwrap();
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs();
    (
        count("SELECT count(*) FROM crm_customer WHERE instr(sets, char(31) || 'segment:regulars' || char(31)) > 0"),
        count("SELECT sum(version) FROM crm_customer WHERE orders IS NOT NULL"),
        count("SELECT count(*) FROM crm_entry WHERE kind = 'segment_entered'"),
    )
}

fn copied(from: &Path, name: &str) -> PathBuf {
    let to = from.with_file_name(name);
    for end in ["", "-wal", "-shm"] {
        drop(std::fs::remove_file(format!("{}{end}", to.display())));
    }
    std::fs::copy(from, &to).unwrap();
    to
}

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--customers").skip(1);
    let customers: u64 = arguments.next().map_or(1_000_000, |count| count.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("base.db");
    let start = Instant::now();
    make(&file, customers);
    let bytes = std::fs::metadata(&file).unwrap().len();
    println!("{customers} customers, {} MB, made in {:.1} s", bytes / 1_000_000, start.elapsed().as_secs_f64());
    let told = br#"{"at":"2026-11-22T12:00:00Z","cause":"definition","body":{"segment_entered":{"segment":"regulars","because":"orders >= 3 && spend >= 40 && visits >= 1 && stage == \"purchase\""}}}"#;
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let own = copied(&file, "own.db");
        let (filled, members) = fill(&own);
        let hand = copied(&file, "hand.db");
        let (hand_took, same) = by_hand(&hand, told);
        assert_eq!(members, same);
        assert_eq!(written(&own), written(&hand), "the same rows");
        let ratio = filled.as_secs_f64() / hand_took.as_secs_f64();
        println!(
            "round {round}: {members} members, filled in {:.2} s, by hand in {:.2} s, ratio {ratio:.2}",
            filled.as_secs_f64(),
            hand_took.as_secs_f64()
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2}, limit {LIMIT}", ratios[ROUNDS / 2]);
}
