//! The audit log.

use crm_core::audit::{AuditEntry, AuditRecord, Checkpoint, Verified, VerifyingKey};

use super::{Crm, wait};
use crate::engine::{AuditCursor, AuditPage};
use crate::error::Error;

impl Crm {
    /// See [`crate::Crm::audit`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn audit(&self, entry: AuditEntry) -> Result<AuditRecord, Error> {
        wait(self.0.audit(entry))
    }

    /// See [`crate::Crm::audit_log`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn audit_log(&self, after: Option<AuditCursor>, limit: usize) -> Result<AuditPage, Error> {
        wait(self.0.audit_log(after, limit))
    }

    /// See [`crate::Crm::audit_checkpoint`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn audit_checkpoint(&self) -> Result<Checkpoint, Error> {
        wait(self.0.audit_checkpoint())
    }

    /// See [`crate::Crm::verify_audit`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn verify_audit(&self, kept: &[Checkpoint], keys: &[VerifyingKey]) -> Result<Verified, Error> {
        wait(self.0.verify_audit(kept, keys))
    }
}
