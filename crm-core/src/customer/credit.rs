//! A customer's money: their books, what is due in them, and what is settled when they are parted.

use super::family::Kinship;
use super::{Customer, DecidedState};
use crate::credit::{CreditBook, CreditBooks, CreditPosting, GiftCardId, GiftCardState};
use crate::event::Deed;
use crate::id::CustomerId;
use crate::money::Currency;
use crate::time::Timestamp;

impl Customer {
    /// Store credit and the gift cards that were sold to the customer, by currency; none if there never was any. Of
    /// somebody who was merged it is that of all.
    #[must_use]
    pub fn credit(&self) -> Option<&CreditBooks> {
        self.decided.credit.as_deref()
    }

    /// The book in one currency.
    #[must_use]
    pub fn credit_in(&self, currency: Currency) -> Option<&CreditBook> {
        self.credit()?.get(currency)
    }

    /// A member's own books.
    #[must_use]
    pub fn credit_of(&self, member: CustomerId) -> Option<&CreditBooks> {
        self.decided_of(member)?.credit.as_deref()
    }

    /// A gift card that was sold to the customer, with whose it is among those they were merged of, and the currency it
    /// is in.
    #[must_use]
    pub fn gift_card(&self, card: GiftCardId) -> Option<(CustomerId, Currency, GiftCardState)> {
        self.members().find_map(|member| {
            let (currency, state) = self.credit_of(member)?.card(card)?;
            Some((member, currency, state))
        })
    }

    /// When something of the customer's money is next over.
    pub(super) fn next_credit_due(&self) -> Option<Timestamp> {
        match &self.kinship {
            Kinship::Head(_) => self.credits_of_members().filter_map(|(_, books)| books?.next_due()).min(),
            Kinship::Alone | Kinship::Alias(_) => self.credit()?.next_due(),
        }
    }

    /// What of the customer's money is next over at or before an instant, as what is to be decided, and about whom. When
    /// that is carried out the next one is asked for.
    #[must_use]
    pub fn credit_due(&self, at: Timestamp) -> Option<(CustomerId, Deed)> {
        self.credits_of_members().find_map(|(member, books)| Some((member, books?.due(at)?)))
    }

    fn credits_of_members(&self) -> impl Iterator<Item = (CustomerId, Option<&CreditBooks>)> {
        self.members().map(|member| (member, self.credit_of(member)))
    }

    /// The postings that settle what members of two sides spent and held of each other's money, when they are parted at
    /// an instant: whoever did pays, and owes what is not there. All of it together moves nothing in or out.
    #[must_use]
    pub fn credit_settlements(&self, leaving: &[CustomerId], at: Timestamp) -> Vec<(CustomerId, CreditPosting)> {
        let members: Vec<_> = self.credits_of_members().collect();
        CreditBooks::settlements(&members, |member| leaving.contains(&member), at)
    }
}

/// The money of several as one.
pub(super) fn together<'d>(
    members: impl Iterator<Item = (CustomerId, &'d DecidedState)> + Clone,
) -> Option<Box<CreditBooks>> {
    let mut all = members.filter_map(|(id, decided)| Some((id, decided.credit.as_deref()?))).peekable();
    all.peek()?;
    Some(Box::new(CreditBooks::joined(all)))
}
