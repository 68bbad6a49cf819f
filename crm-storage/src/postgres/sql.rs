//! The statements of fixed text. Those that find rows by keys exist in both dialects: over any number of
//! lanes at once, or in one lane.

use std::fmt::Write as _;
use std::sync::Arc;

use crm_core::Column;

use super::options::Dialect;
use super::schema::qualified;

/// A statement that finds rows of a table by keys. `$1` is the lane or the lanes, `$2` the tenant, and the
/// keys follow.
struct Keyed {
    /// What is read of the row `t`.
    select: &'static str,
    table: &'static str,
    /// The columns that are the key, and what they are.
    keys: &'static [(&'static str, &'static str)],
    /// Further conditions, and the order.
    rest: &'static str,
}

impl Keyed {
    fn text(&self, dialect: Dialect) -> String {
        let Keyed { table, rest, .. } = self;
        let (select, keys, matches) = self.parts(dialect);
        format!("SELECT {select} FROM {keys} JOIN @.{table} t ON {matches}{rest}")
    }

    /// What is read, the keys, and the condition that a row has one of them.
    fn parts(&self, dialect: Dialect) -> (String, String, String) {
        let Keyed { select, keys, .. } = self;
        let mut lists = Vec::new();
        let mut names = Vec::new();
        let mut matches = String::new();
        for ((column, kind), number) in keys.iter().zip(3..) {
            lists.push(format!("${number}::{kind}[]"));
            names.push(format!("k{number}"));
            let _ = write!(matches, " AND t.{column} = k.k{number}");
        }
        let lane = match dialect {
            Dialect::Plain => {
                lists.insert(0, "$1::smallint[]".into());
                names.insert(0, "lane".into());
                "k.lane"
            }
            Dialect::Sharded => "$1",
        };
        let (lists, names) = (lists.join(", "), names.join(", "));
        let columns = Column::ALL.map(|column| format!("t.{}", column.name())).join(", ");
        let select = select.replace("@columns", &columns);
        let keys = format!("unnest({lists}) AS k({names})");
        (select, keys, format!("t.lane = {lane} AND t.tenant = $2{matches}"))
    }
}

/// The same, but each key is looked for by itself, whatever the server believes of the table. Before it has counted the rows
/// it would rather read all of a tenant's, and compare each with each key.
struct OneByOne(Keyed);

impl OneByOne {
    fn text(&self, dialect: Dialect) -> String {
        let OneByOne(Keyed { table, rest, .. }) = self;
        let (select, keys, matches) = self.0.parts(dialect);
        // The offset keeps the inner query for itself.
        format!(
            "SELECT {select} FROM {keys} CROSS JOIN LATERAL (SELECT * FROM @.{table} t WHERE {matches} OFFSET 0) t{rest}"
        )
    }
}

/// A page of a customer's entries that meet a further condition.
macro_rules! page_of {
    ($condition:literal) => {
        // The inner query reads the index alone and takes only as many positions as are asked for, so bodies are read for
        // the page and no more. The first offset keeps it on the index of the customer, the second has each of the
        // entries looked for by its position.
        concat!(
            "SELECT e.position, e.id, e.at, e.recorded_at, e.kind, e.shape, e.source, e.cause, e.body FROM \
             (SELECT position FROM (SELECT position FROM @.entry WHERE lane = $1 AND tenant = $2 AND customer = $3",
            $condition,
            " OFFSET 0) AS own WHERE position > $4 ORDER BY position LIMIT $5) AS page \
             CROSS JOIN LATERAL (SELECT * FROM @.entry e WHERE e.lane = $1 AND e.position = page.position OFFSET 0) AS e \
             ORDER BY e.position"
        )
    };
}

macro_rules! texts {
    (fixed { $($fixed:ident: $text:expr;)* } keyed { $($keyed:ident: $spec:expr;)* }) => {
        /// Every statement of fixed text, for one schema and one dialect.
        #[derive(Debug)]
        pub(super) struct Texts {
            $(pub(super) $fixed: Arc<str>,)*
            $(pub(super) $keyed: Arc<str>,)*
        }

        impl Texts {
            pub(super) fn new(schema: &str, dialect: Dialect) -> Self {
                Texts {
                    $($fixed: qualified($text, schema).into(),)*
                    $($keyed: qualified(&$spec.text(dialect), schema).into(),)*
                }
            }

            /// All of them by name.
            #[cfg(test)]
            pub(super) fn all(&self) -> Vec<(&'static str, Arc<str>)> {
                vec![
                    $((stringify!($fixed), Arc::clone(&self.$fixed)),)*
                    $((stringify!($keyed), Arc::clone(&self.$keyed)),)*
                ]
            }
        }
    };
}

/// The customer as a key.
const CUSTOMER: &[(&str, &str)] = &[("customer", "uuid")];
/// Its own id as a key.
const ID: &[(&str, &str)] = &[("id", "uuid")];

texts! {
    fixed {
        begin: "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
        end: "COMMIT";
        roll_back: "ROLLBACK";
        savepoint: "SAVEPOINT crm";
        release: "RELEASE SAVEPOINT crm";
        roll_back_to: "ROLLBACK TO SAVEPOINT crm";
        plan_by_values: "SELECT set_config('plan_cache_mode', 'force_custom_plan', true)";
        wall: "SELECT set_config('crm.tenant', $1, true)";

        add_tenant: "INSERT INTO @.tenant (lane, tenant, name, definitions, leases) VALUES ($1, $2, $3, 0, 0) \
            ON CONFLICT (lane, tenant) DO NOTHING";
        tenants: "SELECT tenant, name FROM @.tenant WHERE tenant = ANY($1)";

        revision: "SELECT definitions FROM @.tenant WHERE lane = $1 AND tenant = $2";
        // The revision and the customers in one answer, which has a row even if nobody is there.
        load_with_revision: "SELECT r.definitions, t.id, t.version, t.shape, t.state, t.sets \
            FROM (SELECT (SELECT definitions FROM @.tenant WHERE lane = $4 AND tenant = $2) AS definitions) r \
            LEFT JOIN (unnest($1::smallint[], $3::uuid[]) AS k(lane, id) JOIN @.customer t \
            ON t.lane = k.lane AND t.tenant = $2 AND t.id = k.id) ON TRUE";
        lock_revision: "SELECT definitions FROM @.tenant WHERE lane = $1 AND tenant = $2 FOR UPDATE";
        set_revision: "UPDATE @.tenant SET definitions = $3 WHERE lane = $1 AND tenant = $2";
        definitions: "SELECT revision, body FROM @.definition WHERE lane = $1 AND tenant = $2 ORDER BY revision";
        add_definition: "INSERT INTO @.definition (lane, tenant, revision, body) VALUES ($1, $2, $3, $4)";

        // A lane is held by an advisory lock, which writes nothing to the log. The two numbers are the schema's and the
        // lane's; they come in ascending order, so that two writers never wait for each other.
        lock_lanes: "SELECT count(pg_advisory_xact_lock(@class, u.key)) FROM unnest($1::integer[]) AS u(key)";
        // On a cluster only a row is a lock that every node sees.
        lock_head: "SELECT lane FROM @.lane_head WHERE lane = $1 FOR UPDATE";
        // Sent after the lane is locked, in a statement of its own: only what it sees then is the end.
        ends_of_lanes: "SELECT u.lane, (SELECT e.position FROM @.entry e WHERE e.lane = u.lane \
            ORDER BY e.position DESC LIMIT 1) FROM unnest($1::smallint[]) AS u(lane)";
        end_of_lane: "SELECT lane, position FROM @.entry WHERE lane = $1 ORDER BY position DESC LIMIT 1";

        history: page_of!("");
        events: page_of!(" AND id IS NOT NULL");
        changes: page_of!(" AND id IS NULL");

        due: "SELECT due_at, kind, customer FROM @.alarm WHERE tenant = $1 AND due_at <= $2 \
            ORDER BY due_at, kind, customer LIMIT $3";

        own_outbox: "SELECT customer, id, topic, due_at, body FROM @.outbox WHERE tenant = $1 AND customer = ANY($2) \
            ORDER BY reason IS NOT NULL, due_at, id";

        next_lease: "UPDATE @.tenant SET leases = leases + 1 WHERE lane = $1 AND tenant = $2 RETURNING leases";
        lease: "WITH free AS MATERIALIZED (SELECT lane, id FROM @.outbox WHERE tenant = $2 AND due_at <= $3 \
            AND reason IS NULL AND (leased_until IS NULL OR leased_until <= $3) ORDER BY due_at, id LIMIT $5 \
            FOR UPDATE SKIP LOCKED), \
            next AS (UPDATE @.tenant SET leases = leases + 1 WHERE lane = $1 AND tenant = $2 \
            AND EXISTS (SELECT 1 FROM free) RETURNING leases) \
            UPDATE @.outbox t SET attempt = t.attempt + 1, token = next.leases, leased_until = $4 \
            FROM free, next WHERE t.lane = free.lane AND t.tenant = $2 AND t.id = free.id \
            RETURNING t.id, t.customer, t.topic, t.due_at, t.body, t.attempt, t.token";
        leasable: "SELECT lane, id FROM @.outbox WHERE tenant = $1 AND due_at <= $2 AND reason IS NULL \
            AND (leased_until IS NULL OR leased_until <= $2) AND id <> ALL($4) ORDER BY due_at, id LIMIT $3";
        lock_leasable: "SELECT id FROM @.outbox WHERE lane = $1 AND tenant = $2 AND id = ANY($4) AND due_at <= $3 \
            AND reason IS NULL AND (leased_until IS NULL OR leased_until <= $3) FOR UPDATE SKIP LOCKED";
        lease_in_lane: "UPDATE @.outbox SET attempt = attempt + 1, token = $4, leased_until = $5 \
            WHERE lane = $1 AND tenant = $2 AND id = ANY($3) \
            RETURNING id, customer, topic, due_at, body, attempt, token";
        settle_done: "DELETE FROM @.outbox WHERE lane = $1 AND tenant = $2 AND id = ANY($3)";
        settle_kept: "UPDATE @.outbox SET due_at = $4, attempt = $5, token = $6, leased_until = $7, reason = $8 \
            WHERE lane = $1 AND tenant = $2 AND id = $3";
        dead: "SELECT id, customer, topic, due_at, body, attempt, token, reason FROM @.outbox \
            WHERE tenant = $1 AND reason IS NOT NULL AND (due_at, id) > ($2, $3) ORDER BY due_at, id LIMIT $4";
        first_dead: "SELECT id, customer, topic, due_at, body, attempt, token, reason FROM @.outbox \
            WHERE tenant = $1 AND reason IS NOT NULL ORDER BY due_at, id LIMIT $2";

        erase_version: "UPDATE @.customer SET version = version + 1 WHERE lane = $1 AND tenant = $2 AND id = $3";
        erase_fields: "DELETE FROM @.personal WHERE lane = $1 AND tenant = $2 AND customer = $3 RETURNING 1";
        erase_key: "DELETE FROM @.person_key WHERE lane = $1 AND tenant = $2 AND customer = $3 RETURNING 1";
        erase_tokens: "DELETE FROM @.token WHERE lane = $1 AND tenant = $2 AND customer = $3 RETURNING 1";
        entries_about: "SELECT lane, id FROM @.outbox WHERE tenant = $1 AND customer = $2 ORDER BY lane, id";
        erase_outbox: "DELETE FROM @.outbox WHERE lane = $1 AND tenant = $2 AND customer = $3 AND id = ANY($4) \
            RETURNING 1";
        erase_claim: "DELETE FROM @.claim WHERE lane = $1 AND tenant = $2 AND kind = $3 AND key = $4 \
            AND customer = $5 RETURNING 1";

        feed: "SELECT tenant, customer, position, id, at, recorded_at, kind, shape, source, cause, body FROM @.entry \
            WHERE lane = $1 AND position > $2 ORDER BY position LIMIT $3";
        look_cursor: "SELECT position, epoch FROM @.consumer WHERE lane = $1 AND name = $2";
        lock_cursor: "SELECT position, epoch FROM @.consumer WHERE lane = $1 AND name = $2 FOR UPDATE";
        add_cursor: "INSERT INTO @.consumer (lane, name, position, epoch) VALUES ($1, $2, $3, $4)";
        set_cursor: "UPDATE @.consumer SET position = $3, epoch = $4 WHERE lane = $1 AND name = $2";
    }
    keyed {
        load: Keyed { select: "t.id, t.version, t.shape, t.state, t.sets", table: "customer", keys: ID, rest: "" };
        versions: Keyed { select: "t.id, t.version", table: "customer", keys: ID, rest: "" };
        lock_versions: Keyed {
            select: "t.id, t.version",
            table: "customer",
            keys: ID,
            rest: " ORDER BY t.lane, t.id FOR UPDATE OF t",
        };
        requests: Keyed {
            select: "t.customer, t.key, t.digest, t.answer",
            table: "request",
            keys: &[("customer", "uuid"), ("key", "bytea")],
            rest: "",
        };
        // A commit may have 10,000 events.
        known_events: OneByOne(Keyed {
            select: "t.customer, t.id",
            table: "entry",
            keys: &[("customer", "uuid"), ("id", "uuid")],
            rest: "",
        });
        owners: Keyed {
            select: "t.kind, t.key, t.customer, t.event",
            table: "claim",
            keys: &[("kind", "bytea"), ("key", "bytea")],
            rest: "",
        };
        lock_owners: Keyed {
            select: "t.kind, t.key, t.customer, t.event",
            table: "claim",
            keys: &[("kind", "bytea"), ("key", "bytea")],
            rest: " ORDER BY t.lane, t.kind, t.key FOR UPDATE OF t",
        };
        lock_counters: Keyed {
            select: "t.name, t.value",
            table: "counter",
            keys: &[("name", "bytea")],
            rest: " ORDER BY t.lane, t.name FOR UPDATE OF t",
        };
        traits: Keyed { select: "t.id, t.sets, @columns", table: "customer", keys: ID, rest: "" };
        scores: Keyed {
            select: "t.customer, t.plugin, t.output, t.at, t.value, t.version, t.digest, t.input, t.inputs, \
                t.recorded_at, t.terms",
            table: "score",
            keys: CUSTOMER,
            rest: " ORDER BY t.customer, t.plugin, t.output, t.at",
        };
        // Of a plugin and some of its outputs, the inputs of one instant only.
        asked_scores: Keyed {
            select: "t.customer, t.plugin, t.output, t.at, t.value, t.version, t.digest, t.input, \
                CASE WHEN t.at = $6 THEN t.inputs ELSE ''::bytea END, t.recorded_at, t.terms",
            table: "score",
            keys: CUSTOMER,
            rest: " AND t.plugin = $4 AND t.output = ANY($5) ORDER BY t.customer, t.plugin, t.output, t.at",
        };
        keys: Keyed { select: "t.customer, t.key", table: "person_key", keys: CUSTOMER, rest: "" };
        fields: Keyed {
            select: "t.customer, t.field, t.value",
            table: "personal",
            keys: CUSTOMER,
            rest: " ORDER BY t.customer, t.field",
        };
        tokens: Keyed {
            select: "t.customer, count(*)",
            table: "token",
            keys: CUSTOMER,
            rest: " GROUP BY t.customer",
        };
        own_requests: Keyed {
            select: "t.customer, t.key, t.digest, t.answer",
            table: "request",
            keys: CUSTOMER,
            rest: " ORDER BY t.customer, t.key",
        };
        leased: Keyed {
            select: "t.id, t.due_at, t.attempt, t.token, t.leased_until, t.reason",
            table: "outbox",
            keys: ID,
            rest: " ORDER BY t.lane, t.id FOR UPDATE OF t",
        };
    }
}
