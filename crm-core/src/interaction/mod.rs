//! Touches between the customer and the shop. So far: visits and enquiries.

mod event;
mod instants;

use serde::{Deserialize, Serialize};

pub use event::{Enquired, Visited};
pub use instants::{INSTANTS_MAX, Instants};

use crate::identity::IdentifierKind;

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

impl Channel {
    /// All of them.
    pub const ALL: [Channel; 9] = [
        Channel::Web,
        Channel::App,
        Channel::Store,
        Channel::Phone,
        Channel::Email,
        Channel::Sms,
        Channel::Chat,
        Channel::Letter,
        Channel::Social,
    ];

    /// The name it is stored under.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Channel::Web => "web",
            Channel::App => "app",
            Channel::Store => "store",
            Channel::Phone => "phone",
            Channel::Email => "email",
            Channel::Sms => "sms",
            Channel::Chat => "chat",
            Channel::Letter => "letter",
            Channel::Social => "social",
        }
    }

    /// Whether a message by this way goes to an address that may be suppressed. A page, an app and a store show it to
    /// whoever is there, and where a letter goes to is no identifier.
    #[must_use]
    pub const fn has_address(self) -> bool {
        match self {
            Channel::Web | Channel::App | Channel::Store | Channel::Letter => false,
            Channel::Phone | Channel::Email | Channel::Sms | Channel::Chat | Channel::Social => true,
        }
    }

    /// Whether a message by this way can go to an identifier of a kind.
    #[must_use]
    pub const fn goes_to(self, kind: IdentifierKind) -> bool {
        match self {
            Channel::Web | Channel::App | Channel::Store | Channel::Letter => false,
            Channel::Email => matches!(kind, IdentifierKind::Email),
            Channel::Phone | Channel::Sms => matches!(kind, IdentifierKind::Phone),
            // Services have accounts of their own, numbers or addresses.
            Channel::Chat | Channel::Social => true,
        }
    }
}
