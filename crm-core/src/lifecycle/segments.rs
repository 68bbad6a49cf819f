//! Whether a segment may have a policy of the life cycle: only one that follows from facts alone.
//!
//! A stage is derived from the facts, whenever these became known, so what decides on its windows has to be as well. A
//! rule about the stage, or about a segment that is, would follow from itself; points, tiers and tags of plugins are
//! decisions, which were made when they were made and not at the instant that a late fact is about.

use std::collections::BTreeMap;

use super::policy::{LifecycleError, SegmentPolicy};
use crate::expression::{Inputs, Predicate};
use crate::segment::SegmentName;

/// Checks policies against the segments that are in force at an instant.
///
/// # Errors
///
/// `Unknown` or `NotOfFacts`.
pub(crate) fn check(
    list: &[SegmentPolicy],
    segments: &BTreeMap<&SegmentName, &Predicate>,
) -> Result<(), LifecycleError> {
    for SegmentPolicy { segment, .. } in list {
        let mut open = vec![segment];
        let mut seen: Vec<&SegmentName> = Vec::new();
        while let Some(asking) = open.pop() {
            if seen.contains(&asking) {
                continue;
            }
            seen.push(asking);
            let rule = segments.get(asking).ok_or_else(|| LifecycleError::Unknown { segment: asking.clone() })?;
            if let Some(what) = rule.inputs().beyond_facts() {
                return Err(LifecycleError::NotOfFacts { segment: segment.clone(), asking: asking.clone(), what });
            }
            open.extend(rule.segments());
        }
    }
    Ok(())
}

impl Inputs {
    /// What is asked for that does not follow from facts alone; tags do as far as the shop told of them.
    fn beyond_facts(self) -> Option<&'static str> {
        let named = [
            (Inputs::STAGE, "the stage"),
            (Inputs::POINTS, "points"),
            (Inputs::TIERS, "tiers"),
            (Inputs::CONSENTS, "consents"),
            (Inputs::MEMBERS, "a bucket"),
        ];
        let of_facts = [
            Inputs::ORDERS,
            Inputs::VISITS,
            Inputs::ENQUIRIES,
            Inputs::CARTS,
            Inputs::CUSTOM,
            Inputs::TAGS,
            Inputs::PARTY,
            Inputs::FIRST_SEEN,
            Inputs::LAST_SEEN,
        ];
        let all = of_facts.into_iter().fold(Inputs::NONE, Inputs::and);
        let name = || named.into_iter().find(|(input, _)| self.meets(*input)).map(|(_, name)| name);
        (self.and(all) != all).then(|| name().unwrap_or("what facts do not tell"))
    }
}
