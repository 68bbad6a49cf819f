//! What the law asks for besides consent: that a person can be forgotten, what stands against it, and who may see
//! what of their card.

mod blocker;
mod event;
mod policy;
mod record;

pub use blocker::{Blocked, Blocker, HOLDS_MAX, HoldRefusal};
pub use event::{Erased, HoldName, HoldPlaced, HoldReleased, Record};
pub use policy::{PrivacyError, PrivacyPolicy, RETURN_WINDOW_MAX, VIEW_FIELDS_MAX, View, ViewName};
pub use record::{ErasureRecord, ErasureTag, RECORD_TAGS_MAX, RecordError};
