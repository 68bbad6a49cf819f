//! Messages between the shop and the customer, either way and by every channel. What the shop sent is told as
//! [`Contacted`](crate::consent::Contacted), because it may need consent; what came in as [`MessageReceived`]. So far:
//! when there were any.

mod event;

use serde::{Deserialize, Serialize};

pub use event::MessageReceived;

use crate::flat::FlatMap;
use crate::interaction::{Channel, Instants};
use crate::time::Timestamp;

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageDirection {
    /// From the shop to the customer.
    Sent,
    /// From the customer to the shop.
    Received,
}

/// When messages went either way, by channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Messages(FlatMap<(MessageDirection, Channel), Instants>);

impl Messages {
    pub(crate) fn note(&mut self, direction: MessageDirection, channel: Channel, at: Timestamp) {
        self.0.get_or_default(&(direction, channel)).note(at);
    }

    /// When there were some, one list for each direction and channel that was asked for; none is any.
    pub fn instants(
        &self,
        direction: Option<MessageDirection>,
        channel: Option<Channel>,
    ) -> impl Iterator<Item = &Instants> {
        let asked = move |(own, by): (MessageDirection, Channel)| {
            direction.is_none_or(|direction| direction == own) && channel.is_none_or(|channel| channel == by)
        };
        self.0.iter().filter(move |(key, _)| asked(**key)).map(|(_, instants)| instants)
    }
}
