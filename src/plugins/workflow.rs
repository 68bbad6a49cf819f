//! A workflow in WASM: what it is given is what it asks for and the shop grants.

use crm_core::SmolStr;
use crm_core::attribute::Attribute;
use crm_core::event::CUSTOM_PREFIX;
use crm_core::workflow::PluginStamp;
use crm_plugins::{Entry, Host, TriggerEvent, Value};

use super::action::command;
use super::{ACTIONS, CUSTOMER, EVENTS, PluginError, STAGE, expect, stamp, unknown};
use crate::workflow::{Asks, PluginFault, TriggerValue, Workflow, WorkflowCall, WorkflowReply};

/// A workflow in WASM.
#[derive(Debug)]
pub struct WasmWorkflow {
    stamp: PluginStamp,
    asks: Asks,
    features: Vec<(String, Feature)>,
    workflow: crm_plugins::Workflow,
}

/// What a plugin can see of a customer.
#[derive(Debug, Clone, Copy)]
enum Feature {
    Attribute(Attribute),
    Stage,
    Customer,
}

impl Feature {
    fn by_name(name: &str) -> Option<Self> {
        match name {
            STAGE => Some(Feature::Stage),
            CUSTOMER => Some(Feature::Customer),
            name => Attribute::by_name(name).map(Feature::Attribute),
        }
    }

    fn of(self, name: &str, call: &WorkflowCall<'_>) -> Entry {
        match self {
            Feature::Attribute(attribute) => Entry::new(name, call.attribute(attribute)),
            Feature::Stage => Entry::new(name, call.customer.stage().map(|stage| stage.name())),
            Feature::Customer => Entry::new(name, call.customer_name().as_str()),
        }
    }
}

impl WasmWorkflow {
    /// Loads one from the bytes of a core module or a component. Parameters that are left out have
    /// their defaults. Compiling takes some tens of milliseconds. What it is granted is said when it is
    /// [installed](crate::CrmBuilder::workflow_granted).
    ///
    /// # Errors
    ///
    /// `PluginError`, with the name of what is wrong.
    pub fn load(host: &Host, wasm: &[u8], params: &[Entry]) -> Result<Self, PluginError> {
        let plugin = host.load(wasm)?;
        let manifest = plugin.manifest();
        let feature = |name: &String| match Feature::by_name(name) {
            Some(feature) => Ok((name.clone(), feature)),
            None => Err(unknown(&plugin, "feature", name)),
        };
        let features = manifest.features.iter().map(feature).collect::<Result<_, _>>()?;
        let known_event = |name: &str| EVENTS.contains(&name) || name.starts_with(CUSTOM_PREFIX);
        expect(&plugin, "event", &manifest.events, known_event)?;
        expect(&plugin, "action", &manifest.actions, |name| ACTIONS.contains(&name))?;
        let names = |names: &[String]| names.iter().map(SmolStr::new).collect();
        let asks = Asks {
            features: names(&manifest.features),
            events: names(&manifest.events),
            actions: names(&manifest.actions),
            ..Asks::default()
        };
        Ok(WasmWorkflow { stamp: stamp(&plugin)?, asks, features, workflow: plugin.workflow(params)? })
    }
}

impl Workflow for WasmWorkflow {
    fn stamp(&self) -> &PluginStamp {
        &self.stamp
    }

    fn listens(&self, kind: &str) -> bool {
        self.asks.events.iter().any(|event| event == kind)
    }

    fn asks(&self) -> &Asks {
        &self.asks
    }

    fn handle(&self, call: &WorkflowCall<'_>) -> Result<WorkflowReply, PluginFault> {
        // What is not granted is not there, which is not the same as having no value.
        let granted = self.features.iter().filter(|(name, _)| call.sees(name));
        let customer: Vec<Entry> = granted.map(|(name, feature)| feature.of(name, call)).collect();
        let outcome =
            self.workflow.handle(&event(call), &customer, call.memory).map_err(|fault| super::fault(&fault))?;
        let commands = outcome.actions.iter().map(|action| command(action, call)).collect::<Result<_, _>>()?;
        Ok(WorkflowReply { commands, memory: Some(outcome.memory) })
    }
}

/// What a plugin is told. Ids and numbers are what they are called to it.
fn event(call: &WorkflowCall<'_>) -> TriggerEvent {
    let number = |name: &str, number: &str| match name {
        "order" => call.called("order", number),
        "case" => call.called("case", number),
        "contract" => call.called("contract", number),
        _ => call.called("number", number),
    };
    let value = |name: &str, value: &TriggerValue| match value {
        TriggerValue::Bool(value) => Value::Bool(*value),
        TriggerValue::Int(value) => Value::Int(*value),
        TriggerValue::Float(value) => Value::Float(*value),
        TriggerValue::Text(value) => Value::Text(value.to_string()),
        TriggerValue::Reference(value) => Value::Text(number(name, value).to_string()),
    };
    let trigger = call.trigger;
    TriggerEvent {
        id: call.event_name().to_string(),
        kind: trigger.kind.to_string(),
        at_ms: trigger.at.as_millis(),
        seed: call.seed(),
        fields: trigger.fields.iter().map(|(name, field)| Entry::new(name.as_str(), value(name, field))).collect(),
    }
}
