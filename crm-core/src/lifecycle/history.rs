//! What a customer's way through the stages comes to: how long they were at each, how often, and how soon they bought.

use super::{Stage, StagePath};
use crate::time::{Span, Timestamp};

/// How much of a life was spent at one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageTime {
    /// How long in all.
    pub dwell: Span,
    /// How often it was entered.
    pub entries: u32,
}

impl StageTime {
    const NONE: StageTime = StageTime { dwell: Span::days(0), entries: 0 };

    fn add(&mut self, dwell: Span) {
        self.dwell = sum(self.dwell, dwell);
        self.entries = self.entries.saturating_add(1);
    }
}

/// A life in numbers, as of an instant. The dwell times, those without a stage included, add up to the life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageHistory {
    stages: [StageTime; 4],
    /// The time after the first contact in which there was no stage, as every fact known then had been voided.
    pub without: StageTime,
    /// The stage at the instant.
    pub stage: Option<Stage>,
    /// Since when it has been this stage; none before the first contact.
    pub since: Option<Timestamp>,
    /// When the customer first had a stage.
    pub first_contact: Option<Timestamp>,
    /// When they first came to purchase.
    pub first_purchase: Option<Timestamp>,
    /// How often they were won back: bought again after they had gone quiet.
    pub won_back: u32,
    /// When they were won back last.
    pub won_back_at: Option<Timestamp>,
    /// From the first contact to the instant.
    pub life: Span,
}

impl StageHistory {
    /// The history up to an instant, that instant's own moves included; what comes later is passed over.
    #[must_use]
    pub fn of(path: &StagePath, at: Timestamp) -> Self {
        let first_contact = path.first_contact().filter(|first| *first <= at);
        let mut history = StageHistory {
            stages: [StageTime::NONE; 4],
            without: StageTime::NONE,
            stage: None,
            since: None,
            first_contact,
            first_purchase: None,
            won_back: 0,
            won_back_at: None,
            life: first_contact.map_or(Span::days(0), |first| between(first, at)),
        };
        for stay in path.stays().take_while(|stay| stay.from <= at) {
            let dwell = between(stay.from, stay.until.map_or(at, |until| until.min(at)));
            match stay.stage {
                Some(stage) => history.stages[place(stage)].add(dwell),
                None => history.without.add(dwell),
            }
            if stay.stage == Some(Stage::Purchase) {
                history.first_purchase.get_or_insert(stay.from);
                if history.stage == Some(Stage::Historical) {
                    history.won_back = history.won_back.saturating_add(1);
                    history.won_back_at = Some(stay.from);
                }
            }
            history.stage = stay.stage;
            history.since = Some(stay.from);
        }
        history
    }

    /// How long and how often the customer was at a stage. A stay that lasts is counted up to the instant.
    #[must_use]
    pub const fn at(&self, stage: Stage) -> StageTime {
        self.stages[place(stage)]
    }

    /// From the first contact to the first purchase; nothing at all for one whose first contact was an order.
    #[must_use]
    pub fn time_to_first_purchase(&self) -> Option<Span> {
        Some(between(self.first_contact?, self.first_purchase?))
    }

    /// Whether the customer had gone quiet, and buys again now.
    #[must_use]
    pub fn is_won_back(&self) -> bool {
        self.won_back > 0 && self.stage == Some(Stage::Purchase) && self.since == self.won_back_at
    }
}

/// Where a stage is among [`Stage::ALL`].
pub(super) const fn place(stage: Stage) -> usize {
    match stage {
        Stage::Prospect => 0,
        Stage::Intent => 1,
        Stage::Purchase => 2,
        Stage::Historical => 3,
    }
}

fn between(from: Timestamp, until: Timestamp) -> Span {
    Span::millis(u64::try_from(until.as_millis() - from.as_millis()).unwrap_or(0))
}

fn sum(left: Span, right: Span) -> Span {
    Span::millis(u64::from(left) + u64::from(right))
}
