//! What a customer has of rewards: uses of coupons, vouchers, rewards that they claimed, badges.

use serde::{Deserialize, Serialize};

use super::coupon::CouponUses;
use super::{
    BadgeEarned, BadgeName, CouponClaimed, CouponCode, CouponRedeemed, CouponReleased, CouponReserved, CouponUse,
    LoyaltyError, ReleaseCause, RewardClaim, RewardClaimed, StampCardName, UseName, Voucher, VoucherFrom, VoucherId,
    VoucherIssued, VoucherWithdrawn, WithdrawCause,
};
use crate::flat::FlatMap;
use crate::id::EventId;
use crate::time::Timestamp;

/// What a customer has of rewards, by what was decided.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewardsHeld {
    uses: CouponUses,
    vouchers: FlatMap<VoucherId, Voucher>,
    claims: FlatMap<EventId, RewardClaim>,
    badges: FlatMap<BadgeName, Timestamp>,
}

impl RewardsHeld {
    /// The uses of a coupon, reserved and made, in the order in which they came.
    #[must_use]
    pub fn uses(&self, coupon: &CouponCode) -> &[CouponUse] {
        self.uses.of(coupon)
    }

    /// All uses of coupons.
    pub fn all_uses(&self) -> impl Iterator<Item = (&CouponCode, &CouponUse)> {
        self.uses.iter()
    }

    /// The use of a coupon that the shop calls so.
    #[must_use]
    pub fn use_named(&self, coupon: &CouponCode, name: &UseName) -> Option<&CouponUse> {
        self.uses.named(coupon, name)
    }

    /// The customer's own vouchers, those that were used or taken back included.
    pub fn vouchers(&self) -> impl Iterator<Item = (VoucherId, &Voucher)> {
        self.vouchers.iter().map(|(id, voucher)| (*id, voucher))
    }

    /// One of the customer's own vouchers.
    #[must_use]
    pub fn voucher(&self, id: VoucherId) -> Option<&Voucher> {
        self.vouchers.get(&id)
    }

    /// Whether a voucher, their own or of a batch, is used or reserved by this customer.
    #[must_use]
    pub fn is_taken(&self, id: VoucherId) -> bool {
        self.uses.iter().any(|(_, used)| used.by.is_some_and(|by| by.voucher == id))
    }

    /// One of the customer's own vouchers that can be used at an instant.
    ///
    /// # Errors
    ///
    /// `NoVoucher`, `VoucherBlocked`, `VoucherUsed`, or `VoucherExpired`.
    pub fn usable(&self, id: VoucherId, at: Timestamp) -> Result<&Voucher, LoyaltyError> {
        let Some(voucher) = self.voucher(id) else {
            return Err(if self.is_taken(id) { LoyaltyError::VoucherUsed } else { LoyaltyError::NoVoucher });
        };
        if voucher.withdrawn.is_some() {
            return Err(LoyaltyError::VoucherBlocked);
        }
        if self.is_taken(id) {
            return Err(LoyaltyError::VoucherUsed);
        }
        match voucher.expires_at {
            Some(expires_at) if expires_at <= at => Err(LoyaltyError::VoucherExpired { at: expires_at }),
            Some(_) | None => Ok(voucher),
        }
    }

    /// Rewards that were claimed and not given back, by the decision that claimed them.
    pub fn claims(&self) -> impl Iterator<Item = (EventId, &RewardClaim)> {
        self.claims.iter().map(|(id, claim)| (*id, claim))
    }

    /// A reward that was claimed and not given back.
    #[must_use]
    pub fn claim(&self, id: EventId) -> Option<&RewardClaim> {
        self.claims.get(&id)
    }

    /// The badges, with when they were earned.
    pub fn badges(&self) -> impl Iterator<Item = (&BadgeName, Timestamp)> {
        self.badges.iter().map(|(badge, at)| (badge, *at))
    }

    /// Whether a badge was earned.
    #[must_use]
    pub fn has_badge(&self, badge: &BadgeName) -> bool {
        self.badges.get(badge).is_some()
    }

    /// When the first use that is reserved ends.
    pub(crate) fn next_end(&self) -> Option<Timestamp> {
        self.uses.iter().filter_map(|(_, used)| used.until).min()
    }

    /// The uses whose time is over at an instant, as they are given back.
    pub(crate) fn ended(&self, at: Timestamp) -> impl Iterator<Item = CouponReleased> {
        let over = move |(_, used): &(&CouponCode, &CouponUse)| used.until.is_some_and(|until| until <= at);
        self.uses.iter().filter(over).filter_map(|(coupon, used)| released(coupon, used, ReleaseCause::NotUsed))
    }

    /// The vouchers that a version of a stamp card gave and that were not taken back, and how many it ever gave.
    pub(crate) fn of_stamps(&self, of: &StampCardName, version: Timestamp) -> (Vec<VoucherId>, usize) {
        let its = |from: &VoucherFrom| match from {
            VoucherFrom::Stamps { card, since } => card == of && *since == version,
            VoucherFrom::Shop | VoucherFrom::Reward(_) => false,
        };
        let ever = || self.vouchers.iter().filter(|(_, voucher)| its(&voucher.from));
        let standing = ever().filter(|(_, voucher)| voucher.withdrawn.is_none());
        (standing.map(|(id, _)| *id).collect(), ever().count())
    }

    // ---- the fold ----

    pub(crate) fn join(&mut self, other: &Self) {
        let RewardsHeld { uses, vouchers, claims, badges } = other;
        self.uses.join(uses);
        vouchers.iter().for_each(|(id, voucher)| self.vouchers.insert(*id, voucher.clone()));
        claims.iter().for_each(|(id, claim)| self.claims.insert(*id, claim.clone()));
        for (badge, at) in badges.iter() {
            let first = self.badges.get(badge).map_or(*at, |other| *other.min(at));
            self.badges.insert(badge.clone(), first);
        }
    }

    pub(crate) fn apply_claimed(&mut self, claimed: &CouponClaimed) {
        self.uses.claimed(claimed);
    }

    pub(crate) fn apply_reserved(&mut self, reserved: &CouponReserved) {
        self.uses.reserved(reserved);
    }

    pub(crate) fn apply_redeemed(&mut self, redeemed: &CouponRedeemed) {
        self.uses.redeemed(redeemed);
    }

    pub(crate) fn apply_released(&mut self, released: &CouponReleased) {
        self.uses.released(released);
    }

    pub(crate) fn apply_issued(&mut self, issued: &VoucherIssued) {
        let VoucherIssued { voucher, coupon, at, expires_at, from } = issued;
        let (coupon, from) = (coupon.clone(), from.clone());
        let own = Voucher { coupon, issued_at: *at, expires_at: *expires_at, from, withdrawn: None };
        self.vouchers.insert(*voucher, own);
    }

    pub(crate) fn apply_withdrawn(&mut self, withdrawn: &VoucherWithdrawn) {
        if let Some(voucher) = self.vouchers.get_mut(&withdrawn.voucher) {
            let cause: WithdrawCause = withdrawn.cause;
            voucher.withdrawn = Some(cause);
        }
    }

    pub(crate) fn apply_reward(&mut self, claimed: &RewardClaimed) {
        let RewardClaimed { claim, reward, program, points, money: _, at, cancel_until, stock: _, gives } = claimed;
        let (reward, program, gives) = (reward.clone(), program.clone(), gives.clone());
        let own = RewardClaim { reward, program, points: *points, at: *at, cancel_until: *cancel_until, gives };
        self.claims.insert(*claim, own);
    }

    pub(crate) fn apply_cancelled(&mut self, claim: EventId) {
        self.claims.remove(&claim);
    }

    pub(crate) fn apply_badge(&mut self, earned: &BadgeEarned) {
        if !self.has_badge(&earned.badge) {
            self.badges.insert(earned.badge.clone(), earned.at);
        }
    }
}

/// A use as it is given back; none for one without a name, which stays.
pub(crate) fn released(coupon: &CouponCode, used: &CouponUse, cause: ReleaseCause) -> Option<CouponReleased> {
    Some(CouponReleased { coupon: coupon.clone(), name: used.name.clone()?, cause, by: used.by })
}
