//! Tiers: what it takes to be in one, for how long one stays, and what it brings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::period::Period;
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
    /// From how much on one is in it, counted as [`Qualification`] says. It also ranks the tiers.
    pub from: u64,
    /// Whoever reached it stays in it for ever.
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

/// Over which time it is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// From the beginning.
    #[default]
    Ever,
    /// So long back from now.
    Rolling(Span),
    /// Since this month, quarter or year began, in the zone of the programme.
    Calendar(Period),
}

/// What becomes of somebody who no longer has what their tier takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Downgrade {
    /// They are in the tier that they have the count for, whichever it is.
    #[default]
    Reevaluate,
    /// They fall by one tier, and are looked at again when its time is up.
    OneStep,
    /// They stay.
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
    /// there at its end: the tier is looked at then, and only then. None looks at once, whenever the count changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_until_end_of: Option<Period>,
    /// So long a tier is kept after it would be lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace: Option<Span>,
    /// What becomes of those who lose it.
    pub downgrade: Downgrade,
    /// So long ahead it is told that a tier will be lost unless something is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<Span>,
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
        let reached = |rule: &&TierRule| !rule.by_invitation && i128::from(rule.from) <= count;
        self.rules.iter().filter(reached).max_by(|a, b| (a.from, &a.name).cmp(&(b.from, &b.name)))
    }
}
