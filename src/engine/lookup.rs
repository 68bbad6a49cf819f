//! Finding out what workflows want to know, between two tries of one plan.

use std::collections::BTreeMap;

use crm_core::SmolStr;
use crm_core::audit::{AuditAction, AuditActor, AuditEntry, ReadPurpose};
use crm_core::profile::{Card, Field};
use crm_core::workflow::{FIELD_TEXT_MAX, FieldName, FieldValue, LookupKeyHash, SourceName};
use futures_util::FutureExt as _;

use super::Crm;
use crate::error::Error;
use crate::lookup::{Desk, LookupFault, Wanted};

/// What a source answered, by the keys it was asked for.
type Values = Vec<(LookupKeyHash, Option<FieldValue>)>;

impl Crm {
    /// Finds out what a plan waits for, and puts it on the desk. That a card was looked into is in the audit log before
    /// the plan goes on, whatever becomes of it.
    pub(super) async fn find_out(&self, wanted: Wanted, desk: &mut Desk) -> Result<(), Error> {
        match wanted {
            Wanted::Values { source, field, keys } => {
                let values = self.fetch(&source, &field, keys).await;
                desk.put_values(&source, &field, values);
            }
            Wanted::Card { customer, members, view, fields, plugin } => {
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
                desk.put_card(plugin, view, card);
            }
        }
        Ok(())
    }

    /// What a source says, if it answers each key.
    async fn fetch(
        &self,
        source: &SourceName,
        field: &FieldName,
        keys: Vec<(LookupKeyHash, SmolStr)>,
    ) -> Result<Values, LookupFault> {
        let asked = self.inner.plugins.sources.get(source).ok_or(LookupFault::NoSource)?;
        let (hashes, keys): (Vec<LookupKeyHash>, Vec<SmolStr>) = keys.into_iter().unzip();
        let answering = asked.fetch(&self.tenant, field, &keys);
        let answer = if self.inner.inside.may_wait() {
            answering.await
        } else {
            let at_once = answering.now_or_never();
            at_once.ok_or_else(|| LookupFault::NotAtOnce { source_name: source.clone() })?
        };
        let failed = || LookupFault::Failed { source_name: source.clone() };
        let values = answer.map_err(|problem| {
            tracing::warn!(%source, %problem, "a source failed");
            failed()
        })?;
        if values.len() != keys.len() {
            tracing::warn!(%source, asked = keys.len(), answered = values.len(), "a source does not answer each key");
            return Err(failed());
        }
        Ok(hashes.into_iter().zip(values.into_iter().map(|value| value.map(shortened))).collect())
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
