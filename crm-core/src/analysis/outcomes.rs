//! Scores beside what then happened.

/// Why something cannot be measured.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AnalysisError {
    /// There is nothing to measure.
    #[error("there are no scores")]
    Empty,
    /// It happened to everybody, or to nobody: nothing can be told apart.
    #[error("all {count} scores have the same outcome")]
    OneClass {
        /// How many there are.
        count: usize,
    },
    /// A score that is no number, or infinite.
    #[error("a score that is not finite")]
    NotFinite,
    /// A score that cannot be a probability.
    #[error("a score of {score} is not between 0 and 1")]
    NotProbability {
        /// The score.
        score: f64,
    },
    /// Fewer scores than groups, no groups at all, or more than there may be.
    #[error("{groups} groups of {count} scores: it takes at least one group, at most {max}, and a score for each")]
    Groups {
        /// How many groups were asked for.
        groups: usize,
        /// How many scores there are.
        count: usize,
        /// How many groups there may be.
        max: usize,
    },
    /// Other numbers of old scores and new ones.
    #[error("{old} old scores and {new} new ones")]
    Lengths {
        /// How many old ones.
        old: usize,
        /// How many new ones.
        new: usize,
    },
}

/// Scores of customers, those to whom it happened and those to whom it did not. Eight bytes for each.
///
/// ```
/// use crm_core::analysis::Outcomes;
///
/// let outcomes = Outcomes::new(vec![0.9, 0.8, 0.4], vec![0.5, 0.3, 0.2])?;
/// // Of nine pairs of a buyer and another, eight are in the right order.
/// assert_eq!(outcomes.auc()?.area, 8.0 / 9.0);
/// # Ok::<(), crm_core::analysis::AnalysisError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcomes {
    /// Ascending.
    happened: Vec<f64>,
    /// Ascending.
    others: Vec<f64>,
}

/// Scores that are equal, with how many of each kind have them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tie {
    pub(super) score: f64,
    pub(super) happened: usize,
    pub(super) others: usize,
}

impl Outcomes {
    /// Takes the scores of those to whom it happened, and those of the others, in any order.
    ///
    /// # Errors
    ///
    /// `NotFinite` if one of them is not.
    pub fn new(mut happened: Vec<f64>, mut others: Vec<f64>) -> Result<Self, AnalysisError> {
        for scores in [&mut happened, &mut others] {
            if scores.iter().any(|score| !score.is_finite()) {
                return Err(AnalysisError::NotFinite);
            }
            // Negative zero and zero are one score.
            scores.iter_mut().for_each(|score| *score += 0.0);
            scores.sort_unstable_by(f64::total_cmp);
        }
        Ok(Outcomes { happened, others })
    }

    /// To how many it happened.
    #[must_use]
    pub const fn happened(&self) -> usize {
        self.happened.len()
    }

    /// How many scores there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.happened.len() + self.others.len()
    }

    /// To which share it happened; none of nobody.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.happened() as f64 / self.count() as f64)
    }

    /// Both kinds by score, the highest first, equal ones together.
    pub(super) fn ties(&self) -> impl Iterator<Item = Tie> + '_ {
        let (mut happened, mut others) = (self.happened.as_slice(), self.others.as_slice());
        std::iter::from_fn(move || {
            let score = match (happened.last(), others.last()) {
                (Some(one), Some(other)) => one.max(*other),
                (Some(one), None) | (None, Some(one)) => *one,
                (None, None) => return None,
            };
            let take = |scores: &mut &[f64]| {
                let equal = scores.iter().rev().take_while(|one| one.total_cmp(&score).is_eq()).count();
                *scores = &scores[..scores.len() - equal];
                equal
            };
            Some(Tie { score, happened: take(&mut happened), others: take(&mut others) })
        })
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "what is compared is exact")]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_come_together_the_highest_first() {
        let outcomes = Outcomes::new(vec![0.0, 2.0, 1.0], vec![-0.0, 1.0, 1.0, 3.0]).unwrap();
        let ties: Vec<_> = outcomes.ties().map(|tie| (tie.score, tie.happened, tie.others)).collect();
        assert_eq!(ties, [(3.0, 0, 1), (2.0, 1, 0), (1.0, 1, 2), (0.0, 1, 1)]);
        assert_eq!((outcomes.count(), outcomes.happened(), outcomes.rate()), (7, 3, Some(3.0 / 7.0)));
    }

    #[test]
    fn a_score_that_is_no_number_is_refused_and_nobody_has_no_rate() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Outcomes::new(vec![0.5], vec![bad]), Err(AnalysisError::NotFinite));
            assert_eq!(Outcomes::new(vec![bad], vec![]), Err(AnalysisError::NotFinite));
        }
        assert_eq!(Outcomes::default().rate(), None);
    }
}
