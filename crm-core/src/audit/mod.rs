//! The audit log: what was done with personal data, by whom, and to whom it belongs, in a chain that shows
//! whether it was tampered with.
//!
//! Each tenant has one log. Its entries are numbered from 1 without gaps, and each holds the hash of the one before
//! it. Whoever changes, removes or moves an entry breaks the chain, unless they compute it anew up to its end;
//! a checkpoint, which is a signature over the number and the hash of an entry, shows that too. A log that
//! was cut short is found out by a checkpoint that was kept elsewhere.
//!
//! The log names customers by their ids and nothing else about them. How entries are hashed is told in
//! `docs/privacy.md`, so that anybody can check a log with their own code.

mod chain;
mod checkpoint;
mod entry;
mod hash;

pub use chain::{Tampering, Verified, Verifier, verify};
pub use checkpoint::{BadKey, Checkpoint, Ed25519Signer, SIGNATURE_BYTES, Signature, VerifyingKey};
pub use entry::{
    ActionName, ActorName, AuditAction, AuditActor, AuditDecodeError, AuditEntry, AuditError, AuditRecord, DETAILS_MAX,
    Detail, DetailName, DetailText, ReadPurpose,
};

use crate::id::Digest;

/// The kind under which entries are stored as events.
pub const AUDIT_KIND: &str = "audit";

/// The shape in which entries are written now.
pub const AUDIT_SHAPE: u16 = 1;

/// The hash before the first entry: 32 zeros.
pub const FIRST: Digest = Digest::from_bytes([0; 32]);

/// The end of a log: how many entries it has, and the hash of the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number of the last entry; 0 for an empty log.
    pub sequence: u64,
    /// Its hash; [`FIRST`] for an empty log.
    pub hash: Digest,
}

impl Head {
    /// Of a log without entries.
    pub const EMPTY: Head = Head { sequence: 0, hash: FIRST };

    /// The shape of a state that is a head, apart from those of customers.
    pub const STATE_SHAPE: u16 = 16_708;

    /// As the state of the stream that the log is kept in: the number as 8 bytes, big-endian, then the hash.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [&self.sequence.to_be_bytes()[..], self.hash.as_bytes()].concat()
    }

    /// Reads a state back; none if it is of another shape or damaged.
    #[must_use]
    pub fn decode(shape: u16, bytes: &[u8]) -> Option<Self> {
        let (sequence, hash) = bytes.split_first_chunk::<8>()?;
        let head = Head { sequence: u64::from_be_bytes(*sequence), hash: Digest::from_bytes(hash.try_into().ok()?) };
        (shape == Self::STATE_SHAPE).then_some(head)
    }
}

#[cfg(test)]
mod tests;
