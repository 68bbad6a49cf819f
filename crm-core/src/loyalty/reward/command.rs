//! Commands about rewards.

use serde::{Deserialize, Serialize};

use super::super::{
    LoyaltyError, PointsBook, RedeemPoints, VoucherFrom, VoucherId, VoucherIssued, VoucherWithdrawn, WithdrawCause,
};
use super::{Reward, RewardCancelled, RewardClaimed, RewardGives, RewardName};
use crate::customer::Customer;
use crate::definitions::Definitions;
use crate::event::Deed;
use crate::expression::Subject;
use crate::id::{CustomerId, EventId};
use crate::text::Remark;
use crate::time::Timestamp;

/// Exchange points for a reward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimReward {
    /// Which.
    pub reward: RewardName,
}

/// Give a reward back: the points and the stock come back, and a voucher that it gave goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelReward {
    /// By which decision it was claimed.
    pub claim: EventId,
}

impl Reward {
    /// All that stands against a customer's claiming it at an instant, as far as that is known of them alone.
    pub(super) fn against<'a>(
        &'a self,
        name: &'a RewardName,
        customer: &'a Customer,
        at: Timestamp,
        definitions: &'a Definitions,
    ) -> impl Iterator<Item = LoyaltyError> + 'a {
        let (from, until) = (self.from, self.until);
        let reward = || name.clone();
        let outside = from.is_some_and(|from| at < from) || until.is_some_and(|until| until <= at);
        let outside = outside.then(|| LoyaltyError::RewardNotValid { reward: reward(), from, until });
        let subject = Subject::new(customer, at, definitions);
        let not_for = self.when.as_ref().is_some_and(|rule| !rule.holds(&subject));
        let not_for = not_for.then(|| LoyaltyError::RewardNotFor { reward: reward() });
        let claimed = customer.rewards().claims().filter(|(_, claim)| claim.reward == *name).count();
        let too_many = self.each.filter(|each| claimed >= *each as usize);
        let too_many = too_many.map(|times| LoyaltyError::RewardClaimedByCustomer { reward: reward(), times });
        let available = customer.book(&self.program).map_or(0, PointsBook::balance);
        let asked = self.cost();
        let too_few = (available < i128::from(asked)).then_some(LoyaltyError::NotEnough { asked, available });
        [outside, not_for, too_many, too_few].into_iter().flatten()
    }

    /// A definition has at most as many points as fit.
    fn cost(&self) -> i64 {
        i64::try_from(self.points).unwrap_or(i64::MAX)
    }
}

impl ClaimReward {
    /// The claim, the posting that spends the points, and the voucher if it is one, for the member whom it comes
    /// through. Whether any are left is found out when it is committed, by the [counter](RewardName::counter).
    ///
    /// # Errors
    ///
    /// `NoReward`, `RewardNotValid`, `RewardNotFor`, `RewardClaimedByCustomer`, or `NotEnough`.
    pub fn decide(
        self,
        customer: &Customer,
        through: CustomerId,
        at: Timestamp,
        definitions: &Definitions,
    ) -> Result<Vec<Deed>, LoyaltyError> {
        let ClaimReward { reward: name } = self;
        let reward = definitions.reward(&name, at).ok_or_else(|| LoyaltyError::NoReward { reward: name.clone() })?;
        if let Some(refusal) = reward.against(&name, customer, at, definitions).next() {
            return Err(refusal);
        }
        // The first decision of these: it knows its own id.
        let claim = EventId::of_decision(through, customer.decisions_of(through));
        let empty = PointsBook::default();
        let book = customer.book(&reward.program).unwrap_or(&empty);
        let reason = Remark::from(name.clone());
        let redeem =
            RedeemPoints { program: reward.program.clone(), points: reward.cost(), reason, order: None, total: None };
        let spent = redeem.decide(book, customer.facts().orders())?;
        let claimed = RewardClaimed {
            claim,
            reward: name,
            program: reward.program.clone(),
            points: reward.cost(),
            money: reward.money,
            at,
            cancel_until: reward.cancel_within.map(|span| at.plus(span)),
            stock: reward.stock,
            gives: reward.gives.clone(),
        };
        let mut deeds = vec![Deed::RewardClaimed(claimed), Deed::PointsPosted(spent)];
        if let RewardGives::Voucher { coupon, lasts } = &reward.gives {
            deeds.push(Deed::VoucherIssued(VoucherIssued {
                voucher: VoucherId::of_reward(claim),
                coupon: coupon.clone(),
                at,
                expires_at: lasts.map(|span| at.plus(span)),
                from: VoucherFrom::Reward(claim),
            }));
        }
        Ok(deeds)
    }
}

impl CancelReward {
    /// That it is given back, with its voucher; what becomes of the points is posted after it.
    ///
    /// # Errors
    ///
    /// `NoRewardClaim` if it is not there or was given back before, `RewardKept` if it cannot be given back any more,
    /// `RewardVoucherUsed` if its voucher was used or is reserved.
    pub fn decide(self, customer: &Customer, at: Timestamp) -> Result<Vec<Deed>, LoyaltyError> {
        let CancelReward { claim } = self;
        let own = customer.rewards().claim(claim).ok_or(LoyaltyError::NoRewardClaim { claim })?;
        if own.cancel_until.is_none_or(|until| until <= at) {
            return Err(LoyaltyError::RewardKept { reward: own.reward.clone(), until: own.cancel_until });
        }
        let voucher = VoucherId::of_reward(claim);
        let has_voucher = customer.rewards().voucher(voucher).is_some_and(|voucher| voucher.withdrawn.is_none());
        if has_voucher && customer.rewards().is_taken(voucher) {
            return Err(LoyaltyError::RewardVoucherUsed { claim });
        }
        let mut deeds = vec![Deed::RewardCancelled(RewardCancelled { claim, reward: own.reward.clone() })];
        if has_voucher {
            let cause = WithdrawCause::RewardCancelled;
            deeds.push(Deed::VoucherWithdrawn(VoucherWithdrawn { voucher, cause }));
        }
        Ok(deeds)
    }
}
