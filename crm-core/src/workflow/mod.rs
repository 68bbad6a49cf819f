//! What workflows may ask for. The vocabulary is shared by the shop, by rules and by plugins: each
//! action is checked and carried out like a command of the shop.

mod event;
mod grants;
mod lookup;
mod usage;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

pub use event::{Faulted, Notified, Remembered, TagAdded, TagRemoved, TookOver};
pub use grants::{
    ActionLimits, DECISIONS_A_DAY, GRANTED_NAMES_MAX, Grants, GrantsError, Held, Identities, Names, NotGranted,
    points_given,
};
pub use lookup::{LOOKUP_KEY_BYTES_MAX, LOOKUP_KEYS_MAX, LookedUp, LookupKeyHash, SourceName};
pub use usage::{PluginKept, Usage};

use crate::id::Digest;
use crate::text::text_type;

text_type!(
    /// The name of a plugin.
    PluginName, "plugin name", 64
);
text_type!(
    /// What an entry of the outbox is about; hosts choose by it who handles the entry.
    Topic, "topic", 64
);
text_type!(
    /// The name of a field of a notification or of a shop-defined event.
    FieldName, "field name", 64
);

/// Which build of a plugin it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginStamp {
    /// Its name.
    pub name: PluginName,
    /// The version it gives itself.
    pub version: SmolStr,
    /// SHA-256 of its bytes.
    pub digest: Digest,
}

/// Who decided something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// A rule of the CRM, such as that of a loyalty programme.
    Rule,
    /// The shop, by a command.
    Shop,
    /// A plugin, by an action.
    Plugin(PluginStamp),
}

/// A value in a notification or in a shop-defined event. Numbers and texts print masked: they may say who somebody
/// is.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldValue {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A text, at most [`FIELD_TEXT_MAX`] bytes.
    Text(SmolStr),
}

impl std::fmt::Debug for FieldValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FieldValue::Bool(value) => write!(f, "Bool({value})"),
            FieldValue::Int(_) => f.write_str("Int(***)"),
            FieldValue::Text(_) => f.write_str("Text(***)"),
        }
    }
}

/// The longest text in a field, in bytes.
pub const FIELD_TEXT_MAX: usize = 4096;
/// The most fields in a notification or a shop-defined event.
pub const FIELDS_MAX: usize = 64;

/// Named values.
pub type Fields = BTreeMap<FieldName, FieldValue>;
