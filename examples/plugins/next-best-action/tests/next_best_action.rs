//! The workflow's logic, tested natively: no host is needed.

use crm_plugin_sdk::{Action, Entries, Event, Outcome, Workflow};
use next_best_action::{Known, Memory, NextBestAction, Offer};

const DAY_MS: i64 = 86_400_000;

fn workflow() -> NextBestAction {
    let mut workflow = NextBestAction::default();
    workflow.configure(&Entries::new().with("quiet_days", 21).with("bother", 20)).unwrap();
    workflow
}

fn customer(orders: i64, recency_days: i64, average_order: i64) -> Entries {
    let rest = Entries::new().with("recency_days", recency_days).with("average_order", average_order);
    rest.with("orders", orders).with("points", 0).with("carts", 1)
}

fn on(day: i64, kind: &str) -> Event {
    Event { at_ms: day * DAY_MS, ..Event::new(kind) }
}

fn topics(outcome: &Outcome) -> Vec<&str> {
    outcome.actions.iter().filter_map(|action| action.args.text("topic")).collect()
}

#[test]
fn who_only_fills_carts_is_asked_for_a_first_order() {
    let outcome = workflow().handle(&on(0, "cart_updated"), &customer(0, 0, 0), &[]).unwrap();
    // 4 in 100 of 30 % of 30.00.
    assert_eq!(outcome.actions, [Action::notify("first-order").with("worth", 36).with("points", 0)]);
}

#[test]
fn who_ordered_once_is_asked_for_a_second_order_but_not_at_once() {
    let asked = |recency| {
        let outcome = workflow().handle(&on(100, "stage_changed"), &customer(1, recency, 8_000), &[]).unwrap();
        topics(&outcome).join(" ")
    };
    assert_eq!([0, 6, 7, 90, 91].map(asked), ["", "", "second-order", "second-order", ""]);
}

#[test]
fn a_customer_is_left_alone_for_three_weeks() {
    let workflow = workflow();
    let first = workflow.handle(&on(10, "stage_changed"), &customer(1, 10, 8_000), &[]).unwrap();
    assert_eq!(topics(&first), ["second-order"]);
    let soon = workflow.handle(&on(30, "stage_changed"), &customer(1, 30, 8_000), &first.memory).unwrap();
    assert_eq!(topics(&soon), [""; 0]);
    let later = workflow.handle(&on(31, "stage_changed"), &customer(1, 31, 8_000), &soon.memory).unwrap();
    assert_eq!(topics(&later), ["second-order"]);
}

#[test]
fn a_score_is_remembered_until_the_next_occasion() {
    let workflow = workflow();
    let scored = on(50, "scored").with("output", "churn").with("value", 0.7);
    let first = workflow.handle(&scored, &customer(6, 20, 9_000), &[]).unwrap();
    assert_eq!(topics(&first), ["come-back"]);
    let again = workflow.handle(&on(80, "stage_changed"), &customer(6, 50, 9_000), &first.memory).unwrap();
    assert_eq!(topics(&again), ["come-back"]);
    let gone = on(110, "scored").with("output", "churn").with("value", 0.97);
    assert_eq!(topics(&workflow.handle(&gone, &customer(6, 80, 9_000), &again.memory).unwrap()), [""; 0]);
    let other = on(50, "scored").with("output", "lead").with("value", 0.7);
    assert_eq!(workflow.handle(&other, &customer(6, 20, 9_000), &[]).unwrap(), Outcome::nothing());
}

#[test]
fn the_offer_that_is_worth_most_is_chosen() {
    let rich = Known { orders: 4, average_order: 9_000, recency_days: 40, points: 900, ..Known::default() };
    assert_eq!(Offer::ALL.map(|offer| offer.worth(&rich)), [0, 0, 67, 0]);
    let leaving = Known { churn: Some(0.8), ..rich };
    assert_eq!(Offer::ALL.map(|offer| offer.worth(&leaving)), [0, 0, 67, 94]);
}

#[test]
fn what_is_not_worth_the_bother_is_not_asked_for() {
    let outcome = workflow().handle(&on(0, "stage_changed"), &customer(1, 10, 2_000), &[]).unwrap();
    assert_eq!(outcome.actions, []);
}

#[test]
fn no_amount_is_too_large() {
    let known = Known { orders: 1, average_order: i64::MAX, recency_days: 10, ..Known::default() };
    assert_eq!(Offer::SecondOrder.worth(&known), i64::MAX / 1_000_000 * 9_000 + 6_982);
    let outcome =
        workflow().handle(&Event { at_ms: i64::MIN, ..on(0, "scored") }, &customer(1, 10, i64::MIN), &[9; 16]);
    assert_eq!(outcome.unwrap().actions, []);
}

#[test]
fn memory_comes_back_as_it_was_and_a_strangers_is_forgotten() {
    for memory in [
        Memory::default(),
        Memory { asked_at_ms: Some(0), churn: None },
        Memory { asked_at_ms: None, churn: Some(0.25) },
        Memory { asked_at_ms: Some(-1), churn: Some(0.0) },
    ] {
        assert_eq!(Memory::read(&memory.write()), memory);
    }
    assert_eq!(Memory::read(b"something else"), Memory::default());
}

#[test]
fn a_parameter_that_makes_no_sense_is_declined() {
    let error = NextBestAction::default().configure(&Entries::new().with("quiet_days", -1)).unwrap_err();
    assert_eq!(error.code(), "bad-quiet-days");
}
