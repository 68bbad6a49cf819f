//! Which column of a file means what.
//!
//! Exports agree on little but the words, so a column is recognised by its name: lower-cased, and with
//! everything but letters and digits taken out, `Customer ID`, `customer_id` and `CustomerID` are one. Where
//! that is not enough, a person says it: `--columns customer=Kunde,time=Datum,amount=Summe`.

use std::collections::BTreeMap;
use std::path::Path;

use csv::ByteRecord;

use super::column_map::{ColumnMap, Role};
use super::error::OrderFileError;

/// The columns of one file, by position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    /// How many fields the header has, and so each row.
    pub(super) width: usize,
    pub(super) customer: usize,
    pub(super) time: usize,
    pub(super) value: ValueColumn,
    pub(super) order: Option<usize>,
    pub(super) product: Option<usize>,
    pub(super) quantity: Option<usize>,
}

/// Where the amount of a row comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueColumn {
    Amount(usize),
    UnitPrice(usize),
}

impl Columns {
    /// Finds the columns of a file whose first record is `header`. What `map` says wins over recognition,
    /// and a total wins over a unit price where both are said or both are recognised.
    pub(super) fn of_header(header: &ByteRecord, path: &Path, map: Option<&ColumnMap>) -> Result<Self, OrderFileError> {
        let header = Header::new(header, path)?;
        let mut mapped = BTreeMap::new();
        for (role, name) in map.into_iter().flat_map(|map| &map.names) {
            mapped.insert(*role, header.named(*role, name)?);
        }
        let find = |role: Role| match mapped.get(&role) {
            Some(position) => Ok(Some(*position)),
            None => header.recognised(role, mapped.values().copied().collect()),
        };
        let amount = find(Role::Amount)?;
        let price = find(Role::Price)?;
        let only_price_is_mapped = mapped.contains_key(&Role::Price) && !mapped.contains_key(&Role::Amount);
        let value = match (amount, price) {
            (_, Some(price)) if only_price_is_mapped => Some(ValueColumn::UnitPrice(price)),
            (Some(amount), _) => Some(ValueColumn::Amount(amount)),
            (None, price) => price.map(ValueColumn::UnitPrice),
        };
        let (customer, time) = (find(Role::Customer)?, find(Role::Time)?);
        let (Some(customer), Some(time), Some(value)) = (customer, time, value) else {
            let needed =
                [(Role::Customer, customer.is_some()), (Role::Time, time.is_some()), (Role::Amount, value.is_some())];
            let missing = needed.iter().filter(|(_, is_found)| !is_found).map(|(role, _)| *role);
            return Err(OrderFileError::MissingColumns { missing: missing.collect(), found: header.names });
        };
        Ok(Self {
            width: header.names.len(),
            customer,
            time,
            value,
            order: find(Role::Order)?,
            product: find(Role::Product)?,
            quantity: find(Role::Quantity)?,
        })
    }
}

struct Header {
    names: Vec<String>,
    normalised: Vec<String>,
}

impl Header {
    fn new(record: &ByteRecord, path: &Path) -> Result<Self, OrderFileError> {
        let mut names = Vec::with_capacity(record.len());
        for field in record {
            match str::from_utf8(field) {
                Ok(name) if !name.contains('\0') => names.push(name.trim().to_owned()),
                Ok(_) | Err(_) => {
                    return Err(OrderFileError::NotText { path: path.to_owned() });
                }
            }
        }
        if names.iter().all(String::is_empty) {
            return Err(OrderFileError::NoHeader { path: path.to_owned() });
        }
        let normalised = names.iter().map(|name| normalised(name)).collect();
        Ok(Self { names, normalised })
    }

    /// The position of the column a person called `name`.
    fn named(&self, role: Role, name: &str) -> Result<usize, OrderFileError> {
        self.only(role, &self.names, name, &[])?.ok_or_else(|| OrderFileError::UnknownColumn {
            role,
            name: name.to_owned(),
            found: self.names.clone(),
        })
    }

    /// The column whose name says that it is a `role`, apart from those in `taken`.
    fn recognised(&self, role: Role, taken: Vec<usize>) -> Result<Option<usize>, OrderFileError> {
        for known in role.known_names() {
            let found = self.only(role, &self.normalised, known, &taken)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The one column of this name. Two are refused: picking one would be a guess about someone's money.
    fn only(
        &self,
        role: Role,
        names: &[String],
        wanted: &str,
        taken: &[usize],
    ) -> Result<Option<usize>, OrderFileError> {
        let mut found = names
            .iter()
            .enumerate()
            .filter(|(position, name)| name.as_str() == wanted && !taken.contains(position))
            .map(|(position, _)| position);
        match (found.next(), found.next()) {
            (Some(position), Some(_)) => {
                Err(OrderFileError::RepeatedColumn { role, name: self.names[position].clone() })
            }
            (position, _) => Ok(position),
        }
    }
}

fn normalised(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::ValueColumn::{Amount, UnitPrice};
    use super::*;

    fn columns(header: &str, map: Option<&str>) -> Result<Columns, OrderFileError> {
        let header = ByteRecord::from(header.split(',').collect::<Vec<_>>());
        let map = map.map(|text| text.parse::<ColumnMap>().unwrap());
        Columns::of_header(&header, Path::new("orders.csv"), map.as_ref())
    }

    /// Customer, time, value, order, product, quantity.
    type Positions = (usize, usize, ValueColumn, Option<usize>, Option<usize>, Option<usize>);

    fn positions(header: &str, map: Option<&str>) -> Positions {
        let found = columns(header, map).unwrap();
        (found.customer, found.time, found.value, found.order, found.product, found.quantity)
    }

    #[test]
    fn the_headers_of_well_known_files_are_recognised() {
        let cases: &[(&str, Positions)] = &[
            ("customer_id,date,quantity,amount", (0, 1, Amount(3), None, None, Some(2))),
            ("master_id,sample_id,date,quantity,amount", (0, 2, Amount(4), None, None, Some(3))),
            (
                "invoice_no,stock_code,description,quantity,invoice_date,unit_price,customer_id,country",
                (6, 4, UnitPrice(5), Some(0), Some(1), Some(3)),
            ),
            (
                "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
                (6, 4, UnitPrice(5), Some(0), Some(1), Some(3)),
            ),
            (
                "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country",
                (6, 4, UnitPrice(5), Some(0), Some(1), Some(3)),
            ),
            (
                "household_id,store_id,basket_id,product_id,quantity,sales_value,retail_disc,coupon_disc,\
                 coupon_match_disc,transaction_timestamp",
                (0, 9, Amount(5), Some(2), Some(3), Some(4)),
            ),
            ("Order,Created At,Customer,SKU,Qty,Total", (2, 1, Amount(5), Some(0), Some(3), Some(4))),
            (" USER ID ,order-date,amount", (0, 1, Amount(2), None, None, None)),
        ];
        for (header, expected) in cases {
            assert_eq!(positions(header, None), *expected, "{header}");
        }
    }

    #[test]
    fn what_a_person_maps_wins_over_what_is_recognised() {
        let header = "customer_id,date,quantity,amount,price,shop";
        let cases: &[(&str, Positions)] = &[
            ("customer=shop", (5, 1, Amount(3), None, None, Some(2))),
            ("price=price", (0, 1, UnitPrice(4), None, None, Some(2))),
            ("price=price,amount=amount", (0, 1, Amount(3), None, None, Some(2))),
            ("amount=price", (0, 1, Amount(4), None, None, Some(2))),
            (" product = quantity ", (0, 1, Amount(3), None, Some(2), None)),
        ];
        assert_eq!(positions(header, None), (0, 1, Amount(3), None, None, Some(2)));
        for (map, expected) in cases {
            assert_eq!(positions(header, Some(map)), *expected, "{map}");
        }
        let foreign = positions("Kunde,Datum,Summe,Menge", Some("customer=Kunde,time=Datum,amount=Summe"));
        assert_eq!(foreign, (0, 1, Amount(2), None, None, None));
    }

    #[test]
    fn a_column_that_is_not_there_is_named_with_those_that_are() {
        let cases = [
            (columns("a,b", None), "no column for customer or time or amount; the file has: a, b; "),
            (columns("customer,date,x", None), "no column for amount; the file has: customer, date, x; "),
            (
                columns("customer,date,x", Some("amount=Summe")),
                "--columns says amount=Summe, but the file has no such column; it has: customer, date, x",
            ),
            (columns("customer,date,amount,Amount", None), "the column amount for amount occurs more than once"),
        ];
        for (found, expected) in cases {
            let message = found.unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn a_header_of_no_text_or_no_names_is_refused() {
        let of = |fields: Vec<&[u8]>| {
            Columns::of_header(&ByteRecord::from(fields), Path::new("orders.csv"), None).unwrap_err()
        };
        assert!(matches!(of(vec![b"customer\0", b"date"]), OrderFileError::NotText { .. }));
        assert!(matches!(of(vec![b"\xff\xfec", b"date"]), OrderFileError::NotText { .. }));
        assert!(matches!(of(vec![b"", b"  "]), OrderFileError::NoHeader { .. }));
    }
}
