//! Writing scores: rows alone where no state has to know of them, or all that moves by them in one commit.

use crm_core::score::ScoreTerms;
use crm_core::workflow::PluginName;
use crm_core::{CustomerId, Definitions, Timestamp};
use crm_storage::{Commit, CustomerWrite, Expected, ScoreKey, ScoreRow};

use super::super::writing::Writing;
use super::super::{ATTEMPTS_MAX, Base, Crm, Settled};
use super::newest;
use crate::error::Error;
use crate::workflow::Trigger;

/// What scores are given by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Giving<'a> {
    pub(super) plugin: &'a PluginName,
    pub(super) as_of: Timestamp,
    /// Until when what is due of a customer comes first.
    pub(super) until: Timestamp,
    pub(super) definitions: &'a Definitions,
    pub(super) terms: &'a ScoreTerms,
    /// Whether states have to know.
    pub(super) follows: bool,
}

/// What somebody was given.
pub(super) struct Given {
    pub(super) customer: CustomerId,
    pub(super) expected: Expected,
    /// There if the state has to know.
    pub(super) base: Option<Base>,
    pub(super) rows: Vec<ScoreRow>,
    /// Older scores that these take the place of.
    pub(super) gone: Vec<ScoreKey>,
}

impl Crm {
    /// Writes scores of many customers in one call, each in a commit of its own.
    pub(super) async fn keep_scores(&self, giving: Giving<'_>, given: Vec<Given>) -> Result<(), Error> {
        let (mut commits, mut together) = (Vec::with_capacity(given.len()), Vec::with_capacity(given.len()));
        for one in given {
            let writing = match &one.base {
                Some(base) if giving.follows => self.score_commit(giving, base, &one).await?,
                _ => rows_alone(one.customer, one.expected, &one.rows, &one.gone).into(),
            };
            if writing.is_noted() {
                self.keep_score(giving, writing, one).await?;
                continue;
            }
            commits.push(writing.commit);
            together.push(one);
        }
        let answers = self.store().commit(&self.tenant, commits).await?;
        for (one, answer) in together.into_iter().zip(answers) {
            match answer {
                Ok(_) => {}
                // Something happened to the customer meanwhile: the score is kept all the same, on top.
                Err(error) if error.is_lost_race() => {
                    self.lost()?;
                    self.keep_score_again(giving, one).await?;
                }
                Err(error) => return Err(Error::corrupt(error)),
            }
        }
        Ok(())
    }

    /// Writes scores of one customer, of which the audit log has something.
    async fn keep_score(&self, giving: Giving<'_>, writing: Writing, given: Given) -> Result<(), Error> {
        match self.settle(writing).await? {
            Settled::Done | Settled::Replayed(_) => Ok(()),
            Settled::Refused(error) if error.is_lost_race() => {
                self.lost()?;
                self.keep_score_again(giving, given).await
            }
            Settled::Refused(error) => Err(Error::corrupt(error)),
        }
    }

    /// The commit that keeps scores, with the state that has the newest of them, what moved by them, and what workflows
    /// have to say to it.
    async fn score_commit(
        &self,
        giving: Giving<'_>,
        base: &Base,
        Given { rows, gone, .. }: &Given,
    ) -> Result<Writing, Error> {
        let Giving { plugin, as_of, until, definitions, .. } = giving;
        let Base { customer, expected, .. } = base;
        let context = self.context(definitions, self.now(), false);
        let triggers = || rows.iter().map(|row| Trigger::of_score(customer.id(), as_of, row)).collect();
        let planned = self.plan(context, base, |mut planner| {
            planner.scored(plugin, as_of, until, newest(rows), triggers())?;
            Ok(planner.finish())
        });
        let Some(plan) = planned.await? else { return Ok(rows_alone(customer.id(), *expected, rows, gone).into()) };
        let (mut writing, _) = self.written(plan, base).await?;
        for own in writing.commit.writes.iter_mut().filter(|write| write.customer == customer.id()) {
            own.scores.clone_from(rows);
            own.scores_gone.clone_from(gone);
        }
        Ok(writing)
    }

    async fn keep_score_again(&self, giving: Giving<'_>, given: Given) -> Result<(), Error> {
        for _ in 0..ATTEMPTS_MAX {
            let (base, definitions) = self.base(given.customer).await?;
            let base = base.ok_or(Error::NoCustomer { customer: given.customer })?;
            // They may have objected, or have been merged into another, since the batch was scored.
            let defined = definitions.grants(giving.plugin, giving.until).and_then(|grants| grants.purpose.as_ref());
            let purposes = giving.terms.purposes.iter().chain(defined);
            let allowed = base.customer.may_process(purposes, false, giving.until, &definitions);
            if allowed.is_err() || base.customer.unscored().is_some() || base.customer.id() != given.customer {
                return Ok(());
            }
            let writing = if giving.follows {
                let giving = Giving { definitions: &definitions, ..giving };
                self.score_commit(giving, &base, &given).await?
            } else {
                rows_alone(given.customer, base.expected, &given.rows, &given.gone).into()
            };
            if self.try_settle(writing).await? {
                return Ok(());
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }
}

fn rows_alone(customer: CustomerId, expected: Expected, rows: &[ScoreRow], gone: &[ScoreKey]) -> Commit {
    let mut write = CustomerWrite::scores(customer, expected, rows.to_vec());
    write.scores_gone = gone.to_vec();
    Commit { writes: vec![write], ..Commit::default() }
}
