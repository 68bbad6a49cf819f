//! Somebody's word against a rule: a customer is in a segment, or is not, whatever its rule says of them.

use serde::{Deserialize, Serialize};

use super::SegmentName;
use crate::audit::ActorName;
use crate::text::Remark;
use crate::time::Timestamp;

/// Which way a rule is overridden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Override {
    /// The customer is in the segment.
    In,
    /// The customer is not.
    Out,
}

impl Override {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Override::In => "in",
            Override::Out => "out",
        }
    }
}

/// A request that a customer be in a segment, or not, whatever its rule says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideSegment {
    /// Which segment. It has to be in force.
    pub segment: SegmentName,
    /// Which way.
    pub to: Override,
    /// Until when, this instant not included; none until it is cleared.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Who says so.
    #[serde(default)]
    pub by: Option<ActorName>,
    /// Why, in few words; nothing that is personal about a customer.
    #[serde(default)]
    pub reason: Option<Remark>,
}

impl OverrideSegment {
    /// Until it is cleared, without saying who and why.
    #[must_use]
    pub const fn new(segment: SegmentName, to: Override) -> Self {
        OverrideSegment { segment, to, until: None, by: None, reason: None }
    }
}

/// What a rule says of a customer was overridden. The last word about a segment holds. It outlives new versions of the
/// segment, and ends with the segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentOverridden {
    /// When.
    pub at: Timestamp,
    /// What was asked for.
    pub asked: OverrideSegment,
}

impl SegmentOverridden {
    /// Whether it holds at an instant for a segment that is in force since another one without interruption.
    #[must_use]
    pub fn holds(&self, at: Timestamp, in_force_since: Timestamp) -> bool {
        self.at >= in_force_since && self.asked.until.is_none_or(|until| at < until)
    }

    /// The later word; of two of one instant the one that keeps out.
    pub(crate) fn later(self, other: Self) -> Self {
        let order = |one: &Self| (one.at, one.asked.to, one.asked.until.unwrap_or(Timestamp::MAX));
        if order(&other) > order(&self) { other } else { self }
    }
}

/// The rule of a segment decides again about a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideCleared {
    /// Of which segment.
    pub segment: SegmentName,
    /// Who says so.
    #[serde(default)]
    pub by: Option<ActorName>,
    /// Why, in few words.
    #[serde(default)]
    pub reason: Option<Remark>,
}

/// Why a rule was not overridden.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverrideRefusal {
    /// There is no such segment in force.
    #[error("there is no segment {segment}")]
    NoSegment {
        /// Its name.
        segment: SegmentName,
    },
    /// It would be over before it began.
    #[error("an override until {until} is over at {now}")]
    Over {
        /// Until when it was to hold.
        until: Timestamp,
        /// What time it is.
        now: Timestamp,
    },
    /// The customer's data may not be used for now (GDPR, article 18): nobody puts them in or takes them out.
    #[error("the customer is restricted since {since}")]
    Restricted {
        /// Since when.
        since: Timestamp,
    },
    /// The customer was erased.
    #[error("the customer was erased")]
    Erased,
}

/// What a change says in the place of a clause where a membership moved by an override.
pub const BY_OVERRIDE: &str = "override";
/// The same where one ended by time.
pub const OVERRIDE_ENDED: &str = "override ended";
