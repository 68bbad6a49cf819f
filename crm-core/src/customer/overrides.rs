//! Somebody's word against the rule of a segment.

use super::{Customer, Refusal};
use crate::definitions::Definitions;
use crate::event::Deed;
use crate::expression::Subject;
use crate::segment::{OverrideCleared, OverrideRefusal, OverrideSegment, SegmentName, SegmentOverridden};
use crate::time::Timestamp;

impl Customer {
    /// The override of a segment that holds at an instant; none if its rule decides.
    #[must_use]
    pub fn override_of(
        &self,
        segment: &SegmentName,
        at: Timestamp,
        definitions: &Definitions,
    ) -> Option<&SegmentOverridden> {
        let overridden = self.decided.overrides.get(segment)?;
        let since = definitions.in_force_since(segment, at)?;
        overridden.holds(at, since).then_some(overridden)
    }

    /// Every override that was not cleared, by segment, whether or not it holds any more.
    pub fn overrides(&self) -> impl Iterator<Item = &SegmentOverridden> {
        self.decided.overrides.iter().map(|(_, overridden)| overridden)
    }

    /// Whether the customer is in a segment at an instant, by its rule or by an override, worked out for the instant as
    /// by [`Subject::new`]; no if the segment is not in force.
    #[must_use]
    pub fn is_member(&self, segment: &SegmentName, at: Timestamp, definitions: &Definitions) -> bool {
        Subject::new(self, at, definitions).is_in(segment)
    }

    pub(super) fn decide_override(
        &self,
        asked: OverrideSegment,
        at: Timestamp,
        definitions: &Definitions,
    ) -> Result<Vec<Deed>, Refusal> {
        self.may_override(at)?;
        if definitions.segment(&asked.segment, at).is_none() {
            return Err(OverrideRefusal::NoSegment { segment: asked.segment }.into());
        }
        if let Some(until) = asked.until.filter(|until| *until <= at) {
            return Err(OverrideRefusal::Over { until, now: at }.into());
        }
        let same = self.override_of(&asked.segment, at, definitions).is_some_and(|holds| holds.asked == asked);
        Ok(if same { Vec::new() } else { vec![Deed::SegmentOverridden(SegmentOverridden { at, asked })] })
    }

    pub(super) fn decide_clearing(&self, cleared: OverrideCleared, at: Timestamp) -> Result<Vec<Deed>, Refusal> {
        self.may_override(at)?;
        let there = self.decided.overrides.get(&cleared.segment).is_some();
        Ok(if there { vec![Deed::OverrideCleared(cleared)] } else { Vec::new() })
    }

    fn may_override(&self, at: Timestamp) -> Result<(), OverrideRefusal> {
        if self.is_erased() {
            return Err(OverrideRefusal::Erased);
        }
        match self.restricted_since().filter(|since| *since <= at) {
            Some(since) => Err(OverrideRefusal::Restricted { since }),
            None => Ok(()),
        }
    }
}
