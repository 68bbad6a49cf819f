//! Bad debt: what was ordered and not paid a given time after the order.
//!
//! A payment that names an order settles that order. What is left of it, and payments that name none, settle the oldest
//! order first, which is how a running account is settled in common law unless payer or payee say otherwise (Clayton's
//! case, 1816). What is left after that is the customer's credit.
//!
//! A shop that tells of no payments would have nothing but debtors: ask only where payments are told.

use serde::{Deserialize, Serialize};

use crate::money::Currency;
use crate::order::{Order, OrderRef};
use crate::time::{Span, Timestamp};

/// A payment as a source told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paid {
    /// For which order, if known.
    pub order: Option<OrderRef>,
    /// When it came in.
    pub at: Timestamp,
    /// How much, in minor units; less than nothing counts as nothing.
    pub minor: i64,
}

/// What a customer owes in one currency, in minor units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debt {
    /// What is not paid of all orders.
    pub open: i128,
    /// Of that, what is not paid of orders that are due.
    pub overdue: i128,
    /// Payments beyond all orders.
    pub credit: i128,
    /// The orders that are due and not paid, oldest first: when they were placed, and what is left of each.
    pub parts: Vec<(Timestamp, i64)>,
}

impl Debt {
    /// What is owed at an instant for the orders in one currency, after refunds. Payments have to be in that currency.
    /// An order is due so long after it was placed, and not before. What happened after the instant is left out. In
    /// whichever order orders and payments are given, the answer is the same.
    #[must_use]
    pub fn of<'o>(
        orders: impl IntoIterator<Item = &'o Order>,
        payments: &[Paid],
        currency: Currency,
        due_after: Span,
        at: Timestamp,
    ) -> Debt {
        let mut orders: Vec<(&Order, i64)> = orders
            .into_iter()
            .filter(|order| order.total.currency() == currency && order.placed_at <= at)
            .map(|order| (order, order.net_minor().max(0)))
            .collect();
        orders.sort_unstable_by_key(|(order, _)| (order.placed_at, order.event));
        let mut loose: i128 = 0;
        for payment in payments.iter().filter(|payment| payment.at <= at) {
            let mut left = payment.minor.max(0);
            if let Some(name) = &payment.order {
                for (_, open) in orders.iter_mut().filter(|(order, _)| order.order.as_ref() == Some(name)) {
                    left -= settle(open, left);
                }
            }
            loose += i128::from(left);
        }
        let mut debt = Debt::default();
        for (order, mut open) in orders {
            loose -= i128::from(settle(&mut open, i64::try_from(loose).unwrap_or(i64::MAX)));
            debt.open += i128::from(open);
            if open > 0 && order.placed_at.plus(due_after) <= at {
                debt.overdue += i128::from(open);
                debt.parts.push((order.placed_at, open));
            }
        }
        debt.credit = loose;
        debt
    }
}

/// Settles an open amount by up to `left`, and says by how much.
fn settle(open: &mut i64, left: i64) -> i64 {
    let part = left.min(*open);
    *open -= part;
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EventId;
    use crate::money::Money;
    use proptest::prelude::*;

    fn day(day: u32) -> Timestamp {
        Timestamp::MIN.plus(Span::days(day))
    }

    fn name(name: &str) -> Option<OrderRef> {
        Some(OrderRef::new(name).unwrap())
    }

    fn order(order: &str, placed: u32, minor: i64, refunded: i64) -> Order {
        Order {
            event: EventId::from_uuid(uuid::Uuid::from_u128(placed.into())),
            order: name(order),
            placed_at: day(placed),
            total: Money::new(minor, Currency::EUR),
            refunded,
            beside: None,
        }
    }

    fn paid(order: Option<OrderRef>, at: u32, minor: i64) -> Paid {
        Paid { order, at: day(at), minor }
    }

    fn debt(orders: &[Order], payments: &[Paid], at: u32) -> Debt {
        Debt::of(orders, payments, Currency::EUR, Span::days(30), day(at))
    }

    #[test]
    fn what_is_unpaid_is_overdue_from_the_day_it_was_due() {
        let orders = [order("a", 1, 100, 0), order("b", 10, 50, 20)];
        assert_eq!(debt(&orders, &[], 30), Debt { open: 130, ..Debt::default() });
        assert_eq!(debt(&orders, &[], 31), Debt { open: 130, overdue: 100, credit: 0, parts: vec![(day(1), 100)] });
        assert_eq!(debt(&orders, &[], 40).overdue, 130);
        assert_eq!(debt(&orders, &[], 5).open, 100, "the second was not placed yet");
    }

    #[test]
    fn a_payment_settles_the_order_it_names_and_then_the_oldest() {
        let orders = [order("a", 1, 100, 0), order("b", 2, 100, 0)];
        let parts = |payments: &[Paid]| debt(&orders, payments, 90).parts;
        assert_eq!(parts(&[paid(name("b"), 3, 60)]), [(day(1), 100), (day(2), 40)]);
        assert_eq!(parts(&[paid(name("b"), 3, 130)]), [(day(1), 70)]);
        assert_eq!(parts(&[paid(None, 3, 110)]), [(day(2), 90)]);
        assert_eq!(parts(&[paid(name("c"), 3, 110)]), [(day(2), 90)], "an order that is not known");
        let all = debt(&orders, &[paid(None, 3, 250), paid(None, 91, 999)], 90);
        assert_eq!((all.open, all.credit), (0, 50));
    }

    #[test]
    fn orders_in_other_currencies_are_left_alone() {
        let dollars = Order { total: Money::new(70, Currency::USD), ..order("a", 1, 0, 0) };
        assert_eq!(debt(&[dollars], &[], 90), Debt::default());
    }

    proptest! {
        #[test]
        fn what_is_ordered_is_paid_or_open_and_what_is_paid_is_settled_or_credit(
            orders in proptest::collection::vec((0..5_u8, 0..100_u32, 0..1_000_i64), 0..12),
            payments in proptest::collection::vec((proptest::option::of(0..6_u8), 0..100_u32, 0..1_500_i64), 0..12),
            at in 0..150_u32,
        ) {
            let mut orders: Vec<Order> =
                orders.iter().zip(0_u128..).map(|((of, placed, minor), id)| Order {
                    event: EventId::from_uuid(uuid::Uuid::from_u128(id)),
                    ..order(&of.to_string(), *placed, *minor, 0)
                }).collect();
            let mut payments: Vec<Paid> = payments
                .iter()
                .map(|(of, at, minor)| paid(of.and_then(|of| name(&of.to_string())), *at, *minor))
                .collect();
            let debt_of = debt(&orders, &payments, at);
            let ordered: i128 = orders.iter().filter(|order| order.placed_at <= day(at)).map(|order| i128::from(order.net_minor())).sum();
            let told: i128 = payments.iter().filter(|paid| paid.at <= day(at)).map(|paid| i128::from(paid.minor)).sum();
            prop_assert_eq!(ordered - debt_of.open, told - debt_of.credit);
            prop_assert!(debt_of.open == 0 || debt_of.credit == 0);
            prop_assert!(debt_of.overdue <= debt_of.open);
            prop_assert_eq!(debt_of.parts.iter().map(|part| i128::from(part.1)).sum::<i128>(), debt_of.overdue);
            orders.reverse();
            payments.reverse();
            prop_assert_eq!(debt(&orders, &payments, at), debt_of);
        }
    }
}
