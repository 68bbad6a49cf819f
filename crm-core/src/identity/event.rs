//! What a person is known by: told from outside, or found by us.

use serde::{Deserialize, Serialize};

use super::{Aside, Assurance, IdentifierKey, LookupKey, Presented, ScopeKey};
use crate::id::TenantId;
use crate::time::Timestamp;

/// The customer turned out to be known by an identifier, or gave one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identified {
    /// Its keyed hash.
    pub identifier: IdentifierKey,
    /// The keyed hash of who issued it, for kinds that somebody issues. Absent in what was written before
    /// this was kept: it may then be anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeKey>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Assurance::is_vouched")]
    pub assurance: Assurance,
}

impl Identified {
    /// By an identifier that the shop vouches for.
    #[must_use]
    pub const fn new(identifier: IdentifierKey) -> Self {
        Identified { identifier, scope: None, assurance: Assurance::Vouched }
    }

    /// By an identifier as it was presented: vouched for, or stated if it is unverified.
    #[must_use]
    pub fn presented(key: &LookupKey, tenant: &TenantId, presented: &Presented) -> Self {
        Identified {
            identifier: key.hash(tenant, &presented.identifier),
            scope: key.scope(tenant, &presented.identifier),
            assurance: if presented.verified { Assurance::Vouched } else { Assurance::Stated },
        }
    }

    /// With somebody else who answers for it.
    #[must_use]
    pub fn assured(mut self, assurance: Assurance) -> Self {
        self.assurance = assurance;
        self
    }
}

/// The CRM attached an identifier: a customer came with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentifierAttached {
    /// Its keyed hash.
    pub identifier: IdentifierKey,
    /// As in [`Identified::scope`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeKey>,
    /// When it was presented. Absent in what was written before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Assurance::is_vouched")]
    pub assurance: Assurance,
}

impl IdentifierAttached {
    /// An identifier that the shop vouches for.
    #[must_use]
    pub const fn new(identifier: IdentifierKey) -> Self {
        IdentifierAttached { identifier, scope: None, at: None, assurance: Assurance::Vouched }
    }
}

/// An identifier came with an event and was not used, because it would have fused two people or names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentifierSetAside {
    /// Its keyed hash.
    pub identifier: IdentifierKey,
    /// Why.
    pub reason: Aside,
}
