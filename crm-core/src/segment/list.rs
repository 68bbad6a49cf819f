//! Lists: named groups of customers that the shop keeps by hand. Who is on one is told by facts, and follows from nothing.

use serde::{Deserialize, Serialize};

use crate::text::text_type;

text_type!(
    /// The name of a list, such as `fair-2026`.
    ListName, "list", 64
);
text_type!(
    /// What a list is called on screens, or what it is for.
    ListText, "text about a list", 512
);

/// What is known of a list, beside who is on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListAbout {
    /// What it is called on screens; none for its name.
    #[serde(default)]
    pub title: Option<ListText>,
    /// What it is for.
    #[serde(default)]
    pub description: Option<ListText>,
}

/// The customer was put on a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enlisted {
    /// Which one.
    pub list: ListName,
}

/// The customer was taken off a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unlisted {
    /// Which one.
    pub list: ListName,
}

/// Why nobody was put on a list, or taken off.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// It was not defined, or had ended by then.
    #[error("there is no list {list}")]
    Undeclared {
        /// Its name.
        list: ListName,
    },
}
