//! Decisions that carry out an action.

use serde::{Deserialize, Serialize};

use smol_str::SmolStr;

use super::{Fields, Topic};
use crate::id::Digest;
use crate::text::Tag;

/// The CRM put a tag on the customer. Tags of the shop and of the CRM are kept apart: neither side
/// takes off what the other put on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagAdded {
    /// Which one.
    pub tag: Tag,
}

/// The CRM took off a tag that it had put on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagRemoved {
    /// Which one.
    pub tag: Tag,
}

/// The host was told something, by an entry in the outbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notified {
    /// What about.
    pub topic: Topic,
    /// The facts of it. They may say who somebody is, so they are in the outbox alone, which an erasure
    /// empties, and not in what is kept for ever.
    #[serde(skip)]
    pub fields: Fields,
}

/// What a plugin keeps between calls for one customer. It prints masked.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The bytes, as the plugin returned them.
    #[serde(with = "crate::id::hex_vec")]
    pub memory: Vec<u8>,
    /// Another version wrote the memory before, and is installed no more: this one took it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<TookOver>,
}

/// Whose memory a version of a plugin took over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TookOver {
    /// The version that wrote it.
    pub version: SmolStr,
    /// SHA-256 of its bytes.
    pub digest: Digest,
}

impl std::fmt::Debug for Remembered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Remembered({} bytes)", self.memory.len())
    }
}

/// A plugin failed, or asked for what it may not have. What it reacted to stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faulted {
    /// The kind of event or change that it was called for.
    pub trigger: SmolStr,
    /// What went wrong, without anything that the plugin said itself.
    pub fault: SmolStr,
}
