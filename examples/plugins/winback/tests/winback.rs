//! The workflow's logic, tested natively: no host is needed.

use crm_plugin_sdk::{Action, Entries, Event, Workflow};
use winback::Winback;

/// What the workflow asks for, for a customer with two orders and this spend.
fn asked(event: Event, spend: i64) -> Vec<Action> {
    let mut workflow = Winback::default();
    workflow.configure(&Entries::new().with("spend_above", 10_000)).unwrap();
    let customer = Entries::new().with("orders", 2).with("spend", spend).with("points", 40);
    workflow.handle(&event, &customer, &[]).unwrap().actions
}

fn moved(from: &str, to: &str) -> Event {
    Event::new("stage_changed").with("from", from).with("to", to)
}

fn scored(output: &str, value: f64) -> Event {
    Event::new("scored").with("scorer", "churn").with("output", output).with("value", value)
}

#[test]
fn a_good_customer_who_leaves_is_marked_and_gets_an_offer() {
    let offer = Action::notify("win-back-offer").with("points", 40);
    assert_eq!(asked(moved("purchase", "historical"), 10_001), [Action::add_tag("win-back"), offer]);
}

#[test]
fn a_small_customer_who_leaves_is_left_alone() {
    assert_eq!(asked(moved("purchase", "historical"), 10_000), []);
}

#[test]
fn who_returns_is_thanked() {
    let thanks = [Action::remove_tag("win-back"), Action::award_points(100, "welcome back")];
    assert_eq!(asked(moved("historical", "purchase"), 0), thanks);
}

#[test]
fn other_moves_ask_for_nothing() {
    assert_eq!(asked(moved("awareness", "purchase"), 90_000), []);
}

#[test]
fn a_high_churn_score_warns() {
    assert_eq!(asked(scored("churn", 0.81), 0), [Action::notify("at-risk")]);
    assert_eq!(asked(scored("churn", 0.8), 0), []);
    assert_eq!(asked(scored("value", 0.9), 0), []);
}

#[test]
fn a_single_order_is_no_risk_to_warn_about() {
    let customer = Entries::new().with("orders", 1);
    let outcome = Winback::default().handle(&scored("churn", 0.99), &customer, &[]).unwrap();
    assert_eq!(outcome.actions, []);
}
