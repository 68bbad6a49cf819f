//! The customer life cycle: prospect → intent → purchase → historical, and back.
//!
//! | from \ what happens | contact | interest | order | orders undone | intent fades | goes quiet | is ended |
//! |---|---|---|---|---|---|---|---|
//! | nobody | prospect | intent | purchase | – | – | – | – |
//! | prospect | – | intent | purchase | – | – | – | – |
//! | intent | – | – | purchase | – | prospect | – | prospect |
//! | purchase | – | – | – | intent or prospect | – | historical | historical |
//! | historical | – | – | purchase | intent or prospect | – | – | – |
//!
//! *Contact* is any fact about the customer, *interest* an enquiry or a filled cart unless a policy says otherwise,
//! *orders undone*
//! the full refund of the last order that stood; it leads to intent if there was interest within the
//! window, and to prospect otherwise. A relation *is ended* by a fact of a kind of which the shop declared that it does
//! ([`KindSchema::ends_relation`](crate::custom::KindSchema::ends_relation)); interest before it counts no more, and an
//! order after it is a win-back. A window opens with the fact that counts and runs under the
//! policy that was in force at that moment. It is half open: at its last instant the stage has moved.
//!
//! A [contract](crate::contract) is like an order whose window is its term.
//!
//! A policy may have the quiet window follow each customer's own rhythm ([`OwnRhythm`]). It is worked out again with
//! every order and refund, from the orders that stand then; whoever is historical stays so until they order.
//!
//! What counts as interest is in the policy ([`IntentRules`]), and segments may have policies of their own
//! ([`SegmentPolicy`]): an ordered list, of which the first holds whose segment somebody is in by their facts at the
//! moment at which a window opens.
//!
//! What moves come to is counted by pure functions over [`StagePath`]s: of one customer the [`StageHistory`], of many
//! [`cohorts`], [`conversions`] and the [`TransitionMatrix`] with its forecast.

mod funnel;
mod history;
mod matrix;
mod path;
mod phase;
mod policy;
mod rhythm;
mod segments;

use serde::{Deserialize, Serialize};

pub use funnel::{
    Cohort, CohortBy, Conversion, Conversions, FunnelStep, Period, cohorts, conversions, parts_per_million,
};
pub use history::{StageHistory, StageTime};
pub use matrix::{Newcomers, STAGES_AND_NONE, StageSizes, TransitionMatrix};
pub use path::{StagePath, Stay};
pub use phase::Phase;
pub(crate) use policy::check_list;
pub use policy::{IntentRules, LifecycleError, LifecyclePolicy, Repeated, SEGMENT_POLICIES_MAX, SegmentPolicy};
pub use rhythm::{GAPS_MAX, OwnRhythm, RhythmError, Typical};
pub(crate) use segments::check as check_segments;

use crate::id::EventId;
use crate::time::{Span, Timestamp};

/// Where a customer stands in the life cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Known, and has shown no wish to buy lately.
    Prospect,
    /// Has enquired or filled a cart lately, and has no order that stands.
    Intent,
    /// Has an order that stands and bought lately, or has a contract that runs.
    Purchase,
    /// Has an order that stands and has been quiet since, or had a contract.
    Historical,
}

impl Stage {
    /// All of them, in the order of the life cycle.
    pub const ALL: [Stage; 4] = [Stage::Prospect, Stage::Intent, Stage::Purchase, Stage::Historical];

    /// The name it is stored and shown under.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Prospect => "prospect",
            Stage::Intent => "intent",
            Stage::Purchase => "purchase",
            Stage::Historical => "historical",
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What can move a customer from stage to stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// A fact that says nothing about buying.
    Contact,
    /// An enquiry, or a cart with something in it.
    Interest,
    /// An order, or a contract that is signed or renewed.
    Order,
    /// The last order that stood was refunded, and there was interest within the window.
    UndoneWithInterest,
    /// The last order that stood was refunded, and there was no interest within the window.
    UndoneWithoutInterest,
    /// The intent window ran out.
    IntentFaded,
    /// The purchase window ran out.
    WentQuiet,
    /// The shop said that the relation has ended.
    Ended,
}

impl Trigger {
    /// All of them.
    pub const ALL: [Trigger; 8] = [
        Trigger::Contact,
        Trigger::Interest,
        Trigger::Order,
        Trigger::UndoneWithInterest,
        Trigger::UndoneWithoutInterest,
        Trigger::IntentFaded,
        Trigger::WentQuiet,
        Trigger::Ended,
    ];
}

/// The transition table: where `trigger` leads from `stage`. The same stage means that nothing moves;
/// no stage is a customer about whom nothing has happened yet.
#[must_use]
pub const fn next(stage: Option<Stage>, trigger: Trigger) -> Option<Stage> {
    use Stage::{Historical, Intent, Prospect, Purchase};
    match (stage, trigger) {
        (_, Trigger::Order) => Some(Purchase),

        (None, Trigger::Contact) => Some(Prospect),
        (None | Some(Prospect), Trigger::Interest) => Some(Intent),
        (Some(_), Trigger::Contact) | (Some(Intent | Purchase | Historical), Trigger::Interest) => stage,

        (Some(Purchase | Historical), Trigger::UndoneWithInterest) => Some(Intent),
        (Some(Purchase | Historical), Trigger::UndoneWithoutInterest) => Some(Prospect),
        (None | Some(Prospect | Intent), Trigger::UndoneWithInterest | Trigger::UndoneWithoutInterest) => stage,

        (Some(Intent), Trigger::IntentFaded | Trigger::Ended) => Some(Prospect),
        (None | Some(Prospect | Purchase | Historical), Trigger::IntentFaded) => stage,

        (Some(Purchase), Trigger::WentQuiet | Trigger::Ended) => Some(Historical),
        (None | Some(Prospect | Historical), Trigger::Ended) => stage,
        (None | Some(Prospect | Intent | Historical), Trigger::WentQuiet) => stage,
    }
}

/// Why a stage changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageCause {
    /// A first contact.
    Contact(EventId),
    /// An enquiry or a filled cart.
    Interest(EventId),
    /// An order.
    Ordered(EventId),
    /// A contract that was signed or renewed.
    Contracted(EventId),
    /// The last order that stood was refunded in full.
    OrdersUndone(EventId),
    /// The shop said that the relation has ended.
    Ended(EventId),
    /// No sign of intent for as long as the policy waits.
    IntentFaded,
    /// No order for as long as the policy waits.
    WentQuiet,
    /// A fact that came late, or voided another, showed that the past was different.
    Corrected(EventId),
    /// A definition that holds for the past was added, and the customer was reconsidered.
    Redefined,
}

/// A move from stage to stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageMove {
    /// When.
    pub at: Timestamp,
    /// Where from; none for somebody new.
    pub from: Option<Stage>,
    /// Where to; none when every fact about the customer was voided.
    pub to: Option<Stage>,
    /// Why.
    pub cause: StageCause,
}

/// A customer's life cycle so far: the fold of their facts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    stage: Option<Stage>,
    since: Option<Timestamp>,
    interest_until: Option<Timestamp>,
    deadline: Option<Timestamp>,
}

impl Lifecycle {
    /// The stage now; none before the first fact.
    #[must_use]
    pub const fn stage(&self) -> Option<Stage> {
        self.stage
    }

    /// Since when it has been this stage.
    #[must_use]
    pub const fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// When the stage will move if nothing else happens.
    #[must_use]
    pub const fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// Lets time pass: works off the deadline if it is at or before `until`.
    pub(crate) fn elapse(&mut self, until: Timestamp, moves: &mut Vec<StageMove>) {
        // A deadline leads to a stage that has none, so there is at most one.
        if let Some(at) = self.deadline.filter(|at| *at <= until) {
            match self.stage {
                Some(Stage::Intent) => self.go(Trigger::IntentFaded, at, StageCause::IntentFaded, moves),
                Some(Stage::Purchase) => self.go(Trigger::WentQuiet, at, StageCause::WentQuiet, moves),
                Some(Stage::Prospect | Stage::Historical) | None => {}
            }
            self.deadline = None;
        }
    }

    pub(crate) fn contact(&mut self, at: Timestamp, event: EventId, moves: &mut Vec<StageMove>) {
        if self.stage.is_none() {
            self.go(Trigger::Contact, at, StageCause::Contact(event), moves);
        }
    }

    pub(crate) fn interest(&mut self, at: Timestamp, event: EventId, window: Span, moves: &mut Vec<StageMove>) {
        self.interest_until = Some(at.plus(window));
        self.go(Trigger::Interest, at, StageCause::Interest(event), moves);
        if self.stage == Some(Stage::Intent) {
            self.deadline = self.interest_until;
        }
    }

    pub(crate) fn ordered(&mut self, at: Timestamp, event: EventId, window: Span, moves: &mut Vec<StageMove>) {
        self.go(Trigger::Order, at, StageCause::Ordered(event), moves);
        self.deadline = Some(at.plus(window));
    }

    pub(crate) fn contracted(&mut self, at: Timestamp, event: EventId, moves: &mut Vec<StageMove>) {
        self.go(Trigger::Order, at, StageCause::Contracted(event), moves);
    }

    /// The last standing order is gone.
    pub(crate) fn undone(&mut self, at: Timestamp, event: EventId, moves: &mut Vec<StageMove>) {
        let interest = self.interest_until.filter(|until| *until > at);
        let trigger = if interest.is_some() { Trigger::UndoneWithInterest } else { Trigger::UndoneWithoutInterest };
        self.go(trigger, at, StageCause::OrdersUndone(event), moves);
        self.deadline = interest;
    }

    /// The shop says that the relation has ended.
    pub(crate) fn ended(&mut self, at: Timestamp, event: EventId, moves: &mut Vec<StageMove>) {
        self.go(Trigger::Ended, at, StageCause::Ended(event), moves);
        self.interest_until = None;
        self.deadline = None;
    }

    /// What keeps the customer in purchase is another now, or lasts until another instant.
    pub(crate) fn held(&mut self, until: Timestamp) {
        if self.stage == Some(Stage::Purchase) {
            self.deadline = Some(until).filter(|until| *until < Timestamp::MAX);
        }
    }

    fn go(&mut self, trigger: Trigger, at: Timestamp, cause: StageCause, moves: &mut Vec<StageMove>) {
        let to = next(self.stage, trigger);
        if to != self.stage {
            moves.push(StageMove { at, from: self.stage, to, cause });
            self.stage = to;
            self.since = Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_millis(day * 86_400_000).unwrap()
    }

    fn event() -> EventId {
        EventId::from_uuid(uuid::Uuid::nil())
    }

    const WINDOW: Span = Span::days(30);

    #[test]
    fn the_table_has_an_answer_for_every_pair_and_never_loses_a_customer() {
        let stages = [None, Some(Stage::Prospect), Some(Stage::Intent), Some(Stage::Purchase), Some(Stage::Historical)];
        for stage in stages {
            for trigger in Trigger::ALL {
                let to = next(stage, trigger);
                assert!(stage.is_none() || to.is_some(), "{stage:?} {trigger:?}");
                if to == Some(Stage::Historical) && stage != to {
                    assert_eq!(stage, Some(Stage::Purchase));
                    assert!(matches!(trigger, Trigger::WentQuiet | Trigger::Ended), "{trigger:?}");
                }
                if to == Some(Stage::Purchase) && stage != to {
                    assert_eq!(trigger, Trigger::Order);
                }
            }
        }
    }

    #[test]
    fn a_window_is_half_open() {
        let mut life = Lifecycle::default();
        let mut moves = Vec::new();
        life.ordered(at(0), event(), WINDOW, &mut moves);
        life.elapse(Timestamp::from_millis(at(30).as_millis() - 1).unwrap(), &mut moves);
        assert_eq!(life.stage(), Some(Stage::Purchase));
        life.elapse(at(30), &mut moves);
        assert_eq!(life.stage(), Some(Stage::Historical));
        assert_eq!(moves.last().unwrap().at, at(30));
    }

    #[test]
    fn undoing_the_only_order_leads_back_to_what_was_there_before() {
        let mut moves = Vec::new();
        let mut keen = Lifecycle::default();
        keen.interest(at(0), event(), WINDOW, &mut moves);
        keen.ordered(at(1), event(), WINDOW, &mut moves);
        keen.undone(at(2), event(), &mut moves);
        assert_eq!((keen.stage(), keen.deadline()), (Some(Stage::Intent), Some(at(30))));

        let mut cool = Lifecycle::default();
        cool.ordered(at(1), event(), WINDOW, &mut moves);
        cool.undone(at(2), event(), &mut moves);
        assert_eq!((cool.stage(), cool.deadline()), (Some(Stage::Prospect), None));
    }

    #[test]
    fn interest_does_not_move_a_customer_who_bought() {
        let mut life = Lifecycle::default();
        let mut moves = Vec::new();
        life.ordered(at(0), event(), WINDOW, &mut moves);
        life.interest(at(1), event(), WINDOW, &mut moves);
        assert_eq!((life.stage(), life.deadline()), (Some(Stage::Purchase), Some(at(30))));
    }
}
