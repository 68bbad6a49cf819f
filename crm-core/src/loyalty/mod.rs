//! Loyalty: programmes, the points they give for orders, and the ledger that holds them.
//!
//! Points are whole numbers. What an order or an action earns is worked out once, when it is taken in, by the customer as
//! they were before it, and recorded. From then on the ledger follows the order: whenever it changed (refunded, voided,
//! placed again), the difference between the share that it is entitled to and what was posted for it is posted as a
//! decision.

mod account;
mod allowance;
mod badge;
mod book;
mod check;
mod command;
mod counted;
mod coupon;
pub mod draw;
mod earning;
mod error;
mod event;
mod expiry;
mod gift;
mod gone;
mod held;
mod hold;
mod import;
mod lent;
mod lots;
mod paid;
mod period;
mod pool;
mod program;
mod qualified;
mod reconcile;
mod referral;
pub mod report;
mod reward;
mod rules;
mod share;
mod stamp;
mod tier;
mod together;
mod totals;
mod undo;
mod validity;
mod voucher;

pub use account::Account;
pub use allowance::{Allowance, CountedAt};
pub use badge::{Badge, BadgeEarned, BadgeName, BadgePoints};
pub use book::PointsBook;
pub use check::{FACTOR_RANGE, NAMED_MAX, ProgramError};
pub use command::{
    AdjustPoints, AwardPoints, CaptureHold, ForfeitPoints, HoldPoints, RedeemPoints, ReinstatePoints, ReleaseHold,
    UndoPosting,
};
pub use counted::CounterMove;
pub use coupon::{
    Benefit, ClaimCoupon, Coupon, CouponBy, CouponClaimed, CouponCode, CouponRedeemed, CouponReleased, CouponReserved,
    CouponUse, RedeemCoupon, ReleaseCause, ReleaseCoupon, ReserveCoupon, UseName, UsesPer, VoucherHeld, VoucherTicket,
    WhenUndone,
};
pub use draw::{Draw, DrawError, DrawName, DrawWon, Entries, Seed};
pub use earning::{
    Cap, Cart, Counts, Earning, EarningRule, Exclusions, Factor, Formula, Happening, Lines, Multiplier, Occasion, On,
    Per, Purchase, RULES_MAX, Reason, RedeemLimit, Redeemable, Rounding, RoundingPlace, RuleName,
};
pub use error::LoyaltyError;
pub use event::{LotMove, PointsReminded, Posting, PostingKind, Qualifying, RuleShare};
pub use expiry::Expiry;
pub use gift::{Gift, GiftExpiry, GiftPolicy, GivePoints};
pub use gone::UndoneAward;
pub use held::RewardsHeld;
pub use hold::{HOLDS_MAX, Hold, HoldEnd, HoldName};
pub use import::{IMPORT_ENTRIES_MAX, ImportFault, ImportName, ImportPoints, ImportSums, ImportedLot};
pub use lots::{Bucket, Lot, LotTerms, Origin, PointsEnd, Waits};
pub use paid::UndonePayment;
pub use period::{Period, begin_of, day_of};
pub use pool::{
    MemberAllowance, OnLeaving, POOL_MEMBERS_MAX, Pool, PoolCommand, PoolKind, PoolMember, PoolMoved, PoolPolicy,
    PoolStep,
};
pub use program::{LOYALTY_POINTS_MAX, Pending, Program, ProgramId, Redemption, Shortfall};
pub use referral::{
    CHAIN_LIMIT, LapseReason, Referral, ReferralMoved, ReferralName, ReferralStanding, ReferralStep, Referred,
};
pub use reward::{
    CancelReward, ClaimReward, Reward, RewardCancelled, RewardClaim, RewardClaimed, RewardGives, RewardName,
    RewardOffer,
};
pub use rules::RewardRuleError;
pub use stamp::{StampCard, StampCardName, Stamps};
pub use tier::{
    BENEFITS_MAX, BenefitName, Counted, Downgrade, InviteToTier, KeptWhy, NextTier, Projected, RevokeTier, Rises,
    TIERS_MAX, TierError, TierKept, TierName, TierOutlook, TierRefusal, TierRule, Tiers, Window,
};
pub use together::TogetherError;
pub use totals::PointsTotals;
pub use validity::Validity;
pub use voucher::{
    BatchName, Voucher, VoucherCode, VoucherCodeError, VoucherFrom, VoucherId, VoucherIssued, VoucherWithdrawn,
    WithdrawCause,
};

pub(crate) use earning::Stretch;
pub(crate) use expiry::by_versions;
pub(crate) use held::released;
pub use reconcile::Earned;
pub(crate) use reconcile::Reconciling;
pub(crate) use tier::{Held, HeldTiers, Loss, Tally, TierView};
pub(crate) use together::Together;
pub(crate) use undo::Undoing;

#[cfg(test)]
mod tests;
