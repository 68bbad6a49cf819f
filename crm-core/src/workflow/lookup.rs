//! What a plugin looked up, as it is recorded: a replay is answered from it.

use serde::{Deserialize, Serialize};

use super::{FieldName, FieldValue};
use crate::text::text_type;

text_type!(
    /// The name of a source that plugins may look things up in, such as `stock`.
    SourceName, "look-up source", 64
);

/// The most keys of one look-up.
pub const LOOKUP_KEYS_MAX: usize = 256;

/// The longest key of a look-up, in bytes.
pub const LOOKUP_KEY_BYTES_MAX: usize = 256;

/// The keyed hash of a key that something was looked up by. Keys are a plugin's words, and may say who somebody is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LookupKeyHash(#[serde(with = "crate::id::hex_bytes")] [u8; 16]);

impl LookupKeyHash {
    /// A hash that was computed elsewhere.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        LookupKeyHash(bytes)
    }
}

impl std::fmt::Debug for LookupKeyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A plugin looked something up in a source of the shop's, and its answer rests on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LookedUp {
    /// In which source.
    pub source: SourceName,
    /// What of it.
    pub field: FieldName,
    /// By which keys, as their keyed hashes.
    pub keys: Vec<LookupKeyHash>,
    /// What the source answered to each; none where it had nothing. They are kept as they are, so a source has nothing
    /// personal to say.
    pub values: Vec<Option<FieldValue>>,
}
