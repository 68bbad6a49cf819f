//! What members of a merged customer spent of each other's points, so that each can pay for it when they part.

use serde::{Deserialize, Serialize};

use super::lots::{Lot, LotTerms};
use crate::id::CustomerId;
use crate::time::Timestamp;

/// Points of a lot that somebody else spent, as they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lent {
    pub(super) to: CustomerId,
    pub(super) points: i64,
    pub(super) terms: LotTerms,
}

/// What others spent of a book while they were merged with its customer. However often they spend, it is one entry for
/// each borrower and fact (which are kept anyhow), one for each and each instant at which other points expire that is
/// still to come, and one for all those that are past.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LentOut(Vec<Lent>);

impl LentOut {
    pub(super) fn to(&self, other: CustomerId) -> impl Iterator<Item = Lent> {
        self.0.iter().filter(move |lent| lent.to == other).copied()
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> &[Lent] {
        &self.0
    }

    pub(super) fn settle(&mut self, with: CustomerId) {
        self.0.retain(|lent| lent.to != with);
    }

    /// Something that was spent came back: it is lent no longer. What has been put together with others is found by its
    /// borrower alone.
    pub(super) fn back(&mut self, to: CustomerId, mut points: i64, terms: LotTerms) {
        for alike in [true, false] {
            for lent in self.0.iter_mut().filter(|lent| lent.to == to && (!alike || lent.terms == terms)) {
                let part = lent.points.min(points).max(0);
                lent.points -= part;
                points -= part;
            }
        }
        self.0.retain(|lent| lent.points > 0);
    }

    /// Notes what somebody else spent. What is alike when it comes back is one entry: of one fact, or of other points that
    /// expire together, or that have expired by now, which is at least when the newest points here were earned.
    pub(super) fn note(&mut self, lent: Lent, lots: &[Lot]) {
        if lent.terms.fact().is_none() {
            self.note_other(lent, lots);
            return;
        }
        match self.0.iter_mut().find(|other| other.to == lent.to && other.terms == lent.terms) {
            Some(there) => there.points = there.points.saturating_add(lent.points),
            None => self.0.push(lent),
        }
    }

    fn note_other(&mut self, lent: Lent, lots: &[Lot]) {
        let earned = lots.iter().map(|lot| lot.terms.earned_at).chain(self.0.iter().map(|lent| lent.terms.earned_at));
        let newest = earned.max().unwrap_or(Timestamp::MIN).max(lent.terms.earned_at);
        let is_past = |lent: &Lent| lent.terms.expires_at.is_some_and(|expires| expires <= newest);
        self.0.push(lent);
        let mut compact: Vec<Lent> = Vec::with_capacity(self.0.len());
        for lent in std::mem::take(&mut self.0) {
            let same = |other: &&mut Lent| {
                let of_none = lent.terms.fact().is_none() && other.terms.fact().is_none();
                let end = |lent: &Lent| (lent.terms.expires_at, lent.terms.longer);
                let together = end(other) == end(&lent) || (is_past(other) && is_past(&lent));
                of_none && other.to == lent.to && together
            };
            match compact.iter_mut().find(same) {
                Some(there) => {
                    there.points = there.points.saturating_add(lent.points);
                    there.terms.earned_at = there.terms.earned_at.max(lent.terms.earned_at);
                    there.terms.expires_at = there.terms.expires_at.max(lent.terms.expires_at);
                }
                None => compact.push(lent),
            }
        }
        self.0 = compact;
    }
}
