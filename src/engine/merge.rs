//! Merging customers who are one person, and parting them again.

use std::pin::Pin;

use crm_core::audit::{AuditAction, AuditActor, AuditEntry};
use crm_core::change::Change;
use crm_core::customer::{Customer, MergeRefusal, Side};
use crm_core::event::{Deed, Event};
use crm_core::identity::{IdentifierKey, MEMBERS_MAX, MergeReason, Merged, Parted};
use crm_core::workflow::Actor;
use crm_core::{Alarm, CustomerId, Definitions, EventId, Remark, Timestamp};
use crm_storage::{AlarmMove, CustomerWrite, Expected, Version};

use super::audit::{because, by_shop};
use super::leads::{Known, alone};
use super::score::newest;
use super::writing::Writing;
use super::{ATTEMPTS_MAX, Base, Crm};
use crate::error::Error;
use crate::plan::{Plan, told_in};

/// What became of a merging.
#[derive(Debug, Clone, PartialEq)]
pub struct MergeOutcome {
    /// Under which id they go on. Every other id leads to it.
    pub customer: CustomerId,
    /// Whether they were one already, so that nothing changed.
    pub known: bool,
    /// What moved for the one under whose id they go on.
    pub changes: Vec<Change>,
}

/// What became of a parting.
#[derive(Debug, Clone, PartialEq)]
pub struct PartOutcome {
    /// Under which id those go on who left.
    pub left: CustomerId,
    /// Under which id the others go on.
    pub stayed: CustomerId,
    /// What moved for either.
    pub changes: Vec<Change>,
}

/// Under which id some customers go on, by what each of them is known by.
fn head_of(history: &[Event], members: &[CustomerId], definitions: &Definitions) -> Option<CustomerId> {
    let until = history.iter().map(|event| event.at).max().unwrap_or(Timestamp::MIN);
    let precedence = |member: CustomerId| (alone(history, member, until, definitions).summary().precedence(), member);
    members.iter().map(|member| precedence(*member)).min().map(|(_, first)| first)
}

/// The alarms and versions of everybody who is merged or parted, as they are in the store.
struct Rows {
    versions: Vec<(CustomerId, Version)>,
    /// Under whose id an alarm is kept, and which.
    alarms: Vec<(CustomerId, Alarm)>,
}

impl Rows {
    fn of(bases: &[&Base]) -> Self {
        let mut rows = Rows { versions: Vec::new(), alarms: Vec::new() };
        for base in bases {
            if let Expected::At(version) = base.expected {
                rows.versions.push((base.customer.id(), version));
            }
            rows.versions.extend(base.others.iter().copied());
            rows.alarms.extend(base.customer.alarm().map(|alarm| (base.customer.id(), alarm)));
        }
        rows
    }

    /// A plan for those who go on under one id, to be committed.
    fn write(&self, plan: Plan) -> Result<(Writing, Vec<Change>), Error> {
        let head = plan.customer.id();
        let version = self.versions.iter().find(|(id, _)| *id == head).map(|(_, version)| *version);
        let version = version.ok_or_else(|| Error::corrupt(format!("{head} is not among those who are merged")))?;
        let others: Vec<_> = self.versions.iter().filter(|(id, _)| *id != head).copied().collect();
        let (mut writing, changes) = Writing::of(plan, Expected::At(version), &others)?;
        for CustomerWrite { customer, alarm, .. } in &mut writing.commit.writes {
            // Whoever goes on under another id is waited for there.
            let armed = self.alarms.iter().find(|(id, _)| id == customer).map(|(_, alarm)| *alarm);
            if *customer != head && armed.is_some() {
                *alarm = Some(AlarmMove { from: armed, to: None });
            }
        }
        Ok((writing, changes))
    }
}

impl Crm {
    /// Makes one customer of two who are one person. They go on under the id of one of them: somebody known
    /// before somebody anonymous, then whoever was there first. Every other id leads to it, for ever. Nothing
    /// is lost: the customer is the fold of all that happened to either, in whatever order several are merged,
    /// and [`part`](Self::part) undoes it. Merging again, or with themself, changes nothing.
    ///
    /// Each id goes on having its own history, personal values and keys: what comes through an identifier
    /// of one of them is kept with that one. Costs a read of both histories.
    ///
    /// ```
    /// use crm::{Channel, Crm, Identifier, Incoming, Source, Visited};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let visit = |who: &Identifier| -> Result<Incoming, crm::TextError> {
    ///     Ok(Incoming::new(who, crm.now(), Source::new("shop")?, Visited { channel: Channel::Web, place: None }))
    /// };
    /// let (card, email) = (Identifier::card("4711")?, Identifier::email("ana@example.com")?);
    /// let first = crm.record(visit(&card)?).await?.customer;
    /// let second = crm.record(visit(&email)?).await?.customer;
    ///
    /// let merged = crm.merge(first, second, "both shown at the till".parse()?).await?.customer;
    /// let ana = crm.customer(&email).await?.expect("recorded above");
    /// assert_eq!((ana.id(), ana.facts().visits()), (merged, 2));
    ///
    /// crm.part(second, first, "mother and daughter".parse()?).await?;
    /// assert_eq!(crm.customer(&email).await?.expect("recorded above").facts().visits(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `NoCustomer`, `Merge` if too many would be one, `Storage` if the store failed, `Busy` if other writers
    /// were first each time.
    pub async fn merge(&self, one: CustomerId, other: CustomerId, reason: Remark) -> Result<MergeOutcome, Error> {
        self.merge_by(one, other, reason, by_shop()?).await
    }

    /// The same in the name of somebody, whom the audit log then has in the same commit.
    ///
    /// # Errors
    ///
    /// As for [`merge`](Self::merge).
    pub async fn merge_by(
        &self,
        one: CustomerId,
        other: CustomerId,
        reason: Remark,
        by: AuditActor,
    ) -> Result<MergeOutcome, Error> {
        self.merge_because(one, other, MergeReason::Asked { reason }, Actor::Shop, by).await
    }

    /// Boxed, so that a merging, which is rare, takes no room on the stack of all who may come to one.
    pub(super) fn merge_because(
        &self,
        one: CustomerId,
        other: CustomerId,
        reason: MergeReason,
        by: Actor,
        noted: AuditActor,
    ) -> Pin<Box<dyn Future<Output = Result<MergeOutcome, Error>> + Send + '_>> {
        Box::pin(self.merge_now(one, other, reason, by, noted))
    }

    async fn merge_now(
        &self,
        one: CustomerId,
        other: CustomerId,
        reason: MergeReason,
        by: Actor,
        noted: AuditActor,
    ) -> Result<MergeOutcome, Error> {
        let now = self.now();
        for _ in 0..ATTEMPTS_MAX {
            // What is due before is worked off by each alone.
            for id in [one, other] {
                self.plan_and_commit(id, now, |planner| planner.elapse(now)).await?;
            }
            let (first, definitions) = self.base(one).await?;
            let first = first.ok_or(Error::NoCustomer { customer: one })?;
            if first.customer.is(other) {
                return Ok(MergeOutcome { customer: first.customer.id(), known: true, changes: Vec::new() });
            }
            let second = self.base(other).await?.0.ok_or(Error::NoCustomer { customer: other })?;
            if second.customer.members().any(|member| first.customer.is(member)) {
                // They, or one of those whom they were merged of, moved from one to the other meanwhile.
                self.lost()?;
                continue;
            }
            if let Some(erased) = [&first, &second].into_iter().find(|base| base.customer.is_erased()) {
                return Err(MergeRefusal::Erased { customer: erased.customer.id() }.into());
            }
            let heads = [&first, &second].map(|base| base.customer.id());
            let sides = [&first, &second].map(|base| base.customer.members().collect::<Vec<_>>());
            let members = sides.concat();
            if members.len() > MEMBERS_MAX {
                return Err(MergeRefusal::Members { members: members.len() }.into());
            }
            let mut history = self.whole_history(&first.customer).await?;
            history.extend(self.whole_history(&second.customer).await?);
            let head = head_of(&history, &members, &definitions).unwrap_or(first.customer.id());
            let rows = Rows::of(&[&first, &second]);
            // Not when something last happened to them: what they said before this was of either alone.
            let at = first.customer.clock().max(second.customer.clock()).max(Some(now)).unwrap_or(now);
            let known: Vec<IdentifierKey> = [&first, &second]
                .into_iter()
                .flat_map(|base| Known::of(&base.customer, &history).identifiers().collect::<Vec<_>>())
                .collect();
            let scores = self.scores_of(head).await?;
            let mut merged = first.customer.merge(second.customer, head, at, told_in(&history), &definitions)?;
            merged.learn_scores(newest(&scores), &definitions);
            let [one, other] = sides;
            let earlier = merged.joins().split_last().map_or_else(Vec::new, |(_, earlier)| earlier.to_vec());
            let deed = Deed::Merged(Merged { head, one, other, earlier, reason: reason.clone() });
            let context = self.context(&definitions, now, false);
            let regrouped = self.plan_on(context, &merged, head, Some(&history), |mut planner| {
                planner.regroup(at, &by, &deed, Vec::new())?;
                // What one of them voided may be what the other is known by.
                planner.may_disown(known.clone());
                Ok(planner.finish())
            });
            let mut plan = regrouped.await?.ok_or_else(|| Error::corrupt("a merging that changes nothing"))?;
            self.lead_on(&mut plan).await?;
            let (mut writing, changes) = rows.write(plan)?;
            writing.note(merged_entries(&noted, heads, head, members.len(), &reason)?);
            if self.try_settle(writing).await? {
                return Ok(MergeOutcome { customer: head, known: false, changes });
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// Undoes a merging: `customer` is somebody else than `from` after all. Whoever was merged with `customer`
    /// before the two came together goes with them; whoever came later stays. Each has again what was theirs,
    /// and what came later through their own identifiers and id.
    ///
    /// Points are settled by one rule: each pays for what they spent themselves. Whose points the other spent
    /// gets them back as they were, to expire when they would have; the other is charged as if they
    /// were spent now, and owes what is not there.
    ///
    /// Store credit is settled by the same rule, spend by spend and hold by hold: a hold stays with whoever placed it, and
    /// what it held of the other's goes back.
    ///
    /// An identifier that only one side is known by, or will be, leads to that side from then on. One that was told of
    /// both leads to whoever had it first, and to the other one when they are known by it no more; so does one that
    /// leads to a third, who came to it meanwhile.
    ///
    /// # Errors
    ///
    /// `NoCustomer`, `Merge` if the two are not merged, `Storage` if the store failed, `Busy` if other writers
    /// were first each time.
    pub async fn part(&self, customer: CustomerId, from: CustomerId, reason: Remark) -> Result<PartOutcome, Error> {
        self.part_by(customer, from, reason, by_shop()?).await
    }

    /// The same in the name of somebody, whom the audit log then has in the same commit.
    ///
    /// # Errors
    ///
    /// As for [`part`](Self::part).
    pub async fn part_by(
        &self,
        customer: CustomerId,
        from: CustomerId,
        reason: Remark,
        by: AuditActor,
    ) -> Result<PartOutcome, Error> {
        let now = self.now();
        for _ in 0..ATTEMPTS_MAX {
            self.plan_and_commit(customer, now, |planner| planner.elapse(now)).await?;
            let (base, definitions) = self.base(customer).await?;
            let base = base.ok_or(Error::NoCustomer { customer })?;
            let leaving = base.customer.side_of(customer, from)?;
            let history = self.whole_history(&base.customer).await?;
            let rows = Rows::of(&[&base]);
            let at = base.customer.clock().max(Some(now)).unwrap_or(now);
            let points = base.customer.settlements(&leaving).into_iter();
            let points = points.map(|(member, posting)| (member, Deed::PointsPosted(posting)));
            let credit = base.customer.credit_settlements(&leaving, at).into_iter();
            let credit = credit.map(|(member, posting)| (member, Deed::CreditPosted(posting)));
            let settlements: Vec<(CustomerId, Deed)> = points.chain(credit).collect();
            let before = base.customer.clone();
            let sides = base.customer.part(&leaving);
            let lists = sides.each_ref().map(|side| side.members().collect::<Vec<_>>());
            let mut writing = Writing::default();
            let mut changes = Vec::new();
            let mut known = Vec::with_capacity(2);
            let mut heads = [customer, from];
            for ((side, others), head) in sides.into_iter().zip([&lists[1], &lists[0]]).zip(&mut heads) {
                let members: Vec<CustomerId> = side.members().collect();
                let own: Vec<Event> =
                    history.iter().filter(|event| members.contains(&event.customer)).cloned().collect();
                *head = head_of(&own, &members, &definitions).unwrap_or(*head);
                let scores = self.scores_of(*head).await?;
                let deed = Deed::Parted(Parted {
                    head: *head,
                    members: members.clone(),
                    from: others.clone(),
                    joins: side.joins().to_vec(),
                    reason: reason.clone(),
                });
                let settled: Vec<(CustomerId, Deed)> =
                    settlements.iter().filter(|(member, _)| members.contains(member)).cloned().collect();
                let mut parted = left_over(side, *head, &before, at, &own, &definitions);
                parted.learn_scores(newest(&scores), &definitions);
                known.push(Known::of(&parted, &own));
                let context = self.context(&definitions, now, false);
                let regrouped = self.plan_on(context, &parted, *head, Some(&own), |mut planner| {
                    planner.regroup(at, &Actor::Shop, &deed, settled.clone())?;
                    Ok(planner.finish())
                });
                let plan = regrouped.await?.ok_or_else(|| Error::corrupt("a parting that changes nothing"))?;
                let (half, moved) = rows.write(plan)?;
                writing.add(half);
                changes.extend(moved);
            }
            Box::pin(self.lead_to_sides(&mut writing.commit, &known, &history, at, &definitions)).await?;
            let [left, stayed] = heads;
            let entry = AuditEntry::new(by.clone(), AuditAction::Unmerged { from: stayed }).about(left);
            let entry = entry.with_number("customers", lists[0].len() as i64)?;
            writing.note([because(entry, Some(&reason))?]);
            if self.try_settle(writing).await? {
                return Ok(PartOutcome { left, stayed, changes });
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }
}

/// What the audit log has of a merging: who goes on as somebody else.
fn merged_entries(
    by: &AuditActor,
    sides: [CustomerId; 2],
    into: CustomerId,
    members: usize,
    reason: &MergeReason,
) -> Result<Vec<AuditEntry>, Error> {
    let entry = |from: CustomerId| -> Result<AuditEntry, Error> {
        let entry = AuditEntry::new(by.clone(), AuditAction::Merged { into }).about(from);
        let entry = entry.with_number("customers", members as i64)?;
        if let MergeReason::Asked { reason } = reason {
            return because(entry, Some(reason));
        }
        if let MergeReason::Shared { identifier, .. } = reason {
            return Ok(entry.with_text("shared", identifier.kind.name())?);
        }
        Ok(entry)
    };
    sides.into_iter().filter(|side| *side != into).map(entry).collect()
}

/// What is left of a merged customer on one side. Either side goes on from where they stood as one, so that what
/// moves for it is told as a move from there. The alarm is kept under the id that they had in common.
fn left_over(
    side: Side,
    head: CustomerId,
    before: &Customer,
    at: Timestamp,
    own: &[Event],
    definitions: &Definitions,
) -> Customer {
    let goes_on = before.id() == head;
    let standing = before.standing().clone();
    let alarm = before.alarm().filter(|_| goes_on);
    let here = |(_, fact): &(Timestamp, EventId)| own.iter().any(|event| event.id == *fact);
    let waiting = before.waiting().filter(here).collect();
    Customer::of_side(side, head, Some(at), waiting, standing, alarm, told_in(own), definitions)
}
