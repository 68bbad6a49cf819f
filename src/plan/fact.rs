//! What a fact does.

use crm_core::change::Cause;
use crm_core::consent::Arrival;
use crm_core::customer::OrdersTouched;
use crm_core::event::{Deed, EVENT_SHAPE, Event, EventBody, Fact};
use crm_core::identity::{IdentifierAttached, IdentifierKey};
use crm_core::relationship::{TIES_MAX, TieError};
use crm_core::segment::{Enlisted, ListError, Unlisted};
use crm_core::workflow::Actor;
use crm_core::{CustomerId, EventId, Source, Timestamp};
use crm_storage::EventRow;

use super::known::{Come, proves, told_in};
use super::{Chain, Customer, FactRefusal, Need, Outcome, Planner, identifier_claim, number_claim};
use crate::workflow::Trigger;

/// A fact with its id.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) id: EventId,
    pub(crate) at: Timestamp,
    pub(crate) source: Source,
    pub(crate) fact: Fact,
}

impl<'a> Planner<'a> {
    /// Takes in a fact: first works off what was due before it, then folds it, then what follows. A fact
    /// that comes late is noted, and folded with others that do by [`catch_up`](Self::catch_up): it takes
    /// the whole history, and once is enough for many.
    pub(crate) fn fact(&mut self, incoming: &'a Prepared) -> Result<Outcome, Need> {
        let Prepared { id, at, source, fact } = incoming;
        let (id, at) = (*id, *at);
        if let Some(outcome) = self.known(incoming) {
            return Ok(outcome);
        }
        if let Err(refusal) = self.check(at, fact) {
            return Ok(Outcome::Refused(refusal));
        }
        if let Fact::Tied(tied) = fact
            && self.customer.facts().ties().is_full_for(self.through, tied)
        {
            // It may have been recorded before, when there was room.
            let refusal = TieError::TooMany { customer: self.customer.id(), max: TIES_MAX };
            return self.history.map(|_| Outcome::Refused(refusal.into())).ok_or(Need::History);
        }
        if self.history.is_none() && (self.customer.waits_for(id, at) || self.customer.may_have_told(id)) {
            // It was recorded before, of somebody who was merged perhaps through another one, and with another time.
            return Err(Need::History);
        }
        let from_the_future = at > self.context.now.max(self.instant());
        if !from_the_future && self.customer.clock().is_some_and(|clock| clock < at) {
            self.catch_up()?;
            self.elapse(at)?;
        }
        let mut in_order = self.customer.facts().takes(id, at, fact);
        if in_order && !self.late.is_empty() {
            self.catch_up()?;
            in_order = self.customer.facts().takes(id, at, fact);
        }
        if !from_the_future && !in_order && self.history.is_none() {
            return Err(Need::History);
        }
        if let Some(number) = number_claim(fact).filter(|_| !self.owns_number) {
            self.claim(number, id);
        }
        // What the customer merely stated leads to nobody, and nothing leads to somebody who was erased.
        if let Fact::Identified(identified) = fact
            && !identified.assurance.is_stated()
            && !self.customer.is_erased()
            && !self.customer.facts().is_voided(id)
            && self.customer.counts(self.through, &identified.identifier, at)
            && !self.is_known_by(&identified.identifier)
        {
            let key = identifier_claim(&identified.identifier);
            if self.customer.waiting().next().is_some() {
                self.perhaps_owned.push(key.clone());
            }
            self.claim(key, id);
        }
        if let Fact::Voided(voided) = fact
            && !from_the_future
        {
            self.disown(voided.event)?;
        }
        let event = EventRow {
            id,
            at,
            recorded_at: self.context.now,
            kind: fact.kind(),
            shape: EVENT_SHAPE,
            source: Some(source.clone()),
            cause: None,
            body: fact.encode(),
        };
        self.write(self.through, event);
        self.facts.push((self.through, incoming));
        self.next = None;
        if from_the_future {
            let is_new = self.customer.clock().is_none();
            // Somebody new has to have a time for the fact to lie ahead of.
            if is_new {
                self.customer.elapse(self.context.now, &mut self.moves);
            }
            self.customer.wait_for(id, at);
            // And there are segments for those to whom nothing happened so far.
            if is_new {
                self.settle(self.context.now, Cause::Event(id), OrdersTouched::None)?;
                self.react()?;
            }
        } else if in_order {
            self.happen(self.through, id, at, fact)?;
        } else {
            self.earn(self.through, id, at, fact);
            self.late.push(incoming);
        }
        Ok(Outcome::Recorded)
    }

    /// The same for a fact that comes through one certain member.
    pub(crate) fn fact_through(&mut self, member: CustomerId, incoming: &'a Prepared) -> Result<Outcome, Need> {
        let through = std::mem::replace(&mut self.through, member);
        let outcome = self.fact(incoming);
        self.through = through;
        outcome
    }

    /// Folds the facts that came late, all at once, with everything else.
    pub(crate) fn catch_up(&mut self) -> Result<(), Need> {
        let late = std::mem::take(&mut self.late);
        let Some(last) = late.last() else { return Ok(()) };
        let touched = self.refold(last.at)?;
        for fact in &late {
            self.tell_scores(&fact.fact);
            if self.anyone_listens(&fact.fact.kind()) && !self.customer.facts().is_voided(fact.id) {
                self.trigger(Trigger::of_fact(fact.id, fact.at, &fact.fact), Some(fact.id), &Chain::NEW);
            }
        }
        let instant = self.instant();
        self.settle(instant, Cause::Event(last.id), touched)?;
        self.react()?;
        Ok(())
    }

    /// A fact that waited happens now.
    pub(super) fn come_due(&mut self, id: EventId, at: Timestamp) -> Result<(), Need> {
        if self.history.is_none() {
            return Err(Need::History);
        }
        // Of one that several were told it is that of the first of them, as when all are folded anew.
        let of_then = self.recorded(id).filter(|event| event.at == at);
        let stored = of_then.min_by_key(|event| event.customer).and_then(|event| match &event.body {
            EventBody::Fact(fact) => Some((event.customer, fact)),
            EventBody::Decision(_) | EventBody::Unrecognised { .. } => None,
        });
        let planned = self.facts.iter().find(|(_, planned)| planned.id == id);
        let planned = || planned.map(|(member, planned)| (*member, &planned.fact));
        self.customer.stop_waiting(id, at);
        self.next = None;
        match stored.or_else(planned) {
            Some((member, fact)) => {
                if let Fact::Voided(voided) = fact {
                    self.disown(voided.event)?;
                }
                self.come.extend(proves(fact).map(|identifier| Come { identifier, customer: member, event: id }));
                self.happen(member, id, at, fact)
            }
            // An event that cannot be read any more does nothing.
            None => Ok(()),
        }
    }

    /// Works out what a fact earns before it is folded: the same that a quote told.
    fn earn(&mut self, member: CustomerId, id: EventId, at: Timestamp, fact: &Fact) {
        let earned = self.customer.earned_by(member, id, at, fact, &self.earned, self.context.definitions);
        self.earned.extend(earned);
    }

    /// A fact may make scores due, as of now: whatever came late was not known when they were made.
    fn tell_scores(&mut self, fact: &Fact) {
        let at = self.instant();
        self.customer.tell_scores(&fact.kind(), at, self.context.definitions);
        self.next = None;
    }

    /// Folds a fact, brings everything else in line with it, and lets workflows react.
    fn happen(&mut self, member: CustomerId, id: EventId, at: Timestamp, fact: &Fact) -> Result<(), Need> {
        self.earn(member, id, at, fact);
        let touched = if self.customer.facts().takes(id, at, fact) {
            self.customer.fold_fact(member, id, at, fact, self.context.definitions, &mut self.moves)
        } else {
            self.refold(at)?
        };
        self.tell_scores(fact);
        if self.anyone_listens(&fact.kind()) && !self.customer.facts().is_voided(id) {
            self.trigger(Trigger::of_fact(id, at, fact), Some(id), &Chain::NEW);
        }
        let instant = self.instant();
        self.settle(instant, Cause::Event(id), touched)?;
        self.react()?;
        Ok(())
    }

    /// Folds all facts anew, those of this plan included.
    pub(super) fn refold(&mut self, until: Timestamp) -> Result<OrdersTouched, Need> {
        let history = self.history.ok_or(Need::History)?;
        let planned = self.facts.iter().map(|(member, planned)| (*member, planned.id, planned.at, &planned.fact));
        self.customer.refold(told_in(history).chain(planned), until, self.context.definitions);
        self.moves.clear();
        self.next = None;
        Ok(OrdersTouched::Gone)
    }

    /// Whether the fact was recorded before, as far as the state, this plan and the history tell. A fact
    /// later than all others cannot have been, unless it has changed its time; the store notices that.
    fn known(&self, incoming: &Prepared) -> Option<Outcome> {
        let same = |same: bool| match same {
            true => Outcome::Known,
            false => Outcome::Refused(FactRefusal::OtherContent { event: incoming.id }),
        };
        if let Some((_, planned)) = self.facts.iter().find(|(_, planned)| planned.id == incoming.id) {
            return Some(same(planned.at == incoming.at && planned.fact == incoming.fact));
        }
        let equal = |event: &Event| {
            event.at == incoming.at && matches!(&event.body, EventBody::Fact(fact) if *fact == incoming.fact)
        };
        let mut recorded = self.recorded(incoming.id).peekable();
        if recorded.peek().is_some() {
            return Some(same(recorded.any(equal)));
        }
        if let Fact::OrderPlaced(placed) = &incoming.fact
            && let Some(order) = self.customer.facts().orders().told_by(incoming.id, incoming.at)
        {
            return Some(same(order.total == placed.total && order.order == placed.order));
        }
        // A number that an earlier plan took is noticed by the store.
        let number = number_claim(&incoming.fact)?;
        let has_it = |(_, planned): &&(CustomerId, &Prepared)| number_claim(&planned.fact).as_ref() == Some(&number);
        let (_, taken) = self.facts.iter().find(has_it)?;
        FactRefusal::number_taken(&incoming.fact, self.customer.id(), taken.id).map(Outcome::Refused)
    }

    /// The customer as planned so far.
    pub(crate) const fn customer(&self) -> &Customer {
        &self.customer
    }

    /// Notes an identifier that a fact came with. One that leads to the customer is theirs from now on.
    pub(crate) fn attach(&mut self, attached: IdentifierAttached, cause: Option<EventId>) {
        let (identifier, stated) = (attached.identifier, attached.assurance.is_stated());
        let known = self.is_known_by(&identifier);
        if known || (stated && self.customer.stated_identifiers().any(|own| *own == identifier)) {
            return;
        }
        let deed = Deed::IdentifierAttached(attached);
        let event = self.decide_of(self.through, self.instant(), Actor::Rule, deed, cause, &Chain::NEW);
        if !stated {
            self.claim(identifier_claim(&identifier), event);
        }
    }

    /// Records a decision of ours.
    pub(crate) fn decide_now(&mut self, deed: Deed, cause: Option<EventId>) {
        self.decide_of(self.through, self.instant(), Actor::Rule, deed, cause, &Chain::NEW);
    }

    /// Records a decision and nothing else, after what is due; more may come.
    pub(crate) fn note_now(&mut self, by: &Actor, deed: Deed) -> Result<(), Need> {
        self.elapse(self.context.now)?;
        self.decide_of(self.through, self.instant(), by.clone(), deed, None, &Chain::NEW);
        Ok(())
    }

    /// Introduces a new customer by the identifier that they came with.
    pub(crate) fn introduce(&mut self, identifier: IdentifierKey, cause: EventId) {
        if self.is_known_by(&identifier) {
            return;
        }
        let deed = Deed::IdentifierAttached(IdentifierAttached::new(identifier));
        let event = self.decide_of(self.through, self.instant(), Actor::Rule, deed, Some(cause), &Chain::NEW);
        self.claim(identifier_claim(&identifier), event);
    }

    /// An event of the history, if that is at hand; several members may have been told it, each a side of it.
    pub(super) fn recorded(&self, id: EventId) -> impl Iterator<Item = &'a Event> + use<'a> {
        let found = self.places.get(&id).and_then(|place| self.history?.get(*place));
        let (one, all) = if self.customer.is_merged() { (None, found.and(self.history)) } else { (found, None) };
        one.into_iter().chain(all.into_iter().flatten().filter(move |event| event.id == id))
    }

    fn check(&self, at: Timestamp, fact: &Fact) -> Result<(), FactRefusal> {
        fact.check()?;
        crm_core::contract::check(fact, at)?;
        let arrival = if self.context.quiet { Arrival::History } else { Arrival::Live };
        crm_core::consent::check(fact, at, arrival, self.context.definitions)?;
        if fact.is_of_tie() && !self.both_sides {
            return Err(TieError::OneSided.into());
        }
        if let Fact::AttributeSet(set) = fact {
            self.context.definitions.check_attribute(set, at)?;
        }
        if let Fact::Enlisted(Enlisted { list }) | Fact::Unlisted(Unlisted { list }) = fact
            && self.context.definitions.list(list, at).is_none()
        {
            return Err(ListError::Undeclared { list: list.clone() }.into());
        }
        if let Fact::Custom(custom) = fact {
            let undeclared = || crm_core::custom::CustomError::Undeclared { kind: custom.kind.clone() };
            self.context.definitions.kind(&custom.kind, at).ok_or_else(undeclared)?.check(custom)?;
        }
        Ok(())
    }
}
