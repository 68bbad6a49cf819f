//! What a shop works on while a customer is at a stage.

use serde::{Deserialize, Serialize};

use super::Stage;

/// The phase of the relation that belongs to a stage: each stage has exactly one, in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Of a prospect: to be noticed and to wake interest. It succeeds with an enquiry, a cart or an order.
    Attraction,
    /// Of one with intent: to make the first sale, or the next one of somebody whose orders were all undone. It
    /// succeeds with an order.
    Acquisition,
    /// Of one who buys: to keep what was promised, and to make the relation worth more to both. It succeeds as long
    /// as orders keep coming within the window.
    Management,
    /// Of one who went quiet: not to lose them for good. It succeeds when they are won back by an order.
    Retention,
}

impl Phase {
    /// All of them, in the order of the life cycle.
    pub const ALL: [Phase; 4] = [Phase::Attraction, Phase::Acquisition, Phase::Management, Phase::Retention];

    /// The name it is stored and shown under.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Attraction => "attraction",
            Phase::Acquisition => "acquisition",
            Phase::Management => "management",
            Phase::Retention => "retention",
        }
    }

    /// The stage it belongs to.
    #[must_use]
    pub const fn stage(self) -> Stage {
        match self {
            Phase::Attraction => Stage::Prospect,
            Phase::Acquisition => Stage::Intent,
            Phase::Management => Stage::Purchase,
            Phase::Retention => Stage::Historical,
        }
    }
}

impl Stage {
    /// What the shop works on meanwhile.
    #[must_use]
    pub const fn phase(self) -> Phase {
        match self {
            Stage::Prospect => Phase::Attraction,
            Stage::Intent => Phase::Acquisition,
            Stage::Purchase => Phase::Management,
            Stage::Historical => Phase::Retention,
        }
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
