//! A workflow in WASM: what it is given is what it asks for and the shop grants.

use std::sync::Arc;

use crm_core::SmolStr;
use crm_core::attribute::Attribute;
use crm_core::event::CUSTOM_PREFIX;
use crm_core::profile::{AttributeValue, CardValue, Field};
use crm_core::workflow::{FieldName, FieldValue, PluginStamp, SourceName};
use crm_plugins::{Entry, Fault, Host, LookupTable, Lookups, Need, Plugin, TriggerEvent, Value, WorkflowOutcome};

use super::action::command;
use super::{ACTIONS, CUSTOMER, EVENTS, PluginError, STAGE, expect, stamp, unknown};
use crate::workflow::{Asks, Breaker, PluginFault, TriggerValue, Workflow, WorkflowCall, WorkflowReply};

/// A workflow in WASM.
#[derive(Debug)]
pub struct WasmWorkflow {
    stamp: PluginStamp,
    asks: Asks,
    features: Vec<(String, Feature)>,
    workflow: crm_plugins::Workflow,
}

/// How many look-ups one call may make, one after another.
const LOOKUPS_MAX: usize = 64;

/// A host lets a guest ask for as much at once as is answered.
const _: () = assert!(crm_plugins::LOOKUP_KEYS_MAX == crm_core::workflow::LOOKUP_KEYS_MAX);

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
        Self::of(&host.load(wasm)?, params)
    }

    /// One of a plugin that is loaded, such as one of a [`Registry`](super::Registry): whoever keeps it sees what it does
    /// here, and can clear it.
    ///
    /// # Errors
    ///
    /// `PluginError`, with the name of what is wrong.
    pub fn of(plugin: &Plugin, params: &[Entry]) -> Result<Self, PluginError> {
        let manifest = plugin.manifest();
        let feature = |name: &String| match Feature::by_name(name) {
            Some(feature) => Ok((name.clone(), feature)),
            None => Err(unknown(plugin, "feature", name)),
        };
        let features = manifest.features.iter().map(feature).collect::<Result<_, _>>()?;
        let known_event = |name: &str| EVENTS.contains(&name) || name.starts_with(CUSTOM_PREFIX);
        expect(plugin, "event", &manifest.events, known_event)?;
        expect(plugin, "action", &manifest.actions, |name| ACTIONS.contains(&name))?;
        let field = |name: &String| match Field::parse(name) {
            Ok(field) if is_single(&field) => Ok(field),
            Ok(_) | Err(_) => Err(unknown(plugin, "field", name)),
        };
        let fields = manifest.fields.iter().map(field).collect::<Result<_, _>>()?;
        for name in &manifest.lookups {
            SourceName::new(name)?;
        }
        let names = |names: &[String]| names.iter().map(SmolStr::new).collect();
        let asks = Asks {
            features: names(&manifest.features),
            events: names(&manifest.events),
            actions: names(&manifest.actions),
            lookups: names(&manifest.lookups),
            fields,
        };
        // Which of them are granted is asked at each look-up: what is defined may change meanwhile.
        let sources: Vec<&str> = manifest.lookups.iter().map(String::as_str).collect();
        let workflow = plugin.workflow_with(params, &sources)?;
        Ok(WasmWorkflow { stamp: stamp(plugin)?, asks, features, workflow })
    }

    /// The plugin behind it, to keep when this is installed: what it has done so far, whether it is in quarantine, and
    /// [the way out](Plugin::clear).
    #[must_use]
    pub fn plugin(&self) -> &Plugin {
        self.workflow.plugin()
    }

    /// Has the guest answer. Where it looks something up it is stopped, and asked again with what there is.
    fn answer(&self, call: &WorkflowCall<'_>, customer: &[Entry]) -> Result<WorkflowOutcome, PluginFault> {
        let event = event(call);
        if self.asks.lookups.is_empty() {
            return self.workflow.handle(&event, customer, call.memory).map_err(|fault| super::fault(&fault));
        }
        let mut at_hand = LookupTable::new();
        for _ in 0..=LOOKUPS_MAX {
            let lookups: Arc<dyn Lookups> = Arc::new(at_hand.clone());
            match self.workflow.handle_with(&event, customer, call.memory, &lookups) {
                Ok(outcome) => return Ok(outcome),
                Err(Fault::Need(need)) => look_up(call, need, &mut at_hand)?,
                Err(fault) => return Err(super::fault(&fault)),
            }
        }
        Err(PluginFault::new(format!("more than {LOOKUPS_MAX} look-ups in one call")))
    }
}

/// Whether a field has one value, which is all that a plugin can be given of it.
const fn is_single(field: &Field) -> bool {
    matches!(
        field,
        Field::Name
            | Field::Employer
            | Field::Position
            | Field::Birthday
            | Field::Language
            | Field::TimeZone
            | Field::Attribute(_)
    )
}

/// A value of the card, as plugins are given it: names, lines and languages as texts, days as `2026-11-22`, or `--11-22`
/// without a year (vCard 4.0, RFC 6350, 4.3.1), numbers as texts, so that none is rounded.
#[allow(clippy::wildcard_enum_match_arm, reason = "fields with several values are refused when a plugin is loaded")]
fn card_value(value: &CardValue) -> Option<Value> {
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    match value {
        CardValue::Name(name) => text(&name.display()),
        CardValue::Line(line) => text(line.as_str()),
        CardValue::Birthday(day) => {
            let year = day.year().map_or_else(|| "--".to_owned(), |year| format!("{year:04}-"));
            text(&format!("{year}{:02}-{:02}", day.month(), day.day()))
        }
        CardValue::Language(language) => text(language.as_str()),
        CardValue::TimeZone(zone) => text(zone.as_str()),
        CardValue::Attribute(AttributeValue::Text(line)) => text(line.as_str()),
        CardValue::Attribute(AttributeValue::Number(number)) => text(&number.to_string()),
        CardValue::Attribute(AttributeValue::Date(day)) => text(&day.to_string()),
        CardValue::Attribute(AttributeValue::Flag(flag)) => Some(Value::Bool(*flag)),
        CardValue::Attribute(AttributeValue::OneOf(choice)) => text(choice.as_str()),
        _ => None,
    }
}

/// Looks up what a guest needs, and puts it at hand.
fn look_up(call: &WorkflowCall<'_>, need: Need, at_hand: &mut LookupTable) -> Result<(), PluginFault> {
    let Need { source, keys, field } = need;
    // Both are names of a manifest, which are shorter than the limits.
    let unknown = |_| PluginFault::new("a look-up by a name that is none");
    let (name, what) = (SourceName::new(&source).map_err(unknown)?, FieldName::new(&field).map_err(unknown)?);
    let asked: Vec<&str> = keys.iter().map(String::as_str).collect();
    let values = call.look_up(&name, &what, &asked)?;
    for (key, value) in keys.iter().zip(values) {
        let value = match value {
            None => Value::Null,
            Some(FieldValue::Bool(value)) => Value::Bool(value),
            Some(FieldValue::Int(value)) => Value::Int(value),
            Some(FieldValue::Text(value)) => Value::Text(value.to_string()),
        };
        at_hand.insert(&source, key, &field, value);
    }
    Ok(())
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

    fn breaker(&self) -> Breaker {
        super::breaker(self.plugin())
    }

    fn handle(&self, call: &WorkflowCall<'_>) -> Result<WorkflowReply, PluginFault> {
        // What is not granted is not there, which is not the same as having no value.
        let granted = self.features.iter().filter(|(name, _)| call.sees(name));
        let mut customer: Vec<Entry> = granted.map(|(name, feature)| feature.of(name, call)).collect();
        if let Some(card) = call.card() {
            let shown = card.fields().filter_map(|field| Some((field.name(), card_value(card.value(field)?)?)));
            customer.extend(shown.map(|(name, value)| Entry::new(name.as_str(), value)));
        }
        let outcome = self.answer(call, &customer)?;
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
