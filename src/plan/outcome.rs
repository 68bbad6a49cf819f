//! What became of a fact.

use crm_core::consent::ConsentError;
use crm_core::contract::{ContractError, ContractRef};
use crm_core::custom::CustomError;
use crm_core::declared::DeclaredError;
use crm_core::event::Fact;
use crm_core::identity::ResolveError;
use crm_core::order::{OrderError, OrderRef};
use crm_core::relationship::TieError;
use crm_core::segment::ListError;
use crm_core::service::CaseRef;
use crm_core::{CustomerId, EventId};

/// What became of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is new, and was recorded.
    Recorded,
    /// It was recorded before; nothing changed.
    Known,
    /// It was refused; nothing changed.
    Refused(FactRefusal),
}

/// Why a fact was refused: it is malformed, or contradicts one that is recorded. Facts are never refused
/// for what they say about the business.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FactRefusal {
    /// An amount or a number of lines exceeds its limits.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// A fact of a shop-defined kind does not fit its schema.
    #[error(transparent)]
    Custom(#[from] CustomError),
    /// An attribute that is not declared, or takes another value.
    #[error(transparent)]
    Attribute(#[from] DeclaredError),
    /// A fact about consent is not proved, or does not fit the policy.
    #[error(transparent)]
    Consent(#[from] ConsentError),
    /// There is no such list.
    #[error(transparent)]
    List(#[from] ListError),
    /// A tie between customers cannot be.
    #[error(transparent)]
    Tie(#[from] TieError),
    /// The source sent another fact under the same key before.
    #[error("event {event} is recorded with other content")]
    OtherContent {
        /// The event that is recorded.
        event: EventId,
    },
    /// Another fact told of an order with the same number.
    #[error("order {order} is told of by event {event} of {customer}")]
    OrderTaken {
        /// The number.
        order: OrderRef,
        /// The customer whose order it is.
        customer: CustomerId,
        /// The event that told of it.
        event: EventId,
    },
    /// Another fact told of a case with the same number.
    #[error("case {case} is told of by event {event} of {customer}")]
    CaseTaken {
        /// The number.
        case: CaseRef,
        /// The customer whose case it is.
        customer: CustomerId,
        /// The event that told of it.
        event: EventId,
    },
    /// A fact about a contract is malformed.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// Another fact told of a contract with the same number.
    #[error("contract {contract} is told of by event {event} of {customer}")]
    ContractTaken {
        /// The number.
        contract: ContractRef,
        /// The customer whose contract it is.
        customer: CustomerId,
        /// The event that told of it.
        event: EventId,
    },
    /// Another customer is known by the identifier.
    #[error("the identifier belongs to {customer}")]
    IdentifierTaken {
        /// Who.
        customer: CustomerId,
    },
    /// Every identifier that came with it is one that names nobody, or there is none.
    #[error("none of its identifiers names anybody")]
    NamesNobody,
    /// Too many identifiers came with it.
    #[error(transparent)]
    Identifiers(#[from] ResolveError),
    /// There is no such customer.
    #[error("there is no customer {customer}")]
    NoCustomer {
        /// The id given.
        customer: CustomerId,
    },
    /// No contract of that number is recorded, so that nobody can be found by it.
    #[error("there is no contract {contract}")]
    NoContract {
        /// The number given.
        contract: ContractRef,
    },
    /// No order of that number is recorded, so that nobody can be found by it.
    #[error("there is no order {order}")]
    NoOrder {
        /// The number given.
        order: OrderRef,
    },
    /// No case of that number is recorded, so that nobody can be found by it.
    #[error("there is no case {case}")]
    NoCase {
        /// The number given.
        case: CaseRef,
    },
}

impl FactRefusal {
    /// That the number of what a fact tells of is taken; none if it has no number.
    pub(crate) fn number_taken(fact: &Fact, customer: CustomerId, event: EventId) -> Option<Self> {
        if let Fact::CaseOpened(opened) = fact {
            return Some(FactRefusal::CaseTaken { case: opened.case.clone(), customer, event });
        }
        if let Fact::ContractSigned(signed) = fact {
            return Some(FactRefusal::ContractTaken { contract: signed.contract.clone(), customer, event });
        }
        let Fact::OrderPlaced(placed) = fact else { return None };
        placed.order.clone().map(|order| FactRefusal::OrderTaken { order, customer, event })
    }

    /// Whether the number of what it tells of is taken.
    pub(crate) const fn is_of_number(&self) -> bool {
        use FactRefusal::{CaseTaken, ContractTaken, OrderTaken};
        matches!(self, OrderTaken { .. } | CaseTaken { .. } | ContractTaken { .. })
    }

    /// A short name of the reason, to count by.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            FactRefusal::Order(_) => "order_limits",
            FactRefusal::Custom(_) => "custom_schema",
            FactRefusal::Attribute(_) => "attribute",
            FactRefusal::Consent(error) => error.reason(),
            FactRefusal::List(_) => "list",
            FactRefusal::Tie(_) => "tie",
            FactRefusal::OtherContent { .. } => "other_content",
            FactRefusal::OrderTaken { .. } => "order_taken",
            FactRefusal::CaseTaken { .. } => "case_taken",
            FactRefusal::Contract(_) => "contract",
            FactRefusal::ContractTaken { .. } => "contract_taken",
            FactRefusal::IdentifierTaken { .. } => "identifier_taken",
            FactRefusal::NamesNobody => "names_nobody",
            FactRefusal::Identifiers(_) => "identifiers",
            FactRefusal::NoCustomer { .. } => "no_customer",
            FactRefusal::NoOrder { .. } => "no_order",
            FactRefusal::NoCase { .. } => "no_case",
            FactRefusal::NoContract { .. } => "no_contract",
        }
    }
}
