//! Cards, their search, and personal values.

use std::collections::BTreeMap;

use crm_core::lifecycle::Stage;
use crm_core::profile::{Card, CardUpdate, Completeness, Role, SearchQuery};
use crm_core::workflow::FieldName;
use crm_core::{CustomerId, Source, Timestamp};

use super::{Crm, wait};
use crate::engine::{CardChange, CardTold, CardUpdated, CardsImported, Found, Ingestion};
use crate::error::Error;

impl Crm {
    /// See [`crate::Crm::update_card`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn update_card(
        &self,
        customer: CustomerId,
        update: CardUpdate,
        source: &Source,
        at: Timestamp,
    ) -> Result<CardUpdated, Error> {
        wait(self.0.update_card(customer, update, source, at))
    }

    /// See [`crate::Crm::update_cards`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn update_cards(&self, told: &[CardTold]) -> Result<Vec<Result<CardUpdated, Error>>, Error> {
        wait(self.0.update_cards(told))
    }

    /// See [`crate::Crm::import_cards`]; the updates come from an iterator.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn import_cards<I>(&self, told: I, how: Ingestion) -> Result<CardsImported, Error>
    where
        I: IntoIterator<Item = CardTold>,
        I::IntoIter: Send,
    {
        wait(self.0.import_cards(futures_util::stream::iter(told), how))
    }

    /// See [`crate::Crm::import_cards_with_progress`]; the updates come from an iterator.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn import_cards_with_progress<I, P>(&self, told: I, how: Ingestion, progress: P) -> Result<CardsImported, Error>
    where
        I: IntoIterator<Item = CardTold>,
        I::IntoIter: Send,
        P: FnMut(&CardsImported) + Send,
    {
        wait(self.0.import_cards_with_progress(futures_util::stream::iter(told), how, progress))
    }

    /// See [`crate::Crm::card`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn card(&self, customer: CustomerId) -> Result<Card, Error> {
        wait(self.0.card(customer))
    }

    /// See [`crate::Crm::cards`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn cards(&self, customers: &[CustomerId]) -> Result<Vec<Card>, Error> {
        wait(self.0.cards(customers))
    }

    /// See [`crate::Crm::card_history`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn card_history(&self, customer: CustomerId) -> Result<Vec<CardChange>, Error> {
        wait(self.0.card_history(customer))
    }

    /// See [`crate::Crm::completeness`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn completeness(&self, customer: CustomerId) -> Result<Completeness, Error> {
        wait(self.0.completeness(customer))
    }

    /// See [`crate::Crm::completeness_by_stage`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn completeness_by_stage(&self, customer: CustomerId) -> Result<BTreeMap<Stage, Completeness>, Error> {
        wait(self.0.completeness_by_stage(customer))
    }

    /// See [`crate::Crm::search`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn search(&self, query: &SearchQuery, limit: usize) -> Result<Vec<Found>, Error> {
        wait(self.0.search(query, limit))
    }

    /// See [`crate::Crm::import_vcards`].
    ///
    /// # Errors
    ///
    /// The same.
    #[cfg(feature = "vcard")]
    pub fn import_vcards(
        &self,
        text: &str,
        source: &Source,
        at: Timestamp,
    ) -> Result<Vec<crate::vcard::VcardImported>, Error> {
        wait(self.0.import_vcards(text, source, at))
    }

    /// See [`crate::Crm::vcard`].
    ///
    /// # Errors
    ///
    /// The same.
    #[cfg(feature = "vcard")]
    pub fn vcard(&self, customer: CustomerId) -> Result<String, Error> {
        wait(self.0.vcard(customer))
    }

    /// See [`crate::Crm::in_role`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn in_role(
        &self,
        role: Role,
        of: Option<CustomerId>,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Vec<CustomerId>, Error> {
        wait(self.0.in_role(role, of, after, limit))
    }

    /// See [`crate::Crm::keep_personal`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn keep_personal(&self, customer: CustomerId, fields: &[(FieldName, Option<&str>)]) -> Result<(), Error> {
        wait(self.0.keep_personal(customer, fields))
    }

    /// See [`crate::Crm::personal`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn personal(&self, customer: CustomerId) -> Result<BTreeMap<FieldName, String>, Error> {
        wait(self.0.personal(customer))
    }
}
