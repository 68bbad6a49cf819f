//! Balances of points as a table.

use std::io::Read;

use crm_core::Timestamp;
use crm_core::loyalty::{IMPORT_ENTRIES_MAX, ImportedLot};

use crate::engine::{BalanceRow, ImportedBalance};
use crate::incoming::Who;

/// The longest row, in bytes, give or take what is read ahead. A quote that is never closed would otherwise take in the
/// rest of the table.
pub const ROW_BYTES_MAX: usize = 65_536;

/// Why a row was refused. It tells nothing of what the row says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowFault {
    /// The first line does not name the columns `customer`, `points`, `earned_at` and `expires_at`, and if need be
    /// `active_from`, each once, and no others.
    #[error(
        "the first line does not name the columns customer, points, earned_at, expires_at and, if need be, active_from"
    )]
    Columns,
    /// More or fewer cells than there are columns.
    #[error("{cells} cells in {columns} columns")]
    Cells {
        /// How many.
        cells: usize,
        /// How many columns there are.
        columns: usize,
    },
    /// Nobody can be named so.
    #[error("the customer cannot be read")]
    Customer,
    /// Not a whole number.
    #[error("the points are no whole number")]
    Points,
    /// Not an instant or a date.
    #[error("{column} is neither an RFC 3339 time nor a date, from year 1 to 9999")]
    Time {
        /// In which column.
        column: &'static str,
    },
    /// Bytes that are no UTF-8.
    #[error("not UTF-8")]
    Encoding,
    /// A row longer than the limit.
    #[error("a row longer than {ROW_BYTES_MAX} bytes, or a quote that is never closed")]
    TooLong,
    /// The table cannot be read.
    #[error("reading failed: {kind}")]
    Read {
        /// What the reader said.
        kind: std::io::ErrorKind,
    },
}

/// Reads balances from a table (RFC 4180, UTF-8 with or without a byte order mark) whose first line names the columns
/// `customer`, `points`, `earned_at` and `expires_at`, in any order, and if need be `active_from`.
///
/// Each row is a lot: points are whole and at least 1; times are RFC 3339 or dates, which mean midnight in UTC; an
/// empty `expires_at` means never, and an empty `active_from` at once. Rows of one customer that follow each other are
/// one balance: sort the table by customer, for a customer who comes again is refused. Reads row by row, and keeps one
/// balance.
///
/// ```
/// use crm::{BalanceTable, ExternalSystem, Identifier};
///
/// let till = ExternalSystem::new("till")?;
/// let table = "customer,points,earned_at,expires_at\n7,120,2026-01-15,2027-01-15\n7,30,2026-03-01,\n8,5,2026-03-01,";
/// let rows = BalanceTable::new(table.as_bytes(), |name: &str| Identifier::external(&till, name));
/// let lots: Vec<usize> = rows.map(|row| row.balance.map(|balance| balance.lots.len())).collect::<Result<_, _>>()?;
/// assert_eq!(lots, [2, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BalanceTable<R, F> {
    table: csv::Reader<Bounded<R>>,
    who: F,
    columns: Option<Columns>,
    pending: Option<Pending>,
    /// What comes before the balance that is pending.
    refused: Option<BalanceRow>,
    over: bool,
}

impl<R, F> std::fmt::Debug for BalanceTable<R, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BalanceTable").field("columns", &self.columns).finish_non_exhaustive()
    }
}

/// Where each column is.
#[derive(Debug, Clone, Copy)]
struct Columns {
    customer: usize,
    points: usize,
    earned_at: usize,
    expires_at: usize,
    active_from: Option<usize>,
    all: usize,
}

struct Pending {
    name: String,
    line: u64,
    balance: ImportedBalance,
}

impl Pending {
    fn row(self) -> BalanceRow {
        BalanceRow { line: Some(self.line), balance: Ok(self.balance) }
    }
}

/// A reader that gives so many bytes until more are allowed, and ends every line, also the last one, with a line feed
/// alone: so that where a row ended is where the next line begins, and lines can be counted.
struct Bounded<R> {
    reader: R,
    left: usize,
    last: u8,
}

/// What the table's reader takes at once, and so reads ahead.
const AHEAD: usize = 8_192;

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        let most = buffer.len().min(self.left);
        loop {
            let read = self.reader.read(&mut buffer[..most])?;
            if read == 0 {
                let ended = std::mem::replace(&mut self.last, b'\n') == b'\n';
                return Ok(match buffer.first_mut() {
                    Some(first) if !ended => {
                        *first = b'\n';
                        1
                    }
                    Some(_) | None => 0,
                });
            }
            let mut kept = 0;
            for place in 0..read {
                let byte = buffer[place];
                let doubled = byte == b'\n' && self.last == b'\r';
                self.last = byte;
                if !doubled {
                    buffer[kept] = if byte == b'\r' { b'\n' } else { byte };
                    kept += 1;
                }
            }
            if kept > 0 {
                self.left -= kept;
                return Ok(kept);
            }
        }
    }
}

impl<R: Read, F, W, E> BalanceTable<R, F>
where
    F: Fn(&str) -> Result<W, E>,
    W: Into<Who>,
{
    /// Reads a table; `who` says who is meant by what is in the column `customer`.
    pub fn new(reader: R, who: F) -> Self {
        let reader = Bounded { reader, left: ROW_BYTES_MAX, last: b'\n' };
        let mut builder = csv::ReaderBuilder::new();
        builder.has_headers(false).flexible(true).trim(csv::Trim::All).buffer_capacity(AHEAD);
        let table = builder.from_reader(reader);
        BalanceTable { table, who, columns: None, pending: None, refused: None, over: false }
    }

    /// The next row with its line; none at the end. What cannot be read at all ends the table.
    fn record(&mut self) -> Option<(u64, Result<csv::StringRecord, RowFault>)> {
        if self.over {
            return None;
        }
        self.table.get_mut().left = ROW_BYTES_MAX;
        let mut record = csv::StringRecord::new();
        let before = self.table.position().line();
        let read = self.table.read_record(&mut record);
        // Empty lines before it, and those within its cells, are none of a row's.
        let within = record.iter().flat_map(str::bytes).filter(|byte| *byte == b'\n').count() as u64;
        let line = self.table.position().line().saturating_sub(within + 1);
        match read {
            Ok(true) => Some((line, Ok(record))),
            Ok(false) => {
                self.over = true;
                None
            }
            Err(error) => {
                let csv::ErrorKind::Io(error) = error.into_kind() else {
                    return Some((line, Err(RowFault::Encoding)));
                };
                self.over = true;
                let too_long = error.kind() == std::io::ErrorKind::FileTooLarge;
                Some((before, Err(if too_long { RowFault::TooLong } else { RowFault::Read { kind: error.kind() } })))
            }
        }
    }

    fn lot(&self, columns: Columns, record: &csv::StringRecord) -> Result<(Who, ImportedLot), RowFault> {
        if record.len() != columns.all {
            return Err(RowFault::Cells { cells: record.len(), columns: columns.all });
        }
        let cell = |place: usize| record.get(place).unwrap_or_default();
        let time = |place: usize, column| match cell(place) {
            "" => Ok(None),
            text => Timestamp::parse(text).map(Some).map_err(|_| RowFault::Time { column }),
        };
        let who = (self.who)(cell(columns.customer)).map_err(|_| RowFault::Customer)?.into();
        let points = cell(columns.points).parse().map_err(|_| RowFault::Points)?;
        let earned_at = time(columns.earned_at, "earned_at")?.ok_or(RowFault::Time { column: "earned_at" })?;
        let expires_at = time(columns.expires_at, "expires_at")?;
        let active_from = columns.active_from.map_or(Ok(None), |place| time(place, "active_from"))?;
        Ok((who, ImportedLot { points, earned_at, expires_at, active_from }))
    }
}

impl Columns {
    fn of(record: &csv::StringRecord) -> Option<Self> {
        let place = |name: &str| record.iter().position(|column| column == name);
        let columns = Columns {
            customer: place("customer")?,
            points: place("points")?,
            earned_at: place("earned_at")?,
            expires_at: place("expires_at")?,
            active_from: place("active_from"),
            all: record.len(),
        };
        let named = 4 + usize::from(columns.active_from.is_some());
        (columns.all == named).then_some(columns)
    }
}

impl<R: Read, F, W, E> Iterator for BalanceTable<R, F>
where
    F: Fn(&str) -> Result<W, E>,
    W: Into<Who>,
{
    type Item = BalanceRow;

    fn next(&mut self) -> Option<BalanceRow> {
        if let Some(refused) = self.refused.take() {
            return Some(refused);
        }
        loop {
            let Some((line, record)) = self.record() else { return self.pending.take().map(Pending::row) };
            let refused = |fault| BalanceRow { line: Some(line), balance: Err(fault) };
            let Some(columns) = self.columns else {
                self.columns = record.as_ref().ok().and_then(Columns::of);
                if self.columns.is_some() {
                    continue;
                }
                self.over = true;
                return Some(refused(record.err().unwrap_or(RowFault::Columns)));
            };
            let read = record.and_then(|record| self.lot(columns, &record).map(|lot| (record, lot)));
            let (record, (who, lot)) = match read {
                Ok(read) => read,
                Err(fault) => match self.pending.take() {
                    None => return Some(refused(fault)),
                    Some(pending) => {
                        self.refused = Some(refused(fault));
                        return Some(pending.row());
                    }
                },
            };
            let name = record.get(columns.customer).unwrap_or_default();
            match &mut self.pending {
                // One more than are allowed is enough to have them refused.
                Some(pending) if pending.name == name && pending.balance.lots.len() <= IMPORT_ENTRIES_MAX => {
                    pending.balance.lots.push(lot);
                }
                pending => {
                    let balance = ImportedBalance::new(who, vec![lot]);
                    let before = pending.replace(Pending { name: name.to_owned(), line, balance });
                    if let Some(before) = before {
                        return Some(before.row());
                    }
                }
            }
        }
    }
}
