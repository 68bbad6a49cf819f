//! What was spent for an order: how much of it comes back with what comes back of the order, and how much of one payment
//! when that is undone by hand.

use serde::{Deserialize, Serialize};

use super::lots::LotTerms;
use crate::id::CustomerId;
use crate::order::Order;

/// A payment in points that was undone: what the order was paid with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndonePayment {
    /// How many points it was.
    pub points: i64,
    /// What had come back of the order before it, in minor units.
    pub refunded: i64,
}

/// What was spent for an order and did not come back yet, in the order in which it was spent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PaidFor {
    /// All that was spent for it, with what had come back of it before.
    spent: Vec<(i64, i64)>,
    /// What did not come back, with whom it was spent by if not by the one whose it was.
    left: Vec<(LotTerms, i64, Option<CustomerId>)>,
}

impl PaidFor {
    pub(super) fn left(&self) -> i64 {
        self.left.iter().fold(0, |sum, (_, points, _)| sum.saturating_add(*points))
    }

    /// What did not come back, what was spent last first, with whom it was spent by if not by the one whose it was.
    pub(super) fn last_first(&self) -> impl Iterator<Item = (LotTerms, i64, Option<CustomerId>)> {
        self.left.iter().rev().copied()
    }

    fn points(&self) -> i64 {
        self.spent.iter().fold(0, |sum, (points, _)| sum.saturating_add(*points))
    }

    /// How many points of it came back.
    fn back(&self) -> i64 {
        self.points().saturating_sub(self.left())
    }

    pub(super) fn spend(&mut self, points: i64, refunded: i64) {
        match self.spent.last_mut().filter(|(_, before)| *before == refunded) {
            Some((there, _)) => *there = there.saturating_add(points),
            None => self.spent.push((points, refunded)),
        }
    }

    pub(super) fn note(&mut self, terms: LotTerms, points: i64, spent_by: Option<CustomerId>) {
        self.left.push((terms, points, spent_by));
    }

    /// As large a share of the points as of the money that came back since they were spent, rounded down.
    fn share(&self, order: &Order) -> i64 {
        let of = |(points, before): &(i64, i64)| {
            let (back, of) = (order.refunded.saturating_sub(*before), order.total.minor().saturating_sub(*before));
            let share = i128::from(*points) * i128::from(back.max(0)) / i128::from(of.max(1));
            i64::try_from(share).unwrap_or(*points).min(*points)
        };
        self.spent.iter().map(of).fold(0, i64::saturating_add)
    }

    /// How many points are to come back with what came back of the order.
    pub(super) fn due(&self, order: &Order) -> i64 {
        self.share(order).saturating_sub(self.back())
    }

    /// How many points come back when a payment is undone: so many that of the others no more has come back than their
    /// share. Of an order that is not known nothing came back.
    pub(super) fn undoing(&self, payment: UndonePayment, order: Option<&Order>) -> i64 {
        let mut others = self.clone();
        others.forget(payment);
        let share = order.map_or(0, |order| others.share(order));
        let gone = self.back().saturating_sub(share);
        payment.points.saturating_sub(gone).clamp(0, payment.points).min(self.left())
    }

    /// A payment was undone: the order was not paid with it.
    pub(super) fn forget(&mut self, UndonePayment { points, refunded }: UndonePayment) {
        let mut points = points.max(0);
        for alike in [true, false] {
            for (spent, before) in self.spent.iter_mut().rev() {
                if alike && *before != refunded {
                    continue;
                }
                let part = points.min(*spent);
                *spent -= part;
                points -= part;
            }
        }
        self.spent.retain(|(points, _)| *points > 0);
    }

    /// So much came back, of what was spent last by some. Gives the lots it came from.
    pub(super) fn come_back(
        &mut self,
        mut points: i64,
        of: impl Fn(Option<CustomerId>) -> bool,
    ) -> Vec<(LotTerms, i64)> {
        let mut back = Vec::new();
        for (terms, there, _) in self.left.iter_mut().rev().filter(|(.., by)| of(*by)) {
            let part = points.min(*there);
            if part > 0 {
                back.push((*terms, part));
                points -= part;
                *there -= part;
            }
        }
        self.left.retain(|(_, there, _)| *there > 0);
        back
    }

    pub(super) fn is_all_back(&self) -> bool {
        self.left.is_empty()
    }
}
