//! What is told of declared attributes.

use serde::{Deserialize, Serialize};

use super::{DeclaredName, DeclaredValue};

/// The shop says what a declared attribute of the customer's is. Of several the last one counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeSet {
    /// Which attribute.
    pub attribute: DeclaredName,
    /// What it is; none takes away what was told before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<DeclaredValue>,
}

impl AttributeSet {
    /// It is this.
    #[must_use]
    pub const fn new(attribute: DeclaredName, value: DeclaredValue) -> Self {
        AttributeSet { attribute, value: Some(value) }
    }

    /// Nothing is known of it any more.
    #[must_use]
    pub const fn unset(attribute: DeclaredName) -> Self {
        AttributeSet { attribute, value: None }
    }
}
