//! Segments that ask for scores: they move in the commit that keeps the score, and say why.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod by_function;

use std::sync::{Arc, Mutex};

use by_function::ByFunction;
use crm::blocking::Crm;
use crm::{
    Cause, ChangeBody, Channel, Comparison, CustomerId, Definition, DerivedIds, Digest, ExternalSystem, Identifier,
    Incoming, ManualClock, Millionths, Number, PluginFault, PluginName, PluginStamp, Predicate, ScoreName, ScoreOutput,
    SegmentName, Source, Span, Timestamp, Visited, Workflow, WorkflowCall, WorkflowReply,
};

fn day(day: u32) -> Timestamp {
    Timestamp::parse("2026-01-01").unwrap().plus(Span::days(day))
}

fn stamp(name: &str) -> PluginStamp {
    PluginStamp { name: PluginName::new(name).unwrap(), version: "1".into(), digest: Digest::of(name.as_bytes()) }
}

fn churn() -> ScoreName {
    ScoreName { plugin: PluginName::new("churn").unwrap(), output: ScoreOutput::new("risk").unwrap() }
}

fn segment(name: &str) -> SegmentName {
    SegmentName::new(name).unwrap()
}

fn told(scores: &[(CustomerId, f64)]) -> ByFunction {
    ByFunction::told("churn", "risk", scores.iter().copied())
}

/// Notes what it hears, in order.
#[derive(Debug)]
struct Listener(PluginStamp, Arc<Mutex<Vec<String>>>);

impl Workflow for Listener {
    fn stamp(&self) -> &PluginStamp {
        &self.0
    }

    fn listens(&self, kind: &str) -> bool {
        ["scored", "segment_entered", "segment_left"].contains(&kind)
    }

    fn handle(&self, call: &WorkflowCall<'_>) -> Result<WorkflowReply, PluginFault> {
        self.1.lock().unwrap().push(call.trigger.kind.to_string());
        Ok(WorkflowReply::default())
    }
}

struct Shop {
    crm: Crm,
    clock: Arc<ManualClock>,
    heard: Arc<Mutex<Vec<String>>>,
}

fn shop() -> Shop {
    let (clock, heard) = (Arc::new(ManualClock::at(day(10))), Arc::new(Mutex::new(Vec::new())));
    let listener = Listener(stamp("listener"), Arc::clone(&heard));
    let crm = crm::Crm::builder().clock(Arc::clone(&clock)).ids(DerivedIds).workflow(listener).build();
    let crm = Crm::from(crm);
    crm.define(day(0), Definition::Scorer(churn().plugin, Some([churn().output].into()))).unwrap();
    let rule = crm.rule(r#"score("churn") > 0.7"#).unwrap();
    crm.define(day(0), Definition::Segment(segment("leaving"), Some(rule))).unwrap();
    Shop { crm, clock, heard }
}

fn visit(crm: &Crm, who: &str) -> CustomerId {
    let who = Identifier::external(&ExternalSystem::new("shop").unwrap(), who).unwrap();
    let visit = Visited { channel: Channel::Web, place: None };
    crm.record(Incoming::new(who, day(1), Source::new("shop").unwrap(), visit)).unwrap().customer
}

fn is_leaving(crm: &Crm, id: CustomerId) -> bool {
    let noted = crm.customer(id).unwrap().unwrap().standing().is_in(&segment("leaving"));
    let rule = crm.rule(r#"score("churn") > 0.7"#).unwrap();
    assert_eq!(crm.select(&rule, None, 10).unwrap().customers.contains(&id), noted);
    noted
}

#[test]
fn a_score_moves_its_segments_in_its_own_commit() {
    let Shop { crm, clock, heard } = shop();
    let (ana, ben) = (visit(&crm, "ana"), visit(&crm, "ben"));
    assert!(!is_leaving(&crm, ana));
    assert_eq!(crm.score(&mut told(&[(ana, 0.9)]), day(10)).unwrap().scored, 1);
    assert_eq!(std::mem::take(&mut *heard.lock().unwrap()), ["scored", "segment_entered"]);
    assert_eq!(crm.score(&mut told(&[(ben, 0.7)]), day(10)).unwrap().scored, 1);
    assert_eq!(*heard.lock().unwrap(), ["scored"]);
    assert!(is_leaving(&crm, ana) && !is_leaving(&crm, ben), "0.7 is not more than 0.7");
    let change = crm.story(ana).unwrap().unwrap().changes.pop().unwrap();
    assert_eq!((change.at, change.cause), (day(10), Cause::Scored));
    let because = r#"score("churn", "risk") > 0.7"#;
    assert_eq!(change.body, ChangeBody::SegmentEntered { segment: segment("leaving"), because: Some(because.into()) });
    let why = crm.explain(ana, &segment("leaving")).unwrap().unwrap();
    assert_eq!(
        (why.text.as_str(), why.holds, why.left, why.right),
        (because, Some(true), Some(900_000), Some(700_000))
    );
    let none = crm.score(&mut told(&[(ana, 0.9), (ben, 0.7)]), day(10)).unwrap();
    assert_eq!((none.scored, none.known), (0, 2), "the same run again");
    clock.set(day(20));
    crm.score(&mut told(&[(ana, 0.2)]), day(20)).unwrap();
    assert!(!is_leaving(&crm, ana));
    crm.score(&mut told(&[(ana, 0.95)]), day(15)).unwrap();
    assert!(!is_leaving(&crm, ana), "what was so before is kept, and does not count");
    let story = crm.story(ana).unwrap().unwrap();
    assert_eq!((story.scores.len(), story.changes.len()), (3, 3), "met, in and out");
}

#[test]
fn a_score_that_is_no_number_is_refused_and_a_missing_one_is_missing() {
    let Shop { crm, .. } = shop();
    let ana = visit(&crm, "ana");
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(crm.score(&mut told(&[(ana, wrong)]), day(10)).unwrap().failed, 1);
    }
    let count = |text: &str| crm.count(&crm.rule(text).unwrap()).unwrap();
    assert_eq!((count(r#"score("churn") > 0"#), count(r#"!(score("churn") > 0)"#)), (0, 0));
    assert_eq!((count(r#"known(score("churn"))"#), count(r#"!known(score("churn"))"#)), (0, 1));
    crm.score(&mut told(&[(ana, 1e300)]), day(10)).unwrap();
    assert_eq!((count(r#"score("churn") > 9223372036854"#), count(r#"known(score("churn"))"#)), (1, 1));
}

#[test]
fn the_farthest_limits_divide_scores_in_the_store_as_they_do_in_a_rule() {
    let Shop { crm, .. } = shop();
    let scores: Vec<(CustomerId, f64)> = [-1e300, -1.0, 0.0, 1e300, 5e-324]
        .into_iter()
        .enumerate()
        .map(|(n, score)| (visit(&crm, &n.to_string()), score))
        .collect();
    visit(&crm, "of whom there is no score");
    crm.score(&mut told(&scores), day(10)).unwrap();
    let all = [Comparison::Eq, Comparison::Ne, Comparison::Lt, Comparison::Le, Comparison::Gt, Comparison::Ge];
    for is in all {
        for limit in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX] {
            let holds = |(_, score): &&(CustomerId, f64)| is.holds(Millionths::of_score(*score).unwrap().get(), limit);
            let expected = scores.iter().filter(holds).count() as u64;
            let rule = Predicate::compare(Number::Score(churn()), is, limit);
            assert_eq!(crm.count(&rule).unwrap(), expected, "{rule}");
            let not = Predicate::Not(Box::new(rule));
            assert_eq!(crm.count(&not).unwrap(), scores.len() as u64 - expected, "{not}");
        }
    }
}

#[test]
fn merged_customers_have_the_scores_of_the_id_they_go_on_under() {
    let Shop { crm, .. } = shop();
    let (ana, ben) = (visit(&crm, "ana"), visit(&crm, "ben"));
    crm.score(&mut told(&[(ana, 0.9), (ben, 0.1)]), day(10)).unwrap();
    let head = crm.merge(ana, ben, "one person".parse().unwrap()).unwrap().customer;
    assert_eq!(is_leaving(&crm, head), head == ana);
    crm.score(&mut told(&[(head, 0.8)]), day(11)).unwrap();
    assert!(is_leaving(&crm, head));
    crm.part(ana, ben, "two after all".parse().unwrap()).unwrap();
    let score = |id| crm.customer(id).unwrap().unwrap().score(&churn()).map(|score| score.value);
    let own = |id| if id == ana { 900_000 } else { 100_000 };
    for id in [ana, ben] {
        let expected = if id == head { 800_000 } else { own(id) };
        assert_eq!(score(id), Some(Millionths::new(expected)));
        assert_eq!(is_leaving(&crm, id), expected > 700_000);
    }
}

#[test]
fn an_export_comes_back_with_its_scores_and_an_erasure_leaves_them() {
    let Shop { crm, .. } = shop();
    let ana = visit(&crm, "ana");
    crm.score(&mut told(&[(ana, 0.9)]), day(10)).unwrap();
    let export = crm.export(ana).unwrap().unwrap();
    let Shop { crm: again, .. } = shop();
    again.import(&export).unwrap();
    assert!(is_leaving(&again, ana));
    crm.erase(ana).unwrap();
    assert!(is_leaving(&crm, ana));
}

#[test]
fn a_scorer_is_declared_with_its_scores() {
    let Shop { crm, .. } = shop();
    let refused = crm.define(day(1), Definition::Scorer(PluginName::new("x").unwrap(), Some([].into()))).unwrap_err();
    assert_eq!(refused.to_string(), "x gives 0 scores, and may give 1 to 64");
    crm.define(day(5), Definition::Scorer(churn().plugin, None)).unwrap();
    let unknown = crm.rule(r#"score("churn") > 0.7"#).unwrap_err();
    assert!(unknown.to_string().contains(r#"there is no scorer "churn""#), "{unknown}");
}
