//! Postings: what happened to a customer's points, with its full result.

use serde::{Deserialize, Serialize};

use super::earning::RuleName;
use super::gone::UndoneAward;
use super::hold::{HoldEnd, HoldName};
use super::lots::{Bucket, LotTerms};
use super::paid::UndonePayment;
use super::{Account, CountedAt, ProgramId};
use crate::id::{CustomerId, EventId};
use crate::order::OrderRef;
use crate::text::Remark;
use crate::time::Timestamp;

/// Why points moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PostingKind {
    /// A fact earned them: an order, a visit, a review.
    Earned {
        /// Which.
        fact: EventId,
    },
    /// They were given for another reason.
    Awarded {
        /// Which.
        reason: Remark,
    },
    /// They were brought along from another system.
    Imported {
        /// As it is called there.
        reason: Remark,
    },
    /// What they waited for has come: they can be spent.
    Activated,
    /// What had earned them is gone, in whole or in part.
    Reversed {
        /// The fact that had earned them.
        fact: EventId,
    },
    /// The customer spent them.
    Spent {
        /// What for.
        reason: Remark,
        /// The order that was paid with them; what comes back of it gives back its share of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<OrderRef>,
        /// What had come back of the order before, in minor units: it was not paid with these.
        #[serde(default, skip_serializing_if = "is_zero")]
        refunded: i64,
    },
    /// They are set aside, so that nothing else can spend them.
    Held {
        /// Under which name.
        hold: HoldName,
        /// Until when; none means until it is captured or released.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// Whose hold it is, where that is somebody else among those who were merged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<CustomerId>,
    },
    /// What was held was spent, in whole or in part; what is left of it is free again.
    Captured {
        /// The hold.
        hold: HoldName,
        /// What for.
        reason: Remark,
        /// The order that was paid with them, as for points that are spent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<OrderRef>,
        /// What had come back of it before.
        #[serde(default, skip_serializing_if = "is_zero")]
        refunded: i64,
        /// Whose hold it is, where that is somebody else among those who were merged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<CustomerId>,
    },
    /// What was held is free again.
    Released {
        /// The hold.
        hold: HoldName,
        /// Why.
        end: HoldEnd,
        /// Whose hold it is, where that is somebody else among those who were merged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<CustomerId>,
    },
    /// What was spent for an order came back with it.
    Returned {
        /// The order.
        order: OrderRef,
    },
    /// Their time was up.
    Expired {
        /// Until before when they can be given back, where the programme allows it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// They had expired, and were given back.
    Reinstated {
        /// Why.
        reason: Remark,
    },
    /// The shop put something right, either way.
    Adjusted {
        /// What.
        reason: Remark,
    },
    /// The opposite of another posting.
    Undone {
        /// Of which.
        posting: EventId,
        /// The account of the programme that the other one was booked on.
        account: Account,
        /// The order that was paid with what it spent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<OrderRef>,
        /// What the order was paid with it, where not all of that had come back before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        paid: Option<UndonePayment>,
        /// What of an award had expired by then: it cannot be given back any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gone: Option<UndoneAward>,
        /// Why.
        reason: Remark,
    },
    /// The customer gave them to another one.
    Given {
        /// To whom.
        to: CustomerId,
        /// What for.
        reason: Remark,
        /// When, where it counts for how many may be given. What is put into a pool does not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        counted: Option<CountedAt>,
    },
    /// Another customer gave them.
    Received {
        /// Who.
        from: CustomerId,
        /// What for.
        reason: Remark,
    },
    /// The share that a pool gets of what a fact earned went there, or came back from there to be taken back. No points
    /// move where it stays with the customer after all.
    Pooled {
        /// Which fact.
        fact: EventId,
        /// Whose pool.
        pool: CustomerId,
    },
    /// The customer left the programme, and what was there is nobody's.
    Forfeited {
        /// Why.
        reason: Remark,
    },
    /// Two who had been merged were parted again, and each pays for what they spent themselves: whoever had
    /// spent the other's points is charged, and the other gets them back.
    Settled {
        /// Who the other is.
        with: CustomerId,
    },
}

impl PostingKind {
    /// The name it is shown under.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            PostingKind::Earned { .. } => "earned",
            PostingKind::Awarded { .. } => "awarded",
            PostingKind::Imported { .. } => "imported",
            PostingKind::Activated => "activated",
            PostingKind::Reversed { .. } => "reversed",
            PostingKind::Spent { .. } => "spent",
            PostingKind::Held { .. } => "held",
            PostingKind::Captured { .. } => "captured",
            PostingKind::Released { .. } => "released",
            PostingKind::Returned { .. } => "returned",
            PostingKind::Expired { .. } => "expired",
            PostingKind::Reinstated { .. } => "reinstated",
            PostingKind::Adjusted { .. } => "adjusted",
            PostingKind::Undone { .. } => "undone",
            PostingKind::Given { .. } => "given",
            PostingKind::Received { .. } => "received",
            PostingKind::Pooled { .. } => "pooled",
            PostingKind::Forfeited { .. } => "forfeited",
            PostingKind::Settled { .. } => "settled",
        }
    }

    /// Whether points came to nothing by it: their time was up, or they were left behind.
    pub(crate) const fn is_end(&self) -> bool {
        matches!(self, PostingKind::Expired { .. } | PostingKind::Forfeited { .. })
    }

    /// The order that was paid with what was spent, with what had come back of it before.
    pub(super) const fn paid_for(&self) -> Option<(&OrderRef, i64)> {
        if let PostingKind::Spent { order: Some(order), refunded, .. }
        | PostingKind::Captured { order: Some(order), refunded, .. } = self
        {
            return Some((order, *refunded));
        }
        None
    }

    /// Whose hold it is about, of those that are about one.
    pub(crate) const fn of_hold(&mut self) -> Option<&mut Option<CustomerId>> {
        if let PostingKind::Held { of, .. } | PostingKind::Captured { of, .. } | PostingKind::Released { of, .. } = self
        {
            return Some(of);
        }
        None
    }

    /// The order that was paid with what was spent.
    #[must_use]
    pub const fn order(&self) -> Option<&OrderRef> {
        match self {
            PostingKind::Spent { order, .. } | PostingKind::Captured { order, .. } => order.as_ref(),
            PostingKind::Earned { .. }
            | PostingKind::Awarded { .. }
            | PostingKind::Imported { .. }
            | PostingKind::Activated
            | PostingKind::Reversed { .. }
            | PostingKind::Held { .. }
            | PostingKind::Released { .. }
            | PostingKind::Returned { .. }
            | PostingKind::Expired { .. }
            | PostingKind::Reinstated { .. }
            | PostingKind::Adjusted { .. }
            | PostingKind::Undone { .. }
            | PostingKind::Given { .. }
            | PostingKind::Received { .. }
            | PostingKind::Pooled { .. }
            | PostingKind::Forfeited { .. }
            | PostingKind::Settled { .. } => None,
        }
    }

    /// The account of the programme that stands against the customer's; none where points stay with the customer.
    #[must_use]
    pub const fn account(&self) -> Option<Account> {
        match self {
            PostingKind::Earned { .. } | PostingKind::Awarded { .. } | PostingKind::Imported { .. } => {
                Some(Account::Issued)
            }
            PostingKind::Reversed { .. } => Some(Account::Reversed),
            PostingKind::Spent { .. }
            | PostingKind::Captured { .. }
            | PostingKind::Returned { .. }
            | PostingKind::Settled { .. } => Some(Account::Redeemed),
            PostingKind::Expired { .. } | PostingKind::Reinstated { .. } => Some(Account::Expired),
            PostingKind::Adjusted { .. } => Some(Account::Adjusted),
            PostingKind::Given { .. } | PostingKind::Received { .. } | PostingKind::Pooled { .. } => {
                Some(Account::Transferred)
            }
            PostingKind::Forfeited { .. } => Some(Account::Breakage),
            PostingKind::Undone { account, .. } => Some(*account),
            PostingKind::Activated | PostingKind::Held { .. } | PostingKind::Released { .. } => None,
        }
    }
}

/// What a posting did to one bucket of one lot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LotMove {
    /// Which lot of the customer's in this programme, counted from 0.
    pub lot: u32,
    /// Which of its buckets.
    #[serde(default, skip_serializing_if = "Bucket::is_active")]
    pub bucket: Bucket,
    /// How many points went in (positive) or out (negative).
    pub points: i64,
    /// For a lot that this posting opens: what holds for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens: Option<LotTerms>,
}

/// What one rule gave, or what was taken back of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleShare {
    /// The rule.
    pub rule: RuleName,
    /// Points that can be redeemed.
    pub points: i64,
    /// Points that count towards a tier.
    pub qualifying: i64,
    /// Whether it gave them for an action, which is there or not, and not for an order, of which a part can come back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub action: bool,
}

/// Points that count towards a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Qualifying {
    /// How many; negative where they were taken back.
    pub points: i64,
    /// When they were earned, which is also the time of what is taken back of them.
    pub at: Timestamp,
}

/// The customer was reminded of points that will expire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointsReminded {
    /// Of which programme.
    pub program: ProgramId,
    /// How many.
    pub points: i64,
    /// When they will.
    pub expires_at: Timestamp,
}

/// Points that moved, with the lots they moved in: the full result, so that it never has to be worked
/// out again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    /// In which programme.
    pub program: ProgramId,
    /// Why.
    pub kind: PostingKind,
    /// Which lots changed.
    pub moves: Vec<LotMove>,
    /// By how much the customer's debt grew (positive) or was paid off (negative).
    #[serde(default)]
    pub owed: i64,
    /// What was to be taken back, had been spent, and is not owed either: the programme bears it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub borne: i64,
    /// What it means for tiers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qualifying: Option<Qualifying>,
    /// Which rules gave how much, where rules did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_rule: Vec<RuleShare>,
    /// For points spent while several customers were merged: the one among them who spent them, where that
    /// is not the one who had them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent_by: Option<CustomerId>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(points: &i64) -> bool {
    *points == 0
}

impl Posting {
    /// One that moves nothing yet.
    #[must_use]
    pub const fn new(program: ProgramId, kind: PostingKind) -> Self {
        Posting {
            program,
            kind,
            moves: Vec::new(),
            owed: 0,
            borne: 0,
            qualifying: None,
            by_rule: Vec::new(),
            spent_by: None,
        }
    }

    /// How many points moved: positive when the customer gained.
    #[must_use]
    pub fn points(&self) -> i128 {
        self.moves.iter().map(|change| i128::from(change.points)).sum::<i128>() - i128::from(self.owed)
    }

    /// How many went into a bucket, or came out of it.
    #[must_use]
    pub fn into_bucket(&self, bucket: Bucket) -> i128 {
        self.moves.iter().filter(|change| change.bucket == bucket).map(|change| i128::from(change.points)).sum()
    }
}
