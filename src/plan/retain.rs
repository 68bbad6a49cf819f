//! What retention decides when time is let pass.

use std::collections::BTreeSet;

use crm_core::customer::Customer;
use crm_core::event::Deed;
use crm_core::identity::IdentifierKey;
use crm_core::privacy::{Erased, Forgotten, Removal, Removed, RetentionAction, RetentionDue, RetentionMark};
use crm_core::workflow::Actor;
use crm_core::{Alarm, CustomerId, EventId};

use super::{Chain, Need, Plan, Planner};

/// What has to be done besides committing the plan.
#[derive(Debug, Clone)]
pub(crate) enum RetentionStep {
    /// The plan decides that something goes: what leads to the customer by it goes in the same commit.
    Decided(Box<RetentionDue>),
    /// It was decided before, and rows are still to be removed.
    Remove,
}

impl Planner<'_> {
    /// Heeds retention. What there is to do is in [`step`](Self::step) then, and ends the plan.
    pub(crate) fn retaining(mut self) -> Self {
        self.retaining = true;
        self
    }

    /// What retention has to do besides what is planned.
    pub(crate) fn step(&mut self) -> Option<RetentionStep> {
        self.step.take()
    }

    /// Retention has something to do. Answers whether the plan ends here.
    pub(super) fn retain(&mut self, alarm: Alarm) -> Result<bool, Need> {
        if self.customer.removal().is_some() {
            self.step = Some(RetentionStep::Remove);
            return Ok(true);
        }
        let at = self.instant().max(alarm.due_at);
        let waits = self.customer.fact_due(at).is_some();
        let due = self.customer.retention_due(at, self.context.definitions);
        if let Some(due) = due.filter(|_| !waits) {
            self.customer.elapse(at, &mut self.moves);
            for (member, deed) in deeds(&self.customer, &due, at) {
                self.decide_of(member, at, Actor::Rule, deed, None, &Chain::NEW);
            }
            self.step = Some(RetentionStep::Decided(Box::new(due)));
        }
        // Stage and segments follow as with every alarm; a fact that waited for this instant comes first.
        self.ring(alarm)?;
        Ok(!waits)
    }

    /// Notes that rows are gone which it was decided to remove.
    pub(crate) fn removed(mut self, removal: &Removal) -> Option<Plan> {
        for member in self.customer.members().collect::<Vec<CustomerId>>() {
            let deed = Deed::Removed(Removed { policy: removal.mark.policy.clone() });
            self.decide_of(member, removal.mark.at, Actor::Rule, deed, None, &Chain::NEW);
        }
        self.finish()
    }

    /// Records decisions about members and nothing else, after what is due.
    pub(crate) fn note_of(mut self, by: &Actor, deeds: Vec<(CustomerId, Deed)>) -> Result<Option<Plan>, Need> {
        self.elapse(self.context.now)?;
        for (member, deed) in deeds {
            self.decide_of(member, self.instant(), by.clone(), deed, None, &Chain::NEW);
        }
        Ok(self.finish())
    }
}

impl Plan {
    /// The first event of a kind that it has for a member.
    pub(crate) fn event_of(&self, member: CustomerId, kind: &str) -> Option<EventId> {
        let own = self.events.iter().filter(|_| member == self.customer.id());
        let others = self.others.iter().filter(|(of, _)| *of == member).map(|(_, event)| event);
        own.chain(others).find(|event| event.kind == kind).map(|event| event.id)
    }
}

/// What is decided about each member when something is due.
fn deeds(customer: &Customer, due: &RetentionDue, at: crm_core::Timestamp) -> Vec<(CustomerId, Deed)> {
    let policy = due.policy.clone();
    let deed = match &due.then {
        RetentionAction::Forget(what) => {
            let fields = due.fields;
            let identifiers: BTreeSet<IdentifierKey> = due.identifiers.clone();
            let card = if fields { what.card.clone() } else { BTreeSet::new() };
            let personal = if fields { what.personal.clone() } else { BTreeSet::new() };
            Deed::Forgotten(Forgotten { policy: Some(policy), at, card, personal, identifiers })
        }
        RetentionAction::Erase => {
            Deed::Erased(Erased { reason: None, forced: false, retention: Some(RetentionMark { policy, at }) })
        }
    };
    customer.members().map(|member| (member, deed.clone())).collect()
}
