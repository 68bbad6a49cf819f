//! What was decided about a person's data.

use serde::{Deserialize, Serialize};

use crate::id::EventId;
use crate::order::OrderRef;
use crate::text::{Remark, text_type};
use crate::time::Timestamp;

use super::RetentionMark;

text_type!(
    /// What a legal hold is called, such as `tax audit 2026`. Nothing that is personal about a customer.
    LegalHoldName, "name of a legal hold", 64
);

/// The customer was erased: what was personal is gone, and nobody is found by what they were known by. It is in the
/// history of each whom they were merged of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// Why, in few words; nothing that is personal about a customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Remark>,
    /// Whether it was done in spite of what stood against it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// By which retention policy, if by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionMark>,
}

/// What a legal hold is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// Everything there is about the customer.
    Everything,
    /// One order, and whose it is.
    Order(OrderRef),
    /// One event, and whose it is.
    Event(EventId),
}

/// Something about the customer has to be kept for a while (GDPR, Art. 17(3)(b) and (e)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldPlaced {
    /// What it is called. Another one of that name takes its place.
    pub name: LegalHoldName,
    /// What has to be kept.
    pub record: Record,
    /// Until when, this instant not included; none until it is released. It is in the state too, whose form leaves
    /// nothing out.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

impl HoldPlaced {
    /// Whether it holds at an instant.
    #[must_use]
    pub fn holds(&self, at: Timestamp) -> bool {
        self.until.is_none_or(|until| at < until)
    }
}

/// A legal hold is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldReleased {
    /// Which one.
    pub name: LegalHoldName,
}
