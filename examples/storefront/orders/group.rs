//! From rows to orders and refunds, whatever order the rows come in.
//!
//! The rows are sorted by all that matters about them, so that everything after follows from which rows
//! there are. Rows of one order id are then next to each other, and within it those of one customer, and of
//! these the sales before the credits.

use std::collections::BTreeMap;

use super::amount::RoundingSum;
use super::error::{OrderFileError, shown};
use super::rows::{Place, Refusal, Row, Side};
use super::texts::{Ranks, TextId, Texts, TextsBuilder};
use super::{Entry, EntryKind, Key, OrderFile, RowCounts, StoredLine};

/// Puts together the accepted `rows` of a file of which `read` rows were read and `refused` already refused.
pub(super) fn group(
    mut rows: Vec<Row>,
    texts: TextsBuilder,
    read: u64,
    mut refused: BTreeMap<&'static str, u64>,
) -> Result<OrderFile, OrderFileError> {
    let (texts, ranks) = texts.finish();
    for row in &mut rows {
        rank(row, &ranks);
    }
    rows.sort_unstable_by_key(|row| {
        let line = (row.product, row.quantity, row.amount_minor);
        (row.place, row.customer, row.side, line, row.at_ms)
    });
    let mut book = Book::new(&texts, rows.len());
    for together in rows.chunk_by(|a, b| a.place == b.place) {
        match together[0].place {
            Place::Alone(content) => {
                for (ordinal, row) in together.iter().enumerate() {
                    let key = Key::Row { content, ordinal };
                    book.enter(std::slice::from_ref(row), key, None)?;
                }
            }
            Place::Order(id) => book.order(id, together)?,
        }
    }
    if book.of_another_customer > 0 {
        refused.insert(Refusal::OrderOfAnotherCustomer.name(), book.of_another_customer);
    }
    let counts = RowCounts {
        read,
        accepted: book.lines.len() as u64,
        refused,
        rounded: book.rounded,
        rounding: book.rounding.total(),
    };
    let Book { mut entries, lines, .. } = book;
    entries.sort_unstable_by_key(|entry| (entry.at_ms, entry.customer, entry.key));
    Ok(OrderFile { rows: counts, entries, lines, texts })
}

/// Gives `row` the ids that compare as their texts.
fn rank(row: &mut Row, ranks: &Ranks) {
    row.customer = ranks.of(row.customer);
    row.product = row.product.map(|id| ranks.of(id));
    row.place = match row.place {
        Place::Order(id) => Place::Order(ranks.of(id)),
        Place::Alone(content) => Place::Alone(content),
    };
}

/// The entries so far.
struct Book<'a> {
    texts: &'a Texts,
    entries: Vec<Entry>,
    lines: Vec<StoredLine>,
    of_another_customer: u64,
    rounded: u64,
    rounding: RoundingSum,
}

impl<'a> Book<'a> {
    fn new(texts: &'a Texts, row_count: usize) -> Self {
        Self {
            texts,
            entries: Vec::new(),
            lines: Vec::with_capacity(row_count),
            of_another_customer: 0,
            rounded: 0,
            rounding: RoundingSum::default(),
        }
    }

    /// Enters all rows of one order id. An order has one customer: whoever has its earliest row.
    fn order(&mut self, id: TextId, together: &[Row]) -> Result<(), OrderFileError> {
        let owner = together.iter().map(|row| (row.at_ms, row.customer)).min();
        for rows in together.chunk_by(|a, b| a.customer == b.customer) {
            if owner.is_none_or(|(_, owner)| owner != rows[0].customer) {
                self.of_another_customer += rows.len() as u64;
                continue;
            }
            let (sales, credits) = rows.split_at(rows.partition_point(|row| row.side == Side::Sale));
            self.enter(sales, Key::Order(id), Some(id))?;
            // A credit note is numbered like an invoice, but it is not the invoice it takes back.
            let refunded = (!sales.is_empty()).then_some(id);
            self.enter(credits, Key::Refund(id), refunded)?;
        }
        Ok(())
    }

    /// Enters `rows`, all of one customer and one side, as one entry; none if there are none.
    fn enter(&mut self, rows: &[Row], key: Key, order: Option<TextId>) -> Result<(), OrderFileError> {
        let Some(earliest) = rows.iter().min_by_key(|row| row.at_ms) else {
            return Ok(());
        };
        let amount_minor = total(rows).ok_or_else(|| self.out_of_range(key))?;
        let kind = match earliest.side {
            Side::Sale => EntryKind::Order,
            Side::Credit => EntryKind::Refund,
        };
        self.entries.push(Entry {
            at_ms: earliest.at_ms,
            kind,
            amount_minor,
            customer: earliest.customer,
            order,
            key,
            first_line: self.lines.len(),
            line_count: rows.len(),
        });
        for row in rows {
            self.lines.push(StoredLine {
                product: row.product,
                quantity: row.quantity,
                amount_minor: row.amount_minor,
            });
            self.rounded += u64::from(!row.rounding.is_none());
            self.rounding.add(row.rounding);
        }
        Ok(())
    }

    fn out_of_range(&self, key: Key) -> OrderFileError {
        let order = match key {
            Key::Order(id) | Key::Refund(id) => shown(self.texts.get(id)),
            Key::Row { content, .. } => content.to_string(),
        };
        OrderFileError::TotalOutOfRange { order }
    }
}

/// What rows of one side add up to, without its sign.
fn total(rows: &[Row]) -> Option<i64> {
    rows.iter().try_fold(0_i64, |total, row| total.checked_add(row.amount_minor)).and_then(i64::checked_abs)
}
