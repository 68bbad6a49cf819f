//! Which segments a customer is in. A membership is of a version of a segment, and is kept as one of the sets beside
//! the state, so that a store can add one without reading the state.
//!
//! While a changed segment is being filled, two of its versions are asked: the older one answers, and the newer one is
//! what is told, as soon as the customer was asked under it. So each move is told once.

use serde::{Deserialize, Serialize};

use crate::column::SetKey;
use crate::flat::FlatSet;
use crate::segment::{Answers, SegmentBook, SegmentName};

/// The segments a customer is in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memberships {
    /// As the versions that answer have it.
    #[serde(skip)]
    pub(super) answered: FlatSet<SegmentName>,
    /// Of which versions, in order.
    #[serde(skip)]
    held: Vec<(SegmentName, u32)>,
    /// What was told last of segments of which an older version answers, where the customer was asked under a newer
    /// one, in order.
    told: Vec<(SegmentName, bool)>,
}

impl Memberships {
    /// Takes the memberships from the sets that were kept beside the state.
    pub(super) fn read(&mut self, sets: &[SetKey], segments: &SegmentBook) {
        self.held = sets.iter().filter_map(SetKey::as_segment).collect();
        self.held.sort_unstable();
        let told = self.told_names();
        let mut answered: FlatSet<SegmentName> = FlatSet::default();
        for (name, version) in &self.held {
            let is_in = match segments.answers(name) {
                Answers::Only(complete) => *version == complete,
                Answers::After(ended) => *version > ended && told.contains(name),
            };
            if is_in {
                answered.insert(name.clone());
            }
        }
        self.answered = answered;
    }

    /// Of which versions, in order.
    pub(super) fn held(&self) -> impl Iterator<Item = (&SegmentName, u32)> {
        self.held.iter().map(|(name, version)| (name, *version))
    }

    /// Whether something else was told of a segment than what it answers.
    pub(super) fn is_told_apart(&self) -> bool {
        !self.told.is_empty()
    }

    /// The segments of which it was told last that the customer is in.
    pub(super) fn told_names(&self) -> FlatSet<SegmentName> {
        let told = |name: &SegmentName| {
            let place = self.told.binary_search_by(|(own, _)| own.cmp(name));
            place.is_ok_and(|place| self.told[place].1) || place.is_err()
        };
        self.held.iter().map(|(name, _)| name).filter(|name| told(name)).cloned().collect()
    }

    /// The customer is in a segment, by a version that answers.
    pub(super) fn enter(&mut self, name: &SegmentName, version: u32) {
        self.answered.insert(name.clone());
        let held = (name.clone(), version);
        if let Err(place) = self.held.binary_search(&held) {
            self.held.insert(place, held);
        }
    }

    /// The customer is no longer in a segment, whichever version had it.
    pub(super) fn leave(&mut self, name: &SegmentName) {
        self.answered.remove(name);
        self.held.retain(|(own, _)| own != name);
    }

    /// What the customer is in from now on, and what was told of segments that are asked twice.
    pub(super) fn settle(
        &mut self,
        answered: FlatSet<SegmentName>,
        mut held: Vec<(SegmentName, u32)>,
        mut told: Vec<(SegmentName, bool)>,
    ) {
        held.sort_unstable();
        held.dedup();
        told.sort_unstable();
        *self = Memberships { answered, held, told };
    }
}
