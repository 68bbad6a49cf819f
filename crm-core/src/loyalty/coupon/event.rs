//! What happens to the uses of a coupon.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::super::VoucherId;
use super::{Benefit, CouponCode, UseName, WhenUndone};
use crate::id::CustomerId;
use crate::order::OrderRef;
use crate::time::Timestamp;

/// A customer used a coupon whose limits the shop keeps itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CouponClaimed {
    /// Which one.
    pub coupon: CouponCode,
    /// How often it could be used in all.
    pub uses: u32,
}

impl CouponClaimed {
    /// The name of the counter of its uses.
    #[must_use]
    pub fn counter(&self) -> SmolStr {
        self.coupon.counter()
    }
}

/// The voucher that a coupon is used by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoucherHeld {
    /// Which.
    pub voucher: VoucherId,
    /// The batch that it is of, to which it goes back when it is not used after all; none for a customer's own.
    pub batch: Option<CustomerId>,
}

/// A use of a coupon is kept for a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CouponReserved {
    /// Of which coupon.
    pub coupon: CouponCode,
    /// For what.
    pub name: UseName,
    /// Since when.
    pub at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
    /// How often the coupon can be used in all; none without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// By which voucher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<VoucherHeld>,
}

/// A customer used a coupon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CouponRedeemed {
    /// Which one.
    pub coupon: CouponCode,
    /// For what.
    pub name: UseName,
    /// When.
    pub at: Timestamp,
    /// What it brings.
    pub gives: Benefit,
    /// With which order, if with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderRef>,
    /// What becomes of the use when that order is undone.
    #[serde(default)]
    pub undone: WhenUndone,
    /// Whether the use had been reserved, so that it is counted already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reserved: bool,
    /// How often the coupon can be used in all; none without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// By which voucher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<VoucherHeld>,
}

/// Why a use was given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseCause {
    /// The shop asked for it.
    Asked,
    /// It was reserved, and not used in time.
    NotUsed,
    /// The order was refunded in full, or never was.
    OrderUndone,
}

/// A use of a coupon was given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CouponReleased {
    /// Of which coupon.
    pub coupon: CouponCode,
    /// Which use.
    pub name: UseName,
    /// Why.
    pub cause: ReleaseCause,
    /// By which voucher it would have been used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<VoucherHeld>,
}
