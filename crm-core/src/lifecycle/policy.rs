//! How long each stage of the life cycle lasts.

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// The windows of the life cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LifecyclePolicy {
    /// How long an enquiry or a cart counts as intent, in milliseconds.
    pub intent_fades_after: Span,
    /// After how long without an order a customer is historical, in milliseconds.
    pub quiet_after: Span,
}

impl Default for LifecyclePolicy {
    /// Thirty days of intent, and half a year (182 days) until a customer is historical.
    fn default() -> Self {
        LifecyclePolicy { intent_fades_after: Span::days(30), quiet_after: Span::days(182) }
    }
}
