//! Scorers: columns in, columns out.

use alloc::vec::Vec;

use crate::batch::{Batch, Column};
use crate::failure::Failure;
use crate::value::Entries;

/// Scores batches of customers. One instance scores many batches, so a score must not depend on
/// the batches before: that is why [`Scorer::score`] can't change the scorer.
pub trait Scorer: Default {
    /// Takes the parameters of the manifest, each of its kind. Called once, before the first batch.
    ///
    /// # Errors
    ///
    /// If the values make no sense together.
    fn configure(&mut self, params: &Entries) -> Result<(), Failure> {
        let _ = params;
        Ok(())
    }

    /// One column for each output of the manifest, in its order, each with the batch's rows.
    ///
    /// # Errors
    ///
    /// If the plugin can't answer. Having nothing to say about a row is no failure but a missing
    /// cell.
    fn score(&self, batch: &Batch) -> Result<Vec<Column>, Failure>;
}
