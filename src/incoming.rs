//! A fact on its way in: what happened, to whom, when, and how to recognise it when it comes again.

use crm_core::contract::ContractRef;
use crm_core::event::Fact;
use crm_core::identity::{Identifier, Presented};
use crm_core::order::OrderRef;
use crm_core::{CustomerId, EventId, FactKey, Source, TenantId, Timestamp};

/// Whom a fact is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Who {
    /// A customer whom the CRM knows.
    Customer(CustomerId),
    /// Whoever has this identifier; a new customer if nobody has.
    Identifier(Identifier),
    /// Whoever placed this order.
    Order(OrderRef),
    /// Whoever the identifiers lead to that came with it, by the shop's [rules](crm_core::identity::IdentityRules):
    /// nobody yet, one customer, or several who turn out to be one. What somebody merely stated leads to nobody.
    Presented(Vec<Presented>),
    /// Whoever signed this contract.
    Contract(ContractRef),
}

impl From<Presented> for Who {
    fn from(presented: Presented) -> Self {
        Who::Presented(vec![presented])
    }
}

impl From<Vec<Presented>> for Who {
    fn from(presented: Vec<Presented>) -> Self {
        Who::Presented(presented)
    }
}

impl<const N: usize> From<[Presented; N]> for Who {
    fn from(presented: [Presented; N]) -> Self {
        Who::Presented(presented.into())
    }
}

impl From<CustomerId> for Who {
    fn from(id: CustomerId) -> Self {
        Who::Customer(id)
    }
}

impl From<Identifier> for Who {
    fn from(identifier: Identifier) -> Self {
        Who::Identifier(identifier)
    }
}

impl From<&Identifier> for Who {
    fn from(identifier: &Identifier) -> Self {
        Who::Identifier(identifier.clone())
    }
}

impl From<OrderRef> for Who {
    fn from(order: OrderRef) -> Self {
        Who::Order(order)
    }
}

impl From<ContractRef> for Who {
    fn from(contract: ContractRef) -> Self {
        Who::Contract(contract)
    }
}

/// A fact on its way in.
///
/// A source gives each of its facts a key, and a fact that comes again under its key changes nothing. A
/// fact without a key is recognised by its content: of equal ones, each call of `ingest` counts the
/// first, the second and so on, and `record` takes every equal one for the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    pub(crate) who: Who,
    pub(crate) at: Timestamp,
    pub(crate) source: Source,
    pub(crate) key: Option<FactKey>,
    pub(crate) fact: Fact,
}

impl Incoming {
    /// A fact without a key of its own.
    #[must_use]
    pub fn new(who: impl Into<Who>, at: Timestamp, source: Source, fact: impl Into<Fact>) -> Self {
        Incoming { who: who.into(), at, source, key: None, fact: fact.into() }
    }

    /// With the key that its source gives it.
    #[must_use]
    pub fn with_key(mut self, key: FactKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Its content, for facts without a key.
    pub(crate) fn content(&self) -> String {
        let body = crm_core::event::EventBody::Fact(self.fact.clone());
        let body = String::from_utf8_lossy(&body.encode()).into_owned();
        let who = match &self.who {
            Who::Customer(id) => format!("customer {id}"),
            Who::Order(order) => format!("order {order}"),
            Who::Contract(contract) => format!("contract {contract}"),
            Who::Presented(presented) => {
                let key = |one: &Presented| {
                    let key = crm_core::identity::LookupKey::public().hash(&TenantId::default(), &one.identifier);
                    format!("{key:?} {}", one.verified)
                };
                let mut keys: Vec<String> = presented.iter().map(key).collect();
                keys.sort_unstable();
                keys.dedup();
                format!("identifiers {}", keys.join(" "))
            }
            // An identifier shows itself to nobody, but it can be told from others by its hash.
            Who::Identifier(identifier) => {
                let key = crm_core::identity::LookupKey::public().hash(&TenantId::default(), identifier);
                format!("identifier {key:?}")
            }
        };
        format!("{} {} {} {}", who, self.at.as_millis(), self.fact.kind(), body)
    }

    /// The id of the event it becomes: `ordinal` tells equal facts without a key apart.
    pub(crate) fn event_id(&self, tenant: &TenantId, content: Option<(&str, u64)>) -> EventId {
        match (&self.key, content) {
            (Some(key), _) => EventId::of_fact(tenant, &self.source, key.as_str()),
            (None, Some((content, ordinal))) => EventId::of_content(tenant, &self.source, content, ordinal),
            (None, None) => EventId::of_content(tenant, &self.source, &self.content(), 0),
        }
    }
}
