//! Orders and what came back of them: what a CRM needs of them, not a shop.
//!
//! # How a refund finds its order
//!
//! Facts are folded by the time at which they happened, and each refund is settled when its turn comes:
//!
//! 1. A refund that names an order is settled against that order. If the order is not known (it happened
//!    later by the clocks of the sources, or was never told), the refund waits and is settled when the
//!    order is folded.
//! 2. A refund that names none is settled against the customer's orders from the newest back, among
//!    those that happened before it, each up to what is left of it. Goods that come back were mostly
//!    bought last.
//! 3. Only orders in the refund's own currency count, and an order is never refunded beyond its total.
//!    What is left over stays unmatched: it lowers the customer's net spend and no order.
//!
//! An order *stands* until it has been refunded in full; an order of zero always stands.

mod basket;
mod error;
mod event;

use serde::{Deserialize, Serialize};

use basket::Baskets;
pub use basket::{Basket, BasketLine};
pub use error::OrderError;
pub use event::{
    AMOUNT_MAX_MINOR, CartUpdated, LINES_MAX, Line, LineKind, OrderDelivered, OrderPlaced, PaymentReceived, Refunded,
};

use crate::flat::FlatSet;
use crate::id::EventId;
use crate::interaction::Channel;
use crate::money::{Currency, Money};
use crate::profile::Country;
use crate::text::text_type;
use crate::time::Timestamp;

text_type!(
    /// The shop's own number of an order.
    OrderRef, "order number", 256
);
text_type!(
    /// The shop's own key of a product.
    ProductRef, "product key", 256
);
text_type!(
    /// The shop's own name of a kind of products.
    CategoryName, "category", 256
);

/// An order as the CRM keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The fact that told of it.
    pub event: EventId,
    /// The shop's number, if it has one.
    pub order: Option<OrderRef>,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// What it cost.
    pub total: Money,
    /// What was refunded of it, in minor units, at most its total.
    pub refunded: i64,
    /// What few sources say.
    pub(crate) beside: Option<Box<Beside>>,
}

/// What few sources say of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Beside {
    channel: Option<Channel>,
    country: Option<Country>,
    points_minor: i64,
    delivered_at: Option<Timestamp>,
}

impl Order {
    /// Whether something of it is left: not refunded in full, or free of charge to begin with.
    #[must_use]
    pub const fn stands(&self) -> bool {
        self.refunded < self.total.minor() || self.total.minor() == 0
    }

    /// By which channel it came, if the source said.
    #[must_use]
    pub fn channel(&self) -> Option<Channel> {
        self.beside.as_ref()?.channel
    }

    /// In which country it was sold, if the source said.
    #[must_use]
    pub fn country(&self) -> Option<&Country> {
        self.beside.as_ref()?.country.as_ref()
    }

    /// How much of its total was paid with points, in minor units.
    #[must_use]
    pub fn points_minor(&self) -> i64 {
        self.beside.as_ref().map_or(0, |beside| beside.points_minor)
    }

    /// When it was delivered, if that was told.
    #[must_use]
    pub fn delivered_at(&self) -> Option<Timestamp> {
        self.beside.as_ref()?.delivered_at
    }

    /// What is left of it, in minor units.
    #[must_use]
    pub const fn net_minor(&self) -> i64 {
        self.total.minor() - self.refunded
    }
}

/// What a customer ordered and sent back in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turnover {
    /// Which currency.
    pub currency: Currency,
    /// All order totals, in minor units.
    pub gross: i128,
    /// All refunds, matched or not, in minor units.
    pub refunds: i128,
    /// All payments, in minor units.
    pub payments: i128,
}

impl Turnover {
    /// Orders less refunds, in minor units; negative when more came back than was ordered.
    #[must_use]
    pub const fn net(&self) -> i128 {
        self.gross - self.refunds
    }
}

/// A refund whose order is not known yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    order: OrderRef,
    amount: Money,
}

/// All orders of a customer, in the order in which they were placed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    list: Vec<Order>,
    /// What was bought with each, in the same order.
    baskets: Baskets,
    turnover: Vec<Turnover>,
    waiting: Vec<Waiting>,
    /// Deliveries of orders that are not known yet.
    early: Vec<(OrderRef, Timestamp)>,
    /// Numbers of orders that were told and never were.
    never_were: FlatSet<OrderRef>,
    standing: u32,
    refunds: u32,
}

/// What folding a fact did to the orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Orders stood before and after, or neither.
    None,
    /// The last order that stood was refunded in full.
    NoneStandsAnyMore,
}

impl Orders {
    /// All of them, oldest first, those that were refunded included.
    #[must_use]
    pub fn list(&self) -> &[Order] {
        &self.list
    }

    /// All of them with what was bought, as far as the source named it, oldest first.
    pub fn with_lines(&self) -> impl Iterator<Item = (&Order, Basket<'_>)> {
        self.list.iter().zip(self.baskets.iter())
    }

    /// Turnover by currency, in the order of their codes.
    #[must_use]
    pub fn turnover(&self) -> &[Turnover] {
        &self.turnover
    }

    /// Turnover in one currency; all zero where there was none.
    #[must_use]
    pub fn turnover_in(&self, currency: Currency) -> Turnover {
        let none = Turnover { currency, gross: 0, refunds: 0, payments: 0 };
        self.turnover.iter().find(|turnover| turnover.currency == currency).copied().unwrap_or(none)
    }

    /// How many orders stand.
    #[must_use]
    pub const fn standing(&self) -> u32 {
        self.standing
    }

    /// How many refunds came in.
    #[must_use]
    pub const fn refunds(&self) -> u32 {
        self.refunds
    }

    /// Those that stand, newest first.
    pub fn standing_newest_first(&self) -> impl Iterator<Item = &Order> {
        self.list.iter().rev().filter(|order| order.stands())
    }

    /// The order of a number: the last, where one was placed again.
    #[must_use]
    pub fn named(&self, name: &OrderRef) -> Option<&Order> {
        self.list.iter().rev().find(|order| order.order.as_ref() == Some(name))
    }

    /// What came back of an order, in minor units; nothing if it is not known.
    #[must_use]
    pub fn refunded_of(&self, name: &OrderRef) -> i64 {
        self.named(name).map_or(0, |order| order.refunded)
    }

    /// The order that a fact of an instant told of.
    #[must_use]
    pub fn told_by(&self, event: EventId, at: Timestamp) -> Option<&Order> {
        let place = self.list.binary_search_by_key(&(at, event), |order| (order.placed_at, order.event)).ok()?;
        self.list.get(place)
    }

    /// Whether an order was refunded in full, or was told and voided. One that is not known yet is not undone.
    #[must_use]
    pub fn is_undone(&self, order: &OrderRef) -> bool {
        match self.list.iter().rev().find(|own| own.order.as_ref() == Some(order)) {
            Some(order) => !order.stands(),
            None => self.never_were.contains(order),
        }
    }

    /// Whether an order was told and voided, and none of its number is there.
    #[must_use]
    pub fn is_voided(&self, order: &OrderRef) -> bool {
        self.never_were.contains(order) && !self.list.iter().any(|own| own.order.as_ref() == Some(order))
    }

    /// An order that was told was voided.
    pub(crate) fn never_was(&mut self, placed: &OrderPlaced) {
        if let Some(order) = &placed.order {
            self.never_were.insert(order.clone());
        }
    }

    pub(crate) fn place(&mut self, event: EventId, at: Timestamp, placed: &OrderPlaced) -> Effect {
        let stood = self.standing > 0;
        let said = placed.channel.is_some() || placed.country.is_some() || placed.points_minor != 0;
        let beside = said.then(|| {
            let OrderPlaced { channel, country, points_minor, .. } = placed;
            let (channel, country, points_minor) = (*channel, country.clone(), *points_minor);
            Box::new(Beside { channel, country, points_minor, delivered_at: None })
        });
        let (name, total) = (placed.order.clone(), placed.total);
        let mut order = Order { event, order: name, placed_at: at, total, refunded: 0, beside };
        if let Some(place) = placed.order.as_ref().and_then(|name| self.early.iter().position(|(of, _)| of == name)) {
            let (_, delivered_at) = self.early.swap_remove(place);
            order.beside.get_or_insert_default().delivered_at = Some(delivered_at);
        }
        self.turnover_mut(placed.total.currency()).gross += i128::from(placed.total.minor());
        if let Some(name) = &placed.order {
            self.waiting.retain(|refund| {
                let mine = refund.order == *name && refund.amount.currency() == order.total.currency();
                if mine {
                    order.refunded += refund.amount.minor().min(order.net_minor());
                }
                !mine
            });
        }
        self.standing += u32::from(order.stands());
        self.list.push(order);
        self.baskets.push(placed);
        if stood || self.standing > 0 { Effect::None } else { Effect::NoneStandsAnyMore }
    }

    /// An order arrived. What is told first of several times counts.
    pub(crate) fn deliver(&mut self, at: Timestamp, name: &OrderRef) {
        match self.list.iter_mut().rev().find(|order| order.order.as_ref() == Some(name)) {
            Some(order) => {
                order.beside.get_or_insert_default().delivered_at.get_or_insert(at);
            }
            None if self.early.iter().any(|(of, _)| of == name) => {}
            None => self.early.push((name.clone(), at)),
        }
    }

    pub(crate) fn pay(&mut self, payment: &PaymentReceived) {
        self.turnover_mut(payment.amount.currency()).payments += i128::from(payment.amount.minor());
    }

    pub(crate) fn refund(&mut self, refund: &Refunded) -> Effect {
        let stood = self.standing;
        let amount = refund.amount;
        self.refunds = self.refunds.saturating_add(1);
        self.turnover_mut(amount.currency()).refunds += i128::from(amount.minor());
        match &refund.order {
            Some(name) => match self.list.iter_mut().rev().find(|order| order.order.as_ref() == Some(name)) {
                Some(order) => {
                    settle(order, amount, amount.minor(), &mut self.standing);
                }
                None => self.waiting.push(Waiting { order: name.clone(), amount }),
            },
            None => {
                let mut left = amount.minor();
                for order in self.list.iter_mut().rev() {
                    if left == 0 {
                        break;
                    }
                    left -= settle(order, amount, left, &mut self.standing);
                }
            }
        }
        if stood > 0 && self.standing == 0 { Effect::NoneStandsAnyMore } else { Effect::None }
    }

    fn turnover_mut(&mut self, currency: Currency) -> &mut Turnover {
        let place = match self.turnover.binary_search_by_key(&currency, |turnover| turnover.currency) {
            Ok(place) => place,
            Err(place) => {
                self.turnover.insert(place, Turnover { currency, gross: 0, refunds: 0, payments: 0 });
                place
            }
        };
        &mut self.turnover[place]
    }
}

/// Settles up to `left` of a refund against one order; says how much.
fn settle(order: &mut Order, refund: Money, left: i64, standing: &mut u32) -> i64 {
    if order.total.currency() != refund.currency() {
        return 0;
    }
    let stood = order.stands();
    let part = left.min(order.net_minor());
    order.refunded += part;
    if stood && !order.stands() {
        *standing -= 1;
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: u128) -> EventId {
        EventId::from_uuid(uuid::Uuid::from_u128(n))
    }

    fn eur(minor: i64) -> Money {
        Money::new(minor, Currency::EUR)
    }

    fn name(text: &str) -> Option<OrderRef> {
        Some(OrderRef::new(text).unwrap())
    }

    fn orders(totals: &[(&str, i64)]) -> Orders {
        let mut orders = Orders::default();
        for (n, (order, total)) in totals.iter().enumerate() {
            let at = Timestamp::from_millis(n as i64).unwrap();
            let placed = OrderPlaced { order: name(order), ..OrderPlaced::new(eur(*total)) };
            orders.place(event(n as u128), at, &placed);
        }
        orders
    }

    fn left(orders: &Orders) -> Vec<i64> {
        orders.list().iter().map(Order::net_minor).collect()
    }

    #[test]
    fn a_refund_that_names_its_order_never_takes_more_than_the_order_had() {
        let mut orders = orders(&[("a", 100), ("b", 100)]);
        orders.refund(&Refunded { order: name("a"), amount: eur(70) });
        orders.refund(&Refunded { order: name("a"), amount: eur(70) });
        assert_eq!(left(&orders), [0, 100]);
        assert_eq!(orders.turnover_in(Currency::EUR).net(), 60);
    }

    #[test]
    fn a_refund_that_names_none_goes_from_the_newest_order_back() {
        let mut orders = orders(&[("a", 100), ("b", 50)]);
        assert_eq!(orders.refund(&Refunded { order: None, amount: eur(80) }), Effect::None);
        assert_eq!(left(&orders), [70, 0]);
        assert_eq!(orders.refund(&Refunded { order: None, amount: eur(80) }), Effect::NoneStandsAnyMore);
        assert_eq!(left(&orders), [0, 0]);
        assert_eq!(orders.turnover_in(Currency::EUR).net(), -10);
    }

    #[test]
    fn a_refund_waits_for_an_order_it_names() {
        let mut orders = Orders::default();
        orders.refund(&Refunded { order: name("a"), amount: eur(30) });
        orders.place(event(1), Timestamp::MIN, &OrderPlaced::new(eur(100)).with_order(OrderRef::new("a").unwrap()));
        assert_eq!(left(&orders), [70]);
    }

    #[test]
    fn other_currencies_are_left_alone() {
        let mut orders = orders(&[("a", 100)]);
        orders.refund(&Refunded { order: None, amount: Money::new(50, Currency::USD) });
        assert_eq!(left(&orders), [100]);
        assert_eq!(orders.turnover_in(Currency::USD).net(), -50);
    }

    #[test]
    fn an_order_of_zero_stands() {
        let mut orders = orders(&[("a", 0)]);
        assert_eq!(orders.standing(), 1);
        assert_eq!(orders.refund(&Refunded { order: name("a"), amount: eur(1) }), Effect::None);
        assert_eq!(orders.standing(), 1);
    }
}
