//! What a selection reads of a large base on PostgreSQL, by the server's own counts, after the server has looked at
//! its tables; what a commit reads of the entries before it has; and writers who take many lanes at once.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]

mod postgres_server;

use std::time::Duration;

use crm_core::expression::Comparison;
use crm_core::{Column, CustomerId, EventId, SetKey, SetKind, TenantId, Timestamp};
use crm_storage::{
    Commit, CustomerWrite, Dialect, Entries, EventRow, Expected, PostgresOptions, PostgresStore, Selection, StateRow,
    Store, Token, Version,
};
use postgres_server::{block_on, connect, server};
use tokio_postgres::Client;

const CUSTOMERS: i64 = 120_000;
/// Far fewer than there are customers, and more than any of the selections needs.
const FEW: i64 = 3_000;

/// Every second customer has the first token, one in 5,000 the second, and one in 4,000 is in the set; each has a
/// score of 0, and one in 3,000 a newer one of 0.9.
const FILL: &str = "
    INSERT INTO crm.customer (lane, tenant, id, version, shape, state, sets, orders)
        SELECT i % 1024, t.tenant, md5(i::text)::uuid, 1, 1, '\\x01'::bytea,
            CASE WHEN i % 4000 = 0 THEN '{tag:everyday,tag:rare}'::text[] ELSE '{tag:everyday}' END, i % 7
        FROM generate_series(1, 120000) i, crm.tenant t;
    INSERT INTO crm.token (lane, tenant, customer, token)
        SELECT i % 1024, t.tenant, md5(i::text)::uuid, md5('own' || i)::uuid
            FROM generate_series(1, 120000) i, crm.tenant t
        UNION ALL SELECT i % 1024, t.tenant, md5(i::text)::uuid, '01010101-0101-0101-0101-010101010101'::uuid
            FROM generate_series(2, 120000, 2) i, crm.tenant t
        UNION ALL SELECT i % 1024, t.tenant, md5(i::text)::uuid, '02020202-0202-0202-0202-020202020202'::uuid
            FROM generate_series(5000, 120000, 5000) i, crm.tenant t;
    INSERT INTO crm.score (lane, tenant, customer, plugin, output, at, value, version, digest, input, inputs, terms)
        SELECT i % 1024, t.tenant, md5(i::text)::uuid, 'churn'::bytea, 'risk'::bytea, 1, 0, '1'::bytea, '\\x01'::bytea, '\\x01'::bytea, ''::bytea, ''::bytea
            FROM generate_series(1, 120000) i, crm.tenant t
        UNION ALL SELECT i % 1024, t.tenant, md5(i::text)::uuid, 'churn'::bytea, 'risk'::bytea, 2, 0.9, '1'::bytea, '\\x01'::bytea, '\\x01'::bytea, ''::bytea, ''::bytea
            FROM generate_series(3000, 120000, 3000) i, crm.tenant t;";

/// How often a table was read from one end to the other, and how many rows or entries of its indexes.
async fn reads(client: &Client, table: &str) -> (i64, i64) {
    // A connection tells what it did before it ends.
    let busy = "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name = 'crm' AND datname = current_database())";
    while client.query_one(busy, &[]).await.unwrap().get(0) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let text = "SELECT seq_scan, (seq_tup_read + coalesce(idx_tup_fetch, 0) + (SELECT sum(idx_tup_read) \
        FROM pg_stat_user_indexes i WHERE i.relid = t.relid))::bigint FROM pg_stat_user_tables t \
        WHERE schemaname = 'crm' AND relname = $1";
    let row = client.query_one(text, &[&table]).await.unwrap();
    (row.get(0), row.get(1))
}

#[test]
fn what_few_customers_have_finds_them_without_reading_the_others() {
    let Some(server) = server() else { return };
    let url = server.url(&server.database());
    let tenant = TenantId::default();
    let options = PostgresOptions::default().index_sets(true).index_scores(true).connections(1);
    block_on(async {
        let store = PostgresStore::connect(&url, &options).await.unwrap();
        store.define(&tenant, 0, b"{}".to_vec()).await.unwrap();
        drop(store);
        let client = connect(&url).await;
        client.batch_execute(FILL).await.unwrap();
        client.batch_execute("VACUUM ANALYZE").await.unwrap();
        let found = |byte| Selection::Found(Token([byte; 16]));
        let tagged = |name| Selection::In(SetKey::new(SetKind::Tag, name).unwrap());
        let orders = || Selection::Compare(Column::Orders, Comparison::Ge, 0);
        let scored = |is, value| Selection::Score { plugin: "churn".into(), output: "risk".into(), is, value };
        let of_token = (CUSTOMERS / 5_000) as u64;
        let of_set = (CUSTOMERS / 4_000) as u64;
        let of_score = (CUSTOMERS / 3_000) as u64;
        let selections = [
            (found(2), of_token),
            (Selection::All(vec![found(1), found(2)]), of_token),
            (Selection::All(vec![found(2), found(1), orders()]), of_token),
            (Selection::All(vec![found(1), Selection::All(vec![found(2)]), found(3)]), 0),
            (tagged("rare"), of_set),
            (Selection::All(vec![orders(), tagged("everyday"), tagged("rare")]), of_set),
            (scored(Comparison::Gt, 0.5), of_score),
            (Selection::All(vec![tagged("everyday"), scored(Comparison::Ge, 0.9)]), of_score),
            (Selection::All(vec![found(1), scored(Comparison::Eq, 0.9)]), of_score),
        ];
        for (selection, expected) in &selections {
            for paged in [false, true] {
                let store = PostgresStore::connect(&url, &options).await.unwrap();
                let (scans, rows) = reads_of(&client, "customer", store, async |store| {
                    let count = if paged {
                        store.select(&tenant, selection, None, 500).await.unwrap().len() as u64
                    } else {
                        store.count(&tenant, selection).await.unwrap()
                    };
                    assert_eq!(count, *expected, "{selection:?}");
                })
                .await;
                assert_eq!(scans, 0, "a page {paged}: {selection:?}");
                assert!(rows < FEW, "a page {paged}: {rows} rows and entries for {selection:?}");
            }
        }
        // What the counts say of a selection that does read everybody.
        let store = PostgresStore::connect(&url, &options).await.unwrap();
        let everybody = async |store: &PostgresStore| {
            assert_eq!(store.count(&tenant, &orders()).await.unwrap(), CUSTOMERS as u64);
        };
        let (_, rows) = reads_of(&client, "customer", store, everybody).await;
        assert!(rows >= CUSTOMERS, "{rows} rows");
    });
}

/// What some work reads of a table.
async fn reads_of(
    client: &Client,
    table: &str,
    store: PostgresStore,
    work: impl AsyncFnOnce(&PostgresStore),
) -> (i64, i64) {
    let reset = "SELECT pg_stat_reset_single_table_counters(c.oid) FROM pg_class c, pg_class t \
        WHERE t.relnamespace = 'crm'::regnamespace AND t.relname = $1 AND (c.oid = t.oid \
        OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = t.oid))";
    client.query(reset, &[&table]).await.unwrap();
    work(&store).await;
    drop(store);
    reads(client, table).await
}

/// A statement that was planned before the server had counted the entries would read all of the tenant's, and behind row
/// security compare each with each event: with 10,000 of both it takes longer than the server is given.
#[test]
fn events_that_may_be_known_are_looked_for_one_by_one_before_the_server_has_counted_any() {
    const EVENTS: u64 = 3_000;
    let Some(server) = server() else { return };
    let plain = PostgresOptions::default().connections(1);
    for options in [plain.clone(), plain.clone().dialect(Dialect::Sharded), plain.row_security(true)] {
        let database = server.database();
        let url = server.url_as(&server.role(&database), &database);
        block_on(async {
            let store = PostgresStore::connect(&url, &options).await.unwrap();
            let commits = vec![with_events(0, 0, EVENTS), with_events(1, 0, 1)];
            assert!(store.commit(&TenantId::default(), commits).await.unwrap().iter().all(Result::is_ok));
            let client = connect(&server.url(&database)).await;
            // The connection that planned it while the table was empty.
            let (_, rows) = reads_of(&client, "entry", store, async |store| {
                let again = with_events(1, 1, 10);
                assert!(store.commit(&TenantId::default(), vec![again]).await.unwrap()[0].is_err());
            })
            .await;
            assert!(rows < EVENTS as i64 / 10, "{rows} rows and entries: {options:?}");
        });
    }
}

/// A page that was planned then would compare each entry of the lane with each of its own.
#[test]
fn a_page_of_a_history_is_read_alone_before_the_server_has_counted_any_entry() {
    const EVENTS: u64 = 3_000;
    let Some(server) = server() else { return };
    let tenant = TenantId::default();
    let plain = PostgresOptions::default().lanes(1).connections(1);
    for options in [plain.clone(), plain.clone().dialect(Dialect::Sharded), plain.row_security(true)] {
        let database = server.database();
        let url = server.url_as(&server.role(&database), &database);
        block_on(async {
            let store = PostgresStore::connect(&url, &options).await.unwrap();
            let few = with_events(1, 0, 10);
            let whose = few.writes[0].customer;
            assert!(store.commit(&tenant, vec![few]).await.unwrap()[0].is_ok());
            let kinds = [Entries::All, Entries::Events, Entries::Changes];
            for entries in kinds {
                store.history(&tenant, whose, entries, None, 9).await.unwrap();
            }
            let commits = vec![with_events(0, 0, EVENTS)];
            assert!(store.commit(&tenant, commits).await.unwrap()[0].is_ok());
            let client = connect(&server.url(&database)).await;
            let (_, rows) = reads_of(&client, "entry", store, async |store| {
                for (entries, expected) in kinds.into_iter().zip([9, 9, 0]) {
                    let page = store.history(&tenant, whose, entries, None, 9).await.unwrap();
                    assert_eq!(page.rows.len(), expected, "{entries:?}");
                }
            })
            .await;
            assert!(rows < EVENTS as i64 / 10, "{rows} rows and entries: {options:?}");
        });
    }
}

/// A customer's next version with so many events, which begin with the same one.
fn with_events(customer: u8, version: u64, count: u64) -> Commit {
    let events = (0..count).map(|number| EventRow {
        id: EventId::from_uuid(uuid::Uuid::from_u64_pair(1, number)),
        at: Timestamp::MIN,
        recorded_at: Timestamp::MIN,
        kind: "order_placed".into(),
        shape: 1,
        source: None,
        cause: None,
        body: b"{}".to_vec(),
    });
    let mut commit = commit(0, customer, version);
    commit.writes[0].changes.clear();
    commit.writes[0].events.extend(events);
    commit
}

/// Two who took the heads of the same lanes in different orders would wait for each other until the server ends
/// one of them, which the store would hide by trying again.
#[test]
fn writers_of_many_lanes_never_wait_in_a_circle() {
    let Some(server) = server() else { return };
    for lanes in [8, 1024] {
        let database = server.database();
        let url = server.url(&database);
        block_on(async {
            let options = PostgresOptions::default().lanes(lanes).connections(8);
            let store = std::sync::Arc::new(PostgresStore::connect(&url, &options).await.unwrap());
            let writers = (0..8_u8).map(|writer| {
                let store = std::sync::Arc::clone(&store);
                tokio::spawn(async move {
                    for round in 0..25 {
                        let commits = (0..100).map(|number| commit(writer, number, round)).collect();
                        let answers = store.commit(&TenantId::default(), commits).await.unwrap();
                        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
                    }
                })
            });
            for writer in writers.collect::<Vec<_>>() {
                writer.await.unwrap();
            }
            drop(store);
            let client = connect(&url).await;
            let busy = "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name = 'crm' AND datname = current_database())";
            while client.query_one(busy, &[]).await.unwrap().get(0) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let text = "SELECT deadlocks, (SELECT sum(ends)::bigint FROM \
                (SELECT max(position) AS ends FROM crm.entry GROUP BY lane) AS lanes) FROM pg_stat_database \
                WHERE datname = $1";
            let row = client.query_one(text, &[&database]).await.unwrap();
            assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (0, 8 * 25 * 100), "{lanes} lanes");
        });
    }
}

/// A commit of a writer's customer with one change, who differ from those of other writers and share their lanes.
fn commit(writer: u8, number: u8, round: u64) -> Commit {
    let customer = CustomerId::new(Timestamp::MIN, [writer, number, 0, 0, 0, 0, 0, 0, 0, 0]);
    let expected = if round == 0 { Expected::New } else { Expected::At(Version(round)) };
    let mut write = CustomerWrite::new(customer, expected, StateRow { shape: 1, bytes: vec![1] });
    write.changes.push(crm_storage::ChangeRow { at: Timestamp::MIN, kind: "moved".into(), body: Vec::new() });
    Commit { writes: vec![write], ..Commit::default() }
}
