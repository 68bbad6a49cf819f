//! What the law asks for besides consent: that a person can be forgotten, what stands against it, and who may see
//! what of their card, and for how long it is kept.

mod blocker;
mod event;
mod policy;
mod record;
mod retention;

pub use blocker::{Blocked, Blocker, HoldRefusal, LEGAL_HOLDS_MAX, Unscored};
pub use event::{Erased, HoldPlaced, HoldReleased, LegalHoldName, Record};
pub use policy::{PrivacyError, PrivacyPolicy, RETURN_WINDOW_MAX, VIEW_FIELDS_MAX, View, ViewName};
pub use record::{ErasureAttempt, ErasureRecord, ErasureTag, RECORD_TAGS_MAX, RecordError};
pub(crate) use retention::Retained;
pub use retention::{
    Forget, Forgotten, IdentifierCorrected, PersonalKept, RETENTION_FIELDS_MAX, Removal, Removed, RetentionAction,
    RetentionDue, RetentionMark, RetentionName, RetentionOf, RetentionPolicy, RetentionSince,
};
