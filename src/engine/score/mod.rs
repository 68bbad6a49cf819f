//! Scoring the base: in batches, page by page, each score kept with where it came from.

use crm_core::score::{Score, ScoreName, ScoreOutput};
use crm_core::workflow::PluginName;
use crm_core::{CustomerId, Definitions, Digest, Millionths, SmolStr, Timestamp};
use crm_storage::{Commit, CommitError, CustomerWrite, Parts, ScoreRow};

use super::{Base, Crm};
use crate::error::Error;
use crate::plan::{NeedHistory, Planner};
use crate::scorer::{ScoreBatch, Scorer};
use crate::workflow::{PluginFault, Trigger};

/// How many customers a scorer is given at once.
const BATCH: usize = 1_024;

/// What became of a scoring run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScoreReport {
    /// How many customers were scored anew.
    pub scored: u64,
    /// How many had their scores of this plugin, input and instant already.
    pub known: u64,
    /// How many got no score, because the scorer had nothing to say of them.
    pub without: u64,
    /// How many keep the scores they had, because the scorer failed for their batch.
    pub failed: u64,
    /// Why it failed, once for each batch.
    pub faults: Vec<PluginFault>,
    /// The scores of all customers, by output.
    pub outputs: Vec<ScoreSummary>,
}

/// The scores of one output.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreSummary {
    /// The output.
    pub output: SmolStr,
    /// How many customers have a score of this run.
    pub count: u64,
    /// The lowest; none without a score.
    pub min: Option<f64>,
    /// The mean; none without a score.
    pub mean: Option<f64>,
    /// The highest; none without a score.
    pub max: Option<f64>,
}

impl ScoreSummary {
    fn new(output: SmolStr) -> Self {
        ScoreSummary { output, count: 0, min: None, mean: None, max: None }
    }

    fn add(&mut self, value: f64) {
        self.count += 1;
        self.min = Some(self.min.map_or(value, |min| min.min(value)));
        self.max = Some(self.max.map_or(value, |max| max.max(value)));
        let mean = self.mean.unwrap_or(0.0);
        self.mean = Some(mean + (value - mean) / self.count as f64);
    }
}

impl Crm {
    /// Scores every customer as of an instant, with what is known of them now, and keeps the scores.
    /// Workflows that listen to `scored` are told of each new one, and segments that ask about it move in the same
    /// commit, with [`Cause::Scored`](crm_core::change::Cause::Scored). The same run again, over the same base, changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed; the batches before are kept. A scorer that fails is no error: the
    /// report tells.
    #[tracing::instrument(level = "debug", skip_all, fields(tenant = %self.tenant, plugin = %scorer.stamp().name, as_of = %as_of))]
    pub async fn score(&self, scorer: &mut dyn Scorer, as_of: Timestamp) -> Result<ScoreReport, Error> {
        let definitions = self.definitions().await?;
        let mut report = ScoreReport {
            outputs: scorer.outputs().iter().cloned().map(ScoreSummary::new).collect(),
            ..ScoreReport::default()
        };
        let mut after: Option<CustomerId> = None;
        loop {
            let rows = self.page_of_customers(after, BATCH).await?;
            let Some(last) = rows.last() else { return Ok(report) };
            after = Some(last.customer);
            let mut bases = Vec::with_capacity(rows.len());
            for row in rows {
                bases.push(self.whole(self.decode(&row, &definitions).await?, &definitions).await?);
            }
            let customers: Vec<CustomerId> = bases.iter().map(|base| base.customer.id()).collect();
            let currency = definitions.currency(as_of);
            let column = |attribute: &crm_core::attribute::Attribute| {
                bases.iter().map(|base| attribute.of(&base.customer, as_of, currency)).collect()
            };
            let columns = scorer.attributes().iter().map(column).collect();
            let batch = ScoreBatch { as_of, customers: &customers, columns };
            match score_batch(scorer, &batch) {
                Ok(scores) => self.keep_scores(scorer, &bases, &batch, &scores, &mut report).await?,
                Err(fault) => {
                    tracing::warn!(plugin = %scorer.stamp().name, %fault, "a scorer failed");
                    report.failed += bases.len() as u64;
                    report.faults.push(fault);
                }
            }
        }
    }

    async fn keep_scores(
        &self,
        scorer: &dyn Scorer,
        bases: &[Base],
        batch: &ScoreBatch<'_>,
        scores: &[Vec<Option<f64>>],
        report: &mut ScoreReport,
    ) -> Result<(), Error> {
        let definitions = self.definitions().await?;
        let mut commits = Vec::new();
        let mut told = Vec::new();
        let kept = self.store().details(&self.tenant, batch.customers, Parts::SCORES).await?;
        for ((row, base), kept) in bases.iter().enumerate().zip(kept) {
            let customer = &base.customer;
            let kept = kept.unwrap_or_default();
            let input = input_digest(batch, row);
            let rows: Vec<ScoreRow> = scorer
                .outputs()
                .iter()
                .zip(scores)
                .filter_map(|(output, column)| Some(score_row(scorer, output, batch.as_of, column[row]?, input)))
                .collect();
            for row in &rows {
                report.outputs.iter_mut().filter(|summary| summary.output == row.output).for_each(|s| s.add(row.value));
            }
            if rows.is_empty() {
                report.without += 1;
                continue;
            }
            if rows.iter().all(|row| kept.scores.contains(row)) {
                report.known += 1;
                continue;
            }
            report.scored += 1;
            commits.push(self.score_commit(base, rows.clone(), batch.as_of, &definitions).await?);
            told.push((customer.id(), rows));
        }
        let answers = self.store().commit(&self.tenant, commits).await?;
        for ((id, rows), answer) in told.into_iter().zip(answers) {
            match answer {
                Ok(_) => {}
                // Something happened to the customer meanwhile: the score is kept all the same, on top.
                Err(CommitError::Conflict { .. }) => {
                    self.lost()?;
                    self.keep_score_again(id, rows, batch.as_of).await?;
                }
                Err(error) => return Err(Error::corrupt(error)),
            }
        }
        Ok(())
    }

    /// The commit that keeps scores, with the state that has the newest of them, what moved by them, and what workflows
    /// have to say to it.
    async fn score_commit(
        &self,
        base: &Base,
        rows: Vec<ScoreRow>,
        as_of: Timestamp,
        definitions: &Definitions,
    ) -> Result<Commit, Error> {
        let Base { customer, expected, through: _, others } = base;
        let mut commit = Commit::default();
        let context = self.context(definitions, self.now(), false);
        let triggers = || rows.iter().map(|row| Trigger::of_score(customer.id(), as_of, row)).collect();
        let mut planner = Planner::new(context, customer.clone(), None);
        let plan = match planner.scored(newest(&rows), triggers()) {
            Ok(()) => planner.finish(),
            Err(NeedHistory) => {
                let history = self.whole_history(customer).await?;
                let mut planner = Planner::new(context, customer.clone(), Some(&history));
                planner
                    .scored(newest(&rows), triggers())
                    .map_err(|_| Error::corrupt("a plan that wants more than the whole history"))?;
                planner.finish()
            }
        };
        if let Some(mut plan) = plan {
            self.lead_on(&mut plan).await?;
            (commit, _) = plan.into_commit(*expected, others);
        }
        if commit.writes.is_empty() {
            commit.writes.push(CustomerWrite::scores(customer.id(), *expected, rows));
        } else {
            let own = commit.writes.iter_mut().filter(|write| write.customer == customer.id());
            own.for_each(|write| write.scores.clone_from(&rows));
        }
        Ok(commit)
    }

    async fn keep_score_again(&self, id: CustomerId, rows: Vec<ScoreRow>, as_of: Timestamp) -> Result<(), Error> {
        for _ in 0..super::ATTEMPTS_MAX {
            let (base, definitions) = self.base(id).await?;
            let base = base.ok_or(Error::NoCustomer { customer: id })?;
            let kept = self.store().details(&self.tenant, &[id], Parts::SCORES).await?;
            let kept = kept.into_iter().next().flatten().unwrap_or_default();
            if rows.iter().all(|row| kept.scores.contains(row)) {
                return Ok(());
            }
            let commit = self.score_commit(&base, rows.clone(), as_of, &definitions).await?;
            match self.settle(commit).await? {
                super::Settled::Done | super::Settled::Replayed(_) => return Ok(()),
                super::Settled::Refused(CommitError::Conflict { .. }) => self.lost()?,
                super::Settled::Refused(error) => return Err(Error::corrupt(error)),
            }
        }
        Err(Error::Busy { attempts: super::ATTEMPTS_MAX })
    }
}

/// Scores as a state keeps them. What rules cannot name is left out.
pub(super) fn newest(rows: &[ScoreRow]) -> impl Iterator<Item = (ScoreName, Score)> {
    rows.iter().filter_map(|row| {
        let plugin = PluginName::new(&row.plugin).ok()?;
        let output = ScoreOutput::new(&row.output).ok()?;
        Some((ScoreName { plugin, output }, Score { at: row.at, value: Millionths::of_score(row.value)? }))
    })
}

/// Scores a batch and checks what came back.
fn score_batch(scorer: &mut dyn Scorer, batch: &ScoreBatch<'_>) -> Result<Vec<Vec<Option<f64>>>, PluginFault> {
    let scores = scorer.score(batch)?;
    if scores.len() != scorer.outputs().len() {
        return Err(PluginFault::new("wrong number of outputs"));
    }
    if scores.iter().any(|column| column.len() != batch.customers.len()) {
        return Err(PluginFault::new("wrong number of rows"));
    }
    if scores.iter().flatten().flatten().any(|score| !score.is_finite()) {
        return Err(PluginFault::new("a score that is not finite"));
    }
    Ok(scores)
}

fn score_row(scorer: &dyn Scorer, output: &SmolStr, at: Timestamp, value: f64, input: Digest) -> ScoreRow {
    let stamp = scorer.stamp();
    ScoreRow {
        plugin: stamp.name.clone().into(),
        output: output.clone(),
        at,
        // Negative zero and zero are one score.
        value: value + 0.0,
        version: stamp.version.clone(),
        digest: stamp.digest,
        input,
    }
}

/// The digest of one customer's row: each value with a mark whether it is there.
fn input_digest(batch: &ScoreBatch<'_>, row: usize) -> Digest {
    let mut bytes = Vec::with_capacity(9 * batch.columns.len());
    for column in &batch.columns {
        bytes.push(u8::from(column[row].is_some()));
        bytes.extend_from_slice(&column[row].unwrap_or(0).to_be_bytes());
    }
    Digest::of(&bytes)
}
