//! Stamp cards: so many pieces bought, and one is free.
//!
//! Stamps are no events: they follow from the orders, as points do. An order counts by the version of the card that was
//! in force when it was placed, and a new version begins a new card. Of an order that was refunded in part the same
//! share of its stamps is left, rounded down; of one that was refunded in full, none.
//!
//! A full card gives a voucher, which is a decision. When stamps are taken back, so is a voucher that was not used; one
//! that was used stays, and the next full card does not give another one: nobody gets two for one.

use serde::{Deserialize, Serialize};

use super::rules::{RewardRuleError, check_span};
use super::{CouponCode, Lines};
use crate::order::{Basket, BasketLine, LineKind, Order};
use crate::text::text_type;
use crate::time::{Span, Timestamp};

text_type!(
    /// The name of a stamp card, such as `tenth_coffee`.
    StampCardName, "stamp card", 64
);

/// A stamp card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StampCard {
    /// Which goods: each piece is a stamp. At least one product or category; of a line that names both, both have to
    /// be among them where both are named here.
    pub lines: Lines,
    /// How many stamps fill it, at least 1.
    pub every: u32,
    /// Of which coupon a full card gives a voucher.
    pub gives: CouponCode,
    /// How long that voucher can be used; none means for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voucher_lasts: Option<Span>,
    /// Orders placed from when on; none means from when the definition holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Orders placed until before when; none means as long as the definition holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A customer's stamps on a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamps {
    /// Which card.
    pub card: StampCardName,
    /// Its version: from when on it holds.
    pub since: Timestamp,
    /// How many stamps there are in all, of all cards that were filled too.
    pub stamps: u64,
    /// How many fill a card.
    pub every: u32,
    /// How many vouchers were given and not taken back.
    pub given: u64,
}

impl Stamps {
    /// How many cards are full.
    #[must_use]
    pub const fn full(&self) -> u64 {
        match self.stamps.checked_div(self.every as u64) {
            Some(full) => full,
            None => 0,
        }
    }

    /// How many stamps are on the card that is being filled.
    #[must_use]
    pub const fn on_card(&self) -> u64 {
        match self.stamps.checked_rem(self.every as u64) {
            Some(left) => left,
            None => 0,
        }
    }
}

impl StampCard {
    /// One for some goods.
    #[must_use]
    pub const fn new(lines: Lines, every: u32, gives: CouponCode) -> Self {
        StampCard { lines, every, gives, voucher_lasts: None, from: None, until: None }
    }

    /// Checks the limits of a definition.
    ///
    /// # Errors
    ///
    /// `Zero`, `NoLines`, or `Never`.
    pub fn check(&self) -> Result<(), RewardRuleError> {
        if self.every == 0 {
            return Err(RewardRuleError::Zero { what: "stamps" });
        }
        if self.lines.products.is_empty() && self.lines.categories.is_empty() {
            return Err(RewardRuleError::NoLines);
        }
        check_span(self.from, self.until)
    }

    /// How many stamps an order is worth now.
    pub(crate) fn stamps(&self, order: &Order, basket: Basket<'_>) -> u64 {
        let early = self.from.is_some_and(|from| order.placed_at < from);
        let late = self.until.is_some_and(|until| until <= order.placed_at);
        if early || late {
            return 0;
        }
        let pieces: u64 =
            basket.filter(|line| self.counts(line)).map(|line| pieces(&line)).fold(0, u64::saturating_add);
        let (net, total) = (order.net_minor().max(0), order.total.minor());
        if total <= 0 {
            return pieces;
        }
        let left = u128::from(pieces) * u128::from(net.unsigned_abs()) / u128::from(total.unsigned_abs());
        u64::try_from(left).unwrap_or(u64::MAX)
    }

    fn counts(&self, line: &BasketLine<'_>) -> bool {
        let Lines { products, categories } = &self.lines;
        let product = || products.is_empty() || line.product.is_some_and(|own| products.contains(own));
        let category = || categories.is_empty() || line.category.is_some_and(|own| categories.contains(own));
        line.kind == LineKind::Goods && product() && category()
    }
}

/// How many pieces a line has; one whose quantity is not told is one piece, and what goes back is none.
fn pieces(line: &BasketLine<'_>) -> u64 {
    u64::try_from(line.quantity.unwrap_or(1)).unwrap_or(0)
}
