//! What happens to rewards that were claimed.

use serde::{Deserialize, Serialize};

use super::super::ProgramId;
use super::{RewardGives, RewardName};
use crate::id::EventId;
use crate::money::Money;
use crate::time::Timestamp;

/// A customer claimed a reward. The points that it cost are posted by the decision after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewardClaimed {
    /// The id of this decision, by which it can be given back.
    pub claim: EventId,
    /// Which reward.
    pub reward: RewardName,
    /// The points of which programme it cost.
    pub program: ProgramId,
    /// How many.
    pub points: i64,
    /// What is paid besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money: Option<Money>,
    /// When.
    pub at: Timestamp,
    /// Until before when it can be given back, if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_until: Option<Timestamp>,
    /// How many there were for all customers together; none without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock: Option<u32>,
    /// What it is.
    pub gives: RewardGives,
}

/// A reward was given back. The points that it had cost come back by the decisions after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewardCancelled {
    /// Which claim.
    pub claim: EventId,
    /// Of which reward.
    pub reward: RewardName,
}

/// A reward that a customer claimed and has not given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewardClaim {
    /// Which.
    pub reward: RewardName,
    /// The points of which programme it cost.
    pub program: ProgramId,
    /// How many.
    pub points: i64,
    /// When.
    pub at: Timestamp,
    /// Until before when it can be given back, if it can.
    pub cancel_until: Option<Timestamp>,
    /// What it is.
    pub gives: RewardGives,
}
