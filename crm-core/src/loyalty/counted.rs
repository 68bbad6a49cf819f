//! What is counted for all customers together.

use smol_str::SmolStr;

use super::{CouponRedeemed, CouponReleased, CouponReserved, VoucherFrom, VoucherHeld, VoucherId, VoucherIssued};
use crate::event::Deed;

/// How a decision moves a counter that all customers share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterMove {
    /// Which counter.
    pub counter: SmolStr,
    /// By how much: 1 or -1.
    pub by: i64,
    /// What it may not exceed; what is given back is bound by nothing.
    pub limit: Option<u32>,
}

impl Deed {
    /// The voucher with a code that is the customer's from now on (`true`), or is its batch's again; none for
    /// decisions that move none.
    #[must_use]
    pub fn voucher_moved(&self) -> Option<(VoucherId, bool)> {
        let batched = |held: &VoucherHeld| held.batch.map(|_| held.voucher);
        if let Deed::VoucherIssued(VoucherIssued { voucher, from: VoucherFrom::Shop, .. }) = self {
            return Some((*voucher, true));
        }
        if let Deed::CouponReserved(CouponReserved { by: Some(held), .. })
        | Deed::CouponRedeemed(CouponRedeemed { by: Some(held), reserved: false, .. }) = self
        {
            return batched(held).map(|voucher| (voucher, true));
        }
        let Deed::CouponReleased(CouponReleased { by: Some(held), .. }) = self else { return None };
        batched(held).map(|voucher| (voucher, false))
    }

    /// The counter that it moves, if any. What has no limit is counted all the same: a later version may have one.
    #[must_use]
    pub fn counted(&self) -> Option<CounterMove> {
        if let Deed::CouponClaimed(claimed) = self {
            return Some(CounterMove { counter: claimed.counter(), by: 1, limit: Some(claimed.uses) });
        }
        if let Deed::CouponReserved(CouponReserved { coupon, uses, .. })
        | Deed::CouponRedeemed(CouponRedeemed { coupon, uses, reserved: false, .. }) = self
        {
            return Some(CounterMove { counter: coupon.counter(), by: 1, limit: *uses });
        }
        if let Deed::RewardClaimed(claimed) = self {
            return Some(CounterMove { counter: claimed.reward.counter(), by: 1, limit: claimed.stock });
        }
        let given_back = |counter| Some(CounterMove { counter, by: -1, limit: None });
        if let Deed::CouponReleased(released) = self {
            return given_back(released.coupon.counter());
        }
        if let Deed::RewardCancelled(cancelled) = self {
            return given_back(cancelled.reward.counter());
        }
        None
    }
}
