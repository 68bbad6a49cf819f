//! Touches between the customer and the shop. So far: visits and enquiries.

mod event;

use serde::{Deserialize, Serialize};

pub use event::{Enquired, Visited};

/// By which way customer and shop met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Channel {
    /// The shop's pages.
    Web,
    /// The shop's app.
    App,
    /// A store made of bricks.
    Store,
    /// A telephone call.
    Phone,
    /// E-mail.
    Email,
    /// SMS or MMS.
    Sms,
    /// Chat and messengers.
    Chat,
    /// Post, fax.
    Letter,
    /// Social networks and communities.
    Social,
}
