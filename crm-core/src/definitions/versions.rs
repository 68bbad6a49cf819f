//! The versions of one definition, of which at each instant one holds.

use crate::time::Timestamp;

/// The versions of one definition, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Versions<T>(pub(super) Vec<(Timestamp, T)>);

impl<T> Default for Versions<T> {
    fn default() -> Self {
        Versions(Vec::new())
    }
}

impl<T> Versions<T> {
    pub(super) fn at(&self, instant: Timestamp) -> Option<&T> {
        self.0.iter().rev().find(|(from, _)| *from <= instant).map(|(_, version)| version)
    }

    pub(super) fn add(&mut self, from: Timestamp, version: T) {
        self.0.push((from, version));
    }
}
