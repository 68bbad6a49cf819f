//! Plugins tried on the past: they say what they would have said, and nothing is written.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp, reason = "a panic is how a test fails")]

#[cfg(feature = "sqlite")]
mod scratch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crm::blocking::Crm;
use crm::{
    Attribute, AwardPoints, Channel, Command, Currency, CustomerId, Definition, DerivedIds, Error, EventId,
    ExternalSystem, Identifier, Incoming, Ingestion, Known, ManualClock, Money, Objected, Objection,
    ObjectionWithdrawn, OrderPlaced, Outlook, PluginFault, PluginStamp, Program, ProgramId, Refunded, ReplayError,
    Restricted, RestrictionLifted, ScoreBatch, ScoreReplay, Scorer, SegmentName, SmolStr, Source, Span, Tag, Timestamp,
    Verdict, Visited, Voided, Workflow, WorkflowCall, WorkflowReplay, WorkflowReply,
};
use proptest::prelude::*;

fn day(day: u32) -> Timestamp {
    Timestamp::parse("2026-01-01").unwrap().plus(Span::days(day))
}

fn stamp(name: &str) -> PluginStamp {
    PluginStamp { name: name.parse().unwrap(), version: "1".into(), digest: crm::Digest::of(name.as_bytes()) }
}

fn who(n: usize) -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), &n.to_string()).unwrap()
}

fn source() -> Source {
    Source::new("shop").unwrap()
}

fn euros(euros: i64) -> Money {
    Money::new(euros * 100, Currency::EUR)
}

fn points() -> ProgramId {
    ProgramId::new("points").unwrap()
}

/// A CRM with points that last 20 days, and segments that ask about time and about each other's past.
fn shop(workflow: Option<Own>) -> (Arc<ManualClock>, Crm) {
    let clock = Arc::new(ManualClock::at(day(0)));
    let builder = crm::Crm::builder().clock(Arc::clone(&clock)).ids(DerivedIds);
    let builder = match workflow {
        Some(workflow) => builder.workflow(workflow),
        None => builder,
    };
    let crm = Crm::from(builder.build());
    let program = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(20));
    crm.define(day(0), Definition::Program(points(), Some(program))).unwrap();
    crm.define(Timestamp::MIN, Definition::Currency(Currency::EUR)).unwrap();
    let segments =
        [("busy", r#"orders.in_last("9d") >= 2"#), ("was busy", r#"was_in("busy", "30d") && !segment("busy")"#)];
    for (name, rule) in segments {
        let rule = crm.rule(rule).unwrap();
        crm.define(day(0), Definition::Segment(SegmentName::new(name).unwrap(), Some(rule))).unwrap();
    }
    (clock, crm)
}

fn order(crm: &Crm, n: usize, at: Timestamp, amount: i64) -> EventId {
    crm.record(Incoming::new(who(n), at, source(), OrderPlaced::new(euros(amount)))).unwrap().event
}

/// Rows by customer, at each instant.
type Rows = BTreeMap<Timestamp, BTreeMap<CustomerId, Vec<Option<i64>>>>;

/// Notes every row that it is given, and scores by a function of it.
#[derive(Debug)]
struct Noting {
    stamp: PluginStamp,
    output: [SmolStr; 1],
    score: fn(&[Option<i64>]) -> Option<f64>,
    rows: Rows,
    calls: Vec<usize>,
}

impl Noting {
    fn new(score: fn(&[Option<i64>]) -> Option<f64>) -> Self {
        let (stamp, output) = (stamp("noting"), ["score".into()]);
        Noting { stamp, output, score, rows: BTreeMap::new(), calls: Vec::new() }
    }

    /// The lower the longer ago.
    fn recency() -> Self {
        Noting::new(|row| row[0].map(|days| 1.0 / (1.0 + days as f64)))
    }
}

impl Scorer for Noting {
    fn stamp(&self) -> &PluginStamp {
        &self.stamp
    }

    fn attributes(&self) -> &[Attribute] {
        Attribute::ALL
    }

    fn outputs(&self) -> &[SmolStr] {
        &self.output
    }

    fn score(&mut self, batch: &ScoreBatch<'_>) -> Result<Vec<Vec<Option<f64>>>, PluginFault> {
        self.calls.push(batch.customers.len());
        let row = |n: usize| -> Vec<Option<i64>> { batch.columns.iter().map(|column| column[n]).collect() };
        let rows: Vec<Vec<Option<i64>>> = (0..batch.customers.len()).map(row).collect();
        let scores = rows.iter().map(|row| (self.score)(row)).collect();
        let noted = self.rows.entry(batch.as_of).or_default();
        noted.extend(batch.customers.iter().copied().zip(rows));
        Ok(vec![scores])
    }
}

type Handler = fn(&WorkflowCall<'_>) -> Result<WorkflowReply, PluginFault>;

/// A workflow by a function, which notes every call.
#[derive(Clone)]
struct Own {
    stamp: PluginStamp,
    handler: Handler,
    heard: Arc<Mutex<Vec<String>>>,
}

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Own({})", self.stamp.name)
    }
}

impl Own {
    fn new(handler: Handler) -> Self {
        Own { stamp: stamp("own"), handler, heard: Arc::default() }
    }

    fn heard(&self) -> Vec<String> {
        let mut heard = std::mem::take(&mut *self.heard.lock().unwrap());
        heard.sort();
        heard
    }
}

const LISTENS: [&str; 6] =
    ["order_placed", "refunded", "points_posted", "stage_changed", "segment_entered", "tag_added"];

impl Workflow for Own {
    fn stamp(&self) -> &PluginStamp {
        &self.stamp
    }

    fn listens(&self, kind: &str) -> bool {
        LISTENS.contains(&kind)
    }

    fn handle(&self, call: &WorkflowCall<'_>) -> Result<WorkflowReply, PluginFault> {
        let WorkflowCall { trigger, customer, at, .. } = call;
        let seen: Vec<Option<i64>> = Attribute::ALL.iter().map(|attribute| call.attribute(*attribute)).collect();
        let tags: Vec<&Tag> = customer.tags().collect();
        let segments: Vec<&SegmentName> = customer.standing().segments().collect();
        let (stage, memory) = (customer.stage(), call.memory);
        let heard = format!(
            "{} {at} {} {} {:?} {seen:?} {tags:?} {segments:?} {stage:?} {memory:?}",
            customer.id(),
            trigger.kind,
            trigger.id,
            trigger.fields.len()
        );
        self.heard.lock().unwrap().push(heard);
        (self.handler)(call)
    }
}

fn tag(tag: &str) -> Command {
    Command::AddTag(Tag::new(tag).unwrap())
}

fn award(points_: i64) -> Command {
    Command::AwardPoints(AwardPoints { program: points(), points: points_, reason: "hello".parse().unwrap() })
}

/// Everything that is kept of everybody.
fn everything(crm: &Crm) -> String {
    let mut ids = Vec::new();
    crm.for_each_customer(|customer| ids.push(customer.id())).unwrap();
    let stories: Vec<_> = ids.into_iter().map(|id| crm.story(id).unwrap()).collect();
    format!("{:?} {stories:?}", crm.overview().unwrap())
}

#[test]
fn a_customer_is_scored_by_what_was_known_then_and_judged_by_what_they_did_next() {
    let (clock, crm) = shop(None);
    // Ana orders again and again, Bo once, and Cid sends his second order back.
    for (n, at) in [(0, 1), (1, 2), (2, 3), (0, 15), (2, 16), (0, 29)] {
        clock.set(day(at));
        order(&crm, n, day(at), 50);
    }
    crm.record(Incoming::new(who(2), day(29), source(), Refunded { order: None, amount: euros(50) })).unwrap();
    clock.set(day(60));
    let replay = ScoreReplay::new(day(10), day(50), Span::days(10)).with_outlook(Outlook::Buys(Span::days(14)));
    let mut seen = Vec::new();
    let report = crm.backtest_scorer(&mut Noting::recency(), replay, |progress| seen.push(*progress)).unwrap();
    let output = &report.outputs[0];
    assert_eq!((report.customers, report.scored, report.without, report.left_out), (3, 15, 0, 0));
    let happened: Vec<_> = output.instants.iter().map(|one| (one.scored, one.judged, one.happened)).collect();
    // Of the last instant nobody knows yet. On the day itself is not after it.
    assert_eq!(happened, [(3, 3, 1), (3, 3, 1), (3, 3, 0), (3, 3, 0), (3, 0, 0)]);
    assert_eq!(output.outcomes.count(), 12);
    // On day 10 Ana ordered longest ago of the three; on day 20 it is Cid, by an order that he sent back later.
    assert_eq!(output.instants[0].auc.unwrap().area, 0.0);
    assert_eq!(output.instants[1].auc.unwrap().area, 0.5);
    assert!(output.instants[4].auc.is_err());
    assert_eq!((report.cost.rows, report.cost.calls), (15, 5));
    assert_eq!(seen.last().map(|progress| (progress.rows, progress.calls)), Some((seen[0].of, 5)));

    let away = replay.with_outlook(Outlook::StaysAway(Span::days(14)));
    let report = crm.backtest_scorer(&mut Noting::recency(), away, |_| {}).unwrap();
    assert_eq!(report.outputs[0].outcomes.happened(), 10);
}

#[test]
fn what_came_late_is_known_from_when_it_was_recorded_or_from_when_it_happened() {
    let (clock, crm) = shop(None);
    clock.set(day(100));
    let facts = [5, 25, 45].map(|at| Incoming::new(who(0), day(at), source(), OrderPlaced::new(euros(10))));
    crm.ingest(facts, Ingestion::history()).unwrap();
    let replay = ScoreReplay::new(day(0), day(100), Span::days(10));
    let mut by_record = Noting::recency();
    crm.backtest_scorer(&mut by_record, replay, |_| {}).unwrap();
    assert_eq!(by_record.rows.keys().copied().collect::<Vec<_>>(), [day(100)]);
    let mut by_time = Noting::recency();
    crm.backtest_scorer(&mut by_time, replay.with_known(Known::Happened), |_| {}).unwrap();
    let orders: Vec<_> = by_time.rows.values().map(|rows| rows.values().next().unwrap()[3]).collect();
    assert_eq!(by_time.rows.keys().next(), Some(&day(10)));
    assert_eq!(orders, [1, 1, 2, 2, 3, 3, 3, 3, 3, 3].map(Some));
}

#[test]
fn whoever_may_not_be_profiled_now_or_was_not_then_is_left_out() {
    let (clock, crm) = shop(None);
    for n in 0..4 {
        order(&crm, n, day(0), 10);
    }
    let tell = |n: usize, at: u32, fact: crm::Fact| {
        clock.set(day(at));
        crm.record(Incoming::new(who(n), day(at), source(), fact)).unwrap();
    };
    let to = Objection::Profiling;
    tell(0, 12, Objected { to }.into());
    tell(1, 13, Restricted { reason: None }.into());
    tell(2, 14, Objected { to }.into());
    tell(3, 15, Objected { to: Objection::Marketing }.into());
    tell(1, 25, RestrictionLifted { reason: None }.into());
    tell(2, 35, ObjectionWithdrawn { to }.into());
    clock.set(day(60));
    let mut scorer = Noting::recency();
    let replay = ScoreReplay::new(day(10), day(40), Span::days(10));
    let report = crm.backtest_scorer(&mut scorer, replay, |_| {}).unwrap();
    let id = |n: usize| crm.customer(who(n)).unwrap().unwrap().id();
    let scored = |n: usize| scorer.rows.values().map(|rows| rows.contains_key(&id(n))).collect::<Vec<_>>();
    assert_eq!((report.customers, report.left_out), (4, 1));
    assert_eq!(scored(0), [false, false, false, false], "he objects now");
    assert_eq!(scored(1), [true, false, true, true], "she was restricted for a while");
    assert_eq!(scored(2), [true, false, false, true]);
    assert_eq!(scored(3), [true, true, true, true], "marketing is something else");
    let calls = crm.backtest_workflow(
        &Own::new(|_| Ok(WorkflowReply::default())),
        WorkflowReplay::new(day(0), day(60)),
        |_| {},
    );
    assert_eq!(calls.unwrap().left_out, 1);
}

#[test]
fn a_scorer_that_fails_is_told_of_and_the_rest_goes_on() {
    #[derive(Debug)]
    struct Failing(Noting);
    impl Scorer for Failing {
        fn stamp(&self) -> &PluginStamp {
            self.0.stamp()
        }
        fn attributes(&self) -> &[Attribute] {
            self.0.attributes()
        }
        fn outputs(&self) -> &[SmolStr] {
            self.0.outputs()
        }
        fn score(&mut self, batch: &ScoreBatch<'_>) -> Result<Vec<Vec<Option<f64>>>, PluginFault> {
            match batch.as_of {
                at if at == day(10) => Err(PluginFault::new("deadline")),
                at if at == day(20) => Ok(vec![vec![Some(f64::NAN); batch.customers.len()]]),
                at if at == day(30) => Ok(vec![Vec::new()]),
                at if at == day(40) => Ok(Vec::new()),
                _ => self.0.score(batch),
            }
        }
    }
    let (clock, crm) = shop(None);
    for n in 0..3 {
        order(&crm, n, day(0), 10);
    }
    clock.set(day(50));
    let report = crm
        .backtest_scorer(&mut Failing(Noting::recency()), ScoreReplay::new(day(10), day(50), Span::days(10)), |_| {})
        .unwrap();
    assert_eq!((report.failed, report.scored), (12, 3));
    let faults: Vec<_> = report.faults.iter().map(|(what, count)| (what.as_str(), *count)).collect();
    let wrong = [
        ("a score that is not finite", 1),
        ("deadline", 1),
        ("wrong number of outputs", 1),
        ("wrong number of rows", 1),
    ];
    assert_eq!(faults, wrong);
}

#[test]
fn a_replay_that_cannot_be_says_why() {
    let (clock, crm) = shop(None);
    clock.set(day(10));
    let scored = |from, to, every| {
        let replay = ScoreReplay::new(day(from), day(to), Span::days(every));
        crm.backtest_scorer(&mut Noting::recency(), replay, |_| {}).map(|_| ())
    };
    assert!(matches!(scored(0, 11, 1), Err(Error::Replay(ReplayError::Future { .. }))));
    assert!(matches!(scored(5, 4, 1), Err(Error::Replay(ReplayError::Backwards { .. }))));
    assert!(matches!(scored(0, 4, 0), Err(Error::Replay(ReplayError::Instants { .. }))));
    assert!(scored(0, 10, 1).is_ok(), "an empty base is no error");
    let own = Own::new(|_| Ok(WorkflowReply::default()));
    let called = |from, to| crm.backtest_workflow(&own, WorkflowReplay::new(day(from), day(to)), |_| {}).map(|_| ());
    assert!(matches!(called(0, 11), Err(Error::Replay(ReplayError::Future { .. }))));
    assert!(matches!(called(5, 4), Err(Error::Replay(ReplayError::Backwards { .. }))));
}

#[test]
fn more_customers_than_a_batch_holds_come_in_several() {
    let (clock, crm) = shop(None);
    let facts = (0..2_500).map(|n| Incoming::new(who(n), day(0), source(), OrderPlaced::new(euros(10))));
    crm.ingest(facts, Ingestion::live()).unwrap();
    clock.set(day(10));
    let (mut scorer, mut seen) = (Noting::recency(), Vec::new());
    let replay = ScoreReplay::new(day(0), day(10), Span::days(10));
    let report = crm.backtest_scorer(&mut scorer, replay, |progress| seen.push(progress.rows)).unwrap();
    assert_eq!((report.scored, report.customers), (5_000, 2_500));
    assert!(scorer.calls.iter().all(|rows| *rows <= 1_024), "{:?}", scorer.calls);
    assert_eq!(seen.len(), 3);
    let again = crm.backtest_scorer(&mut Noting::recency(), replay, |_| {}).unwrap();
    assert_eq!((report.digest, &report.outputs), (again.digest, &again.outputs));
}

/// The same facts on another store give the same scores and the same requests.
#[cfg(feature = "sqlite")]
#[test]
fn every_store_gives_the_same_backtest() {
    let file = scratch::Scratch::new();
    let stores: [Arc<dyn crm::Store>; 2] =
        [Arc::new(crm::MemoryStore::new()), Arc::new(crm::SqliteStore::open(&file.0).unwrap())];
    let reports = stores.map(|store| {
        let clock = Arc::new(ManualClock::at(day(90)));
        let builder = crm::Crm::builder().shared_store(store).clock(Arc::clone(&clock)).ids(DerivedIds);
        let crm = Crm::from(builder.build());
        crm.define(Timestamp::MIN, Definition::Currency(Currency::EUR)).unwrap();
        let facts = (0..120_u32).map(|n| {
            let order = OrderPlaced::new(euros(i64::from(1 + n % 17)));
            Incoming::new(who(n as usize % 31), day(n * 13 % 80), source(), order)
                .with_key(n.to_string().parse().unwrap())
        });
        crm.ingest(facts, Ingestion::live()).unwrap();
        let replay = ScoreReplay::new(day(5), day(60), Span::days(11)).with_known(Known::Happened);
        let report = crm.backtest_scorer(&mut Noting::recency(), replay, |_| {}).unwrap();
        assert_eq!(report.cost.entries, 120 + 31, "each order, and by what each was known first");
        let calls = WorkflowReplay::new(day(0), day(90)).with_known(Known::Happened);
        let workflow = crm.backtest_workflow(&Own::new(thanks), calls, |_| {}).unwrap();
        (report.digest, report.outputs, report.scored, workflow.calls, workflow.asked, workflow.samples)
    });
    assert_eq!(reports[0], reports[1]);
    assert_eq!(reports[0].2, 100);
}

/// Thanks for orders with a tag and points, asks for what it may not have, and counts in its memory.
fn thanks(call: &WorkflowCall<'_>) -> Result<WorkflowReply, PluginFault> {
    let count = call.memory.first().copied().unwrap_or(0) + 1;
    let commands = match call.trigger.kind.as_str() {
        "order_placed" if count % 4 == 0 => return Err(PluginFault::new("the fourth")),
        "order_placed" => vec![tag("thanked"), award(-1), tag("thanked")],
        "segment_entered" => vec![award(10), Command::RemoveTag(Tag::new("thanked").unwrap())],
        "tag_added" => vec![tag("twice")],
        _ => Vec::new(),
    };
    Ok(WorkflowReply { commands, memory: Some(vec![count]) })
}

#[test]
fn what_a_workflow_asks_for_is_judged_and_not_carried_out() {
    let (clock, crm) = shop(None);
    for at in [1, 3, 5] {
        clock.set(day(at));
        order(&crm, 0, day(at), 10);
    }
    clock.set(day(10));
    let before = everything(&crm);
    let own = Own::new(thanks);
    let report = crm.backtest_workflow(&own, WorkflowReplay::new(day(0), day(10)), |_| {}).unwrap();
    assert_eq!(everything(&crm), before);
    let calls: Vec<_> = report.calls.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    assert_eq!(calls, [("order_placed", 3), ("points_posted", 3), ("segment_entered", 1), ("stage_changed", 1)]);
    let tags = &report.asked["add_tag"];
    // One order was the fourth call. The tag is on for the rest of its own answer, and not any more for the next.
    assert_eq!((tags.asked, tags.carried_out, tags.already_so), (4, 2, 2));
    let awards = &report.asked["award_points"];
    assert_eq!((awards.asked, awards.carried_out, awards.refused.values().sum::<u64>()), (3, 1, 2));
    assert_eq!(report.asked["remove_tag"].already_so, 1);
    assert_eq!(report.faults[&SmolStr::new("the fourth")], 1);
    assert_eq!(report.samples.len(), 8);
    assert!(report.samples.iter().any(|one| matches!(&one.verdict, Verdict::Refused(why) if why.contains("points"))));
    let few = WorkflowReplay::new(day(0), day(10)).with_samples(3);
    assert_eq!(crm.backtest_workflow(&own, few, |_| {}).unwrap().samples.len(), 3);
    // Only what lies between the two instants: the second order, its points, and the segment that it led to.
    let later = crm.backtest_workflow(&own, WorkflowReplay::new(day(2), day(4)), |_| {}).unwrap();
    assert_eq!(later.calls.values().sum::<u64>(), 3);
}

#[test]
fn a_workflow_that_was_there_is_called_as_it_was_then() {
    let own = Own::new(thanks);
    let (clock, crm) = shop(Some(own.clone()));
    for (n, at, amount) in
        [(0, 1, 30), (1, 1, 5), (0, 4, 20), (0, 6, 10), (1, 30, 7), (0, 31, 8), (0, 33, 1), (1, 35, 2)]
    {
        clock.set(day(at));
        crm.advance(day(at)).unwrap();
        order(&crm, n, day(at), amount);
    }
    crm.record(Incoming::new(who(0), day(35), source(), Refunded { order: None, amount: euros(8) })).unwrap();
    clock.set(day(400));
    crm.advance(day(400)).unwrap();
    let live = own.heard();
    assert!(live.iter().any(|heard| heard.contains("stage_changed")), "{live:#?}");
    let before = everything(&crm);
    let report = crm.backtest_workflow(&own, WorkflowReplay::new(day(0), day(400)), |_| {}).unwrap();
    let again = own.heard();
    for (again, live) in again.iter().zip(&live) {
        assert_eq!(again, live);
    }
    assert_eq!(again.len(), live.len());
    assert_eq!(everything(&crm), before);
    assert_eq!(report.calls.values().sum::<u64>(), live.len() as u64);
}

#[test]
fn two_scorers_are_told_apart_by_how_far_and_whom_they_move() {
    let (clock, crm) = shop(None);
    for n in 0..40 {
        clock.set(day(1).plus(Span::millis(n as u64)));
        order(&crm, n, crm.now(), 10 + n as i64);
    }
    clock.set(day(30));
    // The new one thinks of the spend, and has nothing to say of small orders.
    let spend = |row: &[Option<i64>]| row[5].filter(|spend| *spend >= 1_500).map(|spend| spend as f64 / 5_000.0);
    let (mut old, mut new) = (Noting::recency(), Noting::new(spend));
    let replay = ScoreReplay::new(day(10), day(20), Span::days(10)).with_outlook(Outlook::Buys(Span::days(5)));
    let report = crm.shadow_scorers(&mut old, &mut new, replay, |_| {}).unwrap();
    let output = &report.outputs[0];
    let differences = output.differences.as_ref().unwrap();
    assert_eq!((output.only_old, output.only_new, differences.pairs), (10, 0, 70));
    assert_eq!(differences.differ, 70);
    assert_eq!(output.most_moved.len(), 20);
    let first = output.most_moved[0];
    assert_eq!((first.at, first.new), (day(20), 4_900.0 / 5_000.0));
    assert_eq!(first.customer, crm.customer(who(39)).unwrap().unwrap().id());
    assert_eq!(differences.max_distance, first.new - first.old);
    assert_eq!((report.old.scored, report.new.scored, report.new.without), (80, 70, 10));
    // Beside itself nothing differs.
    let same = crm.shadow_scorers(&mut Noting::recency(), &mut Noting::recency(), replay, |_| {}).unwrap();
    assert_eq!(same.outputs[0].differences.as_ref().unwrap().differ, 0);
    assert_eq!((same.old.digest, same.outputs[0].most_moved.len()), (same.new.digest, 0));
    let alone = crm.backtest_scorer(&mut Noting::recency(), replay, |_| {}).unwrap();
    assert_eq!((alone.digest, alone.outputs), (same.old.digest, same.old.outputs));
}

#[test]
fn two_workflows_are_told_apart_by_what_only_one_of_them_asks_for() {
    let (clock, crm) = shop(None);
    for at in [1, 3, 5] {
        clock.set(day(at));
        order(&crm, 0, day(at), 10);
    }
    let old = Own::new(|call| {
        let ordered = call.trigger.kind == "order_placed";
        Ok(WorkflowReply { commands: if ordered { vec![tag("thanked"), award(5)] } else { Vec::new() }, memory: None })
    });
    let new = Own::new(|call| {
        let ordered = call.trigger.kind == "order_placed";
        let first = call.memory.is_empty();
        let commands = if ordered && first { vec![award(5), tag("welcome")] } else { Vec::new() };
        Ok(WorkflowReply { commands, memory: ordered.then(|| vec![1]) })
    });
    let replay = WorkflowReplay::new(day(0), day(5));
    let report = crm.shadow_workflows(&old, &new, replay, |_| {}).unwrap();
    let counts = |of: &BTreeMap<SmolStr, u64>| of.iter().map(|(kind, n)| format!("{kind} {n}")).collect::<Vec<_>>();
    assert_eq!(counts(&report.both), ["award_points 1"]);
    assert_eq!(counts(&report.only_old), ["add_tag 3", "award_points 2"]);
    assert_eq!(counts(&report.only_new), ["add_tag 1"]);
    assert_eq!((report.differ, report.samples_old.len(), report.samples_new.len()), (3, 5, 1));
    let alone = crm.backtest_workflow(&new, replay, |_| {}).unwrap();
    assert_eq!((alone.asked, alone.samples), (report.new.asked, report.new.samples));
}

/// Something that happens to a shop.
#[derive(Debug, Clone)]
enum Happening {
    /// An order so many days before or after it is told.
    Order(usize, i32, i64),
    Refund(usize, i64),
    Visit(usize),
    /// Of the events told so far, one was wrong.
    Void(usize),
    Bar(usize, bool, bool),
    Merge(usize, usize),
    Part(usize, usize),
    Redeem(usize, i64),
    Days(u32),
    /// Everybody is scored.
    Score,
}

const PEOPLE: usize = 4;

fn happening() -> impl Strategy<Value = Happening> {
    let one = || 0..PEOPLE;
    prop_oneof![
        5 => (one(), prop_oneof![3 => Just(0), 2 => -15..0_i32, 1 => 1..15_i32], 1..90_i64)
            .prop_map(|(n, days, amount)| Happening::Order(n, days, amount)),
        1 => (one(), 1..60_i64).prop_map(|(n, amount)| Happening::Refund(n, amount)),
        1 => one().prop_map(Happening::Visit),
        1 => any::<usize>().prop_map(Happening::Void),
        1 => (one(), any::<bool>(), any::<bool>()).prop_map(|(n, objects, on)| Happening::Bar(n, objects, on)),
        1 => (one(), one()).prop_map(|(n, other)| Happening::Merge(n, other)),
        1 => (one(), one()).prop_map(|(n, other)| Happening::Part(n, other)),
        1 => (one(), 1..40_i64).prop_map(|(n, points)| Happening::Redeem(n, points)),
        4 => (1..12_u32).prop_map(Happening::Days),
        3 => Just(Happening::Score),
    ]
}

/// Lives through it all, and notes with which rows everybody was scored on the way.
fn live(happenings: &[Happening]) -> (Crm, Rows, Vec<Timestamp>) {
    let (clock, crm) = shop(None);
    let mut scorer = Noting::recency();
    let (mut rows, mut scored, mut events, mut now) = (Rows::new(), Vec::new(), Vec::new(), day(20));
    clock.set(now);
    let id = |n: usize| crm.customer(who(n)).unwrap().map(|customer| customer.id());
    for happening in happenings {
        let tell = |n: usize, at: Timestamp, fact: crm::Fact| crm.record(Incoming::new(who(n), at, source(), fact));
        match happening.clone() {
            Happening::Order(n, days, amount) => {
                let moved = Span::days(days.unsigned_abs());
                let at = if days < 0 { now.minus(moved) } else { now.plus(moved) };
                events.extend(tell(n, at, OrderPlaced::new(euros(amount)).into()).map(|recorded| (n, recorded.event)));
            }
            Happening::Refund(n, amount) => {
                let refund = tell(n, now, Refunded { order: None, amount: euros(amount) }.into());
                events.extend(refund.map(|recorded| (n, recorded.event)));
            }
            Happening::Visit(n) => {
                let visit = tell(n, now, Visited { channel: Channel::Web, place: None }.into());
                events.extend(visit.map(|recorded| (n, recorded.event)));
            }
            Happening::Void(place) => {
                if let Some((n, event)) = (!events.is_empty()).then(|| events[place % events.len()]) {
                    let _ = tell(n, now, Voided { event, reason: None }.into());
                }
            }
            Happening::Bar(n, objects, on) => {
                let to = Objection::Profiling;
                let fact = match (objects, on) {
                    (true, true) => Objected { to }.into(),
                    (true, false) => ObjectionWithdrawn { to }.into(),
                    (false, true) => Restricted { reason: None }.into(),
                    (false, false) => RestrictionLifted { reason: None }.into(),
                };
                let _ = tell(n, now, fact);
            }
            Happening::Merge(n, other) => {
                if let (Some(one), Some(other)) = (id(n), id(other)) {
                    let _ = crm.merge(one, other, "test".parse().unwrap());
                }
            }
            Happening::Part(n, other) => {
                if let (Some(one), Some(other)) = (id(n), id(other)) {
                    let _ = crm.part(one, other, "test".parse().unwrap());
                }
            }
            Happening::Redeem(n, amount) => {
                if let Some(customer) = id(n) {
                    let redeem = crm::RedeemPoints {
                        program: points(),
                        points: amount,
                        reason: "test".parse().unwrap(),
                        order: None,
                        total: None,
                    };
                    let _ = crm.execute(customer, Command::RedeemPoints(redeem), &format!("{now} {n} {amount}"));
                }
            }
            Happening::Days(days) => {
                now = now.plus(Span::days(days));
                clock.set(now);
            }
            Happening::Score => {
                crm.advance(now).unwrap();
                scorer.rows.clear();
                crm.score(&mut scorer, now).unwrap();
                let mut found = scorer.rows.remove(&now).unwrap_or_default();
                crm.for_each_customer(|customer| {
                    if customer.restricted_since().is_some() || customer.objects_since(Objection::Profiling).is_some() {
                        found.remove(&customer.id());
                    }
                })
                .unwrap();
                rows.insert(now, found);
                scored.push(now);
                // What is told at the same instant later would be known then too.
                now = now.plus(Span::millis(1));
                clock.set(now);
            }
        }
    }
    (crm, rows, scored)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if std::env::var_os("CRM_SOAK").is_some() { 5_000 } else { 32 }, ..ProptestConfig::default() })]

    /// The customer who is worked out is the one who was there.
    #[test]
    fn everybody_is_scored_as_they_would_have_been_then(happenings in prop::collection::vec(happening(), 1..45)) {
        let (crm, rows, scored) = live(&happenings);
        let before = everything(&crm);
        for at in scored {
            let mut scorer = Noting::recency();
            crm.backtest_scorer(&mut scorer, ScoreReplay::new(at, at, Span::days(1)), |_| {}).unwrap();
            let mut expected = rows[&at].clone();
            // Whoever may not be profiled now is left out; of merged ones each by what they go on as.
            expected.retain(|id, _| {
                let now = crm.customer(*id).unwrap().unwrap();
                now.restricted_since().is_none() && now.objects_since(Objection::Profiling).is_none()
            });
            prop_assert_eq!(scorer.rows.remove(&at).unwrap_or_default(), expected, "at {}", at);
        }
        prop_assert_eq!(everything(&crm), before);
    }

    /// What nobody corrected later, a workflow is told of again just as it was. What is refunded is too little to undo an
    /// order, which would correct the past.
    #[test]
    fn a_workflow_is_called_again_for_all_that_it_was_called_for(happenings in prop::collection::vec(happening(), 1..40)) {
        let own = Own::new(thanks);
        let (clock, crm) = shop(Some(own.clone()));
        let mut now = day(0);
        for happening in happenings {
            let tell = |n: usize, fact: crm::Fact| {
                crm.record(Incoming::new(who(n), now, source(), fact)).unwrap();
            };
            match happening {
                Happening::Order(n, _, amount) => tell(n, OrderPlaced::new(euros(amount)).into()),
                Happening::Refund(n, _) => {
                    tell(n, Refunded { order: None, amount: Money::new(1, Currency::EUR) }.into());
                }
                Happening::Visit(n) => tell(n, Visited { channel: Channel::Web, place: None }.into()),
                Happening::Days(days) => now = now.plus(Span::days(days)),
                Happening::Score => {
                    crm.advance(now).unwrap();
                }
                Happening::Redeem(..) | Happening::Void(_) | Happening::Bar(..) | Happening::Merge(..) => {}
                Happening::Part(..) => now = now.plus(Span::days(100)),
            }
            clock.set(now);
        }
        let live = own.heard();
        let report = crm.backtest_workflow(&own, WorkflowReplay::new(day(0), now), |_| {}).unwrap();
        let again = own.heard();
        for (again, live) in again.iter().zip(&live) {
            prop_assert_eq!(again, live);
        }
        prop_assert_eq!((again.len(), report.calls.values().sum::<u64>()), (live.len(), live.len() as u64));
    }
}

#[test]
fn a_stage_that_was_left_long_ago_as_a_refund_shows_is_told_of_with_the_refund() {
    let own = Own::new(thanks);
    let (clock, crm) = shop(Some(own.clone()));
    for (at, fact) in [
        (0, crm::Fact::from(OrderPlaced::new(euros(39)))),
        (100, OrderPlaced::new(euros(10)).into()),
        (200, Refunded { order: None, amount: euros(10) }.into()),
    ] {
        clock.set(day(at));
        crm.record(Incoming::new(who(1), day(at), source(), fact)).unwrap();
    }
    let live = own.heard();
    crm.backtest_workflow(&own, WorkflowReplay::new(day(0), day(200)), |_| {}).unwrap();
    assert!(live.iter().any(|heard| heard.contains("stage_changed") && heard.contains("Some(Historical)")));
    assert_eq!(own.heard(), live);
}

#[test]
fn of_the_past_a_plugin_is_shown_and_gets_no_more_than_it_is_granted_now() {
    let (clock, crm) = shop(None);
    for (n, at) in [(0, 1), (1, 1), (0, 3), (1, 3)] {
        clock.set(day(at));
        order(&crm, n, day(at), 10);
    }
    clock.set(day(9));
    let purpose = crm::Purpose::new("campaigns").unwrap();
    let mut policy = crm::ConsentPolicy::default();
    policy.purposes.push(crm::PurposeRule { profiling: false, ..crm::PurposeRule::marketing(purpose.clone()) });
    crm.define(day(0), Definition::Consent(policy)).unwrap();
    let ben = crm.customer(who(1)).unwrap().unwrap().id();
    crm.record(Incoming::new(who(1), day(2), source(), Objected { to: Objection::Marketing })).unwrap();
    clock.set(day(10));
    // Granted today, so that nothing was said of the plugin at the instants that are replayed.
    let mut grants = crm::Grants::none();
    grants.features = crm::Names::these(["orders"]);
    grants.events = crm::Names::these(["order_placed"]);
    grants.actions = crm::Names::these(["add_tag"]);
    grants.tags = crm::Names::these(["thanked"]);
    grants.purpose = Some(purpose);
    for plugin in ["noting", "own"] {
        let grants = Some(Box::new(grants.clone()));
        crm.define(day(10), Definition::Grants(plugin.parse().unwrap(), grants)).unwrap();
    }

    let replay = ScoreReplay::new(day(4), day(5), Span::days(1)).with_known(Known::Happened);
    let (mut one, mut old, mut new) = (Noting::recency(), Noting::recency(), Noting::recency());
    let report = crm.backtest_scorer(&mut one, replay, |_| {}).unwrap();
    crm.shadow_scorers(&mut old, &mut new, replay, |_| {}).unwrap();
    assert_eq!((report.scored, report.without), (0, 2), "it has nothing to go by");
    for seen in [one, old, new] {
        for (customer, row) in seen.rows.values().flatten() {
            assert_ne!(*customer, ben, "who objects to what it is for is not shown");
            for (attribute, cell) in Attribute::ALL.iter().zip(row) {
                assert_eq!(*cell, (*attribute == Attribute::Orders).then_some(2), "{}", attribute.name());
            }
        }
    }

    let own = Own::new(thanks);
    let replay = WorkflowReplay::new(day(0), day(10)).with_known(Known::Happened);
    let report = crm.backtest_workflow(&own, replay, |_| {}).unwrap();
    assert_eq!(
        report.calls.iter().map(|(kind, count)| (kind.as_str(), *count)).collect::<Vec<_>>(),
        [("order_placed", 3)]
    );
    assert_eq!(
        report.asked["award_points"].refused.keys().collect::<Vec<_>>(),
        ["not granted: the action award_points"]
    );
    // What it is installed with is a limit as well.
    let installed = crm.with_workflow(Own::new(thanks), crm::Grants::none());
    assert!(installed.backtest_workflow(&own, replay, |_| {}).unwrap().calls.is_empty());
}
