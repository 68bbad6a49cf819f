//! Postings that a book works out: what is taken, what comes back, what is over.

use super::book::expiry;
use super::{
    CreditBook, CreditCause, CreditHold, CreditHoldName, CreditMove, CreditOrigin, CreditPiece, CreditPosting,
    CreditTerms, GiftCardKind, GiftCardPosting, SettledOf,
};
use crate::flat::FlatMap;
use crate::id::{CustomerId, EventId};
use crate::money::{Currency, Money};
use crate::time::Timestamp;

/// What members owe while something comes back to several: each one's own debt is paid first.
#[derive(Debug, Default)]
pub(super) struct Debts(FlatMap<Option<CustomerId>, i128>);

impl Debts {
    pub(super) fn add(&mut self, of: Option<CustomerId>, book: &CreditBook) {
        self.0.insert(of, book.owed());
    }

    /// What of an amount that comes back pays debt.
    fn pay(&mut self, of: Option<CustomerId>, minor: i64) -> i64 {
        let Some(owed) = self.0.get_mut(&of) else { return 0 };
        let pays = i64::try_from((*owed).clamp(0, i128::from(minor))).unwrap_or(0);
        *owed -= i128::from(pays);
        pays
    }

    /// The moves by which pieces come back to their lots, what would expire soonest paying what is owed. With
    /// `held` they were held until then.
    pub(super) fn back(&mut self, mut pieces: Vec<CreditPiece>, held: bool) -> Vec<CreditMove> {
        pieces.sort_by_key(CreditPiece::rank);
        let back = |CreditPiece { lot, minor, terms, of }: CreditPiece| {
            let pays = self.pay(of, minor);
            let held = if held { -minor } else { 0 };
            CreditMove { minor: minor - pays, held, owed: -pays, terms: Some(terms), of, ..CreditMove::of_lot(lot) }
        };
        pieces.into_iter().map(back).collect()
    }
}

/// The first so much of some pieces, and the rest.
pub(super) fn part(pieces: &[CreditPiece], mut minor: i64) -> (Vec<CreditPiece>, Vec<CreditPiece>) {
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    for piece in pieces {
        let own = minor.clamp(0, piece.minor);
        minor -= own;
        first.extend((own > 0).then_some(CreditPiece { minor: own, ..*piece }));
        rest.extend((own < piece.minor).then_some(CreditPiece { minor: piece.minor - own, ..*piece }));
    }
    (first, rest)
}

impl CreditBook {
    /// The move by which money comes: debt is paid first, the rest becomes a lot.
    pub(super) fn give(&self, minor: i64, terms: CreditTerms) -> CreditMove {
        let pays = i64::try_from(self.owed().clamp(0, i128::from(minor.max(0)))).unwrap_or(0);
        CreditMove { minor: minor - pays, owed: -pays, terms: Some(terms), ..CreditMove::of_lot(self.next_lot) }
    }

    /// The pieces that are taken next; fewer if it is not all there.
    pub(super) fn next_pieces(&self, mut minor: i64) -> Vec<CreditPiece> {
        let mut pieces = Vec::new();
        for lot in &self.lots {
            if minor <= 0 {
                break;
            }
            let own = minor.min(lot.left);
            minor -= own;
            pieces.push(CreditPiece { lot: lot.lot, minor: own, terms: lot.terms, of: lot.of });
        }
        pieces
    }

    /// The moves by which so much is taken, to be held or for good.
    pub(super) fn take(&self, minor: i64, held: bool) -> Vec<CreditMove> {
        let take = |piece: CreditPiece| CreditMove {
            minor: -piece.minor,
            held: if held { piece.minor } else { 0 },
            of: piece.of,
            ..CreditMove::of_lot(piece.lot)
        };
        self.next_pieces(minor).into_iter().map(take).collect()
    }

    /// The same from one who may not have so much: the rest is owed.
    fn charge(&self, minor: i64, held: bool, at: Timestamp) -> Vec<CreditMove> {
        let mut moves = self.take(minor, held);
        let taken: i64 = moves.iter().map(|change| -change.minor).sum();
        if taken < minor {
            let terms = CreditTerms { origin: CreditOrigin::Advance, issued_at: at, expires_at: None };
            let owed = minor - taken;
            let held = if held { owed } else { 0 };
            moves.push(CreditMove { held, owed, terms: Some(terms), ..CreditMove::of_lot(self.next_lot) });
        }
        moves
    }

    fn back(&self, pieces: Vec<CreditPiece>, held: bool) -> Vec<CreditMove> {
        let mut debts = Debts::default();
        debts.add(None, self);
        debts.back(pieces, held)
    }

    /// What is next over at or before an instant, as a posting.
    pub(super) fn due_posting(&self, currency: Currency, at: Timestamp) -> Option<CreditPosting> {
        let hold = self.holds.iter().filter(|hold| hold.until <= at).min_by_key(|hold| hold.until);
        let lot = self.lots.first().filter(|lot| lot.terms.is_due(at));
        if let Some(hold) = hold
            && lot.is_none_or(|lot| lot.terms.expires_at >= Some(hold.until))
        {
            let moves = self.back(hold.pieces.clone(), true);
            let posting = CreditPosting::new(currency, CreditCause::Lapsed { hold: hold.name.clone() }, moves);
            return Some(CreditPosting { spender: hold.by, ..posting });
        }
        let first = lot?.terms.expires_at;
        let due = self.lots.iter().take_while(|lot| lot.terms.expires_at == first);
        let moves = due.map(|lot| CreditMove { minor: -lot.left, ..CreditMove::of_lot(lot.lot) }).collect();
        Some(CreditPosting::new(currency, CreditCause::Expired, moves))
    }

    /// A gift card that is over at or before an instant, as a posting.
    pub(super) fn due_card(&self, currency: Currency, at: Timestamp) -> Option<GiftCardPosting> {
        let due = |(card, state)| expiry(state).filter(|expires| *expires <= at).map(|expires| (expires, card, state));
        let (_, card, state) = self.cards().filter_map(due).min_by_key(|(expires, card, _)| (*expires, *card))?;
        let amount = Money::new(state.open().ok()?, currency);
        Some(GiftCardPosting { card, amount, kind: GiftCardKind::Expired })
    }

    /// What somebody spent of this while they were merged with its customer, and has not come back.
    pub(super) fn spends_of(&self, other: CustomerId) -> impl Iterator<Item = EventId> {
        self.spends.iter().filter(move |spend| spend.by == Some(other)).map(|spend| spend.id)
    }

    /// What somebody holds of this.
    pub(super) fn holds_of(&self, other: CustomerId) -> impl Iterator<Item = &CreditHold> {
        self.holds.iter().filter(move |hold| hold.by == Some(other))
    }

    /// The posting by which this gets back what somebody spent of it, or held.
    pub(super) fn get_back(&self, currency: Currency, from: CustomerId, of: SettledOf) -> CreditPosting {
        let (pieces, held) = match &of {
            SettledOf::Spend(id) => {
                let lent = self.spends.iter().find(|spend| spend.id == *id && spend.by == Some(from));
                (lent.map(|spend| &spend.pieces), false)
            }
            SettledOf::Hold(name) => (self.hold_of(name, from).map(|hold| &hold.pieces), true),
        };
        let moves = self.back(pieces.cloned().unwrap_or_default(), held);
        CreditPosting::new(currency, CreditCause::Settled { with: from, of }, moves)
    }

    /// The posting by which its customer pays for what they spent of somebody else's, or held: what is not there is
    /// owed.
    pub(super) fn pay_back(
        &self,
        currency: Currency,
        to: CustomerId,
        of: SettledOf,
        minor: i64,
        at: Timestamp,
    ) -> CreditPosting {
        let moves = self.charge(minor, matches!(of, SettledOf::Hold(_)), at);
        CreditPosting::new(currency, CreditCause::Settled { with: to, of }, moves)
    }

    fn hold_of(&self, name: &CreditHoldName, by: CustomerId) -> Option<&CreditHold> {
        self.holds.iter().find(|hold| hold.name == *name && hold.by == Some(by))
    }
}
