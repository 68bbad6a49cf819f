//! A large base: counting and paging by four conditions beside the same SQL by hand, and how much memory a
//! process takes that reads from it.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crm_core::expression::Comparison;
use crm_core::{Column, CustomerId, TenantId};
use crm_storage::{Lane, PostgresOptions, PostgresStore, Selection, Store};
use futures_util::SinkExt;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::postgres_server::connect;
use crate::report::{Report, median};
use crate::workload::{Base, Dice, customer, traits};

/// So many customers are loaded at a time.
const CHUNK: usize = 200_000;
const PAGE: usize = 500;

pub(crate) async fn run(report: &mut Report, url: &str, quick: bool) {
    let wanted = if quick { 4_000 } else { 5 * CHUNK };
    let start = Instant::now();
    let (store, customers) = loaded(url, "large", wanted).await;
    println!("{customers} customers were loaded in {:.0?}", start.elapsed());
    let client = connect(url).await;
    selection(report, &store, &client, customers, quick).await;
    drop(store);
    let few = if quick { 1_000 } else { 10_000 };
    let (small, _) = loaded(url, "small", few).await;
    drop(small);
    let used = [("small", few), ("large", customers)].map(|(schema, count)| memory_of_a_process(url, schema, count));
    let detail = format!(
        "{:.1} MB at {customers} customers, {:.1} MB at {few}, after 2,000 lists of 64 and ten thousand customers in pages",
        used[1], used[0]
    );
    report.at_most(
        "PostgreSQL, memory of the client at the large base, of the small one",
        used[1] / used[0],
        1.5,
        &detail,
    );
}

/// A schema with customers, copied into it: as many as are wanted, or fewer if that would take over a minute.
async fn loaded(url: &str, schema: &str, wanted: usize) -> (PostgresStore, usize) {
    let store = PostgresStore::connect(url, &PostgresOptions::default().schema(schema)).await.unwrap();
    // The first one makes the tenant's row.
    let first = Base::new(1).next(0);
    crate::commit(&store, vec![first]).await;
    let client = connect(url).await;
    let text = format!("SELECT tenant FROM {schema}.tenant");
    let tenant: i64 = client.query_one(&text, &[]).await.unwrap().get(0);
    let start = Instant::now();
    let mut there = 1;
    while there < wanted {
        let end = wanted.min(there / CHUNK * CHUNK + CHUNK);
        copy(&client, schema, tenant, there..end).await;
        there = end;
        if start.elapsed() * u32::try_from(wanted / there).unwrap() > Duration::from_secs(60) {
            break;
        }
    }
    client.batch_execute(&format!("VACUUM ANALYZE {schema}.customer")).await.unwrap();
    (store, there)
}

async fn copy(client: &Client, schema: &str, tenant: i64, numbers: std::ops::Range<usize>) {
    let names = Column::ALL.map(Column::name).join(", ");
    let text = format!("COPY {schema}.customer (lane, tenant, id, version, shape, state, sets, {names}) FROM STDIN");
    let mut sink = Box::pin(client.copy_in(&text).await.unwrap());
    let state = "07".repeat(256);
    for chunk in numbers.collect::<Vec<_>>().chunks(1000) {
        let mut lines = String::with_capacity(chunk.len() * 700);
        for &number in chunk {
            let id = customer(number);
            let lane = Lane::of_customer(&TenantId::default(), id, PostgresOptions::DEFAULT_LANES).0;
            let _ = write!(lines, "{lane}\t{tenant}\t{}\t1\t1\t\\\\x{state}\t{{}}", id.as_uuid());
            for value in traits(number as u64, 0).columns.values() {
                let _ = match value {
                    Some(value) => write!(lines, "\t{value}"),
                    None => write!(lines, "\t\\N"),
                };
            }
            lines.push('\n');
        }
        sink.send(std::io::Cursor::new(lines)).await.unwrap();
    }
    sink.as_mut().finish().await.unwrap();
}

async fn selection(report: &mut Report, store: &PostgresStore, client: &Client, customers: usize, quick: bool) {
    let tenant = TenantId::default();
    let number: i64 = client.query_one("SELECT tenant FROM large.tenant", &[]).await.unwrap().get(0);
    let selection = Selection::All(vec![
        Selection::Compare(Column::Stage, Comparison::Eq, 3),
        Selection::Compare(Column::Orders, Comparison::Ge, 3),
        Selection::Compare(Column::Spend, Comparison::Gt, 10_000),
        Selection::Compare(Column::LastOrder, Comparison::Ge, 1_695_000_000_000),
    ]);
    let holds = "FROM large.customer WHERE tenant = $1 AND stage = 3 AND orders >= 3 AND spend > 10000 \
        AND last_order >= 1695000000000";
    let counting = client.prepare(&format!("SELECT count(*) {holds}")).await.unwrap();
    let text = format!("SELECT id {holds} AND id > $2 ORDER BY id LIMIT {PAGE}");
    let paging = client.prepare(&text).await.unwrap();
    let rounds = if quick { 1 } else { 9 };
    let (mut ours, mut raw, mut count) = (Vec::new(), Vec::new(), 0);
    for _ in 0..rounds {
        let start = Instant::now();
        count = store.count(&tenant, &selection).await.unwrap();
        ours.push(start.elapsed());
        let start = Instant::now();
        let by_hand: i64 = client.query_one(&counting, &[&number]).await.unwrap().get(0);
        raw.push(start.elapsed());
        assert_eq!(count, by_hand.unsigned_abs());
    }
    let (counted, by_hand) = (median(&mut ours), median(&mut raw));
    let detail = format!("{count} of {customers} customers in {counted:.0?}, {by_hand:.0?} by hand");
    let ratio = counted.as_secs_f64() / by_hand.as_secs_f64();
    report.at_most("PostgreSQL, a count by four conditions, of the same SQL by hand", ratio, 1.2, &detail);

    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    let mut dice = Dice(5);
    for _ in 0..rounds {
        let from: Vec<CustomerId> = (0..if quick { 2 } else { 20 })
            .map(|_| customer((dice.roll() % (customers as u64 * 9 / 10)) as usize))
            .collect();
        // What a page is read from lies in memory before either side asks.
        for after in &from {
            client.query(&paging, &[&number, after.as_uuid()]).await.unwrap();
        }
        let start = Instant::now();
        let mut pages = Vec::new();
        for after in &from {
            pages.push(store.select(&tenant, &selection, Some(*after), PAGE).await.unwrap());
        }
        ours.push(start.elapsed());
        let start = Instant::now();
        for (after, page) in from.iter().zip(&pages) {
            let rows = client.query(&paging, &[&number, after.as_uuid()]).await.unwrap();
            let ids: Vec<CustomerId> = rows.iter().map(|row| CustomerId::from_uuid(row.get::<_, Uuid>(0))).collect();
            assert_eq!(ids, *page);
        }
        raw.push(start.elapsed());
    }
    let (paged, by_hand) = (median(&mut ours), median(&mut raw));
    let detail = format!("20 pages of {PAGE} in {paged:.1?}, {by_hand:.1?} by hand");
    let ratio = paged.as_secs_f64() / by_hand.as_secs_f64();
    report.at_most("PostgreSQL, a page by four conditions, of the same SQL by hand", ratio, 1.2, &detail);
}

/// Megabytes that a process of its own takes at most to connect and to read from all over a schema.
fn memory_of_a_process(url: &str, schema: &str, customers: usize) -> f64 {
    let program = std::env::current_exe().unwrap();
    let output =
        std::process::Command::new(program).args(["read-from", url, schema, &customers.to_string()]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

/// What that process does.
pub(crate) async fn read_from(url: &str, schema: &str, customers: usize) {
    let options = PostgresOptions::default().schema(schema).migrate(false);
    let store = PostgresStore::connect(url, &options).await.unwrap();
    let tenant = TenantId::default();
    let mut dice = Dice(9);
    for _ in 0..2_000 {
        let list: Vec<_> = (0..64).map(|_| customer((dice.roll() % customers as u64) as usize)).collect();
        assert_eq!(store.load(&tenant, &list).await.unwrap().rows.iter().flatten().count(), 64);
    }
    let mut after = None;
    for _ in 0..10_000 / PAGE {
        after = store.select(&tenant, &Selection::EVERYBODY, after, PAGE).await.unwrap().pop().or(after);
    }
    assert!(store.count(&tenant, &Selection::EVERYBODY).await.unwrap() >= customers as u64);
    println!("{}", crate::process::peak());
}
