//! The same rows by hand: one connection, and one prepared statement over arrays for each batch. With the lanes held and
//! their ends found as the store does it: one lane within the statement, several held by a statement before it; the
//! ends from a position that the client remembers, and of some lanes asked for afterwards.

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

/// How a statement looks for the ends.
#[derive(Debug, Clone, Copy)]
enum Ends {
    OneLane,
    Each,
    Found,
}

/// Where lanes end, as the client counts.
pub(crate) type Positions = BTreeMap<i16, i64>;

/// A commit's lane.
fn lane(write: &CustomerWrite) -> i16 {
    Lane::of_customer(&TenantId::default(), write.customer, PostgresOptions::DEFAULT_LANES).0 as i16
}

/// Where the lanes of a batch end before it, and counts it.
pub(crate) fn count(ends: &mut Positions, commits: &[Commit]) -> Positions {
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
    /// For one lane, for several, and for several with more entries.
    statements: [Statement; 3],
    /// What goes around it: the beginning, the locks, the ends, the end.
    around: [Statement; 4],
    tenant: i64,
}

impl ByHand {
    pub(crate) async fn connect(url: &str, heads: Heads) -> Self {
        let client = connect(url).await;
        client.batch_execute("SET plan_cache_mode = force_generic_plan").await.unwrap();
        let tenant = client.query_one("SELECT tenant FROM crm.tenant", &[]).await.unwrap().get(0);
        let statements = [
            client.prepare(&statement(heads, Ends::OneLane)).await.unwrap(),
            client.prepare(&statement(heads, Ends::Each)).await.unwrap(),
            client.prepare(&statement(heads, Ends::Found)).await.unwrap(),
        ];
        let locks = "SELECT count(pg_advisory_xact_lock(7, u.key)) FROM unnest($1::integer[]) AS u(key)";
        let ends = "SELECT u.lane, (SELECT e.position FROM crm.entry e WHERE e.lane = u.lane \
            ORDER BY e.position DESC LIMIT 1) FROM unnest($1::smallint[]) AS u(lane)";
        let around = [
            client.prepare("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE").await.unwrap(),
            client.prepare(locks).await.unwrap(),
            client.prepare(ends).await.unwrap(),
            client.prepare("COMMIT").await.unwrap(),
        ];
        ByHand { client, heads, statements, around, tenant }
    }

    /// Writes a batch of commits, each of one customer who is there already and one event. `before` is where its
    /// lanes end.
    pub(crate) async fn commit(&mut self, commits: &[Commit], before: &Positions) {
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
        let lanes: Vec<i16> = counts.keys().copied().collect();
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
        let known: Vec<i64> = lanes.iter().map(|lane| before[lane]).collect();
        let known_of_rows: Vec<i64> = row_lanes.iter().map(|lane| before[lane]).collect();
        let statement = match lanes.len() {
            1 => 0,
            many if rows.len() * 4 <= many * 5 => 1,
            _ => 2,
        };
        if self.heads == Heads::Found {
            match statement {
                0 => values.extend([&lanes[0] as &(dyn ToSql + Sync), &known[0]]),
                1 => values.push(&known_of_rows),
                _ => values.extend([&lanes as &(dyn ToSql + Sync), &known]),
            }
        }
        let statement = &self.statements[statement];
        let asked: Vec<i16> =
            lanes.iter().filter(|lane| (before[lane] + counts[lane]) % 64 < counts[lane]).copied().collect();
        let written = if self.heads == Heads::Found && (lanes.len() > 1 || !asked.is_empty()) {
            let keys: Vec<i32> = lanes.iter().copied().map(i32::from).collect();
            let [begin, lock, ends, end] = &self.around;
            // Sent in this order, before any is answered.
            let mut sent: Vec<(&Statement, Vec<&(dyn ToSql + Sync)>)> = vec![(begin, Vec::new())];
            if lanes.len() > 1 {
                sent.push((lock, vec![&keys]));
            }
            let at = sent.len();
            sent.push((statement, values));
            if !asked.is_empty() {
                sent.push((ends, vec![&asked]));
            }
            sent.push((end, Vec::new()));
            let sent = sent.iter().map(|(statement, values)| self.client.execute(*statement, values));
            futures_util::future::try_join_all(sent).await.map(|counts| counts[at])
        } else {
            self.client.execute(statement, &values).await
        };
        assert_eq!(written.unwrap(), commits.len() as u64);
    }
}

/// Lanes, states, events. A new state brings all of its numbers.
fn statement(heads: Heads, ends: Ends) -> String {
    let names = Column::ALL.map(Column::name);
    let set = names.map(|name| format!("{name} = u.{name}")).join(", ");
    let lists: Vec<String> = (10..).take(names.len()).map(|number| format!("${number}::bigint[]")).collect();
    let (lists, names, next) = (lists.join(", "), names.join(", "), 10 + names.len());
    let end = |lane: &str, known: &str| {
        format!(
            "coalesce((SELECT e.position FROM crm.entry e WHERE e.lane = {lane} AND e.position >= {known} \
             ORDER BY e.position DESC LIMIT 1), CASE {known} WHEN 0 THEN 0 END)"
        )
    };
    let (found, ready, base, from) = match (heads, ends) {
        (Heads::Told, _) => (String::new(), "", String::new(), ""),
        (Heads::Found, Ends::Found) => (
            format!(
                "heads AS MATERIALIZED (SELECT n.lane, {} AS base FROM unnest(${next}::smallint[], ${}::bigint[]) \
                 AS n(lane, known)), ",
                end("n.lane", "n.known"),
                next + 1
            ),
            "",
            "heads.base + ".into(),
            "JOIN heads ON heads.lane = u.lane",
        ),
        (Heads::Found, Ends::Each) => (String::new(), "", format!("{} + ", end("u.lane", "u.known")), ""),
        (Heads::Found, Ends::OneLane) => (
            format!("ready AS MATERIALIZED (SELECT pg_advisory_xact_lock(7, ${next}::smallint & 1023)), "),
            "ready, ",
            format!("{} + ", end(&format!("${next}::smallint"), &format!("${}::bigint", next + 1))),
            "CROSS JOIN ready",
        ),
    };
    let (more, known) = match (heads, ends) {
        (Heads::Found, Ends::Each) => (format!(", ${next}::bigint[]"), ", known"),
        _ => (String::new(), ""),
    };
    format!(
        "WITH {found}states AS (UPDATE crm.customer t SET version = u.expected + 1, shape = 1, state = u.state, \
         sets = '{{}}', {set} FROM {ready}unnest($1::smallint[], $2::uuid[], $3::bigint[], $4::bytea[], {lists}) \
         AS u(lane, id, expected, state, {names}) \
         WHERE t.lane = u.lane AND t.tenant = $5 AND t.id = u.id AND t.version = u.expected RETURNING 1) \
         INSERT INTO crm.entry (lane, position, tenant, customer, id, at, recorded_at, kind, shape, body) \
         SELECT u.lane, {base}u.place, $5, u.id, u.event, u.at, u.at, 'order_placed', 1, u.body \
         FROM unnest($1::smallint[], $6::bigint[], $2::uuid[], $7::uuid[], $8::bigint[], $9::bytea[]{more}) \
         AS u(lane, place, id, event, at, body{known}) {from}"
    )
}
