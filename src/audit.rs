//! Signing checkpoints of the audit log.

use async_trait::async_trait;
use crm_core::TenantId;
use crm_core::audit::{Ed25519Signer, Signature};

/// Why a checkpoint could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("a checkpoint could not be signed")]
pub struct SignError {
    /// The host's own error.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Signs checkpoints of the audit log (Ed25519, RFC 8032): [`Ed25519Signer`] with a secret in memory, or the
/// host's own key service. Whoever has the secret and can write to the store can write the log anew, so keep
/// them apart. While it signs it may not note anything in the log: it would wait for itself.
#[async_trait]
pub trait CheckpointSigner: std::fmt::Debug + Send + Sync + 'static {
    /// The signature over a message, for a tenant's log.
    ///
    /// # Errors
    ///
    /// `SignError`; nothing is written then.
    async fn sign(&self, tenant: &TenantId, message: &[u8]) -> Result<Signature, SignError>;
}

#[async_trait]
impl CheckpointSigner for Ed25519Signer {
    async fn sign(&self, _: &TenantId, message: &[u8]) -> Result<Signature, SignError> {
        Ok(Ed25519Signer::sign(self, message))
    }
}
