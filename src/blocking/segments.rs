//! Who is in which segment and on which list, and who is picked by a rule.

use crm_core::expression::{Clause, Predicate};
use crm_core::profile::TimeZone;
use crm_core::segment::{ListName, MemberDay, OverrideCleared, OverrideSegment, SegmentName, Stay};
use crm_core::{CustomerId, Source, Timestamp};

use super::{Crm, wait};
use crate::engine::{Executed, ListReport, Selected};
use crate::error::Error;
use crate::incoming::Who;

impl Crm {
    /// See [`crate::Crm::select`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn select(&self, predicate: &Predicate, after: Option<CustomerId>, limit: usize) -> Result<Selected, Error> {
        wait(self.0.select(predicate, after, limit))
    }

    /// See [`crate::Crm::count`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn count(&self, predicate: &Predicate) -> Result<u64, Error> {
        wait(self.0.count(predicate))
    }

    /// See [`crate::Crm::explain`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn explain(&self, who: impl Into<Who> + Send, segment: &SegmentName) -> Result<Option<Clause>, Error> {
        wait(self.0.explain(who, segment))
    }

    /// See [`crate::Crm::memberships_of`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn memberships_of(&self, who: impl Into<Who> + Send) -> Result<Option<Vec<Stay>>, Error> {
        wait(self.0.memberships_of(who))
    }

    /// See [`crate::Crm::members_at`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn members_at(
        &self,
        segment: &SegmentName,
        at: Timestamp,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Selected, Error> {
        wait(self.0.members_at(segment, at, after, limit))
    }

    /// See [`crate::Crm::membership`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn membership(
        &self,
        segment: &SegmentName,
        first: Timestamp,
        last: Timestamp,
        zone: &TimeZone,
    ) -> Result<Vec<MemberDay>, Error> {
        wait(self.0.membership(segment, first, last, zone))
    }

    /// See [`crate::Crm::override_segment`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn override_segment(&self, customer: CustomerId, asked: OverrideSegment, key: &str) -> Result<Executed, Error> {
        wait(self.0.override_segment(customer, asked, key))
    }

    /// See [`crate::Crm::clear_override`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn clear_override(&self, customer: CustomerId, cleared: OverrideCleared, key: &str) -> Result<Executed, Error> {
        wait(self.0.clear_override(customer, cleared, key))
    }

    /// See [`crate::Crm::enlist`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn enlist<W: Into<Who>>(
        &self,
        list: &ListName,
        customers: impl IntoIterator<Item = W, IntoIter: Send> + Send,
        source: &Source,
    ) -> Result<ListReport, Error> {
        wait(self.0.enlist(list, customers, source))
    }

    /// See [`crate::Crm::unlist`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn unlist<W: Into<Who>>(
        &self,
        list: &ListName,
        customers: impl IntoIterator<Item = W, IntoIter: Send> + Send,
        source: &Source,
    ) -> Result<ListReport, Error> {
        wait(self.0.unlist(list, customers, source))
    }
}
