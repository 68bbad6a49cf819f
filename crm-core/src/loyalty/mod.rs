//! Loyalty: programmes, the points they give for orders, and the ledger that holds them.
//!
//! Points are whole numbers. What an order is entitled to follows from the order alone, and the ledger
//! follows the order: whenever an order changed (placed, refunded, voided, corrected by a late fact),
//! the difference between what it is entitled to and what was posted for it is posted as a decision.

mod account;
mod book;
mod command;
mod coupon;
mod earning;
mod error;
mod event;
mod expiry;
mod hold;
mod import;
mod lent;
mod lots;
mod period;
mod program;
mod qualified;
mod reconcile;
pub mod report;
mod tier;
mod totals;
mod validity;

pub use account::Account;
pub use book::PointsBook;
pub use command::{
    AdjustPoints, AwardPoints, CaptureHold, ForfeitPoints, HoldPoints, RedeemPoints, ReinstatePoints, ReleaseHold,
    UndoPosting,
};
pub use coupon::{ClaimCoupon, CouponClaimed, CouponCode};
pub use earning::{
    Cap, Counts, EarningRule, Exclusions, Factor, Formula, Lines, Multiplier, On, Per, RULES_MAX, Rounding,
    RoundingPlace, RuleName,
};
pub use error::LoyaltyError;
pub use event::{LotMove, PointsReminded, Posting, PostingKind, Qualifying, RuleShare};
pub use expiry::Expiry;
pub use hold::{HOLDS_MAX, Hold, HoldEnd, HoldName};
pub use import::{IMPORT_ENTRIES_MAX, ImportFault, ImportName, ImportPoints, ImportSums, ImportedLot};
pub use lots::{Bucket, Lot, LotTerms, Origin, Waits};
pub use period::{Period, begin_of, day_of};
pub use program::{LOYALTY_POINTS_MAX, Pending, Program, ProgramId, Redemption, Shortfall};
pub use tier::{BENEFITS_MAX, BenefitName, Counted, Downgrade, TIERS_MAX, TierName, TierRule, Tiers, Window};
pub use totals::PointsTotals;
pub use validity::Validity;

pub(crate) use reconcile::reconcile;

#[cfg(test)]
mod tests;
