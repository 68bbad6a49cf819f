//! What the server said when it refused a statement, without what it quoted: its detail repeats the row that broke a
//! constraint, and a message about a value repeats the value. Both may tell of a person.

use tokio_postgres::error::DbError;

/// An error of the server's, as it is handed to the host: by its code and what it is about.
#[derive(Debug)]
pub(super) struct ServerError {
    /// SQLSTATE: Appendix A of the manual of PostgreSQL.
    code: String,
    /// What it says in words; nothing of data exceptions, which quote values.
    message: Option<String>,
    table: Option<String>,
    column: Option<String>,
    constraint: Option<String>,
}

impl ServerError {
    fn of(error: &DbError) -> Self {
        let named = |name: Option<&str>| name.map(str::to_owned);
        let code = error.code().code().to_owned();
        // Class 22 is about values, and P0 is what somebody's trigger says.
        let quotes = code.starts_with("22") || code.starts_with("P0");
        ServerError {
            message: (!quotes).then(|| error.message().to_owned()),
            code,
            table: named(error.table()),
            column: named(error.column()),
            constraint: named(error.constraint()),
        }
    }
}

impl std::fmt::Display for ServerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the server answered {}", self.code)?;
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        for (what, name) in [("table", &self.table), ("column", &self.column), ("constraint", &self.constraint)] {
            if let Some(name) = name {
                write!(f, ", {what} {name}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ServerError {}

/// An error of the client's as it can be shown to anybody.
pub(super) fn shown(error: tokio_postgres::Error) -> Box<dyn std::error::Error + Send + Sync> {
    match error.as_db_error() {
        Some(said) => Box::new(ServerError::of(said)),
        None => Box::new(error),
    }
}
