//! Scoring: batches in, columns out.

use std::fmt;

use crate::batch::{Batch, BatchError, Cells, Column};
use crate::fault::{Fault, InputError};
use crate::instance::{Call, Instance};
use crate::manifest::{Output, OutputKind};
use crate::plugin::{Plugin, Step};
use crate::value::{Entry, Value};
use crate::wire::{self, BatchIn, ColumnOut};

/// A scorer with its parameters. It keeps one instance for many batches and drops it after any
/// fault; the next batch then gets a fresh one, so one bad batch costs only itself.
///
/// Scorers are told to be functions of their input. Nothing keeps one from remembering earlier
/// batches within an instance, so have it [forget](Scorer::forget) them before it is given somebody else's customers, or
/// where results must repeat in whatever order batches come.
pub struct Scorer {
    plugin: Plugin,
    params: Vec<Entry>,
    instance: Option<Instance>,
}

impl Scorer {
    pub(crate) fn new(plugin: Plugin, params: &[Entry]) -> Result<Scorer, Fault> {
        let manifest = plugin.manifest();
        if !plugin.is_scorer() {
            return Err(InputError::NotAScorer { plugin: manifest.name.clone() }.into());
        }
        let params = manifest.complete(params)?;
        let instance = plugin.run(Step::Configure, None, |call| instantiate(call, &plugin, &params))?;
        Ok(Scorer { plugin, params, instance: Some(instance) })
    }

    /// The plugin that scores.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// Drops the instance: the next batch gets a fresh one, which knows nothing of those before.
    pub fn forget(&mut self) {
        self.instance = None;
    }

    /// Scores a batch: one column for each output of the manifest, in its order, each with the
    /// batch's rows. Numbers are finite and within the declared range; a missing cell means that
    /// the scorer has nothing to say about that row.
    ///
    /// # Errors
    ///
    /// [`Fault::Input`] if the batch has not one column for each feature of the manifest; else what
    /// the guest faulted with, or what was wrong with its result.
    pub fn score(&mut self, batch: &Batch) -> Result<Vec<Column>, Fault> {
        let at_ms = batch.context().iter().find(|entry| entry.name == "as_of_ms");
        let at_ms = at_ms.and_then(|entry| if let Value::Int(at_ms) = entry.value { Some(at_ms) } else { None });
        let Scorer { plugin, params, instance } = self;
        plugin.run(Step::Score { rows: batch.rows() }, at_ms, |call| {
            check_input(plugin, batch)?;
            let mut current = match instance.take() {
                Some(mut current) => {
                    call.renew(&mut current);
                    current
                }
                None => instantiate(call, plugin, params)?,
            };
            let scores = score_with(call, plugin, &mut current, batch)?;
            // Only now, so that an instance that faulted is not used again.
            *instance = Some(current);
            Ok(scores)
        })
    }
}

fn check_input(plugin: &Plugin, batch: &Batch) -> Result<(), InputError> {
    let expected = plugin.manifest().features.len();
    let actual = batch.columns().len();
    if actual == expected { Ok(()) } else { Err(InputError::Columns { expected, actual }) }
}

#[inline]
fn score_with(call: &Call<'_>, plugin: &Plugin, instance: &mut Instance, batch: &Batch) -> Result<Vec<Column>, Fault> {
    let context = wire::entries(batch.context());
    let columns = wire::columns(batch.columns());
    let input = BatchIn { rows: batch.rows(), context: &context, columns: &columns };
    let columns: Vec<ColumnOut> = call.run(instance, (input,))?;
    let outputs = &plugin.manifest().outputs;
    if columns.len() != outputs.len() {
        return Err(Fault::ColumnCount { expected: outputs.len(), actual: columns.len() });
    }
    let rows = batch.rows() as usize;
    let mut scores = Vec::with_capacity(columns.len());
    for (output, column) in outputs.iter().zip(columns) {
        scores.push(check(output, column, rows)?);
    }
    Ok(scores)
}

/// A fresh instance, configured.
fn instantiate(call: &Call<'_>, plugin: &Plugin, params: &[Entry]) -> Result<Instance, Fault> {
    let Some(compiled) = &plugin.inner().scorer else {
        return Err(InputError::NotAScorer { plugin: plugin.name().to_owned() }.into());
    };
    call.instantiate(compiled, params, None)
}

impl fmt::Debug for Scorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scorer").field("plugin", &self.plugin).finish_non_exhaustive()
    }
}

#[inline]
fn check(output: &Output, column: ColumnOut, rows: usize) -> Result<Column, Fault> {
    let name = || output.name.clone();
    let cells = Cells::from(column.cells);
    let is_kind = match cells {
        Cells::Floats(_) => output.kind == OutputKind::Float,
        Cells::Ints(_) => output.kind == OutputKind::Int,
        Cells::Booleans(_) => output.kind == OutputKind::Boolean,
        Cells::Words { .. } => output.kind == OutputKind::Word,
    };
    if !is_kind {
        return Err(Fault::ColumnKind { output: name() });
    }
    if cells.rows() != rows {
        return Err(Fault::RowCount { output: name(), expected: rows, actual: cells.rows() });
    }
    let column = Column::new(cells, column.nulls).map_err(|error| match error {
        BatchError::NotFinite { .. } => Fault::NotFinite { place: name() },
        BatchError::NullByte { row } | BatchError::NoSuchWord { row, .. } => Fault::Malformed { output: name(), row },
        BatchError::Nulls { nulls, .. } => Fault::RowCount { output: name(), expected: rows, actual: nulls },
        BatchError::TooManyRows { .. } | BatchError::Rows { .. } | BatchError::Context { .. } => {
            Fault::RowCount { output: name(), expected: rows, actual: rows }
        }
    })?;
    check_range(output, &column)?;
    Ok(column)
}

fn check_range(output: &Output, column: &Column) -> Result<(), Fault> {
    if output.min.is_none() && output.max.is_none() {
        return Ok(());
    }
    let min = output.min.unwrap_or(f64::NEG_INFINITY);
    let max = output.max.unwrap_or(f64::INFINITY);
    let is_outside = |number: f64| number < min || number > max;
    let outside = match column.cells() {
        Cells::Floats(cells) => first(cells, |row, &cell| is_outside(cell) && !column.is_null(row)),
        Cells::Ints(cells) => first(cells, |row, &cell| is_outside(cell as f64) && !column.is_null(row)),
        Cells::Booleans(_) | Cells::Words { .. } => None,
    };
    match outside {
        Some(row) => Err(Fault::OutOfRange { output: output.name.clone(), row }),
        None => Ok(()),
    }
}

fn first<T>(cells: &[T], is_it: impl Fn(usize, &T) -> bool) -> Option<usize> {
    cells.iter().enumerate().find(|(row, cell)| is_it(*row, cell)).map(|(row, _)| row)
}
