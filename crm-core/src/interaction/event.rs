//! Facts about touches.

use serde::{Deserialize, Serialize};

use super::Channel;
use crate::text::Remark;

/// The customer visited the shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visited {
    /// By which way.
    pub channel: Channel,
    /// What was looked at: a page, a department.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Remark>,
}

/// The customer asked about something that can be bought: a sign of intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enquired {
    /// By which way.
    pub channel: Channel,
    /// What about, in few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Remark>,
}
