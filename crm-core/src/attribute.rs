//! The catalogue of what can be asked about a customer. One name serves segments, plugins and reports.

use serde::{Deserialize, Serialize};

use crate::customer::Customer;
use crate::money::Currency;
use crate::time::Timestamp;

/// What an attribute is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Whole days of 24 hours; grows as time passes.
    Days,
    /// Minor units of the shop's currency.
    MinorUnits,
    /// Points.
    Points,
    /// Milliseconds since 1970.
    Millis,
    /// A number with decimals, in [millionths](crate::Millionths).
    Millionths,
}

impl Unit {
    /// Its name in tables, such as `minor units`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Unit::Count => "count",
            Unit::Days => "days",
            Unit::MinorUnits => "minor units",
            Unit::Points => "points",
            Unit::Millis => "milliseconds",
            Unit::Millionths => "millionths",
        }
    }
}

macro_rules! attributes {
    ($($variant:ident, $name:literal, $unit:ident, $meaning:literal;)*) => {
        /// Something whole-numbered that is known of a customer at an instant.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Attribute {
            $(#[doc = $meaning] $variant,)*
        }

        impl Attribute {
            /// All of them, in the order of the catalogue.
            pub const ALL: &[Attribute] = &[$(Attribute::$variant),*];

            /// The name by which segments and plugins ask for it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Attribute::$variant => $name,)* }
            }

            /// What it is counted in.
            #[must_use]
            pub const fn unit(self) -> Unit {
                match self { $(Attribute::$variant => Unit::$unit,)* }
            }

            /// What it means, and when it is missing.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Attribute::$variant => $meaning,)* }
            }

            /// The attribute of a name.
            #[must_use]
            pub fn by_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Attribute::$variant),)* _ => None }
            }
        }
    };
}

attributes! {
    RecencyDays, "recency_days", Days, "Days since the newest order that stands; missing if there is none.";
    TenureDays, "tenure_days", Days, "Days since the oldest order that stands; missing if there is none.";
    AgeDays, "age_days", Days, "Days since the first fact; missing if there is none.";
    Orders, "orders", Count, "Orders that stand.";
    Refunds, "refunds", Count, "Refunds, matched or not.";
    Spend, "spend", MinorUnits, "Orders less refunds.";
    GrossSpend, "gross_spend", MinorUnits, "Orders before refunds.";
    AverageOrder, "average_order", MinorUnits, "Spend divided by orders that stand, rounded down; missing if there is none.";
    Visits, "visits", Count, "Visits.";
    Enquiries, "enquiries", Count, "Enquiries.";
    Carts, "carts", Count, "Times a cart was filled or changed.";
    Points, "points", Points, "Points that can be spent; negative when points are owed.";
    PointsEarned, "points_earned", Points, "Points earned or awarded and not taken back, ever.";
}

impl Attribute {
    /// Its value for a customer at an instant, in whole units; money in `currency` only.
    #[must_use]
    pub fn of(self, customer: &Customer, at: Timestamp, currency: Currency) -> Option<i64> {
        let facts = customer.facts();
        let clamp = |value: i128| i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX });
        let points =
            |of: fn(&crate::loyalty::PointsBook) -> i128| clamp(customer.books().map(|(_, book)| of(book)).sum());
        let spend = || facts.orders().turnover_in(currency).net();
        match self {
            Attribute::RecencyDays | Attribute::TenureDays | Attribute::AgeDays => {
                self.since(customer).map(|since| at.days_since(since))
            }
            Attribute::Orders => Some(i64::from(facts.orders().standing())),
            Attribute::Refunds => Some(i64::from(facts.orders().refunds())),
            Attribute::Spend => Some(clamp(spend())),
            Attribute::GrossSpend => Some(clamp(facts.orders().turnover_in(currency).gross)),
            Attribute::AverageOrder => {
                let orders = i128::from(facts.orders().standing());
                (orders > 0).then(|| clamp(spend().div_euclid(orders)))
            }
            Attribute::Visits => Some(i64::from(facts.visits())),
            Attribute::Enquiries => Some(i64::from(facts.enquiries())),
            Attribute::Carts => Some(i64::from(facts.carts())),
            Attribute::Points => Some(points(crate::loyalty::PointsBook::balance)),
            Attribute::PointsEarned => Some(points(crate::loyalty::PointsBook::qualifying)),
        }
    }

    /// For an attribute in days: the instant from which it counts.
    #[must_use]
    pub fn since(self, customer: &Customer) -> Option<Timestamp> {
        let mut standing = customer.facts().orders().standing_newest_first();
        match self {
            Attribute::RecencyDays => standing.next().map(|order| order.placed_at),
            Attribute::TenureDays => standing.last().map(|order| order.placed_at),
            Attribute::AgeDays => customer.facts().first_at(),
            Attribute::Orders
            | Attribute::Refunds
            | Attribute::Spend
            | Attribute::GrossSpend
            | Attribute::AverageOrder
            | Attribute::Visits
            | Attribute::Enquiries
            | Attribute::Carts
            | Attribute::Points
            | Attribute::PointsEarned => None,
        }
    }
}
