//! What a person is known by, and who is who. An identifier is normalised once, here, and from then on only
//! its keyed hash is used: events, state and look-ups never hold the clear value.
//!
//! [`Identifier`] normalises, [`LookupKey`] hashes, [`IdentityRules`] say what sharing an identifier means,
//! [`resolve`] says whose event it is, and [`compare`] finds people who may be one without sharing any.

mod assurance;
mod doubts;
mod email;
mod event;
mod held;
mod identifier;
mod lookup;
mod merge;
mod normalise;
mod pattern;
mod person;
mod phone;
mod resolve;
mod rules;
mod similar;

use serde::{Deserialize, Serialize};

pub use assurance::{Assurance, VerificationMethod};
pub(crate) use doubts::Doubts;
pub use doubts::{DOUBTS_MAX, Doubt, DuplicateRejected, DuplicateSuggested};
pub use event::{Identified, IdentifierAttached, IdentifierSetAside};
pub(crate) use held::Held;
pub use held::{STATED_MAX, Seen};
pub use identifier::{Identifier, IdentifierError, Presented};
pub use lookup::{IdentifierKey, LookupKey, ScopeKey};
pub use merge::{Join, MEMBERS_MAX, MergeReason, Merged, Parted};
pub use pattern::Pattern;
pub use person::{HeldIdentifier, PersonSummary, Precedence, survivor};
pub use phone::{PhoneError, Region};
pub use resolve::{
    Aside, Found, Merge, PRESENTED_MAX, Resolution, ResolveError, SetAside, Shared, SuggestedMerge, Whom, resolve,
    shared,
};
pub use rules::{Agreement, Disagreement, IdentityRules, IdentityRulesError, KindRule, Limit, PatternError};
pub use similar::{
    Address, Birth, Clue, ClueField, LIKENESS_MAX, Likeness, SUGGEST_FROM, Similarity, Suggestion, compare,
    similar_names, suggest,
};

use crate::text::text_type;

text_type!(
    /// A system outside the shop that hands out customer numbers, such as `erp`.
    ExternalSystem, "external system", 64
);

/// Which kind of identifier it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IdentifierKind {
    /// An e-mail address.
    Email,
    /// A telephone number in E.164, with the extension where there is one.
    Phone,
    /// The number of a member card.
    Card,
    /// A device or a browser cookie.
    Device,
    /// An account of a messaging service.
    Messaging,
    /// An issuer and a subject of OpenID Connect.
    OpenId,
    /// A radio tag.
    Rfid,
    /// The key of another system, such as the shop's own customer number.
    External,
}

impl IdentifierKind {
    /// Every kind, in their order.
    pub const ALL: [IdentifierKind; 8] = [
        IdentifierKind::Email,
        IdentifierKind::Phone,
        IdentifierKind::Card,
        IdentifierKind::Device,
        IdentifierKind::Messaging,
        IdentifierKind::OpenId,
        IdentifierKind::Rfid,
        IdentifierKind::External,
    ];

    /// The name it is stored under.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            IdentifierKind::Email => "email",
            IdentifierKind::Phone => "phone",
            IdentifierKind::Card => "card",
            IdentifierKind::Device => "device",
            IdentifierKind::Messaging => "messaging",
            IdentifierKind::OpenId => "open_id",
            IdentifierKind::Rfid => "rfid",
            IdentifierKind::External => "external",
        }
    }

    /// Whether it names a person. A device does not: whoever is known by devices only is anonymous.
    #[must_use]
    pub const fn names_person(self) -> bool {
        !matches!(self, IdentifierKind::Device)
    }
}
