//! What is noted about a customer: tags, what kind of party they are, and the relationship card.
//!
//! The card is personal. It is never in events or states: a store keeps its values sealed, and an event names
//! only the fields that moved ([`CardChanged`]). Nothing here prints a value, errors included.

mod address;
mod birthday;
mod card;
mod completeness;
mod contact_point;
mod error;
mod event;
mod field;
mod line;
mod locale;
mod merge;
mod name;
mod party;
mod schema;
mod script;
mod search;

pub use address::{Address, Place};
pub use birthday::{Birthday, LeapDay};
pub use card::{Card, CardUpdate, CardValue, CustomPreference, Sourced, Telling, Tellings};
pub use completeness::{Completeness, CompletenessRules, Want, Wanted};
pub use contact_point::{ContactKind, ContactPoint, Preference};
pub use error::CardError;
pub use event::{CardChanged, Tagged, Untagged};
pub use field::Field;
pub use line::{CardLine, CardText, PersonalText};
pub use locale::{Country, Language, TimeZone};
pub use name::Name;
pub use party::{Membership, Party, PartyDescribed, PartyError, PartyKind, Role};
pub use schema::{AttributeChoice, AttributeKind, AttributeName, AttributeValue, CardSchema, SchemaError};
pub use search::{Asked, Gram, GramKind, Hit, Matched, SearchQuery, Searchable};
