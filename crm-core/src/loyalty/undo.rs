//! Undoing by hand: the opposite of one posting, for what of it was not undone otherwise.

use super::book::PointsBook;
use super::command::UndoPosting;
use super::event::{Posting, PostingKind};
use super::gone::{Giver, UndoneAward};
use super::lots::LotTerms;
use super::{LoyaltyError, Program};
use crate::id::EventId;
use crate::order::Order;
use crate::time::Timestamp;

/// A posting that is to be undone, with what happened to its points since.
#[derive(Debug, Clone)]
pub(crate) struct Undoing<'a> {
    /// The posting.
    pub(crate) undone: &'a Posting,
    /// The lots it took from, as they were, and how many points of each.
    pub(crate) took: Vec<(LotTerms, i64)>,
    /// How many of the points that were awarded when it was have expired and were not given back, or were left behind, and
    /// were not undone yet: these are not taken once more.
    pub(crate) gone: Option<UndoneAward>,
    /// Whether all that was paid for its order came back since.
    pub(crate) settled: bool,
    /// Its order, as far as it is known.
    pub(crate) order: Option<&'a Order>,
}

impl<'a> Undoing<'a> {
    /// One of the postings of a book, which come in the order in which they were recorded.
    pub(crate) fn new(
        id: EventId,
        undone: &'a Posting,
        postings: impl Iterator<Item = (EventId, &'a Posting)> + Clone,
        orders: &'a [Order],
    ) -> Self {
        let opened = |lot: u32| {
            let mut moves = postings.clone().flat_map(|(_, posting)| &posting.moves);
            moves.find(|change| change.lot == lot && change.opens.is_some()).and_then(|change| change.opens)
        };
        let out = undone.moves.iter().filter(|change| change.points < 0);
        let took = out.filter_map(|change| Some((opened(change.lot)?, change.points.saturating_neg()))).collect();
        // What was spent of it and came back may be in another lot, which is as it was.
        let awarded_at = undone.moves.iter().find_map(|change| change.opens?.awarded_at());
        let gone = awarded_at.map(|awarded_at| {
            let points = gone_of(awarded_at, postings.clone().map(|(_, posting)| posting));
            UndoneAward { awarded_at, points }
        });
        let name = undone.kind.order();
        let settled = name.is_some() && is_settled(id, undone.kind.order(), postings);
        let order = orders.iter().rev().find(|order| name.is_some() && order.order.as_ref() == name);
        Undoing { undone, took, gone, settled, order }
    }
}

/// How many points that were awarded at an instant are gone, less what was counted when another of these awards was undone.
fn gone_of<'a>(awarded_at: Timestamp, postings: impl Iterator<Item = &'a Posting>) -> i64 {
    let mut book = PointsBook::default();
    let mut gone = 0_i64;
    for posting in postings {
        let ends = posting.kind.is_end();
        let own = |lot: u32| {
            let lot = book.lots().iter().find(|own| own.lot == lot);
            lot.is_some_and(|lot| lot.terms.awarded_at() == Some(awarded_at))
        };
        for change in posting.moves.iter().filter(|change| ends && own(change.lot)) {
            gone = gone.saturating_sub(change.points);
        }
        let before = book.expired_of(Giver::Award(awarded_at));
        book.apply(posting);
        if matches!(posting.kind, PostingKind::Reinstated { .. }) {
            gone = gone.saturating_sub(before - book.expired_of(Giver::Award(awarded_at)));
        } else if let PostingKind::Undone { gone: Some(undone), .. } = &posting.kind
            && undone.awarded_at == awarded_at
        {
            gone = gone.saturating_sub(undone.points);
        }
    }
    gone
}

/// Whether all that was paid for an order came back after a payment for it, so that what was spent since stands by itself.
fn is_settled<'a>(
    payment: EventId,
    order: Option<&crate::order::OrderRef>,
    postings: impl Iterator<Item = (EventId, &'a Posting)>,
) -> bool {
    let (mut left, mut paid) = (0_i128, false);
    for (id, posting) in postings {
        if posting.kind.order() == order {
            left -= posting.points();
            paid |= id == payment;
        } else if let PostingKind::Returned { order: of } | PostingKind::Undone { order: Some(of), .. } = &posting.kind
            && Some(of) == order
        {
            left -= posting.points();
            if left <= 0 && paid {
                return true;
            }
        }
    }
    false
}

impl UndoPosting {
    /// The posting that does the opposite of another one in the same book.
    ///
    /// # Errors
    ///
    /// `Undone` or `NotUndoable`.
    pub(crate) fn decide(
        &self,
        book: &PointsBook,
        undoing: &Undoing<'_>,
        program: Option<&Program>,
    ) -> Result<Posting, LoyaltyError> {
        let (posting, undone) = (self.posting, undoing.undone);
        if book.was_undone(posting) {
            return Err(LoyaltyError::Undone { posting });
        }
        let account = match &undone.kind {
            kind @ (PostingKind::Awarded { .. }
            | PostingKind::Spent { .. }
            | PostingKind::Captured { .. }
            | PostingKind::Adjusted { .. }) => kind.account(),
            PostingKind::Earned { .. }
            | PostingKind::Imported { .. }
            | PostingKind::Activated
            | PostingKind::Reversed { .. }
            | PostingKind::Held { .. }
            | PostingKind::Released { .. }
            | PostingKind::Returned { .. }
            | PostingKind::Expired { .. }
            | PostingKind::Reinstated { .. }
            | PostingKind::Undone { .. }
            | PostingKind::Given { .. }
            | PostingKind::Received { .. }
            | PostingKind::Pooled { .. }
            | PostingKind::Forfeited { .. }
            | PostingKind::Settled { .. } => None,
        };
        let not = || LoyaltyError::NotUndoable { posting, kind: undone.kind.name() };
        let (reason, order) = (self.reason.clone(), undone.kind.order().cloned());
        let kind =
            PostingKind::Undone { posting, account: account.ok_or_else(not)?, order, paid: None, gone: None, reason };
        let shortfall = program.map(|program| program.shortfall).unwrap_or_default();
        Ok(book.undo(Posting::new(undone.program.clone(), kind), undoing, shortfall))
    }
}
