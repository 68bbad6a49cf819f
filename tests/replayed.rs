//! What workflows are told in a replay beside the customer, and what they may do there: look-ups, scores and grants; and what
//! nothing that is kept can tell.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind among all")]

mod by_function;
mod own;

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use by_function::ByFunction;
use crm::blocking::Crm;
use crm::{
    Attribute, Command, Definition, Field, FieldName, FieldValue, Fields, Grants, Incoming, LookupSource, Names,
    Objected, Objection, ObjectionWithdrawn, PluginFault, PluginName, Purpose, ReplayGaps, ScoreOutput, SegmentName,
    SmolStr, SourceFailed, SourceName, Span, Tag, TenantId, Verdict, Workflow, WorkflowBacktest, WorkflowReplay,
    WorkflowReply,
};
use own::{Own, ana, ask, day, faults, messages, order, shop_of, source, tell, visit};

fn name(of: &str) -> PluginName {
    PluginName::new(of).unwrap()
}

fn tag(tag: &str) -> Command {
    Command::AddTag(Tag::new(tag).unwrap())
}

/// All that was recorded by now.
fn replay(crm: &Crm, workflow: &Own) -> WorkflowBacktest {
    let past = WorkflowReplay::new(day(0).minus(Span::days(99)), crm.now()).with_samples(10_000);
    crm.backtest_workflow(workflow, past, |_| {}).unwrap()
}

fn counts(of: &BTreeMap<SmolStr, u64>) -> Vec<(&str, u64)> {
    of.iter().map(|(what, count)| (what.as_str(), *count)).collect()
}

// ---- look-ups ----

/// How many pieces there are: one fewer each time somebody asks, and of some things nobody knows.
#[derive(Debug, Default)]
struct Stock(Arc<Mutex<i64>>);

#[async_trait]
impl LookupSource for Stock {
    async fn fetch(
        &self,
        _: &TenantId,
        _: &FieldName,
        keys: &[SmolStr],
    ) -> Result<Vec<Option<FieldValue>>, SourceFailed> {
        let mut asked = self.0.lock().unwrap();
        *asked += 1;
        let left = FieldValue::Int(100 - *asked);
        Ok(keys.iter().map(|key| (key != "unknown").then(|| left.clone())).collect())
    }
}

fn stock() -> SourceName {
    SourceName::new("stock").unwrap()
}

/// Tells how many pieces of a thing there are, and of one that nobody knows.
fn keeper(name: &str, listens: &[&'static str], thing: &'static str) -> Own {
    Own::new(name, listens, move |call| {
        let found = call.look_up(&stock(), &"pieces".parse().unwrap(), &[thing, "unknown"])?;
        let value = |value: &Option<FieldValue>| value.clone().unwrap_or(FieldValue::Bool(false));
        let fields = found.iter().map(value).zip(["pieces", "unknown"]);
        let fields = fields.map(|(value, name)| (name.parse().unwrap(), value));
        let when = FieldValue::Text(format!("{} {} {}", call.at, call.trigger.kind, call.trigger.id).into());
        let fields = fields.chain([("when".parse().unwrap(), when)]).collect();
        ask(vec![Command::Notify { topic: "stock".parse().unwrap(), fields }])
    })
}

/// When what was told, how many pieces there were, and whether there was nothing of what nobody knows.
fn line(fields: &Fields) -> (String, i64, bool) {
    let field = |name: &str| fields.get(&name.parse::<FieldName>().unwrap()).cloned();
    let (Some(FieldValue::Text(when)), Some(FieldValue::Int(pieces))) = (field("when"), field("pieces")) else {
        panic!()
    };
    (when.to_string(), pieces, field("unknown") == Some(FieldValue::Bool(false)))
}

/// What a keeper told the host.
fn told(crm: &Crm) -> Vec<(String, i64, bool)> {
    let mut told = Vec::new();
    crm.deliver(day(9_999), |delivery| {
        told.push(line(&delivery.fields));
        crm::Delivered::Done
    })
    .unwrap();
    told.sort();
    told
}

fn would_tell(report: &WorkflowBacktest) -> Vec<(String, i64, bool)> {
    let told = |command: &Command| match command {
        Command::Notify { fields, .. } => line(fields),
        _ => panic!(),
    };
    let mut told: Vec<_> = report.samples.iter().map(|action| told(&action.command)).collect();
    told.sort();
    told
}

/// An order and visits, some on one day, and years in which the customer leaves two segments, at one go.
fn live_with_stock(keeper: Own) -> (Arc<Mutex<i64>>, Crm) {
    let asked = Arc::default();
    let builder = crm::Crm::builder().lookup_source(stock(), Stock(Arc::clone(&asked))).workflow(keeper);
    let (clock, crm) = shop_of(builder);
    for days in ["30d", "300d"] {
        let rule = crm.rule(&format!(r#"orders.in_last("{days}") >= 1"#)).unwrap();
        crm.define(day(0), Definition::Segment(SegmentName::new(days).unwrap(), Some(rule))).unwrap();
    }
    for (n, (on, at)) in (0..).zip([(0, 0), (3, 3), (3, 3), (5, 4)]) {
        clock.set(day(on).plus(Span::millis(n)));
        crm.record(visit(day(at).plus(Span::millis(n)))).unwrap();
    }
    clock.set(day(6));
    crm.record(order(day(6), 50)).unwrap();
    clock.set(day(3_000));
    crm.advance(day(3_000)).unwrap();
    assert!(faults(&crm).is_empty(), "{:?}", faults(&crm));
    (asked, crm)
}

const LISTENS: [&str; 5] = ["visited", "order_placed", "points_posted", "stage_changed", "segment_left"];

#[test]
fn a_look_up_is_answered_with_what_was_recorded_then_and_no_source_is_asked() {
    let (asked, crm) = live_with_stock(keeper("keeper", &LISTENS, "bicycle"));
    let (live, before) = (told(&crm), *asked.lock().unwrap());
    assert!(live.len() >= 8 && before > 5, "{live:?}");
    // Another plugin that looks the same up is told the same.
    for plugin in ["keeper", "newcomer"] {
        let report = replay(&crm, &keeper(plugin, &LISTENS, "bicycle"));
        assert_eq!(would_tell(&report), live, "{plugin}");
        assert_eq!(counts(&report.looked_up), [("stock", live.len() as u64)]);
        assert_eq!((report.gaps, report.faults.len()), (ReplayGaps::default(), 0));
    }
    assert_eq!(*asked.lock().unwrap(), before);
}

#[test]
fn a_look_up_that_nobody_made_then_is_a_gap_and_no_fault() {
    let (_, crm) = live_with_stock(keeper("keeper", &["visited", "stage_changed"], "bicycle"));
    let bells = replay(&crm, &keeper("bells", &["visited"], "bell"));
    assert_eq!((counts(&bells.calls), counts(&bells.gaps.look_ups)), (vec![("visited", 4)], vec![("stock", 4)]));
    assert_eq!((bells.faults.len(), bells.asked.len(), bells.looked_up.len()), (0, 0, 0));
    // What was looked up for the stage that an order led to is what would have been found for the order.
    let orders = replay(&crm, &keeper("orders", &["order_placed"], "bicycle"));
    assert_eq!((counts(&orders.looked_up), orders.gaps), (vec![("stock", 1)], ReplayGaps::default()));
    // Whoever answers all the same is heard.
    let calm = Own::new("calm", &["visited"], |call| {
        let known = call.look_up(&stock(), &"pieces".parse().unwrap(), &["bell"]).is_ok();
        ask(vec![tag(if known { "known" } else { "unknown" })])
    });
    let calm = replay(&crm, &calm);
    assert_eq!((counts(&calm.gaps.look_ups), calm.asked["add_tag"].asked), (vec![("stock", 4)], 4));
}

#[test]
fn a_look_up_that_is_not_granted_is_refused_in_a_replay_too() {
    let (_, crm) = live_with_stock(keeper("keeper", &["visited"], "bicycle"));
    let mut grants = Grants::all();
    grants.lookups = Names::none();
    crm.define(day(0), Definition::Grants(name("keeper"), Some(Box::new(grants)))).unwrap();
    let report = replay(&crm, &keeper("keeper", &["visited"], "bicycle"));
    assert_eq!(counts(&report.faults), [("not granted: a look-up in a source", 4)]);
    assert_eq!(report.gaps, ReplayGaps::default());
}

#[test]
fn calls_that_would_see_the_card_are_counted_and_see_none() {
    let (_, crm) = live_with_stock(keeper("keeper", &["visited"], "bicycle"));
    let reader =
        Own::new("reader", &["visited"], |call| ask(vec![tag(if call.card().is_some() { "seen" } else { "not" })]));
    let report = replay(&crm, &reader.seeing(&[Field::Language]));
    assert_eq!(report.gaps, ReplayGaps { cards: 4, ..ReplayGaps::default() });
    assert!(report.samples.iter().all(|action| action.command == tag("not")));
}

// ---- grants ----

/// Four visits of one day and one of the next.
fn visits(crm: &Crm, clock: &crm::ManualClock) {
    for (n, day) in (0..).zip([day(0), day(0), day(0), day(0), day(1)]) {
        let at = day.plus(Span::millis(n));
        clock.set(at);
        crm.record(visit(at)).unwrap();
    }
}

/// What a workflow does live in a shop with these grants, and what it would have done in one that had it not.
fn live_and_replayed(workflow: fn() -> Own, grants: &Grants) -> (Crm, WorkflowBacktest) {
    let define = |crm: &Crm| {
        let grants = Definition::Grants(workflow().stamp().name.clone(), Some(Box::new(grants.clone())));
        crm.define(day(0).minus(Span::days(9)), grants).unwrap();
    };
    let (clock, live) = shop_of(crm::Crm::builder().workflow(workflow()));
    define(&live);
    visits(&live, &clock);
    let (clock, without) = shop_of(crm::Crm::builder());
    define(&without);
    visits(&without, &clock);
    let report = replay(&without, &workflow());
    (live, report)
}

#[test]
fn limits_of_a_day_stop_a_workflow_in_a_replay_where_they_stop_it_live() {
    let chatty = || Own::new("chatty", &["visited"], |_| ask(vec![tell("one"), tell("two")]));
    let mut grants = Grants::all();
    grants.limits.messages_a_day = Some(3);
    let (live, report) = live_and_replayed(chatty, &grants);
    let notify = &report.asked["notify"];
    assert_eq!((messages(&live), notify.carried_out), (5, 5));
    let refused: Vec<(String, u64)> = notify.refused.clone().into_iter().collect();
    assert_eq!(refused, [("not granted: more than 3 messages a day".to_owned(), 5)]);
    assert_eq!(faults(&live), vec![refused[0].0.clone(); 5]);

    let mut grants = Grants::all();
    grants.limits.decisions_a_day = 5;
    let (live, report) = live_and_replayed(chatty, &grants);
    assert_eq!((messages(&live), report.asked["notify"].carried_out), (7, 7));
    assert_eq!(faults(&live), ["more than 5 decisions a day: visited"]);
    assert_eq!(counts(&report.faults), [("more than 5 decisions a day", 1)]);
    assert_eq!(counts(&report.calls), [("visited", 4)], "after the last decision of a day it is not called");
}

#[test]
fn memory_look_ups_and_faults_count_among_the_decisions_of_a_day() {
    // The first visit is remembered, and it fails for those after it.
    let forgetful = || {
        Own::new("forgetful", &["visited"], |call| {
            let seen = call.memory.len() + 1;
            if seen % 2 == 0 {
                return Err(PluginFault::new("even"));
            }
            Ok(WorkflowReply { commands: vec![tell("odd")], memory: Some(vec![0; seen]) })
        })
    };
    for max in 1..8 {
        let mut grants = Grants::all();
        grants.limits.decisions_a_day = max;
        let (live, report) = live_and_replayed(forgetful, &grants);
        let faults = faults(&live);
        assert_eq!(report.faults.values().sum::<u64>(), faults.len() as u64, "{max}: {faults:?}, {:?}", report.faults);
        assert_eq!(report.asked.get("notify").map_or(0, |asked| asked.carried_out), messages(&live) as u64, "{max}");
    }
}

#[test]
fn what_a_workflow_was_installed_with_holds_in_a_replay() {
    let mut grants = Grants::all();
    grants.actions = Names::these(["notify"]);
    let both = || Own::new("both", &["visited"], |_| ask(vec![tell("hello"), tag("seen")]));
    let (clock, crm) = shop_of(crm::Crm::builder().workflow_granted(both(), grants));
    visits(&crm, &clock);
    let report = replay(&crm, &both());
    assert_eq!((report.asked["notify"].carried_out, report.asked["add_tag"].carried_out), (5, 0));
    let refused: Vec<&str> = report.asked["add_tag"].refused.keys().map(String::as_str).collect();
    assert_eq!(refused, ["not granted: the action add_tag"]);
}

#[test]
fn a_workflow_is_not_called_for_whoever_objects_to_its_purpose_by_then() {
    let marketing = Purpose::new("marketing").unwrap();
    let offers = || Own::new("offers", &["visited"], |_| ask(vec![tell("offer")]));
    let (clock, crm) = shop_of(crm::Crm::builder());
    let mut grants = Grants::all();
    grants.purpose = Some(marketing);
    crm.define(day(0).minus(Span::days(9)), Definition::Grants(name("offers"), Some(Box::new(grants)))).unwrap();
    let to = Objection::Marketing;
    let facts: [crm::Fact; 2] = [Objected { to }.into(), ObjectionWithdrawn { to }.into()];
    for (at, fact) in [(0, None), (1, Some(&facts[0])), (2, None), (3, Some(&facts[1])), (4, None)] {
        clock.set(day(at));
        if let Some(fact) = fact {
            crm.record(Incoming::new(ana(), day(at), source(), fact.clone())).unwrap();
        }
        crm.record(visit(day(at))).unwrap();
    }
    let called: Vec<_> = replay(&crm, &offers()).samples.iter().map(|action| action.at).collect();
    assert_eq!(called, [day(0), day(3), day(4)]);
}

// ---- scores ----

/// Two scores: the spend in hundreds, and the days since the last order.
fn worth() -> ByFunction {
    let hundredths = |cell: &Option<i64>| cell.map(|n| n as f64 / 100.0);
    let of = [Attribute::Spend, Attribute::RecencyDays];
    ByFunction::new("worth", &of, &["spent", "away"], move |_, row| row.iter().map(hundredths).collect())
}

/// Notes what it is told of, with the segments of then, and tags whoever is scored high.
fn listener(log: &Arc<Mutex<Vec<String>>>) -> Own {
    let log = Arc::clone(log);
    Own::new("listener", &["scored", "segment_entered", "segment_left", "tag_added", "order_placed"], move |call| {
        let segments: Vec<_> = call.customer.standing().segments().map(SegmentName::as_str).collect();
        let (kind, at, id, tags) = (&call.trigger.kind, call.at, call.trigger.id, call.customer.tags().count());
        let fields: Vec<&str> = call.trigger.fields.iter().map(|(name, _)| name.as_str()).collect();
        log.lock().unwrap().push(format!("{at} {kind} {id} {fields:?} {segments:?} {tags}"));
        ask(if kind == "segment_entered" { vec![tag("dear")] } else { Vec::new() })
    })
}

/// Orders over months, with scores after each; the second one brings the customer into a segment by their score.
fn scored_shop(builder: crm::CrmBuilder) -> Crm {
    let (clock, crm) = shop_of(builder);
    let outputs: std::collections::BTreeSet<_> = ["spent", "away"].map(|name| ScoreOutput::new(name).unwrap()).into();
    crm.define(day(0), Definition::Scorer(name("worth"), Some(outputs))).unwrap();
    let rule = crm.rule(r#"score("worth", "spent") > 60"#).unwrap();
    crm.define(day(0), Definition::Segment(SegmentName::new("dear").unwrap(), Some(rule))).unwrap();
    for at in [1, 31, 61] {
        clock.set(day(at));
        crm.record(order(day(at), 40)).unwrap();
        clock.set(day(at + 1));
        crm.score(&mut worth(), day(at + 1)).unwrap();
    }
    clock.set(day(100));
    crm
}

#[test]
fn a_workflow_is_told_of_the_scores_that_are_kept_and_of_what_moved_by_them() {
    let log = Arc::default();
    let crm = scored_shop(crm::Crm::builder().workflow(listener(&log)));
    let live = std::mem::take(&mut *log.lock().unwrap());
    assert_eq!(live.iter().filter(|line| line.contains(" scored ")).count(), 6);
    assert_eq!(live.iter().filter(|line| line.contains("segment_entered")).count(), 1);
    let report = replay(&crm, &listener(&log));
    let again = std::mem::take(&mut *log.lock().unwrap());
    // Of one instant the scores of a plugin come in the order of their names.
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    assert_eq!(sorted(again), sorted(live));
    assert_eq!((report.calls["scored"], report.gaps), (6, ReplayGaps::default()));
    assert!(report.samples.iter().all(|action| action.verdict == Verdict::CarriedOut));
}

#[test]
fn a_score_for_an_instant_that_was_long_gone_is_told_when_it_was_made() {
    let (clock, crm) = shop_of(crm::Crm::builder());
    let outputs: std::collections::BTreeSet<_> = ["spent", "away"].map(|name| ScoreOutput::new(name).unwrap()).into();
    crm.define(day(0), Definition::Scorer(name("worth"), Some(outputs))).unwrap();
    let rule = crm.rule(r#"score("worth", "spent") > 30"#).unwrap();
    crm.define(day(0), Definition::Segment(SegmentName::new("dear").unwrap(), Some(rule))).unwrap();
    crm.record(order(day(0), 40)).unwrap();
    clock.set(day(20));
    crm.score(&mut worth(), day(5)).unwrap();
    clock.set(day(40));
    let log = Arc::default();
    let told = |from: u32, to: u32, known| {
        let past = WorkflowReplay { known, ..WorkflowReplay::new(day(from), day(to)) };
        crm.backtest_workflow(&listener(&log), past, |_| {}).unwrap().calls.get("scored").copied()
    };
    use crm::Known::{Happened, Recorded};
    assert_eq!([told(1, 19, Recorded), told(20, 40, Recorded)], [None, Some(2)], "nobody knew of it before");
    assert_eq!([told(1, 19, Happened), told(20, 40, Happened)], [Some(2), None], "it is as of then");
}

#[test]
fn scores_that_are_kept_no_more_are_a_gap() {
    let log = Arc::default();
    let crm = scored_shop(crm::Crm::builder().scores_kept(NonZeroU16::new(2).unwrap()));
    let report = replay(&crm, &listener(&log));
    assert_eq!((report.calls["scored"], report.gaps.scores), (4, 2), "of two outputs the last two are there");
    // Whoever does not listen to scores misses none.
    assert_eq!(replay(&crm, &Own::new("deaf", &["visited"], |_| ask(Vec::new()))).gaps.scores, 0);
    // Before the oldest that are there nothing may be missing that would have been told.
    let later = WorkflowReplay::new(day(50), day(100));
    let report = crm.backtest_workflow(&listener(&log), later, |_| {}).unwrap();
    assert_eq!((report.calls["scored"], report.gaps.scores), (2, 0));
    // All that are there may be newer than what is replayed.
    let sooner = WorkflowReplay::new(day(0), day(10));
    let report = crm.backtest_workflow(&listener(&log), sooner, |_| {}).unwrap();
    assert_eq!((report.calls.get("scored"), report.gaps.scores), (None, 2));
}
