//! What a customer could claim, and how many are left of it.

use crm_core::CustomerId;
use crm_core::loyalty::RewardOffer;
use crm_storage::{Commit, CommitError, CounterStep};

use super::{Crm, Settled};
use crate::error::Error;

impl Crm {
    /// Every reward in force, by name, with all that stands against the customer's claiming it now; they are judged as
    /// of the last time anything happened to them or was due. Of a reward with a stock it is looked up how many are
    /// left, each by a question to the store: a moment later it may be one less.
    ///
    /// # Errors
    ///
    /// `NoCustomer`, `Storage` if the store failed.
    pub async fn rewards_for(&self, customer: CustomerId) -> Result<Vec<RewardOffer>, Error> {
        let (base, definitions) = self.base(customer).await?;
        let base = base.ok_or(Error::NoCustomer { customer })?;
        let mut offers = base.customer.reward_offers(self.now(), &definitions);
        for offer in &mut offers {
            if offer.reward.stock.is_some() {
                let claimed = self.counted(offer.name.counter()).await?;
                *offer = offer.clone().with_claimed(claimed);
            }
        }
        Ok(offers)
    }

    /// Where a counter stands. A store tells it when it refuses to move one past a limit that none can keep.
    pub(super) async fn counted(&self, name: crm_core::SmolStr) -> Result<u64, Error> {
        let probe = CounterStep { name, by: 0, limit: -1 };
        match self.settle(Commit { counters: vec![probe], ..Commit::default() }).await? {
            Settled::Refused(CommitError::CounterLimit { value, .. }) => Ok(u64::try_from(value).unwrap_or(0)),
            Settled::Refused(error) => Err(Error::corrupt(error)),
            Settled::Done | Settled::Replayed(_) => Err(Error::corrupt("a counter past its limit")),
        }
    }
}
