//! The same rows written to SQLite by hand: one transaction for each batch, prepared statements, and
//! nothing but the inserts and the upsert. The tables are those of the store, without its questions.

use std::path::Path;
use std::sync::LazyLock;

use crm_core::Column;
use crm_storage::{Commit, Expected};
use rusqlite::{Connection, params};

/// The upsert of a customer with all their columns.
static PUT_CUSTOMER: LazyLock<String> = LazyLock::new(|| {
    let names = Column::ALL.map(Column::name);
    let places: Vec<String> = (6..6 + names.len()).map(|n| format!("?{n}")).collect();
    let moves = names.map(|name| format!("{name} = excluded.{name}"));
    format!(
        "INSERT INTO crm_customer (tenant, id, version, shape, state, sets, {}) VALUES (1, ?1, ?2, ?3, ?4, ?5, {})
         ON CONFLICT DO UPDATE SET version = excluded.version, shape = excluded.shape, state = excluded.state,
         sets = excluded.sets, {}",
        names.join(", "),
        places.join(", "),
        moves.join(", ")
    )
});

const TABLES: &str = include_str!("../../crm-storage/src/sqlite/migrations/0001_rows.sql");

pub(crate) struct ByHand(Connection);

impl ByHand {
    /// A new file, as durable as the store's: WAL, synchronous=FULL, the same checkpoints and cache.
    pub(crate) fn open(path: &Path) -> Result<Self, rusqlite::Error> {
        let file = Connection::open(path)?;
        file.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
             PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 8000; PRAGMA cache_size = -131072;",
        )?;
        file.execute_batch(TABLES)?;
        file.execute("INSERT INTO crm_tenant (name) VALUES ('default')", [])?;
        file.set_prepared_statement_cache_capacity(32);
        Ok(ByHand(file))
    }

    /// Writes what the commits say.
    pub(crate) fn write(&mut self, batches: &[Vec<Commit>]) -> Result<(), rusqlite::Error> {
        for batch in batches {
            let transaction = self.0.transaction()?;
            for commit in batch {
                write(&transaction, commit)?;
            }
            transaction.commit()?;
        }
        Ok(())
    }
}

fn write(file: &Connection, commit: &Commit) -> Result<(), rusqlite::Error> {
    for write in &commit.writes {
        let customer = write.customer.as_uuid().as_bytes();
        if let Some(state) = &write.state {
            let version = match write.expected {
                Expected::New => 1,
                Expected::At(version) => version.0 as i64 + 1,
            };
            let numbers: Vec<Option<i64>> = write.traits.columns.values().collect();
            let sets: String = write.traits.sets.iter().flat_map(|set| [set.as_str(), "\u{1f}"]).collect();
            let mut values: Vec<&dyn rusqlite::ToSql> = vec![customer, &version, &state.shape, &state.bytes, &sets];
            values.extend(numbers.iter().map(|number| number as &dyn rusqlite::ToSql));
            file.prepare_cached(&PUT_CUSTOMER)?.execute(&values[..])?;
        }
        for event in &write.events {
            file.prepare_cached(
                "INSERT INTO crm_entry (tenant, customer, id, at, recorded_at, kind, shape, source, cause, body)
                 VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                customer,
                event.id.as_uuid().as_bytes(),
                event.at.as_millis(),
                event.recorded_at.as_millis(),
                event.kind.as_str(),
                event.shape,
                event.source.as_ref().map(crm::Source::as_str),
                event.cause.map(|cause| *cause.as_uuid().as_bytes()),
                event.body,
            ])?;
        }
        for change in &write.changes {
            file.prepare_cached("INSERT INTO crm_entry (tenant, customer, at, kind, body) VALUES (1, ?1, ?2, ?3, ?4)")?
                .execute(params![customer, change.at.as_millis(), change.kind.as_str(), change.body])?;
        }
        if let Some(alarm) = &write.alarm {
            if let Some(from) = alarm.from {
                file.prepare_cached(
                    "DELETE FROM crm_alarm WHERE tenant = 1 AND due_at = ?1 AND kind = ?2 AND customer = ?3",
                )?
                .execute(params![from.due_at.as_millis(), from.kind.rank(), customer])?;
            }
            if let Some(to) = alarm.to {
                file.prepare_cached("INSERT INTO crm_alarm (tenant, due_at, kind, customer) VALUES (1, ?1, ?2, ?3)")?
                    .execute(params![to.due_at.as_millis(), to.kind.rank(), customer])?;
            }
        }
    }
    for claim in &commit.claims {
        file.prepare_cached("INSERT INTO crm_claim (tenant, kind, key, customer, event) VALUES (1, ?1, ?2, ?3, ?4)")?
            .execute(params![
            claim.key.kind.as_str(),
            claim.key.key,
            claim.customer.as_uuid().as_bytes(),
            claim.event.as_uuid().as_bytes(),
        ])?;
    }
    Ok(())
}
