//! Making a plan with whatever it turns out to need: the customer's history, and what workflows want to know. Every plan
//! of the engine's is made here, or begun by hand on what is there and made here when that is not enough.

use crm_core::customer::Customer;
use crm_core::event::Event;
use crm_core::{CustomerId, Definitions, Timestamp};
use crm_storage::Expected;

use super::{Base, Crm};
use crate::error::Error;
use crate::lookup::{Desk, EMPTY_DESK};
use crate::plan::{Context, Need, Planner};
use crate::workflow::Around;

impl Crm {
    /// What holds for plans, with nothing found out for workflows so far.
    pub(super) fn context<'a>(&'a self, definitions: &'a Definitions, now: Timestamp, quiet: bool) -> Context<'a> {
        let (plugins, keys) = (&self.inner.plugins, &self.inner.lookup_key);
        let around = Around { tenant: &self.tenant, keys, sources: &plugins.sources, desk: &EMPTY_DESK };
        Context { definitions, workflows: &plugins.workflows, now, quiet, around }
    }

    /// Plans on a customer as loaded. `work` is done again, from the beginning, with each thing that it lacked.
    pub(super) async fn plan<T, W>(&self, context: Context<'_>, base: &Base, work: W) -> Result<T, Error>
    where
        T: Send,
        W: Fn(Planner<'_>) -> Result<T, Need> + Send + Sync,
    {
        // Somebody new has no history, and that is the whole of it.
        let history: Option<&[Event]> = matches!(base.expected, Expected::New).then_some(&[]);
        self.plan_on(context, &base.customer, base.through, history, work).await
    }

    /// The same on any customer, with the history that is at hand.
    pub(super) async fn plan_on<T, W>(
        &self,
        context: Context<'_>,
        customer: &Customer,
        through: CustomerId,
        history: Option<&[Event]>,
        work: W,
    ) -> Result<T, Error>
    where
        T: Send,
        W: Fn(Planner<'_>) -> Result<T, Need> + Send + Sync,
    {
        let mut desk = Desk::new();
        let mut read: Option<Vec<Event>> = None;
        loop {
            let need = {
                let context = Context { around: Around { desk: &desk, ..context.around }, ..context };
                let history = history.or(read.as_deref());
                match work(Planner::new(context, customer.clone(), history).through(through)) {
                    Ok(planned) => return Ok(planned),
                    Err(need) => need,
                }
            };
            match need {
                Need::History if history.is_none() && read.is_none() => {
                    read = Some(self.whole_history(customer).await?);
                }
                Need::History => return Err(Error::corrupt("a plan that wants more than the whole history")),
                Need::LookUp(wanted) => self.find_out(*wanted, &mut desk).await?,
            }
        }
    }
}
