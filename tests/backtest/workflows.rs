//! Workflows on the past.

use std::collections::BTreeMap;

use crm::{Incoming, OrderPlaced, Refunded, SmolStr, Verdict, WorkflowReplay, WorkflowReply};

use super::shop::{Own, award, day, euros, everything, order, shop, source, tag, thanks, who};

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
