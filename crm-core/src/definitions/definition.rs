//! One definition: what can be decided, within which limits, and under which name its versions are kept together.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::DefinitionError;
use crate::consent::ConsentPolicy;
use crate::custom::{KindName, KindSchema};
use crate::declared::{DeclaredKind, DeclaredName};
use crate::expression::Predicate;
use crate::identity::IdentityRules;
use crate::lifecycle::{LifecyclePolicy, SegmentPolicy};
use crate::loyalty::{
    Badge, BadgeName, Coupon, CouponCode, Draw, DrawName, Program, ProgramId, Referral, ReferralName, Reward,
    RewardName, RewardRuleError, StampCard, StampCardName,
};
use crate::money::Currency;
use crate::privacy::{PrivacyPolicy, RetentionName, RetentionPolicy, View, ViewName};
use crate::profile::{CardSchema, CompletenessRules};
use crate::score::{OUTPUTS_MAX, ScoreOutput, ScorePolicy};
use crate::segment::{ListAbout, ListName, SegmentName};
use crate::time::Timestamp;
use crate::value::ValuePolicy;
use crate::workflow::{Grants, PluginName};

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
    pub(super) const fn moves_members(&self) -> bool {
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
