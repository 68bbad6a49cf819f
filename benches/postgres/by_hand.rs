//! The same rows by hand: one connection, and one prepared statement over arrays for each batch. With the ends of the
//! lanes as the store finds them: one lane within the statement, several in a statement before it.

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
    /// Each lane is locked and asked where it ends.
    Found,
    /// Nobody is asked and nothing is locked: the client says each event's place, which only works while it is alone.
    Told,
}

/// Where lanes end, as the client counts.
pub(crate) type Ends = BTreeMap<i16, i64>;

/// A commit's lane.
fn lane(write: &CustomerWrite) -> i16 {
    Lane::of_customer(&TenantId::default(), write.customer, PostgresOptions::DEFAULT_LANES).0 as i16
}

/// Where the lanes of a batch end before it, and counts it.
pub(crate) fn count(ends: &mut Ends, commits: &[Commit]) -> Ends {
    let lanes: Vec<i16> = commits.iter().map(|commit| lane(&commit.writes[0])).collect();
    let before = lanes.iter().map(|lane| (*lane, ends.get(lane).copied().unwrap_or(0))).collect();
    for lane in lanes {
        *ends.entry(lane).or_default() += 1;
    }
    before
}

pub(crate) struct ByHand {
    client: Client,
    heads: Heads,
    /// For one lane, and for several.
    statements: [Statement; 2],
    /// What goes before several lanes and after: the beginning, the locks, the end.
    around: [Statement; 3],
    tenant: i64,
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
        let locks = "SELECT count(pg_advisory_xact_lock(7, u.key)) FROM unnest($1::integer[]) AS u(key)";
        let around = [
            client.prepare("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE").await.unwrap(),
            client.prepare(locks).await.unwrap(),
            client.prepare("COMMIT").await.unwrap(),
        ];
        ByHand { client, heads, statements, around, tenant }
    }

    /// Writes a batch of commits, each of one customer who is there already and one event. `before` is where its
    /// lanes end.
    pub(crate) async fn commit(&mut self, commits: &[Commit], before: &Ends) {
        let mut rows: Vec<(i16, &CustomerWrite)> =
            commits.iter().map(|commit| &commit.writes[0]).map(|write| (lane(write), write)).collect();
        rows.sort_by_key(|(lane, write)| (*lane, write.customer));
        let mut counts = BTreeMap::<i16, i64>::new();
        let mut places: Vec<i64> = Vec::with_capacity(rows.len());
        for (lane, _) in &rows {
            let count = counts.entry(*lane).or_default();
            *count += 1;
            places.push(if self.heads == Heads::Found { *count } else { before[lane] + *count });
        }
        let lanes: Vec<i16> = counts.into_keys().collect();
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
        if self.heads == Heads::Found {
            values.push(&lanes);
        }
        let statement = &self.statements[usize::from(lanes.len() > 1)];
        let written = if self.heads == Heads::Found && lanes.len() > 1 {
            let keys: Vec<i32> = lanes.iter().copied().map(i32::from).collect();
            let [begin, lock, end] = &self.around;
            let keys: [&(dyn ToSql + Sync); 1] = [&keys];
            // Sent in this order, before any is answered.
            let (begun, locked, written, ended) = tokio::join!(
                biased;
                self.client.execute(begin, &[]),
                self.client.execute(lock, &keys),
                self.client.execute(statement, &values),
                self.client.execute(end, &[])
            );
            begun.and(locked).and(ended).unwrap();
            written
        } else {
            self.client.execute(statement, &values).await
        };
        assert_eq!(written.unwrap(), commits.len() as u64);
    }
}

/// Lanes, states, events. A new state brings all of its numbers.
fn statement(heads: Heads, several_lanes: bool) -> String {
    let names = Column::ALL.map(Column::name);
    let set = names.map(|name| format!("{name} = u.{name}")).join(", ");
    let lists: Vec<String> = (10..).take(names.len()).map(|number| format!("${number}::bigint[]")).collect();
    let (lists, names, next) = (lists.join(", "), names.join(", "), 10 + names.len());
    let end = |lane: &str| {
        format!(
            "coalesce((SELECT e.position FROM crm.entry e WHERE e.lane = {lane} ORDER BY e.position DESC LIMIT 1), 0)"
        )
    };
    let (found, ready, base, from) = match (heads, several_lanes) {
        (Heads::Told, _) => (String::new(), "", String::new(), ""),
        (Heads::Found, true) => (
            format!(
                "heads AS MATERIALIZED (SELECT n.lane, {} AS base FROM unnest(${next}::smallint[]) AS n(lane)), ",
                end("n.lane")
            ),
            "",
            "heads.base + ".into(),
            "JOIN heads ON heads.lane = u.lane",
        ),
        (Heads::Found, false) => (
            format!(
                "ready AS MATERIALIZED (SELECT count(pg_advisory_xact_lock(7, n.lane & 1023)) \
                 FROM unnest(${next}::smallint[]) AS n(lane)), "
            ),
            "ready, ",
            format!("{} + ", end(&format!("(${next}::smallint[])[1]"))),
            "CROSS JOIN ready",
        ),
    };
    format!(
        "WITH {found}states AS (UPDATE crm.customer t SET version = u.expected + 1, shape = 1, state = u.state, \
         sets = '{{}}', {set} FROM {ready}unnest($1::smallint[], $2::uuid[], $3::bigint[], $4::bytea[], {lists}) \
         AS u(lane, id, expected, state, {names}) \
         WHERE t.lane = u.lane AND t.tenant = $5 AND t.id = u.id AND t.version = u.expected RETURNING 1) \
         INSERT INTO crm.entry (lane, position, tenant, customer, id, at, recorded_at, kind, shape, body) \
         SELECT u.lane, {base}u.place, $5, u.id, u.event, u.at, u.at, 'order_placed', 1, u.body \
         FROM unnest($1::smallint[], $6::bigint[], $2::uuid[], $7::uuid[], $8::bigint[], $9::bytea[]) \
         AS u(lane, place, id, event, at, body) {from}"
    )
}
