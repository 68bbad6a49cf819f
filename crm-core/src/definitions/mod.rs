//! What the shop decided about its rules, each with the instant from which it holds. A version is never
//! changed: a new one takes over, so that the past keeps the rules it had.
//!
//! `definition.rs` has what can be decided, `versions.rs` the versions of one name. What holds at an instant is asked by
//! area: `policies.rs`, `declared.rs`, `loyalty.rs`, `segments.rs`, `plugins.rs`.

mod declared;
mod definition;
mod error;
mod loyalty;
mod plugins;
mod policies;
mod segments;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::versions::Versions;
use crate::consent::ConsentPolicy;
use crate::custom::{KindName, KindSchema};
use crate::declared::{DeclarationError, DeclaredKind, DeclaredName};
use crate::expression::Predicate;
use crate::identity::IdentityRules;
use crate::lifecycle::{LifecycleError, LifecyclePolicy, SegmentPolicy};
use crate::loyalty::{
    Badge, BadgeName, Coupon, CouponCode, Draw, DrawName, Program, ProgramId, Referral, ReferralName, Reward,
    RewardName, StampCard, StampCardName,
};
use crate::money::Currency;
use crate::privacy::{PrivacyPolicy, RetentionName, RetentionPolicy, View, ViewName};
use crate::profile::{CardSchema, CompletenessRules};
use crate::score::{ScoreName, ScoreOutput, ScorePolicy};
use crate::segment::{ListAbout, ListName, Pasts, SegmentBook, SegmentName};
use crate::time::Timestamp;
use crate::value::ValuePolicy;
use crate::workflow::{Grants, PluginName};

pub use definition::{Definition, DefinitionVersion};
pub use error::DefinitionError;

/// All definitions of a tenant, with all their versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definitions {
    all: Vec<DefinitionVersion>,
    currency: Versions<Currency>,
    lifecycle: Versions<LifecyclePolicy>,
    programs: BTreeMap<ProgramId, Versions<Option<Program>>>,
    segments: SegmentBook,
    pasts: Pasts,
    kinds: BTreeMap<KindName, Versions<Option<KindSchema>>>,
    attributes: BTreeMap<DeclaredName, Versions<Option<DeclaredKind>>>,
    scorers: BTreeMap<PluginName, Versions<Option<BTreeSet<ScoreOutput>>>>,
    /// The scores that any version of any definition asks about: it only grows.
    asked_scores: BTreeSet<ScoreName>,
    score_policies: BTreeMap<PluginName, Versions<Option<ScorePolicy>>>,
    card_schema: Versions<CardSchema>,
    completeness: Versions<CompletenessRules>,
    consent: Versions<ConsentPolicy>,
    identity: Versions<IdentityRules>,
    privacy: Versions<PrivacyPolicy>,
    views: BTreeMap<ViewName, Versions<Option<View>>>,
    retentions: BTreeMap<RetentionName, Versions<Option<RetentionPolicy>>>,
    lists: BTreeMap<ListName, Versions<Option<ListAbout>>>,
    value: Versions<Arc<ValuePolicy>>,
    lifecycle_segments: Versions<Vec<SegmentPolicy>>,
    coupons: BTreeMap<CouponCode, Versions<Option<Box<Coupon>>>>,
    rewards: BTreeMap<RewardName, Versions<Option<Box<Reward>>>>,
    stamp_cards: BTreeMap<StampCardName, Versions<Option<Box<StampCard>>>>,
    badges: BTreeMap<BadgeName, Versions<Option<Box<Badge>>>>,
    referrals: BTreeMap<ReferralName, Versions<Option<Referral>>>,
    draws: BTreeMap<DrawName, Versions<Draw>>,
    grants: BTreeMap<PluginName, Versions<Option<Box<Grants>>>>,
    /// The plugins of which scores were made for a purpose.
    made_for_purposes: BTreeSet<PluginName>,
}

impl Definitions {
    /// Adds a version. The same one again changes nothing and answers `false`.
    ///
    /// # Errors
    ///
    /// `DefinitionError` if a predicate exceeds its limits, or a version of the same or a later instant
    /// is there.
    pub fn add(&mut self, version: DefinitionVersion) -> Result<bool, DefinitionError> {
        let DefinitionVersion { from, definition } = &version;
        let (kind, name) = definition.key();
        definition.check()?;
        if self.all.contains(&version) {
            return Ok(false);
        }
        let full_name = || {
            if name.is_empty() { kind.to_owned() } else { format!("{kind} {name}") }
        };
        let latest = self.all.iter().filter(|old| old.definition.key() == (kind, name)).map(|old| old.from).max();
        match latest {
            Some(latest) if latest > *from => {
                return Err(DefinitionError::Older { name: full_name(), from: *from, latest });
            }
            // Whoever could announce a draw again could choose the seed by who wins.
            Some(latest) if latest == *from || matches!(definition, Definition::Draw(..)) => {
                return Err(DefinitionError::Taken { name: full_name(), from: *from });
            }
            Some(_) | None => {}
        }
        if let Definition::Segment(segment, rule) = definition {
            self.segments
                .check(segment, rule.as_ref(), *from)
                .map_err(|source| DefinitionError::References { segment: segment.clone(), source })?;
        }
        if let Definition::Attribute(name, Some(kind)) = definition {
            self.check_declaration(name, kind)?;
        }
        self.check_lifecycle_segments(definition, *from)?;
        match definition.clone() {
            Definition::Currency(currency) => self.currency.add(*from, currency),
            Definition::Lifecycle(policy) => self.lifecycle.add(*from, policy),
            Definition::Program(id, program) => self.programs.entry(id).or_default().add(*from, program),
            Definition::Segment(name, rule) => {
                self.segments.add(&name, *from, rule.map(Arc::new));
            }
            Definition::Kind(name, schema) => self.kinds.entry(name).or_default().add(*from, schema),
            Definition::Attribute(name, kind) => self.attributes.entry(name).or_default().add(*from, kind),
            Definition::Scorer(plugin, outputs) => self.scorers.entry(plugin).or_default().add(*from, outputs),
            Definition::ScorePolicy(plugin, policy) => {
                self.score_policies.entry(plugin).or_default().add(*from, policy);
            }
            Definition::CardSchema(schema) => self.card_schema.add(*from, schema),
            Definition::Completeness(rules) => self.completeness.add(*from, rules),
            Definition::Consent(policy) => self.consent.add(*from, policy),
            Definition::Identity(rules) => self.identity.add(*from, rules),
            Definition::Privacy(policy) => self.privacy.add(*from, policy),
            Definition::View(name, view) => self.views.entry(name).or_default().add(*from, view),
            Definition::Retention(name, policy) => self.retentions.entry(name).or_default().add(*from, policy),
            Definition::List(name, about) => self.lists.entry(name).or_default().add(*from, about),
            Definition::Value(policy) => self.value.add(*from, Arc::new(*policy)),
            Definition::LifecycleSegments(list) => self.lifecycle_segments.add(*from, list),
            Definition::Coupon(code, coupon) => self.coupons.entry(code).or_default().add(*from, coupon),
            Definition::Reward(name, reward) => self.rewards.entry(name).or_default().add(*from, reward),
            Definition::StampCard(name, card) => self.stamp_cards.entry(name).or_default().add(*from, card),
            Definition::Badge(name, badge) => self.badges.entry(name).or_default().add(*from, badge),
            Definition::Referral(name, referral) => self.referrals.entry(name).or_default().add(*from, referral),
            Definition::Draw(name, draw) => self.draws.entry(name).or_default().add(*from, draw),
            Definition::Grants(plugin, grants) => self.grants.entry(plugin).or_default().add(*from, grants),
        }
        let moves_members = version.definition.moves_members();
        self.asked_scores.extend(version.definition.asked_scores().into_iter().cloned());
        self.all.push(version);
        if moves_members {
            let moving = self.all.iter().filter(|version| version.definition.moves_members());
            self.pasts = Pasts::of(moving.map(|version| version.from));
        }
        Ok(true)
    }

    /// Checks an attribute against those that were declared before: an attribute keeps its type, by which rules were
    /// read, and states have room for so many.
    fn check_declaration(&self, name: &DeclaredName, kind: &DeclaredKind) -> Result<(), DeclarationError> {
        let Some(before) = self.attributes.get(name) else {
            let max = DeclaredKind::ATTRIBUTES_MAX;
            return if self.attributes.len() < max { Ok(()) } else { Err(DeclarationError::TooMany { max }) };
        };
        let (mut before, is) = (before.0.iter().filter_map(|(_, kind)| kind.as_ref()), kind.type_name());
        match before.next().map(DeclaredKind::type_name) {
            Some(was) if was != is => Err(DeclarationError::OtherType { attribute: name.clone(), was, is }),
            Some(_) | None => Ok(()),
        }
    }

    /// Checks a definition that is to hold from an instant on against policies for segments, or such policies against
    /// the segments: each has to be there, and to follow from facts alone.
    fn check_lifecycle_segments(&self, new: &Definition, from: Timestamp) -> Result<(), LifecycleError> {
        let own = if let Definition::LifecycleSegments(list) = new { Some(list.as_slice()) } else { None };
        let of_segment = matches!(new, Definition::Segment(..)) && !self.lifecycle_segments.0.is_empty();
        if own.is_none() && !of_segment {
            return Ok(());
        }
        let segments = self.segments.instants();
        let lists = self.lifecycle_segments.0.iter().map(|(at, _)| *at);
        let mut instants: Vec<Timestamp> = segments.chain(lists).filter(|at| *at > from).chain([from]).collect();
        instants.sort_unstable();
        instants.dedup();
        instants.into_iter().try_for_each(|at| {
            let mut in_force: BTreeMap<&SegmentName, &Predicate> = self.segments(at).collect();
            if let Definition::Segment(name, rule) = new {
                match rule {
                    Some(rule) => drop(in_force.insert(name, rule)),
                    None => drop(in_force.remove(name)),
                }
            }
            crate::lifecycle::check_segments(own.unwrap_or_else(|| self.lifecycle_segments(at)), &in_force)
        })
    }

    /// Every version, in the order in which they were added.
    #[must_use]
    pub fn all(&self) -> &[DefinitionVersion] {
        &self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_millis(day * 86_400_000).unwrap()
    }

    fn policy(days: u32) -> Definition {
        Definition::Lifecycle(LifecyclePolicy { quiet_after: Span::days(days), ..LifecyclePolicy::default() })
    }

    #[test]
    fn the_past_keeps_the_rules_it_had() {
        let mut definitions = Definitions::default();
        assert!(definitions.add(DefinitionVersion { from: at(10), definition: policy(90) }).unwrap());
        assert!(definitions.add(DefinitionVersion { from: at(20), definition: policy(60) }).unwrap());
        assert_eq!(definitions.lifecycle(at(9)), &LifecyclePolicy::default());
        assert_eq!(definitions.lifecycle(at(19)).quiet_after, Span::days(90));
        assert_eq!(definitions.lifecycle(at(20)).quiet_after, Span::days(60));
    }

    #[test]
    fn a_version_is_never_changed() {
        let mut definitions = Definitions::default();
        let first = DefinitionVersion { from: at(10), definition: policy(90) };
        assert_eq!(definitions.add(first.clone()), Ok(true));
        assert_eq!(definitions.add(first), Ok(false));
        let again = |from, days| DefinitionVersion { from: at(from), definition: policy(days) };
        assert!(matches!(definitions.add(again(10, 91)), Err(DefinitionError::Taken { .. })));
        assert!(matches!(definitions.add(again(5, 90)), Err(DefinitionError::Older { .. })));
        assert_eq!(definitions.all().len(), 1);
    }

    #[test]
    fn the_rules_for_identifiers_hold_from_their_instant_on() {
        use crate::identity::{IdentifierKind, KindRule, Limit};
        let mut definitions = Definitions::default();
        let limited = |count| {
            let limit = Some(Limit { count, within: None });
            let rule = KindRule { limit, ..KindRule::default_of(IdentifierKind::Email) };
            Definition::Identity(IdentityRules::default().with(IdentifierKind::Email, rule))
        };
        definitions.add(DefinitionVersion { from: at(10), definition: limited(2) }).unwrap();
        let refused = definitions.add(DefinitionVersion { from: at(20), definition: limited(0) });
        assert!(matches!(refused, Err(DefinitionError::Identity(_))));
        let limit = |day| definitions.identity(at(day)).rule(IdentifierKind::Email).limit.map(|limit| limit.count);
        assert_eq!((limit(9), limit(10), limit(30)), (Some(5), Some(2), Some(2)));
    }

    #[test]
    fn a_predicate_nested_too_deep_is_refused_without_recursion() {
        let mut predicate = Predicate::All(Vec::new());
        for _ in 0..50 {
            predicate = Predicate::Not(Box::new(predicate));
        }
        let definition = Definition::Segment(SegmentName::new("deep").unwrap(), Some(predicate));
        let refused = Definitions::default().add(DefinitionVersion { from: at(0), definition });
        assert!(matches!(refused, Err(DefinitionError::Segment { .. })));
    }
}
