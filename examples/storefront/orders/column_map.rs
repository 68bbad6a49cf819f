//! What a column can mean, and how a person says which column means it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::error::shown;

/// What a column can mean. The names are those of `--columns`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Customer,
    Time,
    /// The total of the row.
    Amount,
    Order,
    Product,
    Quantity,
    /// The price of one; the row's amount is then quantity times price.
    Price,
}

impl Role {
    const ALL: [Role; 7] =
        [Role::Customer, Role::Time, Role::Amount, Role::Order, Role::Product, Role::Quantity, Role::Price];

    fn name(self) -> &'static str {
        match self {
            Role::Customer => "customer",
            Role::Time => "time",
            Role::Amount => "amount",
            Role::Order => "order",
            Role::Product => "product",
            Role::Quantity => "quantity",
            Role::Price => "price",
        }
    }

    /// Normalised column names that mean this role; where a file has several, the first here wins.
    pub(super) fn known_names(self) -> impl Iterator<Item = &'static str> {
        let names = match self {
            Role::Customer => {
                "customerid customer custid customerno customernumber householdid \
                 masterid clientid client userid user memberid member buyerid buyer \
                 shopperid accountid"
            }
            Role::Time => {
                "transactiontimestamp timestamp datetime ordertimestamp orderdatetime \
                 orderedat ordertime orderdate invoicedate transactiondate \
                 transactiontime purchasetimestamp purchasedat purchasedate saledate \
                 createdat created date time"
            }
            Role::Amount => {
                "amount rowtotal linetotal lineamount salesvalue total totalamount \
                 totalprice totalvalue orderamount ordertotal ordervalue revenue sales \
                 spend"
            }
            Role::Order => {
                "orderid order orderno ordernumber invoiceno invoice invoiceid \
                 invoicenumber basketid basket transactionid receiptid receiptno \
                 receiptnumber"
            }
            Role::Product => {
                "productid product stockcode sku productcode productsku itemid itemcode \
                 item articleid articleno article productname"
            }
            Role::Quantity => "quantity qty orderquantity units unitssold",
            Role::Price => "unitprice price itemprice priceeach pricepaid",
        };
        names.split(' ')
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Columns a person named: the text of `--columns`, `role=column` pairs with commas between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnMap {
    pub(super) names: BTreeMap<Role, String>,
}

/// What is wrong with a text of `--columns`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ColumnMapError {
    #[error("\"{}\" is not of the form role=column", shown(part))]
    NotAPair { part: String },
    #[error(
        "\"{}\" is no role of a column; the roles are customer, time, amount, order, product, quantity and price",
        shown(role)
    )]
    UnknownRole { role: String },
    #[error("the role {role} is given twice")]
    RepeatedRole { role: Role },
    #[error("{role}= names no column")]
    EmptyColumn { role: Role },
}

impl FromStr for ColumnMap {
    type Err = ColumnMapError;

    fn from_str(text: &str) -> Result<Self, ColumnMapError> {
        let mut names = BTreeMap::new();
        for part in text.split(',') {
            let Some((role, column)) = part.split_once('=') else {
                return Err(ColumnMapError::NotAPair { part: part.to_owned() });
            };
            let (name, column) = (role.trim(), column.trim());
            let Some(role) = Role::ALL.into_iter().find(|role| role.name() == name) else {
                return Err(ColumnMapError::UnknownRole { role: name.to_owned() });
            };
            if column.is_empty() {
                return Err(ColumnMapError::EmptyColumn { role });
            }
            if names.insert(role, column.to_owned()).is_some() {
                return Err(ColumnMapError::RepeatedRole { role });
            }
        }
        Ok(Self { names })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_part_of_the_mapping_is_named() {
        let cases = [
            ("", ColumnMapError::NotAPair { part: String::new() }),
            ("customer=a,time", ColumnMapError::NotAPair { part: "time".to_owned() }),
            ("customer=a,", ColumnMapError::NotAPair { part: String::new() }),
            ("kunde=a", ColumnMapError::UnknownRole { role: "kunde".to_owned() }),
            ("Customer=a", ColumnMapError::UnknownRole { role: "Customer".to_owned() }),
            ("time=a,time=b", ColumnMapError::RepeatedRole { role: Role::Time }),
            ("time= ", ColumnMapError::EmptyColumn { role: Role::Time }),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<ColumnMap>(), Err(expected), "{text}");
        }
        let equals_sign = "time=a=b".parse::<ColumnMap>().unwrap();
        assert_eq!(equals_sign.names[&Role::Time], "a=b");
    }

    #[test]
    fn a_message_about_the_mapping_shows_the_part_that_is_wrong() {
        let message = |text: &str| text.parse::<ColumnMap>().unwrap_err().to_string();
        assert_eq!(message("customer=a,b\u{7}"), "\"b\\u{7}\" is not of the form role=column");
        assert_eq!(message("time="), "time= names no column");
    }
}
