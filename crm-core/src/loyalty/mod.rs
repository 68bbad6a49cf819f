//! Loyalty: programmes, the points they give for orders, and the ledger that holds them.
//!
//! Points are whole numbers. What an order is entitled to follows from the order alone, and the ledger
//! follows the order: whenever an order changed (placed, refunded, voided, corrected by a late fact),
//! the difference between what it is entitled to and what was posted for it is posted as a decision.

mod command;
mod coupon;
mod earning;
mod error;
mod event;
mod expiry;
mod ledger;
mod period;
mod program;
mod tier;
mod validity;

pub use command::{AwardPoints, RedeemPoints};
pub use coupon::{ClaimCoupon, CouponClaimed, CouponCode};
pub use earning::{
    Cap, Counts, EarningRule, Exclusions, Factor, Formula, Lines, Multiplier, On, Per, RULES_MAX, Rounding,
    RoundingPlace, RuleName,
};
pub use error::LoyaltyError;
pub use event::{Account, LotMove, Posting, PostingKind};
pub use expiry::Expiry;
pub use ledger::{Lot, PointsBook, PointsTotals};
pub use period::{Period, begin_of, day_of};
pub use program::{LOYALTY_POINTS_MAX, Pending, Program, ProgramId, Redemption, Shortfall};
pub use tier::{BENEFITS_MAX, BenefitName, Counted, Downgrade, TIERS_MAX, TierName, TierRule, Tiers, Window};
pub use validity::Validity;

pub(crate) use ledger::reconcile;
