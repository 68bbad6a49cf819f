//! Holds: money that is promised to an order and not spent yet.

use serde::{Deserialize, Serialize};

use super::CreditPiece;
use crate::id::CustomerId;
use crate::order::OrderRef;
use crate::text::text_type;
use crate::time::Timestamp;

text_type!(
    /// What a shop calls a hold, such as the number of a payment.
    CreditHoldName, "name of a hold", 64
);

/// Money that is promised and not spent yet. It does not expire while it is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditHold {
    /// Its name.
    pub name: CreditHoldName,
    /// Whose hold it is: in a customer's own book somebody who held their money while the two were merged, in a
    /// book of several each one's; none for the customer themself.
    pub by: Option<CustomerId>,
    /// When it is over by itself.
    pub until: Timestamp,
    /// What for.
    pub order: Option<OrderRef>,
    /// What is held, of which lots.
    pub pieces: Vec<CreditPiece>,
}

impl CreditHold {
    /// How much is held, in minor units.
    #[must_use]
    pub fn minor(&self) -> i128 {
        super::lot::sum(&self.pieces)
    }
}

/// What became of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldEnd {
    /// It was spent, whole or in part.
    Captured,
    /// It was given up.
    Released,
    /// Its time was over.
    Lapsed,
}

/// A hold that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClosedHold {
    pub(super) name: CreditHoldName,
    /// In a book of several, whose it was.
    pub(super) by: Option<CustomerId>,
    pub(super) end: HoldEnd,
}
