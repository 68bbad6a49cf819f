//! Erasing somebody: first it is decided, and then what is personal goes.
//!
//! The decision is an event of everybody whom the customer was merged of. With it, in one commit, nobody is found by
//! what they were known by any more, and the audit log says who decided it. From then on nothing personal can be
//! kept of them, so that whoever is just keeping something finds out. Then the rows go, and the audit log says how
//! many. When it is cut off in between, erasing again does what is left.

use std::collections::{BTreeMap, BTreeSet};

use crm_core::audit::{AuditAction, AuditActor, AuditEntry};
use crm_core::customer::Customer;
use crm_core::event::{Decision, Deed, Event, EventBody, Fact};
use crm_core::identity::{DuplicateRejected, IdentifierKey};
use crm_core::privacy::{Blocked, Blocker, Erased, HoldPlaced, HoldRefusal, HoldReleased, LegalHoldName};
use crm_core::relationship::{Direction, TieKind, Untie};
use crm_core::workflow::Actor;
use crm_core::{CustomerId, EventId, Remark, Source, Timestamp};
use crm_storage::{ClaimKey, Copies, Parts, Release};

use super::audit::{because, by_shop};
use super::leads::attached;
use super::tie::Word;
use super::writing::Writing;
use super::{ATTEMPTS_MAX, Crm, Settled};
use crate::error::Error;
use crate::personal::PersonalError;
use crate::plan::{FactRefusal, identifier_claim};

/// Who wants somebody erased, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureRequest {
    /// Who decided it.
    pub by: AuditActor,
    /// Why, in few words. It is kept in the history: nothing that is personal about a customer.
    pub reason: Option<Remark>,
    /// Whether to go over what yields: open orders, store credit and gift cards. Nothing goes over a legal hold.
    pub force: bool,
}

impl ErasureRequest {
    /// By somebody, unless anything stands against it.
    #[must_use]
    pub const fn new(by: AuditActor) -> Self {
        ErasureRequest { by, reason: None, force: false }
    }

    /// For a reason.
    #[must_use]
    pub fn because(mut self, reason: Remark) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Over what yields: open orders, store credit and gift cards.
    #[must_use]
    pub const fn forced(mut self) -> Self {
        self.force = true;
        self
    }
}

/// What an erasure touched. It holds nothing personal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Whose rows: all whom the customer was merged of.
    pub customers: Vec<CustomerId>,
    /// How many personal fields, those of cards and what they held before included.
    pub fields: u64,
    /// How many keys that values were sealed under, in the store; those of the host are destroyed besides.
    pub keys: u64,
    /// How many search tokens.
    pub tokens: u64,
    /// How many outbox entries, waiting or dead.
    pub outbox: u64,
    /// How many identifiers nobody has any more.
    pub identifiers: u64,
    /// How many ties to others ended.
    pub ties: u64,
    /// What is left of personal values that can still be read. With keys outside of the store that is nothing, at
    /// once and wherever copies lie, because their key is destroyed; with keys in the store it is as for `copies`,
    /// which has the key beside the values.
    pub values: Copies,
    /// What is left of what is not sealed: search tokens, identifiers and what waited to be delivered or was. It says
    /// so whether this call found any or not, because an earlier one, or a delivery, may have taken them away.
    pub copies: Copies,
    /// The numbers of the entries in the audit log: of the decision, if it was not made before, and of this report.
    /// None for somebody who is not there.
    pub audit: Vec<u64>,
}

impl Erasure {
    pub(super) const fn nothing(customers: Vec<CustomerId>) -> Self {
        Erasure {
            customers,
            fields: 0,
            keys: 0,
            tokens: 0,
            outbox: 0,
            identifiers: 0,
            ties: 0,
            values: Copies::Gone,
            copies: Copies::Gone,
            audit: Vec::new(),
        }
    }

    /// Every place that was touched, and how many rows of it.
    pub fn places(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let Erasure { customers: _, fields, keys, tokens, outbox, identifiers, ties, .. } = self;
        [
            ("personal fields", *fields),
            ("keys", *keys),
            ("search tokens", *tokens),
            ("outbox entries", *outbox),
            ("identifiers", *identifiers),
            ("ties", *ties),
        ]
        .into_iter()
    }
}

/// What was decided, before any row goes.
struct Decided {
    members: Vec<CustomerId>,
    released: u64,
    /// The number of the entry in the audit log.
    audit: Option<u64>,
    is_there: bool,
}

/// What an erasure goes over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Nothing,
    WhatYields,
    /// It was decided before, by what a restored backup does not know.
    Everything,
}

impl Over {
    const fn goes_over(self, blocker: &Blocker) -> bool {
        match self {
            Over::Nothing => false,
            Over::WhatYields => blocker.yields(),
            Over::Everything => true,
        }
    }
}

/// What the audit log has of what is left.
pub(super) fn left(entry: AuditEntry, erasure: &Erasure) -> Result<AuditEntry, Error> {
    Ok(entry.with_number("values", rank(erasure.values))?.with_number("copies", rank(erasure.copies))?)
}

const fn rank(copies: Copies) -> i64 {
    match copies {
        Copies::Gone => 0,
        Copies::UntilLogsExpire => 1,
        Copies::Pending => 2,
    }
}

/// The worse of the two.
fn worse(one: Copies, other: Copies) -> Copies {
    if rank(other) > rank(one) { other } else { one }
}

/// Every identifier in a history that the customer may have a claim on: those they are or were known by, and the
/// addresses that they gave.
pub(super) fn identifiers_in(history: &[Event]) -> BTreeSet<IdentifierKey> {
    let mut all = BTreeSet::new();
    for event in history {
        let key = match &event.body {
            EventBody::Fact(Fact::Identified(identified)) => Some(identified.identifier),
            EventBody::Fact(Fact::ConsentGiven(given)) => given.address,
            EventBody::Fact(Fact::ConsentRequested(requested)) => Some(requested.address),
            EventBody::Fact(Fact::SuppressionLifted(lifted)) => Some(lifted.address),
            EventBody::Decision(decision) => attached(&decision.deed),
            EventBody::Fact(_) | EventBody::Unrecognised { .. } => None,
        };
        all.extend(key);
    }
    all
}

impl Crm {
    /// Erases somebody for good, unless something stands against it, in the name of the shop: as
    /// [`erase_with`](Self::erase_with).
    ///
    /// # Errors
    ///
    /// As for [`erase_with`](Self::erase_with).
    pub async fn erase(&self, customer: CustomerId) -> Result<Erasure, Error> {
        self.erase_with(customer, ErasureRequest::new(by_shop()?)).await
    }

    /// Erases for good what is personal about a customer (GDPR, Art. 17): their values and the key to them, what
    /// they could be searched by, and what waits to be told about them; of somebody who was merged, of all of them.
    /// Nobody is found by their identifiers any more, no state holds them, and anybody may have them then. What
    /// happened stays; it names the identifiers as hashes under the look-up key, and nothing else that says who
    /// they were, unless the shop put it into a free text. New facts about the customer's id are taken in still,
    /// such as a refund; nothing personal is, and no tie. Ties to others end, for both sides.
    ///
    /// First it is decided, in one commit with an entry of the audit log and after the host's
    /// [ledger](crate::ErasureLedger) has a record of it, then the rows go, and another entry says how many. A record of
    /// what was not decided then is taken back.
    /// Erasing again removes what is left when one was cut off, and tries again to clear copies that were pending.
    /// Costs a read of the whole history.
    ///
    /// ```
    /// use crm::{ActorName, AuditActor, Channel, Crm, ErasureRequest, Identifier, Incoming, Source, Visited};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let visit = Visited { channel: Channel::Web, place: None };
    /// let email = Identifier::email("ana@example.com")?;
    /// let ana = crm.record(Incoming::new(&email, crm.now(), Source::new("shop")?, visit)).await?.customer;
    ///
    /// let by = AuditActor::Host(ActorName::new("support:17")?);
    /// let erasure = crm.erase_with(ana, ErasureRequest::new(by).because("she asked".parse()?)).await?;
    /// assert_eq!(erasure.identifiers, 1);
    /// assert!(crm.customer(&email).await?.is_none());
    /// assert!(crm.customer(ana).await?.is_some_and(|customer| customer.is_erased()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Blocked` with all that stands against it; nothing changed then. `Ledger` if the host's ledger failed: nothing
    /// changed then either. `Storage` if the store failed, `Personal` if the host's keys did: erase again then.
    /// `Personal` inside a transaction of the shop's if keys or the ledger are outside of the store.
    pub async fn erase_with(&self, customer: CustomerId, request: ErasureRequest) -> Result<Erasure, Error> {
        let over = if request.force { Over::WhatYields } else { Over::Nothing };
        self.erase_over(customer, request, over).await
    }

    pub(super) async fn erase_over(
        &self,
        customer: CustomerId,
        request: ErasureRequest,
        over: Over,
    ) -> Result<Erasure, Error> {
        if self.is_inside() && (self.inner.person_keys.is_some() || self.inner.ledger.is_some()) {
            return Err(PersonalError::Inside.into());
        }
        let decided = self.decide_erasure(customer, &request, over).await?;
        // A policy may have decided it before, and been cut off.
        let finished = if decided.is_there { self.finish_removal(customer).await? } else { None };
        let mut erasure = finished.unwrap_or_else(|| Erasure::nothing(decided.members.clone()));
        erasure.identifiers += decided.released;
        erasure.audit.extend(decided.audit);
        if decided.is_there {
            erasure.ties += self.end_ties(customer).await?;
            self.settle_doubts(customer).await?;
        }
        for member in &decided.members {
            self.erase_rows(*member, &mut erasure).await?;
        }
        self.mark_erased(&decided.members).await?;
        if decided.is_there {
            let mut entry = AuditEntry::new(request.by, AuditAction::Erased).about(customer);
            for (place, count) in erasure.places() {
                entry = entry.with_number(place, i64::try_from(count).unwrap_or(i64::MAX))?;
            }
            let entry = left(entry.with_text("step", "done")?, &erasure)?;
            erasure.audit.push(self.audit(entry).await?.sequence);
        }
        Ok(erasure)
    }

    /// Decides an erasure and gives up the identifiers, unless that was done before.
    async fn decide_erasure(
        &self,
        customer: CustomerId,
        request: &ErasureRequest,
        over: Over,
    ) -> Result<Decided, Error> {
        let now = self.now();
        for _ in 0..ATTEMPTS_MAX {
            let (base, definitions) = self.base(customer).await?;
            let Some(base) = base else {
                return Ok(Decided { members: vec![customer], released: 0, audit: None, is_there: false });
            };
            let members: Vec<CustomerId> = base.customer.members().collect();
            if base.customer.is_erased() {
                return Ok(Decided { members, released: 0, audit: None, is_there: true });
            }
            let blockers = base.customer.blockers(now, &definitions);
            let forced = !blockers.is_empty();
            if !blockers.iter().all(|blocker| over.goes_over(blocker)) {
                return Err(Blocked { customer, by: blockers }.into());
            }
            let history = self.whole_history(&base.customer).await?;
            let identifiers = identifiers_in(&history);
            let releases = self.claims_of(&members, &identifiers).await?;
            let released = releases.len() as u64;
            // What a ledger brought back is in it.
            let announced = match over {
                Over::Everything => None,
                Over::Nothing | Over::WhatYields => self.announce(&members, &identifiers).await?,
            };
            let decide = async {
                let context = self.context(&definitions, now, true);
                let deed = Deed::Erased(Erased { reason: request.reason.clone(), forced, retention: None });
                let planned = self.plan_on(context, &base.customer, customer, Some(&history), |mut planner| {
                    planner.decide_of_all(&deed)?;
                    Ok(planner.finish())
                });
                let plan = planned.await?.ok_or_else(|| Error::corrupt("an erasure that changes nothing"))?;
                let (mut writing, _) = Writing::of(plan, base.expected, &base.others)?;
                Box::pin(self.leave(&mut writing.commit, &members, releases, &identifiers)).await?;
                let entry = AuditEntry::new(request.by.clone(), AuditAction::Erased).about(customer);
                let entry = because(entry, request.reason.as_ref())?
                    .with_text("step", "decided")?
                    .with_number("forced", forced.into())?
                    .with_number("customers", members.len() as i64)?;
                writing.note([entry]);
                match self.settle_noted(writing).await? {
                    (Settled::Done | Settled::Replayed(_), noted) => Ok(noted),
                    (Settled::Refused(error), _) if error.is_lost_race() => Ok(None),
                    (Settled::Refused(error), _) => Err(Error::corrupt(error)),
                }
            };
            match decide.await {
                Ok(Some(sequence)) => return Ok(Decided { members, released, audit: Some(sequence), is_there: true }),
                Ok(None) => {
                    self.retract(announced).await?;
                    self.lost()?;
                }
                Err(error) => return Err(self.retract_unless_done(announced, customer, error).await),
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// Ends the ties of somebody who was erased, those that are still to begin as well. It is told as the shop would
    /// tell it, to both sides in one commit.
    pub(super) async fn end_ties(&self, customer: CustomerId) -> Result<u64, Error> {
        let Some(base) = self.base(customer).await?.0 else { return Ok(0) };
        let history = self.whole_history(&base.customer).await?;
        let source = Source::new("erasure").map_err(Error::corrupt)?;
        let now = self.now();
        let mut ended = 0;
        for (Untie { from, to, kind }, (at, last)) in open_ties(&history, &base.customer, now) {
            // Words of one instant fold by their ids: this one has to be the last.
            let id = |n: u32| EventId::of_fact(&self.tenant, &source, &format!("{last} {n}"));
            let at = at.max(now);
            let Some(id) = (0..ATTEMPTS_MAX).map(id).find(|id| *id > last) else { continue };
            let end = Untie { from, to, kind };
            let facts = end.sides().map_err(FactRefusal::from)?.map(Fact::from);
            match self.record_both([from, to], facts, at, source.clone(), id, Word::ForItself).await {
                Ok(told) => ended += u64::from(!told.known),
                // Whoever is not there has no side.
                Err(Error::Fact(FactRefusal::NoCustomer { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(ended)
    }

    /// Nobody is taken for somebody who was erased any more: those with whom they may have been one are told that they
    /// are two.
    pub(super) async fn settle_doubts(&self, customer: CustomerId) -> Result<(), Error> {
        let Some(base) = self.base(customer).await?.0 else { return Ok(()) };
        let history = self.whole_history(&base.customer).await?;
        let doubted: BTreeSet<(CustomerId, CustomerId)> = history
            .iter()
            .filter_map(|event| {
                let EventBody::Decision(Decision { deed, .. }) = &event.body else { return None };
                let Deed::DuplicateSuggested(suggested) = deed else { return None };
                Some((event.customer, suggested.other))
            })
            .filter(|(_, other)| !base.customer.is(*other))
            .collect();
        for (own, other) in doubted {
            let Some(theirs) = self.base(other).await?.0 else { continue };
            if theirs.customer.doubt(own).is_none_or(|doubt| doubt.rejected) {
                continue;
            }
            let reason = Remark::new("the other one was erased").map_err(Error::corrupt)?;
            let deed = Deed::DuplicateRejected(DuplicateRejected { other: own, reason });
            let now = self.now();
            self.plan_and_commit(other, now, |planner| planner.note_now(&Actor::Rule, deed.clone())).await?;
        }
        Ok(())
    }

    /// The claims on identifiers that some customers have.
    pub(super) async fn claims_of(
        &self,
        members: &[CustomerId],
        identifiers: &BTreeSet<IdentifierKey>,
    ) -> Result<Vec<(IdentifierKey, Release)>, Error> {
        let keys: Vec<ClaimKey> = identifiers.iter().map(identifier_claim).collect();
        let owners = self.store().resolve(&self.tenant, &keys).await?;
        let owned = identifiers.iter().zip(keys).zip(owners);
        let ours = owned.filter_map(|((known, key), owner)| {
            let customer = owner?.customer;
            members.contains(&customer).then_some((*known, Release { key, customer }))
        });
        Ok(ours.collect())
    }

    /// Erases what is personal among the rows of one id.
    pub(super) async fn erase_rows(&self, customer: CustomerId, erasure: &mut Erasure) -> Result<(), Error> {
        let mut erased = self.store().erase(&self.tenant, customer, &[]).await?;
        if let Some(outside) = &self.inner.person_keys {
            // Somebody who was just keeping something may have made a new key meanwhile.
            for _ in 0..ATTEMPTS_MAX {
                outside.destroy(&self.tenant, customer).await.map_err(PersonalError::from)?;
                let left = self.store().details(&self.tenant, &[customer], Parts::PERSONAL).await?;
                if left.into_iter().flatten().all(|details| details.personal.is_empty()) {
                    break;
                }
                erased.fields += self.store().erase(&self.tenant, customer, &[]).await?.fields;
            }
        }
        erasure.fields += erased.fields;
        erasure.keys += u64::from(erased.key);
        erasure.tokens += erased.tokens;
        erasure.outbox += erased.outbox;
        erasure.identifiers += erased.claims;
        // A key that was in the store is in its copies as well.
        let sealed = self.inner.person_keys.is_some() && !erased.key;
        erasure.values = worse(erasure.values, if sealed { Copies::Gone } else { erased.copies });
        erasure.copies = worse(erasure.copies, erased.copies);
        Ok(())
    }

    /// Has something about a customer kept, so that they are not erased meanwhile, in the name of somebody; the audit
    /// log says so. A hold of the same name takes the place of the one before. Of somebody who was merged it holds
    /// for all.
    ///
    /// # Errors
    ///
    /// `Hold` if there are [`LEGAL_HOLDS_MAX`](crm_core::privacy::LEGAL_HOLDS_MAX) others or it would be over already,
    /// `NoCustomer`, `Storage` if the store failed, `Busy` if other writers were first each time.
    pub async fn hold(&self, customer: CustomerId, hold: HoldPlaced, by: AuditActor) -> Result<(), Error> {
        let now = self.now();
        if let Some(until) = hold.until.filter(|until| *until <= now) {
            return Err(HoldRefusal::Over { until }.into());
        }
        let name = hold.name.clone();
        self.decide_and_note(customer, "hold_placed", &name, by, |known| {
            if known.holds().any(|there| *there == hold) {
                return Ok(None);
            }
            let others = known.holds().filter(|there| there.name != hold.name).count();
            if others >= crm_core::privacy::LEGAL_HOLDS_MAX {
                let max = crm_core::privacy::LEGAL_HOLDS_MAX;
                return Err(HoldRefusal::TooMany { customer, max }.into());
            }
            Ok(Some(Deed::HoldPlaced(hold.clone())))
        })
        .await
        .map(|_| ())
    }

    /// Releases a legal hold, in the name of somebody; the audit log says so. Answers whether there was one.
    ///
    /// # Errors
    ///
    /// `NoCustomer`, `Storage` if the store failed, `Busy` if other writers were first each time.
    pub async fn release_hold(
        &self,
        customer: CustomerId,
        name: &LegalHoldName,
        by: AuditActor,
    ) -> Result<bool, Error> {
        self.decide_and_note(customer, "hold_released", name, by, |known| {
            let is_there = known.holds().any(|hold| hold.name == *name);
            Ok(is_there.then(|| Deed::HoldReleased(HoldReleased { name: name.clone() })))
        })
        .await
    }

    /// Records a decision of the shop's about a hold and notes it in the audit log, in one commit. Answers whether there
    /// was anything to decide.
    async fn decide_and_note(
        &self,
        customer: CustomerId,
        action: &str,
        name: &LegalHoldName,
        by: AuditActor,
        decide: impl Fn(&Customer) -> Result<Option<Deed>, Error> + Send + Sync,
    ) -> Result<bool, Error> {
        let action = AuditAction::Other(crm_core::audit::ActionName::new(action).map_err(Error::corrupt)?);
        let entry = AuditEntry::new(by, action).about(customer).with_text("hold", name.as_str())?;
        let now = self.now();
        for _ in 0..ATTEMPTS_MAX {
            let (base, definitions) = self.base(customer).await?;
            let base = base.ok_or(Error::NoCustomer { customer })?;
            let Some(deed) = decide(&base.customer)? else { return Ok(false) };
            let context = self.context(&definitions, now, false);
            let planned = self.plan(context, &base, |mut planner| {
                planner.decide_one(deed.clone())?;
                Ok(planner.finish())
            });
            let plan = planned.await?.ok_or_else(|| Error::corrupt("a decision that changes nothing"))?;
            let (mut writing, _) = self.written(plan, &base).await?;
            writing.note([entry.clone()]);
            if self.try_settle(writing).await? {
                return Ok(true);
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }
}

/// The ties of somebody to others that last or are still to begin, each with when and by which event that was said.
pub(super) fn open_ties(history: &[Event], customer: &Customer, now: Timestamp) -> Vec<(Untie, (Timestamp, EventId))> {
    type Words = Vec<(Timestamp, EventId, bool)>;
    let mut ties: BTreeMap<(CustomerId, CustomerId, &TieKind, Direction), Words> = BTreeMap::new();
    for event in history {
        let (other, kind, direction, ties_them) = match &event.body {
            EventBody::Fact(Fact::Tied(tied)) => (tied.other, &tied.kind, tied.direction, true),
            EventBody::Fact(Fact::Untied(untied)) => (untied.other, &untied.kind, untied.direction, false),
            EventBody::Fact(_) | EventBody::Decision(_) | EventBody::Unrecognised { .. } => continue,
        };
        let words = ties.entry((event.customer, other, kind, direction)).or_default();
        words.push((event.at, event.id, ties_them));
    }
    let mut open = Vec::new();
    for ((own, other, kind, direction), mut words) in ties {
        if customer.is(other) {
            continue;
        }
        let (from, to) = if direction == Direction::Incoming { (other, own) } else { (own, other) };
        words.sort_unstable();
        for (n, (at, id, ties_them)) in words.iter().enumerate() {
            // What was said until now counts by its last word, and what is to come word by word.
            let next = words.get(n + 1).map(|(next, ..)| *next);
            let is_last = next.is_none_or(|next| next > *at && next > now);
            if *ties_them && is_last {
                open.push((Untie { from, to, kind: kind.clone() }, (*at, *id)));
            }
        }
    }
    open
}
