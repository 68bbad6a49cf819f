//! Lots: money that came together and expires together, and pieces of them.

use serde::{Deserialize, Serialize};

use super::GiftCardId;
use crate::id::{CustomerId, EventId};
use crate::time::Timestamp;

/// Where money came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreditOrigin {
    /// The shop granted it.
    Grant {
        /// The decision that did.
        event: EventId,
    },
    /// A gift card was redeemed.
    GiftCard {
        /// Which.
        card: GiftCardId,
    },
    /// Nowhere yet: the customer was charged, when they were parted from somebody, for what was not there.
    Advance,
}

/// Where money came from, since when it is there, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditTerms {
    /// Where it came from.
    pub origin: CreditOrigin,
    /// Since when it is there.
    pub issued_at: Timestamp,
    /// When it expires, at which instant it is gone; none means never.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

impl CreditTerms {
    /// The order in which money is spent: soonest expiry first, then the oldest, never-expiring last.
    pub(super) const fn rank(&self) -> (bool, Option<Timestamp>, Timestamp) {
        (self.expires_at.is_none(), self.expires_at, self.issued_at)
    }

    pub(super) fn is_due(&self, at: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires| expires <= at)
    }
}

/// Money that came together and expires together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditLot {
    /// Its number within the book it is in, from 0.
    pub lot: u32,
    /// How much of it can be spent, in minor units; never 0 or less.
    pub left: i64,
    /// Where it came from, and until when it is there.
    pub terms: CreditTerms,
    /// Of several merged customers the one whose it is; none in a book of one.
    pub of: Option<CustomerId>,
}

impl CreditLot {
    pub(super) fn rank(&self) -> impl Ord + use<> {
        (self.terms.rank(), self.of, self.lot)
    }
}

/// A part of a lot that is held, or was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditPiece {
    /// Of which lot.
    pub lot: u32,
    /// How much, in minor units.
    pub minor: i64,
    /// The terms of the lot, under which it comes back.
    pub terms: CreditTerms,
    /// Of several merged customers the one whose it is; none in a book of one.
    pub of: Option<CustomerId>,
}

impl CreditPiece {
    pub(super) fn rank(&self) -> impl Ord + use<> {
        (self.terms.rank(), self.of, self.lot)
    }
}

pub(super) fn sum(pieces: &[CreditPiece]) -> i128 {
    pieces.iter().map(|piece| i128::from(piece.minor)).sum()
}

/// Adds a piece to those of a lot, if there is one.
pub(super) fn put(pieces: &mut Vec<CreditPiece>, piece: CreditPiece) {
    match pieces.iter_mut().find(|own| (own.lot, own.of) == (piece.lot, piece.of)) {
        Some(own) => own.minor = own.minor.saturating_add(piece.minor),
        None => pieces.push(piece),
    }
}

/// Takes so much from the piece of a lot, and gives its terms; none if there is none.
pub(super) fn take_out(pieces: &mut Vec<CreditPiece>, lot: u32, minor: i64) -> Option<CreditTerms> {
    let place = pieces.iter().position(|piece| piece.lot == lot)?;
    let terms = pieces[place].terms;
    pieces[place].minor = pieces[place].minor.saturating_sub(minor);
    if pieces[place].minor <= 0 {
        pieces.remove(place);
    }
    Some(terms)
}
