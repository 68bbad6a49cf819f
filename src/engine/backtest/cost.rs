//! What a replay cost.

use std::time::Duration;

/// How far a replay has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayProgress {
    /// How many rows were read: customers, those who were merged into others, and the few that are kept like customers.
    pub rows: u64,
    /// How many there were in all in the beginning.
    pub of: u64,
    /// How often a plugin was called.
    pub calls: u64,
}

/// What a replay cost. Times are of this run on this machine; all else is the same each time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayCost {
    /// How many events and changes were read.
    pub entries: u64,
    /// How many bytes their bodies have.
    pub bytes_read: u64,
    /// How often the plugin was called.
    pub calls: u64,
    /// How many rows it was given in all: customers at instants, or triggers.
    pub rows: u64,
    /// How many bytes of input it was given: of a scorer nine for each cell, a number and a mark whether it is there; of
    /// a workflow its memory.
    pub bytes_given: u64,
    /// How long it took to answer, all calls together.
    pub in_plugin: Duration,
    /// How long the whole replay took. Of two that were replayed together it is the same time.
    pub in_all: Duration,
}

impl ReplayCost {
    /// How many nanoseconds the plugin took for each row; none without rows.
    #[must_use]
    pub fn nanos_per_row(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.in_plugin.as_nanos() as f64 / self.rows as f64)
    }

    pub(super) fn called(&mut self, rows: usize, bytes: usize, took: Duration) {
        self.calls += 1;
        self.rows += rows as u64;
        self.bytes_given += bytes as u64;
        self.in_plugin += took;
    }

    pub(super) fn read(&mut self, other: ReplayCost) {
        self.entries += other.entries;
        self.bytes_read += other.bytes_read;
    }
}
