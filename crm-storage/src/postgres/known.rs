//! What commits are judged by, read before they are and kept up to date while they are.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;

use crm_core::{CustomerId, Digest, EventId, SmolStr};
use tokio_postgres::Row;

use super::column::{Columns, damaged};
use super::fault::Fault;
use super::gather::Place;
use super::keyed::{Key, Part};
use crate::commit::{ClaimKey, Commit, IdempotencyKey, Version};
use crate::judge::Kept;
use crate::row::ClaimOwner;

/// The rows of one tenant that some commits ask about.
#[derive(Debug, Default)]
pub(super) struct Known {
    versions: HashMap<CustomerId, Version>,
    requests: HashMap<(CustomerId, IdempotencyKey), (Digest, Vec<u8>)>,
    events: HashSet<(CustomerId, EventId)>,
    owners: Moving<ClaimKey, ClaimOwner>,
    counters: Moving<SmolStr, i64>,
}

/// What was found, and what it is now if it moved.
#[derive(Debug)]
struct Moving<K, V> {
    found: HashMap<K, V>,
    moved: HashMap<K, Option<V>>,
}

impl<K, V> Default for Moving<K, V> {
    fn default() -> Self {
        Moving { found: HashMap::new(), moved: HashMap::new() }
    }
}

impl<K: std::hash::Hash + Eq, V: Copy> Moving<K, V> {
    fn now(&self, key: &K) -> Option<V> {
        self.moved.get(key).copied().unwrap_or_else(|| self.found.get(key).copied())
    }
}

/// The keys that commits ask about.
#[derive(Debug, Default)]
pub(super) struct Asked<'a> {
    pub(super) customers: Vec<Key<'a, 1>>,
    pub(super) requests: Vec<Key<'a, 2>>,
    pub(super) events: Vec<Key<'a, 2>>,
    pub(super) owners: Vec<Key<'a, 2>>,
    pub(super) counters: Vec<Key<'a, 1>>,
}

impl<'a> Asked<'a> {
    pub(super) fn by(place: &Place<'_>, commits: &[&'a Commit]) -> Self {
        let mut asked = Asked::default();
        for commit in commits {
            for write in &commit.writes {
                let lane = place.of_customer(write.customer);
                let customer = Part::Id(*write.customer.as_uuid());
                asked.customers.push((lane, [customer]));
                let ids = write.events.iter().map(|event| Part::Id(*event.id.as_uuid()));
                asked.events.extend(ids.map(|id| (lane, [customer, id])));
            }
            if let Some(request) = &commit.request {
                let key = [Part::Id(*request.customer.as_uuid()), Part::Bytes(request.key.as_str().as_bytes())];
                asked.requests.push((place.of_customer(request.customer), key));
            }
            let released = commit.releases.iter().map(|release| &release.key);
            for key in released.chain(commit.claims.iter().map(|claim| &claim.key)) {
                asked.owners.push((place.of_claim(key), claim_parts(key)));
            }
            for step in &commit.counters {
                asked.counters.push((place.of_counter(&step.name), [Part::Bytes(step.name.as_bytes())]));
            }
        }
        asked
    }
}

/// A key's kind and its bytes.
pub(super) fn claim_parts(key: &ClaimKey) -> [Part<'_>; 2] {
    [Part::Bytes(key.kind.as_bytes()), Part::Bytes(&key.key)]
}

/// A key and who has it.
pub(super) fn owner(row: &Row) -> Result<(ClaimKey, ClaimOwner), Fault> {
    let mut columns = Columns::of(row);
    let key = ClaimKey { kind: columns.text()?, key: columns.bytes()? };
    Ok((key, ClaimOwner { customer: columns.customer()?, event: columns.event()? }))
}

impl Known {
    pub(super) fn add_version(&mut self, row: &Row) -> Result<(), Fault> {
        let mut columns = Columns::of(row);
        self.versions.insert(columns.customer()?, columns.version()?);
        Ok(())
    }

    pub(super) fn add_request(&mut self, row: &Row) -> Result<(), Fault> {
        let mut columns = Columns::of(row);
        let customer = columns.customer()?;
        let key = IdempotencyKey::new(&columns.text()?).ok_or_else(|| damaged("an idempotency key of no length"))?;
        self.requests.insert((customer, key), (columns.digest()?, columns.bytes()?));
        Ok(())
    }

    pub(super) fn add_event(&mut self, row: &Row) -> Result<(), Fault> {
        let mut columns = Columns::of(row);
        self.events.insert((columns.customer()?, columns.event()?));
        Ok(())
    }

    pub(super) fn add_owner(&mut self, row: &Row) -> Result<(), Fault> {
        let (key, owner) = owner(row)?;
        self.owners.found.insert(key, owner);
        Ok(())
    }

    pub(super) fn add_counter(&mut self, row: &Row) -> Result<(), Fault> {
        let mut columns = Columns::of(row);
        self.counters.found.insert(columns.text()?, columns.plain()?);
        Ok(())
    }

    /// Moves on past a commit that is applied.
    pub(super) fn apply(&mut self, commit: &Commit, versions: &[Version], counters: BTreeMap<SmolStr, i64>) {
        for (write, version) in commit.writes.iter().zip(versions) {
            self.versions.insert(write.customer, *version);
            self.events.extend(write.events.iter().map(|event| (write.customer, event.id)));
        }
        for release in &commit.releases {
            self.owners.moved.insert(release.key.clone(), None);
        }
        for claim in &commit.claims {
            let owner = ClaimOwner { customer: claim.customer, event: claim.event };
            self.owners.moved.insert(claim.key.clone(), Some(owner));
        }
        self.counters.moved.extend(counters.into_iter().map(|(name, value)| (name, Some(value))));
        if let Some(request) = &commit.request {
            let answered = (request.digest, request.answer.clone());
            self.requests.insert((request.customer, request.key.clone()), answered);
        }
    }

    pub(super) fn owner_found(&self, key: &ClaimKey) -> Option<ClaimOwner> {
        self.owners.found.get(key).copied()
    }

    pub(super) fn owner_now(&self, key: &ClaimKey) -> Option<ClaimOwner> {
        self.owners.now(key)
    }

    pub(super) fn counter_found(&self, name: &SmolStr) -> Option<i64> {
        self.counters.found.get(name).copied()
    }

    pub(super) fn counter_now(&self, name: &SmolStr) -> Option<i64> {
        self.counters.now(name)
    }
}

impl Kept for Known {
    type Error = Infallible;

    fn version(&self, customer: CustomerId) -> Result<Option<Version>, Infallible> {
        Ok(self.versions.get(&customer).copied())
    }

    fn request(&self, customer: CustomerId, key: &IdempotencyKey) -> Result<Option<(Digest, Vec<u8>)>, Infallible> {
        Ok(self.requests.get(&(customer, key.clone())).cloned())
    }

    fn has_event(&self, customer: CustomerId, event: EventId) -> Result<bool, Infallible> {
        Ok(self.events.contains(&(customer, event)))
    }

    fn owner(&self, key: &ClaimKey) -> Result<Option<ClaimOwner>, Infallible> {
        Ok(self.owner_now(key))
    }

    fn counter(&self, name: &SmolStr) -> Result<i64, Infallible> {
        Ok(self.counter_now(name).unwrap_or(0))
    }
}
