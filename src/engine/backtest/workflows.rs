//! What a workflow would have asked for, and whether it would have got it.

use std::collections::BTreeMap;
use std::time::Instant;

use crm_core::change::{Cause, ChangeBody};
use crm_core::customer::Command;
use crm_core::event::{Decision, Deed, Event, EventBody};
use crm_core::lifecycle::Stage;
use crm_core::workflow::{Actor, PluginStamp};
use crm_core::{CustomerId, Definitions, EventId, SmolStr, Timestamp};
use crm_storage::{Entries, ScoreRow};

use super::super::Crm;
use super::answers::{Answer, Answers, Moment, report};
use super::cost::{ReplayCost, ReplayProgress};
use super::life::{Again, Life, Told, is_of_plugin};
use super::replay::{WorkflowReplay, check_past};
use super::scorers::Looked;
use crate::error::Error;
use crate::installed::{Sources, granted_to};
use crate::lookup::EMPTY_DESK;
use crate::workflow::Around;
use crate::{Trigger, Workflow};

/// What a workflow would have done.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowBacktest {
    /// The workflow.
    pub plugin: PluginStamp,
    /// What was replayed.
    pub replay: WorkflowReplay,
    /// How many customers there are, those included whom it never was called for.
    pub customers: u64,
    /// How many of them are in none of the numbers below, since their data is restricted or they object to profiling.
    /// Where that was so at an event and is not any more, it is not called for that event.
    pub left_out: u64,
    /// How often it was called, by the kind of event or change.
    pub calls: BTreeMap<SmolStr, u64>,
    /// What it asked for, by the name of the command.
    pub asked: BTreeMap<SmolStr, AskedThen>,
    /// How often it failed, by what went wrong.
    pub faults: BTreeMap<SmolStr, u64>,
    /// How often it looked something up that was recorded then, by source; it was answered from the record.
    pub looked_up: BTreeMap<SmolStr, u64>,
    /// What nothing that is kept could tell it.
    pub gaps: ReplayGaps,
    /// Some of what it asked for, by when and for whom.
    pub samples: Vec<ReplayedAction>,
    /// What it cost.
    pub cost: ReplayCost,
}

/// What a replay cannot tell a workflow, because nothing that is kept says how it was then. Where all are nothing, it
/// was told all that it would have been told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplayGaps {
    /// How often it looked something up of which there is no record, by source: nobody did so then, and what the source
    /// says today is not what it said. The call comes to nothing, unless the workflow answers all the same, and is no
    /// fault.
    pub look_ups: BTreeMap<SmolStr, u64>,
    /// How often it was called that asks for fields of the card. It saw none: cards are not opened to try something.
    pub cards: u64,
    /// Of how many outputs of scorers, customer by customer, as many scores are kept as there may be, the oldest of them
    /// after the beginning: it is told of those, and older ones may be gone.
    pub scores: u64,
}

/// What became of the requests of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AskedThen {
    /// How many there were.
    pub asked: u64,
    /// How many would have been carried out.
    pub carried_out: u64,
    /// How many would have changed nothing, because it was so already.
    pub already_so: u64,
    /// How many would have been refused, by the rules, the grants or their limits, and why. Where there are more than a
    /// hundred reasons, those that come later are counted together, as `other reasons`.
    pub refused: BTreeMap<String, u64>,
}

/// One thing that a workflow asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayedAction {
    /// For whom.
    pub customer: CustomerId,
    /// When, by the customer's time.
    pub at: Timestamp,
    /// For which event; of a change an id that follows from what it is.
    pub trigger: EventId,
    /// For which kind of event or change.
    pub kind: SmolStr,
    /// What it asked for.
    pub command: Command,
    /// What would have become of it.
    pub verdict: Verdict,
}

/// What would have become of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It would have been carried out.
    CarriedOut,
    /// It was so already.
    AlreadySo,
    /// It would have been refused, and why.
    Refused(String),
}

impl Crm {
    /// Calls a workflow for each event, change and score between two instants of the past that it listens to, with the
    /// customer as of then, and judges what it asks for by the rules of then. Nothing is written. It begins without memory,
    /// and is given what it answered for that customer before.
    ///
    /// A customer is who they were just then: with the facts and the decisions that were recorded up to that event, with
    /// what the CRM's own rules decided by it, and before plugins were told of it. What the workflow asks for is carried
    /// out for the rest of that moment, so that what it asks for next is judged by it; after that
    /// everything is as it was recorded. If it was there already, what it did then is part of the history: it is called as
    /// it was called then, and told of what came of it.
    ///
    /// Grants hold as they would: what was defined for it then, and what a workflow of its name was installed with in this
    /// CRM, if one is. Limits of a day count what it did in the replay. It is not called for customers who objected to its
    /// purpose by then. What it looks up is answered from what was recorded for that event or that instant, whichever
    /// plugin asked; no source is asked. Scores are those that are kept, each told as of when it is. What it could not be
    /// told is in [`WorkflowBacktest::gaps`].
    ///
    /// It sees and gets what it was granted then and is granted now, within what a plugin of its name is installed with.
    ///
    /// Reads all histories, of 1,024 customers at a time; only counts and samples stay in memory.
    ///
    /// ```
    /// use crm::{Command, Currency, Digest, Identifier, Incoming, Money, OrderPlaced, PluginFault, PluginStamp};
    /// use crm::{Source, Span, Tag, Workflow, WorkflowCall, WorkflowReplay, WorkflowReply};
    ///
    /// /// Thanks whoever ordered, with a tag.
    /// #[derive(Debug)]
    /// struct Thanks(PluginStamp);
    ///
    /// impl Workflow for Thanks {
    ///     fn stamp(&self) -> &PluginStamp {
    ///         &self.0
    ///     }
    ///
    ///     fn listens(&self, kind: &str) -> bool {
    ///         kind == "order_placed"
    ///     }
    ///
    ///     fn handle(&self, _: &WorkflowCall<'_>) -> Result<WorkflowReply, PluginFault> {
    ///         let tag = Tag::new("thank").map_err(|error| PluginFault::new(error.to_string()))?;
    ///         Ok(WorkflowReply { commands: vec![Command::AddTag(tag)], memory: None })
    ///     }
    /// }
    ///
    /// let crm = crm::blocking::Crm::in_memory();
    /// let (ana, now) = (Identifier::email("ana@example.com")?, crm.now());
    /// let order = OrderPlaced::new(Money::new(4_900, Currency::EUR));
    /// crm.record(Incoming::new(&ana, now, Source::new("shop")?, order))?;
    ///
    /// let stamp = PluginStamp { name: "thanks".parse()?, version: "1".into(), digest: Digest::of(b"thanks 1") };
    /// let today = WorkflowReplay::new(now.minus(Span::days(1)), crm.now());
    /// let report = crm.backtest_workflow(&Thanks(stamp), today, |_| {})?;
    /// assert_eq!((report.calls["order_placed"], report.asked["add_tag"].carried_out), (1, 1));
    /// assert_eq!(crm.customer(&ana)?.expect("just recorded").tags().count(), 0, "nothing was written");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Replay` for a replay that cannot be, `Storage` if the store failed. A workflow that fails is no error: the
    /// report tells.
    #[tracing::instrument(level = "debug", skip_all, fields(tenant = %self.tenant, plugin = %workflow.stamp().name))]
    pub async fn backtest_workflow<P>(
        &self,
        workflow: &dyn Workflow,
        replay: WorkflowReplay,
        progress: P,
    ) -> Result<WorkflowBacktest, Error>
    where
        P: FnMut(&ReplayProgress) + Send,
    {
        let (answers, looked) = self.replay_workflows(&[workflow], replay, progress, |_| {}).await?;
        let answers = answers.into_iter().next().ok_or_else(|| Error::corrupt("a replay without answers"))?;
        Ok(report(answers, replay, looked))
    }

    /// Calls workflows for everything that any of them listens to, and shows what all of them answered.
    pub(super) async fn replay_workflows<P, S>(
        &self,
        workflows: &[&dyn Workflow],
        replay: WorkflowReplay,
        mut progress: P,
        mut shown: S,
    ) -> Result<(Vec<Answers>, Looked), Error>
    where
        P: FnMut(&ReplayProgress) + Send,
        S: FnMut(&[Answer]) + Send,
    {
        let began = Instant::now();
        replay.check()?;
        check_past(replay.to, self.now())?;
        let definitions = self.definitions().await?;
        // Nothing is asked outside: what a source says today is not what it said then.
        let sources = Sources::new();
        let around =
            Around { tenant: &self.tenant, keys: &self.inner.lookup_key, sources: &sources, desk: &EMPTY_DESK };
        let now = self.now();
        let answering = |workflow: &&dyn Workflow| {
            let granted = granted_to(&self.inner.plugins.workflows, workflow.stamp());
            Answers::new(*workflow, granted, now, replay)
        };
        let mut answers: Vec<Answers> = workflows.iter().map(answering).collect();
        let kept = usize::from(self.inner.scores_kept.get());
        let mut looked = Looked::default();
        let mut done = ReplayProgress { of: self.rows_in_all().await?, ..ReplayProgress::default() };
        let mut after = None;
        while let Some(page) = self.lives(after, Entries::All, replay.known, &definitions).await? {
            after = Some(page.last);
            looked.cost.read(page.cost);
            looked.customers += page.lives.len() as u64;
            for life in &page.lives {
                if life.now.unscored().is_some() {
                    looked.left_out += 1;
                    continue;
                }
                let full = life.full_since(kept).filter(|oldest| *oldest > replay.from).count();
                for (workflow, answers) in workflows.iter().zip(&mut answers) {
                    answers.gaps.scores += if workflow.listens("scored") { full as u64 } else { 0 };
                }
                let mut lived = Lived {
                    life,
                    again: life.again(),
                    workflows,
                    definitions: &definitions,
                    around,
                    put_off: Vec::new(),
                };
                lived.through(replay, &mut answers, &mut shown);
            }
            done.rows += page.rows;
            done.calls = answers.iter().map(|answers| answers.cost.calls).sum();
            progress(&done);
        }
        looked.cost.in_all = began.elapsed();
        Ok((answers, looked))
    }
}

/// Something that workflows are told of.
struct Heard {
    trigger: Trigger,
    /// The event behind it, if there is one.
    cause: Option<EventId>,
    through: CustomerId,
    /// To which stage the customer has come by it, if it is about that.
    stage: Option<Option<Stage>>,
}

/// What belongs to one moment of a life: an event with what the CRM's rules decided by it, and what moved; or all that
/// plugins decided when they were told of that.
#[derive(Default)]
struct Step {
    /// What happened; nothing where time alone moved something.
    events: Vec<EventId>,
    by_plugins: bool,
    at: Option<Timestamp>,
    heard: Vec<Heard>,
    /// How much of the life it reaches.
    upto: usize,
}

/// A life that is lived again before workflows.
struct Lived<'l> {
    life: &'l Life,
    again: Again<'l>,
    workflows: &'l [&'l dyn Workflow],
    definitions: &'l Definitions,
    around: Around<'l>,
    /// What is told when the customer has come to its stage.
    put_off: Vec<Heard>,
}

impl Lived<'_> {
    fn through(&mut self, replay: WorkflowReplay, answers: &mut [Answers], shown: &mut impl FnMut(&[Answer])) {
        answers.iter_mut().for_each(Answers::begin);
        let mut step = Step::default();
        for (n, (from, told)) in self.life.told().iter().enumerate() {
            if *from > replay.to {
                break;
            }
            if !step.takes(told) {
                self.tell(std::mem::take(&mut step), answers, shown);
                step.at = Some(told.at());
                step.by_plugins = told.event().is_some_and(is_of_plugin);
            }
            step.events.extend(told.event().map(|event| event.id));
            step.upto = n + 1;
            if *from < replay.from {
                continue;
            }
            let heard = heard(self.life.id, told).into_iter();
            step.heard.extend(heard.filter(|heard| self.anyone_listens(&heard.trigger.kind)));
        }
        self.tell(step, answers, shown);
    }

    fn anyone_listens(&self, kind: &str) -> bool {
        self.workflows.iter().any(|workflow| workflow.listens(kind))
    }

    /// Calls workflows for all that was heard in a step, with the customer as of its end.
    fn tell(&mut self, step: Step, answers: &mut [Answers], shown: &mut impl FnMut(&[Answer])) {
        let (Some(at), false) = (step.at, step.heard.is_empty() && self.put_off.is_empty()) else { return };
        let (workflows, definitions, around) = (self.workflows, self.definitions, self.around);
        answers.iter_mut().for_each(|answers| answers.carried_out = None);
        let customer = self.again.stand(step.upto, at, definitions);
        let Some(customer) = customer.filter(|customer| customer.unscored().is_none()) else { return };
        let at = customer.clock().unwrap_or(at);
        let put_off = std::mem::take(&mut self.put_off);
        for heard in step.heard.into_iter().chain(put_off) {
            // A stage that was left long ago, as a fact of later showed, is told of with that fact.
            if heard.stage.is_some_and(|to| customer.stage() != to) {
                self.put_off.push(heard);
                continue;
            }
            let Heard { trigger, cause, through, stage: _ } = heard;
            if customer.facts().is_voided(trigger.id) {
                continue;
            }
            let through = if customer.is(through) { through } else { customer.id() };
            let record = &self.life.looked_up(cause, at);
            let moment = Moment { trigger: &trigger, customer, through, at, definitions, around, record };
            let call = |(workflow, answers): (&&dyn Workflow, &mut Answers)| {
                workflow.listens(&trigger.kind).then(|| answers.call(*workflow, moment))
            };
            let all: Vec<Answer> = workflows.iter().zip(answers.iter_mut()).map(call).collect();
            shown(&all);
        }
    }
}

impl Step {
    /// Whether something belongs to this step: what rules decided by what happened in it, what moved by that, and what
    /// plugins decided who were told of the step before, but not who were told of this one.
    fn takes(&self, told: &Told) -> bool {
        let Some(began) = self.at else { return false };
        let by_this = |cause: Option<EventId>, at: Timestamp| match cause {
            Some(cause) => self.events.contains(&cause),
            None => at == began,
        };
        match told {
            Told::Event(Event { at, cause, body: EventBody::Decision(Decision { by: Actor::Rule, .. }), .. }) => {
                by_this(*cause, *at)
            }
            Told::Event(event) => {
                let also = self.by_plugins && is_of_plugin(event) && event.at == began;
                also && !event.cause.is_some_and(|cause| self.events.contains(&cause))
            }
            Told::Change(_, change) => match change.cause {
                Cause::Event(event) => by_this(Some(event), change.at),
                Cause::Alarm(_) | Cause::Definition | Cause::Scored => by_this(None, change.at),
            },
            Told::Scored(..) => false,
        }
    }
}

/// What workflows are told of something that was recorded, if they are told of it at all.
fn heard(id: CustomerId, told: &Told) -> Vec<Heard> {
    match told {
        Told::Event(Event { customer, id, at, body, .. }) => {
            let trigger = match body {
                EventBody::Fact(fact) => Some(Trigger::of_fact(*id, *at, fact)),
                EventBody::Decision(Decision { deed, .. }) => {
                    let is_told = deed.action().is_some() || matches!(deed, Deed::PointsReminded(_));
                    is_told.then(|| Trigger::of_deed(*id, *at, deed))
                }
                EventBody::Unrecognised { .. } => None,
            };
            let heard = |trigger| Heard { trigger, cause: Some(*id), through: *customer, stage: None };
            trigger.map(heard).into_iter().collect()
        }
        Told::Change(customer, change) => {
            let cause = match change.cause {
                Cause::Event(event) => Some(event),
                Cause::Alarm(_) | Cause::Definition | Cause::Scored => None,
            };
            let stage = if let ChangeBody::StageChanged { to, .. } = &change.body { Some(*to) } else { None };
            vec![Heard { trigger: Trigger::of_change(id, change), cause, through: *customer, stage }]
        }
        Told::Scored(_, rows) => {
            let trigger = |row: &ScoreRow| Trigger::of_score(id, row.at, row);
            rows.iter().map(|row| Heard { trigger: trigger(row), cause: None, through: id, stage: None }).collect()
        }
    }
}
