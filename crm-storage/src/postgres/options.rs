//! How a store connects, and how its schema is made.

use std::time::Duration;

use crm_core::Column;
use tokio::runtime::Handle;

use crate::error::StorageError;

/// Which statements a [`PostgresStore`](super::PostgresStore) sends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// For one PostgreSQL server: a commit is one statement over many lanes.
    #[default]
    Plain,
    /// For a schema that is spread over machines: each statement that writes or locks names one lane.
    Sharded,
}

/// How a [`PostgresStore`](super::PostgresStore) connects, and how its schema is made.
///
/// ```
/// use std::time::Duration;
/// use crm_core::Column;
/// use crm_storage::PostgresOptions;
///
/// let options = PostgresOptions::default().schema("shop_crm").connections(8).indexed(&[Column::LastOrder]);
/// # let _ = options.statement_timeout(Duration::from_secs(10));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct PostgresOptions {
    pub(super) schema: String,
    pub(super) lanes: Option<u16>,
    pub(super) connections: usize,
    pub(super) statement_timeout: Duration,
    pub(super) lock_timeout: Duration,
    pub(super) prepared: bool,
    pub(super) dialect: Dialect,
    pub(super) indexed: Vec<Column>,
    pub(super) index_sets: bool,
    pub(super) index_scores: bool,
    pub(super) migrate: bool,
    pub(super) row_security: bool,
    pub(super) runtime: Option<Handle>,
}

impl Default for PostgresOptions {
    /// The schema `crm` of 1,024 lanes, 16 connections, 30 seconds for a statement and 10 for a lock,
    /// prepared statements, no columns indexed, the schema brought up to date, no row security.
    fn default() -> Self {
        PostgresOptions {
            schema: "crm".into(),
            lanes: None,
            connections: 16,
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(10),
            prepared: true,
            dialect: Dialect::Plain,
            indexed: Vec::new(),
            index_sets: false,
            index_scores: false,
            migrate: true,
            row_security: false,
            runtime: None,
        }
    }
}

impl PostgresOptions {
    /// How many lanes a schema has for which nothing else was asked.
    pub const DEFAULT_LANES: u16 = 1024;
    /// The most lanes a schema can have.
    pub const LANES_MAX: u16 = 1 << 14;

    /// The schema that the store's tables are in: at most 40 lower-case letters, digits and underscores,
    /// the first no digit. Each schema is a store of its own.
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = name.into();
        self
    }

    /// Over how many lanes rows are spread, a power of two up to [`PostgresOptions::LANES_MAX`]. It is fixed when
    /// the schema is made: opening one with another number is refused. If nothing is asked for, what is there holds.
    pub fn lanes(mut self, lanes: u16) -> Self {
        self.lanes = Some(lanes);
        self
    }

    /// How many connections there are at most. Who finds them all busy waits.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// How long a statement may take; zero for as long as it likes. Without prepared statements the
    /// server's own setting holds.
    pub fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout;
        self
    }

    /// How long a statement waits for another writer; zero for as long as it likes. Without prepared
    /// statements the server's own setting holds.
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// Whether statements are prepared and connections have settings of their own. Neither works through
    /// a pooler that gives each transaction another connection, such as PgBouncer in transaction mode.
    pub fn prepared(mut self, prepared: bool) -> Self {
        self.prepared = prepared;
        self
    }

    /// Which statements are sent.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// The columns that customers are often chosen by. Each has an index, which costs every write of a
    /// customer whose number moved. An index that is no longer declared stays until it is dropped by hand.
    pub fn indexed(mut self, columns: &[Column]) -> Self {
        self.indexed = columns.to_vec();
        self
    }

    /// Has an index of the sets that customers are in.
    pub fn index_sets(mut self, index: bool) -> Self {
        self.index_sets = index;
        self
    }

    /// Has an index of the scores' values, by which a selection finds the customers whose score is, say, high.
    /// Without it each such selection asks for the score of every customer. It costs every score that is written.
    pub fn index_scores(mut self, index: bool) -> Self {
        self.index_scores = index;
        self
    }

    /// Whether opening brings the schema up to date. Otherwise a schema that is not is refused.
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// Has the server refuse rows of another tenant than the one that a transaction named: a second wall
    /// behind the statements, which name the tenant anyway. Costs each call a transaction of its own. It does not
    /// bind a superuser, nor a role that bypasses row security.
    pub fn row_security(mut self, on: bool) -> Self {
        self.row_security = on;
        self
    }

    /// Drives the connections on the host's runtime, which needs I/O and time enabled and must outlive the
    /// store. Without it the store has a thread of its own.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Refuses options that contradict themselves.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        let refused = |reason: String| Err(StorageError::Open { reason, source: None });
        let plain = |letter: char| letter.is_ascii_lowercase() || letter == '_';
        let name = &self.schema;
        let legal = name.starts_with(plain)
            && name.chars().all(|letter| plain(letter) || letter.is_ascii_digit())
            && name.len() <= 40
            && !name.starts_with("pg_");
        if !legal {
            return refused(format!(
                "{name:?} is no name for a schema: 1 to 40 lower-case letters, digits and underscores, the first no \
                 digit, and not beginning with pg_"
            ));
        }
        match self.lanes {
            Some(lanes) if !lanes.is_power_of_two() || lanes > Self::LANES_MAX => {
                refused(format!("{lanes} lanes are not a power of two up to {}", Self::LANES_MAX))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_has_a_plain_name() {
        for name in ["crm", "_a1", &"x".repeat(40)] {
            PostgresOptions::default().schema(name).check().unwrap();
        }
        for name in ["", "1a", "Crm", "a\"b", "a.b", "pg_crm", "ä", &"x".repeat(41)] {
            assert!(PostgresOptions::default().schema(name).check().is_err(), "{name}");
        }
    }

    #[test]
    fn lanes_are_a_power_of_two() {
        for (lanes, legal) in [(0, false), (1, true), (3, false), (1024, true), (1 << 14, true), (1 << 15, false)] {
            assert_eq!(PostgresOptions::default().lanes(lanes).check().is_ok(), legal, "{lanes}");
        }
    }
}
