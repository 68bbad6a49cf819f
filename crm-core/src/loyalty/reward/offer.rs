//! What a customer could claim, and why not.

use super::super::LoyaltyError;
use super::{Reward, RewardName};
use crate::customer::Customer;
use crate::definitions::Definitions;
use crate::time::Timestamp;

/// A reward as a customer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewardOffer {
    /// Which.
    pub name: RewardName,
    /// What it costs and is.
    pub reward: Reward,
    /// How many are left; none without limit, and where that was not looked up.
    pub left: Option<u64>,
    /// Why it cannot be claimed now; empty if it can.
    pub refused: Vec<LoyaltyError>,
}

impl Customer {
    /// Every reward in force at an instant, by name, with all that stands against claiming it then, but for the stock,
    /// which only the store knows.
    #[must_use]
    pub fn reward_offers(&self, at: Timestamp, definitions: &Definitions) -> Vec<RewardOffer> {
        let offer = |(name, reward): (&RewardName, &Reward)| RewardOffer {
            name: name.clone(),
            reward: reward.clone(),
            left: None,
            refused: reward.against(name, self, at, definitions).collect(),
        };
        definitions.rewards(at).map(offer).collect()
    }
}

impl RewardOffer {
    /// The same, knowing how many were claimed by all customers together.
    #[must_use]
    pub fn with_claimed(mut self, claimed: u64) -> Self {
        let Some(stock) = self.reward.stock else { return self };
        let left = u64::from(stock).saturating_sub(claimed);
        if left == 0 {
            self.refused.push(LoyaltyError::OutOfStock { reward: self.name.clone(), stock });
        }
        self.left = Some(left);
        self
    }
}
