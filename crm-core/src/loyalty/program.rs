//! A programme: what an order earns, how long points last, which tiers there are.

use serde::{Deserialize, Serialize};

use crate::money::Currency;
use crate::text::text_type;
use crate::time::Span;

text_type!(
    /// The key of a loyalty programme, such as `points`.
    ProgramId, "programme", 64
);
text_type!(
    /// The name of a tier, such as `gold`.
    TierName, "tier", 64
);

/// The most points that one order earns or one command moves. A programme whose rule gives more stops here.
pub const LOYALTY_POINTS_MAX: i64 = 1_000_000_000_000;

/// A tier and what it takes to be in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierRule {
    /// Its name.
    pub name: TierName,
    /// How many points have to have been earned and not taken back, ever.
    pub from_points: u64,
}

/// A loyalty programme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Orders in this currency earn; others earn nothing.
    pub currency: Currency,
    /// This many points …
    pub points: u32,
    /// … for each full so many minor units of what an order costs. Zero means that nothing is earned.
    pub per_minor: u32,
    /// How long points last from the order on; none means for ever.
    pub expires_after: Option<Span>,
    /// The tiers, in any order.
    #[serde(default)]
    pub tiers: Vec<TierRule>,
}

impl Program {
    /// One point for each full major unit of a currency (for EUR: a euro), for ever, without tiers.
    #[must_use]
    pub fn point_per_unit(currency: Currency) -> Self {
        let per_minor = 10_u32.saturating_pow(currency.exponent());
        Program { currency, points: 1, per_minor, expires_after: None, tiers: Vec::new() }
    }

    /// With points that expire so long after the order that earned them.
    #[must_use]
    pub fn expiring_after(mut self, span: Span) -> Self {
        self.expires_after = Some(span);
        self
    }

    /// With one more tier.
    #[must_use]
    pub fn with_tier(mut self, name: TierName, from_points: u64) -> Self {
        self.tiers.push(TierRule { name, from_points });
        self
    }

    /// What an order of so many minor units is entitled to, rounded down to whole steps.
    #[must_use]
    pub fn entitlement(&self, net_minor: i64, currency: Currency) -> i64 {
        if self.per_minor == 0 || net_minor <= 0 || currency != self.currency {
            return 0;
        }
        let steps = i128::from(net_minor / i64::from(self.per_minor));
        i64::try_from(steps * i128::from(self.points))
            .map_or(LOYALTY_POINTS_MAX, |points| points.min(LOYALTY_POINTS_MAX))
    }

    /// The highest tier that so many points reach.
    #[must_use]
    pub fn tier(&self, qualifying: i128) -> Option<&TierName> {
        self.tiers
            .iter()
            .filter(|tier| i128::from(tier.from_points) <= qualifying)
            .max_by(|a, b| (a.from_points, &a.name).cmp(&(b.from_points, &b.name)))
            .map(|tier| &tier.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_earns_whole_points_for_full_steps() {
        let program = Program::point_per_unit(Currency::EUR);
        let cases = [(0, 0), (99, 0), (100, 1), (1099, 10), (-500, 0), (i64::MAX, LOYALTY_POINTS_MAX)];
        for (minor, points) in cases {
            assert_eq!(program.entitlement(minor, Currency::EUR), points, "{minor}");
        }
        assert_eq!(program.entitlement(1000, Currency::USD), 0);
        assert_eq!(Program { per_minor: 0, ..program }.entitlement(1000, Currency::EUR), 0);
    }

    #[test]
    fn the_highest_tier_that_is_reached_counts() {
        let tier = |name: &str| TierName::new(name).unwrap();
        let program =
            Program::point_per_unit(Currency::EUR).with_tier(tier("gold"), 500).with_tier(tier("silver"), 100);
        assert_eq!(program.tier(99), None);
        assert_eq!(program.tier(100), Some(&tier("silver")));
        assert_eq!(program.tier(5000), Some(&tier("gold")));
    }
}
