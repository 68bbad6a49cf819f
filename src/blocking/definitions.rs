//! What the shop decides, and filling new segments.

use std::sync::Arc;

use crm_core::expression::Predicate;
use crm_core::{Definition, Definitions, Timestamp};

use super::{Crm, wait};
use crate::engine::{FillProgress, FillReport, ToFill};
use crate::error::Error;

impl Crm {
    /// See [`crate::Crm::define`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn define(&self, from: Timestamp, definition: Definition) -> Result<bool, Error> {
        wait(self.0.define(from, definition))
    }

    /// See [`crate::Crm::rule`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn rule(&self, text: &str) -> Result<Predicate, Error> {
        wait(self.0.rule(text))
    }

    /// See [`crate::Crm::definitions`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn definitions(&self) -> Result<Arc<Definitions>, Error> {
        wait(self.0.definitions())
    }

    /// See [`crate::Crm::refresh`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn refresh(&self) -> Result<u64, Error> {
        wait(self.0.refresh())
    }

    /// See [`crate::Crm::to_fill`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn to_fill(&self) -> Result<ToFill, Error> {
        wait(self.0.to_fill())
    }

    /// See [`crate::Crm::fill`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn fill(&self, shown: impl FnMut(&FillProgress) + Send) -> Result<FillReport, Error> {
        wait(self.0.fill(shown))
    }

    /// See [`crate::Crm::fill_page`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn fill_page(&self, limit: usize) -> Result<Option<FillProgress>, Error> {
        wait(self.0.fill_page(limit))
    }

    /// See [`crate::Crm::export_definitions`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn export_definitions(&self) -> Result<serde_json::Value, Error> {
        wait(self.0.export_definitions())
    }

    /// See [`crate::Crm::import_definitions`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn import_definitions(&self, export: &serde_json::Value) -> Result<u64, Error> {
        wait(self.0.import_definitions(export))
    }
}
