//! A process that commits is killed at random moments. What it acknowledged is there afterwards; of
//! everything else, each commit is whole or absent.
#![cfg(feature = "sqlite-unbundled")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]

mod scratch;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crm_core::{CustomerId, EventId, TenantId, Timestamp};
use crm_storage::conformance::block_on;
use crm_storage::{
    ChangeRow, Claim, ClaimKey, ClaimOwner, Commit, CustomerWrite, Entries, EventRow, Expected, SqliteStore, StateRow,
    Store,
};
use scratch::Scratch;

const FILE: &str = "CRM_STORAGE_KILL_TEST_FILE";
const FIRST: &str = "CRM_STORAGE_KILL_TEST_FIRST";
const ROUNDS: u64 = 8;

fn customer(number: u64) -> CustomerId {
    CustomerId::from_uuid(uuid::Uuid::from_u64_pair(number.wrapping_mul(0x9e37_79b9_7f4a_7c15), number))
}

fn event(number: u64) -> EventId {
    EventId::from_uuid(uuid::Uuid::from_u64_pair(number, 1))
}

fn key(number: u64) -> ClaimKey {
    ClaimKey { kind: "order".into(), key: number.to_be_bytes().to_vec() }
}

fn commit(number: u64) -> Commit {
    let instant = Timestamp::MIN;
    let mut write = CustomerWrite::new(customer(number), Expected::New, StateRow { shape: 1, bytes: vec![1; 300] });
    write.events = (0..3)
        .map(|at| EventRow {
            id: event(number * 3 + at),
            at: instant,
            recorded_at: instant,
            kind: "visited".into(),
            shape: 1,
            source: None,
            cause: None,
            body: vec![b'x'; 500],
        })
        .collect();
    write.changes = vec![ChangeRow { at: instant, kind: "stage_changed".into(), body: Vec::new() }];
    let claims = vec![Claim { key: key(number), customer: customer(number), event: event(number * 3) }];
    Commit { claims, ..write.into() }
}

/// Not a test of its own: what the killed process does. It commits 1 to 7 at a time until it is killed.
#[test]
fn commit_until_killed() {
    let (Ok(file), Ok(first)) = (std::env::var(FILE), std::env::var(FIRST)) else { return };
    let store = SqliteStore::open(file).unwrap();
    let mut next: u64 = first.parse().unwrap();
    loop {
        let end = next + 1 + next % 7;
        let answers = block_on(store.commit(&TenantId::default(), (next..end).map(commit).collect())).unwrap();
        assert!(answers.iter().all(Result::is_ok));
        let mut out = std::io::stdout().lock();
        writeln!(out, "acknowledged below {end}").unwrap();
        out.flush().unwrap();
        next = end;
    }
}

#[test]
fn a_killed_process_loses_nothing_that_was_acknowledged() {
    let scratch = Scratch::new();
    let path = scratch.path().join("shop.crm");
    let mut first = 0;
    let mut acknowledged: Vec<std::ops::Range<u64>> = Vec::new();
    for round in 0..ROUNDS {
        let end = run_and_kill(&path, first, Duration::from_millis(15 + round * 37 % 120));
        acknowledged.push(first..end);
        check(&path, &acknowledged, end..end + 8);
        // What was under way when it was killed may be there; the next round starts past it.
        first = end + 8;
    }
    let total: u64 = acknowledged.iter().map(|range| range.end - range.start).sum();
    assert!(total > ROUNDS, "only {total} commits were made");
}

/// Runs the process for a while; gives the first number that it did not acknowledge.
fn run_and_kill(path: &Path, first: u64, run_for: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["commit_until_killed", "--exact", "--nocapture", "--test-threads=1"])
        .env(FILE, path)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reader = std::thread::spawn(move || {
        let ends =
            lines.map_while(Result::ok).filter_map(|line| line.rsplit_once("acknowledged below ")?.1.parse().ok());
        ends.last()
    });
    std::thread::sleep(run_for);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap().unwrap_or(first)
}

fn check(path: &Path, acknowledged: &[std::ops::Range<u64>], under_way: std::ops::Range<u64>) {
    let store = SqliteStore::open(path).unwrap();
    let tenant = TenantId::default();
    block_on(async {
        for number in acknowledged.iter().cloned().flatten().chain(under_way.clone()) {
            let there = store.load(&tenant, &[customer(number)]).await.unwrap().rows[0].is_some();
            assert!(there || under_way.contains(&number), "commit {number} was acknowledged and is lost");
            let events = store.history(&tenant, customer(number), Entries::Events, None, 9).await.unwrap().rows.len();
            let changes = store.history(&tenant, customer(number), Entries::Changes, None, 9).await.unwrap().rows.len();
            let owner = store.resolve(&tenant, &[key(number)]).await.unwrap()[0];
            let whole = ClaimOwner { customer: customer(number), event: event(number * 3) };
            assert_eq!(
                (events, changes, owner),
                if there { (3, 1, Some(whole)) } else { (0, 0, None) },
                "commit {number}"
            );
        }
    });
    drop(store);
    let file = rusqlite::Connection::open(path).unwrap();
    let verdict: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}
