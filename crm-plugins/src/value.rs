//! Neutral values: what the host hands to a guest and gets back, free of CRM and of WASM types.

/// One value. Money crosses as whole minor units, times as milliseconds since 1970-01-01 UTC.
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
    /// UTF-8 text.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl Value {
    /// False for NaN and the infinities, true for everything else.
    pub(crate) fn is_finite(&self) -> bool {
        match self {
            Value::Float(number) => number.is_finite(),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::Bytes(_) => true,
        }
    }
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

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// A named value. Names are unique within a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What the value is, in the words of the manifest or of the trigger.
    pub name: String,
    /// The value.
    pub value: Value,
}

impl Entry {
    /// A value under a name.
    pub fn new(name: impl Into<String>, value: impl Into<Value>) -> Self {
        Entry { name: name.into(), value: value.into() }
    }
}
