//! How good scores are: measured against what then happened, and against other scores of the same customers.
//!
//! [`Outcomes`] holds scores beside the answers: how well they order customers is its [area under the
//! curve](Outcomes::auc), what that is worth to whoever works through the best of them its
//! [gains](Outcomes::gains), and whether a score of 0.3 happens three times in ten its
//! [calibration](Outcomes::calibration). [`Pairs`] holds two scores of each customer and tells how they differ.
//!
//! Scores are floats, and so is what is measured here: statistics of a report, never kept in a state.
//! Each measure is of the scores as a set: the order in which they were told never matters.

mod auc;
mod calibration;
mod gains;
mod outcomes;
mod pairs;

pub use auc::Auc;
pub use calibration::{BINS_MAX, Calibration, CalibrationBin};
pub use gains::{GROUPS_MAX, GainsGroup};
pub use outcomes::{AnalysisError, Outcomes};
pub use pairs::{Differences, Pairs};
