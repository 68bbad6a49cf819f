//! WASM plugins: their bytes become a [`Workflow`] or a [`Scorer`] that the engine calls like any other.
//!
//! Everything a plugin names is checked when it is loaded: the features it wants to see, the kinds of
//! event it listens to, the actions it may ask for. See the guide for authors in `docs/`.

use crm_core::attribute::Attribute;
use crm_core::customer::Command;
use crm_core::loyalty::{AwardPoints, ProgramId};
use crm_core::workflow::{FieldName, FieldValue, Fields, PluginName, PluginStamp, Topic};
use crm_core::{Digest, Remark, SmolStr, Tag, TextError};
use crm_plugins::{Action, Batch, Column, Plugin, TriggerEvent};
pub use crm_plugins::{Entry, Fault, Host, HostError, Limits, LoadError, LoadLimits, Value};

use crate::scorer::{ScoreBatch, Scorer};
use crate::workflow::{PluginFault, Trigger, TriggerValue, Workflow, WorkflowCall, WorkflowReply};

/// The actions that plugins may ask for.
pub const ACTIONS: [&str; 4] = ["add_tag", "remove_tag", "award_points", "notify"];

/// The kinds of event and change that workflows may listen to, besides those that the shop defined,
/// which begin with `shop.`.
pub const EVENTS: [&str; 26] = [
    "visited",
    "enquired",
    "cart_updated",
    "order_placed",
    "payment_received",
    "refunded",
    "tagged",
    "untagged",
    "attribute_set",
    "message_received",
    "case_opened",
    "case_closed",
    "case_reopened",
    "contract_signed",
    "contract_renewed",
    "contract_ended",
    "points_posted",
    "tag_added",
    "tag_removed",
    "notified",
    "stage_changed",
    "segment_entered",
    "segment_left",
    "tier_reached",
    "tier_lost",
    "scored",
];

/// Why a plugin cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// It was refused when it was loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It is no scorer or workflow, a parameter is wrong, or it failed while it was configured.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Its name is not one.
    #[error(transparent)]
    Name(#[from] TextError),
    /// It asks for something that there is not.
    #[error("plugin {plugin} asks for the {what} {name:?}, which there is not")]
    Unknown {
        /// Its name.
        plugin: String,
        /// What it asks for: a feature, an event, or an action.
        what: &'static str,
        /// What it calls it.
        name: String,
    },
}

/// A workflow in WASM.
#[derive(Debug)]
pub struct WasmWorkflow {
    stamp: PluginStamp,
    attributes: Vec<(String, Attribute)>,
    sees_stage: bool,
    workflow: crm_plugins::Workflow,
}

/// The feature by which workflows see the stage, a text.
const STAGE: &str = "stage";

impl WasmWorkflow {
    /// Loads one from the bytes of a core module or a component. Parameters that are left out have
    /// their defaults. Compiling takes some tens of milliseconds.
    ///
    /// # Errors
    ///
    /// `PluginError`, with the name of what is wrong.
    pub fn load(host: &Host, wasm: &[u8], params: &[Entry]) -> Result<Self, PluginError> {
        let plugin = host.load(wasm)?;
        let manifest = plugin.manifest();
        let (stage, names): (Vec<&String>, Vec<&String>) = manifest.features.iter().partition(|name| *name == STAGE);
        let attributes = attributes(&plugin, names.into_iter())?;
        let known_event = |name: &str| EVENTS.contains(&name) || name.starts_with(crm_core::event::CUSTOM_PREFIX);
        expect(&plugin, "event", &manifest.events, known_event)?;
        expect(&plugin, "action", &manifest.actions, |name| ACTIONS.contains(&name))?;
        let sees_stage = !stage.is_empty();
        Ok(WasmWorkflow { stamp: stamp(&plugin)?, attributes, sees_stage, workflow: plugin.workflow(params)? })
    }
}

impl Workflow for WasmWorkflow {
    fn stamp(&self) -> &PluginStamp {
        &self.stamp
    }

    fn listens(&self, kind: &str) -> bool {
        self.workflow.plugin().manifest().events.iter().any(|event| event == kind)
    }

    fn handle(&self, call: &WorkflowCall<'_>) -> Result<WorkflowReply, PluginFault> {
        let event = event(call);
        let mut customer: Vec<Entry> = self
            .attributes
            .iter()
            .map(|(name, attribute)| Entry::new(name.as_str(), call.attribute(*attribute)))
            .collect();
        if self.sees_stage {
            customer.push(Entry::new(STAGE, call.customer.stage().map(|stage| stage.name())));
        }
        let outcome = self.workflow.handle(&event, &customer, call.memory).map_err(|fault| self::fault(&fault))?;
        let commands = outcome.actions.iter().map(|action| command(action, call)).collect::<Result<_, _>>()?;
        Ok(WorkflowReply { commands, memory: Some(outcome.memory) })
    }
}

/// A scorer in WASM.
#[derive(Debug)]
pub struct WasmScorer {
    stamp: PluginStamp,
    attributes: Vec<Attribute>,
    outputs: Vec<SmolStr>,
    scorer: crm_plugins::Scorer,
}

impl WasmScorer {
    /// Loads one from the bytes of a core module or a component. Parameters that are left out have
    /// their defaults. Compiling takes some tens of milliseconds.
    ///
    /// # Errors
    ///
    /// `PluginError`, with the name of what is wrong.
    pub fn load(host: &Host, wasm: &[u8], params: &[Entry]) -> Result<Self, PluginError> {
        let plugin = host.load(wasm)?;
        let attributes = attributes(&plugin, plugin.manifest().features.iter())?;
        Ok(WasmScorer {
            stamp: stamp(&plugin)?,
            attributes: attributes.into_iter().map(|(_, attribute)| attribute).collect(),
            outputs: plugin.manifest().outputs.iter().map(|output| SmolStr::new(&output.name)).collect(),
            scorer: plugin.scorer(params)?,
        })
    }
}

impl Scorer for WasmScorer {
    fn stamp(&self) -> &PluginStamp {
        &self.stamp
    }

    fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    fn outputs(&self) -> &[SmolStr] {
        &self.outputs
    }

    fn score(&mut self, batch: &ScoreBatch<'_>) -> Result<Vec<Vec<Option<f64>>>, PluginFault> {
        let rows = batch.customers.len();
        // Whole numbers of up to 2^53 are exact as floats, and no count or amount of a shop is larger.
        let column = |cells: &Vec<Option<i64>>| Column::floats(cells.iter().map(|cell| cell.map(|cell| cell as f64)));
        let columns = batch.columns.iter().map(column).collect::<Result<_, _>>();
        let as_of = Entry::new("as_of_ms", batch.as_of.as_millis());
        let batch = columns
            .and_then(|columns| Batch::new(rows, vec![as_of], columns))
            .map_err(|error| PluginFault::new(error.to_string()))?;
        let columns = self.scorer.score(&batch).map_err(|fault| self::fault(&fault))?;
        Ok(columns.iter().map(|column| (0..rows).map(|row| column.float(row)).collect()).collect())
    }
}

fn stamp(plugin: &Plugin) -> Result<PluginStamp, PluginError> {
    Ok(PluginStamp {
        name: PluginName::new(plugin.name())?,
        version: SmolStr::new(plugin.version()),
        digest: Digest::from_bytes(plugin.digest()),
    })
}

fn attributes<'a>(
    plugin: &Plugin,
    names: impl Iterator<Item = &'a String>,
) -> Result<Vec<(String, Attribute)>, PluginError> {
    names
        .map(|name| match Attribute::by_name(name) {
            Some(attribute) => Ok((name.clone(), attribute)),
            None => Err(unknown(plugin, "feature", name)),
        })
        .collect()
}

fn expect(
    plugin: &Plugin,
    what: &'static str,
    names: &[String],
    known: impl Fn(&str) -> bool,
) -> Result<(), PluginError> {
    names.iter().find(|name| !known(name)).map_or(Ok(()), |name| Err(unknown(plugin, what, name)))
}

fn unknown(plugin: &Plugin, what: &'static str, name: &str) -> PluginError {
    PluginError::Unknown { plugin: plugin.name().to_owned(), what, name: name.to_owned() }
}

fn fault(fault: &Fault) -> PluginFault {
    PluginFault::new(fault.kind())
}

fn event(call: &WorkflowCall<'_>) -> TriggerEvent {
    let Trigger { id, kind, at, fields } = call.trigger;
    let value = |value: &TriggerValue| match value {
        TriggerValue::Bool(value) => Value::Bool(*value),
        TriggerValue::Int(value) => Value::Int(*value),
        TriggerValue::Float(value) => Value::Float(*value),
        TriggerValue::Text(value) => Value::Text(value.to_string()),
    };
    // The same for a replay, and another for each customer and each event.
    let seed = Digest::of(format!("{} {id} {kind}", call.customer.id()).as_bytes());
    let mut eight = [0; 8];
    eight.copy_from_slice(&seed.as_bytes()[..8]);
    TriggerEvent {
        id: id.to_string(),
        kind: kind.to_string(),
        at_ms: at.as_millis(),
        seed: u64::from_be_bytes(eight),
        fields: fields.iter().map(|(name, field)| Entry::new(name.as_str(), value(field))).collect(),
    }
}

/// What an action asks for, as a command. The engine judges it like any other.
fn command(action: &Action, call: &WorkflowCall<'_>) -> Result<Command, PluginFault> {
    let wrong = || PluginFault::new(format!("wrong arguments of the action {}", action.kind));
    let text = |name: &str| match action.arg(name) {
        Some(Value::Text(text)) => Ok(text.as_str()),
        _ => Err(wrong()),
    };
    match action.kind.as_str() {
        "add_tag" => Ok(Command::AddTag(Tag::new(text("tag")?).map_err(|_| wrong())?)),
        "remove_tag" => Ok(Command::RemoveTag(Tag::new(text("tag")?).map_err(|_| wrong())?)),
        "award_points" => {
            let Some(Value::Int(points)) = action.arg("points") else { return Err(wrong()) };
            let program = match action.arg("program") {
                Some(Value::Text(program)) => ProgramId::new(program).map_err(|_| wrong())?,
                Some(_) => return Err(wrong()),
                None => call.only_program().cloned().ok_or_else(wrong)?,
            };
            let reason = Remark::new(text("reason")?).map_err(|_| wrong())?;
            Ok(Command::AwardPoints(AwardPoints { program, points: *points, reason }))
        }
        "notify" => {
            let topic = Topic::new(text("topic")?).map_err(|_| wrong())?;
            let mut fields = Fields::new();
            for entry in action.args.iter().filter(|entry| entry.name != "topic") {
                let value = match &entry.value {
                    Value::Bool(value) => FieldValue::Bool(*value),
                    Value::Int(value) => FieldValue::Int(*value),
                    Value::Text(value) => FieldValue::Text(SmolStr::new(value)),
                    Value::Null => continue,
                    Value::Float(_) | Value::Bytes(_) => return Err(wrong()),
                };
                fields.insert(FieldName::new(&entry.name).map_err(|_| wrong())?, value);
            }
            Ok(Command::Notify { topic, fields })
        }
        _ => Err(PluginFault::new("unknown action")),
    }
}
