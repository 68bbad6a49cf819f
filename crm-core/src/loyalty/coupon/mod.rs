//! Coupons: what they bring, who may use them and how often.
//!
//! A coupon that the shop defined has limits of its own. One that it did not define is what the shop says in
//! [`ClaimCoupon`]: so many uses in all, and one by each customer. Uses of either are counted alike.

mod command;
mod event;
mod uses;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};

pub use command::{ClaimCoupon, RedeemCoupon, ReleaseCoupon, ReserveCoupon, VoucherTicket};
pub use event::{CouponClaimed, CouponRedeemed, CouponReleased, CouponReserved, ReleaseCause, VoucherHeld};
pub use uses::CouponUse;
pub(super) use uses::CouponUses;

use super::rules::{RewardRuleError, check_rule, check_span};
use super::{LoyaltyError, Period, ProgramId};
use crate::customer::Customer;
use crate::definitions::Definitions;
use crate::expression::{Predicate, Subject};
use crate::money::Money;
use crate::order::ProductRef;
use crate::text::{Remark, text_type};
use crate::time::Timestamp;

text_type!(
    /// The code of a coupon, such as `SPRING-26`, or the name of the campaign that its vouchers are of.
    CouponCode, "coupon code", 64
);
text_type!(
    /// The shop's own name of one use of a coupon: of a cart, a checkout or an order.
    UseName, "coupon use", 256
);

impl CouponCode {
    /// The name of the counter of its uses by all customers, those that are reserved included.
    #[must_use]
    pub fn counter(&self) -> SmolStr {
        format_smolstr!("{COUNTER}{self}")
    }
}

/// What stands before the names of counters of coupons.
pub(super) const COUNTER: &str = "coupon:";

/// What a coupon brings. It is for the shop to heed: nothing here makes an order cheaper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Benefit {
    /// So many hundredths off.
    PercentOff(u8),
    /// So much off.
    AmountOff(Money),
    /// A piece of a product for nothing.
    Free(ProductRef),
    /// So many points of a programme, which the shop awards.
    Points(ProgramId, u32),
    /// Something else, in the words of the shop.
    Other(Remark),
}

/// By what a coupon is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CouponBy {
    /// By its code, which anybody may know, or by a voucher.
    #[default]
    Code,
    /// By a [voucher](super::VoucherId) alone, each of which is used once.
    Voucher,
}

/// What becomes of a use when the order is undone that it was for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenUndone {
    /// It is given back, and its voucher can be used again.
    #[default]
    Released,
    /// It stays used.
    Forfeited,
}

/// How often one customer may use a coupon in each stretch of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsesPer {
    /// How often, at least 1.
    pub uses: u32,
    /// In each of which stretches.
    pub period: Period,
    /// By the calendar of which zone.
    pub zone: Tz,
}

/// A coupon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coupon {
    /// What it brings.
    pub gives: Benefit,
    /// By what it is used.
    #[serde(default)]
    pub by: CouponBy,
    /// From when on; none means from when the definition holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Until before when; none means as long as the definition holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// For whom: none means for everybody. It may not ask about the past of segments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Predicate>,
    /// How often all customers together may use it; none means without limit. A new version may change it: what was
    /// used before counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// How often each customer may use it; none means without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<u32>,
    /// How often each customer may use it in each stretch of the calendar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<UsesPer>,
    /// What becomes of a use when its order is refunded in full, or voided.
    #[serde(default)]
    pub undone: WhenUndone,
}

impl Coupon {
    /// One that everybody can use by its code, without limits.
    #[must_use]
    pub const fn new(gives: Benefit) -> Self {
        Coupon {
            gives,
            by: CouponBy::Code,
            from: None,
            until: None,
            when: None,
            uses: None,
            each: None,
            per: None,
            undone: WhenUndone::Released,
        }
    }

    /// With so many uses by all customers together.
    #[must_use]
    pub const fn with_uses(mut self, uses: u32) -> Self {
        self.uses = Some(uses);
        self
    }

    /// With so many uses by each customer.
    #[must_use]
    pub const fn with_each(mut self, each: u32) -> Self {
        self.each = Some(each);
        self
    }

    /// Used by vouchers alone.
    #[must_use]
    pub const fn by_voucher(mut self) -> Self {
        self.by = CouponBy::Voucher;
        self
    }

    /// Checks the limits of a definition.
    ///
    /// # Errors
    ///
    /// `Predicate`, `Past`, `Never` if it ends before it begins, `Zero` for a limit of 0, `Percent` for none or more
    /// than all.
    pub fn check(&self) -> Result<(), RewardRuleError> {
        check_rule(self.when.as_ref())?;
        check_span(self.from, self.until)?;
        let per = self.per.map(|per| per.uses);
        if [self.uses, self.each, per].contains(&Some(0)) {
            return Err(RewardRuleError::Zero { what: "uses" });
        }
        match &self.gives {
            Benefit::PercentOff(percent) if !(1..=100).contains(percent) => {
                Err(RewardRuleError::Percent { percent: *percent })
            }
            Benefit::AmountOff(amount) if amount.minor() <= 0 => Err(RewardRuleError::Zero { what: "amount" }),
            Benefit::Points(_, 0) => Err(RewardRuleError::Zero { what: "points" }),
            Benefit::PercentOff(_)
            | Benefit::AmountOff(_)
            | Benefit::Free(_)
            | Benefit::Points(..)
            | Benefit::Other(_) => Ok(()),
        }
    }

    /// Whether a customer may use it once more at an instant, as far as that is known of them alone; `voucher` says
    /// that they have one.
    fn admits(
        &self,
        coupon: &CouponCode,
        voucher: bool,
        customer: &Customer,
        at: Timestamp,
        definitions: &Definitions,
    ) -> Result<(), LoyaltyError> {
        let coupon = || coupon.clone();
        if self.by == CouponBy::Voucher && !voucher {
            return Err(LoyaltyError::VoucherNeeded { coupon: coupon() });
        }
        let (from, until) = (self.from, self.until);
        if from.is_some_and(|from| at < from) || until.is_some_and(|until| until <= at) {
            return Err(LoyaltyError::CouponNotValid { coupon: coupon(), from, until });
        }
        let subject = Subject::new(customer, at, definitions);
        if self.when.as_ref().is_some_and(|rule| !rule.holds(&subject)) {
            return Err(LoyaltyError::CouponNotFor { coupon: coupon() });
        }
        let used = |since: Timestamp| {
            let uses = customer.coupon_uses(&coupon());
            uses.iter().filter(|used| used.at >= since).count()
        };
        let reached = |limit: u32, since: Timestamp| used(since) >= limit as usize;
        match (self.each, self.per) {
            (Some(1), _) if reached(1, Timestamp::MIN) => Err(LoyaltyError::CouponUsed { coupon: coupon() }),
            (Some(each), _) if reached(each, Timestamp::MIN) => {
                Err(LoyaltyError::CouponUsedByCustomer { coupon: coupon(), uses: each })
            }
            (_, Some(UsesPer { uses, period, zone })) if reached(uses, period.begin(at, zone)) => {
                let until = period.end(at, zone);
                Err(LoyaltyError::CouponUsedInPeriod { coupon: coupon(), uses, until })
            }
            (None | Some(_), None | Some(_)) => Ok(()),
        }
    }
}
