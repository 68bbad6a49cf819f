//! One customer's money in one currency: lots, holds, what was spent, and totals that always add up.

use serde::{Deserialize, Serialize};

use super::hold::ClosedHold;
use super::lot::{put, sum, take_out};
use super::spend::Spend;
use super::{
    CREDIT_HOLDS_KEPT, CREDIT_SPENDS_KEPT, CreditCause, CreditHold, CreditHoldName, CreditLot, CreditMove, CreditPiece,
    CreditPosting, CreditTerms, CreditTotals, GiftCardId, GiftCardKind, GiftCardPosting, GiftCardState, HoldEnd,
    SettledOf,
};
use crate::flat::FlatMap;
use crate::id::{CustomerId, EventId};
use crate::time::Timestamp;

/// A customer's book in one currency: the fold of its postings. All amounts are in minor units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditBook {
    /// In the order in which they are spent.
    pub(super) lots: Vec<CreditLot>,
    pub(super) holds: Vec<CreditHold>,
    /// Those that are over, the oldest first.
    pub(super) closed: Vec<ClosedHold>,
    /// In the order in which they were spent.
    pub(super) spends: Vec<Spend>,
    pub(super) cards: FlatMap<GiftCardId, GiftCardState>,
    pub(super) totals: CreditTotals,
    pub(super) next_lot: u32,
}

impl CreditBook {
    /// What is there that is not held; never negative.
    #[must_use]
    pub const fn balance(&self) -> i128 {
        self.totals.balance
    }

    /// What is promised to orders.
    #[must_use]
    pub const fn held(&self) -> i128 {
        self.totals.held
    }

    /// What the customer owes since they were parted from somebody whose money they had spent. What comes pays it
    /// first, so that whoever owes has no balance; of several who are merged one may.
    #[must_use]
    pub const fn owed(&self) -> i128 {
        self.totals.owed
    }

    /// What can be spent: the balance less what is owed; never negative.
    #[must_use]
    pub fn available(&self) -> i128 {
        (self.totals.balance - self.totals.owed).max(0)
    }

    /// Totals since the beginning.
    #[must_use]
    pub const fn totals(&self) -> CreditTotals {
        self.totals
    }

    /// The lots that have something left, in the order in which they are spent.
    #[must_use]
    pub fn lots(&self) -> &[CreditLot] {
        &self.lots
    }

    /// The holds that are open, in the order in which they were placed.
    #[must_use]
    pub fn holds(&self) -> &[CreditHold] {
        &self.holds
    }

    /// The gift cards that were sold to the customer, by their ids.
    pub fn cards(&self) -> impl Iterator<Item = (GiftCardId, GiftCardState)> {
        self.cards.iter().map(|(card, state)| (*card, *state))
    }

    /// What became of a gift card that was sold to the customer.
    #[must_use]
    pub fn card(&self, card: GiftCardId) -> Option<GiftCardState> {
        self.cards.get(&card).copied()
    }

    /// How much of a spend has not come back; none if it is not known.
    #[must_use]
    pub fn spent_by(&self, spend: EventId) -> Option<i128> {
        self.spend(spend).map(|spend| sum(&spend.pieces))
    }

    pub(super) fn spend(&self, id: EventId) -> Option<&Spend> {
        self.spends.iter().find(|spend| spend.id == id)
    }

    /// Records a posting. It never refuses: a lot that is not there (as after corrupted storage) is passed over, and
    /// the totals follow what was posted.
    pub(crate) fn apply(&mut self, posting: &CreditPosting) {
        self.totals.post(posting);
        let by = posting.spender;
        if let CreditCause::Held { hold, until, order } = &posting.cause {
            let (name, until, order) = (hold.clone(), *until, order.clone());
            self.holds.push(CreditHold { name, by, until, order, pieces: Vec::new() });
        } else if let CreditCause::Spent { spend, .. } | CreditCause::Captured { spend, .. } = posting.cause
            && (by.is_none() || !posting.moves.is_empty())
        {
            self.spends.push(Spend { id: spend, by, reversed: false, pieces: Vec::new() });
        }
        for change in &posting.moves {
            let terms = self.lots.iter().find(|lot| lot.lot == change.lot).map(|lot| lot.terms);
            self.move_lot(change);
            self.move_pieces(posting, change, change.terms.or(terms));
        }
        match &posting.cause {
            CreditCause::Captured { hold, .. } => self.close(hold, by, HoldEnd::Captured),
            CreditCause::Released { hold } => self.close(hold, by, HoldEnd::Released),
            CreditCause::Lapsed { hold } => self.close(hold, by, HoldEnd::Lapsed),
            CreditCause::Reversed { spend, .. } => {
                if let Some(spend) = self.spends.iter_mut().find(|own| own.id == *spend) {
                    spend.reversed = true;
                }
            }
            CreditCause::Settled { with, of } => self.forget_lent(*with, of, posting),
            CreditCause::Spent { .. }
            | CreditCause::Held { .. }
            | CreditCause::Granted { .. }
            | CreditCause::Loaded { .. }
            | CreditCause::Expired
            | CreditCause::Adjusted { .. } => {}
        }
        self.forget_old();
    }

    fn move_lot(&mut self, change: &CreditMove) {
        if change.terms.is_some() {
            self.next_lot = self.next_lot.max(change.lot.saturating_add(1));
        }
        if let Some(place) = self.lots.iter().position(|lot| lot.lot == change.lot) {
            self.lots[place].left = self.lots[place].left.saturating_add(change.minor);
            if self.lots[place].left <= 0 {
                self.lots.remove(place);
            }
        } else if let (Some(terms), true) = (change.terms, change.minor > 0) {
            let lot = CreditLot { lot: change.lot, left: change.minor, terms, of: None };
            let place = self.lots.partition_point(|other| other.rank() < lot.rank());
            self.lots.insert(place, lot);
        }
    }

    /// Brings what is held and what was spent in line with one move of a posting.
    fn move_pieces(&mut self, posting: &CreditPosting, change: &CreditMove, terms: Option<CreditTerms>) {
        let CreditMove { lot, held, .. } = *change;
        let gone = i64::try_from(change.gone()).unwrap_or(0);
        let piece = |minor: i64, terms: Option<CreditTerms>| {
            terms.map(|terms| CreditPiece { lot, minor, terms, of: None }).filter(|piece| piece.minor > 0)
        };
        let by = posting.spender;
        match &posting.cause {
            CreditCause::Held { hold, .. } => self.promise(hold, by, piece(held, terms)),
            CreditCause::Captured { hold, spend } => {
                let of_hold =
                    self.hold_mut(hold, by).and_then(|hold| take_out(&mut hold.pieces, lot, held.saturating_neg()));
                self.note_spent(*spend, piece(gone, of_hold));
            }
            CreditCause::Released { hold } | CreditCause::Lapsed { hold } => {
                if let Some(hold) = self.hold_mut(hold, by) {
                    take_out(&mut hold.pieces, lot, held.saturating_neg());
                }
            }
            CreditCause::Spent { spend, .. } => self.note_spent(*spend, piece(gone, terms)),
            CreditCause::Reversed { spend, .. } => {
                if let Some(spend) = self.spends.iter_mut().find(|own| own.id == *spend) {
                    take_out(&mut spend.pieces, change.was.unwrap_or(lot), gone.saturating_neg());
                }
            }
            // Of what comes back nothing is left to be noted.
            CreditCause::Settled { of: SettledOf::Hold(hold), .. } => self.promise(hold, None, piece(held, terms)),
            CreditCause::Settled { of: SettledOf::Spend(spend), .. } => self.note_spent(*spend, piece(gone, terms)),
            CreditCause::Granted { .. }
            | CreditCause::Loaded { .. }
            | CreditCause::Expired
            | CreditCause::Adjusted { .. } => {}
        }
    }

    fn hold_mut(&mut self, name: &CreditHoldName, by: Option<CustomerId>) -> Option<&mut CreditHold> {
        self.holds.iter_mut().find(|hold| hold.name == *name && hold.by == by)
    }

    fn promise(&mut self, name: &CreditHoldName, by: Option<CustomerId>, piece: Option<CreditPiece>) {
        if let (Some(hold), Some(piece)) = (self.hold_mut(name, by), piece) {
            put(&mut hold.pieces, piece);
        }
    }

    fn note_spent(&mut self, id: EventId, piece: Option<CreditPiece>) {
        // What is too old to be reversed is not noted again.
        let spend = self.spends.iter_mut().find(|own| own.id == id && !(own.reversed && own.by.is_none()));
        if let (Some(spend), Some(piece)) = (spend, piece) {
            put(&mut spend.pieces, piece);
        }
    }

    fn close(&mut self, name: &CreditHoldName, by: Option<CustomerId>, end: HoldEnd) {
        let before = self.holds.len();
        self.holds.retain(|hold| hold.name != *name || hold.by != by);
        // Whose hold it was remembers it.
        if by.is_none() && self.holds.len() < before {
            self.closed.push(ClosedHold { name: name.clone(), by: None, end });
        }
    }

    /// What somebody else spent or held of this, and gave back.
    fn forget_lent(&mut self, with: CustomerId, of: &SettledOf, posting: &CreditPosting) {
        let lent_to = |by: Option<CustomerId>| by == Some(with);
        match of {
            SettledOf::Spend(spend) => self.spends.retain(|own| own.id != *spend || !lent_to(own.by)),
            SettledOf::Hold(name) if posting.held() < 0 => {
                self.holds.retain(|hold| hold.name != *name || !lent_to(hold.by));
            }
            SettledOf::Hold(_) => {}
        }
    }

    /// Keeps no more than is promised.
    fn forget_old(&mut self) {
        let excess = self.closed.len().saturating_sub(CREDIT_HOLDS_KEPT);
        self.closed.drain(..excess);
        for spend in &mut self.spends {
            // What was reversed once is not reversed again.
            if spend.reversed && spend.by.is_none() {
                spend.pieces.clear();
            }
        }
        // Of what somebody else spent there is nothing left to be settled.
        self.spends.retain(|spend| spend.by.is_none() || !spend.pieces.is_empty());
        let own = self.spends.iter().filter(|spend| spend.by.is_none()).count();
        let mut excess = own.saturating_sub(CREDIT_SPENDS_KEPT);
        if excess > 0 {
            self.spends.retain(|spend| {
                let goes = excess > 0 && spend.by.is_none();
                excess -= usize::from(goes);
                !goes
            });
        }
    }

    /// Records what happened to a gift card. One that is not there is passed over, and the totals follow.
    pub(crate) fn apply_card(&mut self, posting: &GiftCardPosting) {
        self.totals.post_card(posting);
        let state = match posting.kind {
            GiftCardKind::Issued { expires_at, .. } => {
                GiftCardState::Open { minor: posting.amount.minor(), expires_at }
            }
            GiftCardKind::Redeemed { .. } => GiftCardState::Redeemed,
            GiftCardKind::Blocked { .. } => GiftCardState::Blocked,
            GiftCardKind::Expired => GiftCardState::Expired,
        };
        self.cards.insert(posting.card, state);
    }

    /// When something is next due: a hold, a lot or a gift card is over.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let holds = self.holds.iter().map(|hold| hold.until);
        let lot = self.lots.first().and_then(|lot| lot.terms.expires_at);
        holds.chain(lot).chain(self.cards().filter_map(|(_, state)| expiry(state))).min()
    }
}

pub(super) const fn expiry(state: GiftCardState) -> Option<Timestamp> {
    match state {
        GiftCardState::Open { expires_at, .. } => expires_at,
        GiftCardState::Redeemed | GiftCardState::Blocked | GiftCardState::Expired => None,
    }
}
