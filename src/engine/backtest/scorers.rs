//! What a scorer would have said of everybody at instants of the past, and what then happened.

use std::collections::BTreeMap;
use std::time::Instant;

use crm_core::analysis::{AnalysisError, Auc, Outcomes};
use crm_core::attribute::Attribute;
use crm_core::customer::Customer;
use crm_core::workflow::{Held, PluginStamp};
use crm_core::{CustomerId, Definitions, Digest, SmolStr, Timestamp};
use crm_storage::Entries;

use super::super::Crm;
use super::super::score::held;
use super::cost::{ReplayCost, ReplayProgress};
use super::life::Life;
use super::replay::{Outlook, ScoreReplay, check_past};
use crate::error::Error;
use crate::scorer::{ScoreBatch, ScoreColumns, Scorer, score_checked, score_seed};

/// What a scorer would have said, held against what then happened.
#[derive(Debug, Clone, PartialEq)]
pub struct ScorerBacktest {
    /// The scorer.
    pub plugin: PluginStamp,
    /// What was replayed.
    pub replay: ScoreReplay,
    /// How many customers there are, those included who were not there yet, or were merged since.
    pub customers: u64,
    /// How many of them are in none of the numbers below, since their data is restricted or they object to profiling.
    /// Where that was so at an instant and is not any more, they are left out at that instant.
    pub left_out: u64,
    /// How often a customer got a score, of any output, at an instant.
    pub scored: u64,
    /// How often the scorer had nothing to say of one.
    pub without: u64,
    /// How often one got no score because the scorer failed for their batch.
    pub failed: u64,
    /// How often it failed, by what went wrong.
    pub faults: BTreeMap<SmolStr, u64>,
    /// Its outputs, in its order.
    pub outputs: Vec<OutputBacktest>,
    /// Of all scores with whose and when: the same for the same replay of the same histories.
    pub digest: Digest,
    /// What it cost.
    pub cost: ReplayCost,
}

/// The scores of one output, held against what then happened.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputBacktest {
    /// The output.
    pub output: SmolStr,
    /// All scores that were judged, of all instants together. The same customer may be among them at several instants:
    /// what [`auc`](Outcomes::auc) says of chance is then too sure of itself, and each instant for itself is
    /// not.
    pub outcomes: Outcomes,
    /// Each instant for itself.
    pub instants: Vec<InstantScores>,
}

/// The scores of one output at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct InstantScores {
    /// When.
    pub at: Timestamp,
    /// How many customers got a score.
    pub scored: usize,
    /// How many of the scores are judged: all or, where the time in which something could happen is not over, none.
    pub judged: usize,
    /// To how many of these it happened.
    pub happened: usize,
    /// The mean of all scores; none without any.
    pub mean: Option<f64>,
    /// The lowest score.
    pub min: Option<f64>,
    /// The highest.
    pub max: Option<f64>,
    /// How well the scores order those customers.
    pub auc: Result<Auc, AnalysisError>,
}

impl Crm {
    /// Asks a scorer about everybody at instants of the past, each with what was known of them then and the definitions
    /// of then, and holds what it says against what they did next, as that is known now. The scores are the ones that
    /// [`score`](Crm::score) would have given at those instants. Nothing is written.
    ///
    /// Of customers who were merged each is scored for themselves until they were, and did what the one did as whom they
    /// go on. Whoever was erased is scored by the orders that are left of them.
    ///
    /// Reads all histories, of 1,024 customers at a time; of each score eight bytes stay in memory.
    ///
    /// ```
    /// use crm::{Attribute, Currency, Digest, Identifier, Incoming, Money, OrderPlaced, Outlook, PluginFault};
    /// use crm::{PluginStamp, ScoreBatch, ScoreReplay, Scorer, SmolStr, Source, Span};
    ///
    /// /// Whoever ordered lately orders again.
    /// #[derive(Debug)]
    /// struct Lately(PluginStamp, [SmolStr; 1]);
    ///
    /// impl Scorer for Lately {
    ///     fn stamp(&self) -> &PluginStamp {
    ///         &self.0
    ///     }
    ///
    ///     fn attributes(&self) -> &[Attribute] {
    ///         &[Attribute::RecencyDays]
    ///     }
    ///
    ///     fn outputs(&self) -> &[SmolStr] {
    ///         &self.1
    ///     }
    ///
    ///     fn score(&mut self, batch: &ScoreBatch<'_>) -> Result<Vec<Vec<Option<f64>>>, PluginFault> {
    ///         Ok(vec![batch.columns[0].iter().map(|days| days.map(|days| 1.0 / (1.0 + days as f64))).collect()])
    ///     }
    /// }
    ///
    /// # let clock = std::sync::Arc::new(crm::ManualClock::at(crm::Timestamp::parse("2026-01-01")?));
    /// # let crm = crm::blocking::Crm::from(crm::Crm::builder().clock(clock.clone()).build());
    /// // Ana orders every ten days, Bo ordered once.
    /// let begin = crm.now();
    /// for (who, days) in [("ana@example.com", [1, 11, 21, 31, 41].as_slice()), ("bo@example.com", &[1])] {
    ///     for day in days {
    ///         let at = begin.plus(Span::days(*day));
    ///         let order = OrderPlaced::new(Money::new(4_900, Currency::EUR));
    /// #       clock.set(at);
    ///         crm.record(Incoming::new(&Identifier::email(who)?, at, Source::new("shop")?, order))?;
    ///     }
    /// }
    /// # clock.set(begin.plus(Span::days(60)));
    /// let stamp = PluginStamp { name: "lately".parse()?, version: "1".into(), digest: Digest::of(b"lately 1") };
    /// let every_ten_days = ScoreReplay::new(begin.plus(Span::days(15)), begin.plus(Span::days(45)), Span::days(10))
    ///     .with_outlook(Outlook::Buys(Span::days(10)));
    /// let report = crm.backtest_scorer(&mut Lately(stamp, ["lately".into()]), every_ten_days, |_| {})?;
    /// let lately = &report.outputs[0];
    /// assert_eq!((report.scored, lately.outcomes.happened()), (8, 3), "two at four instants, and three more orders");
    /// assert_eq!(lately.instants[0].auc?.area, 1.0, "Ana ordered lately, and again");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Replay` for a replay that cannot be, `Storage` if the store failed. A scorer that fails is no error: the report
    /// tells.
    #[tracing::instrument(level = "debug", skip_all, fields(tenant = %self.tenant, plugin = %scorer.stamp().name))]
    pub async fn backtest_scorer<P>(
        &self,
        scorer: &mut dyn Scorer,
        replay: ScoreReplay,
        progress: P,
    ) -> Result<ScorerBacktest, Error>
    where
        P: FnMut(&ReplayProgress) + Send,
    {
        let mut asked = [Asked::new(scorer)];
        let read = self.replay_scores(&mut asked, replay, progress, |_, _, _| {}).await?;
        let [asked] = asked;
        Ok(asked.report(replay, read))
    }

    /// Asks scorers about everybody at each instant, and shows the scores of all of them.
    pub(super) async fn replay_scores<P, S>(
        &self,
        asked: &mut [Asked<'_>],
        replay: ScoreReplay,
        mut progress: P,
        mut shown: S,
    ) -> Result<Looked, Error>
    where
        P: FnMut(&ReplayProgress) + Send,
        S: FnMut(Timestamp, &[CustomerId], &[Option<ScoreColumns>]) + Send,
    {
        let began = Instant::now();
        let now = self.now();
        check_past(replay.to, now)?;
        let instants = replay.instants()?;
        let definitions = self.definitions().await?;
        asked.iter_mut().for_each(|asked| asked.prepare(&instants));
        let mut looked = Looked::default();
        let mut done = ReplayProgress { of: self.rows_in_all().await?, ..ReplayProgress::default() };
        let mut after = None;
        while let Some(page) = self.lives(after, Entries::Events, replay.known, &definitions).await? {
            after = Some(page.last);
            looked.cost.read(page.cost);
            looked.customers += page.lives.len() as u64;
            let (barred, lives): (Vec<Life>, Vec<Life>) =
                page.lives.into_iter().partition(|life| life.now.unscored().is_some());
            looked.left_out += barred.len() as u64;
            score_page(asked, &lives, &instants, replay.outlook, now, &definitions, &mut shown);
            done.rows += page.rows;
            done.calls = asked.iter().map(|asked| asked.cost.calls).sum();
            progress(&done);
        }
        looked.cost.in_all = began.elapsed();
        Ok(looked)
    }
}

/// How many were looked at, and what reading them cost.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Looked {
    pub(super) customers: u64,
    pub(super) left_out: u64,
    pub(super) cost: ReplayCost,
}

/// Scores a page of customers at each instant, all of them at once.
fn score_page(
    asked: &mut [Asked<'_>],
    lives: &[Life],
    instants: &[Timestamp],
    outlook: Outlook,
    now: Timestamp,
    definitions: &Definitions,
    shown: &mut impl FnMut(Timestamp, &[CustomerId], &[Option<ScoreColumns>]),
) {
    let mut again: Vec<_> = lives.iter().map(|life| (life, life.again())).collect();
    for (n, then) in instants.iter().copied().enumerate() {
        let currency = definitions.currency(then);
        let is_over = then.plus(outlook.span()) <= now;
        let (mut customers, mut happened) = (Vec::new(), Vec::new());
        let mut columns: Vec<Vec<Vec<Option<i64>>>> =
            asked.iter().map(|asked| vec![Vec::new(); asked.attributes.len()]).collect();
        let held: Vec<Held<'_>> = asked.iter().map(|asked| held(&*asked.scorer, definitions, then, now)).collect();
        let may = |customer: &&Customer| {
            let for_purposes =
                |held: &Held<'_>| customer.may_process(held.purposes(), false, then, definitions).is_ok();
            customer.unscored().is_none() && held.iter().all(for_purposes)
        };
        for (life, again) in &mut again {
            let Some(customer) = again.at(then, definitions).filter(may) else { continue };
            customers.push(life.id);
            happened.push(is_over.then(|| happens(outlook, &life.now, then)));
            for ((asked, held), columns) in asked.iter().zip(&held).zip(&mut columns) {
                for (attribute, column) in asked.attributes.iter().zip(columns) {
                    column.push(attribute.of(customer, then, currency).filter(|_| held.sees(attribute.name())));
                }
            }
        }
        if customers.is_empty() {
            continue;
        }
        let answer = |(asked, columns): (&mut Asked<'_>, Vec<Vec<Option<i64>>>)| {
            let seed = score_seed(&asked.scorer.stamp().name, then);
            let batch = ScoreBatch { as_of: then, seed, currency, customers: &customers, columns };
            asked.score(n, &batch, &happened)
        };
        let answers: Vec<Option<ScoreColumns>> = asked.iter_mut().zip(columns).map(answer).collect();
        shown(then, &customers, &answers);
    }
}

/// What a customer did after an instant, by what is known now.
fn happens(outlook: Outlook, now: &Customer, then: Timestamp) -> bool {
    let orders = now.facts().orders().list();
    let after = orders.partition_point(|order| order.placed_at <= then);
    let until = then.plus(outlook.span());
    let bought = orders[after..].iter().take_while(|order| order.placed_at <= until).any(|order| order.stands());
    match outlook {
        Outlook::Buys(_) => bought,
        Outlook::StaysAway(_) => !bought,
    }
}

/// A scorer that is asked, and what it said so far.
pub(super) struct Asked<'s> {
    scorer: &'s mut dyn Scorer,
    attributes: Vec<Attribute>,
    outputs: Vec<Gathered>,
    scored: u64,
    without: u64,
    failed: u64,
    faults: BTreeMap<SmolStr, u64>,
    digest: Digest,
    cost: ReplayCost,
}

/// The scores of one output.
struct Gathered {
    output: SmolStr,
    instants: Vec<Tally>,
}

/// The scores of one output at one instant.
#[derive(Default)]
struct Tally {
    happened: Vec<f64>,
    others: Vec<f64>,
    scored: usize,
    mean: f64,
    min: Option<f64>,
    max: Option<f64>,
}

impl<'s> Asked<'s> {
    pub(super) fn new(scorer: &'s mut dyn Scorer) -> Self {
        Asked {
            attributes: scorer.attributes().to_vec(),
            scorer,
            outputs: Vec::new(),
            scored: 0,
            without: 0,
            failed: 0,
            faults: BTreeMap::new(),
            digest: Digest::of(&[]),
            cost: ReplayCost::default(),
        }
    }

    fn prepare(&mut self, instants: &[Timestamp]) {
        let tallies = || instants.iter().map(|_| Tally::default()).collect();
        let outputs = self.scorer.outputs().iter();
        self.outputs = outputs.map(|output| Gathered { output: output.clone(), instants: tallies() }).collect();
    }

    /// Scores a batch of the `n`th instant; none if the scorer failed.
    fn score(&mut self, n: usize, batch: &ScoreBatch<'_>, happened: &[Option<bool>]) -> Option<ScoreColumns> {
        let began = Instant::now();
        let answer = score_checked(self.scorer, batch);
        let rows = batch.customers.len();
        self.cost.called(rows, 9 * rows * batch.columns.len(), began.elapsed());
        let columns = match answer {
            Ok(columns) => columns,
            Err(fault) => {
                self.failed += rows as u64;
                *self.faults.entry(fault.kind).or_default() += 1;
                return None;
            }
        };
        let mut bytes = self.digest.as_bytes().to_vec();
        bytes.extend_from_slice(&batch.as_of.as_millis().to_be_bytes());
        for (row, customer) in batch.customers.iter().enumerate() {
            let mut any = false;
            for (column, gathered) in columns.iter().zip(&mut self.outputs) {
                // Negative zero and zero are one score.
                let score = column[row].map(|score| score + 0.0);
                bytes.extend_from_slice(customer.as_uuid().as_bytes());
                bytes.push(u8::from(score.is_some()));
                bytes.extend_from_slice(&score.unwrap_or_default().to_bits().to_be_bytes());
                let Some(score) = score else { continue };
                any = true;
                gathered.instants[n].add(score, happened[row]);
            }
            if any { self.scored += 1 } else { self.without += 1 }
        }
        self.digest = Digest::of(&bytes);
        Some(columns)
    }

    pub(super) fn report(self, replay: ScoreReplay, looked: Looked) -> ScorerBacktest {
        let instants = replay.instants().unwrap_or_default();
        let output = |Gathered { output, instants: tallies }: Gathered| {
            let (mut happened, mut others) = (Vec::new(), Vec::new());
            let mut of_instants = Vec::with_capacity(tallies.len());
            for (at, tally) in instants.iter().zip(tallies) {
                happened.extend_from_slice(&tally.happened);
                others.extend_from_slice(&tally.others);
                of_instants.push(tally.report(*at));
            }
            OutputBacktest { output, outcomes: outcomes(happened, others), instants: of_instants }
        };
        ScorerBacktest {
            plugin: self.scorer.stamp().clone(),
            replay,
            customers: looked.customers,
            left_out: looked.left_out,
            scored: self.scored,
            without: self.without,
            failed: self.failed,
            faults: self.faults,
            outputs: self.outputs.into_iter().map(output).collect(),
            digest: self.digest,
            cost: ReplayCost {
                entries: looked.cost.entries,
                bytes_read: looked.cost.bytes_read,
                in_all: looked.cost.in_all,
                ..self.cost
            },
        }
    }
}

impl Tally {
    fn add(&mut self, score: f64, happened: Option<bool>) {
        self.scored += 1;
        self.mean += (score - self.mean) / self.scored as f64;
        self.min = Some(self.min.map_or(score, |min| min.min(score)));
        self.max = Some(self.max.map_or(score, |max| max.max(score)));
        match happened {
            Some(true) => self.happened.push(score),
            Some(false) => self.others.push(score),
            None => {}
        }
    }

    fn report(self, at: Timestamp) -> InstantScores {
        let Tally { happened, others, scored, mean, min, max } = self;
        let outcomes = outcomes(happened, others);
        InstantScores {
            at,
            scored,
            judged: outcomes.count(),
            happened: outcomes.happened(),
            mean: (scored > 0).then_some(mean),
            min,
            max,
            auc: outcomes.auc(),
        }
    }
}

/// Every score was checked when it came.
fn outcomes(happened: Vec<f64>, others: Vec<f64>) -> Outcomes {
    Outcomes::new(happened, others).unwrap_or_default()
}
