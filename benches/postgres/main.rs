//! Commits of the PostgreSQL store beside the same rows written by hand, on one server in one run: 100,000
//! customers, each commit a new state of 256 bytes and an event of 200.
#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]
#![allow(missing_docs, reason = "a bench has no callers")]

#[path = "../../crm-storage/tests/postgres_server/mod.rs"]
mod postgres_server;

use std::time::{Duration, Instant};

use crm_core::{CustomerId, EventId, SmolStr, TenantId, Timestamp};
use crm_storage::{
    Commit, CustomerWrite, Dialect, EventRow, Expected, Lane, PostgresOptions, PostgresStore, StateRow, Store, Version,
};
use postgres_server::{Server, block_on, connect};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

const CUSTOMERS: u128 = 100_000;
const LANES: u16 = 1024;
const LONG: Duration = Duration::from_secs(4);

fn customer(number: u128) -> CustomerId {
    CustomerId::from_uuid(Uuid::from_u128(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)))
}

/// What one writer knows: where each customer stands, and which event comes next.
struct Writer {
    versions: Vec<u64>,
    next: u128,
    dice: u64,
}

impl Writer {
    fn new() -> Self {
        Writer { versions: vec![0; CUSTOMERS as usize], next: 0, dice: 1 }
    }

    /// So many different customers at random; in the order of their ids they are a batch.
    fn draw(&mut self, count: usize) -> Vec<usize> {
        let mut drawn = std::collections::BTreeSet::new();
        while drawn.len() < count {
            self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            drawn.insert((self.dice >> 33) as usize % CUSTOMERS as usize);
        }
        drawn.into_iter().collect()
    }

    fn commit(&mut self, number: usize) -> Commit {
        let version = self.versions[number];
        self.versions[number] += 1;
        self.next += 1;
        let expected = if version == 0 { Expected::New } else { Expected::At(Version(version)) };
        let state = StateRow { shape: 1, bytes: vec![7; 256] };
        let mut write = CustomerWrite::new(customer(number as u128), expected, state);
        write.events.push(EventRow {
            id: EventId::from_uuid(Uuid::from_u128(self.next << 64 | 5)),
            at: Timestamp::MIN,
            recorded_at: Timestamp::MIN,
            kind: SmolStr::new_static("order_placed"),
            shape: 1,
            source: None,
            cause: None,
            body: vec![b'x'; 200],
        });
        Commit { writes: vec![write], ..Commit::default() }
    }
}

async fn filled(url: &str, options: &PostgresOptions) -> (PostgresStore, Writer) {
    let store = PostgresStore::connect(url, options).await.expect("the schema opens");
    let mut writer = Writer::new();
    for chunk in 0..CUSTOMERS as usize / 1000 {
        let commits = (chunk * 1000..(chunk + 1) * 1000).map(|number| writer.commit(number)).collect();
        let answers = store.commit(&TenantId::default(), commits).await.expect("it commits");
        assert!(answers.iter().all(Result::is_ok));
    }
    let client = connect(url).await;
    for text in ["VACUUM ANALYZE", "CHECKPOINT"] {
        client.batch_execute(text).await.expect("it is tidy");
    }
    (store, writer)
}

async fn by_the_store(store: &PostgresStore, writer: &mut Writer, batch: usize) -> f64 {
    let start = Instant::now();
    let mut done = 0;
    while start.elapsed() < LONG {
        let commits = writer.draw(batch).into_iter().map(|number| writer.commit(number)).collect();
        let answers = store.commit(&TenantId::default(), commits).await.expect("it commits");
        assert!(answers.iter().all(Result::is_ok));
        done += batch;
    }
    done as f64 / start.elapsed().as_secs_f64()
}

/// One statement over arrays: heads in order, states, events. Without heads the client counts the positions.
const WITH_HEADS: &str = "WITH locked AS MATERIALIZED (SELECT lane FROM crm.lane_head WHERE lane = ANY($1) \
    ORDER BY lane FOR UPDATE), heads AS (UPDATE crm.lane_head t SET position = position + entries FROM locked, \
    unnest($1::smallint[], $2::bigint[]) AS n(lane, entries) WHERE t.lane = n.lane AND locked.lane = n.lane \
    RETURNING t.lane, position - entries AS base), \
    states AS (UPDATE crm.customer t SET version = u.expected + 1, shape = 1, state = u.state, sets = '{}', @ \
    FROM unnest($3::smallint[], $4::uuid[], $5::bigint[], $6::bytea[]) AS u(lane, id, expected, state) \
    WHERE t.lane = u.lane AND t.tenant = $7 AND t.id = u.id AND t.version = u.expected RETURNING 1) \
    INSERT INTO crm.entry (lane, position, tenant, customer, id, at, recorded_at, kind, shape, body) \
    SELECT u.lane, heads.base + u.place, $7, u.id, u.event, u.at, u.at, 'order_placed', 1, u.body \
    FROM heads JOIN unnest($3::smallint[], $8::bigint[], $4::uuid[], $9::uuid[], $10::bigint[], $11::bytea[]) \
    AS u(lane, place, id, event, at, body) ON u.lane = heads.lane";
const WITHOUT_HEADS: &str = "WITH states AS (UPDATE crm.customer t SET version = u.expected + 1, shape = 1, state = u.state, sets = '{}', @ \
    FROM unnest($3::smallint[], $4::uuid[], $5::bigint[], $6::bytea[]) AS u(lane, id, expected, state) \
    WHERE t.lane = u.lane AND t.tenant = $7 AND t.id = u.id AND t.version = u.expected \
    AND $1::smallint[] IS NOT NULL AND $2::bigint[] IS NOT NULL RETURNING 1) \
    INSERT INTO crm.entry (lane, position, tenant, customer, id, at, recorded_at, kind, shape, body) \
    SELECT u.lane, u.place, $7, u.id, u.event, u.at, u.at, 'order_placed', 1, u.body \
    FROM unnest($3::smallint[], $8::bigint[], $4::uuid[], $9::uuid[], $10::bigint[], $11::bytea[]) \
    AS u(lane, place, id, event, at, body)";

async fn by_hand(url: &str, writer: &mut Writer, batch: usize, heads: bool) -> f64 {
    let client = connect(url).await;
    client.batch_execute("SET plan_cache_mode = force_generic_plan").await.expect("it is set");
    let tenant: i64 = client.query_one("SELECT tenant FROM crm.tenant", &[]).await.expect("the tenant").get(0);
    // A new state brings all of its numbers.
    let numbers: Vec<_> = crm_core::Column::ALL.iter().map(|column| format!("{0} = u.{0}", column.name())).collect();
    let names: Vec<_> = crm_core::Column::ALL.iter().map(|column| column.name()).collect();
    let lists: Vec<_> = (12..).take(names.len()).map(|number| format!("${number}::bigint[]")).collect();
    let text = if heads { WITH_HEADS } else { WITHOUT_HEADS }
        .replace("'{}', @", &format!("'{{}}', {}", numbers.join(", ")))
        .replace("$6::bytea[])", &format!("$6::bytea[], {})", lists.join(", ")))
        .replace("expected, state)", &format!("expected, state, {})", names.join(", ")));
    let statement = client.prepare(&text).await.expect("it is prepared");
    let start = Instant::now();
    let mut done = 0;
    while start.elapsed() < LONG {
        let commits: Vec<Commit> = writer.draw(batch).into_iter().map(|number| writer.commit(number)).collect();
        let mut rows: Vec<(i16, &CustomerWrite)> = commits
            .iter()
            .map(|commit| &commit.writes[0])
            .map(|write| (Lane::of_customer(&TenantId::default(), write.customer, LANES).0 as i16, write))
            .collect();
        rows.sort_by_key(|(lane, write)| (*lane, write.customer));
        let mut counts = std::collections::BTreeMap::<i16, i64>::new();
        let mut places: Vec<i64> = Vec::with_capacity(batch);
        for (lane, _) in &rows {
            let count = counts.entry(*lane).or_default();
            *count += 1;
            places.push(if heads { *count } else { 1_000_000_000 + (writer.next as i64) * 1000 + places.len() as i64 });
        }
        let (lanes, entries): (Vec<i16>, Vec<i64>) = counts.into_iter().unzip();
        let row_lanes: Vec<i16> = rows.iter().map(|(lane, _)| *lane).collect();
        let ids: Vec<Uuid> = rows.iter().map(|(_, write)| *write.customer.as_uuid()).collect();
        let expected: Vec<i64> = rows
            .iter()
            .map(|(_, write)| match write.expected {
                Expected::New => 0,
                Expected::At(version) => version.0 as i64,
            })
            .collect();
        let states: Vec<&[u8]> =
            rows.iter().filter_map(|(_, write)| write.state.as_ref()).map(|state| &state.bytes[..]).collect();
        let events: Vec<Uuid> = rows.iter().map(|(_, write)| *write.events[0].id.as_uuid()).collect();
        let ats: Vec<i64> = rows.iter().map(|(_, write)| write.events[0].at.as_millis()).collect();
        let bodies: Vec<&[u8]> = rows.iter().map(|(_, write)| &write.events[0].body[..]).collect();
        let number: Vec<Option<i64>> = vec![None; batch];
        let mut values: Vec<&(dyn ToSql + Sync)> =
            vec![&lanes, &entries, &row_lanes, &ids, &expected, &states, &tenant, &places, &events, &ats, &bodies];
        values.extend(names.iter().map(|_| &number as &(dyn ToSql + Sync)));
        let written = client.execute(&statement, &values).await.expect("it is written");
        assert_eq!(written, batch as u64);
        done += batch;
    }
    done as f64 / start.elapsed().as_secs_f64()
}

fn main() {
    let settings = ["fsync=on", "shared_buffers=1GB", "max_wal_size=8GB"];
    let Some(server) = Server::start(&settings) else {
        println!("skipped: there is no PostgreSQL here");
        return;
    };
    let plain = PostgresOptions::default();
    let url = server.url(&server.database());
    let (store, mut writer) = block_on(filled(&url, &plain));
    for batch in [1, 32, 1000] {
        // By turns, so that whatever else the machine does meets each of them; the median of three.
        let mut rates = [const { Vec::new() }; 3];
        for _ in 0..3 {
            rates[0].push(block_on(by_hand(&url, &mut writer, batch, true)));
            rates[1].push(block_on(by_the_store(&store, &mut writer, batch)));
            rates[2].push(block_on(by_hand(&url, &mut writer, batch, false)));
        }
        let [hand, ours, headless] = rates.map(|mut rates| {
            rates.sort_by(f64::total_cmp);
            rates[1]
        });
        println!(
            "batch {batch}: by hand {hand:.0}/s, store {ours:.0}/s = {:.2}; without lane heads {headless:.0}/s, so they cost {:.0} %",
            ours / hand,
            (1.0 - hand / headless) * 100.0
        );
    }
    drop(store);
    let sharded = PostgresOptions::default().schema("sharded").dialect(Dialect::Sharded);
    let (store, mut writer) = block_on(filled(&url, &sharded));
    for batch in [1, 32] {
        println!("sharded, batch {batch}: {:.0}/s", block_on(by_the_store(&store, &mut writer, batch)));
    }
}
