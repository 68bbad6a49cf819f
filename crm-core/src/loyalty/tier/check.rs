//! What is refused of tiers when they are defined.

use super::{BENEFITS_MAX, Downgrade, Rises, TIERS_MAX, TierName, Tiers, Window};
use crate::time::Span;

/// Why tiers were refused when they were defined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TierError {
    /// More tiers than a programme may have.
    #[error("{tiers} tiers, more than {TIERS_MAX}")]
    TooMany {
        /// How many.
        tiers: usize,
    },
    /// Two of one name.
    #[error("there are two tiers {tier}")]
    Twice {
        /// Which name.
        tier: TierName,
    },
    /// Two that are reached by the same count, so that one of them never would be.
    #[error("tiers {one} and {other} are both reached by {from}")]
    SameCount {
        /// The one.
        one: TierName,
        /// The other.
        other: TierName,
        /// The count.
        from: u64,
    },
    /// A tier that nobody reaches cannot be reached for life.
    #[error("tier {tier} is by invitation: nobody reaches it, and so nobody for life")]
    InvitedForLife {
        /// Which.
        tier: TierName,
    },
    /// More benefits than a tier may have.
    #[error("tier {tier} brings {benefits} things, more than {BENEFITS_MAX}")]
    TooManyBenefits {
        /// Which.
        tier: TierName,
        /// How many.
        benefits: usize,
    },
    /// A window, a grace or a notice of no length.
    #[error("the {what} of tiers has no length")]
    NoLength {
        /// Of what.
        what: &'static str,
    },
    /// Who falls by one tier is to be looked at again, and nothing says when.
    #[error("who falls by one tier is never looked at again: tiers are kept for no period, and counted for ever")]
    StepWithoutEnd,
    /// Who rises is to be looked at the end of periods, and there are none.
    #[error("who rises is looked at the end of a period, and tiers are kept for none")]
    RisesWithoutPeriod,
}

impl Tiers {
    /// Checks the limits of tiers, and whether they contradict themselves.
    ///
    /// # Errors
    ///
    /// `TierError` for the first thing that is wrong.
    pub fn check(&self) -> Result<(), TierError> {
        if self.rules.len() > TIERS_MAX {
            return Err(TierError::TooMany { tiers: self.rules.len() });
        }
        for (place, rule) in self.rules.iter().enumerate() {
            let tier = || rule.name.clone();
            let earlier = &self.rules[..place];
            if earlier.iter().any(|other| other.name == rule.name) {
                return Err(TierError::Twice { tier: tier() });
            }
            let same = |other: &&super::TierRule| other.from == rule.from && !other.by_invitation;
            if let Some(other) = earlier.iter().find(same).filter(|_| !rule.by_invitation) {
                return Err(TierError::SameCount { one: other.name.clone(), other: tier(), from: rule.from });
            }
            if rule.by_invitation && rule.lifetime {
                return Err(TierError::InvitedForLife { tier: tier() });
            }
            if rule.benefits.len() > BENEFITS_MAX {
                return Err(TierError::TooManyBenefits { tier: tier(), benefits: rule.benefits.len() });
            }
        }
        let window = if let Window::Rolling(span) = self.window { Some(span) } else { None };
        for (what, span) in [("window", window), ("grace", self.grace), ("notice", self.notice)] {
            if span == Some(Span::millis(0)) {
                return Err(TierError::NoLength { what });
            }
        }
        let periods = self.kept_until_end_of.is_some();
        if self.downgrade == Downgrade::OneStep && self.window == Window::Ever && !periods {
            return Err(TierError::StepWithoutEnd);
        }
        if self.rises == Rises::AtPeriodEnd && !periods {
            return Err(TierError::RisesWithoutPeriod);
        }
        Ok(())
    }
}
