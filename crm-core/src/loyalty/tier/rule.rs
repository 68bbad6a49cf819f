//! What a shop says of its tiers: what it takes to be in one, for how long one stays, and what it brings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::period::Period;
use crate::text::{Remark, text_type};
use crate::time::Span;

text_type!(
    /// The name of a tier, such as `gold`.
    TierName, "tier", 64
);
text_type!(
    /// The name of something that a tier brings, such as `free_shipping`.
    BenefitName, "benefit", 64
);

/// The most tiers that a programme has.
pub const TIERS_MAX: usize = 32;
/// The most benefits that a tier has.
pub const BENEFITS_MAX: usize = 64;

/// A tier and what it takes to be in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierRule {
    /// Its name.
    pub name: TierName,
    /// From how much on one is in it, counted as [`Tiers`] say. It also ranks the tiers. Whoever took part at all is in
    /// one from 0: who has points or had, or, where spend is counted, who ordered.
    pub from: u64,
    /// Whoever reached it stays in it for ever, and may still rise above it and fall back to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lifetime: bool,
    /// Nobody reaches it by counting: only those come in who are invited.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_invitation: bool,
    /// By how much longer points last that are earned in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points_last_longer: Option<Span>,
    /// What it brings, as the shop words it: the CRM tells, and the shop grants.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub benefits: BTreeMap<BenefitName, Remark>,
}

impl TierRule {
    /// A tier that is reached by counting.
    #[must_use]
    pub const fn new(name: TierName, from: u64) -> Self {
        TierRule {
            name,
            from,
            lifetime: false,
            by_invitation: false,
            points_last_longer: None,
            benefits: BTreeMap::new(),
        }
    }
}

/// What is counted towards a tier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Qualifying points, less what was taken back of them.
    #[default]
    Points,
    /// What orders in the programme's currency cost, less refunds, in minor units.
    Spend,
}

/// Over which time it is counted. Points count from when they were earned on, orders from when they were placed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// From the beginning.
    #[default]
    Ever,
    /// So long back from now: what happened exactly so long ago is out.
    Rolling(Span),
    /// Since this month, quarter or year began, in the zone of the programme.
    Calendar(Period),
}

/// When it is looked at who rises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rises {
    /// As soon as the count is there.
    #[default]
    AtOnce,
    /// At the end of each period, see [`Tiers::kept_until_end_of`], by the count as of its last instant.
    AtPeriodEnd,
}

/// What becomes of somebody who no longer has what their tier takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Downgrade {
    /// They are in the tier that they have the count for, whichever it is.
    #[default]
    Reevaluate,
    /// They fall by one tier, however little they have, and are looked at again when its time is up: at the end of the
    /// period, or where tiers are kept for none after as long as the window is, or at the end of a calendar one.
    OneStep,
    /// They stay. Where tiers are kept for periods it is looked at the end of each whether that still holds.
    None,
}

/// How tiers are reached, kept and lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tiers {
    /// The tiers, in any order.
    pub rules: Vec<TierRule>,
    /// What is counted.
    pub counted: Counted,
    /// Over which time.
    pub window: Window,
    /// Whoever reached a tier keeps it until the end of this period, and then of the ones after it while the count is
    /// there as of the last instant of each: whether it is lost is looked at then, and only then. None looks at once,
    /// whenever the count changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_until_end_of: Option<Period>,
    /// When it is looked at who rises.
    #[serde(skip_serializing_if = "is_default")]
    pub rises: Rises,
    /// So long a tier is kept after it would be lost. Whoever has the count again by then stays; the others come to the
    /// tier that they had the count for when it began, or to a higher one that they have it for at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace: Option<Span>,
    /// What becomes of those who lose it.
    pub downgrade: Downgrade,
    /// So long ahead it is told that a tier will be lost unless something is done: see
    /// [`TierAtRisk`](crate::change::ChangeBody::TierAtRisk). What comes up later than that is told when it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<Span>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl TierRule {
    /// By what tiers are ranked.
    pub(crate) fn rank(&self) -> (u64, &TierName) {
        (self.from, &self.name)
    }
}

impl Tiers {
    /// A tier by its name.
    #[must_use]
    pub fn rule(&self, name: &TierName) -> Option<&TierRule> {
        self.rules.iter().find(|rule| rule.name == *name)
    }

    /// The highest tier that a count reaches.
    #[must_use]
    pub fn reached(&self, count: i128) -> Option<&TierRule> {
        self.counted_rules().filter(|rule| i128::from(rule.from) <= count).max_by_key(|rule| rule.rank())
    }

    /// Those that are reached by counting.
    pub(crate) fn counted_rules(&self) -> impl Iterator<Item = &TierRule> {
        self.rules.iter().filter(|rule| !rule.by_invitation)
    }

    /// The highest of those that are reached by counting and lie below one.
    pub(crate) fn below(&self, tier: &TierRule) -> Option<&TierRule> {
        self.counted_rules().filter(|rule| rule.rank() < tier.rank()).max_by_key(|rule| rule.rank())
    }

    /// The lowest of those that are reached by counting and lie above one, or of all.
    pub(crate) fn above(&self, tier: Option<&TierRule>) -> Option<&TierRule> {
        let above = |rule: &&TierRule| tier.is_none_or(|tier| rule.rank() > tier.rank());
        self.counted_rules().filter(above).min_by_key(|rule| rule.rank())
    }

    /// Whether what the count reaches is all there is to it: nothing is kept, so that nothing has to be recorded, but
    /// for tiers that are for life or by invitation.
    pub(crate) fn only_counted(&self) -> bool {
        self.kept_until_end_of.is_none() && self.grace.is_none() && self.downgrade == Downgrade::Reevaluate
    }
}
