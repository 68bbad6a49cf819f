//! Looks after good customers who leave: marks and writes to those who have gone, thanks those who
//! return, and warns of those who are about to go.

use crm_plugin_sdk::{Action, Entries, Event, Failure, Outcome, Workflow, register_workflow};

/// Holds the spend above which a customer is worth an offer, in minor units.
#[derive(Debug, Default)]
pub struct Winback(i64);

impl Workflow for Winback {
    fn configure(&mut self, params: &Entries) -> Result<(), Failure> {
        self.0 = params.int("spend_above").unwrap_or_default();
        Ok(())
    }

    fn handle(&self, event: &Event, customer: &Entries, _: &[u8]) -> Result<Outcome, Failure> {
        let int = |name| customer.int(name).unwrap_or(0);
        let churn = event.float("value").filter(|_| event.text("output") == Some("churn"));
        let actions = match (event.kind.as_str(), event.text("from"), event.text("to")) {
            ("stage_changed", _, Some("historical")) if int("spend") > self.0 => {
                vec![Action::add_tag("win-back"), Action::notify("win-back-offer").with("points", int("points"))]
            }
            ("stage_changed", Some("historical"), Some("purchase")) => {
                vec![Action::remove_tag("win-back"), Action::award_points(100, "welcome back")]
            }
            ("scored", ..) if churn > Some(0.8) && int("orders") >= 2 => vec![Action::notify("at-risk")],
            _ => vec![],
        };
        Ok(Outcome::ask(actions))
    }
}

register_workflow!(Winback {
    name: "winback",
    features: ["orders", "spend", "points"],
    events: ["stage_changed", "scored"],
    actions: ["add_tag", "remove_tag", "award_points", "notify"],
    params: ["spend_above": int = 10_000],
});
