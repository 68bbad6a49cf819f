//! The numbers that a rule can ask of a customer, and what they are counted over.

use serde::{Deserialize, Serialize};

use crate::attribute::{Attribute, Unit};
use crate::custom::KindName;
use crate::declared::DeclaredName;
use crate::interaction::Channel;
use crate::loyalty::{CouponCode, ProgramId};
use crate::messaging::MessageDirection;
use crate::money::Currency;
use crate::order::{CategoryName, ProductRef};
use crate::score::ScoreName;
use crate::service::CaseKind;
use crate::text::text_type;
use crate::time::{Span, Timestamp};

text_type!(
    /// What a random division of the customers is named, such as `autumn-trial`.
    BucketName, "bucket", 64
);

/// A whole number that is known of a customer at an instant, or is missing.
///
/// Its unit follows from what it is: things, days of 24 hours, minor units of the shop's currency, points,
/// millionths for what has decimals, or milliseconds since 1970 for an instant. A tree that was read from text has only compared like with like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Number {
    /// The same for everybody.
    Constant(i64),
    /// An attribute of the catalogue.
    Attribute(Attribute),
    /// Something worked out over what happened within a window.
    Over(Happenings, Take),
    /// Whole days since an instant, rounded down; missing where the instant is.
    DaysSince(Moment),
    /// The instant itself, in milliseconds since 1970.
    Instant(Moment),
    /// Points of one programme that can be spent; 0 for who has none.
    Points(ProgramId),
    /// Store credit in one currency that can be spent, in its minor units; 0 for who has none.
    Credit(Currency),
    /// Vouchers of a coupon that are the customer's own and can be used now: not reserved, taken back or over.
    Vouchers(CouponCode),
    /// How often the customer used a coupon, by its code or by vouchers. A use that is merely reserved is none.
    CouponUses(CouponCode),
    /// An attribute that the shop declared as a whole number.
    DeclaredWhole(DeclaredName),
    /// An attribute that the shop declared as a decimal number.
    DeclaredDecimal(DeclaredName),
    /// The newest score of a plugin, in millionths; missing where it gave none.
    Score(ScoreName),
    /// A number from 0 to `of` − 1 that is drawn once for each customer and name. Whoever was merged has that of
    /// the oldest id among those they were merged of, so that it stays for the one who was met first.
    Bucket {
        /// Which division.
        name: BucketName,
        /// Into how many parts; 0 is none, and the number missing.
        of: u32,
    },
    /// Two numbers put together. Missing if one is, if it divides by zero, or if the result has no room.
    Calculate(Box<Number>, Operation, Box<Number>),
}

/// How two numbers are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Added.
    Plus,
    /// The second taken from the first.
    Minus,
    /// Multiplied.
    Times,
    /// The first divided by the second, towards zero.
    By,
    /// What is left of the first after dividing it so.
    Rest,
}

impl Operation {
    /// The result, if there is one and it has room.
    #[must_use]
    pub const fn of(self, left: i64, right: i64) -> Option<i64> {
        match self {
            Operation::Plus => left.checked_add(right),
            Operation::Minus => left.checked_sub(right),
            Operation::Times => left.checked_mul(right),
            Operation::By => left.checked_div(right),
            Operation::Rest => left.checked_rem(right),
        }
    }

    /// The sign it is written with.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Operation::Plus => "+",
            Operation::Minus => "-",
            Operation::Times => "*",
            Operation::By => "/",
            Operation::Rest => "%",
        }
    }
}

/// What happened, and within which window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happenings {
    /// What.
    pub what: Events,
    /// When.
    #[serde(default)]
    pub within: Window,
}

/// A kind of what happens, as far as a customer's state remembers each time of it: all orders, and of everything
/// else the newest [`INSTANTS_MAX`](crate::interaction::INSTANTS_MAX) of a kind (of messages, of each direction and
/// channel). [`Take::Count`] over
/// [`Window::Ever`] counts those before, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Events {
    /// Orders that stand.
    Orders,
    /// Orders that stand and have a line with this product. Amounts are those of such lines, before refunds.
    OrdersOf(ProductRef),
    /// Orders that stand and have a line in this category. Amounts are those of such lines, before refunds.
    OrdersIn(CategoryName),
    /// Visits.
    Visits,
    /// Enquiries.
    Enquiries,
    /// Times a cart was filled or changed.
    Carts,
    /// Messages, either way.
    Messages(MessagesOf),
    /// Cases that were opened, of one kind or of any.
    Cases(Option<CaseKind>),
    /// Cases that are open, of one kind or of any, each at the instant at which it was opened.
    OpenCases(Option<CaseKind>),
    /// Events of a kind that the shop declared.
    Custom(KindName),
}

/// Which messages are meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessagesOf {
    /// Which way they went; none is either.
    #[serde(default)]
    pub direction: Option<MessageDirection>,
    /// By which channel; none is any.
    #[serde(default)]
    pub channel: Option<Channel>,
}

impl Events {
    /// Whether they are orders, and have amounts and products.
    #[must_use]
    pub const fn are_orders(&self) -> bool {
        matches!(self, Events::Orders | Events::OrdersOf(_) | Events::OrdersIn(_))
    }
}

/// A stretch of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// All of it.
    #[default]
    Ever,
    /// The stretch of this length that ends now: what happens is in it from its instant on, and no longer in it
    /// exactly this long after.
    Last(Span),
    /// From an instant on, and before another one.
    Between {
        /// The first instant in it; none is the beginning.
        from: Option<Timestamp>,
        /// The first instant after it; none is the end.
        until: Option<Timestamp>,
    },
}

impl Window {
    /// Whether something of an instant is in it now.
    #[must_use]
    pub fn has(self, happened: Timestamp, now: Timestamp) -> bool {
        match self {
            Window::Ever => true,
            Window::Last(span) => happened.plus(span) > now,
            Window::Between { from, until } => {
                from.is_none_or(|from| from <= happened) && until.is_none_or(|until| happened < until)
            }
        }
    }
}

/// What is worked out over what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Take {
    /// How many.
    Count,
    /// What the orders in the shop's currency come to, less what was refunded of them.
    Sum,
    /// The same divided by their number, rounded down; missing if there is none.
    Average,
    /// The least of their amounts; missing if there is none.
    Least,
    /// The greatest of their amounts; missing if there is none.
    Greatest,
    /// How many different products they have.
    Products,
    /// How many different categories they have.
    Categories,
}

impl Take {
    /// Whether it is an amount of money.
    #[must_use]
    pub const fn is_money(self) -> bool {
        matches!(self, Take::Sum | Take::Average | Take::Least | Take::Greatest)
    }

    /// The name of the function it is written as.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Take::Count => "count",
            Take::Sum => "sum",
            Take::Average => "average",
            Take::Least => "min",
            Take::Greatest => "max",
            Take::Products => "products",
            Take::Categories => "categories",
        }
    }

    pub(super) const ALL: [Take; 7] =
        [Take::Count, Take::Sum, Take::Average, Take::Least, Take::Greatest, Take::Products, Take::Categories];
}

/// An instant in a customer's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Moment {
    /// When the first fact happened.
    FirstSeen,
    /// When the newest fact happened.
    LastSeen,
    /// When the first of something happened within a window.
    First(Happenings),
    /// When the last of something happened within a window.
    Last(Happenings),
    /// An attribute that the shop declared as an instant. It may lie in the future.
    Declared(DeclaredName),
}

impl Number {
    /// What it is counted in.
    #[must_use]
    pub fn unit(&self) -> Unit {
        match self {
            Number::Constant(_) | Number::DeclaredWhole(_) | Number::Bucket { .. } => Unit::Count,
            Number::DeclaredDecimal(_) | Number::Score(_) => Unit::Millionths,
            Number::Attribute(attribute) => attribute.unit(),
            Number::Over(_, take) if take.is_money() => Unit::MinorUnits,
            Number::Over(..) => Unit::Count,
            Number::DaysSince(_) => Unit::Days,
            Number::Instant(_) => Unit::Millis,
            Number::Points(_) => Unit::Points,
            Number::Credit(_) => Unit::MinorUnits,
            Number::Vouchers(_) | Number::CouponUses(_) => Unit::Count,
            Number::Calculate(left, operation, right) => match (left.unit(), operation, right.unit()) {
                // What is shared out keeps its unit; like by like is a number of times.
                (left, Operation::By, right) if left == right => Unit::Count,
                (Unit::Count, Operation::Times, right) => right,
                (left, _, _) => left,
            },
        }
    }

    /// How many of something there were within the last so long.
    #[must_use]
    pub const fn in_last(what: Events, span: Span) -> Self {
        Number::Over(Happenings { what, within: Window::Last(span) }, Take::Count)
    }
}

impl From<Attribute> for Number {
    fn from(attribute: Attribute) -> Self {
        Number::Attribute(attribute)
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Number::Constant(number)
    }
}
