//! The PostgreSQL store beside the same SQL by hand, on a server of the bench's own with fsync on, as ratios in one
//! run: `cargo bench -p crm-storage --features postgres --bench postgres`.
//!
//! Each line is printed beside its limit. Words after `--` choose parts: `commits`, `reads`, `large`, `sharded`;
//! `quick` makes everything small, to see that it runs.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on ends")]
#![allow(clippy::print_stdout, reason = "it is what a bench does")]
#![allow(missing_docs, reason = "a bench has no callers")]

mod by_hand;
mod commits;
mod large;
#[path = "../../crm-storage/tests/postgres_server/mod.rs"]
mod postgres_server;
#[path = "../storage/process.rs"]
mod process;
mod reads;
#[path = "../storage/report.rs"]
#[allow(dead_code, reason = "another bench uses all of it")]
mod report;
#[path = "../storage/workload.rs"]
#[allow(dead_code, reason = "another bench uses all of it")]
mod workload;

use crm_core::TenantId;
use crm_storage::{Commit, Dialect, PostgresOptions, PostgresStore, Store};
use postgres_server::{Server, block_on, connect};
use report::Report;
use workload::Base;

/// A checkpoint has the next write of each page log the whole page, which would hide what is compared. None
/// falls into a run.
const SETTINGS: [&str; 4] = ["fsync=on", "shared_buffers=1GB", "max_wal_size=16GB", "checkpoint_timeout=1d"];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, command, url, schema, customers] = &arguments[..]
        && command == "read-from"
    {
        return block_on(large::read_from(url, schema, customers.parse().unwrap()));
    }
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let quick = words.iter().any(|word| word == "quick");
    let parts: Vec<&String> = words.iter().filter(|word| *word != "quick").collect();
    let chosen = |part: &str| parts.is_empty() || parts.iter().any(|word| *word == part);
    let Some(server) = Server::start(&SETTINGS) else {
        println!("skipped: there is no PostgreSQL here");
        return;
    };
    let url = server.url(&server.database());
    let mut report = Report::default();
    let customers = if quick { 2_000 } else { 100_000 };
    block_on(async {
        if chosen("commits") || chosen("reads") {
            let (store, mut base) = filled(&url, &PostgresOptions::default(), customers).await;
            if chosen("commits") {
                commits::run(&mut report, &url, &store, &mut base, quick).await;
            }
            if chosen("reads") {
                reads::run(&mut report, &url, &store, customers, quick).await;
            }
        }
        if chosen("sharded") {
            let sharded = PostgresOptions::default().schema("sharded").dialect(Dialect::Sharded);
            let (store, mut base) = filled(&url, &sharded, customers).await;
            commits::sharded(&store, &mut base, quick).await;
        }
        if chosen("large") {
            large::run(&mut report, &url, quick).await;
        }
    });
    report.print();
}

/// A store with customers.
async fn filled(url: &str, options: &PostgresOptions, customers: usize) -> (PostgresStore, Base) {
    let store = PostgresStore::connect(url, options).await.unwrap();
    let mut base = Base::new(customers);
    for batch in base.make() {
        commit(&store, batch).await;
    }
    connect(url).await.batch_execute("VACUUM ANALYZE").await.unwrap();
    (store, base)
}

async fn commit(store: &PostgresStore, batch: Vec<Commit>) {
    let answers = store.commit(&TenantId::default(), batch).await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "{:?}", answers.iter().find(|answer| answer.is_err()));
}
