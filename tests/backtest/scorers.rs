//! Scorers on the past.

use crm::{
    Attribute, Incoming, Ingestion, Known, Objected, Objection, ObjectionWithdrawn, OrderPlaced, Outlook, PluginFault,
    PluginStamp, Refunded, Restricted, RestrictionLifted, ScoreBatch, ScoreReplay, Scorer, SmolStr, Span,
    WorkflowReplay, WorkflowReply,
};

use super::shop::{Noting, Own, day, euros, order, shop, source, who};

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
