//! What an author's types are to a host.

use crm_plugin_sdk as sdk;
use crm_plugins as host;

/// Values as a host takes them.
pub fn entries(entries: &sdk::Entries) -> Vec<host::Entry> {
    entries.iter().map(|(name, value)| host::Entry { name: name.to_owned(), value: to_host(value) }).collect()
}

/// The columns of `batch` that `features` name, in that order, as a host takes them; a feature that the
/// batch has not is a column of missing cells.
///
/// # Errors
///
/// If the batch has too many rows or a number that is not finite.
pub fn batch(batch: &sdk::Batch, features: &[String]) -> Result<host::Batch, host::BatchError> {
    let rows = batch.rows();
    let columns = features.iter().map(|name| match batch.columns().find(|(known, _)| known == name) {
        Some((_, column)) => column_to_host(column),
        None => host::Column::floats(std::iter::repeat_n(None, rows)),
    });
    host::Batch::new(rows, entries(batch.context()), columns.collect::<Result<_, _>>()?)
}

/// A column that a host returned, as authors see it.
pub fn column(column: &host::Column) -> sdk::Column {
    let present = |row: usize| !column.is_null(row);
    match column.cells() {
        host::Cells::Floats(cells) => sdk::Column::floats(kept(cells, present)),
        host::Cells::Ints(cells) => sdk::Column::ints(kept(cells, present)),
        host::Cells::Booleans(cells) => sdk::Column::booleans(kept(cells, present)),
        host::Cells::Words { codes, words } => sdk::Column::words(
            kept(codes, present).map(|code| code.and_then(|code| words.get(code as usize)).map(String::as_str)),
        ),
    }
}

pub(crate) fn from_host(value: &host::Value) -> sdk::Value {
    match value {
        host::Value::Null => sdk::Value::Null,
        host::Value::Bool(value) => sdk::Value::Bool(*value),
        host::Value::Int(value) => sdk::Value::Int(*value),
        host::Value::Float(value) => sdk::Value::Float(*value),
        host::Value::Text(value) => sdk::Value::Text(value.clone()),
        host::Value::Bytes(value) => sdk::Value::Bytes(value.clone()),
    }
}

pub(crate) fn to_host(value: &sdk::Value) -> host::Value {
    match value {
        sdk::Value::Null => host::Value::Null,
        sdk::Value::Bool(value) => host::Value::Bool(*value),
        sdk::Value::Int(value) => host::Value::Int(*value),
        sdk::Value::Float(value) => host::Value::Float(*value),
        sdk::Value::Text(value) => host::Value::Text(value.clone()),
        sdk::Value::Bytes(value) => host::Value::Bytes(value.clone()),
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "a column is of one kind, so other cells are missing ones")]
fn column_to_host(column: &sdk::Column) -> Result<host::Column, host::BatchError> {
    let cells: Vec<sdk::Cell<'_>> = (0..column.rows()).map(|row| column.cell(row)).collect();
    // A column is of one kind, so the first cell that is there tells; one of missing cells is numbers.
    let first = cells.iter().find(|cell| !matches!(cell, sdk::Cell::Missing));
    let cells = cells.iter();
    match first.unwrap_or(&sdk::Cell::Missing) {
        sdk::Cell::Missing | sdk::Cell::Float(_) => host::Column::floats(cells.map(|cell| match cell {
            sdk::Cell::Float(number) => Some(*number),
            _ => None,
        })),
        sdk::Cell::Int(_) => Ok(host::Column::ints(cells.map(|cell| match cell {
            sdk::Cell::Int(number) => Some(*number),
            _ => None,
        }))),
        sdk::Cell::Boolean(_) => Ok(host::Column::booleans(cells.map(|cell| match cell {
            sdk::Cell::Boolean(truth) => Some(*truth),
            _ => None,
        }))),
        sdk::Cell::Word(_) => Ok(host::Column::words(cells.map(|cell| match cell {
            sdk::Cell::Word(word) => Some(*word),
            _ => None,
        }))),
    }
}

fn kept<T: Copy>(cells: &[T], present: impl Fn(usize) -> bool) -> impl Iterator<Item = Option<T>> {
    cells.iter().enumerate().map(move |(row, cell)| present(row).then_some(*cell))
}
