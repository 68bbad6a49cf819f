//! Free attributes of a card, with a declared schema.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::error::CardError;
use super::line::CardText;
use crate::text::text_type;

text_type!(
    /// The name of an attribute that the shop declared for its cards, such as `shoe size`.
    AttributeName, "attribute name", 40
);
text_type!(
    /// One of the values that an attribute can have.
    AttributeChoice, "choice", 64
);

/// What an attribute takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttributeKind {
    /// A text of at most so many bytes, up to [`CardText::MAX_BYTES`].
    Text {
        /// The limit in bytes.
        max_bytes: u16,
    },
    /// A whole number.
    Integer,
    /// A decimal number.
    Number,
    /// A day.
    Date,
    /// Yes or no.
    Flag,
    /// One of these.
    OneOf(Vec<AttributeChoice>),
}

/// The attributes that cards may have. A new version takes the place of the whole; values of attributes that it
/// lacks stay readable, and no new ones are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardSchema {
    /// By name.
    pub attributes: BTreeMap<AttributeName, AttributeKind>,
}

/// Why a schema was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a card's {what} are {count}, and may be 1 to {max}")]
pub struct SchemaError {
    /// Of what.
    pub what: &'static str,
    /// How many.
    pub count: usize,
    /// The limit.
    pub max: usize,
}

impl CardSchema {
    /// The most attributes.
    pub const ATTRIBUTES_MAX: usize = 64;
    /// The most choices of one attribute.
    pub const CHOICES_MAX: usize = 64;

    /// Checks the limits.
    ///
    /// # Errors
    ///
    /// `SchemaError` naming the first that is exceeded.
    pub fn check(&self) -> Result<(), SchemaError> {
        let within = |what, count: usize, least: usize, max: usize| {
            if (least..=max).contains(&count) { Ok(()) } else { Err(SchemaError { what, count, max }) }
        };
        within("attributes", self.attributes.len(), 0, Self::ATTRIBUTES_MAX)?;
        self.attributes.values().try_for_each(|kind| match kind {
            AttributeKind::OneOf(choices) => within("choices", choices.len(), 1, Self::CHOICES_MAX),
            AttributeKind::Text { max_bytes } => {
                within("bytes of a text", usize::from(*max_bytes), 1, CardText::MAX_BYTES)
            }
            AttributeKind::Integer | AttributeKind::Number | AttributeKind::Date | AttributeKind::Flag => Ok(()),
        })
    }

    /// Checks a value against what was declared for its attribute.
    ///
    /// # Errors
    ///
    /// `Undeclared` or `Attribute`.
    pub fn takes(&self, name: &AttributeName, value: &AttributeValue) -> Result<(), CardError> {
        let kind = self.attributes.get(name).ok_or_else(|| CardError::Undeclared { attribute: name.clone() })?;
        let (fits, takes) = match kind {
            AttributeKind::Text { max_bytes } => (
                matches!(value, AttributeValue::Text(text) if text.as_str().len() <= usize::from(*max_bytes)),
                format!("a text of at most {max_bytes} bytes"),
            ),
            AttributeKind::Integer => {
                (matches!(value, AttributeValue::Number(number) if number.is_integer()), "a whole number".to_owned())
            }
            AttributeKind::Number => (matches!(value, AttributeValue::Number(_)), "a number".to_owned()),
            AttributeKind::Date => (matches!(value, AttributeValue::Date(_)), "a date".to_owned()),
            AttributeKind::Flag => (matches!(value, AttributeValue::Flag(_)), "yes or no".to_owned()),
            AttributeKind::OneOf(choices) => (
                matches!(value, AttributeValue::OneOf(choice) if choices.contains(choice)),
                format!("one of {} choices", choices.len()),
            ),
        };
        if fits { Ok(()) } else { Err(CardError::Attribute { attribute: name.clone(), takes }) }
    }
}

/// The value of a free attribute. It prints masked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub enum AttributeValue {
    /// A text.
    Text(CardText),
    /// A number, with as many decimals as there are behind the point without zeros at the end.
    Number(Decimal),
    /// A day of the years 1 to 9999.
    Date(NaiveDate),
    /// Yes or no.
    Flag(bool),
    /// One of what was declared.
    OneOf(AttributeChoice),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stored {
    Text(CardText),
    Number(SmolStr),
    Date(SmolStr),
    Flag(bool),
    OneOf(AttributeChoice),
}

impl AttributeValue {
    /// A number.
    #[must_use]
    pub fn number(number: Decimal) -> Self {
        AttributeValue::Number(number.normalize())
    }
}

impl TryFrom<Stored> for AttributeValue {
    type Error = CardError;

    fn try_from(stored: Stored) -> Result<Self, CardError> {
        Ok(match stored {
            Stored::Text(text) => AttributeValue::Text(text),
            Stored::Number(number) => AttributeValue::number(
                Decimal::from_str(&number).map_err(|_| CardError::Form { what: "number", form: "a decimal" })?,
            ),
            Stored::Date(date) => AttributeValue::Date(
                NaiveDate::parse_from_str(&date, "%Y-%m-%d")
                    .map_err(|_| CardError::Form { what: "date", form: "2026-01-31" })?,
            ),
            Stored::Flag(flag) => AttributeValue::Flag(flag),
            Stored::OneOf(choice) => AttributeValue::OneOf(choice),
        })
    }
}

impl From<AttributeValue> for Stored {
    fn from(value: AttributeValue) -> Stored {
        match value {
            AttributeValue::Text(text) => Stored::Text(text),
            AttributeValue::Number(number) => Stored::Number(smol_str::format_smolstr!("{}", number.normalize())),
            AttributeValue::Date(date) => Stored::Date(smol_str::format_smolstr!("{}", date.format("%Y-%m-%d"))),
            AttributeValue::Flag(flag) => Stored::Flag(flag),
            AttributeValue::OneOf(choice) => Stored::OneOf(choice),
        }
    }
}

impl std::fmt::Debug for AttributeValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AttributeValue(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> AttributeName {
        AttributeName::new(name).unwrap()
    }

    #[test]
    fn an_attribute_takes_what_was_declared_and_nothing_else() {
        let choice = |text: &str| AttributeChoice::new(text).unwrap();
        let schema = CardSchema {
            attributes: [
                (name("note"), AttributeKind::Text { max_bytes: 5 }),
                (name("children"), AttributeKind::Integer),
                (name("height"), AttributeKind::Number),
                (name("married"), AttributeKind::Date),
                (name("pet"), AttributeKind::Flag),
                (name("size"), AttributeKind::OneOf(vec![choice("S"), choice("M")])),
            ]
            .into(),
        };
        schema.check().unwrap();
        let decimal = |text: &str| AttributeValue::number(Decimal::from_str(text).unwrap());
        let text = |text: &str| AttributeValue::Text(CardText::new(text).unwrap());
        let date = AttributeValue::Date(NaiveDate::from_ymd_opt(2026, 1, 31).unwrap());
        let good = [
            ("note", text("short")),
            ("children", decimal("2.0")),
            ("height", decimal("1.85")),
            ("married", date.clone()),
            ("pet", AttributeValue::Flag(true)),
            ("size", AttributeValue::OneOf(choice("S"))),
        ];
        for (attribute, value) in &good {
            assert_eq!(schema.takes(&name(attribute), value), Ok(()), "{attribute}");
            let stored = serde_json::to_string(value).unwrap();
            assert_eq!(&serde_json::from_str::<AttributeValue>(&stored).unwrap(), value);
        }
        let bad = [
            ("note", text("longer")),
            ("children", decimal("2.5")),
            ("height", text("tall")),
            ("married", decimal("1")),
            ("pet", date),
            ("size", AttributeValue::OneOf(choice("Canary"))),
        ];
        for (attribute, value) in bad {
            let error = schema.takes(&name(attribute), &value).unwrap_err();
            assert!(matches!(error, CardError::Attribute { .. }) && !error.to_string().contains("Canary"), "{error}");
        }
        let undeclared = schema.takes(&name("other"), &AttributeValue::Flag(true));
        assert!(matches!(undeclared, Err(CardError::Undeclared { .. })));
    }

    #[test]
    fn a_schema_has_limits() {
        let many = (0..65).map(|n| (name(&n.to_string()), AttributeKind::Flag)).collect();
        assert!(CardSchema { attributes: many }.check().is_err());
        for kind in [
            AttributeKind::OneOf(Vec::new()),
            AttributeKind::OneOf(vec![AttributeChoice::new("x").unwrap(); 65]),
            AttributeKind::Text { max_bytes: 0 },
            AttributeKind::Text { max_bytes: 2049 },
        ] {
            assert!(CardSchema { attributes: [(name("x"), kind)].into() }.check().is_err());
        }
        assert!(serde_json::from_str::<AttributeValue>(r#"{"number":"1e400"}"#).is_err());
        assert!(serde_json::from_str::<AttributeValue>(r#"{"number":"NaN"}"#).is_err());
    }
}
