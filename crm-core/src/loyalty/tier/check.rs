//! What is refused of tiers when they are defined.

use super::{BENEFITS_MAX, Downgrade, Rises, TIERS_MAX, TierName, Tiers, Window};
use crate::time::Span;

/// How long a window, a grace or a notice lasts at most.
const LENGTH_MAX: Span = Span::days(36_525);

fn length(what: &'static str, span: Option<Span>) -> Result<(), TierError> {
    let (millis, max) = (span.unwrap_or(LENGTH_MAX).as_millis(), LENGTH_MAX.as_millis());
    if (1..=max).contains(&millis) { Ok(()) } else { Err(TierError::Length { what, millis, max }) }
}

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
    /// A window, a grace or a notice of no length, or of more than a century, or points that last longer than that.
    #[error("{what} of {millis} ms, not between 1 and {max}")]
    Length {
        /// Of what.
        what: &'static str,
        /// How long it is.
        millis: i64,
        /// How long it may be.
        max: i64,
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
            length("points that last longer", rule.points_last_longer)?;
            if rule.benefits.len() > BENEFITS_MAX {
                return Err(TierError::TooManyBenefits { tier: tier(), benefits: rule.benefits.len() });
            }
        }
        let window = if let Window::Rolling(span) = self.window { Some(span) } else { None };
        length("a window of tiers", window)?;
        length("a grace of tiers", self.grace)?;
        length("a notice of tiers", self.notice)?;
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

#[cfg(test)]
mod tests {
    use super::super::{BenefitName, TierRule};
    use super::*;
    use crate::loyalty::Period;

    fn name(text: &str) -> TierName {
        TierName::new(text).unwrap()
    }

    fn tiers(rules: &[(&str, u64)]) -> Tiers {
        Tiers { rules: rules.iter().map(|(of, from)| TierRule::new(name(of), *from)).collect(), ..Tiers::default() }
    }

    #[test]
    fn tiers_that_contradict_themselves_are_refused() {
        let two = || tiers(&[("silver", 1), ("gold", 2)]);
        assert_eq!(two().check(), Ok(()));
        assert_eq!(tiers(&[("a", 1), ("a", 2)]).check(), Err(TierError::Twice { tier: name("a") }));
        let same = TierError::SameCount { one: name("a"), other: name("b"), from: 1 };
        assert_eq!(tiers(&[("a", 1), ("b", 1)]).check(), Err(same));
        let step = Tiers { downgrade: Downgrade::OneStep, ..two() };
        assert_eq!(step.check(), Err(TierError::StepWithoutEnd));
        let step = Tiers { kept_until_end_of: Some(Period::Year), ..step };
        assert_eq!(step.check(), Ok(()));
        let rises = Tiers { rises: Rises::AtPeriodEnd, ..two() };
        assert_eq!(rises.check(), Err(TierError::RisesWithoutPeriod));
        let mut invited = two();
        invited.rules[1].by_invitation = true;
        invited.rules[1].from = 1;
        assert_eq!(invited.check(), Ok(()), "nobody counts to it");
        invited.rules[1].lifetime = true;
        assert_eq!(invited.check(), Err(TierError::InvitedForLife { tier: name("gold") }));
    }

    #[test]
    fn limits_are_kept_to_the_last() {
        let names: Vec<String> = (0..=TIERS_MAX).map(|n| n.to_string()).collect();
        let rules: Vec<(&str, u64)> = names.iter().map(String::as_str).zip(1..).collect();
        assert_eq!(tiers(&rules[..TIERS_MAX]).check(), Ok(()));
        assert_eq!(tiers(&rules).check(), Err(TierError::TooMany { tiers: TIERS_MAX + 1 }));
        let mut brings = tiers(&[("a", 1)]);
        for n in 0..=BENEFITS_MAX {
            assert_eq!(brings.check(), Ok(()));
            brings.rules[0].benefits.insert(BenefitName::new(n.to_string()).unwrap(), "yes".parse().unwrap());
        }
        assert_eq!(brings.check(), Err(TierError::TooManyBenefits { tier: name("a"), benefits: BENEFITS_MAX + 1 }));
        for (span, ends) in [(Span::millis(0), false), (Span::millis(1), true), (LENGTH_MAX, true)] {
            let of = |tiers: Tiers| tiers.check().is_ok();
            assert_eq!(of(Tiers { window: Window::Rolling(span), ..Tiers::default() }), ends);
            assert_eq!(of(Tiers { grace: Some(span), ..Tiers::default() }), ends);
            assert_eq!(of(Tiers { notice: Some(span), ..Tiers::default() }), ends);
        }
        let notice = Some(Span::days(36_526));
        assert!(matches!(Tiers { notice, ..Tiers::default() }.check(), Err(TierError::Length { .. })));
    }
}
