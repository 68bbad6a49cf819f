//! Whose event it is. The identifiers that came with it are taken from the strongest to the weakest. The
//! first that has an owner leads to them; each further one joins its owner, if the rules say that sharing it
//! makes one person and nothing speaks against it, such as that somebody parted the two. One that would fuse two people is set aside, with the
//! reason. What nobody answers for leads nowhere.
//!
//! The identifiers that nobody has yet count as a person of their own meanwhile: a new address together with
//! a tablet that belongs to somebody known is not that somebody, and a new customer number together with an
//! old address whose owner has another number of that system is somebody else.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::rules::{Agreement, Disagreement, IdentityRules};
use super::{HeldIdentifier, IdentifierKey, IdentifierKind, PersonSummary, Precedence, Presented, ScopeKey};
use crate::id::CustomerId;
use crate::time::Timestamp;

/// How many identifiers may come with one event.
pub const PRESENTED_MAX: usize = 32;

/// An identifier that came with an event, and what a look-up found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// As it was presented.
    pub presented: Presented,
    /// Its hash.
    pub key: IdentifierKey,
    /// The hash of who issued it.
    pub scope: Option<ScopeKey>,
    /// Whose it is; whoever was merged into somebody is that somebody here.
    pub owner: Option<CustomerId>,
}

/// Whose event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// Somebody new.
    New,
    /// Somebody who is there.
    Existing(CustomerId),
}

/// Why an identifier was set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Aside {
    /// Its value names nobody.
    Blocked,
    /// The person would have more of a kind than they may.
    Limit {
        /// Of which kind.
        kind: IdentifierKind,
        /// How many they may have.
        limit: u16,
        /// Whose identifiers would have come in addition; none for this one alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        with: Option<CustomerId>,
    },
    /// The person has another one of a kind of which one has one only.
    Disagrees {
        /// Of which kind.
        kind: IdentifierKind,
        /// Who has that other one; none if this one itself is it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        with: Option<CustomerId>,
    },
    /// It is somebody else's, and sharing it does not make one person of two.
    BelongsTo {
        /// Whose.
        customer: CustomerId,
    },
}

/// An identifier that was set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetAside {
    /// Which.
    pub key: IdentifierKey,
    /// Why.
    pub reason: Aside,
}

/// Somebody who is to be merged into whose event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Merge {
    /// Who.
    pub customer: CustomerId,
    /// The identifier that makes them one.
    pub by: IdentifierKey,
    /// The rule that says so.
    pub agreement: Agreement,
}

/// Somebody who may be the same person: for a human to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SuggestedMerge {
    /// Who.
    pub customer: CustomerId,
    /// The strongest identifier that speaks for it.
    pub by: IdentifierKey,
    /// What speaks against it.
    pub reason: Aside,
}

/// What follows from the identifiers of one event. Lists are in an order of their own and name each
/// identifier and customer once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// Whose event it is.
    pub whom: Whom,
    /// Who is one person with them.
    pub merge: Vec<Merge>,
    /// What they are known by from now on.
    pub attach: Vec<IdentifierKey>,
    /// What they stated: to be noted, and to lead to nobody.
    pub state_only: Vec<IdentifierKey>,
    /// What was not used.
    pub aside: Vec<SetAside>,
    /// Who may be one person with them.
    pub suggest: Vec<SuggestedMerge>,
}

/// Why nothing was resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// Too many identifiers at once.
    #[error("{count} identifiers with one event, more than {max}")]
    TooMany {
        /// How many there are.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// The owner of an identifier is not among the people given.
    #[error("no summary of {customer}")]
    NoSummary {
        /// Who.
        customer: CustomerId,
    },
}

/// Says whose event it is that came with these identifiers. Order does not matter, and a repetition says
/// nothing; one that is both verified and not is verified.
///
/// Cost: one pass over the identifiers; for each that leads to somebody, one over what they hold.
///
/// # Errors
///
/// `TooMany` for more than [`PRESENTED_MAX`], `NoSummary` if an owner is not among `people`.
pub fn resolve(
    found: &[Found],
    people: &[PersonSummary],
    rules: &IdentityRules,
    now: Timestamp,
) -> Result<Resolution, ResolveError> {
    if found.len() > PRESENTED_MAX {
        return Err(ResolveError::TooMany { count: found.len(), max: PRESENTED_MAX });
    }
    let people: BTreeMap<CustomerId, &PersonSummary> = people.iter().map(|person| (person.id, person)).collect();
    let mut person = Growing::new(rules, now);
    let mut state_only = Vec::new();
    for one in strongest_first(found, rules) {
        if rules.blocks(&one.presented.identifier) {
            person.set_aside(one.key, Aside::Blocked);
        } else if !one.presented.verified {
            state_only.push(one);
        } else if let Some(owner) = one.owner {
            let owner = people.get(&owner).ok_or(ResolveError::NoSummary { customer: owner })?;
            person.meet(one.key, owner);
        } else {
            person.take(HeldIdentifier { key: one.key, scope: one.scope, since: now });
        }
    }
    // What the person is known by anyway need not be noted as stated.
    let state_only = state_only.iter().filter(|one| !one.owner.is_some_and(|owner| person.is(owner)));
    let state_only = state_only.map(|one| one.key).collect();
    Ok(person.resolution(state_only))
}

/// What it means that two people share an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// They are one person, by the rule.
    One(Agreement),
    /// They are not.
    Apart {
        /// What speaks against it.
        reason: Aside,
        /// Whether a human is to be asked.
        suggest: bool,
    },
}

/// Says what it means that `person` turned out to have an identifier that leads to `other`.
#[must_use]
pub fn shared(
    person: &PersonSummary,
    other: &PersonSummary,
    by: IdentifierKey,
    rules: &IdentityRules,
    now: Timestamp,
) -> Shared {
    let mut growing = Growing::new(rules, now);
    growing.join(person, None);
    growing.meet(by, other);
    match growing.kept_apart.pop() {
        Some((_, aside, suggest)) => Shared::Apart { reason: aside.reason, suggest },
        None => Shared::One(rules.rule(by.kind).agreement),
    }
}

/// Each identifier once, the strongest first.
fn strongest_first<'a>(found: &'a [Found], rules: &IdentityRules) -> Vec<&'a Found> {
    let mut once: BTreeMap<IdentifierKey, &Found> = BTreeMap::new();
    for one in found {
        let place = once.entry(one.key).or_insert(one);
        *place = (*place).max(one);
    }
    let mut all: Vec<&Found> = once.into_values().collect();
    all.sort_by_key(|one| (std::cmp::Reverse(rules.rule(one.key.kind).priority), one.key));
    all
}

/// Whose event it is, as far as the identifiers looked at so far tell.
struct Growing<'a> {
    rules: &'a IdentityRules,
    now: Timestamp,
    /// Those who are one person, and the link that made each join; none for the first.
    members: BTreeMap<CustomerId, (Precedence, Option<(IdentifierKey, Agreement)>)>,
    /// All their ids, and those of whom somebody decided that they are somebody else.
    ids: BTreeSet<CustomerId>,
    not: BTreeSet<CustomerId>,
    /// What they hold together, and what is to be attached.
    held: Vec<HeldIdentifier>,
    attach: Vec<IdentifierKey>,
    aside: Vec<SetAside>,
    /// What was set aside because of its owner: nothing, if the owner joins after all by another one.
    kept_apart: Vec<(CustomerId, SetAside, bool)>,
}

impl<'a> Growing<'a> {
    fn new(rules: &'a IdentityRules, now: Timestamp) -> Self {
        Growing {
            rules,
            now,
            members: BTreeMap::new(),
            ids: BTreeSet::new(),
            not: BTreeSet::new(),
            held: Vec::new(),
            attach: Vec::new(),
            aside: Vec::new(),
            kept_apart: Vec::new(),
        }
    }

    fn is(&self, customer: CustomerId) -> bool {
        self.members.contains_key(&customer)
    }

    fn join(&mut self, person: &PersonSummary, link: Option<(IdentifierKey, Agreement)>) {
        self.members.insert(person.id, (person.precedence(), link));
        self.ids.extend(person.members.iter().copied());
        self.not.extend(person.not.iter().copied());
        self.held.extend_from_slice(&person.identifiers);
    }

    /// Whether somebody decided that one is somebody else.
    fn is_not(&self, person: &PersonSummary) -> bool {
        person.not.iter().any(|id| self.ids.contains(id)) || person.members.iter().any(|id| self.not.contains(id))
    }

    fn set_aside(&mut self, key: IdentifierKey, reason: Aside) {
        self.aside.push(SetAside { key, reason });
    }

    /// An identifier that nobody has.
    fn take(&mut self, new: HeldIdentifier) {
        match self.against(&[new], None) {
            Some(reason) => self.set_aside(new.key, reason),
            None => {
                self.attach.push(new.key);
                self.held.push(new);
            }
        }
    }

    /// An identifier that somebody has.
    fn meet(&mut self, by: IdentifierKey, owner: &PersonSummary) {
        if self.is(owner.id) {
            return;
        }
        let agreement = self.rules.rule(by.kind).agreement;
        let nobody_yet = self.held.is_empty() && self.members.is_empty();
        let one_is_anonymous = owner.is_anonymous() || !self.held.iter().any(|held| held.key.kind.names_person());
        let (makes_one, suggests) = match agreement {
            Agreement::Merges => (true, true),
            Agreement::MergesAnonymous => (one_is_anonymous, false),
            Agreement::Suggests => (false, true),
            Agreement::Supports => (false, false),
        };
        let somebody_else = self.is_not(owner);
        let against = match self.against(&owner.identifiers, Some(owner.id)) {
            Some(against) if !nobody_yet => Some(against),
            Some(_) | None if (makes_one || nobody_yet) && !somebody_else => None,
            Some(_) | None => Some(Aside::BelongsTo { customer: owner.id }),
        };
        match against {
            None => {
                let link = (!self.members.is_empty()).then_some((by, agreement));
                self.join(owner, link);
            }
            Some(reason) => self.kept_apart.push((owner.id, SetAside { key: by, reason }, suggests && !somebody_else)),
        }
    }

    /// What speaks against it that these identifiers are the person's too: a contradiction, or too many.
    fn against(&self, others: &[HeldIdentifier], with: Option<CustomerId>) -> Option<Aside> {
        let kinds: BTreeSet<IdentifierKind> = others.iter().map(|other| other.key.kind).collect();
        for &kind in &kinds {
            let of_kind = |all: &[HeldIdentifier]| -> Vec<HeldIdentifier> {
                all.iter().filter(|held| held.key.kind == kind).copied().collect()
            };
            let (mine, theirs) = (of_kind(&self.held), of_kind(others));
            let rule = self.rules.rule(kind);
            if rule.disagreement == Disagreement::Blocks && contradict(&mine, &theirs) {
                return Some(Aside::Disagrees { kind, with });
            }
            let Some(limit) = rule.limit else { continue };
            let since = limit.within.map(|span| self.now.minus(span));
            let too_many = |scope: Option<ScopeKey>| {
                let counted = |all: &[HeldIdentifier]| -> BTreeSet<IdentifierKey> {
                    let counts = |held: &&HeldIdentifier| held.scope == scope && since.is_none_or(|t| held.since > t);
                    all.iter().filter(counts).map(|held| held.key).collect()
                };
                let (mine, theirs) = (counted(&mine), counted(&theirs));
                let both = mine.union(&theirs).count();
                // Whoever had more before the limit was lowered keeps them, and gets no further one.
                both > usize::from(limit.count).max(mine.len()).max(if with.is_some() { theirs.len() } else { 0 })
            };
            if theirs.iter().map(|held| held.scope).collect::<BTreeSet<_>>().into_iter().any(too_many) {
                return Some(Aside::Limit { kind, limit: limit.count, with });
            }
        }
        None
    }

    fn resolution(mut self, state_only: Vec<IdentifierKey>) -> Resolution {
        let survivor = self.members.iter().map(|(id, (precedence, _))| (*precedence, *id)).min().map(|(_, id)| id);
        // The one that all others joined has no link of its own. If another one survives, what made that
        // one join is what makes the two one.
        let survivors_link = survivor.and_then(|id| self.members.get(&id)).and_then(|(_, link)| *link);
        let merge = self
            .members
            .iter()
            .filter(|(id, _)| Some(**id) != survivor)
            .filter_map(|(&customer, (_, link))| {
                let (by, agreement) = link.or(survivors_link)?;
                Some(Merge { customer, by, agreement })
            })
            .collect();
        let mut suggest: BTreeMap<CustomerId, SuggestedMerge> = BTreeMap::new();
        for (customer, aside, suggests) in std::mem::take(&mut self.kept_apart) {
            if self.is(customer) {
                continue;
            }
            self.aside.push(aside);
            if suggests {
                let new = SuggestedMerge { customer, by: aside.key, reason: aside.reason };
                suggest.entry(customer).or_insert(new);
            }
        }
        self.aside.sort_unstable();
        Resolution {
            whom: survivor.map_or(Whom::New, Whom::Existing),
            merge,
            attach: self.attach,
            state_only,
            aside: self.aside,
            suggest: suggest.into_values().collect(),
        }
    }
}

/// Whether two people both have identifiers of one kind and one issuer, and share none of them. One whose
/// issuer was not kept may be anybody's: it contradicts unless something of the kind is shared at all.
fn contradict(mine: &[HeldIdentifier], theirs: &[HeldIdentifier]) -> bool {
    let share = |same: &dyn Fn(&HeldIdentifier) -> bool| {
        mine.iter().filter(|a| same(a)).any(|a| theirs.iter().any(|b| a.key == b.key))
    };
    mine.iter().any(|a| {
        theirs.iter().any(|b| match (a.scope, b.scope) {
            (Some(one), Some(other)) => one == other && !share(&|held| held.scope == Some(one) || held.scope.is_none()),
            (None, _) | (_, None) => !share(&|_| true),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TenantId;
    use crate::identity::{ExternalSystem, Identifier, KindRule, LookupKey};
    use crate::time::Span;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_millis(day * 86_400_000).unwrap()
    }

    fn email(name: &str) -> Presented {
        Identifier::email(&format!("{name}@example.com")).unwrap().into()
    }

    fn phone(n: u8) -> Presented {
        Identifier::phone(&format!("+49301234{n:03}")).unwrap().into()
    }

    fn device(name: &str) -> Presented {
        Identifier::device(name).unwrap().into()
    }

    fn erp(number: &str) -> Presented {
        Identifier::external(&ExternalSystem::new("erp").unwrap(), number).unwrap().into()
    }

    /// A world of owners, by what they hold.
    #[derive(Default)]
    struct World {
        people: Vec<PersonSummary>,
        rules: IdentityRules,
    }

    impl World {
        fn found(presented: &Presented) -> Found {
            let (key, tenant) = (LookupKey::public(), TenantId::default());
            let hash = key.hash(&tenant, &presented.identifier);
            let scope = key.scope(&tenant, &presented.identifier);
            Found { presented: presented.clone(), key: hash, scope, owner: None }
        }

        fn person(&mut self, holds: &[Presented]) -> CustomerId {
            let id = CustomerId::new(at(self.people.len() as i64), [0; 10]);
            let held = |presented: &Presented| {
                let found = Self::found(presented);
                HeldIdentifier { key: found.key, scope: found.scope, since: at(0) }
            };
            self.people.push(PersonSummary::new(id, holds.iter().map(held).collect()));
            id
        }

        fn resolve(&self, presented: &[Presented]) -> Resolution {
            let look_up = |presented: &Presented| {
                let mut found = Self::found(presented);
                let has = |person: &&PersonSummary| person.identifiers.iter().any(|held| held.key == found.key);
                found.owner = self.people.iter().find(has).map(|person| person.id);
                found
            };
            let found: Vec<Found> = presented.iter().map(look_up).collect();
            resolve(&found, &self.people, &self.rules, at(100)).unwrap()
        }
    }

    fn key(presented: &Presented) -> IdentifierKey {
        World::found(presented).key
    }

    #[test]
    fn nobody_known_is_somebody_new_with_all_identifiers() {
        let resolved = World::default().resolve(&[email("ana"), phone(1)]);
        assert_eq!(resolved.whom, Whom::New);
        assert_eq!(resolved.attach, [key(&email("ana")), key(&phone(1))]);
        assert!(resolved.aside.is_empty() && resolved.merge.is_empty());
    }

    #[test]
    fn one_match_attaches_the_rest() {
        let mut world = World::default();
        let ana = world.person(&[email("ana")]);
        let resolved = world.resolve(&[phone(1), email("ana"), device("d")]);
        assert_eq!(resolved.whom, Whom::Existing(ana));
        assert_eq!(resolved.attach, [key(&phone(1)), key(&device("d"))]);
    }

    #[test]
    fn two_who_share_nothing_contrary_are_merged_into_the_older() {
        let mut world = World::default();
        let (by_phone, by_email) = (world.person(&[phone(1)]), world.person(&[email("ana")]));
        let resolved = world.resolve(&[email("ana"), phone(1)]);
        assert_eq!(resolved.whom, Whom::Existing(by_phone));
        let merge = Merge { customer: by_email, by: key(&phone(1)), agreement: Agreement::Merges };
        assert_eq!(resolved.merge, [merge]);
    }

    #[test]
    fn an_anonymous_visitor_becomes_the_known_customer_and_two_known_on_one_tablet_stay_two() {
        let mut world = World::default();
        let visitor = world.person(&[device("d")]);
        let ana = world.person(&[email("ana")]);
        let bob = world.person(&[email("bob"), device("tablet")]);
        let resolved = world.resolve(&[email("ana"), device("d")]);
        assert_eq!((resolved.whom, resolved.merge[0].customer), (Whom::Existing(ana), visitor));
        let resolved = world.resolve(&[email("ana"), device("tablet")]);
        assert_eq!(resolved.whom, Whom::Existing(ana));
        let aside = SetAside { key: key(&device("tablet")), reason: Aside::BelongsTo { customer: bob } };
        assert_eq!((resolved.aside.as_slice(), resolved.suggest.as_slice()), ([aside].as_slice(), [].as_slice()));
        // Nor does somebody new with a name become whoever the tablet belongs to.
        let resolved = world.resolve(&[email("eve"), device("tablet")]);
        assert_eq!((resolved.whom, resolved.attach.as_slice()), (Whom::New, [key(&email("eve"))].as_slice()));
    }

    #[test]
    fn other_numbers_of_one_system_are_never_merged_and_a_human_is_asked() {
        let mut world = World::default();
        let one = world.person(&[erp("1"), email("family")]);
        let two = world.person(&[erp("2")]);
        let resolved = world.resolve(&[erp("2"), email("family")]);
        assert_eq!(resolved.whom, Whom::Existing(two));
        let reason = Aside::Disagrees { kind: IdentifierKind::External, with: Some(one) };
        assert_eq!(resolved.aside, [SetAside { key: key(&email("family")), reason }]);
        assert_eq!(resolved.suggest, [SuggestedMerge { customer: one, by: key(&email("family")), reason }]);
        // The same for a number that is new.
        let resolved = world.resolve(&[erp("3"), email("family")]);
        assert_eq!((resolved.whom, resolved.attach.as_slice()), (Whom::New, [key(&erp("3"))].as_slice()));
        // Numbers of different systems go together.
        let web = Identifier::external(&ExternalSystem::new("web").unwrap(), "9").unwrap().into();
        assert_eq!(world.resolve(&[web, email("family")]).whom, Whom::Existing(one));
    }

    #[test]
    fn a_key_whose_system_was_not_kept_contradicts_every_other() {
        let mut world = World::default();
        let old = world.person(&[erp("1"), email("ana")]);
        world.people[0].identifiers[0].scope = None;
        let resolved = world.resolve(&[erp("2"), email("ana")]);
        assert_eq!(resolved.whom, Whom::New);
        assert_eq!(world.resolve(&[erp("1"), email("ana")]).whom, Whom::Existing(old));
    }

    #[test]
    fn one_too_many_is_set_aside_and_too_many_together_stay_two() {
        let mut world = World::default();
        let five: Vec<Presented> = (0..5).map(phone).chain([email("ana")]).collect();
        let ana = world.person(&five);
        let resolved = world.resolve(&[email("ana"), phone(9)]);
        let reason = Aside::Limit { kind: IdentifierKind::Phone, limit: 5, with: None };
        assert_eq!(resolved.aside, [SetAside { key: key(&phone(9)), reason }]);
        let bob = world.person(&[email("bob"), phone(8)]);
        let resolved = world.resolve(&[email("ana"), email("bob")]);
        assert!(resolved.merge.is_empty());
        assert_eq!(resolved.suggest.len(), 1);
        assert!([Whom::Existing(ana), Whom::Existing(bob)].contains(&resolved.whom));
    }

    #[test]
    fn a_limit_per_period_counts_what_is_new() {
        let mut world = World::default();
        let rule = KindRule {
            limit: Some(super::super::Limit { count: 1, within: Some(Span::days(7)) }),
            ..KindRule::default_of(IdentifierKind::Device)
        };
        world.rules = IdentityRules::default().with(IdentifierKind::Device, rule);
        world.person(&[email("ana"), device("old")]);
        let resolved = world.resolve(&[email("ana"), device("x"), device("y")]);
        assert_eq!((resolved.attach.len(), resolved.aside.len()), (1, 1));
    }

    #[test]
    fn sharing_a_phone_only_suggests_where_the_shop_says_so() {
        let mut world = World::default();
        let rule = KindRule { agreement: Agreement::Suggests, ..KindRule::default_of(IdentifierKind::Phone) };
        world.rules = IdentityRules::default().with(IdentifierKind::Phone, rule);
        let mother = world.person(&[email("mother"), phone(1)]);
        let resolved = world.resolve(&[email("son"), phone(1)]);
        assert_eq!(resolved.whom, Whom::New);
        assert_eq!(resolved.suggest[0].customer, mother);
        // By itself it is a look-up and still finds her.
        assert_eq!(world.resolve(&[phone(1)]).whom, Whom::Existing(mother));
    }

    #[test]
    fn what_nobody_answers_for_leads_to_nobody() {
        let mut world = World::default();
        let ana = world.person(&[email("ana"), phone(1)]);
        let stated = email("ana").identifier.unverified();
        let resolved = world.resolve(std::slice::from_ref(&stated));
        assert_eq!((resolved.whom, resolved.attach.len()), (Whom::New, 0));
        assert_eq!(resolved.state_only, [key(&stated)]);
        // Beside one that leads to its owner, it is known already.
        let resolved = world.resolve(&[stated, phone(1)]);
        assert_eq!((resolved.whom, resolved.state_only.len()), (Whom::Existing(ana), 0));
    }

    #[test]
    fn a_value_that_names_nobody_is_never_looked_at() {
        let mut world = World::default();
        world.person(&[erp("null")]);
        let resolved = world.resolve(&[erp("null"), erp("NULL").identifier.unverified()]);
        assert_eq!(resolved.whom, Whom::New);
        assert!(resolved.aside.iter().all(|aside| aside.reason == Aside::Blocked) && resolved.aside.len() == 2);
        assert!(resolved.state_only.is_empty());
    }

    #[test]
    fn too_many_at_once_and_an_owner_nobody_described_are_errors() {
        let many: Vec<Found> = (0..33).map(|n| World::found(&phone(n))).collect();
        let rules = IdentityRules::default();
        assert_eq!(resolve(&many, &[], &rules, at(0)), Err(ResolveError::TooMany { count: 33, max: 32 }));
        let customer = CustomerId::new(at(1), [0; 10]);
        let lost = Found { owner: Some(customer), ..World::found(&phone(1)) };
        assert_eq!(resolve(&[lost], &[], &rules, at(0)), Err(ResolveError::NoSummary { customer }));
    }
}
