//! A statement: every movement of somebody's money, with what was there after it.

use super::{CreditCause, CreditPosting};
use crate::event::{Decision, Deed, Event, EventBody};
use crate::id::{CustomerId, EventId};
use crate::money::Currency;
use crate::time::Timestamp;
use crate::workflow::Actor;

/// One movement. All amounts are in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditLine {
    /// The decision.
    pub event: EventId,
    /// In whose book: of somebody who was merged, that of one of those they were merged of.
    pub customer: CustomerId,
    /// When.
    pub at: Timestamp,
    /// Who decided it.
    pub by: Actor,
    /// The event that caused it, if one did.
    pub after: Option<EventId>,
    /// Why.
    pub cause: CreditCause,
    /// By how much the balance changed.
    pub minor: i128,
    /// By how much it changed what is held.
    pub held: i128,
    /// By how much it changed what is owed.
    pub owed: i128,
    /// The balance after it.
    pub balance_after: i128,
    /// What is held after it.
    pub held_after: i128,
    /// What is owed after it.
    pub owed_after: i128,
}

/// Every movement of somebody's money in one currency, in the order of their times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditStatement {
    /// Whose; of several who were merged, the one under whose id they go on.
    pub customer: CustomerId,
    /// The currency.
    pub currency: Currency,
    /// The movements.
    pub lines: Vec<CreditLine>,
}

impl CreditStatement {
    /// By a customer's history, or the histories of all whom they were merged of, one after another.
    #[must_use]
    pub fn of<'e>(customer: CustomerId, currency: Currency, history: impl Iterator<Item = &'e Event>) -> Self {
        let posting = |event: &'e Event| -> Option<(&'e Event, &'e Decision, &'e CreditPosting)> {
            let EventBody::Decision(decision) = &event.body else { return None };
            let Deed::CreditPosted(posting) = &decision.deed else { return None };
            (posting.currency == currency).then_some((event, decision, posting))
        };
        let mut postings: Vec<_> = history.filter_map(posting).collect();
        // Each history is in order by itself.
        postings.sort_by_key(|(event, ..)| event.at);
        let (mut balance, mut held, mut owed) = (0, 0, 0);
        let mut line = |(event, decision, posting): (&Event, &Decision, &CreditPosting)| {
            balance += posting.minor();
            held += posting.held();
            owed += posting.owed();
            CreditLine {
                event: event.id,
                customer: event.customer,
                at: event.at,
                by: decision.by.clone(),
                after: event.cause,
                cause: posting.cause.clone(),
                minor: posting.minor(),
                held: posting.held(),
                owed: posting.owed(),
                balance_after: balance,
                held_after: held,
                owed_after: owed,
            }
        };
        CreditStatement { customer, currency, lines: postings.into_iter().map(&mut line).collect() }
    }
}
