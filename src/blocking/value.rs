//! What customers are worth.

use crm_core::Currency;

use super::{Crm, wait};
use crate::engine::{BringsReport, DebtReport, Debtor, RfmReport, RfmRow, SocialReport, ValueReport};
use crate::error::Error;
use crate::incoming::Who;

impl Crm {
    /// See [`crate::Crm::rfm`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn rfm(&self, currency: Currency) -> Result<RfmReport, Error> {
        wait(self.0.rfm(currency))
    }

    /// See [`crate::Crm::rfm_of`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn rfm_of(&self, who: impl Into<Who> + Send, currency: Currency) -> Result<Option<RfmRow>, Error> {
        wait(self.0.rfm_of(who, currency))
    }

    /// See [`crate::Crm::brings`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn brings(&self, currency: Currency) -> Result<BringsReport, Error> {
        wait(self.0.brings(currency))
    }

    /// See [`crate::Crm::debts`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn debts(&self, currency: Currency) -> Result<Option<DebtReport>, Error> {
        wait(self.0.debts(currency))
    }

    /// See [`crate::Crm::debt_of`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn debt_of(&self, who: impl Into<Who> + Send, currency: Currency) -> Result<Option<Debtor>, Error> {
        wait(self.0.debt_of(who, currency))
    }

    /// See [`crate::Crm::social`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn social(&self, currency: Currency) -> Result<SocialReport, Error> {
        wait(self.0.social(currency))
    }

    /// See [`crate::Crm::values`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn values(&self, currency: Currency) -> Result<Option<ValueReport>, Error> {
        wait(self.0.values(currency))
    }
}
