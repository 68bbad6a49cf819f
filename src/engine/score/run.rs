//! A scoring run that goes on where it was: how far it has come is kept in the store after each page. Several tasks may
//! step it at once, each with a scorer of its own; each takes the next page, and nothing is spawned for them.
//!
//! Pages end in any order. What is kept is after whom nobody is missing; what is done beyond that is done again after a
//! crash, and comes to the same.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crm_core::event::JsonProblem;
use crm_core::score::ScoreRunName;
use crm_core::workflow::PluginStamp;
use crm_core::{CustomerId, SmolStr, Timestamp};
use crm_storage::{Commit, CommitError, CustomerWrite, Expected, Scanned, StateRow};
use futures_util::lock::Mutex as Turn;
use serde::{Deserialize, Serialize};

use super::super::{ATTEMPTS_MAX, Crm, Settled};
use super::report::ScoreSummary;
use super::{SCORE_BATCH, ScoreReport};
use crate::error::Error;
use crate::scorer::Scorer;

/// The shape of the row that says how far runs have come. No state of a customer has it.
const PROGRESS_SHAPE: u16 = 60_002;

/// How many runs are remembered: of more, those that were begun first are forgotten.
pub const RUNS_MAX: usize = 64;

/// Why a run did not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreRunError {
    /// A run is of one build of one plugin.
    #[error("run {run} is of {} {}, and the scorer is {} {}", of.name, of.version, is.name, is.version)]
    OtherScorer {
        /// Which run.
        run: ScoreRunName,
        /// Of which plugin it is.
        of: Box<PluginStamp>,
        /// Which plugin came.
        is: Box<PluginStamp>,
    },
    /// A run of the same name was begun since, of another plugin or instant.
    #[error("another run {run} was begun since")]
    Replaced {
        /// Which run.
        run: ScoreRunName,
    },
}

/// How far a run has come.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreProgress {
    /// After whom nobody was left out; none before the first page.
    pub after: Option<CustomerId>,
    /// What the run came to, up to there.
    pub report: ScoreReport,
    /// Whether everybody was asked.
    pub complete: bool,
}

/// A run over the base, which goes on where it was. See [`Crm::score_run`].
#[derive(Debug)]
pub struct ScoreRun {
    crm: Crm,
    name: ScoreRunName,
    stamp: PluginStamp,
    as_of: Timestamp,
    /// Whoever looks for the next page.
    turn: Turn<()>,
    /// Whoever writes how far it is.
    keeping: Turn<()>,
    pages: Mutex<Pages>,
}

/// Which pages were taken.
#[derive(Debug)]
struct Pages {
    /// After whom the next page begins.
    next: Option<CustomerId>,
    ended: bool,
    /// Those that were taken and are not kept as done, in their order.
    taken: VecDeque<Page>,
    /// The number of the first of these.
    first: u64,
    /// After whom nobody was left out, and what that came to.
    done: Kept,
}

#[derive(Debug)]
struct Page {
    after: Option<CustomerId>,
    last: CustomerId,
    state: PageState,
}

#[derive(Debug)]
enum PageState {
    AtWork,
    /// Whoever was at work on it failed, or was dropped.
    Left,
    Done(ScoreReport),
}

/// All runs, as they are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Runs {
    runs: BTreeMap<ScoreRunName, Kept>,
}

/// One run, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    stamp: PluginStamp,
    as_of: Timestamp,
    begun_at: Timestamp,
    after: Option<CustomerId>,
    complete: bool,
    scored: u64,
    known: u64,
    without: u64,
    skipped: u64,
    failed: u64,
    faults: Vec<SmolStr>,
    outputs: Vec<ScoreSummary>,
}

/// A page that somebody works on; dropped before its end, it is there for the next one.
struct Claim<'r> {
    run: &'r ScoreRun,
    number: u64,
    after: Option<CustomerId>,
    page: Option<Scanned>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.run.set(self.number, PageState::Left);
    }
}

impl Crm {
    /// A run over the base of one build of a plugin, as of an instant: begun, or gone on with where it was when the
    /// process ended. A run of that name of another plugin, build or instant is replaced.
    ///
    /// [`ScoreRun::step`] scores the next page. Tasks or threads, as many as there are to be, call it at the same time,
    /// each with a scorer of its own; the run itself spawns none. What becomes of each customer is as in
    /// [`score`](Self::score).
    ///
    /// ```
    /// use crm::{Attribute, Crm, Digest, Identifier, Incoming, PluginFault, PluginName, PluginStamp, ScoreBatch};
    /// use crm::{ScoreRunName, Scorer, SmolStr, Source, Visited};
    ///
    /// /// One point for each visit.
    /// #[derive(Debug)]
    /// struct Visits(PluginStamp, [SmolStr; 1]);
    ///
    /// impl Scorer for Visits {
    ///     fn stamp(&self) -> &PluginStamp {
    ///         &self.0
    ///     }
    ///     fn attributes(&self) -> &[Attribute] {
    ///         &[Attribute::Visits]
    ///     }
    ///     fn outputs(&self) -> &[SmolStr] {
    ///         &self.1
    ///     }
    ///     fn score(&mut self, batch: &ScoreBatch<'_>) -> Result<Vec<Vec<Option<f64>>>, PluginFault> {
    ///         Ok(batch.columns.iter().map(|column| column.iter().map(|n| n.map(|n| n as f64)).collect()).collect())
    ///     }
    /// }
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let ana = Identifier::email("ana@example.com")?;
    /// let visit = Visited { channel: crm::Channel::Web, place: None };
    /// crm.record(Incoming::new(&ana, crm.now(), Source::new("shop")?, visit)).await?;
    ///
    /// let stamp = PluginStamp { name: PluginName::new("visits")?, version: "1".into(), digest: Digest::of(b"visits 1") };
    /// let mut scorer = Visits(stamp, ["count".into()]);
    /// let run = crm.score_run(&ScoreRunName::new("nightly")?, scorer.stamp(), crm.now()).await?;
    /// while let Some(progress) = run.step(&mut scorer).await? {
    ///     println!("{} customers so far", progress.report.looked_at());
    /// }
    /// assert!(run.progress().complete);
    /// assert_eq!(run.progress().report.scored, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed, `Busy` if other writers were first each time.
    pub async fn score_run(
        &self,
        name: &ScoreRunName,
        scorer: &PluginStamp,
        as_of: Timestamp,
    ) -> Result<ScoreRun, Error> {
        let begun = Kept {
            stamp: scorer.clone(),
            as_of,
            begun_at: self.now(),
            after: None,
            complete: false,
            scored: 0,
            known: 0,
            without: 0,
            skipped: 0,
            failed: 0,
            faults: Vec::new(),
            outputs: Vec::new(),
        };
        let done = self
            .change_runs(|runs| {
                if let Some(kept) = runs.get(name).filter(|kept| kept.stamp == *scorer && kept.as_of == as_of) {
                    return Ok((false, kept.clone()));
                }
                runs.insert(name.clone(), begun.clone());
                while runs.len() > RUNS_MAX {
                    let first = runs.iter().filter(|(other, _)| *other != name).min_by_key(|(_, run)| run.begun_at);
                    let Some(first) = first.map(|(name, _)| name.clone()) else { break };
                    runs.remove(&first);
                }
                Ok((true, begun.clone()))
            })
            .await?;
        let pages = Pages { next: done.after, ended: done.complete, taken: VecDeque::new(), first: 0, done };
        Ok(ScoreRun {
            crm: self.clone(),
            name: name.clone(),
            stamp: scorer.clone(),
            as_of,
            turn: Turn::new(()),
            keeping: Turn::new(()),
            pages: Mutex::new(pages),
        })
    }

    /// Changes what is kept of runs; the change answers whether there was any, and is asked again when somebody else was
    /// first.
    async fn change_runs<T: Send>(
        &self,
        change: impl Fn(&mut BTreeMap<ScoreRunName, Kept>) -> Result<(bool, T), Error> + Send + Sync,
    ) -> Result<T, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let loaded = self.store().load(&self.tenant, &[self.runs_row]).await?;
            let row = loaded.rows.into_iter().next().flatten();
            let expected = row.as_ref().map_or(Expected::New, |row| Expected::At(row.version));
            let mut kept: Runs = match row.filter(|row| row.state.shape == PROGRESS_SHAPE) {
                Some(row) => serde_json::from_slice(&row.state.bytes)
                    .map_err(|e| Error::corrupt(format!("how far scoring has come: {}", JsonProblem::from(&e))))?,
                None => Runs::default(),
            };
            let (changed, answer) = change(&mut kept.runs)?;
            if !changed {
                return Ok(answer);
            }
            let bytes = serde_json::to_vec(&kept).map_err(|e| Error::corrupt(JsonProblem::from(&e)))?;
            let write = CustomerWrite::new(self.runs_row, expected, StateRow { shape: PROGRESS_SHAPE, bytes });
            match self.settle(Commit { writes: vec![write], ..Commit::default() }).await? {
                Settled::Done | Settled::Replayed(_) => return Ok(answer),
                Settled::Refused(CommitError::Conflict { .. }) => self.lost()?,
                Settled::Refused(error) => return Err(Error::corrupt(error)),
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }
}

impl ScoreRun {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &ScoreRunName {
        &self.name
    }

    /// As of when it scores.
    #[must_use]
    pub const fn as_of(&self) -> Timestamp {
        self.as_of
    }

    /// How far it has come.
    #[must_use]
    pub fn progress(&self) -> ScoreProgress {
        self.pages().done.progress()
    }

    /// Scores the next page of 1,024 customers that nobody has taken, and answers how far the run has come; none when
    /// every page was taken. Then those that others still work on are not done yet: [`progress`](Self::progress) tells.
    ///
    /// # Errors
    ///
    /// `ScoreRun` if the scorer is another than that of the run, or if another run of the name was begun; `Storage` if
    /// the store failed, and `Busy` if other writers were first each time: then the page is there for the next one.
    pub async fn step(&self, scorer: &mut dyn Scorer) -> Result<Option<ScoreProgress>, Error> {
        if *scorer.stamp() != self.stamp {
            let (of, is) = (Box::new(self.stamp.clone()), Box::new(scorer.stamp().clone()));
            return Err(ScoreRunError::OtherScorer { run: self.name.clone(), of, is }.into());
        }
        let Some(mut claim) = self.claim(scorer).await? else {
            // A run over nobody ends without a page.
            self.keep().await?;
            return Ok(None);
        };
        let page = claim.page.take().unwrap_or_default();
        let report = self.crm.score_page(scorer, self.as_of, claim.after, page).await?;
        self.set(claim.number, PageState::Done(report));
        self.keep().await?;
        Ok(Some(self.progress()))
    }

    /// The next page: one that was left, or one that nobody has taken yet.
    async fn claim(&self, scorer: &dyn Scorer) -> Result<Option<Claim<'_>>, Error> {
        let _turn = self.turn.lock().await;
        let left = self.pages().take_left();
        if let Some((number, after, last)) = left {
            let mut claim = Claim { run: self, number, after, page: None };
            let mut page = self.crm.scan_to_score(scorer, self.as_of, after, SCORE_BATCH).await?.unwrap_or_default();
            page.rows.retain(|row| row.customer <= last);
            claim.page = Some(page);
            return Ok(Some(claim));
        }
        let (after, ended) = {
            let pages = self.pages();
            (pages.next, pages.ended)
        };
        if ended {
            return Ok(None);
        }
        let page = self.crm.scan_to_score(scorer, self.as_of, after, SCORE_BATCH).await?;
        let mut pages = self.pages();
        let Some(page) = page else {
            pages.ended = true;
            return Ok(None);
        };
        let last = page.rows.last().map(|row| row.customer);
        let Some(last) = last else { return Ok(None) };
        pages.next = Some(last);
        pages.taken.push_back(Page { after, last, state: PageState::AtWork });
        let number = pages.first + pages.taken.len() as u64 - 1;
        drop(pages);
        Ok(Some(Claim { run: self, number, after, page: Some(page) }))
    }

    /// Keeps how far it has come, if it has.
    async fn keep(&self) -> Result<(), Error> {
        let _turn = self.keeping.lock().await;
        let (done, count) = {
            let pages = self.pages();
            (pages.ahead(), pages.taken.iter().take_while(|page| page.is_done()).count())
        };
        let Some(done) = done else { return Ok(()) };
        let is_this = |kept: &Kept| kept.stamp == self.stamp && kept.as_of == self.as_of;
        self.crm
            .change_runs(|runs| match runs.get_mut(&self.name) {
                Some(kept) if !is_this(kept) => Err(ScoreRunError::Replaced { run: self.name.clone() }.into()),
                // Another process goes through the same run, and is further.
                Some(kept) if kept.complete || kept.after > done.after => Ok((false, ())),
                Some(kept) => {
                    *kept = done.clone();
                    Ok((true, ()))
                }
                None => {
                    runs.insert(self.name.clone(), done.clone());
                    Ok((true, ()))
                }
            })
            .await?;
        let mut pages = self.pages();
        pages.taken.drain(..count);
        pages.first += count as u64;
        pages.done = done;
        Ok(())
    }

    fn set(&self, number: u64, state: PageState) {
        let mut pages = self.pages();
        let place = number.checked_sub(pages.first).and_then(|place| usize::try_from(place).ok());
        if let Some(page) = place.and_then(|place| pages.taken.get_mut(place))
            && !page.is_done()
        {
            page.state = state;
        }
    }

    /// Nothing panics while it holds the lock.
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn take_left(&mut self) -> Option<(u64, Option<CustomerId>, CustomerId)> {
        let place = self.taken.iter().position(|page| matches!(page.state, PageState::Left))?;
        let page = self.taken.get_mut(place)?;
        page.state = PageState::AtWork;
        Some((self.first + place as u64, page.after, page.last))
    }

    /// How far it has come by now, if that is further than what is kept.
    fn ahead(&self) -> Option<Kept> {
        let mut done = self.done.clone();
        let mut rest = self.taken.len();
        for page in &self.taken {
            let PageState::Done(report) = &page.state else { break };
            done.after = Some(page.last);
            done.add(report);
            rest -= 1;
        }
        done.complete = self.ended && rest == 0;
        (done != self.done).then_some(done)
    }
}

impl Page {
    const fn is_done(&self) -> bool {
        matches!(self.state, PageState::Done(_))
    }
}

impl Kept {
    fn report(&self) -> ScoreReport {
        ScoreReport {
            scored: self.scored,
            known: self.known,
            without: self.without,
            skipped: self.skipped,
            failed: self.failed,
            faults: self.faults.iter().cloned().map(crate::workflow::PluginFault::new).collect(),
            outputs: self.outputs.clone(),
        }
    }

    fn add(&mut self, page: &ScoreReport) {
        let mut report = self.report();
        if report.outputs.is_empty() {
            let names: Vec<SmolStr> = page.outputs.iter().map(|summary| summary.output.clone()).collect();
            report.outputs = ScoreReport::of(&names).outputs;
        }
        report.add(page);
        let ScoreReport { scored, known, without, skipped, failed, faults, outputs } = report;
        (self.scored, self.known, self.without) = (scored, known, without);
        (self.skipped, self.failed, self.outputs) = (skipped, failed, outputs);
        self.faults = faults.into_iter().map(|fault| fault.kind).collect();
    }

    fn progress(&self) -> ScoreProgress {
        ScoreProgress { after: self.after, report: self.report(), complete: self.complete }
    }
}
