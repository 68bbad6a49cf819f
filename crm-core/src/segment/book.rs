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

    /// The versions in force at an instant, by name; what ends a segment is one without a rule.
    pub(crate) fn in_force_by(&self, at: Timestamp) -> impl Iterator<Item = (&SegmentName, &SegmentVersion)> {
        self.segments.iter().filter_map(move |(name, versions)| Some((name, versions.in_force(at)?)))
    }

    /// The names of all segments there ever were.
    pub(crate) fn names(&self) -> impl Iterator<Item = &SegmentName> {
        self.segments.keys()
    }

    /// Every version of a segment, the oldest first.
    pub(crate) fn versions(&self, name: &SegmentName) -> &[SegmentVersion] {
        self.segments.get(name).map_or(&[], SegmentVersions::all)
    }

    /// The segments in force, by name.
    pub(crate) fn in_force(&self, at: Timestamp) -> impl Iterator<Item = (&SegmentName, &Predicate)> {
        self.segments.iter().filter_map(move |(name, versions)| Some((name, versions.in_force(at)?.rule.as_deref()?)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::Attribute;
    use crate::expression::Comparison;

    fn day(day: i64) -> Timestamp {
        Timestamp::from_millis(day * 86_400_000).unwrap()
    }

    fn name(name: &str) -> SegmentName {
        SegmentName::new(name).unwrap()
    }

    fn orders(count: i64) -> Predicate {
        Predicate::compare(Attribute::Orders, Comparison::Ge, count)
    }

    /// Segments with the rules given, in this order.
    fn book(versions: &[(&str, i64, Predicate)]) -> SegmentBook {
        let mut book = SegmentBook::default();
        for (segment, from, rule) in versions {
            book.add(&name(segment), day(*from), Some(Arc::new(rule.clone())));
        }
        book
    }

    fn asks(asked: &str) -> Predicate {
        Predicate::InSegment(name(asked))
    }

    fn version(book: &SegmentBook, segment: &str, at: i64) -> u32 {
        let set = book.set(day(at)).unwrap();
        set.rules[set.place(&name(segment)).unwrap()].version
    }

    fn fill(book: &mut SegmentBook, at: i64) {
        for group in book.unfilled(day(at)) {
            let of = |one: Unfilled| Filled { segment: one.segment, version: one.version };
            book.complete(&group.into_iter().map(of).collect::<Vec<_>>());
        }
    }

    fn open(book: &SegmentBook, at: i64) -> Vec<Vec<String>> {
        let names = |group: Vec<Unfilled>| group.iter().map(|one| one.segment.as_str().to_owned()).collect();
        book.unfilled(day(at)).into_iter().map(names).collect()
    }

    #[test]
    fn whoever_asks_about_a_segment_has_another_version_when_it_has() {
        let mut book = book(&[("a", 0, orders(1)), ("b", 0, asks("a")), ("c", 0, asks("b")), ("d", 0, orders(2))]);
        assert_eq!(open(&book, 0), [vec!["a", "b", "c"], vec!["d"]]);
        fill(&mut book, 0);
        assert!(open(&book, 0).is_empty());
        book.add(&name("a"), day(5), Some(Arc::new(orders(3))));
        assert_eq!(["a", "b", "c", "d"].map(|one| version(&book, one, 4)), [1, 1, 1, 1]);
        assert_eq!(["a", "b", "c", "d"].map(|one| version(&book, one, 5)), [2, 2, 2, 1]);
        assert!(open(&book, 4).is_empty());
        assert_eq!(open(&book, 5), [["a", "b", "c"]]);
        assert_eq!(book.next_version(day(0)), Some(day(5)));
        let former: Vec<&str> = book.set(day(5)).unwrap().former.iter().map(|former| former.name.as_str()).collect();
        assert_eq!(former, ["a", "b", "c"]);
        fill(&mut book, 5);
        assert!(book.set(day(5)).unwrap().former.is_empty());
        assert_eq!(version(&book, "a", 1), 2, "it is not left again for an earlier one");
    }

    #[test]
    fn a_version_of_a_later_day_is_another_one_if_what_it_asks_about_moves_before() {
        let mut book = book(&[("a", 0, orders(1)), ("b", 0, asks("a")), ("b", 30, orders(9)), ("c", 0, asks("b"))]);
        let before = ["b", "c"].map(|one| version(&book, one, 30));
        book.add(&name("a"), day(20), Some(Arc::new(orders(3))));
        assert_eq!(["b", "c"].map(|one| version(&book, one, 30)), before, "they do not ask about it then");
        let marks: Vec<u32> = [0, 19, 20, 29, 30].iter().map(|at| book.set(day(*at)).unwrap().mark).collect();
        assert!(
            marks[0] == marks[1] && marks[1] < marks[2] && marks[2] == marks[3] && marks[3] < marks[4],
            "{marks:?}"
        );
        assert_ne!(version(&book, "c", 20), version(&book, "c", 19));
    }

    #[test]
    fn a_segment_that_comes_to_ask_about_others_waits_for_none_of_before() {
        let mut book = book(&[("a", 0, orders(1)), ("b", 0, asks("a"))]);
        fill(&mut book, 0);
        book.add(&name("b"), day(1), Some(Arc::new(orders(2))));
        book.add(&name("a"), day(1), None);
        // The older one of b asks about a still, so that both are left at once.
        assert_eq!(open(&book, 1), [["b", "a"]]);
        assert!(book.rule(&name("a"), day(1)).is_none() && book.answering(&name("a"), day(1)).is_some());
        fill(&mut book, 1);
        assert!(book.answering(&name("a"), day(1)).is_none() && book.answering_sets(&name("a")).is_empty());
        assert_eq!(book.answers(&name("a")), Answers::After(2));
    }

    #[test]
    fn nothing_is_complete_if_one_of_the_versions_has_made_way() {
        let mut book = book(&[("a", 5, orders(1))]);
        let stale = [Filled { segment: name("a"), version: 1 }, Filled { segment: name("a"), version: 7 }];
        book.complete(&stale);
        assert_eq!(book.answers(&name("a")), Answers::After(0));
    }
}
