//! Points follow what earned them: whenever that changes, the difference is posted.

use super::book::PointsBook;
use super::event::{Posting, PostingKind, Qualifying};
use super::lots::{LotTerms, Origin, Waits};
use super::{Pending, Program, ProgramId, TierName};
use crate::id::EventId;
use crate::order::Order;
use crate::time::Timestamp;

impl PointsBook {
    /// The difference between what an order is entitled to and what was posted for it. What expired is
    /// gone already and is not taken back again.
    fn difference(&self, fact: EventId, entitled: i64) -> i64 {
        let (posted, expired) = self.posted_for(fact);
        let difference = entitled - posted;
        if difference < 0 { difference.max(expired - posted).min(0) } else { difference }
    }
}

impl Program {
    /// What holds for points that an order earns.
    fn terms_of_order(&self, fact: EventId, earned_at: Timestamp, tier: Option<&TierName>) -> LotTerms {
        let waits = match self.pending {
            Pending::No => None,
            Pending::For(span) => Some(Waits::Until(earned_at.plus(span))),
            Pending::AfterDelivery(span) => Some(Waits::Delivery(span)),
        };
        LotTerms { origin: Origin::Fact(fact), earned_at, waits, expires_at: self.expires_at(earned_at, tier) }
    }
}

/// The postings that bring the book in line with some orders: for each, the difference between what it
/// is entitled to and what was posted for it. `program_at` gives the programme that was in force when an
/// order was placed. With `all`, the orders are all there are, and what was posted for any other is
/// taken back.
pub(crate) fn reconcile<'p>(
    id: &ProgramId,
    book: &PointsBook,
    orders: &[Order],
    program_at: impl Fn(Timestamp) -> Option<&'p Program>,
    tier: Option<&TierName>,
    all: bool,
) -> Vec<Posting> {
    // Each posting is worked out against the book as the ones before it left it. The copy is made
    // only when there is something to post.
    let mut changed: Option<PointsBook> = None;
    let mut postings = Vec::new();
    let mut post = |fact: EventId, difference: i64, terms: Option<(Timestamp, &Program)>| {
        let current = changed.get_or_insert_with(|| book.clone());
        let earned_at = terms.map(|(at, _)| at).or_else(|| current.earned_at(fact));
        let qualifying = earned_at.map(|at| Qualifying { points: difference, at });
        let posting = match terms {
            Some((at, program)) if difference > 0 => {
                let posting = Posting::new(id.clone(), PostingKind::Earned { fact });
                current.give(posting, difference, program.terms_of_order(fact, at, tier))
            }
            _ => {
                let posting = Posting::new(id.clone(), PostingKind::Reversed { fact });
                let shortfall = terms.map(|(_, program)| program.shortfall).unwrap_or_default();
                current.take(posting, -difference, Some(fact), shortfall)
            }
        };
        let posting = Posting { qualifying, ..posting };
        current.apply(&posting);
        postings.push(posting);
    };
    if all {
        for fact in book.orphans(orders) {
            let difference = book.difference(fact, 0);
            if difference != 0 {
                post(fact, difference, None);
            }
        }
    }
    for order in orders {
        let program = program_at(order.placed_at);
        let entitled = program.map_or(0, |program| program.entitlement(order.net_minor(), order.total.currency()));
        let difference = book.difference(order.event, entitled);
        if difference != 0 {
            post(order.event, difference, program.map(|program| (order.placed_at, program)));
        }
    }
    postings
}
