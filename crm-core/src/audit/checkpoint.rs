//! Signed checkpoints (Ed25519, RFC 8032).

use ed25519_dalek::Signer as _;
use serde::{Deserialize, Serialize};

use super::Head;
use super::hash::checkpoint_message;
use crate::id::{Digest, TenantId};
use crate::time::Timestamp;

/// How many bytes a signature has.
pub const SIGNATURE_BYTES: usize = 64;

/// A signature, printed in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Signature(#[serde(with = "crate::id::hex_bytes")] [u8; SIGNATURE_BYTES]);

impl Signature {
    /// A signature that was made elsewhere.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; SIGNATURE_BYTES]) -> Self {
        Signature(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; SIGNATURE_BYTES] {
        &self.0
    }
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A signed word about how long a log was and what was in it. Keep it where nobody who can write to the store can
/// write too: it finds out a log that was cut short or written anew. It holds nothing personal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Whose log.
    pub tenant: TenantId,
    /// The number of its last entry then; 0 for a log without any.
    pub sequence: u64,
    /// The hash of that entry.
    pub hash: Digest,
    /// When.
    pub at: Timestamp,
    /// Over all of that.
    pub signature: Signature,
}

impl Checkpoint {
    /// One that is still to be signed.
    #[must_use]
    pub const fn unsigned(tenant: TenantId, head: Head, at: Timestamp) -> Self {
        let signature = Signature([0; SIGNATURE_BYTES]);
        Checkpoint { tenant, sequence: head.sequence, hash: head.hash, at, signature }
    }

    /// What is signed.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        checkpoint_message(self)
    }

    /// Whether the owner of one of these keys signed it.
    #[must_use]
    pub fn is_signed_by(&self, keys: &[VerifyingKey]) -> bool {
        let message = self.message();
        keys.iter().any(|key| key.verifies(&message, &self.signature))
    }
}

/// 32 bytes that are no public key, or one that verifies anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the public key of an Ed25519 signature")]
pub struct BadKey;

/// The public key that checkpoints are checked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

impl VerifyingKey {
    /// From its 32 bytes.
    ///
    /// # Errors
    ///
    /// `BadKey` if they are no point of the curve, or one of the few under which signatures can be made without
    /// a secret.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, BadKey> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| BadKey)?;
        if key.is_weak() { Err(BadKey) } else { Ok(VerifyingKey(key)) }
    }

    /// Its 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Whether a signature over a message was made by the owner of the key. Strict: no signature can be
    /// altered into another one that is good as well.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0.verify_strict(message, &signature).is_ok()
    }
}

/// Signs with a secret that is held in memory, and wiped from it in the end.
pub struct Ed25519Signer(ed25519_dalek::SigningKey);

impl Ed25519Signer {
    /// From 32 secret, random bytes.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Ed25519Signer(ed25519_dalek::SigningKey::from_bytes(secret))
    }

    /// The public key, for those who verify.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key())
    }

    /// The signature over a message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

/// Shows the public key only.
impl std::fmt::Debug for Ed25519Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Ed25519Signer").field(&self.verifying_key()).finish()
    }
}
