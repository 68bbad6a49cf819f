//! Two plugins over the same past: where they say otherwise.

use std::collections::BTreeMap;

use crm_core::analysis::{AnalysisError, Differences, Pairs};
use crm_core::{CustomerId, SmolStr, Timestamp};

use super::super::Crm;
use super::answers::{Answer, Sample, report};
use super::cost::ReplayProgress;
use super::replay::{ScoreReplay, WorkflowReplay};
use super::scorers::{Asked, ScorerBacktest};
use super::workflows::{ReplayedAction, WorkflowBacktest};
use crate::Workflow;
use crate::error::Error;
use crate::scorer::{ScoreColumns, Scorer};

/// How many customers are told who moved most.
const MOST_MOVED: usize = 20;

/// Two scorers over the same past.
#[derive(Debug, Clone, PartialEq)]
pub struct ScorerShadow {
    /// What the old one would have said.
    pub old: ScorerBacktest,
    /// What the new one would have said.
    pub new: ScorerBacktest,
    /// The outputs that both have, in the order of the old one.
    pub outputs: Vec<OutputShadow>,
}

/// How two scorers differ in one output.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputShadow {
    /// The output.
    pub output: SmolStr,
    /// How the scores differ of those who got one from both.
    pub differences: Result<Differences, AnalysisError>,
    /// How often only the old one gave a score.
    pub only_old: u64,
    /// How often only the new one did.
    pub only_new: u64,
    /// Whose scores moved most, the farthest first: at most twenty.
    pub most_moved: Vec<MovedScore>,
}

/// Somebody's old and new score at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MovedScore {
    /// Whose.
    pub customer: CustomerId,
    /// When.
    pub at: Timestamp,
    /// By the old scorer.
    pub old: f64,
    /// By the new one.
    pub new: f64,
}

/// Two workflows over the same past.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowShadow {
    /// What the old one would have done.
    pub old: WorkflowBacktest,
    /// What the new one would have done.
    pub new: WorkflowBacktest,
    /// For how many events and changes they asked for other things, or only one of them failed.
    pub differ: u64,
    /// How many actions both asked for, each for the same event with the same arguments, by kind.
    pub both: BTreeMap<SmolStr, u64>,
    /// How many only the old one asked for.
    pub only_old: BTreeMap<SmolStr, u64>,
    /// How many only the new one asked for.
    pub only_new: BTreeMap<SmolStr, u64>,
    /// Some of the actions that only the old one asked for.
    pub samples_old: Vec<ReplayedAction>,
    /// Some of those that only the new one asked for.
    pub samples_new: Vec<ReplayedAction>,
}

impl Crm {
    /// Asks two scorers about everybody at instants of the past, with what was known of them then, and tells how they
    /// differ. Nothing is written. See [`backtest_scorer`](Self::backtest_scorer), which it is twice at the price of
    /// reading once; of each pair of scores sixteen bytes more stay in memory.
    ///
    /// # Errors
    ///
    /// As for [`backtest_scorer`](Self::backtest_scorer).
    pub async fn shadow_scorers<P>(
        &self,
        old: &mut dyn Scorer,
        new: &mut dyn Scorer,
        replay: ScoreReplay,
        progress: P,
    ) -> Result<ScorerShadow, Error>
    where
        P: FnMut(&ReplayProgress) + Send,
    {
        let place = |output: &SmolStr| new.outputs().iter().position(|other| other == output);
        let both = old.outputs().iter().enumerate().filter_map(|(n, output)| Some((n, place(output)?)));
        let mut compared: Vec<Compared> =
            both.map(|(n, other)| Compared::new(old.outputs()[n].clone(), n, other)).collect();
        let mut asked = [Asked::new(old), Asked::new(new)];
        let looked = self
            .replay_scores(&mut asked, replay, progress, |at, customers, answers| {
                compared.iter_mut().for_each(|compared| compared.add(at, customers, answers));
            })
            .await?;
        let [old, new] = asked.map(|asked| asked.report(replay, looked));
        Ok(ScorerShadow { old, new, outputs: compared.into_iter().map(Compared::report).collect() })
    }

    /// Calls two workflows for everything that they listen to in the past, each with a memory of its own, and tells
    /// what only one of them asked for. Nothing is written. See [`backtest_workflow`](Self::backtest_workflow), which it
    /// is twice at the price of reading once.
    ///
    /// # Errors
    ///
    /// As for [`backtest_workflow`](Self::backtest_workflow).
    pub async fn shadow_workflows<P>(
        &self,
        old: &dyn Workflow,
        new: &dyn Workflow,
        replay: WorkflowReplay,
        progress: P,
    ) -> Result<WorkflowShadow, Error>
    where
        P: FnMut(&ReplayProgress) + Send,
    {
        let (mut differ, [mut both, mut only_old, mut only_new]) = (0, [(); 3].map(|()| BTreeMap::new()));
        let [mut samples_old, mut samples_new] = [(); 2].map(|()| Sample::new(replay.samples));
        let (answers, looked) = self
            .replay_workflows(&[old, new], replay, progress, |answers| {
                let [old, new] = answers else { return };
                let asked = |answer: &Answer| answer.iter().flatten().flatten().cloned().collect::<Vec<_>>();
                let failed = |answer: &Answer| matches!(answer, Some(Err(())));
                let (of_old, mut of_new) = (asked(old), asked(new));
                let mut is_same = failed(old) == failed(new);
                for action in of_old {
                    let same = |other: &ReplayedAction| other.command == action.command;
                    if let Some(place) = of_new.iter().position(same) {
                        of_new.remove(place);
                        *both.entry(SmolStr::new_static(action.command.name())).or_insert(0) += 1;
                    } else {
                        is_same = false;
                        *only_old.entry(SmolStr::new_static(action.command.name())).or_insert(0) += 1;
                        samples_old.offer(action);
                    }
                }
                for action in of_new {
                    is_same = false;
                    *only_new.entry(SmolStr::new_static(action.command.name())).or_insert(0) += 1;
                    samples_new.offer(action);
                }
                differ += u64::from(!is_same);
            })
            .await?;
        let mut reports = answers.into_iter().map(|answers| report(answers, replay, looked));
        let (Some(old), Some(new)) = (reports.next(), reports.next()) else {
            return Err(Error::corrupt("a replay of two workflows that answered for fewer"));
        };
        let (samples_old, samples_new) = (samples_old.taken(), samples_new.taken());
        Ok(WorkflowShadow { old, new, differ, both, only_old, only_new, samples_old, samples_new })
    }
}

/// One output of two scorers.
struct Compared {
    output: SmolStr,
    /// Which of their columns it is.
    places: [usize; 2],
    old: Vec<f64>,
    new: Vec<f64>,
    only_old: u64,
    only_new: u64,
    most_moved: Vec<MovedScore>,
}

impl Compared {
    fn new(output: SmolStr, old: usize, new: usize) -> Self {
        Compared {
            output,
            places: [old, new],
            old: Vec::new(),
            new: Vec::new(),
            only_old: 0,
            only_new: 0,
            most_moved: Vec::new(),
        }
    }

    fn add(&mut self, at: Timestamp, customers: &[CustomerId], answers: &[Option<ScoreColumns>]) {
        let column = |n: usize| answers.get(n)?.as_ref()?.get(self.places[n]);
        let (old, new) = (column(0), column(1));
        for (row, customer) in customers.iter().enumerate() {
            let score = |column: Option<&Vec<Option<f64>>>| column?.get(row).copied().flatten();
            match (score(old), score(new)) {
                (Some(old), Some(new)) => {
                    self.old.push(old);
                    self.new.push(new);
                    self.most_moved.push(MovedScore { customer: *customer, at, old, new });
                }
                (Some(_), None) => self.only_old += 1,
                (None, Some(_)) => self.only_new += 1,
                (None, None) => {}
            }
        }
        self.keep_most_moved();
    }

    fn keep_most_moved(&mut self) {
        let distance = |moved: &MovedScore| (moved.new - moved.old).abs();
        self.most_moved.retain(|moved| distance(moved) > 0.0);
        // Of equal ones the earlier and the lower id, whatever the order in which they came.
        self.most_moved.sort_by(|one, other| {
            distance(other).total_cmp(&distance(one)).then((one.at, one.customer).cmp(&(other.at, other.customer)))
        });
        self.most_moved.truncate(MOST_MOVED);
    }

    fn report(self) -> OutputShadow {
        let Compared { output, old, new, only_old, only_new, most_moved, .. } = self;
        let differences = Pairs::new(old, new).and_then(|pairs| pairs.differences());
        OutputShadow { output, differences, only_old, only_new, most_moved }
    }
}
