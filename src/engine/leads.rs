//! To whom an identifier leads: to somebody who is known by it, or will be; to nobody once nobody is.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;

use crm_core::customer::Customer;
use crm_core::event::{Deed, Event, EventBody};
use crm_core::identity::IdentifierKey;
use crm_core::{CustomerId, Definitions, EventId, Timestamp};
use crm_storage::{Claim, ClaimKey, ClaimOwner, Commit, CustomerWrite, Release};

use super::sharing::{Sharer, add_as_they_are, as_they_are};
use super::{Base, Crm};
use crate::error::Error;
use crate::plan::{Come, Plan, identifier_claim, proves, to_come, told_in};

/// A member by their own history, as they are at an instant. What somebody is known by does not depend on whom they are
/// merged with: merging is left out.
pub(super) fn alone(history: &[Event], member: CustomerId, until: Timestamp, definitions: &Definitions) -> Customer {
    let own = history.iter().filter(|event| event.customer == member);
    let own = own.map(|event| (event.customer, event.id, event.at, &event.body));
    Customer::replay(member, own, until, definitions)
}

/// The identifier that a deed attached.
pub(super) fn attached(deed: &Deed) -> Option<IdentifierKey> {
    if let Deed::IdentifierAttached(attached) = deed {
        Some(attached.identifier)
    } else if let Deed::IdentifierCorrected(corrected) = deed {
        Some(corrected.to)
    } else {
        None
    }
}

/// What somebody is known by, and what they will be known by when what waits has happened.
pub(super) struct Known {
    members: Vec<CustomerId>,
    /// From when on, as of now: the least instant for what they are known by already.
    from: BTreeMap<IdentifierKey, Timestamp>,
}

impl Known {
    /// By the histories of all members, and perhaps of others.
    pub(super) fn of(customer: &Customer, history: &[Event]) -> Self {
        let now = customer.identifiers().map(|known| (*known, Timestamp::MIN));
        let mut from = BTreeMap::new();
        for (known, at) in now.chain(to_come(customer, told_in(history))) {
            from.entry(known).or_insert(at);
        }
        Known { members: customer.members().collect(), from }
    }

    /// All of it.
    pub(super) fn identifiers(&self) -> impl Iterator<Item = IdentifierKey> {
        self.from.keys().copied()
    }

    /// From when on they are known by an identifier, if ever. It leads best to whoever is so first.
    fn from(&self, identifier: &IdentifierKey) -> Option<Timestamp> {
        self.from.get(identifier).copied()
    }

    /// Which member is known by an identifier at an instant, or will be, and the event that says so.
    fn holder(
        &self,
        history: &[Event],
        identifier: IdentifierKey,
        now: Timestamp,
        definitions: &Definitions,
    ) -> Option<(CustomerId, EventId)> {
        let says_so = |event: &&Event| match &event.body {
            EventBody::Fact(fact) => proves(fact) == Some(identifier),
            EventBody::Decision(decision) => attached(&decision.deed) == Some(identifier),
            EventBody::Unrecognised { .. } => false,
        };
        self.members.iter().find_map(|member| {
            let mut telling = history.iter().filter(|event| event.customer == *member).filter(says_so);
            let then = |event: &Event| alone(history, *member, now.max(event.at), definitions);
            let event = telling.find(|event| then(event).identifiers().any(|own| *own == identifier))?;
            Some((*member, event.id))
        })
    }
}

/// Whom an identifier could lead to, and from when on they are known by it.
struct Heir {
    claim: Claim,
    from: Timestamp,
    /// Themself as they were when they were known by it.
    as_they_are: CustomerWrite,
}

impl Crm {
    /// Has what a plan says somebody is known by no more lead to them no more, but to whoever else is known by it; and
    /// what they come to be known by to them, unless it leads to somebody else by now. Costs two look-ups if there is
    /// such a thing and a read of whoever shares it, and nothing otherwise.
    pub(super) async fn lead_on(&self, plan: &mut Plan) -> Result<(), Error> {
        if !plan.leads_elsewhere() && plan.perhaps_owned.is_empty() {
            return Ok(());
        }
        self.lead_on_boxed(plan).await
    }

    /// Boxed here, so that it takes no room on the stack of all who write.
    fn lead_on_boxed<'a>(&'a self, plan: &'a mut Plan) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>> {
        Box::pin(async {
            self.keep_owned(plan).await?;
            self.lead_to_come(plan).await?;
            self.give_up(plan).await
        })
    }

    /// Nobody claims what is theirs already by what is still to come.
    async fn keep_owned(&self, plan: &mut Plan) -> Result<(), Error> {
        let perhaps = std::mem::take(&mut plan.perhaps_owned);
        if perhaps.is_empty() {
            return Ok(());
        }
        let owners = self.store().resolve(&self.tenant, &perhaps).await?.into_iter();
        let ours = owners.zip(perhaps).filter(|(owner, _)| owner.is_some_and(|own| plan.customer.is(own.customer)));
        let ours: Vec<ClaimKey> = ours.map(|(_, key)| key).collect();
        plan.claims.retain(|claim| !ours.contains(&claim.key));
        Ok(())
    }

    /// What waited and has come leads to its customer, as it does from when it was told unless that was given up since:
    /// then anybody may have come to it.
    pub(super) async fn lead_to_come(&self, plan: &mut Plan) -> Result<(), Error> {
        let come = std::mem::take(&mut plan.come);
        if come.is_empty() {
            return Ok(());
        }
        let keys: Vec<ClaimKey> = come.iter().map(|one| identifier_claim(&one.identifier)).collect();
        let owners = self.store().resolve(&self.tenant, &keys).await?;
        let mut sharers = Vec::new();
        for ((Come { identifier, customer, event }, key), owner) in come.into_iter().zip(keys).zip(owners) {
            match owner {
                None => plan.claims.push(Claim { key, customer, event }),
                Some(owner) if plan.customer.is(owner.customer) => {}
                Some(owner) => {
                    sharers.push(Sharer { identifier, customer, event });
                    plan.releases.push(Release { key: key.clone(), customer: owner.customer });
                    plan.claims.push(Claim { key, customer: owner.customer, event: owner.event });
                    plan.hold_still(self.as_they_are(owner.customer).await?);
                }
            }
        }
        plan.claims.extend(self.list_sharers(&sharers).await?);
        Ok(())
    }

    /// Gives up the claims of whichever member has them to whoever has them then. What the customer will be known by
    /// again they give up only to somebody who is known by it before.
    async fn give_up(&self, plan: &mut Plan) -> Result<(), Error> {
        let again: BTreeMap<IdentifierKey, Option<Timestamp>> =
            plan.disowned.drain(..).map(|one| (one.identifier, one.again_at)).collect();
        let members: Vec<CustomerId> = plan.customer.members().collect();
        let owned = self.claims_of(&members, &again.keys().copied().collect()).await?;
        let mut heirs = self.heirs_among(&members, &owned).await?;
        let mut sharers = Vec::new();
        for (identifier, release) in owned {
            let again_at = again.get(&identifier).copied().flatten();
            let heir = heirs.remove(&identifier);
            let heir = heir.filter(|heir| again_at.is_none_or(|again_at| heir.from < again_at));
            if again_at.is_some() && heir.is_some() {
                let owner = self.store().resolve(&self.tenant, std::slice::from_ref(&release.key)).await?;
                let owner = owner.into_iter().flatten().next();
                sharers.extend(owner.map(|ClaimOwner { customer, event }| Sharer { identifier, customer, event }));
            }
            if again_at.is_none() || heir.is_some() {
                plan.releases.push(release);
            }
            if let Some(Heir { claim, as_they_are, .. }) = heir {
                plan.claims.push(claim);
                plan.hold_still(Some(as_they_are));
            }
        }
        plan.claims.extend(self.list_sharers(&sharers).await?);
        Ok(())
    }

    /// Somebody gives up identifiers for good, all of those that are named: claims, which go to whoever else is known by
    /// them or will be, and places on lists.
    pub(super) async fn leave(
        &self,
        commit: &mut Commit,
        members: &[CustomerId],
        owned: Vec<(IdentifierKey, Release)>,
        identifiers: &BTreeSet<IdentifierKey>,
    ) -> Result<(), Error> {
        for Heir { claim, as_they_are, .. } in self.heirs_among(members, &owned).await?.into_values() {
            commit.claims.push(claim);
            add_as_they_are(&mut commit.writes, as_they_are);
        }
        commit.releases.extend(owned.into_iter().map(|(_, release)| release));
        self.leave_lists(commit, members, identifiers).await
    }

    /// Who is known by identifiers that somebody may give up, or will be, of those who share them.
    async fn heirs_among(
        &self,
        members: &[CustomerId],
        given_up: &[(IdentifierKey, Release)],
    ) -> Result<BTreeMap<IdentifierKey, Heir>, Error> {
        let mut heirs = BTreeMap::new();
        if given_up.is_empty() {
            return Ok(heirs);
        }
        let lists = self.sharers(&given_up.iter().map(|(identifier, _)| *identifier).collect()).await?;
        let others: BTreeSet<CustomerId> = lists.values().flatten().map(|there| there.customer).collect();
        let mut sides: Vec<(Known, Vec<Event>, Base, Arc<Definitions>)> = Vec::new();
        for other in others {
            if members.contains(&other) || sides.iter().any(|(known, ..)| known.members.contains(&other)) {
                continue;
            }
            let (base, definitions) = self.base(other).await?;
            let may_be = |customer: &Customer| {
                customer.waiting().next().is_some()
                    || customer.identifiers().any(|own| given_up.iter().any(|(known, _)| known == own))
            };
            let Some(base) = base.filter(|base| may_be(&base.customer)) else { continue };
            let history = self.whole_history(&base.customer).await?;
            sides.push((Known::of(&base.customer, &history), history, base, definitions));
        }
        let now = self.now();
        for (identifier, _) in given_up {
            let first = sides.iter().filter_map(|side| Some((side.0.from(identifier)?, side)));
            let Some((from, (known, history, base, definitions))) = first.min_by_key(|(from, _)| *from) else {
                continue;
            };
            if let Some((customer, event)) = known.holder(history, *identifier, now, definitions) {
                let claim = Claim { key: identifier_claim(identifier), customer, event };
                heirs.insert(*identifier, Heir { claim, from, as_they_are: as_they_are(base, definitions) });
            }
        }
        Ok(heirs)
    }

    /// Somebody as they are, if they are there.
    async fn as_they_are(&self, customer: CustomerId) -> Result<Option<CustomerWrite>, Error> {
        let (base, definitions) = self.base(customer).await?;
        Ok(base.map(|base| as_they_are(&base, &definitions)))
    }

    /// Has every identifier lead to a side that is known by it, or will be: it may have been told through one member while
    /// another one had it, who is not known by it any more. Whoever is known by one that leads to somebody else is on
    /// its list then.
    pub(super) async fn lead_to_sides(
        &self,
        commit: &mut Commit,
        sides: &[Known],
        history: &[Event],
        now: Timestamp,
        definitions: &Definitions,
    ) -> Result<(), Error> {
        let all: BTreeSet<IdentifierKey> = sides.iter().flat_map(Known::identifiers).collect();
        let keys: Vec<ClaimKey> = all.iter().map(identifier_claim).collect();
        let owners = self.store().resolve(&self.tenant, &keys).await?;
        let mut sharers = Vec::new();
        for ((identifier, key), owner) in all.into_iter().zip(keys).zip(owners) {
            let side_of = |customer: CustomerId| sides.iter().position(|side| side.members.contains(&customer));
            let best = sides.iter().filter_map(|side| side.from(&identifier)).min();
            let owners_side = owner.map(|owner| side_of(owner.customer));
            let knows = |side: usize| sides.get(side).is_some_and(|side| side.from(&identifier).is_some());
            if let Some(Some(own)) = owners_side
                && knows(own)
                && (0..sides.len()).all(|side| side == own || !knows(side))
            {
                // As nearly always: nobody shares it.
                continue;
            }
            let holders = sides.iter().map(|side| {
                let from = side.from(&identifier)?;
                let (customer, event) = side.holder(history, identifier, now, definitions)?;
                Some((from, Sharer { identifier, customer, event }))
            });
            let holders: Vec<Option<(Timestamp, Sharer)>> = holders.collect();
            let stays = match owner.zip(owners_side) {
                None => false,
                Some((_, Some(side))) => sides.get(side).and_then(|side| side.from(&identifier)) == best,
                Some((owner, None)) => {
                    // Somebody else came to it while it was voided by the other side: it is theirs unless they only will be
                    // known by it.
                    let Some(base) = self.base(owner.customer).await?.0 else { continue };
                    let theirs =
                        Known::of(&base.customer, &self.whole_history(&base.customer).await?).from(&identifier);
                    add_as_they_are(&mut commit.writes, as_they_are(&base, definitions));
                    theirs.is_none() || theirs <= best
                }
            };
            let first = holders.iter().flatten().find(|(from, _)| Some(*from) == best).map(|(_, sharer)| *sharer);
            let leads_to = match (owner, first) {
                (Some(owner), _) if stays => {
                    if side_of(owner.customer).is_none() {
                        // Given up and taken at once, so that it is refused if it is somebody else's by now.
                        commit.releases.push(Release { key: key.clone(), customer: owner.customer });
                        commit.claims.push(Claim { key, customer: owner.customer, event: owner.event });
                    }
                    owner.customer
                }
                (owner, Some(Sharer { customer, event, .. })) => {
                    commit.releases.extend(owner.map(|owner| Release { key: key.clone(), customer: owner.customer }));
                    commit.claims.push(Claim { key, customer, event });
                    let stranger = owner.filter(|owner| side_of(owner.customer).is_none());
                    sharers.extend(stranger.map(|ClaimOwner { customer, event }| Sharer {
                        identifier,
                        customer,
                        event,
                    }));
                    customer
                }
                (_, None) => continue,
            };
            let leads_to = side_of(leads_to);
            let others = holders.into_iter().enumerate().filter(|(side, _)| Some(*side) != leads_to);
            sharers.extend(others.filter_map(|(_, holder)| Some(holder?.1)));
        }
        commit.claims.extend(self.list_sharers(&sharers).await?);
        Ok(())
    }
}
