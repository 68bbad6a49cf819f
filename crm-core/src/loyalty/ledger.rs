//! One customer's points in one programme: lots, debt, and totals that always add up.

use serde::{Deserialize, Serialize};

use super::{LotMove, Posting, PostingKind, Program, ProgramId};
use crate::flat::{FlatMap, FlatSet};
use crate::id::{CustomerId, EventId};
use crate::order::Order;
use crate::time::Timestamp;

/// Points that came together and expire together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lot {
    /// Its number within the customer's book, from 0.
    pub lot: u32,
    /// How many points are left; never 0 or less.
    pub left: i64,
    /// Since when they count.
    pub earned_at: Timestamp,
    /// When they expire; none means never.
    pub expires_at: Option<Timestamp>,
    /// The order that earned them, if one did.
    pub order: Option<EventId>,
}

impl Lot {
    /// The order in which lots are spent: soonest expiry first, then the oldest, never-expiring last.
    fn rank(&self) -> (bool, Option<Timestamp>, Timestamp, u32) {
        (self.expires_at.is_none(), self.expires_at, self.earned_at, self.lot)
    }
}

/// Points by what became of them, since the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointsTotals {
    /// Earned by orders or awarded.
    pub earned: i128,
    /// Spent.
    pub spent: i128,
    /// Taken back from orders.
    pub reversed: i128,
    /// Expired.
    pub expired: i128,
}

impl PointsTotals {
    /// What has to be there: earned less spent, reversed and expired.
    #[must_use]
    pub const fn outstanding(&self) -> i128 {
        self.earned - self.spent - self.reversed - self.expired
    }
}

impl std::ops::AddAssign for PointsTotals {
    fn add_assign(&mut self, other: Self) {
        self.earned += other.earned;
        self.spent += other.spent;
        self.reversed += other.reversed;
        self.expired += other.expired;
    }
}

/// What happened to the points of one order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ForOrder {
    /// Earned less reversed.
    posted: i64,
    /// What of it expired.
    expired: i64,
}

/// A customer's book in one programme: the fold of its postings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointsBook {
    /// In the order in which they are spent.
    lots: Vec<Lot>,
    owed: i64,
    totals: PointsTotals,
    next_lot: u32,
    by_order: FlatMap<EventId, ForOrder>,
    /// What others spent of these lots while they were merged with this customer.
    lent: Vec<Lent>,
}

/// Points of a lot that somebody else spent, as they were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Lent {
    to: CustomerId,
    points: i64,
    earned_at: Timestamp,
    expires_at: Option<Timestamp>,
    order: Option<EventId>,
}

/// In a book of several, the number of a lot is its number in its own book after the place of that book.
const LOT_BITS: u32 = 26;

impl PointsBook {
    /// Several books as one, to be looked at and to spend from: nothing is recorded in it. `books` are at most
    /// 32, in an order of their own.
    pub(crate) fn joined<'b>(books: impl Iterator<Item = &'b PointsBook>) -> Self {
        let mut joined = PointsBook::default();
        for (place, book) in books.enumerate() {
            let PointsBook { lots, owed, totals, next_lot: _, by_order, lent: _ } = book;
            let within = |lot: u32| ((place as u32) << LOT_BITS) | (lot & ((1 << LOT_BITS) - 1));
            joined.lots.extend(lots.iter().map(|lot| Lot { lot: within(lot.lot), ..lot.clone() }));
            joined.owed = joined.owed.saturating_add(*owed);
            joined.totals += *totals;
            for (order, told) in by_order.iter() {
                let sum = joined.by_order.get_or_default(order);
                sum.posted = sum.posted.saturating_add(told.posted);
                sum.expired = sum.expired.saturating_add(told.expired);
            }
        }
        joined.lots.sort_unstable_by_key(Lot::rank);
        joined
    }

    /// The parts of a posting that takes from a joined book, by the place of the book they take from.
    pub(crate) fn parts(posting: &Posting) -> Vec<(usize, Posting)> {
        let mut parts: Vec<(usize, Posting)> = Vec::new();
        for change in &posting.moves {
            let place = (change.lot >> LOT_BITS) as usize;
            let own = LotMove { lot: change.lot & ((1 << LOT_BITS) - 1), ..change.clone() };
            match parts.iter_mut().find(|(known, _)| *known == place) {
                Some((_, part)) => part.moves.push(own),
                None => parts.push((place, Posting { moves: vec![own], owed: 0, ..posting.clone() })),
            }
        }
        parts
    }

    /// How many points somebody spent of these while they were merged with this customer.
    pub(crate) fn lent_to(&self, other: CustomerId) -> i64 {
        self.lent.iter().filter(|lent| lent.to == other).map(|lent| lent.points).sum()
    }

    /// The posting by which this book gets back what somebody spent of it: lots as they were, the debt
    /// first.
    pub(crate) fn get_back(&self, id: &ProgramId, from: CustomerId) -> Posting {
        let pays = self.lent_to(from).min(self.owed);
        let open = |(lent, lot): (Lent, u32)| {
            let Lent { to: _, points, earned_at, expires_at, order: _ } = lent;
            LotMove { lot, points, earned_at: Some(earned_at), expires_at }
        };
        let moves = self.back_from(from, pays).zip(self.next_lot..).map(open).collect();
        Posting { program: id.clone(), kind: PostingKind::Settled { with: from }, moves, owed: -pays, spent_by: None }
    }

    /// What comes back of what somebody spent, when so much of it pays debt.
    fn back_from(&self, other: CustomerId, mut pays: i64) -> impl Iterator<Item = Lent> {
        self.lent.iter().filter(move |lent| lent.to == other).filter_map(move |lent| {
            let part = lent.points.min(pays);
            pays -= part;
            (lent.points > part).then(|| Lent { points: lent.points - part, ..lent.clone() })
        })
    }

    /// The posting by which this book pays for what its customer spent of somebody else's: from its lots as
    /// when points are spent, and what is not there is owed.
    pub(crate) fn pay_back(&self, id: &ProgramId, points: i64, to: CustomerId) -> Posting {
        self.take(id.clone(), PostingKind::Settled { with: to }, points, None)
    }

    /// The lots that have something left, in the order in which they are spent.
    #[must_use]
    pub fn lots(&self) -> &[Lot] {
        &self.lots
    }

    /// What the customer owes, because points were taken back after they had been spent. Whoever owes
    /// has no lots: what is earned next pays the debt first.
    #[must_use]
    pub const fn owed(&self) -> i64 {
        self.owed
    }

    /// Totals since the beginning.
    #[must_use]
    pub const fn totals(&self) -> PointsTotals {
        self.totals
    }

    /// What can be spent; negative when the customer owes points.
    #[must_use]
    pub const fn balance(&self) -> i128 {
        self.totals.outstanding()
    }

    /// What counts towards a tier: earned and not taken back.
    #[must_use]
    pub const fn qualifying(&self) -> i128 {
        self.totals.earned - self.totals.reversed
    }

    /// When the next lot expires.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.lots.first().and_then(|lot| lot.expires_at)
    }

    /// A posting that gives points: debt is paid first, the rest becomes a lot.
    pub(super) fn give(
        &self,
        id: ProgramId,
        kind: PostingKind,
        points: i64,
        earned_at: Timestamp,
        program: &Program,
    ) -> Posting {
        let pays = points.min(self.owed);
        let expires_at = program.expires_after.map(|span| earned_at.plus(span));
        let lot = LotMove { lot: self.next_lot, points: points - pays, earned_at: Some(earned_at), expires_at };
        let moves = if lot.points > 0 { vec![lot] } else { Vec::new() };
        Posting { program: id, kind, moves, owed: -pays, spent_by: None }
    }

    /// A posting that takes points, from the lots of one order first where it is named; what is not
    /// there becomes debt.
    pub(super) fn take(&self, id: ProgramId, kind: PostingKind, points: i64, first: Option<EventId>) -> Posting {
        let own = self.lots.iter().filter(|lot| first.is_some() && lot.order == first);
        let others = self.lots.iter().filter(|lot| first.is_none() || lot.order != first);
        let mut left = points;
        let mut moves = Vec::new();
        for lot in own.chain(others) {
            if left == 0 {
                break;
            }
            let part = left.min(lot.left);
            left -= part;
            moves.push(LotMove { lot: lot.lot, points: -part, earned_at: None, expires_at: None });
        }
        Posting { program: id, kind, moves, owed: left, spent_by: None }
    }

    /// The posting that expires what is due at or before an instant, if anything is.
    #[must_use]
    pub fn expire(&self, id: &ProgramId, at: Timestamp) -> Option<Posting> {
        let due = |lot: &&Lot| lot.expires_at.is_some_and(|expires| expires <= at);
        let moves: Vec<LotMove> = self
            .lots
            .iter()
            .take_while(due)
            .map(|lot| LotMove { lot: lot.lot, points: -lot.left, earned_at: None, expires_at: None })
            .collect();
        let posting = Posting { program: id.clone(), kind: PostingKind::Expired, moves, owed: 0, spent_by: None };
        (!posting.moves.is_empty()).then_some(posting)
    }

    /// Records a posting. It never refuses: a lot that is not there (as after corrupted storage) is
    /// passed over, and the totals follow what was posted.
    pub(crate) fn apply(&mut self, posting: &Posting) {
        let order = match &posting.kind {
            PostingKind::Earned { order } | PostingKind::Reversed { order } => Some(*order),
            PostingKind::Awarded { .. }
            | PostingKind::Spent { .. }
            | PostingKind::Expired
            | PostingKind::Settled { .. } => None,
        };
        // Lots that come back are of the orders they were of.
        let mut orders_back = match posting.kind {
            PostingKind::Settled { with } => {
                self.back_from(with, (-posting.owed).max(0)).map(|lent| lent.order).collect()
            }
            PostingKind::Earned { .. }
            | PostingKind::Awarded { .. }
            | PostingKind::Reversed { .. }
            | PostingKind::Spent { .. }
            | PostingKind::Expired => Vec::new(),
        }
        .into_iter();
        for change in &posting.moves {
            if let Some(earned_at) = change.earned_at {
                let order = order.or_else(|| orders_back.next().flatten());
                let lot = Lot { lot: change.lot, left: change.points, earned_at, expires_at: change.expires_at, order };
                let place = self.lots.partition_point(|other| other.rank() < lot.rank());
                self.lots.insert(place, lot);
                self.next_lot = self.next_lot.max(change.lot.saturating_add(1));
            } else if let Some(place) = self.lots.iter().position(|lot| lot.lot == change.lot) {
                self.lots[place].left = self.lots[place].left.saturating_add(change.points);
                if let (PostingKind::Expired, Some(order)) = (&posting.kind, self.lots[place].order) {
                    let expired = &mut self.by_order.get_or_default(&order).expired;
                    *expired = expired.saturating_sub(change.points);
                }
                if let (PostingKind::Spent { .. }, Some(to)) = (&posting.kind, posting.spent_by) {
                    let Lot { earned_at, expires_at, order, .. } = self.lots[place];
                    let points = change.points.saturating_neg();
                    self.lent.push(Lent { to, points, earned_at, expires_at, order });
                }
                if self.lots[place].left <= 0 {
                    self.lots.remove(place);
                }
            }
        }
        if let PostingKind::Settled { with } = posting.kind
            && posting.points() > 0
        {
            // What was lent is back; what is paid for here was lent by the other.
            self.lent.retain(|lent| lent.to != with);
        }
        self.owed = self.owed.saturating_add(posting.owed);
        let points = posting.points();
        match posting.kind {
            PostingKind::Earned { .. } | PostingKind::Awarded { .. } => self.totals.earned += points,
            PostingKind::Reversed { .. } => self.totals.reversed -= points,
            PostingKind::Spent { .. } | PostingKind::Settled { .. } => self.totals.spent -= points,
            PostingKind::Expired => self.totals.expired -= points,
        }
        if let Some(order) = order {
            let posted = &mut self.by_order.get_or_default(&order).posted;
            *posted = posted.saturating_add(i64::try_from(points).unwrap_or(0));
        }
    }

    /// The difference between what an order is entitled to and what was posted for it. What expired is
    /// gone already and is not taken back again.
    fn difference(&self, order: EventId, entitled: i64) -> i64 {
        let ForOrder { posted, expired } = self.by_order.get(&order).copied().unwrap_or_default();
        let difference = entitled - posted;
        if difference < 0 { difference.max(expired - posted).min(0) } else { difference }
    }

    /// Orders for which something was posted and that are no longer there.
    fn orphans(&self, orders: &[Order]) -> Vec<EventId> {
        let there: FlatSet<EventId> = orders.iter().map(|order| order.event).collect();
        self.by_order.iter().map(|(order, _)| *order).filter(|order| !there.contains(order)).collect()
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
    all: bool,
) -> Vec<Posting> {
    // Each posting is worked out against the book as the ones before it left it. The copy is made
    // only when there is something to post.
    let mut changed: Option<PointsBook> = None;
    let mut postings = Vec::new();
    let mut post = |order: EventId, difference: i64, terms: Option<(Timestamp, &Program)>| {
        let current = changed.get_or_insert_with(|| book.clone());
        let posting = match terms {
            Some((at, program)) if difference > 0 => {
                current.give(id.clone(), PostingKind::Earned { order }, difference, at, program)
            }
            _ => current.take(id.clone(), PostingKind::Reversed { order }, -difference, Some(order)),
        };
        current.apply(&posting);
        postings.push(posting);
    };
    if all {
        for order in book.orphans(orders) {
            let difference = book.difference(order, 0);
            if difference != 0 {
                post(order, difference, None);
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
