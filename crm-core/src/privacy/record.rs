//! The record of an erasure, to be kept where a restored backup does not bring it back. It says who was erased to
//! whoever has the look-up key and asks about somebody, and nothing to anybody else.

use std::collections::{BTreeSet, HashSet};

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
    /// What stands for a tenant.
    #[must_use]
    pub fn of_tenant(key: &LookupKey, tenant: &TenantId) -> Self {
        ErasureTag(key.tag(tenant, "erased tenant", tenant.as_str()))
    }

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

impl ErasureTag {
    /// Its 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// One attempt at an erasure: 16 random bytes, by which it can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ErasureAttempt(#[serde(with = "hex_bytes")] [u8; 16]);

impl ErasureAttempt {
    /// From its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        ErasureAttempt(bytes)
    }
}

/// That somebody is erased; or that they were not after all, which takes back what was recorded before it was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErasureRecord {
    /// When.
    pub at: Timestamp,
    /// All ids they had.
    pub customers: BTreeSet<ErasureTag>,
    /// All identifiers they were ever known by, or stated.
    pub identifiers: BTreeSet<ErasureTag>,
    /// Whose customers they were; none in records of old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<ErasureTag>,
    /// Which attempt it was; none in records of old, which nothing takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<ErasureAttempt>,
    /// Whether nobody was erased by that attempt: it takes back the record of it, wherever that stands. It names
    /// nobody itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retracted: bool,
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
            tenant: Some(ErasureTag::of_tenant(key, tenant)),
            attempt: None,
            retracted: false,
        }
    }

    /// As one attempt, which can be taken back.
    #[must_use]
    pub const fn of_attempt(mut self, attempt: ErasureAttempt) -> Self {
        self.attempt = Some(attempt);
        self
    }

    /// What takes it back, because nobody was erased; none for a record that has no attempt.
    #[must_use]
    pub fn retraction(&self, at: Timestamp) -> Option<Self> {
        let (customers, identifiers) = Default::default();
        let retraction = ErasureRecord { at, customers, identifiers, retracted: true, ..self.clone() };
        self.attempt.map(|_| retraction)
    }

    /// Of all records of a ledger, in any order, those that stand: no attempt that was taken back, and nothing that
    /// takes one back.
    pub fn standing(records: Vec<Self>) -> impl Iterator<Item = Self> {
        let back: HashSet<ErasureAttempt> =
            records.iter().filter(|record| record.retracted).filter_map(|record| record.attempt).collect();
        let stands =
            move |record: &Self| !record.retracted && record.attempt.is_none_or(|attempt| !back.contains(&attempt));
        records.into_iter().filter(stands)
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
        assert_ne!(record.tenant, Some(ErasureTag::of_tenant(&key, &other)));
        for damaged in [&b"{}"[..], b"", b"null", &record.encode()[1..]] {
            assert_eq!(ErasureRecord::decode(damaged), Err(RecordError));
        }
    }
    #[test]
    fn an_attempt_that_was_taken_back_does_not_stand_and_another_one_of_the_same_person_does() {
        let (key, tenant) = (LookupKey::public(), TenantId::default());
        let ana = CustomerId::new(Timestamp::MIN, [1; 10]);
        let record = |number| {
            let attempt = ErasureAttempt::from_bytes([number; 16]);
            ErasureRecord::new(Timestamp::MIN, &key, &tenant, [ana], []).of_attempt(attempt)
        };
        let back = record(1).retraction(Timestamp::MAX).unwrap();
        assert_eq!(ErasureRecord::decode(&back.encode()), Ok(back.clone()));
        assert!(back.customers.is_empty());
        for records in [vec![record(1), back.clone(), record(2)], vec![back.clone(), record(2), record(1)]] {
            assert_eq!(ErasureRecord::standing(records).collect::<Vec<_>>(), [record(2)]);
        }
        // As records were before attempts.
        let old = br#"{"at":0,"customers":[],"identifiers":[]}"#;
        let old = ErasureRecord::decode(old).unwrap();
        assert_eq!((old.tenant, old.attempt, old.retraction(Timestamp::MAX)), (None, None, None));
        assert_eq!(ErasureRecord::standing(vec![back, old.clone()]).collect::<Vec<_>>(), [old]);
    }
}
