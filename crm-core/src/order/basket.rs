//! What was bought with each order, as small as it goes: a state is read and written for every event, and few rules
//! ask for products.

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Line, LineKind, OrderPlaced};

/// A line of an order as a state keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BasketLine<'b> {
    /// What was bought, where the source said.
    pub product: Option<&'b str>,
    /// Of which category, where the source said.
    pub category: Option<&'b str>,
    /// How many, where the source said.
    pub quantity: Option<i64>,
    /// The line's total in minor units of the order's currency.
    pub minor: i64,
    /// What the whole line cost the shop in minor units, where the source said.
    pub cost_minor: Option<i64>,
    /// What it is for.
    pub kind: LineKind,
}

impl<'b> From<&'b Line> for BasketLine<'b> {
    fn from(line: &'b Line) -> Self {
        BasketLine {
            product: line.product.as_ref().map(AsRef::as_ref),
            category: line.category.as_ref().map(AsRef::as_ref),
            quantity: line.quantity,
            minor: line.minor,
            cost_minor: line.cost_minor,
            kind: line.kind,
        }
    }
}

/// The lines of all orders, one after another, without those goods that name neither product, nor category, nor cost: for
/// each order how many bytes it takes, and in them for each line two texts with their lengths, the amount, and as many
/// bytes as needed of the quantity and the cost. Which of these two are there is in the length of the first text, and what the line is for in that of the second.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Baskets(Vec<u8>);

/// As a length: no text.
const NONE: u16 = 0x0fff;
/// Beside the length of the first text: there is a quantity.
const QUANTITY: u16 = 0x8000;
/// Beside the length of the first text: there is a cost.
const COST: u16 = 0x4000;
/// Beside the length of the second text, from this bit on: what the line is for.
const KIND: u32 = 12;

impl Baskets {
    /// Adds the lines of the next order.
    pub(super) fn push(&mut self, placed: &OrderPlaced) {
        let begin = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        for line in placed.lines.iter().map(BasketLine::from) {
            let BasketLine { product, category, quantity, minor, cost_minor, kind } = line;
            let special = kind != LineKind::Goods;
            if product.is_some() || category.is_some() || cost_minor.is_some() || special {
                let mark = |there: Option<i64>, mark| there.map_or(0, |_| mark);
                self.text(product, mark(quantity, QUANTITY) | mark(cost_minor, COST));
                self.text(category, kind.rank() << KIND);
                self.0.extend_from_slice(&minor.to_le_bytes());
                quantity.into_iter().chain(cost_minor).for_each(|number| self.number(number));
            }
        }
        // 10,000 lines of two texts of 256 bytes are far below what 32 bits count.
        let bytes = (self.0.len() - begin - 4) as u32;
        self.0[begin..begin + 4].copy_from_slice(&bytes.to_le_bytes());
    }

    /// A text has at most 256 bytes, so that there is room for marks beside its length.
    fn text(&mut self, text: Option<&str>, marks: u16) {
        let bytes = text.unwrap_or_default().as_bytes();
        let length = if text.is_some() { bytes.len() as u16 } else { NONE };
        self.0.extend_from_slice(&(length | marks).to_le_bytes());
        self.0.extend_from_slice(bytes);
    }

    /// Seven bits to a byte, the lowest first, and the sign as the lowest of all.
    fn number(&mut self, number: i64) {
        let mut left = ((number << 1) ^ (number >> 63)) as u64;
        while left >= 0x80 {
            self.0.push(left as u8 | 0x80);
            left >>= 7;
        }
        self.0.push(left as u8);
    }

    /// The lines of each order, in the order in which they were added.
    pub(super) fn iter(&self) -> impl Iterator<Item = Basket<'_>> {
        let mut left = self.0.as_slice();
        std::iter::from_fn(move || {
            let (length, rest) = left.split_first_chunk::<4>()?;
            let (own, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            left = rest;
            Some(Basket(own))
        })
    }
}

/// The lines of one order.
#[derive(Debug, Clone, Copy, Default)]
pub struct Basket<'b>(&'b [u8]);

impl<'b> Iterator for Basket<'b> {
    type Item = BasketLine<'b>;

    fn next(&mut self) -> Option<BasketLine<'b>> {
        let (marks, product, rest) = text(self.0)?;
        let (kind, category, rest) = text(rest)?;
        let (minor, mut rest) = rest.split_first_chunk::<8>()?;
        let quantity = if marks & QUANTITY == 0 { None } else { Some(number(&mut rest)?) };
        let cost_minor = if marks & COST == 0 { None } else { Some(number(&mut rest)?) };
        self.0 = rest;
        let kind = LineKind::by_rank(kind >> KIND);
        Some(BasketLine { product, category, quantity, minor: i64::from_le_bytes(*minor), cost_minor, kind })
    }
}

/// Marks, a text, and what is left.
fn text(bytes: &[u8]) -> Option<(u16, Option<&str>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let length = u16::from_le_bytes(*length);
    match length & NONE {
        NONE => Some((length, None, rest)),
        bytes => {
            let (text, rest) = rest.split_at_checked(bytes.into())?;
            Some((length, Some(std::str::from_utf8(text).ok()?), rest))
        }
    }
}

fn number(bytes: &mut &[u8]) -> Option<i64> {
    let mut read = 0_u64;
    for place in 0..10 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        read |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            break;
        }
    }
    let magnitude = (read >> 1) as i64;
    Some(if read & 1 == 1 { !magnitude } else { magnitude })
}

impl Serialize for Baskets {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Baskets {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<u8>, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = list.next_element()? {
                    bytes.push(byte);
                }
                Ok(bytes)
            }
        }
        from.deserialize_bytes(Bytes).map(Baskets)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CategoryName, ProductRef};
    use super::*;
    use crate::money::{Currency, Money};
    use proptest::prelude::*;

    fn line(product: Option<&str>, category: Option<&str>, minor: i64) -> Line {
        Line {
            product: product.map(|text| ProductRef::new(text).unwrap()),
            category: category.map(|text| CategoryName::new(text).unwrap()),
            quantity: None,
            minor,
            ..Line::default()
        }
    }

    proptest! {
        #[test]
        fn quantities_and_costs_are_read_back(
            lines in proptest::collection::vec((any::<bool>(), any::<Option<i64>>(), any::<i64>(), any::<Option<i64>>()), 0..9),
        ) {
            let lines: Vec<Line> = lines
                .into_iter()
                .map(|(named, quantity, minor, cost_minor)| {
                    Line { quantity, cost_minor, ..line(named.then_some("mug"), None, minor) }
                })
                .collect();
            let kept = lines.iter().filter(|line| line.product.is_some() || line.cost_minor.is_some());
            let kept: Vec<BasketLine<'_>> = kept.map(BasketLine::from).collect();
            let mut baskets = Baskets::default();
            baskets.push(&OrderPlaced::new(Money::new(0, Currency::EUR)).with_lines(lines.clone()));
            prop_assert_eq!(baskets.iter().flatten().collect::<Vec<_>>(), kept);
        }
    }

    #[test]
    fn lines_that_name_nothing_are_left_out_and_empty_orders_keep_their_place() {
        let mut baskets = Baskets::default();
        let order = |lines| OrderPlaced::new(Money::new(0, Currency::EUR)).with_lines(lines);
        baskets.push(&order(vec![line(None, None, 5)]));
        baskets.push(&order(vec![line(Some("mug"), None, -5), line(None, Some("王"), 7)]));
        let read: Vec<Vec<BasketLine<'_>>> = baskets.iter().map(Iterator::collect).collect();
        let expected = [
            BasketLine {
                product: Some("mug"),
                category: None,
                quantity: None,
                minor: -5,
                cost_minor: None,
                kind: LineKind::Goods,
            },
            BasketLine {
                product: None,
                category: Some("王"),
                quantity: None,
                minor: 7,
                cost_minor: None,
                kind: LineKind::Goods,
            },
        ];
        assert_eq!(read, [vec![], expected.to_vec()]);
        let bytes = postcard::to_allocvec(&baskets).unwrap();
        assert_eq!(postcard::from_bytes::<Baskets>(&bytes).unwrap(), baskets);
        let json = serde_json::to_string(&baskets).unwrap();
        assert_eq!(serde_json::from_str::<Baskets>(&json).unwrap(), baskets);
    }

    proptest! {
        #[test]
        fn bytes_that_are_no_baskets_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let read: usize = Baskets(bytes.clone()).iter().map(Iterator::count).sum();
            prop_assert!(read <= bytes.len());
        }
    }
}
