//! The contract's types as they cross the border: borrowed on the way in, so that lowering is the
//! only copy, and owned on the way out. Names and order are those of the WIT, which wasmtime checks
//! against a component; `bare` moves the same types to and from a module that has none around it.

use wasmtime::component::{ComponentType, Lift, Lower, WasmList, WasmStr};

use crate::batch::{Cells, Column};
use crate::value::{Entry, Value};

#[derive(ComponentType, Lower, Clone, Copy)]
#[component(variant)]
pub(crate) enum ValueIn<'a> {
    #[component(name = "null")]
    Null,
    #[component(name = "boolean")]
    Boolean(bool),
    #[component(name = "int")]
    Int(i64),
    #[component(name = "float")]
    Float(f64),
    #[component(name = "text")]
    Text(&'a str),
    #[component(name = "bytes")]
    Bytes(&'a [u8]),
}

/// A value on its way into a guest that asked for it, hence owned.
#[derive(ComponentType, Lower)]
#[component(variant)]
pub(crate) enum ValueAnswer {
    #[component(name = "null")]
    Null,
    #[component(name = "boolean")]
    Boolean(bool),
    #[component(name = "int")]
    Int(i64),
    #[component(name = "float")]
    Float(f64),
    #[component(name = "text")]
    Text(String),
    #[component(name = "bytes")]
    Bytes(Vec<u8>),
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct FailureAnswer {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// The arguments of a look-up, still in the guest's memory: source, keys, field.
pub(crate) type LookupOut = (WasmStr, WasmList<WasmStr>, WasmStr);
/// What a look-up returns to the guest.
pub(crate) type LookupAnswer = (Result<Vec<ValueAnswer>, FailureAnswer>,);

#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(crate) struct EntryIn<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: ValueIn<'a>,
}

#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(crate) struct DictionaryIn<'a> {
    pub(crate) codes: &'a [u32],
    pub(crate) words: &'a [String],
}

#[derive(ComponentType, Lower, Clone, Copy)]
#[component(variant)]
pub(crate) enum CellsIn<'a> {
    #[component(name = "floats")]
    Floats(&'a [f64]),
    #[component(name = "ints")]
    Ints(&'a [i64]),
    #[component(name = "booleans")]
    Booleans(&'a [bool]),
    #[component(name = "words")]
    Words(DictionaryIn<'a>),
}

#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(crate) struct ColumnIn<'a> {
    pub(crate) cells: CellsIn<'a>,
    pub(crate) nulls: &'a [u8],
}

#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(crate) struct BatchIn<'a> {
    pub(crate) rows: u32,
    pub(crate) context: &'a [EntryIn<'a>],
    pub(crate) columns: &'a [ColumnIn<'a>],
}

#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(crate) struct EventIn<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: &'a str,
    #[component(name = "at-ms")]
    pub(crate) at_ms: i64,
    pub(crate) seed: u64,
    pub(crate) fields: &'a [EntryIn<'a>],
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum ValueOut {
    #[component(name = "null")]
    Null,
    #[component(name = "boolean")]
    Boolean(bool),
    #[component(name = "int")]
    Int(i64),
    #[component(name = "float")]
    Float(f64),
    #[component(name = "text")]
    Text(String),
    #[component(name = "bytes")]
    Bytes(Vec<u8>),
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct EntryOut {
    pub(crate) name: String,
    pub(crate) value: ValueOut,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct DictionaryOut {
    pub(crate) codes: Vec<u32>,
    pub(crate) words: Vec<String>,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum CellsOut {
    #[component(name = "floats")]
    Floats(Vec<f64>),
    #[component(name = "ints")]
    Ints(Vec<i64>),
    #[component(name = "booleans")]
    Booleans(Vec<bool>),
    #[component(name = "words")]
    Words(DictionaryOut),
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct ColumnOut {
    pub(crate) cells: CellsOut,
    pub(crate) nulls: Vec<u8>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct ActionOut {
    pub(crate) kind: String,
    pub(crate) args: Vec<EntryOut>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct OutcomeOut {
    pub(crate) actions: Vec<ActionOut>,
    pub(crate) memory: Vec<u8>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct FailureOut {
    pub(crate) code: String,
    pub(crate) message: String,
}

#[derive(ComponentType, Lift, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum LevelOut {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
    #[component(name = "panic")]
    Panic,
}

impl LevelOut {
    /// The level of this number.
    pub(crate) fn of(case: u32) -> Option<LevelOut> {
        use LevelOut::{Debug, Error, Info, Panic, Warn};
        [Debug, Info, Warn, Error, Panic].get(case as usize).copied()
    }
}

pub(crate) fn entries(entries: &[Entry]) -> Vec<EntryIn<'_>> {
    entries.iter().map(|entry| EntryIn { name: &entry.name, value: value(&entry.value) }).collect()
}

pub(crate) fn columns(columns: &[Column]) -> Vec<ColumnIn<'_>> {
    columns.iter().map(|column| ColumnIn { cells: cells(column.cells()), nulls: column.nulls() }).collect()
}

fn value(value: &Value) -> ValueIn<'_> {
    match value {
        Value::Null => ValueIn::Null,
        Value::Bool(value) => ValueIn::Boolean(*value),
        Value::Int(value) => ValueIn::Int(*value),
        Value::Float(value) => ValueIn::Float(*value),
        Value::Text(value) => ValueIn::Text(value),
        Value::Bytes(value) => ValueIn::Bytes(value),
    }
}

impl From<Value> for ValueAnswer {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => ValueAnswer::Null,
            Value::Bool(value) => ValueAnswer::Boolean(value),
            Value::Int(value) => ValueAnswer::Int(value),
            Value::Float(value) => ValueAnswer::Float(value),
            Value::Text(value) => ValueAnswer::Text(value),
            Value::Bytes(value) => ValueAnswer::Bytes(value),
        }
    }
}

fn cells(cells: &Cells) -> CellsIn<'_> {
    match cells {
        Cells::Floats(cells) => CellsIn::Floats(cells),
        Cells::Ints(cells) => CellsIn::Ints(cells),
        Cells::Booleans(cells) => CellsIn::Booleans(cells),
        Cells::Words { codes, words } => CellsIn::Words(DictionaryIn { codes, words }),
    }
}

impl From<CellsOut> for Cells {
    fn from(cells: CellsOut) -> Self {
        match cells {
            CellsOut::Floats(cells) => Cells::Floats(cells),
            CellsOut::Ints(cells) => Cells::Ints(cells),
            CellsOut::Booleans(cells) => Cells::Booleans(cells),
            CellsOut::Words(DictionaryOut { codes, words }) => Cells::Words { codes, words },
        }
    }
}

impl From<EntryOut> for Entry {
    fn from(entry: EntryOut) -> Self {
        let value = match entry.value {
            ValueOut::Null => Value::Null,
            ValueOut::Boolean(value) => Value::Bool(value),
            ValueOut::Int(value) => Value::Int(value),
            // -0.0 becomes 0.0, so that equal values are equal in their bytes.
            ValueOut::Float(value) => Value::Float(value + 0.0),
            ValueOut::Text(value) => Value::Text(value),
            ValueOut::Bytes(value) => Value::Bytes(value),
        };
        Entry { name: entry.name, value }
    }
}
