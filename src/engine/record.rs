//! One fact at a time.

use crm_core::change::Change;
use crm_core::contract::ContractRef;
use crm_core::customer::Customer;
use crm_core::event::{Deed, Event, Fact};
use crm_core::identity::{Identified, IdentifierKey};
use crm_core::order::OrderRef;
use crm_core::privacy::PersonalKept;
use crm_core::service::CaseRef;
use crm_core::{CustomerId, Definitions, EventId, Timestamp};
use crm_storage::{Claim, ClaimKey, ClaimOwner, CommitError, Expected, Release};

use super::audit::{Bars, bars, entries_of};
use super::writing::Writing;
use super::{ATTEMPTS_MAX, Base, Crm, Settled};
use crate::error::Error;
use crate::incoming::{Incoming, Who};
use crate::plan::{
    Context, FactRefusal, Need, Outcome, Plan, Planner, Prepared, case_claim, contract_claim, identifier_claim,
    number_claim, order_claim, proves,
};

/// What became of a recorded fact.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Whom it is about.
    pub customer: CustomerId,
    /// The event it became.
    pub event: EventId,
    /// Whether it was recorded before, so that nothing changed.
    pub known: bool,
    /// What moved.
    pub changes: Vec<Change>,
}

/// Whom a fact is about, once the store was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Found {
    /// Somebody who is there.
    Known(CustomerId),
    /// Somebody who will be known by this identifier.
    New(IdentifierKey),
}

/// By what somebody is looked up.
pub(super) enum Sought<'w> {
    Customer(CustomerId),
    Identifier(IdentifierKey),
    Order(&'w OrderRef),
    Case(&'w CaseRef),
    Contract(&'w ContractRef),
    Nobody,
}

impl Sought<'_> {
    /// Whether the store is asked.
    pub(super) const fn is_claimed(&self) -> bool {
        !matches!(self, Sought::Customer(_) | Sought::Nobody)
    }

    /// The claim that the store is asked for.
    pub(super) fn claim(&self) -> Option<ClaimKey> {
        match self {
            Sought::Customer(_) | Sought::Nobody => None,
            Sought::Identifier(identifier) => Some(identifier_claim(identifier)),
            Sought::Order(order) => Some(order_claim(order)),
            Sought::Case(case) => Some(case_claim(case)),
            Sought::Contract(contract) => Some(contract_claim(contract)),
        }
    }

    /// Who it is, given who has the claim.
    pub(super) fn found(&self, owner: Option<ClaimOwner>) -> Result<Found, FactRefusal> {
        match (self, owner) {
            (Sought::Customer(id), _) => Ok(Found::Known(*id)),
            (Sought::Identifier(_) | Sought::Order(_) | Sought::Contract(_) | Sought::Case(_), Some(owner)) => {
                Ok(Found::Known(owner.customer))
            }
            (Sought::Identifier(identifier), None) => Ok(Found::New(*identifier)),
            (Sought::Nobody, _) => Err(FactRefusal::NamesNobody),
            (Sought::Order(order), None) => Err(FactRefusal::NoOrder { order: OrderRef::clone(order) }),
            (Sought::Case(case), None) => Err(FactRefusal::NoCase { case: CaseRef::clone(case) }),
            (Sought::Contract(contract), None) => {
                Err(FactRefusal::NoContract { contract: ContractRef::clone(contract) })
            }
        }
    }
}

/// What facts are planned on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Grounds {
    /// What was loaded, which is enough for nearly all.
    #[default]
    Loaded,
    /// Whatever they turn out to need.
    Needed,
    /// The customer's whole history, and whatever else they need.
    History,
}

/// How facts are planned this time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Attempt {
    pub(super) grounds: Grounds,
    /// Without claiming numbers of orders and cases, which the customer has already.
    pub(super) owns_number: bool,
    /// With a note that something is kept anew which a policy forgets.
    pub(super) kept: bool,
}

/// Facts of one customer, planned.
#[allow(clippy::large_enum_variant, reason = "it is taken apart where it is returned; a box would cost an allocation")]
pub(super) enum Planned {
    /// What is to be written, if anything is.
    Ready(Option<Plan>),
    /// What was loaded is not enough.
    Lacking,
}

impl Crm {
    /// Records a fact, with all that follows from it. What was due for its customer before is worked
    /// off first. The same fact again changes nothing.
    ///
    /// ```
    /// use crm::{Crm, Currency, Identifier, Incoming, Money, OrderPlaced, Source, Stage};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let ana = Identifier::email("ana@example.com")?;
    /// let order = OrderPlaced::new(Money::parse("49.90", Currency::EUR)?);
    /// let fact = Incoming::new(&ana, crm.now(), Source::new("shop")?, order).with_key("order-1".parse()?);
    ///
    /// let first = crm.record(fact.clone()).await?;
    /// assert!(!first.known && crm.record(fact).await?.known);
    /// let customer = crm.customer(&ana).await?.expect("just recorded");
    /// assert_eq!(customer.stage(), Some(Stage::Purchase));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Fact` if it is malformed or contradicts one that is recorded, `Storage` if the store failed,
    /// `Busy` if other writers were first each time.
    #[tracing::instrument(level = "debug", skip_all, fields(tenant = %self.tenant, kind = %incoming.fact.kind()))]
    pub async fn record(&self, incoming: Incoming) -> Result<Recorded, Error> {
        let now = self.now();
        let id = incoming.event_id(&self.tenant, None);
        let who = incoming.who.clone();
        let prepared = prepare(incoming, id);
        self.record_prepared(&who, &prepared, now, false).await
    }

    pub(super) async fn record_prepared(
        &self,
        who: &Who,
        prepared: &Prepared,
        now: Timestamp,
        quiet: bool,
    ) -> Result<Recorded, Error> {
        if let Who::Presented(presented) = who {
            return self.record_presented(presented, prepared, now, quiet).await;
        }
        let mut how = Attempt::default();
        let mut met = false;
        // Of somebody who was merged: whose number of an order or a case it was that is free again.
        let mut number_of = None;
        let mut joined = false;
        for _ in 0..ATTEMPTS_MAX {
            let found = self.find(who).await??;
            if let (Some(identifier), Found::Known(customer), false) = (proves(&prepared.fact), found, joined) {
                joined = true;
                self.join_by(customer, identifier, prepared.id, now).await?;
            }
            let (base, definitions) = self.base_of(found, prepared.at).await?;
            let customer = base.customer.id();
            let before = bars(&prepared.fact).then(|| Bars::of(&base.customer));
            let (expected, others, through) = (base.expected, base.others.clone(), base.through);
            let context = self.context(&definitions, now, quiet);
            let mut outcomes = Vec::with_capacity(1);
            let facts = [prepared];
            let planned = self.plan_facts(context, base, found, &facts, how, &mut outcomes).await?;
            let Planned::Ready(plan) = planned else {
                how.grounds = Grounds::Needed;
                continue;
            };
            match outcomes.pop() {
                Some(Outcome::Refused(refusal)) => return Err(refusal.into()),
                Some(Outcome::Known) | None => {
                    return Ok(Recorded { customer, event: prepared.id, known: true, changes: Vec::new() });
                }
                Some(Outcome::Recorded) => {}
            }
            let Some(mut plan) = plan else {
                return Err(Error::corrupt("a recorded fact that changes nothing"));
            };
            let entries = before.map(|before| entries_of(prepared, before, &plan.customer)).transpose()?;
            self.lead_on(&mut plan).await?;
            let (mut writing, changes) = Writing::of(plan, expected, &others)?;
            writing.note(entries.unwrap_or_default());
            if let Some(owner) = number_of
                && owner != through
                && let Some(key) = number_claim(&prepared.fact)
            {
                // The number leads to whose order it is now, also when the two are parted.
                writing.commit.releases.push(Release { key: key.clone(), customer: owner });
                writing.commit.claims.push(Claim { key, customer: through, event: prepared.id });
            }
            match self.settle(writing).await? {
                Settled::Done | Settled::Replayed(_) => {
                    return Ok(Recorded { customer, event: prepared.id, known: false, changes });
                }
                Settled::Refused(CommitError::Conflict { .. } | CommitError::NotOwned { .. }) => self.lost()?,
                // The same id with another time: only the history can tell what it was.
                Settled::Refused(CommitError::EventExists { .. }) if how.grounds != Grounds::History => {
                    how.grounds = Grounds::History;
                }
                Settled::Refused(CommitError::Claimed { owner, .. }) if !met && owner.event == prepared.id => {
                    // Somebody else has just recorded this very fact of the same new customer. If they
                    // had not, the next attempt tells.
                    met = true;
                }
                Settled::Refused(CommitError::Claimed { owner, .. })
                    if !how.owns_number && self.voided_only(customer, prepared, owner).await? =>
                {
                    how.owns_number = true;
                    number_of = Some(owner.customer);
                }
                Settled::Refused(CommitError::Claimed { key, owner }) => {
                    if let Some(refusal) = self.taken(found, prepared, &key, owner) {
                        return Err(refusal.into());
                    }
                    // Somebody else has just met the same new customer: there they are now.
                }
                Settled::Refused(error) => return Err(Error::corrupt(error)),
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// Whom a fact is about. The outer error is the store's.
    pub(super) async fn find(&self, who: &Who) -> Result<Result<Found, FactRefusal>, Error> {
        let sought = self.sought(who);
        if matches!(sought, Sought::Identifier(_)) {
            self.check_lookup_key().await?;
        }
        let owner = match sought.claim() {
            Some(key) => self.store().resolve(&self.tenant, &[key]).await?.into_iter().next().flatten(),
            None => None,
        };
        Ok(sought.found(owner))
    }

    pub(super) fn sought<'w>(&self, who: &'w Who) -> Sought<'w> {
        match who {
            Who::Customer(id) => Sought::Customer(*id),
            Who::Identifier(identifier) => Sought::Identifier(self.inner.lookup_key.hash(&self.tenant, identifier)),
            Who::Order(order) => Sought::Order(order),
            Who::Case(case) => Sought::Case(case),
            Who::Contract(contract) => Sought::Contract(contract),
            Who::Presented(presented) => self.strongest(presented),
        }
    }

    /// Of several identifiers, the first that is vouched for; what is merely stated leads to nobody.
    fn strongest(&self, presented: &[crm_core::identity::Presented]) -> Sought<'static> {
        let rules = crm_core::identity::IdentityRules::defaults();
        let vouched = presented.iter().filter(|one| one.verified && !rules.blocks(&one.identifier));
        let strongest = vouched.max_by_key(|one| rules.rule(one.identifier.kind()).priority);
        match strongest {
            Some(one) => Sought::Identifier(self.inner.lookup_key.hash(&self.tenant, &one.identifier)),
            None => Sought::Nobody,
        }
    }

    pub(super) async fn base_of(
        &self,
        found: Found,
        at: Timestamp,
    ) -> Result<(Base, std::sync::Arc<Definitions>), Error> {
        match found {
            Found::Known(customer) => {
                let (base, definitions) = self.base(customer).await?;
                Ok((base.ok_or(FactRefusal::NoCustomer { customer })?, definitions))
            }
            Found::New(identifier) => self.newcomer(&identifier, at).await,
        }
    }

    /// Somebody new, under an id that nobody has: whoever was erased may have had the first that comes to mind.
    pub(super) async fn newcomer(
        &self,
        identifier: &IdentifierKey,
        at: Timestamp,
    ) -> Result<(Base, std::sync::Arc<Definitions>), Error> {
        for taken in 0..ATTEMPTS_MAX {
            let base = self.newcomer_after(identifier, at, taken);
            let loaded = self.store().load(&self.tenant, &[base.customer.id()]).await?;
            if loaded.rows.into_iter().flatten().next().is_none() {
                return Ok((base, self.definitions_to_write(loaded.definitions).await?));
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// Somebody new, when so many of the ids that they would have had are somebody's already.
    pub(super) fn newcomer_after(&self, identifier: &IdentifierKey, at: Timestamp, taken: u32) -> Base {
        let id = self.inner.ids.customer_id(&self.tenant, identifier, at, taken);
        Base::of_one(Customer::new(id), Expected::New)
    }

    /// Plans facts of one customer, in this order, and adds an outcome for each.
    pub(super) async fn plan_facts(
        &self,
        context: Context<'_>,
        base: Base,
        found: Found,
        facts: &[&Prepared],
        how: Attempt,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<Planned, Error> {
        if how.grounds == Grounds::Loaded {
            // Somebody new has no history, and that is the whole of it.
            let history: Option<&[Event]> = matches!(base.expected, Expected::New).then_some(&[]);
            let planner = Planner::new(context, base.customer, history).through(base.through);
            let begin = outcomes.len();
            return Ok(match take_in(planner, context, found, facts, how, outcomes) {
                Ok(plan) => Planned::Ready(plan),
                Err(_) => {
                    outcomes.truncate(begin);
                    Planned::Lacking
                }
            });
        }
        let history = match (how.grounds, base.expected) {
            (Grounds::History, Expected::At(_)) => Some(self.whole_history(&base.customer).await?),
            (_, Expected::New) => Some(Vec::new()),
            (Grounds::Loaded | Grounds::Needed, Expected::At(_)) => None,
        };
        let take_in = |planner: Planner<'_>| {
            let mut outcomes = Vec::with_capacity(facts.len());
            Ok((take_in(planner, context, found, facts, how, &mut outcomes)?, outcomes))
        };
        let planned = self.plan_on(context, &base.customer, base.through, history.as_deref(), take_in);
        let (plan, told) = planned.await?;
        outcomes.extend(told);
        Ok(Planned::Ready(plan))
    }

    /// Whether a number that is taken is the customer's own, by an order, a contract or a case that was voided and by no
    /// other.
    async fn voided_only(&self, id: CustomerId, prepared: &Prepared, owner: ClaimOwner) -> Result<bool, Error> {
        if number_claim(&prepared.fact).is_none() {
            return Ok(false);
        }
        let (base, _) = self.base(id).await?;
        let voided_only = |base: Base| {
            if !base.customer.is(owner.customer) {
                return false;
            }
            let facts = base.customer.facts();
            let in_use = if let Fact::CaseOpened(opened) = &prepared.fact {
                facts.cases().has_told(&opened.case)
            } else if let Fact::ContractSigned(signed) = &prepared.fact {
                facts.contracts().get(&signed.contract).is_some()
            } else {
                let orders = facts.orders().list().iter().filter_map(|order| order.order.as_ref());
                orders.map(order_claim).any(|own| Some(own) == number_claim(&prepared.fact))
            };
            facts.is_voided(owner.event) && !in_use
        };
        Ok(base.is_some_and(voided_only))
    }

    /// Why a taken claim refuses the fact; none if it is only that somebody else was first to meet the
    /// same new customer.
    pub(super) fn taken(
        &self,
        found: Found,
        prepared: &Prepared,
        key: &ClaimKey,
        owner: ClaimOwner,
    ) -> Option<FactRefusal> {
        if let Some(number) = number_claim(&prepared.fact) {
            return FactRefusal::number_taken(&prepared.fact, owner.customer, owner.event).filter(|_| number == *key);
        }
        let Fact::Identified(identified) = &prepared.fact else { return None };
        let is_newcomers = matches!(found, Found::New(newcomer) if newcomer == identified.identifier);
        let is_taken = identifier_claim(&identified.identifier) == *key && !is_newcomers;
        is_taken.then_some(FactRefusal::IdentifierTaken { customer: owner.customer })
    }

    /// The fact that a customer is known by an identifier, ready to be recorded.
    ///
    /// ```
    /// # use crm::{Crm, Identifier};
    /// let crm = Crm::in_memory();
    /// let identified = crm.identified(&Identifier::email("ana@example.com")?);
    /// # Ok::<(), crm::IdentifierError>(())
    /// ```
    #[must_use]
    pub fn identified(&self, identifier: &crm_core::identity::Identifier) -> Identified {
        Identified::presented(&self.inner.lookup_key, &self.tenant, &identifier.clone().into())
    }
}

fn take_in<'a>(
    mut planner: Planner<'a>,
    context: Context<'_>,
    found: Found,
    facts: &[&'a Prepared],
    how: Attempt,
    outcomes: &mut Vec<Outcome>,
) -> Result<Option<Plan>, Need> {
    if how.owns_number {
        planner = planner.owning_numbers();
    }
    for fact in facts {
        let outcome = planner.fact(fact)?;
        // Whoever is new is introduced by the first fact that is not refused.
        if let Found::New(identifier) = found
            && outcome == Outcome::Recorded
        {
            planner.introduce(identifier, fact.id);
        }
        outcomes.push(outcome);
    }
    if how.kept && outcomes.contains(&Outcome::Recorded) {
        planner.decide_now(Deed::PersonalKept(PersonalKept { at: context.now }), None);
    }
    planner.catch_up()?;
    // History stops at its last fact, so that what comes in the next batch is not late; `advance`
    // does the rest.
    if !context.quiet {
        planner.elapse(context.now)?;
    }
    Ok(planner.finish())
}

/// Gives a fact its id.
pub(super) fn prepare(incoming: Incoming, id: EventId) -> Prepared {
    let Incoming { who: _, at, source, key: _, fact } = incoming;
    Prepared { id, at, source, fact }
}
