//! Time passes: what is due is worked off.

use crm_core::{CustomerId, Timestamp};
use crm_storage::Due;

use super::retain::Going;
use super::score::ScoresDue;
use super::writing::Writing;
use super::{Base, Crm, PAGE, Settled};
use crate::error::Error;
use crate::plan::{Need, Plan, Planner, RetentionStep};

impl Crm {
    /// Works off everything that is due at or before an instant, each at its own time, and answers for
    /// how many customers something was due. One call does what any number of calls for instants in
    /// between would do. Several instances of an application may call it at once.
    ///
    /// Alarms of one customer are worked off in the order in which they are due; so are those of different
    /// customers, page by page of a thousand.
    ///
    /// What retention policies say is due goes by this, and by nothing else: it is decided in a commit of its own, with
    /// an entry of the audit log, then the rows are removed, and another entry says how many. When that was cut off,
    /// the next call does what is left.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed; what was worked off before stays so, and the rest is due still. `Ledger` or
    /// `Personal` if the host's ledger or keys did when somebody was to be erased, or if they are outside of the store
    /// and this is inside a transaction of the shop's.
    #[tracing::instrument(level = "debug", skip_all, fields(tenant = %self.tenant, now = %now))]
    pub async fn advance(&self, now: Timestamp) -> Result<u64, Error> {
        self.check_ledger().await?;
        let mut worked = 0;
        let mut before: Vec<Due> = Vec::new();
        loop {
            let due = self.store().due(&self.tenant, now, PAGE).await?;
            let (Some(first), Some(last)) = (due.first(), due.last()) else { return Ok(worked) };
            // A full page ends somewhere in the middle of time: nobody is taken beyond it, so that the
            // alarms of all customers stay in order from page to page.
            let until = if due.len() < PAGE { now } else { last.alarm.due_at };
            tracing::debug!(from = %first.alarm.due_at, %until, customers = due.len(), "working off alarms");
            let (done, again) = self.work_off(&due, until, now).await?;
            if done == 0 && !again && due == before {
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
        let mut commits = Vec::with_capacity(due.len());
        let (mut goes, mut removals) = (Vec::new(), Vec::new());
        // These write to the audit log, so each goes by itself.
        let mut noted = Vec::new();
        let (mut rewards, mut shares) = (Vec::new(), Vec::new());
        let mut scores = ScoresDue::new();
        let context = self.context(&definitions, now, false);
        for row in loaded.rows.into_iter().flatten() {
            let base = self.whole(self.decode(&row, &definitions).await?, &definitions).await?;
            let Base { customer, mut expected, through: _, mut others } = base;
            if customer.referral_to_reward().is_some_and(|(_, at)| at <= until) {
                rewards.push(row.customer);
            }
            if customer.next_share().is_some_and(|due| due.at <= until) {
                shares.push(row.customer);
            }
            for (plugin, due_at) in customer.scores_due(until, &definitions) {
                // What came since is known when the plugin is asked.
                let as_of = customer.clock().map_or(due_at, |clock| clock.max(due_at));
                scores.entry((plugin, as_of)).or_default().push(customer.id());
            }
            let (plan, step) = match elapsed(Planner::new(context, customer, None), until) {
                Ok(planned) => planned,
                Err(_) => {
                    let base = self.whole(self.decode(&row, &definitions).await?, &definitions).await?;
                    let planned = self.plan(context, &base, |planner| elapsed(planner, until)).await?;
                    // What is expected goes with the customer it was read with.
                    (expected, others) = (base.expected, base.others);
                    planned
                }
            };
            match (step, plan) {
                // It is committed by itself, with what leads to the customer and an entry of the audit log.
                (Some(RetentionStep::Decided(due)), Some(plan)) => goes.push(Going { plan, expected, others, due }),
                // Somebody else may have worked it off between the two reads.
                (step, plan) => {
                    if let Some(mut plan) = plan {
                        self.lead_on(&mut plan).await?;
                        let (writing, _) = Writing::of(plan, expected, &others)?;
                        match writing.is_noted() {
                            true => noted.push(writing),
                            false => commits.push(writing.commit),
                        }
                    }
                    removals.extend(step.map(|_| row.customer));
                }
            }
        }
        let answers = self.store().commit(&self.tenant, commits).await?;
        if answers.iter().any(Result::is_err) {
            self.lost()?;
        }
        let mut done = answers.iter().filter(|answer| answer.is_ok()).count();
        let mut again = done < answers.len() || !removals.is_empty();
        for writing in noted {
            match self.settle(writing).await? {
                Settled::Done | Settled::Replayed(_) => done += 1,
                // Whatever it was, they are due still.
                Settled::Refused(_) => {
                    self.lost()?;
                    again = true;
                }
            }
        }
        for going in goes {
            let decided = self.decide_going(going).await?;
            done += usize::from(decided);
            again = true;
        }
        // Two customers each, so each in a commit of its own.
        for customer in rewards {
            let rewarded = self.reward_referral(customer, until).await?;
            done += usize::from(rewarded);
            again = true;
        }
        for customer in shares {
            let moved = self.move_share(customer, until).await?;
            done += usize::from(moved);
            again = true;
        }
        if !scores.is_empty() {
            done += self.refresh_scores(scores, now).await? as usize;
            again = true;
        }
        for customer in removals {
            self.finish_removal(customer).await?;
        }
        Ok((done as u64, again))
    }
}

/// The plan after time has passed, and what retention has to do besides.
fn elapsed(planner: Planner<'_>, until: Timestamp) -> Result<(Option<Plan>, Option<RetentionStep>), Need> {
    let mut planner = planner.retaining();
    planner.work_off(until)?;
    let step = planner.step();
    Ok((planner.finish(), step))
}
