//! Judging a commit by what is kept, in the order that the contract gives. For stores that read first
//! and write then; one that judges by inserting does without.

use std::collections::BTreeMap;

use crm_core::{CustomerId, Digest, EventId, SmolStr};

use crate::commit::{ClaimKey, Commit, CounterStep, CustomerWrite, Expected, IdempotencyKey, Release, Version};
use crate::error::CommitError;
use crate::row::ClaimOwner;

/// What a commit is judged by: a tenant's rows, as the commits before it left them.
pub trait Kept {
    /// What can go wrong when they are read.
    type Error;

    /// The version of a customer; none if there is no such customer.
    ///
    /// # Errors
    ///
    /// If it cannot be read; so for all of them.
    fn version(&self, customer: CustomerId) -> Result<Option<Version>, Self::Error>;
    /// The digest and the answer of a request that was carried out.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn request(&self, customer: CustomerId, key: &IdempotencyKey) -> Result<Option<(Digest, Vec<u8>)>, Self::Error>;
    /// Whether a customer has an event.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn has_event(&self, customer: CustomerId, event: EventId) -> Result<bool, Self::Error>;
    /// Who has a key.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn owner(&self, key: &ClaimKey) -> Result<Option<ClaimOwner>, Self::Error>;
    /// Where a counter stands; 0 if it is not there.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn counter(&self, name: &SmolStr) -> Result<i64, Self::Error>;
}

/// What becomes of a commit.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    /// It is to be written.
    Apply {
        /// The versions of its customers afterwards, in the order of its writes.
        versions: Vec<Version>,
        /// Where the counters it moves stand afterwards.
        counters: BTreeMap<SmolStr, i64>,
    },
    /// It was carried out before, and answered so.
    Replay(Vec<u8>),
    /// Nothing of it is to be written.
    Refuse(CommitError),
}

/// Passes a refusal on.
macro_rules! granted {
    ($judged:expr) => {
        match $judged {
            Ok(granted) => granted,
            Err(refusal) => return Ok(Judgement::Refuse(refusal)),
        }
    };
}

impl Commit {
    /// Judges the commit.
    ///
    /// # Errors
    ///
    /// What reading the rows failed with.
    pub fn judge<K: Kept>(&self, kept: &K) -> Result<Judgement, K::Error> {
        granted!(self.check());
        if let Some(request) = &self.request
            && let Some((digest, answer)) = kept.request(request.customer, &request.key)?
        {
            let same = digest == request.digest;
            return Ok(if same { Judgement::Replay(answer) } else { Judgement::Refuse(CommitError::KeyReused) });
        }
        let mut versions = Vec::with_capacity(self.writes.len());
        for write in &self.writes {
            let actual = kept.version(write.customer)?;
            versions.push(granted!(version_after(write, actual)));
        }
        for CustomerWrite { customer, events, .. } in &self.writes {
            for event in events {
                if kept.has_event(*customer, event.id)? {
                    let refusal = CommitError::EventExists { customer: *customer, event: event.id };
                    return Ok(Judgement::Refuse(refusal));
                }
            }
        }
        for Release { key, customer } in &self.releases {
            if kept.owner(key)?.is_none_or(|owner| owner.customer != *customer) {
                let refusal = CommitError::NotOwned { key: key.clone(), customer: *customer };
                return Ok(Judgement::Refuse(refusal));
            }
        }
        for claim in &self.claims {
            let released = self.releases.iter().any(|release| release.key == claim.key);
            let owner = if released { None } else { kept.owner(&claim.key)? };
            if let Some(owner) = owner
                && owner != (ClaimOwner { customer: claim.customer, event: claim.event })
            {
                return Ok(Judgement::Refuse(CommitError::Claimed { key: claim.key.clone(), owner }));
            }
        }
        let mut counters = BTreeMap::new();
        for CounterStep { name, by, limit } in &self.counters {
            let before = match counters.get(name) {
                Some(&value) => value,
                None => kept.counter(name)?,
            };
            let value = i128::from(before) + i128::from(*by);
            match i64::try_from(value) {
                Ok(moved) if (0..=*limit).contains(&moved) => counters.insert(name.clone(), moved),
                _ => {
                    let refusal = CommitError::CounterLimit { name: name.clone(), value, limit: *limit };
                    return Ok(Judgement::Refuse(refusal));
                }
            };
        }
        Ok(Judgement::Apply { versions, counters })
    }
}

fn version_after(write: &CustomerWrite, actual: Option<Version>) -> Result<Version, CommitError> {
    let expected = match write.expected {
        Expected::New => None,
        Expected::At(version) => Some(version),
    };
    if actual != expected {
        return Err(CommitError::Conflict { customer: write.customer, actual });
    }
    let before = actual.unwrap_or(Version(0));
    Ok(if write.state.is_some() { Version(before.0 + 1) } else { before })
}
