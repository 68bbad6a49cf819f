//! The example plugins, built as their authors build them, in a host.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod support;

use crm_plugins::{Batch, Column, Entry, Fault, Host, InputError, Value, WorkflowOutcome};
use support::{event, host};

fn load(host: &Host, name: &str) -> crm_plugins::Plugin {
    host.load(&guest_build::build(name).unwrap()).unwrap()
}

/// `rows` customers, every seventh without a last order.
fn customers(rows: usize) -> Batch {
    let recency = (0..rows).map(|row| (row % 7 != 6).then_some((row % 200) as f64));
    let orders = (0..rows).map(|row| Some((row % 12) as i64));
    let average = (0..rows).map(|row| Some(200.0 + (row % 500) as f64));
    let columns = vec![Column::floats(recency).unwrap(), Column::ints(orders), Column::floats(average).unwrap()];
    Batch::new(rows, vec![Entry::new("as_of_ms", 0)], columns).unwrap()
}

#[test]
fn a_manifest_is_read_without_running() {
    let churn = load(&host(), "churn");
    assert!(churn.is_scorer() && !churn.is_workflow());
    assert_eq!((churn.name(), churn.version()), ("churn", "0.1.0"));
    assert_eq!(churn.manifest().features, ["recency_days", "orders", "average_order"]);
    assert_eq!(churn.manifest().outputs[0].max, Some(1.0));
    let winback = load(&host(), "winback");
    assert!(winback.is_workflow() && !winback.is_scorer());
    assert_eq!(winback.manifest().events, ["stage_changed", "scored"]);
}

#[test]
fn the_churn_scorer_scores_by_recency_frequency_and_money() {
    let mut scorer = load(&host(), "churn").scorer(&[]).unwrap();
    let columns = vec![
        Column::floats([Some(90.0), Some(0.0), None]).unwrap(),
        Column::ints([Some(4), Some(12), Some(4)]),
        Column::floats([Some(3_000.0), Some(3_000.0), Some(3_000.0)]).unwrap(),
    ];
    let scores = scorer.score(&Batch::new(3, vec![], columns).unwrap()).unwrap();
    assert_eq!(scores.len(), 1);
    // Each feature is half way: z = 1.123 + 3.321 / 2 - 4.534 / 2 - 1.183 / 2 = -0.075.
    assert!((scores[0].float(0).unwrap() - 0.481_258_8).abs() < 1e-7);
    assert!(scores[0].float(1).unwrap() < 0.06);
    assert_eq!(scores[0].float(2), None);
}

#[test]
fn scores_do_not_depend_on_the_batch_or_the_instance() {
    let churn = load(&host(), "churn");
    let mut scorer = churn.scorer(&[]).unwrap();
    let first = scorer.score(&customers(1_024)).unwrap();
    let again = scorer.score(&customers(1_024)).unwrap();
    let fresh = churn.scorer(&[]).unwrap().score(&customers(2_048)).unwrap();
    assert_eq!(first, again);
    assert!((0..1_024).all(|row| first[0].float(row) == fresh[0].float(row)));
}

#[test]
fn an_empty_batch_has_empty_scores() {
    let scores = load(&host(), "churn").scorer(&[]).unwrap().score(&customers(0)).unwrap();
    assert_eq!(scores[0].rows(), 0);
}

#[test]
fn one_plugin_scores_on_many_threads() {
    let churn = load(&host(), "churn");
    let expected = churn.scorer(&[]).unwrap().score(&customers(256)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut scorer = churn.scorer(&[]).unwrap();
                for _ in 0..20 {
                    assert_eq!(scorer.score(&customers(256)).unwrap(), expected);
                }
            });
        }
    });
}

#[test]
fn winback_follows_a_customer_who_leaves_and_returns() {
    let winback = load(&host(), "winback");
    let customer = [Entry::new("orders", 4), Entry::new("spend", 25_000), Entry::new("points", 120)];
    let on = |from: &str, to: &str| {
        let event = event("stage_changed", vec![Entry::new("from", from), Entry::new("to", to)]);
        winback.handle(&event, &customer, &[]).unwrap()
    };
    let kinds = |outcome: &WorkflowOutcome| -> Vec<String> {
        outcome.actions.iter().map(|action| action.kind.clone()).collect()
    };

    let left = on("purchase", "historical");
    assert_eq!(kinds(&left), ["add_tag", "notify"]);
    assert_eq!(left.actions[1].arg("topic"), Some(&Value::Text("win-back-offer".into())));
    assert_eq!(left.actions[1].arg("points"), Some(&Value::Int(120)));

    let returned = on("historical", "purchase");
    assert_eq!(kinds(&returned), ["remove_tag", "award_points"]);
    assert_eq!(returned.actions[1].arg("points"), Some(&Value::Int(100)));

    assert_eq!(kinds(&on("awareness", "purchase")), [""; 0]);
}

#[test]
fn the_lead_scorer_ranks_who_ordered_lately_above_who_did_not() {
    let lead = load(&host(), "lead");
    let floats = |cells: [f64; 3]| Column::floats(cells.map(Some)).unwrap();
    let columns = vec![
        floats([5.0, 90.0, 170.0]),
        floats([160.0, 160.0, 170.0]),
        Column::ints([Some(12), Some(2), Some(1)]),
        Column::ints([Some(1), Some(0), None]),
        floats([480_000.0, 40_000.0, 9_000.0]),
        floats([40_000.0, 20_000.0, 9_000.0]),
    ];
    let scores = lead.scorer(&[]).unwrap().score(&Batch::new(3, vec![], columns).unwrap()).unwrap();
    let [regular, second, gone] = [0, 1, 2].map(|row| scores[0].float(row).unwrap());
    assert!(regular > 0.6 && regular > second && second > gone && gone < 0.2, "{regular} {second} {gone}");
}

#[test]
fn fraud_watch_tells_of_gifts_in_a_hurry_once() {
    let watch = load(&host(), "fraud-watch");
    let mut memory = Vec::new();
    let mut asked = Vec::new();
    for hour in 0..8_i64 {
        let fields = vec![Entry::new("posting", "given"), Entry::new("points", -100_i64)];
        let mut given = event("points_posted", fields);
        given.at_ms = hour * 3_600_000;
        let outcome = watch.handle(&given, &[], &memory).unwrap();
        memory = outcome.memory;
        asked.extend(outcome.actions.into_iter().map(|action| (hour, action.kind)));
    }
    assert_eq!(asked, [(5, "add_tag".to_owned()), (5, "notify".to_owned())]);
}

#[test]
fn next_best_action_asks_who_fills_carts_for_a_first_order() {
    let next = load(&host(), "next-best-action").workflow(&[Entry::new("bother", 20)]).unwrap();
    let customer = [Entry::new("orders", 0), Entry::new("carts", 2), Entry::new("recency_days", Value::Null)];
    let first = next.handle(&event("cart_updated", vec![]), &customer, &[]).unwrap();
    assert_eq!(first.actions[0].arg("topic"), Some(&Value::Text("first-order".into())));
    let soon = next.handle(&event("cart_updated", vec![]), &customer, &first.memory).unwrap();
    assert_eq!(soon.actions, []);
}

#[test]
fn a_parameter_moves_the_threshold() {
    let winback = load(&host(), "winback");
    let fields = vec![Entry::new("from", "purchase"), Entry::new("to", "historical")];
    let left = event("stage_changed", fields);
    let customer = [Entry::new("spend", 25_000)];
    let strict = winback.workflow(&[Entry::new("spend_above", 30_000)]).unwrap();
    assert_eq!(strict.handle(&left, &customer, &[]).unwrap().actions, []);
    let error = winback.workflow(&[Entry::new("spend_above", "much")]).unwrap_err();
    assert_eq!(error.to_string(), "parameter `spend_above` must be a whole number");
}

#[test]
fn a_plugin_is_not_shown_what_it_did_not_ask_for() {
    let winback = load(&host(), "winback");
    let customer = [Entry::new("email", "jane@example.org")];
    let fault = winback.handle(&event("scored", vec![]), &customer, &[]).unwrap_err();
    assert_eq!(fault, Fault::Input(InputError::Feature { name: "email".into() }));
    let fault = winback.handle(&event("case_opened", vec![]), &[], &[]).unwrap_err();
    assert_eq!(fault, Fault::Input(InputError::Event { kind: "case_opened".into() }));
    assert!(!fault.is_plugins());
}

#[test]
fn a_scorer_is_no_workflow_and_counts_its_columns() {
    let churn = load(&host(), "churn");
    assert_eq!(churn.workflow(&[]).unwrap_err().kind(), "input");
    let fault = churn.scorer(&[]).unwrap().score(&support::two_rows()).unwrap_err();
    assert_eq!(fault, Fault::Input(InputError::Columns { expected: 3, actual: 0 }));
}

#[test]
fn a_finished_component_loads_like_the_module_it_was_made_of() {
    // What an author's tools make of the module, by the contract that travels in it.
    let module = guest_build::build("churn").unwrap();
    let component = wit_component::ComponentEncoder::default().module(&module).unwrap().encode().unwrap();
    let host = host();
    let churn = host.load(&component).unwrap();
    assert_ne!(churn.digest(), host.load(&module).unwrap().digest());
    let expected = host.load(&module).unwrap().scorer(&[]).unwrap().score(&customers(64));
    assert_eq!(churn.scorer(&[]).unwrap().score(&customers(64)), expected);
}

#[test]
fn a_plugin_outlives_its_host() {
    let churn = load(&host(), "churn");
    assert!(churn.scorer(&[]).unwrap().score(&customers(8)).is_ok());
}

#[test]
fn the_sdk_carries_the_same_contract() {
    let ours = include_str!("../wit/v0_1/plugin.wit");
    assert_eq!(ours, include_str!("../sdk/wit/v0_1/plugin.wit"));
}
