//! Shares of what members of pools earn: each side is decided by itself, and both are committed together.

use super::Customer;
use crate::definitions::Definitions;
use crate::id::{CustomerId, EventId};
use crate::loyalty::{Gift, PointsBook, Posting, ProgramId, Shortfall};
use crate::text::Remark;
use crate::time::Timestamp;

/// Something of what a fact earned a member is to go to a pool, or to come back from there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShareDue {
    /// Since when.
    pub at: Timestamp,
    /// Whom it was earned through.
    pub member: CustomerId,
    /// In which programme.
    pub program: ProgramId,
    /// Which fact earned it.
    pub fact: EventId,
    /// Whose pool it is.
    pub pool: CustomerId,
}

/// What comes back from a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareBack {
    /// What the member has of it: it comes, and is taken back.
    pub postings: [Posting; 2],
    /// How many points they are.
    pub points: i64,
    /// How many of the fact the pool had.
    pub there: i64,
}

impl Customer {
    /// To whose pool a share of what the customer earns goes: of somebody who was merged, the first that is not their own.
    pub(super) fn shares_with(&self, program: &ProgramId) -> Option<CustomerId> {
        self.in_pools(program).find(|pool| !self.is(*pool))
    }

    /// What is to go to a pool next, or to come back from there.
    #[must_use]
    pub fn next_share(&self) -> Option<ShareDue> {
        let mut next: Option<ShareDue> = None;
        self.each_book(&mut |member, program, book| {
            if let Some((at, fact, pool)) = book.next_share(|fact| self.delivered(fact)) {
                let due = ShareDue { at, member, program: program.clone(), fact, pool };
                next = next.take().into_iter().chain([due]).min();
            }
        });
        next
    }

    /// The member's side of what goes to a pool at an instant; none if nothing does.
    #[must_use]
    pub fn send_share(&self, due: &ShareDue, at: Timestamp) -> Option<Gift> {
        self.book_of(due.member, &due.program)?.send_share(&due.program, due.fact, at, |fact| self.delivered(fact))
    }

    /// The same where the pool takes nothing any more: it stays with the member.
    #[must_use]
    pub fn keep_share(&self, due: &ShareDue, gift: &Gift) -> Option<Posting> {
        Some(self.book_of(due.member, &due.program)?.keep_share(gift))
    }

    /// The pool's side: it lasts as long as it would have with the member.
    #[must_use]
    pub fn receive_share(&self, due: &ShareDue, gift: &Gift, reason: &Remark) -> Posting {
        let empty = PointsBook::default();
        self.book_of(due.pool, &due.program).unwrap_or(&empty).receive(gift, due.member, reason, |terms| *terms)
    }

    /// The member's side of what comes back from a pool; none if nothing does.
    #[must_use]
    pub fn share_back(&self, due: &ShareDue) -> Option<ShareBack> {
        let (postings, points, there) = self.book_of(due.member, &due.program)?.share_back(&due.program, due.fact)?;
        Some(ShareBack { postings, points, there })
    }

    /// The pool's side of it. Whoever was erased owes nothing: the programme bears it.
    #[must_use]
    pub fn return_share(
        &self,
        due: &ShareDue,
        back: &ShareBack,
        reason: &Remark,
        at: Timestamp,
        definitions: &Definitions,
    ) -> Posting {
        let program = definitions.program(&due.program, at);
        let shortfall = program.map(|program| program.shortfall).unwrap_or_default();
        let shortfall = if self.is_erased() { Shortfall::Borne } else { shortfall };
        let empty = PointsBook::default();
        let book = self.book_of(due.pool, &due.program).unwrap_or(&empty);
        book.return_share(&due.program, due.fact, [back.points, back.there], due.member, reason, shortfall)
    }
}
