//! Who else is known by an identifier than whoever it leads to, so that it leads on when they give it up.
//!
//! A claim has one owner, and a fact that says the same of somebody else is refused. Parting still leaves two who are
//! known by one identifier, or one who is while a third has come to it; and one who is to be known by what waits may be
//! when somebody else has come to it. Whoever is left so takes a place on the identifier's list, as those do who merely
//! stated one: numbered claims under a kind of their own, with no gaps, so that a list ends at its first free place. Who
//! is on it may be known by the identifier no more; that is asked when it is given up, which is the only time when
//! anybody reads the list.
//!
//! Nobody may take a place while the owner gives up, and no heir may give up what they are just getting: so the commit
//! also writes the other one, as they were, and whichever of two comes second is refused and planned again.

use std::collections::{BTreeMap, BTreeSet};

use crm_core::identity::IdentifierKey;
use crm_core::{CustomerId, Definitions, EventId, SmolStr};
use crm_storage::{Claim, ClaimKey, ClaimOwner, Commit, CustomerWrite, Release, StateRow};

use super::identify::stated_claims;
use super::{Base, Crm};
use crate::error::Error;
use crate::plan::traits;

/// How many places of a list are looked up at once.
const AT_ONCE: usize = 32;

/// The kinds of the keys under which they are listed begin so.
const SHARED: &str = "shared_";

/// Somebody who is known by an identifier that leads to somebody else, and the event that says so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sharer {
    pub(super) identifier: IdentifierKey,
    pub(super) customer: CustomerId,
    pub(super) event: EventId,
}

/// A place on the list of those who share an identifier.
fn place(identifier: &IdentifierKey, place: usize) -> ClaimKey {
    let kind = SmolStr::new(format!("{SHARED}{}", identifier.kind.name()));
    ClaimKey { kind, key: [&identifier.hash[..], &(place as u32).to_be_bytes()].concat() }
}

/// The list that a place is on, if it is one of this kind.
pub(super) fn list_of_place(key: &ClaimKey, identifiers: &BTreeSet<IdentifierKey>) -> Option<IdentifierKey> {
    let kind = key.kind.strip_prefix(SHARED)?;
    let (hash, _number) = key.key.split_last_chunk::<4>()?;
    identifiers.iter().find(|one| one.kind.name() == kind && one.hash == *hash).copied()
}

/// A customer as they are, for the version to rise.
pub(super) fn as_they_are(base: &Base, definitions: &Definitions) -> CustomerWrite {
    let state = StateRow { shape: crm_core::customer::STATE_SHAPE, bytes: base.customer.encode() };
    let mut write = CustomerWrite::new(base.customer.id(), base.expected, state);
    write.traits = traits(&base.customer, definitions);
    write
}

/// Adds a write of somebody as they are, unless they are written already.
pub(super) fn add_as_they_are(writes: &mut Vec<CustomerWrite>, more: CustomerWrite) {
    if writes.iter().all(|write| write.customer != more.customer) {
        writes.push(more);
    }
}

/// Adds what is written for one more customer, who takes the place of themself as they were.
pub(super) fn add_write(writes: &mut Vec<CustomerWrite>, more: CustomerWrite) {
    let idle = |write: &CustomerWrite| write.events.is_empty() && write.changes.is_empty() && write.alarm.is_none();
    match writes.iter_mut().find(|write| write.customer == more.customer) {
        Some(_) if idle(&more) => {}
        Some(there) if idle(there) => *there = more,
        Some(_) | None => writes.push(more),
    }
}

impl Crm {
    /// Who is on the list of each identifier, in the order of their places. Costs one look-up for all, and another one
    /// for every 32 who are on the longest.
    pub(super) async fn sharers(
        &self,
        identifiers: &BTreeSet<IdentifierKey>,
    ) -> Result<BTreeMap<IdentifierKey, Vec<ClaimOwner>>, Error> {
        let mut lists: BTreeMap<IdentifierKey, Vec<ClaimOwner>> = BTreeMap::new();
        let mut open: Vec<IdentifierKey> = identifiers.iter().copied().collect();
        for from in (0..).step_by(AT_ONCE) {
            if open.is_empty() {
                break;
            }
            let places = |one| (from..from + AT_ONCE).map(move |number| place(one, number));
            let keys: Vec<ClaimKey> = open.iter().flat_map(places).collect();
            let owners = self.store().resolve(&self.tenant, &keys).await?;
            let mut pages = owners.chunks(AT_ONCE);
            open.retain(|one| {
                let page: Vec<ClaimOwner> = pages.next().unwrap_or_default().iter().map_while(|owner| *owner).collect();
                let is_full = page.len() == AT_ONCE;
                lists.entry(*one).or_default().extend(page);
                is_full
            });
        }
        Ok(lists)
    }

    /// Claims by which some are on the lists, each of them who is not yet.
    pub(super) async fn list_sharers(&self, more: &[Sharer]) -> Result<Vec<Claim>, Error> {
        let identifiers = more.iter().map(|one| one.identifier).collect();
        let mut lists = self.sharers(&identifiers).await?;
        let mut claims = Vec::new();
        for Sharer { identifier, customer, event } in more.iter().copied() {
            let list = lists.entry(identifier).or_default();
            if list.iter().all(|there| there.customer != customer) {
                claims.push(Claim { key: place(&identifier, list.len()), customer, event });
                list.push(ClaimOwner { customer, event });
            }
        }
        Ok(claims)
    }

    /// The places of some customers on these lists.
    pub(super) async fn shared_places(
        &self,
        customers: &[CustomerId],
        identifiers: &BTreeSet<IdentifierKey>,
    ) -> Result<Vec<Claim>, Error> {
        let mut places = Vec::new();
        for (identifier, list) in self.sharers(identifiers).await? {
            let ours = list.into_iter().enumerate().filter(|(_, there)| customers.contains(&there.customer));
            let claim =
                |(number, ClaimOwner { customer, event })| Claim { key: place(&identifier, number), customer, event };
            places.extend(ours.map(claim));
        }
        Ok(places)
    }

    /// Takes some customers off the lists of identifiers: of those who stated one and of those who share one. On the
    /// latter the others move up.
    pub(super) async fn leave_lists(
        &self,
        commit: &mut Commit,
        members: &[CustomerId],
        identifiers: &BTreeSet<IdentifierKey>,
    ) -> Result<(), Error> {
        let keys: Vec<ClaimKey> = identifiers.iter().flat_map(stated_claims).collect();
        let owners = self.store().resolve(&self.tenant, &keys).await?;
        let owned = keys.into_iter().zip(owners).filter_map(|(key, owner)| Some((key, owner?.customer)));
        let ours = owned.filter(|(_, customer)| members.contains(customer));
        commit.releases.extend(ours.map(|(key, customer)| Release { key, customer }));
        for (identifier, list) in self.sharers(identifiers).await? {
            let left: Vec<ClaimOwner> = list.iter().filter(|one| !members.contains(&one.customer)).copied().collect();
            for (number, there) in list.iter().enumerate() {
                let next = left.get(number);
                if next == Some(there) {
                    continue;
                }
                let key = place(&identifier, number);
                let claim = |next: &ClaimOwner| Claim { key: key.clone(), customer: next.customer, event: next.event };
                commit.claims.extend(next.map(claim));
                commit.releases.push(Release { key, customer: there.customer });
            }
        }
        Ok(())
    }
}
