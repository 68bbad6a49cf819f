//! Holds: points that are set aside while something else is decided, as a payment is authorised.

use serde::{Deserialize, Serialize};

use crate::text::text_type;
use crate::time::Timestamp;

text_type!(
    /// The name of a hold, such as the number of a checkout. While one of that name is there, no other can be placed.
    HoldName, "hold", 128
);

/// The most holds that a customer has in one programme at a time.
pub const HOLDS_MAX: usize = 64;

/// Points that are held.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// How many of which lots.
    pub(super) lots: Vec<(u32, i64)>,
    /// Until when.
    pub(super) until: Option<Timestamp>,
}

impl Hold {
    /// How many points are held.
    #[must_use]
    pub fn points(&self) -> i64 {
        self.lots.iter().fold(0, |sum, (_, points)| sum.saturating_add(*points))
    }

    /// Until when; none means until it is captured or released.
    #[must_use]
    pub const fn until(&self) -> Option<Timestamp> {
        self.until
    }
}

/// Why a hold was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldEnd {
    /// It was asked for.
    Asked,
    /// Its time was up.
    Ended,
}
