//! What a person is known by: told from outside, or found by us.

use serde::{Deserialize, Serialize};

use super::IdentifierKey;

/// The customer turned out to be known by an identifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identified {
    /// Its keyed hash.
    pub identifier: IdentifierKey,
}

/// The CRM attached an identifier: a new customer came with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentifierAttached {
    /// Its keyed hash.
    pub identifier: IdentifierKey,
}
