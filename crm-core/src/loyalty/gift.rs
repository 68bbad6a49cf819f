//! Gifts: points that one customer gives another. Both books are written in one commit, so that points are neither
//! doubled nor lost, however many are given at once.

use serde::{Deserialize, Serialize};

use super::event::{Posting, PostingKind};
use super::lots::LotTerms;
use super::{Allowance, CountedAt, LoyaltyError, PointsBook, ProgramId, Shortfall, TogetherError};
use crate::id::CustomerId;
use crate::text::Remark;
use crate::time::Timestamp;

/// When points expire that were given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GiftExpiry {
    /// When they would have with the giver: nobody makes points last by handing them on.
    #[default]
    Kept,
    /// As if the receiver had earned them when they were given.
    Fresh,
}

/// Whether and how customers may give points to each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GiftPolicy {
    /// How many at least; 0 as 1.
    pub at_least: u64,
    /// How many at most at one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u64>,
    /// How many each may give within a stretch of the calendar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each: Option<Allowance>,
    /// When they expire.
    pub expiry: GiftExpiry,
}

/// Give points to somebody else: those that would be spent first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivePoints {
    /// Of which programme.
    pub program: ProgramId,
    /// How many, at least 1.
    pub points: i64,
    /// What for.
    pub reason: Remark,
}

/// Points on their way from one book to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gift {
    /// The posting in the giver's book.
    pub given: Posting,
    /// The lots they come from, and how many of each.
    pub lots: Vec<(LotTerms, i64)>,
}

impl GivePoints {
    /// Checks a gift against the policy, and gives what is counted of it.
    pub(crate) fn check(
        &self,
        policy: &GiftPolicy,
        zone: chrono_tz::Tz,
        at: Timestamp,
        used: impl Fn(&Allowance, CountedAt) -> i64,
    ) -> Result<CountedAt, LoyaltyError> {
        let (at_least, at_most) = (policy.at_least.max(1), policy.at_most.unwrap_or(u64::MAX));
        if u64::try_from(self.points).is_ok_and(|points| points < at_least || points > at_most) {
            return Err(TogetherError::GiftSize { points: self.points, at_least, at_most }.into());
        }
        let counted = CountedAt { at, zone };
        if let Some(allowance) = &policy.each {
            let left = allowance.left(used(allowance, counted));
            if self.points > left {
                return Err(TogetherError::Allowance { asked: self.points, left, per: allowance.per }.into());
            }
        }
        Ok(counted)
    }
}

impl PointsBook {
    /// Active points go to somebody else. There have to be as many.
    ///
    /// # Errors
    ///
    /// `Amount` or `NotEnough`.
    pub(crate) fn give_away(
        &self,
        program: &ProgramId,
        to: CustomerId,
        points: i64,
        reason: &Remark,
        counted: Option<CountedAt>,
    ) -> Result<Gift, LoyaltyError> {
        let points = self.enough(points)?;
        let kind = PostingKind::Given { to, reason: reason.clone(), counted };
        let given = self.take(Posting::new(program.clone(), kind), points, None, Shortfall::Owed);
        let terms = |number: u32| self.lots().iter().find(|lot| lot.lot == number).map(|lot| lot.terms);
        let lots = given.moves.iter().filter_map(|change| Some((terms(change.lot)?, -change.points))).collect();
        Ok(Gift { given, lots })
    }

    /// Points come from somebody else: they pay what is owed first. `held_as` says what holds for them here.
    pub(crate) fn receive(
        &self,
        gift: &Gift,
        from: CustomerId,
        reason: &Remark,
        held_as: impl Fn(&LotTerms) -> LotTerms,
    ) -> Posting {
        let mut lots: Vec<(LotTerms, i64)> = Vec::new();
        for (terms, points) in &gift.lots {
            let terms = held_as(terms);
            match lots.iter_mut().find(|(other, _)| *other == terms) {
                Some((_, sum)) => *sum = sum.saturating_add(*points),
                None => lots.push((terms, *points)),
            }
        }
        let kind = PostingKind::Received { from, reason: reason.clone() };
        let mut posting = Posting::new(gift.given.program.clone(), kind);
        let mut after = self.clone();
        for (terms, points) in lots {
            let part = after.give(Posting::new(posting.program.clone(), posting.kind.clone()), points, terms);
            after.apply(&part);
            posting.moves.extend(part.moves);
            posting.owed = posting.owed.saturating_add(part.owed);
        }
        posting
    }
}
