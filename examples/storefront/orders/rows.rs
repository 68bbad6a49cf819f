//! One row: checked, and made compact.
//!
//! A row is checked in a fixed order (width, customer, time, amount, then the ids that are merely nice to
//! have) and refused for the first thing wrong with it. Only the columns that are used are looked at, so a
//! description in an old encoding costs nobody an order.

use csv::ByteRecord;

use super::amount::{Booked, Exact, NumberError, Rounding};
use super::columns::{Columns, ValueColumn};
use super::content_hash::ContentHash;
use super::error::shown;
use super::texts::{TextId, TextsBuilder};
use super::time;

/// Longest customer, order or product id in bytes.
const ID_BYTES_MAX: usize = 256;

/// What a row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) place: Place,
    pub(super) customer: TextId,
    pub(super) side: Side,
    pub(super) product: Option<TextId>,
    pub(super) quantity: Option<i64>,
    /// Minor units, with its sign.
    pub(super) amount_minor: i64,
    pub(super) at_ms: i64,
    pub(super) rounding: Rounding,
}

/// What keeps a row together with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Order(TextId),
    Alone(ContentHash),
}

/// Whether the customer bought or was given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Sale,
    /// Less than zero, or zero for a negative quantity.
    Credit,
}

/// Why a row is left out of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    WrongWidth,
    NotUtf8,
    MissingCustomer,
    BadText,
    BadDate,
    BadAmount,
    BadQuantity,
    OrderOfAnotherCustomer,
}

/// Why a row is not a [`Row`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RowFault {
    Refused(Refusal),
    /// The row's amount as written; the whole file is refused.
    AmountOutOfRange(String),
    TooManyTexts,
}

/// Reads rows of one file.
#[derive(Debug)]
pub(super) struct RowReader {
    columns: Columns,
    exponent: u32,
    texts: TextsBuilder,
}

impl Refusal {
    /// The name it is counted under.
    pub(super) fn name(self) -> &'static str {
        match self {
            Refusal::WrongWidth => "wrong_width",
            Refusal::NotUtf8 => "not_utf8",
            Refusal::MissingCustomer => "missing_customer",
            Refusal::BadText => "bad_text",
            Refusal::BadDate => "bad_date",
            Refusal::BadAmount => "bad_amount",
            Refusal::BadQuantity => "bad_quantity",
            Refusal::OrderOfAnotherCustomer => "order_of_another_customer",
        }
    }
}

impl From<Refusal> for RowFault {
    fn from(refusal: Refusal) -> Self {
        RowFault::Refused(refusal)
    }
}

impl RowReader {
    pub(super) fn new(columns: Columns, exponent: u32) -> Self {
        Self { columns, exponent, texts: TextsBuilder::default() }
    }

    /// The texts the rows refer to.
    pub(super) fn into_texts(self) -> TextsBuilder {
        self.texts
    }

    pub(super) fn row(&mut self, record: &ByteRecord) -> Result<Row, RowFault> {
        let cells = self.cells(record)?;
        let customer = id(cells.customer)?.ok_or(Refusal::MissingCustomer)?;
        let at_ms = time::parse(cells.time).ok_or(Refusal::BadDate)?;
        let quantity = cells.quantity.map_or(Exact::parse("1"), Exact::parse);
        let exact = self.amount(&cells, quantity)?;
        let Booked { minor, rounding } =
            exact.booked(self.exponent).ok_or_else(|| RowFault::AmountOutOfRange(self.written(&cells)))?;
        let product = id(cells.product)?;
        let order = id(cells.order)?;
        let quantity = quantity.ok();
        let is_returned = exact.is_zero() && quantity.is_some_and(Exact::is_negative);
        let place = match order {
            Some(order) => Place::Order(self.text_id(order)?),
            None => Place::Alone(ContentHash::of(customer, at_ms, product, quantity, exact)),
        };
        Ok(Row {
            place,
            customer: self.text_id(customer)?,
            side: if exact.is_negative() || is_returned { Side::Credit } else { Side::Sale },
            product: product.map(|product| self.text_id(product)).transpose()?,
            quantity: quantity.and_then(Exact::whole),
            amount_minor: minor,
            at_ms,
            rounding,
        })
    }

    fn cells<'a>(&self, record: &'a ByteRecord) -> Result<Cells<'a>, Refusal> {
        if record.len() != self.columns.width {
            return Err(Refusal::WrongWidth);
        }
        let cell = |position: usize| {
            let bytes = record.get(position).ok_or(Refusal::WrongWidth)?;
            str::from_utf8(bytes).map_err(|_| Refusal::NotUtf8)
        };
        let optional = |position: Option<usize>| position.map(cell).transpose();
        let (ValueColumn::Amount(value) | ValueColumn::UnitPrice(value)) = self.columns.value;
        Ok(Cells {
            customer: cell(self.columns.customer)?,
            time: cell(self.columns.time)?,
            value: cell(value)?,
            order: optional(self.columns.order)?.unwrap_or_default(),
            product: optional(self.columns.product)?.unwrap_or_default(),
            quantity: optional(self.columns.quantity)?,
        })
    }

    /// The row's amount. The quantity is only needed, and so only required, to multiply a unit price.
    fn amount(&self, cells: &Cells<'_>, quantity: Result<Exact, NumberError>) -> Result<Exact, RowFault> {
        let out_of_range = || RowFault::AmountOutOfRange(self.written(cells));
        let value = Exact::parse(cells.value).map_err(|error| match error {
            NumberError::NotANumber => Refusal::BadAmount.into(),
            NumberError::OutOfRange => out_of_range(),
        })?;
        match self.columns.value {
            ValueColumn::Amount(_) => Ok(value),
            ValueColumn::UnitPrice(_) => {
                let quantity = quantity.map_err(|_| Refusal::BadQuantity)?;
                value.checked_mul(quantity).ok_or_else(out_of_range)
            }
        }
    }

    /// The amount as the file has it.
    fn written(&self, cells: &Cells<'_>) -> String {
        match (self.columns.value, cells.quantity) {
            (ValueColumn::UnitPrice(_), Some(quantity)) => {
                shown(&format!("{} x {}", quantity.trim(), cells.value.trim()))
            }
            (ValueColumn::UnitPrice(_), None) | (ValueColumn::Amount(_), _) => shown(cells.value.trim()),
        }
    }

    fn text_id(&mut self, text: &str) -> Result<TextId, RowFault> {
        self.texts.id(text).ok_or(RowFault::TooManyTexts)
    }
}

/// The cells of a row that mean something. A column the file lacks is blank, but for the quantity.
struct Cells<'a> {
    customer: &'a str,
    time: &'a str,
    value: &'a str,
    order: &'a str,
    product: &'a str,
    quantity: Option<&'a str>,
}

/// An id without the blanks around it; `None` if it is blank.
fn id(cell: &str) -> Result<Option<&str>, Refusal> {
    let id = cell.trim();
    if id.len() > ID_BYTES_MAX || id.chars().any(char::is_control) {
        return Err(Refusal::BadText);
    }
    Ok((!id.is_empty()).then_some(id))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn row_of(header: &str, cells: &[&[u8]]) -> Result<Row, RowFault> {
        let header = ByteRecord::from(header.split(',').collect::<Vec<_>>());
        let columns = Columns::of_header(&header, Path::new("orders.csv"), None).unwrap();
        RowReader::new(columns, 2).row(&ByteRecord::from(cells.to_vec()))
    }

    fn row(header: &str, row: &str) -> Result<Row, RowFault> {
        row_of(header, &row.split(',').map(str::as_bytes).collect::<Vec<_>>())
    }

    const TOTALS: &str = "customer,date,amount,quantity,order,product,note";
    const PRICES: &str = "customer,date,price,quantity,order,product,note";

    #[test]
    fn a_row_is_refused_for_the_first_thing_wrong_with_it() {
        let long = "x".repeat(257);
        let cases = [
            ("a,2020-01-01,1,1,,".to_owned(), "wrong_width"),
            ("a,2020-01-01,1,1,,,,".to_owned(), "wrong_width"),
            (" \t,never,x,x,,,".to_owned(), "missing_customer"),
            ("\u{2003},2020-01-01,1,1,,,".to_owned(), "missing_customer"),
            ("a\u{7}b,2020-01-01,1,1,,,".to_owned(), "bad_text"),
            ("a\nb,never,1,1,,,".to_owned(), "bad_text"),
            (format!("{long},2020-01-01,1,1,,,"), "bad_text"),
            ("a,never,x,x,,,".to_owned(), "bad_date"),
            ("a,,1,1,,,".to_owned(), "bad_date"),
            ("a,2020-02-30,1,1,,,".to_owned(), "bad_date"),
            ("a,2020-01-01,,x,,,".to_owned(), "bad_amount"),
            ("a,2020-01-01,NaN,x,,,".to_owned(), "bad_amount"),
            ("a,2020-01-01,1,x,,,".to_owned(), "bad_quantity"),
            ("a,2020-01-01,1,,,,".to_owned(), "bad_quantity"),
            ("a,2020-01-01,1,1e400,,,".to_owned(), "bad_quantity"),
            (format!("a,2020-01-01,1,1,{long},,"), "bad_text"),
            ("a,2020-01-01,1,1,,p\u{1b}[31m,".to_owned(), "bad_text"),
        ];
        for (text, expected) in cases {
            match row(PRICES, &text) {
                Err(RowFault::Refused(reason)) => assert_eq!(reason.name(), expected, "{text:?}"),
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn bytes_that_are_no_text_refuse_a_row_only_in_a_column_that_is_used() {
        let bad = b"caf\xe9".as_slice();
        let in_customer = row_of(TOTALS, &[bad, b"2020-01-01", b"1", b"1", b"", b"", b""]);
        assert_eq!(in_customer, Err(Refusal::NotUtf8.into()));
        let in_product = row_of(TOTALS, &[b" ", b"2020-01-01", b"1", b"1", b"", bad, b""]);
        assert_eq!(in_product, Err(Refusal::NotUtf8.into()));
        assert!(row_of(TOTALS, &[b"a", b"2020-01-01", b"1", b"1", b"", b"", bad]).is_ok());
    }

    #[test]
    fn a_quantity_counts_for_a_unit_price_and_is_only_noted_beside_a_total() {
        let cases = [
            (TOTALS, "a,2020-01-01,7.50,3,,,", 750, Some(3)),
            (TOTALS, "a,2020-01-01,7.50,x,,,", 750, None),
            (TOTALS, "a,2020-01-01,7.50,,,,", 750, None),
            (TOTALS, "a,2020-01-01,7.50,0.5,,,", 750, None),
            (PRICES, "a,2020-01-01,2.50,3,,,", 750, Some(3)),
            (PRICES, "a,2020-01-01,2.50,3.0,,,", 750, Some(3)),
            (PRICES, "a,2020-01-01,2.50,-3,,,", -750, Some(-3)),
            (PRICES, "a,2020-01-01,2.50,0.5,,,", 125, None),
            ("customer,date,price", "a,2020-01-01,2.50", 250, Some(1)),
            ("customer,date,amount", "a,2020-01-01,2.50", 250, Some(1)),
        ];
        for (header, text, minor, quantity) in cases {
            let row = row(header, text).unwrap();
            assert_eq!((row.amount_minor, row.quantity), (minor, quantity), "{text}");
        }
    }

    #[test]
    fn a_credit_is_below_zero_or_zero_for_a_negative_quantity() {
        let cases = [
            ("-0.01,1", Side::Credit),
            ("-0.001,1", Side::Credit),
            ("0.00,-1", Side::Credit),
            ("-0.00,1", Side::Sale),
            ("0,0", Side::Sale),
            ("0,x", Side::Sale),
            ("5,-1", Side::Sale),
        ];
        for (cells, side) in cases {
            let row = row(TOTALS, &format!("a,2020-01-01,{cells},,,")).unwrap();
            assert_eq!(row.side, side, "{cells}");
        }
    }

    #[test]
    fn an_amount_out_of_range_is_told_as_it_is_written() {
        let out_of_range = |text: &str| Err(RowFault::AmountOutOfRange(text.to_owned()));
        assert_eq!(row(TOTALS, "a,2020-01-01, 1e400 ,1,,,"), out_of_range("1e400"));
        assert_eq!(row(TOTALS, "a,2020-01-01,10000000000000.01,1,,,"), out_of_range("10000000000000.01"));
        assert_eq!(row(PRICES, "a,2020-01-01,1e9,99999,,,"), out_of_range("99999 x 1e9"));
        let digits = "9".repeat(60);
        let shortened = format!("{}…", "9".repeat(40));
        assert_eq!(row(TOTALS, &format!("a,2020-01-01,{digits},1,,,")), out_of_range(&shortened));
        assert!(row(TOTALS, "a,2020-01-01,10000000000000,1,,,").is_ok());
    }
}
