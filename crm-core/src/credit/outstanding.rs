//! What a shop still owes a customer at an instant: store credit, and what is on gift cards that were sold to them.

use super::{CreditBook, GiftCardState};
use crate::time::Timestamp;

/// Money that is still to be given out at an instant, in minor units of the book's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outstanding {
    /// How much; more than 0.
    pub minor: i128,
    /// When the last of it is over by itself; none where some of it never is.
    pub until: Option<Timestamp>,
}

impl Outstanding {
    /// Amounts with when they are over, less what is owed; none where nothing is left.
    fn of(amounts: impl Iterator<Item = (i64, Option<Timestamp>)>, owed: i128) -> Option<Self> {
        let mut minor = 0_i128;
        let mut until = Some(Timestamp::MIN);
        for (amount, ends) in amounts {
            minor += i128::from(amount);
            until = until.zip(ends).map(|(until, ends)| until.max(ends));
        }
        (minor > owed).then_some(Outstanding { minor: minor - owed, until })
    }
}

impl CreditBook {
    /// The credit that is there at an instant and not over by then, held or not, less what is owed. What is held ends
    /// with its hold, if its time is up by then.
    #[must_use]
    pub fn credit_outstanding(&self, at: Timestamp) -> Option<Outstanding> {
        let free = self.lots().iter().map(|lot| (lot.left, lot.terms.expires_at));
        let held = self.holds().iter().flat_map(|hold| {
            let ends = |expires: Option<Timestamp>| expires.map(|expires| expires.max(hold.until));
            hold.pieces.iter().map(move |piece| (piece.minor, ends(piece.terms.expires_at)))
        });
        let there = free.chain(held).filter(|(_, ends)| ends.is_none_or(|ends| ends > at));
        Outstanding::of(there, self.owed())
    }

    /// What is on gift cards that were sold to the customer and that can be redeemed at an instant.
    #[must_use]
    pub fn cards_outstanding(&self, at: Timestamp) -> Option<Outstanding> {
        let open = self.cards().filter_map(|(_, state)| match state {
            GiftCardState::Open { minor, expires_at } => Some((minor, expires_at)),
            GiftCardState::Redeemed | GiftCardState::Blocked | GiftCardState::Expired => None,
        });
        Outstanding::of(open.filter(|(_, ends)| ends.is_none_or(|ends| ends > at)), 0)
    }
}
