//! Why a command about points was refused.

use super::{CouponCode, ProgramId};

/// A refused command about points.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoyaltyError {
    /// No programme of that name is in force.
    #[error("there is no loyalty programme {program}")]
    NoProgram {
        /// The name given.
        program: ProgramId,
    },
    /// Zero, negative, or above the limit.
    #[error("{points} points are not between 1 and {max}")]
    Amount {
        /// The number given.
        points: i64,
        /// The limit.
        max: i64,
    },
    /// The customer used the coupon before.
    #[error("coupon {coupon} was used before by this customer")]
    CouponUsed {
        /// Which one.
        coupon: CouponCode,
    },
    /// The coupon was used as often as it can be, by whomever.
    #[error("coupon {coupon} was used {uses} times, as often as it can be")]
    CouponUsedUp {
        /// Which one.
        coupon: CouponCode,
        /// How often it can be used in all.
        uses: u32,
    },
    /// The customer has fewer.
    #[error("{asked} points were asked for, {available} are there")]
    NotEnough {
        /// How many were to be spent.
        asked: i64,
        /// How many there are; negative when the customer owes points.
        available: i128,
    },
}
