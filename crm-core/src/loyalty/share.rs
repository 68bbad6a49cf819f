//! Shares of earnings that go to a pool.
//!
//! When a fact earns a member points, the pool's share of them is a lot of its own in the member's book, pending until it
//! goes to the pool, so that nobody spends it meanwhile. What the pool should have follows what is left of the fact, as all
//! points do: what it has too much is taken back from what is on its way, and else from the pool.

use serde::{Deserialize, Serialize};

use super::book::{PointsBook, waits_until};
use super::event::{LotMove, Posting, PostingKind};
use super::lots::{Bucket, Lot, LotTerms, Origin, Waits};
use super::{Gift, ProgramId, Shortfall};
use crate::flat::FlatMap;
use crate::id::{CustomerId, EventId};
use crate::text::Remark;
use crate::time::Timestamp;

/// To whose pool a share goes, and how much in millionths.
pub(super) type To = (CustomerId, u32);

/// What a share of so many points comes to, rounded down.
pub(super) fn share_of(points: i64, millionths: u32) -> i64 {
    let share = i128::from(points.max(0)) * i128::from(millionths) / 1_000_000;
    i64::try_from(share).unwrap_or(points)
}

/// What of the points of one fact is a pool's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OfPool {
    to: To,
    /// How many went there, less what came back.
    there: i64,
}

/// What of what facts earned is a pool's, by fact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OfPools(FlatMap<EventId, OfPool>);

impl OfPools {
    /// A lot was opened that is on its way to a pool, or another one.
    pub(super) fn note(&mut self, origin: Origin) {
        if let Origin::Share { fact, pool, millionths } = origin
            && self.0.get(&fact).is_none()
        {
            self.0.insert(fact, OfPool { to: (pool, millionths), there: 0 });
        }
    }

    /// So many points went to the pool, or came back where that is negative.
    pub(super) fn go(&mut self, fact: EventId, points: i64) {
        if let Some(own) = self.0.get_mut(&fact) {
            own.there = own.there.saturating_add(points);
        }
    }
}

/// By how much what was posted for a fact differs from what it is entitled to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Difference {
    /// What is to be given (positive) or taken back here.
    pub(super) points: i64,
    /// How many of these go to a pool, or are taken from what is on its way there.
    pub(super) of_pool: i64,
}

impl PointsBook {
    /// What of a fact is on its way to a pool.
    fn on_its_way(&self, fact: EventId) -> impl Iterator<Item = &Lot> {
        self.lots().iter().filter(move |lot| lot.is_on_its_way() && lot.terms.fact() == Some(fact))
    }

    /// The pool that has a share of a fact, with how many points it has and how many are on their way to it.
    fn pool_of(&self, fact: EventId) -> Option<(To, i64, i64)> {
        let OfPool { to, there } = *self.of_pools().0.get(&fact)?;
        Some((to, there, self.on_its_way(fact).fold(0, |sum, lot| sum.saturating_add(lot.pending))))
    }

    /// To whose pool a share of a fact goes.
    pub(super) fn shares_with(&self, fact: EventId) -> Option<To> {
        self.of_pools().0.get(&fact).map(|own| own.to)
    }

    /// The difference between what a fact is entitled to and what was posted for it. What expired is gone already and is
    /// not taken back again, and what a pool has is taken back from there.
    pub(super) fn difference(&self, fact: EventId, entitled: i64) -> Difference {
        let (posted, expired) = self.posted_for(fact);
        let points = entitled - posted;
        let (has, due, coming) = self.pool_of(fact).map_or((0, 0, 0), |((_, millionths), there, coming)| {
            (there.saturating_add(coming), share_of(entitled, millionths), coming)
        });
        if points >= 0 {
            return Difference { points, of_pool: (due - has).clamp(0, points) };
        }
        let of_pool = (has - due).clamp(0, -points);
        let own = (-points - of_pool).min(posted - expired - has).max(0);
        let of_pool = of_pool.min(coming);
        Difference { points: -own - of_pool, of_pool }
    }

    /// Points come in that a fact earned, so many of them for a pool: these wait to go there.
    pub(super) fn earn(&self, posting: Posting, points: i64, terms: LotTerms, to: Option<(To, i64)>) -> Posting {
        let share = to.filter(|(_, part)| *part > 0).zip(terms.fact());
        let Some((((pool, millionths), part), fact)) = share else { return self.give(posting, points, terms) };
        let mut posting = self.give(posting, points - part, terms);
        let opened = posting.moves.iter().filter(|change| change.opens.is_some()).count() as u32;
        let waits = terms.waits.or(Some(Waits::Until(terms.earned_at)));
        let terms = LotTerms { origin: Origin::Share { fact, pool, millionths }, waits, ..terms };
        let lot = self.next_lot().saturating_add(opened);
        posting.moves.push(LotMove { lot, bucket: Bucket::Pending, points: part, opens: Some(terms) });
        posting
    }

    /// Points go that a fact had earned, so many of them from what is on its way to a pool.
    pub(super) fn take_earned(
        &self,
        mut posting: Posting,
        Difference { points, of_pool }: Difference,
        fact: EventId,
        shortfall: Shortfall,
    ) -> Posting {
        let mut left = of_pool;
        for lot in self.on_its_way(fact) {
            let part = left.min(lot.pending);
            left -= part;
            let gone = LotMove { lot: lot.lot, bucket: Bucket::Pending, points: -part, opens: None };
            posting.moves.extend((part > 0).then_some(gone));
        }
        self.take(posting, -points - of_pool, Some(fact), shortfall)
    }

    /// How many points of a fact a pool has too many, and how many it has.
    fn too_many(&self, fact: EventId) -> Option<(To, i64, i64)> {
        let (to, there, coming) = self.pool_of(fact)?;
        let due = share_of(self.standing_of(fact), to.1);
        let back = there.saturating_add(coming).saturating_sub(due).clamp(0, there.max(0));
        (back > 0).then_some((to, back, there))
    }

    /// When something of a fact is to go to a pool next, or to come back from there.
    pub(crate) fn next_share(
        &self,
        delivered: impl Fn(EventId) -> Option<Timestamp>,
    ) -> Option<(Timestamp, EventId, CustomerId)> {
        let facts = self.of_pools().0.iter();
        let due = facts.filter_map(|(fact, OfPool { to: (pool, _), .. })| {
            let goes = self.on_its_way(*fact).filter_map(|lot| waits_until(lot, &delivered)).min();
            let back = self.too_many(*fact).map(|_| self.earned_at(*fact).unwrap_or(Timestamp::MIN));
            Some((goes.into_iter().chain(back).min()?, *fact, *pool))
        });
        due.min()
    }

    /// What of a fact has waited long enough goes to the pool; none if nothing has. What leaves the member is `given`.
    pub(crate) fn send_share(
        &self,
        id: &ProgramId,
        fact: EventId,
        at: Timestamp,
        delivered: impl Fn(EventId) -> Option<Timestamp>,
    ) -> Option<Gift> {
        let (pool, _) = self.shares_with(fact)?;
        let mut given = Posting::new(id.clone(), PostingKind::Pooled { fact, pool });
        let mut lots = Vec::new();
        for lot in self.on_its_way(fact).filter(|lot| waits_until(lot, &delivered).is_some_and(|until| until <= at)) {
            let gone = LotMove { lot: lot.lot, bucket: Bucket::Pending, points: -lot.pending, opens: None };
            given.moves.push(gone);
            lots.push((LotTerms { waits: None, ..lot.terms }, lot.pending));
        }
        (!lots.is_empty()).then_some(Gift { given, lots })
    }

    /// The same where the pool takes nothing any more: what was to go there stays, and can be spent.
    pub(crate) fn keep_share(&self, gift: &Gift) -> Posting {
        let mut posting = gift.given.clone();
        for LotMove { lot, points, .. } in &gift.given.moves {
            let free = self.pay(&mut posting, points.saturating_neg());
            let into = LotMove { lot: *lot, bucket: Bucket::Active, points: free, opens: None };
            posting.moves.extend((free > 0).then_some(into));
        }
        posting
    }

    /// What a pool has too many of a fact comes back, and is taken back; with how many these are, and how many points of
    /// the fact the pool had. None if it has not too many.
    pub(crate) fn share_back(&self, id: &ProgramId, fact: EventId) -> Option<([Posting; 2], i64, i64)> {
        let ((pool, millionths), points, there) = self.too_many(fact)?;
        let origin = Origin::Share { fact, pool, millionths };
        let earned_at = self.earned_at(fact).unwrap_or(Timestamp::MIN);
        let terms = LotTerms::new(origin, earned_at, None);
        let lot = LotMove { lot: self.next_lot(), bucket: Bucket::Active, points, opens: Some(terms) };
        let gone = LotMove { points: -points, opens: None, ..lot.clone() };
        let of = |kind, change| Posting { moves: vec![change], ..Posting::new(id.clone(), kind) };
        let back = [of(PostingKind::Pooled { fact, pool }, lot), of(PostingKind::Reversed { fact }, gone)];
        Some((back, points, there))
    }

    /// The pool gives back so many points of a fact of which it had `there`: those of the fact first, then others, and what
    /// is not there is owed as far as that is allowed. What of them expired in the pool the programme bears.
    pub(crate) fn return_share(
        &self,
        id: &ProgramId,
        fact: EventId,
        [points, there]: [i64; 2],
        to: CustomerId,
        reason: &Remark,
        shortfall: Shortfall,
    ) -> Posting {
        let (_, expired) = self.posted_for(fact);
        let part = (there - expired).clamp(0, points);
        let kind = PostingKind::Given { to, reason: reason.clone(), counted: None };
        let mut posting = self.take(Posting::new(id.clone(), kind), part, Some(fact), shortfall);
        posting.borne += points - part;
        posting
    }
}
