//! Who is who: merging and parting, duplicates, and ties between customers.

use crm_core::audit::AuditActor;
use crm_core::identity::{Identified, Identifier, Suggestion};
use crm_core::relationship::{Tie, Untie};
use crm_core::{CustomerId, FactKey, Remark, Source, Timestamp};

use super::{Crm, wait};
use crate::engine::{MergeOutcome, PartOutcome, TieRecorded};
use crate::error::Error;

impl Crm {
    /// See [`crate::Crm::identified`].
    #[must_use]
    pub fn identified(&self, identifier: &Identifier) -> Identified {
        self.0.identified(identifier)
    }

    /// See [`crate::Crm::merge`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn merge(&self, one: CustomerId, other: CustomerId, reason: Remark) -> Result<MergeOutcome, Error> {
        wait(self.0.merge(one, other, reason))
    }

    /// See [`crate::Crm::merge_by`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn merge_by(
        &self,
        one: CustomerId,
        other: CustomerId,
        reason: Remark,
        by: AuditActor,
    ) -> Result<MergeOutcome, Error> {
        wait(self.0.merge_by(one, other, reason, by))
    }

    /// See [`crate::Crm::part`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn part(&self, customer: CustomerId, from: CustomerId, reason: Remark) -> Result<PartOutcome, Error> {
        wait(self.0.part(customer, from, reason))
    }

    /// See [`crate::Crm::part_by`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn part_by(
        &self,
        customer: CustomerId,
        from: CustomerId,
        reason: Remark,
        by: AuditActor,
    ) -> Result<PartOutcome, Error> {
        wait(self.0.part_by(customer, from, reason, by))
    }

    /// See [`crate::Crm::suggest_duplicates`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn suggest_duplicates(&self, customer: CustomerId) -> Result<Vec<Suggestion>, Error> {
        wait(self.0.suggest_duplicates(customer))
    }

    /// See [`crate::Crm::reject_duplicate`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn reject_duplicate(&self, one: CustomerId, other: CustomerId, reason: Remark) -> Result<(), Error> {
        wait(self.0.reject_duplicate(one, other, reason))
    }

    /// See [`crate::Crm::tie`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn tie(&self, tie: Tie, at: Timestamp, source: Source, key: FactKey) -> Result<TieRecorded, Error> {
        wait(self.0.tie(tie, at, source, key))
    }

    /// See [`crate::Crm::untie`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn untie(&self, untie: Untie, at: Timestamp, source: Source, key: FactKey) -> Result<TieRecorded, Error> {
        wait(self.0.untie(untie, at, source, key))
    }
}
