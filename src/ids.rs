//! Where the ids of new customers come from.

use crm_core::identity::IdentifierKey;
use crm_core::{CustomerId, Digest, TenantId, Timestamp};

/// Gives ids to new customers, and whatever else has to be drawn.
pub trait IdSource: std::fmt::Debug + Send + Sync + 'static {
    /// An id for a customer who appears at an instant by an identifier. `taken` says how many ids that this gave for
    /// the same before are somebody's already, such as of one who was erased since: another number, another id.
    fn customer_id(&self, tenant: &TenantId, identifier: &IdentifierKey, at: Timestamp, taken: u32) -> CustomerId;

    /// Fills bytes with what nobody can guess, for the codes of vouchers: from the system, unless a test has its own.
    ///
    /// # Errors
    ///
    /// `NoRandom` if there is nothing to be had.
    fn secret(&self, bytes: &mut [u8]) -> Result<(), NoRandom> {
        getrandom::fill(bytes).map_err(|_| NoRandom)
    }
}

/// The system has no random numbers to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no random numbers")]
pub struct NoRandom;

/// Ids with the time and the system's randomness (UUID version 7).
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl IdSource for RandomIds {
    fn customer_id(&self, _: &TenantId, _: &IdentifierKey, at: Timestamp, _: u32) -> CustomerId {
        let mut entropy = [0; 10];
        // The random part of a version 4 UUID, less its fixed bits, which are in the bytes left out.
        let random = uuid::Uuid::new_v4().into_bytes();
        entropy[..6].copy_from_slice(&random[..6]);
        entropy[6..].copy_from_slice(&random[12..]);
        CustomerId::new(at, entropy)
    }
}

/// Ids with the time of a customer's first fact to arrive and a hash of the identifier: the same history, sent in the
/// same order, gives the same ids on every machine, so that whole databases can be compared. Who knows the look-up
/// key and an identifier can work out the id.
#[derive(Debug, Clone, Copy, Default)]
pub struct DerivedIds;

impl IdSource for DerivedIds {
    fn customer_id(&self, tenant: &TenantId, identifier: &IdentifierKey, at: Timestamp, taken: u32) -> CustomerId {
        let mut seed = Vec::with_capacity(96);
        seed.extend_from_slice(tenant.as_str().as_bytes());
        seed.push(0);
        seed.extend_from_slice(identifier.kind.name().as_bytes());
        seed.extend_from_slice(&identifier.hash);
        if taken > 0 {
            seed.extend_from_slice(&taken.to_be_bytes());
        }
        let digest = Digest::of(&seed);
        let mut entropy = [0; 10];
        entropy.copy_from_slice(&digest.as_bytes()[..10]);
        CustomerId::new(at, entropy)
    }
}
