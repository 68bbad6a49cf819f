//! What rules see of an order or of a cart.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{Exclusions, Lines};
use crate::interaction::Channel;
use crate::money::{Currency, Money};
use crate::order::{Basket, BasketLine, Line, LineKind, Order, OrderError, OrderPlaced};
use crate::profile::Country;
use crate::time::Timestamp;

/// An order that may be placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cart {
    /// What it would cost.
    pub total: Money,
    /// What would be bought; what of the total no line tells of is goods without a name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
    /// By which channel it would come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// In which country it would be sold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// How much of the total would be paid with points, in minor units.
    #[serde(default)]
    pub points_minor: i64,
}

impl Cart {
    /// One of a total, about which nothing else is known.
    #[must_use]
    pub const fn new(total: Money) -> Self {
        Cart { total, lines: Vec::new(), channel: None, country: None, points_minor: 0 }
    }

    /// With what would be bought.
    #[must_use]
    pub fn with_lines(mut self, lines: Vec<Line>) -> Self {
        self.lines = lines;
        self
    }

    /// With the channel by which it would come.
    #[must_use]
    pub const fn with_channel(mut self, channel: Channel) -> Self {
        self.channel = Some(channel);
        self
    }

    /// With how much of it would be paid with points.
    #[must_use]
    pub const fn paid_with_points(mut self, minor: i64) -> Self {
        self.points_minor = minor;
        self
    }

    /// Checks the limits of an order.
    ///
    /// # Errors
    ///
    /// The same as when it is placed.
    pub fn check(&self) -> Result<(), OrderError> {
        OrderPlaced::from(self.clone()).check()
    }
}

impl From<Cart> for OrderPlaced {
    fn from(cart: Cart) -> Self {
        let Cart { total, lines, channel, country, points_minor } = cart;
        OrderPlaced { channel, country, points_minor, lines, ..OrderPlaced::new(total) }
    }
}

impl From<OrderPlaced> for Cart {
    fn from(placed: OrderPlaced) -> Self {
        let OrderPlaced { order: _, total, lines, channel, country, points_minor } = placed;
        Cart { total, lines, channel, country, points_minor }
    }
}

/// An order as rules see it.
#[derive(Debug, Clone)]
pub struct Purchase<'a> {
    pub(super) total: Money,
    lines: Vec<BasketLine<'a>>,
    pub(super) channel: Option<Channel>,
    pub(super) country: Option<&'a Country>,
    points_minor: i64,
    pub(super) delivered_at: Option<Timestamp>,
}

impl<'a> From<&'a OrderPlaced> for Purchase<'a> {
    fn from(placed: &'a OrderPlaced) -> Self {
        let OrderPlaced { order: _, total, lines, channel, country, points_minor } = placed;
        Purchase {
            total: *total,
            lines: lines.iter().map(BasketLine::from).collect(),
            channel: *channel,
            country: country.as_ref(),
            points_minor: *points_minor,
            delivered_at: None,
        }
    }
}

impl<'a> From<&'a Cart> for Purchase<'a> {
    fn from(cart: &'a Cart) -> Self {
        let Cart { total, lines, channel, country, points_minor } = cart;
        Purchase {
            total: *total,
            lines: lines.iter().map(BasketLine::from).collect(),
            channel: *channel,
            country: country.as_ref(),
            points_minor: *points_minor,
            delivered_at: None,
        }
    }
}

impl<'a> Purchase<'a> {
    /// An order that was taken in before, as a state keeps it: goods that name neither product nor category are what
    /// is left of its total.
    #[must_use]
    pub fn kept(order: &'a Order, basket: Basket<'a>) -> Self {
        Purchase {
            total: order.total,
            lines: basket.collect(),
            channel: order.channel(),
            country: order.country(),
            points_minor: order.points_minor(),
            delivered_at: order.delivered_at(),
        }
    }

    pub(super) const fn currency(&self) -> Currency {
        self.total.currency()
    }

    /// What of the total was not paid with points, and the total: the share of everything that counts.
    pub(super) fn share(&self) -> Share {
        let total = self.total.minor().max(0);
        let cash = total - self.points_minor.clamp(0, total);
        if cash == total { Share::ALL } else { Share { over: cash.unsigned_abs(), under: total.unsigned_abs() } }
    }

    /// What counts for any rule, and how much does not.
    pub(super) fn counting(&self, exclusions: &Exclusions) -> Counting<'_> {
        let out = |line: &BasketLine<'_>| {
            exclusions.kinds.contains(&line.kind)
                || line.product.is_some_and(|product| exclusions.products.contains(product))
                || line.category.is_some_and(|category| exclusions.categories.contains(category))
        };
        let told: i128 = self.lines.iter().map(|line| i128::from(line.minor)).sum();
        let rest = i128::from(self.total.minor()) - told;
        let nameless = !exclusions.kinds.contains(&LineKind::Goods);
        let lines: SmallVec<[&BasketLine<'_>; 8]> = self.lines.iter().filter(|line| !out(line)).collect();
        let counted: i128 = lines.iter().map(|line| i128::from(line.minor)).sum();
        let (rest, left_out) = if nameless { (rest, 0) } else { (0, rest) };
        let nothing_told = self.lines.is_empty() && nameless;
        // An excluded line may take off.
        let whole = (counted + rest).min(i128::from(self.total.minor()));
        Counting { whole, lines, rest, excluded: told - counted + left_out, nothing_told }
    }
}

/// A share of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) over: u64,
    pub(super) under: u64,
}

impl Share {
    pub(super) const ALL: Share = Share { over: 1, under: 1 };
}

/// What of an order counts for any rule.
#[derive(Debug)]
pub(super) struct Counting<'p> {
    lines: SmallVec<[&'p BasketLine<'p>; 8]>,
    /// What no line tells of, in minor units; negative where the whole was made cheaper.
    rest: i128,
    /// What all of it costs.
    whole: i128,
    /// What does not count.
    pub(super) excluded: i128,
    /// No line tells of anything.
    nothing_told: bool,
}

/// A part of an order that counts for a rule: a line, or what no line tells of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) minor: i128,
    pub(super) pieces: u64,
}

/// What of an order counts for one rule.
#[derive(Debug)]
pub(super) struct Counted<'c, 'p> {
    counting: &'c Counting<'p>,
    asked: &'c Lines,
    /// How many pieces its parts are.
    pub(super) pieces: u64,
    /// What the parts cost, at most what all of the order does.
    pub(super) minor: u64,
    /// Which share of the parts that is: less than all where the order as a whole was made cheaper.
    pub(super) reduced: Share,
}

impl<'p> Counting<'p> {
    /// The parts that count for a rule.
    fn parts<'c>(&'c self, asked: &'c Lines) -> impl Iterator<Item = Part> + use<'c, 'p> {
        let all = asked.products.is_empty() && asked.categories.is_empty();
        let product = |line: &BasketLine<'_>| {
            asked.products.is_empty() || line.product.is_some_and(|product| asked.products.contains(product))
        };
        let category = |line: &BasketLine<'_>| {
            asked.categories.is_empty() || line.category.is_some_and(|category| asked.categories.contains(category))
        };
        let lines = self.lines.iter().filter(move |line| all || (product(line) && category(line)));
        // What no line tells of is one piece if nothing else is.
        let rest = (all && (self.rest != 0 || self.nothing_told))
            .then(|| Part { minor: self.rest, pieces: u64::from(self.nothing_told) });
        lines.map(|line| Part::of(line)).chain(rest)
    }

    /// What counts for a rule; none if nothing does.
    pub(super) fn of<'c>(&'c self, asked: &'c Lines) -> Option<Counted<'c, 'p>> {
        let sum = |sum: Option<(i128, u64)>, part: Part| {
            let (told, pieces) = sum.unwrap_or_default();
            Some((told + part.minor, pieces.saturating_add(part.pieces)))
        };
        let (told, pieces) = self.parts(asked).fold(None, sum)?;
        let told = u64::try_from(told.max(0)).unwrap_or(u64::MAX);
        let whole = u64::try_from(self.whole.max(0)).unwrap_or(u64::MAX);
        let minor = told.min(whole);
        let reduced = if minor == told { Share::ALL } else { Share { over: minor, under: told } };
        Some(Counted { counting: self, asked, pieces, minor, reduced })
    }
}

impl Counted<'_, '_> {
    /// The parts that count.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part> {
        self.counting.parts(self.asked)
    }
}

impl Part {
    /// A line that takes off, such as a discount, is no piece; one without a quantity is one.
    fn of(line: &BasketLine<'_>) -> Self {
        let pieces = if line.minor < 0 { 0 } else { line.quantity.unwrap_or(1).max(0).unsigned_abs() };
        Part { minor: i128::from(line.minor), pieces }
    }
}
