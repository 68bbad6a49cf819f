//! When something looks like fraud. Each rule is a count over a window, so that a person can check it by hand.

use crate::history::{History, Kind};

/// How much is still ordinary. The shop sets it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Points that come within a day, gifts included.
    pub points_a_day: i64,
    /// Gifts within a day, given or received.
    pub gifts_a_day: i64,
    /// Refunds within 30 days.
    pub refunds_a_month: i64,
}

/// Why somebody is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// More points come than anybody earns by shopping: a leak in a rule, or a script.
    PointsVelocity = 0,
    /// An account hands its points on in a hurry: as a taken-over one does.
    GiftsGiven = 1,
    /// An account gathers the points of many: as a ring's collector does.
    GiftsReceived = 2,
    /// Order after order goes back.
    Refunds = 3,
    /// Points were spent, and within a day an order goes back: its points may be what was spent.
    SpentBeforeRefund = 4,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 5] =
        [Reason::PointsVelocity, Reason::GiftsGiven, Reason::GiftsReceived, Reason::Refunds, Reason::SpentBeforeRefund];

    /// What it is called in a message.
    pub fn name(self) -> &'static str {
        match self {
            Reason::PointsVelocity => "points-velocity",
            Reason::GiftsGiven => "gifts-given",
            Reason::GiftsReceived => "gifts-received",
            Reason::Refunds => "refunds",
            Reason::SpentBeforeRefund => "spent-before-refund",
        }
    }

    /// What it counts, in the window that ends at `at_ms`.
    pub fn measured(self, history: &History, at_ms: i64) -> i64 {
        let count = |kind, days| i64::try_from(history.of(kind, at_ms, days).count()).unwrap_or(i64::MAX);
        let sum = |kind, days| history.of(kind, at_ms, days).fold(0_i64, |sum, one| sum.saturating_add(one.amount));
        match self {
            Reason::PointsVelocity => sum(Kind::Gained, 1).saturating_add(sum(Kind::Received, 1)),
            Reason::GiftsGiven => count(Kind::Given, 1),
            Reason::GiftsReceived => count(Kind::Received, 1),
            Reason::Refunds => count(Kind::Refunded, 30),
            // Only at the refund itself, not at what comes after it.
            Reason::SpentBeforeRefund if history.of(Kind::Refunded, at_ms, 1).any(|refund| refund.at_ms == at_ms) => {
                sum(Kind::Spent, 1)
            }
            Reason::SpentBeforeRefund => 0,
        }
    }

    /// Whether it is more than ordinary.
    pub fn holds(self, history: &History, at_ms: i64, limits: &Limits) -> bool {
        let limit = match self {
            Reason::PointsVelocity => limits.points_a_day,
            Reason::GiftsGiven | Reason::GiftsReceived => limits.gifts_a_day,
            Reason::Refunds => limits.refunds_a_month,
            Reason::SpentBeforeRefund => 0,
        };
        self.measured(history, at_ms) > limit
    }
}
