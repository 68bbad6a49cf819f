//! Rules by which points are earned.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::super::TierName;
use super::super::period::Period;
use crate::custom::KindName;
use crate::declared::DeclaredName;
use crate::expression::Predicate;
use crate::interaction::Channel;
use crate::order::{CategoryName, LineKind, ProductRef};
use crate::text::text_type;
use crate::time::Timestamp;

text_type!(
    /// The name of an earning rule or a multiplier within its programme, such as `double_coffee`.
    RuleName, "earning rule", 64
);

impl RuleName {
    /// The rule of a programme that gives points for orders and nothing else.
    pub(in crate::loyalty) const fn orders() -> Self {
        RuleName(smol_str::SmolStr::new_static("orders"))
    }
}

/// The most rules, and the most multipliers, that a programme has.
pub const RULES_MAX: usize = 100;

/// What a rule answers to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum On {
    /// An order.
    #[default]
    Order,
    /// A visit.
    Visit,
    /// An event of a kind that the shop declared: a review, a survey, a contribution to the community.
    Custom(KindName),
    /// The first thing ever told of the customer. Where that was voided, the next one is the first.
    SignUp,
    /// Each year the day and month of an instant that the shop told as an attribute, at midnight of the programme's
    /// zone: a birthday. The day and month are those in UTC, as a day is told. Where a year lacks 29 February it is the
    /// 28th. Whatever is told meanwhile, a rule gives points at most once in a year of the calendar; a day that is over
    /// when it is told is that of the next year. Birthdays of cards are sealed, and no rule sees them.
    Yearly(DeclaredName),
}

/// Which lines of an order a rule counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lines {
    /// Of these products; empty means of any.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub products: BTreeSet<ProductRef>,
    /// Of these categories; empty means of any.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub categories: BTreeSet<CategoryName>,
}

/// What a rule gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Formula {
    /// So many, each time; for an order if any of its lines counts, and not all of it was paid with points.
    Fixed(u32),
    /// So many for each so many minor units of what the lines cost that count.
    PerMoney {
        /// How many points.
        points: u32,
        /// For how many minor units, at least 1.
        per_minor: u32,
    },
    /// So many for each piece of the lines that count, less the share that was paid with points. A line without a
    /// quantity is one piece, one that takes off is none, and an order without lines is one.
    PerItem(u32),
}

/// Which points a rule gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    /// Points that can be redeemed and count towards a tier.
    #[default]
    Both,
    /// Points that can be redeemed only.
    Redeemable,
    /// Points that count towards a tier only.
    Qualifying,
}

/// For how long a cap holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// For one order or action.
    Event,
    /// For each stretch of the calendar, in the zone of the programme.
    Period(Period),
    /// For ever.
    Ever,
}

/// The most that a rule gives one customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    /// How many points, multipliers included.
    pub points: u64,
    /// For how long. What was taken back again counts no more.
    pub per: Per,
}

/// A rule by which points are earned. All that apply add up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarningRule {
    /// Its name.
    pub name: RuleName,
    /// What it answers to.
    #[serde(default)]
    pub on: On,
    /// For whom: the customer as they are before what they earn points for, at its instant. None means for everybody.
    /// It cannot ask about the past of segments: a segment can, and it about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Predicate>,
    /// By which channels; empty means by any. What names no channel came by none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub channels: BTreeSet<Channel>,
    /// Which lines of an order.
    #[serde(default)]
    pub lines: Lines,
    /// How much the lines that count have to cost at least, in minor units and without what was paid with points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<u64>,
    /// What it gives.
    pub gives: Formula,
    /// Which points these are.
    #[serde(default)]
    pub counts: Counts,
    /// The most that it gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<Cap>,
    /// From when on it holds; none means as long as the programme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Until before when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// By how much points are multiplied, in thousandths: 1500 is one and a half times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Factor(pub u32);

/// Something that multiplies what rules give: a tier, a campaign. Those that apply to the same points are multiplied
/// with each other, and the whole is rounded once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Multiplier {
    /// Its name.
    pub name: RuleName,
    /// By how much.
    pub by: Factor,
    /// For those in these tiers; empty means for everybody.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tiers: BTreeSet<TierName>,
    /// For whom, as for a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Predicate>,
    /// Which rules it multiplies; empty means all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub rules: BTreeSet<RuleName>,
    /// From when on: a campaign begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Until before when: it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What never earns: for no rule it is money or a piece. Nor is what was paid with points, by its share of the total.
/// What of the total no line tells of is goods, and counts for rules that ask for no lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Exclusions {
    /// Lines of these kinds.
    pub kinds: BTreeSet<LineKind>,
    /// Of these products.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub products: BTreeSet<ProductRef>,
    /// Of these categories.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub categories: BTreeSet<CategoryName>,
}

impl Default for Exclusions {
    /// Gift cards, carriage, tax and rewards.
    fn default() -> Self {
        let kinds = [LineKind::GiftCard, LineKind::Shipping, LineKind::Tax, LineKind::Reward].into();
        Exclusions { kinds, products: BTreeSet::new(), categories: BTreeSet::new() }
    }
}

/// Of what parts of a point are rounded. Each rule rounds what it gives by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundingPlace {
    /// For each order as a whole.
    #[default]
    Order,
    /// For each line.
    Line,
}

/// How parts of a point are rounded, and where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Money counts in full steps: 3 points for each 10 euro give 3 for 19.99. What multipliers leave of a point, and
    /// where there is no money, is rounded down for each order.
    #[default]
    FullSteps,
    /// Down to a whole point; what a line takes off is rounded up.
    Down(RoundingPlace),
    /// To the nearest whole point, halves to the even one.
    HalfEven(RoundingPlace),
}
