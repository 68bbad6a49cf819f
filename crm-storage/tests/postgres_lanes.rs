//! Who waits for whom when large batches hold many lanes, and where lanes end.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]

mod postgres_server;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crm_core::{CustomerId, TenantId, Timestamp};
use crm_storage::{
    ChangeRow, Commit, CustomerWrite, Expected, Lane, PostgresOptions, PostgresStore, StateRow, Store, Version,
};
use postgres_server::{block_on, connect, server};
use tokio_postgres::Client;
use uuid::Uuid;

const LANES: u16 = 1024;
/// Customers who lie in nearly half of the lanes.
const MANY: u64 = 600;

fn customer(writer: u64, number: u64) -> CustomerId {
    CustomerId::from_uuid(Uuid::from_u64_pair(writer, number))
}

fn lane(customer: CustomerId) -> Lane {
    Lane::of_customer(&TenantId::default(), customer, LANES)
}

/// A customer's next version with so many changes.
fn commit(customer: CustomerId, version: u64, changes: usize) -> Commit {
    let expected = if version == 0 { Expected::New } else { Expected::At(Version(version)) };
    let mut write = CustomerWrite::new(customer, expected, StateRow { shape: 1, bytes: vec![1] });
    write.changes = vec![ChangeRow { at: Timestamp::MIN, kind: "moved".into(), body: Vec::new() }; changes];
    Commit { writes: vec![write], ..Commit::default() }
}

async fn done(store: &PostgresStore, commits: Vec<Commit>) {
    let answers = store.commit(&TenantId::default(), commits).await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

/// The first customers of a writer whose lanes are others.
fn apart_from(writer: u64, lanes: &BTreeSet<Lane>) -> impl Iterator<Item = CustomerId> {
    (0..).map(move |number| customer(writer, number)).filter(|customer| !lanes.contains(&lane(*customer)))
}

/// How many entries there are. Panics if a lane has a gap.
async fn entries(client: &Client) -> i64 {
    let text = "SELECT coalesce(sum(ends), 0)::bigint, coalesce(bool_and(ends = entries AND starts = 1), true) FROM \
        (SELECT max(position) AS ends, min(position) AS starts, count(*) AS entries FROM crm.entry GROUP BY lane) AS l";
    let row = client.query_one(text, &[]).await.unwrap();
    assert!(row.get::<_, bool>(1), "a lane has a gap");
    row.get(0)
}

/// Waits until the server says so.
async fn until(client: &Client, condition: &str) {
    for _ in 0..20_000 {
        if client.query_one(&format!("SELECT {condition}"), &[]).await.unwrap().get::<_, bool>(0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came to be: {condition}");
}

const WAITS_FOR_A_LANE: &str = "EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";
#[test]
fn a_large_batch_waits_for_who_shares_a_lane_and_others_do_not_wait_behind_it() {
    let Some(server) = server() else { return };
    let url = server.url(&server.database());
    block_on(async {
        let store = Arc::new(PostgresStore::connect(&url, &PostgresOptions::default()).await.unwrap());
        let (mut client, watcher) = (connect(&url).await, connect(&url).await);
        let theirs = customer(1, 0);
        let shared = BTreeSet::from([lane(theirs)]);
        done(&store, vec![commit(theirs, 0, 1)]).await;
        // The shop's transaction wrote and holds the lane.
        let transaction = client.transaction().await.unwrap();
        let answers = store.within(&transaction).commit(&TenantId::default(), &[commit(theirs, 1, 2)]).await.unwrap();
        assert!(answers[0].is_ok());
        let others: Vec<CustomerId> = apart_from(2, &shared).take(MANY as usize).collect();
        done(&store, others.iter().map(|other| commit(*other, 0, 1)).collect()).await;
        // And with one customer in the lane that is held.
        let neighbour = (0..).map(|number| customer(3, number)).find(|one| shared.contains(&lane(*one))).unwrap();
        let mut waits: Vec<Commit> = others.iter().map(|other| commit(*other, 1, 1)).collect();
        waits.push(commit(neighbour, 0, 1));
        let held: BTreeSet<Lane> = others.iter().map(|other| lane(*other)).chain(shared.iter().copied()).collect();
        let large = {
            let store = Arc::clone(&store);
            tokio::spawn(async move { done(&store, waits).await })
        };
        until(&watcher, WAITS_FOR_A_LANE).await;
        for stranger in apart_from(4, &held).take(3) {
            done(&store, vec![commit(stranger, 0, 1)]).await;
        }
        transaction.commit().await.unwrap();
        large.await.unwrap();
        assert_eq!(entries(&watcher).await, 1 + 2 + 2 * MANY as i64 + 1 + 3);
    });
}

#[test]
fn large_and_small_batches_at_once_leave_no_gap_and_no_circle() {
    let Some(server) = server() else { return };
    let database = server.database();
    let url = server.url(&database);
    let soak = std::env::var_os("CRM_SOAK").is_some_and(|value| value == "1");
    let rounds: u64 = if soak { 50 } else { 5 };
    block_on(async {
        // Two processes, neither of which knows what the other wrote.
        let options = PostgresOptions::default().connections(4);
        let mut stores = Vec::new();
        for prepared in [true, false] {
            let options = options.clone().prepared(prepared);
            stores.push(Arc::new(PostgresStore::connect(&url, &options).await.unwrap()));
        }
        let writers = (0..8_u64).map(|writer| {
            let store = Arc::clone(&stores[writer as usize % 2]);
            tokio::spawn(async move {
                // Large, with one entry for each customer and with three; of some lanes; of one.
                let (size, changes) = [(MANY, 1), (MANY, 3), (20, 1), (1, 2)][writer as usize / 2];
                let times = MANY / size.max(20);
                for round in 0..rounds {
                    for time in 0..times {
                        let version = if size == MANY { round } else { round * times + time };
                        let commits = (0..size).map(|number| commit(customer(writer, number), version, changes));
                        done(&store, commits.collect()).await;
                    }
                }
                rounds * times * size * changes as u64
            })
        });
        let mut expected = 0;
        for writer in writers.collect::<Vec<_>>() {
            expected += writer.await.unwrap();
        }
        drop(stores);
        let client = connect(&url).await;
        until(&client, "NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name = 'crm' AND datname = current_database())").await;
        assert_eq!(entries(&client).await, expected as i64);
        let text = "SELECT deadlocks FROM pg_stat_database WHERE datname = $1";
        assert_eq!(client.query_one(text, &[&database]).await.unwrap().get::<_, i64>(0), 0);
    });
}

/// What a process remembers of where lanes end is no more than where it begins to look.
#[test]
fn lanes_go_on_where_they_end_though_the_server_lost_what_it_had_committed() {
    let Some(server) = server() else { return };
    for lanes in [1, LANES] {
        let url = server.url(&server.database());
        block_on(async {
            let options = PostgresOptions::default().lanes(lanes);
            let store = PostgresStore::connect(&url, &options).await.unwrap();
            let client = connect(&url).await;
            for number in 0..40 {
                done(&store, vec![commit(customer(1, number), 0, 3)]).await;
            }
            for round in 0..3 {
                let lost = "DELETE FROM crm.entry e USING (SELECT lane, max(position) AS end FROM crm.entry GROUP BY lane) l \
                    WHERE e.lane = l.lane AND e.position >= l.end - 1";
                client.batch_execute(lost).await.unwrap();
                // One by one, several at a time, and many entries for each.
                match round {
                    0 => {
                        for number in 0..40 {
                            done(&store, vec![commit(customer(1, number), 1, 1)]).await;
                        }
                    }
                    1 => done(&store, (0..40).map(|number| commit(customer(1, number), 2, 1)).collect()).await,
                    _ => done(&store, (0..40).map(|number| commit(customer(1, number), 3, 4)).collect()).await,
                }
                entries(&client).await;
            }
        });
    }
}

/// Of one lane more entries than it is asked about, by a process that knows, one that does not, and the one again.
#[test]
fn lanes_go_on_where_another_process_left_them() {
    let Some(server) = server() else { return };
    let url = server.url(&server.database());
    block_on(async {
        let options = PostgresOptions::default();
        let first = PostgresStore::connect(&url, &options).await.unwrap();
        let second = PostgresStore::connect(&url, &options).await.unwrap();
        let mut version = 0;
        for (store, times, changes) in
            [(&first, 70, 1), (&second, 3, 100), (&first, 2, 1), (&second, 70, 1), (&first, 1, 200)]
        {
            for _ in 0..times {
                done(store, vec![commit(customer(1, 0), version, changes)]).await;
                version += 1;
            }
        }
        assert_eq!(entries(&connect(&url).await).await, 70 + 300 + 2 + 70 + 200);
    });
}
