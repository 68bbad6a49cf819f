//! What the shop decided about its rules, each with the instant from which it holds. A version is never
//! changed: a new one takes over, so that the past keeps the rules it had.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::column::SetKey;
use crate::consent::{ConsentPolicy, DEFAULT_POLICY, PolicyError};
use crate::custom::{KindName, KindSchema};
use crate::declared::{AttributeSet, DeclarationError, DeclaredError, DeclaredKind, DeclaredName};
use crate::expression::{LimitError, Predicate};
use crate::identity::{IdentityRules, IdentityRulesError};
use crate::lifecycle::{LifecycleError, LifecyclePolicy, SegmentPolicy};
use crate::loyalty::{
    Badge, BadgeName, Coupon, CouponCode, Draw, DrawError, DrawName, LoyaltyError, Program, ProgramError, ProgramId,
    Referral, ReferralName, Reward, RewardName, RewardRuleError, StampCard, StampCardName,
};
use crate::money::Currency;
use crate::privacy::{PrivacyError, PrivacyPolicy, RetentionName, RetentionPolicy, View, ViewName};
use crate::profile::{CardSchema, CompletenessRules, SchemaError};
use crate::score::{OUTPUTS_MAX, ScoreName, ScoreOutput, ScorePolicy, ScorePolicyError};
use crate::segment::{Filled, ListAbout, ListName, Past, Pasts, ReferenceError, SegmentBook, SegmentName, Unfilled};
use crate::time::Timestamp;
use crate::value::{ValueError, ValuePolicy};
use crate::workflow::{Grants, GrantsError, PluginName};

/// One definition, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "a shop has few, and most are programmes")]
#[non_exhaustive]
pub enum Definition {
    /// The currency in which spend is counted.
    Currency(Currency),
    /// The windows of the life cycle.
    Lifecycle(LifecyclePolicy),
    /// A loyalty programme; none ends it: later orders earn nothing, and points already there stay.
    Program(ProgramId, Option<Program>),
    /// A segment; none ends it.
    Segment(SegmentName, Option<Predicate>),
    /// A kind of event; none ends it: later facts of that kind are refused.
    Kind(KindName, Option<KindSchema>),
    /// An attribute that rules ask about; none ends it: no new values are taken, and those that are there stay.
    Attribute(DeclaredName, Option<DeclaredKind>),
    /// The scores that a plugin gives and rules ask about; none ends it.
    Scorer(PluginName, Option<BTreeSet<ScoreOutput>>),
    /// When a plugin's scores are made anew; none ends it.
    ScorePolicy(PluginName, Option<ScorePolicy>),
    /// The free attributes that cards may have.
    CardSchema(CardSchema),
    /// What each stage wants to know of a card.
    Completeness(CompletenessRules),
    /// Who may be contacted for what, when and how often.
    Consent(ConsentPolicy),
    /// How identifiers decide who is who.
    Identity(IdentityRules),
    /// When somebody is not erased yet.
    Privacy(PrivacyPolicy),
    /// What may be seen of a card for a purpose; none ends it.
    View(ViewName, Option<View>),
    /// For how long something is kept, and what goes then; none ends it.
    Retention(RetentionName, Option<RetentionPolicy>),
    /// A list that the shop keeps by hand; none ends it: nobody is put on or taken off any more, and who is on it stays.
    List(ListName, Option<ListAbout>),
    /// How customers are valued.
    Value(Box<ValuePolicy>),
    /// Which segments have a policy of the life cycle of their own: the first one that somebody is in holds.
    LifecycleSegments(Vec<SegmentPolicy>),
    /// A coupon; none ends it: it is used no more, and what was reserved still can be.
    Coupon(CouponCode, Option<Box<Coupon>>),
    /// A reward of the catalogue; none ends it.
    Reward(RewardName, Option<Box<Reward>>),
    /// A stamp card; none ends it: later orders give no stamps. A new version begins a new card.
    StampCard(StampCardName, Option<Box<StampCard>>),
    /// A badge; none ends it, and who earned it keeps it.
    Badge(BadgeName, Option<Box<Badge>>),
    /// What is given for bringing customers; none ends it: nobody is referred any more, and who was is still rewarded.
    Referral(ReferralName, Option<Referral>),
    /// A draw that is announced, once.
    Draw(DrawName, Draw),
    /// What a plugin may see and do, within what it was installed with; none leaves it at that.
    Grants(PluginName, Option<Box<Grants>>),
}

/// A definition and the instant from which it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionVersion {
    /// From when on.
    pub from: Timestamp,
    /// What.
    pub definition: Definition,
}

/// Why a definition was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DefinitionError {
    /// A segment's predicate exceeds a limit.
    #[error("segment {segment}")]
    Segment {
        /// Which.
        segment: SegmentName,
        /// What is wrong with it.
        source: LimitError,
    },
    /// A segment asks about others, or others about it, as they cannot.
    #[error("segment {segment}")]
    References {
        /// Which.
        segment: SegmentName,
        /// What is wrong.
        source: ReferenceError,
    },
    /// What cards may have or are to have exceeds a limit.
    #[error(transparent)]
    Card(#[from] SchemaError),
    /// A policy of consent exceeds a limit, or contradicts itself or the law.
    #[error("consent: {0}")]
    Consent(#[source] PolicyError),
    /// The rules for identifiers exceed a limit.
    #[error("identity")]
    Identity(#[from] IdentityRulesError),
    /// A policy of the life cycle cannot be kept.
    #[error("life cycle")]
    Lifecycle(#[from] LifecycleError),
    /// A policy of privacy or a view exceeds a limit.
    #[error(transparent)]
    Privacy(#[from] PrivacyError),
    /// An attribute for rules exceeds a limit, or was of another type before.
    #[error(transparent)]
    Declaration(#[from] DeclarationError),
    /// A plugin gives no score, or too many.
    #[error("{plugin} gives {count} scores, and may give 1 to {max}")]
    Scorer {
        /// Which plugin.
        plugin: PluginName,
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// When scores are made anew cannot be kept.
    #[error("scores of {plugin}")]
    ScorePolicy {
        /// Of which plugin.
        plugin: PluginName,
        /// What is wrong with it.
        source: ScorePolicyError,
    },
    /// A coupon, a reward, a stamp card or a badge exceeds a limit or contradicts itself.
    #[error("{kind} {name}")]
    Rewards {
        /// Which kind of definition.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What is wrong with it.
        source: RewardRuleError,
    },
    /// A referral gives more points than can be given at once.
    #[error("referral")]
    Referral(#[source] LoyaltyError),
    /// A draw cannot be as it was announced.
    #[error("draw")]
    Draw(#[from] DrawError),
    /// What is granted to a plugin exceeds a limit.
    #[error("grants")]
    Grants(#[from] GrantsError),
    /// A policy about value contradicts itself or exceeds a limit.
    #[error("value")]
    Value(#[from] ValueError),
    /// A loyalty programme exceeds a limit, or contradicts itself.
    #[error("programme {program}")]
    Program {
        /// Which.
        program: ProgramId,
        /// What is wrong with it.
        source: ProgramError,
    },
    /// A later version is already there: the past is not rewritten.
    #[error("{name} already has a version from {latest}, later than {from}")]
    Older {
        /// Which definition.
        name: String,
        /// The instant asked for.
        from: Timestamp,
        /// The instant of the latest version.
        latest: Timestamp,
    },
    /// Another definition of that name already holds from that instant.
    #[error("{name} already has another version from {from}")]
    Taken {
        /// Which definition.
        name: String,
        /// The instant.
        from: Timestamp,
    },
}

impl Definition {
    /// Checks the limits of a definition.
    ///
    /// # Errors
    ///
    /// `Segment` if a rule is nested too deep or has too many clauses, `Consent` if a policy of consent is not sound,
    /// `Identity` if the rules for identifiers exceed a limit, `Program` if those of a loyalty programme do.
    pub fn check(&self) -> Result<(), DefinitionError> {
        match self {
            Definition::Segment(segment, Some(predicate)) => {
                predicate.check().map_err(|source| DefinitionError::Segment { segment: segment.clone(), source })
            }
            Definition::Attribute(name, Some(kind)) => Ok(kind.check(name)?),
            Definition::Scorer(plugin, Some(outputs)) => match outputs.len() {
                1..=OUTPUTS_MAX => Ok(()),
                count => Err(DefinitionError::Scorer { plugin: plugin.clone(), count, max: OUTPUTS_MAX }),
            },
            Definition::ScorePolicy(plugin, Some(policy)) => {
                policy.check().map_err(|source| DefinitionError::ScorePolicy { plugin: plugin.clone(), source })
            }
            Definition::CardSchema(schema) => Ok(schema.check()?),
            Definition::Completeness(rules) => Ok(rules.check()?),
            Definition::Lifecycle(policy) => Ok(policy.check()?),
            Definition::Consent(policy) => policy.check().map_err(DefinitionError::Consent),
            Definition::Identity(rules) => Ok(rules.check()?),
            Definition::Privacy(policy) => Ok(policy.check()?),
            Definition::View(_, Some(view)) => Ok(view.check()?),
            Definition::Retention(_, Some(policy)) => Ok(policy.check()?),
            Definition::Value(policy) => Ok(policy.check()?),
            Definition::Draw(_, draw) => Ok(draw.check()?),
            Definition::Grants(_, Some(grants)) => Ok(grants.check()?),
            Definition::Referral(_, Some(referral)) => referral.check().map_err(DefinitionError::Referral),
            Definition::LifecycleSegments(list) => Ok(crate::lifecycle::check_list(list)?),
            Definition::Program(program, Some(rules)) => {
                rules.check().map_err(|source| DefinitionError::Program { program: program.clone(), source })
            }
            Definition::Coupon(_, Some(coupon)) => self.rewards(coupon.check()),
            Definition::Reward(_, Some(reward)) => self.rewards(reward.check()),
            Definition::StampCard(_, Some(card)) => self.rewards(card.check()),
            Definition::Badge(_, Some(badge)) => self.rewards(badge.check()),
            Definition::Coupon(_, None)
            | Definition::Reward(_, None)
            | Definition::StampCard(_, None)
            | Definition::Badge(_, None)
            | Definition::Segment(_, None)
            | Definition::Currency(_)
            | Definition::Program(_, None)
            | Definition::Kind(..)
            | Definition::Attribute(_, None)
            | Definition::Scorer(_, None)
            | Definition::ScorePolicy(_, None)
            | Definition::View(_, None)
            | Definition::Retention(_, None)
            | Definition::List(..)
            | Definition::Referral(_, None)
            | Definition::Grants(_, None) => Ok(()),
        }
    }

    fn rewards(&self, checked: Result<(), RewardRuleError>) -> Result<(), DefinitionError> {
        let (kind, name) = self.key();
        checked.map_err(|source| DefinitionError::Rewards { kind, name: name.to_owned(), source })
    }

    /// Whether who is in which segment may be another from its instant on, though nothing happens then.
    const fn moves_members(&self) -> bool {
        match self {
            Definition::Segment(..) | Definition::Currency(_) | Definition::Program(..) | Definition::Consent(_) => {
                true
            }
            // These are looked up when something happens, and what came of it stays.
            Definition::Lifecycle(_)
            | Definition::Kind(..)
            | Definition::Attribute(..)
            | Definition::Scorer(..)
            | Definition::ScorePolicy(..)
            | Definition::CardSchema(_)
            | Definition::Completeness(_)
            | Definition::Identity(_)
            | Definition::Privacy(_)
            | Definition::View(..)
            | Definition::Retention(..)
            | Definition::List(..)
            | Definition::Value(_)
            | Definition::LifecycleSegments(_)
            | Definition::Coupon(..)
            | Definition::Reward(..)
            | Definition::StampCard(..)
            | Definition::Badge(..)
            | Definition::Referral(..)
            | Definition::Draw(..)
            | Definition::Grants(..) => false,
        }
    }

    /// The kind and the name under which its versions are kept together.
    #[must_use]
    pub fn key(&self) -> (&'static str, &str) {
        match self {
            Definition::Currency(_) => ("currency", ""),
            Definition::Lifecycle(_) => ("lifecycle", ""),
            Definition::Program(id, _) => ("program", id.as_str()),
            Definition::Segment(name, _) => ("segment", name.as_str()),
            Definition::Kind(name, _) => ("kind", name.as_str()),
            Definition::Attribute(name, _) => ("attribute", name.as_str()),
            Definition::Scorer(plugin, _) => ("scorer", plugin.as_str()),
            Definition::ScorePolicy(plugin, _) => ("score_policy", plugin.as_str()),
            Definition::CardSchema(_) => ("card_schema", ""),
            Definition::Completeness(_) => ("completeness", ""),
            Definition::Consent(_) => ("consent", ""),
            Definition::Identity(_) => ("identity", ""),
            Definition::Privacy(_) => ("privacy", ""),
            Definition::View(name, _) => ("view", name.as_str()),
            Definition::Retention(name, _) => ("retention", name.as_str()),
            Definition::List(name, _) => ("list", name.as_str()),
            Definition::Value(_) => ("value", ""),
            Definition::LifecycleSegments(_) => ("lifecycle_segments", ""),
            Definition::Coupon(coupon, _) => ("coupon", coupon.as_str()),
            Definition::Reward(reward, _) => ("reward", reward.as_str()),
            Definition::StampCard(card, _) => ("stamp_card", card.as_str()),
            Definition::Badge(badge, _) => ("badge", badge.as_str()),
            Definition::Referral(name, _) => ("referral", name.as_str()),
            Definition::Draw(name, _) => ("draw", name.as_str()),
            Definition::Grants(plugin, _) => ("grants", plugin.as_str()),
        }
    }
}

/// The versions of one definition, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Versions<T>(Vec<(Timestamp, T)>);

impl<T> Default for Versions<T> {
    fn default() -> Self {
        Versions(Vec::new())
    }
}

impl<T> Versions<T> {
    fn at(&self, instant: Timestamp) -> Option<&T> {
        self.0.iter().rev().find(|(from, _)| *from <= instant).map(|(_, version)| version)
    }

    fn add(&mut self, from: Timestamp, version: T) {
        self.0.push((from, version));
    }
}

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

    /// The currency in which spend is counted; the euro where none was defined.
    #[must_use]
    pub fn currency(&self, at: Timestamp) -> Currency {
        self.currency.at(at).copied().unwrap_or(Currency::EUR)
    }

    /// Since when the currency of an instant is that in which spend is counted, if it is to this day.
    #[must_use]
    pub fn currency_since(&self, at: Timestamp) -> Option<Timestamp> {
        match self.currency.0.last() {
            None => Some(Timestamp::MIN),
            Some((from, _)) => Some(*from).filter(|from| *from <= at),
        }
    }

    /// The windows of the life cycle; the default ones where none were defined.
    #[must_use]
    pub fn lifecycle(&self, at: Timestamp) -> &LifecyclePolicy {
        static DEFAULT: LifecyclePolicy = LifecyclePolicy::DEFAULT;
        self.lifecycle.at(at).unwrap_or(&DEFAULT)
    }

    /// Which segments have a policy of their own, the first that counts first.
    #[must_use]
    pub fn lifecycle_segments(&self, at: Timestamp) -> &[SegmentPolicy] {
        self.lifecycle_segments.at(at).map_or(&[], Vec::as_slice)
    }

    /// Whether any policy in force takes a number of visits or of the shop's own events as a sign of intent.
    pub(crate) fn intent_by_number(&self, at: Timestamp) -> bool {
        let own = self.lifecycle_segments(at).iter().map(|own| &own.policy);
        let mut all = own.chain([self.lifecycle(at)]).map(|policy| &policy.intent);
        all.any(|intent| intent.visits.is_some() || !intent.kinds.is_empty())
    }

    /// The rules for identifiers; the default ones where none were defined.
    #[must_use]
    pub fn identity(&self, at: Timestamp) -> &IdentityRules {
        static DEFAULT: IdentityRules = IdentityRules::defaults();
        self.identity.at(at).unwrap_or(&DEFAULT)
    }

    /// When somebody is not erased yet; the default where nothing was defined.
    #[must_use]
    pub fn privacy(&self, at: Timestamp) -> PrivacyPolicy {
        self.privacy.at(at).copied().unwrap_or_default()
    }

    /// A view in force.
    #[must_use]
    pub fn view(&self, name: &ViewName, at: Timestamp) -> Option<&View> {
        self.views.get(name)?.at(at)?.as_ref()
    }

    /// Every version of every retention policy: by name, and of each the oldest first, with from when until when it
    /// holds. What ends a policy is none.
    pub fn retention_versions(
        &self,
    ) -> impl Iterator<Item = (&RetentionName, &RetentionPolicy, Timestamp, Option<Timestamp>)> {
        self.retentions.iter().flat_map(|(name, Versions(versions))| {
            let ends = versions.iter().skip(1).map(|(from, _)| Some(*from)).chain([None]);
            let held = versions.iter().zip(ends);
            held.filter_map(move |((from, policy), until)| Some((name, policy.as_ref()?, *from, until)))
        })
    }

    /// How customers are valued; the defaults where nothing was defined.
    #[must_use]
    pub fn value(&self, at: Timestamp) -> Arc<ValuePolicy> {
        self.value.at(at).cloned().unwrap_or_default()
    }

    /// A coupon in force.
    #[must_use]
    pub fn coupon(&self, code: &CouponCode, at: Timestamp) -> Option<&Coupon> {
        self.coupons.get(code)?.at(at)?.as_deref()
    }

    /// A reward in force.
    #[must_use]
    pub fn reward(&self, name: &RewardName, at: Timestamp) -> Option<&Reward> {
        self.rewards.get(name)?.at(at)?.as_deref()
    }

    /// The rewards in force, by name.
    pub fn rewards(&self, at: Timestamp) -> impl Iterator<Item = (&RewardName, &Reward)> {
        self.rewards.iter().filter_map(move |(name, versions)| Some((name, versions.at(at)?.as_deref()?)))
    }

    /// Every version of every stamp card: by name, and of each the oldest first, with from when until when it holds.
    pub fn stamp_card_versions(
        &self,
    ) -> impl Iterator<Item = (&StampCardName, &StampCard, Timestamp, Option<Timestamp>)> {
        self.stamp_cards.iter().flat_map(|(name, Versions(versions))| {
            let ends = versions.iter().skip(1).map(|(from, _)| Some(*from)).chain([None]);
            let held = versions.iter().zip(ends);
            held.filter_map(move |((from, card), until)| Some((name, card.as_deref()?, *from, until)))
        })
    }

    /// The badges in force, by name.
    pub fn badges(&self, at: Timestamp) -> impl Iterator<Item = (&BadgeName, &Badge)> {
        self.badges.iter().filter_map(move |(name, versions)| Some((name, versions.at(at)?.as_deref()?)))
    }

    /// A badge in force.
    #[must_use]
    pub fn badge(&self, name: &BadgeName, at: Timestamp) -> Option<&Badge> {
        self.badges.get(name)?.at(at)?.as_deref()
    }

    /// How many versions of badges came into force by an instant: another number, other badges.
    pub(crate) fn badges_mark(&self, at: Timestamp) -> u32 {
        let versions = self.badges.values().flat_map(|Versions(versions)| versions);
        u32::try_from(versions.filter(|(from, _)| *from <= at).count()).unwrap_or(u32::MAX)
    }

    /// A programme in force.
    #[must_use]
    pub fn program(&self, id: &ProgramId, at: Timestamp) -> Option<&Program> {
        self.programs.get(id)?.at(at)?.as_ref()
    }

    /// Every version of every programme: by name, and of each the oldest first, with from when until when it holds. What
    /// ends a programme is none.
    pub fn program_versions(&self) -> impl Iterator<Item = (&ProgramId, &Program, Timestamp, Option<Timestamp>)> {
        let of = move |id| self.versions_of(id).map(move |(program, from, until)| (id, program, from, until));
        self.programs.keys().flat_map(of)
    }

    /// Every version of one programme, the oldest first, with from when until when it holds.
    pub(crate) fn versions_of<'d>(
        &'d self,
        id: &ProgramId,
    ) -> impl Iterator<Item = (&'d Program, Timestamp, Option<Timestamp>)> + Clone + use<'d> {
        let versions = self.programs.get(id).map(|Versions(versions)| versions.as_slice()).unwrap_or_default();
        let ends = versions.iter().skip(1).map(|(from, _)| Some(*from)).chain([None]);
        versions.iter().zip(ends).filter_map(|((from, program), until)| Some((program.as_ref()?, *from, until)))
    }

    /// Whether any version of a programme says something of points that are there already: when they end, or when their
    /// end is told. What was due by the versions that were known before may be due at another time then.
    #[must_use]
    pub fn moves_ends(&self) -> bool {
        let mut versions = self.programs.values().flat_map(|Versions(versions)| versions);
        versions.any(|(_, program)| program.as_ref().is_some_and(Program::moves_ends))
    }

    /// A referral in force.
    #[must_use]
    pub fn referral(&self, name: &ReferralName, at: Timestamp) -> Option<&Referral> {
        self.referrals.get(name)?.at(at)?.as_ref()
    }

    /// A draw that was announced.
    #[must_use]
    pub fn draw(&self, name: &DrawName, at: Timestamp) -> Option<&Draw> {
        self.draws.get(name)?.at(at)
    }

    /// What is granted to a plugin, if that is defined.
    #[must_use]
    pub fn grants(&self, plugin: &PluginName, at: Timestamp) -> Option<&Grants> {
        self.grants.get(plugin)?.at(at)?.as_deref()
    }

    /// Scores of a plugin are made for a purpose, whoever said so.
    pub fn note_purposes(&mut self, plugin: PluginName) {
        self.made_for_purposes.insert(plugin);
    }

    /// Whether a plugin was ever for a purpose: by a definition, or because [scores were made](Self::note_purposes) for
    /// one.
    #[must_use]
    pub fn has_purposes(&self, plugin: &PluginName) -> bool {
        if self.made_for_purposes.contains(plugin) {
            return true;
        }
        let versions = self.grants.get(plugin).into_iter().flat_map(|Versions(versions)| versions);
        versions.into_iter().any(|(_, grants)| grants.as_ref().is_some_and(|grants| grants.purpose.is_some()))
    }

    /// The keys of all programmes there ever were.
    pub fn program_ids(&self) -> impl Iterator<Item = &ProgramId> {
        self.programs.keys()
    }

    /// A segment in force: the rule of its newest version, whether or not everybody was asked under it.
    #[must_use]
    pub fn segment(&self, name: &SegmentName, at: Timestamp) -> Option<&Predicate> {
        self.segments.rule(name, at)
    }

    /// The rule by which a segment answers: that of the version which everybody was asked under last, where there is
    /// one, and otherwise the one in force.
    #[must_use]
    pub fn answering_segment(&self, name: &SegmentName, at: Timestamp) -> Option<&Predicate> {
        self.segments.answering(name, at)
    }

    /// The segments in force, by name.
    pub fn segments(&self, at: Timestamp) -> impl Iterator<Item = (&SegmentName, &Predicate)> {
        self.segments.in_force(at)
    }

    /// Everybody was asked under some versions of segments: these answer from now on. None of them does if one is
    /// not there any more.
    pub fn complete(&mut self, filled: &[Filled]) {
        self.segments.complete(filled);
    }

    /// Segments of which the version in force was not asked of everybody yet, those together that ask about each
    /// other: all of them come to answer at once. In each group they come after those that they ask about.
    #[must_use]
    pub fn unfilled(&self, at: Timestamp) -> Vec<Vec<Unfilled>> {
        self.segments.unfilled(at)
    }

    /// The first instant after one from which a version of a segment holds.
    #[must_use]
    pub fn next_segment_version(&self, after: Timestamp) -> Option<Timestamp> {
        self.segments.next_version(after)
    }

    /// The sets in one of which a customer is who is in a segment.
    #[must_use]
    pub fn segment_sets(&self, name: &SegmentName) -> Vec<SetKey> {
        self.segments.answering_sets(name)
    }

    /// The sets of all versions of a segment but one.
    #[must_use]
    pub fn segment_sets_but(&self, name: &SegmentName, version: u32) -> Vec<SetKey> {
        self.segments.sets_but(name, version)
    }

    /// The version under which a segment is asked at an instant.
    #[must_use]
    pub fn segment_version(&self, name: &SegmentName, at: Timestamp) -> Option<u32> {
        let set = self.segments.set(at)?;
        set.rules.get(set.place(name)?).map(|rule| rule.version)
    }

    pub(crate) const fn segment_book(&self) -> &SegmentBook {
        &self.segments
    }

    /// The names of all segments there ever were.
    pub fn segment_names(&self) -> impl Iterator<Item = &SegmentName> {
        self.segments.names()
    }

    /// The lists in force, by name.
    pub fn lists(&self, at: Timestamp) -> impl Iterator<Item = (&ListName, &ListAbout)> {
        self.lists.iter().filter_map(move |(name, versions)| Some((name, versions.at(at)?.as_ref()?)))
    }

    /// A list in force.
    #[must_use]
    pub fn list(&self, name: &ListName, at: Timestamp) -> Option<&ListAbout> {
        self.lists.get(name)?.at(at)?.as_ref()
    }

    /// Every version of a segment, the oldest first; what ends it is none.
    pub(crate) fn segment_versions(
        &self,
        name: &SegmentName,
    ) -> impl Iterator<Item = (Timestamp, Option<&Predicate>)> + use<'_> {
        self.segments.versions(name).iter().map(|version| (version.from, version.rule.as_deref()))
    }

    /// Since when a segment is in force without interruption; none if it is not.
    pub(crate) fn in_force_since(&self, name: &SegmentName, at: Timestamp) -> Option<Timestamp> {
        let versions = self.segments.versions(name).iter().rev().filter(|version| version.from <= at);
        versions.take_while(|version| version.rule.is_some()).last().map(|version| version.from)
    }

    /// From when on what segments are counted by was another, beside their own rules.
    pub(crate) fn counted_by(&self) -> impl Iterator<Item = Timestamp> {
        let counts = |version: &&DefinitionVersion| {
            version.definition.moves_members() && !matches!(version.definition, Definition::Segment(..))
        };
        self.all.iter().filter(counts).map(|version| version.from)
    }

    /// What is asked at an instant about the past of segments; none if nothing is.
    pub(crate) fn past(&self, at: Timestamp) -> Option<&Past> {
        self.pasts.at(at, self)
    }

    /// The free attributes of cards in force; none were ever declared if there are none.
    #[must_use]
    pub fn card_schema(&self, at: Timestamp) -> Option<&CardSchema> {
        self.card_schema.at(at)
    }

    /// What each stage wants to know of a card.
    #[must_use]
    pub fn completeness(&self, at: Timestamp) -> Option<&CompletenessRules> {
        self.completeness.at(at)
    }

    /// The kinds of events in force that the shop declared.
    pub fn kinds(&self, at: Timestamp) -> impl Iterator<Item = &KindName> {
        self.kinds.iter().filter_map(move |(name, versions)| versions.at(at)?.as_ref().map(|_| name))
    }

    /// The schema of a kind of event in force.
    #[must_use]
    pub fn kind(&self, name: &KindName, at: Timestamp) -> Option<&KindSchema> {
        self.kinds.get(name)?.at(at)?.as_ref()
    }

    /// The attributes for rules in force, by name.
    pub fn attributes(&self, at: Timestamp) -> impl Iterator<Item = (&DeclaredName, &DeclaredKind)> {
        self.attributes.iter().filter_map(move |(name, versions)| Some((name, versions.at(at)?.as_ref()?)))
    }

    /// The plugins in force that give scores which rules ask about, by name, with what they give.
    pub fn scorers(&self, at: Timestamp) -> impl Iterator<Item = (&PluginName, &BTreeSet<ScoreOutput>)> {
        self.scorers.iter().filter_map(move |(plugin, versions)| Some((plugin, versions.at(at)?.as_ref()?)))
    }

    /// The scores that rules ask about: those of any version of any definition, so that time alone changes nothing in
    /// it. Only these are in the states of customers.
    #[must_use]
    pub const fn asked_scores(&self) -> &BTreeSet<ScoreName> {
        &self.asked_scores
    }

    /// The policies in force by which scores are made anew, by plugin.
    pub fn score_policies(&self, at: Timestamp) -> impl Iterator<Item = (&PluginName, &ScorePolicy)> {
        self.score_policies.iter().filter_map(move |(plugin, versions)| Some((plugin, versions.at(at)?.as_ref()?)))
    }

    /// Whether any version of such a policy is there.
    pub(crate) fn has_score_policies(&self) -> bool {
        !self.score_policies.is_empty()
    }

    /// Whether any version of such a policy is about a plugin: then states know when it was asked.
    #[must_use]
    pub fn has_score_policy(&self, plugin: &PluginName) -> bool {
        self.score_policies.contains_key(plugin)
    }

    /// How many they are: another number, other scores.
    pub(crate) fn scores_mark(&self) -> u32 {
        u32::try_from(self.asked_scores.len()).unwrap_or(u32::MAX)
    }

    /// What an attribute for rules takes, if it is in force.
    #[must_use]
    pub fn attribute(&self, name: &DeclaredName, at: Timestamp) -> Option<&DeclaredKind> {
        self.attributes.get(name)?.at(at)?.as_ref()
    }

    /// Checks a fact about an attribute for rules against its declaration at the time of the fact. What is known of one
    /// that was ended can still be taken away.
    ///
    /// # Errors
    ///
    /// `DeclaredError` if it is not declared, or takes another value.
    pub fn check_attribute(&self, set: &AttributeSet, at: Timestamp) -> Result<(), DeclaredError> {
        let undeclared = || DeclaredError::Undeclared { attribute: set.attribute.clone() };
        match &set.value {
            Some(value) => self.attribute(&set.attribute, at).ok_or_else(undeclared)?.takes(&set.attribute, value),
            None if self.attributes.contains_key(&set.attribute) => Ok(()),
            None => Err(undeclared()),
        }
    }

    /// The policy of consent in force; the default one where none was defined.
    #[must_use]
    pub fn consent(&self, at: Timestamp) -> &ConsentPolicy {
        self.consent.at(at).unwrap_or(&DEFAULT_POLICY)
    }

    /// Every policy of consent there ever was, oldest first.
    pub fn consent_versions(&self) -> impl Iterator<Item = &ConsentPolicy> {
        self.consent.0.iter().map(|(_, policy)| policy)
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
