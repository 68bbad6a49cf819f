//! What is personal about a customer: kept sealed, and read.

use std::collections::BTreeMap;

use crm_core::event::Deed;
use crm_core::privacy::PersonalKept;
use crm_core::workflow::{Actor, FieldName};
use crm_core::{CustomerId, SmolStr};
use crm_storage::{Commit, Details, Parts, PersonalMove};

use super::card::is_of_card;
use super::{ATTEMPTS_MAX, Crm};
use crate::error::Error;
use crate::personal::{PersonKey, PersonalError, Place};

impl Crm {
    /// Keeps personal values of a customer, sealed under their own key, beside everything else and apart
    /// from it; none takes a value away. Other fields stay.
    ///
    /// # Errors
    ///
    /// `NoCustomer`, `Personal` if the customer was erased, a value cannot be sealed or a name begins with `card.`
    /// or `was.`, which belong to the card, `Storage` if the store failed.
    pub async fn keep_personal(&self, customer: CustomerId, fields: &[(FieldName, Option<&str>)]) -> Result<(), Error> {
        if let Some((field, _)) = fields.iter().find(|(field, _)| is_of_card(field.as_str())) {
            return Err(PersonalError::Reserved { field: field.to_string() }.into());
        }
        for _ in 0..ATTEMPTS_MAX {
            let (base, definitions) = self.base(customer).await?;
            let base = base.ok_or(Error::NoCustomer { customer })?;
            if base.customer.is_erased() {
                return Err(PersonalError::Erased { customer }.into());
            }
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
            let told = || fields.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name);
            // What a policy forgets is kept from here on, as if it were the first time.
            let mut writing = if definitions.retention_versions().any(|(_, policy, ..)| policy.forgets_personal(told()))
            {
                let deed = Deed::PersonalKept(PersonalKept { at: self.now() });
                let plan = self.plan_notes(&base, &definitions, &Actor::Shop, vec![(customer, deed)]).await?;
                self.written(plan, &base).await?.0
            } else {
                let write = base.touch(&definitions).ok_or(Error::NoCustomer { customer })?;
                Commit { writes: vec![write], ..Commit::default() }.into()
            };
            let mut moved = Some(Box::new(moved));
            for write in writing.commit.writes.iter_mut().filter(|write| write.customer == customer) {
                write.personal = moved.take();
            }
            if self.try_settle(writing).await? {
                return Ok(());
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// The personal values of a customer, by field, without those of the card; empty for one who is not there or was erased. Of somebody
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
