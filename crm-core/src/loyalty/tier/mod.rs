//! Tiers of programmes. [`rule`] is what a shop says of them, [`check`] what is refused of that, [`count`] what counts
//! towards them, [`keep`] what is kept of a tier beyond the count and how it is looked at again, and [`projection`] what
//! comes of it if nothing more happens.
//!
//! The tier shown is the highest of what the count reaches now, where tiers are looked at at once, and of what is kept.
//! What is kept depends on the way there, so it is recorded, as decisions; all else follows.

mod check;
mod count;
mod keep;
mod projection;
mod review;
mod rule;

pub use check::TierError;
pub use keep::{InviteToTier, KeptWhy, RevokeTier, TierKept, TierRefusal};
pub use projection::{NextTier, Projected, TierOutlook};
pub use rule::{BENEFITS_MAX, BenefitName, Counted, Downgrade, Rises, TIERS_MAX, TierName, TierRule, Tiers, Window};

pub(crate) use count::Tally;
pub(crate) use keep::{Held, HeldTiers};
pub(crate) use projection::Loss;
pub(crate) use review::TierView;
