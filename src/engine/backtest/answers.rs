//! What a workflow answers in a replay, and what becomes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crm_core::change::Cause;
use crm_core::customer::Customer;
use crm_core::event::{Decision, Deed};
use crm_core::workflow::{Actor, Faulted, Grants, Held, PluginStamp, Remembered, Usage, points_given};
use crm_core::{CustomerId, Definitions, SmolStr, Timestamp};

use super::cost::ReplayCost;
use super::replay::WorkflowReplay;
use super::scorers::Looked;
use super::workflows::{AskedThen, ReplayGaps, ReplayedAction, Verdict, WorkflowBacktest};
use crate::lookup::LookupRecord;
use crate::plan::{Asker, judge};
use crate::workflow::{Around, Notes, Reach, check_memory};
use crate::{PluginFault, Trigger, Workflow, WorkflowCall, WorkflowReply};

/// How many reasons of refusals are told apart.
const REASONS_MAX: usize = 100;

/// What is counted under when there are more reasons than are told apart.
const OTHER_REASONS: &str = "other reasons";

/// What a workflow answered to one event: what it asked for, or that it failed. None if it does not listen.
pub(super) type Answer = Option<Result<Vec<ReplayedAction>, ()>>;

/// What one workflow answered so far.
#[derive(Debug)]
pub(super) struct Answers {
    plugin: PluginStamp,
    /// With what it is installed, if it is.
    granted: Option<Arc<Grants>>,
    /// What is defined now counts as well.
    now: Timestamp,
    sees_cards: bool,
    /// For the customer whose life is lived.
    memory: Vec<u8>,
    /// What it did for them on the last day.
    usage: Usage,
    /// The customer with what was carried out at this moment, if anything was.
    pub(super) carried_out: Option<Customer>,
    calls: BTreeMap<SmolStr, u64>,
    asked: BTreeMap<SmolStr, AskedThen>,
    faults: BTreeMap<SmolStr, u64>,
    looked_up: BTreeMap<SmolStr, u64>,
    pub(super) gaps: ReplayGaps,
    samples: Sample,
    pub(super) cost: ReplayCost,
}

/// A call of workflows in the past, which is the same for all of them.
#[derive(Clone, Copy)]
pub(super) struct Moment<'m> {
    pub(super) trigger: &'m Trigger,
    pub(super) customer: &'m Customer,
    pub(super) through: CustomerId,
    pub(super) at: Timestamp,
    pub(super) definitions: &'m Definitions,
    pub(super) around: Around<'m>,
    pub(super) record: &'m LookupRecord<'m>,
}

impl Answers {
    pub(super) fn new(
        workflow: &dyn Workflow,
        granted: Option<Arc<Grants>>,
        now: Timestamp,
        replay: WorkflowReplay,
    ) -> Self {
        Answers {
            plugin: workflow.stamp().clone(),
            granted,
            now,
            sees_cards: !workflow.asks().fields.is_empty(),
            memory: Vec::new(),
            usage: Usage::default(),
            carried_out: None,
            calls: BTreeMap::new(),
            asked: BTreeMap::new(),
            faults: BTreeMap::new(),
            looked_up: BTreeMap::new(),
            gaps: ReplayGaps::default(),
            samples: Sample::new(replay.samples),
            cost: ReplayCost::default(),
        }
    }

    /// Begins with another customer.
    pub(super) fn begin(&mut self) {
        self.memory.clear();
        self.usage = Usage::default();
    }

    /// Calls the workflow, if it would have been called; the error is that it came to nothing.
    pub(super) fn call(&mut self, workflow: &dyn Workflow, moment: Moment<'_>) -> Result<Vec<ReplayedAction>, ()> {
        let Moment { trigger, customer, through, at, definitions, around, record } = moment;
        let granted = self.granted.clone();
        let defined = |at| definitions.grants(&self.plugin.name, at);
        let held = Held::of_then(granted.as_deref(), defined(at), defined(self.now));
        let now = self.carried_out.as_ref().unwrap_or(customer);
        let allowed = now.may_process(held.purposes(), held.though_restricted(), at, definitions);
        if !held.hears(&trigger.kind) || allowed.is_err() || self.is_exhausted(held, trigger, at) {
            return Ok(Vec::new());
        }
        *self.calls.entry(trigger.kind.clone()).or_default() += 1;
        self.gaps.cards += u64::from(self.sees_cards);
        let now = self.carried_out.as_ref().unwrap_or(customer);
        let began = Instant::now();
        let (plugin, record) = (self.plugin.name.clone(), Some(record));
        let reach = Reach { plugin: &plugin, held, around, card: None, record, notes: Mutex::default() };
        let call = WorkflowCall { trigger, customer: now, at, definitions, memory: &self.memory, reach };
        let reply = workflow.handle(&call);
        let notes = call.reach.notes.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.cost.called(1, self.memory.len(), began.elapsed());
        let is_unknown = !notes.unrecorded.is_empty();
        self.note_look_ups(notes, at);
        let WorkflowReply { commands, memory } = match reply {
            Ok(reply) => reply,
            // Nobody knows what it would have said, had it been told.
            Err(_) if is_unknown => return Err(()),
            Err(fault) => {
                self.fault(&fault, trigger, at);
                return Err(());
            }
        };
        let mut actions = Vec::with_capacity(commands.len());
        let (mut moved, mut given) = (false, 0_u64);
        for command in commands {
            if self.is_exhausted(held, trigger, at) {
                break;
            }
            let now = self.carried_out.as_ref().unwrap_or(customer);
            let today = self.usage.on(at);
            let asker = Asker { through, held, today: &today, given };
            let verdict = match judge(command.clone(), now, asker, at, definitions) {
                Ok(deeds) if deeds.is_empty() => Verdict::AlreadySo,
                Ok(deeds) => {
                    given = deeds.iter().map(points_given).fold(given, u64::saturating_add);
                    deeds.iter().for_each(|deed| self.usage.note(at, deed));
                    let now = self.carried_out.get_or_insert_with(|| customer.clone());
                    carry_out(now, deeds, through, at, &self.plugin);
                    moved = true;
                    Verdict::CarriedOut
                }
                Err(why) => {
                    let why = why.to_string();
                    self.note_fault(&why, trigger, at);
                    Verdict::Refused(why)
                }
            };
            self.asked.entry(SmolStr::new_static(command.name())).or_default().count(&verdict);
            let (kind, trigger) = (trigger.kind.clone(), trigger.id);
            let action = ReplayedAction { customer: customer.id(), at, trigger, kind, command, verdict };
            self.samples.offer(action.clone());
            actions.push(action);
        }
        if !self.is_exhausted(held, trigger, at) {
            self.remember(memory, trigger, at);
        }
        if let Some(now) = self.carried_out.as_mut().filter(|_| moved) {
            now.derive(at, Cause::Definition, &mut Vec::new(), definitions, &mut Vec::new());
        }
        Ok(actions)
    }

    fn note_look_ups(&mut self, notes: Notes, at: Timestamp) {
        let Notes { looked_up, refused: _, unrecorded, wanted: _ } = notes;
        for looked_up in looked_up {
            *self.looked_up.entry(looked_up.source.clone().into()).or_default() += 1;
            self.usage.note(at, &Deed::LookedUp(looked_up));
        }
        for source in unrecorded {
            *self.gaps.look_ups.entry(source.into()).or_default() += 1;
        }
    }

    /// Keeps what it wants to be given the next time. What it asked for stands in any case.
    fn remember(&mut self, memory: Option<Vec<u8>>, trigger: &Trigger, at: Timestamp) {
        let Some(memory) = memory.filter(|memory| *memory != self.memory) else { return };
        match check_memory(&memory) {
            Ok(()) => {
                self.memory.clone_from(&memory);
                self.usage.note(at, &Deed::Remembered(Remembered { memory, from: None }));
            }
            Err(fault) => self.fault(&fault, trigger, at),
        }
    }

    /// Whether it has done all that it may for the customer on this day. It is told once, as its last fault of the day.
    fn is_exhausted(&mut self, held: Held<'_>, trigger: &Trigger, at: Timestamp) -> bool {
        let (done, max) = (self.usage.on(at).decisions(), held.limits().decisions_a_day);
        if done == max {
            self.fault(&PluginFault::new(format!("more than {max} decisions a day")), trigger, at);
        }
        done >= max
    }

    fn fault(&mut self, fault: &PluginFault, trigger: &Trigger, at: Timestamp) {
        *self.faults.entry(fault.kind.clone()).or_default() += 1;
        self.note_fault(&fault.kind, trigger, at);
    }

    /// A fault is a decision, and counts as one.
    fn note_fault(&mut self, fault: &str, trigger: &Trigger, at: Timestamp) {
        let faulted = Faulted { trigger: trigger.kind.clone(), fault: SmolStr::new(fault) };
        self.usage.note(at, &Deed::Faulted(faulted));
    }
}

fn carry_out(customer: &mut Customer, deeds: Vec<Deed>, through: CustomerId, at: Timestamp, by: &PluginStamp) {
    for deed in deeds {
        let parts = if customer.is_merged() { customer.share(deed, through) } else { vec![(customer.id(), deed)] };
        for (member, deed) in parts {
            customer.apply_decision_of(member, at, &Decision { by: Actor::Plugin(by.clone()), deed });
        }
    }
}

impl AskedThen {
    fn count(&mut self, verdict: &Verdict) {
        self.asked += 1;
        match verdict {
            Verdict::CarriedOut => self.carried_out += 1,
            Verdict::AlreadySo => self.already_so += 1,
            Verdict::Refused(why) => {
                let told = self.refused.len() < REASONS_MAX || self.refused.contains_key(why);
                let why = if told { why.clone() } else { OTHER_REASONS.to_owned() };
                *self.refused.entry(why).or_default() += 1;
            }
        }
    }
}

pub(super) fn report(answers: Answers, replay: WorkflowReplay, looked: Looked) -> WorkflowBacktest {
    let Answers { plugin, calls, asked, faults, looked_up, gaps, samples, cost, .. } = answers;
    WorkflowBacktest {
        plugin,
        replay,
        customers: looked.customers,
        left_out: looked.left_out,
        calls,
        asked,
        faults,
        looked_up,
        gaps,
        samples: samples.taken(),
        cost: ReplayCost {
            entries: looked.cost.entries,
            bytes_read: looked.cost.bytes_read,
            in_all: looked.cost.in_all,
            ..cost
        },
    }
}

/// A few of many, spread over all of them: those whose events have the lowest hashes.
#[derive(Debug)]
pub(super) struct Sample {
    max: usize,
    offered: u64,
    /// Of each its hash, and its place among all.
    order: BTreeSet<(u64, u64)>,
    taken: BTreeMap<u64, ReplayedAction>,
}

impl Sample {
    pub(super) fn new(max: usize) -> Self {
        Sample { max, offered: 0, order: BTreeSet::new(), taken: BTreeMap::new() }
    }

    pub(super) fn offer(&mut self, action: ReplayedAction) {
        self.offered += 1;
        // The end of an id is a hash, whatever it was made of.
        let [.., a, b, c, d, e, f, g, h] = *action.trigger.as_uuid().as_bytes();
        self.order.insert((u64::from_be_bytes([a, b, c, d, e, f, g, h]), self.offered));
        self.taken.insert(self.offered, action);
        if self.taken.len() > self.max
            && let Some((_, place)) = self.order.pop_last()
        {
            self.taken.remove(&place);
        }
    }

    pub(super) fn taken(self) -> Vec<ReplayedAction> {
        let mut taken: Vec<ReplayedAction> = self.taken.into_values().collect();
        taken.sort_by_key(|action| (action.at, action.customer));
        taken
    }
}
