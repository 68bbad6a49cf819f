//! Loyalty: programmes, the points they give for orders, and the ledger that holds them.
//!
//! Points are whole numbers. What an order is entitled to follows from the order alone, and the ledger
//! follows the order: whenever an order changed (placed, refunded, voided, corrected by a late fact),
//! the difference between what it is entitled to and what was posted for it is posted as a decision.

mod command;
mod coupon;
mod error;
mod event;
mod ledger;
mod program;

pub use command::{AwardPoints, RedeemPoints};
pub use coupon::{ClaimCoupon, CouponClaimed, CouponCode};
pub use error::LoyaltyError;
pub use event::{Account, LotMove, Posting, PostingKind};
pub use ledger::{Lot, PointsBook, PointsTotals};
pub use program::{LOYALTY_POINTS_MAX, Program, ProgramId, TierName, TierRule};

pub(crate) use ledger::reconcile;
