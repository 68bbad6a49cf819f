//! What moved when a derived value moved. Changes are not events: they can be worked out again from
//! them. They are kept as history, and a late fact may correct one by another.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::consent::{ConsentStatus, Purpose, Scope};
use crate::id::EventId;
use crate::interaction::Channel;
use crate::lifecycle::{Stage, StageCause};
use crate::loyalty::{ProgramId, TierName};
use crate::segment::SegmentName;
use crate::time::Timestamp;
use crate::timer::AlarmKind;

/// A derived value moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When it moved.
    pub at: Timestamp,
    /// What moved it.
    pub cause: Cause,
    /// What moved.
    pub body: ChangeBody,
}

impl Change {
    /// The change as JSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        crate::exact::json(self)
    }
}

/// What made a derived value move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A fact or a decision.
    Event(EventId),
    /// Time passed.
    Alarm(AlarmKind),
    /// A definition was changed and the base reconsidered.
    Definition,
    /// A plugin gave another score, which is kept in a row of its own.
    Scored,
}

/// Which derived value moved, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChangeBody {
    /// The stage of the life cycle.
    StageChanged {
        /// From which; none for somebody new.
        from: Option<Stage>,
        /// To which; none when every fact was voided.
        to: Option<Stage>,
        /// Why.
        cause: StageCause,
    },
    /// The customer is in a segment now.
    SegmentEntered {
        /// Which.
        segment: SegmentName,
        /// The clause that decided, as text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<SmolStr>,
    },
    /// The customer is no longer in a segment.
    SegmentLeft {
        /// Which.
        segment: SegmentName,
        /// The clause that decided, as text; none if the segment is no longer in force.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<SmolStr>,
    },
    /// The customer rose to a tier, or came to have one.
    TierReached {
        /// In which programme.
        program: ProgramId,
        /// From which tier, if any.
        from: Option<TierName>,
        /// To which.
        to: TierName,
    },
    /// The customer fell to a tier, or to none.
    TierLost {
        /// In which programme.
        program: ProgramId,
        /// From which tier.
        from: TierName,
        /// To which, if any.
        to: Option<TierName>,
    },
    /// The customer's tier will be lost unless something is done. It is told once for each instant at which it would
    /// be lost: [`notice`](crate::loyalty::Tiers::notice) ahead of it, or as soon as it is known after that.
    TierAtRisk {
        /// In which programme.
        program: ProgramId,
        /// Which tier.
        tier: TierName,
        /// When it would be lost.
        on: Timestamp,
        /// How much more has to be counted by then, or before a grace begins if one is still to come; none if that does
        /// not help, as with an invitation that ends.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        missing: Option<u64>,
    },
    /// What was said about consent comes to something else now.
    ConsentChanged {
        /// For what.
        purpose: Purpose,
        /// By which way.
        channel: Channel,
        /// Within which part of the business; none is the shop as a whole.
        scope: Option<Scope>,
        /// From what.
        from: ConsentStatus,
        /// To what.
        to: ConsentStatus,
    },
}

/// Declares the kinds that changes are stored under.
macro_rules! changes {
    ($($variant:ident $kind:literal,)*) => {
        impl ChangeBody {
            /// All kinds.
            pub const KINDS: &[&str] = &[$($kind),*];

            /// The kind it is stored under, and by which workflows listen for it.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self {
                    $(ChangeBody::$variant { .. } => $kind,)*
                }
            }
        }
    };
}

changes! {
    StageChanged "stage_changed",
    SegmentEntered "segment_entered",
    SegmentLeft "segment_left",
    TierReached "tier_reached",
    TierLost "tier_lost",
    TierAtRisk "tier_at_risk",
    ConsentChanged "consent_changed",
}
