//! Recency, frequency and monetary value, and the scores from 1 to 5 that compare customers by them
//! (Hughes, Strategic Database Marketing, 1994).

use serde::{Deserialize, Serialize};

/// The three values of one customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rfm {
    /// Whole days since the last order that stands.
    pub recency_days: i64,
    /// How many orders stand.
    pub frequency: u32,
    /// Net spend in minor units of the shop's currency.
    pub monetary_minor: i64,
}

/// The three scores of one customer, from 1 (least) to 5 (best).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RfmScore {
    /// 5 for those who bought last.
    pub recency: u8,
    /// 5 for those who bought most often.
    pub frequency: u8,
    /// 5 for those who spent most.
    pub monetary: u8,
}

/// Scores a population by quintiles of rank, in the order of the input; customers with the same value
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
    let n = population.len().max(1);
    let mut recency: Vec<i64> = population.iter().map(|rfm| rfm.recency_days).collect();
    let mut frequency: Vec<u32> = population.iter().map(|rfm| rfm.frequency).collect();
    let mut monetary: Vec<i64> = population.iter().map(|rfm| rfm.monetary_minor).collect();
    recency.sort_unstable();
    frequency.sort_unstable();
    monetary.sort_unstable();
    // Every rank is between 1 and n, so every score is between 1 and 5.
    let fifth = |rank: usize| (5 * rank).div_ceil(n) as u8;
    population
        .iter()
        .map(|rfm| RfmScore {
            recency: 6 - fifth(recency.partition_point(|other| *other < rfm.recency_days) + 1),
            frequency: fifth(frequency.partition_point(|other| *other <= rfm.frequency)),
            monetary: fifth(monetary.partition_point(|other| *other <= rfm.monetary_minor)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
