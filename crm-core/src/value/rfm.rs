//! Recency, frequency and monetary value, and the scores from 1 upwards that compare customers by them
//! (Arthur Hughes, Strategic Database Marketing: five of each, by equal parts of the customers).
//!
//! # Which customers are compared
//!
//! Amounts of different currencies are not compared, and neither are their customers: each currency is a base of its
//! own. Who buys in two has a row, and so a score, in each.
//!
//! # Ties
//!
//! Customers with the same value always share a score: the best that one of them has by rank. So a score may stay
//! empty, as when most customers ordered once, and parts are equal only as far as ties allow.
//!
//! Of `n` parts, frequency and monetary value have the score `⌈n · rank ÷ base⌉` by the worst-first rank, and recency
//! `n + 1 − ⌈n · rank ÷ base⌉` by the best-first rank. In a base of fewer customers than parts the two round apart: an
//! only customer has 1 by recency and `n` by the others. Scores of so few say nothing; use bands for them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::money::Currency;
use crate::order::Order;
use crate::time::{Span, Timestamp};

/// The three values of one customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rfm {
    /// Whole days since the last order that stands.
    pub recency_days: i64,
    /// How many orders stand.
    pub frequency: u32,
    /// Net spend in minor units of the currency in which customers are compared.
    pub monetary_minor: i64,
}

impl Rfm {
    /// The values of the orders in one currency that stand at `at` and were placed within the window before it; none
    /// if there is no such order. Amounts are net of the refunds that were settled against these orders; a refund
    /// that found no order belongs to no window and is left out. Spend beyond 64 bits stops there.
    pub fn within<'o>(
        orders: impl IntoIterator<Item = &'o Order>,
        currency: Currency,
        at: Timestamp,
        window: Option<Span>,
    ) -> Option<Rfm> {
        let begin = window.map(|window| at.minus(window));
        let counted = |order: &&Order| {
            order.stands()
                && order.total.currency() == currency
                && order.placed_at <= at
                && begin.is_none_or(|begin| order.placed_at > begin)
        };
        let mut last = None;
        let (mut frequency, mut minor) = (0_u32, 0_i64);
        for order in orders.into_iter().filter(counted) {
            last = last.max(Some(order.placed_at));
            frequency = frequency.saturating_add(1);
            minor = minor.saturating_add(order.net_minor());
        }
        last.map(|last| Rfm { recency_days: at.days_since(last), frequency, monetary_minor: minor })
    }
}

/// The three scores of one customer, from 1 (least) upwards; five is the best unless a policy says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RfmScore {
    /// The most for those who bought last.
    pub recency: u8,
    /// The most for those who bought most often.
    pub frequency: u8,
    /// The most for those who spent most.
    pub monetary: u8,
}

/// How a shop scores its customers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RfmPolicy {
    /// Orders of how long before the instant count, in milliseconds; none for all of them.
    #[serde(default)]
    pub window: Option<Span>,
    /// What makes a score.
    pub scale: RfmScale,
}

/// What makes a score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RfmScale {
    /// The rank among all customers of the base. A customer's score moves when others buy.
    Quantiles(Tiles),
    /// Fixed limits. A customer's score depends on nobody else.
    Bands(RfmBands),
}

/// Into how many equal parts a base is divided: 2 to 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Tiles(u8);

/// The most scores there may be, and so one more than the most limits of a band.
pub const TILES_MAX: u8 = 10;

/// Why a policy about RFM was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RfmError {
    /// Too few or too many parts.
    #[error("{tiles} parts, not 2 to {TILES_MAX}")]
    Tiles {
        /// The number given.
        tiles: u8,
    },
    /// The three lists of limits have to be equally long, of 1 to 9 limits.
    #[error("{limits} limits of {what}, where recency has {recency} and there may be 1 to 9")]
    Limits {
        /// Of which value.
        what: &'static str,
        /// How many there are.
        limits: usize,
        /// How many there are of recency.
        recency: usize,
    },
    /// Limits have to rise.
    #[error("the limits of {what} do not rise at place {place}")]
    Order {
        /// Of which value.
        what: &'static str,
        /// Which limit is not above the one before it, counted from 0.
        place: usize,
    },
}

impl Tiles {
    /// Five, as Hughes has it.
    pub const FIVE: Tiles = Tiles(5);

    /// So many parts.
    ///
    /// # Errors
    ///
    /// `Tiles` for less than 2 or more than 10.
    pub const fn new(tiles: u8) -> Result<Self, RfmError> {
        if tiles < 2 || tiles > TILES_MAX { Err(RfmError::Tiles { tiles }) } else { Ok(Tiles(tiles)) }
    }

    /// How many.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Tiles {
    type Error = RfmError;

    fn try_from(tiles: u8) -> Result<Self, RfmError> {
        Self::new(tiles)
    }
}

impl From<Tiles> for u8 {
    fn from(tiles: Tiles) -> u8 {
        tiles.0
    }
}

/// Fixed limits between scores: so many limits make one score more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Limits", into = "Limits")]
pub struct RfmBands(Limits);

/// The limits as they are written down; each list rises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    recency_days: Vec<i64>,
    frequency: Vec<u32>,
    monetary_minor: BTreeMap<Currency, Vec<i64>>,
}

impl RfmBands {
    /// Limits that rise, equally many of each:
    ///
    /// - `recency_days`: who bought at most so many days ago is above the limit, so that the first is the hardest;
    /// - `frequency`: who has at least so many orders is above it;
    /// - `monetary_minor`: who spent at least so many minor units, for each currency of its own.
    ///
    /// # Errors
    ///
    /// `Limits` for lists that are empty, too long or not equally long, `Order` for one that does not rise.
    pub fn new(
        recency_days: Vec<i64>,
        frequency: Vec<u32>,
        monetary_minor: BTreeMap<Currency, Vec<i64>>,
    ) -> Result<Self, RfmError> {
        Limits { recency_days, frequency, monetary_minor }.try_into()
    }

    /// The best score.
    #[must_use]
    pub fn tiles(&self) -> Tiles {
        // Between 1 and 9 limits were let in.
        Tiles(self.0.recency_days.len() as u8 + 1)
    }

    /// The score of one customer; none in a currency that has no limits.
    #[must_use]
    pub fn score(&self, currency: Currency, rfm: &Rfm) -> Option<RfmScore> {
        let Limits { recency_days, frequency, monetary_minor } = &self.0;
        let missed = recency_days.partition_point(|limit| *limit < rfm.recency_days);
        let reached = monetary_minor.get(&currency)?.partition_point(|limit| *limit <= rfm.monetary_minor);
        Some(RfmScore {
            recency: self.tiles().0 - missed as u8,
            frequency: 1 + frequency.partition_point(|limit| *limit <= rfm.frequency) as u8,
            monetary: 1 + reached as u8,
        })
    }
}

impl TryFrom<Limits> for RfmBands {
    type Error = RfmError;

    fn try_from(limits: Limits) -> Result<Self, RfmError> {
        let recency = limits.recency_days.len();
        let check = |what, count, falls: Option<usize>| match falls {
            _ if count != recency || !(1..usize::from(TILES_MAX)).contains(&count) => {
                Err(RfmError::Limits { what, limits: count, recency })
            }
            Some(before) => Err(RfmError::Order { what, place: before + 1 }),
            None => Ok(()),
        };
        check("recency", recency, falls(&limits.recency_days))?;
        check("frequency", limits.frequency.len(), falls(&limits.frequency))?;
        for of_currency in limits.monetary_minor.values() {
            check("monetary value", of_currency.len(), falls(of_currency))?;
        }
        Ok(RfmBands(limits))
    }
}

impl From<RfmBands> for Limits {
    fn from(bands: RfmBands) -> Limits {
        bands.0
    }
}

fn falls<T: Ord>(limits: &[T]) -> Option<usize> {
    limits.windows(2).position(|pair| pair[0] >= pair[1])
}

impl Default for RfmPolicy {
    /// Quintiles over all orders.
    fn default() -> Self {
        RfmPolicy { window: None, scale: RfmScale::Quantiles(Tiles::FIVE) }
    }
}

impl RfmPolicy {
    /// The best score.
    #[must_use]
    pub fn tiles(&self) -> Tiles {
        match &self.scale {
            RfmScale::Quantiles(tiles) => *tiles,
            RfmScale::Bands(bands) => bands.tiles(),
        }
    }

    /// Scores customers, each among those of the same currency, in the order of the input. None is who was valued in
    /// a currency for which the policy has no bands; quantiles score everybody. Costs three sorts of each base.
    ///
    /// ```
    /// use crm_core::Currency;
    /// use crm_core::value::{Rfm, RfmPolicy};
    ///
    /// let customer = |recency_days, frequency, monetary_minor| Rfm { recency_days, frequency, monetary_minor };
    /// let scores = RfmPolicy::default().scores(&[
    ///     (Currency::EUR, customer(3, 12, 90_000)),
    ///     (Currency::EUR, customer(200, 1, 1_500)),
    ///     (Currency::USD, customer(200, 1, 1_500)),
    /// ]);
    /// assert!(scores[0] > scores[1]);
    /// assert_eq!(scores[2].map(|score| score.monetary), Some(5), "the best of their currency");
    /// ```
    #[must_use]
    pub fn scores(&self, base: &[(Currency, Rfm)]) -> Vec<Option<RfmScore>> {
        let tiles = match &self.scale {
            RfmScale::Quantiles(tiles) => *tiles,
            RfmScale::Bands(bands) => {
                return base.iter().map(|(currency, rfm)| bands.score(*currency, rfm)).collect();
            }
        };
        let mut bases: BTreeMap<Currency, Ranking> = BTreeMap::new();
        for (currency, rfm) in base {
            bases.entry(*currency).or_default().add(rfm);
        }
        bases.values_mut().for_each(Ranking::sort);
        base.iter().map(|(currency, rfm)| bases.get(currency).map(|ranking| ranking.score(rfm, tiles))).collect()
    }
}

/// Scores a population in one currency by quintiles of rank, in the order of the input; customers with the same value
/// share the best rank among them, so that equal customers have equal scores. Costs three sorts.
///
/// ```
/// use crm_core::value::{Rfm, rfm_scores};
///
/// let customer = |recency_days, frequency, monetary_minor| Rfm { recency_days, frequency, monetary_minor };
/// let scores = rfm_scores(&[customer(3, 12, 90_000), customer(200, 1, 1_500)]);
/// assert!(scores[0] > scores[1]);
/// ```
#[must_use]
pub fn rfm_scores(population: &[Rfm]) -> Vec<RfmScore> {
    let mut ranking = Ranking::default();
    population.iter().for_each(|rfm| ranking.add(rfm));
    ranking.sort();
    population.iter().map(|rfm| ranking.score(rfm, Tiles::FIVE)).collect()
}

/// The values of one base, each kind in rising order.
#[derive(Default)]
struct Ranking {
    recency: Vec<i64>,
    frequency: Vec<u32>,
    monetary: Vec<i64>,
}

impl Ranking {
    fn add(&mut self, rfm: &Rfm) {
        self.recency.push(rfm.recency_days);
        self.frequency.push(rfm.frequency);
        self.monetary.push(rfm.monetary_minor);
    }

    fn sort(&mut self) {
        self.recency.sort_unstable();
        self.frequency.sort_unstable();
        self.monetary.sort_unstable();
    }

    /// Of a customer who was added.
    fn score(&self, rfm: &Rfm, tiles: Tiles) -> RfmScore {
        let n = self.recency.len().max(1);
        // Every rank is between 1 and n, so every part is between 1 and the number of parts.
        let part = |rank: usize| (usize::from(tiles.0) * rank).div_ceil(n) as u8;
        RfmScore {
            recency: tiles.0 + 1 - part(self.recency.partition_point(|other| *other < rfm.recency_days) + 1),
            frequency: part(self.frequency.partition_point(|other| *other <= rfm.frequency)),
            monetary: part(self.monetary.partition_point(|other| *other <= rfm.monetary_minor)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EventId;
    use crate::money::Money;
    use proptest::prelude::*;

    fn monetary(values: &[i64]) -> Vec<u8> {
        let population: Vec<Rfm> =
            values.iter().map(|v| Rfm { recency_days: 0, frequency: 0, monetary_minor: *v }).collect();
        rfm_scores(&population).iter().map(|score| score.monetary).collect()
    }

    #[test]
    fn a_fifth_of_the_customers_gets_each_score() {
        assert_eq!(monetary(&[50, 10, 40, 20, 30]), [5, 1, 4, 2, 3]);
    }

    #[test]
    fn equal_values_share_the_best_score_among_them() {
        assert_eq!(monetary(&[1, 1, 1, 1, 9]), [4, 4, 4, 4, 5]);
        assert_eq!(monetary(&[7]), [5]);
        assert!(monetary(&[]).is_empty());
    }

    #[test]
    fn only_orders_of_the_window_and_the_currency_that_stand_count() {
        let order = |day, minor, refunded, currency| Order {
            event: EventId::from_uuid(uuid::Uuid::nil()),
            order: None,
            placed_at: Timestamp::MIN.plus(Span::days(day)),
            total: Money::new(minor, currency),
            refunded,
            beside: None,
        };
        let orders = [
            order(1, 100, 0, Currency::EUR),
            order(10, 200, 50, Currency::EUR),
            order(20, 300, 300, Currency::EUR),
            order(21, 400, 0, Currency::USD),
            order(40, 500, 0, Currency::EUR),
        ];
        let at = Timestamp::MIN.plus(Span::days(30));
        let of = |window| Rfm::within(&orders, Currency::EUR, at, window);
        assert_eq!(of(None), Some(Rfm { recency_days: 20, frequency: 2, monetary_minor: 250 }));
        assert_eq!(of(Some(Span::days(21))), Some(Rfm { recency_days: 20, frequency: 1, monetary_minor: 150 }));
        assert_eq!(of(Some(Span::days(20))), None, "a window begins after its first instant");
    }

    fn bands() -> RfmBands {
        let monetary = BTreeMap::from([(Currency::EUR, vec![1_000, 5_000])]);
        RfmBands::new(vec![30, 90], vec![2, 5], monetary).unwrap()
    }

    #[test]
    fn bands_score_by_limits_that_belong_to_the_better_side() {
        let score = |recency_days, frequency, monetary_minor| {
            let score = bands().score(Currency::EUR, &Rfm { recency_days, frequency, monetary_minor }).unwrap();
            [score.recency, score.frequency, score.monetary]
        };
        assert_eq!(score(30, 5, 5_000), [3, 3, 3]);
        assert_eq!(score(31, 4, 4_999), [2, 2, 2]);
        assert_eq!(score(91, 1, -1), [1, 1, 1]);
        let other = Rfm { recency_days: 1, frequency: 1, monetary_minor: 1 };
        assert_eq!(bands().score(Currency::USD, &other), None);
    }

    #[test]
    fn bands_that_do_not_fit_together_are_refused() {
        let eur = |limits| BTreeMap::from([(Currency::EUR, limits)]);
        let refused = |r, f, m| RfmBands::new(r, f, eur(m)).unwrap_err();
        assert!(matches!(refused(vec![], vec![], vec![]), RfmError::Limits { what: "recency", .. }));
        assert!(matches!(refused(vec![1], vec![1, 2], vec![1]), RfmError::Limits { what: "frequency", .. }));
        assert_eq!(refused(vec![1, 1], vec![1, 2], vec![1, 2]), RfmError::Order { what: "recency", place: 1 });
        assert!(matches!(refused(vec![1, 2], vec![1, 2], vec![2, 1]), RfmError::Order { what: "monetary value", .. }));
        assert!(matches!(refused((0..10).collect(), vec![], vec![]), RfmError::Limits { .. }));
        assert_eq!(Tiles::new(1), Err(RfmError::Tiles { tiles: 1 }));
    }

    #[test]
    fn a_policy_is_written_down_and_read_back_and_a_wrong_one_is_not_read() {
        for policy in
            [RfmPolicy::default(), RfmPolicy { window: Some(Span::days(365)), scale: RfmScale::Bands(bands()) }]
        {
            let json = serde_json::to_string(&policy).unwrap();
            assert_eq!(serde_json::from_str::<RfmPolicy>(&json).unwrap(), policy, "{json}");
            let bytes = postcard::to_allocvec(&policy).unwrap();
            assert_eq!(postcard::from_bytes::<RfmPolicy>(&bytes).unwrap(), policy);
        }
        let falling = r#"{"scale":{"bands":{"recency_days":[9,1],"frequency":[1,2],"monetary_minor":{}}}}"#;
        assert!(serde_json::from_str::<RfmPolicy>(falling).is_err());
        assert!(serde_json::from_str::<RfmPolicy>(r#"{"scale":{"quantiles":11}}"#).is_err());
    }

    fn base() -> impl Strategy<Value = Vec<(Currency, Rfm)>> {
        let currency = prop_oneof![Just(Currency::EUR), Just(Currency::USD)];
        let rfm = (0..40_i64, 0..8_u32, -50..50_i64).prop_map(|(recency_days, frequency, monetary_minor)| Rfm {
            recency_days,
            frequency,
            monetary_minor,
        });
        proptest::collection::vec((currency, rfm), 0..60)
    }

    proptest! {
        #[test]
        fn a_currency_is_scored_as_if_there_were_no_other(base in base(), tiles in 2..=TILES_MAX) {
            let policy = RfmPolicy { window: None, scale: RfmScale::Quantiles(Tiles::new(tiles).unwrap()) };
            let together = policy.scores(&base);
            for currency in [Currency::EUR, Currency::USD] {
                let own: Vec<_> = base.iter().filter(|row| row.0 == currency).copied().collect();
                let of_own: Vec<_> =
                    base.iter().zip(&together).filter(|(row, _)| row.0 == currency).map(|(_, score)| *score).collect();
                prop_assert_eq!(policy.scores(&own), of_own);
            }
        }

        #[test]
        fn who_is_better_never_scores_less_and_who_is_equal_scores_the_same(base in base(), tiles in 2..=TILES_MAX) {
            let policy = RfmPolicy { window: None, scale: RfmScale::Quantiles(Tiles::new(tiles).unwrap()) };
            let own: Vec<_> = base.into_iter().filter(|row| row.0 == Currency::EUR).collect();
            let scores: Vec<RfmScore> = policy.scores(&own).into_iter().map(Option::unwrap).collect();
            for ((_, a), of_a) in own.iter().zip(&scores) {
                prop_assert!((1..=tiles).contains(&of_a.recency));
                for ((_, b), of_b) in own.iter().zip(&scores) {
                    prop_assert!(a.recency_days > b.recency_days || of_a.recency >= of_b.recency);
                    prop_assert!(a.frequency < b.frequency || of_a.frequency >= of_b.frequency);
                    prop_assert!(a.monetary_minor < b.monetary_minor || of_a.monetary >= of_b.monetary);
                }
            }
        }

        #[test]
        fn the_order_of_the_customers_does_not_matter(base in base()) {
            let scores = RfmPolicy::default().scores(&base);
            let mut reversed = base;
            reversed.reverse();
            let mut of_reversed = RfmPolicy::default().scores(&reversed);
            of_reversed.reverse();
            prop_assert_eq!(scores, of_reversed);
        }
    }
}
