//! The parts that a commit can have, each as one statement over any number of rows. In the plain dialect
//! the parts of a whole batch are joined into one statement; in the sharded one each part is sent by
//! itself, for rows of one lane. `:name` stands for a row's value in either.

use std::fmt::Write as _;

use crm_core::Column;

/// Which part. They are carried out in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum PartId {
    Heads,
    Created,
    Updated,
    Held,
    Entries,
    ScoresGone,
    Scores,
    AlarmsGone,
    Alarms,
    Requests,
    ClaimsGone,
    ClaimsMoved,
    Claims,
    CountersMoved,
    CountersSet,
    Counters,
    Outbox,
    DeadLetters,
    PersonKeys,
    FieldsGone,
    Fields,
    TokensGone,
    Tokens,
}

/// What the value of a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Small,
    Int,
    Big,
    Float,
    Id,
    Bytes,
    Text,
}

impl Kind {
    /// How many bytes a value takes; none if that is not the same for all.
    pub(super) const fn size(self) -> Option<usize> {
        match self {
            Kind::Small => Some(2),
            Kind::Int => Some(4),
            Kind::Big | Kind::Float => Some(8),
            Kind::Id => Some(16),
            Kind::Bytes | Kind::Text => None,
        }
    }

    pub(super) const fn sql(self) -> &'static str {
        match self {
            Kind::Small => "smallint",
            Kind::Int => "integer",
            Kind::Big => "bigint",
            Kind::Float => "double precision",
            Kind::Id => "uuid",
            Kind::Bytes => "bytea",
            Kind::Text => "text",
        }
    }
}

/// What is done with the rows of a part.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// Adds rows. Without `conflict` it fails if one is there.
    Add { columns: String, values: String, conflict: &'static str },
    /// Changes rows, all of which must be there.
    Set { set: String, keys: &'static str },
    /// Removes rows, all of which must be there if `all`.
    Drop { keys: &'static str, all: bool },
    /// Locks rows, all of which must be there.
    Hold { keys: &'static str },
}

/// A part and the cells of its rows. The first cell is always the lane.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) id: PartId,
    pub(super) name: &'static str,
    pub(super) table: &'static str,
    pub(super) cells: Vec<(&'static str, Kind)>,
    pub(super) act: Act,
}

impl Part {
    /// Whether each row must have met one that is there.
    pub(super) const fn is_counted(&self) -> bool {
        match self.act {
            Act::Set { .. } | Act::Hold { .. } => true,
            Act::Drop { all, .. } => all,
            Act::Add { .. } => false,
        }
    }
}

/// All parts in their order.
pub(super) fn all() -> Vec<Part> {
    use Kind::{Big, Bytes, Float, Id, Int, Small, Text};
    use PartId::*;
    let lane = ("lane", Small);
    let customer = ("customer", Id);
    let part = |id, name, table, cells: &[(&'static str, Kind)], act| {
        let cells = [lane].into_iter().chain(cells.iter().copied()).collect();
        Part { id, name, table, cells, act }
    };
    // A table whose columns have the names of the cells.
    let add = |id, name, table, cells: &[(&'static str, Kind)], conflict| {
        let columns: String = cells.iter().map(|(cell, _)| format!(", {cell}")).collect();
        let values: String = cells.iter().map(|(cell, _)| format!(", :{cell}")).collect();
        part(id, name, table, cells, Act::Add { columns, values, conflict })
    };
    let set = |id, name, table, cells: &[(&'static str, Kind)], set: &str, keys| {
        part(id, name, table, cells, Act::Set { set: set.into(), keys })
    };
    let drop = |id, name, table, cells: &[(&'static str, Kind)], keys, all| {
        part(id, name, table, cells, Act::Drop { keys, all })
    };
    let numbers = || Column::ALL.iter().map(|column| column.name());
    let mut customers = vec![("id", Id), ("version", Big), ("shape", Int), ("state", Bytes), ("sets", Text)];
    customers.extend(numbers().map(|name| (name, Big)));
    let mut new_columns = String::from(", id, version, shape, state, sets");
    // No name of a set has a control character, so one can stand between them.
    let sets = "string_to_array(:sets, E'\\x1f')";
    let mut new_values = format!(", :id, :version, :shape, :state, {sets}");
    let mut set_values = format!("version = :version, shape = :shape, state = :state, sets = {sets}");
    for name in numbers() {
        let _ = write!(new_columns, ", {name}");
        let _ = write!(new_values, ", :{name}");
        let _ = write!(set_values, ", {name} = :{name}");
    }
    let known: Vec<_> = customers.iter().copied().chain([("expected", Big)]).collect();
    let alarm = [customer, ("due_at", Big), ("kind", Small)];
    let claim = [("kind", Bytes), ("key", Bytes), customer, ("event", Id)];
    let counter = [("name", Bytes), ("value", Big)];
    vec![
        part(Heads, "heads", "lane_head", &[("known", Big)], Act::Hold { keys: "true" }),
        part(
            Created,
            "created",
            "customer",
            &customers,
            Act::Add { columns: new_columns, values: new_values, conflict: "" },
        ),
        set(Updated, "updated", "customer", &known, &set_values, "t.id = :id AND t.version = :expected"),
        part(
            Held,
            "held",
            "customer",
            &[("id", Id), ("expected", Big)],
            Act::Hold { keys: "t.id = :id AND t.version = :expected" },
        ),
        add(
            Entries,
            "entries",
            "entry",
            &[
                ("position", Big),
                customer,
                ("id", Id),
                ("at", Big),
                ("recorded_at", Big),
                ("kind", Bytes),
                ("shape", Int),
                ("source", Text),
                ("cause", Id),
                ("body", Bytes),
            ],
            "",
        ),
        drop(
            ScoresGone,
            "scores_gone",
            "score",
            &[customer, ("plugin", Bytes), ("output", Bytes), ("at", Big)],
            "t.customer = :customer AND t.plugin = :plugin AND t.output = :output AND t.at = :at",
            false,
        ),
        add(
            Scores,
            "scores",
            "score",
            &[
                customer,
                ("plugin", Bytes),
                ("output", Bytes),
                ("at", Big),
                ("value", Float),
                ("version", Bytes),
                ("digest", Bytes),
                ("input", Bytes),
                ("inputs", Bytes),
                ("recorded_at", Big),
                ("terms", Bytes),
            ],
            " ON CONFLICT (lane, tenant, customer, plugin, output, at) DO UPDATE SET value = excluded.value, \
             version = excluded.version, digest = excluded.digest, input = excluded.input, inputs = excluded.inputs, \
             recorded_at = excluded.recorded_at, terms = excluded.terms",
        ),
        drop(
            AlarmsGone,
            "alarms_gone",
            "alarm",
            &alarm,
            "t.customer = :customer AND t.due_at = :due_at AND t.kind = :kind",
            false,
        ),
        add(Alarms, "alarms", "alarm", &alarm, " ON CONFLICT (lane, tenant, customer, due_at, kind) DO NOTHING"),
        add(Requests, "requests", "request", &[customer, ("key", Bytes), ("digest", Bytes), ("answer", Bytes)], ""),
        drop(
            ClaimsGone,
            "claims_gone",
            "claim",
            &claim[..3],
            "t.kind = :kind AND t.key = :key AND t.customer = :customer",
            true,
        ),
        set(
            ClaimsMoved,
            "claims_moved",
            "claim",
            &[claim[0], claim[1], claim[2], claim[3], ("owner", Id)],
            "customer = :customer, event = :event",
            "t.kind = :kind AND t.key = :key AND t.customer = :owner",
        ),
        add(Claims, "claims", "claim", &claim, ""),
        set(
            CountersMoved,
            "counters_moved",
            "counter",
            &[("name", Bytes), ("step", Big), ("most", Big)],
            "value = t.value + :step",
            "t.name = :name AND t.value + :step BETWEEN 0 AND :most",
        ),
        set(CountersSet, "counters_set", "counter", &counter, "value = :value", "t.name = :name"),
        add(Counters, "counters", "counter", &counter, ""),
        part(
            Outbox,
            "outbox",
            "outbox",
            &[("id", Id), customer, ("topic", Bytes), ("due_at", Big), ("body", Bytes)],
            Act::Add {
                columns: ", id, customer, topic, due_at, body, attempt".into(),
                values: ", :id, :customer, :topic, :due_at, :body, 0".into(),
                conflict: " ON CONFLICT (lane, tenant, id) DO NOTHING",
            },
        ),
        part(
            DeadLetters,
            "dead_letters",
            "outbox",
            &[
                ("id", Id),
                customer,
                ("topic", Bytes),
                ("due_at", Big),
                ("body", Bytes),
                ("attempt", Big),
                ("reason", Bytes),
            ],
            Act::Add {
                // The token 0 is no lease's.
                columns: ", id, customer, topic, due_at, body, attempt, token, reason".into(),
                values: ", :id, :customer, :topic, :due_at, :body, :attempt, 0, :reason".into(),
                conflict: " ON CONFLICT (lane, tenant, id) DO NOTHING",
            },
        ),
        add(
            PersonKeys,
            "person_keys",
            "person_key",
            &[customer, ("key", Bytes)],
            " ON CONFLICT (lane, tenant, customer) DO UPDATE SET key = excluded.key",
        ),
        drop(
            FieldsGone,
            "fields_gone",
            "personal",
            &[customer, ("field", Bytes)],
            "t.customer = :customer AND t.field = :field",
            false,
        ),
        add(
            Fields,
            "fields",
            "personal",
            &[customer, ("field", Bytes), ("value", Bytes)],
            " ON CONFLICT (lane, tenant, customer, field) DO UPDATE SET value = excluded.value",
        ),
        drop(TokensGone, "tokens_gone", "token", &[customer], "t.customer = :customer", false),
        add(
            Tokens,
            "tokens",
            "token",
            &[customer, ("token", Id)],
            " ON CONFLICT (lane, tenant, customer, token) DO NOTHING",
        ),
    ]
}

/// How a batch in the plain dialect comes by the positions of its entries, and who holds the lanes meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Places {
    /// The statement takes its one lane, and goes on from where the lane ended when it began. If somebody else was in the
    /// lane until then, that is too early by what they wrote: the key of the entries refuses it.
    OneLane,
    /// Statements before it took the lanes, so it sees where they end, and looks for each entry. The cheapest while few lanes
    /// have more than one.
    Each,
    /// The same, but it looks once for each lane.
    Found,
    /// They are in the rows.
    Given,
}

impl Places {
    /// Whether the lanes are values of the statement's own.
    pub(super) const fn have_heads(self) -> bool {
        matches!(self, Places::OneLane | Places::Found)
    }
}

/// The whole text of a batch in the plain dialect: `$1` is the tenant, and each part's cells follow as lists; only the lane
/// that is the one is no list. For each entry the last list says how far its lane is known to have come, if it is looked for.
/// Fails, and so writes nothing, unless every row that must be there is.
pub(super) fn bulk(parts: &[&Part], places: Places) -> String {
    let mut text = String::from("WITH ");
    let mut counts = Vec::new();
    let mut next = 2;
    let heads = parts.iter().any(|part| part.id == PartId::Heads);
    let locks = heads && places == Places::OneLane;
    let entries = parts.iter().any(|part| part.id == PartId::Entries);
    for (at, part) in parts.iter().enumerate() {
        let first = next;
        next += part.cells.len();
        let mut lists: Vec<String> =
            part.cells.iter().zip(first..).map(|((_, kind), number)| format!("${number}::{}[]", kind.sql())).collect();
        let mut names: Vec<&str> = part.cells.iter().map(|(name, _)| *name).collect();
        if part.id == PartId::Entries && places == Places::Each {
            lists.push(format!("${next}::bigint[]"));
            names.push("known");
            next += 1;
        }
        let rows = format!("unnest({}) AS u({})", lists.join(", "), names.join(", "));
        if part.id == PartId::Heads {
            text.push_str(&heads_of(&rows, places, entries));
            continue;
        }
        if part.is_counted() {
            counts.push(format!("(SELECT count(*) FROM {}) = cardinality(${first})", part.name));
        }
        // The tokens that come follow those that go, and what comes need not go before.
        let but = match (part.id, parts.get(at + 1)) {
            (PartId::TokensGone, Some(_)) => format!(
                " AND NOT EXISTS (SELECT 1 FROM unnest(${}::uuid[], ${}::uuid[]) AS n(customer, token) \
                 WHERE n.customer = t.customer AND n.token = t.token)",
                next + 1,
                next + 2
            ),
            _ => String::new(),
        };
        let _ = write!(text, "{} AS ({}), ", part.name, one_part(part, &rows, locks, places, &but));
    }
    text.truncate(text.len() - 2);
    if counts.is_empty() {
        text.push_str(" SELECT 1");
    } else {
        let _ = write!(text, " SELECT 1 / CASE WHEN {} THEN 1 ELSE 0 END", counts.join(" AND "));
    }
    text
}

/// How many lanes have a lock of their own. More share them, since a server has room for some thousands in all.
pub(super) const LOCKS: u16 = 1024;

/// Where a lane ended before the statement, which has come to a known position. Where nothing is found, though an entry
/// should be there, it is null, which no position may be.
fn end_of(lane: &str, known: &str) -> String {
    // An index is read page by page, and of a page all that the condition meets: so the known position saves
    // looking at hundreds of entries to find the last one.
    format!(
        "coalesce((SELECT e.position FROM @.entry e WHERE e.lane = {lane} AND e.position >= {known} \
         ORDER BY e.position DESC LIMIT 1), CASE {known} WHEN 0 THEN 0 END)"
    )
}

/// Takes the one lane, which everything else waits for, or finds where each of several ends.
fn heads_of(rows: &str, places: Places, entries: bool) -> String {
    match places {
        Places::OneLane => {
            format!("ready AS MATERIALIZED (SELECT pg_advisory_xact_lock(@class, $2::smallint & {})), ", LOCKS - 1)
        }
        Places::Found if entries => {
            format!("heads AS MATERIALIZED (SELECT u.lane, {} AS base FROM {rows}), ", end_of("u.lane", "u.known"))
        }
        Places::Found | Places::Each | Places::Given => String::new(),
    }
}

fn one_part(part: &Part, rows: &str, locks: bool, places: Places, but: &str) -> String {
    let Part { table, act, .. } = part;
    let from = if locks { format!("ready, {rows}") } else { rows.to_owned() };
    let of_row = |text: &str| text.replace(':', "u.");
    match act {
        Act::Add { columns, values, conflict } if part.id == PartId::Entries && places != Places::Given => {
            let (base, from) = match places {
                // The lane is that of every row, so this is looked up once.
                Places::OneLane => (end_of("$2::smallint", "$3::bigint"), from),
                Places::Each => (end_of("u.lane", "u.known"), from),
                Places::Found | Places::Given => {
                    ("heads.base".to_owned(), format!("heads JOIN {rows} ON u.lane = heads.lane"))
                }
            };
            let values = of_row(values).replace("u.position", &format!("{base} + u.position"));
            format!("INSERT INTO @.{table} (lane, tenant{columns}) SELECT u.lane, $1{values} FROM {from}{conflict}")
        }
        Act::Add { columns, values, conflict } => {
            format!(
                "INSERT INTO @.{table} (lane, tenant{columns}) SELECT u.lane, $1{} FROM {from}{conflict}",
                of_row(values)
            )
        }
        Act::Set { set, keys } => format!(
            "UPDATE @.{table} t SET {} FROM {from} WHERE t.lane = u.lane AND t.tenant = $1 AND {} RETURNING 1",
            of_row(set),
            of_row(keys)
        ),
        Act::Drop { keys, .. } => format!(
            "DELETE FROM @.{table} t USING {from} WHERE t.lane = u.lane AND t.tenant = $1 AND {}{but} RETURNING 1",
            of_row(keys)
        ),
        Act::Hold { keys } => format!(
            "SELECT 1 FROM {from} JOIN @.{table} t ON t.lane = u.lane AND t.tenant = $1 AND {} FOR UPDATE OF t",
            of_row(keys)
        ),
    }
}

/// The text of a part in the sharded dialect, for so many rows of one lane: `$1` is the lane and `$2` the
/// tenant. Rows are changed and removed one by one.
pub(super) fn single(part: &Part, rows: usize) -> String {
    let Part { table, cells, act, .. } = part;
    let numbered = |text: &str, row: usize| {
        let first = 3 + row * (cells.len() - 1);
        let mut text = text.to_owned();
        // Longer names first, so that none is taken for the beginning of another.
        let mut names: Vec<(usize, &str)> = cells[1..].iter().map(|(name, _)| *name).enumerate().collect();
        names.sort_by_key(|(_, name)| std::cmp::Reverse(name.len()));
        for (at, name) in names {
            text = text.replace(&format!(":{name}"), &format!("${}", first + at));
        }
        text
    };
    match act {
        Act::Add { columns, values, conflict } => {
            let rows: Vec<String> = (0..rows).map(|row| format!("($1, $2{})", numbered(values, row))).collect();
            format!("INSERT INTO @.{table} (lane, tenant{columns}) VALUES {}{conflict}", rows.join(", "))
        }
        Act::Set { set, keys } => format!(
            "UPDATE @.{table} t SET {} WHERE t.lane = $1 AND t.tenant = $2 AND {} RETURNING 1",
            numbered(set, 0),
            numbered(keys, 0)
        ),
        Act::Drop { keys, .. } => {
            format!("DELETE FROM @.{table} t WHERE t.lane = $1 AND t.tenant = $2 AND {} RETURNING 1", numbered(keys, 0))
        }
        Act::Hold { keys } => format!(
            "SELECT 1 FROM @.{table} t WHERE t.lane = $1 AND t.tenant = $2 AND {} FOR UPDATE",
            numbered(keys, 0)
        ),
    }
}
