//! Scores of plugins, as far as rules ask about them. A score is an input from outside, kept by stores in a row of its
//! own with where it came from; a customer's state has the newest of those that rules ask about, so that rules are asked
//! without reading rows. It follows from the rows: whoever folds a customer anew gives them the rows again, and whoever
//! loads one from before some score was asked about does too.

mod asked;
mod inputs;
mod policy;
mod terms;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::consent::Purpose;
use crate::fixed::Millionths;
use crate::flat::FlatMap;
use crate::text::text_type;
use crate::time::Timestamp;
use crate::workflow::PluginName;

text_type!(
    /// What one of the scores is called that a plugin gives.
    ScoreOutput, "score output", 64
);

text_type!(
    /// What a scoring run is called, such as `nightly`, so that it goes on where it was.
    ScoreRunName, "name of a scoring run", 64
);

/// Which score it is: of what plugin, and which of those that it gives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ScoreName {
    /// The plugin that gives it.
    pub plugin: PluginName,
    /// Which of its scores.
    pub output: ScoreOutput,
}

/// A score of one customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    /// As of when.
    pub at: Timestamp,
    /// How much, rounded to the nearest millionth.
    pub value: Millionths,
    /// What it was [made for](ScoreTerms::purposes): whoever objects to that is not judged by it any more.
    pub purposes: BTreeSet<Purpose>,
}

pub use inputs::{InputsError, ScoreInputs};
pub use policy::{ScorePolicy, ScorePolicyError, ScoreSchedule};
pub use terms::{ScoreTerms, TermsError};

/// The most scores that a plugin can be declared to give.
pub const OUTPUTS_MAX: usize = 64;

/// The most scores that a state keeps of one customer: of more, the first by name.
pub const SCORES_MAX: usize = 256;

/// The newest of each of a customer's scores that rules ask about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scores {
    newest: FlatMap<ScoreName, Score>,
    /// Those that a purpose barred when segments were asked last, in order.
    barred: Vec<ScoreName>,
}

impl Scores {
    pub(crate) fn get(&self, name: &ScoreName) -> Option<&Score> {
        self.newest.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ScoreName, &Score)> {
        self.newest.iter()
    }

    /// Those that a purpose barred when that was noted last.
    pub(crate) fn barred(&self) -> &[ScoreName] {
        &self.barred
    }

    /// Notes which are barred by a purpose; answers which are so and were not, or were and are not.
    pub(crate) fn note_barred(&mut self, barred: Vec<ScoreName>) -> Vec<ScoreName> {
        let before = std::mem::replace(&mut self.barred, barred);
        let only = |one: &[ScoreName], other: &[ScoreName]| -> Vec<ScoreName> {
            one.iter().filter(|name| !other.contains(name)).cloned().collect()
        };
        [only(&before, &self.barred), only(&self.barred, &before)].concat()
    }

    /// Takes a score, unless there is one as of a later instant, and answers whether anything changed. It comes to the
    /// same in whatever order scores come, but for two as of one instant, of which the later one replaces the other as
    /// it does among the rows.
    pub(crate) fn take(&mut self, name: &ScoreName, score: Score) -> bool {
        if self.get(name).is_some_and(|own| own.at > score.at || *own == score) {
            return false;
        }
        self.newest.insert(name.clone(), score);
        if self.newest.len() <= SCORES_MAX {
            return true;
        }
        let last = self.newest.iter().last().map(|(name, _)| name.clone());
        last.is_some_and(|last| {
            self.newest.remove(&last);
            last != *name
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(output: usize) -> ScoreName {
        let output = ScoreOutput::new(format!("{output:03}")).unwrap();
        ScoreName { plugin: PluginName::new("churn").unwrap(), output }
    }

    fn score(at: i64, value: i64) -> Score {
        Score { at: Timestamp::from_millis(at).unwrap(), value: Millionths::new(value), purposes: BTreeSet::new() }
    }

    #[test]
    fn the_newest_of_each_counts_in_whatever_order_they_come() {
        let told = [(1, 5, 50), (1, 7, 70), (2, 1, 10), (1, 6, 60)];
        let mut scores = Scores::default();
        let taken = told.map(|(output, at, value)| scores.take(&name(output), score(at, value)));
        assert_eq!(taken, [true, true, true, false]);
        assert!(!scores.take(&name(1), score(7, 70)), "the same again");
        assert!(scores.take(&name(1), score(7, 71)), "replaced");
        let mut again = Scores::default();
        for (output, at, value) in told.into_iter().rev().chain([(1, 7, 71)]) {
            again.take(&name(output), score(at, value));
        }
        assert_eq!(scores, again);
    }

    #[test]
    fn a_state_has_room_for_so_many_and_which_does_not_depend_on_their_order() {
        let (mut up, mut down) = (Scores::default(), Scores::default());
        for n in 0..300 {
            assert_eq!(up.take(&name(n), score(1, 1)), n < SCORES_MAX);
            down.take(&name(299 - n), score(1, 1));
        }
        assert_eq!((&up, up.iter().count()), (&down, SCORES_MAX));
    }
}
