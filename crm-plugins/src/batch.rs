//! Customers as columns: one call scores many rows, because a call and a copy cost more than a row.
//!
//! About 1,024 rows in a batch are a good size: fewer pay more for each call, and more gain little.

use crate::value::Entry;

/// The most rows that a batch may hold.
pub const ROWS_MAX: usize = 65_536;

/// The cells of a column, one for each row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cells {
    /// Finite numbers.
    Floats(Vec<f64>),
    /// Whole numbers.
    Ints(Vec<i64>),
    /// True or false.
    Booleans(Vec<bool>),
    /// Text: row `i` holds `words[codes[i]]`. Thirty times cheaper than a list of strings.
    Words {
        /// For each row, its place in `words`.
        codes: Vec<u32>,
        /// The distinct texts.
        words: Vec<String>,
    },
}

impl Cells {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        match self {
            Cells::Floats(cells) => cells.len(),
            Cells::Ints(cells) => cells.len(),
            Cells::Booleans(cells) => cells.len(),
            Cells::Words { codes, .. } => codes.len(),
        }
    }
}

/// One cell for each row, some of them missing.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    cells: Cells,
    nulls: Vec<u8>,
}

impl Column {
    /// A column. `nulls` is empty if no cell is missing, else one byte for each row (1 = missing);
    /// what a missing cell holds says nothing.
    ///
    /// # Errors
    ///
    /// If `nulls` has another length or another byte than 0 and 1, a number is not finite where it
    /// is not missing, or a code has no word.
    #[inline]
    pub fn new(mut cells: Cells, nulls: Vec<u8>) -> Result<Column, BatchError> {
        let rows = cells.rows();
        if !nulls.is_empty() && nulls.len() != rows {
            return Err(BatchError::Nulls { rows, nulls: nulls.len() });
        }
        if let Some(row) = nulls.iter().position(|&null| null > 1) {
            return Err(BatchError::NullByte { row });
        }
        match &mut cells {
            Cells::Floats(numbers) => make_canonical(numbers, &nulls)?,
            Cells::Words { codes, words } => check_codes(codes, words.len(), &nulls)?,
            Cells::Ints(_) | Cells::Booleans(_) => {}
        }
        Ok(Column { cells, nulls })
    }

    /// Numbers, `None` where one is missing.
    ///
    /// # Errors
    ///
    /// If a number is not finite.
    pub fn floats(numbers: impl IntoIterator<Item = Option<f64>>) -> Result<Column, BatchError> {
        let (cells, nulls) = split(numbers);
        Column::new(Cells::Floats(cells), nulls)
    }

    /// Whole numbers, `None` where one is missing.
    pub fn ints(numbers: impl IntoIterator<Item = Option<i64>>) -> Column {
        let (cells, nulls) = split(numbers);
        Column { cells: Cells::Ints(cells), nulls }
    }

    /// Truths, `None` where one is missing.
    pub fn booleans(truths: impl IntoIterator<Item = Option<bool>>) -> Column {
        let (cells, nulls) = split(truths);
        Column { cells: Cells::Booleans(cells), nulls }
    }

    /// Texts, `None` where one is missing. Each distinct text is kept once.
    pub fn words<'a>(texts: impl IntoIterator<Item = Option<&'a str>>) -> Column {
        let mut places = std::collections::HashMap::new();
        let mut words: Vec<String> = Vec::new();
        let (codes, nulls) = split(texts.into_iter().map(|text| {
            text.map(|text| {
                *places.entry(text).or_insert_with(|| {
                    words.push(text.to_owned());
                    // A batch has at most ROWS_MAX rows, so a place always fits.
                    u32::try_from(words.len() - 1).unwrap_or(u32::MAX)
                })
            })
        }));
        Column { cells: Cells::Words { codes, words }, nulls }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.cells.rows()
    }

    /// The cells, also those of missing rows.
    pub fn cells(&self) -> &Cells {
        &self.cells
    }

    /// Empty, or one byte for each row (1 = missing).
    pub fn nulls(&self) -> &[u8] {
        &self.nulls
    }

    /// Whether the cell of `row` is missing. A row beyond the end is.
    pub fn is_null(&self, row: usize) -> bool {
        row >= self.rows() || self.nulls.get(row).is_some_and(|&null| null != 0)
    }

    /// The number of `row`; none if it is missing or this is no column of floats.
    pub fn float(&self, row: usize) -> Option<f64> {
        match &self.cells {
            Cells::Floats(cells) if !self.is_null(row) => cells.get(row).copied(),
            Cells::Floats(_) | Cells::Ints(_) | Cells::Booleans(_) | Cells::Words { .. } => None,
        }
    }
}

/// Rows to score. Columns stand in the order of the manifest's features.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    rows: u32,
    context: Vec<Entry>,
    columns: Vec<Column>,
}

impl Batch {
    /// A batch of `rows` rows; `context` holds what is the same for all of them, such as `as_of_ms`.
    ///
    /// # Errors
    ///
    /// If there are more than [`ROWS_MAX`] rows, a column has another number of them, or the context has a name twice or
    /// a number that is not finite.
    pub fn new(rows: usize, context: Vec<Entry>, columns: Vec<Column>) -> Result<Batch, BatchError> {
        let count = u32::try_from(rows)
            .ok()
            .filter(|_| rows <= ROWS_MAX)
            .ok_or(BatchError::TooManyRows { rows, max: ROWS_MAX })?;
        for (index, column) in columns.iter().enumerate() {
            if column.rows() != rows {
                return Err(BatchError::Rows { column: index, rows, cells: column.rows() });
            }
        }
        let is_wrong = |entry: &&Entry| {
            !entry.value.is_finite() || context.iter().filter(|other| other.name == entry.name).count() > 1
        };
        if let Some(entry) = context.iter().find(is_wrong) {
            return Err(BatchError::Context { name: entry.name.clone() });
        }
        Ok(Batch { rows: count, context, columns })
    }

    /// How many rows there are.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// What is the same for all rows.
    pub fn context(&self) -> &[Entry] {
        &self.context
    }

    /// The columns, in the order of the manifest's features.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }
}

/// Why cells do not make a column, or columns no batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// More rows than a batch may hold.
    #[error("a batch of {rows} rows is over the limit of {max}")]
    TooManyRows {
        /// How many there are.
        rows: usize,
        /// How many there may be.
        max: usize,
    },
    /// A column is longer or shorter than the batch.
    #[error("column {column} has {cells} cells in a batch of {rows} rows")]
    Rows {
        /// The column's place, from 0.
        column: usize,
        /// The batch's rows.
        rows: usize,
        /// The column's cells.
        cells: usize,
    },
    /// A name of the context stands there twice, or its number is NaN or infinite.
    #[error("the context's `{name}` is given twice or not finite")]
    Context {
        /// The name.
        name: String,
    },
    /// The list of missing cells has another length than the column.
    #[error("{nulls} null bytes for {rows} rows")]
    Nulls {
        /// The column's rows.
        rows: usize,
        /// The bytes.
        nulls: usize,
    },
    /// A byte in the list of missing cells is neither 0 nor 1.
    #[error("the null byte of row {row} is neither 0 nor 1")]
    NullByte {
        /// From 0.
        row: usize,
    },
    /// A number is NaN or infinite.
    #[error("the number of row {row} is not finite")]
    NotFinite {
        /// From 0.
        row: usize,
    },
    /// A code lies outside the words.
    #[error("row {row} names word {code} of {words}")]
    NoSuchWord {
        /// From 0.
        row: usize,
        /// The code.
        code: u32,
        /// How many words there are.
        words: usize,
    },
}

/// Refuses NaN and infinities, and makes equal columns equal in their bytes: -0.0 becomes 0.0, and
/// a missing cell holds 0.0.
fn make_canonical(numbers: &mut [f64], nulls: &[u8]) -> Result<(), BatchError> {
    for (number, &null) in numbers.iter_mut().zip(nulls) {
        if null != 0 {
            *number = 0.0;
        }
    }
    // One pass without a branch for each number, which vectorises: zero times what is not finite is NaN, and NaN stays in a
    // sum. Several sums, so that none waits for the one before.
    let mut sums = [0.0; 8];
    let (chunks, rest) = numbers.as_chunks_mut::<8>();
    for chunk in chunks {
        for (number, sum) in chunk.iter_mut().zip(&mut sums) {
            *sum += *number * 0.0;
            *number += 0.0;
        }
    }
    for (number, sum) in rest.iter_mut().zip(&mut sums) {
        *sum += *number * 0.0;
        *number += 0.0;
    }
    if sums.iter().all(|sum| sum.is_finite()) {
        return Ok(());
    }
    let row = numbers.iter().position(|number| !number.is_finite()).unwrap_or_default();
    Err(BatchError::NotFinite { row })
}

fn check_codes(codes: &mut [u32], words: usize, nulls: &[u8]) -> Result<(), BatchError> {
    for (row, code) in codes.iter_mut().enumerate() {
        if nulls.get(row).is_some_and(|&null| null != 0) {
            *code = 0;
        } else if *code as usize >= words {
            return Err(BatchError::NoSuchWord { row, code: *code, words });
        }
    }
    Ok(())
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
    fn equal_columns_are_equal_in_their_bytes() {
        let column = Column::new(Cells::Floats(vec![-0.0, f64::NAN]), vec![0, 1]).unwrap();
        let Cells::Floats(cells) = column.cells() else { panic!("not floats") };
        assert_eq!(cells.iter().map(|cell| cell.to_bits()).collect::<Vec<_>>(), [0, 0]);
    }

    #[test]
    fn what_is_not_finite_is_refused_with_its_row() {
        for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let cells = Column::floats([Some(1.0), Some(wrong)]);
            assert_eq!(cells, Err(BatchError::NotFinite { row: 1 }));
        }
    }

    #[test]
    fn missing_cells_are_marked_only_where_there_are_any() {
        assert!(Column::ints([Some(1), Some(2)]).nulls().is_empty());
        assert_eq!(Column::ints([Some(1), None, Some(2), None]).nulls(), [0, 1, 0, 1]);
    }

    #[test]
    fn words_are_kept_once() {
        let column = Column::words([Some("de"), Some("fr"), None, Some("de")]);
        let expected = Cells::Words { codes: vec![0, 1, 0, 0], words: vec!["de".into(), "fr".into()] };
        assert_eq!(column.cells(), &expected);
        assert_eq!(column.nulls(), [0, 0, 1, 0]);
    }

    #[test]
    fn a_batch_refuses_a_column_of_another_length() {
        let batch = Batch::new(2, vec![], vec![Column::ints([Some(1)])]);
        assert_eq!(batch, Err(BatchError::Rows { column: 0, rows: 2, cells: 1 }));
    }

    #[test]
    fn a_context_with_a_name_twice_or_a_number_that_is_none_is_refused() {
        for context in [vec![Entry::new("seed", 1), Entry::new("seed", 2)], vec![Entry::new("seed", f64::NAN)]] {
            assert_eq!(Batch::new(0, context, vec![]), Err(BatchError::Context { name: "seed".into() }));
        }
    }

    #[test]
    fn a_code_without_a_word_is_refused() {
        let cells = Cells::Words { codes: vec![1], words: vec!["only".into()] };
        let error = BatchError::NoSuchWord { row: 0, code: 1, words: 1 };
        assert_eq!(Column::new(cells, vec![]), Err(error));
    }
}
