//! Facts about cases.

use serde::{Deserialize, Serialize};

use super::{CaseKind, CaseOutcome, CaseRef};
use crate::text::Remark;

/// The customer has a case with the shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseOpened {
    /// The shop's number of it. It is claimed: within a tenant one case has it.
    pub case: CaseRef,
    /// What kind of case.
    pub kind: CaseKind,
    /// What about, in few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<Remark>,
}

/// A case is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseClosed {
    /// Which.
    pub case: CaseRef,
    /// How it ended.
    pub outcome: CaseOutcome,
}

/// A case that was closed is open again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseReopened {
    /// Which.
    pub case: CaseRef,
    /// Why, in few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Remark>,
}
