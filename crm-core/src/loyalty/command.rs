//! Commands about points.

use serde::{Deserialize, Serialize};

use super::book::PointsBook;
use super::event::{Posting, PostingKind, Qualifying};
use super::hold::{HOLDS_MAX, HoldEnd, HoldName};
use super::lots::Origin;
use super::{LOYALTY_POINTS_MAX, LoyaltyError, Program, ProgramId, Shortfall, TierName};
use crate::id::{CustomerId, EventId};
use crate::money::Money;
use crate::order::{OrderRef, Orders};
use crate::text::Remark;
use crate::time::Timestamp;

/// Spend points: those that expire soonest first, then the oldest. What the programme says of
/// [redemptions](super::Redemption) holds: of the least each time, and of the share of an order as far as it is known what the
/// order comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedeemPoints {
    /// Of which programme.
    pub program: ProgramId,
    /// How many, at least 1.
    pub points: i64,
    /// What for.
    pub reason: Remark,
    /// The order that is paid with them: what is refunded of it gives back its share of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderRef>,
    /// What the order comes to, if it is redeemed for before the order is told: by it the share is checked that the
    /// programme says is paid with points at most. What was told of an order counts before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Money>,
}

/// Give points that nothing earned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwardPoints {
    /// Of which programme.
    pub program: ProgramId,
    /// How many, at least 1.
    pub points: i64,
    /// What for.
    pub reason: Remark,
}

/// Put points right, either way. What was taken is not owed: there have to be as many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdjustPoints {
    /// Of which programme.
    pub program: ProgramId,
    /// How many the customer gets, or gives up if negative; not 0.
    pub points: i64,
    /// Why.
    pub reason: Remark,
}

/// Set points aside, so that nothing else can spend them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldPoints {
    /// Of which programme.
    pub program: ProgramId,
    /// How many, at least 1.
    pub points: i64,
    /// Under which name.
    pub hold: HoldName,
    /// Until when; then they are free again. None means until they are captured or released.
    pub until: Option<Timestamp>,
}

/// Spend what is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureHold {
    /// Of which programme.
    pub program: ProgramId,
    /// The hold. It is gone then.
    pub hold: HoldName,
    /// How many of them; the rest is free again. None means all.
    pub points: Option<i64>,
    /// What for.
    pub reason: Remark,
    /// The order that is paid with them, as for points that are redeemed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderRef>,
}

/// Free what is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseHold {
    /// Of which programme.
    pub program: ProgramId,
    /// The hold.
    pub hold: HoldName,
}

/// Do the opposite of a posting that awarded, spent or adjusted points; once for each. What was spent comes back into lots
/// that expire when those it was taken from did; for an order it is what was spent for it last, and of what has come back with
/// the order already nothing comes twice. Of what was awarded nothing is taken that has expired by itself and is not back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoPosting {
    /// The decision that posted it.
    pub posting: EventId,
    /// Why.
    pub reason: Remark,
}

/// Give back points that expired, as far as the programme allows it. They last as if they were earned now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReinstatePoints {
    /// Of which programme.
    pub program: ProgramId,
    /// How many, at least 1; none means all that can be.
    pub points: Option<i64>,
    /// Why.
    pub reason: Remark,
}

/// Leave a programme: whatever is there is nobody's then, held points and debts included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForfeitPoints {
    /// Which programme.
    pub program: ProgramId,
    /// Why.
    pub reason: Remark,
}

pub(crate) fn check(points: i64) -> Result<i64, LoyaltyError> {
    if (1..=LOYALTY_POINTS_MAX).contains(&points) {
        Ok(points)
    } else {
        Err(LoyaltyError::Amount { points, max: LOYALTY_POINTS_MAX })
    }
}

impl PointsBook {
    /// Checks that so many points can be spent.
    pub(crate) fn enough(&self, points: i64) -> Result<i64, LoyaltyError> {
        check(points)?;
        if self.balance() < i128::from(points) {
            return Err(LoyaltyError::NotEnough { asked: points, available: self.balance() });
        }
        Ok(points)
    }
}

/// What came back of the order that is to be paid with points, in minor units. One that was voided is not paid for.
fn refunded_of(order: Option<&OrderRef>, orders: &Orders) -> Result<i64, LoyaltyError> {
    match order {
        Some(order) if orders.is_voided(order) => Err(LoyaltyError::OrderVoided { order: order.clone() }),
        Some(order) => Ok(orders.refunded_of(order)),
        None => Ok(0),
    }
}

impl RedeemPoints {
    /// The posting that spends them.
    ///
    /// # Errors
    ///
    /// `Amount`, `NotEnough` or `OrderVoided`.
    pub fn decide(&self, book: &PointsBook, orders: &Orders) -> Result<Posting, LoyaltyError> {
        let points = book.enough(self.points)?;
        let refunded = refunded_of(self.order.as_ref(), orders)?;
        let kind = PostingKind::Spent { reason: self.reason.clone(), order: self.order.clone(), refunded };
        Ok(book.take(Posting::new(self.program.clone(), kind), points, None, Shortfall::Owed))
    }
}

impl AwardPoints {
    /// The posting that gives them; they can be spent at once, last as long as those of an order placed `now`, and count
    /// towards tiers.
    ///
    /// # Errors
    ///
    /// `Amount`.
    pub fn decide(
        &self,
        book: &PointsBook,
        program: &Program,
        tier: Option<&TierName>,
        now: Timestamp,
    ) -> Result<Posting, LoyaltyError> {
        let points = check(self.points)?;
        let posting = Posting::new(self.program.clone(), PostingKind::Awarded { reason: self.reason.clone() });
        let qualifying = Some(Qualifying { points, at: now });
        let terms = program.terms(Origin::Award, now, tier);
        Ok(book.give(Posting { qualifying, ..posting }, points, terms))
    }
}

impl AdjustPoints {
    /// The posting that puts them right. `own` is the book that gets them, `all` the one they are taken from.
    ///
    /// # Errors
    ///
    /// `Amount` or `NotEnough`.
    pub fn decide(
        &self,
        own: &PointsBook,
        all: &PointsBook,
        program: &Program,
        tier: Option<&TierName>,
        now: Timestamp,
    ) -> Result<Posting, LoyaltyError> {
        let amount = LoyaltyError::Amount { points: self.points, max: LOYALTY_POINTS_MAX };
        let points = check(self.points.checked_abs().ok_or_else(|| amount.clone())?).map_err(|_| amount)?;
        let posting = Posting::new(self.program.clone(), PostingKind::Adjusted { reason: self.reason.clone() });
        if self.points > 0 {
            return Ok(own.give(posting, points, program.terms(Origin::Award, now, tier)));
        }
        Ok(all.take(posting, all.enough(points)?, None, Shortfall::Owed))
    }
}

impl HoldPoints {
    /// The posting that sets them aside.
    ///
    /// # Errors
    ///
    /// `Amount`, `NotEnough`, `HoldTaken`, `Holds` or `HoldOver`.
    pub fn decide(&self, book: &PointsBook, now: Timestamp) -> Result<Posting, LoyaltyError> {
        let HoldPoints { program, points, hold, until } = self;
        if book.hold(hold).is_some() {
            return Err(LoyaltyError::HoldTaken { hold: hold.clone() });
        }
        if let Some(until) = until.filter(|until| *until <= now) {
            return Err(LoyaltyError::HoldOver { until, at: now });
        }
        if book.holds().count() >= HOLDS_MAX {
            return Err(LoyaltyError::Holds);
        }
        let points = book.enough(*points)?;
        let kind = PostingKind::Held { hold: hold.clone(), until: *until, of: None };
        Ok(book.set_aside(Posting::new(program.clone(), kind), points))
    }
}

impl CaptureHold {
    /// The postings that spend what is held, and free the rest; asked for by `through` where the book is one of several who
    /// were merged.
    ///
    /// # Errors
    ///
    /// `NoHold`, `HoldAmbiguous`, `Amount`, `MoreThanHeld` or `OrderVoided`.
    pub fn decide(
        &self,
        book: &PointsBook,
        through: Option<CustomerId>,
        orders: &Orders,
    ) -> Result<Vec<Posting>, LoyaltyError> {
        let (key, held) = book.open_hold(&self.hold, through)?;
        let points = check(self.points.unwrap_or(held))?;
        if points > held {
            return Err(LoyaltyError::MoreThanHeld { asked: points, held });
        }
        let (hold, reason, order) = (self.hold.clone(), self.reason.clone(), self.order.clone());
        let refunded = refunded_of(order.as_ref(), orders)?;
        let of = key.1;
        let kind = PostingKind::Captured { hold, reason, order, refunded, of };
        let captured = book.capture(Posting::new(self.program.clone(), kind), &key, points);
        if points == held {
            return Ok(vec![captured]);
        }
        let mut after = book.clone();
        after.apply(&captured);
        let kind = PostingKind::Released { hold: self.hold.clone(), end: HoldEnd::Asked, of };
        let released = after.release(Posting::new(self.program.clone(), kind), &key);
        Ok(vec![captured, released])
    }
}

impl ReleaseHold {
    /// The posting that frees what is held; asked for by `through` where the book is one of several who were merged.
    ///
    /// # Errors
    ///
    /// `NoHold` or `HoldAmbiguous`.
    pub fn decide(&self, book: &PointsBook, through: Option<CustomerId>) -> Result<Posting, LoyaltyError> {
        let (key, _) = book.open_hold(&self.hold, through)?;
        let kind = PostingKind::Released { hold: self.hold.clone(), end: HoldEnd::Asked, of: key.1 };
        Ok(book.release(Posting::new(self.program.clone(), kind), &key))
    }
}

impl ReinstatePoints {
    /// The posting that gives them back.
    ///
    /// # Errors
    ///
    /// `Amount` or `NotReinstatable`.
    pub fn decide(
        &self,
        book: &PointsBook,
        program: &Program,
        tier: Option<&TierName>,
        now: Timestamp,
    ) -> Result<Posting, LoyaltyError> {
        let available = book.reinstatable(now);
        let asked = self.points.unwrap_or(available);
        if asked > available || available == 0 {
            return Err(LoyaltyError::NotReinstatable { asked, available });
        }
        let posting = Posting::new(self.program.clone(), PostingKind::Reinstated { reason: self.reason.clone() });
        Ok(book.reinstate(posting, check(asked)?, program.terms(Origin::Reinstated, now, tier)))
    }
}
