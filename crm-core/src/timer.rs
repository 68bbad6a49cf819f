//! What will happen without any new fact.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What will be due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AlarmKind {
    /// A fact from the future happens.
    FactDue,
    /// A window of the life cycle ends.
    Lifecycle,
    /// Points expire.
    PointsExpiry,
    /// A segment with a time in its definition changes its mind.
    Segment,
}

impl AlarmKind {
    /// The name it is stored under.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            AlarmKind::FactDue => "fact_due",
            AlarmKind::Lifecycle => "lifecycle",
            AlarmKind::PointsExpiry => "points_expiry",
            AlarmKind::Segment => "segment",
        }
    }
}

/// The next thing that will be due for a customer. There is one per customer, the earliest: whatever
/// comes after it follows from the customer's state then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Alarm {
    /// When.
    pub due_at: Timestamp,
    /// What.
    pub kind: AlarmKind,
}
