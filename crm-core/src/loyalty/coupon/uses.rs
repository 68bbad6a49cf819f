//! The uses of coupons by one customer.

use serde::{Deserialize, Serialize};

use super::{
    CouponClaimed, CouponCode, CouponRedeemed, CouponReleased, CouponReserved, UseName, VoucherHeld, WhenUndone,
};
use crate::flat::FlatMap;
use crate::order::OrderRef;
use crate::time::Timestamp;

/// A use of a coupon, reserved or made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CouponUse {
    /// What it is for; none for one that was merely [claimed](super::ClaimCoupon).
    pub name: Option<UseName>,
    /// When it was reserved, or made without being reserved; the least instant for one that was merely claimed.
    pub at: Timestamp,
    /// Until when it is reserved; none once it is made.
    pub until: Option<Timestamp>,
    /// With which order it was made.
    pub order: Option<OrderRef>,
    /// What becomes of it when that order is undone.
    pub undone: WhenUndone,
    /// By which voucher.
    pub by: Option<VoucherHeld>,
}

/// All uses by one customer, by coupon, those of each in the order in which they were reserved or made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::loyalty) struct CouponUses(FlatMap<CouponCode, Vec<CouponUse>>);

impl CouponUses {
    pub(in crate::loyalty) fn of(&self, coupon: &CouponCode) -> &[CouponUse] {
        self.0.get(coupon).map_or(&[], Vec::as_slice)
    }

    pub(in crate::loyalty) fn named(&self, coupon: &CouponCode, name: &UseName) -> Option<&CouponUse> {
        self.of(coupon).iter().find(|used| used.name.as_ref() == Some(name))
    }

    pub(in crate::loyalty) fn iter(&self) -> impl Iterator<Item = (&CouponCode, &CouponUse)> {
        self.0.iter().flat_map(|(coupon, uses)| uses.iter().map(move |used| (coupon, used)))
    }

    /// Adds those of another whom the customer was merged with.
    pub(in crate::loyalty) fn join(&mut self, other: &Self) {
        for (coupon, uses) in other.0.iter() {
            self.0.get_or_default(coupon).extend(uses.iter().cloned());
        }
    }

    pub(in crate::loyalty) fn claimed(&mut self, claimed: &CouponClaimed) {
        let (name, until, order, by) = (None, None, None, None);
        let used = CouponUse { name, at: Timestamp::MIN, until, order, undone: WhenUndone::Forfeited, by };
        self.0.get_or_default(&claimed.coupon).push(used);
    }

    pub(in crate::loyalty) fn reserved(&mut self, reserved: &CouponReserved) {
        let CouponReserved { coupon, name, at, expires_at, uses: _, by } = reserved;
        let (name, until, by) = (Some(name.clone()), Some(*expires_at), *by);
        let used = CouponUse { name, at: *at, until, order: None, undone: WhenUndone::default(), by };
        self.0.get_or_default(coupon).push(used);
    }

    pub(in crate::loyalty) fn redeemed(&mut self, redeemed: &CouponRedeemed) {
        let CouponRedeemed { coupon, name, at, gives: _, order, undone, reserved, uses: _, by } = redeemed;
        let (order, undone) = (order.clone(), *undone);
        let uses = self.0.get_or_default(coupon);
        let kept = uses.iter_mut().find(|used| *reserved && used.name.as_ref() == Some(name));
        match kept {
            Some(kept) => (kept.until, kept.order, kept.undone) = (None, order, undone),
            None => {
                uses.push(CouponUse { name: Some(name.clone()), at: *at, until: None, order, undone, by: *by });
            }
        }
    }

    pub(in crate::loyalty) fn released(&mut self, released: &CouponReleased) {
        let uses = self.0.get_or_default(&released.coupon);
        if let Some(place) = uses.iter().position(|used| used.name.as_ref() == Some(&released.name)) {
            uses.remove(place);
        }
        if uses.is_empty() {
            self.0.remove(&released.coupon);
        }
    }
}
