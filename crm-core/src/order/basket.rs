//! What was bought with each order, as small as it goes: a state is read and written for every event, and few rules
//! ask for products.

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::OrderPlaced;

/// A line of an order as a state keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BasketLine<'b> {
    /// What was bought, where the source said.
    pub product: Option<&'b str>,
    /// Of which category, where the source said.
    pub category: Option<&'b str>,
    /// The line's total in minor units of the order's currency.
    pub minor: i64,
}

/// The lines of all orders, one after another, without those that name neither product nor category: for each order
/// how many bytes it takes, and in them for each line two texts with their lengths, and the amount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Baskets(Vec<u8>);

/// As a length: no text.
const NONE: u16 = u16::MAX;

impl Baskets {
    /// Adds the lines of the next order.
    pub(super) fn push(&mut self, placed: &OrderPlaced) {
        let begin = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        for line in &placed.lines {
            let (product, category) = (line.product.as_ref(), line.category.as_ref());
            if product.is_some() || category.is_some() {
                self.text(product.map(AsRef::as_ref));
                self.text(category.map(AsRef::as_ref));
                self.0.extend_from_slice(&line.minor.to_le_bytes());
            }
        }
        // 10,000 lines of two texts of 256 bytes are far below what 32 bits count.
        let bytes = (self.0.len() - begin - 4) as u32;
        self.0[begin..begin + 4].copy_from_slice(&bytes.to_le_bytes());
    }

    fn text(&mut self, text: Option<&str>) {
        let bytes = text.unwrap_or_default().as_bytes();
        let length = if text.is_some() { bytes.len() as u16 } else { NONE };
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(bytes);
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
        let (product, rest) = text(self.0)?;
        let (category, rest) = text(rest)?;
        let (minor, rest) = rest.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(BasketLine { product, category, minor: i64::from_le_bytes(*minor) })
    }
}

fn text(bytes: &[u8]) -> Option<(Option<&str>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    match u16::from_le_bytes(*length) {
        NONE => Some((None, rest)),
        length => {
            let (text, rest) = rest.split_at_checked(length.into())?;
            Some((Some(std::str::from_utf8(text).ok()?), rest))
        }
    }
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
    use super::super::{CategoryName, Line, ProductRef};
    use super::*;
    use crate::money::{Currency, Money};
    use proptest::prelude::*;

    fn line(product: Option<&str>, category: Option<&str>, minor: i64) -> Line {
        Line {
            product: product.map(|text| ProductRef::new(text).unwrap()),
            category: category.map(|text| CategoryName::new(text).unwrap()),
            quantity: None,
            minor,
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
            BasketLine { product: Some("mug"), category: None, minor: -5 },
            BasketLine { product: None, category: Some("王"), minor: 7 },
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
