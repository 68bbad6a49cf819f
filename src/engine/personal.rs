//! What is personal about a customer: kept sealed, read, exported, and erased.

use std::collections::BTreeMap;

use crm_core::workflow::FieldName;
use crm_core::{CustomerId, SmolStr};
use crm_storage::{ClaimKey, Commit, CommitError, Copies, Details, Entries, Entry, Parts, PersonalMove};
use serde_json::{Value, json};

use super::card::is_of_card;
use super::{ATTEMPTS_MAX, Crm, PAGE, Settled};
use crate::error::Error;
use crate::personal::{PersonKey, PersonalError, Place};
use crate::plan::identifier_claim;

/// What an erasure removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erasure {
    /// How many personal fields.
    pub fields: u64,
    /// How many search tokens.
    pub tokens: u64,
    /// How many outbox entries.
    pub outbox: u64,
    /// How many identifiers nobody has any more.
    pub identifiers: u64,
    /// What is left in copies that can still be read. With keys outside of the store no value can be, wherever
    /// copies of it lie.
    pub copies: Copies,
}

impl Crm {
    /// Keeps personal values of a customer, sealed under their own key, beside everything else and apart
    /// from it; none takes a value away. Other fields stay.
    ///
    /// # Errors
    ///
    /// `NoCustomer`, `Personal` if a value cannot be sealed or a name begins with `card.` or `was.`, which belong
    /// to the card, `Storage` if the store failed.
    pub async fn keep_personal(&self, customer: CustomerId, fields: &[(FieldName, Option<&str>)]) -> Result<(), Error> {
        if let Some((field, _)) = fields.iter().find(|(field, _)| is_of_card(field.as_str())) {
            return Err(PersonalError::Reserved { field: field.to_string() }.into());
        }
        for _ in 0..ATTEMPTS_MAX {
            let (base, definitions) = self.base(customer).await?;
            let base = base.ok_or(Error::NoCustomer { customer })?;
            let (key, new) = self.person_key_or_new(customer).await?;
            let mut moved = PersonalMove { key: new, ..PersonalMove::default() };
            // The last word about a field counts.
            let last: BTreeMap<&str, Option<&str>> =
                fields.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            for (field, value) in last {
                let place = Place { tenant: &self.tenant, customer, field };
                let sealed = value.map(|value| key.seal(&place, value.as_bytes())).transpose()?;
                moved.fields.push((SmolStr::new(field), sealed));
            }
            let mut write = base.touch(&definitions).ok_or(Error::NoCustomer { customer })?;
            write.personal = Some(Box::new(moved));
            match self.settle(Commit { writes: vec![write], ..Commit::default() }).await? {
                Settled::Done | Settled::Replayed(_) => return Ok(()),
                Settled::Refused(CommitError::Conflict { .. }) => self.lost()?,
                Settled::Refused(error) => return Err(Error::corrupt(error)),
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// The personal values of a customer, by field, without those of the card; empty for one who is not there or
    /// was erased.
    /// The personal values of a customer, by field; empty for one who is not there or was erased. Of somebody
    /// who was merged, the values of all; of a field that several have, that of the one under whose id they go
    /// on, else of whoever was there first.
    ///
    /// # Errors
    ///
    /// `Personal` if a value cannot be opened, `Storage` if the store failed.
    pub async fn personal(&self, customer: CustomerId) -> Result<BTreeMap<FieldName, String>, Error> {
        let Some(base) = self.base(customer).await?.0 else { return self.personal_of(customer).await };
        let mut fields = self.personal_of(base.customer.id()).await?;
        for member in base.customer.members().filter(|member| *member != base.customer.id()) {
            for (name, value) in self.personal_of(member).await? {
                fields.entry(name).or_insert(value);
            }
        }
        Ok(fields)
    }

    /// What is kept under one id alone.
    async fn personal_of(&self, customer: CustomerId) -> Result<BTreeMap<FieldName, String>, Error> {
        let details = self.store().details(&self.tenant, &[customer], Parts::PERSONAL).await?;
        let details = details.into_iter().next().flatten().unwrap_or_default();
        if details.personal.iter().all(|(name, _)| is_of_card(name)) {
            return Ok(BTreeMap::new());
        }
        let key = self.known_key(customer, &details).await?.ok_or(PersonalError::NoKey)?;
        let mut fields = BTreeMap::new();
        for (name, sealed) in details.personal.into_iter().filter(|(name, _)| !is_of_card(name)) {
            let opened = key.open(&Place { tenant: &self.tenant, customer, field: &name }, &sealed)?;
            let damaged = || PersonalError::Damaged { field: name.to_string() };
            let value = String::from_utf8(opened).map_err(|_| damaged())?;
            fields.insert(FieldName::new(&name).map_err(|_| damaged())?, value);
        }
        Ok(fields)
    }

    /// Erases for good what is personal about a customer: their values and the key to them, what they
    /// could be searched by, and what waits to be told about them. Nobody is found by their identifiers any
    /// more, and anybody may have them then. What happened stays; it names the identifiers as hashes under
    /// the look-up key, and nothing else that says who they were, unless the shop put it into a free text.
    /// Erasing again removes what came since, and tries again to clear copies that were pending.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed, `Personal` if the host's keys did: erase again then. `Personal` inside
    /// a transaction of the shop's if keys are outside of the store.
    pub async fn erase(&self, customer: CustomerId) -> Result<Erasure, Error> {
        if self.inner.inside && self.inner.person_keys.is_some() {
            return Err(PersonalError::Inside.into());
        }
        let (base, _) = self.base(customer).await?;
        let keys: Vec<ClaimKey> =
            base.iter().flat_map(|base| base.customer.identifiers()).map(identifier_claim).collect();
        let mut erased = self.store().erase(&self.tenant, customer, &keys).await?;
        if let Some(outside) = &self.inner.person_keys {
            // Somebody who was just keeping something may have made a new key meanwhile.
            for _ in 0..ATTEMPTS_MAX {
                outside.destroy(&self.tenant, customer).await.map_err(PersonalError::from)?;
                let left = self.store().details(&self.tenant, &[customer], Parts::PERSONAL).await?;
                if left.into_iter().flatten().all(|details| details.personal.is_empty()) {
                    break;
                }
                erased.fields += self.store().erase(&self.tenant, customer, &keys).await?.fields;
            }
        }
        // Only the values are sealed: search tokens and deliveries can be read wherever there is a copy.
        let sealed_alone = self.inner.person_keys.is_some() && erased.tokens == 0 && erased.outbox == 0;
        let copies = match erased.copies {
            Copies::UntilLogsExpire if sealed_alone => Copies::Gone,
            copies @ (Copies::Gone | Copies::Pending | Copies::UntilLogsExpire) => copies,
        };
        Ok(Erasure {
            fields: erased.fields,
            tokens: erased.tokens,
            outbox: erased.outbox,
            identifiers: erased.claims,
            copies,
        })
    }

    /// All that is held about a customer, as JSON; none for one who is not there. Reads their whole history.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed, `Personal` if a value cannot be opened.
    pub async fn export(&self, customer: CustomerId) -> Result<Option<Value>, Error> {
        let (Some(base), _) = self.base(customer).await? else { return Ok(None) };
        let (mut events, mut changes) = (Vec::new(), Vec::new());
        let mut after = None;
        loop {
            let page = self.store().history(&self.tenant, customer, Entries::All, after, PAGE).await?;
            for row in page.rows {
                match row {
                    Entry::Event(row) => {
                        let source = row.source.as_ref().map(crm_core::Source::as_str);
                        events.push(json!({
                            "id": row.id, "kind": row.kind, "at": row.at, "recorded_at": row.recorded_at,
                            "source": source, "cause": row.cause, "body": stored_json(&row.body),
                        }));
                    }
                    Entry::Change(row) => {
                        changes.push(json!({ "kind": row.kind, "at": row.at, "body": stored_json(&row.body) }));
                    }
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let details = self.store().details(&self.tenant, &[customer], Parts::ALL).await?;
        let details = details.into_iter().next().flatten().unwrap_or_default();
        let numbers: BTreeMap<&str, i64> = crm_core::Column::ALL
            .into_iter()
            .filter_map(|column| Some((column.name(), details.traits.columns.get(column)?)))
            .collect();
        let identifiers: Vec<_> = base.customer.identifiers().collect();
        let scores: Vec<Value> = details
            .scores
            .iter()
            .map(|score| {
                json!({ "plugin": score.plugin, "version": score.version, "output": score.output, "at": score.at, "value": score.value })
            })
            .collect();
        let requests: Vec<Value> = details
            .requests
            .iter()
            .map(|request| json!({ "key": request.key.as_str(), "answer": stored_json(&request.answer) }))
            .collect();
        let outbox: Vec<Value> = details
            .outbox
            .iter()
            .map(|entry| {
                json!({ "id": entry.id, "topic": entry.topic, "due_at": entry.due_at, "body": stored_json(&entry.body) })
            })
            .collect();
        Ok(Some(json!({
            "customer": customer,
            "personal": self.personal(customer).await?,
            "card": self.card_export(customer).await?,
            "identifiers": identifiers,
            "numbers": numbers,
            "sets": details.traits.sets,
            "search_tokens": details.tokens,
            "scores": scores,
            "events": events,
            "changes": changes,
            "requests": requests,
            "outbox": outbox,
        })))
    }

    /// The key of a person, and the same key to be kept in the store if it is new and belongs there.
    async fn person_key_or_new(&self, customer: CustomerId) -> Result<(PersonKey, Option<Vec<u8>>), Error> {
        let details = self.store().details(&self.tenant, &[customer], Parts::PERSONAL).await?;
        let details = details.into_iter().next().flatten().unwrap_or_default();
        self.key_or_new(customer, &details).await
    }

    /// The key of a person whose rows were read, if they have one.
    pub(super) async fn known_key(&self, customer: CustomerId, details: &Details) -> Result<Option<PersonKey>, Error> {
        match &self.inner.person_keys {
            Some(keys) => Ok(keys.get(&self.tenant, customer).await.map_err(PersonalError::from)?),
            None => details.key.as_deref().map(stored_key).transpose(),
        }
    }

    /// The key of a person whose rows were read, as in [`person_key_or_new`](Self::person_key_or_new).
    pub(super) async fn key_or_new(
        &self,
        customer: CustomerId,
        details: &Details,
    ) -> Result<(PersonKey, Option<Vec<u8>>), Error> {
        if let Some(key) = self.known_key(customer, details).await? {
            return Ok((key, None));
        }
        // Under a new key what is there could never be read again, nor told from what is damaged.
        if !details.personal.is_empty() {
            return Err(PersonalError::NoKey.into());
        }
        let key = PersonKey::random()?;
        match &self.inner.person_keys {
            Some(keys) => Ok((keys.keep(&self.tenant, customer, key).await.map_err(PersonalError::from)?, None)),
            None => {
                let kept = key.expose().to_vec();
                Ok((key, Some(kept)))
            }
        }
    }
}

fn stored_key(bytes: &[u8]) -> Result<PersonKey, Error> {
    bytes.try_into().map(PersonKey::from_bytes).map_err(|_| Error::corrupt("a person's key of another length"))
}

/// Stored JSON as it is; text where it is none.
fn stored_json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()))
}
