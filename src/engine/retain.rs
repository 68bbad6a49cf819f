//! Retention: what was kept long enough goes.
//!
//! What is due is worked out by the plan, when time is let pass. The decision is committed with everything that leads
//! to what goes, and with an entry of the audit log. From then on the customer has an alarm that is due until the rows
//! are gone, whatever is cut off where: so nothing that was decided to go is left behind.

use std::collections::{BTreeMap, BTreeSet};

use crm_core::audit::{AuditAction, AuditActor, AuditEntry};
use crm_core::event::Deed;
use crm_core::identity::IdentifierKey;
use crm_core::privacy::{
    Forget, Removal, RetentionAction, RetentionDue, RetentionMark, RetentionName, RetentionPolicy,
};
use crm_core::workflow::Actor;
use crm_core::{CustomerId, Definition, DefinitionVersion, Definitions, Timestamp};
use crm_storage::{CommitError, Copies, Expected, Parts, Version};

use super::erase::{Erasure, identifiers_in, left};
use super::writing::Writing;
use super::{ATTEMPTS_MAX, Base, Crm, PAGE, Settled};
use crate::error::Error;
use crate::personal::PersonalError;
use crate::plan::{Plan, Planner};

/// How many customers a policy is due for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetentionCount {
    /// Those of whom something goes.
    pub goes: u64,
    /// Those of whom something would go, if nothing stood against it.
    pub held: u64,
}

/// What will go until an instant, if nothing happens until then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetentionOverview {
    /// How many customers there are.
    pub customers: u64,
    /// How many of them will be erased by then, by whichever policy is first.
    pub erased: u64,
    /// By policy; those that nobody is due for are left out.
    pub policies: BTreeMap<RetentionName, RetentionCount>,
}

/// Somebody of whom something goes, as planned.
pub(super) struct Going {
    pub(super) plan: Plan,
    pub(super) expected: Expected,
    pub(super) others: Vec<(CustomerId, Version)>,
    pub(super) due: Box<RetentionDue>,
}

impl Crm {
    /// When a customer's data will go, and by which policy, if nothing happens until then: the soonest first. Whoever
    /// was merged is asked about as one person. Empty if no policy is about them, and for somebody who was erased or is
    /// not there.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn retention_of(&self, customer: CustomerId) -> Result<Vec<RetentionDue>, Error> {
        let (base, definitions) = self.base(customer).await?;
        Ok(base.map_or_else(Vec::new, |base| base.customer.retention(self.now(), &definitions)))
    }

    /// What will go until an instant by the policies there are. It changes nothing. Costs a read of every customer.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn retention_overview(&self, until: Timestamp) -> Result<RetentionOverview, Error> {
        self.overview_by(&*self.definitions().await?, until).await
    }

    /// What would go until an instant if a policy held from another on, beside those there are and in the place of one
    /// of its name. It changes nothing. Ask this before you define one. Costs a read of every customer.
    ///
    /// # Errors
    ///
    /// `Definition` if the policy would be refused, `Storage` if the store failed.
    pub async fn retention_preview(
        &self,
        from: Timestamp,
        name: RetentionName,
        policy: RetentionPolicy,
        until: Timestamp,
    ) -> Result<RetentionOverview, Error> {
        let mut definitions = Definitions::clone(&*self.definitions().await?);
        definitions.add(DefinitionVersion { from, definition: Definition::Retention(name, Some(policy)) })?;
        self.overview_by(&definitions, until).await
    }

    async fn overview_by(&self, definitions: &Definitions, until: Timestamp) -> Result<RetentionOverview, Error> {
        let now = self.now();
        let mut overview = RetentionOverview::default();
        let mut after = None;
        loop {
            let rows = self.page_of_customers(after, PAGE).await?;
            let Some(last) = rows.last() else { return Ok(overview) };
            after = Some(last.customer);
            for row in rows {
                let customer = self.decode(&row, definitions).await?.customer;
                if customer.merged_into().is_some() {
                    continue;
                }
                overview.customers += 1;
                for due in customer.retention(now, definitions) {
                    let goes = due.goes_at.is_some_and(|goes| goes <= until);
                    if !goes && due.due_at > until {
                        continue;
                    }
                    let count = overview.policies.entry(due.policy).or_default();
                    *(if goes { &mut count.goes } else { &mut count.held }) += 1;
                    if goes && due.then == RetentionAction::Erase {
                        overview.erased += 1;
                        // Nothing is left for what would come later.
                        break;
                    }
                }
            }
        }
    }

    /// Commits that something goes. Answers whether it did; if another writer was first, it is due still or not.
    pub(super) async fn decide_going(&self, going: Going) -> Result<bool, Error> {
        let Going { mut plan, expected, others, due } = going;
        Box::pin(self.lead_to_come(&mut plan)).await?;
        let RetentionDue { policy, then, due_at, identifiers, fields, .. } = *due;
        let head = plan.customer.id();
        let members: Vec<CustomerId> = plan.customer.members().collect();
        let history = self.whole_history(&plan.customer).await?;
        let identifiers: BTreeSet<IdentifierKey> = match &then {
            RetentionAction::Erase => {
                self.check_outside()?;
                identifiers_in(&history)
            }
            RetentionAction::Forget(_) => identifiers.into_iter().chain(plan.gone()).collect(),
        };
        let releases = self.claims_of(&members, &identifiers).await?;
        let announced = match then {
            RetentionAction::Erase => self.announce(&members, &identifiers).await?,
            RetentionAction::Forget(_) => None,
        };
        let decide = async {
            let mut entry = applied(&policy, head)?
                .with_text("step", "decided")?
                .with_text("due", &due_at.to_string())?
                .with_number("customers", members.len() as i64)?
                .with_number("identifiers", releases.len() as i64)?;
            let (mut writing, _) = Writing::of(plan, expected, &others)?;
            match then {
                RetentionAction::Erase => entry = entry.with_text("what", "the customer")?,
                RetentionAction::Forget(what) if fields => {
                    let gone = self.forget_rows(&mut writing.commit, &members, &what).await?;
                    entry = entry.with_text("what", "fields")?.with_number("personal fields", gone)?;
                }
                RetentionAction::Forget(_) => entry = entry.with_text("what", "identifiers")?,
            }
            Box::pin(self.leave(&mut writing.commit, &members, releases, &identifiers)).await?;
            writing.note([entry]);
            match self.settle(writing).await? {
                Settled::Done | Settled::Replayed(_) => Ok(true),
                Settled::Refused(
                    CommitError::Conflict { .. } | CommitError::NotOwned { .. } | CommitError::Claimed { .. },
                ) => Ok(false),
                Settled::Refused(error) => Err(Error::corrupt(error)),
            }
        };
        match decide.await {
            Ok(true) => Ok(true),
            Ok(false) => {
                self.retract(announced).await?;
                self.lost().map(|()| false)
            }
            Err(error) => Err(self.retract_unless_done(announced, head, error).await),
        }
    }

    /// Takes fields out of the rows of each member, and answers how many.
    async fn forget_rows(
        &self,
        commit: &mut crm_storage::Commit,
        members: &[CustomerId],
        what: &Forget,
    ) -> Result<i64, Error> {
        let details = self.store().details(&self.tenant, members, Parts::PERSONAL).await?;
        let mut gone = 0;
        for (member, details) in members.iter().zip(details) {
            let Some(details) = details.filter(|details| !details.personal.is_empty()) else { continue };
            let moved = self.without_fields(*member, &details, &what.card, &what.personal).await?;
            gone += moved.fields.len() as i64;
            let own = commit.writes.iter_mut().find(|write| write.customer == *member);
            own.ok_or_else(|| Error::corrupt("a decision that is not in the history of all"))?.personal =
                Some(Box::new(moved));
        }
        Ok(gone)
    }

    /// Removes what was decided to go and may still be there, and notes that it is gone. Done again it does no harm.
    /// Answers what went; none if there was nothing to do.
    pub(super) async fn finish_removal(&self, customer: CustomerId) -> Result<Option<Erasure>, Error> {
        let Some(base) = self.base(customer).await?.0 else { return Ok(None) };
        let Some(removal) = base.customer.removal().cloned() else { return Ok(None) };
        let members: Vec<CustomerId> = base.customer.members().collect();
        let mut erasure = Erasure::nothing(members.clone());
        if removal.erases {
            self.check_outside()?;
            erasure.ties = self.end_ties(customer).await?;
            self.settle_doubts(customer).await?;
            for member in &members {
                self.erase_rows(*member, &mut erasure).await?;
            }
            self.mark_erased(&members).await?;
        } else {
            // The key they were sealed under lives on.
            erasure.copies = self.clear_copies().await?;
            erasure.values = erasure.copies;
        }
        let noted = self.note_removed(customer, &removal, &erasure).await?;
        erasure.audit.extend(noted);
        Ok(Some(erasure))
    }

    /// Notes that what was decided to go is gone. Answers the number of the entry in the audit log; none if somebody
    /// else has noted it.
    async fn note_removed(
        &self,
        customer: CustomerId,
        removal: &Removal,
        erasure: &Erasure,
    ) -> Result<Option<u64>, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let (base, definitions) = self.base(customer).await?;
            let Some(base) = base.filter(|base| base.customer.removal() == Some(removal)) else { return Ok(None) };
            let RetentionMark { policy, at: _ } = &removal.mark;
            let mut entry = applied(policy, base.customer.id())?.with_text("step", "done")?;
            if removal.erases {
                for (place, count) in erasure.places() {
                    entry = entry.with_number(place, i64::try_from(count).unwrap_or(i64::MAX))?;
                }
            }
            entry = left(entry, erasure)?;
            let context = self.context(&definitions, self.now(), false);
            let plan = Planner::new(context, base.customer.clone(), None).removed(removal);
            let plan = plan.ok_or_else(|| Error::corrupt("a decision that changes nothing"))?;
            let (mut writing, _) = self.written(plan, &base).await?;
            writing.note([entry]);
            match self.settle_noted(writing).await? {
                (Settled::Done | Settled::Replayed(_), noted) => return Ok(noted),
                (Settled::Refused(error), _) if error.is_lost_race() => self.lost()?,
                (Settled::Refused(error), _) => return Err(Error::corrupt(error)),
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// Clears copies of rows that are gone, as an erasure does: by one of what is nobody's.
    async fn clear_copies(&self) -> Result<Copies, Error> {
        if self.is_inside() {
            return Ok(Copies::Pending);
        }
        Ok(self.store().erase(&self.tenant, self.audit_stream, &[]).await?.copies)
    }

    /// Keys and the ledger outside of the store cannot be part of a transaction of the shop's.
    fn check_outside(&self) -> Result<(), Error> {
        let outside = self.inner.person_keys.is_some() || self.inner.ledger.is_some();
        if self.is_inside() && outside { Err(PersonalError::Inside.into()) } else { Ok(()) }
    }

    /// A plan of decisions and nothing else.
    pub(super) async fn plan_notes(
        &self,
        base: &Base,
        definitions: &Definitions,
        by: &Actor,
        deeds: Vec<(CustomerId, Deed)>,
    ) -> Result<Plan, Error> {
        let context = self.context(definitions, self.now(), false);
        let plan = self.plan(context, base, |planner| planner.note_of(by, deeds.clone())).await?;
        plan.ok_or_else(|| Error::corrupt("a decision that changes nothing"))
    }
}

/// What the audit log has of a policy that was applied.
fn applied(policy: &RetentionName, customer: CustomerId) -> Result<AuditEntry, Error> {
    let action = AuditAction::RetentionApplied { policy: policy.clone() };
    Ok(AuditEntry::new(AuditActor::Rule, action).about(customer))
}
