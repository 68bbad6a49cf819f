//! The ledger of erasures outside of the store, and what a restored backup has to catch up with.
//!
//! An erasure is recorded there before it is decided; if it is not decided then, the record is taken back. When the
//! rows are gone the store has a mark for each customer: a claim of nobody's on the tag that the ledger has of them. So
//! a store without the mark is one of before that erasure, or one in which it was cut off; either way it is not used
//! before that is done.

use std::collections::{BTreeSet, HashSet};
use std::sync::PoisonError;

use crm_core::audit::AuditActor;
use crm_core::identity::{Identifier, IdentifierKey, MEMBERS_MAX};
use crm_core::privacy::{ErasureAttempt, ErasureRecord, ErasureTag};
use crm_core::{CustomerId, EventId, Remark, SmolStr, Source, Timestamp};
use crm_storage::{Claim, ClaimKey, Commit, CommitError, Parts, StorageError};

use super::consent::nobody;
use super::erase::{ErasureRequest, Over, open_ties};
use super::{ATTEMPTS_MAX, Crm, PAGE, Settled};
use crate::error::Error;
use crate::ledger::{ErasureLedger, LedgerError};

impl Crm {
    /// Records in the ledger, if there is one, that customers are about to be erased, with all identifiers that they
    /// were known by or stated.
    pub(super) async fn announce(
        &self,
        members: &[CustomerId],
        identifiers: &BTreeSet<IdentifierKey>,
    ) -> Result<Option<ErasureRecord>, Error> {
        let Some(ledger) = &self.inner.ledger else { return Ok(None) };
        let mut attempt = [0; 16];
        getrandom::fill(&mut attempt).map_err(|_| LedgerError { doing: "finding a random number", source: None })?;
        let (now, key) = (self.now(), &self.inner.lookup_key);
        let record = ErasureRecord::new(now, key, &self.tenant, members.iter().copied(), identifiers)
            .of_attempt(ErasureAttempt::from_bytes(attempt));
        if let Err(failed) = ledger.append(&record).await {
            // It may have been kept in spite of that.
            if let Err(error) = self.retract(Some(record)).await {
                tracing::warn!(%error, "the ledger may have a record of an erasure that was not decided");
            }
            return Err(failed.into());
        }
        Ok(Some(record))
    }

    /// Takes back what was recorded, because nobody was erased.
    pub(super) async fn retract(&self, announced: Option<ErasureRecord>) -> Result<(), Error> {
        let Some((ledger, record)) = self.inner.ledger.as_ref().zip(announced) else { return Ok(()) };
        if let Some(retraction) = record.retraction(self.now()) {
            ledger.append(&retraction).await?;
        }
        Ok(())
    }

    /// The same after an error, which it gives back; but not if somebody was erased all the same, or may yet be.
    pub(super) async fn retract_unless_done(
        &self,
        announced: Option<ErasureRecord>,
        customer: CustomerId,
        error: Error,
    ) -> Error {
        let unknown = matches!(error, Error::Storage(StorageError::Unknown { .. }));
        if announced.is_none() || (unknown && !self.keeps_from_erasing(customer).await) {
            return error;
        }
        if let Err(failed) = self.retract(announced).await {
            tracing::warn!(error = %failed, "the ledger has a record of an erasure that was not decided");
        }
        error
    }

    /// Has a commit whose outcome is unknown, and which may be on its way still, refused: by raising the version that it
    /// expects. Answers whether that is certain; it is not if it was applied, or if the store fails.
    async fn keeps_from_erasing(&self, customer: CustomerId) -> bool {
        for _ in 0..ATTEMPTS_MAX {
            let Ok((Some(base), definitions)) = self.base(customer).await else { return false };
            if base.customer.is_erased() {
                return false;
            }
            let Some(write) = base.touch(&definitions) else { return false };
            match self.settle(Commit { writes: vec![write], ..Commit::default() }).await {
                Ok(Settled::Done) => return true,
                Ok(Settled::Refused(CommitError::Conflict { .. })) => {}
                Ok(Settled::Replayed(_) | Settled::Refused(_)) | Err(_) => return false,
            }
        }
        false
    }

    /// Erases again whoever a ledger says was erased, and answers how many were there; whoever had been merged counts
    /// once. Call it when a CRM was opened, with the ledger that was kept elsewhere: the store may have been restored
    /// from a backup of before an erasure, or an erasure may have been cut off. A CRM that was built with a ledger
    /// answers `NotReapplied` to everything else until that was done; where nothing is missing it need not be called.
    ///
    /// Somebody is meant by their id. Whoever has one of their identifiers under another id is somebody else, who came
    /// later or had it before; [`erased_at`](Self::erased_at) tells about those. Somebody who was merged with others
    /// that were not erased is parted from them first. Nothing stands against it: it was decided before. So is an
    /// attempt whose process ended before it could be decided or taken back.
    ///
    /// Costs a look-up for each erasure in the ledger, and a read of every customer if the store does not know of one.
    ///
    /// # Errors
    ///
    /// `Ledger` if it cannot be read, `Storage` and `Personal` as for [`erase_with`](Self::erase_with); call it again
    /// then.
    pub async fn reapply_erasures(&self, ledger: &dyn ErasureLedger) -> Result<u64, Error> {
        let crm = Crm { reapplying: true, ..self.clone() };
        crm.check_lookup_key().await?;
        let erased = crm.tags_of(ledger.records().await?);
        let missing = crm.unmarked(erased.iter().copied().collect()).await?;
        let again = if missing.is_empty() { 0 } else { crm.erase_tagged(&erased).await? };
        crm.mark(missing).await?;
        Ok(again)
    }

    async fn erase_tagged(&self, erased: &HashSet<ErasureTag>) -> Result<u64, Error> {
        let mut again = 0;
        let mut after = None;
        loop {
            let rows = self.page_of_customers(after, PAGE).await?;
            let Some(last) = rows.last() else { return Ok(again) };
            after = Some(last.customer);
            let definitions = self.definitions_now().await?;
            for row in rows {
                let customer = self.decode(&row, &definitions).await?.customer;
                for member in customer.members().filter(|member| self.is_tagged(erased, *member)) {
                    let Some(base) = self.base(member).await?.0 else { continue };
                    if base.customer.is_erased()
                        && !self.has_personal_rows(member).await?
                        && open_ties(&self.whole_history(&base.customer).await?, &base.customer, self.now()).is_empty()
                    {
                        continue;
                    }
                    self.part_from_others(member, erased).await?;
                    let request = ErasureRequest::new(AuditActor::Rule).because(again_because()?);
                    self.erase_over(member, request, Over::Everything).await?;
                    again += 1;
                }
            }
        }
    }

    /// When somebody who was known by an identifier, or stated it, was last erased, by a ledger; none if nobody was.
    /// Ask before an old list of addresses is taken in.
    ///
    /// # Errors
    ///
    /// `Ledger` if it cannot be read.
    pub async fn erased_at(
        &self,
        identifier: &Identifier,
        ledger: &dyn ErasureLedger,
    ) -> Result<Option<Timestamp>, Error> {
        let key = &self.inner.lookup_key;
        let tag = ErasureTag::of_identifier(key, &self.tenant, &key.hash(&self.tenant, identifier));
        let records = ErasureRecord::standing(ledger.records().await?);
        Ok(records.filter(|record| record.identifiers.contains(&tag)).map(|record| record.at).max())
    }

    /// Refuses to go on with a store that does not know of an erasure that is in the ledger. Asks once for each tenant.
    pub(super) async fn check_ledger(&self) -> Result<(), Error> {
        let Some(ledger) = self.inner.ledger.as_ref().filter(|_| !self.reapplying) else { return Ok(()) };
        if self.inner.reapplied.read().unwrap_or_else(PoisonError::into_inner).contains(&self.tenant) {
            return Ok(());
        }
        let erased = self.tags_of(ledger.records().await?);
        let missing = self.unmarked(erased.into_iter().collect()).await?;
        if !missing.is_empty() {
            return Err(Error::NotReapplied { customers: missing.len() });
        }
        let mut reapplied = self.inner.reapplied.write().unwrap_or_else(PoisonError::into_inner);
        reapplied.insert(self.tenant.clone());
        Ok(())
    }

    /// Marks that customers were erased, where there is a ledger that will ask.
    pub(super) async fn mark_erased(&self, customers: &[CustomerId]) -> Result<(), Error> {
        if self.inner.ledger.is_none() {
            return Ok(());
        }
        let tag = |id: &CustomerId| ErasureTag::of_customer(&self.inner.lookup_key, &self.tenant, *id);
        self.mark(customers.iter().map(tag).collect()).await
    }

    async fn mark(&self, tags: Vec<ErasureTag>) -> Result<(), Error> {
        let source = Source::new("erasure").map_err(Error::corrupt)?;
        let customer = nobody(&self.tenant);
        for page in tags.chunks(PAGE) {
            let commit = |tag: &ErasureTag| {
                let event = EventId::of_fact(&self.tenant, &source, &format!("{tag:?}"));
                Commit { claims: vec![Claim { key: mark_of(tag), customer, event }], ..Commit::default() }
            };
            for answer in self.store().commit(&self.tenant, page.iter().map(commit).collect()).await? {
                match answer {
                    Ok(_) | Err(CommitError::Claimed { .. }) => {}
                    Err(error) => return Err(Error::corrupt(error)),
                }
            }
        }
        Ok(())
    }

    /// Those without a mark.
    async fn unmarked(&self, tags: Vec<ErasureTag>) -> Result<Vec<ErasureTag>, Error> {
        let mut missing = Vec::new();
        for page in tags.chunks(PAGE) {
            let keys: Vec<ClaimKey> = page.iter().map(mark_of).collect();
            let owners = self.store().resolve(&self.tenant, &keys).await?;
            missing.extend(page.iter().zip(owners).filter(|(_, owner)| owner.is_none()).map(|(tag, _)| *tag));
        }
        Ok(missing)
    }

    /// The customers of this tenant that records are about; of records of old, which do not say, those of all.
    fn tags_of(&self, records: Vec<ErasureRecord>) -> HashSet<ErasureTag> {
        let tenant = ErasureTag::of_tenant(&self.inner.lookup_key, &self.tenant);
        let own = ErasureRecord::standing(records).filter(|record| record.tenant.is_none_or(|whose| whose == tenant));
        own.flat_map(|record| record.customers).collect()
    }

    fn is_tagged(&self, erased: &HashSet<ErasureTag>, customer: CustomerId) -> bool {
        erased.contains(&ErasureTag::of_customer(&self.inner.lookup_key, &self.tenant, customer))
    }

    /// Whether an erasure was cut off before the rows went.
    async fn has_personal_rows(&self, customer: CustomerId) -> Result<bool, Error> {
        let parts = Parts { outbox: true, ..Parts::PERSONAL };
        let details = self.store().details(&self.tenant, &[customer], parts).await?;
        let any = |details: &crm_storage::Details| {
            !details.personal.is_empty() || details.tokens > 0 || !details.outbox.is_empty()
        };
        Ok(details.iter().flatten().any(any))
    }

    /// Parts somebody who was erased from those who were not.
    async fn part_from_others(&self, member: CustomerId, erased: &HashSet<ErasureTag>) -> Result<(), Error> {
        for _ in 0..MEMBERS_MAX {
            let Some(base) = self.base(member).await?.0 else { return Ok(()) };
            let other = base.customer.members().find(|id| !self.is_tagged(erased, *id));
            let Some(other) = other else { return Ok(()) };
            self.part(member, other, again_because()?).await?;
        }
        Ok(())
    }
}

fn mark_of(tag: &ErasureTag) -> ClaimKey {
    ClaimKey { kind: SmolStr::new_static("erasure"), key: tag.as_bytes().to_vec() }
}

fn again_because() -> Result<Remark, Error> {
    Remark::new("erased before, and back from a backup").map_err(Error::corrupt)
}
