//! Which past is replayed.

use crm_core::{Span, Timestamp};

/// How many instants a replay may have.
pub const INSTANTS_MAX: usize = 10_000;

/// What counts as known at an instant of the past.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Known {
    /// What had happened by then and had been recorded by then: what was really known. An order that came in a week late
    /// is not there for a week, and one that was voided later is there until then.
    #[default]
    Recorded,
    /// What had happened by then, whenever it was recorded: for histories that were taken in all at once, which nobody
    /// knew of before. Corrections count from when they are dated.
    Happened,
}

/// What is told of customers after an instant, as it is known now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// Whether they placed an order that stands, later than the instant and up to so long after it.
    Buys(Span),
    /// Whether they placed none: what scores of churn are about.
    StaysAway(Span),
}

impl Outlook {
    /// Over how long it is looked.
    #[must_use]
    pub const fn span(self) -> Span {
        match self {
            Outlook::Buys(span) | Outlook::StaysAway(span) => span,
        }
    }
}

/// Why a replay cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// It would end before it begins.
    #[error("a replay from {from} to {to}, which is before")]
    Backwards {
        /// From when.
        from: Timestamp,
        /// To when.
        to: Timestamp,
    },
    /// It would go into the future.
    #[error("a replay to {to}, and it is {now} now")]
    Future {
        /// To when.
        to: Timestamp,
        /// What the clock says.
        now: Timestamp,
    },
    /// Its instants would be no time apart, or too many.
    #[error("a replay from {from} to {to} every {every_millis} ms has no instants, or more than {INSTANTS_MAX}")]
    Instants {
        /// From when.
        from: Timestamp,
        /// To when.
        to: Timestamp,
        /// Milliseconds from one to the next.
        every_millis: i64,
    },
}

/// When customers are scored, and what scores are held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoreReplay {
    /// The first instant.
    pub from: Timestamp,
    /// No instant is later.
    pub to: Timestamp,
    /// From one instant to the next.
    pub every: Span,
    /// What scores are held against. An instant after which not all of that time has passed yet is scored and not judged.
    pub outlook: Outlook,
    /// What counts as known.
    pub known: Known,
}

impl ScoreReplay {
    /// Scores every so often, by what had been recorded then, held against whether customers bought within 90 days.
    #[must_use]
    pub const fn new(from: Timestamp, to: Timestamp, every: Span) -> Self {
        ScoreReplay { from, to, every, outlook: Outlook::Buys(Span::days(90)), known: Known::Recorded }
    }

    /// Held against something else.
    #[must_use]
    pub const fn with_outlook(self, outlook: Outlook) -> Self {
        ScoreReplay { outlook, ..self }
    }

    /// By something else that counts as known.
    #[must_use]
    pub const fn with_known(self, known: Known) -> Self {
        ScoreReplay { known, ..self }
    }

    /// The instants, in order.
    ///
    /// # Errors
    ///
    /// `Backwards`, or `Instants` for more than [`INSTANTS_MAX`] or none that differ.
    pub fn instants(&self) -> Result<Vec<Timestamp>, ReplayError> {
        let ScoreReplay { from, to, every, .. } = *self;
        if to < from {
            return Err(ReplayError::Backwards { from, to });
        }
        let length = i128::from(to.as_millis()) - i128::from(from.as_millis());
        let count = length.checked_div(i128::from(every.as_millis())).map(|steps| steps + 1);
        let count = count.and_then(|count| usize::try_from(count).ok()).filter(|count| *count <= INSTANTS_MAX);
        let count = count.ok_or(ReplayError::Instants { from, to, every_millis: every.as_millis() })?;
        Ok(std::iter::successors(Some(from), |at| Some(at.plus(every))).take(count).collect())
    }
}

/// Over which past a workflow is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkflowReplay {
    /// It is called for what became known from this instant on, beginning without any memory.
    pub from: Timestamp,
    /// It is called for what became known by this instant.
    pub to: Timestamp,
    /// What counts as known.
    pub known: Known,
    /// How many of its actions are told in full. They are spread over all of it, and the same each time.
    pub samples: usize,
}

impl WorkflowReplay {
    /// By what had been recorded then, with a hundred actions told in full.
    #[must_use]
    pub const fn new(from: Timestamp, to: Timestamp) -> Self {
        WorkflowReplay { from, to, known: Known::Recorded, samples: 100 }
    }

    /// By something else that counts as known.
    #[must_use]
    pub const fn with_known(self, known: Known) -> Self {
        WorkflowReplay { known, ..self }
    }

    /// With so many actions told in full.
    #[must_use]
    pub const fn with_samples(self, samples: usize) -> Self {
        WorkflowReplay { samples, ..self }
    }

    pub(super) fn check(&self) -> Result<(), ReplayError> {
        let WorkflowReplay { from, to, .. } = *self;
        if to < from { Err(ReplayError::Backwards { from, to }) } else { Ok(()) }
    }
}

/// Nobody can replay what has not happened yet.
pub(super) fn check_past(to: Timestamp, now: Timestamp) -> Result<(), ReplayError> {
    if to > now { Err(ReplayError::Future { to, now }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u32) -> Timestamp {
        Timestamp::MIN.plus(Span::days(day))
    }

    #[test]
    fn instants_go_from_the_first_as_far_as_they_fit() {
        let instants = |to, every| ScoreReplay::new(day(10), day(to), every).instants();
        assert_eq!(instants(31, Span::days(10)), Ok(vec![day(10), day(20), day(30)]));
        assert_eq!(instants(30, Span::days(10)), Ok(vec![day(10), day(20), day(30)]));
        assert_eq!(instants(10, Span::days(1)), Ok(vec![day(10)]));
        assert!(matches!(instants(9, Span::days(1)), Err(ReplayError::Backwards { .. })));
        assert!(matches!(instants(11, Span::days(0)), Err(ReplayError::Instants { .. })));
        assert!(matches!(instants(11, Span::millis(1)), Err(ReplayError::Instants { .. })));
        assert!(check_past(day(2), day(1)).is_err() && check_past(day(1), day(1)).is_ok());
    }
}
