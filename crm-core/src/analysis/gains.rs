//! What an order is worth to whoever works through it from the top: lift and cumulative gains.

use super::outcomes::{AnalysisError, Outcomes};

/// How many groups there may be.
pub const GROUPS_MAX: usize = 1_000;

/// One group of customers by score: with ten groups a decile, the first of which has the highest scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GainsGroup {
    /// How many customers are in it: as many as in any other, or one more.
    pub customers: usize,
    /// The lowest score in it.
    pub lowest: f64,
    /// To how many it happened. Where equal scores are in two groups or more, each has its share of them, so that it
    /// need not be whole.
    pub happened: f64,
    /// How much more often it happened here than to all: 1 is no more often.
    pub lift: f64,
    /// Which share of all to whom it happened are in this group and those before it: 1 in the last.
    pub gained: f64,
    /// How much more often it happened to this group and those before it than to all: 1 in the last.
    pub lift_so_far: f64,
}

impl Outcomes {
    /// Cuts the customers into so many groups of equal size by their scores, the highest first; ten are the usual
    /// deciles. Costs a walk over the scores.
    ///
    /// Source: C. X. Ling, C. Li, "Data mining for direct marketing: problems and solutions", KDD 1998.
    ///
    /// # Errors
    ///
    /// `Empty` without scores, `Groups` for none, for more than [`GROUPS_MAX`] or more than there are scores, `OneClass`
    /// if it happened to nobody.
    pub fn gains(&self, groups: usize) -> Result<Vec<GainsGroup>, AnalysisError> {
        let count = self.count();
        if count == 0 {
            return Err(AnalysisError::Empty);
        }
        if !(1..=GROUPS_MAX).contains(&groups) || groups > count {
            return Err(AnalysisError::Groups { groups, count, max: GROUPS_MAX });
        }
        if self.happened() == 0 {
            return Err(AnalysisError::OneClass { count });
        }
        let all = self.happened() as f64;
        let rate = all / count as f64;
        let end = |group: usize| (group * count) / groups;
        let mut ties = self.ties();
        let (mut tie, mut left_of_tie) = (None, 0);
        // What happened in whole ties is added whole, so that the last group ends at exactly all of them.
        let (mut whole, mut gains) = (0, Vec::with_capacity(groups));
        let mut before = 0.0;
        for group in 1..=groups {
            let customers = end(group) - end(group - 1);
            let mut missing = customers;
            while missing > 0 {
                if left_of_tie == 0 {
                    tie = ties.next();
                    let Some(next) = tie else { break };
                    left_of_tie = next.happened + next.others;
                    whole += next.happened;
                }
                let taken = missing.min(left_of_tie);
                left_of_tie -= taken;
                missing -= taken;
            }
            let Some(last) = tie else { break };
            let untaken = last.happened as f64 * left_of_tie as f64 / (last.happened + last.others) as f64;
            let so_far = whole as f64 - untaken;
            let happened = so_far - before;
            before = so_far;
            gains.push(GainsGroup {
                customers,
                lowest: last.score,
                happened,
                lift: happened / customers as f64 / rate,
                gained: so_far / all,
                lift_so_far: so_far / end(group) as f64 / rate,
            });
        }
        Ok(gains)
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "what is compared is exact")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_best_tenth_of_a_perfect_order_holds_all_to_whom_it_happened() {
        let outcomes = Outcomes::new(vec![0.95, 0.92], (0..18).map(|n| f64::from(n) / 20.0).collect()).unwrap();
        let gains = outcomes.gains(10).unwrap();
        assert_eq!(gains.len(), 10);
        let first = gains[0];
        assert_eq!((first.customers, first.happened, first.lift, first.gained), (2, 2.0, 10.0, 1.0));
        assert!(gains[1..].iter().all(|group| group.happened == 0.0 && group.gained == 1.0));
        assert_eq!((gains[1].lift_so_far, gains[9].lift_so_far, gains[9].lowest), (5.0, 1.0, 0.0));
    }

    #[test]
    fn equal_scores_share_what_happened() {
        let gains = Outcomes::new(vec![0.5; 3], vec![0.5; 7]).unwrap().gains(4).unwrap();
        let sizes: Vec<usize> = gains.iter().map(|group| group.customers).collect();
        assert_eq!(sizes, [2, 3, 2, 3]);
        assert!(gains.iter().all(|group| (group.lift - 1.0).abs() < 1e-12), "{gains:?}");
        assert_eq!(gains[3].gained, 1.0);
    }

    #[test]
    fn what_cannot_be_cut_says_why() {
        let outcomes = Outcomes::new(vec![0.5], vec![0.4; 8]).unwrap();
        assert_eq!(outcomes.gains(10), Err(AnalysisError::Groups { groups: 10, count: 9, max: GROUPS_MAX }));
        assert!(matches!(outcomes.gains(0), Err(AnalysisError::Groups { .. })));
        assert!(matches!(outcomes.gains(usize::MAX), Err(AnalysisError::Groups { .. })));
        assert_eq!(Outcomes::default().gains(10), Err(AnalysisError::Empty));
        assert_eq!(Outcomes::new(vec![], vec![0.1]).unwrap().gains(1), Err(AnalysisError::OneClass { count: 1 }));
    }

    proptest! {
        /// Against giving every customer of a tie the mean of the tie and walking one by one.
        #[test]
        fn gains_are_those_of_a_walk_customer_by_customer(
            rows in prop::collection::vec((0..15_i32, any::<bool>()), 1..120),
            groups in 1..15_usize,
        ) {
            let of = |kind: bool| rows.iter().filter(move |(_, happened)| *happened == kind);
            let scores = |kind: bool| of(kind).map(|(score, _)| f64::from(*score)).collect::<Vec<_>>();
            let outcomes = Outcomes::new(scores(true), scores(false)).unwrap();
            prop_assume!(outcomes.happened() > 0 && groups <= rows.len());
            let mut sorted = rows.clone();
            sorted.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
            let mean = |score: i32| {
                let tied: Vec<_> = rows.iter().filter(|(other, _)| *other == score).collect();
                tied.iter().filter(|(_, happened)| *happened).count() as f64 / tied.len() as f64
            };
            let gains = outcomes.gains(groups).unwrap();
            prop_assert_eq!(gains.iter().map(|group| group.customers).sum::<usize>(), rows.len());
            let (mut so_far, mut place) = (0.0, 0);
            for (n, group) in gains.iter().enumerate() {
                let members = &sorted[place..place + group.customers];
                place += group.customers;
                prop_assert_eq!(place, (n + 1) * rows.len() / groups);
                let happened: f64 = members.iter().map(|(score, _)| mean(*score)).sum();
                so_far += happened;
                prop_assert!((group.happened - happened).abs() < 1e-9);
                prop_assert!((group.gained - so_far / outcomes.happened() as f64).abs() < 1e-9);
                prop_assert_eq!(group.lowest, f64::from(members.last().unwrap().0));
            }
            prop_assert_eq!(gains.last().unwrap().gained, 1.0);
        }
    }
}
