//! Workflows: an event and a view of its customer in, a list of requests out.

use std::sync::Arc;

use crate::fault::{Fault, GuestText, InputError};
use crate::lookup::Lookups;
use crate::manifest::{is_name, repeated};
use crate::plugin::{Plugin, Step};
use crate::value::{Entry, Value};
use crate::wire::{self, ActionOut, EntryIn, EventIn, OutcomeOut};

/// How many workflow calls of one host run at once. Each has an instance of its own, and the room for these is set
/// aside when the host is made: address space, of which what no guest has used is not backed by memory.
pub(crate) const RUNNING_MAX: u32 = 64;

/// Calls end within a deadline, so who waits longer than this many waits for somebody who waits.
const WAITED_DEADLINES: u32 = 10;

/// What happened to a customer.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerEvent {
    /// Identifies the event.
    pub id: String,
    /// What kind of event it is, such as `stage_changed`.
    pub kind: String,
    /// When it happened, in milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
    /// Where a guest may draw its randomness from; the same for a replay.
    pub seed: u64,
    /// What the kind says about it.
    pub fields: Vec<Entry>,
}

/// A request of a workflow.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// A kind that the manifest declares, such as `add_tag`.
    pub kind: String,
    /// Its arguments, each with a proper name of its own.
    pub args: Vec<Entry>,
}

impl Action {
    /// The argument `name`, if there is one.
    pub fn arg(&self, name: &str) -> Option<&Value> {
        self.args.iter().find(|arg| arg.name == name).map(|arg| &arg.value)
    }
}

/// What a workflow answered.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowOutcome {
    /// What it asks for, in order.
    pub actions: Vec<Action>,
    /// What to hand back with this customer's next event.
    pub memory: Vec<u8>,
}

/// A workflow with its parameters. It holds no instance: each event gets a fresh one, so nothing
/// survives a call but the memory that it returns.
#[derive(Debug, Clone)]
pub struct Workflow {
    plugin: Plugin,
    params: Arc<[Entry]>,
}

impl Workflow {
    pub(crate) fn new(plugin: Plugin, params: &[Entry], lookups_granted: &[&str]) -> Result<Workflow, Fault> {
        let manifest = plugin.manifest();
        if !plugin.is_workflow() {
            return Err(InputError::NotAWorkflow { plugin: manifest.name.clone() }.into());
        }
        if let Some(name) = manifest.lookups.iter().find(|name| !lookups_granted.contains(&name.as_str())) {
            return Err(InputError::LookupNotGranted { name: name.clone() }.into());
        }
        let params = manifest.complete(params)?.into();
        Ok(Workflow { plugin, params })
    }

    /// The plugin that answers.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// Answers one event. `customer` holds features and personal fields that the manifest asks for
    /// and the shop grants; `memory` is what the plugin returned for this customer the last time,
    /// empty at first. Nothing is at hand for look-ups, so one ends in [`Fault::Need`].
    ///
    /// # Errors
    ///
    /// [`Fault::Input`] if the plugin does not listen to such events, did not ask for one of the
    /// customer's entries, an entry is repeated or not finite, or `memory` is too large; else what
    /// the guest faulted with, or what was wrong with its answer.
    pub fn handle(&self, event: &TriggerEvent, customer: &[Entry], memory: &[u8]) -> Result<WorkflowOutcome, Fault> {
        self.answer(event, customer, memory, None)
    }

    /// As [`Workflow::handle`], with look-ups answered from `lookups`.
    ///
    /// # Errors
    ///
    /// As [`Workflow::handle`]. On [`Fault::Need`] load what it names, and call again with all that
    /// was loaded for this event so far; the plugin begins afresh, so nothing was done by halves. Each
    /// round costs a whole call, and there are as many as the plugin makes look-ups one after another,
    /// so bound them. [`Fault::Input`] also if `lookups` answered with another number of values than
    /// keys, or with a number that is not finite.
    pub fn handle_with(
        &self,
        event: &TriggerEvent,
        customer: &[Entry],
        memory: &[u8],
        lookups: &Arc<dyn Lookups>,
    ) -> Result<WorkflowOutcome, Fault> {
        self.answer(event, customer, memory, Some(Arc::clone(lookups)))
    }

    fn answer(
        &self,
        event: &TriggerEvent,
        customer: &[Entry],
        memory: &[u8],
        lookups: Option<Arc<dyn Lookups>>,
    ) -> Result<WorkflowOutcome, Fault> {
        // Waiting is not the plugin's time.
        let slot = self.plugin.inner().host.running().take(self.plugin.limits().deadline * WAITED_DEADLINES);
        let _slot = slot.ok_or(Fault::NoRoom)?;
        self.plugin.run(Step::Handle, Some(event.at_ms), |call| {
            self.check_input(event, customer, memory)?;
            let Some(compiled) = &self.plugin.inner().workflow else {
                let plugin = self.plugin.name().to_owned();
                return Err(InputError::NotAWorkflow { plugin }.into());
            };
            let mut instance = call.instantiate(compiled, &self.params, lookups)?;
            let fields = wire::entries(&event.fields);
            let TriggerEvent { id, kind, at_ms, seed, .. } = event;
            let event = EventIn { id, kind, at_ms: *at_ms, seed: *seed, fields: &fields };
            let customer = wire::entries(customer);
            let input: (EventIn<'_>, &[EntryIn<'_>], &[u8]) = (event, &customer, memory);
            self.check_outcome(call.run(&mut instance, input)?)
        })
    }

    fn check_input(&self, event: &TriggerEvent, customer: &[Entry], memory: &[u8]) -> Result<(), InputError> {
        let manifest = self.plugin.manifest();
        if !manifest.events.contains(&event.kind) {
            return Err(InputError::Event { kind: event.kind.clone() });
        }
        let is_asked_for = |name: &String| manifest.features.contains(name) || manifest.fields.contains(name);
        if let Some(entry) = customer.iter().find(|entry| !is_asked_for(&entry.name)) {
            return Err(InputError::Feature { name: entry.name.clone() });
        }
        check_entries(&event.fields)?;
        check_entries(customer)?;
        let limit = self.plugin.limits().kept_bytes;
        if memory.len() > limit {
            return Err(InputError::Memory { bytes: memory.len(), limit });
        }
        Ok(())
    }

    fn check_outcome(&self, outcome: OutcomeOut) -> Result<WorkflowOutcome, Fault> {
        let limits = self.plugin.limits();
        if outcome.memory.len() > limits.kept_bytes {
            return Err(Fault::Output { what: "bytes of memory", limit: limits.kept_bytes });
        }
        if outcome.actions.len() > limits.actions {
            return Err(Fault::Output { what: "actions", limit: limits.actions });
        }
        let actions = outcome.actions.into_iter().enumerate();
        let actions = actions.map(|(index, action)| self.check_action(index, action));
        Ok(WorkflowOutcome { actions: actions.collect::<Result<_, _>>()?, memory: outcome.memory })
    }

    fn check_action(&self, index: usize, action: ActionOut) -> Result<Action, Fault> {
        let kind = action.kind;
        if !self.plugin.manifest().actions.contains(&kind) {
            return Err(Fault::UndeclaredAction { index, kind: GuestText::new(&kind) });
        }
        let limit = self.plugin.limits().action_args;
        if action.args.len() > limit {
            return Err(Fault::Output { what: "arguments of one action", limit });
        }
        let args: Vec<Entry> = action.args.into_iter().map(Entry::from).collect();
        let names = args.iter().map(|arg| &arg.name);
        if !names.clone().all(|name| is_name(name)) || repeated(names).is_some() {
            return Err(Fault::ActionArgs { index, kind });
        }
        if !args.iter().all(|arg| arg.value.is_finite()) {
            return Err(Fault::NotFinite { place: kind });
        }
        Ok(Action { kind, args })
    }
}

fn check_entries(entries: &[Entry]) -> Result<(), InputError> {
    if let Some(name) = repeated(entries.iter().map(|entry| &entry.name)) {
        return Err(InputError::Twice { name: name.clone() });
    }
    match entries.iter().find(|entry| !entry.value.is_finite()) {
        Some(entry) => Err(InputError::NotFinite { name: entry.name.clone() }),
        None => Ok(()),
    }
}
