//! The same SQL by hand: one connection, prepared statements, the same tables, settings and questions.

use std::path::Path;

use crm_core::Column;
use crm_storage::{Commit, CustomerWrite, Expected};
use rusqlite::{Connection, OptionalExtension, params};

const TABLES: &str = include_str!("../../crm-storage/src/sqlite/migrations/0001_rows.sql");

pub(crate) struct ByHand {
    pub(crate) file: Connection,
    add: String,
    set: String,
}

impl ByHand {
    pub(crate) fn open(path: &Path) -> Self {
        let file = Connection::open(path).unwrap();
        file.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
             PRAGMA foreign_keys = ON; PRAGMA cell_size_check = ON; PRAGMA wal_autocheckpoint = 8000;
             PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -131072; PRAGMA temp_store = MEMORY;",
        )
        .unwrap();
        file.execute_batch(TABLES).unwrap();
        file.execute("INSERT INTO crm_tenant (name) VALUES ('default')", []).unwrap();
        file.set_prepared_statement_cache_capacity(32);
        let names = Column::ALL.map(Column::name);
        let places: Vec<String> = (6..6 + names.len()).map(|n| format!("?{n}")).collect();
        let moves: Vec<String> = names.iter().zip(6..).map(|(name, n)| format!("{name} = ?{n}")).collect();
        let add = format!(
            "INSERT INTO crm_customer (tenant, id, version, shape, state, sets, {}) VALUES (1, ?1, ?2, ?3, ?4, ?5, {})",
            names.join(", "),
            places.join(", ")
        );
        let set = format!(
            "UPDATE crm_customer SET version = ?2, shape = ?3, state = ?4, sets = ?5, {} WHERE tenant = 1 AND id = ?1",
            moves.join(", ")
        );
        ByHand { file, add, set }
    }

    /// Writes a batch in one transaction, each write checked against the version that is there. The batch is
    /// done with afterwards, as in the store: to free what was made long before is not nothing.
    pub(crate) fn commit(&mut self, commits: Vec<Commit>) {
        let run = |sql| self.file.prepare_cached(sql).unwrap().execute([]).unwrap();
        run("BEGIN IMMEDIATE");
        for write in commits.iter().flat_map(|commit| &commit.writes) {
            put(&self.file, write, &self.add, &self.set);
        }
        run("COMMIT");
        drop(commits);
    }
}

fn put(file: &Connection, write: &CustomerWrite, add: &str, set: &str) {
    let customer = write.customer.as_uuid().as_bytes();
    let version: Option<i64> = file
        .prepare_cached("SELECT version FROM crm_customer WHERE tenant = 1 AND id = ?1")
        .unwrap()
        .query_row([customer], |row| row.get(0))
        .optional()
        .unwrap();
    let expected = match write.expected {
        Expected::New => None,
        Expected::At(version) => Some(version.0 as i64),
    };
    assert_eq!(version, expected);
    for event in &write.events {
        let added = file
            .prepare_cached(
                "INSERT INTO crm_entry (tenant, customer, id, at, recorded_at, kind, shape, source, cause, body)
                 VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (tenant, customer, id) DO NOTHING",
            )
            .unwrap()
            .execute(params![
                customer,
                event.id.as_uuid().as_bytes(),
                event.at.as_millis(),
                event.recorded_at.as_millis(),
                event.kind.as_str(),
                event.shape,
                event.source.as_ref().map(crm_core::Source::as_str),
                event.cause.map(|cause| *cause.as_uuid().as_bytes()),
                event.body,
            ])
            .unwrap();
        assert_eq!(added, 1);
    }
    let state = write.state.as_ref().unwrap();
    let next = version.unwrap_or(0) + 1;
    let numbers: Vec<Option<i64>> = write.traits.columns.values().collect();
    let sets: Option<&str> = None;
    let mut values: Vec<&dyn rusqlite::ToSql> = vec![customer, &next, &state.shape, &state.bytes, &sets];
    values.extend(numbers.iter().map(|number| number as &dyn rusqlite::ToSql));
    let sql = if version.is_none() { add } else { set };
    file.prepare_cached(sql).unwrap().execute(&values[..]).unwrap();
}
