//! Events of the shop's own kinds, with a declared schema.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::text::text_type;
use crate::workflow::{FIELD_TEXT_MAX, FIELDS_MAX, FieldName, FieldValue, Fields};

text_type!(
    /// The name of a kind of event that the shop defined, without the prefix `shop.`.
    KindName, "event kind", 64
);

/// Something that happened, of a kind that the shop defined.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomFact {
    /// Its kind.
    pub kind: KindName,
    /// What is known of it.
    pub fields: Fields,
}

impl CustomFact {
    /// A fact of a kind, without fields.
    #[must_use]
    pub const fn new(kind: KindName) -> Self {
        CustomFact { kind, fields: Fields::new() }
    }

    /// With one more field.
    #[must_use]
    pub fn with(mut self, name: FieldName, value: FieldValue) -> Self {
        self.fields.insert(name, value);
        self
    }
}

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// Yes or no.
    Bool,
    /// A whole number.
    Int,
    /// A text.
    Text,
}

/// A field of a declared kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldRule {
    /// Its type.
    pub field_type: FieldType,
    /// Whether it has to be there.
    #[serde(default)]
    pub required: bool,
}

/// What a kind of event looks like, and what it says about buying.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindSchema {
    /// Its fields; no others are accepted.
    pub fields: BTreeMap<FieldName, FieldRule>,
    /// Whether it is a sign of intent, as an enquiry is.
    #[serde(default)]
    pub shows_interest: bool,
    /// Whether by it the shop says that the relation has ended: a contract that ran out, an account that was closed.
    /// The stage moves at once, without waiting for a window to run out. Whoever orders later is won back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ends_relation: bool,
}

/// Why a fact of a shop-defined kind was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CustomError {
    /// The kind was not declared, or not yet at the time of the event.
    #[error("event kind {kind} is not declared")]
    Undeclared {
        /// The kind.
        kind: KindName,
    },
    /// A field that the schema lacks.
    #[error("event kind {kind} has no field {field}")]
    UnknownField {
        /// The kind.
        kind: KindName,
        /// The field.
        field: FieldName,
    },
    /// A field that has to be there.
    #[error("event kind {kind} needs field {field}")]
    MissingField {
        /// The kind.
        kind: KindName,
        /// The field.
        field: FieldName,
    },
    /// A field of another type.
    #[error("field {field} of event kind {kind} is to be {expected:?}")]
    WrongType {
        /// The kind.
        kind: KindName,
        /// The field.
        field: FieldName,
        /// The declared type.
        expected: FieldType,
    },
    /// Too many fields, or a text too long.
    #[error("event kind {kind} has more than {max} {what}")]
    TooLarge {
        /// The kind.
        kind: KindName,
        /// Of what.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}

impl KindSchema {
    /// Checks a fact against the schema.
    ///
    /// # Errors
    ///
    /// `CustomError`, naming the first field that is wrong.
    pub fn check(&self, fact: &CustomFact) -> Result<(), CustomError> {
        let kind = || fact.kind.clone();
        if fact.fields.len() > FIELDS_MAX {
            return Err(CustomError::TooLarge { kind: kind(), what: "fields", max: FIELDS_MAX });
        }
        for (field, value) in &fact.fields {
            let rule = self
                .fields
                .get(field)
                .ok_or_else(|| CustomError::UnknownField { kind: kind(), field: field.clone() })?;
            let fits = match (rule.field_type, value) {
                (FieldType::Bool, FieldValue::Bool(_)) | (FieldType::Int, FieldValue::Int(_)) => true,
                (FieldType::Text, FieldValue::Text(text)) if text.len() > FIELD_TEXT_MAX => {
                    return Err(CustomError::TooLarge { kind: kind(), what: "bytes in a text", max: FIELD_TEXT_MAX });
                }
                (FieldType::Text, FieldValue::Text(_)) => true,
                (FieldType::Bool, FieldValue::Int(_) | FieldValue::Text(_))
                | (FieldType::Int, FieldValue::Bool(_) | FieldValue::Text(_))
                | (FieldType::Text, FieldValue::Bool(_) | FieldValue::Int(_)) => false,
            };
            if !fits {
                return Err(CustomError::WrongType { kind: kind(), field: field.clone(), expected: rule.field_type });
            }
        }
        match self.fields.iter().find(|(field, rule)| rule.required && !fact.fields.contains_key(*field)) {
            Some((field, _)) => Err(CustomError::MissingField { kind: kind(), field: field.clone() }),
            None => Ok(()),
        }
    }
}
