//! Chooses the one thing to do next for a customer.
//!
//! Each event is an occasion. The plugin works out what each possible action is worth at this moment, in minor units of
//! expected margin, and asks for the best one, if it is worth more than the bother of a message and nothing was asked for
//! within the last weeks. What it asked for, and when, is its memory.

mod memory;
mod worth;

use crm_plugin_sdk::{Action, Entries, Event, Failure, Outcome, Workflow, register_workflow};

pub use memory::Memory;
pub use worth::{Known, Offer};

const DAY_MS: i64 = 86_400_000;

/// See the crate.
#[derive(Debug, Default)]
pub struct NextBestAction {
    quiet_ms: i64,
    bother: i64,
}

impl Workflow for NextBestAction {
    fn configure(&mut self, params: &Entries) -> Result<(), Failure> {
        let days = params.int("quiet_days").unwrap_or_default();
        if !(0..=3_650).contains(&days) {
            return Err(Failure::new("bad-quiet-days", "quiet_days must be between 0 and 3,650"));
        }
        self.quiet_ms = days * DAY_MS;
        self.bother = params.int("bother").unwrap_or_default();
        Ok(())
    }

    fn handle(&self, event: &Event, customer: &Entries, memory: &[u8]) -> Result<Outcome, Failure> {
        let mut memory = Memory::read(memory);
        if event.kind == "scored" {
            // The scorers of the shop say how likely a customer is gone. The newest score counts.
            if event.text("output") == Some("churn") {
                memory.churn = event.float("value");
            }
        }
        let known = Known::of(customer, memory.churn);
        let is_quiet = memory.asked_at_ms.is_some_and(|at| event.at_ms.saturating_sub(at) < self.quiet_ms);
        let best = Offer::ALL.into_iter().max_by_key(|offer| offer.worth(&known));
        let Some(offer) = best.filter(|offer| offer.worth(&known) > self.bother && !is_quiet) else {
            return Ok(Outcome::nothing().remember(memory.write()));
        };
        memory.asked_at_ms = Some(event.at_ms);
        let action = Action::notify(offer.topic()).with("worth", offer.worth(&known)).with("points", known.points);
        Ok(Outcome::ask([action]).remember(memory.write()))
    }
}

register_workflow!(NextBestAction {
    name: "next-best-action",
    features: ["recency_days", "orders", "spend", "average_order", "points", "carts"],
    events: ["order_placed", "cart_updated", "stage_changed", "scored"],
    actions: ["notify"],
    params: ["quiet_days": int = 21, "bother": int = 100],
});
