//! Segments: named groups of customers, defined by a rule. Membership follows from a customer's
//! state and the time, so it is right at every instant: a rule can say when its answer will next
//! change with no new fact, and that instant becomes an alarm.

mod book;
mod days;
mod list;
mod overrides;
mod past;
mod references;
mod set;
mod spell;
mod versions;

pub(crate) use book::{Answers, SegmentBook};
pub use book::{Filled, Unfilled};
pub use days::{MemberDay, MemberDays, Stay, TooManyDays};
pub use list::{Enlisted, ListAbout, ListError, ListName, ListText, Unlisted};
pub use overrides::{
    BY_OVERRIDE, OVERRIDE_ENDED, Override, OverrideCleared, OverrideRefusal, OverrideSegment, SegmentOverridden,
};
pub(crate) use past::{Past, Pasts};
pub use references::ReferenceError;
pub(crate) use references::check;
pub(crate) use set::{Places, SegmentRule, SegmentSet};
pub use spell::Spell;

use crate::text::text_type;

text_type!(
    /// The name of a segment, such as `lapsed-regulars`.
    SegmentName, "segment", 64
);
