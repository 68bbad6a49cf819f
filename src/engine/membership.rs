//! Who was in a segment, and when.

use crm_core::customer::{Command, Customer, Spells};
use crm_core::expression::Predicate;
use crm_core::segment::{OverrideCleared, OverrideSegment};
use crm_core::{CustomerId, Definitions, Timestamp};

use super::Crm;
use super::command::Executed;
use crate::error::Error;

impl Crm {
    /// Has a customer be in a segment, or not, whatever its rule says, until it is cleared, until an instant, or until
    /// the segment ends. New versions of the segment do not end it. Others that ask about the segment, sets in the
    /// store and workflows see what holds; [`explain`](Self::explain) tells that and what the rule says. Under the
    /// same key it is carried out once, as for [`execute`](Self::execute).
    ///
    /// # Errors
    ///
    /// `Refused` if there is no such segment in force, the customer is restricted or was erased, or it would be over
    /// before it began; otherwise as for [`execute`](Self::execute).
    pub async fn override_segment(
        &self,
        customer: CustomerId,
        asked: OverrideSegment,
        key: &str,
    ) -> Result<Executed, Error> {
        self.execute(customer, Command::OverrideSegment(asked), key).await
    }

    /// Has the rule of a segment decide again about a customer; where nothing overrides it nothing happens. Under the
    /// same key it is carried out once, as for [`execute`](Self::execute).
    ///
    /// # Errors
    ///
    /// `Refused` if the customer is restricted or was erased; otherwise as for [`execute`](Self::execute).
    pub async fn clear_override(
        &self,
        customer: CustomerId,
        cleared: OverrideCleared,
        key: &str,
    ) -> Result<Executed, Error> {
        self.execute(customer, Command::ClearOverride(cleared), key).await
    }

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
