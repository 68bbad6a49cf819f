//! Facts about carts, orders, payments and refunds.

use serde::{Deserialize, Serialize};

use super::{CategoryName, OrderError, OrderRef, ProductRef};
use crate::interaction::Channel;
use crate::money::Money;
use crate::profile::Country;

/// What a line of an order is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LineKind {
    /// Something bought.
    #[default]
    Goods,
    /// A gift card, which earns when it is spent.
    GiftCard,
    /// Carriage and packing.
    Shipping,
    /// A tax that is charged apart.
    Tax,
    /// A reward, with what is paid on top of its points.
    Reward,
}

impl LineKind {
    const ALL: [LineKind; 5] =
        [LineKind::Goods, LineKind::GiftCard, LineKind::Shipping, LineKind::Tax, LineKind::Reward];

    /// A number that is stored for it; it never changes.
    pub(super) const fn rank(self) -> u16 {
        match self {
            LineKind::Goods => 0,
            LineKind::GiftCard => 1,
            LineKind::Shipping => 2,
            LineKind::Tax => 3,
            LineKind::Reward => 4,
        }
    }

    /// The kind of a stored number; one that is unknown is of goods.
    pub(super) fn by_rank(rank: u16) -> Self {
        Self::ALL.into_iter().find(|kind| kind.rank() == rank).unwrap_or_default()
    }

    const fn is_goods(&self) -> bool {
        matches!(self, LineKind::Goods)
    }
}

/// One line of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What was bought; absent where the source does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<ProductRef>,
    /// Of which kind it is; absent where the source does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<CategoryName>,
    /// How many; absent where the source does not say or counts in fractions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    /// The line's total in minor units of the order's currency.
    pub minor: i64,
    /// What the whole line cost the shop, in minor units of the order's currency; absent where the source does not
    /// say. It goes before what a policy says of the product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_minor: Option<i64>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "LineKind::is_goods")]
    pub kind: LineKind,
}

/// What is in the customer's cart now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CartUpdated {
    /// How many pieces; 0 means that the cart was emptied.
    pub items: u32,
    /// What they cost together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Money>,
}

/// The customer placed an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPlaced {
    /// The shop's order number. It is claimed: within a tenant one order has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderRef>,
    /// What the order costs; 0 is an order too.
    pub total: Money,
    /// What was bought, if known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
    /// By which channel it came; absent where the source does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// In which country the shop sells it; absent where the source does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// How much of the total was paid with points, in minor units.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub points_minor: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(minor: &i64) -> bool {
    *minor == 0
}

impl OrderPlaced {
    /// An order of a total, without number and lines.
    #[must_use]
    pub const fn new(total: Money) -> Self {
        OrderPlaced { order: None, total, lines: Vec::new(), channel: None, country: None, points_minor: 0 }
    }

    /// With the shop's order number.
    #[must_use]
    pub fn with_order(mut self, order: OrderRef) -> Self {
        self.order = Some(order);
        self
    }

    /// With what was bought.
    #[must_use]
    pub fn with_lines(mut self, lines: Vec<Line>) -> Self {
        self.lines = lines;
        self
    }
}

/// An order arrived with the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderDelivered {
    /// Which order.
    pub order: OrderRef,
}

/// A payment came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentReceived {
    /// For which order, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderRef>,
    /// How much.
    pub amount: Money,
}

/// Money went back to the customer. How a refund finds its order is told in [`crate::order`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refunded {
    /// For which order; none for a credit note that names no order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderRef>,
    /// How much, as a positive amount.
    pub amount: Money,
}

/// The most minor units that one fact may carry, either way.
pub const AMOUNT_MAX_MINOR: i64 = 1_000_000_000_000_000;
/// The most lines that one order may have.
pub const LINES_MAX: usize = 10_000;

pub(super) fn check_amount(what: &'static str, money: &Money) -> Result<(), OrderError> {
    if (0..=AMOUNT_MAX_MINOR).contains(&money.minor()) {
        Ok(())
    } else {
        Err(OrderError::Amount { what, minor: money.minor(), max: AMOUNT_MAX_MINOR })
    }
}

impl OrderPlaced {
    /// Checks the limits.
    ///
    /// # Errors
    ///
    /// `OrderError` for a negative or too large total, line, cost or payment with points, or for too many lines.
    pub fn check(&self) -> Result<(), OrderError> {
        check_amount("order total", &self.total)?;
        if self.lines.len() > LINES_MAX {
            return Err(OrderError::Lines { count: self.lines.len(), max: LINES_MAX });
        }
        match self.lines.iter().find(|line| line.minor.checked_abs().is_none_or(|minor| minor > AMOUNT_MAX_MINOR)) {
            Some(line) => Err(OrderError::Amount { what: "order line", minor: line.minor, max: AMOUNT_MAX_MINOR }),
            None => Ok(()),
        }?;
        if !(0..=self.total.minor()).contains(&self.points_minor) {
            let (minor, max) = (self.points_minor, self.total.minor());
            return Err(OrderError::Amount { what: "amount paid with points", minor, max });
        }
        let costs = self.lines.iter().filter_map(|line| line.cost_minor);
        match costs.into_iter().find(|cost| !(0..=AMOUNT_MAX_MINOR).contains(cost)) {
            Some(minor) => Err(OrderError::Amount { what: "cost of a line", minor, max: AMOUNT_MAX_MINOR }),
            None => Ok(()),
        }
    }
}

impl CartUpdated {
    /// Checks the limits.
    ///
    /// # Errors
    ///
    /// `OrderError` for a negative or too large value.
    pub fn check(&self) -> Result<(), OrderError> {
        self.value.as_ref().map_or(Ok(()), |value| check_amount("cart value", value))
    }
}

impl PaymentReceived {
    /// Checks the limits.
    ///
    /// # Errors
    ///
    /// `OrderError` for a negative or too large amount.
    pub fn check(&self) -> Result<(), OrderError> {
        check_amount("payment", &self.amount)
    }
}

impl Refunded {
    /// Checks the limits.
    ///
    /// # Errors
    ///
    /// `OrderError` for a negative or too large amount.
    pub fn check(&self) -> Result<(), OrderError> {
        check_amount("refund", &self.amount)
    }
}
