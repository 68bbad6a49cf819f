//! Finding whose an identifier is, on SQLite: the store's `resolve` of one key beside a raw indexed read of the same
//! row, and the engine's `customer`, which reads and decodes whom it finds as well. With somebody who was merged, too.
//! The sides take turns, and each has a connection with the same cache.
//!
//! `cargo bench -p crm --no-default-features --features sqlite --bench resolve`, with `-- --customers 10000` for fewer.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints what it measured")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crm::blocking::{Crm, wait};
use crm::{
    Channel, CustomerId, Identifier, Incoming, Ingestion, LookupKey, Source, SqliteOptions, SqliteStore, Store,
    TenantId, Timestamp, Visited,
};
use crm_storage::ClaimKey;
use rusqlite::Connection;

/// What finding the owner of one identifier may cost, of a raw read of the same row.
const LIMIT: f64 = 3.0;
const ROUNDS: usize = 31;
/// Look-ups in a round of a side.
const TURN: usize = 2_000;
/// One customer in so many was merged with the one after.
const MERGED_EVERY: usize = 100;
const CACHE_KIB: u32 = 1 << 18;
const RAW: &str = "SELECT customer FROM crm_claim WHERE tenant = ?1 AND kind = ?2 AND key = ?3";

fn email(n: usize) -> Identifier {
    Identifier::email(&format!("customer{n}@example.com")).unwrap()
}

/// Everybody by one identifier, some of them merged in pairs.
fn fill(crm: &Crm, customers: usize) {
    let (source, at) = (Source::new("bench").unwrap(), Timestamp::parse("2026-01-05").unwrap());
    let visits = (0..customers).map(|n| {
        let visit = Visited { channel: Channel::Web, place: None };
        Incoming::new(email(n), at, source.clone(), visit).with_key(format!("visit {n}").parse().unwrap())
    });
    crm.ingest(visits, Ingestion::history()).unwrap();
    for n in (0..customers - 1).step_by(MERGED_EVERY) {
        let id = |n| crm.customer(email(n)).unwrap().unwrap().id();
        crm.merge(id(n), id(n + 1), "one person".parse().unwrap()).unwrap();
    }
}

/// Nanoseconds of one look-up.
fn timed<T>(whom: &[usize], mut look_up: impl FnMut(usize) -> T) -> f64 {
    let began = Instant::now();
    for n in whom {
        std::hint::black_box(look_up(*n));
    }
    began.elapsed().as_nanos() as f64 / whom.len() as f64
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_unstable_by(f64::total_cmp);
    of[of.len() / 2]
}

fn measure(path: &Path, customers: usize) {
    let options = SqliteOptions::default().cache_kib(CACHE_KIB);
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open_with(path, &options).unwrap());
    let lookup_key = LookupKey::new(&[7; 32]);
    let crm = crm::Crm::builder().shared_store(Arc::clone(&store)).lookup_key(lookup_key.clone()).build();
    let crm = Crm::from(crm);
    fill(&crm, customers);

    let tenant = TenantId::default();
    let keys: Vec<ClaimKey> = (0..customers)
        .map(|n| {
            let key = lookup_key.hash(&tenant, &email(n));
            ClaimKey { kind: key.kind.name().into(), key: key.hash.to_vec() }
        })
        .collect();
    let by_hand = Connection::open(path).unwrap();
    by_hand.pragma_update(None, "cache_size", -i64::from(CACHE_KIB)).unwrap();
    let number: i64 = by_hand.query_row("SELECT DISTINCT tenant FROM crm_claim", [], |row| row.get(0)).unwrap();
    let mut statement = by_hand.prepare(RAW).unwrap();
    let mut raw = |n: usize| -> [u8; 16] {
        statement.query_row((number, keys[n].kind.as_str(), &keys[n].key), |row| row.get(0)).unwrap()
    };
    let resolve = |n: usize| -> CustomerId {
        let found = wait(store.resolve(&tenant, std::slice::from_ref(&keys[n]))).unwrap();
        found[0].as_ref().unwrap().customer
    };
    let customer = |n: usize| crm.customer(email(n)).unwrap().unwrap();
    // All agree, and everything is in the caches from here on.
    for n in 0..customers {
        let owner = resolve(n);
        assert_eq!(owner.as_uuid().as_bytes(), &raw(n));
        assert!(customer(n).is(owner));
    }

    println!("{customers} customers, {ROUNDS} rounds of {TURN} look-ups a side, medians");
    println!("| whom | what | µs | of the raw read | limit |\n|---|---|---|---|---|");
    // Of a pair who was merged one is led to the other.
    let alone = |n: usize| 2 + n * 7_919 % (customers / MERGED_EVERY) * MERGED_EVERY + n * 31 % (MERGED_EVERY - 3);
    let merged = |n: usize| n * 7_919 % (customers / MERGED_EVERY) * MERGED_EVERY + n % 2;
    for (name, whom) in [("one of all", &alone as &dyn Fn(usize) -> usize), ("somebody who was merged", &merged)] {
        let mut sides = [Vec::new(), Vec::new(), Vec::new()];
        let (mut resolve_ratio, mut customer_ratio) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let whom: Vec<usize> = (0..TURN).map(|n| whom(round * TURN + n)).collect();
            let times = [timed(&whom, &mut raw), timed(&whom, &resolve), timed(&whom, &customer)];
            resolve_ratio.push(times[1] / times[0]);
            customer_ratio.push(times[2] / times[0]);
            sides.iter_mut().zip(times).for_each(|(side, time)| side.push(time));
        }
        let [raw, resolve, customer] = sides.map(|side| median(side) / 1_000.0);
        let (resolve_ratio, customer_ratio) = (median(resolve_ratio), median(customer_ratio));
        let verdict = if resolve_ratio <= LIMIT { "≤ 3" } else { "≤ 3: MISSED" };
        println!("| {name} | a raw indexed read | {raw:.2} | 1 | |");
        println!("| {name} | `Store::resolve` of one key | {resolve:.2} | {resolve_ratio:.2} | {verdict} |");
        println!(
            "| {name} | `Crm::customer`: hash, resolve, read, decode | {customer:.2} | {customer_ratio:.2} | none |"
        );
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut customers = 100_000;
    while let Some(argument) = arguments.next() {
        // Cargo says that it is a bench.
        if argument == "--customers" {
            customers = arguments.next().unwrap().parse().unwrap();
        }
    }
    assert!(customers >= 10 * MERGED_EVERY, "at least {} customers", 10 * MERGED_EVERY);
    let folder = tempfile::tempdir().unwrap();
    measure(&folder.path().join("bench.db"), customers);
}
