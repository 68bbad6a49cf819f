//! Batches to try a scorer with: the same seed gives the same rows everywhere.

use crate::batch::Batch;
use crate::features;
use crate::value::Entries;

/// Numbers by SplitMix64 (Steele, Lea and Flood 2014): each seed gives a row of its own.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0. The bias is far below what a sample shows.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }
}

impl Batch {
    /// A batch to test with: all features of the catalogue, each with missing cells, zeros, ones, the
    /// largest number that a column holds exactly, its negative where the unit has negatives, and
    /// usual values. Rows are made column by column, so they hold what no customer has: more orders
    /// than days, a refund without an order. A scorer has to live with that. The edges stand in the
    /// first rows, so take ten rows at least.
    ///
    /// ```
    /// use crm_plugin_sdk::{Batch, features};
    ///
    /// # fn main() -> Result<(), crm_plugin_sdk::Failure> {
    /// let batch = Batch::sample(7, 64);
    /// let orders = batch.floats(features::ORDERS)?;
    /// assert!((0..64).any(|row| orders.get(row).is_none()));
    /// assert!((0..64).any(|row| orders.get(row) == Some(0.0)));
    /// assert_eq!(batch, Batch::sample(7, 64));
    /// # Ok(())
    /// # }
    /// ```
    pub fn sample(seed: u64, rows: usize) -> Batch {
        // 2026-01-01 and up to a year more.
        let mut dice = Dice::new(seed);
        let as_of = 1_767_225_600_000 + (dice.below(365) * 86_400_000) as i64;
        let context = Entries::new().with("as_of_ms", as_of).with("seed", seed.cast_signed()).with("currency", "EUR");
        let batch = Batch::new(rows).with_context(context);
        features::ALL.iter().fold(batch, |batch, feature| {
            let column = features::sample(feature.unit, &mut dice, rows);
            batch.with(feature.name, column)
        })
    }
}
