//! Referrals: somebody brings a new customer, and both are rewarded once the first order of the new one can no longer be
//! sent back.

use serde::{Deserialize, Serialize};

use super::{Allowance, CountedAt, LOYALTY_POINTS_MAX, LoyaltyError, ProgramId};
use crate::id::{CustomerId, EventId};
use crate::money::Money;
use crate::order::Order;
use crate::text::text_type;
use crate::time::{Span, Timestamp};

text_type!(
    /// The name of a referral, such as `bring-a-friend`.
    ReferralName, "referral", 64
);

/// How many customers who brought each other are followed to find out whether they are a ring; a referral that would
/// take more is refused.
pub const CHAIN_LIMIT: usize = 64;

/// What both get when somebody brings a new customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Referral {
    /// Points of which programme.
    pub program: ProgramId,
    /// How many the one gets who brought somebody; 0 for none.
    pub referrer: u64,
    /// How many the new one gets; 0 for none.
    pub referred: u64,
    /// What their first order has to come to at least, less what came back of it, and in its currency. None: any order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Money>,
    /// How long that order has to stand: as long as it can be sent back.
    pub wait: Span,
    /// How often somebody is rewarded for bringing others. Beyond that only the new one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Allowance>,
}

impl Referral {
    /// Checks that either side gets no more than a posting can move.
    ///
    /// # Errors
    ///
    /// `Amount`.
    pub fn check(&self) -> Result<(), LoyaltyError> {
        let points = i64::try_from(self.referrer.max(self.referred)).unwrap_or(i64::MAX);
        if points > LOYALTY_POINTS_MAX {
            return Err(LoyaltyError::Amount { points, max: LOYALTY_POINTS_MAX });
        }
        Ok(())
    }

    /// Whether an order of somebody referred at an instant counts.
    fn counts(&self, order: &Order, referred_at: Timestamp) -> bool {
        let enough = match self.at_least {
            Some(least) => order.total.currency() == least.currency() && order.net_minor() >= least.minor(),
            None => true,
        };
        order.placed_at >= referred_at && order.stands() && enough
    }

    /// The order that counts, of all those in the order in which they were placed, and until when it has to stand.
    pub(crate) fn first(&self, orders: &[Order], referred_at: Timestamp) -> Option<(EventId, Timestamp)> {
        let first = orders.iter().find(|order| self.counts(order, referred_at))?;
        Some((first.event, first.placed_at.plus(self.wait)))
    }
}

/// Something about a referral was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferralMoved {
    /// Which.
    pub name: ReferralName,
    /// What.
    pub step: ReferralStep,
}

/// Why nobody is rewarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LapseReason {
    /// The two turned out to be one.
    Themself,
    /// The customer had ordered before after all.
    NotNew,
    /// The customer was merged with somebody who was brought before.
    Before,
    /// The programme is no longer there.
    NoProgram,
}

/// What was decided about a referral.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReferralStep {
    /// The customer was brought.
    Referred {
        /// By whom.
        by: CustomerId,
        /// When.
        at: Timestamp,
    },
    /// The customer's first order stood until the end: both are to be rewarded.
    Confirmed {
        /// The order.
        order: EventId,
        /// Until when it had to stand; then both are rewarded.
        at: Timestamp,
    },
    /// They were. The points are a posting beside this one.
    Rewarded {
        /// How many the customer got.
        points: u64,
    },
    /// They will not be.
    Lapsed {
        /// Why.
        why: LapseReason,
    },
    /// In the history of the one who brought somebody: they did.
    Brought {
        /// Whom.
        who: CustomerId,
    },
    /// In that history too: they were rewarded.
    Thanked {
        /// Whom they brought.
        who: CustomerId,
        /// How many points they got.
        points: u64,
        /// When, for how often they may be.
        counted: CountedAt,
    },
}

/// How far a referral has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferralStanding {
    /// Nothing was ordered yet that counts, or it can still be sent back.
    Waits,
    /// Both are to be rewarded, as of this instant: the next `advance` does it.
    Confirmed {
        /// As of when.
        at: Timestamp,
    },
    /// Both were.
    Rewarded,
    /// Nobody will be.
    Lapsed,
}

/// By whom somebody was brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referred {
    name: ReferralName,
    by: CustomerId,
    at: Timestamp,
    standing: ReferralStanding,
}

impl Referred {
    /// By which referral.
    #[must_use]
    pub const fn name(&self) -> &ReferralName {
        &self.name
    }

    /// By whom, by the id that was given then.
    #[must_use]
    pub const fn by(&self) -> CustomerId {
        self.by
    }

    /// When.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// How far it has come.
    #[must_use]
    pub const fn standing(&self) -> ReferralStanding {
        self.standing
    }

    pub(super) fn note(referred: &mut Option<Self>, moved: &ReferralMoved) {
        let standing = match &moved.step {
            ReferralStep::Referred { by, at } => {
                let name = moved.name.clone();
                *referred = Some(Referred { name, by: *by, at: *at, standing: ReferralStanding::Waits });
                return;
            }
            ReferralStep::Confirmed { at, .. } => ReferralStanding::Confirmed { at: *at },
            ReferralStep::Rewarded { .. } => ReferralStanding::Rewarded,
            ReferralStep::Lapsed { .. } => ReferralStanding::Lapsed,
            ReferralStep::Brought { .. } | ReferralStep::Thanked { .. } => return,
        };
        if let Some(own) = referred {
            own.standing = standing;
        }
    }
}
