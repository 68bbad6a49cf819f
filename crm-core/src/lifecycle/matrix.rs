//! How a base moved between the stages from one day to another, and where that leads if it goes on like this.
//!
//! The stages are taken as the states of a Markov chain, and the shares of those who moved from one to another as its
//! transition probabilities: the sizes after `n` periods are today's times the matrix to the power of `n`. Source:
//! P. E. Pfeifer and R. L. Carraway, "Modeling customer relationships as Markov chains", Journal of Interactive
//! Marketing 14 (2), 2000, pages 43–55. Their states are recencies of purchase; these are the stages of the life cycle.
//! The method assumes that the next move depends on nothing but the stage, and that customers go on as in the period
//! that was measured: take one that is as long as what the shop is planning for, and of the same season.

use super::history::place;
use super::{Stage, StagePath, parts_per_million};
use crate::time::Timestamp;

/// How many states there are: no stage, and the four.
const STATES: usize = 5;

const fn state(stage: Option<Stage>) -> usize {
    match stage {
        None => 0,
        Some(stage) => place(stage) + 1,
    }
}

/// The states in their order: no stage, and the four.
pub const STAGES_AND_NONE: [Option<Stage>; STATES] =
    [None, Some(Stage::Prospect), Some(Stage::Intent), Some(Stage::Purchase), Some(Stage::Historical)];

/// How many customers are at each stage, and at none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageSizes([u64; STATES]);

impl StageSizes {
    /// The sizes, in the order of [`STAGES_AND_NONE`].
    #[must_use]
    pub const fn new(sizes: [u64; STATES]) -> Self {
        StageSizes(sizes)
    }

    /// How many are at a stage, or at none.
    #[must_use]
    pub const fn of(&self, stage: Option<Stage>) -> u64 {
        self.0[state(stage)]
    }

    /// How many there are in all.
    #[must_use]
    pub fn total(&self) -> u128 {
        self.0.iter().map(|size| u128::from(*size)).sum()
    }
}

/// Whether a forecast counts on people who are not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newcomers {
    /// No: it is about those who are known now, and their number stays the same.
    None,
    /// As many come in each period, and to the same stages, as came in the one that was measured.
    AsBefore,
}

/// How many customers went from each stage to each between two instants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransitionMatrix {
    counts: [[u32; STATES]; STATES],
}

impl TransitionMatrix {
    /// Counts those of a base by the stage at one instant and at another. Whoever was not known at either is left out.
    /// Only where they were at these two counts, not where they were in between.
    pub fn between<'a>(paths: impl IntoIterator<Item = &'a StagePath>, start: Timestamp, end: Timestamp) -> Self {
        let mut matrix = TransitionMatrix::default();
        for path in paths {
            let (from, to) = (path.at(start), path.at(end));
            if from.is_some() || to.is_some() {
                let count = &mut matrix.counts[state(from)][state(to)];
                *count = count.saturating_add(1);
            }
        }
        matrix
    }

    /// Adds what was counted of other customers.
    pub fn add(&mut self, other: &TransitionMatrix) {
        for (own, counts) in self.counts.iter_mut().flatten().zip(other.counts.iter().flatten()) {
            *own = own.saturating_add(*counts);
        }
    }

    /// A matrix of counts from elsewhere: rows by the stage at the start, columns by the one at the end, both in the
    /// order of [`STAGES_AND_NONE`].
    #[must_use]
    pub const fn from_counts(counts: [[u32; STATES]; STATES]) -> Self {
        TransitionMatrix { counts }
    }

    /// How many went from one stage to another; from none are those who were new.
    #[must_use]
    pub const fn count(&self, from: Option<Stage>, to: Option<Stage>) -> u32 {
        self.counts[state(from)][state(to)]
    }

    /// How many of those at a stage went to another, in parts per million; none if nobody was there.
    #[must_use]
    pub fn rate_ppm(&self, from: Option<Stage>, to: Option<Stage>) -> Option<u32> {
        parts_per_million(self.count(from, to).into(), self.at_start().of(from))
    }

    /// How many were at each stage at the start; at none are those who came since.
    #[must_use]
    pub fn at_start(&self) -> StageSizes {
        StageSizes(self.counts.map(|row| row.iter().map(|count| u64::from(*count)).sum()))
    }

    /// How many were at each stage at the end; at none are those of whom every fact was voided.
    #[must_use]
    pub fn at_end(&self) -> StageSizes {
        let mut sizes = [0; STATES];
        for row in &self.counts {
            for (size, count) in sizes.iter_mut().zip(row) {
                *size += u64::from(*count);
            }
        }
        StageSizes(sizes)
    }

    /// The sizes of the stages after each of `periods` periods as long as the one that was measured, beginning with
    /// those given. Whoever is at a stage that nobody was at when it was measured stays there, and whoever is at none
    /// stays at none.
    ///
    /// It is reckoned in millionths of a customer, and each row is dealt out by the largest remainder, so that nothing
    /// is lost or made: without newcomers the total is the same after every period. Each answer is rounded to whole
    /// customers in the same way. Of equal remainders the earlier in the order of [`STAGES_AND_NONE`] is served first.
    #[must_use]
    pub fn forecast(&self, from: StageSizes, periods: u16, newcomers: Newcomers) -> Vec<StageSizes> {
        let new = match newcomers {
            Newcomers::None => [0; STATES],
            // Those who were at none and are there again are nobody.
            Newcomers::AsBefore => {
                let [_, stages @ ..] = self.counts[0];
                let [a, b, c, d] = stages.map(u128::from);
                [0, a, b, c, d]
            }
        };
        let mut parts = from.0.map(|size| u128::from(size) * PARTS);
        let mut forecast = Vec::with_capacity(periods.into());
        for _ in 0..periods {
            let mut next = new.map(|count| count * PARTS);
            for (row, (counts, size)) in self.counts.iter().zip(parts).enumerate() {
                let dealt = if row == 0 || counts.iter().all(|count| *count == 0) {
                    let mut stay = [0; STATES];
                    stay[row] = size;
                    stay
                } else {
                    deal(size, counts.map(u128::from))
                };
                for (sum, part) in next.iter_mut().zip(dealt) {
                    *sum += part;
                }
            }
            parts = next;
            let (whole, remainders) = (parts.map(|part| part / PARTS), parts.map(|part| part % PARTS));
            // There are whole customers in all, so that what remains is a number of them.
            let whole = serve(whole, remainders, remainders.iter().sum::<u128>() / PARTS);
            forecast.push(StageSizes(whole.map(|size| u64::try_from(size).unwrap_or(u64::MAX))));
        }
        forecast
    }
}

/// Parts that a customer is reckoned in.
const PARTS: u128 = 1_000_000;

/// Deals out an amount in proportion to weights, by the largest remainder; of equal ones the first is served first.
/// All of it, unless no weight is above 0.
fn deal(amount: u128, weights: [u128; STATES]) -> [u128; STATES] {
    let sum: u128 = weights.iter().sum();
    if sum == 0 {
        return [0; STATES];
    }
    // amount × weight / sum, in a form that cannot overflow: weights are of 32 bits.
    let (whole, rest) = (amount / sum, amount % sum);
    let dealt = weights.map(|weight| whole * weight + rest * weight / sum);
    let left = amount.saturating_sub(dealt.iter().sum());
    serve(dealt, weights.map(|weight| rest * weight % sum), left)
}

/// Gives what is left to those with the largest remainders, one to each. Less is left than there are remainders.
fn serve(mut dealt: [u128; STATES], remainders: [u128; STATES], left: u128) -> [u128; STATES] {
    let mut order: [usize; STATES] = std::array::from_fn(|n| n);
    order.sort_by_key(|n| std::cmp::Reverse(remainders[*n]));
    for (n, _) in order.into_iter().zip(0..left) {
        dealt[n] += 1;
    }
    dealt
}
