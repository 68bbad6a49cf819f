//! Margin where cost is known: revenue less the cost of what was sold, and which part of revenue that is said of.
//! (A contribution margin, after the cost of goods alone.)
//!
//! Shops rarely know the cost of everything. Nothing is guessed: a line without a known cost is revenue that is not
//! *covered*, and a margin is said of the covered revenue only, together with its coverage.
//!
//! - What an order's own line says it cost goes before what the policy says of the product, that before its category, and
//!   that before what the policy says of everything else.
//! - An order's total and its lines may differ, by shipping or a discount: the difference is revenue that is not
//!   covered; for a discount it is negative.
//! - A refund takes the same share off the revenue, covered and not, that it takes off the order. Whether the cost
//!   comes back as well is the shop's to say: [`Returned`].
//! - Everything is in whole minor units of one currency, added up in 128 bits. What is divided (a cost as a share of the
//!   price, a refund's share) is rounded half to even, once for each line or order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ratio::{MILLION, parts_per_million, share};
use crate::custom::KindName;
use crate::money::{Currency, Money};
use crate::order::{BasketLine, CategoryName, Order, OrderPlaced, ProductRef};

/// What a product costs the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cost {
    /// So many minor units for each piece. Of a line that does not say how many it is unknown.
    Piece(u32),
    /// So many parts per million of the price; more than a million if it is sold at a loss.
    OfPrice(u32),
}

impl Cost {
    /// What a line cost, in minor units; none if the line does not say how many pieces it has and that matters.
    #[must_use]
    pub fn of(self, line: &BasketLine<'_>) -> Option<i128> {
        match self {
            Cost::Piece(minor) => line.quantity.map(|pieces| i128::from(pieces) * i128::from(minor)),
            Cost::OfPrice(parts) => share(line.minor.into(), MILLION, parts.into()),
        }
    }
}

/// What becomes of goods that come back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Returned {
    /// They are sold again: their cost is taken off in proportion.
    #[default]
    Restocked,
    /// They are lost: their cost remains.
    WrittenOff,
}

/// What is known about costs in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostPolicy {
    /// The currency of the costs. Orders in others are not covered, and are left out of the margin altogether.
    pub currency: Currency,
    /// By product. It goes before the category.
    #[serde(default)]
    pub products: BTreeMap<ProductRef, Cost>,
    /// By category, for products that are not listed.
    #[serde(default)]
    pub categories: BTreeMap<CategoryName, Cost>,
    /// Of what is in neither; none where nothing is to be assumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<Cost>,
    /// What becomes of goods that come back.
    #[serde(default)]
    pub returned: Returned,
    /// What serving a customer costs beside the goods.
    #[serde(default)]
    pub service: ServiceCosts,
}

/// What serving a customer costs beside the goods, in minor units for each time: so that somebody who asks much and
/// sends much back may cost more than they bring.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceCosts {
    /// An order: packing, sending, the fee of a payment.
    pub order: u32,
    /// An order of which something was sent back.
    pub returned_order: u32,
    /// An enquiry.
    pub enquiry: u32,
    /// An event of the shop's own kinds, such as a call.
    pub kinds: BTreeMap<KindName, u32>,
}

impl CostPolicy {
    /// A policy that knows no cost yet.
    #[must_use]
    pub const fn new(currency: Currency) -> Self {
        CostPolicy {
            currency,
            products: BTreeMap::new(),
            categories: BTreeMap::new(),
            otherwise: None,
            returned: Returned::Restocked,
            service: ServiceCosts { order: 0, returned_order: 0, enquiry: 0, kinds: BTreeMap::new() },
        }
    }

    /// What a line cost, in minor units; none if it is not known.
    #[must_use]
    pub fn cost<'l>(&self, line: impl Into<BasketLine<'l>>) -> Option<i128> {
        let line = line.into();
        if let Some(minor) = line.cost_minor {
            return Some(minor.into());
        }
        let product = line.product.and_then(|product| self.products.get(product));
        let category = || line.category.and_then(|category| self.categories.get(category));
        product.or_else(category).or(self.otherwise.as_ref())?.of(&line)
    }

    /// The margin of one order, of which so many minor units were refunded. Nothing of an order in another currency.
    #[must_use]
    pub fn margin(&self, order: &OrderPlaced, refunded_minor: i64) -> Margin {
        self.of_lines(order.total, refunded_minor, order.lines.iter().map(BasketLine::from))
    }

    /// The margin of an order as a customer's state keeps it, with its basket. Lines that name neither product, nor
    /// category, nor cost are in no basket, so they are not covered whatever the policy says of everything else.
    #[must_use]
    pub fn margin_of<'l>(&self, order: &Order, basket: impl Iterator<Item = BasketLine<'l>>) -> Margin {
        self.of_lines(order.total, order.refunded, basket)
    }

    fn of_lines<'l>(&self, total: Money, refunded_minor: i64, lines: impl Iterator<Item = BasketLine<'l>>) -> Margin {
        if total.currency() != self.currency {
            return Margin::default();
        }
        let total = i128::from(total.minor());
        let (mut covered, mut cost) = (0, 0);
        for line in lines {
            if let Some(of_line) = self.cost(line) {
                covered += i128::from(line.minor);
                cost += of_line;
            }
        }
        let left = total - i128::from(refunded_minor);
        // Of an order that cost nothing, nothing can be refunded.
        let kept = |amount: i128| share(left, total, amount).unwrap_or(amount);
        let kept_cost = match self.returned {
            Returned::Restocked => kept(cost),
            Returned::WrittenOff => cost,
        };
        Margin { revenue: if total == 0 { 0 } else { left }, covered: kept(covered), cost: kept_cost }
    }
}

/// Revenue and cost of some orders in one currency, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Margin {
    /// All revenue after refunds.
    pub revenue: i128,
    /// That of lines whose cost is known.
    pub covered: i128,
    /// The cost of these lines.
    pub cost: i128,
}

impl Margin {
    /// What is left of the covered revenue. The rest of the revenue is not said to be profit.
    #[must_use]
    pub const fn margin(&self) -> i128 {
        self.covered.saturating_sub(self.cost)
    }

    /// The margin in parts per million of the covered revenue; none without any.
    #[must_use]
    pub fn rate(&self) -> Option<i64> {
        parts_per_million(self.margin(), self.covered)
    }

    /// How much of the revenue is covered, in parts per million; none without revenue. It is above a million where
    /// discounts are not on lines.
    #[must_use]
    pub fn coverage(&self) -> Option<i64> {
        parts_per_million(self.covered, self.revenue)
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Margin) -> Margin {
        Margin {
            revenue: self.revenue.saturating_add(other.revenue),
            covered: self.covered.saturating_add(other.covered),
            cost: self.cost.saturating_add(other.cost),
        }
    }
}

impl std::iter::Sum for Margin {
    fn sum<I: Iterator<Item = Margin>>(margins: I) -> Margin {
        margins.fold(Margin::default(), Margin::and)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::Line;
    use proptest::prelude::*;

    fn line(product: &str, quantity: Option<i64>, minor: i64) -> Line {
        let category = Some(CategoryName::new("all").unwrap());
        Line { product: Some(ProductRef::new(product).unwrap()), category, quantity, minor, ..Line::default() }
    }

    fn order(total: i64, lines: Vec<Line>) -> OrderPlaced {
        OrderPlaced::new(Money::new(total, Currency::EUR)).with_lines(lines)
    }

    fn policy(costs: &[(&str, Cost)]) -> CostPolicy {
        let products = costs.iter().map(|(name, cost)| (ProductRef::new(name).unwrap(), *cost)).collect();
        CostPolicy { products, ..CostPolicy::new(Currency::EUR) }
    }

    #[test]
    fn what_has_no_known_cost_is_revenue_that_is_not_covered() {
        let policy = policy(&[("mug", Cost::Piece(300)), ("tea", Cost::OfPrice(400_000))]);
        let lines =
            vec![line("mug", Some(2), 1_000), line("tea", None, 505), line("mug", None, 500), line("pen", Some(1), 95)];
        let margin = policy.margin(&order(2_000, lines), 0);
        assert_eq!(margin, Margin { revenue: 2_000, covered: 1_505, cost: 600 + 202 });
        assert_eq!((margin.margin(), margin.rate(), margin.coverage()), (703, Some(467_110), Some(752_500)));
        assert_eq!((Margin::default().rate(), Margin::default().coverage()), (None, None));
    }

    #[test]
    fn a_product_goes_before_its_category() {
        let all = CategoryName::new("all").unwrap();
        let policy = CostPolicy {
            categories: BTreeMap::from([(all, Cost::OfPrice(500_000))]),
            ..policy(&[("mug", Cost::Piece(1))])
        };
        assert_eq!(policy.cost(&line("mug", Some(3), 100)), Some(3));
        assert_eq!(policy.cost(&line("pen", Some(3), 101)), Some(50), "half to even");
        assert_eq!(policy.cost(&line("pen", Some(3), 103)), Some(52));
    }

    #[test]
    fn a_refund_takes_its_share_and_the_cost_comes_back_only_with_the_goods() {
        let sold = order(1_000, vec![line("mug", Some(1), 1_000)]);
        let restocked = policy(&[("mug", Cost::Piece(600))]);
        assert_eq!(restocked.margin(&sold, 250), Margin { revenue: 750, covered: 750, cost: 450 });
        let lost = CostPolicy { returned: Returned::WrittenOff, ..restocked };
        assert_eq!(lost.margin(&sold, 1_000).margin(), -600);
        assert_eq!(lost.margin(&OrderPlaced::new(Money::new(5, Currency::USD)), 0), Margin::default());
        let given = order(0, vec![line("mug", Some(1), 0)]);
        assert_eq!(lost.margin(&given, 0), Margin { revenue: 0, covered: 0, cost: 600 }, "a gift costs what it costs");
    }

    #[test]
    fn a_policy_is_written_down_and_read_back() {
        let policy = policy(&[("mug", Cost::Piece(300)), ("tea", Cost::OfPrice(400_000))]);
        let json = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<CostPolicy>(&json).unwrap(), policy, "{json}");
    }

    proptest! {
        #[test]
        fn orders_add_up_in_any_order_and_a_higher_cost_never_leaves_more(
            orders in proptest::collection::vec(
                (proptest::collection::vec((0..4_usize, 0..5_i64, 0..10_000_i64), 0..5), 0..=1_000_u32), 0..12),
            cost in 0..5_000_u32, more in 0..500_u32,
        ) {
            let names = ["mug", "tea", "pen", "cup"];
            let orders: Vec<(OrderPlaced, i64)> = orders.into_iter().map(|(lines, refunded)| {
                let lines: Vec<Line> = lines.into_iter().map(|(n, count, minor)| line(names[n], Some(count), minor)).collect();
                let total: i64 = lines.iter().map(|line| line.minor).sum();
                (order(total, lines), total * i64::from(refunded) / 1_000)
            }).collect();
            let all = |cost| {
                let policy = policy(&[("mug", Cost::Piece(cost)), ("tea", Cost::OfPrice(700_000))]);
                let forwards: Margin = orders.iter().map(|(order, refunded)| policy.margin(order, *refunded)).sum();
                let backwards: Margin = orders.iter().rev().map(|(order, refunded)| policy.margin(order, *refunded)).sum();
                (forwards, backwards)
            };
            let (forwards, backwards) = all(cost);
            prop_assert_eq!(forwards, backwards);
            prop_assert!(forwards.covered <= forwards.revenue);
            prop_assert!(all(cost + more).0.margin() <= forwards.margin());
        }
    }
}
