//! The schema of the PostgreSQL store: how it is made, what is refused, and the rules that let it be spread
//! over machines.
#![cfg(feature = "postgres")]

mod postgres_server;

use crm_core::{Column, CustomerId, TenantId, Timestamp};
use crm_storage::{CustomerWrite, Expected, PostgresOptions, PostgresStore, StateRow, StorageError, Store, Traits};
use postgres_server::{Server, block_on, connect, server};

fn options() -> PostgresOptions {
    PostgresOptions::default().lanes(16).connections(2)
}

fn reason(opened: Result<PostgresStore, StorageError>) -> String {
    match opened {
        Err(StorageError::Open { reason, .. }) => reason,
        other => unreachable!("it should have been refused: {other:?}"),
    }
}

/// All that the catalogue and the history say about a schema.
async fn snapshot(url: &str) -> Vec<String> {
    let client = connect(url).await;
    let text = "SELECT concat(relname, ' ', relkind, ' ', relnatts) FROM pg_class WHERE relnamespace = 'crm'::regnamespace \
        UNION ALL SELECT concat(step, ' ', name, ' ', checksum) FROM crm.migration ORDER BY 1";
    client.query(text, &[]).await.expect("the catalogue").iter().map(|row| row.get(0)).collect()
}

/// A customer who has a number and is in no set.
async fn writes(store: &PostgresStore) {
    let state = StateRow { shape: 1, bytes: vec![1] };
    let customer = CustomerId::new(Timestamp::MIN, [7; 10]);
    let mut write = CustomerWrite::new(customer, Expected::New, state);
    write.traits = Traits::NONE;
    write.traits.columns.set(Column::Orders, Some(3));
    let commit = crm_storage::Commit { writes: vec![write], ..crm_storage::Commit::default() };
    let answers = store.commit(&TenantId::default(), vec![commit]).await.expect("the store commits");
    assert!(answers[0].is_ok());
}

fn with_server(test: impl AsyncFnOnce(&'static Server, String)) {
    let Some(server) = server() else { return };
    let database = server.database();
    let url = server.url(&database);
    block_on(test(server, url));
}

#[test]
fn every_key_begins_with_the_lane_and_every_table_carries_the_tenant() {
    with_server(async |_, url| {
        let every = options().indexed(&Column::ALL).index_sets(true).index_scores(true).row_security(true);
        drop(PostgresStore::connect(&url, &every).await.expect("the schema is made"));
        let client = connect(&url).await;
        let names = async |text: &str| -> Vec<String> {
            client.query(text, &[]).await.expect("the catalogue").iter().map(|row| row.get(0)).collect()
        };
        let tables = "FROM pg_class c WHERE c.relnamespace = 'crm'::regnamespace AND c.relkind = 'r'";
        let without = |column: &str| {
            format!(
                "SELECT c.relname::text {tables} AND NOT EXISTS (SELECT 1 FROM pg_attribute a \
                 WHERE a.attrelid = c.oid AND a.attname = '{column}' AND NOT a.attisdropped) ORDER BY 1"
            )
        };
        assert_eq!(names(&without("tenant")).await, ["consumer", "lane_head", "migration"]);
        assert_eq!(names(&without("lane")).await, ["migration"]);
        let keys = "SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid \
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
            WHERE c.relnamespace = 'crm'::regnamespace AND c.relkind = 'r' AND (i.indisunique OR i.indisprimary) \
            AND a.attname <> 'lane' AND c.relname <> 'migration'";
        assert!(names(keys).await.is_empty());
        let none = [
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'crm'::regnamespace AND relkind = 'S'",
            "SELECT conname::text FROM pg_constraint WHERE connamespace = 'crm'::regnamespace AND contype IN ('f', 'x', 't')",
            "SELECT tgname::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid \
             WHERE c.relnamespace = 'crm'::regnamespace",
            "SELECT a.attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
             WHERE c.relnamespace = 'crm'::regnamespace AND (a.attidentity <> '' OR a.atthasdef)",
            "SELECT proname::text FROM pg_proc WHERE pronamespace = 'crm'::regnamespace",
        ];
        for text in none {
            assert!(names(text).await.is_empty(), "{text}");
        }
        let unguarded = format!("SELECT c.relname::text {tables} AND NOT c.relforcerowsecurity ORDER BY 1");
        assert_eq!(names(&unguarded).await, ["consumer", "lane_head", "migration"]);
    });
}

#[test]
fn a_plan_says_what_opening_does_and_touches_nothing() {
    with_server(async |_, url| {
        let planned = PostgresStore::plan(&url, &options()).await.expect("a plan");
        assert_eq!(planned.iter().map(|step| step.number).collect::<Vec<_>>()[..7], [0, 1, 2, 3, 4, 5, 10_000]);
        assert_eq!(planned.len(), 6 + Column::ALL.len());
        let refusal = reason(PostgresStore::connect(&url, &options().migrate(false)).await);
        assert!(refusal.contains("not up to date"), "{refusal}");
        let again = PostgresStore::plan(&url, &options()).await.expect("a plan");
        assert_eq!(again, planned, "nothing was done");
        drop(PostgresStore::connect(&url, &options()).await.expect("the schema is made"));
        assert!(PostgresStore::plan(&url, &options()).await.expect("a plan").is_empty());
        let store = PostgresStore::connect(&url, &options().migrate(false)).await.expect("it is up to date");
        writes(&store).await;
        let indexed = options().indexed(&[Column::Spend]);
        let planned = PostgresStore::plan(&url, &indexed).await.expect("a plan");
        assert_eq!(planned.len(), 1);
        assert!(planned[0].to_string().contains("CREATE INDEX customer_by_spend"), "{}", planned[0]);
    });
}

#[test]
fn a_host_can_run_the_schema_itself() {
    with_server(async |_, url| {
        let sql = PostgresStore::schema_sql(&options()).expect("the schema");
        connect(&url).await.batch_execute(&sql).await.expect("the schema runs");
        let store = PostgresStore::connect(&url, &options().migrate(false)).await.expect("it is up to date");
        writes(&store).await;
    });
}

#[test]
fn a_newer_schema_is_refused_and_left_as_it_is() {
    with_server(async |_, url| {
        drop(PostgresStore::connect(&url, &options()).await.expect("the schema is made"));
        let client = connect(&url).await;
        let newer = "INSERT INTO crm.migration VALUES (10099, 'column altitude', 'x'); \
            DELETE FROM crm.migration WHERE step = 10003; ALTER TABLE crm.customer DROP COLUMN first_order";
        client.batch_execute(newer).await.expect("a newer schema");
        let before = snapshot(&url).await;
        let refusal = reason(PostgresStore::connect(&url, &options()).await);
        assert!(refusal.contains("10099") && refusal.contains("newer"), "{refusal}");
        assert_eq!(snapshot(&url).await, before);
    });
}

#[test]
fn an_altered_step_is_refused() {
    with_server(async |_, url| {
        drop(PostgresStore::connect(&url, &options()).await.expect("the schema is made"));
        let client = connect(&url).await;
        client.batch_execute("UPDATE crm.migration SET checksum = 'x' WHERE step = 1").await.expect("it is altered");
        let refusal = reason(PostgresStore::connect(&url, &options()).await);
        assert!(refusal.contains("step 1 (rows)"), "{refusal}");
    });
}

/// Takes a schema back to what its first step made, with the heads as they would have been.
async fn take_back(client: &tokio_postgres::Client) {
    let back = "DELETE FROM crm.migration WHERE step IN (2, 3); \
        ALTER TABLE crm.lane_head ADD COLUMN position bigint NOT NULL DEFAULT 0, SET (fillfactor = 10); \
        UPDATE crm.lane_head h SET position = ends.position \
        FROM (SELECT lane, max(position) AS position FROM crm.entry GROUP BY lane) AS ends WHERE ends.lane = h.lane";
    client.batch_execute(back).await.expect("as it was");
}

/// The next commit of one of forty customers, with two changes, so that lanes end at different positions.
fn changes(number: u8, version: u64) -> crm_storage::Commit {
    let customer = CustomerId::new(Timestamp::MIN, [number; 10]);
    let expected = if version == 0 { Expected::New } else { Expected::At(crm_storage::Version(version)) };
    let mut write = CustomerWrite::new(customer, expected, StateRow { shape: 1, bytes: vec![1] });
    for _ in 0..2 {
        let change = crm_storage::ChangeRow { at: Timestamp::MIN, kind: "moved".into(), body: Vec::new() };
        write.changes.push(change);
    }
    crm_storage::Commit { writes: vec![write], ..crm_storage::Commit::default() }
}

/// The positions of each lane.
async fn positions(store: &PostgresStore) -> Vec<Vec<u64>> {
    let mut lanes = Vec::new();
    for lane in 0..16 {
        let rows = store.feed(crm_storage::Lane(lane), 0, usize::MAX).await.expect("the feed");
        lanes.push(rows.iter().map(|row| row.position).collect());
    }
    lanes
}

#[test]
fn a_schema_of_the_first_step_is_brought_forward_and_goes_on_where_its_lanes_ended() {
    with_server(async |_, url| {
        for walled in [false, true] {
            let options = options().row_security(walled);
            let tenant = TenantId::new(format!("walled {walled}")).expect("a tenant");
            let store = PostgresStore::connect(&url, &options).await.expect("the schema is made");
            let first = (0..40).map(|number| changes(number, 0)).collect();
            assert!(store.commit(&tenant, first).await.expect("it commits").iter().all(Result::is_ok));
            let before = positions(&store).await;
            drop(store);
            let client = connect(&url).await;
            take_back(&client).await;
            let planned = PostgresStore::plan(&url, &options).await.expect("a plan");
            assert_eq!(planned.iter().map(|step| step.number).collect::<Vec<_>>(), [2, 3]);
            let store = PostgresStore::connect(&url, &options).await.expect("it is brought forward");
            assert_eq!(positions(&store).await, before);
            let text = "SELECT reloptions::text FROM pg_class WHERE oid = 'crm.entry'::regclass";
            let set: String = client.query_one(text, &[]).await.expect("the catalogue").get(0);
            assert_eq!(set, "{autovacuum_analyze_threshold=1000}");
            // Several lanes at once, and one.
            let second = (0..30).map(|number| changes(number, 1)).collect();
            assert!(store.commit(&tenant, second).await.expect("it commits").iter().all(Result::is_ok));
            for number in 30..40 {
                assert!(store.commit(&tenant, vec![changes(number, 1)]).await.expect("it commits")[0].is_ok());
            }
            let after = positions(&store).await;
            for (lane, (before, after)) in before.iter().zip(&after).enumerate() {
                assert!(after.starts_with(before), "{lane}: {before:?}, then {after:?}");
                assert!(after.iter().copied().eq(1..=after.len() as u64), "{lane}: {after:?}");
            }
            let entries = |lanes: &[Vec<u64>]| lanes.iter().map(Vec::len).sum::<usize>();
            assert_eq!(entries(&after), entries(&before) + 80);
        }
    });
}

/// Entries that somebody took away would have their positions given again.
#[test]
fn a_schema_whose_lanes_end_before_their_heads_is_left_as_it_is() {
    with_server(async |_, url| {
        let store = PostgresStore::connect(&url, &options()).await.expect("the schema is made");
        assert!(store.commit(&TenantId::default(), vec![changes(1, 0)]).await.expect("it commits")[0].is_ok());
        drop(store);
        let client = connect(&url).await;
        take_back(&client).await;
        client.batch_execute("DELETE FROM crm.entry WHERE position = 2").await.expect("an entry is taken away");
        let before = snapshot(&url).await;
        assert!(PostgresStore::connect(&url, &options()).await.is_err());
        assert_eq!(snapshot(&url).await, before);
    });
}

/// What holds a lane writes nothing that would have to reach the disk.
#[test]
fn a_lane_is_held_without_a_row_being_written() {
    with_server(async |_, url| {
        let store = PostgresStore::connect(&url, &options()).await.expect("the schema is made");
        for round in 0..5 {
            let commits = (0..20).map(|number| changes(number, round)).collect();
            assert!(store.commit(&TenantId::default(), commits).await.expect("it commits").iter().all(Result::is_ok));
            assert!(store.commit(&TenantId::default(), vec![changes(20, round)]).await.expect("it commits")[0].is_ok());
        }
        drop(store);
        let text = "SELECT count(*) FROM crm.lane_head WHERE xmax <> 0";
        assert_eq!(connect(&url).await.query_one(text, &[]).await.expect("the heads").get::<_, i64>(0), 0);
    });
}

#[test]
fn the_number_of_lanes_is_fixed_when_the_schema_is_made() {
    with_server(async |_, url| {
        drop(PostgresStore::connect(&url, &options()).await.expect("the schema is made"));
        let refusal = reason(PostgresStore::connect(&url, &options().lanes(32)).await);
        assert!(refusal.contains("16 lanes") && refusal.contains("32"), "{refusal}");
        let found = PostgresStore::connect(&url, &PostgresOptions::default()).await.expect("what is there holds");
        assert_eq!(found.capabilities().lanes, 16);
        let other = options().schema("other").lanes(1);
        let other = PostgresStore::connect(&url, &other).await.expect("a schema beside it");
        assert_eq!(other.capabilities().lanes, 1);
        writes(&other).await;
        assert_eq!(
            found.load(&TenantId::default(), &[CustomerId::new(Timestamp::MIN, [7; 10])]).await.unwrap().rows,
            [None]
        );
    });
}

#[test]
fn two_who_open_at_once_make_one_schema() {
    with_server(async |_, url| {
        let opening = (0..6).map(|_| {
            let url = url.clone();
            tokio::spawn(async move { PostgresStore::connect(&url, &options()).await.map(drop) })
        });
        for opened in opening.collect::<Vec<_>>() {
            opened.await.expect("no task panics").expect("the schema is made or found");
        }
        assert_eq!(snapshot(&url).await.iter().filter(|line| line.starts_with("1 rows")).count(), 1);
    });
}

#[test]
fn a_role_that_owns_its_schema_needs_nothing_else() {
    with_server(async |server, url| {
        let Some(_) = server.folder() else { return };
        let name = url.split('?').next().and_then(|url| url.rsplit('/').next()).unwrap_or_default().to_owned();
        let client = connect(&url).await;
        let role = format!("{name}_shop");
        let text = format!("CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB; CREATE SCHEMA crm AUTHORIZATION {role}");
        client.batch_execute(&text).await.expect("a role");
        for wall in [false, true] {
            let store = PostgresStore::connect(&server.url_as(&role, &name), &options().row_security(wall)).await;
            let store = store.expect("the role opens its schema");
            let tenant = TenantId::new(format!("wall {wall}")).unwrap();
            let commit = crm_storage::Commit {
                writes: vec![CustomerWrite::new(
                    CustomerId::new(Timestamp::MIN, [1; 10]),
                    Expected::New,
                    StateRow { shape: 1, bytes: Vec::new() },
                )],
                ..crm_storage::Commit::default()
            };
            assert!(store.commit(&tenant, vec![commit]).await.unwrap()[0].is_ok());
            assert_eq!(store.count(&tenant, &crm_storage::Selection::EVERYBODY).await.unwrap(), 1);
        }
        // Behind the wall a statement that forgets the tenant finds nothing.
        let client = connect(&server.url_as(&role, &name)).await;
        assert!(client.query("SELECT 1 FROM crm.customer", &[]).await.is_err(), "no tenant was named");
        let text = "BEGIN; SELECT set_config('crm.tenant', '7', true)";
        client.batch_execute(text).await.unwrap();
        assert!(client.query("SELECT 1 FROM crm.customer", &[]).await.unwrap().is_empty());
        let forged = "INSERT INTO crm.counter (lane, tenant, name, value) VALUES (0, 8, 'x', 1)";
        assert!(client.batch_execute(forged).await.is_err(), "another tenant's row");
    });
}
