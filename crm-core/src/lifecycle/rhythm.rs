//! Dormancy by the customer's own rhythm: who buys every week is quiet after a month, who buys every year is not.

use serde::{Deserialize, Serialize};

use crate::time::{Span, Timestamp};

/// How many of the newest gaps between orders are looked at. A rhythm is what a customer does lately, and an order
/// costs the same however many came before it.
pub const GAPS_MAX: u8 = 24;

/// What stands for all gaps between a customer's orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Typical {
    /// The one in the middle; of an even number the mean of the two in the middle. One long break changes little.
    Median,
    /// All of them by their number.
    Mean,
}

/// A customer is quiet after a multiple of the typical time between their own orders.
///
/// Only orders that stand count, each gap runs from one to the next, and of orders of the very same instant only one
/// counts. Fractions of a millisecond are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnRhythm {
    /// What stands for all gaps.
    pub typical: Typical,
    /// The multiple, in hundredths: 250 is two and a half times.
    pub times_percent: u32,
    /// Nobody is quiet earlier than this, in milliseconds.
    pub at_least: Span,
    /// Nobody who has a rhythm is quiet later than this, in milliseconds.
    pub at_most: Span,
    /// With fewer gaps than this there is no rhythm, and the fixed window holds. From 1 to [`GAPS_MAX`].
    pub gaps_min: u8,
}

/// Why a rule for the customer's own rhythm was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RhythmError {
    /// Nobody could be quiet at least as long and at most.
    #[error("quiet after at least {} ms and at most {} ms", .at_least.as_millis(), .at_most.as_millis())]
    Bounds {
        /// The lower bound.
        at_least: Span,
        /// The upper one.
        at_most: Span,
    },
    /// A multiple of 0 %.
    #[error("a multiple of 0 %")]
    Multiple,
    /// Fewer gaps than one, or more than are looked at.
    #[error("a rhythm of {gaps_min} gaps, not of 1 to {GAPS_MAX}")]
    Gaps {
        /// How many were asked for.
        gaps_min: u8,
    },
}

impl OwnRhythm {
    /// Checks the limits.
    ///
    /// # Errors
    ///
    /// `RhythmError` for bounds the wrong way round, a multiple of 0, or a number of gaps out of range.
    pub const fn check(&self) -> Result<(), RhythmError> {
        if self.at_least.as_millis() > self.at_most.as_millis() {
            Err(RhythmError::Bounds { at_least: self.at_least, at_most: self.at_most })
        } else if self.times_percent == 0 {
            Err(RhythmError::Multiple)
        } else if self.gaps_min == 0 || self.gaps_min > GAPS_MAX {
            Err(RhythmError::Gaps { gaps_min: self.gaps_min })
        } else {
            Ok(())
        }
    }

    /// The window by when orders were placed, the newest first; none if there are too few.
    #[must_use]
    pub fn window(&self, placed_newest_first: impl Iterator<Item = Timestamp>) -> Option<Span> {
        let mut gaps = [0_i64; GAPS_MAX as usize];
        let mut count = 0;
        let mut later: Option<i64> = None;
        for at in placed_newest_first.map(Timestamp::as_millis) {
            let gap = later.map_or(0, |later| later - at);
            later = Some(at);
            if gap > 0 {
                let Some(place) = gaps.get_mut(count) else { break };
                *place = gap;
                count += 1;
            }
        }
        let gaps = gaps.get_mut(..count).filter(|gaps| gaps.len() >= usize::from(self.gaps_min.max(1)))?;
        let typical = match self.typical {
            Typical::Mean => gaps.iter().sum::<i64>() / i64::try_from(gaps.len()).ok()?,
            Typical::Median => {
                gaps.sort_unstable();
                let middle = gaps.len() / 2;
                if gaps.len() % 2 == 1 { gaps[middle] } else { (gaps[middle - 1] + gaps[middle]) / 2 }
            }
        };
        // A gap has at most 2^49 milliseconds and the multiple 32 bits.
        let window = i128::from(typical) * i128::from(self.times_percent) / 100;
        let span = u64::try_from(window).map_or(self.at_most, Span::millis);
        Some(span.min(self.at_most).max(self.at_least))
    }
}
