//! Segments that ask about other segments: none asks about itself by any way, and none is ended that others ask about.

use std::collections::{BTreeMap, BTreeSet};

use super::SegmentName;
use crate::expression::{Inputs, Predicate};

/// Why segments do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// It would ask about itself, perhaps by way of others.
    #[error("segments that ask about each other: {}", listed(.chain, " → "))]
    Cycle {
        /// From the segment to itself, each asking about the next.
        chain: Vec<SegmentName>,
    },
    /// It asks about a segment that is not there.
    #[error("it asks about segment {segment}, which is not there")]
    Unknown {
        /// Which.
        segment: SegmentName,
    },
    /// Others ask about it.
    #[error("it is asked about by {}", listed(.by, ", "))]
    InUse {
        /// Which, by name.
        by: Vec<SegmentName>,
    },
    /// Somebody would ask who was in a segment that depends on scores, of which only the newest are known.
    #[error("segment {by} asks who was in {segment}, which depends on scores, and they have no past")]
    Scored {
        /// Of whose past it is asked.
        segment: SegmentName,
        /// Which segment asks.
        by: SegmentName,
    },
}

fn listed(names: &[SegmentName], by: &str) -> String {
    names.iter().map(SegmentName::as_str).collect::<Vec<_>>().join(by)
}

/// Checks a segment against the others that are in force at an instant, under which it has this rule, or none.
pub(crate) fn check(
    name: &SegmentName,
    rule: Option<&Predicate>,
    others: &BTreeMap<&SegmentName, &Predicate>,
) -> Result<(), ReferenceError> {
    let Some(rule) = rule else {
        let by = others.iter().filter(|(other, rule)| **other != name && rule.segments().contains(name));
        let by: Vec<SegmentName> = by.map(|(other, _)| SegmentName::clone(other)).collect();
        return if by.is_empty() { Ok(()) } else { Err(ReferenceError::InUse { by }) };
    };
    if let Some(unknown) = rule.segments().into_iter().find(|asked| *asked != name && !others.contains_key(asked)) {
        return Err(ReferenceError::Unknown { segment: unknown.clone() });
    }
    // Depth first from the segment; whoever leads back to it closes a cycle. There was none before.
    let mut open: Vec<(usize, &SegmentName)> = rule.segments().into_iter().map(|asked| (0, asked)).collect();
    let mut chain: Vec<&SegmentName> = Vec::new();
    let mut seen: Vec<&SegmentName> = Vec::new();
    while let Some((depth, asked)) = open.pop() {
        chain.truncate(depth);
        if asked == name {
            let chain = std::iter::once(name).chain(chain).chain([name]);
            return Err(ReferenceError::Cycle { chain: chain.cloned().collect() });
        }
        if seen.contains(&asked) {
            continue;
        }
        seen.push(asked);
        chain.push(asked);
        let further = others.get(asked).into_iter().flat_map(|rule| rule.segments());
        open.extend(further.map(|next| (depth + 1, next)));
    }
    check_pasts(name, rule, others)
}

/// Nobody asks for the past of what depends on scores, by whatever way.
fn check_pasts(
    name: &SegmentName,
    rule: &Predicate,
    others: &BTreeMap<&SegmentName, &Predicate>,
) -> Result<(), ReferenceError> {
    let rule_of = |asked: &SegmentName| if asked == name { Some(rule) } else { others.get(asked).copied() };
    let others = others.iter().filter(|(other, _)| **other != name).map(|(other, rule)| (*other, *rule));
    for (by, asking) in others.chain([(name, rule)]) {
        for segment in asking.remembered() {
            let (mut open, mut seen) = (vec![segment], BTreeSet::from([segment]));
            while let Some(asked) = open.pop().and_then(rule_of) {
                if asked.inputs().meets(Inputs::EVERY_SCORE) {
                    return Err(ReferenceError::Scored { segment: segment.clone(), by: by.clone() });
                }
                open.extend(asked.segments().into_iter().filter(|next| seen.insert(*next)));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::{Comparison, Number};
    use crate::score::{ScoreName, ScoreOutput};
    use crate::workflow::PluginName;

    #[test]
    fn nobody_asks_for_the_past_of_what_depends_on_scores() {
        let name = |text: &str| SegmentName::new(text).unwrap();
        let score = ScoreName { plugin: PluginName::new("churn").unwrap(), output: ScoreOutput::new("risk").unwrap() };
        let scored = Predicate::compare(Number::Score(score), Comparison::Ge, 0);
        let (risky, among, before) = (name("risky"), name("among"), name("before"));
        let by_risky = Predicate::InSegment(risky.clone());
        let was_among = Predicate::Not(Box::new(Predicate::WasIn(among.clone(), None)));
        let refused = Err(ReferenceError::Scored { segment: among.clone(), by: before.clone() });
        // Whichever of them comes last.
        let others = BTreeMap::from([(&risky, &scored), (&among, &by_risky)]);
        assert_eq!(check(&before, Some(&was_among), &others), refused);
        assert_eq!(check(&before, Some(&by_risky), &others), Ok(()));
        let all = Predicate::All(Vec::new());
        let others = BTreeMap::from([(&risky, &all), (&among, &by_risky), (&before, &was_among)]);
        assert_eq!(check(&risky, Some(&scored), &others), refused);
        assert_eq!(check(&risky, Some(&all), &others), Ok(()));
    }
}
