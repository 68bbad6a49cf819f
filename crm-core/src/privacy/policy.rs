//! What the shop decided about erasing and about who sees what.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::profile::Field;
use crate::text::text_type;
use crate::time::Span;

text_type!(
    /// What a view of the card is called, by its purpose, such as `shipping`.
    ViewName, "view", 64
);

/// The longest return window, and the longest time that an order may take to arrive: ten years.
pub const RETURN_WINDOW_MAX: Span = Span::days(3_660);

/// How many fields a view may name.
pub const VIEW_FIELDS_MAX: usize = 256;

/// When somebody is not erased yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivacyPolicy {
    /// For how long an order that stands can be sent back, counted from when it arrived.
    pub return_window: Span,
    /// How long an order is taken to be on its way, counted from when it was placed, unless it was told that it
    /// arrived. None means that it is taken to arrive at once: so it is for a shop that does not tell of deliveries, or
    /// that hands goods over a counter. A shop that sends goods has thirty days where nothing else was agreed
    /// (Directive 2011/83/EU, Art. 18(1)).
    #[serde(default = "at_once", skip_serializing_if = "is_at_once")]
    pub delivery_window: Span,
}

const fn at_once() -> Span {
    Span::days(0)
}

fn is_at_once(window: &Span) -> bool {
    *window == at_once()
}

impl PrivacyPolicy {
    /// The one that holds where none was defined: 14 days, for which a purchase at a distance can be withdrawn from,
    /// counted from when the goods arrive (Directive 2011/83/EU, Art. 9).
    pub const DEFAULT: PrivacyPolicy = PrivacyPolicy::returns_within(Span::days(14));

    /// With a return window, for a shop whose orders arrive at once unless it tells otherwise.
    #[must_use]
    pub const fn returns_within(return_window: Span) -> Self {
        PrivacyPolicy { return_window, delivery_window: at_once() }
    }

    /// For a shop whose orders take up to so long to arrive.
    #[must_use]
    pub const fn delivers_within(mut self, delivery_window: Span) -> Self {
        self.delivery_window = delivery_window;
        self
    }

    /// Checks its limits.
    ///
    /// # Errors
    ///
    /// `ReturnWindow` or `DeliveryWindow` if one is longer than [`RETURN_WINDOW_MAX`].
    pub fn check(&self) -> Result<(), PrivacyError> {
        if self.return_window > RETURN_WINDOW_MAX {
            return Err(PrivacyError::ReturnWindow);
        }
        if self.delivery_window > RETURN_WINDOW_MAX { Err(PrivacyError::DeliveryWindow) } else { Ok(()) }
    }
}

impl Default for PrivacyPolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What may be seen of a card for one purpose (GDPR, Art. 5(1)(b) and (c)).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Which fields.
    pub fields: BTreeSet<Field>,
    /// Whether it shows them also while processing is restricted: for legal claims, or to protect somebody (GDPR,
    /// Art. 18(2)).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub though_restricted: bool,
}

impl View {
    /// Of some fields, and not while processing is restricted.
    pub fn of(fields: impl IntoIterator<Item = Field>) -> Self {
        View { fields: fields.into_iter().collect(), though_restricted: false }
    }

    /// Checks its limits.
    ///
    /// # Errors
    ///
    /// `ViewFields` if it names more than [`VIEW_FIELDS_MAX`].
    pub fn check(&self) -> Result<(), PrivacyError> {
        let fields = self.fields.len();
        if fields > VIEW_FIELDS_MAX { Err(PrivacyError::ViewFields { fields }) } else { Ok(()) }
    }
}

/// Why a policy or a view was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrivacyError {
    /// The window is too long.
    #[error("a return window of more than 3660 days")]
    ReturnWindow,
    /// The time that an order takes to arrive is too long.
    #[error("a delivery window of more than 3660 days")]
    DeliveryWindow,
    /// Too many fields.
    #[error("a view of {fields} fields, more than {VIEW_FIELDS_MAX}")]
    ViewFields {
        /// How many.
        fields: usize,
    },
    /// A rule about how long data is kept is none.
    #[error("a retention policy that {what}")]
    Retention {
        /// What is wrong with it.
        what: &'static str,
    },
}
