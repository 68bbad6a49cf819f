//! Tells a customer by name when what they looked at is in stock.

use crm_plugin_sdk::{Action, Entries, Event, Failure, Outcome, Value, Workflow, lookup, register_workflow};

/// The workflow.
#[derive(Debug, Default)]
pub struct Restock;

impl Workflow for Restock {
    fn handle(&self, event: &Event, customer: &Entries, _: &[u8]) -> Result<Outcome, Failure> {
        let products: Vec<&str> = event.text("products").unwrap_or_default().split(' ').collect();
        let on_hand = lookup::fetch("stock", &products, "on_hand")?;
        let found = products.iter().zip(on_hand).find(|(_, count)| matches!(count, Value::Int(count) if *count > 0));
        let Some((product, _)) = found else { return Ok(Outcome::nothing()) };
        let name = customer.text("given_name").unwrap_or("you");
        Ok(Outcome::ask([Action::notify("back-in-stock").with("product", *product).with("name", name)]))
    }
}

register_workflow!(Restock {
    name: "restock",
    features: [],
    events: ["visited"],
    actions: ["notify"],
    fields: ["given_name"],
    lookups: ["stock"],
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_product_in_stock_is_named() {
        lookup::provide("stock", "mug", "on_hand", 0);
        lookup::provide("stock", "jug", "on_hand", 3);
        let event = Event::new("visited").with("products", "mug jug");
        let outcome = Restock.handle(&event, &Entries::new(), &[]).unwrap();
        assert_eq!(outcome.actions[0].args.text("product"), Some("jug"));
    }
}
