//! Sealing personal values. Each person has a key of their own; without it what is kept of them cannot be
//! read, wherever copies of it lie.

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use async_trait::async_trait;
use crm_core::{CustomerId, TenantId};
use zeroize::Zeroizing;

/// The key that one person's values are sealed under: 32 random bytes, wiped from memory when dropped and
/// never shown.
#[derive(Clone)]
pub struct PersonKey(Zeroizing<[u8; 32]>);

/// Why personal values could not be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PersonalError {
    /// The system has no random numbers to give.
    #[error("no random numbers")]
    Random,
    /// A value is not what was sealed: it was damaged, moved from another person or field, or its key is
    /// another one.
    #[error("field {field} cannot be opened")]
    Damaged {
        /// Which field.
        field: String,
    },
    /// The key is gone, and with it the values.
    #[error("the person's key is gone")]
    NoKey,
    /// The name belongs to cards: use [`update_card`](crate::Crm::update_card).
    #[error("field {field} belongs to the card")]
    Reserved {
        /// Which field.
        field: String,
    },
    /// Nothing personal is kept of somebody who was erased.
    #[error("{customer} was erased")]
    Erased {
        /// Who.
        customer: CustomerId,
    },
    /// A key outside of the store cannot be destroyed, nor a ledger written, by a transaction that may be rolled
    /// back: erase after the commit.
    #[error("a person's key, or the ledger, is outside of the transaction: erase after the commit")]
    Inside,
    /// The host's keys failed.
    #[error("the keys of persons: {0}")]
    Keys(#[from] KeyError),
}

/// What went wrong with keys that the host keeps.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct KeyError {
    /// What was being done.
    pub doing: &'static str,
    /// The host's own error.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Keeps the keys of persons outside of the store: in a key service, or another database. When a key is
/// destroyed there, the person's values are lost at once in every copy, backup and log.
#[async_trait]
pub trait PersonKeys: std::fmt::Debug + Send + Sync + 'static {
    /// A person's key, if they have one.
    ///
    /// # Errors
    ///
    /// `KeyError` if it is not known whether they have one.
    async fn get(&self, tenant: &TenantId, customer: CustomerId) -> Result<Option<PersonKey>, KeyError>;

    /// Keeps a key for a person who has none, and answers the key that they have then: of two calls at one
    /// time, both are answered the same key. It must be durable when this returns.
    ///
    /// # Errors
    ///
    /// `KeyError` if it may not have been kept.
    async fn keep(&self, tenant: &TenantId, customer: CustomerId, key: PersonKey) -> Result<PersonKey, KeyError>;

    /// Destroys a person's key for good; nothing if they have none.
    ///
    /// # Errors
    ///
    /// `KeyError` if it may still be there.
    async fn destroy(&self, tenant: &TenantId, customer: CustomerId) -> Result<(), KeyError>;
}

impl PersonKey {
    /// A new key.
    ///
    /// # Errors
    ///
    /// `Random` if the system gives no random numbers.
    pub fn random() -> Result<Self, PersonalError> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key).map_err(|_| PersonalError::Random)?;
        Ok(PersonKey(key))
    }

    /// A key from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        PersonKey(Zeroizing::new(bytes))
    }

    /// The bytes, to be kept secret.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seals a value with AES-256-GCM-SIV (RFC 8452) under a random nonce, bound to its person and field.
    /// One byte says how it was sealed, then come the nonce and what was sealed.
    pub(crate) fn seal(&self, place: &Place<'_>, value: &[u8]) -> Result<Vec<u8>, PersonalError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| PersonalError::Random)?;
        let payload = Payload { msg: value, aad: &place.bytes() };
        let sealed = self.cipher().encrypt(Nonce::from_slice(&nonce), payload).map_err(|_| place.damaged())?;
        Ok([&[VERSION][..], &nonce, &sealed].concat())
    }

    /// Opens what was sealed for the same person and field.
    pub(crate) fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, PersonalError> {
        let Some((&VERSION, rest)) = sealed.split_first() else { return Err(place.damaged()) };
        let Some((nonce, sealed)) = rest.split_at_checked(NONCE) else { return Err(place.damaged()) };
        let payload = Payload { msg: sealed, aad: &place.bytes() };
        self.cipher().decrypt(Nonce::from_slice(nonce), payload).map_err(|_| place.damaged())
    }

    fn cipher(&self) -> Aes256GcmSiv {
        Aes256GcmSiv::new((&*self.0).into())
    }
}

const VERSION: u8 = 1;
const NONCE: usize = 12;

/// Of whom a value is, and which.
pub(crate) struct Place<'a> {
    pub(crate) tenant: &'a TenantId,
    pub(crate) customer: CustomerId,
    pub(crate) field: &'a str,
}

impl Place<'_> {
    /// No two places have the same bytes: names of tenants have no NUL.
    fn bytes(&self) -> Vec<u8> {
        let customer = self.customer.as_uuid().as_bytes();
        [self.tenant.as_str().as_bytes(), &[0], customer, self.field.as_bytes()].concat()
    }

    fn damaged(&self) -> PersonalError {
        PersonalError::Damaged { field: self.field.to_owned() }
    }
}

impl std::fmt::Debug for PersonKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PersonKey")
    }
}

#[cfg(test)]
mod tests {
    use crm_core::Timestamp;

    use super::*;

    #[test]
    fn a_value_opens_for_its_own_person_and_field_and_no_other() {
        let (tenant, other) = (TenantId::default(), TenantId::new("other").unwrap());
        let [ana, ben] = [1, 2].map(|byte| CustomerId::new(Timestamp::MIN, [byte; 10]));
        let key = PersonKey::random().unwrap();
        let place = |tenant, customer, field| Place { tenant, customer, field };
        let sealed = key.seal(&place(&tenant, ana, "name"), "王小明".as_bytes()).unwrap();
        assert_eq!(key.open(&place(&tenant, ana, "name"), &sealed).unwrap(), "王小明".as_bytes());
        for wrong in [place(&tenant, ana, "city"), place(&tenant, ben, "name"), place(&other, ana, "name")] {
            assert!(key.open(&wrong, &sealed).is_err());
        }
        assert!(PersonKey::random().unwrap().open(&place(&tenant, ana, "name"), &sealed).is_err());
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(key.open(&place(&tenant, ana, "name"), &damaged).is_err(), "byte {at}");
            assert!(key.open(&place(&tenant, ana, "name"), &sealed[..at]).is_err(), "{at} bytes");
        }
        assert_ne!(
            key.seal(&place(&tenant, ana, "name"), b"x").unwrap(),
            key.seal(&place(&tenant, ana, "name"), b"x").unwrap()
        );
        assert_eq!(format!("{key:?}"), "PersonKey");
    }
}
