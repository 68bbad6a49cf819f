//! Finding out what workflows want to know, between two plans of one operation.

use std::collections::BTreeMap;
use std::sync::Arc;

use crm_core::SmolStr;
use crm_core::audit::{AuditAction, AuditActor, AuditEntry, ReadPurpose};
use crm_core::profile::{Card, Field};
use crm_core::workflow::{FIELD_TEXT_MAX, FieldName, FieldValue, LookupKeyHash, SourceName};

use super::Crm;
use crate::error::Error;
use crate::lookup::{Desk, Wanted};

/// What a source answered, by the keys it was asked for.
type Values = Vec<(LookupKeyHash, Option<FieldValue>)>;

impl Crm {
    /// The same CRM for one operation whose plans may wait for what workflows want to know; none if none can want
    /// anything, which is nearly always.
    pub(super) fn with_desk(&self) -> Option<Self> {
        let may_want = self.desk.is_none() && self.inner.plugins.may_want();
        may_want.then(|| Crm { desk: Some(Arc::new(Desk::default())), ..self.clone() })
    }

    /// A plan that waits for something else than the history is given up here, so that whoever made it finds out what
    /// and plans again.
    pub(super) fn waits_for_nothing(&self) -> Result<(), Error> {
        match self.desk.as_ref().is_some_and(|desk| desk.is_wanting()) {
            true => Err(Error::corrupt("a plan that was given up for a look-up")),
            false => Ok(()),
        }
    }

    /// Whether a plan waits for something; it is made elsewhere again.
    pub(super) fn forget_wanted(&self) -> bool {
        self.desk.as_ref().is_some_and(|desk| desk.take_wanted().is_some())
    }

    /// Finds out what a plan waits for. Answers whether it waited for anything: then it is to be made again.
    pub(super) async fn find_out(&self) -> Result<bool, Error> {
        let Some(desk) = &self.desk else { return Ok(false) };
        match desk.take_wanted() {
            None => Ok(false),
            Some(Wanted::Values { source, field, keys }) => {
                let values = self.fetch(&source, &field, keys).await;
                desk.put_values(&source, &field, values);
                Ok(true)
            }
            Some(Wanted::Card { customer, members, view, fields, plugin }) => {
                let is_shown = |field: &Field| fields.contains(field);
                let card = match self.read_files(&members, is_shown, true).await {
                    Ok(tellings) => {
                        let tellings = tellings.into_iter().map(|one| Card::new(one.unwrap_or_else(BTreeMap::new)));
                        Some(Card::join(&tellings.collect::<Vec<_>>()))
                    }
                    Err(Error::Personal(problem)) => {
                        tracing::warn!(%customer, %problem, "a card that a plugin is to see cannot be opened");
                        None
                    }
                    Err(error) => return Err(error),
                };
                if let Some(card) = &card {
                    let purpose = ReadPurpose::new(view.as_str()).map_err(Error::corrupt)?;
                    let by = AuditActor::Plugin(plugin.clone());
                    let entry = AuditEntry::new(by, AuditAction::PersonalRead { purpose }).about(customer);
                    let fields = i64::try_from(card.fields().count()).unwrap_or(i64::MAX);
                    self.audit(entry.with_number("fields", fields)?).await?;
                }
                desk.put_card(customer, plugin, view, card);
                Ok(true)
            }
        }
    }

    /// What a source says; none if it fails, or does not answer each key.
    async fn fetch(
        &self,
        source: &SourceName,
        field: &FieldName,
        keys: Vec<(LookupKeyHash, SmolStr)>,
    ) -> Option<Values> {
        let asked = self.inner.plugins.sources.get(source)?;
        let (hashes, keys): (Vec<LookupKeyHash>, Vec<SmolStr>) = keys.into_iter().unzip();
        match asked.fetch(&self.tenant, field, &keys).await {
            Ok(values) if values.len() == keys.len() => {
                Some(hashes.into_iter().zip(values.into_iter().map(|value| value.map(shortened))).collect())
            }
            Ok(values) => {
                tracing::warn!(%source, asked = keys.len(), answered = values.len(), "a source does not answer each key");
                None
            }
            Err(failed) => {
                tracing::warn!(%source, %failed, "a source failed");
                None
            }
        }
    }
}

/// A value with no more text than a field holds.
fn shortened(value: FieldValue) -> FieldValue {
    match value {
        FieldValue::Text(text) if text.len() > FIELD_TEXT_MAX => {
            let end = (0..=FIELD_TEXT_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            FieldValue::Text(SmolStr::new(&text[..end]))
        }
        value @ (FieldValue::Bool(_) | FieldValue::Int(_) | FieldValue::Text(_)) => value,
    }
}
