//! What an offer is worth to the shop.

use crm_plugin_sdk::Entries;

/// What is known of a customer. Money is in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Known {
    /// Days since the newest order.
    pub recency_days: i64,
    /// Orders.
    pub orders: i64,
    /// The average order.
    pub average_order: i64,
    /// Points that can be spent.
    pub points: i64,
    /// Times a cart was filled.
    pub carts: i64,
    /// How likely it is that the customer is gone, if a scorer said so.
    pub churn: Option<f64>,
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// A first order, for who only looked.
    FirstOrder,
    /// A second order, for who ordered once: the step at which most are lost.
    SecondOrder,
    /// A reminder of points that could be spent.
    SpendPoints,
    /// A reason to come back, for who is likely gone and was worth something.
    ComeBack,
}

/// What is left of an order after goods and postage, in per cent.
const MARGIN_PERCENT: i64 = 30;

impl Offer {
    /// All of them. The last one wins where two are worth the same.
    pub const ALL: [Offer; 4] = [Offer::FirstOrder, Offer::SecondOrder, Offer::SpendPoints, Offer::ComeBack];

    /// The topic of the message.
    pub fn topic(self) -> &'static str {
        match self {
            Offer::FirstOrder => "first-order",
            Offer::SecondOrder => "second-order",
            Offer::SpendPoints => "spend-points",
            Offer::ComeBack => "come-back",
        }
    }

    /// The margin to expect of it, in minor units: how many more in ten thousand order because of it, times what an order
    /// leaves. The rates are a shop's to measure; these are where to begin.
    pub fn worth(self, known: &Known) -> i64 {
        let per_ten_thousand = match self {
            Offer::FirstOrder if known.orders == 0 && known.carts > 0 => 400,
            Offer::SecondOrder if known.orders == 1 && (7..=90).contains(&known.recency_days) => 300,
            Offer::SpendPoints if known.orders > 0 && known.points >= 500 && known.recency_days >= 30 => 250,
            // Nobody who would have come anyway, nobody who is beyond reach.
            Offer::ComeBack if known.orders > 1 && known.churn.is_some_and(|churn| (0.5..0.95).contains(&churn)) => 350,
            Offer::FirstOrder | Offer::SecondOrder | Offer::SpendPoints | Offer::ComeBack => 0,
        };
        // Who never ordered is taken for an order of 30.00. Wide, so that no amount is too large.
        let order = if known.orders == 0 { 3_000 } else { known.average_order.max(0) };
        let worth = i128::from(order) * i128::from(MARGIN_PERCENT) * per_ten_thousand / 1_000_000;
        i64::try_from(worth).unwrap_or(i64::MAX)
    }
}

impl Known {
    /// What the shop tells of a customer.
    pub fn of(customer: &Entries, churn: Option<f64>) -> Self {
        let int = |name| customer.int(name).unwrap_or(0);
        Known {
            recency_days: int("recency_days"),
            orders: int("orders"),
            average_order: int("average_order"),
            points: int("points"),
            carts: int("carts"),
            churn,
        }
    }
}
