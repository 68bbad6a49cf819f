//! Scores that are due by a policy: made anew when time is let pass, by the scorers that the CRM was built with. A plugin
//! that fails, or that is not there, leaves the old score, and is tried again later; nothing else waits for it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crm_core::workflow::{Grants, PluginName, PluginStamp};
use crm_core::{CustomerId, Definitions, SmolStr, Timestamp};
use crm_storage::{Parts, ScannedRow, ScoresAsked, Traits};
use futures_util::lock::Mutex;

use super::super::{Crm, PAGE};
use super::keep::Giving;
use super::page::{Asked, may_score, nothing};
use super::{SCORE_BATCH, ScoreReport, held, terms};
use crate::error::Error;
use crate::scorer::Scorer;
use crate::workflow::Breaker;

/// A scorer that is asked when scores are due.
pub(crate) struct InstalledScorer {
    pub(crate) stamp: PluginStamp,
    /// The features it asks for, granted or not.
    pub(crate) asks: Vec<SmolStr>,
    pub(crate) outputs: Vec<SmolStr>,
    /// What it was granted when it was loaded: whatever it asks for, if nothing was said.
    pub(crate) grants: Grants,
    scorer: Mutex<Box<dyn Scorer>>,
}

impl std::fmt::Debug for InstalledScorer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InstalledScorer").field("stamp", &self.stamp).finish_non_exhaustive()
    }
}

impl InstalledScorer {
    pub(crate) fn new(scorer: impl Scorer + 'static) -> Arc<Self> {
        let (stamp, asks, outputs) = (scorer.stamp().clone(), scorer.asks(), scorer.outputs().to_vec());
        let grants = scorer.grants().cloned().unwrap_or_else(Grants::all);
        Arc::new(InstalledScorer { stamp, asks, outputs, grants, scorer: Mutex::new(Box::new(scorer)) })
    }

    /// Whether it is run, once the batch is done that it is at work on.
    pub(crate) async fn breaker(&self) -> Breaker {
        self.scorer.lock().await.breaker()
    }
}

/// Whose scores are due: by plugin, and by as of when.
pub(in super::super) type ScoresDue = BTreeMap<(PluginName, Timestamp), Vec<CustomerId>>;

impl Crm {
    /// Makes scores anew that are due; `now` is until when time is let pass. Each customer is either scored or put off,
    /// unless somebody else was first.
    pub(in super::super) async fn refresh_scores(&self, due: ScoresDue, now: Timestamp) -> Result<u64, Error> {
        let mut done = 0;
        for ((plugin, as_of), customers) in due {
            for batch in customers.chunks(SCORE_BATCH.min(PAGE)) {
                let left = match self.inner.scorers.iter().find(|installed| installed.stamp.name == plugin) {
                    Some(installed) => self.refresh_batch(installed, as_of, batch).await?,
                    None => batch.to_vec(),
                };
                done += (batch.len() - left.len()) as u64;
                for customer in left {
                    self.put_off(customer, &plugin, now).await?;
                }
            }
        }
        Ok(done)
    }

    /// Scores customers; answers whom the scorer failed for.
    async fn refresh_batch(
        &self,
        installed: &InstalledScorer,
        as_of: Timestamp,
        ids: &[CustomerId],
    ) -> Result<Vec<CustomerId>, Error> {
        let mut scorer = installed.scorer.lock().await;
        let loaded = self.store().load(&self.tenant, ids).await?;
        let definitions = self.definitions_at(loaded.definitions).await?;
        let details = self.store().details(&self.tenant, ids, Parts::SCORES).await?;
        let outputs = scorer.outputs().to_vec();
        let wanted = ScoresAsked { plugin: installed.stamp.name.clone().into(), outputs, at: as_of };
        let (plugin, definitions) = (&installed.stamp.name, &*definitions);
        // What is due later than this waits for its turn.
        let terms = terms(&**scorer, held(&**scorer, definitions, as_of, as_of));
        let giving = Giving { plugin, as_of, until: as_of, definitions, terms: &terms, follows: true };
        let (mut asked, mut barred) = (Vec::with_capacity(ids.len()), Vec::new());
        for (row, details) in loaded.rows.into_iter().zip(details) {
            let (Some(row), Some(details)) = (row, details) else { continue };
            let base = self.whole(self.decode(&row, definitions).await?, definitions).await?;
            // Since it was due they may have been merged, scored by a run, or have objected.
            let still = base.customer.id() == row.customer && is_due(&base.customer, installed, as_of, definitions);
            if still && !may_score(&**scorer, giving, &base.customer) {
                // Nothing is due again before the policy says so.
                barred.extend(nothing(row.customer, base.expected, Some(base)));
            } else if still {
                let scores = wanted.of(&details.scores);
                let (version, shape, traits) = (row.version, row.state.shape, Traits::NONE);
                let row = ScannedRow { customer: row.customer, version, shape, traits, scores };
                asked.push(Asked { row, base: Some(base) });
            }
        }
        let mut report = ScoreReport::of(scorer.outputs());
        let customers: Vec<CustomerId> = asked.iter().map(|one| one.row.customer).collect();
        self.keep_scores(giving, barred).await?;
        self.score_asked(&mut **scorer, giving, asked, &mut report).await?;
        Ok(if report.failed > 0 { customers } else { Vec::new() })
    }

    async fn put_off(&self, customer: CustomerId, plugin: &PluginName, now: Timestamp) -> Result<(), Error> {
        self.plan_and_commit(customer, now, |planner| {
            planner.put_off_scores(plugin, now);
            Ok(())
        })
        .await
        .map(|_| ())
    }
}

fn is_due(
    customer: &crm_core::customer::Customer,
    installed: &InstalledScorer,
    as_of: Timestamp,
    definitions: &Definitions,
) -> bool {
    let due: HashSet<PluginName> = customer.scores_due(as_of, definitions).into_iter().map(|(name, _)| name).collect();
    due.contains(&installed.stamp.name)
}
