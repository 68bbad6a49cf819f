//! What is kept of a tier beyond what the count reaches: for a period, by grace, for life or by invitation.

use serde::{Deserialize, Serialize};

use super::super::ProgramId;
use super::TierName;
use crate::flat::FlatMap;
use crate::time::Timestamp;

/// Why a tier is had, or kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptWhy {
    /// The count reached it.
    Reached,
    /// The period is over, and this is what the count had at its end.
    Period,
    /// The count is no longer there, and it is kept a while longer.
    Grace,
    /// The count is no longer there for a higher one, and one falls by one tier at a time.
    OneStep,
    /// The count reached it, and it is for life.
    Lifetime,
    /// Somebody was invited.
    Invited,
}

impl KeptWhy {
    /// The name it is shown under.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            KeptWhy::Reached => "reached",
            KeptWhy::Period => "period",
            KeptWhy::Grace => "grace",
            KeptWhy::OneStep => "one_step",
            KeptWhy::Lifetime => "lifetime",
            KeptWhy::Invited => "invited",
        }
    }
}

/// What is kept of the tiers of a programme was decided. Of each customer three things are kept, each by its own last
/// decision: what is had for life, what by invitation, and what for every other reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierKept {
    /// In which programme.
    pub program: ProgramId,
    /// Which tier; none ends what was kept.
    pub tier: Option<TierName>,
    /// Until when; none is without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why.
    pub why: KeptWhy,
    /// By grace: which tier the count was there for when it began, if any. Where an invitation is revoked: which one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<TierName>,
}

/// Have somebody be in a tier that nobody reaches. The same again changes nothing, another one takes its place: of each
/// programme there is one invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteToTier {
    /// In which programme.
    pub program: ProgramId,
    /// To which tier.
    pub tier: TierName,
    /// Until when; none is without end.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

/// End an invitation. Where there is none nothing happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokeTier {
    /// In which programme.
    pub program: ProgramId,
    /// To which tier.
    pub tier: TierName,
}

/// Why a command about a tier was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TierRefusal {
    /// No programme of that name is in force.
    #[error("there is no loyalty programme {program}")]
    NoProgram {
        /// The name given.
        program: ProgramId,
    },
    /// The programme has no such tier.
    #[error("programme {program} has no tier {tier}")]
    NoTier {
        /// Which programme.
        program: ProgramId,
        /// The name given.
        tier: TierName,
    },
    /// It is reached by counting.
    #[error("tier {tier} of programme {program} is not by invitation")]
    NotByInvitation {
        /// Which programme.
        program: ProgramId,
        /// Which tier.
        tier: TierName,
    },
    /// It would end before it begins.
    #[error("it would last until {until}, and it is {now}")]
    Over {
        /// Until when it was to last.
        until: Timestamp,
        /// Now.
        now: Timestamp,
    },
}

/// What is kept of one programme for one customer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(super) kept: Option<Kept>,
    pub(super) lifetime: Option<TierName>,
    pub(super) invited: Option<Invitation>,
}

/// What is kept but for life and by invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) tier: TierName,
    /// When it is looked at again; none is whenever the count changes.
    pub(super) until: Option<Timestamp>,
    pub(super) why: KeptWhy,
    pub(super) then: Option<TierName>,
}

/// That somebody was invited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Invitation {
    pub(super) tier: TierName,
    pub(super) until: Option<Timestamp>,
}

impl Held {
    pub(crate) fn apply(&mut self, kept: &TierKept) {
        let TierKept { program: _, tier, until, why, then } = kept.clone();
        match why {
            KeptWhy::Lifetime => self.lifetime = tier,
            KeptWhy::Invited => self.invited = tier.map(|tier| Invitation { tier, until }),
            KeptWhy::Reached | KeptWhy::Period | KeptWhy::Grace | KeptWhy::OneStep => {
                self.kept = tier.map(|tier| Kept { tier, until, why, then });
            }
        }
    }

    fn is_empty(&self) -> bool {
        *self == Held::default()
    }

    /// Whether somebody is invited to a tier until then.
    pub(crate) fn is_invited(&self, tier: &TierName, until: Option<Timestamp>) -> bool {
        self.invited.as_ref().is_some_and(|invited| invited.tier == *tier && invited.until == until)
    }

    /// Whether somebody is invited at all.
    pub(crate) fn has_invitation(&self) -> bool {
        self.invited.is_some()
    }

    /// Whether somebody is invited to a tier.
    pub(crate) fn is_invited_to(&self, tier: &TierName) -> bool {
        self.invited.as_ref().is_some_and(|invited| invited.tier == *tier)
    }
}

/// What is kept of the tiers of programmes: for one customer, or for each of several who were merged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldTiers(Option<Box<FlatMap<ProgramId, Vec<Held>>>>);

impl HeldTiers {
    /// What is kept of one programme: for one customer at most one.
    pub(crate) fn of(&self, program: &ProgramId) -> &[Held] {
        self.0.as_ref().and_then(|held| held.get(program)).map_or(&[], Vec::as_slice)
    }

    /// Records what was decided about one customer.
    pub(crate) fn apply(&mut self, kept: &TierKept) {
        let mut programs = self.0.take().unwrap_or_default();
        let own = programs.get_or_default(&kept.program);
        match own.first_mut() {
            Some(held) => held.apply(kept),
            None => {
                let mut held = Held::default();
                held.apply(kept);
                own.push(held);
            }
        }
        own.retain(|held| !held.is_empty());
        if own.is_empty() {
            programs.remove(&kept.program);
        }
        self.0 = Some(programs).filter(|programs| programs.len() > 0);
    }

    /// Adds what is kept for another one.
    pub(crate) fn join(&mut self, other: &HeldTiers) {
        let Some(others) = &other.0 else { return };
        let programs = self.0.get_or_insert_default();
        for (program, held) in others.iter() {
            programs.get_or_default(program).extend(held.iter().cloned());
        }
    }
}
