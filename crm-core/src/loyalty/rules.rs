//! What rules about rewards have in common.

use crate::expression::{LimitError, Predicate};
use crate::time::Timestamp;

/// Why a coupon, a reward, a stamp card or a badge was refused as a definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RewardRuleError {
    /// Its predicate exceeds a limit.
    #[error(transparent)]
    Predicate(#[from] LimitError),
    /// Its predicate asks who was in a segment before. Put that into a segment, and ask for the segment.
    #[error("it asks about the past of segments")]
    Past,
    /// It ends before it begins.
    #[error("it holds from {from} until {until}")]
    Never {
        /// Its begin.
        from: Timestamp,
        /// Its end.
        until: Timestamp,
    },
    /// Something that has to be at least 1.
    #[error("{what} is 0 or less")]
    Zero {
        /// What.
        what: &'static str,
    },
    /// More than all.
    #[error("{percent} is no percentage from 1 to 100")]
    Percent {
        /// The number given.
        percent: u8,
    },
    /// More points than one command moves.
    #[error("{points} points, more than {max}")]
    Points {
        /// The number given.
        points: u64,
        /// The limit.
        max: i64,
    },
    /// A stamp card that names neither products nor categories: lines that name none are not kept.
    #[error("it names neither products nor categories")]
    NoLines,
}

/// Checks a predicate that is asked when something is asked for.
pub(super) fn check_rule(rule: Option<&Predicate>) -> Result<(), RewardRuleError> {
    let Some(rule) = rule else { return Ok(()) };
    rule.check()?;
    if rule.remembered().is_empty() { Ok(()) } else { Err(RewardRuleError::Past) }
}

pub(super) fn check_span(from: Option<Timestamp>, until: Option<Timestamp>) -> Result<(), RewardRuleError> {
    match (from, until) {
        (Some(from), Some(until)) if until <= from => Err(RewardRuleError::Never { from, until }),
        (None | Some(_), None | Some(_)) => Ok(()),
    }
}
