//! A statement: what happened to a customer's points in one programme over a period, line by line.

use smol_str::SmolStr;

use super::Posted;
use crate::id::{CustomerId, EventId};
use crate::loyalty::{Bucket, PointsBook, Posting, PostingKind, ProgramId};
use crate::time::Timestamp;
use crate::workflow::Actor;

/// How many points a customer has, by what can be done with them; or by how much that changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PointsStanding {
    /// What cannot be spent yet.
    pub pending: i128,
    /// What can.
    pub active: i128,
    /// What is held.
    pub held: i128,
    /// What the customer owes.
    pub owed: i128,
}

impl PointsStanding {
    /// What can be spent; negative where the customer owes points.
    #[must_use]
    pub const fn balance(&self) -> i128 {
        self.active - self.owed
    }

    /// All of it, pending and held points included, debts deducted.
    #[must_use]
    pub const fn outstanding(&self) -> i128 {
        self.pending + self.active + self.held - self.owed
    }

    /// This and another one together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        PointsStanding {
            pending: self.pending + other.pending,
            active: self.active + other.active,
            held: self.held + other.held,
            owed: self.owed + other.owed,
        }
    }
}

impl PointsBook {
    /// What the customer has, by what can be done with it. It takes a step for each lot.
    #[must_use]
    pub fn standing(&self) -> PointsStanding {
        let owed = PointsStanding { owed: self.owed().into(), ..PointsStanding::default() };
        self.lots().iter().fold(owed, |sum, lot| PointsStanding {
            pending: sum.pending + i128::from(lot.pending),
            active: sum.active + i128::from(lot.active),
            held: sum.held + i128::from(lot.held),
            owed: sum.owed,
        })
    }
}

impl Posting {
    /// By how much it changed what the customer has.
    #[must_use]
    pub fn change(&self) -> PointsStanding {
        PointsStanding {
            pending: self.into_bucket(Bucket::Pending),
            active: self.into_bucket(Bucket::Active),
            held: self.into_bucket(Bucket::Held),
            owed: self.owed.into(),
        }
    }
}

/// A line of a statement: one posting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementLine {
    /// The decision that posted it.
    pub id: EventId,
    /// Whose book it is in: of somebody who was merged, one of those they were merged of.
    pub customer: CustomerId,
    /// When it happened.
    pub at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Why.
    pub kind: PostingKind,
    /// How many points the customer gained or lost by it; 0 where they only went from one bucket to another.
    pub points: i128,
    /// What it did to each bucket and to the debt.
    pub change: PointsStanding,
    /// What was to be taken back and the programme bears.
    pub borne: i64,
    /// Who decided.
    pub by: Actor,
    /// The event behind it: the one that caused it, or else the fact, or the posting, that it is about.
    pub cause: Option<EventId>,
    /// The idempotency key of the request that asked for it; none for what followed by a rule.
    pub key: Option<SmolStr>,
    /// What the customer has after it.
    pub after: PointsStanding,
}

/// What happened to a customer's points in one programme in a period, by the time at which it happened; of what
/// happened at one time, by when it was recorded, and then in the order in which it was.
///
/// What is worked off late is told with the time at which it was due, so that a line can come before one that was
/// recorded earlier. Opening, closing and each line's effect do not depend on that order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountStatement {
    /// The first instant that belongs to the period.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
    /// What the customer had before the period.
    pub opening: PointsStanding,
    /// What happened in it.
    pub lines: Vec<StatementLine>,
    /// What the customer had at its end: the opening and the changes of all lines together.
    pub closing: PointsStanding,
}

impl AccountStatement {
    /// The statement of some postings, in whichever order, of which those of other programmes are left out. A period
    /// that ends before it begins has no lines. Costs a sort of the lines.
    #[must_use]
    pub fn of<'a>(
        program: &ProgramId,
        postings: impl Iterator<Item = Posted<'a>>,
        from: Timestamp,
        until: Timestamp,
    ) -> Self {
        let mut opening = PointsStanding::default();
        let mut own: Vec<Posted<'a>> = Vec::new();
        for posted in postings.filter(|posted| posted.posting.program == *program) {
            if posted.at < from {
                opening = opening.and(posted.posting.change());
            } else if posted.at < until {
                own.push(posted);
            }
        }
        own.sort_by_key(|posted| (posted.at, posted.recorded_at));
        let mut closing = opening;
        let lines = own.into_iter().map(|posted| {
            let line = StatementLine::of(posted, closing);
            closing = line.after;
            line
        });
        let lines = lines.collect();
        AccountStatement { from, until, opening, lines, closing }
    }
}

impl StatementLine {
    fn of(posted: Posted<'_>, before: PointsStanding) -> Self {
        let Posted { customer, id, at, recorded_at, by, cause, posting, key } = posted;
        let change = posting.change();
        StatementLine {
            id,
            customer,
            at,
            recorded_at,
            kind: posting.kind.clone(),
            points: posting.points(),
            change,
            borne: posting.borne,
            by: by.clone(),
            cause: cause.or_else(|| posting.kind.about()),
            key: key.map(SmolStr::new),
            after: before.and(change),
        }
    }
}

impl PostingKind {
    /// The event that it is about: the fact that earned points, or the posting that was undone.
    #[must_use]
    pub const fn about(&self) -> Option<EventId> {
        match self {
            PostingKind::Earned { fact } | PostingKind::Reversed { fact } | PostingKind::Pooled { fact, .. } => {
                Some(*fact)
            }
            PostingKind::Undone { posting, .. } => Some(*posting),
            PostingKind::Awarded { .. }
            | PostingKind::Imported { .. }
            | PostingKind::Activated
            | PostingKind::Spent { .. }
            | PostingKind::Held { .. }
            | PostingKind::Captured { .. }
            | PostingKind::Released { .. }
            | PostingKind::Returned { .. }
            | PostingKind::Expired { .. }
            | PostingKind::Reinstated { .. }
            | PostingKind::Adjusted { .. }
            | PostingKind::Given { .. }
            | PostingKind::Received { .. }
            | PostingKind::Forfeited { .. }
            | PostingKind::Settled { .. } => None,
        }
    }
}
