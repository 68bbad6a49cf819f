//! A programme: what earns points, how long they last, which tiers there are.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::earning::{Counts, EarningRule, Exclusions, Formula, Lines, Multiplier, On, Rounding, RuleName};
use super::{Expiry, GiftPolicy, PoolPolicy, TierName, TierRule, Tiers, Validity};
use crate::money::Currency;
use crate::text::text_type;
use crate::time::Span;

text_type!(
    /// The key of a loyalty programme, such as `points`.
    ProgramId, "programme", 64
);

/// The most points that one order earns or one command moves. A programme whose rule gives more stops here.
pub const LOYALTY_POINTS_MAX: i64 = 1_000_000_000_000;

/// When points that were earned can be spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pending {
    /// At once.
    #[default]
    No,
    /// So long after they were earned: until then the goods can be returned.
    For(Span),
    /// So long after the order was delivered. While that is not told they cannot.
    AfterDelivery(Span),
}

/// What becomes of points that are to be taken back, and were spent already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shortfall {
    /// The customer owes them, and the next ones pay the debt.
    #[default]
    Owed,
    /// The customer owes up to so many in all; the programme bears the rest, as an adjustment.
    OwedUpTo(u64),
    /// The programme bears them, as an adjustment.
    Borne,
}

/// What points are worth when they are redeemed for money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redemption {
    /// So many points …
    pub points: u32,
    /// … are worth so many minor units.
    pub minor: u32,
    /// How many have to be redeemed at least, each time and whatever for. What is claimed from the catalogue of rewards has
    /// its own price.
    #[serde(default)]
    pub at_least: u64,
    /// Up to which share of an order, in hundredths, by all that is redeemed for it.
    #[serde(default = "all_of_it")]
    pub up_to_percent: u8,
}

const fn all_of_it() -> u8 {
    100
}

/// A loyalty programme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Orders in this currency earn; others earn nothing by money.
    pub currency: Currency,
    /// The zone by which its days, months and years are counted.
    #[serde(default = "utc")]
    pub zone: Tz,
    /// When and where it gives points.
    #[serde(default)]
    pub validity: Validity,
    /// What earns points.
    pub earning: Vec<EarningRule>,
    /// What multiplies them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub multipliers: Vec<Multiplier>,
    /// What never counts.
    #[serde(default)]
    pub exclusions: Exclusions,
    /// What becomes of parts of a point.
    #[serde(default)]
    pub rounding: Rounding,
    /// When points of orders can be spent.
    #[serde(default)]
    pub pending: Pending,
    /// How long points last.
    #[serde(default)]
    pub expiry: Expiry,
    /// So long ahead it is told that points will expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind: Option<Span>,
    /// For how long after they expired points can be reinstated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reinstate_within: Option<Span>,
    /// What becomes of points that are to be taken back, and were spent already.
    #[serde(default)]
    pub shortfall: Shortfall,
    /// What points are worth when an order is paid with them, and how many of them can be redeemed. Without it a quote offers
    /// none, and what the shop redeems all the same has no limits of the programme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redemption: Option<Redemption>,
    /// How tiers are reached, kept and lost.
    #[serde(default)]
    pub tiers: Tiers,
    /// How customers may give points to each other; none means that they cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gifts: Option<GiftPolicy>,
    /// How customers may have points together; none means that they cannot. Pools that are there go on without limits of
    /// the programme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pools: Option<PoolPolicy>,
}

const fn utc() -> Tz {
    Tz::UTC
}

impl Program {
    /// One that gives nothing yet, in UTC.
    #[must_use]
    pub fn new(currency: Currency) -> Self {
        Program {
            currency,
            zone: utc(),
            validity: Validity::default(),
            earning: Vec::new(),
            multipliers: Vec::new(),
            exclusions: Exclusions::default(),
            rounding: Rounding::default(),
            pending: Pending::default(),
            expiry: Expiry::default(),
            remind: None,
            reinstate_within: None,
            shortfall: Shortfall::default(),
            redemption: None,
            tiers: Tiers::default(),
            gifts: None,
            pools: None,
        }
    }

    /// One point for each full major unit of a currency (for EUR: a euro), for ever, without tiers.
    #[must_use]
    pub fn point_per_unit(currency: Currency) -> Self {
        let per_minor = 10_u32.saturating_pow(currency.exponent());
        Self::new(currency).earning(EarningRule::per_money(RuleName::orders(), 1, per_minor))
    }

    /// The highest tier that so many points reach.
    #[must_use]
    pub fn tier(&self, qualifying: i128) -> Option<&TierName> {
        self.tiers.reached(qualifying).map(|rule| &rule.name)
    }

    /// With one more rule by which points are earned.
    #[must_use]
    pub fn earning(mut self, rule: EarningRule) -> Self {
        self.earning.push(rule);
        self
    }

    /// With points that expire so long after the order that earned them.
    #[must_use]
    pub const fn expiring_after(mut self, span: Span) -> Self {
        self.expiry = Expiry::After(span);
        self
    }

    /// With one more tier.
    #[must_use]
    pub fn with_tier(mut self, name: TierName, from: u64) -> Self {
        self.tiers.rules.push(TierRule::new(name, from));
        self
    }
}

impl EarningRule {
    /// A rule for orders that holds for everybody and everything.
    #[must_use]
    pub fn new(name: RuleName, gives: Formula) -> Self {
        EarningRule {
            name,
            on: On::Order,
            when: None,
            channels: std::collections::BTreeSet::new(),
            lines: Lines::default(),
            minimum: None,
            gives,
            counts: Counts::Both,
            cap: None,
            from: None,
            until: None,
        }
    }

    /// So many points for each so many minor units.
    #[must_use]
    pub fn per_money(name: RuleName, points: u32, per_minor: u32) -> Self {
        Self::new(name, Formula::PerMoney { points, per_minor })
    }
}
