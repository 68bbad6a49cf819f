//! What was told wrong is put right, and what of a card may be seen for which purpose.

use std::collections::BTreeMap;

use crm_core::audit::{AuditAction, AuditActor, AuditEntry, ReadPurpose};
use crm_core::privacy::ViewName;
use crm_core::profile::{Card, CardUpdate, Field};
use crm_core::{CustomerId, Source, Timestamp};

use super::card::CardUpdated;
use super::{CardTold, Crm};
use crate::error::Error;

impl Crm {
    /// Puts right what a card says (GDPR, Art. 16), in the name of somebody: as
    /// [`update_card`](Self::update_card), with an entry of the audit log in the same commit. What held before is
    /// kept among what was told. A wrong fact is put right by recording a [`Voided`](crm_core::event::Voided).
    ///
    /// # Errors
    ///
    /// As for [`update_card`](Self::update_card).
    pub async fn rectify(
        &self,
        customer: CustomerId,
        update: CardUpdate,
        source: &Source,
        at: Timestamp,
        by: AuditActor,
    ) -> Result<CardUpdated, Error> {
        let told = CardTold { customer, update, source: source.clone(), at };
        let entry = AuditEntry::new(by, AuditAction::Rectified).about(customer);
        let _turn = self.audit_turn().lock().await;
        self.update_one(&told, Some(&entry)).await
    }

    /// What may be seen of a customer's card for a purpose, by the view of that name: its fields and no others are
    /// unsealed. The audit log has who read it and what for, before it is answered.
    ///
    /// This is for whoever acts for one purpose. [`card`](Self::card) shows all of it and notes nothing, and is for the
    /// shop itself. Plugins see no personal field at all.
    ///
    /// # Errors
    ///
    /// `NoView` if none of that name is in force, `Restricted` if processing is restricted and the view is not
    /// exempt, `NoCustomer`, `Personal` if a value cannot be opened, `Storage` if the store failed.
    pub async fn card_for(&self, customer: CustomerId, view: &ViewName, by: AuditActor) -> Result<Card, Error> {
        let (base, definitions) = self.base(customer).await?;
        let base = base.ok_or(Error::NoCustomer { customer })?;
        let no_view = || Error::NoView { view: view.clone() };
        let allowed = definitions.view(view, self.now()).ok_or_else(no_view)?;
        if let Some(since) = base.customer.restricted_since().filter(|_| !allowed.though_restricted) {
            return Err(Error::Restricted { customer, since });
        }
        let members: Vec<CustomerId> = base.customer.members().collect();
        let is_shown = |field: &Field| allowed.fields.contains(field);
        let tellings = self.read_files(&members, is_shown, true).await?;
        let cards: Vec<Card> =
            tellings.into_iter().map(|tellings| Card::new(tellings.unwrap_or_else(BTreeMap::new))).collect();
        let card = Card::join(&cards);
        let purpose = ReadPurpose::new(view.as_str()).map_err(Error::corrupt)?;
        let entry = AuditEntry::new(by, AuditAction::PersonalRead { purpose }).about(customer);
        let fields = i64::try_from(card.fields().count()).unwrap_or(i64::MAX);
        self.audit(entry.with_number("fields", fields)?).await?;
        Ok(card)
    }
}
