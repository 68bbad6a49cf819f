//! Why something was refused for a card. No message repeats a value: it may be personal.

use super::schema::AttributeName;

/// Why a value was refused for a card. It names the field and the limit, never the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// Nothing but white space.
    #[error("{what} is empty")]
    Empty {
        /// What it was to be.
        what: &'static str,
    },
    /// Longer than its limit.
    #[error("{what} has {bytes} bytes, more than {max}")]
    TooLong {
        /// What it was to be.
        what: &'static str,
        /// Its length in bytes.
        bytes: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// More items than the limit.
    #[error("{count} {what}, more than {max}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// A control character, a line break, or one that turns the direction of what follows.
    #[error("{what} has a control character at byte {at}")]
    Control {
        /// What it was to be.
        what: &'static str,
        /// Where, in bytes from the start.
        at: usize,
    },
    /// Not of the form that its kind has.
    #[error("not a {what}: it takes {form}")]
    Form {
        /// What it was to be.
        what: &'static str,
        /// What it takes.
        form: &'static str,
    },
    /// Told of a time that is yet to come.
    #[error("told of a time more than {days_max} days ahead")]
    Ahead {
        /// How far ahead it may be.
        days_max: u16,
    },
    /// A value of another kind than the field has.
    #[error("field {field} takes another kind of value")]
    WrongKind {
        /// Which field.
        field: super::Field,
    },
    /// A free attribute that the shop did not declare.
    #[error("card attribute {attribute} is not declared")]
    Undeclared {
        /// Which.
        attribute: AttributeName,
    },
    /// A free attribute whose value is not what was declared.
    #[error("card attribute {attribute} takes {takes}")]
    Attribute {
        /// Which.
        attribute: AttributeName,
        /// What was declared.
        takes: String,
    },
}
