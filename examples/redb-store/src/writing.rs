//! A tenant inside a write transaction: judging a commit and applying it. redb has one writer at a time,
//! so nobody writes between the judging and the commit, and what one commit wrote is there for the next.
//!
//! Tables are opened where they are needed, because redb allows each to be open once. Keeping them open for a
//! whole call is the first thing to do if that should become too slow.

use std::collections::BTreeMap;

use crm_core::{CustomerId, Digest, EventId, SmolStr};
use crm_storage::{
    AlarmMove, Appended, Claim, ClaimKey, ClaimOwner, Commit, CustomerWrite, DefineError, IdempotencyKey, Kept,
    PersonalMove, Request, Version,
};
use redb::{ReadableTable, WriteTransaction};

use crate::fault::Fault;
use crate::tables::{
    ALARMS, CLAIMS, COUNTERS, CUSTOMERS, DEFINITIONS, EVENTS, FEED, FIELDS, HISTORY, PERSON_KEYS, REQUESTS, SCORES,
    TOKENS, TRAITS,
};
use crate::{outbox, parts};

/// What is being written for a tenant.
pub(crate) struct Writing<'t> {
    pub(crate) tenant: &'t str,
    pub(crate) transaction: &'t WriteTransaction,
}

impl Kept for Writing<'_> {
    type Error = Fault;

    fn version(&self, customer: CustomerId) -> Result<Option<Version>, Fault> {
        let customers = self.transaction.open_table(CUSTOMERS)?;
        let row = customers.get((self.tenant, *customer.as_uuid()))?;
        Ok(row.map(|row| Version(row.value().0)))
    }

    fn request(&self, customer: CustomerId, key: &IdempotencyKey) -> Result<Option<(Digest, Vec<u8>)>, Fault> {
        let requests = self.transaction.open_table(REQUESTS)?;
        let row = requests.get((self.tenant, *customer.as_uuid(), key.as_str()))?;
        Ok(row.map(|row| (Digest::from_bytes(*row.value().0), row.value().1.into())))
    }

    fn has_event(&self, customer: CustomerId, event: EventId) -> Result<bool, Fault> {
        let events = self.transaction.open_table(EVENTS)?;
        Ok(events.get((self.tenant, *customer.as_uuid(), *event.as_uuid()))?.is_some())
    }

    fn owner(&self, key: &ClaimKey) -> Result<Option<ClaimOwner>, Fault> {
        owner(&self.transaction.open_table(CLAIMS)?, self.tenant, key)
    }

    fn counter(&self, name: &SmolStr) -> Result<i64, Fault> {
        let counters = self.transaction.open_table(COUNTERS)?;
        Ok(counters.get((self.tenant, name.as_str()))?.map_or(0, |row| row.value()))
    }
}

/// Who has a key.
pub(crate) fn owner(
    claims: &impl ReadableTable<(&'static str, &'static str, &'static [u8]), (uuid::Uuid, uuid::Uuid)>,
    tenant: &str,
    ClaimKey { kind, key }: &ClaimKey,
) -> Result<Option<ClaimOwner>, Fault> {
    let row = claims.get((tenant, kind.as_str(), key.as_slice()))?.map(|row| row.value());
    Ok(row.map(|(customer, event)| ClaimOwner {
        customer: CustomerId::from_uuid(customer),
        event: EventId::from_uuid(event),
    }))
}

impl Writing<'_> {
    /// Writes all of a commit that was judged.
    pub(crate) fn apply(
        &self,
        commit: &Commit,
        versions: &[Version],
        counters: &BTreeMap<SmolStr, i64>,
    ) -> Result<(), Fault> {
        for (write, version) in commit.writes.iter().zip(versions) {
            self.customer(write, *version)?;
        }
        let mut claims = self.transaction.open_table(CLAIMS)?;
        for release in &commit.releases {
            claims.remove((self.tenant, release.key.kind.as_str(), release.key.key.as_slice()))?;
        }
        for Claim { key: ClaimKey { kind, key }, customer, event } in &commit.claims {
            claims.insert((self.tenant, kind.as_str(), key.as_slice()), (*customer.as_uuid(), *event.as_uuid()))?;
        }
        for (name, value) in counters {
            self.transaction.open_table(COUNTERS)?.insert((self.tenant, name.as_str()), *value)?;
        }
        for entry in &commit.outbox {
            outbox::add(self, entry)?;
        }
        for letter in &commit.dead_letters {
            outbox::bury(self, letter)?;
        }
        if let Some(Request { customer, key, digest, answer }) = &commit.request {
            let key = (self.tenant, *customer.as_uuid(), key.as_str());
            self.transaction.open_table(REQUESTS)?.insert(key, (digest.as_bytes(), answer.as_slice()))?;
        }
        Ok(())
    }

    fn customer(&self, write: &CustomerWrite, version: Version) -> Result<(), Fault> {
        let (transaction, tenant, id) = (self.transaction, self.tenant, *write.customer.as_uuid());
        if let Some(state) = &write.state {
            let row = (version.0, state.shape, state.bytes.as_slice());
            transaction.open_table(CUSTOMERS)?.insert((tenant, id), row)?;
            transaction.open_table(TRAITS)?.insert((tenant, id), parts::trait_parts(&write.traits))?;
        }
        self.append(write)?;
        for gone in &write.scores_gone {
            let key = (tenant, id, gone.plugin.as_str(), gone.output.as_str(), gone.at.as_millis());
            transaction.open_table(SCORES)?.remove(key)?;
        }
        for score in &write.scores {
            let key = (tenant, id, score.plugin.as_str(), score.output.as_str(), score.at.as_millis());
            transaction.open_table(SCORES)?.insert(key, parts::score_parts(score))?;
        }
        if let Some(AlarmMove { from, to }) = write.alarm {
            let mut alarms = transaction.open_table(ALARMS)?;
            if let Some(from) = from {
                alarms.remove((tenant, from.due_at.as_millis(), from.kind.rank(), id))?;
            }
            if let Some(to) = to {
                alarms.insert((tenant, to.due_at.as_millis(), to.kind.rank(), id), ())?;
            }
        }
        write.personal.as_ref().map_or(Ok(()), |personal| self.personal(write.customer, personal))
    }

    /// Appends events and changes, to the history and to the feed.
    fn append(&self, write: &CustomerWrite) -> Result<(), Fault> {
        let (tenant, id) = (self.tenant, *write.customer.as_uuid());
        let mut history = self.transaction.open_table(HISTORY)?;
        let mut feed = self.transaction.open_table(FEED)?;
        let mut events = self.transaction.open_table(EVENTS)?;
        let last = history.range((tenant, id, 0)..=(tenant, id, u64::MAX))?.next_back().transpose()?;
        let mut place = last.map_or(0, |(key, _)| key.value().2);
        let mut position = feed.last()?.map_or(0, |(key, _)| key.value());
        for event in &write.events {
            events.insert((tenant, id, *event.id.as_uuid()), ())?;
        }
        let entries = write.appended().map(|appended| match appended {
            Appended::Event(event) => parts::event_parts(event),
            Appended::Change(change) => parts::change_parts(change),
        });
        for entry in entries {
            (place, position) = (place + 1, position + 1);
            history.insert((tenant, id, place), entry)?;
            feed.insert(position, (tenant, id, place))?;
        }
        Ok(())
    }

    fn personal(&self, customer: CustomerId, personal: &PersonalMove) -> Result<(), Fault> {
        let (tenant, id) = (self.tenant, *customer.as_uuid());
        if let Some(key) = &personal.key {
            self.transaction.open_table(PERSON_KEYS)?.insert((tenant, id), key.as_slice())?;
        }
        let mut fields = self.transaction.open_table(FIELDS)?;
        for (name, value) in &personal.fields {
            match value {
                Some(value) => fields.insert((tenant, id, name.as_str()), value.as_slice())?,
                None => fields.remove((tenant, id, name.as_str()))?,
            };
        }
        if let Some(list) = &personal.tokens {
            self.forget_tokens(customer)?;
            let mut tokens = self.transaction.open_table(TOKENS)?;
            for token in list {
                tokens.insert((tenant, id, &token.0), ())?;
            }
        }
        Ok(())
    }

    /// Removes a customer's tokens, and says how many there were.
    pub(crate) fn forget_tokens(&self, customer: CustomerId) -> Result<u64, Fault> {
        let (tenant, id) = (self.tenant, *customer.as_uuid());
        let mut count = 0;
        self.transaction.open_table(TOKENS)?.retain_in(
            (tenant, id, &[0; 16])..=(tenant, id, &[0xff; 16]),
            |_, ()| {
                count += 1;
                false
            },
        )?;
        Ok(count)
    }

    /// Adds a definition if the revision is as expected.
    pub(crate) fn define(&self, expected: u64, body: &[u8]) -> Result<Result<u64, DefineError>, Fault> {
        let mut definitions = self.transaction.open_table(DEFINITIONS)?;
        let actual = revision(&definitions, self.tenant)?;
        if actual != expected {
            return Ok(Err(DefineError::Conflict { actual }));
        }
        definitions.insert((self.tenant, actual + 1), body)?;
        Ok(Ok(actual + 1))
    }
}

/// The revision of a tenant's definitions; 0 when there are none.
pub(crate) fn revision(
    definitions: &impl ReadableTable<(&'static str, u64), &'static [u8]>,
    tenant: &str,
) -> Result<u64, Fault> {
    let last = definitions.range((tenant, 0)..=(tenant, u64::MAX))?.next_back().transpose()?;
    Ok(last.map_or(0, |(key, _)| key.value().1))
}
