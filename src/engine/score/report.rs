//! What scoring came to.

use crm_core::SmolStr;
use serde::{Deserialize, Serialize};

use crate::workflow::PluginFault;

/// How many faults a report tells one by one; all of them are counted.
pub(super) const FAULTS_TOLD: usize = 100;

/// What became of a scoring run, or of a part of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScoreReport {
    /// How many customers were scored anew.
    pub scored: u64,
    /// How many had their scores of this plugin, input and instant already, or as many newer ones as are kept.
    pub known: u64,
    /// How many got no score, because the scorer had nothing to say of them.
    pub without: u64,
    /// How many were left out, because processing is restricted or they object to profiling (see
    /// [`Customer::unscored`](crm_core::customer::Customer::unscored)), or because of what the plugin is for.
    pub skipped: u64,
    /// How many keep the scores they had, because the scorer failed for their batch.
    pub failed: u64,
    /// Why it failed, once for each batch, of a hundred batches at most.
    pub faults: Vec<PluginFault>,
    /// The scores of all customers, by output.
    pub outputs: Vec<ScoreSummary>,
}

/// The scores of one output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

impl ScoreReport {
    pub(super) fn of(outputs: &[SmolStr]) -> Self {
        let outputs = outputs.iter().cloned().map(ScoreSummary::new).collect();
        ScoreReport { outputs, ..ScoreReport::default() }
    }

    /// How many customers were looked at.
    #[must_use]
    pub const fn looked_at(&self) -> u64 {
        self.scored + self.known + self.without + self.skipped + self.failed
    }

    /// Adds what another part came to.
    pub(super) fn add(&mut self, other: &ScoreReport) {
        self.scored += other.scored;
        self.known += other.known;
        self.without += other.without;
        self.skipped += other.skipped;
        self.failed += other.failed;
        let room = FAULTS_TOLD.saturating_sub(self.faults.len());
        self.faults.extend(other.faults.iter().take(room).cloned());
        for (own, other) in self.outputs.iter_mut().zip(&other.outputs) {
            own.join(other);
        }
    }
}

impl ScoreSummary {
    fn new(output: SmolStr) -> Self {
        ScoreSummary { output, count: 0, min: None, mean: None, max: None }
    }

    pub(super) fn add(&mut self, value: f64) {
        self.join_one(1, value, value, value);
    }

    fn join(&mut self, other: &ScoreSummary) {
        if let (Some(min), Some(mean), Some(max)) = (other.min, other.mean, other.max) {
            self.join_one(other.count, min, mean, max);
        }
    }

    fn join_one(&mut self, count: u64, min: f64, mean: f64, max: f64) {
        self.count += count;
        self.min = Some(self.min.map_or(min, |own| own.min(min)));
        self.max = Some(self.max.map_or(max, |own| own.max(max)));
        let own = self.mean.unwrap_or(0.0);
        self.mean = Some(own + (mean - own) * (count as f64 / self.count as f64));
    }
}
