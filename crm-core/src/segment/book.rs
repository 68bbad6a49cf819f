//! All segments with all their versions: which are asked, which of them answer, and which are still to be filled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::set::SegmentSets;
use super::versions::{SegmentVersion, SegmentVersions};
use super::{ReferenceError, SegmentName, SegmentSet};
use crate::column::SetKey;
use crate::expression::Predicate;
use crate::time::Timestamp;

/// A segment of which a version was not asked of everybody yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfilled {
    /// Which segment.
    pub segment: SegmentName,
    /// Which of its versions, from 1 on. Each time the segment is defined, and each time one is that it asks about,
    /// there is another.
    pub version: u32,
    /// The rule of that version; none if it ends the segment.
    pub rule: Option<Arc<Predicate>>,
    /// Whether an older version answers until then. If not, whoever was asked so far is in.
    pub changed: bool,
    /// Whether others ask about it.
    pub asked_about: bool,
}

/// A version that everybody was asked under.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Filled {
    /// Which segment.
    pub segment: SegmentName,
    /// Which of its versions.
    pub version: u32,
}

/// By which versions somebody is in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    /// By the one that everybody was asked under.
    Only(u32),
    /// Nobody is by one up to this. By those after it whoever was asked so far is.
    After(u32),
}

/// All segments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SegmentBook {
    segments: BTreeMap<SegmentName, SegmentVersions>,
    /// How many versions there are.
    born: u32,
    sets: SegmentSets,
}

impl SegmentBook {
    /// Adds a version. Segments that ask about it have another one as well, from then on.
    pub(crate) fn add(&mut self, name: &SegmentName, from: Timestamp, rule: Option<Arc<Predicate>>) {
        self.segments.entry(name.clone()).or_default().add(from, rule, &mut self.born);
        let instants = self.segments.values().flat_map(SegmentVersions::all).map(|one| one.from);
        let instants: BTreeSet<Timestamp> = instants.filter(|at| *at >= from).collect();
        for at in instants {
            for asking in self.asking(name, at) {
                let moves = (at == from && asking != *name) || (at > from && self.moves_at(&asking, at));
                if moves && let Some(versions) = self.segments.get_mut(&asking) {
                    versions.renew(at, &mut self.born);
                }
            }
        }
        self.forget_sets();
    }

    /// Segments that ask about one at an instant, directly or by others; that one is among them.
    fn asking(&self, name: &SegmentName, at: Timestamp) -> BTreeSet<SegmentName> {
        let (mut all, mut open) = (BTreeSet::from([name.clone()]), vec![name.clone()]);
        while let Some(asked) = open.pop() {
            for (other, versions) in &self.segments {
                let asks = |version: &SegmentVersion| version.asks.contains(&asked);
                if versions.all().iter().any(asks)
                    && versions.in_force(at).is_some_and(asks)
                    && all.insert(other.clone())
                {
                    open.push(other.clone());
                }
            }
        }
        all
    }

    /// Whether anything that a segment asks about, directly or by others, is another one from an instant on.
    fn moves_at(&self, name: &SegmentName, at: Timestamp) -> bool {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&SegmentName> = vec![name];
        while let Some(asked) = open.pop() {
            let Some(version) = self.segments.get(asked).and_then(|versions| versions.in_force(at)) else { continue };
            if version.from == at {
                return true;
            }
            open.extend(version.asks.iter().filter(|asked| seen.insert((*asked).clone())));
        }
        false
    }

    fn forget_sets(&mut self) {
        let instants = self.segments.values().flat_map(SegmentVersions::all).map(|one| one.from);
        // A version that everybody was asked under is asked before its instant too.
        let first = (!self.segments.is_empty()).then_some(Timestamp::MIN);
        self.sets = SegmentSets::of(instants.chain(first));
    }

    /// Everybody was asked under some versions. All of them answer from now on, or none if one is not there.
    pub(crate) fn complete(&mut self, filled: &[Filled]) {
        let there = |one: &Filled| self.segments.get(&one.segment).is_some_and(|versions| versions.has(one.version));
        if !filled.iter().all(there) {
            return;
        }
        for one in filled {
            if let Some(versions) = self.segments.get_mut(&one.segment) {
                versions.completed(one.version);
            }
        }
        self.forget_sets();
    }

    /// The rule in force.
    pub(crate) fn rule(&self, name: &SegmentName, at: Timestamp) -> Option<&Predicate> {
        self.segments.get(name)?.in_force(at)?.rule.as_deref()
    }

    /// The rule that answers: that of the version which everybody was asked under last, or the one in force.
    pub(crate) fn answering(&self, name: &SegmentName, at: Timestamp) -> Option<&Predicate> {
        let versions = self.segments.get(name)?;
        versions.complete().or_else(|| versions.in_force(at))?.rule.as_deref()
    }

    /// The segments in force, by name.
    pub(crate) fn in_force(&self, at: Timestamp) -> impl Iterator<Item = (&SegmentName, &Predicate)> {
        let rule = move |versions: &'_ SegmentVersions| versions.in_force(at).is_some_and(|one| one.rule.is_some());
        let held = self.segments.iter().filter(move |(_, versions)| rule(versions));
        held.filter_map(move |(name, versions)| Some((name, versions.in_force(at)?.rule.as_deref()?)))
    }

    /// All instants from which a version holds.
    pub(crate) fn instants(&self) -> impl Iterator<Item = Timestamp> {
        self.segments.values().flat_map(SegmentVersions::all).map(|one| one.from)
    }

    /// How many versions there are.
    pub(crate) const fn born(&self) -> u32 {
        self.born
    }

    /// Whether a segment begins only after an instant.
    pub(crate) fn begins_after(&self, name: &SegmentName, at: Timestamp) -> bool {
        self.segments.get(name).is_some_and(|versions| versions.begins_after(at))
    }

    /// By which versions somebody is in a segment.
    pub(crate) fn answers(&self, name: &SegmentName) -> Answers {
        match self.segments.get(name).and_then(SegmentVersions::complete) {
            Some(complete) if complete.rule.is_some() => Answers::Only(complete.number),
            Some(complete) => Answers::After(complete.number),
            None => Answers::After(0),
        }
    }

    /// The sets in one of which somebody is who is in a segment.
    pub(crate) fn answering_sets(&self, name: &SegmentName) -> Vec<SetKey> {
        match self.answers(name) {
            Answers::Only(version) => vec![SetKey::segment(name, version)],
            Answers::After(version) => {
                let numbers = self.segments.get(name).map_or(0, SegmentVersions::numbers);
                (version + 1..=numbers).map(|number| SetKey::segment(name, number)).collect()
            }
        }
    }

    /// The sets of all versions of a segment but one.
    pub(crate) fn sets_but(&self, name: &SegmentName, version: u32) -> Vec<SetKey> {
        let numbers = self.segments.get(name).map_or(0, SegmentVersions::numbers);
        let others = (1..=numbers).filter(|number| *number != version);
        others.map(|number| SetKey::segment(name, number)).collect()
    }

    /// The segments that are asked at an instant, ready to be.
    pub(crate) fn set(&self, at: Timestamp) -> Option<&SegmentSet> {
        let set = self.sets.at(at, |from| {
            let mark = self.segments.values().map(|versions| versions.mark(from)).sum();
            let asked = self.segments.iter().filter_map(|(name, versions)| Some((name, versions.asked(from)?)));
            let former = self.segments.iter().filter_map(|(name, versions)| {
                let (complete, asked) = (versions.complete()?, versions.asked(from)?);
                (complete.number != asked.number).then_some((name, complete))
            });
            SegmentSet::new(mark, asked, former)
        });
        set.map(Arc::as_ref)
    }

    /// Segments of which the version in force was not asked of everybody, those together that ask about each other:
    /// each after those that it asks about, ended ones last.
    pub(crate) fn unfilled(&self, at: Timestamp) -> Vec<Vec<Unfilled>> {
        let Some(set) = self.set(at) else { return Vec::new() };
        let mut left: BTreeMap<&SegmentName, (&SegmentVersion, Option<&SegmentVersion>)> = BTreeMap::new();
        for (name, versions) in &self.segments {
            let Some(asked) = versions.asked(at) else { continue };
            if versions.complete().is_none_or(|complete| complete.number != asked.number) {
                left.insert(name, (asked, versions.complete()));
            }
        }
        let asked_about: BTreeSet<&SegmentName> = self
            .segments
            .values()
            .flat_map(|versions| versions.asked(at).into_iter().chain(versions.complete()))
            .flat_map(|version| version.asks.iter())
            .collect();
        let mut groups: Vec<Vec<Unfilled>> = Vec::new();
        while let Some(first) = left.keys().next().copied() {
            let (mut group, mut open) = (BTreeMap::new(), vec![first]);
            while let Some(name) = open.pop() {
                let Some((asked, complete)) = left.remove(name) else { continue };
                let asks = |version: &SegmentVersion, name| version.asks.contains(name);
                let both = [Some(asked), complete].into_iter().flatten();
                let near = left.iter().filter(|(other, (one, two))| {
                    both.clone().any(|version| asks(version, *other))
                        || [Some(*one), *two].into_iter().flatten().any(|version| asks(version, name))
                });
                open.extend(near.map(|(other, _)| *other));
                group.insert(name, (asked, complete));
            }
            let place = |name: &SegmentName| set.place(name).unwrap_or(usize::MAX);
            let mut names: Vec<&SegmentName> = group.keys().copied().collect();
            names.sort_by_key(|name| place(name));
            let unfilled = names.into_iter().filter_map(|name| {
                let (asked, complete) = group.get(name)?;
                Some(Unfilled {
                    segment: name.clone(),
                    version: asked.number,
                    rule: asked.rule.clone(),
                    changed: complete.is_some_and(|complete| complete.rule.is_some()),
                    asked_about: asked_about.contains(name),
                })
            });
            groups.push(unfilled.collect());
        }
        groups
    }

    /// The first instant after one from which a version holds.
    pub(crate) fn next_version(&self, after: Timestamp) -> Option<Timestamp> {
        self.instants().filter(|from| *from > after).min()
    }

    /// Checks a segment against all others, from an instant on: it may go together with those that are in force then,
    /// and not with a later version of one.
    pub(crate) fn check(
        &self,
        segment: &SegmentName,
        rule: Option<&Predicate>,
        from: Timestamp,
    ) -> Result<(), ReferenceError> {
        let mut instants: Vec<Timestamp> = self.instants().filter(|at| *at > from).chain([from]).collect();
        instants.sort_unstable();
        instants.dedup();
        instants.into_iter().try_for_each(|at| super::check(segment, rule, &self.in_force(at).collect()))
    }
}
