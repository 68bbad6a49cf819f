//! Plugins tried on the past: they say what they would have said, and nothing is written.
//!
//! `backtest/scorers.rs` and `backtest/workflows.rs` have each by itself, `backtest/laws.rs` whatever happened.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp, reason = "a panic is how a test fails")]

#[path = "backtest/laws.rs"]
mod laws;
#[path = "backtest/scorers.rs"]
mod scorers;
#[path = "backtest/shop.rs"]
mod shop;
#[cfg(feature = "sqlite")]
#[path = "backtest/stores.rs"]
mod stores;
#[path = "backtest/workflows.rs"]
mod workflows;

use crm::{
    Attribute, Definition, Error, Incoming, Known, Objected, Objection, ReplayError, ScoreReplay, Span, WorkflowReplay,
    WorkflowReply,
};
use shop::{Noting, Own, day, order, shop, source, thanks, who};

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
