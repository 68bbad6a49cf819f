//! Contracts that run for a term and are renewed, as businesses have with each other: what a CRM needs of them.
//!
//! # What facts say
//!
//! A contract is *signed* for a first term, *renewed* for a further one, and *ended*, at once or from an instant on. Terms
//! follow each other:
//!
//! - A renewal before the end of the term, or within the grace after it, begins at that end; one that comes later begins
//!   when it happens, and the time between is a gap.
//! - A term without an end runs until it is ended; a renewal closes it and begins where it happens.
//! - An ending takes back renewals that have not begun by then.
//! - A renewal of a contract that nobody told the beginning of opens it; an ending of one does nothing.
//!
//! # What it means for the stage
//!
//! Signing and renewing lead to purchase like an order. A contract keeps its customer there until the end of its term and
//! the grace of the policy that held when the term was told of ([`contract_grace`]), and an order as long as ever: the
//! later of the two counts. So a lapse is a timer. Whoever ends their last contract, and has not ordered within the
//! window, is historical at that instant, with the ending as cause; from a later instant on, at that instant.
//!
//! [`contract_grace`]: crate::lifecycle::LifecyclePolicy::contract_grace

mod book;
mod event;
mod renewal;

pub use book::{Contract, Contracts, Ending, Motion, Term};
pub use event::{ContractEnded, ContractError, ContractRenewed, ContractSigned, check};
pub use renewal::{RenewalMoney, Renewals};

use crate::text::text_type;

text_type!(
    /// The shop's own number of a contract.
    ContractRef, "contract number", 256
);
