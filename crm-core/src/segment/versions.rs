//! The versions of one segment. A segment that asks about others means something else once one of them does, so each
//! version of theirs makes another one of it, with the rule that it had.

use std::sync::Arc;

use super::SegmentName;
use crate::expression::Predicate;
use crate::time::Timestamp;

/// A version of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentVersion {
    /// From when on.
    pub(crate) from: Timestamp,
    /// Which of the segment's own, from 1 on. No two versions have one number, whatever was there in between.
    pub(crate) number: u32,
    /// How many versions of segments there were before.
    pub(crate) born: u32,
    /// None ends the segment.
    pub(crate) rule: Option<Arc<Predicate>>,
    /// The segments that the rule asks about.
    pub(crate) asks: Arc<[SegmentName]>,
}

/// The versions of a segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SegmentVersions {
    /// By the instant from which each holds.
    list: Vec<SegmentVersion>,
    /// How many numbers were given.
    numbers: u32,
    /// How many versions made way for another one from the same instant on.
    replaced: u32,
    /// The one that everybody was asked under last.
    complete: Option<SegmentVersion>,
}

impl SegmentVersions {
    /// A version of the shop's own, later than all before. Versions that only followed others, and come later still,
    /// have its rule from now on.
    pub(crate) fn add(&mut self, from: Timestamp, rule: Option<Arc<Predicate>>, born: &mut u32) {
        let asks: Arc<[SegmentName]> = match &rule {
            Some(rule) => rule.segments().into_iter().cloned().collect(),
            None => Arc::new([]),
        };
        let later: Vec<Timestamp> = self.list.iter().map(|one| one.from).filter(|at| *at > from).collect();
        for from in [from].into_iter().chain(later) {
            self.put(from, rule.clone(), Arc::clone(&asks), born);
        }
    }

    /// What it asks about is another one from an instant on.
    pub(crate) fn renew(&mut self, from: Timestamp, born: &mut u32) {
        if let Some(SegmentVersion { rule, asks, .. }) = self.in_force(from).cloned() {
            self.put(from, rule, asks, born);
        }
    }

    fn put(&mut self, from: Timestamp, rule: Option<Arc<Predicate>>, asks: Arc<[SegmentName]>, born: &mut u32) {
        self.numbers += 1;
        let version = SegmentVersion { from, number: self.numbers, born: *born, rule, asks };
        *born += 1;
        match self.list.binary_search_by_key(&from, |one| one.from) {
            Ok(place) => {
                self.list[place] = version;
                self.replaced += 1;
            }
            Err(place) => self.list.insert(place, version),
        }
    }

    /// The one in force at an instant.
    pub(crate) fn in_force(&self, at: Timestamp) -> Option<&SegmentVersion> {
        self.list.iter().rev().find(|one| one.from <= at)
    }

    /// The one that a customer is asked under who stands at an instant: one that everybody was asked under is not
    /// left again for an earlier one.
    pub(crate) fn asked(&self, at: Timestamp) -> Option<&SegmentVersion> {
        self.in_force(self.complete.as_ref().map_or(at, |complete| complete.from.max(at)))
    }

    /// How far the versions have come by an instant: another number, another one that is asked.
    pub(crate) fn mark(&self, at: Timestamp) -> u32 {
        let until = self.complete.as_ref().map_or(at, |complete| complete.from.max(at));
        self.list.partition_point(|one| one.from <= until) as u32 + self.replaced
    }

    /// The one that everybody was asked under last, and that answers until that is so of a later one.
    pub(crate) const fn complete(&self) -> Option<&SegmentVersion> {
        self.complete.as_ref()
    }

    /// Whether there is a version of that number.
    pub(crate) fn has(&self, number: u32) -> bool {
        self.list.iter().any(|one| one.number == number)
    }

    /// Everybody was asked under a version.
    pub(crate) fn completed(&mut self, number: u32) {
        if let Some(version) = self.list.iter().find(|one| one.number == number) {
            self.complete = Some(version.clone());
        }
    }

    /// Whether it begins only after an instant.
    pub(crate) fn begins_after(&self, at: Timestamp) -> bool {
        self.list.first().is_some_and(|first| first.from > at)
    }

    /// How many numbers were given so far.
    pub(crate) const fn numbers(&self) -> u32 {
        self.numbers
    }

    pub(crate) fn all(&self) -> &[SegmentVersion] {
        &self.list
    }
}
