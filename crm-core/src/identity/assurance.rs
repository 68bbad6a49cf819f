//! Who answers for it that an identifier is a person's.

use serde::{Deserialize, Serialize};

use crate::text::text_type;

text_type!(
    /// How an identifier was proved, such as `double_opt_in`, `one_time_code` or `passport`.
    VerificationMethod, "verification method", 32
);

/// Who answers for it that an identifier is a person's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assurance {
    /// The shop: it comes from a signed-in session or the shop's own records.
    #[default]
    Vouched,
    /// It was proved.
    Verified {
        /// How.
        by: VerificationMethod,
    },
    /// Nobody: the person merely gave it. It leads to nobody.
    Stated,
}

impl Assurance {
    /// Whether the shop vouches for it.
    #[must_use]
    pub const fn is_vouched(&self) -> bool {
        matches!(self, Assurance::Vouched)
    }

    /// Whether nobody answers for it.
    #[must_use]
    pub const fn is_stated(&self) -> bool {
        matches!(self, Assurance::Stated)
    }

    /// How much it says, higher for more: stated, vouched for, verified.
    #[must_use]
    pub const fn rank(&self) -> u8 {
        match self {
            Assurance::Stated => 0,
            Assurance::Vouched => 1,
            Assurance::Verified { .. } => 2,
        }
    }
}
