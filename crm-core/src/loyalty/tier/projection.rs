//! What comes of a tier if nothing more happens, and what is missing to reach or to keep one.

use std::collections::BTreeMap;

use super::review::Shown;
use super::{BenefitName, Held, KeptWhy, TierName, TierRule, TierView};
use crate::text::Remark;
use crate::time::{Span, Timestamp};

/// The shortest while between two instants.
const TICK: Span = Span::millis(1);
/// How often tiers are looked at again at most while it is worked out what comes.
const STEPS_MAX: usize = 256;

/// Where somebody stands in the tiers of a programme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierOutlook {
    /// The tier, if any.
    pub tier: Option<TierName>,
    /// Why they have it; none without a tier.
    pub why: Option<KeptWhy>,
    /// When it is looked at again or ends; none where that is whenever the count changes, or never.
    pub kept_until: Option<Timestamp>,
    /// What is counted now: points, or minor units of the programme's currency.
    pub count: i128,
    /// The next higher tier that is reached by counting; none above the highest.
    pub next: Option<NextTier>,
    /// How much more has to be counted for the tier to be kept beyond [`projected`](Self::projected); 0 if enough is
    /// there. None where nothing ends by itself, or counting does not help.
    pub to_keep: Option<u64>,
    /// What the tier will be when it is looked at next or falls, if nothing more happens; none if that never comes.
    pub projected: Option<Projected>,
    /// What the tier brings.
    pub benefits: BTreeMap<BenefitName, Remark>,
}

/// A tier that can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextTier {
    /// Which.
    pub tier: TierName,
    /// How much more has to be counted, at least 1 but for a tier whose count is there and that is reached at the end of
    /// the period.
    pub missing: u64,
}

/// What a tier will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projected {
    /// From when on.
    pub on: Timestamp,
    /// Which, if any.
    pub tier: Option<TierName>,
}

/// A tier that will be lost if nothing more happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) tier: TierName,
    pub(crate) on: Timestamp,
    pub(crate) missing: Option<u64>,
}

impl<'a> TierView<'a> {
    /// What is kept at a later instant, if nothing more happens in between.
    pub(crate) fn held_at(&self, held: &[Held], from: Timestamp, at: Timestamp) -> Vec<Held> {
        let mut then = held.to_vec();
        self.go_on(&mut then, from, at);
        then
    }

    fn go_on(&self, held: &mut Vec<Held>, from: Timestamp, until: Timestamp) {
        let mut now = from;
        for _ in 0..STEPS_MAX {
            let Some(next) = self.next(held, now).filter(|next| *next <= until) else { return };
            now = now.max(next);
            if held.is_empty() {
                held.push(Held::default());
            }
            let decided = self.decide(held.iter().enumerate(), 0, now);
            for (place, kept) in decided {
                if let Some(held) = held.get_mut(place) {
                    held.apply(&kept);
                }
            }
        }
    }

    /// When something moves next, by a decision or by the count alone.
    pub(crate) fn next(&self, held: &[Held], at: Timestamp) -> Option<Timestamp> {
        self.next_review(held, at).into_iter().chain(self.falls(at)).min()
    }

    /// When it is decided whether the tier that is shown stays.
    fn ends(&self, shown: Shown<'_>, at: Timestamp) -> Option<Timestamp> {
        match shown.why {
            KeptWhy::Lifetime => None,
            KeptWhy::Invited => shown.until,
            KeptWhy::Reached | KeptWhy::Period | KeptWhy::Grace | KeptWhy::OneStep => {
                shown.until.or_else(|| self.falls(at))
            }
        }
    }

    /// What is missing of a tier as it is looked at at an instant; none if counting does not help.
    fn missing(&self, rule: &TierRule, at: Timestamp) -> Option<u64> {
        let as_of = if self.tiers().kept_until_end_of.is_some() { at.minus(TICK) } else { at };
        (!rule.by_invitation).then(|| self.missing_now(rule, as_of))
    }

    fn missing_now(&self, rule: &TierRule, at: Timestamp) -> u64 {
        u64::try_from(i128::from(rule.from) - self.tally.at(at)).unwrap_or(0)
    }

    /// When the tier will be lost if nothing more happens, as far as that is known before it is kept anew.
    pub(crate) fn loss(&self, held: &[Held], at: Timestamp) -> Option<Loss> {
        let shown = self.shown(held, at)?;
        let first = self.ends(shown, at)?;
        let missing = self.missing(shown.rule, first);
        let mut then = held.to_vec();
        let (mut now, mut on) = (at, first);
        // Once as it is, and once after a grace.
        for _ in 0..2 {
            self.go_on(&mut then, now, on);
            let left = self.shown(&then, on);
            let Some(left) = left.filter(|left| left.rule.rank() >= shown.rule.rank()) else {
                return Some(Loss { tier: shown.rule.name.clone(), on, missing });
            };
            let grace = (left.why == KeptWhy::Grace && left.rule == shown.rule).then_some(left.until).flatten();
            (now, on) = (on, grace.filter(|until| *until > on)?);
        }
        None
    }

    /// Where somebody stands. `held` is what is kept at that instant.
    pub(crate) fn outlook(&self, held: &[Held], at: Timestamp) -> TierOutlook {
        let shown = self.shown(held, at);
        let ends = shown.and_then(|shown| self.ends(shown, at));
        let projected = ends.or_else(|| self.next(held, at)).map(|on| {
            let then = self.held_at(held, at, on);
            Projected { on, tier: self.shown(&then, on).map(|shown| shown.rule.name.clone()) }
        });
        let next = self.tiers().above(shown.map(|shown| shown.rule));
        TierOutlook {
            tier: shown.map(|shown| shown.rule.name.clone()),
            why: shown.map(|shown| shown.why),
            kept_until: shown.and_then(|shown| shown.until),
            count: self.tally.at(at),
            next: next.map(|rule| NextTier { tier: rule.name.clone(), missing: self.missing_now(rule, at) }),
            to_keep: shown.zip(ends).and_then(|(shown, ends)| self.missing(shown.rule, ends)),
            projected,
            benefits: shown.map(|shown| shown.rule.benefits.clone()).unwrap_or_default(),
        }
    }
}
