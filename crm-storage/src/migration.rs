//! Steps of a schema, as both databases take them.

/// A step of a store's schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its number: steps are taken in order, from 1.
    pub number: u32,
    /// What it is called.
    pub name: String,
    /// What it runs.
    pub sql: String,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "-- {:04} {}\n{}", self.number, self.name, self.sql)
    }
}
