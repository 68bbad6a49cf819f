//! One customer's points in one programme: lots, holds, debt, and totals that always add up.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::Account;
use super::earning::{RuleName, RuleNames, Shares, Yearly, given};
use super::event::{LotMove, Posting, PostingKind, Qualifying};
use super::gone::{AllGone, Giver, UndoneAward};
use super::hold::{Hold, HoldEnd, HoldKey, HoldName};
use super::lent::{Lent, LentOut};
use super::lots::{Bucket, Lot, LotTerms, Waits};
use super::paid::{PaidFor, UndonePayment};
use super::qualified::Qualified;
use super::share::OfPools;
use super::undo::Undoing;
use super::{PointsTotals, ProgramId, Shortfall};
use crate::flat::{FlatMap, FlatSet};
use crate::id::{CustomerId, EventId};
use crate::order::{Order, OrderRef};
use crate::time::Timestamp;

/// What happened to the points of one fact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ForFact {
    /// Earned less reversed.
    posted: i64,
    /// What of it is gone: it expired and was not given back, or was left behind by whoever left.
    expired: i64,
    /// When it was earned.
    at: Option<Timestamp>,
    /// Which rules gave it.
    shares: Shares,
}

/// A customer's book in one programme: the fold of its postings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointsBook {
    /// In the order in which they are spent.
    lots: Vec<Lot>,
    /// By name, and by whose each is: in a book of several always, and else where it is that of somebody who was merged with
    /// the customer when it was placed.
    holds: FlatMap<HoldKey, Hold>,
    owed: i64,
    totals: PointsTotals,
    qualified: Qualified,
    next_lot: u32,
    by_fact: FlatMap<EventId, ForFact>,
    /// The rules that ever gave anything.
    rules: RuleNames,
    /// What rules gave for a day of the year.
    yearly: Yearly,
    paid: FlatMap<OrderRef, PaidFor>,
    /// What was undone.
    undone: FlatSet<EventId>,
    /// What expired and can be given back, the oldest first.
    gone: AllGone,
    /// The ends still to come that the customer was reminded of.
    reminded: FlatSet<Timestamp>,
    lent: LentOut,
    /// What of what facts earned is a pool's.
    of_pools: OfPools,
}

/// In a book of several, the number of a lot is its number in its own book after the place of that book.
const LOT_BITS: u32 = 26;

impl PointsBook {
    /// Several books as one, to be looked at and to spend from: nothing is recorded in it. `books` are at most
    /// 32, in an order of their own.
    pub(crate) fn joined<'b>(books: impl Iterator<Item = (CustomerId, &'b PointsBook)>) -> Self {
        let mut joined = PointsBook::default();
        for (place, (member, book)) in books.enumerate() {
            // Who spent whose points, what can be given back and what rules gave is asked of each book.
            let PointsBook {
                lots,
                holds,
                owed,
                totals,
                qualified,
                next_lot: _,
                by_fact,
                rules: _,
                yearly: _,
                paid: _,
                undone,
                gone,
                reminded: _,
                lent: _,
                of_pools: _,
            } = book;
            let within = |lot: u32| ((place as u32) << LOT_BITS) | (lot & ((1 << LOT_BITS) - 1));
            joined.lots.extend(lots.iter().map(|lot| Lot { lot: within(lot.lot), ..lot.clone() }));
            for ((name, of), hold) in holds.iter() {
                let all = joined.holds.get_or_default(&(name.clone(), Some(of.unwrap_or(member))));
                all.lots.extend(hold.lots.iter().map(|(lot, points)| (within(*lot), *points)));
                all.until = hold.until;
            }
            joined.owed = joined.owed.saturating_add(*owed);
            joined.totals += *totals;
            joined.qualified.join(qualified);
            for (fact, told) in by_fact.iter() {
                let sum = joined.by_fact.get_or_default(fact);
                sum.posted = sum.posted.saturating_add(told.posted);
                sum.expired = sum.expired.saturating_add(told.expired);
                sum.at = sum.at.or(told.at);
            }
            undone.iter().for_each(|posting| joined.undone.insert(*posting));
            joined.gone.join(gone);
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
        self.lent.to(other).map(|lent| lent.points).sum()
    }

    #[cfg(test)]
    pub(super) fn lent(&self) -> &[Lent] {
        self.lent.all()
    }

    /// The posting by which this book gets back what somebody spent of it: lots as they were, the debt
    /// first.
    pub(crate) fn get_back(&self, id: &ProgramId, from: CustomerId) -> Posting {
        let mut posting = Posting::new(id.clone(), PostingKind::Settled { with: from });
        for (lent, lot) in self.lent.to(from).zip(self.next_lot..) {
            self.pay_and_open(&mut posting, lent.points, lent.terms, lot);
        }
        posting
    }

    /// The posting by which this book pays for what its customer spent of somebody else's: from its lots as
    /// when points are spent, and what is not there is owed.
    pub(crate) fn pay_back(&self, id: &ProgramId, points: i64, to: CustomerId) -> Posting {
        self.take(Posting::new(id.clone(), PostingKind::Settled { with: to }), points, None, Shortfall::Owed)
    }

    /// The lots that have something left, in the order in which they are spent.
    #[must_use]
    pub fn lots(&self) -> &[Lot] {
        &self.lots
    }

    /// The holds that are there, by name. Of several who were merged each has their own, so that one name may come more
    /// than once.
    pub fn holds(&self) -> impl Iterator<Item = (&HoldName, &Hold)> {
        self.holds.iter().map(|((name, _), hold)| (name, hold))
    }

    /// A hold that is there, of whomever.
    #[must_use]
    pub fn hold(&self, name: &HoldName) -> Option<&Hold> {
        self.holds().find(|(own, _)| *own == name).map(|(_, hold)| hold)
    }

    /// The holds of one name, each with whose it is.
    pub(super) fn holds_named(&self, name: &HoldName) -> impl Iterator<Item = (&HoldKey, &Hold)> {
        self.holds.iter().filter(move |((own, _), _)| own == name)
    }

    /// Whether a hold of somebody is there.
    pub(crate) fn has_hold(&self, key: &HoldKey) -> bool {
        self.holds.get(key).is_some()
    }

    /// What the customer owes, because points were taken back after they had been spent. Whoever owes
    /// has no active points: the next that become active pay the debt first.
    #[must_use]
    pub const fn owed(&self) -> i64 {
        self.owed
    }

    /// Totals since the beginning.
    #[must_use]
    pub const fn totals(&self) -> PointsTotals {
        self.totals
    }

    /// What can be spent; negative when the customer owes points. It takes a step for each lot.
    #[must_use]
    pub fn balance(&self) -> i128 {
        self.in_bucket(Bucket::Active) - i128::from(self.owed)
    }

    /// What cannot be spent yet.
    #[must_use]
    pub fn pending(&self) -> i128 {
        self.in_bucket(Bucket::Pending)
    }

    /// What is held.
    #[must_use]
    pub fn held(&self) -> i128 {
        self.in_bucket(Bucket::Held)
    }

    fn in_bucket(&self, bucket: Bucket) -> i128 {
        self.lots.iter().map(|lot| i128::from(lot.bucket(bucket))).sum()
    }

    /// What counts towards a tier: earned and not taken back, ever.
    #[must_use]
    pub fn qualifying(&self) -> i128 {
        self.qualified.ever()
    }

    /// What of it was earned from an instant on and before another one.
    #[must_use]
    pub fn qualifying_within(&self, from: Timestamp, until: Timestamp) -> i128 {
        self.qualified.within(from, until)
    }

    /// Qualifying points by when they were earned, the newest first.
    pub(crate) fn qualified_newest_first(&self) -> impl Iterator<Item = (Timestamp, i64)> {
        self.qualified.newest_first()
    }

    /// When the first of it was earned that was earned from an instant on: what a window that begins there loses first.
    #[must_use]
    pub fn qualifying_from(&self, from: Timestamp) -> Option<Timestamp> {
        self.qualified.next_from(from)
    }

    /// Whether a posting was undone.
    #[must_use]
    pub fn was_undone(&self, posting: EventId) -> bool {
        self.undone.contains(&posting)
    }

    /// How many points that expired can be given back at an instant.
    #[must_use]
    pub fn reinstatable(&self, at: Timestamp) -> i64 {
        self.gone.open(at)
    }

    /// How many of these something had given.
    pub(super) fn expired_of(&self, giver: Giver) -> i64 {
        self.gone.of(giver)
    }

    /// How many points that were spent for an order did not come back.
    pub(crate) fn paid_for(&self, order: &OrderRef) -> i64 {
        self.paid.get(order).map_or(0, PaidFor::left)
    }

    // ---- what can happen to it; each gives the posting that says so ----

    /// Points come in: pending ones into a lot of their own, others pay the debt first.
    pub(crate) fn give(&self, mut posting: Posting, points: i64, terms: LotTerms) -> Posting {
        if terms.waits.is_some() {
            let lot = LotMove { lot: self.next_lot, bucket: Bucket::Pending, points, opens: Some(terms) };
            posting.moves.extend((points > 0).then_some(lot));
        } else {
            self.pay_and_open(&mut posting, points, terms, self.next_lot);
        }
        posting
    }

    /// Active points come in, after those that a posting brings already: they pay what is owed still, and the rest is a
    /// lot.
    fn pay_and_open(&self, posting: &mut Posting, points: i64, terms: LotTerms, lot: u32) {
        let left = self.pay(posting, points);
        let lot = LotMove { lot, bucket: Bucket::Active, points: left, opens: Some(terms) };
        posting.moves.extend((left > 0).then_some(lot));
    }

    /// Points that become active pay what is owed still; gives what is left of them.
    pub(super) fn pay(&self, posting: &mut Posting, points: i64) -> i64 {
        let owed = self.owed.saturating_add(posting.owed);
        let pays = points.min(owed).max(0);
        posting.owed -= pays;
        points - pays
    }

    /// Points go out, from the lots of one fact first where it is named, pending ones too, and else from active ones. What
    /// is not there becomes debt, as far as that is allowed.
    pub(crate) fn take(
        &self,
        mut posting: Posting,
        points: i64,
        first: Option<EventId>,
        shortfall: Shortfall,
    ) -> Posting {
        let own = |lot: &&Lot| first.is_some() && lot.terms.fact() == first;
        let pending = self.lots.iter().filter(own).filter(|lot| !lot.is_on_its_way());
        let pending = pending.map(|lot| (lot, Bucket::Pending));
        let active = self.lots.iter().filter(own).map(|lot| (lot, Bucket::Active));
        let others = self.lots.iter().filter(|lot| !own(lot)).map(|lot| (lot, Bucket::Active));
        let mut left = points;
        for (lot, bucket) in pending.chain(active).chain(others) {
            let part = left.min(lot.bucket(bucket));
            if part > 0 {
                left -= part;
                posting.moves.push(LotMove { lot: lot.lot, bucket, points: -part, opens: None });
            }
        }
        posting.owed = match shortfall {
            Shortfall::Owed => left,
            Shortfall::OwedUpTo(most) => {
                left.min(i64::try_from(most).unwrap_or(i64::MAX).saturating_sub(self.owed).max(0))
            }
            Shortfall::Borne => 0,
        };
        posting.borne = left - posting.owed;
        posting
    }

    /// Active points are set aside: from the lots from which they would be spent. There have to be as many.
    pub(crate) fn set_aside(&self, posting: Posting, points: i64) -> Posting {
        let mut posting = self.take(posting, points, None, Shortfall::Owed);
        for n in 0..posting.moves.len() {
            let LotMove { lot, points, .. } = posting.moves[n];
            posting.moves.push(LotMove { lot, bucket: Bucket::Held, points: -points, opens: None });
        }
        posting
    }

    /// So many points of a hold go, from the lots that are spent first. There have to be as many.
    pub(crate) fn capture(&self, mut posting: Posting, hold: &HoldKey, points: i64) -> Posting {
        let mut left = points;
        for (lot, held) in self.holds.get(hold).iter().flat_map(|hold| &hold.lots) {
            let part = left.min(*held);
            left -= part;
            let gone = LotMove { lot: *lot, bucket: Bucket::Held, points: -part, opens: None };
            posting.moves.extend((part > 0).then_some(gone));
        }
        posting
    }

    /// What is held is free again.
    pub(crate) fn release(&self, mut posting: Posting, hold: &HoldKey) -> Posting {
        for (lot, held) in self.holds.get(hold).iter().flat_map(|hold| &hold.lots) {
            posting.moves.push(LotMove { lot: *lot, bucket: Bucket::Held, points: -held, opens: None });
            let free = self.pay(&mut posting, *held);
            let back = LotMove { lot: *lot, bucket: Bucket::Active, points: free, opens: None };
            posting.moves.extend((free > 0).then_some(back));
        }
        posting
    }

    /// Everything goes, what is owed too.
    pub(crate) fn forfeit(&self, mut posting: Posting) -> Posting {
        for lot in &self.lots {
            for bucket in [Bucket::Pending, Bucket::Active, Bucket::Held] {
                let gone = LotMove { lot: lot.lot, bucket, points: -lot.bucket(bucket), opens: None };
                posting.moves.extend((gone.points != 0).then_some(gone));
            }
        }
        posting.owed = -self.owed;
        posting
    }

    /// Points come back into lots as they were, the debt first; those of lots that are no longer there into new ones.
    fn restore(&self, posting: &mut Posting, terms: LotTerms, points: i64, lot: &mut u32) {
        let left = self.pay(posting, points);
        if left == 0 {
            return;
        }
        match self.lots.iter().find(|lot| lot.terms == terms) {
            Some(there) => {
                let back = LotMove { lot: there.lot, bucket: Bucket::Active, points: left, opens: None };
                posting.moves.push(back);
            }
            None => {
                let back = LotMove { lot: *lot, bucket: Bucket::Active, points: left, opens: Some(terms) };
                posting.moves.push(back);
                *lot = lot.saturating_add(1);
            }
        }
    }

    /// The postings that give back what was spent for orders of which something came back: as large a share of the
    /// points as of the money, what was spent last first, and all of it where the order was voided. One for each who
    /// spent them.
    pub(crate) fn returns(
        &self,
        id: &ProgramId,
        orders: &[Order],
        is_voided: impl Fn(&OrderRef) -> bool,
    ) -> Vec<Posting> {
        let mut postings: Vec<Posting> = Vec::new();
        if self.paid.len() == 0 {
            return postings;
        }
        // Nearly always nothing came back since this was asked last, of no order of any number.
        let is_due = |order: &Order| {
            let paid = order.order.as_ref().filter(|_| order.refunded > 0).and_then(|name| self.paid.get(name));
            paid.is_some_and(|paid| paid.due(order) > 0)
        };
        if !orders.iter().any(is_due) && !self.paid.iter().any(|(name, _)| is_voided(name)) {
            return postings;
        }
        // The last order of each number: there may be many, and many of them may have been paid for with points.
        let numbered = orders.iter().filter_map(|order| Some((order.order.as_ref()?, order)));
        let numbered: HashMap<&OrderRef, &Order> = numbered.collect();
        let mut lot = self.next_lot;
        for (name, paid) in self.paid.iter() {
            let mut due = match numbered.get(name) {
                Some(order) => paid.due(order),
                None if is_voided(name) => paid.left(),
                None => continue,
            };
            for (terms, points, spent_by) in paid.last_first() {
                let part = due.min(points).max(0);
                if part == 0 {
                    continue;
                }
                due -= part;
                let kind = PostingKind::Returned { order: name.clone() };
                if postings.last().is_none_or(|last| last.kind != kind || last.spent_by != spent_by) {
                    postings.push(Posting { spent_by, ..Posting::new(id.clone(), kind) });
                }
                let Some((posting, others)) = postings.split_last_mut() else { continue };
                // What the others pay of the debt is none of this one's.
                let paid: i64 = others.iter().map(|other| other.owed).sum();
                posting.owed += paid;
                self.restore(posting, terms, part, &mut lot);
                posting.owed -= paid;
            }
        }
        postings
    }

    /// Points that had expired come in again: those that a fact had earned or that were awarded as such, so that they go
    /// when it does.
    pub(crate) fn reinstate(&self, mut posting: Posting, points: i64, terms: LotTerms) -> Posting {
        // An instant is told though nothing counts towards a tier: by it the fold knows which windows are open.
        posting.qualifying = Some(Qualifying { points: 0, at: terms.earned_at });
        let back = self.gone.clone().give_back(points, terms.earned_at);
        let mut lot = self.next_lot;
        for (giver, points) in back {
            let before = posting.moves.len();
            let origin = giver.origin();
            self.pay_and_open(&mut posting, points, LotTerms { origin, ..terms }, lot);
            lot = lot.saturating_add(u32::from(posting.moves.len() > before));
        }
        posting
    }

    /// Does the opposite of a posting that gave, took or adjusted active points. What is to be taken back and is not there
    /// is owed as far as that is allowed; of what was spent for an order nothing comes back that came back with the order.
    pub(crate) fn undo(&self, mut posting: Posting, undoing: &Undoing<'_>, shortfall: Shortfall) -> Posting {
        let Undoing { undone, took, gone, settled, order } = undoing;
        let points = i64::try_from(undone.points()).unwrap_or(0);
        if points >= 0 {
            posting.qualifying = undone.qualifying.map(|own| Qualifying { points: -own.points, ..own });
            let own = gone.map(|gone| UndoneAward { points: gone.points.clamp(0, points), ..gone });
            let own = own.filter(|own| own.points > 0);
            if let PostingKind::Undone { gone, .. } = &mut posting.kind {
                *gone = own;
            }
            return self.take(posting, points - own.map_or(0, |own| own.points), None, shortfall);
        }
        posting.spent_by = undone.spent_by;
        let mut lot = self.next_lot;
        let Some((name, refunded)) = undone.kind.paid_for() else {
            took.iter().rev().for_each(|(terms, points)| self.restore(&mut posting, *terms, *points, &mut lot));
            return posting;
        };
        // Of what all came back nothing is kept, and what was spent since for the order is none of it.
        let Some(paid) = self.paid.get(name).filter(|_| !settled) else { return posting };
        let payment = UndonePayment { points: -points, refunded };
        if let PostingKind::Undone { paid, .. } = &mut posting.kind {
            *paid = Some(payment);
        }
        let mut left = paid.undoing(payment, *order);
        for (terms, there, _) in paid.last_first().filter(|(.., by)| *by == undone.spent_by) {
            let part = left.min(there);
            left -= part;
            self.restore(&mut posting, terms, part, &mut lot);
        }
        posting
    }

    /// The posting that makes active what has waited long enough at an instant, if anything has.
    pub(crate) fn activate(
        &self,
        id: &ProgramId,
        at: Timestamp,
        delivered: impl Fn(EventId) -> Option<Timestamp>,
    ) -> Option<Posting> {
        let mut posting = Posting::new(id.clone(), PostingKind::Activated);
        let due = |lot: &&Lot| activates(lot) && waits_until(lot, &delivered).is_some_and(|until| until <= at);
        for lot in self.lots.iter().filter(due) {
            let Lot { lot, pending, .. } = *lot;
            posting.moves.push(LotMove { lot, bucket: Bucket::Pending, points: -pending, opens: None });
            let free = self.pay(&mut posting, pending);
            let into = LotMove { lot, bucket: Bucket::Active, points: free, opens: None };
            posting.moves.extend((free > 0).then_some(into));
        }
        (!posting.moves.is_empty()).then_some(posting)
    }

    /// When the next pending points become active.
    pub(crate) fn next_activation(&self, delivered: impl Fn(EventId) -> Option<Timestamp>) -> Option<Timestamp> {
        self.lots.iter().filter(|lot| activates(lot)).filter_map(|lot| waits_until(lot, &delivered)).min()
    }

    /// When each lot ends, with how many of its points can expire then: what is held stays until the hold has ended. What
    /// should be in a pool before its end ends there. `lasting` says when points end that have no end of their own.
    pub(crate) fn ends(
        &self,
        lasting: impl Fn(&LotTerms) -> Option<Timestamp>,
        delivered: impl Fn(EventId) -> Option<Timestamp>,
    ) -> impl Iterator<Item = (Timestamp, &Lot)> {
        self.lots.iter().filter(|lot| lot.pending > 0 || lot.active > 0).filter_map(move |lot| {
            let end = lot.terms.expires_at.or_else(|| lasting(&lot.terms))?;
            let goes = || lot.is_on_its_way() && waits_until(lot, &delivered).is_some_and(|until| until <= end);
            (!goes()).then_some((end, lot))
        })
    }

    /// The posting that expires what is due at or before an instant, if anything is; the rest as for [`ends`](Self::ends).
    pub(crate) fn expire(
        &self,
        id: &ProgramId,
        at: Timestamp,
        lasting: impl Fn(&LotTerms) -> Option<Timestamp>,
        delivered: impl Fn(EventId) -> Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Option<Posting> {
        let mut posting = Posting::new(id.clone(), PostingKind::Expired { until });
        for (_, lot) in self.ends(lasting, delivered).filter(|(end, _)| *end <= at) {
            for bucket in [Bucket::Pending, Bucket::Active] {
                let points = lot.bucket(bucket);
                let gone = LotMove { lot: lot.lot, bucket, points: -points, opens: None };
                posting.moves.extend((points > 0).then_some(gone));
            }
        }
        (!posting.moves.is_empty()).then_some(posting)
    }

    /// Whether the customer was reminded of an end.
    pub(crate) fn was_reminded(&self, end: Timestamp) -> bool {
        self.reminded.contains(&end)
    }

    /// The customer was reminded of an end at an instant. Those that have passed are forgotten.
    pub(crate) fn remind(&mut self, end: Timestamp, at: Timestamp) {
        self.reminded.retain(|end| *end > at);
        self.reminded.insert(end);
    }

    /// When the next hold ends by itself.
    pub(crate) fn next_hold_end(&self) -> Option<Timestamp> {
        self.holds.iter().filter_map(|(_, hold)| hold.until).min()
    }

    /// The postings that release the holds whose time is up at an instant.
    pub(crate) fn end_holds(&self, id: &ProgramId, at: Timestamp) -> Vec<Posting> {
        let due = self.holds.iter().filter(|(_, hold)| hold.until.is_some_and(|until| until <= at));
        let mut owed = 0;
        let release = |(key, _): (&HoldKey, &Hold)| {
            let (name, of) = key;
            let kind = PostingKind::Released { hold: name.clone(), end: HoldEnd::Ended, of: *of };
            let mut posting = Posting { owed, ..Posting::new(id.clone(), kind) };
            posting = self.release(posting, key);
            let before = std::mem::replace(&mut owed, posting.owed);
            posting.owed -= before;
            posting
        };
        due.map(release).collect()
    }

    // ---- what was posted for facts ----

    /// What was posted for a fact, net, and what of it expired.
    pub(super) fn posted_for(&self, fact: EventId) -> (i64, i64) {
        self.by_fact.get(&fact).map_or((0, 0), |told| (told.posted, told.expired))
    }

    /// Whether it was worked out what a fact earns, and recorded.
    pub(super) fn was_judged(&self, fact: EventId) -> bool {
        self.by_fact.get(&fact).is_some()
    }

    /// What rules gave for a fact.
    pub(super) fn shares_of(&self, fact: EventId) -> Option<&Shares> {
        self.by_fact.get(&fact).map(|told| &told.shares)
    }

    /// How many points that rules gave for a fact stand.
    pub(super) fn standing_of(&self, fact: EventId) -> i64 {
        self.by_fact.get(&fact).map_or(0, |told| told.shares.standing())
    }

    pub(super) const fn of_pools(&self) -> &OfPools {
        &self.of_pools
    }

    /// The number of the next lot.
    pub(super) const fn next_lot(&self) -> u32 {
        self.next_lot
    }

    pub(super) const fn rule_names(&self) -> &RuleNames {
        &self.rules
    }

    /// How many points a rule gave from an instant on and before another one, less what was taken back; without them
    /// ever. It takes a step for each fact that anything was given for.
    #[must_use]
    pub fn given_by(&self, rule: &RuleName, stretch: Option<(Timestamp, Timestamp)>) -> i64 {
        let facts = self.by_fact.iter().map(|(_, told)| (told.at, &told.shares));
        given(&self.rules, facts, &self.yearly, rule, stretch)
    }

    /// When a rule gave last for a day of the year.
    pub(crate) fn last_yearly(&self, rule: &RuleName) -> Option<Timestamp> {
        self.yearly.last(&self.rules, rule)
    }

    /// When what was posted for a fact was earned.
    pub(super) fn earned_at(&self, fact: EventId) -> Option<Timestamp> {
        self.by_fact.get(&fact)?.at
    }

    /// Facts for which something was posted and that are no order that is there: actions, and orders that are gone.
    pub(super) fn orphans(&self, orders: &[Order]) -> Vec<EventId> {
        let there: FlatSet<EventId> = orders.iter().map(|order| order.event).collect();
        self.by_fact.iter().map(|(fact, _)| *fact).filter(|fact| !there.contains(fact)).collect()
    }

    // ---- the fold ----

    /// Records a posting. It never refuses: a lot that is not there (as after corrupted storage) is
    /// passed over, and the totals follow what was posted.
    pub(crate) fn apply(&mut self, posting: &Posting) {
        self.apply_hold(posting);
        let mut gone_of: Vec<(Giver, i64)> = Vec::new();
        let mut emptied = false;
        for change in &posting.moves {
            let place = match change.opens {
                Some(terms) => {
                    let lot = Lot::new(change.lot, terms);
                    let place = self.lots.partition_point(|other| other.rank() < lot.rank());
                    self.lots.insert(place, lot);
                    self.next_lot = self.next_lot.max(change.lot.saturating_add(1));
                    place
                }
                None => match self.lots.iter().position(|lot| lot.lot == change.lot) {
                    Some(place) => place,
                    None => continue,
                },
            };
            let terms = self.lots[place].terms;
            let bucket = self.lots[place].bucket_mut(change.bucket);
            *bucket = bucket.saturating_add(change.points);
            emptied |= self.lots[place].left() == 0;
            let gone = change.points.saturating_neg();
            if posting.kind.is_end() {
                gone_of.push((Giver::of(&terms), gone));
                if let Some(fact) = terms.fact() {
                    let expired = &mut self.by_fact.get_or_default(&fact).expired;
                    *expired = expired.saturating_add(gone);
                }
            }
            if let (PostingKind::Earned { .. }, Some(opened)) = (&posting.kind, &change.opens) {
                self.of_pools.note(opened.origin);
            }
            if gone > 0
                && let PostingKind::Spent { order: Some(order), refunded, .. }
                | PostingKind::Captured { order: Some(order), refunded, .. } = &posting.kind
            {
                let paid = self.paid.get_or_default(order);
                paid.spend(gone, *refunded);
                paid.note(terms, gone, posting.spent_by);
            }
            if gone > 0
                && let Some(to) = posting.spent_by
            {
                self.lent.note(Lent { to, points: gone, terms }, &self.lots);
            }
        }
        if emptied {
            self.lots.retain(|lot| lot.left() != 0);
        }
        self.owed = self.owed.saturating_add(posting.owed);
        let points = posting.points();
        if let Some(account) = posting.kind.account() {
            self.totals.book(account, i128::from(posting.borne) - points);
            self.totals.book(Account::Adjusted, -i128::from(posting.borne));
        }
        if let Some(qualifying) = posting.qualifying {
            self.qualified.note(qualifying);
        }
        self.apply_kind(posting, points, gone_of);
    }

    fn apply_kind(&mut self, posting: &Posting, points: i128, gone_of: Vec<(Giver, i64)>) {
        match &posting.kind {
            PostingKind::Earned { fact } | PostingKind::Reversed { fact } => {
                let told = self.by_fact.get_or_default(fact);
                told.posted = told.posted.saturating_add(whole(points - i128::from(posting.borne)));
                told.at = told.at.or(posting.qualifying.map(|qualifying| qualifying.at));
                if matches!(posting.kind, PostingKind::Earned { .. }) {
                    told.shares.give(&mut self.rules, &posting.by_rule);
                } else {
                    told.shares.take(&mut self.rules, &posting.by_rule);
                }
            }
            PostingKind::Awarded { .. } => {
                if let Some(Qualifying { at, points: _ }) = posting.qualifying {
                    posting.by_rule.iter().for_each(|share| self.yearly.give(&mut self.rules, share, at));
                }
            }
            PostingKind::Pooled { fact, .. } => self.of_pools.go(*fact, whole(-points)),
            // What was lent is back; what is paid for here was lent by the other.
            PostingKind::Settled { with } if points > 0 => self.lent.settle(*with),
            PostingKind::Returned { order } => {
                let paid = self.paid.get_or_default(order);
                let back = paid.come_back(whole(points), |_| true);
                // An order may be placed again under its number: what is spent for that one stands by itself.
                if paid.is_all_back() {
                    self.paid.remove(order);
                }
                for (terms, points) in back {
                    posting.spent_by.iter().for_each(|to| self.lent.back(*to, points, terms));
                }
            }
            PostingKind::Undone { posting: undone, order, paid: payment, gone, .. } => {
                self.undone.insert(*undone);
                gone.iter().for_each(|gone| self.gone.forget(*gone));
                if let (Some(order), Some(payment)) = (order, payment) {
                    let paid = self.paid.get_or_default(order);
                    paid.come_back(whole(points), |by| by == posting.spent_by);
                    paid.forget(*payment);
                    if paid.is_all_back() {
                        self.paid.remove(order);
                    }
                }
                if let Some(to) = posting.spent_by {
                    let back = posting.moves.iter().filter(|change| change.points > 0);
                    let back = back.filter_map(|change| Some((self.terms(change)?, change.points)));
                    back.collect::<Vec<_>>().into_iter().for_each(|(terms, points)| self.lent.back(to, points, terms));
                }
            }
            PostingKind::Expired { until: Some(until) } => {
                self.gone.note(*until, gone_of);
            }
            PostingKind::Reinstated { .. } => {
                let at = posting.qualifying.map_or(Timestamp::MIN, |told| told.at);
                for (giver, points) in self.gone.give_back(whole(points), at) {
                    if let Giver::Fact(fact) = giver {
                        let expired = &mut self.by_fact.get_or_default(&fact).expired;
                        *expired = expired.saturating_sub(points);
                    }
                }
            }
            PostingKind::Settled { .. }
            | PostingKind::Expired { until: None }
            | PostingKind::Imported { .. }
            | PostingKind::Activated
            | PostingKind::Spent { .. }
            | PostingKind::Held { .. }
            | PostingKind::Captured { .. }
            | PostingKind::Released { .. }
            | PostingKind::Adjusted { .. }
            | PostingKind::Given { .. }
            | PostingKind::Received { .. } => {}
            PostingKind::Forfeited { .. } => {
                self.holds = FlatMap::default();
                self.gone.clear();
            }
        }
    }

    fn terms(&self, change: &LotMove) -> Option<LotTerms> {
        change.opens.or_else(|| self.lots.iter().find(|lot| lot.lot == change.lot).map(|lot| lot.terms))
    }

    fn apply_hold(&mut self, posting: &Posting) {
        match &posting.kind {
            PostingKind::Held { hold, until, of } => {
                let into = posting.moves.iter().filter(|change| change.bucket == Bucket::Held);
                let lots = into.map(|change| (change.lot, change.points)).collect();
                self.holds.insert((hold.clone(), *of), Hold { lots, until: *until });
            }
            PostingKind::Captured { hold, of, .. } | PostingKind::Released { hold, of, .. } => {
                let key = (hold.clone(), *of);
                let Some(mut there) = self.holds.remove(&key) else { return };
                for change in posting.moves.iter().filter(|change| change.bucket == Bucket::Held) {
                    let own = there.lots.iter_mut().filter(|(lot, _)| *lot == change.lot);
                    own.for_each(|(_, points)| *points = points.saturating_add(change.points));
                }
                there.lots.retain(|(_, points)| *points > 0);
                if !there.lots.is_empty() {
                    self.holds.insert(key, there);
                }
            }
            PostingKind::Earned { .. }
            | PostingKind::Awarded { .. }
            | PostingKind::Imported { .. }
            | PostingKind::Activated
            | PostingKind::Reversed { .. }
            | PostingKind::Spent { .. }
            | PostingKind::Returned { .. }
            | PostingKind::Expired { .. }
            | PostingKind::Reinstated { .. }
            | PostingKind::Adjusted { .. }
            | PostingKind::Undone { .. }
            | PostingKind::Given { .. }
            | PostingKind::Received { .. }
            | PostingKind::Pooled { .. }
            | PostingKind::Forfeited { .. }
            | PostingKind::Settled { .. } => {}
        }
    }
}

/// Whether a lot has points that become active here when they have waited long enough.
const fn activates(lot: &Lot) -> bool {
    lot.pending > 0 && !lot.is_on_its_way()
}

/// When the pending points of a lot have waited long enough, if that is known.
pub(super) fn waits_until(lot: &Lot, delivered: impl Fn(EventId) -> Option<Timestamp>) -> Option<Timestamp> {
    match lot.terms.waits? {
        Waits::Until(instant) => Some(instant),
        Waits::Delivery(span) => Some(delivered(lot.terms.fact()?)?.plus(span)),
    }
}

/// A sum of points as one posting has them; one of a posting is never larger.
fn whole(points: i128) -> i64 {
    i64::try_from(points).unwrap_or(i64::MAX)
}
