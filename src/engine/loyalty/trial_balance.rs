//! The trial balance over the base.

use crm_core::Timestamp;
use crm_core::loyalty::ProgramId;
use crm_core::loyalty::report::{Posted, TrialBalance};

use super::{Crm, Histories, known};
use crate::error::Error;

impl Crm {
    /// The sums of all accounts of a programme at an instant, which may be long past: everything counts that happened
    /// until then and is recorded by now. See [`trial_balance_with_progress`](Self::trial_balance_with_progress).
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn trial_balance(&self, program: &ProgramId, at: Timestamp) -> Result<TrialBalance, Error> {
        self.trial_balance_with_progress(program, at, |_| {}).await
    }

    /// The same, and tells after each thousand histories how many were read.
    ///
    /// It reads every event of the base and decodes the postings, page by page, and keeps eleven sums: expect as long
    /// as an export takes. It does not stop others from writing. For a total that can be compared with another one, ask
    /// for an instant before which nothing is recorded any more: what is recorded or merged meanwhile is counted or not
    /// as its customer is read before or after.
    ///
    /// # Errors
    ///
    /// `Refused` with `NoProgram` if there never was such a programme, `Storage` if the store failed.
    pub async fn trial_balance_with_progress(
        &self,
        program: &ProgramId,
        at: Timestamp,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<TrialBalance, Error> {
        let walk = self.walk().await?;
        known(&walk.definitions, program)?;
        let mut histories = Histories::of(walk);
        let mut balance = TrialBalance::new(at);
        while let Some(postings) = histories.next(self, program).await? {
            balance.add(postings.iter().filter_map(Posted::of).map(|posted| (posted.at, posted.posting)));
            if histories.read.is_multiple_of(1_000) {
                progress(histories.read);
            }
        }
        Ok(balance)
    }
}
