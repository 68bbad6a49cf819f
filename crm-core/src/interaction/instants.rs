//! When something happened, as far as a state remembers.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// How many of the newest instants of a kind a state remembers, so that somebody who visits all day long does not
/// grow without end. Windows see these; counts of all times see the others, too.
pub const INSTANTS_MAX: usize = 1_000;

/// The instants at which something happened: how many there were, and the newest [`INSTANTS_MAX`] of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instants {
    count: u32,
    first: Option<Timestamp>,
    newest: Vec<Timestamp>,
}

impl Instants {
    /// How many there were, the forgotten ones included.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The first of all, whether or not it is remembered.
    #[must_use]
    pub const fn first(&self) -> Option<Timestamp> {
        self.first
    }

    /// Those that are remembered, oldest first.
    #[must_use]
    pub fn remembered(&self) -> &[Timestamp] {
        &self.newest
    }

    /// Whether all are remembered.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.newest.len() == self.count as usize
    }

    /// Notes the next one; they come in the order in which they happened.
    pub(crate) fn note(&mut self, at: Timestamp) {
        self.count = self.count.saturating_add(1);
        self.first.get_or_insert(at);
        if self.newest.len() == INSTANTS_MAX {
            self.newest.remove(0);
        }
        self.newest.push(at);
    }
}
