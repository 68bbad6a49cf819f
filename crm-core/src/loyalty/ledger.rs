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
    /// What others spent of these lots while they were merged with this customer. However often they spend, it is
    /// one entry for each borrower and order (which are kept anyhow), one for each and each instant at which awards
    /// expire that is still to come, and one for all those that are past.
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
        let expires_at = program.expires_at(earned_at, None);
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
                    self.lend(Lent { to, points, earned_at, expires_at, order });
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

    /// Notes what somebody else spent. What is alike when it comes back is one entry: of one order, or of awards that
    /// expire together, or that have expired by now, which is at least when the newest points here were earned.
    fn lend(&mut self, lent: Lent) {
        let Some(order) = lent.order else {
            self.lend_award(lent);
            return;
        };
        let same = |other: &&mut Lent| {
            (other.to, other.order, other.expires_at) == (lent.to, Some(order), lent.expires_at)
                && other.earned_at == lent.earned_at
        };
        match self.lent.iter_mut().find(same) {
            Some(there) => there.points = there.points.saturating_add(lent.points),
            None => self.lent.push(lent),
        }
    }

    fn lend_award(&mut self, lent: Lent) {
        let earned = self.lots.iter().map(|lot| lot.earned_at).chain(self.lent.iter().map(|lent| lent.earned_at));
        let newest = earned.max().unwrap_or(Timestamp::MIN).max(lent.earned_at);
        let is_past = |lent: &Lent| lent.expires_at.is_some_and(|expires| expires <= newest);
        self.lent.push(lent);
        let mut compact: Vec<Lent> = Vec::with_capacity(self.lent.len());
        for lent in std::mem::take(&mut self.lent) {
            let same = |other: &&mut Lent| {
                let alike = other.expires_at == lent.expires_at || (is_past(other) && is_past(&lent));
                lent.order.is_none() && other.order.is_none() && other.to == lent.to && alike
            };
            match compact.iter_mut().find(same) {
                Some(there) => {
                    there.points = there.points.saturating_add(lent.points);
                    there.earned_at = there.earned_at.max(lent.earned_at);
                    there.expires_at = there.expires_at.max(lent.expires_at);
                }
                None => compact.push(lent),
            }
        }
        self.lent = compact;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Source, TenantId};
    use crate::text::Remark;

    fn program() -> ProgramId {
        ProgramId::new("points").unwrap()
    }

    fn day(day: i64) -> Timestamp {
        Timestamp::from_millis(day * 86_400_000).unwrap()
    }

    fn member(n: u8) -> CustomerId {
        CustomerId::new(day(0), [n; 10])
    }

    fn give(book: &mut PointsBook, order: Option<EventId>, points: i64, at: i64, lasts: Option<i64>) {
        let reason = Remark::new("test").unwrap();
        let kind = order.map_or(PostingKind::Awarded { reason }, |order| PostingKind::Earned { order });
        let lot = LotMove {
            lot: book.next_lot,
            points,
            earned_at: Some(day(at)),
            expires_at: lasts.map(|days| day(at + days)),
        };
        book.apply(&Posting { program: program(), kind, moves: vec![lot], owed: 0, spent_by: None });
    }

    fn spend(book: &mut PointsBook, by: CustomerId, points: i64) {
        let reason = Remark::new("test").unwrap();
        let posting = book.take(program(), PostingKind::Spent { reason }, points, None);
        book.apply(&Posting { spent_by: Some(by), ..posting });
    }

    /// However often and however long others spend, what is kept of it follows orders and what is still to expire.
    #[test]
    fn what_was_lent_is_kept_once_for_each_borrower_and_what_it_was() {
        let order = |n: i64| EventId::of_fact(&TenantId::default(), &Source::new("test").unwrap(), &n.to_string());
        for (lasts, most) in [(None, 2), (Some(30), 2 * 32)] {
            let mut book = PointsBook::default();
            for at in 0..1_000 {
                give(&mut book, None, 100, at, lasts);
                for _ in 0..5 {
                    spend(&mut book, member(1), 7);
                    spend(&mut book, member(2), 13);
                }
                assert!(book.lent.len() <= most, "{} on day {at}", book.lent.len());
            }
            assert_eq!((book.lent_to(member(1)), book.lent_to(member(2))), (35_000, 65_000));
            let back = book.get_back(&program(), member(1));
            assert_eq!(back.points(), 35_000);
            // What would have expired by then expires at once, and what lasts is as it was.
            let later = back.moves.iter().filter(|lot| lot.expires_at.is_none_or(|at| at > day(999)));
            assert_eq!(later.map(|lot| lot.points).sum::<i64>(), lasts.map_or(35_000, |days| days * 35));
            book.apply(&back);
            assert_eq!((book.lent_to(member(1)), book.balance()), (0, 35_000));
        }
        let mut book = PointsBook::default();
        for n in 0..20 {
            give(&mut book, Some(order(n)), 100, n, Some(5));
            (0..10).for_each(|_| spend(&mut book, member(1), 10));
        }
        assert_eq!(book.lent.len(), 20);
        let mut orders: Vec<_> = book.lent.iter().map(|lent| lent.order).collect();
        orders.dedup();
        assert_eq!(orders.len(), 20);
    }
}
