//! To whom an identifier leads: to somebody who is known by it, or will be; to nobody once nobody is.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;

use crm_core::customer::Customer;
use crm_core::event::{Deed, Event, EventBody};
use crm_core::identity::IdentifierKey;
use crm_core::{CustomerId, Definitions, EventId, Timestamp};
use crm_storage::{Claim, ClaimKey, Commit, Release};

use super::Crm;
use crate::error::Error;
use crate::plan::{Plan, identifier_claim, proves, to_come, told_in};

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

/// Everybody from whom somebody was ever parted.
fn parted_from(history: &[Event]) -> BTreeSet<CustomerId> {
    let parted = history.iter().filter_map(|event| match &event.body {
        EventBody::Decision(decision) => {
            if let Deed::Parted(parted) = &decision.deed {
                Some(&parted.from)
            } else {
                None
            }
        }
        EventBody::Fact(_) | EventBody::Unrecognised { .. } => None,
    });
    parted.flatten().copied().collect()
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
}

impl Crm {
    /// Has what a plan says somebody is known by no more lead to them no more, but to whoever else is known by it. Costs a
    /// look-up and a read of the history if there is such a thing, and nothing otherwise.
    pub(super) async fn lead_on(&self, plan: &mut Plan) -> Result<(), Error> {
        if plan.disowned.is_empty() && plan.perhaps_owned.is_empty() {
            return Ok(());
        }
        self.lead_on_boxed(plan).await
    }

    /// Boxed here, so that it takes no room on the stack of all who write.
    fn lead_on_boxed<'a>(&'a self, plan: &'a mut Plan) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>> {
        Box::pin(async {
            self.keep_owned(plan).await?;
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

    /// Gives up the claims of whichever member has them to whoever has them then. What the customer will be known by
    /// again they give up only to somebody who is known by it before.
    async fn give_up(&self, plan: &mut Plan) -> Result<(), Error> {
        let again: BTreeMap<IdentifierKey, Option<Timestamp>> =
            plan.disowned.drain(..).map(|one| (one.identifier, one.again_at)).collect();
        let members: Vec<CustomerId> = plan.customer.members().collect();
        let owned = self.claims_of(&members, &again.keys().copied().collect()).await?;
        if owned.is_empty() {
            return Ok(());
        }
        let heirs = self.heirs_among(&self.whole_history(&plan.customer).await?, &members, &owned).await?;
        for (identifier, release) in owned {
            let again_at = again.get(&identifier).copied().flatten();
            let heir = heirs.iter().find(|heir| heir.claim.key == release.key);
            let heir = heir.filter(|heir| again_at.is_none_or(|again_at| heir.from < again_at));
            if again_at.is_none() || heir.is_some() {
                plan.releases.push(release);
                plan.claims.extend(heir.map(|heir| heir.claim.clone()));
            }
        }
        Ok(())
    }

    /// Claims by which identifiers that somebody gives up lead to those who are known by them too, or will be.
    pub(super) async fn heirs_of(
        &self,
        history: &[Event],
        members: &[CustomerId],
        given_up: &[(IdentifierKey, Release)],
    ) -> Result<Vec<Claim>, Error> {
        let heirs = self.heirs_among(history, members, given_up).await?;
        Ok(heirs.into_iter().map(|heir| heir.claim).collect())
    }

    /// Who is known by identifiers that somebody may give up, or will be: when somebody is parted, both sides may be known
    /// by one identifier, which leads to one of them.
    async fn heirs_among(
        &self,
        history: &[Event],
        members: &[CustomerId],
        given_up: &[(IdentifierKey, Release)],
    ) -> Result<Vec<Heir>, Error> {
        let mut sides = Vec::new();
        let others = if given_up.is_empty() { BTreeSet::new() } else { parted_from(history) };
        for other in others.into_iter().filter(|other| !members.contains(other)) {
            let (base, definitions) = self.base(other).await?;
            let may_be = |customer: &Customer| {
                customer.waiting().next().is_some()
                    || customer.identifiers().any(|own| given_up.iter().any(|(known, _)| known == own))
            };
            let Some(base) = base.filter(|base| may_be(&base.customer)) else { continue };
            let history = self.whole_history(&base.customer).await?;
            sides.push((Known::of(&base.customer, &history), history, definitions));
        }
        let now = self.now();
        let mut heirs = Vec::new();
        for (identifier, _) in given_up {
            let first = sides.iter().filter_map(|side| Some((side.0.from(identifier)?, side)));
            let Some((from, (known, history, definitions))) = first.min_by_key(|(from, _)| *from) else { continue };
            if let Some((customer, event)) = known.holder(history, *identifier, now, definitions) {
                let claim = Claim { key: identifier_claim(identifier), customer, event };
                heirs.push(Heir { claim, from });
            }
        }
        Ok(heirs)
    }

    /// From when on somebody is known by an identifier, if ever.
    async fn known_from(&self, owner: CustomerId, identifier: &IdentifierKey) -> Result<Option<Timestamp>, Error> {
        let Some(base) = self.base(owner).await?.0 else { return Ok(None) };
        Ok(Known::of(&base.customer, &self.whole_history(&base.customer).await?).from(identifier))
    }

    /// Has every identifier lead to a side that is known by it, or will be: it may have been told through one member while
    /// another one had it, who is not known by it any more.
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
        for ((identifier, key), owner) in all.into_iter().zip(keys).zip(owners) {
            let owner = owner.map(|owner| owner.customer);
            let leads = sides.iter().find(|side| owner.is_some_and(|owner| side.members.contains(&owner)));
            let best = sides.iter().filter_map(|side| side.from(&identifier)).min();
            if leads.is_some_and(|side| side.from(&identifier) == best) {
                continue;
            }
            if let (Some(owner), None) = (owner, leads) {
                // Somebody else came to it while it was voided by the other side: it is theirs unless they only will be
                // known by it.
                let theirs = self.known_from(owner, &identifier).await?;
                if theirs.is_none() || theirs <= best {
                    continue;
                }
            }
            let first = sides.iter().filter(|side| side.from(&identifier) == best);
            let holder = first.filter_map(|side| side.holder(history, identifier, now, definitions)).next();
            let Some((customer, event)) = holder else { continue };
            commit.releases.extend(owner.map(|owner| Release { key: key.clone(), customer: owner }));
            commit.claims.push(Claim { key, customer, event });
        }
        Ok(())
    }
}
