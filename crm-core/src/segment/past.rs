//! The segments of whose past rules ask, with all that they ask about in turn, as they were in force at each instant.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use super::{SegmentName, SegmentSet};
use crate::definitions::Definitions;
use crate::id::Digest;
use crate::time::Timestamp;

/// What it takes to work out who was in some segments at every instant up to one.
#[derive(Debug)]
pub(crate) struct Past {
    /// Another number, other segments or other versions of what they count by; never 0.
    pub(crate) mark: u64,
    /// The segments whose past is asked about.
    pub(crate) kept: BTreeSet<SegmentName>,
    /// These and what they ask about.
    needed: BTreeSet<SegmentName>,
    /// What was in force from each instant on, in their order.
    stops: Vec<(Timestamp, SegmentSet)>,
}

impl Past {
    /// Of some segments, up to an instant.
    pub(crate) fn of<'n>(
        definitions: &Definitions,
        names: impl IntoIterator<Item = &'n SegmentName>,
        until: Timestamp,
    ) -> Self {
        let kept: BTreeSet<SegmentName> = names.into_iter().cloned().collect();
        // What any version of these asks about, in any version of its own.
        let mut needed = kept.clone();
        let mut open: Vec<SegmentName> = kept.iter().cloned().collect();
        while let Some(name) = open.pop() {
            let versions = definitions.segment_versions(&name).filter(|(from, _)| *from <= until);
            for asked in versions.filter_map(|(_, rule)| rule).flat_map(|rule| rule.segments()) {
                if needed.insert(asked.clone()) {
                    open.push(asked.clone());
                }
            }
        }
        let versions = |name| definitions.segment_versions(name).map(|(from, _)| from);
        let mut instants: Vec<Timestamp> = needed.iter().flat_map(versions).collect();
        instants.extend(definitions.counted_by());
        instants.retain(|from| *from <= until);
        instants.sort_unstable();
        instants.dedup();
        let mut stops = Vec::with_capacity(instants.len());
        for (mark, from) in (1..).zip(&instants) {
            let in_force = definitions.segment_book().in_force_by(*from).filter(|(name, _)| needed.contains(*name));
            stops.push((*from, SegmentSet::of_past(mark, in_force)));
        }
        let names: Vec<&str> = kept.iter().chain(&needed).map(SegmentName::as_str).collect();
        let instants: Vec<i64> = instants.iter().map(|from| from.as_millis()).collect();
        let digest = Digest::of(&postcard::to_stdvec(&(kept.len(), names, instants)).unwrap_or_default());
        let mark = digest.as_bytes().iter().take(8).fold(0, |mark, byte| mark << 8 | u64::from(*byte));
        Past { mark: mark.max(1), kept, needed, stops }
    }

    /// The same, where it is kept of all segments involved.
    pub(crate) fn keeping_all(self) -> Self {
        Past { kept: self.needed.clone(), ..self }
    }

    /// What was in force at an instant; none before there were any segments.
    pub(crate) fn set_at(&self, at: Timestamp) -> Option<&SegmentSet> {
        let after = self.stops.partition_point(|(from, _)| *from <= at);
        self.stops.get(after.checked_sub(1)?).map(|(_, set)| set)
    }

    /// When something else came into force next.
    pub(crate) fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        self.stops.get(self.stops.partition_point(|(from, _)| *from <= at)).map(|(from, _)| *from)
    }
}

/// The pasts that rules ask about, by the instant from which they ask so, each made when it is first asked for.
#[derive(Debug, Default)]
pub(crate) struct Pasts(Vec<(Timestamp, OnceLock<Option<Arc<Past>>>)>);

impl Pasts {
    /// For other instants, or other segments: nothing is made yet.
    pub(crate) fn of(instants: impl Iterator<Item = Timestamp>) -> Self {
        let mut instants: Vec<Timestamp> = instants.collect();
        instants.sort_unstable();
        instants.dedup();
        Pasts(instants.into_iter().map(|from| (from, OnceLock::new())).collect())
    }

    /// What is asked at an instant; none if no rule in force then asks about the past.
    pub(crate) fn at(&self, at: Timestamp, definitions: &Definitions) -> Option<&Past> {
        let (from, past) = self.0.iter().rev().find(|(from, _)| *from <= at)?;
        let make = || {
            let rules: Vec<_> = definitions.segments(*from).map(|(_, rule)| rule).collect();
            let names: BTreeSet<&SegmentName> = rules.iter().flat_map(|rule| rule.remembered()).collect();
            (!names.is_empty()).then(|| Arc::new(Past::of(definitions, names, *from)))
        };
        past.get_or_init(make).as_deref()
    }
}

/// What was made is made again for the copy.
impl Clone for Pasts {
    fn clone(&self) -> Self {
        Pasts::of(self.0.iter().map(|(from, _)| *from))
    }
}

/// What was made follows from the definitions.
impl PartialEq for Pasts {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Pasts {}
