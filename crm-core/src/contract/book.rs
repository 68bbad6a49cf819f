//! The contracts of a customer and their terms.

use serde::{Deserialize, Serialize};

use super::{ContractEnded, ContractRef, ContractRenewed, ContractSigned};
use crate::id::EventId;
use crate::money::Money;
use crate::time::{Span, Timestamp};

/// How a term came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Motion {
    /// It is the first of a new contract.
    Signed,
    /// The contract ran before.
    Renewed,
}

/// That a contract was ended during a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// When it was told.
    pub told_at: Timestamp,
    /// The fact that told of it.
    pub event: EventId,
}

/// A time for which a contract was agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// The fact that told of it.
    pub event: EventId,
    /// When it was signed, or renewed.
    pub told_at: Timestamp,
    /// How it came about.
    pub motion: Motion,
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it as it was agreed; none if it was to run until it is ended.
    pub agreed_until: Option<Timestamp>,
    /// The first instant after it as it turned out.
    pub until: Option<Timestamp>,
    /// Until when a renewal still counts as one, which keeps the customer in purchase.
    pub held_until: Timestamp,
    /// What it is worth.
    pub value: Option<Money>,
    /// Whether it was ended.
    pub ended: Option<Ending>,
}

impl Term {
    /// Whether it runs at an instant.
    #[must_use]
    pub fn runs(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// A contract with its terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// The shop's number of it.
    pub contract: ContractRef,
    /// Its terms, oldest first; at least one.
    pub terms: Vec<Term>,
}

impl Contract {
    /// Whether it runs at an instant.
    #[must_use]
    pub fn runs(&self, at: Timestamp) -> bool {
        self.terms.iter().any(|term| term.runs(at))
    }

    /// Whether it runs at an instant, or could still be renewed without a gap.
    #[must_use]
    pub fn lives(&self, at: Timestamp) -> bool {
        self.terms.iter().any(|term| term.from <= at && at < term.held_until)
    }
}

/// All contracts of a customer, by when they were told of first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contracts {
    list: Vec<Contract>,
}

impl Contracts {
    /// All of them, those that are over included.
    #[must_use]
    pub fn list(&self) -> &[Contract] {
        &self.list
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, contract: &ContractRef) -> Option<&Contract> {
        self.list.iter().find(|own| own.contract == *contract)
    }

    /// Until when the last of them keeps the customer in purchase; `Timestamp::MAX` if one runs until it is ended.
    #[must_use]
    pub fn held_until(&self) -> Option<Timestamp> {
        self.list.iter().flat_map(|contract| &contract.terms).map(|term| term.held_until).max()
    }

    pub(crate) fn sign(&mut self, event: EventId, at: Timestamp, signed: &ContractSigned, grace: Span) {
        let from = signed.starts.unwrap_or(at);
        let agreed = (signed.ends, signed.value);
        self.add(&signed.contract, new_term(event, at, Motion::Signed, from, agreed, grace));
    }

    pub(crate) fn renew(&mut self, event: EventId, at: Timestamp, renewed: &ContractRenewed, grace: Span) {
        let own = self.list.iter_mut().find(|own| own.contract == renewed.contract);
        let from = match own.and_then(|own| own.terms.last_mut()) {
            // One that had no end has one now.
            Some(last) if last.until.is_none() => {
                (last.until, last.held_until) = (Some(at), at);
                at
            }
            Some(last) => last.until.filter(|_| at < last.held_until).unwrap_or(at),
            None => at,
        };
        let ends = renewed.ends.map(|ends| ends.max(from));
        self.add(&renewed.contract, new_term(event, at, Motion::Renewed, from, (ends, renewed.value), grace));
    }

    pub(crate) fn end(&mut self, event: EventId, at: Timestamp, ended: &ContractEnded) {
        let Some(own) = self.list.iter_mut().find(|own| own.contract == ended.contract) else { return };
        let from = ended.from.unwrap_or(at).max(at);
        // What was to begin later never does.
        while own.terms.len() > 1 && own.terms.last().is_some_and(|last| last.from >= from) {
            own.terms.pop();
        }
        if let Some(last) = own.terms.last_mut() {
            let until = last.until.map_or(from, |until| until.min(from)).max(last.from);
            last.until = Some(until);
            last.ended = Some(Ending { told_at: at, event });
            // Nobody waits for a renewal any more, of earlier terms either.
            own.terms.iter_mut().for_each(|term| term.held_until = term.held_until.min(until));
        }
    }

    fn add(&mut self, contract: &ContractRef, term: Term) {
        match self.list.iter_mut().find(|own| own.contract == *contract) {
            Some(own) => own.terms.push(term),
            None => self.list.push(Contract { contract: contract.clone(), terms: vec![term] }),
        }
    }
}

fn new_term(
    event: EventId,
    told_at: Timestamp,
    motion: Motion,
    from: Timestamp,
    (until, value): (Option<Timestamp>, Option<Money>),
    grace: Span,
) -> Term {
    let held_until = until.map_or(Timestamp::MAX, |until| until.plus(grace));
    Term { event, told_at, motion, from, agreed_until: until, until, held_until, value, ended: None }
}
