//! Look-ups: read-only questions to sources that the shop offers, such as prices and stock.
//!
//! A guest is answered from values that the caller has at hand, so a call does no I/O and a replay
//! gets the same answers. What the caller does not have stops the call with
//! [`Fault::Need`](crate::Fault::Need): load it, and call again.

use std::collections::HashMap;
use std::fmt;

use crate::value::Value;

/// Values that are at hand.
pub trait Lookups: Send + Sync {
    /// The values of `field` in `source`, one for each of `keys` and in their order;
    /// [`Value::Null`] where the source has nothing. It must not block: the time that it takes is
    /// the plugin's.
    fn fetch(&self, source: &str, keys: &[&str], field: &str) -> Answer;
}

/// What there is at hand for a look-up.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// One value for each key.
    Values(Vec<Value>),
    /// Some of it has to be loaded first: the call stops.
    Missing,
    /// The source cannot be asked now. The guest is told so, and goes on or declines.
    Unavailable,
}

/// A look-up that stopped a call, because what it asked for was not at hand.
#[derive(Clone, PartialEq, Eq)]
pub struct Need {
    /// One of the manifest's sources.
    pub source: String,
    /// What is asked for, in the guest's words; at least one.
    pub keys: Vec<String>,
    /// What is wanted of it: a name, spelled as names of a manifest are.
    pub field: String,
}

/// Keys are a guest's words and may hold personal data, so only their number is printed.
impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of {} keys in `{}`", self.field, self.keys.len(), self.source)
    }
}

impl fmt::Debug for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Need({self})")
    }
}

/// Look-ups of values that were loaded before, each under its source, key and field.
///
/// ```
/// use crm_plugins::{Answer, LookupTable, Lookups, Value};
///
/// let table = LookupTable::new()
///     .with("stock", "mug", "on_hand", 12)
///     .with("stock", "jug", "on_hand", Value::Null);
/// assert_eq!(
///     table.fetch("stock", &["jug", "mug"], "on_hand"),
///     Answer::Values(vec![Value::Null, Value::Int(12)])
/// );
/// assert_eq!(table.fetch("stock", &["mug", "cup"], "on_hand"), Answer::Missing);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LookupTable(HashMap<String, HashMap<String, HashMap<String, Value>>>);

impl LookupTable {
    /// Nothing is at hand: each look-up is a need.
    pub fn new() -> LookupTable {
        LookupTable::default()
    }

    /// Puts a value at hand, over one that was there. [`Value::Null`] says that the source has none.
    pub fn insert(&mut self, source: &str, key: &str, field: &str, value: impl Into<Value>) {
        let fields = self.0.entry(source.to_owned()).or_default();
        fields.entry(field.to_owned()).or_default().insert(key.to_owned(), value.into());
    }

    /// The same table with one more value.
    #[must_use]
    pub fn with(mut self, source: &str, key: &str, field: &str, value: impl Into<Value>) -> LookupTable {
        self.insert(source, key, field, value);
        self
    }
}

impl Lookups for LookupTable {
    fn fetch(&self, source: &str, keys: &[&str], field: &str) -> Answer {
        let Some(known) = self.0.get(source).and_then(|fields| fields.get(field)) else {
            return if keys.is_empty() { Answer::Values(Vec::new()) } else { Answer::Missing };
        };
        let values = keys.iter().map(|key| known.get(*key).cloned());
        values.collect::<Option<_>>().map_or(Answer::Missing, Answer::Values)
    }
}
