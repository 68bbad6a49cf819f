//! The PostgreSQL store when other writers pause, connections break, time runs out, and futures are dropped.
#![cfg(feature = "postgres")]

mod postgres_server;

use std::sync::Arc;
use std::time::Duration;

use crm_core::{CustomerId, EventId, SmolStr, TenantId, Timestamp};
use crm_storage::{
    Commit, CommitError, Committed, CustomerWrite, Dialect, EventRow, Expected, Lane, PostgresOptions, PostgresStore,
    StateRow, StorageError, Store, Version,
};
use postgres_server::{block_on, connect, server};
use uuid::Uuid;

/// What is waited for in vain. What nobody is in the way of takes less, also on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(2);

fn options() -> PostgresOptions {
    PostgresOptions::default().lanes(4).connections(8)
}

fn customer(number: u128) -> CustomerId {
    CustomerId::from_uuid(Uuid::from_u128(number))
}

/// A write of one event.
fn write(number: u128, version: u64) -> Commit {
    let expected = if version == 0 { Expected::New } else { Expected::At(Version(version)) };
    let mut write = CustomerWrite::new(customer(number), expected, StateRow { shape: 1, bytes: vec![1; 64] });
    write.events.push(EventRow {
        id: EventId::from_uuid(Uuid::from_u128((number << 64) + u128::from(version))),
        at: Timestamp::MIN,
        recorded_at: Timestamp::MIN,
        kind: SmolStr::new_static("order"),
        shape: 1,
        source: None,
        cause: None,
        body: b"{}".to_vec(),
    });
    Commit { writes: vec![write], ..Commit::default() }
}

fn tenant() -> TenantId {
    TenantId::default()
}

fn both(test: impl AsyncFn(String, PostgresOptions)) {
    let Some(server) = server() else { return };
    for dialect in [Dialect::Plain, Dialect::Sharded] {
        let url = server.url(&server.database());
        block_on(test(url, options().dialect(dialect)));
    }
}

async fn open(url: &str, options: &PostgresOptions) -> Arc<PostgresStore> {
    Arc::new(PostgresStore::connect(url, options).await.expect("the schema opens"))
}

async fn positions(store: &PostgresStore, lane: Lane) -> Vec<u64> {
    store.feed(lane, 0, usize::MAX).await.expect("the feed").iter().map(|row| row.position).collect()
}

/// A writer has its position and has not committed. Whoever comes after it in the lane waits, so that no reader
/// sees a later entry before the earlier one.
#[test]
fn a_reader_never_passes_a_writer_who_pauses() {
    both(async |url, options| {
        let store = open(&url, &options).await;
        let lane = Lane::of_customer(&tenant(), customer(1), 4);
        let neighbour = (2..).find(|&other| Lane::of_customer(&tenant(), customer(other), 4) == lane).unwrap_or(2);
        let stranger = (2..).find(|&other| Lane::of_customer(&tenant(), customer(other), 4) != lane).unwrap_or(2);
        store.commit(&tenant(), vec![write(1, 0)]).await.expect("it commits");
        // What the store's own statement does, stopped before the commit.
        let paused = connect(&url).await;
        let text = format!(
            "BEGIN; SELECT lane FROM crm.lane_head WHERE lane = {lane} FOR UPDATE; SELECT pg_advisory_xact_lock( \
             ('x' || left(encode(sha256('crm lanes of crm'), 'hex'), 8))::bit(32)::integer, {lane}); \
             INSERT INTO crm.entry (lane, position, tenant, customer, at, kind, body) \
             SELECT lane, max(position) + 1, tenant, '{id}', 0, 'paused', '' \
             FROM crm.entry WHERE lane = {lane} GROUP BY lane, tenant",
            lane = lane.0,
            id = customer(1),
        );
        paused.batch_execute(&text).await.expect("a writer pauses");
        let later = {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.commit(&tenant(), vec![write(neighbour, 0)]).await })
        };
        // A writer in another lane does not wait.
        store.commit(&tenant(), vec![write(stranger, 0)]).await.expect("it commits");
        for _ in 0..20 {
            assert_eq!(positions(&store, lane).await, [1]);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(!later.is_finished());
        paused.batch_execute("COMMIT").await.expect("it goes on");
        assert!(later.await.expect("no task panics").expect("it commits")[0].is_ok());
        assert_eq!(positions(&store, lane).await, [1, 2, 3]);
        let rows = store.feed(lane, 1, 9).await.expect("the feed");
        assert_eq!(rows.iter().map(|row| row.customer).collect::<Vec<_>>(), [customer(1), customer(neighbour)]);
    });
}

/// Writers race in one lane while a reader follows it: it sees each position once and in order.
#[test]
fn a_reader_who_follows_sees_every_entry_once() {
    both(async |url, options| {
        let store = open(&url, &options.lanes(1)).await;
        let writers: Vec<_> = (0..8)
            .map(|number| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    for version in 0..15 {
                        let answers = store.commit(&tenant(), vec![write(number, version)]).await.expect("it commits");
                        assert!(answers[0].is_ok());
                    }
                })
            })
            .collect();
        let mut seen = 0;
        while seen < 120 {
            for row in store.feed(Lane(0), seen, 7).await.expect("the feed") {
                assert_eq!(row.position, seen + 1);
                seen += 1;
            }
        }
        for writer in writers {
            writer.await.expect("no writer panics");
        }
    });
}

/// Hosts may have made every transaction of a database serializable.
#[test]
fn a_serializable_database_is_written_by_many() {
    both(async |url, options| {
        let name = url.split('?').next().and_then(|url| url.rsplit('/').next()).unwrap_or_default().to_owned();
        for level in ["serializable", "repeatable read"] {
            let text = format!("ALTER DATABASE {name} SET default_transaction_isolation = '{level}'");
            connect(&url).await.batch_execute(&text).await.expect("it is set");
            let store = open(&url, &options.clone().schema(level.replace(' ', "_"))).await;
            let writers: Vec<_> = (0..8)
                .map(|number| {
                    let store = Arc::clone(&store);
                    tokio::spawn(async move {
                        let mut won = 0;
                        for version in 0..20 {
                            let batch = vec![write(100 + number, version), write(1, version)];
                            let answers = store.commit(&tenant(), batch).await.expect("it commits");
                            assert!(answers[0].is_ok());
                            let lost = matches!(answers[1], Err(CommitError::Conflict { .. }));
                            assert!(lost || answers[1].is_ok(), "{:?}", answers[1]);
                            won += u64::from(!lost);
                        }
                        won
                    })
                })
                .collect();
            let mut won = 0;
            for writer in writers {
                won += writer.await.expect("no writer panics");
            }
            let loaded = store.load(&tenant(), &[customer(1)]).await.expect("it loads");
            assert_eq!(loaded.rows[0].as_ref().map(|row| row.version), Some(Version(won)));
        }
    });
}

#[test]
fn a_statement_that_takes_too_long_fails_and_writes_nothing() {
    both(async |url, options| {
        let store = open(&url, &options.statement_timeout(PATIENCE)).await;
        let paused = connect(&url).await;
        paused.batch_execute("BEGIN; LOCK TABLE crm.customer IN EXCLUSIVE MODE").await.expect("nobody can write");
        let failure = store.commit(&tenant(), vec![write(1, 0)]).await;
        assert!(matches!(failure, Err(StorageError::Backend { .. })), "{failure:?}");
        paused.batch_execute("ROLLBACK").await.expect("they are free");
        assert_eq!(store.load(&tenant(), &[customer(1)]).await.expect("it loads").rows, [None]);
        assert!(store.commit(&tenant(), vec![write(1, 0)]).await.expect("it commits")[0].is_ok());
    });
}

#[test]
fn a_lock_that_takes_too_long_fails_and_writes_nothing() {
    both(async |url, options| {
        let store = open(&url, &options.lock_timeout(PATIENCE)).await;
        let paused = connect(&url).await;
        paused.batch_execute("BEGIN; LOCK TABLE crm.customer IN EXCLUSIVE MODE").await.expect("nobody can write");
        let failure = store.commit(&tenant(), vec![write(1, 0)]).await;
        assert!(matches!(failure, Err(StorageError::Backend { .. })), "{failure:?}");
        paused.batch_execute("ROLLBACK").await.expect("they are free");
        assert!(store.commit(&tenant(), vec![write(1, 0)]).await.expect("it commits")[0].is_ok());
    });
}

/// A connection that is ended in the middle of a commit leaves the outcome open; nothing was written here, since
/// the writer was still waiting.
#[test]
fn a_connection_that_breaks_is_replaced() {
    both(async |url, options| {
        let store = open(&url, &options.connections(1)).await;
        store.commit(&tenant(), vec![write(1, 0)]).await.expect("it commits");
        let admin = connect(&url).await;
        admin.batch_execute("BEGIN; LOCK TABLE crm.customer IN EXCLUSIVE MODE").await.expect("nobody can write");
        let waiting = {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.commit(&tenant(), vec![write(1, 1)]).await })
        };
        let waits = "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() \
            AND application_name = 'crm' AND wait_event_type = 'Lock')";
        // Not the one in a transaction, which is told the same until that ends.
        let watcher = connect(&url).await;
        while !watcher.query_one(waits, &[]).await.expect("who waits").get::<_, bool>(0) && !waiting.is_finished() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let text = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'crm'";
        admin.query(text, &[]).await.expect("it is ended");
        let failure = waiting.await.expect("no task panics");
        assert!(matches!(failure, Err(StorageError::Unknown { .. } | StorageError::Backend { .. })), "{failure:?}");
        admin.batch_execute("ROLLBACK").await.expect("they are free");
        let done = Ok(Committed::Done { versions: vec![Version(2)] });
        assert_eq!(store.commit(&tenant(), vec![write(1, 1)]).await.expect("it commits"), [done]);
        // Ended while nobody uses it.
        admin.query(text, &[]).await.expect("it is ended");
        // That it ended may take a while to be known here; whoever asks before is told that the connection broke.
        let mut loaded = store.load(&tenant(), &[customer(1)]).await;
        for _ in 0..200 {
            if loaded.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            loaded = store.load(&tenant(), &[customer(1)]).await;
        }
        let loaded = loaded.expect("it loads");
        assert_eq!(loaded.rows[0].as_ref().map(|row| row.version), Some(Version(2)));
    });
}

/// Whoever is dropped in the middle of a transaction holds nobody up, and what it did is whole or absent.
#[test]
fn a_future_can_be_dropped_anywhere() {
    both(async |url, options| {
        let store = open(&url, &options.connections(2)).await;
        let mut version = 0;
        for polls in 0..120_u64 {
            // A conflict sends the plain dialect on to the longer way as well.
            let batch = vec![write(1, version), write(1, version + 9)];
            let patience = Duration::from_micros(polls * 25);
            let _cut_short = tokio::time::timeout(patience, store.commit(&tenant(), batch)).await;
            let loaded = store.load(&tenant(), &[customer(1)]).await.expect("it loads");
            let actual = loaded.rows[0].as_ref().map_or(0, |row| row.version.0);
            assert!(actual == version || actual == version + 1 || version == 0, "{actual} after {version}");
            version = actual;
        }
        let answers = tokio::time::timeout(Duration::from_secs(60), store.commit(&tenant(), vec![write(2, 0)])).await;
        assert!(answers.expect("nobody holds a lock").expect("it commits")[0].is_ok());
        let lane = Lane::of_customer(&tenant(), customer(1), 4);
        let seen = positions(&store, lane).await;
        assert_eq!(seen, (1..=seen.len() as u64).collect::<Vec<_>>());
    });
}

/// A store may be dropped inside an asynchronous context, its own runtime with it.
#[test]
fn a_store_can_be_dropped_anywhere() {
    both(async |url, options| {
        let store = open(&url, &options).await;
        store.commit(&tenant(), vec![write(1, 0)]).await.expect("it commits");
        drop(store);
        let shared = options.runtime(tokio::runtime::Handle::current());
        let store = open(&url, &shared).await;
        store.commit(&tenant(), vec![write(1, 1)]).await.expect("it commits");
        drop(store);
    });
}
