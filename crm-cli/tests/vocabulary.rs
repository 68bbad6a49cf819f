//! What the SDK knows is what the engine knows.

use crm_plugin_sdk::{Action, events, features};

#[test]
fn the_sdk_knows_the_kinds_of_event_that_the_engine_delivers() {
    assert_eq!(events::ALL, crm::plugins::EVENTS);
}

#[test]
fn the_sdk_names_the_texts_that_workflows_are_given_as_the_engine_does() {
    assert_eq!([features::STAGE, features::CUSTOMER], [crm::plugins::STAGE, crm::plugins::CUSTOMER]);
}

#[test]
fn the_sdk_builds_the_actions_that_the_engine_takes() {
    let built = [Action::add_tag("a"), Action::remove_tag("a"), Action::award_points(1, "a"), Action::notify("a")];
    let kinds: Vec<&str> = built.iter().map(|action| action.kind.as_str()).collect();
    assert_eq!(kinds, crm::plugins::ACTIONS);
}
