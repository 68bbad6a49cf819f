//! Store credit and gift cards: what goes beyond the commands for one customer's credit.

mod card;
mod code;
mod report;

use crm_core::credit::CreditError;
use crm_core::customer::Refusal;
use crm_core::event::JsonProblem;
use crm_core::{CustomerId, Digest};
use crm_storage::{Commit, CommitError, CustomerWrite, Expected, IdempotencyKey, Request, Version};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use card::{GiftCard, GiftCardBlocked, GiftCardIssued, GiftCardRedeemed, GiftCardSale};
pub use code::GiftCardCode;
pub use report::CreditTrialBalance;

use super::{Crm, Settled};
use crate::error::Error;

fn refused(error: CreditError) -> Error {
    Error::Refused(Refusal::Credit(error))
}

/// Something that is asked for once.
struct Once {
    customer: CustomerId,
    key: IdempotencyKey,
    digest: Digest,
}

impl Once {
    /// By the caller's key, and all that was asked for.
    fn new(customer: CustomerId, key: &str, body: &impl Serialize) -> Result<Self, Error> {
        let key = IdempotencyKey::new(key).ok_or(Error::KeyLength { bytes: key.len() })?;
        let body = serde_json::to_vec(body).map_err(Error::corrupt)?;
        Ok(Once { customer, key, digest: Digest::of(&body) })
    }

    fn request(&self, answer: &impl Serialize) -> Result<Request, Error> {
        let answer = serde_json::to_vec(answer).map_err(Error::corrupt)?;
        Ok(Request { customer: self.customer, key: self.key.clone(), digest: self.digest, answer })
    }
}

fn read<A: DeserializeOwned>(answer: &[u8]) -> Result<A, Error> {
    serde_json::from_slice(answer).map_err(|e| Error::corrupt(format!("an answer: {}", JsonProblem::from(&e))))
}

impl Crm {
    /// What a refusal comes to. It may be a second try after a success whose answer was lost: the key tells. It is
    /// looked up by a commit that expects a version that never was, so that nothing is written.
    async fn refuse<A: DeserializeOwned>(&self, once: &Once, error: CreditError) -> Result<A, Error> {
        let probe = CustomerWrite::scores(once.customer, Expected::At(Version(0)), Vec::new());
        let probe = Commit { request: Some(once.request(&())?), writes: vec![probe], ..Commit::default() };
        match self.settle(probe).await? {
            Settled::Replayed(answer) => read(&answer),
            Settled::Refused(CommitError::KeyReused) => Err(Error::KeyReused),
            Settled::Refused(_) | Settled::Done => Err(refused(error)),
        }
    }
}
