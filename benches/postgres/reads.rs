//! Lists of 64 customers by id, beside the statement that finds them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crm_core::{CustomerId, TenantId};
use crm_storage::{Lane, PostgresOptions, PostgresStore, Store};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::postgres_server::connect;
use crate::report::{Report, median};
use crate::workload::{Dice, customer};

const STATEMENT: &str = "SELECT t.id, t.version, t.shape, t.state FROM unnest($1::smallint[], $3::uuid[]) AS k(lane, id) \
    JOIN crm.customer t ON t.lane = k.lane AND t.tenant = $2 AND t.id = k.id";

pub(crate) async fn run(report: &mut Report, url: &str, store: &PostgresStore, customers: usize, quick: bool) {
    let tenant = TenantId::default();
    let client = connect(url).await;
    client.batch_execute("SET plan_cache_mode = force_generic_plan").await.unwrap();
    let number: i64 = client.query_one("SELECT tenant FROM crm.tenant", &[]).await.unwrap().get(0);
    let statement = client.prepare(STATEMENT).await.unwrap();
    let mut dice = Dice(3);
    let count = if quick { 5 } else { 1_000 };
    let lists: Vec<Vec<CustomerId>> =
        (0..count).map(|_| (0..64).map(|_| customer((dice.roll() % customers as u64) as usize)).collect()).collect();
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for _ in 0..if quick { 1 } else { 9 } {
        let start = Instant::now();
        for list in &lists {
            assert_eq!(store.load(&tenant, list).await.unwrap().rows.iter().flatten().count(), 64);
        }
        ours.push(start.elapsed());
        let start = Instant::now();
        for list in &lists {
            assert_eq!(by_hand(&client, &statement, number, list).await, 64);
        }
        raw.push(start.elapsed());
    }
    let (ours, raw) = (median(&mut ours), median(&mut raw));
    let each = |time: Duration| time.as_secs_f64() * 1e6 / lists.len() as f64;
    let detail = format!("{:.0} µs a list, {:.0} µs by hand, one round trip each", each(ours), each(raw));
    let ratio = ours.as_secs_f64() / raw.as_secs_f64();
    report.at_most("PostgreSQL, a list of 64 point reads, of the raw statement", ratio, 1.5, &detail);
}

/// Reads a list into rows in the order in which they were asked for; gives how many are there.
async fn by_hand(client: &Client, statement: &tokio_postgres::Statement, tenant: i64, list: &[CustomerId]) -> usize {
    let lane = |id: &CustomerId| Lane::of_customer(&TenantId::default(), *id, PostgresOptions::DEFAULT_LANES).0 as i16;
    let lanes: Vec<i16> = list.iter().map(lane).collect();
    let ids: Vec<Uuid> = list.iter().map(|id| *id.as_uuid()).collect();
    let rows = client.query(statement, &[&lanes, &tenant, &ids]).await.unwrap();
    let found: HashMap<Uuid, (i64, i32, Vec<u8>)> =
        rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2), row.get(3)))).collect();
    let rows: Vec<Option<(i64, i32, Vec<u8>)>> = ids.iter().map(|id| found.get(id).cloned()).collect();
    rows.iter().flatten().count()
}
