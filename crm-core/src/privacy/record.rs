//! The record of an erasure, to be kept where a restored backup does not bring it back. It says who was erased to
//! whoever has the look-up key and asks about somebody, and nothing to anybody else.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::{CustomerId, TenantId, hex_bytes};
use crate::identity::{IdentifierKey, LookupKey};
use crate::time::Timestamp;

/// How many tags a record has at most, of customers and of identifiers each.
pub const RECORD_TAGS_MAX: usize = 100_000;

/// A keyed hash, for this use only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ErasureTag(#[serde(with = "hex_bytes")] [u8; 32]);

impl ErasureTag {
    /// What stands for a customer.
    #[must_use]
    pub fn of_customer(key: &LookupKey, tenant: &TenantId, customer: CustomerId) -> Self {
        ErasureTag(key.tag(tenant, "erased customer", &customer.to_string()))
    }

    /// What stands for an identifier that the customer was known by. It is made of the hash that is in the
    /// events, under the same key, and has nothing in common with it.
    #[must_use]
    pub fn of_identifier(key: &LookupKey, tenant: &TenantId, identifier: &IdentifierKey) -> Self {
        ErasureTag(key.tag(tenant, "erased identifier", &format!("{identifier:?}")))
    }
}

/// That somebody was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErasureRecord {
    /// When.
    pub at: Timestamp,
    /// All ids they had.
    pub customers: BTreeSet<ErasureTag>,
    /// All identifiers they were ever known by, or stated.
    pub identifiers: BTreeSet<ErasureTag>,
}

/// A record that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a record of an erasure")]
pub struct RecordError;

impl ErasureRecord {
    /// Of somebody who is erased at an instant.
    pub fn new<'i>(
        at: Timestamp,
        key: &LookupKey,
        tenant: &TenantId,
        customers: impl IntoIterator<Item = CustomerId>,
        identifiers: impl IntoIterator<Item = &'i IdentifierKey>,
    ) -> Self {
        let customer = |id| ErasureTag::of_customer(key, tenant, id);
        let identifier = |known: &IdentifierKey| ErasureTag::of_identifier(key, tenant, known);
        ErasureRecord {
            at,
            customers: customers.into_iter().map(customer).take(RECORD_TAGS_MAX).collect(),
            identifiers: identifiers.into_iter().map(identifier).take(RECORD_TAGS_MAX).collect(),
        }
    }

    /// As one line of JSON, without its end.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        crate::exact::json(self)
    }

    /// Reads it back.
    ///
    /// # Errors
    ///
    /// `RecordError` if it is none, or has too many tags.
    pub fn decode(line: &[u8]) -> Result<Self, RecordError> {
        let record: ErasureRecord = serde_json::from_slice(line).map_err(|_| RecordError)?;
        let fits = record.customers.len() <= RECORD_TAGS_MAX && record.identifiers.len() <= RECORD_TAGS_MAX;
        if fits { Ok(record) } else { Err(RecordError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identifier;

    #[test]
    fn a_record_tells_nothing_without_the_key_and_nothing_across_tenants() {
        let (key, tenant) = (LookupKey::public(), TenantId::default());
        let ana = CustomerId::new(Timestamp::MIN, [1; 10]);
        let email = key.hash(&tenant, &Identifier::email("ana@example.com").unwrap());
        let record = ErasureRecord::new(Timestamp::MIN, &key, &tenant, [ana], [&email]);
        assert_eq!(ErasureRecord::decode(&record.encode()), Ok(record.clone()));
        let line = String::from_utf8(record.encode()).unwrap();
        let hash = format!("{email:?}");
        assert!(!line.contains(&ana.to_string()) && !line.contains(&hash[hash.len() - 32..]), "{line}");
        assert!(record.customers.contains(&ErasureTag::of_customer(&key, &tenant, ana)));
        let other = TenantId::new("other").unwrap();
        assert!(!record.customers.contains(&ErasureTag::of_customer(&key, &other, ana)));
        assert!(!record.customers.contains(&ErasureTag::of_customer(&LookupKey::new(&[1; 32]), &tenant, ana)));
        for damaged in [&b"{}"[..], b"", b"null", &record.encode()[1..]] {
            assert_eq!(ErasureRecord::decode(damaged), Err(RecordError));
        }
    }
}
