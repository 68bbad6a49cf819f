//! A customer's way through the stages, as one list of stays without gaps: what all counting goes by.

use super::{Stage, StageMove};
use crate::change::{Change, ChangeBody};
use crate::time::Timestamp;

/// At which stage a customer was from when on.
///
/// A stage holds from the instant of its move on, as windows are half open. Moves are taken in the order in which they
/// were made. A move may be dated before the one that it follows (a refund shows that somebody had been quiet for
/// long); it counts from that one on, so that no time counts twice.
///
/// Made from stored changes, it is what was known from day to day: a correction counts from when it was told. Made
/// from [`FactState::stage_moves`](crate::customer::FactState::stage_moves), it is the past as it is known now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StagePath {
    steps: Vec<(Timestamp, Option<Stage>)>,
}

/// An uninterrupted time at one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stay {
    /// Which stage; none while nothing was known, as every fact had been voided.
    pub stage: Option<Stage>,
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it; none if it lasts.
    pub until: Option<Timestamp>,
}

impl StagePath {
    /// The way that moves make.
    pub fn of<'a>(moves: impl IntoIterator<Item = &'a StageMove>) -> Self {
        moves.into_iter().map(|step| (step.at, step.to)).collect()
    }

    /// The way that stored changes of one customer make, in the order in which they were stored; those that are not
    /// about the stage are passed over.
    pub fn of_changes<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Self {
        let stage = |change: &'a Change| match change.body {
            ChangeBody::StageChanged { to, .. } => Some((change.at, to)),
            ChangeBody::SegmentEntered { .. }
            | ChangeBody::SegmentLeft { .. }
            | ChangeBody::TierReached { .. }
            | ChangeBody::TierLost { .. }
            | ChangeBody::TierAtRisk { .. }
            | ChangeBody::ConsentChanged { .. } => None,
        };
        changes.into_iter().filter_map(stage).collect()
    }

    /// The stage at an instant; none before the first contact.
    #[must_use]
    pub fn at(&self, instant: Timestamp) -> Option<Stage> {
        let after = self.steps.partition_point(|(at, _)| *at <= instant);
        after.checked_sub(1).and_then(|last| self.steps.get(last)).and_then(|(_, stage)| *stage)
    }

    /// When the customer first had a stage.
    #[must_use]
    pub fn first_contact(&self) -> Option<Timestamp> {
        self.steps.first().map(|(at, _)| *at)
    }

    /// All stays, one after another, from the first contact on. Some may last no time at all: an enquiry and an order
    /// of one instant.
    pub fn stays(&self) -> impl Iterator<Item = Stay> + '_ {
        let ends = self.steps.iter().skip(1).map(|(at, _)| Some(*at)).chain([None]);
        self.steps.iter().zip(ends).map(|((from, stage), until)| Stay { stage: *stage, from: *from, until })
    }
}

impl FromIterator<(Timestamp, Option<Stage>)> for StagePath {
    /// From when on which stage, in the order in which it moved.
    fn from_iter<I: IntoIterator<Item = (Timestamp, Option<Stage>)>>(moves: I) -> Self {
        let mut steps: Vec<(Timestamp, Option<Stage>)> = Vec::new();
        for (at, stage) in moves {
            let (last, before) = steps.last().map_or((Timestamp::MIN, None), |(at, stage)| (*at, *stage));
            if stage != before {
                steps.push((at.max(last), stage));
            }
        }
        StagePath { steps }
    }
}
