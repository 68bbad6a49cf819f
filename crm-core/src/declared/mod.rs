//! Attributes that the shop declares so that rules can ask about them: a shoe size, a home store, the end of a contract.
//! Each has a name and a type, and what is told of it comes as a fact with source and time.
//!
//! They are not the free attributes of the [card](crate::profile), which are personal, sealed, and which no rule sees.
//! By declaring one here the shop says that it is not personal: it is kept in the open, in events and states. Nothing
//! that identifies a person belongs here.

mod event;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use event::AttributeSet;

use crate::fixed::Millionths;
use crate::text::text_type;
use crate::time::Timestamp;

text_type!(
    /// The name of an attribute that rules ask about, such as `shoe_size`.
    DeclaredName, "attribute", 64
);
text_type!(
    /// A text that such an attribute can have. It prints masked, in case that something personal is in it all the same.
    masked DeclaredText, "attribute text", 256
);

/// What a declared attribute takes. Once it was declared as a text, a number, an instant or a yes or no, an attribute
/// stays one: rules were read against that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeclaredKind {
    /// Any text.
    Text,
    /// One of these texts. A later version may list others, or take any text.
    OneOf(BTreeSet<DeclaredText>),
    /// A whole number.
    Whole,
    /// A number with at most six decimals.
    Decimal,
    /// An instant; a day is its first instant in UTC. It may lie in the future.
    Instant,
    /// Yes or no.
    Flag,
}

/// What is known of a declared attribute. Everything but a yes or no prints masked: it may say who somebody is, though it
/// should not.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeclaredValue {
    /// A text, of a list or any.
    Text(DeclaredText),
    /// A whole number.
    Whole(i64),
    /// A number with decimals.
    Decimal(Millionths),
    /// An instant.
    Instant(Timestamp),
    /// Yes or no.
    Flag(bool),
}

/// Why a declaration was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeclarationError {
    /// No texts to choose from, or too many.
    #[error("attribute {attribute} lists {count} texts, and may list 1 to {max}")]
    Choices {
        /// Which attribute.
        attribute: DeclaredName,
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// Too many attributes, those that were ended included.
    #[error("there are {max} attributes already")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// It was declared as something else before.
    #[error("attribute {attribute} is {was}, and cannot become {is}")]
    OtherType {
        /// Which attribute.
        attribute: DeclaredName,
        /// What it was declared as.
        was: &'static str,
        /// What it was to be.
        is: &'static str,
    },
}

/// Why a value of a declared attribute was refused. It names no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeclaredError {
    /// The attribute was not declared, or not yet or no longer at the time of the fact.
    #[error("attribute {attribute} is not declared")]
    Undeclared {
        /// Which.
        attribute: DeclaredName,
    },
    /// A value of another type.
    #[error("attribute {attribute} takes {expected}")]
    WrongType {
        /// Which attribute.
        attribute: DeclaredName,
        /// What it takes.
        expected: &'static str,
    },
    /// A text that is not listed.
    #[error("attribute {attribute} takes one of {choices} texts, and this is none of them")]
    NotListed {
        /// Which attribute.
        attribute: DeclaredName,
        /// How many are listed.
        choices: usize,
    },
}

impl std::fmt::Debug for DeclaredValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DeclaredValue::Text(_) => f.write_str("Text(***)"),
            DeclaredValue::Whole(_) => f.write_str("Whole(***)"),
            DeclaredValue::Decimal(_) => f.write_str("Decimal(***)"),
            DeclaredValue::Instant(_) => f.write_str("Instant(***)"),
            DeclaredValue::Flag(yes) => write!(f, "Flag({yes})"),
        }
    }
}

impl DeclaredValue {
    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        if let DeclaredValue::Text(text) = self { Some(text.as_str()) } else { None }
    }

    /// The whole number, if it is one.
    #[must_use]
    pub const fn whole(&self) -> Option<i64> {
        if let DeclaredValue::Whole(number) = self { Some(*number) } else { None }
    }

    /// The decimal number, if it is one.
    #[must_use]
    pub const fn decimal(&self) -> Option<Millionths> {
        if let DeclaredValue::Decimal(number) = self { Some(*number) } else { None }
    }

    /// The instant, if it is one.
    #[must_use]
    pub const fn instant(&self) -> Option<Timestamp> {
        if let DeclaredValue::Instant(instant) = self { Some(*instant) } else { None }
    }

    /// The yes or no, if it is one.
    #[must_use]
    pub const fn flag(&self) -> Option<bool> {
        if let DeclaredValue::Flag(yes) = self { Some(*yes) } else { None }
    }
}

impl DeclaredKind {
    /// The most attributes a shop can declare, those that were ended included.
    pub const ATTRIBUTES_MAX: usize = 256;
    /// The most texts that one attribute can list.
    pub const CHOICES_MAX: usize = 256;

    /// Checks the limits.
    ///
    /// # Errors
    ///
    /// `Choices` for an empty or too long list.
    pub fn check(&self, attribute: &DeclaredName) -> Result<(), DeclarationError> {
        let DeclaredKind::OneOf(choices) = self else { return Ok(()) };
        if (1..=Self::CHOICES_MAX).contains(&choices.len()) {
            return Ok(());
        }
        let attribute = attribute.clone();
        Err(DeclarationError::Choices { attribute, count: choices.len(), max: Self::CHOICES_MAX })
    }

    /// Checks a value.
    ///
    /// # Errors
    ///
    /// `WrongType` or `NotListed`.
    pub fn takes(&self, attribute: &DeclaredName, value: &DeclaredValue) -> Result<(), DeclaredError> {
        let attribute = || attribute.clone();
        match (self, value) {
            (DeclaredKind::Text, DeclaredValue::Text(_))
            | (DeclaredKind::Whole, DeclaredValue::Whole(_))
            | (DeclaredKind::Decimal, DeclaredValue::Decimal(_))
            | (DeclaredKind::Instant, DeclaredValue::Instant(_))
            | (DeclaredKind::Flag, DeclaredValue::Flag(_)) => Ok(()),
            (DeclaredKind::OneOf(listed), DeclaredValue::Text(text)) if listed.contains(text) => Ok(()),
            (DeclaredKind::OneOf(listed), DeclaredValue::Text(_)) => {
                Err(DeclaredError::NotListed { attribute: attribute(), choices: listed.len() })
            }
            (
                DeclaredKind::Text
                | DeclaredKind::OneOf(_)
                | DeclaredKind::Whole
                | DeclaredKind::Decimal
                | DeclaredKind::Instant
                | DeclaredKind::Flag,
                _,
            ) => Err(DeclaredError::WrongType { attribute: attribute(), expected: self.type_name() }),
        }
    }

    /// What it is called in errors; a text of a list and any text are one type.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            DeclaredKind::Text | DeclaredKind::OneOf(_) => "a text",
            DeclaredKind::Whole => "a whole number",
            DeclaredKind::Decimal => "a decimal number",
            DeclaredKind::Instant => "an instant",
            DeclaredKind::Flag => "a yes or no",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> DeclaredText {
        DeclaredText::new(text).unwrap()
    }

    #[test]
    fn an_attribute_takes_what_was_declared_and_nothing_else() {
        let name = DeclaredName::new("store").unwrap();
        let kinds = [
            DeclaredKind::Text,
            DeclaredKind::OneOf([text("Basel"), text("Bern")].into()),
            DeclaredKind::Whole,
            DeclaredKind::Decimal,
            DeclaredKind::Instant,
            DeclaredKind::Flag,
        ];
        let values = [
            DeclaredValue::Text(text("Chur")),
            DeclaredValue::Text(text("Basel")),
            DeclaredValue::Whole(3),
            DeclaredValue::Decimal(Millionths::new(3)),
            DeclaredValue::Instant(Timestamp::MIN),
            DeclaredValue::Flag(true),
        ];
        for (n, kind) in kinds.iter().enumerate() {
            kind.check(&name).unwrap();
            for (m, value) in values.iter().enumerate() {
                let fits = n == m || (n, m) == (0, 1);
                let taken = kind.takes(&name, value);
                assert_eq!(taken.is_ok(), fits, "{kind:?} {value:?}");
                assert!(taken.err().is_none_or(|error| !error.to_string().contains("Chur")));
            }
        }
        let many = (0..257).map(|n| text(&n.to_string())).collect();
        assert!(
            DeclaredKind::OneOf(many).check(&name).is_err() && DeclaredKind::OneOf([].into()).check(&name).is_err()
        );
    }
}
