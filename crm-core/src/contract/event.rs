//! Facts about contracts.

use serde::{Deserialize, Serialize};

use super::ContractRef;
use crate::event::Fact;
use crate::money::Money;
use crate::order::{AMOUNT_MAX_MINOR, OrderError};
use crate::text::Remark;
use crate::time::Timestamp;

/// The customer signed a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractSigned {
    /// The shop's number of it. It is claimed: within a tenant one contract has it.
    pub contract: ContractRef,
    /// From when it runs; when it is signed, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<Timestamp>,
    /// The first instant after its first term; absent for one that runs until it is ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Timestamp>,
    /// What the term is worth, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Money>,
}

/// A contract runs for another term.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractRenewed {
    /// Which.
    pub contract: ContractRef,
    /// The first instant after the new term; absent for one that runs until it is ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Timestamp>,
    /// What the new term is worth, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Money>,
}

/// A contract was ended, by either side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractEnded {
    /// Which.
    pub contract: ContractRef,
    /// The first instant at which it does not run any more; at once, if absent or past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Why, in few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Remark>,
}

/// Why a fact about a contract was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContractError {
    /// A term would end before it begins.
    #[error("a term of contract {contract} ends at {ends}, not after {starts}")]
    Term {
        /// Which contract.
        contract: ContractRef,
        /// When the term begins, at the earliest.
        starts: Timestamp,
        /// When it is to end.
        ends: Timestamp,
    },
    /// A value is negative, or too large.
    #[error(transparent)]
    Value(#[from] OrderError),
}

/// Checks a fact of an instant, if it is about a contract.
///
/// # Errors
///
/// `ContractError` for a first term that does not end after it begins, and for a value out of range.
pub fn check(fact: &Fact, at: Timestamp) -> Result<(), ContractError> {
    let (contract, starts, ends, value) = if let Fact::ContractSigned(signed) = fact {
        (&signed.contract, signed.starts.unwrap_or(at), signed.ends, signed.value)
    } else if let Fact::ContractRenewed(renewed) = fact {
        // It may be told long after the term that it was for.
        (&renewed.contract, Timestamp::MIN, renewed.ends, renewed.value)
    } else {
        return Ok(());
    };
    if let Some(money) = value.filter(|value| !(0..=AMOUNT_MAX_MINOR).contains(&value.minor())) {
        let (what, minor) = ("contract value", money.minor());
        return Err(OrderError::Amount { what, minor, max: AMOUNT_MAX_MINOR }.into());
    }
    match ends {
        Some(ends) if ends <= starts => Err(ContractError::Term { contract: contract.clone(), starts, ends }),
        Some(_) | None => Ok(()),
    }
}
