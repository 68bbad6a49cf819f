//! What happens to the vouchers of a customer, beside their use.

use serde::{Deserialize, Serialize};

use super::super::{CouponCode, StampCardName};
use super::VoucherId;
use crate::id::EventId;
use crate::time::Timestamp;

/// What a customer got a voucher for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoucherFrom {
    /// The shop gave it to them, as a code.
    Shop,
    /// A reward that they claimed.
    Reward(EventId),
    /// A full stamp card.
    Stamps {
        /// Which card.
        card: StampCardName,
        /// The version of it: from when on it holds.
        since: Timestamp,
    },
}

/// A customer got a voucher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoucherIssued {
    /// Which.
    pub voucher: VoucherId,
    /// Of which coupon.
    pub coupon: CouponCode,
    /// When.
    pub at: Timestamp,
    /// Until before when it can be used; none means for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// What for.
    pub from: VoucherFrom,
}

/// Why a voucher was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithdrawCause {
    /// The shop blocked it.
    Blocked,
    /// The reward that it came with was given back.
    RewardCancelled,
    /// Orders of the full stamp card were undone.
    StampsGone,
}

/// A voucher that was not used was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoucherWithdrawn {
    /// Which.
    pub voucher: VoucherId,
    /// Why.
    pub cause: WithdrawCause,
}
