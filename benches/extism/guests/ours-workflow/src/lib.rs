//! A workflow that reads eight fields and asks for two things.

use crm_plugin_sdk::{Action, Entries, Event, Failure, Outcome, Workflow, register_workflow};

#[derive(Default)]
struct Bench;

impl Workflow for Bench {
    fn handle(&self, event: &Event, customer: &Entries, _: &[u8]) -> Result<Outcome, Failure> {
        let int = |name| customer.int(name).unwrap_or(0);
        let worth = int("spend") + int("points") * 2 + int("orders") * 100 - int("recency_days");
        if event.text("to") != Some("historical") || event.text("from") != Some("purchase") {
            return Ok(Outcome::nothing());
        }
        let days = event.int("days").unwrap_or(0) + i64::from(event.float("share") > Some(0.5));
        Ok(Outcome::ask([Action::add_tag("win-back"), Action::notify("offer").with("worth", worth).with("days", days)]))
    }
}

register_workflow!(Bench {
    name: "bench-workflow",
    features: ["orders", "spend", "points", "recency_days"],
    events: ["stage_changed"],
    actions: ["add_tag", "notify"],
});
