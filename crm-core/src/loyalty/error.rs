//! Why a command about points was refused.

use super::{CouponCode, HOLDS_MAX, HoldName, ProgramId, TogetherError};
use crate::id::EventId;
use crate::time::Timestamp;

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
    /// A hold of that name is there already.
    #[error("there is a hold {hold} already")]
    HoldTaken {
        /// The name given.
        hold: HoldName,
    },
    /// No hold of that name is there: it never was, or it was captured or released, or its time was up.
    #[error("there is no hold {hold}, or no longer")]
    NoHold {
        /// The name given.
        hold: HoldName,
    },
    /// Too many holds.
    #[error("there are {HOLDS_MAX} holds already")]
    Holds,
    /// A hold that would have ended already.
    #[error("a hold until {until} is over at {at}")]
    HoldOver {
        /// Until when it was to be.
        until: Timestamp,
        /// The time now.
        at: Timestamp,
    },
    /// More was to be captured than is held.
    #[error("{asked} points were to be captured, {held} are held")]
    MoreThanHeld {
        /// How many were asked for.
        asked: i64,
        /// How many are held.
        held: i64,
    },
    /// No posting of that id is in the customer's history.
    #[error("there is no posting {posting}")]
    NoPosting {
        /// The id given.
        posting: EventId,
    },
    /// The posting was undone before.
    #[error("posting {posting} was undone before")]
    Undone {
        /// Which.
        posting: EventId,
    },
    /// A posting of this kind is never undone by hand: it follows from something else, or has another side.
    #[error("posting {posting} is one of points {kind}, which is not undone by hand")]
    NotUndoable {
        /// Which.
        posting: EventId,
        /// Of which kind.
        kind: &'static str,
    },
    /// Fewer points expired that can still be given back.
    #[error("{asked} points were to be given back, and of those that expired {available} can be")]
    NotReinstatable {
        /// How many were asked for.
        asked: i64,
        /// How many can be.
        available: i64,
    },
    /// Something that customers do together.
    #[error(transparent)]
    Together(#[from] TogetherError),
    /// There is nothing to do it with.
    #[error("there are no points in programme {program}")]
    NoPoints {
        /// The programme.
        program: ProgramId,
    },
}
