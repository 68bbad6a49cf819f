//! How long each stage of the life cycle lasts.

use serde::{Deserialize, Serialize};

use super::rhythm::{OwnRhythm, RhythmError};
use crate::time::{Span, Timestamp};

/// The windows of the life cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LifecyclePolicy {
    /// How long an enquiry or a cart counts as intent, in milliseconds.
    pub intent_fades_after: Span,
    /// After how long without an order a customer is historical, in milliseconds.
    pub quiet_after: Span,
    /// Whether the time without an order follows the customer's own rhythm instead, as soon as they have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_rhythm: Option<OwnRhythm>,
}

impl LifecyclePolicy {
    /// Checks what cannot be kept.
    ///
    /// # Errors
    ///
    /// `RhythmError` if there is a rhythm and its bounds are the wrong way round, or it is no multiple, or asks for no
    /// gap or for more gaps than are looked at.
    pub fn check(&self) -> Result<(), RhythmError> {
        self.own_rhythm.as_ref().map_or(Ok(()), OwnRhythm::check)
    }

    /// How long after the newest order a customer is historical, by when the orders that stand were placed, the newest
    /// first.
    pub(crate) fn quiet_window(&self, placed_newest_first: impl Iterator<Item = Timestamp>) -> Span {
        let own = self.own_rhythm.as_ref().and_then(|rhythm| rhythm.window(placed_newest_first));
        own.unwrap_or(self.quiet_after)
    }
}

impl Default for LifecyclePolicy {
    /// Thirty days of intent, and half a year (182 days) until a customer is historical.
    fn default() -> Self {
        LifecyclePolicy { intent_fades_after: Span::days(30), quiet_after: Span::days(182), own_rhythm: None }
    }
}
