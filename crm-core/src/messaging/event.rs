//! Facts about messages.

use serde::{Deserialize, Serialize};

use crate::interaction::Channel;
use crate::text::Remark;

/// The customer sent the shop something: a reply, a note, whatever it was about. Who asks about something that can be
/// bought is told as [`Enquired`](crate::interaction::Enquired) besides, if the shop wants it to count as intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageReceived {
    /// By which way.
    pub channel: Channel,
    /// What about, in few words; never the message itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Remark>,
}
