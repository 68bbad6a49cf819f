//! Facts about what is noted of a customer.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{CardError, CardUpdate, Field};
use crate::text::Tag;

/// The shop put a tag on the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tagged {
    /// Which one.
    pub tag: Tag,
}

/// The shop took one of its tags off the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Untagged {
    /// Which one.
    pub tag: Tag,
}

/// Something was told about fields of the card. What it was is kept sealed, and not here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Told", into = "Told")]
pub struct CardChanged {
    fields: BTreeSet<Field>,
}

#[derive(Serialize, Deserialize)]
struct Told {
    fields: BTreeSet<Field>,
}

impl CardChanged {
    /// A change of some fields.
    ///
    /// # Errors
    ///
    /// `TooMany` beyond [`CardUpdate::FIELDS_MAX`].
    pub fn new(fields: BTreeSet<Field>) -> Result<Self, CardError> {
        let (count, max) = (fields.len(), CardUpdate::FIELDS_MAX);
        if count > max { Err(CardError::TooMany { what: "fields", count, max }) } else { Ok(CardChanged { fields }) }
    }

    /// Which fields.
    #[must_use]
    pub const fn fields(&self) -> &BTreeSet<Field> {
        &self.fields
    }
}

impl TryFrom<Told> for CardChanged {
    type Error = CardError;

    fn try_from(told: Told) -> Result<Self, CardError> {
        Self::new(told.fields)
    }
}

impl From<CardChanged> for Told {
    fn from(changed: CardChanged) -> Told {
        Told { fields: changed.fields }
    }
}
