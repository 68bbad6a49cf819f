//! Rewards: what points can be exchanged for.

mod command;
mod event;
mod offer;

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};

pub use command::{CancelReward, ClaimReward};
pub use event::{RewardCancelled, RewardClaim, RewardClaimed};
pub use offer::RewardOffer;

use super::program::LOYALTY_POINTS_MAX;
use super::rules::{RewardRuleError, check_rule, check_span};
use super::{CouponCode, ProgramId};
use crate::expression::Predicate;
use crate::money::Money;
use crate::order::ProductRef;
use crate::text::{Remark, text_type};
use crate::time::{Span, Timestamp};

text_type!(
    /// The name of a reward, such as `travel_mug`.
    RewardName, "reward", 64
);

impl RewardName {
    /// The name of the counter of how many were claimed and not given back.
    #[must_use]
    pub fn counter(&self) -> SmolStr {
        format_smolstr!("{COUNTER}{self}")
    }
}

/// What stands before the names of counters of rewards.
pub(super) const COUNTER: &str = "reward:";

/// What a reward is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RewardGives {
    /// A product, which the shop hands over.
    Product(ProductRef),
    /// Something else that the shop hands over or does, in its own words.
    Other(Remark),
    /// Credit, which the shop books.
    Credit(Money),
    /// A voucher of a coupon, which the customer has from then on.
    Voucher {
        /// Of which coupon.
        coupon: CouponCode,
        /// How long it can be used; none means for ever.
        lasts: Option<Span>,
    },
}

/// A reward of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reward {
    /// The points of which programme it costs.
    pub program: ProgramId,
    /// How many, at least 1.
    pub points: u64,
    /// What is paid besides. It is for the shop to take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money: Option<Money>,
    /// How many there are for all customers together, those that were claimed before included: a new version may add
    /// some. None means without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock: Option<u32>,
    /// How many each customer may claim; none means without limit. What was given back does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<u32>,
    /// From when on; none means from when the definition holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Until before when; none means as long as the definition holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// For whom: none means for everybody. It may not ask about the past of segments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Predicate>,
    /// For how long it can be given back; none means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_within: Option<Span>,
    /// What it is.
    pub gives: RewardGives,
}

impl Reward {
    /// One for so many points, for everybody, without limits, that cannot be given back.
    #[must_use]
    pub const fn new(program: ProgramId, points: u64, gives: RewardGives) -> Self {
        Reward {
            program,
            points,
            money: None,
            stock: None,
            each: None,
            from: None,
            until: None,
            when: None,
            cancel_within: None,
            gives,
        }
    }

    /// With so many in stock.
    #[must_use]
    pub const fn with_stock(mut self, stock: u32) -> Self {
        self.stock = Some(stock);
        self
    }

    /// With so many for each customer.
    #[must_use]
    pub const fn with_each(mut self, each: u32) -> Self {
        self.each = Some(each);
        self
    }

    /// That can be given back for so long.
    #[must_use]
    pub const fn cancellable_within(mut self, span: Span) -> Self {
        self.cancel_within = Some(span);
        self
    }

    /// Checks the limits of a definition. A stock of 0 is one that has run out.
    ///
    /// # Errors
    ///
    /// `Predicate`, `Past`, `Never`, `Zero`, or `Points`.
    pub fn check(&self) -> Result<(), RewardRuleError> {
        check_rule(self.when.as_ref())?;
        check_span(self.from, self.until)?;
        if self.points == 0 {
            return Err(RewardRuleError::Zero { what: "points" });
        }
        if self.points > LOYALTY_POINTS_MAX.unsigned_abs() {
            return Err(RewardRuleError::Points { points: self.points, max: LOYALTY_POINTS_MAX });
        }
        let credit = if let RewardGives::Credit(credit) = self.gives { Some(credit) } else { None };
        if self.money.into_iter().chain(credit).any(|money| money.minor() <= 0) {
            return Err(RewardRuleError::Zero { what: "amount" });
        }
        if self.each == Some(0) { Err(RewardRuleError::Zero { what: "each" }) } else { Ok(()) }
    }
}
