//! Commands about coupons.

use serde::{Deserialize, Serialize};

use super::super::{LoyaltyError, VoucherId};
use super::{
    Coupon, CouponClaimed, CouponCode, CouponRedeemed, CouponReleased, CouponReserved, ReleaseCause, UseName,
    VoucherHeld, WhenUndone,
};
use crate::customer::Customer;
use crate::definitions::Definitions;
use crate::id::CustomerId;
use crate::order::OrderRef;
use crate::time::Timestamp;

/// Use a coupon whose limits the shop keeps itself: once by each customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimCoupon {
    /// Which one.
    pub coupon: CouponCode,
    /// How often it can be used by all customers together; the same each time it is asked for.
    pub uses: u32,
}

/// Keep a use of a coupon for a customer. It counts against all limits until it is made, released, or its time is
/// over. A use of that name that is there already stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReserveCoupon {
    /// Which one.
    pub coupon: CouponCode,
    /// For what: the shop's own name of the use.
    pub name: UseName,
    /// Until when.
    pub expires_at: Timestamp,
    /// By which of the customer's own vouchers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voucher: Option<VoucherId>,
}

/// Use a coupon. What was reserved under that name is used, and asks for nothing more; a use of that name that was
/// made already stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedeemCoupon {
    /// Which one.
    pub coupon: CouponCode,
    /// For what: the shop's own name of the use.
    pub name: UseName,
    /// With which order. When it is undone, the coupon may be released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderRef>,
    /// By which of the customer's own vouchers, unless it was reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voucher: Option<VoucherId>,
}

/// Give back a use of a coupon, reserved or made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseCoupon {
    /// Of which coupon.
    pub coupon: CouponCode,
    /// The shop's own name of the use.
    pub name: UseName,
}

/// A voucher of a batch, as it was looked up by its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoucherTicket {
    /// Which.
    pub voucher: VoucherId,
    /// Of which coupon.
    pub coupon: CouponCode,
    /// Until before when it can be used.
    pub expires_at: Option<Timestamp>,
    /// Under which id its batch is kept.
    pub batch: CustomerId,
}

impl ClaimCoupon {
    /// Its use by a customer. Whether it was used too often by others is found out when it is committed,
    /// by a [counter](CouponClaimed::counter) that all customers share.
    ///
    /// # Errors
    ///
    /// `CouponUsed` if this customer used it before.
    pub fn decide(self, customer: &Customer) -> Result<CouponClaimed, LoyaltyError> {
        if !customer.coupon_uses(&self.coupon).is_empty() {
            return Err(LoyaltyError::CouponUsed { coupon: self.coupon });
        }
        Ok(CouponClaimed { coupon: self.coupon, uses: self.uses })
    }
}

/// A coupon that a customer may use once more, and by what.
fn admitted<'d>(
    coupon: &CouponCode,
    voucher: Option<VoucherId>,
    ticket: Option<&VoucherTicket>,
    customer: &Customer,
    at: Timestamp,
    definitions: &'d Definitions,
) -> Result<(&'d Coupon, Option<VoucherHeld>), LoyaltyError> {
    let by = match (ticket, voucher) {
        (Some(ticket), _) => {
            if let Some(expires_at) = ticket.expires_at.filter(|expires_at| *expires_at <= at) {
                return Err(LoyaltyError::VoucherExpired { at: expires_at });
            }
            if ticket.coupon != *coupon {
                return Err(LoyaltyError::NoVoucher);
            }
            if customer.rewards().is_taken(ticket.voucher) {
                return Err(LoyaltyError::VoucherUsed);
            }
            Some(VoucherHeld { voucher: ticket.voucher, batch: Some(ticket.batch) })
        }
        (None, Some(voucher)) => {
            let own = customer.rewards().usable(voucher, at)?;
            if own.coupon != *coupon {
                return Err(LoyaltyError::NoVoucher);
            }
            Some(VoucherHeld { voucher, batch: None })
        }
        (None, None) => None,
    };
    let no_coupon = || LoyaltyError::NoCoupon { coupon: coupon.clone() };
    let terms = definitions.coupon(coupon, at).ok_or_else(no_coupon)?;
    terms.admits(coupon, by.is_some(), customer, at, definitions)?;
    Ok((terms, by))
}

impl ReserveCoupon {
    /// What is kept for the customer; none if it is so already. Whether all customers together used it too often is
    /// found out when it is committed, by the [counter](CouponCode::counter).
    ///
    /// # Errors
    ///
    /// `NoCoupon`, `CouponNotValid`, `CouponNotFor`, `VoucherNeeded`, one of the limits of a customer, what is wrong
    /// with the voucher, or `ReservationOver` for an end that has passed.
    pub fn decide(
        self,
        ticket: Option<&VoucherTicket>,
        customer: &Customer,
        at: Timestamp,
        definitions: &Definitions,
    ) -> Result<Option<CouponReserved>, LoyaltyError> {
        let ReserveCoupon { coupon, name, expires_at, voucher } = self;
        if customer.rewards().use_named(&coupon, &name).is_some() {
            return Ok(None);
        }
        if expires_at <= at {
            return Err(LoyaltyError::ReservationOver { at: expires_at });
        }
        let (terms, by) = admitted(&coupon, voucher, ticket, customer, at, definitions)?;
        Ok(Some(CouponReserved { coupon, name, at, expires_at, uses: terms.uses, by }))
    }
}

impl RedeemCoupon {
    /// The use; none if it is made already. As for [reserving](ReserveCoupon::decide).
    ///
    /// # Errors
    ///
    /// As for reserving, but for what was reserved, whatever became of the coupon since; and `OrderVoided` in either case.
    pub fn decide(
        self,
        ticket: Option<&VoucherTicket>,
        customer: &Customer,
        at: Timestamp,
        definitions: &Definitions,
    ) -> Result<Option<CouponRedeemed>, LoyaltyError> {
        let RedeemCoupon { coupon, name, order, voucher } = self;
        let kept = customer.rewards().use_named(&coupon, &name);
        if kept.is_some_and(|kept| kept.until.is_none()) {
            return Ok(None);
        }
        if let Some(order) = order.as_ref().filter(|order| customer.facts().orders().is_voided(order)) {
            return Err(LoyaltyError::OrderVoided { order: order.clone() });
        }
        let (terms, by) = match kept {
            Some(kept) => {
                // It was promised under the terms of then.
                let terms = definitions.coupon(&coupon, at).or_else(|| definitions.coupon(&coupon, kept.at));
                (terms.ok_or_else(|| LoyaltyError::NoCoupon { coupon: coupon.clone() })?, kept.by)
            }
            None => admitted(&coupon, voucher, ticket, customer, at, definitions)?,
        };
        let (gives, undone, uses) = (terms.gives.clone(), terms.undone, terms.uses);
        let reserved = kept.is_some();
        Ok(Some(CouponRedeemed { coupon, name, at, gives, order, undone, reserved, uses, by }))
    }
}

impl ReleaseCoupon {
    /// The use that is given back.
    ///
    /// # Errors
    ///
    /// `NoCouponUse` if there is none of that name, `CouponForfeited` if it was made and stays so by the terms.
    pub fn decide(self, customer: &Customer) -> Result<CouponReleased, LoyaltyError> {
        let ReleaseCoupon { coupon, name } = self;
        let Some(used) = customer.rewards().use_named(&coupon, &name) else {
            return Err(LoyaltyError::NoCouponUse { coupon, name });
        };
        if used.until.is_none() && used.undone == WhenUndone::Forfeited {
            return Err(LoyaltyError::CouponForfeited { coupon });
        }
        let by = used.by;
        Ok(CouponReleased { coupon, name, cause: ReleaseCause::Asked, by })
    }
}
