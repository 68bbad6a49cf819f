//! Why a rule was refused.

/// A rule is larger than a limit, or asks for what there is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// Nested too deep.
    #[error("a rule is nested deeper than {max}")]
    TooDeep {
        /// The limit.
        max: usize,
    },
    /// Too many clauses.
    #[error("a rule has more than {max} clauses")]
    TooLarge {
        /// The limit.
        max: usize,
    },
    /// A text to compare with is too long.
    #[error("a rule compares with a text of more than {max} bytes")]
    TextTooLong {
        /// The limit in bytes.
        max: usize,
    },
    /// Amounts and products are asked of something else than orders.
    #[error("only orders have amounts and products")]
    OrdersOnly,
}

/// What is wrong with the text of a rule, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct ExpressionError {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What.
    pub problem: Problem,
}

/// What is wrong with the text of a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It cannot be read.
    #[error("{0}")]
    Syntax(String),
    /// There is nothing of that name.
    #[error("there is no {what} {name:?}{}", maybe(.nearest.as_deref()))]
    Unknown {
        /// What was looked for.
        what: &'static str,
        /// The name.
        name: String,
        /// The name there is that is most like it.
        nearest: Option<String>,
    },
    /// Something of another type was expected.
    #[error("expected {expected}, found {found}")]
    Type {
        /// What was expected.
        expected: String,
        /// What there is.
        found: String,
    },
    /// The language has it, and rules do not.
    #[error("{0} cannot be used in a rule")]
    Unsupported(String),
    /// A form was sent before everything in it was chosen or filled in.
    #[error("nothing is chosen here")]
    Empty,
    /// A name, a date, a length of time or a pattern is malformed.
    #[error("{0}")]
    Malformed(String),
    /// The text is too long.
    #[error("a rule has more than {max} bytes")]
    TooLong {
        /// The limit.
        max: usize,
    },
    /// Brackets or operators are nested too deep, or strung together too long.
    #[error("nested deeper than {max}")]
    TooDeep {
        /// The limit.
        max: usize,
    },
    /// What was read exceeds a limit.
    #[error(transparent)]
    Limit(#[from] LimitError),
}

fn maybe(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default()
}
