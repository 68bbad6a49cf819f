//! Laws of who is who, over small worlds: whatever is presented, in whatever order.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::collections::{BTreeMap, BTreeSet};

use crm_core::identity::{
    Agreement, Aside, Disagreement, ExternalSystem, Found, HeldIdentifier, Identifier, IdentifierKey, IdentifierKind,
    IdentityRules, KindRule, Limit, LookupKey, PersonSummary, Presented, Resolution, Whom, resolve, survivor,
};
use crm_core::{CustomerId, Span, TenantId, Timestamp};
use proptest::prelude::*;

fn day(n: usize) -> Timestamp {
    Timestamp::from_millis(n as i64 * 86_400_000).unwrap()
}

/// Few values of few kinds, so that they meet; one of each kind names nobody.
fn presented() -> impl Strategy<Value = Presented> {
    (0..6_u8, 0..4_u8, 0..4_u8).prop_map(|(kind, value, verified)| {
        let erp = ExternalSystem::new("erp").unwrap();
        let web = ExternalSystem::new("web").unwrap();
        let text = if value == 0 { "null".to_owned() } else { format!("v{value}") };
        let identifier = match kind {
            0 => Identifier::email(&format!("{text}@example.com")),
            1 => Identifier::phone(if value == 0 { "+1111111111" } else { &"+4930901820"[..8 + usize::from(value)] }),
            2 => Identifier::card(&text),
            3 => Identifier::device(&text),
            4 => Identifier::external(&erp, &text),
            _ => Identifier::external(&web, &text),
        };
        Presented { identifier: identifier.unwrap(), verified: verified > 0 }
    })
}

fn rules() -> impl Strategy<Value = IdentityRules> {
    let agreement = prop_oneof![
        Just(Agreement::Merges),
        Just(Agreement::MergesAnonymous),
        Just(Agreement::Suggests),
        Just(Agreement::Supports)
    ];
    let disagreement = prop_oneof![Just(Disagreement::Blocks), Just(Disagreement::Ignored)];
    let limit = proptest::option::of((1..4_u16, proptest::option::of(1..5_u32)));
    let rule = (0..4_u16, limit, agreement, disagreement);
    proptest::collection::vec((0..8_usize, rule), 0..6).prop_map(|rules| {
        rules.into_iter().fold(IdentityRules::default(), |all, (kind, (priority, limit, agreement, disagreement))| {
            let kind = IdentifierKind::ALL[kind];
            let limit = limit.map(|(count, days)| Limit { count, within: days.map(Span::days) });
            all.with(kind, KindRule { priority, limit, agreement, disagreement, ..KindRule::default_of(kind) })
        })
    })
}

fn key(presented: &Presented) -> IdentifierKey {
    LookupKey::public().hash(&TenantId::default(), &presented.identifier)
}

/// Who holds what. What somebody stated is noted beside it.
#[derive(Debug, Clone, Default)]
struct World {
    people: BTreeMap<CustomerId, PersonSummary>,
    created: usize,
}

impl World {
    fn owner(&self, key: IdentifierKey) -> Option<CustomerId> {
        self.people.values().find(|person| person.identifiers.iter().any(|held| held.key == key)).map(|owner| owner.id)
    }

    fn found(&self, presented: &[Presented]) -> Vec<Found> {
        let scope = |presented: &Presented| LookupKey::public().scope(&TenantId::default(), &presented.identifier);
        presented
            .iter()
            .map(|presented| Found {
                presented: presented.clone(),
                key: key(presented),
                scope: scope(presented),
                owner: self.owner(key(presented)),
            })
            .collect()
    }

    fn resolve(&self, presented: &[Presented], rules: &IdentityRules, now: Timestamp) -> Resolution {
        let people: Vec<PersonSummary> = self.people.values().cloned().collect();
        resolve(&self.found(presented), &people, rules, now).unwrap()
    }

    /// What the engine does with the answer.
    fn apply(&mut self, presented: &[Presented], resolution: &Resolution, now: Timestamp) -> CustomerId {
        let whom = match resolution.whom {
            Whom::Existing(whom) => whom,
            Whom::New => {
                self.created += 1;
                let id = CustomerId::new(day(self.created), [0; 10]);
                self.people.insert(id, PersonSummary::new(id, Vec::new()));
                id
            }
        };
        let mut new: Vec<HeldIdentifier> = Vec::new();
        for merge in &resolution.merge {
            new.extend(self.people.remove(&merge.customer).unwrap().identifiers);
        }
        let attached = self.found(presented).into_iter().filter(|found| resolution.attach.contains(&found.key));
        new.extend(attached.map(|found| HeldIdentifier { key: found.key, scope: found.scope, since: now }));
        let held = &mut self.people.get_mut(&whom).unwrap().identifiers;
        held.extend(new);
        held.sort_unstable();
        held.dedup_by_key(|held| held.key);
        whom
    }
}

fn history() -> impl Strategy<Value = Vec<Vec<Presented>>> {
    proptest::collection::vec(proptest::collection::vec(presented(), 0..5), 1..10)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("CRM_SOAK").is_some() { 20_000 } else { 2_000 }))]

    /// The answer depends on what is presented and not on the order.
    #[test]
    fn order_does_not_matter(
        past in history(),
        now in proptest::collection::vec(presented(), 0..7).prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        rules in rules(),
    ) {
        let mut world = World::default();
        for (n, presented) in past.iter().enumerate() {
            let resolution = world.resolve(presented, &rules, day(n));
            world.apply(presented, &resolution, day(n));
        }
        let (one, other) = &now;
        let answer = world.resolve(one, &rules, day(20));
        prop_assert_eq!(&answer, &world.resolve(other, &rules, day(20)));
        let twice: Vec<Presented> = one.iter().chain(one).cloned().collect();
        prop_assert_eq!(&answer, &world.resolve(&twice, &rules, day(20)));
    }

    /// No sequence of presentations makes anybody known by what nobody answered for, or changes whose event
    /// it is: without the unverified ones all answers are the same.
    #[test]
    fn what_is_unverified_is_never_attached_and_changes_nothing(past in history(), rules in rules()) {
        let (mut world, mut without) = (World::default(), World::default());
        let mut answered_for = BTreeSet::new();
        for (n, presented) in past.iter().enumerate() {
            let verified: Vec<Presented> = presented.iter().filter(|one| one.verified).cloned().collect();
            answered_for.extend(verified.iter().map(key));
            let resolution = world.resolve(presented, &rules, day(n));
            let plain = without.resolve(&verified, &rules, day(n));
            if verified.is_empty() {
                prop_assert_eq!(resolution.whom, Whom::New);
            }
            prop_assert_eq!(
                (resolution.whom, &resolution.merge, &resolution.attach, &resolution.suggest),
                (plain.whom, &plain.merge, &plain.attach, &plain.suggest)
            );
            for stated in &resolution.state_only {
                prop_assert!(!resolution.attach.contains(stated));
            }
            prop_assert_eq!(world.apply(presented, &resolution, day(n)), without.apply(&verified, &plain, day(n)));
            prop_assert_eq!(&world.people, &without.people);
            let held = world.people.values().flat_map(|person| &person.identifiers);
            prop_assert!(held.map(|held| held.key).all(|key| answered_for.contains(&key)));
        }
    }

    /// Every identifier has one answer, everybody who is merged has a reason, the survivor is the one that
    /// the order of survivors names, and nobody ends up with what the rules forbid.
    #[test]
    fn every_identifier_has_one_answer_and_no_rule_is_broken(past in history(), rules in rules()) {
        let mut world = World::default();
        for (n, presented) in past.iter().enumerate() {
            let resolution = world.resolve(presented, &rules, day(n));
            let before = world.clone();
            for found in before.found(presented) {
                let mut answers = 0;
                answers += usize::from(resolution.attach.contains(&found.key));
                answers += usize::from(resolution.state_only.contains(&found.key));
                answers += resolution.aside.iter().filter(|aside| aside.key == found.key).count();
                let ours = |owner: &CustomerId| {
                    resolution.whom == Whom::Existing(*owner) || resolution.merge.iter().any(|m| m.customer == *owner)
                };
                let is_ours = found.owner.is_some_and(|owner| ours(&owner));
                prop_assert_eq!(answers + usize::from(is_ours), 1, "{:?} {:?}", found, resolution);
                prop_assert_eq!(
                    rules.blocks(&found.presented.identifier),
                    resolution.aside.iter().any(|aside| aside.key == found.key && aside.reason == Aside::Blocked)
                );
            }
            if let Whom::Existing(whom) = resolution.whom {
                for merge in &resolution.merge {
                    prop_assert_eq!(survivor(&before.people[&whom], &before.people[&merge.customer]), whom);
                    prop_assert!(presented.iter().any(|one| one.verified && key(one) == merge.by));
                    prop_assert!(matches!(merge.agreement, Agreement::Merges | Agreement::MergesAnonymous));
                }
            }
            for suggested in &resolution.suggest {
                prop_assert!(resolution.whom != Whom::Existing(suggested.customer));
                prop_assert!(resolution.merge.iter().all(|merge| merge.customer != suggested.customer));
            }
            world.apply(presented, &resolution, day(n));
            let owned: Vec<_> = world.people.values().flat_map(|p| &p.identifiers).map(|held| held.key).collect();
            prop_assert_eq!(owned.len(), owned.iter().collect::<BTreeSet<_>>().len(), "an identifier has two owners");
            for person in world.people.values() {
                for kind in IdentifierKind::ALL {
                    let rule = rules.rule(kind);
                    let mut per_scope: BTreeMap<_, usize> = BTreeMap::new();
                    for held in person.identifiers.iter().filter(|held| held.key.kind == kind) {
                        *per_scope.entry(held.scope).or_default() += 1;
                    }
                    if rule.disagreement == Disagreement::Blocks {
                        prop_assert!(per_scope.values().all(|count| *count == 1), "{:?}", person);
                    }
                    if let Some(Limit { count, within: None }) = rule.limit {
                        prop_assert!(per_scope.values().all(|held| *held <= usize::from(count)), "{:?}", person);
                    }
                }
            }
        }
    }
}
