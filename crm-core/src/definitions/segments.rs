//! Segments by version, and lists.

use super::{Definition, DefinitionVersion, Definitions};
use crate::column::SetKey;
use crate::expression::Predicate;
use crate::segment::{Filled, ListAbout, ListName, Past, SegmentBook, SegmentName, Unfilled};
use crate::time::Timestamp;

impl Definitions {
    /// A segment in force: the rule of its newest version, whether or not everybody was asked under it.
    #[must_use]
    pub fn segment(&self, name: &SegmentName, at: Timestamp) -> Option<&Predicate> {
        self.segments.rule(name, at)
    }

    /// The rule by which a segment answers: that of the version which everybody was asked under last, where there is
    /// one, and otherwise the one in force.
    #[must_use]
    pub fn answering_segment(&self, name: &SegmentName, at: Timestamp) -> Option<&Predicate> {
        self.segments.answering(name, at)
    }

    /// The segments in force, by name.
    pub fn segments(&self, at: Timestamp) -> impl Iterator<Item = (&SegmentName, &Predicate)> {
        self.segments.in_force(at)
    }

    /// Everybody was asked under some versions of segments: these answer from now on. None of them does if one is
    /// not there any more.
    pub fn complete(&mut self, filled: &[Filled]) {
        self.segments.complete(filled);
    }

    /// Segments of which the version in force was not asked of everybody yet, those together that ask about each
    /// other: all of them come to answer at once. In each group they come after those that they ask about.
    #[must_use]
    pub fn unfilled(&self, at: Timestamp) -> Vec<Vec<Unfilled>> {
        self.segments.unfilled(at)
    }

    /// The first instant after one from which a version of a segment holds.
    #[must_use]
    pub fn next_segment_version(&self, after: Timestamp) -> Option<Timestamp> {
        self.segments.next_version(after)
    }

    /// The sets in one of which a customer is who is in a segment.
    #[must_use]
    pub fn segment_sets(&self, name: &SegmentName) -> Vec<SetKey> {
        self.segments.answering_sets(name)
    }

    /// The sets of all versions of a segment but one.
    #[must_use]
    pub fn segment_sets_but(&self, name: &SegmentName, version: u32) -> Vec<SetKey> {
        self.segments.sets_but(name, version)
    }

    /// The version under which a segment is asked at an instant.
    #[must_use]
    pub fn segment_version(&self, name: &SegmentName, at: Timestamp) -> Option<u32> {
        let set = self.segments.set(at)?;
        set.rules.get(set.place(name)?).map(|rule| rule.version)
    }

    pub(crate) const fn segment_book(&self) -> &SegmentBook {
        &self.segments
    }

    /// The names of all segments there ever were.
    pub fn segment_names(&self) -> impl Iterator<Item = &SegmentName> {
        self.segments.names()
    }

    /// Every version of a segment, the oldest first; what ends it is none.
    pub(crate) fn segment_versions(
        &self,
        name: &SegmentName,
    ) -> impl Iterator<Item = (Timestamp, Option<&Predicate>)> + use<'_> {
        self.segments.versions(name).iter().map(|version| (version.from, version.rule.as_deref()))
    }

    /// Since when a segment is in force without interruption; none if it is not.
    pub(crate) fn in_force_since(&self, name: &SegmentName, at: Timestamp) -> Option<Timestamp> {
        let versions = self.segments.versions(name).iter().rev().filter(|version| version.from <= at);
        versions.take_while(|version| version.rule.is_some()).last().map(|version| version.from)
    }

    /// From when on what segments are counted by was another, beside their own rules.
    pub(crate) fn counted_by(&self) -> impl Iterator<Item = Timestamp> {
        let counts = |version: &&DefinitionVersion| {
            version.definition.moves_members() && !matches!(version.definition, Definition::Segment(..))
        };
        self.all.iter().filter(counts).map(|version| version.from)
    }

    /// What is asked at an instant about the past of segments; none if nothing is.
    pub(crate) fn past(&self, at: Timestamp) -> Option<&Past> {
        self.pasts.at(at, self)
    }

    /// A list in force.
    #[must_use]
    pub fn list(&self, name: &ListName, at: Timestamp) -> Option<&ListAbout> {
        self.lists.get(name)?.at(at)?.as_ref()
    }

    /// The lists in force, by name.
    pub fn lists(&self, at: Timestamp) -> impl Iterator<Item = (&ListName, &ListAbout)> {
        self.lists.iter().filter_map(move |(name, versions)| Some((name, versions.at(at)?.as_ref()?)))
    }
}
