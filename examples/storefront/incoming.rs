//! What stands in an order file, as the CRM takes it in.

use std::error::Error;

use crm::{
    Currency, ExternalSystem, Identifier, Incoming, Line, Money, OrderPlaced, OrderRef, ProductRef, Refunded, Source,
    Timestamp,
};

use crate::orders::{Entry, EntryKind, OrderFile};

/// The name under which the file's customer numbers are known.
const SYSTEM: &str = "shop";

/// The identifier of one of the shop's customers.
pub(crate) fn identifier(id: &str) -> Result<Identifier, Box<dyn Error>> {
    Ok(Identifier::external(&ExternalSystem::new(SYSTEM)?, id)?)
}

/// An order or a refund of the file as a fact.
pub(crate) fn incoming(file: &OrderFile, entry: &Entry, currency: Currency) -> Result<Incoming, Box<dyn Error>> {
    let amount = Money::new(entry.amount_minor, currency);
    let order = file.order(entry).map(OrderRef::new).transpose()?;
    let who = identifier(file.customer(entry))?;
    let at = Timestamp::from_millis(entry.at_ms)?;
    let source = Source::new("orders")?;
    let incoming = match entry.kind {
        EntryKind::Order => {
            let line = |line: crate::orders::Line<'_>| -> Result<Line, Box<dyn Error>> {
                let product = line.product.map(ProductRef::new).transpose()?;
                Ok(Line { product, quantity: line.quantity, minor: line.amount_minor, ..Line::default() })
            };
            let lines = file.lines(entry).map(line).collect::<Result<Vec<_>, _>>()?;
            let placed = OrderPlaced { order, lines, ..OrderPlaced::new(amount) };
            Incoming::new(who, at, source, placed)
        }
        EntryKind::Refund => Incoming::new(who, at, source, Refunded { order, amount }),
    };
    Ok(incoming.with_key(file.key(entry).parse()?))
}
