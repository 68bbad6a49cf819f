//! Segments: named groups of customers, defined by a rule. Membership follows from a customer's
//! state and the time, so it is right at every instant: a rule can say when its answer will next
//! change with no new fact, and that instant becomes an alarm.

mod book;
mod references;
mod set;
mod versions;

pub(crate) use book::{Answers, SegmentBook};
pub use book::{Filled, Unfilled};
pub use references::ReferenceError;
pub(crate) use references::check;
pub(crate) use set::{Places, SegmentRule, SegmentSet};

use crate::text::text_type;

text_type!(
    /// The name of a segment, such as `lapsed-regulars`.
    SegmentName, "segment", 64
);
