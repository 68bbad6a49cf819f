//! What plugins ask for, as commands.

use crm_core::customer::Command;
use crm_core::loyalty::{AwardPoints, ProgramId};
use crm_core::workflow::{FieldName, FieldValue, Fields, Topic};
use crm_core::{Remark, SmolStr, Tag};
use crm_plugins::{Action, Value};

use crate::workflow::{PluginFault, WorkflowCall};

/// What an action asks for, as a command. The engine judges it like any other.
pub(super) fn command(action: &Action, call: &WorkflowCall<'_>) -> Result<Command, PluginFault> {
    let wrong = || PluginFault::new(format!("wrong arguments of the action {}", action.kind));
    let text = |name: &str| match action.arg(name) {
        Some(Value::Text(text)) => Ok(text.as_str()),
        _ => Err(wrong()),
    };
    // An argument that this host does not know may be the point of it, such as for whom or until when.
    let only = |names: &[&str]| {
        let known = |entry: &crm_plugins::Entry| names.contains(&entry.name.as_str());
        if action.args.iter().all(known) { Ok(()) } else { Err(wrong()) }
    };
    match action.kind.as_str() {
        "add_tag" | "remove_tag" => {
            only(&["tag"])?;
            let tag = Tag::new(text("tag")?).map_err(|_| wrong())?;
            Ok(if action.kind == "add_tag" { Command::AddTag(tag) } else { Command::RemoveTag(tag) })
        }
        "award_points" => {
            only(&["points", "program", "reason"])?;
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
