//! The rights of those whom data is about: erasure, rectification, retention, views, exports.

use crm_core::audit::AuditActor;
use crm_core::identity::{Identifier, Presented};
use crm_core::privacy::{HoldPlaced, LegalHoldName, RetentionDue, RetentionName, RetentionPolicy, ViewName};
use crm_core::profile::{Card, CardUpdate};
use crm_core::{CustomerId, Source, Timestamp};

use super::{Crm, wait};
use crate::engine::{CardUpdated, Erasure, ErasureRequest, Imported, Rectification, RetentionOverview};
use crate::error::Error;
use crate::ledger::ErasureLedger;

impl Crm {
    /// See [`crate::Crm::erase`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn erase(&self, customer: CustomerId) -> Result<Erasure, Error> {
        wait(self.0.erase(customer))
    }

    /// See [`crate::Crm::erase_with`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn erase_with(&self, customer: CustomerId, request: ErasureRequest) -> Result<Erasure, Error> {
        wait(self.0.erase_with(customer, request))
    }

    /// See [`crate::Crm::reapply_erasures`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn reapply_erasures(&self, ledger: &dyn ErasureLedger) -> Result<u64, Error> {
        wait(self.0.reapply_erasures(ledger))
    }

    /// See [`crate::Crm::erased_at`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn erased_at(&self, identifier: &Identifier, ledger: &dyn ErasureLedger) -> Result<Option<Timestamp>, Error> {
        wait(self.0.erased_at(identifier, ledger))
    }

    /// See [`crate::Crm::hold`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn hold(&self, customer: CustomerId, hold: HoldPlaced, by: AuditActor) -> Result<(), Error> {
        wait(self.0.hold(customer, hold, by))
    }

    /// See [`crate::Crm::release_hold`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn release_hold(&self, customer: CustomerId, name: &LegalHoldName, by: AuditActor) -> Result<bool, Error> {
        wait(self.0.release_hold(customer, name, by))
    }

    /// See [`crate::Crm::rectify`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn rectify(
        &self,
        customer: CustomerId,
        update: CardUpdate,
        source: &Source,
        at: Timestamp,
        how: impl Into<Rectification> + Send,
    ) -> Result<CardUpdated, Error> {
        wait(self.0.rectify(customer, update, source, at, how))
    }

    /// See [`crate::Crm::rectify_identifier`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn rectify_identifier(
        &self,
        customer: CustomerId,
        wrong: &Identifier,
        right: &Presented,
        how: impl Into<Rectification> + Send,
    ) -> Result<(), Error> {
        wait(self.0.rectify_identifier(customer, wrong, right, how))
    }

    /// See [`crate::Crm::retention_of`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn retention_of(&self, customer: CustomerId) -> Result<Vec<RetentionDue>, Error> {
        wait(self.0.retention_of(customer))
    }

    /// See [`crate::Crm::retention_overview`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn retention_overview(&self, until: Timestamp) -> Result<RetentionOverview, Error> {
        wait(self.0.retention_overview(until))
    }

    /// See [`crate::Crm::retention_preview`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn retention_preview(
        &self,
        from: Timestamp,
        name: RetentionName,
        policy: RetentionPolicy,
        until: Timestamp,
    ) -> Result<RetentionOverview, Error> {
        wait(self.0.retention_preview(from, name, policy, until))
    }

    /// See [`crate::Crm::card_for`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn card_for(&self, customer: CustomerId, view: &ViewName, by: AuditActor) -> Result<Card, Error> {
        wait(self.0.card_for(customer, view, by))
    }

    /// See [`crate::Crm::export_for`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn export_for(&self, customer: CustomerId, by: AuditActor) -> Result<Option<serde_json::Value>, Error> {
        wait(self.0.export_for(customer, by))
    }

    /// See [`crate::Crm::export`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn export(&self, customer: CustomerId) -> Result<Option<serde_json::Value>, Error> {
        wait(self.0.export(customer))
    }

    /// See [`crate::Crm::import`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn import(&self, export: &serde_json::Value) -> Result<Imported, Error> {
        wait(self.0.import(export))
    }
}
