//! The schema, as numbered steps that are never edited. The schema itself keeps which of them it has had,
//! each with its checksum; the rest are run when it is opened, all in one transaction.

use std::fmt::Write as _;
use std::sync::LazyLock;

use crm_core::{Column, Digest};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::options::PostgresOptions;
use crate::error::StorageError;
use crate::migration::Step;

/// The numbered files.
const FILES: [(&str, &str); 5] = [
    ("rows", include_str!("migrations/0001_rows.sql")),
    ("heads", include_str!("migrations/0002_heads.sql")),
    ("ends", include_str!("migrations/0003_ends.sql")),
    ("inputs", include_str!("migrations/0004_inputs.sql")),
    ("score terms", include_str!("migrations/0005_score_terms.sql")),
];

/// The number of the step that adds the first column; each column after it has the next one.
const COLUMNS: u32 = 10_000;
/// The number of the index of the first column. Indexes are looked for and not kept in the history.
const INDEXES: u32 = 20_000;
/// The number of the step that puts up the second wall, which is looked for as well.
const WALL: u32 = 30_000;

/// The tables that carry a tenant.
pub(super) const OF_TENANT: [&str; 13] = [
    "tenant",
    "definition",
    "customer",
    "entry",
    "score",
    "alarm",
    "claim",
    "counter",
    "request",
    "outbox",
    "personal",
    "person_key",
    "token",
];

/// The history of a schema. Only this table has no lane, since it is the schema's.
const HISTORY: &str =
    "CREATE TABLE @.migration (step integer PRIMARY KEY, name text NOT NULL, checksum bytea NOT NULL);";

/// A step as it is written, before the schema's name is put in.
struct Template {
    number: u32,
    name: String,
    text: String,
}

impl Template {
    fn new(number: u32, name: impl Into<String>, text: impl Into<String>) -> Self {
        Template { number, name: name.into(), text: text.into() }
    }

    fn checksum(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }
}

/// All steps that the history keeps.
fn recorded() -> Vec<Template> {
    let files = FILES.iter().zip(1..).map(|((name, text), number)| Template::new(number, *name, *text));
    let columns = Column::ALL.iter().zip(COLUMNS..).map(|(column, number)| {
        let name = column.name();
        Template::new(number, format!("column {name}"), format!("ALTER TABLE @.customer ADD COLUMN {name} bigint;\n"))
    });
    files.chain(columns).collect()
}

/// The indexes that the options ask for, each with the relation that is there once it was made.
fn indexes(options: &PostgresOptions) -> Vec<(String, Template)> {
    let wanted = Column::ALL.iter().zip(INDEXES..).filter(|(column, _)| options.indexed.contains(column));
    let mut indexes: Vec<_> = wanted
        .map(|(column, number)| {
            let name = format!("customer_by_{}", column.name());
            let text = format!("CREATE INDEX {name} ON @.customer (tenant, {});\n", column.name());
            (name, Template::new(number, format!("index of {}", column.name()), text))
        })
        .collect();
    if options.index_sets {
        let text = "CREATE INDEX customer_by_sets ON @.customer USING gin (sets);\n";
        indexes.push(("customer_by_sets".into(), Template::new(WALL - 1, "index of sets", text)));
    }
    if options.index_scores {
        let text = "CREATE INDEX score_by_value ON @.score (tenant, plugin, output, value);\n";
        indexes.push(("score_by_value".into(), Template::new(WALL - 2, "index of scores", text)));
    }
    indexes
}

/// Row security on every table that carries a tenant. The feed is the store's, so it sees all of them.
fn wall() -> Template {
    let mut text = String::new();
    for table in OF_TENANT {
        let of_feed = ["entry", "tenant"].contains(&table);
        let mine = if of_feed {
            "CASE current_setting('crm.tenant') WHEN 'all' THEN true ELSE tenant = current_setting('crm.tenant')::bigint END"
        } else {
            "tenant = current_setting('crm.tenant')::bigint"
        };
        let _ = writeln!(
            text,
            "ALTER TABLE @.{table} ENABLE ROW LEVEL SECURITY;\nALTER TABLE @.{table} FORCE ROW LEVEL SECURITY;\n\
             CREATE POLICY tenant ON @.{table} USING ({mine}) \
             WITH CHECK (tenant = current_setting('crm.tenant')::bigint);"
        );
    }
    Template::new(WALL, "row security", text)
}

/// The schema's name where it is put into texts.
pub(super) fn qualified(text: &str, schema: &str) -> String {
    text.replace("@class", &class(schema).to_string()).replace("@.", &format!("\"{schema}\"."))
}

/// The first number of the advisory locks on a schema's lanes: others in the database have others, by all odds. If
/// they have not, they wait for each other, and no more.
fn class(schema: &str) -> i32 {
    let [a, b, c, d, ..] = *Digest::of(format!("crm lanes of {schema}").as_bytes()).as_bytes();
    i32::from_be_bytes([a, b, c, d])
}

/// What is there, and what is to be done.
pub(super) struct Found {
    /// Whether there is a schema of that name, whoever's it is.
    exists: bool,
    /// Whether it has a history.
    has_history: bool,
    /// Steps in the order of their numbers, and whether each is kept in the history.
    pending: Vec<(Template, bool)>,
}

/// What is known of a schema once it is open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    pub(super) lanes: u16,
    pub(super) durable: bool,
    pub(super) wall: bool,
}

/// The digest of the steps that a schema of this program has had.
pub(super) static STEPS_TAKEN: LazyLock<Digest> = LazyLock::new(|| {
    let mut steps: Vec<Template> = recorded();
    steps.sort_by_key(|step| step.number);
    let line = |step: &Template| format!("{} {}\n", step.number, step.checksum());
    Digest::of(steps.iter().map(line).collect::<String>().as_bytes())
});

/// The same of the schema that a statement sees.
pub(super) const STEPS_THERE: &str = "SELECT sha256(convert_to(string_agg(step || ' ' || encode(checksum, 'hex') || chr(10), '' ORDER BY step), \
     'UTF8')) FROM @.migration";

/// Looks at a schema and touches nothing. One that is newer than this program, or was altered, is refused.
pub(super) async fn look(client: &Client, options: &PostgresOptions) -> Result<Found, StorageError> {
    let schema = &options.schema;
    let row = client
        .query_typed_one(
            "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1), EXISTS (SELECT 1 FROM pg_class \
             JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = $1 AND relname = 'migration'), \
             COALESCE((SELECT relrowsecurity FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace \
             WHERE nspname = $1 AND relname = 'customer'), false)",
            &[(schema, Type::TEXT)],
        )
        .await
        .map_err(unreadable)?;
    let (exists, has_history, has_wall): (bool, bool, bool) = (row.get(0), row.get(1), row.get(2));
    let mut pending: Vec<(Template, bool)> = recorded().into_iter().map(|step| (step, true)).collect();
    if has_history {
        let text = qualified("SELECT step, name, checksum FROM @.migration ORDER BY step", schema);
        for row in client.query_typed(&text, &[]).await.map_err(unreadable)? {
            let (number, name, checksum): (i32, String, &[u8]) = (row.get(0), row.get(1), row.get(2));
            let known = pending.iter().position(|(step, _)| i64::from(step.number) == i64::from(number));
            let Some(known) = known else {
                return Err(refused(format!(
                    "the schema {schema} has had step {number} ({name}), which this program does not know: it is newer"
                )));
            };
            let (step, _) = pending.remove(known);
            if step.checksum().as_bytes() != checksum || step.name != name {
                return Err(refused(format!("step {number} ({name}) of the schema {schema} is another one here")));
            }
        }
    }
    for (relation, step) in indexes(options) {
        let text =
            "SELECT 1 FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = $1 AND relname = $2";
        if client
            .query_typed_opt(text, &[(schema, Type::TEXT), (&relation, Type::TEXT)])
            .await
            .map_err(unreadable)?
            .is_none()
        {
            pending.push((step, false));
        }
    }
    if options.row_security && !has_wall {
        pending.push((wall(), false));
    }
    Ok(Found { exists, has_history, pending })
}

impl Found {
    /// What is to be done, as it would be sent.
    pub(super) fn steps(&self, options: &PostgresOptions) -> Vec<Step> {
        let lanes = options.lanes.unwrap_or(PostgresOptions::DEFAULT_LANES).to_string();
        let history = (!self.has_history).then(|| {
            let create = if self.exists { String::new() } else { format!("CREATE SCHEMA \"{}\";\n", options.schema) };
            let sql = create + &qualified(HISTORY, &options.schema) + "\n";
            Step { number: 0, name: "history".into(), sql }
        });
        let steps = self.pending.iter().map(|(template, kept)| {
            let mut text = template.text.clone();
            if *kept {
                let checksum = template.checksum();
                let _ = writeln!(
                    text,
                    "INSERT INTO @.migration (step, name, checksum) VALUES ({}, '{}', '\\x{checksum}');",
                    template.number, template.name
                );
            }
            let sql = qualified(&text, &options.schema).replace("@lanes", &lanes);
            Step { number: template.number, name: template.name.clone(), sql }
        });
        history.into_iter().chain(steps).collect()
    }
}

/// The whole schema, for one who runs it.
pub(super) fn whole(options: &PostgresOptions) -> String {
    let mut pending: Vec<(Template, bool)> = recorded().into_iter().map(|step| (step, true)).collect();
    pending.extend(indexes(options).into_iter().map(|(_, step)| (step, false)));
    pending.extend(options.row_security.then(|| (wall(), false)));
    let found = Found { exists: false, has_history: false, pending };
    found.steps(options).iter().map(|step| format!("{step}\n\n")).collect()
}

/// What spreads a schema over a Citus cluster.
pub(super) fn citus(options: &PostgresOptions) -> String {
    qualified(include_str!("citus.sql"), &options.schema)
}

/// Brings a schema up to date. Several processes may try at once: the first one does it.
pub(super) async fn migrate(client: &Client, options: &PostgresOptions) -> Result<(), StorageError> {
    let pending = look(client, options).await?.pending;
    if pending.is_empty() {
        return Ok(());
    }
    if !options.migrate {
        let names: Vec<&str> = pending.iter().map(|(step, _)| step.name.as_str()).collect();
        return Err(refused(format!(
            "the schema {} is not up to date and may not be changed; it lacks: {}",
            options.schema,
            names.join(", ")
        )));
    }
    let done = run(client, options).await;
    if done.is_err() {
        // What matters is the first error; a transaction that cannot be left ends with its connection.
        let _left = client.batch_execute("ROLLBACK").await;
    }
    done
}

async fn run(client: &Client, options: &PostgresOptions) -> Result<(), StorageError> {
    let failed = |error| open_error("the schema cannot be brought up to date", error);
    // The lock of the first bytes of a digest, so that nobody else's can be meant; it goes with the transaction.
    let lock = number(&format!("crm schema {}", options.schema));
    let begin = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0; \
         SELECT pg_advisory_xact_lock({lock})"
    );
    client.batch_execute(&begin).await.map_err(failed)?;
    for step in look(client, options).await?.steps(options) {
        client.batch_execute(&step.sql).await.map_err(failed)?;
    }
    client.batch_execute("COMMIT").await.map_err(failed)
}

/// Reads what must be known, and refuses what cannot be worked with.
pub(super) async fn facts(client: &Client, options: &PostgresOptions) -> Result<Facts, StorageError> {
    let schema = &options.schema;
    let text = "SELECT current_setting('fsync') = 'on' AND current_setting('synchronous_commit') <> 'off' AND \
        current_setting('full_page_writes') = 'on', COALESCE((SELECT relrowsecurity FROM pg_class \
        JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = $1 AND relname = 'customer'), false)";
    let row = client.query_typed_one(text, &[(schema, Type::TEXT)]).await.map_err(unreadable)?;
    let heads = qualified("SELECT count(*) FROM @.lane_head", schema);
    let lanes: i64 = client.query_typed_one(&heads, &[]).await.map_err(unreadable)?.get(0);
    let lanes = u16::try_from(lanes).ok().filter(|lanes| lanes.is_power_of_two());
    let lanes = lanes.ok_or_else(|| refused(format!("the lanes of the schema {schema} are not a power of two")))?;
    match options.lanes {
        Some(wanted) if wanted != lanes => {
            Err(refused(format!("the schema {schema} was made with {lanes} lanes, and {wanted} were asked for")))
        }
        _ => Ok(Facts { lanes, durable: row.get(0), wall: row.get(1) }),
    }
}

/// Refuses a server that cannot keep what there is to keep.
pub(super) async fn check_server(client: &Client) -> Result<(), StorageError> {
    let text = "SELECT current_setting('server_version_num')::integer, current_setting('server_encoding')";
    let row = client.query_typed_one(text, &[]).await.map_err(unreadable)?;
    let (version, encoding): (i32, String) = (row.get(0), row.get(1));
    if version < 120_000 {
        return Err(refused("the server is older than PostgreSQL 12".into()));
    }
    if encoding != "UTF8" {
        return Err(refused(format!("the database is encoded as {encoding} and not as UTF8")));
    }
    Ok(())
}

/// The first eight bytes of the SHA-256 of a name.
pub(super) fn number(name: &str) -> i64 {
    let digest = Digest::of(name.as_bytes());
    let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

fn refused(reason: String) -> StorageError {
    StorageError::Open { reason, source: None }
}

fn unreadable(error: tokio_postgres::Error) -> StorageError {
    open_error("the schema cannot be read", error)
}

pub(super) fn open_error(reason: &str, error: tokio_postgres::Error) -> StorageError {
    StorageError::Open { reason: reason.into(), source: Some(Box::new(error)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_ran_somewhere_are_never_edited() {
        let files = FILES.map(|(_, text)| Digest::of(text.as_bytes()).to_string());
        let known = [
            "38b75905b2a1999f781f22fdfbbff9e9db4a24434e3ff1d612ee8cd8030afd5d",
            "badabb1d55ead7b74e8dd20b58a0b9c0e5966c71fe70853098af50b7f2857733",
            "6e50c8dd13b926350700476085327f5bf839552f024b82f7909f17c21e07a025",
            "9882b0cb4bb521e28e41b5ee135536c5193a4fe51fa6c0c4f5dce714cd71557e",
            "1baae48d6183dc18cb3eb3f6dce0d81d8201fcd78f10e7f541a1c2a494b7c859",
        ];
        assert_eq!(files, known);
        for (step, column) in recorded()[FILES.len()..].iter().zip(Column::ALL) {
            assert_eq!(step.text, format!("ALTER TABLE @.customer ADD COLUMN {} bigint;\n", column.name()));
        }
    }

    #[test]
    fn every_table_with_a_lane_is_spread_over_a_cluster() {
        let sql = citus(&PostgresOptions::default());
        let spread = |table: &&str| sql.contains(&format!("create_distributed_table('\"crm\".{table}', 'lane'"));
        assert!(OF_TENANT.iter().chain(&["lane_head", "consumer"]).all(spread), "{sql}");
        assert_eq!(sql.matches("create_distributed_table").count(), OF_TENANT.len() + 2);
    }

    #[test]
    fn the_whole_schema_names_no_other() {
        let options = PostgresOptions::default().schema("shop").lanes(4).indexed(&Column::ALL).row_security(true);
        let sql = whole(&options);
        assert!(!sql.contains('@'), "{sql}");
        assert!(sql.contains("generate_series(0, 4 - 1)"));
        assert!(sql.contains("CREATE INDEX customer_by_spend ON \"shop\".customer (tenant, spend)"));
    }
}
