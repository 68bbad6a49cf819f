//! Coupons that can be used a number of times in all, and once by each customer.

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};

use super::LoyaltyError;
use crate::customer::Customer;
use crate::text::text_type;

text_type!(
    /// The code of a coupon, such as `SPRING-26`.
    CouponCode, "coupon code", 64
);

/// Use a coupon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimCoupon {
    /// Which one.
    pub coupon: CouponCode,
    /// How often it can be used by all customers together; the same each time it is asked for.
    pub uses: u32,
}

/// A customer used a coupon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CouponClaimed {
    /// Which one.
    pub coupon: CouponCode,
    /// How often it could be used in all.
    pub uses: u32,
}

impl ClaimCoupon {
    /// Its use by a customer. Whether it was used too often by others is found out when it is committed,
    /// by a [counter](CouponClaimed::counter) that all customers share.
    ///
    /// # Errors
    ///
    /// `CouponUsed` if this customer used it before.
    pub fn decide(self, customer: &Customer) -> Result<CouponClaimed, LoyaltyError> {
        if customer.used_coupon(&self.coupon) {
            return Err(LoyaltyError::CouponUsed { coupon: self.coupon });
        }
        Ok(CouponClaimed { coupon: self.coupon, uses: self.uses })
    }
}

impl CouponClaimed {
    /// The name of the counter of its uses.
    #[must_use]
    pub fn counter(&self) -> SmolStr {
        format_smolstr!("coupon:{}", self.coupon)
    }
}
