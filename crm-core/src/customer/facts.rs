//! The fold of a customer's facts. It depends on the set of facts, the definitions and the time that
//! has passed, and not on the order in which the facts became known.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::consent::ConsentBook;
use crate::contract::Contracts;
use crate::custom::KindName;
use crate::declared::{DeclaredName, DeclaredValue};
use crate::definitions::Definitions;
use crate::event::Fact;
use crate::expression::Events;
use crate::flat::{FlatMap, FlatSet};
use crate::id::{CustomerId, EventId};
use crate::identity::{Held, IdentifierKey, Seen};
use crate::interaction::Instants;
use crate::lifecycle::{Lifecycle, StageMove};
use crate::messaging::{MessageDirection, Messages};
use crate::order::{Effect, Orders};
use crate::profile::Party;
use crate::relationship::Ties;
use crate::segment::ListName;
use crate::service::Cases;
use crate::text::Tag;
use crate::time::Timestamp;

/// What a customer's facts come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactState {
    first_at: Option<Timestamp>,
    last: Option<(Timestamp, EventId)>,
    last_active: Option<Timestamp>,
    visits: Instants,
    enquiries: Instants,
    carts: Instants,
    custom: FlatMap<KindName, Instants>,
    identifiers: Held,
    tags: FlatSet<Tag>,
    lists: FlatSet<ListName>,
    orders: Orders,
    lifecycle: Lifecycle,
    consents: ConsentBook,
    ties: Ties,
    /// What was voided, known or not.
    voided: FlatSet<EventId>,
    /// When something was last voided.
    last_voided: Option<Timestamp>,
    /// What the newest description says.
    party: Option<Box<Party>>,
    /// What most customers have nothing of.
    beside: Option<Box<Beside>>,
    contracts: Contracts,
}

/// What most customers have nothing of. It lies apart, so that a state without it is moved about as quickly.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Beside {
    /// What was told last of each declared attribute.
    declared: FlatMap<DeclaredName, DeclaredValue>,
    messages: Messages,
    cases: Cases,
}

static NOTHING: LazyLock<Beside> = LazyLock::new(Beside::default);

/// Which orders a fact changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrdersTouched {
    /// None.
    None,
    /// The newest one, which is new.
    Newest,
    /// Any of those that are there.
    Any,
    /// Any, and some may be gone.
    Gone,
}

impl FactState {
    /// When the first fact happened.
    #[must_use]
    pub const fn first_at(&self) -> Option<Timestamp> {
        self.first_at
    }

    /// When a fact was last taken back.
    #[must_use]
    pub const fn last_voided(&self) -> Option<Timestamp> {
        self.last_voided
    }

    /// When the last fact happened.
    #[must_use]
    pub fn last_at(&self) -> Option<Timestamp> {
        self.last.map(|(at, _)| at)
    }

    /// When the customer last did something: see [`Fact::is_activity`].
    #[must_use]
    pub const fn last_active(&self) -> Option<Timestamp> {
        self.last_active
    }

    /// How many visits there were.
    #[must_use]
    pub const fn visits(&self) -> u32 {
        self.visits.count()
    }

    /// How many enquiries there were.
    #[must_use]
    pub const fn enquiries(&self) -> u32 {
        self.enquiries.count()
    }

    /// How often a cart was filled or changed.
    #[must_use]
    pub const fn carts(&self) -> u32 {
        self.carts.count()
    }

    /// How many facts of a shop-defined kind there were.
    #[must_use]
    pub fn custom(&self, kind: &KindName) -> u32 {
        self.custom.get(kind).map_or(0, Instants::count)
    }

    /// When something happened, as far as the state remembers, in several lists if it is of several kinds. Orders are
    /// not among it, nor are cases that are open, which happen all the time.
    pub(crate) fn all_instants(&self, what: &Events) -> SmallVec<[&Instants; 1]> {
        match what {
            Events::Visits | Events::Enquiries | Events::Carts | Events::Custom(_) => {
                self.instants(what).into_iter().collect()
            }
            Events::Messages(of) => self.messages().instants(of.direction, of.channel).collect(),
            Events::Cases(kind) => self.cases().opened(*kind).collect(),
            Events::Orders | Events::OrdersOf(_) | Events::OrdersIn(_) | Events::OpenCases(_) => SmallVec::new(),
        }
    }

    /// When something of one kind happened, as far as the state remembers; none where it never did, and of what is of
    /// several kinds: orders, messages and cases.
    #[must_use]
    pub fn instants(&self, what: &Events) -> Option<&Instants> {
        match what {
            Events::Visits => Some(&self.visits),
            Events::Enquiries => Some(&self.enquiries),
            Events::Carts => Some(&self.carts),
            Events::Custom(kind) => self.custom.get(kind),
            Events::Messages(_)
            | Events::Cases(_)
            | Events::OpenCases(_)
            | Events::Orders
            | Events::OrdersOf(_)
            | Events::OrdersIn(_) => None,
        }
    }

    /// Messages that went either way.
    #[must_use]
    pub fn messages(&self) -> &Messages {
        &self.beside().messages
    }

    /// Cases, those that are open among them.
    #[must_use]
    pub fn cases(&self) -> &Cases {
        &self.beside().cases
    }

    fn beside(&self) -> &Beside {
        self.beside.as_deref().unwrap_or(&NOTHING)
    }

    fn beside_mut(&mut self) -> &mut Beside {
        self.beside.get_or_insert_default()
    }

    /// Whether a fact was voided, known or not.
    #[must_use]
    pub fn is_voided(&self, fact: EventId) -> bool {
        self.voided.contains(&fact)
    }

    /// What the source says the customer is known by; without what they merely stated.
    pub fn identifiers(&self) -> impl Iterator<Item = &IdentifierKey> {
        self.identifiers.known()
    }

    /// When and how an identifier was told, known by it or merely stated.
    #[must_use]
    pub fn seen(&self, identifier: &IdentifierKey) -> Option<&Seen> {
        self.identifiers.get(identifier)
    }

    pub(super) const fn held(&self) -> &Held {
        &self.identifiers
    }

    pub(super) fn forget_identifier(&mut self, key: &IdentifierKey) {
        self.identifiers.forget(key);
    }

    pub(super) fn forget_person(&mut self) {
        self.identifiers = Held::default();
        self.ties = Ties::default();
        if let Some(beside) = &mut self.beside {
            beside.declared = FlatMap::default();
        }
        self.consents.forget_addresses();
    }

    /// The tags that the shop put on.
    pub fn tags(&self) -> impl Iterator<Item = &Tag> {
        self.tags.iter()
    }

    /// The lists that the shop put the customer on.
    pub fn lists(&self) -> impl Iterator<Item = &ListName> {
        self.lists.iter()
    }

    /// Whether the shop put the customer on a list.
    #[must_use]
    pub fn is_on(&self, list: &ListName) -> bool {
        self.lists.contains(list)
    }

    pub(crate) fn is_on_list_named(&self, list: &str) -> bool {
        self.lists.contains(list)
    }

    /// What kind of party the shop says it is; none if it never said.
    #[must_use]
    pub fn party(&self) -> Option<&Party> {
        self.party.as_deref()
    }

    /// What is known of an attribute that the shop declared.
    #[must_use]
    pub fn declared(&self, attribute: &DeclaredName) -> Option<&DeclaredValue> {
        self.beside().declared.get(attribute)
    }

    /// All that is known of attributes that the shop declared, by name.
    pub fn all_declared(&self) -> impl Iterator<Item = (&DeclaredName, &DeclaredValue)> {
        self.beside().declared.iter()
    }

    /// Orders and refunds.
    #[must_use]
    pub const fn orders(&self) -> &Orders {
        &self.orders
    }

    /// Contracts and their terms.
    #[must_use]
    pub const fn contracts(&self) -> &Contracts {
        &self.contracts
    }

    /// What was said about consent.
    #[must_use]
    pub const fn consents(&self) -> &ConsentBook {
        &self.consents
    }

    /// The life cycle.
    #[must_use]
    pub const fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// Ties to other customers.
    #[must_use]
    pub const fn ties(&self) -> &Ties {
        &self.ties
    }

    /// Whether the source says that the customer is known by an identifier.
    #[must_use]
    pub fn has_identifier(&self, identifier: &IdentifierKey) -> bool {
        self.identifiers.resolves(identifier)
    }

    /// A fact never happened, known or not.
    pub(super) fn void(&mut self, fact: EventId) {
        self.voided.insert(fact);
    }

    pub(super) fn has_tag(&self, tag: &str) -> bool {
        self.tags.contains(tag)
    }

    /// Whether a fact can be folded on top of those that are there. If not, all have to be folded anew.
    #[must_use]
    pub fn takes(&self, id: EventId, at: Timestamp, fact: &Fact) -> bool {
        // Voiding takes something out from the middle, unless there is nothing yet.
        let voids = matches!(fact, Fact::Voided(_)) && self.first_at.is_some();
        let late =
            self.last.is_some_and(|last| (at, id) <= last) || self.lifecycle.since().is_some_and(|since| at < since);
        !voids && !late
    }

    /// Lets time pass.
    pub fn elapse(&mut self, until: Timestamp, moves: &mut Vec<StageMove>) {
        self.lifecycle.elapse(until, moves);
    }

    /// Folds a fact that [`takes`](Self::takes) accepts, and that came through a member; a voided one is passed
    /// over.
    pub fn fold(
        &mut self,
        member: CustomerId,
        id: EventId,
        at: Timestamp,
        fact: &Fact,
        definitions: &Definitions,
        moves: &mut Vec<StageMove>,
    ) -> OrdersTouched {
        self.fold_told(member, id, at, fact, definitions, moves, |_, _, _| true)
    }

    /// The same, where `counts` answers whether it counts that a member was told to be known by an identifier at an
    /// instant: it may have been forgotten since.
    #[allow(clippy::too_many_arguments, reason = "each is needed, and none belongs to another")]
    pub(super) fn fold_told(
        &mut self,
        member: CustomerId,
        id: EventId,
        at: Timestamp,
        fact: &Fact,
        definitions: &Definitions,
        moves: &mut Vec<StageMove>,
        counts: impl Fn(CustomerId, &IdentifierKey, Timestamp) -> bool,
    ) -> OrdersTouched {
        if let Fact::Voided(voided) = fact {
            self.voided.insert(voided.event);
            self.last_voided = self.last_voided.max(Some(at));
            return OrdersTouched::Gone;
        }
        if self.voided.contains(&id) && !fact.is_of_tie() {
            let Fact::OrderPlaced(placed) = fact else { return OrdersTouched::None };
            self.orders.never_was(placed);
            // It may have been paid for already.
            return OrdersTouched::Any;
        }
        self.elapse(at, moves);
        self.first_at.get_or_insert(at);
        self.last = Some((at, id));
        if fact.is_activity() {
            self.last_active = Some(at);
        }
        let touched = match fact {
            Fact::Visited(_) => {
                self.visits.note(at);
                if self.repeated(&Events::Visits, at, definitions) {
                    self.interest(id, at, definitions, moves);
                }
                OrdersTouched::None
            }
            Fact::Enquired(_) => {
                self.enquiries.note(at);
                if self.policy(at, definitions).intent.enquiries {
                    self.interest(id, at, definitions, moves);
                }
                OrdersTouched::None
            }
            Fact::CartUpdated(cart) => {
                self.carts.note(at);
                if cart.items > 0 && self.policy(at, definitions).intent.carts {
                    self.interest(id, at, definitions, moves);
                }
                OrdersTouched::None
            }
            Fact::OrderPlaced(placed) => {
                let effect = self.orders.place(id, at, placed);
                let window = self.policy(at, definitions).quiet_after;
                self.lifecycle.ordered(at, id, window, moves);
                self.undone_if(effect, id, at, moves);
                // An order that a refund was waiting for may not stand: the window runs from one that does. It may
                // also be another than the fixed one.
                self.bought_last(at, definitions, moves);
                OrdersTouched::Newest
            }
            Fact::PaymentReceived(payment) => {
                self.orders.pay(payment);
                OrdersTouched::None
            }
            Fact::Refunded(refund) => {
                let effect = self.orders.refund(refund);
                self.undone_if(effect, id, at, moves);
                self.bought_last(at, definitions, moves);
                OrdersTouched::Any
            }
            Fact::OrderDelivered(delivered) => {
                self.orders.deliver(at, &delivered.order);
                OrdersTouched::Any
            }
            Fact::Tagged(tagged) => {
                self.tags.insert(tagged.tag.clone());
                OrdersTouched::None
            }
            Fact::Untagged(untagged) => {
                self.tags.remove(&untagged.tag);
                OrdersTouched::None
            }
            Fact::Enlisted(enlisted) => {
                self.lists.insert(enlisted.list.clone());
                OrdersTouched::None
            }
            Fact::Unlisted(unlisted) => {
                self.lists.remove(&unlisted.list);
                OrdersTouched::None
            }
            Fact::PartyDescribed(described) => {
                self.party = Some(Box::new(described.party.clone()));
                OrdersTouched::None
            }
            Fact::MessageReceived(message) => {
                self.beside_mut().messages.note(MessageDirection::Received, message.channel, at);
                OrdersTouched::None
            }
            Fact::CaseOpened(opened) => {
                self.beside_mut().cases.fold_opened(at, opened);
                OrdersTouched::None
            }
            Fact::CaseClosed(closed) => {
                self.beside_mut().cases.fold_closed(closed);
                OrdersTouched::None
            }
            Fact::CaseReopened(reopened) => {
                self.beside_mut().cases.fold_reopened(at, &reopened.case);
                OrdersTouched::None
            }
            Fact::AttributeSet(set) => {
                let declared = &mut self.beside_mut().declared;
                match &set.value {
                    Some(value) => declared.insert(set.attribute.clone(), value.clone()),
                    None => drop(declared.remove(&set.attribute)),
                }
                OrdersTouched::None
            }
            Fact::Custom(custom) => {
                self.custom.get_or_default(&custom.kind).note(at);
                let schema = definitions.kind(&custom.kind, at);
                let repeated = self.repeated(&Events::Custom(custom.kind.clone()), at, definitions);
                if repeated || schema.is_some_and(|schema| schema.shows_interest) {
                    self.interest(id, at, definitions, moves);
                }
                if schema.is_some_and(|schema| schema.ends_relation) {
                    self.lifecycle.ended(at, id, moves);
                }
                OrdersTouched::None
            }
            Fact::Identified(identified) => {
                if counts(member, &identified.identifier, at) {
                    self.identifiers.note(identified.identifier, identified.scope, at, &identified.assurance);
                }
                OrdersTouched::None
            }
            Fact::Tied(tied) => {
                self.ties.tie(member, at, tied);
                OrdersTouched::None
            }
            Fact::Untied(untied) => {
                self.ties.untie(member, at, untied);
                OrdersTouched::None
            }
            Fact::ConsentGiven(_)
            | Fact::ConsentRefused(_)
            | Fact::ConsentWithdrawn(_)
            | Fact::ConsentRequested(_)
            | Fact::Restricted(_)
            | Fact::RestrictionLifted(_)
            | Fact::Objected(_)
            | Fact::ObjectionWithdrawn(_)
            | Fact::Contacted(_)
            | Fact::SuppressionLifted(_) => {
                if let Fact::Contacted(contact) = fact {
                    self.beside_mut().messages.note(MessageDirection::Sent, contact.channel, at);
                }
                self.consents.fold(member, id, at, fact, definitions);
                OrdersTouched::None
            }
            Fact::ContractSigned(signed) => {
                let grace = self.policy(at, definitions).contract_grace;
                self.contracts.sign(id, at, signed, grace);
                self.contracted(id, at, definitions, moves);
                OrdersTouched::None
            }
            Fact::ContractRenewed(renewed) => {
                let grace = self.policy(at, definitions).contract_grace;
                self.contracts.renew(id, at, renewed, grace);
                self.contracted(id, at, definitions, moves);
                OrdersTouched::None
            }
            Fact::ContractEnded(ended) => {
                let was = self.contracts.held_until();
                self.contracts.end(id, at, ended);
                if self.contracts.held_until() != was && self.held_until(definitions).is_none_or(|until| until <= at) {
                    self.lifecycle.ended(at, id, moves);
                }
                self.bought_last(at, definitions, moves);
                OrdersTouched::None
            }
            // The card lies apart, sealed. The other is handled above.
            Fact::CardChanged(_) | Fact::Voided(_) => OrdersTouched::None,
        };
        self.lifecycle.contact(at, id, moves);
        touched
    }

    /// Folds facts from nothing, each with the member that it came through, in any order, up to an instant;
    /// later ones are left out.
    #[must_use]
    pub fn refold<'a>(
        facts: impl Iterator<Item = (CustomerId, EventId, Timestamp, &'a Fact)>,
        until: Timestamp,
        definitions: &Definitions,
    ) -> Self {
        Self::refold_told(facts, until, definitions, |_, _, _| true)
    }

    /// The same, where `counts` is as for [`fold_told`](Self::fold_told).
    pub(super) fn refold_told<'a>(
        facts: impl Iterator<Item = (CustomerId, EventId, Timestamp, &'a Fact)>,
        until: Timestamp,
        definitions: &Definitions,
        counts: impl Fn(CustomerId, &IdentifierKey, Timestamp) -> bool + Copy,
    ) -> Self {
        Self::refold_noting(facts, until, definitions, counts).0
    }

    /// The moves from stage to stage as the past is known now, in the order in which they were made: what late facts
    /// corrected is corrected where it happened, other than in the changes that a store keeps. Facts are given as for
    /// [`refold`](Self::refold), and it costs as much.
    #[must_use]
    pub fn stage_moves<'a>(
        facts: impl Iterator<Item = (CustomerId, EventId, Timestamp, &'a Fact)>,
        until: Timestamp,
        definitions: &Definitions,
    ) -> Vec<StageMove> {
        Self::refold_noting(facts, until, definitions, |_, _, _| true).1
    }

    fn refold_noting<'a>(
        facts: impl Iterator<Item = (CustomerId, EventId, Timestamp, &'a Fact)>,
        until: Timestamp,
        definitions: &Definitions,
        counts: impl Fn(CustomerId, &IdentifierKey, Timestamp) -> bool + Copy,
    ) -> (Self, Vec<StageMove>) {
        let mut facts: Vec<_> = facts.filter(|(_, _, at, _)| *at <= until).collect();
        facts.sort_unstable_by_key(|(member, id, at, _)| (*at, *id, *member));
        facts.dedup_by_key(|(_, id, at, _)| (*at, *id));
        let mut state = FactState::default();
        for (_, _, _, fact) in &facts {
            if let Fact::Voided(voided) = fact {
                state.void(voided.event);
            }
        }
        let mut moves = Vec::new();
        for (member, id, at, fact) in facts {
            state.fold_told(member, id, at, fact, definitions, &mut moves, counts);
        }
        state.elapse(until, &mut moves);
        (state, moves)
    }

    fn interest(&mut self, id: EventId, at: Timestamp, definitions: &Definitions, moves: &mut Vec<StageMove>) {
        let window = self.policy(at, definitions).intent_fades_after;
        self.lifecycle.interest(at, id, window, moves);
    }

    /// A contract was signed or renewed. One whose term is over already changes nothing that lasts.
    fn contracted(&mut self, id: EventId, at: Timestamp, definitions: &Definitions, moves: &mut Vec<StageMove>) {
        self.lifecycle.contracted(at, id, moves);
        self.bought_last(at, definitions, moves);
    }

    /// Until when the newest order that stands, or a contract, keeps the customer in purchase; none if neither is there.
    fn held_until(&mut self, definitions: &Definitions) -> Option<Timestamp> {
        let newest = self.orders.standing_newest_first().next().map(|order| order.placed_at);
        let bought = newest.map(|placed_at| {
            let policy = self.policy(placed_at, definitions);
            placed_at.plus(policy.quiet_window(self.orders.standing_newest_first().map(|order| order.placed_at)))
        });
        bought.max(self.contracts.held_until())
    }

    /// What keeps the customer in purchase may last until another instant now, and that may be over.
    fn bought_last(&mut self, at: Timestamp, definitions: &Definitions, moves: &mut Vec<StageMove>) {
        if let Some(until) = self.held_until(definitions) {
            self.lifecycle.held(until);
            self.lifecycle.elapse(at, moves);
        }
    }

    fn undone_if(&mut self, effect: Effect, id: EventId, at: Timestamp, moves: &mut Vec<StageMove>) {
        match effect {
            // A contract that runs keeps them where they are.
            Effect::NoneStandsAnyMore if self.contracts.held_until().is_some_and(|until| until > at) => {}
            Effect::NoneStandsAnyMore => self.lifecycle.undone(at, id, moves),
            Effect::None => {}
        }
    }
}
