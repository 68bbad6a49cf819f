//! All segments in force at an instant, ready to be asked: in an order in which each comes after those that it asks
//! about, and by what they depend on.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::SegmentName;
use super::versions::SegmentVersion;
use crate::expression::{Inputs, Predicate};
use crate::time::Timestamp;

/// A segment that is asked.
#[derive(Debug)]
pub(crate) struct SegmentRule {
    pub(crate) name: SegmentName,
    pub(crate) rule: Arc<Predicate>,
    /// Which version of it.
    pub(crate) version: u32,
    /// How many versions of segments there were before this one.
    pub(crate) born: u32,
    /// From when on.
    pub(crate) from: Timestamp,
    /// The places of those that ask about it, all of them later.
    pub(crate) asked_by: Vec<usize>,
    /// Whether it is noted since when a customer is in it: another one asks about its past.
    pub(crate) remembered: bool,
}

/// The segments that are asked.
#[derive(Debug, Default)]
pub(crate) struct SegmentSet {
    /// How many versions of segments there were by then: another number, other segments.
    pub(crate) mark: u32,
    pub(crate) rules: Vec<SegmentRule>,
    /// Whether they are asked of a history that is lived again.
    pub(crate) is_past: bool,
    /// Of those of which the version that answers is an older one: that one, in an order in which each comes after
    /// those that it asks about.
    pub(crate) former: Vec<SegmentRule>,
    places: BTreeMap<SegmentName, usize>,
    /// The places of those that depend on each input.
    by_input: Vec<Vec<usize>>,
}

impl SegmentSet {
    pub(crate) fn new<'r>(
        mark: u32,
        asked: impl Iterator<Item = (&'r SegmentName, &'r SegmentVersion)>,
        former: impl Iterator<Item = (&'r SegmentName, &'r SegmentVersion)>,
    ) -> Self {
        let mut set = Self::of(mark, asked);
        set.former = Self::of(mark, former).rules;
        set
    }

    /// Those in force at an instant of a history that is lived again: nobody knows more of them than they say.
    pub(crate) fn of_past<'r>(mark: u32, asked: impl Iterator<Item = (&'r SegmentName, &'r SegmentVersion)>) -> Self {
        let mut set = SegmentSet { is_past: true, ..Self::of(mark, asked) };
        set.rules.iter_mut().for_each(|segment| segment.remembered = true);
        set
    }

    fn of<'r>(mark: u32, segments: impl Iterator<Item = (&'r SegmentName, &'r SegmentVersion)>) -> Self {
        let all: BTreeMap<&SegmentName, (&SegmentVersion, &Arc<Predicate>)> =
            segments.filter_map(|(name, version)| Some((name, (version, version.rule.as_ref()?)))).collect();
        let by_input = vec![Vec::new(); Inputs::COUNT];
        let mut set = SegmentSet { mark, by_input, ..SegmentSet::default() };
        // There are no cycles, so that each comes once all it asks about are there; depth first, by name.
        let mut open: Vec<&SegmentName> = all.keys().rev().copied().collect();
        while let Some(name) = open.last().copied() {
            let asks: &[SegmentName] = all.get(name).map_or(&[], |(version, _)| &version.asks);
            let missing = |asked: &&SegmentName| all.contains_key(*asked) && !set.places.contains_key(*asked);
            let first: Vec<&SegmentName> = asks.iter().filter(missing).collect();
            // No chain is longer than there are segments.
            if !set.places.contains_key(name) && !first.is_empty() && open.len() <= 2 * all.len() {
                open.extend(first);
                continue;
            }
            open.pop();
            if set.places.contains_key(name) {
                continue;
            }
            let Some((version, rule)) = all.get(name) else { continue };
            let place = set.rules.len();
            for asked in asks {
                if let Some(of) = set.places.get(asked).and_then(|of| set.rules.get_mut(*of)) {
                    of.asked_by.push(place);
                }
            }
            for input in rule.inputs().numbers() {
                set.by_input[input].push(place);
            }
            set.places.insert(name.clone(), place);
            set.rules.push(SegmentRule {
                name: name.clone(),
                rule: Arc::clone(rule),
                version: version.number,
                born: version.born,
                from: version.from,
                asked_by: Vec::new(),
                remembered: false,
            });
        }
        for asked in all.values().flat_map(|(_, rule)| rule.remembered()) {
            if let Some(segment) = set.places.get(asked).and_then(|of| set.rules.get_mut(*of)) {
                segment.remembered = true;
            }
        }
        set
    }

    /// The place of a segment.
    pub(crate) fn place(&self, name: &SegmentName) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// Those that depend on some inputs.
    pub(crate) fn depending(&self, on: Inputs) -> impl Iterator<Item = usize> {
        on.numbers().filter_map(|input| self.by_input.get(input)).flatten().copied()
    }
}

/// The sets of all instants at which segments changed, each made when it is first asked for.
#[derive(Debug, Default)]
pub(crate) struct SegmentSets(Vec<(Timestamp, OnceLock<Arc<SegmentSet>>)>);

impl SegmentSets {
    /// For other instants, or other segments: nothing is made yet.
    pub(crate) fn of(instants: impl Iterator<Item = Timestamp>) -> Self {
        let mut instants: Vec<Timestamp> = instants.collect();
        instants.sort_unstable();
        instants.dedup();
        SegmentSets(instants.into_iter().map(|from| (from, OnceLock::new())).collect())
    }

    /// The set in force at an instant; none before there were any segments.
    pub(crate) fn at(&self, at: Timestamp, make: impl FnOnce(Timestamp) -> SegmentSet) -> Option<&Arc<SegmentSet>> {
        let (from, set) = self.0.iter().rev().find(|(from, _)| *from <= at)?;
        Some(set.get_or_init(|| Arc::new(make(*from))))
    }
}

/// What was made is made again for the copy.
impl Clone for SegmentSets {
    fn clone(&self) -> Self {
        SegmentSets::of(self.0.iter().map(|(from, _)| *from))
    }
}

/// What was made follows from the definitions.
impl PartialEq for SegmentSets {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for SegmentSets {}

/// Some of the places in a set, taken out from the first to the last.
#[derive(Debug)]
pub(crate) struct Places(Vec<u64>);

impl Places {
    pub(crate) fn none_of(count: usize) -> Self {
        Places(vec![0; count.div_ceil(64)])
    }

    pub(crate) fn all_of(count: usize) -> Self {
        let mut all = Places::none_of(count);
        (0..count).for_each(|place| all.add(place));
        all
    }

    pub(crate) fn add(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    /// Takes the first one at or after a place.
    pub(crate) fn take_from(&mut self, place: usize) -> Option<usize> {
        let first = place / 64;
        for (number, word) in self.0.iter_mut().enumerate().skip(first) {
            let here = if number == first { *word & (u64::MAX << (place % 64)) } else { *word };
            if here != 0 {
                let bit = here.trailing_zeros();
                *word &= !(1 << bit);
                return Some(number * 64 + bit as usize);
            }
        }
        None
    }
}
