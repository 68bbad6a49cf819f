//! Merging and parting: that several customers are one person, and that they are not after all.

use serde::{Deserialize, Serialize};

use super::IdentifierKey;
use crate::id::{CustomerId, EventId};
use crate::text::Remark;
use crate::time::Timestamp;

/// How many customers can be merged into one.
pub const MEMBERS_MAX: usize = 32;

/// Why customers were merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MergeReason {
    /// Somebody said that they are one person.
    Asked {
        /// Why, in few words.
        reason: Remark,
    },
    /// They share an identifier whose rule says so.
    Shared {
        /// Which identifier.
        identifier: IdentifierKey,
        /// The fact that showed it, where one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<EventId>,
    },
}

/// Two customers, or two who had been merged of several before, turned out to be one person. Recorded for each
/// of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// Under which id they go on.
    pub head: CustomerId,
    /// Who was on the one side, in the order of their ids.
    pub one: Vec<CustomerId>,
    /// Who was on the other.
    pub other: Vec<CustomerId>,
    /// How either side had come together before, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Join>,
    /// Why.
    pub reason: MergeReason,
}

impl Merged {
    /// How all of them came together, if this happened at an instant.
    pub(crate) fn joins(&self, at: Timestamp) -> Vec<Join> {
        let join = Join { at, one: self.one.clone(), other: self.other.clone() };
        self.earlier.iter().cloned().chain([join]).collect()
    }
}

/// How two sides came together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// When.
    pub at: Timestamp,
    /// The one side.
    pub one: Vec<CustomerId>,
    /// The other.
    pub other: Vec<CustomerId>,
}

/// Somebody who was merged turned out to be two people. Recorded for each of those who were merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parted {
    /// Under which id those go on who stay together with the one whose history this is in.
    pub head: CustomerId,
    /// Who they are, in the order of their ids.
    pub members: Vec<CustomerId>,
    /// From whom they were parted.
    pub from: Vec<CustomerId>,
    /// How those had come together who stay together, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joins: Vec<Join>,
    /// Why, in few words.
    pub reason: Remark,
}
