//! What becomes of one request of a plugin's: the same for what happens now and for what is tried on the past.

use crm_core::customer::{Command, Customer, Refusal};
use crm_core::event::Deed;
use crm_core::workflow::{Held, NotGranted, Usage};
use crm_core::{CustomerId, Definitions, Timestamp};

/// Who asks, and what they did already.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    /// Whom the event came through: of several merged customers one.
    pub(crate) through: CustomerId,
    pub(crate) held: Held<'a>,
    /// What it did for the customer on this day.
    pub(crate) today: &'a Usage,
    /// The points that it gave for this event.
    pub(crate) given: u64,
}

/// Why a request is not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Denied {
    /// Whether a coupon is used up or a reward has run out shows only when it is committed, too late to refuse it
    /// alone. And what was spent comes back by the history.
    #[error("asked to {0}, which only the shop can")]
    OfShop(&'static str),
    #[error("not granted: {0}")]
    NotGranted(NotGranted),
    #[error("{0}")]
    Refused(Refusal),
}

/// What a request comes to, by what is granted, the rules and the limits, in this order. Nothing, if it is so already.
pub(crate) fn judge(
    command: Command,
    customer: &Customer,
    asker: Asker<'_>,
    at: Timestamp,
    definitions: &Definitions,
) -> Result<Vec<Deed>, Denied> {
    let Asker { through, held, today, given } = asker;
    if command.is_of_shop() {
        return Err(Denied::OfShop(command.name()));
    }
    held.check(&command).map_err(Denied::NotGranted)?;
    let deeds = command.decide(customer, through, at, definitions).map_err(Denied::Refused)?;
    held.check_limits(&deeds, today, given).map_err(Denied::NotGranted)?;
    Ok(deeds)
}
