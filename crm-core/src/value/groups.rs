//! Eleven groups of customers with names, by their RFM scores.
//!
//! The groups, and the ranges of scores that belong to them, are those that Putler published ("RFM Analysis For
//! Successful Customer Segmentation", <https://www.putler.com/rfm-analysis/>), which many tools have taken over. They
//! are defined by two numbers from 1 to 5: the score of recency, and one of frequency and monetary value together,
//! which is their mean, half a point rounded up. The ranges of promising, about to sleep and can't lose were not
//! compared with a second source; those of the other eight were.
//!
//! The published ranges overlap: a customer may be in as many as five. Here each pair of scores has one group, out of
//! those whose published range it is in. Where there was a choice, the published words about the groups decided, and
//! the narrower range was taken before the wider one:
//!
//! | recency | 1 | 2 | 3 | 4 | 5 frequency and monetary |
//! |---|---|---|---|---|---|
//! | **5** | new | potential loyalist | potential loyalist | champions | champions |
//! | **4** | promising | potential loyalist | potential loyalist | champions | champions |
//! | **3** | promising | about to sleep | needs attention | loyal | loyal |
//! | **2** | hibernating | about to sleep | needs attention | at risk | at risk |
//! | **1** | lost | hibernating | at risk | can't lose | can't lose |

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::rfm::{RfmPolicy, RfmScore, Tiles};

/// What kind of customer somebody is by what they bought, how often, and how long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RfmGroup {
    /// Bought recently, buy often and spend the most.
    Champions,
    /// Spend good money, often.
    Loyal,
    /// Bought recently, more than once, and spent a good amount.
    PotentialLoyalist,
    /// Bought most recently, but not often.
    New,
    /// Bought recently, but have not spent much.
    Promising,
    /// In the middle of everything; may not have bought very recently.
    NeedsAttention,
    /// Below the middle; will be lost if nothing brings them back.
    AboutToSleep,
    /// Spent much and bought often, but long ago.
    AtRisk,
    /// Bought most, and have not come back for a long time.
    CantLose,
    /// Bought little, seldom and long ago.
    Hibernating,
    /// The lowest of all scores.
    Lost,
}

impl RfmGroup {
    /// All of them, the best first as they were published.
    pub const ALL: [RfmGroup; 11] = [
        RfmGroup::Champions,
        RfmGroup::Loyal,
        RfmGroup::PotentialLoyalist,
        RfmGroup::New,
        RfmGroup::Promising,
        RfmGroup::NeedsAttention,
        RfmGroup::AboutToSleep,
        RfmGroup::AtRisk,
        RfmGroup::CantLose,
        RfmGroup::Hibernating,
        RfmGroup::Lost,
    ];

    /// The group of three scores from 1 to 5; a score beyond counts as the nearest of these.
    ///
    /// ```
    /// use crm_core::value::{RfmGroup, RfmScore};
    ///
    /// let group = |recency, frequency, monetary| RfmGroup::of(RfmScore { recency, frequency, monetary });
    /// assert_eq!(group(5, 5, 4), RfmGroup::Champions);
    /// assert_eq!(group(1, 5, 5), RfmGroup::CantLose);
    /// ```
    #[must_use]
    pub fn of(score: RfmScore) -> Self {
        let both = score.frequency.clamp(1, 5) + score.monetary.clamp(1, 5);
        match (score.recency, both.div_ceil(2)) {
            (4.., 4..) => RfmGroup::Champions,
            (4.., 2 | 3) => RfmGroup::PotentialLoyalist,
            (5.., _) => RfmGroup::New,
            (3 | 4, ..=1) => RfmGroup::Promising,
            (3.., 4..) => RfmGroup::Loyal,
            (2.., 3) => RfmGroup::NeedsAttention,
            (2.., 2) => RfmGroup::AboutToSleep,
            (2, 4..) => RfmGroup::AtRisk,
            (2, _) => RfmGroup::Hibernating,
            (_, 4..) => RfmGroup::CantLose,
            (_, 3) => RfmGroup::AtRisk,
            (_, 2) => RfmGroup::Hibernating,
            (_, _) => RfmGroup::Lost,
        }
    }

    /// The published range of the score of recency, and that of frequency and monetary value together. Scores of 0,
    /// which the publication has as well, are not given here.
    #[must_use]
    pub const fn published(self) -> [RangeInclusive<u8>; 2] {
        match self {
            RfmGroup::Champions => [4..=5, 4..=5],
            RfmGroup::Loyal => [2..=5, 3..=5],
            RfmGroup::PotentialLoyalist => [3..=5, 1..=3],
            RfmGroup::New => [4..=5, 0..=1],
            RfmGroup::Promising => [3..=4, 0..=1],
            RfmGroup::NeedsAttention => [2..=3, 2..=3],
            RfmGroup::AboutToSleep => [2..=3, 0..=2],
            RfmGroup::AtRisk => [0..=2, 2..=5],
            RfmGroup::CantLose => [0..=1, 4..=5],
            RfmGroup::Hibernating => [1..=2, 1..=2],
            RfmGroup::Lost => [0..=2, 0..=2],
        }
    }
}

impl RfmPolicy {
    /// The group of a score that this policy gave. Of other than five scores each is brought to the fifth that its
    /// upper end is in: of ten, 1 and 2 are 1; of three, 1 is 2. So fewer than five leave some groups empty.
    #[must_use]
    pub fn group(&self, score: RfmScore) -> RfmGroup {
        let tiles = u16::from(self.tiles().get());
        let fifth = |score: u8| {
            let five = u16::from(Tiles::FIVE.get());
            // At most five, as the score is at most the number of parts.
            (u16::from(score).min(tiles) * five).div_ceil(tiles) as u8
        };
        RfmGroup::of(RfmScore {
            recency: fifth(score.recency),
            frequency: fifth(score.frequency),
            monetary: fifth(score.monetary),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::rfm::RfmScale;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn cube() -> impl Iterator<Item = RfmScore> {
        (0..125_u8).map(|n| RfmScore { recency: n / 25 + 1, frequency: n / 5 % 5 + 1, monetary: n % 5 + 1 })
    }

    #[test]
    fn every_score_is_in_one_group_whose_published_range_has_it() {
        for score in cube() {
            let group = RfmGroup::of(score);
            let [recency, both] = group.published();
            assert!(recency.contains(&score.recency), "{score:?} {group:?}");
            assert!(both.contains(&(score.frequency + score.monetary).div_ceil(2)), "{score:?} {group:?}");
        }
    }

    #[test]
    fn no_group_is_empty() {
        let mut sizes: BTreeMap<RfmGroup, usize> = BTreeMap::new();
        cube().for_each(|score| *sizes.entry(RfmGroup::of(score)).or_default() += 1);
        assert_eq!(sizes.keys().copied().collect::<Vec<_>>(), RfmGroup::ALL);
        assert_eq!(sizes.values().sum::<usize>(), 125);
    }

    /// The table at the head of this file.
    #[test]
    fn the_groups_are_those_of_the_table() {
        use RfmGroup::*;
        let table = [
            [Lost, Hibernating, AtRisk, CantLose, CantLose],
            [Hibernating, AboutToSleep, NeedsAttention, AtRisk, AtRisk],
            [Promising, AboutToSleep, NeedsAttention, Loyal, Loyal],
            [Promising, PotentialLoyalist, PotentialLoyalist, Champions, Champions],
            [New, PotentialLoyalist, PotentialLoyalist, Champions, Champions],
        ];
        for (recency, row) in (1..).zip(table) {
            for (both, group) in (1..).zip(row) {
                assert_eq!(RfmGroup::of(RfmScore { recency, frequency: both, monetary: both }), group);
            }
        }
    }

    #[test]
    fn five_parts_need_no_bringing_over_and_ten_reach_every_group() {
        let policy = |tiles| RfmPolicy { window: None, scale: RfmScale::Quantiles(Tiles::new(tiles).unwrap()) };
        assert!(cube().all(|score| policy(5).group(score) == RfmGroup::of(score)));
        let tens = (1..=10_u8).flat_map(|r| (1..=10).map(move |f| RfmScore { recency: r, frequency: f, monetary: f }));
        let reached: BTreeSet<RfmGroup> = tens.map(|score| policy(10).group(score)).collect();
        assert_eq!(reached.len(), RfmGroup::ALL.len());
    }

    proptest! {
        #[test]
        fn scores_beyond_the_cube_are_in_the_group_of_the_nearest(
            recency in any::<u8>(), frequency in any::<u8>(), monetary in any::<u8>(),
        ) {
            let near = |score: u8| score.clamp(1, 5);
            let nearest =
                RfmScore { recency: near(recency), frequency: near(frequency), monetary: near(monetary) };
            prop_assert_eq!(RfmGroup::of(RfmScore { recency, frequency, monetary }), RfmGroup::of(nearest));
        }
    }
}
