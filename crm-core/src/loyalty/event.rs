//! Postings: what happened to a customer's points, with its full result.

use serde::{Deserialize, Serialize};

use super::ProgramId;
use crate::id::{CustomerId, EventId};
use crate::text::Remark;
use crate::time::Timestamp;

/// Why points moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostingKind {
    /// An order earned them.
    Earned {
        /// The fact that told of the order.
        order: EventId,
    },
    /// They were given for another reason.
    Awarded {
        /// Which.
        reason: Remark,
    },
    /// An order lost what it had earned, in whole or in part.
    Reversed {
        /// The fact that told of the order.
        order: EventId,
    },
    /// The customer spent them.
    Spent {
        /// What for.
        reason: Remark,
    },
    /// Their time was up.
    Expired,
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
            PostingKind::Reversed { .. } => "reversed",
            PostingKind::Spent { .. } => "spent",
            PostingKind::Expired => "expired",
            PostingKind::Settled { .. } => "settled",
        }
    }
}

/// What a posting did to one lot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LotMove {
    /// Which lot of the customer's in this programme, counted from 0.
    pub lot: u32,
    /// How many points went in (positive) or out (negative).
    pub points: i64,
    /// For a lot that this posting opens: since when its points count.
    #[serde(default)]
    pub earned_at: Option<Timestamp>,
    /// For a lot that this posting opens: when they expire; none means never.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
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
    /// For points spent while several customers were merged: the one among them who spent them, where that
    /// is not the one who had them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent_by: Option<CustomerId>,
}

/// A side of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// What the customer has in lots.
    CustomerLots,
    /// What the customer owes, because points were taken back after they had been spent.
    CustomerDebt,
    /// What the programme gave.
    Issued,
    /// What it took back.
    Reversed,
    /// What was redeemed with it.
    Redeemed,
    /// What ran out.
    Expired,
}

impl Posting {
    /// How many points moved: positive when the customer gained.
    #[must_use]
    pub fn points(&self) -> i128 {
        self.moves.iter().map(|change| i128::from(change.points)).sum::<i128>() - i128::from(self.owed)
    }

    /// The entries in the ledger; they sum to zero.
    #[must_use]
    pub fn entries(&self) -> [(Account, i128); 3] {
        let lots = self.moves.iter().map(|change| i128::from(change.points)).sum::<i128>();
        let programme = match self.kind {
            PostingKind::Earned { .. } | PostingKind::Awarded { .. } => Account::Issued,
            PostingKind::Reversed { .. } => Account::Reversed,
            PostingKind::Spent { .. } | PostingKind::Settled { .. } => Account::Redeemed,
            PostingKind::Expired => Account::Expired,
        };
        let debt = -i128::from(self.owed);
        [(Account::CustomerLots, lots), (Account::CustomerDebt, debt), (programme, -(lots + debt))]
    }
}
