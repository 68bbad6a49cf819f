//! What `wit-bindgen` makes of the contract, and the way from there to this crate's own types.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::vec::Vec;

use crate::batch::{Batch, Cells, Column};
use crate::failure::Failure;
use crate::value::{Entries, Value};
use crate::workflow::{Event, Outcome};

use scorer::crm::plugin::types as wit;
use workflow::exports::crm::plugin::workflow as wit_workflow;

#[allow(missing_docs, missing_debug_implementations, unreachable_pub, unsafe_code, reason = "generated code")]
pub mod scorer {
    wit_bindgen::generate!({
        path: "wit/v0_1",
        world: "scorer-plugin",
        pub_export_macro: true,
        std_feature,
        export_macro_name: "export_scorer",
        default_bindings_module: "crm_plugin_sdk::__private::scorer",
        runtime_path: "crm_plugin_sdk::__private::rt",
    });
}

#[allow(missing_docs, missing_debug_implementations, unreachable_pub, unsafe_code, reason = "generated code")]
pub mod workflow {
    wit_bindgen::generate!({
        path: "wit/v0_1",
        world: "workflow-plugin",
        pub_export_macro: true,
        std_feature,
        export_macro_name: "export_workflow",
        default_bindings_module: "crm_plugin_sdk::__private::workflow",
        runtime_path: "crm_plugin_sdk::__private::rt",
        with: {
            "crm:plugin/types@0.1.0": crate::bindings::scorer::crm::plugin::types,
            "crm:plugin/diag@0.1.0": crate::bindings::scorer::crm::plugin::diag,
        },
    });
}

pub(crate) fn entries(entries: Vec<wit::Entry>) -> Entries {
    entries.into_iter().map(|entry| (entry.name, entry.value.into())).collect()
}

pub(crate) fn batch(batch: wit::Batch, features: &[&'static str]) -> Result<Batch, Failure> {
    let names = features.iter().map(|name| Cow::Borrowed(*name));
    let columns = names.zip(batch.columns.into_iter().map(Column::from)).collect();
    Batch::received(batch.rows as usize, entries(batch.context), columns)
}

pub(crate) fn event(event: wit_workflow::Event) -> Event {
    Event { id: event.id, kind: event.kind, at_ms: event.at_ms, seed: event.seed, fields: entries(event.fields) }
}

impl From<wit::Value> for Value {
    fn from(value: wit::Value) -> Self {
        match value {
            wit::Value::Null => Value::Null,
            wit::Value::Boolean(value) => Value::Bool(value),
            wit::Value::Int(value) => Value::Int(value),
            wit::Value::Float(value) => Value::Float(value),
            wit::Value::Text(value) => Value::Text(value),
            wit::Value::Bytes(value) => Value::Bytes(value),
        }
    }
}

impl From<Value> for wit::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => wit::Value::Null,
            Value::Bool(value) => wit::Value::Boolean(value),
            Value::Int(value) => wit::Value::Int(value),
            Value::Float(value) => wit::Value::Float(value),
            Value::Text(value) => wit::Value::Text(value),
            Value::Bytes(value) => wit::Value::Bytes(value),
        }
    }
}

impl From<wit::Column> for Column {
    fn from(column: wit::Column) -> Self {
        let cells = match column.cells {
            wit::Cells::Floats(cells) => Cells::Floats(cells),
            wit::Cells::Ints(cells) => Cells::Ints(cells),
            wit::Cells::Booleans(cells) => Cells::Booleans(cells),
            wit::Cells::Words(wit::Dictionary { codes, words }) => Cells::Words { codes, words },
        };
        Column { cells, nulls: column.nulls }
    }
}

impl From<Column> for wit::Column {
    fn from(column: Column) -> Self {
        let cells = match column.cells {
            Cells::Floats(cells) => wit::Cells::Floats(cells),
            Cells::Ints(cells) => wit::Cells::Ints(cells),
            Cells::Booleans(cells) => wit::Cells::Booleans(cells),
            Cells::Words { codes, words } => wit::Cells::Words(wit::Dictionary { codes, words }),
        };
        wit::Column { cells, nulls: column.nulls }
    }
}

impl From<Failure> for wit::Failure {
    fn from(failure: Failure) -> Self {
        wit::Failure { code: failure.code().to_owned(), message: failure.message().to_owned() }
    }
}

impl From<Outcome> for wit_workflow::Outcome {
    fn from(outcome: Outcome) -> Self {
        let args = |args: Entries| {
            let args = args.into_iter();
            args.map(|(name, value)| wit::Entry { name, value: value.into() }).collect()
        };
        let actions = outcome.actions.into_iter();
        let actions =
            actions.map(|action| wit_workflow::Action { kind: action.kind, args: args(action.args) }).collect();
        wit_workflow::Outcome { actions, memory: outcome.memory }
    }
}
