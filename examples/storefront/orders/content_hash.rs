//! What names a row that no order id names: a hash of what it says.

use std::fmt;

use sha2::{Digest, Sha256};

use super::amount::Exact;

/// The first half of the SHA-256 of what a row says, as hex where it is shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ContentHash([u8; 16]);

impl ContentHash {
    /// Each field is preceded by its length, so that no two rows that differ write the same bytes. The keys
    /// made of this are stored: it must not change.
    pub(super) fn of(
        customer: &str,
        at_ms: i64,
        product: Option<&str>,
        quantity: Option<Exact>,
        amount: Exact,
    ) -> Self {
        let fields = [
            customer,
            &at_ms.to_string(),
            product.unwrap_or_default(),
            &quantity.map(Exact::canonical).unwrap_or_default(),
            &amount.canonical(),
        ];
        let mut hasher = Sha256::new();
        for field in fields {
            hasher.update((field.len() as u64).to_be_bytes());
            hasher.update(field);
        }
        let mut half = [0; 16];
        for (to, from) in half.iter_mut().zip(hasher.finalize()) {
            *to = from;
        }
        Self(half)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(customer: &str, at_ms: i64, product: &str, quantity: &str, amount: &str) -> ContentHash {
        let product = (!product.is_empty()).then_some(product);
        ContentHash::of(customer, at_ms, product, Exact::parse(quantity).ok(), Exact::parse(amount).unwrap())
    }

    #[test]
    fn rows_of_equal_content_have_one_hash_and_it_is_forever_the_same() {
        let first = hash("a", 1_577_836_800_000, "p", "1", "7.5");
        assert_eq!(first.to_string(), "88a7093c28754c77e213946c1b1450c6");
        assert_eq!(hash("a", 1_577_836_800_000, "p", "1.0", "7.50"), first);
    }

    #[test]
    fn a_difference_in_any_field_is_another_hash() {
        let hashes = [
            hash("a", 1, "p", "1", "7.5"),
            hash("b", 1, "p", "1", "7.5"),
            hash("a", 2, "p", "1", "7.5"),
            hash("a", 1, "q", "1", "7.5"),
            hash("a", 1, "", "1", "7.5"),
            hash("ap", 1, "", "1", "7.5"),
            hash("a", 1, "p", "2", "7.5"),
            hash("a", 1, "p", "x", "7.5"),
            hash("a", 1, "p", "1", "7.501"),
            hash("a", 1, "p", "1", "-7.5"),
        ];
        for (position, one) in hashes.iter().enumerate() {
            assert!(!hashes[..position].contains(one), "{position}");
        }
    }
}
