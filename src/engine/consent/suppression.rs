//! Addresses that nobody writes to any more, whoever they belong to.
//!
//! An address is on the list by its keyed hash alone, as a claim of nobody's: of an id that follows from the
//! tenant and has no row, so that it is in no list of customers, and neither erasing somebody, nor merging,
//! nor taking anything in again touches it. Since when and why is in the id of the claim's event.

use std::collections::HashSet;

use crm_core::audit::{AuditAction, AuditEntry};
use crm_core::consent::{Proof, SuppressionLifted};
use crm_core::event::Fact;
use crm_core::identity::{Identifier, LookupKey};
use crm_core::{CustomerId, Digest, EventId, SmolStr, Source, TenantId, Timestamp};
use crm_storage::{Claim, ClaimKey, ClaimOwner, Commit, CommitError, Release};

use super::super::writing::Writing;
use super::{Written, own_source, to_hex};
use crate::engine::audit::{by_shop, by_source};
use crate::engine::{ATTEMPTS_MAX, Crm, PAGE};
use crate::error::Error;
use crate::plan::Prepared;

/// Why an address is suppressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SuppressionReason {
    /// Its holder asked for it.
    Asked,
    /// Its holder complained, to the shop or to their provider.
    Complaint,
    /// Messages to it come back for good.
    Bounced,
    /// Its holder died.
    Deceased,
    /// A list that the law or an industry keeps, such as a Robinson list.
    PublicList,
    /// The shop decided it.
    Decided,
    /// A reason that a newer version wrote.
    Other,
}

impl SuppressionReason {
    /// A number that is stored for it; it never changes.
    const fn code(self) -> u8 {
        match self {
            SuppressionReason::Asked => 1,
            SuppressionReason::Complaint => 2,
            SuppressionReason::Bounced => 3,
            SuppressionReason::Deceased => 4,
            SuppressionReason::PublicList => 5,
            SuppressionReason::Decided => 6,
            SuppressionReason::Other => 255,
        }
    }

    /// What the audit log calls it.
    const fn name(self) -> &'static str {
        match self {
            SuppressionReason::Asked => "asked",
            SuppressionReason::Complaint => "complaint",
            SuppressionReason::Bounced => "bounced",
            SuppressionReason::Deceased => "deceased",
            SuppressionReason::PublicList => "public list",
            SuppressionReason::Decided => "decided",
            SuppressionReason::Other => "other",
        }
    }

    const fn by_code(code: u8) -> Self {
        match code {
            1 => SuppressionReason::Asked,
            2 => SuppressionReason::Complaint,
            3 => SuppressionReason::Bounced,
            4 => SuppressionReason::Deceased,
            5 => SuppressionReason::PublicList,
            6 => SuppressionReason::Decided,
            _ => SuppressionReason::Other,
        }
    }
}

/// Since when and why an address is suppressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suppressed {
    /// Since when; before 1970 is 1970.
    pub since: Timestamp,
    /// Why.
    pub reason: SuppressionReason,
    source: [u8; 7],
}

impl Suppressed {
    fn new(since: Timestamp, reason: SuppressionReason, source: &Source) -> Self {
        let digest = Digest::of(source.as_str().as_bytes());
        let mut mark = [0; 7];
        mark.copy_from_slice(&digest.as_bytes()[..7]);
        Suppressed { since, reason, source: mark }
    }

    /// Whether it was told by a source. Of the source 56 bits of a digest are kept.
    #[must_use]
    pub fn is_from(&self, source: &Source) -> bool {
        Suppressed::new(self.since, self.reason, source).source == self.source
    }

    /// As the id of the claim's event: a UUID of version 8 out of milliseconds since 1970 (48 bits), the
    /// reason (8 bits) and the mark of the source (56 bits).
    fn to_event(self) -> EventId {
        let mut bytes = [0; 16];
        let millis = u64::try_from(self.since.as_millis()).unwrap_or(0);
        bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        bytes[7] = self.reason.code();
        bytes[9..].copy_from_slice(&self.source);
        EventId::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    fn of_event(event: EventId) -> Self {
        let bytes = event.as_uuid().as_bytes();
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&bytes[..6]);
        let since =
            i64::try_from(u64::from_be_bytes(millis)).ok().and_then(|millis| Timestamp::from_millis(millis).ok());
        let mut source = [0; 7];
        source.copy_from_slice(&bytes[9..]);
        Suppressed { since: since.unwrap_or(Timestamp::MAX), reason: SuppressionReason::by_code(bytes[7]), source }
    }
}

/// The key under which an address is on the list.
pub(super) fn suppression_claim(key: &LookupKey, tenant: &TenantId, address: &Identifier) -> ClaimKey {
    ClaimKey { kind: SmolStr::new_static("suppressed"), key: key.suppression(tenant, address).to_vec() }
}

/// Whose the list is: nobody's.
pub(in crate::engine) fn nobody(tenant: &TenantId) -> CustomerId {
    let digest = Digest::of(format!("suppression list of {tenant}").as_bytes());
    let mut entropy = [0; 10];
    entropy.copy_from_slice(&digest.as_bytes()[..10]);
    CustomerId::new(Timestamp::MIN, entropy)
}

impl Crm {
    /// Has nobody written to at an address any more, for whatever purpose, whoever it belongs to now or later.
    /// Answers whether it is new; one that is suppressed already stays as it was. It survives erasing,
    /// merging and taking in again, and ends only by [`unsuppress`](Self::unsuppress).
    ///
    /// ```
    /// use crm::{Crm, Identifier, Source, SuppressionReason};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let address = Identifier::email("ana@example.com")?;
    /// assert!(crm.suppress(&address, SuppressionReason::Complaint, &Source::new("provider")?).await?);
    /// assert!(!crm.suppress(&address, SuppressionReason::Asked, &Source::new("support")?).await?);
    /// let suppressed = crm.is_suppressed(&Identifier::email("ANA@example.com")?).await?;
    /// assert_eq!(suppressed.map(|suppressed| suppressed.reason), Some(SuppressionReason::Complaint));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn suppress(
        &self,
        address: &Identifier,
        reason: SuppressionReason,
        source: &Source,
    ) -> Result<bool, Error> {
        Ok(self.suppress_all([address.clone()], reason, source).await? == 1)
    }

    /// Suppresses a list of addresses, in batches of a thousand, and answers how many are new. A list that was
    /// cut off can be sent again from the start. The audit log has how many were new in each batch, by their source.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed; the batches before are kept.
    pub async fn suppress_all<I>(&self, addresses: I, reason: SuppressionReason, source: &Source) -> Result<u64, Error>
    where
        I: IntoIterator<Item = Identifier>,
        I::IntoIter: Send,
    {
        let loaded = self.store().load(&self.tenant, &[]).await?;
        self.definitions_to_write(loaded.definitions).await?;
        let event = Suppressed::new(self.now(), reason, source).to_event();
        let owner = nobody(&self.tenant);
        let mut addresses = addresses.into_iter();
        let mut new = 0;
        loop {
            let mut seen = HashSet::with_capacity(PAGE);
            let claim = |address: Identifier| suppression_claim(&self.inner.lookup_key, &self.tenant, &address);
            let batch: Vec<Identifier> = addresses.by_ref().take(PAGE).collect();
            if batch.is_empty() {
                return Ok(new);
            }
            let keys: Vec<ClaimKey> = batch.into_iter().map(claim).filter(|key| seen.insert(key.clone())).collect();
            let owners = self.store().resolve(&self.tenant, &keys).await?;
            let missing = keys.into_iter().zip(owners).filter(|(_, owner)| owner.is_none());
            // One commit for each, so that one that somebody else has just added holds up no other.
            let commits: Vec<Commit> = missing
                .map(|(key, _)| Commit { claims: vec![Claim { key, customer: owner, event }], ..Commit::default() })
                .collect();
            let before = new;
            for answer in self.store().commit(&self.tenant, commits).await? {
                match answer {
                    Ok(_) => new += 1,
                    Err(CommitError::Claimed { .. }) => {}
                    Err(error) => return Err(Error::corrupt(error)),
                }
            }
            if new > before {
                let entry = AuditEntry::new(by_source(source)?, AuditAction::Suppressed)
                    .with_text("reason", reason.name())?
                    .with_number("addresses", i64::try_from(new - before).unwrap_or(i64::MAX))?;
                self.audit(entry).await?;
            }
        }
    }

    /// Since when and why an address is suppressed; none if it is not.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn is_suppressed(&self, address: &Identifier) -> Result<Option<Suppressed>, Error> {
        self.check_lookup_key().await?;
        let key = suppression_claim(&self.inner.lookup_key, &self.tenant, address);
        let owner = self.store().resolve(&self.tenant, &[key]).await?.into_iter().next().flatten();
        Ok(owner.map(|ClaimOwner { event, .. }| Suppressed::of_event(event)))
    }

    /// Takes an address off the list, because its holder, a customer, asked to be written to again; the proof
    /// of that is recorded with it, in one commit with an entry of the audit log. Answers whether it was on the list. It is not a consent:
    /// what the customer allows is as it was.
    ///
    /// # Errors
    ///
    /// `Fact` if the proof is not sound, `NoCustomer`, `Storage` if the store failed, `Busy`.
    pub async fn unsuppress(&self, customer: CustomerId, address: &Identifier, proof: Proof) -> Result<bool, Error> {
        let key = suppression_claim(&self.inner.lookup_key, &self.tenant, address);
        let source = own_source("suppression")?;
        let fact = SuppressionLifted { address: self.inner.lookup_key.hash(&self.tenant, address), proof };
        for _ in 0..ATTEMPTS_MAX {
            let Some(suppressed) = self.is_suppressed(address).await? else { return Ok(false) };
            let (base, definitions) = self.base_there(customer).await?;
            let name = format!("lifted {} {}", to_hex(&key.key), suppressed.to_event());
            let id = EventId::of_fact(&self.tenant, &source, &name);
            let fact = Fact::from(fact.clone());
            let prepared = Prepared { id, at: self.now(), source: source.clone(), fact };
            let release = Release { key: key.clone(), customer: nobody(&self.tenant) };
            let entry = AuditEntry::new(by_shop()?, AuditAction::SuppressionLifted)
                .about(customer)
                .with_text("reason", suppressed.reason.name())?
                .with_text("event", &id.to_string())?;
            let beside = |writing: &mut Writing| {
                writing.commit.releases.push(release);
                writing.note([entry]);
            };
            let written = self.write_facts(&base, &definitions, &[&prepared], beside).await?;
            match written {
                Written::Done(_) => return Ok(true),
                Written::Known | Written::Again | Written::Keys(_) => {}
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }
}
