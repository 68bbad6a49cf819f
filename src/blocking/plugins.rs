//! Plugins: workflows, scores, and both tried on the past.

use crm_core::score::{ScoreName, ScoreRunName};
use crm_core::workflow::{Grants, PluginName, PluginStamp};
use crm_core::{CustomerId, Digest, Timestamp};

use super::{Crm, wait};
use crate::Workflow;
use crate::engine::{
    PluginInstalled, PluginStanding, ReplayProgress, ScoreExplained, ScoreProgress, ScoreReplay, ScoreReport, ScoreRun,
    ScorerBacktest, ScorerShadow, WorkflowBacktest, WorkflowReplay, WorkflowShadow,
};
use crate::error::Error;
use crate::incoming::Who;
use crate::scorer::Scorer;

impl Crm {
    /// See [`crate::Crm::with_workflow`].
    #[must_use]
    pub fn with_workflow(&self, workflow: impl Workflow + 'static, grants: Grants) -> Crm {
        Crm(self.0.with_workflow(workflow, grants))
    }

    /// See [`crate::Crm::without_workflow`].
    #[must_use]
    pub fn without_workflow(&self, name: &PluginName, digest: &Digest) -> Crm {
        Crm(self.0.without_workflow(name, digest))
    }

    /// See [`crate::Crm::plugins`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn plugins(&self) -> Result<Vec<PluginInstalled>, Error> {
        wait(self.0.plugins())
    }

    /// See [`crate::Crm::explain_plugin`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn explain_plugin(
        &self,
        who: impl Into<Who> + Send,
        plugin: &PluginName,
    ) -> Result<Option<PluginStanding>, Error> {
        wait(self.0.explain_plugin(who, plugin))
    }

    /// See [`crate::Crm::score`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn score(&self, scorer: &mut dyn Scorer, as_of: Timestamp) -> Result<ScoreReport, Error> {
        wait(self.0.score(scorer, as_of))
    }

    /// See [`crate::Crm::score_run`]; [`score_step`](Self::score_step) takes its next page.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn score_run(&self, name: &ScoreRunName, scorer: &PluginStamp, as_of: Timestamp) -> Result<ScoreRun, Error> {
        wait(self.0.score_run(name, scorer, as_of))
    }

    /// See [`crate::ScoreRun::step`]. Several threads may call it at once, each with a scorer of its own.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn score_step(&self, run: &ScoreRun, scorer: &mut dyn Scorer) -> Result<Option<ScoreProgress>, Error> {
        wait(run.step(scorer))
    }

    /// See [`crate::Crm::explain_score`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn explain_score(&self, customer: CustomerId, score: &ScoreName) -> Result<Option<ScoreExplained>, Error> {
        wait(self.0.explain_score(customer, score))
    }

    /// See [`crate::Crm::backtest_scorer`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn backtest_scorer<P>(
        &self,
        scorer: &mut dyn Scorer,
        replay: ScoreReplay,
        progress: P,
    ) -> Result<ScorerBacktest, Error>
    where
        P: FnMut(&ReplayProgress) + Send,
    {
        wait(self.0.backtest_scorer(scorer, replay, progress))
    }

    /// See [`crate::Crm::backtest_workflow`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn backtest_workflow<P>(
        &self,
        workflow: &dyn Workflow,
        replay: WorkflowReplay,
        progress: P,
    ) -> Result<WorkflowBacktest, Error>
    where
        P: FnMut(&ReplayProgress) + Send,
    {
        wait(self.0.backtest_workflow(workflow, replay, progress))
    }

    /// See [`crate::Crm::shadow_scorers`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn shadow_scorers<P>(
        &self,
        old: &mut dyn Scorer,
        new: &mut dyn Scorer,
        replay: ScoreReplay,
        progress: P,
    ) -> Result<ScorerShadow, Error>
    where
        P: FnMut(&ReplayProgress) + Send,
    {
        wait(self.0.shadow_scorers(old, new, replay, progress))
    }

    /// See [`crate::Crm::shadow_workflows`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn shadow_workflows<P>(
        &self,
        old: &dyn Workflow,
        new: &dyn Workflow,
        replay: WorkflowReplay,
        progress: P,
    ) -> Result<WorkflowShadow, Error>
    where
        P: FnMut(&ReplayProgress) + Send,
    {
        wait(self.0.shadow_workflows(old, new, replay, progress))
    }
}
