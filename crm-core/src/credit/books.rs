//! A customer's books, one for each currency.

use serde::{Deserialize, Serialize};

use super::hold::ClosedHold;
use super::spend::Spend;
use super::{
    CreditBook, CreditHold, CreditLot, CreditPiece, CreditPosting, GiftCardId, GiftCardPosting, GiftCardState,
    SettledOf,
};
use crate::event::Deed;
use crate::flat::FlatMap;
use crate::id::CustomerId;
use crate::money::Currency;
use crate::time::Timestamp;

/// A customer's books, one for each currency that something ever moved in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CreditBooks(FlatMap<Currency, CreditBook>);

impl CreditBooks {
    /// The book of a currency.
    #[must_use]
    pub fn get(&self, currency: Currency) -> Option<&CreditBook> {
        self.0.get(&currency)
    }

    /// All of them, by currency.
    pub fn iter(&self) -> impl Iterator<Item = (Currency, &CreditBook)> {
        self.0.iter().map(|(currency, book)| (*currency, book))
    }

    /// A gift card that was sold to the customer, with the currency it is in.
    #[must_use]
    pub fn card(&self, card: GiftCardId) -> Option<(Currency, GiftCardState)> {
        self.iter().find_map(|(currency, book)| Some((currency, book.card(card)?)))
    }

    /// When something is next due: a hold, a lot or a gift card is over.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.iter().filter_map(|(_, book)| book.next_due()).min()
    }

    /// What is next over at or before an instant: a hold before a lot, and a lot before a gift card. When it is
    /// carried out the next one is asked for.
    #[must_use]
    pub fn due(&self, at: Timestamp) -> Option<Deed> {
        self.iter().find_map(|(currency, book)| {
            let posting = book.due_posting(currency, at).map(Deed::CreditPosted);
            posting.or_else(|| book.due_card(currency, at).map(Deed::GiftCardPosted))
        })
    }

    pub(crate) fn apply(&mut self, posting: &CreditPosting) {
        self.0.get_or_default(&posting.currency).apply(posting);
    }

    pub(crate) fn apply_card(&mut self, posting: &GiftCardPosting) {
        self.0.get_or_default(&posting.amount.currency()).apply_card(posting);
    }

    /// The books of several as one, to be looked at and to take from: nothing is recorded in it.
    pub(crate) fn joined<'b>(members: impl Iterator<Item = (CustomerId, &'b CreditBooks)>) -> Self {
        let mut joined = CreditBooks::default();
        for (member, books) in members {
            for (currency, book) in books.0.iter() {
                joined.0.get_or_default(currency).join(member, book);
            }
        }
        joined.0.values_mut().for_each(|book| book.lots.sort_by_key(CreditLot::rank));
        joined
    }

    /// The postings that settle what members of two sides spent and held of each other's money when they are parted at
    /// an instant, each with whose book it is for: first somebody gets it back, then the other pays. `leaves` says on
    /// which side a member is.
    pub(crate) fn settlements(
        members: &[(CustomerId, Option<&CreditBooks>)],
        leaves: impl Fn(CustomerId) -> bool,
        at: Timestamp,
    ) -> Vec<(CustomerId, CreditPosting)> {
        let mut postings: Vec<(CustomerId, CreditPosting)> = Vec::new();
        // A book that pays to several, or gets back and pays, is worked out as the posting before left it.
        let copy = |(id, books): &(CustomerId, Option<&CreditBooks>)| (*id, books.cloned().unwrap_or_default());
        let mut changed: FlatMap<CustomerId, CreditBooks> = members.iter().map(copy).collect();
        for (lender, books) in members {
            for (currency, book) in books.iter().flat_map(|books| books.iter()) {
                for (borrower, _) in members.iter().filter(|(other, _)| leaves(*other) != leaves(*lender)) {
                    let spends = book.spends_of(*borrower).map(SettledOf::Spend);
                    let holds = book.holds_of(*borrower).map(|hold| SettledOf::Hold(hold.name.clone()));
                    for of in spends.chain(holds) {
                        let empty = CreditBook::default();
                        let now = |id: &CustomerId| changed.get(id).and_then(|books| books.get(currency));
                        let back = now(lender).unwrap_or(&empty).get_back(currency, *borrower, of.clone());
                        // What comes back is what is paid for.
                        let minor = match of {
                            SettledOf::Spend(_) => back.minor() + back.held() - back.owed(),
                            SettledOf::Hold(_) => -back.held(),
                        };
                        let minor = i64::try_from(minor).unwrap_or(0);
                        if minor == 0 {
                            continue;
                        }
                        let paid = now(borrower).unwrap_or(&empty).pay_back(currency, *lender, of, minor, at);
                        for (id, posting) in [(*lender, back), (*borrower, paid)] {
                            changed.get_or_default(&id).apply(&posting);
                            postings.push((id, posting));
                        }
                    }
                }
            }
        }
        postings
    }
}

impl CreditBook {
    /// Adds the book of one of several who are merged.
    fn join(&mut self, member: CustomerId, book: &CreditBook) {
        let CreditBook { lots, holds, closed, spends, cards, totals, next_lot: _ } = book;
        self.totals += *totals;
        self.lots.extend(lots.iter().map(|lot| CreditLot { of: Some(member), ..*lot }));
        cards.iter().for_each(|(card, state)| self.cards.insert(*card, *state));
        let theirs = |pieces: &[CreditPiece]| -> Vec<CreditPiece> {
            pieces.iter().map(|piece| CreditPiece { of: Some(member), ..*piece }).collect()
        };
        for hold in holds {
            let (by, pieces) = (Some(hold.by.unwrap_or(member)), theirs(&hold.pieces));
            match self.holds.iter_mut().find(|own| own.name == hold.name && own.by == by) {
                Some(own) => own.pieces.extend(pieces),
                None => self.holds.push(CreditHold { by, pieces, ..hold.clone() }),
            }
        }
        self.closed.extend(closed.iter().map(|closed| ClosedHold { by: Some(member), ..closed.clone() }));
        for spend in spends {
            let (by, pieces) = (Some(spend.by.unwrap_or(member)), theirs(&spend.pieces));
            match self.spends.iter_mut().find(|own| own.id == spend.id) {
                Some(own) => {
                    own.pieces.extend(pieces);
                    own.reversed |= spend.reversed;
                }
                None => self.spends.push(Spend { by, pieces, ..spend.clone() }),
            }
        }
    }
}
