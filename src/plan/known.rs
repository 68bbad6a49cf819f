//! By what somebody is known, and by what they will be: that is what may lead to them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crm_core::event::{Event, EventBody, Fact};
use crm_core::identity::IdentifierKey;
use crm_core::{CustomerId, EventId, Timestamp};

use super::{Customer, Need, Planner, identifier_claim};

/// A fact and whose history it is in.
pub(super) type Told<'a> = (CustomerId, EventId, Timestamp, &'a Fact);

/// The facts of a history.
pub(crate) fn told_in(history: &[Event]) -> impl Iterator<Item = Told<'_>> + Clone {
    history.iter().filter_map(|event| match &event.body {
        EventBody::Fact(fact) => Some((event.customer, event.id, event.at, fact)),
        EventBody::Decision(_) | EventBody::Unrecognised { .. } => None,
    })
}

/// By what a fact says that somebody is known, if it is more than their word.
pub(crate) fn proves(fact: &Fact) -> Option<IdentifierKey> {
    let Fact::Identified(identified) = fact else { return None };
    (!identified.assurance.is_stated()).then_some(identified.identifier)
}

/// What somebody is known by no more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disowned {
    pub(crate) identifier: IdentifierKey,
    /// When they will be known by it again, by what waits.
    pub(crate) again_at: Option<Timestamp>,
}

/// By what somebody is known from now on, by a fact that waited.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Come {
    pub(crate) identifier: IdentifierKey,
    /// Of several members the one whom it came through.
    pub(crate) customer: CustomerId,
    pub(crate) event: EventId,
}

/// By what somebody will be known when the facts that wait have happened, and from when on, in that order: not by what was
/// voided until now. `facts` are those of all members, and perhaps of others.
pub(crate) fn to_come<'a>(
    customer: &'a Customer,
    facts: impl Iterator<Item = Told<'a>>,
) -> impl Iterator<Item = (IdentifierKey, Timestamp)> {
    // Of one that several were told it is that of the first of them, as when it happens.
    let mut waiting: BTreeMap<(Timestamp, EventId), (CustomerId, &Fact)> = BTreeMap::new();
    for (member, id, at, fact) in facts {
        if !customer.is(member) || !customer.waits_for(id, at) || customer.is_erased() {
            continue;
        }
        match waiting.entry((at, id)) {
            Entry::Occupied(mut first) if member < first.get().0 => drop(first.insert((member, fact))),
            Entry::Occupied(_) => {}
            Entry::Vacant(place) => drop(place.insert((member, fact))),
        }
    }
    waiting.into_iter().filter_map(|((at, id), (member, fact))| {
        let known = proves(fact).filter(|_| !customer.facts().is_voided(id))?;
        customer.counts(member, &known, at).then_some((known, at))
    })
}

impl<'a> Planner<'a> {
    /// A fact was wrong: if it said by what the customer is known, that may lead to them no more.
    pub(super) fn disown(&mut self, event: EventId) -> Result<(), Need> {
        self.history.ok_or(Need::History)?;
        let told = self.recorded(event).filter_map(|event| match &event.body {
            EventBody::Fact(fact) => proves(fact),
            EventBody::Decision(_) | EventBody::Unrecognised { .. } => None,
        });
        let planned = self.facts.iter().filter(|(_, planned)| planned.id == event);
        let planned = planned.filter_map(|(_, planned)| proves(&planned.fact));
        let identifiers: Vec<IdentifierKey> = told.chain(planned).collect();
        self.disowned.extend(identifiers);
        Ok(())
    }

    /// These lead to the customer no more if they are not known by them after this plan.
    pub(crate) fn may_disown(&mut self, identifiers: Vec<IdentifierKey>) {
        self.disowned.extend(identifiers);
    }

    /// What the customer is known by no more by this plan.
    pub(super) fn take_disowned(&mut self) -> Vec<Disowned> {
        let mut again: BTreeMap<IdentifierKey, Timestamp> = BTreeMap::new();
        for (identifier, at) in to_come(&self.customer, self.told()) {
            again.entry(identifier).or_insert(at);
        }
        let disowned: BTreeSet<IdentifierKey> = std::mem::take(&mut self.disowned).into_iter().collect();
        let known: BTreeSet<IdentifierKey> = self.customer.identifiers().copied().collect();
        let disowned = disowned.difference(&known);
        let disowned: Vec<Disowned> = disowned
            .map(|identifier| Disowned { identifier: *identifier, again_at: again.get(identifier).copied() })
            .collect();
        let gone = disowned.iter().filter(|one| one.again_at.is_none());
        let gone: Vec<_> = gone.map(|one| identifier_claim(&one.identifier)).collect();
        self.claims.retain(|claim| !gone.contains(&claim.key));
        disowned
    }

    /// What the customer is known by from now on and this plan does not claim.
    pub(super) fn take_come(&mut self) -> Vec<Come> {
        let mut come = std::mem::take(&mut self.come);
        come.sort_unstable_by_key(|one| one.identifier);
        come.dedup_by_key(|one| one.identifier);
        let claimed = |one: &Come| self.claims.iter().any(|claim| claim.key == identifier_claim(&one.identifier));
        come.retain(|one| self.customer.identifiers().any(|own| *own == one.identifier) && !claimed(one));
        come
    }

    /// Whether the customer has an identifier, or is to have it by this plan.
    pub(super) fn is_known_by(&self, identifier: &IdentifierKey) -> bool {
        let key = identifier_claim(identifier);
        self.customer.identifiers().any(|own| own == identifier) || self.claims.iter().any(|claim| claim.key == key)
    }

    /// The facts of the history, as far as it is at hand, and those of this plan.
    fn told(&self) -> impl Iterator<Item = Told<'_>> {
        let planned = self.facts.iter().map(|(member, planned)| (*member, planned.id, planned.at, &planned.fact));
        told_in(self.history.unwrap_or_default()).chain(planned)
    }
}
