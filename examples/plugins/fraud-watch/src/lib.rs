//! Watches loyalty accounts for what fraud looks like: points that come faster than anybody shops, points handed on or
//! gathered in a hurry, refunds one after the other, and points spent shortly before the order behind them goes back.
//!
//! It decides nothing. It puts a tag on the customer, by which a shop's rules can hold rewards back, and tells the people
//! who look into it why; once for each reason and day.

mod history;
mod rule;

use crm_plugin_sdk::{Action, Entries, Event, Failure, Outcome, Workflow, register_workflow};

pub use history::{Happening, History, Kind};
pub use rule::{Limits, Reason};

/// The tag of who is watched.
pub const TAG: &str = "loyalty-watch";

/// See the crate.
#[derive(Debug, Default)]
pub struct FraudWatch(Limits);

impl Workflow for FraudWatch {
    fn configure(&mut self, params: &Entries) -> Result<(), Failure> {
        let int = |name| params.int(name).filter(|limit| *limit > 0).ok_or_else(|| Failure::new("bad-limit", name));
        self.0 = Limits {
            points_a_day: int("points_a_day")?,
            gifts_a_day: int("gifts_a_day")?,
            refunds_a_month: int("refunds_a_month")?,
        };
        Ok(())
    }

    fn handle(&self, event: &Event, _: &Entries, memory: &[u8]) -> Result<Outcome, Failure> {
        let mut history = History::read(memory);
        let Some(happening) = Happening::of(event) else {
            return Ok(Outcome::nothing().remember(memory));
        };
        history.add(happening);
        let mut actions = Vec::new();
        for reason in Reason::ALL {
            if reason.holds(&history, event.at_ms, &self.0) && history.tell(reason, event.at_ms) {
                if actions.is_empty() {
                    actions.push(Action::add_tag(TAG));
                }
                let count = reason.measured(&history, event.at_ms);
                actions.push(Action::notify("loyalty-fraud").with("reason", reason.name()).with("count", count));
            }
        }
        Ok(Outcome::ask(actions).remember(history.write()))
    }
}

register_workflow!(FraudWatch {
    name: "fraud-watch",
    features: [],
    events: ["points_posted", "refunded"],
    actions: ["add_tag", "notify"],
    params: ["points_a_day": int = 5_000, "gifts_a_day": int = 5, "refunds_a_month": int = 4],
});
