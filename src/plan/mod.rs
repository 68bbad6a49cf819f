//! The pure middle of the loop: what a fact, a command or the passing of time does to one customer.
//! It takes a loaded customer and gives back a plan; it neither reads nor writes anything. When it lacks
//! something, such as the customer's history, it says so, and is called again with it.

mod call;
mod credit;
mod fact;
mod judge;
mod known;
mod outcome;
mod react;
mod retain;
mod rewards;
mod time;
mod together;

use std::collections::{BTreeMap, HashMap, VecDeque};

use crm_core::change::{Cause, Change};
use crm_core::contract::ContractRef;
use crm_core::customer::{Command, Customer, OrdersTouched, Refusal};
use crm_core::event::{Decision, Deed, EVENT_SHAPE, Event, EventBody, Fact};
use crm_core::identity::IdentifierKey;
use crm_core::lifecycle::StageMove;
use crm_core::loyalty::{Earned, LoyaltyError, Posting, PostingKind, UndoPosting};
use crm_core::order::OrderRef;
use crm_core::score::{Score, ScoreName};
use crm_core::service::CaseRef;
use crm_core::workflow::{Actor, LookedUp, PluginName};
use crm_core::{Alarm, AlarmKind, CustomerId, Definitions, EventId, SmolStr, Timestamp};
use crm_storage::{
    AlarmMove, ChangeRow, Claim, ClaimKey, Commit, CounterStep, CustomerWrite, EventRow, Expected, OutboxEntry,
    Release, StateRow, Traits, Version,
};

pub(crate) use credit::{gift_card_claim, issued_card};
pub(crate) use fact::Prepared;
pub(crate) use judge::{Asker, judge};
pub(crate) use known::{Come, Disowned, proves, to_come, told_in};
pub use outcome::{FactRefusal, Outcome};
pub(crate) use retain::RetentionStep;
pub(crate) use rewards::{VOUCHER, voucher_claim};
use together::unspent_of_pool;
pub(crate) use together::{Before, Decided, Deeds};

use crate::installed::Installed;
use crate::lookup::Wanted;
use crate::workflow::{Around, Trigger};

/// How many reactions may follow from one another.
pub const CHAIN_MAX: usize = 8;

/// How often the tiers of a customer are looked at again at one instant: a grace and a step may both be over.
const REVIEWS_MAX: usize = 4;

/// How often workflows are called for one fact, command or span of time at most.
pub const CALLS_MAX: usize = 256;

/// What holds for a whole plan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) definitions: &'a Definitions,
    pub(crate) workflows: &'a [Installed],
    pub(crate) now: Timestamp,
    /// History is taken in quietly: no workflows, no outbox.
    pub(crate) quiet: bool,
    pub(crate) around: Around<'a>,
}

/// What a plan lacks. Whoever makes it finds that out, and makes it anew.
#[derive(Debug, Clone)]
pub(crate) enum Need {
    /// The customer's whole history.
    History,
    /// What a workflow wants to know.
    LookUp(Box<Wanted>),
}

/// What plugins were kept from, and why, for the audit log: once for each plugin and reason.
pub(crate) type Refused = BTreeMap<(PluginName, &'static str), String>;

/// What is to be written for one customer, and the customer as they will be.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) customer: Customer,
    pub(crate) changes: Vec<Change>,
    traits: Traits,
    events: Vec<EventRow>,
    /// Events in the histories of others whom the customer was merged of.
    others: Vec<(CustomerId, EventRow)>,
    pub(crate) releases: Vec<Release>,
    pub(crate) claims: Vec<Claim>,
    /// Those of them that may be the customer's already, by what is still to come.
    pub(crate) perhaps_owned: Vec<ClaimKey>,
    /// What the customer is known by no more: whoever of them has a claim to it gives it up.
    pub(crate) disowned: Vec<Disowned>,
    /// What the customer is known by from now on, by what waited.
    pub(crate) come: Vec<Come>,
    /// Others who are written as they are: what is planned relies on what they are known by.
    still: Vec<CustomerWrite>,
    counters: Vec<CounterStep>,
    outbox: Vec<OutboxEntry>,
    alarm: Option<AlarmMove>,
    pub(crate) refused: Refused,
}

/// A plan in the making.
#[derive(Debug)]
pub(crate) struct Planner<'a> {
    context: Context<'a>,
    customer: Customer,
    /// Whom facts and commands come through: of several merged customers the one who is named.
    through: CustomerId,
    history: Option<&'a [Event]>,
    /// Where each event is in the history.
    places: HashMap<EventId, usize>,
    armed: Option<Alarm>,
    /// The earliest alarm, while it is known.
    next: Option<Option<Alarm>>,
    /// The facts of this plan with whom each came through, and what is to be written of them and of the decisions
    /// they led to.
    facts: Vec<(CustomerId, &'a Prepared)>,
    /// Those of them that came late and are still to be folded.
    late: Vec<&'a Prepared>,
    /// What the facts earned that are folded next, by the customer as they were before.
    earned: Vec<Earned>,
    events: Vec<EventRow>,
    others: Vec<(CustomerId, EventRow)>,
    changes: Vec<Change>,
    claims: Vec<Claim>,
    /// Those of them that may be the customer's already, by what is still to come.
    perhaps_owned: Vec<ClaimKey>,
    /// Keys of vouchers that go to somebody else.
    releases: Vec<Release>,
    /// What voided facts said that the customer is known by.
    disowned: Vec<IdentifierKey>,
    /// What facts that waited say that the customer is known by.
    come: Vec<Come>,
    counters: Vec<CounterStep>,
    outbox: Vec<OutboxEntry>,
    moves: Vec<StageMove>,
    triggers: VecDeque<Pending>,
    /// How many calls of workflows are left to this plan.
    calls_left: usize,
    refused: Refused,
    /// The points that each plugin gave for what follows from an event.
    given: Vec<(PluginName, Option<EventId>, u64)>,
    /// What each plugin looked up at which instant and is recorded already.
    looked_up: Vec<(PluginName, Timestamp, LookedUp)>,
    /// Whether the customer is written though nothing moved: what stores choose by may be another.
    rewrite: bool,
    /// The numbers of orders and cases of this plan are the customer's already, by events that were voided.
    owns_number: bool,
    /// What it says of ties is written for the other side too.
    both_sides: bool,
    /// Whether retention is heeded: only when time is let pass.
    retaining: bool,
    /// What retention has to do next; nothing else is worked off before that is committed.
    step: Option<RetentionStep>,
}

/// A trigger that waits for its turn, and what led to it.
#[derive(Debug)]
struct Pending {
    trigger: Trigger,
    /// The event behind it, if there is one.
    cause: Option<EventId>,
    chain: Chain,
}

/// What led to a trigger.
#[derive(Debug, Clone)]
struct Chain {
    /// The event that all of it follows from; of what time or a score brings, the trigger itself.
    began: Option<EventId>,
    /// The kinds of the triggers, in their order.
    kinds: Vec<SmolStr>,
}

impl Chain {
    /// Where nothing led to it.
    const NEW: Self = Chain { began: None, kinds: Vec::new() };

    fn text(&self) -> String {
        self.kinds.join(" → ")
    }
}

impl<'a> Planner<'a> {
    /// Starts from a customer as loaded, or from a new one, and their history if it is at hand.
    pub(crate) fn new(context: Context<'a>, mut customer: Customer, history: Option<&'a [Event]>) -> Self {
        if customer.clock().is_none() {
            // Nobody was given a score before anything happened to them.
            customer.has_no_scores(context.definitions);
        }
        let armed = customer.alarm();
        Planner {
            context,
            // The armed alarm is the earliest one, as long as nothing has happened since. A score is due by a policy that
            // may have ended, and points may end by a version of their programme that is newer than the alarm.
            next: armed.filter(|armed| armed.kind != AlarmKind::Score && !context.definitions.moves_ends()).map(Some),
            armed,
            through: customer.id(),
            customer,
            places: history.unwrap_or_default().iter().map(|event| event.id).zip(0..).collect(),
            history,
            facts: Vec::new(),
            late: Vec::new(),
            earned: Vec::new(),
            rewrite: false,
            // A fact and what it led to; a vector that grows by itself begins with four.
            events: Vec::with_capacity(2),
            others: Vec::new(),
            changes: Vec::new(),
            claims: Vec::new(),
            perhaps_owned: Vec::new(),
            releases: Vec::new(),
            disowned: Vec::new(),
            come: Vec::new(),
            counters: Vec::new(),
            outbox: Vec::new(),
            moves: Vec::new(),
            triggers: VecDeque::new(),
            calls_left: CALLS_MAX,
            refused: Refused::new(),
            given: Vec::new(),
            looked_up: Vec::new(),
            owns_number: false,
            both_sides: false,
            retaining: false,
            step: None,
        }
    }

    /// Goes without claiming numbers of orders and cases: the customer has them by events that were voided.
    pub(crate) fn owning_numbers(mut self) -> Self {
        self.owns_number = true;
        self
    }

    /// Takes facts about ties, of which the other side is written in the same commit.
    pub(crate) fn writing_both_sides(mut self) -> Self {
        self.both_sides = true;
        self
    }

    /// For somebody who was merged: facts and commands come through one of those they were merged of.
    pub(crate) fn through(mut self, member: CustomerId) -> Self {
        if self.customer.is(member) {
            self.through = member;
        }
        self
    }

    /// Takes a key for the customer.
    pub(crate) fn claim(&mut self, key: ClaimKey, event: EventId) {
        self.claims.reserve_exact(1);
        self.claims.push(Claim { key, customer: self.through, event });
    }

    /// Puts an event into the history it belongs to.
    fn write(&mut self, member: CustomerId, event: EventRow) {
        if member == self.customer.id() { self.events.push(event) } else { self.others.push((member, event)) }
    }

    /// Two customers have become this one, or this one is left of one that was parted: notes it for each
    /// member, settles what they owe each other, and brings everything in line.
    pub(crate) fn regroup(
        &mut self,
        at: Timestamp,
        by: &Actor,
        deed: &Deed,
        settlements: Vec<(CustomerId, Deed)>,
    ) -> Result<(), Need> {
        let members: Vec<CustomerId> = self.customer.members().collect();
        let mut first = None;
        for member in members {
            let id = self.decide_of(member, at, by.clone(), deed.clone(), None, &Chain::NEW);
            first.get_or_insert(id);
        }
        for (member, deed) in settlements {
            self.decide_of(member, at, Actor::Rule, deed, first, &Chain::NEW);
        }
        self.next = None;
        let cause = first.map_or(Cause::Definition, Cause::Event);
        self.settle(at, cause, OrdersTouched::Gone)?;
        self.react()?;
        self.elapse(self.context.now)
    }

    /// Carries out a command of the shop, after what is due. Gives the decisions it led to; none if it
    /// is so already.
    pub(crate) fn command(&mut self, command: Command) -> Result<Result<Vec<EventId>, Refusal>, Need> {
        if let Command::UndoPosting(undo) = &command {
            self.elapse(self.context.now)?;
            return self.undo_posting(undo, self.instant());
        }
        self.decide_by(|customer, through, at, definitions| command.decide(customer, through, at, definitions))
    }

    fn undo_posting(&mut self, undo: &UndoPosting, at: Timestamp) -> Result<Result<Vec<EventId>, Refusal>, Need> {
        let history = self.history.ok_or(Need::History)?;
        let (member, posting) = match self.undoing(history, undo, at) {
            Ok(posting) => posting,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
        let unspent = unspent_of_pool(history, undo.posting, &posting);
        let paid = matches!(posting.kind, PostingKind::Undone { paid: Some(_), .. });
        let id = self.decide_of(member, at, Actor::Shop, Deed::PointsPosted(posting), Some(undo.posting), &Chain::NEW);
        let mut ids = vec![id];
        ids.extend(
            unspent.map(|(owner, deed)| self.decide_of(owner, at, Actor::Shop, deed, Some(undo.posting), &Chain::NEW)),
        );
        if paid {
            // What others paid for the order may have been too little back: whose it was came back with it.
            self.settle(at, Cause::Event(id), OrdersTouched::Any)?;
        } else {
            self.follow(at, Cause::Event(id), &Chain::NEW)?;
        }
        self.react()?;
        self.elapse(self.context.now)?;
        Ok(Ok(ids))
    }

    /// Records a decision of the shop's about each whom the customer was merged of, after what is due, and works out what
    /// moves by it.
    pub(crate) fn decide_of_all(&mut self, deed: &Deed) -> Result<(), Need> {
        self.elapse(self.context.now)?;
        let at = self.instant();
        let mut first = None;
        for member in self.customer.members().collect::<Vec<_>>() {
            let id = self.decide_of(member, at, Actor::Shop, deed.clone(), None, &Chain::NEW);
            first.get_or_insert(id);
        }
        if let Some(first) = first {
            self.follow(at, Cause::Event(first), &Chain::NEW)?;
        }
        Ok(())
    }

    /// Records a decision of the shop's, after what is due.
    pub(crate) fn decide_one(&mut self, deed: Deed) -> Result<(), Need> {
        self.elapse(self.context.now)?;
        self.decide(self.instant(), &Actor::Shop, deed, None, &Chain::NEW);
        Ok(())
    }

    /// Works everything out anew, as after a change of definitions.
    pub(crate) fn reconsider(&mut self) -> Result<(), Need> {
        self.next = None;
        self.rewrite = true;
        let at = self.instant();
        let touched = self.refold(at)?;
        self.settle(at, Cause::Definition, touched)?;
        self.react()?;
        self.elapse(self.context.now)?;
        // What came into force since they were last heard of.
        self.settle(self.instant(), Cause::Definition, OrdersTouched::None)?;
        self.react()?;
        self.ask_segments()
    }

    /// Asks about the segments as of now, after what is due.
    pub(crate) fn ask_segments(&mut self) -> Result<(), Need> {
        let before = self.customer.sets();
        self.elapse(self.context.now)?;
        self.next = None;
        self.follow(self.instant(), Cause::Definition, &Chain::NEW)?;
        self.react()?;
        self.elapse(self.context.now)?;
        // Who is in by another version than before is written though nothing moved.
        self.rewrite |= self.customer.sets() != before;
        Ok(())
    }

    /// Takes scores that a plugin gave as of an instant, after what is due until another, and tells workflows of each.
    pub(crate) fn scored(
        &mut self,
        plugin: &PluginName,
        as_of: Timestamp,
        until: Timestamp,
        scores: impl Iterator<Item = (ScoreName, Score)>,
        triggers: Vec<Trigger>,
    ) -> Result<(), Need> {
        self.elapse(until)?;
        if self.context.definitions.has_score_policy(plugin) {
            self.customer.note_scored(plugin, as_of);
            self.rewrite = true;
            self.next = None;
        }
        for trigger in triggers.into_iter().filter(|trigger| self.anyone_listens(&trigger.kind)).collect::<Vec<_>>() {
            self.trigger(trigger, None, &Chain::NEW);
        }
        if self.customer.learn_scores(scores, self.context.definitions) {
            self.rewrite = true;
            self.next = None;
            self.follow(self.instant(), Cause::Scored, &Chain::NEW)?;
        }
        self.react()?;
        self.elapse(until)
    }

    /// A plugin could not be asked for a score that is due: it is, as long after `now` as the policy says.
    pub(crate) fn put_off_scores(&mut self, plugin: &PluginName, now: Timestamp) {
        let mut policies = self.context.definitions.score_policies(self.instant());
        if let Some((_, policy)) = policies.find(|(name, _)| *name == plugin) {
            self.customer.put_off_scores(plugin, now.plus(policy.retry_after));
        }
        self.rewrite = true;
        self.next = None;
    }

    /// The instant at which the customer stands.
    fn instant(&self) -> Timestamp {
        self.customer.clock().unwrap_or(self.context.now)
    }

    /// Records a decision and carries it out; of somebody who was merged it may have several parts. Gives the
    /// first of them.
    fn decide(
        &mut self,
        at: Timestamp,
        by: &Actor,
        deed: Deed,
        cause: Option<EventId>,
        chain: &Chain,
    ) -> Option<EventId> {
        if !self.customer.is_merged() {
            return Some(self.decide_of(self.customer.id(), at, by.clone(), deed, cause, chain));
        }
        let parts = self.customer.share(deed, self.through);
        let ids = parts.into_iter().map(|(member, deed)| self.decide_of(member, at, by.clone(), deed, cause, chain));
        ids.collect::<Vec<_>>().into_iter().next()
    }

    /// Records a decision about one member and carries it out.
    fn decide_of(
        &mut self,
        member: CustomerId,
        at: Timestamp,
        by: Actor,
        deed: Deed,
        cause: Option<EventId>,
        chain: &Chain,
    ) -> EventId {
        let id = EventId::of_decision(member, self.customer.decisions_of(member));
        let decision = Decision { by, deed };
        self.customer.apply_decision_of(member, at, &decision);
        self.next = None;
        self.count(member, id, &decision.deed);
        if let Deed::Notified(notified) = &decision.deed {
            // Written as JSON: a map with text keys and no floats cannot fail.
            let body = serde_json::to_vec(&notified.fields).unwrap_or_default();
            // Of the member whom it is about, so that it goes with them when they are parted or erased.
            self.outbox.push(OutboxEntry {
                id,
                customer: member,
                topic: notified.topic.clone().into(),
                due_at: at,
                body,
            });
        }
        // Faults and memories are told to nobody, so that a fault cannot cause another.
        let told = decision.deed.action().is_some() || matches!(decision.deed, Deed::PointsReminded(_));
        if told && self.anyone_listens(decision.deed.kind()) {
            let chain = Chain { began: chain.began.or(cause), kinds: chain.kinds.clone() };
            self.trigger(Trigger::of_deed(id, at, &decision.deed), Some(id), &chain);
        }
        let event = EventRow {
            id,
            at,
            recorded_at: self.context.now,
            kind: SmolStr::new_static(decision.deed.kind()),
            shape: EVENT_SHAPE,
            source: None,
            cause,
            body: decision.encode(),
        };
        self.write(member, event);
        id
    }

    /// Brings points, stage, segments and tiers in line after something happened.
    fn settle(&mut self, at: Timestamp, cause: Cause, touched: OrdersTouched) -> Result<(), Need> {
        let event = match cause {
            Cause::Event(event) => Some(event),
            Cause::Alarm(_) | Cause::Definition | Cause::Scored => None,
        };
        // What came late is posted when it is folded.
        let earned = if self.late.is_empty() { std::mem::take(&mut self.earned) } else { Vec::new() };
        for (member, posting) in self.customer.reconcile_points(touched, &earned, self.context.definitions) {
            let cause = if let PostingKind::Earned { fact } = &posting.kind
                && earned.iter().any(|earned| earned.fact == *fact)
            {
                Some(*fact)
            } else {
                event
            };
            self.decide_of(member, at, Actor::Rule, Deed::PointsPosted(posting), cause, &Chain::NEW);
        }
        for (member, deed) in self.customer.reconcile_rewards(touched, at, self.context.definitions) {
            self.decide_of(member, at, Actor::Rule, deed, event, &Chain::NEW);
        }
        self.follow(at, cause, &Chain::NEW)
    }

    /// Keeps the tiers that are reached, and looks again at those that are due. What ended meanwhile more than once is
    /// looked at each time.
    fn keep_tiers(&mut self, at: Timestamp, event: Option<EventId>) {
        for _ in 0..REVIEWS_MAX {
            let decided = self.customer.tier_decisions(at, self.context.definitions);
            if decided.is_empty() {
                return;
            }
            for (member, deed) in decided {
                self.decide_of(member, at, Actor::Rule, deed, event, &Chain::NEW);
            }
        }
    }

    /// Works out what moved, and tells those who listen.
    fn follow(&mut self, at: Timestamp, cause: Cause, chain: &Chain) -> Result<(), Need> {
        let event = match cause {
            Cause::Event(event) => Some(event),
            Cause::Alarm(_) | Cause::Definition | Cause::Scored => None,
        };
        self.keep_tiers(at, event);
        self.recall(at)?;
        let before = self.changes.len();
        self.customer.derive(at, cause, &mut self.moves, self.context.definitions, &mut self.changes);
        for n in before..self.changes.len() {
            if self.anyone_listens(self.changes[n].body.kind()) {
                let change = &self.changes[n];
                let cause = match change.cause {
                    Cause::Event(event) => Some(event),
                    Cause::Alarm(_) | Cause::Definition | Cause::Scored => None,
                };
                let trigger = Trigger::of_change(self.customer.id(), change);
                self.trigger(trigger, cause, chain);
            }
        }
        let cause = match cause {
            Cause::Event(event) => Some(event),
            Cause::Alarm(_) | Cause::Definition | Cause::Scored => None,
        };
        self.earn_badges(at, cause, chain)
    }

    /// Has the customer know what rules ask about the past, if any does: when it was corrected, or other things are
    /// asked since. That takes the history, and the events of this plan.
    fn recall(&mut self, at: Timestamp) -> Result<(), Need> {
        if self.customer.remembers(at, self.context.definitions) {
            return Ok(());
        }
        let history = self.history.ok_or(Need::History)?;
        let planned = self.planned();
        let stored = history.iter().map(|event| (event.customer, event.id, event.at, &event.body));
        let planned = planned.iter().map(|(member, id, at, body)| (*member, *id, *at, body));
        self.customer.recall(stored.chain(planned), at, self.context.definitions);
        Ok(())
    }

    /// The events of this plan so far.
    fn planned(&self) -> Vec<(CustomerId, EventId, Timestamp, EventBody)> {
        let id = self.customer.id();
        let rows =
            self.events.iter().map(|row| (id, row)).chain(self.others.iter().map(|(member, row)| (*member, row)));
        // They were written by this plan: each is of a kind and shape that is known.
        let planned = rows.filter_map(|(member, row)| {
            Some((member, row.id, row.at, EventBody::decode(&row.kind, row.shape, &row.body).ok()?))
        });
        planned.collect()
    }

    /// The posting that undoes another one, and in whose book. What expired just now counts as what did before.
    fn undoing(
        &self,
        history: &[Event],
        undo: &UndoPosting,
        at: Timestamp,
    ) -> Result<(CustomerId, Posting), LoyaltyError> {
        let planned = self.planned();
        let events = history.iter().map(|event| (event.customer, event.id, &event.body));
        let events = events.chain(planned.iter().map(|(member, id, _, body)| (*member, *id, body)));
        self.customer.undo_posting(undo, events, at, self.context.definitions)
    }

    fn anyone_listens(&self, kind: &str) -> bool {
        !self.context.quiet && self.context.workflows.iter().any(|one| one.workflow.listens(kind))
    }

    fn trigger(&mut self, trigger: Trigger, cause: Option<EventId>, chain: &Chain) {
        let began = chain.began.or(cause).unwrap_or(trigger.id);
        let mut chain = Chain { began: Some(began), kinds: chain.kinds.clone() };
        chain.kinds.push(trigger.kind.clone());
        self.triggers.push_back(Pending { trigger, cause, chain });
    }

    /// The plan, if there is anything to write.
    pub(crate) fn finish(mut self) -> Option<Plan> {
        let next = self.next_alarm();
        let alarm = (next != self.armed).then_some(AlarmMove { from: self.armed, to: next });
        let nothing = self.events.is_empty() && self.others.is_empty() && self.changes.is_empty();
        if nothing && alarm.is_none() && !self.rewrite {
            return None;
        }
        self.customer.arm(next);
        let traits = traits(&self.customer, self.context.definitions);
        let disowned = if self.disowned.is_empty() { Vec::new() } else { self.take_disowned() };
        let come = if self.come.is_empty() { Vec::new() } else { self.take_come() };
        Some(Plan {
            customer: self.customer,
            traits,
            changes: self.changes,
            events: self.events,
            others: self.others,
            claims: self.claims,
            releases: self.releases,
            perhaps_owned: self.perhaps_owned,
            disowned,
            come,
            still: Vec::new(),
            counters: self.counters,
            outbox: if self.context.quiet { Vec::new() } else { self.outbox },
            alarm,
            refused: self.refused,
        })
    }
}

impl Plan {
    /// Whether it has what the customer is known by no more, or comes to be known by: the store is asked whom it leads to.
    pub(crate) const fn leads_elsewhere(&self) -> bool {
        !self.disowned.is_empty() || !self.come.is_empty()
    }

    /// Another one is written as they are, so that nobody changes them meanwhile.
    pub(crate) fn hold_still(&mut self, other: Option<CustomerWrite>) {
        let is_new = |write: &CustomerWrite| self.still.iter().all(|there| there.customer != write.customer);
        self.still.extend(other.filter(is_new));
    }

    /// What the customer is known by no more, nor will be.
    pub(crate) fn gone(&self) -> impl Iterator<Item = IdentifierKey> {
        self.disowned.iter().filter(|one| one.again_at.is_none()).map(|one| one.identifier)
    }

    /// As a commit on what the customer was loaded as, what moved, and what plugins were kept from. `others` are the
    /// versions of those whom the customer was merged of: none for nearly all.
    pub(crate) fn into_commit(
        self,
        expected: Expected,
        others: &[(CustomerId, Version)],
    ) -> (Commit, Vec<Change>, Refused) {
        let state = StateRow { shape: crm_core::customer::STATE_SHAPE, bytes: self.customer.encode() };
        let mut write = CustomerWrite::new(self.customer.id(), expected, state);
        write.traits = self.traits;
        write.events = self.events;
        write.changes = self.changes.iter().map(change_row).collect();
        write.alarm = self.alarm;
        let mut writes = vec![write];
        writes.extend(others.iter().filter_map(|(member, version)| {
            let own = self.others.iter().filter(|(of, _)| of == member);
            let events: Vec<EventRow> = own.map(|(_, event)| event.clone()).collect();
            (!events.is_empty()).then(|| alias_write(*member, self.customer.id(), *version, events))
        }));
        writes.extend(self.still);
        let commit = Commit {
            writes,
            releases: self.releases,
            claims: self.claims,
            counters: self.counters,
            outbox: self.outbox,
            ..Commit::default()
        };
        (commit, self.changes, self.refused)
    }
}

/// What is written for somebody who was merged into another.
fn alias_write(member: CustomerId, head: CustomerId, version: Version, events: Vec<EventRow>) -> CustomerWrite {
    let state = StateRow { shape: crm_core::customer::STATE_SHAPE, bytes: Customer::alias(member, head).encode() };
    let mut write = CustomerWrite::new(member, Expected::At(version), state);
    write.events = events;
    write
}

/// What stores choose customers by.
pub(crate) fn traits(customer: &Customer, definitions: &Definitions) -> Traits {
    Traits { columns: customer.columns(definitions), sets: customer.sets() }
}

/// The key under which an identifier is claimed.
pub(crate) fn identifier_claim(identifier: &IdentifierKey) -> ClaimKey {
    let kind = crm_core::SmolStr::new_static(identifier.kind.name());
    ClaimKey { kind, key: identifier.hash.to_vec() }
}

/// The key under which an order number is claimed.
pub(crate) fn order_claim(order: &OrderRef) -> ClaimKey {
    ClaimKey { kind: SmolStr::new_static("order"), key: order.as_str().as_bytes().to_vec() }
}

/// The key under which the number of a case is claimed.
pub(crate) fn case_claim(case: &CaseRef) -> ClaimKey {
    ClaimKey { kind: SmolStr::new_static("case"), key: case.as_str().as_bytes().to_vec() }
}

/// The key under which a fact claims the number of what it tells of: of an order, a contract, or a case.
pub(crate) fn number_claim(fact: &Fact) -> Option<ClaimKey> {
    if let Fact::OrderPlaced(placed) = fact {
        return placed.order.as_ref().map(order_claim);
    }
    if let Fact::CaseOpened(opened) = fact {
        return Some(case_claim(&opened.case));
    }
    let Fact::ContractSigned(signed) = fact else { return None };
    Some(contract_claim(&signed.contract))
}

/// The key under which the number of a contract is claimed.
pub(crate) fn contract_claim(contract: &ContractRef) -> ClaimKey {
    ClaimKey { kind: SmolStr::new_static("contract"), key: contract.as_str().as_bytes().to_vec() }
}

fn change_row(change: &Change) -> ChangeRow {
    ChangeRow { at: change.at, kind: SmolStr::new_static(change.body.kind()), body: change.encode() }
}
