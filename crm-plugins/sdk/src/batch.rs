//! Customers as columns.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::failure::Failure;
use crate::value::Entries;

/// The rows to score, as one column for each feature of the manifest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    rows: usize,
    context: Entries,
    columns: Vec<(Cow<'static, str>, Column)>,
}

impl Batch {
    /// A batch of `rows` rows and no columns yet, for tests.
    pub fn new(rows: usize) -> Self {
        Batch { rows, ..Batch::default() }
    }

    /// The same batch with a column under `name`, for tests.
    ///
    /// # Panics
    ///
    /// If the column has another number of rows: that is a mistake in the test.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, column: Column) -> Self {
        assert_eq!(column.rows(), self.rows, "a column has one cell for each row of its batch");
        self.columns.push((Cow::Owned(name.into()), column));
        self
    }

    /// The same batch with what is the same for all rows, for tests.
    #[must_use]
    pub fn with_context(mut self, context: Entries) -> Self {
        self.context = context;
        self
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// What is the same for all rows: [`as_of_ms`](Batch::as_of_ms), [`seed`](Batch::seed) and
    /// [`currency`](Batch::currency), and what later versions of the host may add.
    pub fn context(&self) -> &Entries {
        &self.context
    }

    /// The instant as of which the columns hold, in milliseconds since 1970-01-01 UTC.
    pub fn as_of_ms(&self) -> Option<i64> {
        self.context.int("as_of_ms")
    }

    /// Where to draw chance from: the same for all batches of a run, and for a replay; another one for each plugin and
    /// instant. What it gives for a row must not depend on the rows around it.
    pub fn seed(&self) -> Option<u64> {
        self.context.int("seed").map(i64::cast_unsigned)
    }

    /// The currency that amounts are in, by its ISO 4217 code.
    pub fn currency(&self) -> Option<&str> {
        self.context.text("currency")
    }

    /// The column `name` as numbers. Whole ones count, exact up to 2^53.
    ///
    /// # Errors
    ///
    /// If the manifest does not ask for `name`, or it holds no numbers.
    pub fn floats(&self, name: &str) -> Result<Floats<'_>, Failure> {
        let column = self.column(name)?;
        match &column.cells {
            Cells::Floats(cells) => Ok(Floats { cells: Cow::Borrowed(cells), nulls: &column.nulls }),
            Cells::Ints(cells) => {
                let cells = cells.iter().map(|&cell| cell as f64).collect();
                Ok(Floats { cells: Cow::Owned(cells), nulls: &column.nulls })
            }
            Cells::Booleans(_) | Cells::Words { .. } => Err(wrong_kind(name, "numbers")),
        }
    }

    /// The column `name` as whole numbers.
    ///
    /// # Errors
    ///
    /// If the manifest does not ask for `name`, or it holds no whole numbers.
    pub fn ints(&self, name: &str) -> Result<Ints<'_>, Failure> {
        let column = self.column(name)?;
        match &column.cells {
            Cells::Ints(cells) => Ok(Ints { cells, nulls: &column.nulls }),
            Cells::Floats(_) | Cells::Booleans(_) | Cells::Words { .. } => Err(wrong_kind(name, "whole numbers")),
        }
    }

    /// The column `name` as truths.
    ///
    /// # Errors
    ///
    /// If the manifest does not ask for `name`, or it holds no truths.
    pub fn booleans(&self, name: &str) -> Result<Booleans<'_>, Failure> {
        let column = self.column(name)?;
        match &column.cells {
            Cells::Booleans(cells) => Ok(Booleans { cells, nulls: &column.nulls }),
            Cells::Floats(_) | Cells::Ints(_) | Cells::Words { .. } => Err(wrong_kind(name, "truths")),
        }
    }

    /// The column `name` as text.
    ///
    /// # Errors
    ///
    /// If the manifest does not ask for `name`, or it holds no text.
    pub fn words(&self, name: &str) -> Result<Words<'_>, Failure> {
        let column = self.column(name)?;
        match &column.cells {
            Cells::Words { codes, words } => Ok(Words { codes, words, nulls: &column.nulls }),
            Cells::Floats(_) | Cells::Ints(_) | Cells::Booleans(_) => Err(wrong_kind(name, "text")),
        }
    }

    /// A column of scores, row by row; `None` where the scorer has nothing to say.
    pub fn map(&self, score: impl FnMut(usize) -> Option<f64>) -> Column {
        Column::floats((0..self.rows).map(score))
    }

    /// The columns with their names, in order.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &Column)> {
        self.columns.iter().map(|(name, column)| (&**name, column))
    }

    /// The batch of these rows, in this order.
    pub(crate) fn rows_at(&self, rows: &[usize]) -> Batch {
        let columns = self.columns.iter().map(|(name, column)| (name.clone(), column.rows_at(rows)));
        Batch { rows: rows.len(), context: self.context.clone(), columns: columns.collect() }
    }

    /// Used by the macro: a batch as it came in, with the manifest's names.
    pub(crate) fn received(
        rows: usize,
        context: Entries,
        columns: Vec<(Cow<'static, str>, Column)>,
    ) -> Result<Batch, Failure> {
        match columns.iter().find(|(_, column)| column.rows() != rows) {
            Some((name, _)) => Err(Failure::new("malformed-batch", &**name)),
            None => Ok(Batch { rows, context, columns }),
        }
    }

    fn column(&self, name: &str) -> Result<&Column, Failure> {
        let found = self.columns.iter().find(|(known, _)| known == name);
        found.map(|(_, column)| column).ok_or_else(|| Failure::new("no-such-feature", name))
    }
}

fn wrong_kind(name: &str, kind: &str) -> Failure {
    Failure::new("wrong-kind", format!("{name} does not hold {kind}"))
}

/// One cell for each row, some of them missing.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub(crate) cells: Cells,
    pub(crate) nulls: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cells {
    Floats(Vec<f64>),
    Ints(Vec<i64>),
    Booleans(Vec<bool>),
    Words { codes: Vec<u32>, words: Vec<String> },
}

impl Column {
    /// Numbers, `None` where one is missing. The host refuses numbers that are not finite.
    pub fn floats(cells: impl IntoIterator<Item = Option<f64>>) -> Self {
        let (cells, nulls) = split(cells);
        Column { cells: Cells::Floats(cells), nulls }
    }

    /// Numbers of which none is missing. The host refuses numbers that are not finite.
    pub fn numbers(cells: Vec<f64>) -> Self {
        Column { cells: Cells::Floats(cells), nulls: Vec::new() }
    }

    /// Whole numbers, `None` where one is missing.
    pub fn ints(cells: impl IntoIterator<Item = Option<i64>>) -> Self {
        let (cells, nulls) = split(cells);
        Column { cells: Cells::Ints(cells), nulls }
    }

    /// Truths, `None` where one is missing.
    pub fn booleans(cells: impl IntoIterator<Item = Option<bool>>) -> Self {
        let (cells, nulls) = split(cells);
        Column { cells: Cells::Booleans(cells), nulls }
    }

    /// Texts, `None` where one is missing. Each distinct text travels once.
    pub fn words<'a>(cells: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let mut words: Vec<String> = Vec::new();
        let (codes, nulls) = split(cells.into_iter().map(|cell| {
            cell.map(|text| {
                let place = words.iter().position(|word| word == text).unwrap_or_else(|| {
                    words.push(text.to_owned());
                    words.len() - 1
                });
                place as u32
            })
        }));
        Column { cells: Cells::Words { codes, words }, nulls }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        match &self.cells {
            Cells::Floats(cells) => cells.len(),
            Cells::Ints(cells) => cells.len(),
            Cells::Booleans(cells) => cells.len(),
            Cells::Words { codes, .. } => codes.len(),
        }
    }

    /// What the column holds for `row`. For tests.
    pub fn cell(&self, row: usize) -> Cell<'_> {
        let nulls = &self.nulls;
        match &self.cells {
            Cells::Floats(cells) => present(cells, nulls, row).map_or(Cell::Missing, Cell::Float),
            Cells::Ints(cells) => present(cells, nulls, row).map_or(Cell::Missing, Cell::Int),
            Cells::Booleans(cells) => present(cells, nulls, row).map_or(Cell::Missing, Cell::Boolean),
            Cells::Words { codes, words } => {
                let word = present(codes, nulls, row).and_then(|code| words.get(code as usize));
                word.map_or(Cell::Missing, |word| Cell::Word(word))
            }
        }
    }

    fn rows_at(&self, rows: &[usize]) -> Column {
        let cells = match &self.cells {
            Cells::Floats(cells) => Cells::Floats(pick(cells, rows)),
            Cells::Ints(cells) => Cells::Ints(pick(cells, rows)),
            Cells::Booleans(cells) => Cells::Booleans(pick(cells, rows)),
            Cells::Words { codes, words } => Cells::Words { codes: pick(codes, rows), words: words.clone() },
        };
        let nulls = if self.nulls.is_empty() { Vec::new() } else { pick(&self.nulls, rows) };
        Column { cells, nulls }
    }

    /// The number of `row`; none if it is missing or this holds no numbers. For tests.
    pub fn float(&self, row: usize) -> Option<f64> {
        match &self.cells {
            Cells::Floats(cells) => present(cells, &self.nulls, row),
            Cells::Ints(cells) => present(cells, &self.nulls, row).map(|cell| cell as f64),
            Cells::Booleans(_) | Cells::Words { .. } => None,
        }
    }
}

/// What a column holds for one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// Nothing.
    Missing,
    /// A number.
    Float(f64),
    /// A whole number.
    Int(i64),
    /// True or false.
    Boolean(bool),
    /// Text.
    Word(&'a str),
}

impl Cell<'_> {
    /// Whether both are the same bit by bit: unlike for `==`, NaN is NaN, and -0 is not 0.
    pub fn is_same(&self, other: &Cell<'_>) -> bool {
        match (self, other) {
            (Cell::Float(this), Cell::Float(other)) => this.to_bits() == other.to_bits(),
            _ => self == other,
        }
    }
}

/// A column of numbers.
#[derive(Debug, Clone)]
pub struct Floats<'a> {
    cells: Cow<'a, [f64]>,
    nulls: &'a [u8],
}

impl<'a> Floats<'a> {
    /// The number of `row`; none if it is missing.
    #[inline]
    pub fn get(&self, row: usize) -> Option<f64> {
        present(&self.cells, self.nulls, row)
    }

    /// All numbers, if none is missing: a loop over a slice is what a compiler makes fastest.
    pub fn all(&self) -> Option<&[f64]> {
        self.nulls.iter().all(|&null| null == 0).then_some(&*self.cells)
    }
}

/// A column of whole numbers.
#[derive(Debug, Clone, Copy)]
pub struct Ints<'a> {
    cells: &'a [i64],
    nulls: &'a [u8],
}

impl Ints<'_> {
    /// The number of `row`; none if it is missing.
    #[inline]
    pub fn get(&self, row: usize) -> Option<i64> {
        present(self.cells, self.nulls, row)
    }
}

/// A column of truths.
#[derive(Debug, Clone, Copy)]
pub struct Booleans<'a> {
    cells: &'a [bool],
    nulls: &'a [u8],
}

impl Booleans<'_> {
    /// The truth of `row`; none if it is missing.
    #[inline]
    pub fn get(&self, row: usize) -> Option<bool> {
        present(self.cells, self.nulls, row)
    }
}

/// A column of text.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a> {
    codes: &'a [u32],
    words: &'a [String],
    nulls: &'a [u8],
}

impl<'a> Words<'a> {
    /// The text of `row`; none if it is missing.
    #[inline]
    pub fn get(&self, row: usize) -> Option<&'a str> {
        self.words.get(self.code(row)? as usize).map(String::as_str)
    }

    /// The place of the text of `row` in [`Words::distinct`]; none if it is missing. Work that
    /// depends on the text alone can be done once for each place.
    #[inline]
    pub fn code(&self, row: usize) -> Option<u32> {
        present(self.codes, self.nulls, row)
    }

    /// The distinct texts.
    pub fn distinct(&self) -> &'a [String] {
        self.words
    }
}

fn pick<T: Copy>(cells: &[T], rows: &[usize]) -> Vec<T> {
    rows.iter().filter_map(|&row| cells.get(row).copied()).collect()
}

#[inline]
fn present<T: Copy>(cells: &[T], nulls: &[u8], row: usize) -> Option<T> {
    if nulls.get(row).is_some_and(|&null| null != 0) { None } else { cells.get(row).copied() }
}

fn split<T: Default>(cells: impl IntoIterator<Item = Option<T>>) -> (Vec<T>, Vec<u8>) {
    let cells = cells.into_iter();
    let mut values = Vec::with_capacity(cells.size_hint().0);
    let mut nulls = Vec::new();
    for cell in cells {
        if cell.is_none() && nulls.is_empty() {
            nulls.resize(values.len(), 0);
            nulls.push(1);
        } else if !nulls.is_empty() {
            nulls.push(u8::from(cell.is_none()));
        }
        values.push(cell.unwrap_or_default());
    }
    (values, nulls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_come_out_as_they_went_in() {
        let batch = Batch::new(3)
            .with("recency_days", Column::floats([Some(1.5), None, Some(2.0)]))
            .with("orders", Column::ints([None, Some(7), Some(8)]))
            .with("country", Column::words([Some("de"), Some("fr"), None]))
            .with("loyal", Column::booleans([Some(true), None, Some(false)]));
        let rows = |get: &dyn Fn(usize) -> Option<f64>| [get(0), get(1), get(2), get(3)];
        let recency = batch.floats("recency_days").unwrap();
        assert_eq!(rows(&|row| recency.get(row)), [Some(1.5), None, Some(2.0), None]);
        let orders = batch.floats("orders").unwrap();
        assert_eq!(rows(&|row| orders.get(row)), [None, Some(7.0), Some(8.0), None]);
        assert_eq!(batch.ints("orders").unwrap().get(1), Some(7));
        assert_eq!(batch.words("country").unwrap().get(1), Some("fr"));
        assert_eq!(batch.words("country").unwrap().get(2), None);
        assert_eq!(batch.booleans("loyal").unwrap().get(2), Some(false));
    }

    #[test]
    fn a_column_is_a_slice_where_none_is_missing() {
        let batch = Batch::new(2)
            .with("whole", Column::ints([Some(1), Some(2)]))
            .with("numbers", Column::numbers(alloc::vec![0.5, 1.5]))
            .with("some", Column::floats([Some(1.0), None]));
        assert_eq!(batch.floats("whole").unwrap().all(), Some(&[1.0, 2.0][..]));
        assert_eq!(batch.floats("numbers").unwrap().all(), Some(&[0.5, 1.5][..]));
        assert_eq!(batch.floats("some").unwrap().all(), None);
    }

    #[test]
    fn a_feature_that_is_not_there_or_of_another_kind_is_named() {
        let batch = Batch::new(1).with("orders", Column::ints([Some(1)]));
        assert_eq!(batch.floats("order").unwrap_err().code(), "no-such-feature");
        assert_eq!(batch.words("orders").unwrap_err().code(), "wrong-kind");
    }
}
