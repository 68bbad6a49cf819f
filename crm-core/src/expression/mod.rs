//! Rules about a customer: segments, and whatever else is decided by asking. A rule is written as text, in the Common
//! Expression Language (<https://cel.dev>), checked and compiled once when it is saved, and asked as often as
//! anything happens:
//!
//! - [`Predicate`] is the compiled rule, and what is stored. Its JSON is a format of its own, and its `Display` is
//!   the text again.
//! - [`Predicate::parse`] reads text, [`query_builder`] what forms on a shop's own screens produce.
//! - [`Predicate::holds`] asks about one [`Subject`]; [`Predicate::next_change`] says when time alone will change
//!   the answer, so that it can be an alarm.

mod change;
mod error;
mod evaluate;
mod explain;
mod inputs;
mod number;
mod pattern;
mod predicate;
mod print;
pub mod query_builder;
mod read;
mod scan;
mod vocabulary;

pub use error::{ExpressionError, LimitError, Problem};
pub use evaluate::Subject;
pub use explain::Clause;
pub(crate) use inputs::Inputs;
pub use number::{BucketName, Events, Happenings, MessagesOf, Moment, Number, Operation, Take, Window};
pub use pattern::{NoPattern, Pattern};
pub use predicate::{Comparison, Predicate, TextTest, Texts};
pub use print::Printed;
pub use query_builder::QueryError;
pub use vocabulary::Vocabulary;
