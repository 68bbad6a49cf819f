//! The same rows by hand: one connection, and one prepared statement over arrays for each batch.

use std::collections::BTreeMap;

use crm_core::{Column, TenantId};
use crm_storage::{Commit, CustomerWrite, Expected, Lane, PostgresOptions};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use crate::postgres_server::connect;

/// How the places in the feed are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heads {
    /// The head of each lane is moved on.
    Moved,
    /// Nobody keeps where a lane ends: the client makes up a place for each event.
    None,
}

pub(crate) struct ByHand {
    client: Client,
    heads: Heads,
    /// For one lane, and for several, whose heads are taken in their order.
    statements: [Statement; 2],
    tenant: i64,
    made_up: i64,
}

impl ByHand {
    pub(crate) async fn connect(url: &str, heads: Heads) -> Self {
        let client = connect(url).await;
        client.batch_execute("SET plan_cache_mode = force_generic_plan").await.unwrap();
        let tenant = client.query_one("SELECT tenant FROM crm.tenant", &[]).await.unwrap().get(0);
        let statements = [
            client.prepare(&statement(heads, false)).await.unwrap(),
            client.prepare(&statement(heads, true)).await.unwrap(),
        ];
        ByHand { client, heads, statements, tenant, made_up: 1 << 40 }
    }

    /// Writes a batch of commits, each of one customer who is there already and one event.
    pub(crate) async fn commit(&mut self, commits: &[Commit]) {
        let lane = |write: &CustomerWrite| {
            Lane::of_customer(&TenantId::default(), write.customer, PostgresOptions::DEFAULT_LANES).0 as i16
        };
        let mut rows: Vec<(i16, &CustomerWrite)> =
            commits.iter().map(|commit| &commit.writes[0]).map(|write| (lane(write), write)).collect();
        rows.sort_by_key(|(lane, write)| (*lane, write.customer));
        let mut counts = BTreeMap::<i16, i64>::new();
        let mut places: Vec<i64> = Vec::with_capacity(rows.len());
        for (lane, _) in &rows {
            let count = counts.entry(*lane).or_default();
            *count += 1;
            self.made_up += 1;
            places.push(if self.heads == Heads::Moved { *count } else { self.made_up });
        }
        let (lanes, entries): (Vec<i16>, Vec<i64>) = counts.into_iter().unzip();
        let row_lanes: Vec<i16> = rows.iter().map(|(lane, _)| *lane).collect();
        let ids: Vec<Uuid> = rows.iter().map(|(_, write)| *write.customer.as_uuid()).collect();
        let version = |write: &CustomerWrite| match write.expected {
            Expected::New => 0,
            Expected::At(version) => version.0 as i64,
        };
        let expected: Vec<i64> = rows.iter().map(|(_, write)| version(write)).collect();
        let states: Vec<&[u8]> = rows.iter().map(|(_, write)| &write.state.as_ref().unwrap().bytes[..]).collect();
        let events: Vec<Uuid> = rows.iter().map(|(_, write)| *write.events[0].id.as_uuid()).collect();
        let ats: Vec<i64> = rows.iter().map(|(_, write)| write.events[0].at.as_millis()).collect();
        let bodies: Vec<&[u8]> = rows.iter().map(|(_, write)| &write.events[0].body[..]).collect();
        let numbers: Vec<Vec<Option<i64>>> = Column::ALL
            .iter()
            .map(|column| rows.iter().map(|(_, write)| write.traits.columns.get(*column)).collect())
            .collect();
        let mut values: Vec<&(dyn ToSql + Sync)> =
            vec![&row_lanes, &ids, &expected, &states, &self.tenant, &places, &events, &ats, &bodies];
        values.extend(numbers.iter().map(|list| list as &(dyn ToSql + Sync)));
        if self.heads == Heads::Moved {
            values.extend([&lanes as &(dyn ToSql + Sync), &entries]);
        }
        let statement = &self.statements[usize::from(lanes.len() > 1)];
        let written = self.client.execute(statement, &values).await.unwrap();
        assert_eq!(written, commits.len() as u64);
    }
}

/// Heads in order, states, events. A new state brings all of its numbers.
fn statement(heads: Heads, several_lanes: bool) -> String {
    let names = Column::ALL.map(Column::name);
    let set = names.map(|name| format!("{name} = u.{name}")).join(", ");
    let lists: Vec<String> = (10..).take(names.len()).map(|number| format!("${number}::bigint[]")).collect();
    let (lists, names, next) = (lists.join(", "), names.join(", "), 10 + names.len());
    let counted = format!("unnest(${next}::smallint[], ${}::bigint[]) AS n(lane, entries)", next + 1);
    let (moved, ready, base, from) = match (heads, several_lanes) {
        (Heads::None, _) => (String::new(), "", "", ""),
        (Heads::Moved, true) => (
            format!(
                "moved AS (INSERT INTO crm.lane_head AS t (lane, position) SELECT n.lane, n.entries FROM {counted} \
                 ORDER BY n.lane ON CONFLICT (lane) DO UPDATE SET position = t.position + excluded.position \
                 RETURNING t.lane, t.position), heads AS MATERIALIZED (SELECT moved.lane, \
                 moved.position - n.entries AS base FROM moved JOIN {counted} ON n.lane = moved.lane), \
                 ready AS MATERIALIZED (SELECT count(*) FROM heads), "
            ),
            "ready, ",
            "heads.base + ",
            "JOIN heads ON heads.lane = u.lane",
        ),
        (Heads::Moved, false) => (
            format!(
                "heads AS (UPDATE crm.lane_head t SET position = position + entries FROM {counted} \
                 WHERE t.lane = n.lane RETURNING t.lane, position - entries AS base), \
                 ready AS MATERIALIZED (SELECT count(*) FROM heads), "
            ),
            "ready, ",
            "heads.base + ",
            "JOIN heads ON heads.lane = u.lane",
        ),
    };
    format!(
        "WITH {moved}states AS (UPDATE crm.customer t SET version = u.expected + 1, shape = 1, state = u.state, \
         sets = '{{}}', {set} FROM {ready}unnest($1::smallint[], $2::uuid[], $3::bigint[], $4::bytea[], {lists}) \
         AS u(lane, id, expected, state, {names}) \
         WHERE t.lane = u.lane AND t.tenant = $5 AND t.id = u.id AND t.version = u.expected RETURNING 1) \
         INSERT INTO crm.entry (lane, position, tenant, customer, id, at, recorded_at, kind, shape, body) \
         SELECT u.lane, {base}u.place, $5, u.id, u.event, u.at, u.at, 'order_placed', 1, u.body \
         FROM unnest($1::smallint[], $6::bigint[], $2::uuid[], $7::uuid[], $8::bigint[], $9::bytea[]) \
         AS u(lane, place, id, event, at, body) {from}"
    )
}
