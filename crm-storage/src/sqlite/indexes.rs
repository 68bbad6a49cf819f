//! Indexes that are there only where they were declared: of columns, of sets, and of scores. The database says
//! which there are, so that several processes agree, and SQLite keeps them up to date whoever writes.
//!
//! Sets stand in one text of the customer's row, which no index can look into. So each declared kind has a
//! table `crm_member_…`, kept by two triggers: they write what was added and what was taken away, and do nothing
//! when the text stays as it is.

use crm_core::{Column, SetKey, SetKind};
use rusqlite::{Connection, TransactionBehavior};

use super::open::refused;
use super::options::SqliteOptions;
use crate::error::StorageError;

/// Which indexes a database has.
#[derive(Debug)]
pub(super) struct Indexes {
    pub(super) columns: Vec<Column>,
    pub(super) sets: Vec<SetKind>,
    pub(super) scores: bool,
}

/// The index of scores. Old scores are in it as well: to know which is the newest when one is written would
/// cost another look-up and another page.
pub(super) const SCORES: &str = "crm_score_by_value";

/// The table of who is in the sets of a kind.
fn members(kind: SetKind) -> String {
    format!("crm_member_{}", kind.name())
}

/// The index of a column.
pub(super) fn by(column: Column) -> String {
    format!("crm_by_{}", column.name())
}

impl Indexes {
    /// None.
    pub(super) const NONE: Indexes = Indexes { columns: Vec::new(), sets: Vec::new(), scores: false };

    /// The table of who is in a set, if its kind has one.
    pub(super) fn members_of(&self, set: &SetKey) -> Option<String> {
        let is_of = |kind: &&SetKind| set.as_str().strip_prefix(kind.name()).is_some_and(|name| name.starts_with(':'));
        self.sets.iter().find(is_of).map(|&kind| members(kind))
    }

    /// The ones that are there.
    pub(super) fn of(file: &Connection) -> rusqlite::Result<Self> {
        let names = "SELECT name FROM sqlite_schema WHERE type <> 'trigger' AND \
                     (name GLOB 'crm_by_*' OR name GLOB 'crm_member_*' OR name = 'crm_score_by_value')";
        let mut select = file.prepare_cached(names)?;
        let mut rows = select.query([])?;
        let mut indexes = Indexes::NONE;
        while let Some(row) = rows.next()? {
            let name = row.get_ref(0)?.as_str()?;
            if let Some(name) = name.strip_prefix("crm_by_") {
                indexes.columns.extend(Column::ALL.into_iter().find(|column| column.name() == name));
            } else if let Some(name) = name.strip_prefix("crm_member_") {
                indexes.sets.extend(SetKind::ALL.into_iter().find(|kind| kind.name() == name));
            } else {
                indexes.scores = true;
            }
        }
        Ok(indexes)
    }

    /// Makes the ones that are declared, and drops those that are no longer declared. What nothing was said
    /// about stays as it is.
    pub(super) fn declare(file: &mut Connection, options: &SqliteOptions) -> Result<(), StorageError> {
        if options.indexed.is_none() && options.index_sets.is_none() && options.index_scores.is_none() {
            return Ok(());
        }
        let failed = |error| refused("an index cannot be made", error);
        let transaction = file.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let there = Self::of(&transaction).map_err(failed)?;
        let mut steps = String::new();
        let mut step = |there: bool, wanted: bool, make: &dyn Fn() -> String, drop: String| match (there, wanted) {
            (false, true) => steps.push_str(&make()),
            (true, false) => steps.push_str(&drop),
            (true, true) | (false, false) => {}
        };
        for column in Column::ALL.into_iter().filter(|_| options.indexed.is_some()) {
            let wanted = options.indexed.iter().flatten().any(|&wanted| wanted == column);
            let make = || format!("CREATE INDEX {} ON crm_customer (tenant, {});", by(column), column.name());
            step(there.columns.contains(&column), wanted, &make, format!("DROP INDEX {};", by(column)));
        }
        for kind in SetKind::ALL.into_iter().filter(|_| options.index_sets.is_some()) {
            let wanted = options.index_sets.iter().flatten().any(|&wanted| wanted == kind);
            step(there.sets.contains(&kind), wanted, &|| make_members(kind), drop_members(kind));
        }
        if let Some(wanted) = options.index_scores {
            let make = || format!("CREATE INDEX {SCORES} ON crm_score (tenant, plugin, output, value);");
            step(there.scores, wanted, &make, format!("DROP INDEX {SCORES};"));
        }
        transaction.execute_batch(&steps).map_err(failed)?;
        transaction.commit().map_err(failed)
    }
}

/// The sets of a text as rows of their own. A set has no control character in its name, so with these two
/// characters escaped the text is a list in JSON.
fn each(sets: &str) -> String {
    format!(
        r#"json_each('["' || replace(replace(replace(trim({sets}, char(31)), '\', '\\'), '"', '\"'), char(31), '","') || '"]')"#
    )
}

fn make_members(kind: SetKind) -> String {
    let (table, name) = (members(kind), kind.name());
    let (before, after) = (each("old.sets"), each("new.sets"));
    let absent = |sets: &str| format!("ifnull(instr({sets}, char(31) || value || char(31)), 0) = 0");
    let (added, gone) = (absent("old.sets"), absent("new.sets"));
    let everybody = each("sets");
    format!(
        "CREATE TABLE {table} (
             tenant   INTEGER NOT NULL,
             name     TEXT    NOT NULL,
             customer BLOB    NOT NULL,
             PRIMARY KEY (tenant, name, customer)
         ) STRICT, WITHOUT ROWID;
         INSERT INTO {table} SELECT tenant, value, crm_customer.id FROM crm_customer, {everybody}
             WHERE sets IS NOT NULL AND value GLOB '{name}:*';
         CREATE TRIGGER {table}_added AFTER INSERT ON crm_customer WHEN new.sets IS NOT NULL BEGIN
             INSERT INTO {table} SELECT new.tenant, value, new.id FROM {after} WHERE value GLOB '{name}:*';
         END;
         CREATE TRIGGER {table}_moved AFTER UPDATE OF sets ON crm_customer WHEN old.sets IS NOT new.sets BEGIN
             DELETE FROM {table} WHERE tenant = old.tenant AND customer = old.id
                 AND name IN (SELECT value FROM {before} WHERE {gone});
             INSERT INTO {table} SELECT new.tenant, value, new.id FROM {after}
                 WHERE value GLOB '{name}:*' AND {added};
         END;"
    )
}

fn drop_members(kind: SetKind) -> String {
    let table = members(kind);
    format!("DROP TRIGGER {table}_added; DROP TRIGGER {table}_moved; DROP TABLE {table};")
}
