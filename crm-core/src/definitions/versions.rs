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

impl<T> Versions<Option<T>> {
    /// The versions that do not end what they are of, each with from when until when it holds.
    pub(super) fn held(&self) -> impl Iterator<Item = (&T, Timestamp, Option<Timestamp>)> + Clone {
        let ends = self.0.iter().skip(1).map(|(from, _)| Some(*from)).chain([None]);
        self.0.iter().zip(ends).filter_map(|((from, version), until)| Some((version.as_ref()?, *from, until)))
    }
}
