//! Postings: what happened to a customer's money, with its full result.

use serde::{Deserialize, Serialize};

use super::{CreditAccount, CreditHoldName, CreditTerms, GiftCardId};
use crate::id::{CustomerId, EventId};
use crate::money::Currency;
use crate::order::OrderRef;
use crate::text::Remark;
use crate::time::Timestamp;

/// Why money moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreditCause {
    /// The shop granted it.
    Granted {
        /// Why.
        reason: Remark,
    },
    /// A gift card was redeemed.
    Loaded {
        /// Which.
        card: GiftCardId,
    },
    /// It was spent.
    Spent {
        /// Under which id it can be reversed: that of this decision, or, for what others had of whom the spender was
        /// merged with, of the spender's.
        spend: EventId,
        /// What for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<OrderRef>,
    },
    /// It was promised.
    Held {
        /// Under which name.
        hold: CreditHoldName,
        /// When the promise is over by itself.
        until: Timestamp,
        /// What for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<OrderRef>,
    },
    /// What was promised was spent, whole or in part; the rest went back.
    Captured {
        /// The name.
        hold: CreditHoldName,
        /// As for what is [spent](Self::Spent) at once.
        spend: EventId,
    },
    /// What was promised went back.
    Released {
        /// The name.
        hold: CreditHoldName,
    },
    /// What was promised went back, because its time was over.
    Lapsed {
        /// The name.
        hold: CreditHoldName,
    },
    /// Its time was up.
    Expired,
    /// The shop took it back.
    Adjusted {
        /// Why.
        reason: Remark,
    },
    /// What was spent came back, whole or in part.
    Reversed {
        /// Which spend.
        spend: EventId,
        /// Why.
        reason: Remark,
    },
    /// Two who had been merged were parted again, and each pays for what they spent or promised themselves: whoever
    /// had spent the other's money is charged, and the other gets it back.
    Settled {
        /// Who the other is.
        with: CustomerId,
        /// What it is about.
        of: SettledOf,
    },
}

impl CreditCause {
    /// The name it is shown under.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            CreditCause::Granted { .. } => "granted",
            CreditCause::Loaded { .. } => "loaded",
            CreditCause::Spent { .. } => "spent",
            CreditCause::Held { .. } => "held",
            CreditCause::Captured { .. } => "captured",
            CreditCause::Released { .. } => "released",
            CreditCause::Lapsed { .. } => "lapsed",
            CreditCause::Expired => "expired",
            CreditCause::Adjusted { .. } => "adjusted",
            CreditCause::Reversed { .. } => "reversed",
            CreditCause::Settled { .. } => "settled",
        }
    }

    /// Where the money is that leaves the customer, or where it came from.
    const fn account(&self) -> CreditAccount {
        match self {
            CreditCause::Granted { .. } => CreditAccount::Issued,
            CreditCause::Loaded { .. } | CreditCause::Settled { .. } => CreditAccount::Transferred,
            // What is held and released stays with the customer.
            CreditCause::Spent { .. }
            | CreditCause::Captured { .. }
            | CreditCause::Held { .. }
            | CreditCause::Released { .. }
            | CreditCause::Lapsed { .. } => CreditAccount::Redeemed,
            CreditCause::Expired => CreditAccount::Expired,
            CreditCause::Adjusted { .. } => CreditAccount::Adjusted,
            CreditCause::Reversed { .. } => CreditAccount::Refunded,
        }
    }
}

/// What two who were parted settle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettledOf {
    /// What one spent of the other's.
    Spend(EventId),
    /// What one promised of the other's, and has not spent yet.
    Hold(CreditHoldName),
}

/// What a posting did to one lot. All of it in minor units, positive where it grew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditMove {
    /// Which lot of the customer's in this currency, counted from 0.
    pub lot: u32,
    /// What can be spent of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub minor: i64,
    /// What is held of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub held: i64,
    /// What the customer owes: what comes pays it first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub owed: i64,
    /// The terms of the lot, where this opens it, or may open it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<CreditTerms>,
    /// For what comes back to a lot of its own, because its time was over: from which lot it had been taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<u32>,
    /// While it is decided for several merged customers: whose lot it is.
    #[serde(skip)]
    pub(super) of: Option<CustomerId>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(minor: &i64) -> bool {
    *minor == 0
}

impl CreditMove {
    pub(super) const fn of_lot(lot: u32) -> Self {
        CreditMove { lot, minor: 0, held: 0, owed: 0, terms: None, was: None, of: None }
    }

    /// What left the customer by it; negative for what came.
    pub(super) fn gone(&self) -> i128 {
        i128::from(self.owed) - i128::from(self.minor) - i128::from(self.held)
    }
}

/// Money that moved, with the lots it moved in: the full result, so that it never has to be worked out again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditPosting {
    /// In which currency.
    pub currency: Currency,
    /// Why.
    pub cause: CreditCause,
    /// Which lots changed.
    pub moves: Vec<CreditMove>,
    /// For what was spent or held while several customers were merged: the one among them who did, where that is not
    /// the one whose money it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spender: Option<CustomerId>,
    /// While it is decided for several merged customers: everybody who gets a part of it, though it may be empty.
    #[serde(skip)]
    pub(super) parts: Vec<CustomerId>,
}

impl CreditPosting {
    pub(super) const fn new(currency: Currency, cause: CreditCause, moves: Vec<CreditMove>) -> Self {
        CreditPosting { currency, cause, moves, spender: None, parts: Vec::new() }
    }

    /// By how much the balance changed, in minor units.
    #[must_use]
    pub fn minor(&self) -> i128 {
        self.moves.iter().map(|change| i128::from(change.minor)).sum()
    }

    /// By how much it changed what is held, in minor units.
    #[must_use]
    pub fn held(&self) -> i128 {
        self.moves.iter().map(|change| i128::from(change.held)).sum()
    }

    /// By how much it changed what is owed, in minor units.
    #[must_use]
    pub fn owed(&self) -> i128 {
        self.moves.iter().map(|change| i128::from(change.owed)).sum()
    }

    /// The entries in the ledger; they sum to zero.
    #[must_use]
    pub fn entries(&self) -> [(CreditAccount, i128); 4] {
        let (balance, held, debt) = (self.minor(), self.held(), -self.owed());
        [
            (CreditAccount::CustomerBalance, balance),
            (CreditAccount::CustomerHeld, held),
            (CreditAccount::CustomerDebt, debt),
            (self.cause.account(), -(balance + held + debt)),
        ]
    }

    /// The parts of it for each of several merged customers; `through` is the one whom it came through.
    pub(crate) fn split(self, through: CustomerId) -> Vec<(CustomerId, CreditPosting)> {
        if self.parts.is_empty() {
            return vec![(through, self)];
        }
        let CreditPosting { currency, cause, moves, spender, parts } = self;
        let part = |member: CustomerId| {
            let own = moves.iter().filter(|change| change.of == Some(member));
            let moves = own.map(|change| CreditMove { of: None, ..change.clone() }).collect();
            let spender = spender.filter(|spender| *spender != member);
            (member, CreditPosting { currency, cause: cause.clone(), moves, spender, parts: Vec::new() })
        };
        parts.into_iter().map(part).collect()
    }

    /// The same for a customer who was not merged.
    pub(super) fn alone(mut self) -> Self {
        self.moves.iter_mut().for_each(|change| change.of = None);
        CreditPosting { spender: None, parts: Vec::new(), ..self }
    }
}
