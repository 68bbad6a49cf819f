//! How long each stage of the life cycle lasts, what counts as intent, and for whom.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rhythm::{OwnRhythm, RhythmError};
use crate::custom::KindName;
use crate::interaction::{INSTANTS_MAX, Instants};
use crate::segment::SegmentName;
use crate::time::{Span, Timestamp};

/// The windows of the life cycle, and what counts as intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LifecyclePolicy {
    /// How long a sign of intent counts, in milliseconds.
    pub intent_fades_after: Span,
    /// After how long without an order a customer is historical, in milliseconds.
    pub quiet_after: Span,
    /// Whether the time without an order follows the customer's own rhythm instead, as soon as they have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_rhythm: Option<OwnRhythm>,
    /// What counts as intent.
    #[serde(default, skip_serializing_if = "IntentRules::is_usual")]
    pub intent: IntentRules,
    /// How long after the end of its term a contract can be renewed without a gap, and keeps its customer in purchase,
    /// in milliseconds.
    #[serde(default = "usual_grace", skip_serializing_if = "is_usual_grace")]
    pub contract_grace: Span,
}

const USUAL_GRACE: Span = Span::days(30);

const fn usual_grace() -> Span {
    USUAL_GRACE
}

fn is_usual_grace(grace: &Span) -> bool {
    *grace == USUAL_GRACE
}

/// What counts as a sign of intent. Kinds of events of which the shop declared that they
/// [show interest](crate::custom::KindSchema::shows_interest) count beside these, each time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IntentRules {
    /// Whether an enquiry does.
    pub enquiries: bool,
    /// Whether a cart with something in it does.
    pub carts: bool,
    /// How many visits do, if any number does.
    pub visits: Option<Repeated>,
    /// How many events of the shop's own kinds do.
    pub kinds: BTreeMap<KindName, Repeated>,
}

/// So many within so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeated {
    /// How many: from 1 to [`INSTANTS_MAX`].
    pub count: u32,
    /// Within how long before the last of them, in milliseconds; one exactly so long ago is too old.
    pub within: Span,
}

/// Which policy holds for those in a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentPolicy {
    /// Whom it is for.
    pub segment: SegmentName,
    /// What holds for them, instead of what holds for everybody.
    pub policy: LifecyclePolicy,
}

/// The most segments that may have a policy of their own.
pub const SEGMENT_POLICIES_MAX: usize = 32;

/// Why a policy of the life cycle was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LifecycleError {
    /// The rule for the customer's own rhythm cannot be kept.
    #[error(transparent)]
    Rhythm(#[from] RhythmError),
    /// No number of events, or more than are remembered, would be a sign of intent.
    #[error("intent by {count} {what}, not by 1 to {INSTANTS_MAX}")]
    Intent {
        /// Of what.
        what: String,
        /// How many were asked for.
        count: u32,
    },
    /// Too many segments have a policy of their own.
    #[error("{count} segments with a policy, more than {SEGMENT_POLICIES_MAX}")]
    Segments {
        /// How many.
        count: usize,
    },
    /// Two policies are for one segment.
    #[error("segment {segment} has two policies")]
    Twice {
        /// Which.
        segment: SegmentName,
    },
    /// A policy is for a segment that is not there.
    #[error("there is no segment {segment}")]
    Unknown {
        /// Which.
        segment: SegmentName,
    },
    /// A policy is for a segment that does not follow from facts alone: the stage would follow from itself, or from
    /// decisions that were made by it.
    #[error("a policy for segment {segment} cannot be kept, as {asking} asks for {what}")]
    NotOfFacts {
        /// Whom the policy is for.
        segment: SegmentName,
        /// The segment that asks: the same, or one that it asks about.
        asking: SegmentName,
        /// What for.
        what: &'static str,
    },
}

impl Default for IntentRules {
    /// Each enquiry and each cart with something in it.
    fn default() -> Self {
        IntentRules::DEFAULT
    }
}

impl IntentRules {
    const DEFAULT: IntentRules = IntentRules { enquiries: true, carts: true, visits: None, kinds: BTreeMap::new() };

    fn is_usual(&self) -> bool {
        *self == IntentRules::DEFAULT
    }
}

impl Repeated {
    /// Whether the newest of some events makes so many.
    pub(crate) fn reached(self, instants: &Instants) -> bool {
        let remembered = instants.remembered();
        let first = remembered.len().checked_sub(self.count as usize).and_then(|place| remembered.get(place));
        let last = remembered.last();
        first.zip(last).is_some_and(|(first, last)| last.minus(self.within) < *first)
    }
}

impl LifecyclePolicy {
    /// What holds where nothing was defined.
    pub(crate) const DEFAULT: LifecyclePolicy = LifecyclePolicy {
        intent_fades_after: Span::days(30),
        quiet_after: Span::days(182),
        own_rhythm: None,
        intent: IntentRules::DEFAULT,
        contract_grace: USUAL_GRACE,
    };

    /// Checks what cannot be kept.
    ///
    /// # Errors
    ///
    /// `Rhythm` if there is a rhythm and its bounds are the wrong way round, or it is no multiple, or asks for no gap or
    /// for more gaps than are looked at; `Intent` if no number of events shows it, or more than are remembered.
    pub fn check(&self) -> Result<(), LifecycleError> {
        self.own_rhythm.as_ref().map_or(Ok(()), OwnRhythm::check)?;
        let visits = self.intent.visits.iter().map(|visits| ("visits".to_owned(), visits.count));
        let kinds = self.intent.kinds.iter().map(|(kind, events)| (format!("events of kind {kind}"), events.count));
        match visits.chain(kinds).find(|(_, count)| !(1..=INSTANTS_MAX as u32).contains(count)) {
            Some((what, count)) => Err(LifecycleError::Intent { what, count }),
            None => Ok(()),
        }
    }

    /// How long after the newest order a customer is historical, by when the orders that stand were placed, the newest
    /// first.
    pub(crate) fn quiet_window(&self, placed_newest_first: impl Iterator<Item = Timestamp>) -> Span {
        let own = self.own_rhythm.as_ref().and_then(|rhythm| rhythm.window(placed_newest_first));
        own.unwrap_or(self.quiet_after)
    }
}

impl Default for LifecyclePolicy {
    /// Thirty days of intent, half a year (182 days) until a customer is historical, and thirty days of grace.
    fn default() -> Self {
        LifecyclePolicy::DEFAULT
    }
}

/// Checks policies for segments, apart from what these ask for.
///
/// # Errors
///
/// As for one of them, and `Segments` if there are too many, `Twice` if two are for one segment.
pub(crate) fn check_list(list: &[SegmentPolicy]) -> Result<(), LifecycleError> {
    if list.len() > SEGMENT_POLICIES_MAX {
        return Err(LifecycleError::Segments { count: list.len() });
    }
    for (place, own) in list.iter().enumerate() {
        own.policy.check()?;
        if list.iter().take(place).any(|other| other.segment == own.segment) {
            return Err(LifecycleError::Twice { segment: own.segment.clone() });
        }
    }
    Ok(())
}
