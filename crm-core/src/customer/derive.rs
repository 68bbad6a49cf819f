//! What follows from a customer's state at an instant: stage, segments, tiers, and how they moved.

use serde::{Deserialize, Serialize};

use super::Customer;
use super::consent::Statuses;
use super::membership::Memberships;
use super::segments::Watch;
use super::tiers::TierWatch;
use crate::change::{Cause, Change, ChangeBody};
use crate::consent::{ConsentKey, ConsentStatus};
use crate::definitions::Definitions;
use crate::expression::Inputs;
use crate::flat::FlatMap;
use crate::lifecycle::{Stage, StageCause, StageMove};
use crate::loyalty::{ProgramId, TierName};
use crate::segment::{SegmentName, SegmentSet};
use crate::time::Timestamp;

/// Stage, segments and tiers, as of the last time anything happened or was due.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    stage: Option<Stage>,
    pub(super) memberships: Memberships,
    pub(super) tiers: FlatMap<ProgramId, TierName>,
    pub(super) tier_watch: TierWatch,
    pub(super) consents: Statuses,
}

impl Standing {
    /// The segments the customer is in. While a changed segment is being filled, its older version says who is in it.
    pub fn segments(&self) -> impl Iterator<Item = &SegmentName> {
        self.memberships.answered.iter()
    }

    /// Whether the customer is in a segment.
    #[must_use]
    pub fn is_in(&self, segment: &SegmentName) -> bool {
        self.memberships.answered.contains(segment)
    }

    /// The segments the customer is in, each with the version that says so: of one that is being filled there may be
    /// two, or only the newer one.
    pub fn memberships(&self) -> impl Iterator<Item = (&SegmentName, u32)> {
        self.memberships.held()
    }

    /// What of it the digest of a state is made of.
    pub(super) fn digested(&self) -> impl Serialize + '_ {
        (self.stage, &self.memberships.answered, &self.tiers, &self.consents)
    }

    /// What was said about consent comes to, by what it is about; what nothing was said about is left out.
    pub fn consents(&self) -> impl Iterator<Item = (&ConsentKey, ConsentStatus)> {
        self.consents.iter().map(|(key, status)| (key, *status))
    }

    /// The customer's tiers, by programme.
    pub fn tiers(&self) -> impl Iterator<Item = (&ProgramId, &TierName)> {
        self.tiers.iter()
    }

    /// The customer's tier in a programme.
    #[must_use]
    pub fn tier(&self, program: &ProgramId) -> Option<&TierName> {
        self.tiers.get(program)
    }
}

impl Customer {
    /// Works out the standing at an instant from nothing, without changes being told.
    pub(super) fn stand(&mut self, at: Timestamp, definitions: &Definitions) {
        let (tiers, tier_watch) = self.stand_tiers(at, definitions);
        self.standing = Standing {
            stage: self.stage(),
            memberships: Memberships::default(),
            tiers,
            tier_watch,
            consents: self.statuses(at, definitions),
        };
        self.watch = Watch::default();
        let none = SegmentSet::default();
        let set = definitions.segment_book().set(at).unwrap_or(&none);
        self.derive_segments(set, at, Cause::Definition, definitions, &mut Vec::new());
        self.watch_badges(at, definitions);
    }

    /// Brings the standing up to date and tells what moved. `moves` are the stage moves that led here;
    /// if they do not explain the stage, the past was corrected, and one change says so. Where rules ask about the past
    /// of segments, the customer has to [remember](Self::remembers) it.
    pub fn derive(
        &mut self,
        at: Timestamp,
        cause: Cause,
        moves: &mut Vec<StageMove>,
        definitions: &Definitions,
        changes: &mut Vec<Change>,
    ) {
        let none = SegmentSet::default();
        let set = definitions.segment_book().set(at).unwrap_or(&none);
        self.derive_in(set, at, cause, moves, definitions, changes);
    }

    /// The same with certain segments.
    pub(super) fn derive_in(
        &mut self,
        set: &SegmentSet,
        at: Timestamp,
        cause: Cause,
        moves: &mut Vec<StageMove>,
        definitions: &Definitions,
        changes: &mut Vec<Change>,
    ) {
        let stage = self.stage();
        let told = moves.last().map_or(self.standing.stage, |last| last.to);
        let connected = moves.first().is_none_or(|first| first.from == self.standing.stage);
        if told == stage && connected {
            changes.extend(moves.drain(..).map(|StageMove { at, from, to, cause: why }| {
                let cause = match why {
                    StageCause::IntentFaded | StageCause::WentQuiet => Cause::Alarm(crate::timer::AlarmKind::Lifecycle),
                    StageCause::Redefined => Cause::Definition,
                    StageCause::Contact(event)
                    | StageCause::Interest(event)
                    | StageCause::Ordered(event)
                    | StageCause::Contracted(event)
                    | StageCause::OrdersUndone(event)
                    | StageCause::Ended(event)
                    | StageCause::Corrected(event) => Cause::Event(event),
                };
                Change { at, cause, body: ChangeBody::StageChanged { from, to, cause: why } }
            }));
        } else if stage != self.standing.stage {
            let why = match cause {
                Cause::Event(event) => StageCause::Corrected(event),
                Cause::Alarm(_) => StageCause::WentQuiet,
                // No score moves a stage.
                Cause::Definition | Cause::Scored => StageCause::Redefined,
            };
            let from = self.standing.stage;
            changes.push(Change { at, cause, body: ChangeBody::StageChanged { from, to: stage, cause: why } });
        }
        moves.clear();
        if self.standing.stage != stage {
            self.standing.stage = stage;
            self.watch.touch(Inputs::STAGE);
        }
        self.derive_tiers(at, cause, definitions, changes);
        self.derive_consents(at, cause, definitions, changes);
        // Segments come last: they ask for all of these.
        self.derive_segments(set, at, cause, definitions, changes);
    }
}
