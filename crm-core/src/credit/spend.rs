//! What was spent, so that it can be reversed, and settled between those who were merged.

use serde::{Deserialize, Serialize};

use super::CreditPiece;
use crate::id::{CustomerId, EventId};

/// What one spend took from a book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spend {
    /// The decision by which it was spent, in the history of whoever it came through.
    pub(super) id: EventId,
    /// Who spent it, as for a [hold](super::CreditHold::by).
    pub(super) by: Option<CustomerId>,
    /// Whether it was reversed, whole or in part.
    pub(super) reversed: bool,
    /// What of it is gone still.
    pub(super) pieces: Vec<CreditPiece>,
}
