//! Facts about what a person is known by.

use serde::{Deserialize, Serialize};

use super::IdentifierKey;

/// The customer turned out to be known by an identifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identified {
    /// Its keyed hash.
    pub identifier: IdentifierKey,
}
