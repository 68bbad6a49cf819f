//! Scoring the base: in batches, page by page, each score kept with where it came from. `page.rs` scores a page,
//! `keep.rs` writes what came of it, `run.rs` goes through the base so that whoever comes next goes on, `explain.rs`
//! shows what a score was made from, `refresh.rs` makes anew what is due by a policy, and `report.rs` is what it all came to.

mod explain;
mod keep;
mod page;
mod refresh;
mod report;
mod run;

use crm_core::score::{Score, ScoreName, ScoreOutput, ScoreTerms};
use crm_core::workflow::{Held, PluginName};
use crm_core::{Definitions, Millionths, Timestamp};
use crm_storage::ScoreRow;

use super::Crm;
use crate::error::Error;
use crate::scorer::Scorer;

pub use explain::ScoreExplained;
pub(crate) use refresh::InstalledScorer;
pub(super) use refresh::ScoresDue;
pub use report::{ScoreReport, ScoreSummary};
pub use run::{RUNS_MAX, ScoreProgress, ScoreRun, ScoreRunError};

/// How many customers a scorer is given at once.
pub const SCORE_BATCH: usize = 1_024;

/// How many scores of one output are kept of a customer, unless the builder says otherwise.
pub(crate) const SCORES_KEPT: u16 = 16;

impl Crm {
    /// Scores every customer as of an instant, with what is known of them now, and keeps the scores.
    /// Workflows that listen to `scored` are told of each new one, and segments that ask about it move in the same
    /// commit, with [`Cause::Scored`](crm_core::change::Cause::Scored). The same run again, over the same base, changes
    /// nothing. Whoever [may not be scored](crm_core::customer::Customer::unscored), or not for the plugin's purpose, is
    /// left out and counted.
    ///
    /// It begins anew whenever it is called; a run that goes on after a crash, or on several threads, is
    /// [`score_run`](Self::score_run).
    ///
    /// Costs a read of the numbers that stores keep beside the states. States are read and written only if a rule asks
    /// about one of the scores, or a workflow listens.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed; the batches before are kept. A scorer that fails is no error: the
    /// report tells.
    #[tracing::instrument(level = "debug", skip_all, fields(tenant = %self.tenant, plugin = %scorer.stamp().name, as_of = %as_of))]
    pub async fn score(&self, scorer: &mut dyn Scorer, as_of: Timestamp) -> Result<ScoreReport, Error> {
        let mut report = ScoreReport::of(scorer.outputs());
        let mut after = None;
        while let Some(page) = self.scan_to_score(scorer, as_of, after, SCORE_BATCH).await? {
            let first = after;
            after = page.rows.last().map(|row| row.customer);
            report.add(&self.score_page(scorer, as_of, first, page).await?);
        }
        Ok(report)
    }
}

/// Scores as a state keeps them. What rules cannot name is left out.
pub(super) fn newest<'r>(rows: impl IntoIterator<Item = &'r ScoreRow>) -> impl Iterator<Item = (ScoreName, Score)> {
    rows.into_iter().filter_map(|row| Some((score_name(&row.plugin, &row.output)?, score_of(row)?)))
}

fn score_of(row: &ScoreRow) -> Option<Score> {
    // Of which it is not known what it was made for, it is not known either who may be judged by it.
    let ScoreTerms { purposes, withheld: _ } = ScoreTerms::decode(&row.terms).ok()?;
    Some(Score { at: row.at, value: Millionths::of_score(row.value)?, purposes })
}

fn score_name(plugin: &str, output: &str) -> Option<ScoreName> {
    Some(ScoreName { plugin: PluginName::new(plugin).ok()?, output: ScoreOutput::new(output).ok()? })
}

/// What a scorer is granted that is asked about an instant, at another one.
pub(super) fn held<'a>(
    scorer: &'a dyn Scorer,
    definitions: &'a Definitions,
    then: Timestamp,
    now: Timestamp,
) -> Held<'a> {
    let defined = |at| definitions.grants(&scorer.stamp().name, at);
    Held::of_then(scorer.grants(), defined(then), defined(now))
}

/// Under what terms a scorer is asked.
pub(super) fn terms(scorer: &dyn Scorer, held: Held<'_>) -> ScoreTerms {
    let withheld = scorer.asks().into_iter().filter(|feature| !held.sees(feature)).collect();
    ScoreTerms { purposes: held.purposes().cloned().collect(), withheld }
}

/// Whether a rule asks about any of a scorer's scores.
fn is_asked(scorer: &dyn Scorer, definitions: &Definitions) -> bool {
    let asked = definitions.asked_scores();
    let plugin = &scorer.stamp().name;
    asked.iter().any(|name| name.plugin == *plugin && scorer.outputs().iter().any(|own| own == name.output.as_str()))
}
