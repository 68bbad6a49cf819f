//! Facts that come with several identifiers: whose they are, who is one person by them, and what is kept of
//! those that were not used.

use std::collections::BTreeMap;

use crm_core::audit::AuditActor;
use crm_core::customer::{Customer, MergeRefusal};
use crm_core::event::Deed;
use crm_core::identity::{
    Aside, Assurance, DuplicateRejected, DuplicateSuggested, Found as Told, IdentifierAttached, IdentifierKey,
    IdentifierKind, IdentifierSetAside, IdentityRules, MergeReason, PersonSummary, Presented, Resolution, SetAside,
    Shared, SuggestedMerge, Whom, resolve, shared,
};
use crm_core::workflow::Actor;
use crm_core::{CustomerId, Definitions, EventId, Remark, SmolStr, Timestamp};
use crm_storage::{ClaimKey, ClaimOwner, CommitError};

use super::audit::{Bars, bars, entries_of};
use super::record::{Found, Recorded};
use super::writing::Writing;
use super::{ATTEMPTS_MAX, Base, Crm, Settled};
use crate::error::Error;
use crate::plan::{FactRefusal, Need, Outcome, Plan, Planner, Prepared, identifier_claim};

/// How many customers who merely stated one identifier are found when it is proved.
pub(super) const STATED_BY_MAX: usize = 32;

/// The kinds of the keys under which they are listed begin so.
pub(super) const STATED: &str = "stated_";

/// What is to be noted with a fact: who came with which identifier.
#[derive(Debug, Default)]
struct Noted {
    attach: Vec<Told>,
    stated: Vec<Told>,
    /// Where a customer who stated an identifier is listed, so that they are found when it is proved.
    lists: Vec<ClaimKey>,
    resolution: Option<Resolution>,
    /// A newcomer whom nothing leads to is found by the fact that they came with.
    newcomer: Option<ClaimKey>,
}

impl Crm {
    /// Records a fact that came with identifiers.
    pub(super) async fn record_presented(
        &self,
        presented: &[Presented],
        prepared: &Prepared,
        now: Timestamp,
        quiet: bool,
    ) -> Result<Recorded, Error> {
        self.check_lookup_key().await?;
        let mut with_history = false;
        // Who is one person with them by the rules, but cannot be merged: they would be too many.
        let mut apart: Vec<CustomerId> = Vec::new();
        for _ in 0..ATTEMPTS_MAX {
            let definitions = self.definitions().await?;
            let rules = definitions.identity(prepared.at);
            let (told, newcomer) = self.look_up(presented, prepared.id).await?;
            let unowned: Vec<IdentifierKey> =
                told.iter().filter(|one| one.owner.is_none()).map(|one| one.key).collect();
            let Some(mut told) = self.join_stated(told, prepared, rules, now).await? else { continue };
            let (owners, people) = self.people(&told).await?;
            let head = |owner: Option<CustomerId>| owner.and_then(|owner| owners.get(&owner).copied());
            let is_apart = |one: &Told| one.presented.verified && head(one.owner).is_some_and(|id| apart.contains(&id));
            let mut kept_apart = Vec::new();
            for one in told.iter_mut().filter(|one| is_apart(one)) {
                match head(one.owner) {
                    Some(customer) if !unowned.contains(&one.key) => {
                        kept_apart.push(SetAside { key: one.key, reason: Aside::BelongsTo { customer } });
                    }
                    // They only ever stated it.
                    _ => one.owner = None,
                }
            }
            let mut found: Vec<Told> = told
                .iter()
                .filter(|one| !kept_apart.iter().any(|aside| aside.key == one.key))
                .map(|one| Told { owner: head(one.owner), ..one.clone() })
                .collect();
            let mut resolution = resolve(&found, &people, rules, now).map_err(FactRefusal::from)?;
            // Whoever stated an identifier before has no claim to it against somebody else who proved it.
            let kept =
                |key: &IdentifierKey| unowned.contains(key) && resolution.aside.iter().any(|aside| aside.key == *key);
            let proved: Vec<IdentifierKey> = told.iter().map(|one| one.key).filter(kept).collect();
            if told.iter().any(|one| proved.contains(&one.key) && one.owner.is_some()) {
                let free = |one: &Told| proved.contains(&one.key);
                told.iter_mut().filter(|one| free(one)).for_each(|one| one.owner = None);
                found.iter_mut().filter(|one| free(one)).for_each(|one| one.owner = None);
                resolution = resolve(&found, &people, rules, now).map_err(FactRefusal::from)?;
            }
            let whom = match (resolution.whom, &newcomer) {
                (Whom::Existing(customer), _) => Some(customer),
                (Whom::New, (_, Some(owner))) => Some(owner.customer),
                (Whom::New, (_, None)) => None,
            };
            if let Some(survivor) = whom
                && !resolution.merge.is_empty()
            {
                // Whoever the strongest leads to is who it is, if not all can be one.
                let strength = |one: &&Told| (std::cmp::Reverse(rules.rule(one.key.kind).priority), one.key);
                let leading = found.iter().filter(|one| one.presented.verified && one.owner.is_some());
                let leading = leading.min_by_key(strength).and_then(|one| one.owner);
                for merge in &resolution.merge {
                    let reason = MergeReason::Shared { identifier: merge.by, by: Some(prepared.id) };
                    match self.merge_because(survivor, merge.customer, reason, Actor::Rule, AuditActor::Rule).await {
                        Ok(_) => {}
                        Err(Error::Merge(MergeRefusal::Members { .. })) => {
                            apart.push(if leading == Some(merge.customer) { survivor } else { merge.customer });
                        }
                        // Nothing leads to them any more, as looking it up again shows.
                        Err(Error::Merge(MergeRefusal::Erased { .. })) => {}
                        Err(error) => return Err(error),
                    }
                }
                continue;
            }
            resolution.aside.extend(kept_apart);
            // Through the strongest identifier that leads to them; the order of priorities is the rules'.
            let strongest = told.iter().filter(|one| one.presented.verified && one.owner.is_some());
            let strongest = strongest
                .filter(|one| one.owner.and_then(|owner| owners.get(&owner)) == whom.as_ref())
                .max_by_key(|one| (rules.rule(one.key.kind).priority, std::cmp::Reverse(one.key)));
            let through = strongest.and_then(|one| one.owner);
            let of = |keys: &[IdentifierKey]| -> Vec<Told> {
                told.iter().filter(|one| keys.contains(&one.key)).cloned().collect()
            };
            let mut noted =
                Noted { attach: of(&resolution.attach), stated: of(&resolution.state_only), ..Noted::default() };
            // An identifier that somebody stated and now proved is theirs from now on.
            let unclaimed = told.iter().filter(|one| one.presented.verified && one.owner.is_some());
            for one in unclaimed {
                let used = !resolution.aside.iter().any(|aside| aside.key == one.key);
                if used && !noted.attach.contains(one) && !self.is_claimed(&one.key).await? {
                    noted.attach.push(one.clone());
                }
            }
            let base = match whom {
                Some(id) => {
                    self.base(through.unwrap_or(id)).await?.0.ok_or(FactRefusal::NoCustomer { customer: id })?
                }
                None => {
                    if noted.attach.is_empty() && noted.stated.is_empty() {
                        return Err(FactRefusal::NamesNobody.into());
                    }
                    let by = noted.attach.iter().map(|one| one.key).next();
                    // Of one whom nothing leads to, each is another one, even under the same address.
                    let by = by.unwrap_or(IdentifierKey {
                        kind: IdentifierKind::External,
                        hash: prepared.id.as_uuid().into_bytes(),
                    });
                    if noted.attach.is_empty() {
                        noted.newcomer = Some(newcomer.0);
                    }
                    self.newcomer(&by, prepared.at).await?.0
                }
            };
            noted.lists = self.lists_for(&base.customer, &noted.stated).await?;
            resolution.suggest.retain(|suggested| base.customer.doubt(suggested.customer).is_none());
            let suggest = resolution.suggest.clone();
            noted.resolution = Some(resolution);
            let definitions = self.definitions_to_write(self.revision().await?).await?;
            let context = self.context(&definitions, now, quiet);
            let history = match (base.expected, with_history) {
                (crm_storage::Expected::New, _) => Some(Vec::new()),
                (_, true) => Some(self.whole_history(&base.customer).await?),
                (_, false) => None,
            };
            let noting = |planner: Planner<'_>| plan_noted(planner, prepared, &noted, quiet, now);
            let planned = self.plan_on(context, &base.customer, base.through, history.as_deref(), noting);
            let (outcome, plan) = planned.await?;
            let customer = base.customer.id();
            match outcome {
                Outcome::Refused(refusal) => return Err(refusal.into()),
                Outcome::Known => {
                    return Ok(Recorded { customer, event: prepared.id, known: true, changes: Vec::new() });
                }
                Outcome::Recorded => {}
            }
            let plan = plan.ok_or_else(|| Error::corrupt("a recorded fact that changes nothing"))?;
            let entries = if bars(&prepared.fact) {
                entries_of(prepared, Bars::of(&base.customer), &plan.customer)?
            } else {
                vec![]
            };
            let (mut writing, changes) = self.written(plan, &base).await?;
            writing.note(entries);
            Box::pin(self.suggest_to_others(&mut writing, base.through, &suggest)).await?;
            match self.settle(writing).await? {
                Settled::Done | Settled::Replayed(_) => {
                    return Ok(Recorded { customer, event: prepared.id, known: false, changes });
                }
                Settled::Refused(CommitError::Conflict { .. } | CommitError::NotOwned { .. }) => self.lost()?,
                Settled::Refused(CommitError::EventExists { .. }) if !with_history => with_history = true,
                Settled::Refused(CommitError::Claimed { key, owner }) => {
                    if let Some(refusal) = self.taken(Found::Known(customer), prepared, &key, owner) {
                        return Err(refusal.into());
                    }
                    // Somebody else has just met the same person: there they are now.
                }
                Settled::Refused(error) => return Err(Error::corrupt(error)),
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    async fn revision(&self) -> Result<u64, Error> {
        Ok(self.store().load(&self.tenant, &[]).await?.definitions)
    }

    /// Who has each identifier, and who came with this very fact before.
    async fn look_up(
        &self,
        presented: &[Presented],
        event: EventId,
    ) -> Result<(Vec<Told>, (ClaimKey, Option<ClaimOwner>)), Error> {
        let newcomer = newcomer_claim(event);
        let mut told: Vec<Told> = presented
            .iter()
            .map(|one| Told {
                key: self.inner.lookup_key.hash(&self.tenant, &one.identifier),
                scope: self.inner.lookup_key.scope(&self.tenant, &one.identifier),
                presented: one.clone(),
                owner: None,
            })
            .collect();
        let keys: Vec<ClaimKey> = told.iter().map(|one| identifier_claim(&one.key)).chain([newcomer.clone()]).collect();
        let mut owners = self.store().resolve(&self.tenant, &keys).await?.into_iter();
        for (one, owner) in told.iter_mut().zip(&mut owners) {
            one.owner = owner.map(|owner| owner.customer);
        }
        Ok((told, (newcomer, owners.next().flatten())))
    }

    async fn is_claimed(&self, key: &IdentifierKey) -> Result<bool, Error> {
        let owners = self.store().resolve(&self.tenant, &[identifier_claim(key)]).await?;
        Ok(owners.into_iter().flatten().next().is_some())
    }

    /// The customers behind the owners of identifiers: whoever was merged is whom they go on as.
    async fn people(&self, told: &[Told]) -> Result<(BTreeMap<CustomerId, CustomerId>, Vec<PersonSummary>), Error> {
        let mut heads = BTreeMap::new();
        let mut people: Vec<PersonSummary> = Vec::new();
        for owner in told.iter().filter_map(|one| one.owner) {
            if heads.contains_key(&owner) {
                continue;
            }
            let Some(base) = self.base(owner).await?.0 else { continue };
            heads.insert(owner, base.customer.id());
            if people.iter().all(|person| person.id != base.customer.id()) {
                people.push(base.customer.summary());
            }
        }
        Ok((heads, people))
    }

    /// Whoever stated what is proved now is its owner, and several of them are one person if the rules say so.
    /// None if somebody was merged, so that everything is looked up again.
    async fn join_stated(
        &self,
        mut told: Vec<Told>,
        prepared: &Prepared,
        rules: &IdentityRules,
        now: Timestamp,
    ) -> Result<Option<Vec<Told>>, Error> {
        let proved =
            |one: &&mut Told| one.presented.verified && one.owner.is_none() && !rules.blocks(&one.presented.identifier);
        let mut merged = false;
        for one in told.iter_mut().filter(proved) {
            let stated_by = self.stated_by(&one.key).await?;
            let Some(first) = stated_by.first().map(|customer| customer.id()) else { continue };
            one.owner = Some(first);
            merged |= self.join_all(&stated_by, one.key, prepared.id, rules, now).await?;
        }
        Ok((!merged).then_some(told))
    }

    /// Merges all with the first, where the rules say so. Whether anybody was merged.
    async fn join_all(
        &self,
        customers: &[Customer],
        by: IdentifierKey,
        event: EventId,
        rules: &IdentityRules,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let Some((first, others)) = customers.split_first() else { return Ok(false) };
        let (own, mut first) = (first.id(), first.clone());
        let mut merged = false;
        for other in others {
            // Whoever was erased is nobody whom anything makes one with somebody.
            let one = || matches!(shared(&first.summary(), &other.summary(), by, rules, now), Shared::One(_));
            if first.is_erased() || other.is_erased() || !one() {
                continue;
            }
            let reason = MergeReason::Shared { identifier: by, by: Some(event) };
            match self.merge_because(own, other.id(), reason, Actor::Rule, AuditActor::Rule).await {
                Ok(outcome) => merged |= !outcome.known,
                // They would be too many, or one of them was erased: they stay who they are.
                Err(Error::Merge(_)) => continue,
                Err(error) => return Err(error),
            }
            // What the next one has may be against what this one brought along.
            let Some(base) = self.base(own).await?.0 else { break };
            first = base.customer;
        }
        Ok(merged)
    }

    /// Who merely stated an identifier, each once.
    async fn stated_by(&self, key: &IdentifierKey) -> Result<Vec<Customer>, Error> {
        let lists: Vec<ClaimKey> = stated_claims(key).collect();
        let mut customers: Vec<Customer> = Vec::new();
        for owner in self.store().resolve(&self.tenant, &lists).await?.into_iter().flatten() {
            let Some(base) = self.base(owner.customer).await?.0 else { continue };
            let states = base.customer.stated_identifiers().any(|own| own == key);
            if states && customers.iter().all(|known| known.id() != base.customer.id()) {
                customers.push(base.customer);
            }
        }
        Ok(customers)
    }

    /// The first free place on the list of those who stated each identifier, for one who is not on it yet. Whoever
    /// comes when a list is full is not found by it.
    async fn lists_for(&self, customer: &Customer, stated: &[Told]) -> Result<Vec<ClaimKey>, Error> {
        let mut lists = Vec::new();
        for one in stated {
            lists.extend(self.list_place(customer, &one.key).await?);
        }
        Ok(lists)
    }

    /// The first free place on the list of those who stated an identifier, for one who is not on it.
    pub(super) async fn list_place(
        &self,
        customer: &Customer,
        identifier: &IdentifierKey,
    ) -> Result<Option<ClaimKey>, Error> {
        let places: Vec<ClaimKey> = stated_claims(identifier).collect();
        let owners = self.store().resolve(&self.tenant, &places).await?;
        if owners.iter().flatten().any(|owner| customer.is(owner.customer)) {
            return Ok(None);
        }
        Ok(owners.iter().zip(places).find(|(owner, _)| owner.is_none()).map(|(_, place)| place))
    }

    /// A customer turned out to be known by an identifier that others have or stated: whoever is one person with
    /// them by the rules is merged with them. Whether anybody was.
    pub(super) async fn join_by(
        &self,
        customer: CustomerId,
        identifier: IdentifierKey,
        event: EventId,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let definitions = self.definitions().await?;
        let rules = definitions.identity(now);
        let Some(base) = self.base(customer).await?.0 else { return Ok(false) };
        let mut others = vec![base.customer];
        let owner = self.store().resolve(&self.tenant, &[identifier_claim(&identifier)]).await?;
        if let Some(owner) = owner.into_iter().flatten().next()
            && let Some(base) = self.base(owner.customer).await?.0
        {
            others.push(base.customer);
        }
        others.extend(self.stated_by(&identifier).await?);
        let own = others[0].id();
        let mut once: Vec<Customer> = Vec::new();
        for (place, other) in others.into_iter().enumerate() {
            if place == 0 || other.id() != own {
                once.push(other);
            }
        }
        self.join_all(&once, identifier, event, rules, now).await
    }

    /// Notes that somebody decided that two customers are two people: it will not be suggested again that they
    /// are one, from either side.
    ///
    /// # Errors
    ///
    /// `NoCustomer`, `Storage` if the store failed, `Busy` if other writers were first each time.
    pub async fn reject_duplicate(&self, one: CustomerId, other: CustomerId, reason: Remark) -> Result<(), Error> {
        let deed = |other| Deed::DuplicateRejected(DuplicateRejected { other, reason: reason.clone() });
        self.decide_both(one, other, &Actor::Shop, &deed).await
    }

    pub(super) async fn suggest_both(
        &self,
        one: CustomerId,
        other: CustomerId,
        suggested: &DuplicateSuggested,
    ) -> Result<(), Error> {
        let deed = |other| Deed::DuplicateSuggested(DuplicateSuggested { other, ..suggested.clone() });
        self.decide_both(one, other, &Actor::Rule, &deed).await
    }

    /// Records a decision about each of two customers that names the other, in one commit.
    async fn decide_both(
        &self,
        one: CustomerId,
        other: CustomerId,
        by: &Actor,
        deed: &(dyn Fn(CustomerId) -> Deed + Sync),
    ) -> Result<(), Error> {
        for _ in 0..ATTEMPTS_MAX {
            let mut writing = Writing::default();
            let mut seen = Vec::with_capacity(2);
            for (customer, other) in [(one, other), (other, one)] {
                let (base, definitions) = self.base(customer).await?;
                let base = base.ok_or(Error::NoCustomer { customer })?;
                if seen.contains(&base.customer.id()) {
                    // They are one by now, and there is nothing to decide.
                    return Ok(());
                }
                seen.push(base.customer.id());
                self.note_in(&mut writing, &base, &definitions, by, deed(other)).await?;
            }
            if self.try_settle(writing).await? {
                return Ok(());
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// Adds a decision about one customer to a commit.
    async fn note_in(
        &self,
        writing: &mut Writing,
        base: &Base,
        definitions: &Definitions,
        by: &Actor,
        deed: Deed,
    ) -> Result<(), Error> {
        let plan = self.plan_notes(base, definitions, by, vec![(base.through, deed)]).await?;
        self.write(writing, plan, base).await?;
        Ok(())
    }

    /// Has those who may be one person with somebody know it too, in the commit that notes it of that one.
    async fn suggest_to_others(
        &self,
        writing: &mut Writing,
        own: CustomerId,
        suggested: &[SuggestedMerge],
    ) -> Result<(), Error> {
        for suggested in suggested {
            let (base, definitions) = self.base(suggested.customer).await?;
            let Some(base) = base else { continue };
            let deed = Deed::DuplicateSuggested(DuplicateSuggested::by_identifier(suggested, own));
            self.note_in(writing, &base, &definitions, &Actor::Rule, deed).await?;
        }
        Ok(())
    }
}

/// The key by which a newcomer whom nothing else leads to is found when the same fact comes again.
pub(super) fn newcomer_claim(event: EventId) -> ClaimKey {
    ClaimKey { kind: SmolStr::new_static("newcomer"), key: event.as_uuid().as_bytes().to_vec() }
}

/// All places on the list of those who merely stated an identifier.
pub(super) fn stated_claims(identifier: &IdentifierKey) -> impl Iterator<Item = ClaimKey> + '_ {
    (0..STATED_BY_MAX).map(|place| stated_claim(identifier, place))
}

/// A place on the list of those who merely stated an identifier.
fn stated_claim(identifier: &IdentifierKey, place: usize) -> ClaimKey {
    let kind = SmolStr::new(format!("{STATED}{}", identifier.kind.name()));
    ClaimKey { kind, key: [&identifier.hash[..], &[place as u8]].concat() }
}

fn plan_noted<'a>(
    mut planner: Planner<'a>,
    prepared: &'a Prepared,
    noted: &Noted,
    quiet: bool,
    now: Timestamp,
) -> Result<(Outcome, Option<Plan>), Need> {
    let outcome = planner.fact(prepared)?;
    if outcome != Outcome::Recorded {
        return Ok((outcome, None));
    }
    let cause = Some(prepared.id);
    for (one, assurance) in noted
        .attach
        .iter()
        .map(|one| (one, Assurance::Vouched))
        .chain(noted.stated.iter().map(|one| (one, Assurance::Stated)))
    {
        let attached = IdentifierAttached {
            identifier: one.key,
            scope: one.scope,
            at: Some(prepared.at),
            assurance: assurance.clone(),
        };
        planner.attach(attached, cause);
    }
    for place in noted.lists.iter().chain(&noted.newcomer) {
        planner.claim(place.clone(), prepared.id);
    }
    for aside in noted.resolution.iter().flat_map(|resolution| &resolution.aside) {
        let known = planner.customer().set_aside().any(|(key, reason)| *key == aside.key && *reason == aside.reason);
        if !known {
            let deed = IdentifierSetAside { identifier: aside.key, reason: aside.reason };
            planner.decide_now(Deed::IdentifierSetAside(deed), cause);
        }
    }
    for suggested in noted.resolution.iter().flat_map(|resolution| &resolution.suggest) {
        let deed = DuplicateSuggested::by_identifier(suggested, suggested.customer);
        planner.decide_now(Deed::DuplicateSuggested(deed), cause);
    }
    planner.catch_up()?;
    if !quiet {
        planner.elapse(now)?;
    }
    Ok((outcome, planner.finish()))
}
