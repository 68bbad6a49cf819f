//! Time passes: what is due is worked off.

use crm_core::{CustomerId, Timestamp};
use crm_storage::Due;

use super::{Base, Crm, PAGE};
use crate::error::Error;
use crate::plan::{Plan, Planner};

impl Crm {
    /// Works off everything that is due at or before an instant, each at its own time, and answers for
    /// how many customers something was due. One call does what any number of calls for instants in
    /// between would do. Several instances of an application may call it at once.
    ///
    /// Alarms of one customer are worked off in the order in which they are due; so are those of different
    /// customers, page by page of a thousand.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed; what was worked off before stays so, and the rest is due still.
    #[tracing::instrument(level = "debug", skip_all, fields(tenant = %self.tenant, now = %now))]
    pub async fn advance(&self, now: Timestamp) -> Result<u64, Error> {
        let mut worked = 0;
        let mut before: Vec<Due> = Vec::new();
        loop {
            let due = self.store().due(&self.tenant, now, PAGE).await?;
            let (Some(first), Some(last)) = (due.first(), due.last()) else { return Ok(worked) };
            // A full page ends somewhere in the middle of time: nobody is taken beyond it, so that the
            // alarms of all customers stay in order from page to page.
            let until = if due.len() < PAGE { now } else { last.alarm.due_at };
            tracing::debug!(from = %first.alarm.due_at, %until, customers = due.len(), "working off alarms");
            let (done, conflicts) = self.work_off(&due, until, now).await?;
            if done == 0 && !conflicts && due == before {
                return Err(Error::corrupt(format!("the alarm of {} is not in their state", first.customer)));
            }
            worked += done;
            before = due;
        }
    }

    /// Works off alarms in one commit for each customer; whoever was changed meanwhile is left for the
    /// next round, in which their alarm is due again or has moved.
    async fn work_off(&self, due: &[Due], until: Timestamp, now: Timestamp) -> Result<(u64, bool), Error> {
        let ids: Vec<CustomerId> = due.iter().map(|due| due.customer).collect();
        let loaded = self.store().load(&self.tenant, &ids).await?;
        let definitions = self.definitions_at(loaded.definitions).await?;
        let context = self.context(&definitions, now, false);
        let mut commits = Vec::with_capacity(due.len());
        for row in loaded.rows.into_iter().flatten() {
            let base = self.decode(&row, &definitions).await?;
            let Base { customer, mut expected, through: _, mut others } = self.whole(base, &definitions).await?;
            let plan = match elapsed(Planner::new(context, customer, None), until) {
                Some(plan) => plan,
                None => {
                    let base = self.whole(self.decode(&row, &definitions).await?, &definitions).await?;
                    // What is expected goes with the customer it was read with.
                    (expected, others) = (base.expected, base.others);
                    let history = self.whole_history(&base.customer).await?;
                    elapsed(Planner::new(context, base.customer, Some(&history)), until)
                        .ok_or_else(|| Error::corrupt("a plan that wants more than the whole history"))?
                }
            };
            // Somebody else may have worked it off between the two reads.
            commits.extend(plan.map(|plan| plan.into_commit(expected, &others).0));
        }
        let answers = self.store().commit(&self.tenant, commits).await?;
        if answers.iter().any(Result::is_err) {
            self.lost()?;
        }
        let done = answers.iter().filter(|answer| answer.is_ok()).count();
        Ok((done as u64, done < answers.len()))
    }
}

/// The plan after time has passed; none if it takes the whole history.
fn elapsed(mut planner: Planner<'_>, until: Timestamp) -> Option<Option<Plan>> {
    planner.work_off(until).ok().map(|()| planner.finish())
}
