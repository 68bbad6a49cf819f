//! Commands about points.

use serde::{Deserialize, Serialize};

use super::{LOYALTY_POINTS_MAX, LoyaltyError, PointsBook, Posting, PostingKind, Program, ProgramId};
use crate::text::Remark;
use crate::time::Timestamp;

/// Spend points: those that expire soonest first, then the oldest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedeemPoints {
    /// Of which programme.
    pub program: ProgramId,
    /// How many, at least 1.
    pub points: i64,
    /// What for.
    pub reason: Remark,
}

/// Give points that no order earned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwardPoints {
    /// Of which programme.
    pub program: ProgramId,
    /// How many, at least 1.
    pub points: i64,
    /// What for.
    pub reason: Remark,
}

fn check(points: i64) -> Result<(), LoyaltyError> {
    if (1..=LOYALTY_POINTS_MAX).contains(&points) {
        Ok(())
    } else {
        Err(LoyaltyError::Amount { points, max: LOYALTY_POINTS_MAX })
    }
}

impl RedeemPoints {
    /// The posting that spends them.
    ///
    /// # Errors
    ///
    /// `Amount` or `NotEnough`.
    pub fn decide(&self, book: &PointsBook) -> Result<Posting, LoyaltyError> {
        check(self.points)?;
        if book.balance() < i128::from(self.points) {
            return Err(LoyaltyError::NotEnough { asked: self.points, available: book.balance() });
        }
        Ok(book.take(self.program.clone(), PostingKind::Spent { reason: self.reason.clone() }, self.points, None))
    }
}

impl AwardPoints {
    /// The posting that gives them; they last as long as those of an order placed `now`.
    ///
    /// # Errors
    ///
    /// `Amount`.
    pub fn decide(&self, book: &PointsBook, program: &Program, now: Timestamp) -> Result<Posting, LoyaltyError> {
        check(self.points)?;
        let kind = PostingKind::Awarded { reason: self.reason.clone() };
        Ok(book.give(self.program.clone(), kind, self.points, now, program))
    }
}
