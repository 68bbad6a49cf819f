//! The harness on the smallest guest and on one of the examples.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::path::{Path, PathBuf};

use crm_plugin_harness::{BuildError, Guest, HarnessError, build};
use crm_plugin_sdk::{Action, Batch, Cell, Column, Entries, Event, Failure, Scorer, events, features, lookup};
use crm_plugins::Fault;

features! {
    struct Inputs { recency_days }
}

/// What the guest `minimal` computes.
#[derive(Default)]
struct Recency;

impl Scorer for Recency {
    fn score(&self, batch: &Batch) -> Result<Vec<Column>, Failure> {
        Ok(vec![batch.score(|customer: Inputs| Some((customer.recency_days? / 365.0).min(1.0)))?])
    }
}

/// The same, but for customers of more than a year.
#[derive(Default)]
struct Other;

impl Scorer for Other {
    fn score(&self, batch: &Batch) -> Result<Vec<Column>, Failure> {
        Ok(vec![batch.score(|customer: Inputs| Some((customer.recency_days? / 365.0).min(2.0)))?])
    }
}

fn guests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/tests/guests")
}

fn minimal() -> Guest {
    let wasm = guest_build::build_in(&guests().join("minimal/Cargo.toml"), "minimal").unwrap();
    Guest::load(&wasm).unwrap()
}

#[test]
fn a_guest_without_the_standard_library_scores_as_its_native_type_does() {
    let guest = minimal();
    assert_eq!(guest.plugin().manifest().features, ["recency_days"]);
    for seed in 0..10 {
        guest.assert_scores_like(Recency::default, &Entries::new(), &Batch::sample(seed, 500));
    }
}

#[test]
#[should_panic(expected = "natively and")]
fn a_guest_that_scores_otherwise_is_caught() {
    minimal().assert_scores_like(Other::default, &Entries::new(), &Batch::sample(1, 500));
}

#[test]
fn a_feature_that_a_batch_has_not_is_missing() {
    let scores = minimal().score(&Entries::new(), &Batch::new(2)).unwrap();
    assert_eq!(scores[0].cell(1), Cell::Missing);
}

#[test]
fn a_workflow_answers_in_the_words_of_the_sdk() {
    let guest = Guest::load(&guest_build::build("winback").unwrap()).unwrap();
    let left = Event::new(events::STAGE_CHANGED).with("from", "purchase").with("to", "historical");
    let customer = Entries::new().with(features::SPEND, 25_000).with(features::POINTS, 120);
    let outcome = guest.handle(&Entries::new(), &left, &customer, &[]).unwrap();
    let notify = Action::notify("win-back-offer").with("points", 120);
    assert_eq!(outcome.actions, [Action::add_tag("win-back"), notify]);
    let error = guest.handle(&Entries::new().with("spend_above", "much"), &left, &customer, &[]).unwrap_err();
    assert!(matches!(error, HarnessError::Fault(_)), "{error}");
}

#[test]
fn what_a_workflow_looks_up_is_what_the_test_provided() {
    let folder = guests().join("../../../tests/guests/Cargo.toml");
    let guest = Guest::load(&guest_build::build_in(&folder, "restock").unwrap()).unwrap();
    let seen = Event::new(events::VISITED).with("products", "mug jug");
    let answer = || guest.handle(&Entries::new(), &seen, &Entries::new(), &[]);
    assert!(matches!(answer(), Err(HarnessError::Fault(Fault::Need(need))) if need.source == "stock"));
    lookup::provide("stock", "mug", "on_hand", 0);
    lookup::provide("stock", "jug", "on_hand", 3);
    assert_eq!(answer().unwrap().actions[0].args.text("product"), Some("jug"));
    lookup::refuse("stock");
    assert!(matches!(answer(), Err(HarnessError::Fault(Fault::Refused { .. }))));
}

#[test]
fn a_folder_without_a_project_is_named() {
    let error = build(guests()).unwrap_err();
    assert!(matches!(&error, BuildError::NoProject { project } if *project == guests()), "{error}");
}
