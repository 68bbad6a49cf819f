//! Holds: points that are set aside while something else is decided, as a payment is authorised.

use serde::{Deserialize, Serialize};

use super::LoyaltyError;
use super::book::PointsBook;
use crate::id::CustomerId;
use crate::text::text_type;
use crate::time::Timestamp;

text_type!(
    /// The name of a hold, such as the number of a checkout. While one of that name is there, no other can be placed. Of
    /// two who are merged and have one each of that name, each keeps theirs.
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

/// The name of a hold, and whose it is if not that of the one whose book it is in.
pub(crate) type HoldKey = (HoldName, Option<CustomerId>);

impl PointsBook {
    /// The hold of a name, and how many points it has. In a book of several it is that of the one who asks for it, or else
    /// the only one.
    ///
    /// # Errors
    ///
    /// `NoHold`, or `HoldAmbiguous` if several others have one.
    pub(super) fn open_hold(
        &self,
        name: &HoldName,
        through: Option<CustomerId>,
    ) -> Result<(HoldKey, i64), LoyaltyError> {
        let named = || self.holds_named(name);
        let own = named().find(|((_, of), _)| *of == through);
        let (key, hold) = match (own.or(named().next()), named().nth(1)) {
            (Some(_), Some(_)) if own.is_none() && through.is_some() => {
                return Err(LoyaltyError::HoldAmbiguous { hold: name.clone() });
            }
            (Some(found), _) => found,
            (None, _) => return Err(LoyaltyError::NoHold { hold: name.clone() }),
        };
        Ok((key.clone(), hold.points()))
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
