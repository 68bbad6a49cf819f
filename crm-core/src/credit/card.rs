//! Gift cards: money that belongs to whoever holds a code.
//!
//! A card is kept with whoever bought it, as decisions in their history, under a keyed hash of its code. It is redeemed
//! once, as a whole, into the store credit of whoever redeems it.

use serde::{Deserialize, Serialize};

use super::{
    CREDIT_AMOUNT_MAX, CREDIT_BALANCE_MAX, CreditAccount, CreditBook, CreditCause, CreditError, CreditOrigin,
    CreditPosting, GIFT_CARDS_MAX, GIFT_CARDS_OPEN_MAX,
};
use crate::id::{CustomerId, hex_bytes};
use crate::money::{Currency, Money};
use crate::order::OrderRef;
use crate::text::Remark;
use crate::time::Timestamp;

/// What a gift card is known by: a keyed hash of its code, from which nobody gets the code. It prints as 32 digits in
/// hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GiftCardId(#[serde(with = "hex_bytes")] [u8; 16]);

impl GiftCardId {
    /// From its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        GiftCardId(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl std::fmt::Display for GiftCardId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for GiftCardId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GiftCardId({self})")
    }
}

/// What happened to a gift card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GiftCardKind {
    /// It was sold, or given away.
    Issued {
        /// When it expires, at which instant it is gone; none means never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
        /// The order that it was sold with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<OrderRef>,
    },
    /// It was redeemed.
    Redeemed {
        /// By whom.
        by: CustomerId,
    },
    /// It cannot be redeemed any more.
    Blocked {
        /// Why.
        reason: Remark,
    },
    /// Its time was up.
    Expired,
}

impl GiftCardKind {
    /// The name it is shown under.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            GiftCardKind::Issued { .. } => "issued",
            GiftCardKind::Redeemed { .. } => "redeemed",
            GiftCardKind::Blocked { .. } => "blocked",
            GiftCardKind::Expired => "expired",
        }
    }
}

/// Something happened to a gift card, in the history of whoever bought it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiftCardPosting {
    /// Which card.
    pub card: GiftCardId,
    /// What is on it, always as a whole.
    pub amount: Money,
    /// What happened.
    pub kind: GiftCardKind,
}

impl GiftCardPosting {
    /// The entries in the ledger; they sum to zero.
    #[must_use]
    pub fn entries(&self) -> [(CreditAccount, i128); 2] {
        let minor = i128::from(self.amount.minor());
        let (on_cards, to) = match self.kind {
            GiftCardKind::Issued { .. } => (minor, CreditAccount::Issued),
            GiftCardKind::Redeemed { .. } => (-minor, CreditAccount::Transferred),
            GiftCardKind::Blocked { .. } => (-minor, CreditAccount::Blocked),
            GiftCardKind::Expired => (-minor, CreditAccount::Expired),
        };
        [(CreditAccount::GiftCards, on_cards), (to, -on_cards)]
    }
}

/// What became of a gift card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GiftCardState {
    /// It can be redeemed.
    Open {
        /// What is on it, in minor units.
        minor: i64,
        /// When it expires; none means never.
        expires_at: Option<Timestamp>,
    },
    /// It was redeemed.
    Redeemed,
    /// It was blocked.
    Blocked,
    /// It expired.
    Expired,
}

impl GiftCardState {
    /// What is on it and can be redeemed, in minor units.
    ///
    /// # Errors
    ///
    /// `CardRedeemed`, `CardBlocked` or `CardExpired`.
    pub const fn open(self) -> Result<i64, CreditError> {
        match self {
            GiftCardState::Open { minor, .. } => Ok(minor),
            GiftCardState::Redeemed => Err(CreditError::CardRedeemed),
            GiftCardState::Blocked => Err(CreditError::CardBlocked),
            GiftCardState::Expired => Err(CreditError::CardExpired),
        }
    }
}

/// The posting that issues a card to somebody with a book.
///
/// # Errors
///
/// `Amount`, `ExpiryPast` or `TooManyCards`.
pub fn issue(
    book: Option<&CreditBook>,
    card: GiftCardId,
    amount: Money,
    expires_at: Option<Timestamp>,
    order: Option<OrderRef>,
    at: Timestamp,
) -> Result<GiftCardPosting, CreditError> {
    if !(1..=CREDIT_AMOUNT_MAX).contains(&amount.minor()) {
        return Err(CreditError::Amount { minor: amount.minor(), max: CREDIT_AMOUNT_MAX });
    }
    if let Some(expires) = expires_at.filter(|expires| *expires <= at) {
        return Err(CreditError::ExpiryPast { at: expires });
    }
    let all = || book.into_iter().flat_map(CreditBook::cards);
    let open = all().filter(|(_, state)| matches!(state, GiftCardState::Open { .. })).count();
    for (cards, max) in [(open, GIFT_CARDS_OPEN_MAX), (all().count(), GIFT_CARDS_MAX)] {
        if cards >= max {
            return Err(CreditError::TooManyCards { max });
        }
    }
    Ok(GiftCardPosting { card, amount, kind: GiftCardKind::Issued { expires_at, order } })
}

/// The postings that redeem a card of somebody's into the book of whoever redeems it, who may be the same: first what
/// happens to the card, then what happens to the other's money.
///
/// # Errors
///
/// `CardRedeemed`, `CardBlocked` or `CardExpired`, or `TooMuch` if whoever redeems it would have too much.
pub fn redeem(
    state: GiftCardState,
    card: GiftCardId,
    currency: Currency,
    by: CustomerId,
    into: Option<&CreditBook>,
    at: Timestamp,
) -> Result<(GiftCardPosting, CreditPosting), CreditError> {
    let minor = state.open()?;
    // Money keeps its expiry when it leaves the card.
    let expires_at = if let GiftCardState::Open { expires_at, .. } = state { expires_at } else { None };
    let empty = CreditBook::default();
    let book = into.unwrap_or(&empty);
    if book.totals().balance + book.totals().held + i128::from(minor) > i128::from(CREDIT_BALANCE_MAX) {
        return Err(CreditError::TooMuch { max: CREDIT_BALANCE_MAX });
    }
    let terms = super::CreditTerms { origin: CreditOrigin::GiftCard { card }, issued_at: at, expires_at };
    let amount = Money::new(minor, currency);
    let posting = GiftCardPosting { card, amount, kind: GiftCardKind::Redeemed { by } };
    Ok((posting, CreditPosting::new(currency, CreditCause::Loaded { card }, vec![book.give(minor, terms)])))
}

/// The posting that blocks a card; none if it is blocked already.
///
/// # Errors
///
/// `CardRedeemed` or `CardExpired`.
pub fn block(
    state: GiftCardState,
    card: GiftCardId,
    currency: Currency,
    reason: Remark,
) -> Result<Option<GiftCardPosting>, CreditError> {
    match state.open() {
        Ok(minor) => {
            let amount = Money::new(minor, currency);
            Ok(Some(GiftCardPosting { card, amount, kind: GiftCardKind::Blocked { reason } }))
        }
        Err(CreditError::CardBlocked) => Ok(None),
        Err(error) => Err(error),
    }
}
