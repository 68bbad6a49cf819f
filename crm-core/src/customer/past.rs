//! Going through a history once more, to learn who was in a segment at every instant of it, as the past is known now.
//!
//! It is lived again: a customer about whom nothing is known is told what happened instant by instant, decisions where
//! they were made, lets time pass in between, and is asked after each instant about the segments in question and those
//! that they ask about. What was voided never happened, and several who were merged always were one.

use super::spells::Spells;
use super::{Customer, family::Kinship};
use crate::change::{Cause, Change, ChangeBody};
use crate::definitions::Definitions;
use crate::event::{Decision, EventBody, Fact};
use crate::expression::{Inputs, Predicate};
use crate::flat::FlatMap;
use crate::id::{CustomerId, EventId};
use crate::segment::{Past, SegmentName, SegmentSet, Stay};
use crate::time::Timestamp;
use crate::timer::AlarmKind;

/// A life in the order in which it was lived.
struct Life<'a> {
    facts: Vec<(Timestamp, EventId, CustomerId, &'a Fact)>,
    decisions: Vec<(Timestamp, EventId, CustomerId, &'a Decision)>,
}

impl<'a> Life<'a> {
    /// What happened by an instant. Decisions follow each other: one that was dated back counts from the one before it.
    fn of(
        events: impl Iterator<Item = (CustomerId, EventId, Timestamp, &'a EventBody)>,
        waits: impl Fn(EventId, Timestamp) -> bool,
        until: Timestamp,
    ) -> Self {
        let mut life = Life { facts: Vec::new(), decisions: Vec::new() };
        let mut last: FlatMap<CustomerId, Timestamp> = FlatMap::default();
        for (member, id, at, body) in events {
            match body {
                EventBody::Fact(fact) if at <= until && !waits(id, at) => life.facts.push((at, id, member, fact)),
                EventBody::Decision(decision) => {
                    let at = last.get(&member).map_or(at, |before| at.max(*before)).min(until);
                    last.insert(member, at);
                    life.decisions.push((at, id, member, decision));
                }
                EventBody::Fact(_) | EventBody::Unrecognised { .. } => {}
            }
        }
        life.facts.sort_unstable_by_key(|(at, id, member, _)| (*at, *id, *member));
        life.facts.dedup_by_key(|(at, id, ..)| (*at, *id));
        life.decisions.sort_by_key(|(at, ..)| *at);
        life
    }
}

impl Customer {
    /// Works out what is asked about the past at an instant, if anything is, from the whole history up to the clock, as
    /// for [`replay`](Self::replay): decisions of each member in the order in which they were recorded. All segments
    /// are asked again by the next [`derive`](Self::derive). Costs as much as if all of it had just happened.
    pub fn recall<'a>(
        &mut self,
        events: impl Iterator<Item = (CustomerId, EventId, Timestamp, &'a EventBody)>,
        at: Timestamp,
        definitions: &Definitions,
    ) {
        let Some(past) = definitions.past(at) else {
            self.spells = Spells::default();
            return;
        };
        self.spells = self.live_again(events, past, self.clock.unwrap_or(at), definitions, &mut |_| {});
        self.watch.touch(Inputs::ALL);
    }

    /// Whether a rule that is asked at an instant asks about no other past than the customer knows. If not,
    /// [`spells_of`](Self::spells_of) tells the past of all segments that it asks about.
    #[must_use]
    pub fn knows_past_of(&self, rule: &Predicate, at: Timestamp, definitions: &Definitions) -> bool {
        let kept = |name: &SegmentName| definitions.past(at).is_some_and(|past| past.kept.contains(name));
        rule.segments().is_empty() || (self.remembers(at, definitions) && rule.remembered().into_iter().all(kept))
    }

    /// Who the customer was as to some segments and those that they ask about, whether or not others ask about their
    /// past: from the whole history up
    /// to the clock, as for [`recall`](Self::recall).
    #[must_use]
    pub fn spells_of<'a, 'n>(
        &self,
        segments: impl IntoIterator<Item = &'n SegmentName>,
        events: impl Iterator<Item = (CustomerId, EventId, Timestamp, &'a EventBody)>,
        definitions: &Definitions,
    ) -> Spells {
        let until = self.clock.unwrap_or(Timestamp::MIN);
        let past = Past::of(definitions, segments, until).keeping_all();
        self.live_again(events, &past, until, definitions, &mut |_| {})
    }

    /// Every while during which the customer was in one of some segments, in the order in which they began, as the past
    /// is known now: from the whole history up to the clock, as for [`recall`](Self::recall).
    #[must_use]
    pub fn stays<'a, 'n>(
        &self,
        segments: impl IntoIterator<Item = &'n SegmentName>,
        events: impl Iterator<Item = (CustomerId, EventId, Timestamp, &'a EventBody)>,
        definitions: &Definitions,
    ) -> Vec<Stay> {
        let until = self.clock.unwrap_or(Timestamp::MIN);
        let past = Past::of(definitions, segments, until);
        let mut stays: Vec<Stay> = Vec::new();
        self.live_again(events, &past, until, definitions, &mut |Change { at, cause, body }| match body {
            ChangeBody::SegmentEntered { segment, because } if past.kept.contains(&segment) => stays.push(Stay {
                segment,
                from: at,
                entered_by: cause,
                entered_because: because,
                until: None,
                left_by: None,
                left_because: None,
            }),
            ChangeBody::SegmentLeft { segment, because } => {
                let open = stays.iter_mut().rev().find(|stay| stay.segment == segment && stay.until.is_none());
                if let Some(stay) = open {
                    (stay.until, stay.left_by, stay.left_because) = (Some(at), Some(cause), because);
                }
            }
            ChangeBody::SegmentEntered { .. }
            | ChangeBody::StageChanged { .. }
            | ChangeBody::TierReached { .. }
            | ChangeBody::TierLost { .. }
            | ChangeBody::TierAtRisk { .. }
            | ChangeBody::ConsentChanged { .. } => {}
        });
        stays
    }

    /// Lives a history again up to an instant, and tells what moved.
    pub(super) fn live_again<'a>(
        &self,
        events: impl Iterator<Item = (CustomerId, EventId, Timestamp, &'a EventBody)>,
        past: &Past,
        until: Timestamp,
        definitions: &Definitions,
        told: &mut dyn FnMut(Change),
    ) -> Spells {
        let life = Life::of(events, |id, at| self.waits_for(id, at), until);
        let mut one = Customer { kinship: self.kinship.unborn(), ..Customer::new(self.id) };
        for (_, _, _, fact) in &life.facts {
            if let Fact::Voided(voided) = fact {
                one.facts.void(voided.event);
            }
        }
        let none = SegmentSet::default();
        let (mut facts, mut decisions) = (life.facts.iter().peekable(), life.decisions.iter().peekable());
        let (mut moves, mut changes) = (Vec::new(), Vec::new());
        let first = facts.peek().map(|(at, ..)| *at).into_iter().chain(decisions.peek().map(|(at, ..)| *at)).min();
        let mut now = first.unwrap_or(until);
        let mut cause = Cause::Definition;
        loop {
            while let Some((at, id, member, fact)) = facts.next_if(|(at, ..)| *at <= now) {
                one.watch.touch(fact.touches());
                one.facts.fold_told(*member, *id, *at, fact, definitions, &mut moves, |_, _, _| true);
                cause = Cause::Event(*id);
            }
            while let Some((at, id, member, decision)) = decisions.next_if(|(at, ..)| *at <= now) {
                one.apply_decision_of(*member, *at, decision);
                cause = Cause::Event(*id);
            }
            one.forget_if_erased();
            one.elapse(now, &mut moves);
            let set = past.set_at(now).unwrap_or(&none);
            one.derive_in(set, now, cause, &mut moves, definitions, &mut changes);
            changes.drain(..).for_each(&mut *told);
            let happens = facts.peek().map(|(at, ..)| *at).into_iter().chain(decisions.peek().map(|(at, ..)| *at));
            let alarm = one.next_in_time().filter(|alarm| alarm.due_at > now && alarm.due_at < Timestamp::MAX);
            let defined = past.next_after(now);
            let next = happens.chain(alarm.map(|alarm| alarm.due_at)).chain(defined).min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            cause = alarm.map_or(Cause::Alarm(AlarmKind::Segment), |alarm| Cause::Alarm(alarm.kind));
            if defined == Some(next) {
                // What is counted by may be another.
                one.watch.touch(Inputs::ALL);
                cause = Cause::Definition;
            }
            now = next;
        }
        let of = one.spells.of.iter().filter(|(name, _)| past.kept.contains(*name));
        Spells { mark: past.mark, stale: false, of: of.map(|(name, spell)| (name.clone(), *spell)).collect() }
    }

    /// What time alone does next; points expire by decisions, and what is kept of tiers is looked at by decisions.
    fn next_in_time(&self) -> Option<crate::timer::Alarm> {
        let alarm = |kind| move |due_at| crate::timer::Alarm { due_at, kind };
        let now = self.clock?;
        let lifecycle = self.facts.lifecycle().deadline().map(alarm(AlarmKind::Lifecycle));
        let tiers = self.standing.tier_watch.falls().map(alarm(AlarmKind::Loyalty));
        let segment = self.watch.next().map(alarm(AlarmKind::Segment));
        let consent = self.facts.consents().next_change(now).map(alarm(AlarmKind::Consent));
        [lifecycle, tiers, segment, consent].into_iter().flatten().min()
    }
}

impl Kinship {
    /// The same people before anything was decided about them.
    fn unborn(&self) -> Self {
        match self {
            Kinship::Head(family) => Kinship::Head(Box::new(family.unborn())),
            Kinship::Alone | Kinship::Alias(_) => Kinship::Alone,
        }
    }
}
