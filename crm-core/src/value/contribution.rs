//! What a customer brings: what they paid, less what they cost.
//!
//! By revenue it is what they ordered less what came back; by margin it is what is left of the revenue whose cost is
//! known (see [`CostPolicy`]). Either is less what serving them cost, by what they make the shop do, and what they will not
//! pay any more.

use serde::{Deserialize, Serialize};

use super::margin::{CostPolicy, Margin};
use super::ratio::clamped;
use crate::customer::FactState;
use crate::expression::Events;
use crate::time::{Span, Timestamp};

/// By what customers are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Brings {
    /// What they paid, whatever it cost.
    #[default]
    Revenue,
    /// What is left of it where the cost is known. Revenue that is not covered counts for nothing.
    Margin,
}

/// What a customer brings in one currency, part by part, in minor units; beyond 64 bits each stops there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    /// Orders less what was refunded of them.
    pub revenue: i64,
    /// The part of it whose cost is known.
    pub covered: i64,
    /// The cost of that part.
    pub cost: i64,
    /// Refunds that found no order.
    pub unmatched: i64,
    /// What serving the customer cost.
    pub service: i64,
    /// What is owed for so long that it counts as lost.
    pub lost: i64,
}

impl Contribution {
    /// What a customer brings by their facts: orders placed within a window before an instant, or all of them, and
    /// what was sent back of these and asked meanwhile. Refunds that found no order belong to no window, and count
    /// where there is none. `lost` is what is known of debts.
    ///
    /// Costs a look at every order and its lines.
    #[must_use]
    pub fn of(facts: &FactState, costs: &CostPolicy, at: Timestamp, window: Option<Span>, lost: i64) -> Self {
        let begin = window.map(|window| at.minus(window));
        let within = |then: Timestamp| then <= at && begin.is_none_or(|begin| then > begin);
        let (mut margin, mut service) = (Margin::default(), 0_i128);
        let mut matched = 0_i128;
        for (order, basket) in facts.orders().with_lines() {
            if order.total.currency() != costs.currency {
                continue;
            }
            matched += i128::from(order.refunded);
            if within(order.placed_at) {
                margin = margin.and(costs.margin_of(order, basket));
                service += i128::from(costs.service.order);
                service += if order.refunded > 0 { i128::from(costs.service.returned_order) } else { 0 };
            }
        }
        let kinds = costs.service.kinds.iter().map(|(kind, minor)| (Events::Custom(kind.clone()), *minor));
        for (events, minor) in kinds.chain([(Events::Enquiries, costs.service.enquiry)]) {
            let Some(instants) = facts.instants(&events).filter(|_| minor > 0) else { continue };
            let count = match window {
                None => i128::from(instants.count()),
                Some(_) => instants.remembered().iter().filter(|then| within(**then)).count() as i128,
            };
            service += count * i128::from(minor);
        }
        let unmatched = facts.orders().turnover_in(costs.currency).refunds - matched;
        Contribution {
            revenue: clamped(margin.revenue),
            covered: clamped(margin.covered),
            cost: clamped(margin.cost),
            unmatched: if window.is_none() { clamped(unmatched) } else { 0 },
            service: clamped(service),
            lost,
        }
    }

    /// What they bring in all; negative if they cost more than they bring.
    #[must_use]
    pub fn minor(&self, by: Brings) -> i64 {
        let gained = match by {
            Brings::Revenue => i128::from(self.revenue),
            Brings::Margin => i128::from(self.covered) - i128::from(self.cost),
        };
        clamped(gained - i128::from(self.unmatched) - i128::from(self.service) - i128::from(self.lost))
    }

    /// Revenue and cost as a margin, which knows its rate and its coverage.
    #[must_use]
    pub const fn margin(&self) -> Margin {
        Margin { revenue: self.revenue as i128, covered: self.covered as i128, cost: self.cost as i128 }
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Contribution) -> Contribution {
        Contribution {
            revenue: self.revenue.saturating_add(other.revenue),
            covered: self.covered.saturating_add(other.covered),
            cost: self.cost.saturating_add(other.cost),
            unmatched: self.unmatched.saturating_add(other.unmatched),
            service: self.service.saturating_add(other.service),
            lost: self.lost.saturating_add(other.lost),
        }
    }
}
