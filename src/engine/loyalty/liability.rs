//! What is still to be redeemed, over the base.

use crm_core::Timestamp;
use crm_core::loyalty::ProgramId;
use crm_core::loyalty::report::{Bands, Liability, LiabilityCount, Posted};

use super::{Crm, Histories, as_of, no_program};
use crate::error::Error;

impl Crm {
    /// What is still to be redeemed in a programme at an instant, in bands of the usual lengths. See
    /// [`liability_in`](Self::liability_in).
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn liability(&self, program: &ProgramId, at: Timestamp) -> Result<Liability, Error> {
        self.liability_in(program, at, Bands::default(), |_| {}).await
    }

    /// What is still to be redeemed in a programme at an instant: points by age and by the time they have left, what
    /// they are worth by the version of the programme in force then (of one that was ended, the last), and how many of
    /// them are expected never to be redeemed. The method, and what it assumes, are at [`Liability::breakage`].
    ///
    /// It costs what [`trial_balance_with_progress`](Self::trial_balance_with_progress) does, and keeps a few numbers
    /// for each month of issue and each month after it. It tells after each thousand histories how many were read.
    ///
    /// # Errors
    ///
    /// `Refused` with `NoProgram` if there was no such programme at the instant or before, `Storage` if the store
    /// failed.
    pub async fn liability_in(
        &self,
        program: &ProgramId,
        at: Timestamp,
        bands: Bands,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<Liability, Error> {
        let walk = self.walk().await?;
        let rules = as_of(&walk.definitions, program, at).ok_or_else(|| no_program(program))?;
        let mut count = LiabilityCount::new(rules, at, bands);
        let mut histories = Histories::of(walk);
        while let Some(postings) = histories.next(self, program).await? {
            count.add(postings.iter().filter_map(Posted::of));
            if histories.read.is_multiple_of(1_000) {
                progress(histories.read);
            }
        }
        Ok(count.finish())
    }
}
