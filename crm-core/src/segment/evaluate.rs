//! Asking a predicate about one customer, and when its answer will next change.

use super::{Comparison, Predicate};
use crate::attribute::{Attribute, Unit};
use crate::customer::Customer;
use crate::money::Currency;
use crate::time::{Span, Timestamp};

impl Predicate {
    /// Whether it holds for a customer at an instant. `currency` is the one that money is counted in.
    #[must_use]
    pub fn holds(&self, customer: &Customer, at: Timestamp, currency: Currency) -> bool {
        match self {
            Predicate::All(parts) => parts.iter().all(|part| part.holds(customer, at, currency)),
            Predicate::Any(parts) => parts.iter().any(|part| part.holds(customer, at, currency)),
            Predicate::Not(part) => !part.holds(customer, at, currency),
            Predicate::StageIn(stages) => customer.facts().lifecycle().stage().is_some_and(|s| stages.contains(&s)),
            Predicate::HasTag(tag) => customer.has_tag(tag),
            Predicate::Compare(attribute, is, number) => {
                attribute.of(customer, at, currency).is_some_and(|value| is.holds(value, *number))
            }
            Predicate::Missing(attribute) => attribute.of(customer, at, currency).is_none(),
            Predicate::OrdersInLast { days, is, count } => {
                is.holds(leaving(customer, at, Span::days(*days)).count() as i64, *count)
            }
        }
    }

    /// The first instant after `at` at which the answer may differ although nothing happened. It may
    /// be too early when several clauses are joined, never too late. A stage that moves by itself is not
    /// counted here: the life cycle has an alarm of its own.
    #[must_use]
    pub fn next_change(&self, customer: &Customer, at: Timestamp) -> Option<Timestamp> {
        match self {
            Predicate::All(parts) | Predicate::Any(parts) => {
                parts.iter().filter_map(|part| part.next_change(customer, at)).min()
            }
            Predicate::Not(part) => part.next_change(customer, at),
            Predicate::Compare(attribute, is, number) => day_change(*attribute, *is, *number, customer, at),
            Predicate::OrdersInLast { days, is, count } => {
                let mut leaving: Vec<Timestamp> = leaving(customer, at, Span::days(*days)).collect();
                leaving.sort_unstable();
                let within = leaving.len() as i64;
                let holds_now = is.holds(within, *count);
                // After the n-th of them has left there are n fewer; two that leave at once leave together.
                leaving.iter().enumerate().find_map(|(n, instant)| {
                    let gone = n as i64 + 1;
                    let together = leaving.get(n + 1) == Some(instant);
                    (!together && is.holds(within - gone, *count) != holds_now).then_some(*instant)
                })
            }
            Predicate::StageIn(_) | Predicate::HasTag(_) | Predicate::Missing(_) => None,
        }
    }
}

/// When each standing order of the window that ends at `at` will have left it.
fn leaving(customer: &Customer, at: Timestamp, window: Span) -> impl Iterator<Item = Timestamp> {
    // Orders are in the order in which they were placed, so the search stops at the first one too old.
    customer
        .facts()
        .orders()
        .standing_newest_first()
        .map(move |order| order.placed_at.plus(window))
        .take_while(move |leaves| *leaves > at)
}

/// Attributes in days grow by one each day; the comparison can change only when the number is reached,
/// and when it is passed.
fn day_change(
    attribute: Attribute,
    is: Comparison,
    number: i64,
    customer: &Customer,
    at: Timestamp,
) -> Option<Timestamp> {
    if attribute.unit() != Unit::Days {
        return None;
    }
    let since = attribute.since(customer)?;
    let reached = |days: i64| u32::try_from(days).ok().map(|days| since.plus(Span::days(days)));
    let now = at.days_since(since);
    [number, number.checked_add(1)?]
        .into_iter()
        .filter(|days| *days > now && is.holds(*days, number) != is.holds(days - 1, number))
        .filter_map(reached)
        .find(|instant| *instant > at && *instant < Timestamp::MAX)
}
