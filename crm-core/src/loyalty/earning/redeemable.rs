//! How many points an order could be paid with, before anything is redeemed.

use serde::Serialize;

use super::super::{LoyaltyError, Program, Redemption};
use super::Cart;
use crate::money::Money;

/// Why no more points of a customer can be redeemed for an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RedeemLimit {
    /// The customer has no more that can be spent.
    Available {
        /// How many; negative when the customer owes points.
        available: i128,
    },
    /// No larger share of an order is paid with points.
    Share {
        /// In hundredths.
        up_to_percent: u8,
        /// What that is of this order, less what is paid with points already, in minor units.
        minor: i64,
    },
    /// It would be fewer than have to be redeemed at least.
    AtLeast {
        /// How many that is.
        at_least: u64,
        /// How many it would be.
        would: i64,
    },
    /// The programme does not redeem points for money.
    NotOffered,
    /// The order is in another currency than the programme.
    OtherCurrency,
}

/// How many points could be redeemed for an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Redeemable {
    /// The most points; each of them is needed for what they are worth.
    pub points: i64,
    /// What they are worth, in minor units of the order's currency.
    pub worth_minor: i64,
    /// What keeps it from being more.
    pub limits: Vec<RedeemLimit>,
}

impl Program {
    /// How many points could be redeemed for an order by somebody who has so many that can be spent. What the cart says
    /// is paid with points is taken as redeemed already: this is what could be beyond it.
    #[must_use]
    pub fn redeemable(&self, cart: &Cart, available: i128) -> Redeemable {
        let none = |limit| Redeemable { points: 0, worth_minor: 0, limits: vec![limit] };
        let Some(redemption) = self.redemption else { return none(RedeemLimit::NotOffered) };
        let Redemption { points, minor, at_least, up_to_percent } = redemption;
        if cart.total.currency() != self.currency {
            return none(RedeemLimit::OtherCurrency);
        }
        let (points, minor) = (i128::from(points.max(1)), i128::from(minor));
        let share = (redemption.share(cart.total) - i128::from(cart.points_minor.max(0))).max(0);
        let had = available.max(0).saturating_mul(minor) / points;
        let worth = had.min(share);
        let needed = redemption.needed(worth);
        let limit = |number: i128| i64::try_from(number).unwrap_or(i64::MAX);
        let mut limits = Vec::new();
        if had <= share {
            limits.push(RedeemLimit::Available { available });
        }
        if share <= had {
            limits.push(RedeemLimit::Share { up_to_percent, minor: limit(share) });
        }
        if needed < i128::from(at_least) {
            limits.push(RedeemLimit::AtLeast { at_least, would: limit(needed) });
            return Redeemable { points: 0, worth_minor: 0, limits };
        }
        Redeemable { points: limit(needed), worth_minor: limit(worth), limits }
    }
}

impl Redemption {
    /// How much of an order is paid with points at most, in minor units.
    fn share(&self, total: Money) -> i128 {
        i128::from(total.minor().max(0)) * i128::from(self.up_to_percent.min(100)) / 100
    }

    /// How many points are needed for so many minor units: not one more than it takes.
    fn needed(&self, worth: i128) -> i128 {
        let (points, minor) = (i128::from(self.points.max(1)), i128::from(self.minor));
        if minor > 0 { (worth * points + minor - 1) / minor } else { 0 }
    }
}

impl Program {
    /// Checks so many points that are to be redeemed by what [`Redemption`] says. `order` is what is left of the order that
    /// is paid with them, where that is known, with how many points were redeemed for it before and did not come back.
    /// Whoever redeems what a quote told is never refused. A programme that says nothing has no limits.
    ///
    /// # Errors
    ///
    /// `TooFewRedeemed`, `ShareRedeemed` or `RedeemedCurrency`.
    pub fn check_redeemed(&self, points: i64, order: Option<(Money, i64)>) -> Result<(), LoyaltyError> {
        let Some(redemption) = self.redemption else { return Ok(()) };
        let Redemption { at_least, up_to_percent, .. } = redemption;
        if u64::try_from(points).unwrap_or(0) < at_least {
            return Err(LoyaltyError::TooFewRedeemed { asked: points, at_least });
        }
        let Some((total, before)) = order else { return Ok(()) };
        if total.currency() != self.currency {
            return Err(LoyaltyError::RedeemedCurrency { order: total.currency(), program: self.currency });
        }
        let most = redemption.needed(redemption.share(total)) - i128::from(before);
        let most = i64::try_from(most.max(0)).unwrap_or(i64::MAX);
        if points > most {
            return Err(LoyaltyError::ShareRedeemed { asked: points, most, up_to_percent });
        }
        Ok(())
    }
}

impl Redeemable {
    /// What the points are worth, in the currency of an order.
    #[must_use]
    pub const fn worth(&self, cart: &Cart) -> Money {
        Money::new(self.worth_minor, cart.total.currency())
    }
}
