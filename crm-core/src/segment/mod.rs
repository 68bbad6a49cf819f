//! Segments: named groups of customers, defined by a predicate. Membership follows from a customer's
//! state and the time, so it is right at every instant: a predicate can say when its answer will next
//! change with no new fact, and that instant becomes an alarm.
//!
//! Missing values: a comparison with a missing attribute is false, whichever the comparison is.

mod evaluate;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::attribute::Attribute;
use crate::lifecycle::Stage;
use crate::text::{Tag, text_type};

text_type!(
    /// The name of a segment, such as `lapsed-regulars`.
    SegmentName, "segment", 64
);

/// How a number is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
}

impl Comparison {
    /// Whether it holds between two numbers.
    #[must_use]
    pub const fn holds(self, left: i64, right: i64) -> bool {
        match self {
            Comparison::Eq => left == right,
            Comparison::Ne => left != right,
            Comparison::Lt => left < right,
            Comparison::Le => left <= right,
            Comparison::Gt => left > right,
            Comparison::Ge => left >= right,
        }
    }
}

/// A question about a customer that is answered by yes or no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Predicate {
    /// All of these hold; true when there are none.
    All(Vec<Predicate>),
    /// At least one of these holds; false when there are none.
    Any(Vec<Predicate>),
    /// This does not hold.
    Not(Box<Predicate>),
    /// The customer is at one of these stages.
    StageIn(BTreeSet<Stage>),
    /// The shop or the CRM put this tag on.
    HasTag(Tag),
    /// An attribute compares so with a number, in the attribute's unit.
    Compare(Attribute, Comparison, i64),
    /// The attribute has no value.
    Missing(Attribute),
    /// The number of standing orders placed within the last so many days compares so with a number. An
    /// order counts from the instant it is placed until just before as many days later.
    OrdersInLast {
        /// Days of 24 hours.
        days: u32,
        /// How the count is compared.
        is: Comparison,
        /// With which number.
        count: i64,
    },
}

/// Why a predicate was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PredicateError {
    /// Nested too deep.
    #[error("a predicate is nested deeper than {max}")]
    TooDeep {
        /// The limit.
        max: usize,
    },
    /// Too many clauses.
    #[error("a predicate has more than {max} clauses")]
    TooLarge {
        /// The limit.
        max: usize,
    },
}

impl Predicate {
    /// How deep predicates may be nested.
    pub const DEPTH_MAX: usize = 32;
    /// How many clauses a predicate may have, connectives included.
    pub const CLAUSES_MAX: usize = 1_000;

    /// At this stage.
    #[must_use]
    pub fn stage(stage: Stage) -> Self {
        Predicate::StageIn(BTreeSet::from([stage]))
    }

    /// Checks the limits of depth and size.
    ///
    /// # Errors
    ///
    /// `PredicateError` if it exceeds one.
    pub fn check(&self) -> Result<(), PredicateError> {
        let mut open = vec![(self, 1)];
        let mut clauses = 0;
        while let Some((predicate, depth)) = open.pop() {
            clauses += 1;
            if depth > Self::DEPTH_MAX {
                return Err(PredicateError::TooDeep { max: Self::DEPTH_MAX });
            }
            if clauses > Self::CLAUSES_MAX {
                return Err(PredicateError::TooLarge { max: Self::CLAUSES_MAX });
            }
            match predicate {
                Predicate::All(parts) | Predicate::Any(parts) => {
                    open.extend(parts.iter().map(|part| (part, depth + 1)));
                }
                Predicate::Not(part) => open.push((part, depth + 1)),
                Predicate::StageIn(_)
                | Predicate::HasTag(_)
                | Predicate::Compare(..)
                | Predicate::Missing(_)
                | Predicate::OrdersInLast { .. } => {}
            }
        }
        Ok(())
    }
}
