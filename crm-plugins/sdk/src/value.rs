//! Values that come in by name, and go out in an action's arguments.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

/// One value. Money is in whole minor units, times in milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A finite number.
    Float(f64),
    /// Text.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value)
    }
}

/// Values by name: parameters, a customer's features, an event's fields. A value that is missing,
/// null or of another kind is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entries(Vec<(String, Value)>);

impl Entries {
    /// No values.
    pub fn new() -> Self {
        Entries::default()
    }

    /// These and one more. For tests and for arguments.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }

    /// The value under `name`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The truth under `name`.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        if let Value::Bool(value) = self.get(name)? { Some(*value) } else { None }
    }

    /// The whole number under `name`.
    pub fn int(&self, name: &str) -> Option<i64> {
        if let Value::Int(value) = self.get(name)? { Some(*value) } else { None }
    }

    /// The number under `name`. A whole one counts, exact up to 2^53.
    pub fn float(&self, name: &str) -> Option<f64> {
        match self.get(name)? {
            Value::Float(value) => Some(*value),
            Value::Int(value) => Some(*value as f64),
            Value::Null | Value::Bool(_) | Value::Text(_) | Value::Bytes(_) => None,
        }
    }

    /// The text under `name`.
    pub fn text(&self, name: &str) -> Option<&str> {
        if let Value::Text(value) = self.get(name)? { Some(value) } else { None }
    }

    /// The bytes under `name`.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        if let Value::Bytes(value) = self.get(name)? { Some(value) } else { None }
    }

    /// All names with their values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl FromIterator<(String, Value)> for Entries {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(entries: I) -> Self {
        Entries(entries.into_iter().collect())
    }
}

impl IntoIterator for Entries {
    type Item = (String, Value);
    type IntoIter = alloc::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
