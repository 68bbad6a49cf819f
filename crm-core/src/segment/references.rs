//! Segments that ask about other segments: none asks about itself by any way, and none is ended that others ask about.

use std::collections::BTreeMap;

use super::SegmentName;
use crate::expression::Predicate;

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
    Ok(())
}
