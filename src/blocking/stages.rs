//! The way through the life cycle, and contracts that are up for renewal.

use std::collections::BTreeMap;

use crm_core::contract::Renewals;
use crm_core::lifecycle::{Cohort, CohortBy, Conversions, Newcomers, Period, TransitionMatrix};
use crm_core::{Span, Timestamp};

use super::{Crm, wait};
use crate::engine::{Past, StageForecast, StageStory};
use crate::error::Error;
use crate::incoming::Who;

impl Crm {
    /// See [`crate::Crm::cohorts`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn cohorts(
        &self,
        period: Period,
        window: Span,
        by: CohortBy,
        past: Past,
    ) -> Result<BTreeMap<Timestamp, Cohort>, Error> {
        wait(self.0.cohorts(period, window, by, past))
    }

    /// See [`crate::Crm::conversions`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn conversions(
        &self,
        period: Period,
        window: Span,
        by: CohortBy,
        past: Past,
    ) -> Result<BTreeMap<Timestamp, Conversions>, Error> {
        wait(self.0.conversions(period, window, by, past))
    }

    /// See [`crate::Crm::transitions`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn transitions(&self, period: Period, past: Past) -> Result<TransitionMatrix, Error> {
        wait(self.0.transitions(period, past))
    }

    /// See [`crate::Crm::stage_forecast`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn stage_forecast(
        &self,
        measured: Period,
        periods: u16,
        newcomers: Newcomers,
        past: Past,
    ) -> Result<StageForecast, Error> {
        wait(self.0.stage_forecast(measured, periods, newcomers, past))
    }

    /// See [`crate::Crm::stage_story`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn stage_story(&self, who: impl Into<Who> + Send, past: Past) -> Result<Option<StageStory>, Error> {
        wait(self.0.stage_story(who, past))
    }

    /// See [`crate::Crm::renewals`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn renewals(&self, period: Period) -> Result<Renewals, Error> {
        wait(self.0.renewals(period))
    }
}
