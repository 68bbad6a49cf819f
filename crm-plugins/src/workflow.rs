//! Workflows: an event and a view of its customer in, a list of requests out.

use std::sync::Arc;

use crate::fault::{Fault, GuestText, InputError};
use crate::instance::Call;
use crate::manifest::{is_name, repeated};
use crate::plugin::Plugin;
use crate::value::{Entry, Value};
use crate::wire::{self, ActionOut, EntryIn, EventIn, OutcomeOut};

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
    name: Arc<str>,
    params: Arc<[Entry]>,
}

impl Workflow {
    pub(crate) fn new(plugin: Plugin, params: &[Entry]) -> Result<Workflow, Fault> {
        let manifest = plugin.manifest();
        if !plugin.is_workflow() {
            return Err(InputError::NotAWorkflow { plugin: manifest.name.clone() }.into());
        }
        let params = manifest.complete(params)?.into();
        let name = Arc::from(plugin.name());
        Ok(Workflow { plugin, name, params })
    }

    /// The plugin that answers.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// Answers one event. `customer` holds features that the manifest asks for and the shop grants;
    /// `memory` is what the plugin returned for this customer the last time, empty at first.
    ///
    /// # Errors
    ///
    /// [`Fault::Input`] if the plugin does not listen to such events, did not ask for one of the
    /// customer's entries, an entry is repeated or not finite, or `memory` is too large; else what
    /// the guest faulted with, or what was wrong with its answer.
    pub fn handle(&self, event: &TriggerEvent, customer: &[Entry], memory: &[u8]) -> Result<WorkflowOutcome, Fault> {
        self.check_input(event, customer, memory)?;
        let inner = self.plugin.inner();
        let Some(compiled) = &inner.workflow else {
            let plugin = self.plugin.name().to_owned();
            return Err(InputError::NotAWorkflow { plugin }.into());
        };
        let call = Call::begin(&inner.host);
        let mut instance = call.instantiate(&self.name, compiled, &self.params)?;
        let fields = wire::entries(&event.fields);
        let event = EventIn { id: &event.id, kind: &event.kind, at_ms: event.at_ms, seed: event.seed, fields: &fields };
        let customer = wire::entries(customer);
        let input: (EventIn<'_>, &[EntryIn<'_>], &[u8]) = (event, &customer, memory);
        let outcome = call.run(&mut instance, input)?;
        self.check_outcome(outcome)
    }

    fn check_input(&self, event: &TriggerEvent, customer: &[Entry], memory: &[u8]) -> Result<(), InputError> {
        let manifest = self.plugin.manifest();
        if !manifest.events.contains(&event.kind) {
            return Err(InputError::Event { kind: event.kind.clone() });
        }
        if let Some(entry) = customer.iter().find(|entry| !manifest.features.contains(&entry.name)) {
            return Err(InputError::Feature { name: entry.name.clone() });
        }
        check_entries(&event.fields)?;
        check_entries(customer)?;
        let limit = self.plugin.inner().host.limits().kept_bytes;
        if memory.len() > limit {
            return Err(InputError::Memory { bytes: memory.len(), limit });
        }
        Ok(())
    }

    fn check_outcome(&self, outcome: OutcomeOut) -> Result<WorkflowOutcome, Fault> {
        let limits = self.plugin.inner().host.limits();
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
        let limit = self.plugin.inner().host.limits().action_args;
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
