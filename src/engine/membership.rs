//! Who was in a segment, and when.

use crm_core::customer::{Customer, Spells};
use crm_core::expression::Predicate;
use crm_core::{Definitions, Timestamp};

use super::Crm;
use crate::error::Error;

impl Crm {
    /// What a rule asks about the past and the customer's state does not tell, from their history; none for nearly
    /// every rule.
    pub(super) async fn past_of(
        &self,
        rule: &Predicate,
        customer: &Customer,
        now: Timestamp,
        definitions: &Definitions,
    ) -> Result<Option<Spells>, Error> {
        if customer.knows_past_of(rule, now, definitions) {
            return Ok(None);
        }
        let history = self.whole_history(customer).await?;
        let events = history.iter().map(|event| (event.customer, event.id, event.at, &event.body));
        Ok(Some(customer.spells_of(rule.segments(), events, definitions)))
    }
}
