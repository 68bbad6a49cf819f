//! Reads a file of order rows, as shops export them, into orders and refunds.
//!
//! A row names a customer, a time and an amount; most files also name an order, a product and a quantity.
//! Rows of one order id become one order (its sale lines) and one refund (its credit lines). A row without
//! an order id is an order or a refund of its own, whose key is made from its content, so that reading the
//! same file twice gives the same keys.
//!
//! Three promises, each kept by a test:
//!
//! - every row is either accepted or counted under the reason it was refused for;
//! - money is exact: a row is rounded once, to the currency's minor unit, and the difference is reported;
//! - the result does not depend on the order of the rows.
//!
//! The file is streamed (`source`), each row is checked and made compact (`rows`), and only then put
//! together (`group`).

mod amount;
mod column_map;
mod columns;
mod content_hash;
mod error;
mod group;
mod rows;
mod source;
mod texts;
mod time;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use csv::ByteRecord;
use rust_decimal::Decimal;

pub(crate) use self::column_map::ColumnMap;
use self::columns::Columns;
use self::content_hash::ContentHash;
pub(crate) use self::error::OrderFileError;
use self::rows::{RowFault, RowReader};
use self::source::Source;
use self::texts::{TextId, Texts};

/// The orders and refunds of one file.
#[derive(PartialEq, Eq)]
pub(crate) struct OrderFile {
    /// What became of the rows.
    pub(crate) rows: RowCounts,
    /// Orders and refunds by time, then customer, then key.
    pub(crate) entries: Vec<Entry>,
    lines: Vec<StoredLine>,
    texts: Texts,
}

/// How many rows were read, and what became of them: `read` is `accepted` plus the sum of `refused`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowCounts {
    /// Rows after the header; blank lines are none.
    pub(crate) read: u64,
    /// Rows that are a line of an entry.
    pub(crate) accepted: u64,
    /// Rows left out, by reason; a reason that did not occur is absent.
    pub(crate) refused: BTreeMap<&'static str, u64>,
    /// Accepted rows whose amount had more decimals than the currency.
    pub(crate) rounded: u64,
    /// What rounding added to the accepted rows, booked minus exact, in units of the currency (not minor).
    pub(crate) rounding: Decimal,
}

/// An order or a refund. Its texts are kept by the [`OrderFile`] it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Milliseconds since 1970 of its earliest row.
    pub(crate) at_ms: i64,
    pub(crate) kind: EntryKind,
    /// Minor units, never negative: what was bought, or what was given back.
    pub(crate) amount_minor: i64,
    customer: TextId,
    order: Option<TextId>,
    key: Key,
    first_line: usize,
    line_count: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EntryKind {
    Order,
    Refund,
}

/// What makes an entry the same one when the file is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Order(TextId),
    Refund(TextId),
    /// A row without an order id: its content, and which one it is among rows of equal content.
    Row {
        content: ContentHash,
        ordinal: usize,
    },
}

/// One row of an entry, with the signs it has in the file: the amounts of a refund's lines are zero or less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// `None` where the file has no product column or the cell is blank.
    pub(crate) product: Option<&'a str>,
    /// 1 where the file has no quantity column; `None` where the cell is no whole number.
    pub(crate) quantity: Option<i64>,
    /// Minor units.
    pub(crate) amount_minor: i64,
}

#[derive(PartialEq, Eq)]
struct StoredLine {
    product: Option<TextId>,
    quantity: Option<i64>,
    amount_minor: i64,
}

/// Reads the order file at `path`: CSV with a header, plain or gzip, in UTF-8.
///
/// `columns` says which columns to use where their names do not say it themselves; `exponent` is the number
/// of decimals of the currency (2 for EUR). The text is streamed; what stays in memory is about 100 bytes a
/// row plus each different id once.
///
/// # Errors
///
/// [`OrderFileError`] if the file cannot be read or is no CSV text, lacks a needed column, has a row longer
/// than 1 MiB, or holds an amount or an order total that cannot be kept exactly. A bad row is no error; it
/// is counted in [`RowCounts::refused`].
pub(crate) fn read(path: &Path, columns: Option<&ColumnMap>, exponent: u32) -> Result<OrderFile, OrderFileError> {
    let opened = File::open(path)
        .and_then(|file| if file.metadata()?.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(file) });
    match opened {
        Ok(file) => read_from(file, path, columns, exponent),
        Err(cause) => Err(OrderFileError::Open { path: path.to_owned(), cause }),
    }
}

/// Reads an order file from anywhere; `path` is its name in errors.
fn read_from(
    input: impl Read,
    path: &Path,
    columns: Option<&ColumnMap>,
    exponent: u32,
) -> Result<OrderFile, OrderFileError> {
    let mut source = Source::new(input, path)?;
    let mut record = ByteRecord::new();
    if !source.next_record(&mut record)? {
        return Err(OrderFileError::Empty { path: path.to_owned() });
    }
    let columns = Columns::of_header(&record, path, columns)?;
    let mut reader = RowReader::new(columns, exponent);
    let mut rows = Vec::new();
    let mut read = 0;
    let mut refused: BTreeMap<&'static str, u64> = BTreeMap::new();
    while source.next_record(&mut record)? {
        read += 1;
        match reader.row(&record) {
            Ok(row) => rows.push(row),
            Err(RowFault::Refused(reason)) => *refused.entry(reason.name()).or_default() += 1,
            Err(RowFault::AmountOutOfRange(text)) => {
                return Err(OrderFileError::AmountOutOfRange { line: source.line(), text });
            }
            Err(RowFault::TooManyTexts) => return Err(OrderFileError::TooManyTexts),
        }
    }
    group::group(rows, reader.into_texts(), read, refused)
}

impl OrderFile {
    /// Who the entry belongs to. Here and below `entry` is one of this file's.
    pub(crate) fn customer(&self, entry: &Entry) -> &str {
        self.texts.get(entry.customer)
    }

    /// The order the entry is, or gives money back for. A refund names an order only if this file has it.
    pub(crate) fn order(&self, entry: &Entry) -> Option<&str> {
        entry.order.map(|id| self.texts.get(id))
    }

    /// `order:<id>`, `refund:<id>`, or `row:<hash>:<ordinal>` for a row without an order id. No two entries
    /// of a file share a key, and a file that is read again, or has grown, gives old rows their old keys.
    pub(crate) fn key(&self, entry: &Entry) -> String {
        match entry.key {
            Key::Order(id) => format!("order:{}", self.texts.get(id)),
            Key::Refund(id) => format!("refund:{}", self.texts.get(id)),
            Key::Row { content, ordinal } => format!("row:{content}:{ordinal}"),
        }
    }

    /// The rows of the entry by product, quantity and amount; there is at least one.
    pub(crate) fn lines(&self, entry: &Entry) -> impl ExactSizeIterator<Item = Line<'_>> {
        let stored = &self.lines[entry.first_line..entry.first_line + entry.line_count];
        stored.iter().map(|line| Line {
            product: line.product.map(|id| self.texts.get(id)),
            quantity: line.quantity,
            amount_minor: line.amount_minor,
        })
    }

    /// When the first entry happened, in milliseconds since 1970; `None` without entries.
    pub(crate) fn first_at(&self) -> Option<i64> {
        self.entries.first().map(|entry| entry.at_ms)
    }

    /// When the last entry happened, in milliseconds since 1970; `None` without entries.
    pub(crate) fn last_at(&self) -> Option<i64> {
        self.entries.last().map(|entry| entry.at_ms)
    }
}

/// Counts only: customer ids do not belong in a log.
impl fmt::Debug for OrderFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderFile")
            .field("rows", &self.rows)
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
