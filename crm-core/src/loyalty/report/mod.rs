//! Reports of the ledger: one customer's statement, the sums of all accounts, and what is still to be redeemed. They
//! are functions of postings alone, so they can be asked of any instant in the past.

mod breakage;
mod liability;
mod months;
mod statement;
mod trial_balance;

use crate::event::{Decision, Deed, Event, EventBody};
use crate::id::{CustomerId, EventId};
use crate::loyalty::Posting;
use crate::time::Timestamp;
use crate::workflow::Actor;

pub use breakage::{BREAKAGE_MONTHS_MIN, Breakage, CurveAge, TooLittleHistory};
pub use liability::{Band, BandSum, Bands, Liability, LiabilityCount};
pub use statement::{AccountStatement, PointsStanding, StatementLine};
pub use trial_balance::TrialBalance;

/// A posting as it stands in a history.
#[derive(Debug, Clone, Copy)]
pub struct Posted<'a> {
    /// In whose history, and so in whose book.
    pub customer: CustomerId,
    /// The decision that posted it.
    pub id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Who decided.
    pub by: &'a Actor,
    /// The event that caused it, if one did.
    pub cause: Option<EventId>,
    /// What was posted.
    pub posting: &'a Posting,
    /// The key of the request that asked for it; none where nobody asked, or where that is not known.
    pub key: Option<&'a str>,
}

impl<'a> Posted<'a> {
    /// The posting that an event is; none if it is anything else.
    #[must_use]
    pub const fn of(event: &'a Event) -> Option<Self> {
        let EventBody::Decision(Decision { by, deed: Deed::PointsPosted(posting) }) = &event.body else { return None };
        let Event { customer, id, at, recorded_at, cause, .. } = event;
        let (customer, id, at, recorded_at, cause) = (*customer, *id, *at, *recorded_at, *cause);
        Some(Posted { customer, id, at, recorded_at, by, cause, posting, key: None })
    }

    /// As asked for by a request.
    #[must_use]
    pub const fn under(self, key: Option<&'a str>) -> Self {
        Posted { key, ..self }
    }
}

#[cfg(test)]
mod tests;
