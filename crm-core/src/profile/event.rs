//! Facts about what is noted of a customer.

use serde::{Deserialize, Serialize};

use crate::text::Tag;

/// The shop put a tag on the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tagged {
    /// Which one.
    pub tag: Tag,
}

/// The shop took one of its tags off the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Untagged {
    /// Which one.
    pub tag: Tag,
}
