//! Badges and milestones: earned once, when a rule first holds, and kept from then on.

use serde::{Deserialize, Serialize};

use super::ProgramId;
use super::program::LOYALTY_POINTS_MAX;
use super::rules::{RewardRuleError, check_rule};
use crate::expression::Predicate;
use crate::text::text_type;
use crate::time::Timestamp;

text_type!(
    /// The name of a badge, such as `ten_orders`.
    BadgeName, "badge", 64
);

/// Points that come with a badge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BadgePoints {
    /// Of which programme. None are given while it is not in force.
    pub program: ProgramId,
    /// How many, at least 1.
    pub points: u32,
}

/// A badge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Badge {
    /// When it is earned: as soon as this holds. It may not ask about the past of segments.
    pub when: Predicate,
    /// What comes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<BadgePoints>,
}

impl Badge {
    /// One without points.
    #[must_use]
    pub const fn new(when: Predicate) -> Self {
        Badge { when, points: None }
    }

    /// With points of a programme.
    #[must_use]
    pub fn with_points(mut self, program: ProgramId, points: u32) -> Self {
        self.points = Some(BadgePoints { program, points });
        self
    }

    /// Checks the limits of a definition.
    ///
    /// # Errors
    ///
    /// `Predicate`, `Past`, or `Zero`.
    pub fn check(&self) -> Result<(), RewardRuleError> {
        const { assert!(LOYALTY_POINTS_MAX > u32::MAX as i64, "any number of points can be awarded") };
        check_rule(Some(&self.when))?;
        match &self.points {
            Some(BadgePoints { points: 0, .. }) => Err(RewardRuleError::Zero { what: "points" }),
            Some(_) | None => Ok(()),
        }
    }
}

/// A customer earned a badge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadgeEarned {
    /// Which.
    pub badge: BadgeName,
    /// When.
    pub at: Timestamp,
}
