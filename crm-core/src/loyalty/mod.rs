//! Loyalty: programmes, the points they give for orders, and the ledger that holds them.
//!
//! Points are whole numbers. What an order is entitled to follows from the order alone, and the ledger
//! follows the order: whenever an order changed (placed, refunded, voided, corrected by a late fact),
//! the difference between what it is entitled to and what was posted for it is posted as a decision.

mod account;
mod allowance;
mod book;
mod command;
mod coupon;
pub mod draw;
mod earning;
mod error;
mod event;
mod expiry;
mod gift;
mod hold;
mod lent;
mod lots;
mod period;
mod pool;
mod program;
mod qualified;
mod reconcile;
mod referral;
mod tier;
mod together;
mod totals;
mod validity;

pub use account::Account;
pub use allowance::{Allowance, CountedAt};
pub use book::PointsBook;
pub use command::{
    AdjustPoints, AwardPoints, CaptureHold, ForfeitPoints, HoldPoints, RedeemPoints, ReinstatePoints, ReleaseHold,
    UndoPosting,
};
pub use coupon::{ClaimCoupon, CouponClaimed, CouponCode};
pub use draw::{Draw, DrawError, DrawName, DrawWon, Entries, Seed};
pub use earning::{
    Cap, Counts, EarningRule, Exclusions, Factor, Formula, Lines, Multiplier, On, Per, RULES_MAX, Rounding,
    RoundingPlace, RuleName,
};
pub use error::LoyaltyError;
pub use event::{LotMove, PointsReminded, Posting, PostingKind, Qualifying, RuleShare};
pub use expiry::Expiry;
pub use gift::{Gift, GiftExpiry, GiftPolicy, GivePoints};
pub use hold::{HOLDS_MAX, Hold, HoldEnd, HoldName};
pub use lots::{Bucket, Lot, LotTerms, Origin, Waits};
pub use period::{Period, begin_of, day_of};
pub use pool::{
    MemberAllowance, OnLeaving, POOL_MEMBERS_MAX, Pool, PoolCommand, PoolKind, PoolMember, PoolMoved, PoolPolicy,
    PoolStep,
};
pub use program::{LOYALTY_POINTS_MAX, Pending, Program, ProgramId, Redemption, Shortfall};
pub use referral::{
    CHAIN_LIMIT, LapseReason, Referral, ReferralMoved, ReferralName, ReferralStanding, ReferralStep, Referred,
};
pub use tier::{BENEFITS_MAX, BenefitName, Counted, Downgrade, TIERS_MAX, TierName, TierRule, Tiers, Window};
pub use together::TogetherError;
pub use totals::PointsTotals;
pub use validity::Validity;

pub(crate) use reconcile::reconcile;
pub(crate) use together::Together;

#[cfg(test)]
mod tests;
