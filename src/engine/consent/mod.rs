//! Consent at the edge: the question before every message, double opt-in, links to unsubscribe by, and the list
//! of suppressed addresses.

mod contact;
mod opt_in;
mod suppression;
mod withdraw;

use crm_core::change::Change;
use crm_core::{CustomerId, Definitions, EventId, Source, Span, Timestamp};
use crm_storage::CommitError;

pub use opt_in::{
    ConfirmProof, Confirmation, ConfirmedAddress, OptIn, OptInPeek, OptInRequested, OptInState, OptInToken,
};
pub(super) use suppression::nobody;
pub use suppression::{Suppressed, SuppressionReason};
pub use withdraw::{AddressWithdrawn, Unsubscribe, UnsubscribeToken, Withdrawal};

use super::record::{Attempt, Found, Grounds, Planned};
use super::writing::Writing;
use super::{Base, Crm, Settled};
use crate::error::Error;
use crate::plan::{Outcome, Prepared};

/// Why something about consent was refused. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsentRefusal {
    /// Nobody was given this token, or it was damaged on its way.
    #[error("no such token")]
    BadToken,
    /// The token was not used in time.
    #[error("the token expired at {at}")]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// After they were asked the customer said no: what they said last counts, not an old link.
    #[error("event {by} took back what the token was for")]
    Superseded {
        /// By which event.
        by: EventId,
    },
    /// The token was sent to another address.
    #[error("the token was sent to another address")]
    OtherAddress,
    /// The customer was erased.
    #[error("{customer} was erased")]
    Erased {
        /// Who.
        customer: CustomerId,
    },
    /// A token lives from a minute to ninety days.
    #[error("a token cannot live for {millis} ms, but from {min} to {max}")]
    ValidFor {
        /// What was asked for.
        millis: i64,
        /// The shortest.
        min: i64,
        /// The longest.
        max: i64,
    },
    /// The address is suppressed: not even what asks for a consent is sent to it.
    #[error("the address is suppressed since {}", .0.since)]
    Suppressed(Suppressed),
    /// The system has no random numbers to give.
    #[error("no random numbers")]
    Random,
}

/// How long a token may live.
const VALID_MIN: Span = Span::millis(60_000);
const VALID_MAX: Span = Span::days(90);

/// The source of what comes by tokens.
fn own_source(name: &'static str) -> Result<Source, Error> {
    Source::new(name).map_err(Error::corrupt)
}

/// What became of facts that were to be committed.
enum Written {
    Done(Vec<Change>),
    /// They were recorded before.
    Known,
    /// Another writer was first: load again.
    Again,
    /// A key is taken, or is not there to be given up.
    Keys(CommitError),
}

impl Crm {
    /// Plans facts of a customer who is there, and commits them with whatever else belongs to the same
    /// decision.
    async fn write_facts(
        &self,
        base: &Base,
        definitions: &Definitions,
        facts: &[&Prepared],
        beside: impl FnOnce(&mut Writing),
    ) -> Result<Written, Error> {
        let id = base.customer.id();
        let context = self.context(definitions, self.now(), false);
        let how = Attempt { grounds: Grounds::Needed, ..Attempt::default() };
        let mut outcomes = Vec::with_capacity(facts.len());
        let planned = self.plan_facts(context, base.clone(), Found::Known(id), facts, how, &mut outcomes).await?;
        let Planned::Ready(plan) = planned else {
            return Err(Error::corrupt("a plan that lacks what it was given"));
        };
        for outcome in &outcomes {
            if let Outcome::Refused(refusal) = outcome {
                return Err(refusal.clone().into());
            }
        }
        let recorded = outcomes.contains(&Outcome::Recorded);
        let Some(plan) = plan.filter(|_| recorded) else { return Ok(Written::Known) };
        let (mut writing, changes) = self.written(plan, base).await?;
        beside(&mut writing);
        match self.settle(writing).await? {
            Settled::Done | Settled::Replayed(_) => Ok(Written::Done(changes)),
            Settled::Refused(CommitError::Conflict { .. }) => {
                self.lost()?;
                Ok(Written::Again)
            }
            Settled::Refused(CommitError::EventExists { .. }) => Ok(Written::Known),
            Settled::Refused(error @ (CommitError::Claimed { .. } | CommitError::NotOwned { .. })) => {
                Ok(Written::Keys(error))
            }
            Settled::Refused(error) => Err(Error::corrupt(error)),
        }
    }

    /// A customer who is there.
    async fn base_there(&self, customer: CustomerId) -> Result<(Base, std::sync::Arc<Definitions>), Error> {
        let (base, definitions) = self.base(customer).await?;
        Ok((base.ok_or(Error::NoCustomer { customer })?, definitions))
    }
}

fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let digits = text.as_bytes();
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? * 16 + nibble(pair[1])?;
    }
    Some(bytes)
}
