//! Replaying what was recorded through plugins: what they would have said and asked for, had they been there. Nothing is
//! written.
//!
//! Histories are read page by page, and lived again with the time of then: `page.rs` reads, `life.rs` says who a customer
//! was at an instant, `scorers.rs` and `workflows.rs` ask plugins about them, `answers.rs` judges what workflows ask for, `shadow.rs`
//! compares two.

mod answers;
mod cost;
mod life;
mod page;
mod replay;
mod scorers;
mod shadow;
mod workflows;

pub use cost::{ReplayCost, ReplayProgress};
pub use replay::{INSTANTS_MAX, Known, Outlook, ReplayError, ScoreReplay, WorkflowReplay};
pub use scorers::{InstantScores, OutputBacktest, ScorerBacktest};
pub use shadow::{MovedScore, OutputShadow, ScorerShadow, WorkflowShadow};
pub use workflows::{AskedThen, ReplayGaps, ReplayedAction, Verdict, WorkflowBacktest};

/// How many customers are in memory at once with their histories, and how many a scorer is given at once.
const PAGE: usize = 1_024;
