//! Which tier is shown, and what is decided when it is looked at.

use smallvec::SmallVec;

use super::super::{Program, ProgramId};
use super::keep::Kept;
use super::{Downgrade, Held, KeptWhy, Rises, Tally, TierKept, TierRule, Tiers, Window};
use crate::time::{Span, Timestamp};

/// The shortest while between two instants.
const TICK: Span = Span::millis(1);

/// The tiers of a programme, seen by one customer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TierView<'a> {
    pub(crate) id: &'a ProgramId,
    pub(crate) program: &'a Program,
    pub(crate) tally: Tally<'a>,
}

/// The tier that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown<'a> {
    pub(crate) rule: &'a TierRule,
    /// When it is looked at again, or ends; none is whenever the count changes, or never.
    pub(crate) until: Option<Timestamp>,
    pub(crate) why: KeptWhy,
}

/// Decisions, each about one of those whom somebody was merged of.
pub(crate) type Decided<K> = SmallVec<[(K, TierKept); 1]>;

impl<'a> TierView<'a> {
    pub(super) const fn tiers(&self) -> &'a Tiers {
        &self.program.tiers
    }

    /// The highest tier that the count reaches as of an instant.
    pub(super) fn reached(&self, at: Timestamp) -> Option<&'a TierRule> {
        if self.tally.took_part() { self.tiers().reached(self.tally.at(at)) } else { None }
    }

    /// The tier at an instant, by what is kept for each member.
    pub(crate) fn shown(&self, held: &[Held], at: Timestamp) -> Option<Shown<'a>> {
        let tiers = self.tiers();
        let counted = match tiers.kept_until_end_of {
            None => self.reached(at),
            // What takes nothing cannot be lost.
            Some(_) => tiers.counted_rules().find(|rule| rule.from == 0).filter(|_| self.tally.took_part()),
        };
        let counted = counted.map(|rule| Shown { rule, until: None, why: KeptWhy::Reached });
        let lasts = move |until: Option<Timestamp>| until.is_none_or(|until| until > at);
        let each = held.iter().flat_map(|held| {
            let of = |tier, until, why| tiers.rule(tier).map(|rule| Shown { rule, until, why });
            let kept = held.kept.as_ref().and_then(|kept| of(&kept.tier, kept.until, kept.why));
            let invited = held.invited.as_ref();
            let invited = invited.and_then(|invited| of(&invited.tier, invited.until, KeptWhy::Invited));
            let lifetime = held.lifetime.as_ref().and_then(|tier| of(tier, None, KeptWhy::Lifetime));
            [kept, invited, lifetime]
        });
        let each = each.flatten().filter(|shown| lasts(shown.until));
        counted.into_iter().chain(each).max_by_key(|shown| (shown.rule.rank(), shown.lasts()))
    }

    /// What is decided at an instant: what is due is looked at again, and what is reached is kept. `held` are those
    /// whom the customer was merged of, and `head` the one under whose id they go on, for whom is kept what all of them
    /// reach together.
    pub(crate) fn decide<'h, K: Copy + PartialEq>(
        &self,
        held: impl Iterator<Item = (K, &'h Held)> + Clone,
        head: K,
        at: Timestamp,
    ) -> Decided<K> {
        let tiers = self.tiers();
        let mut decided = Decided::new();
        let for_life = held.clone().filter_map(|(_, held)| tiers.rule(held.lifetime.as_ref()?));
        let mut floor = for_life.max_by_key(|rule| rule.rank());
        let risen = self.risen(at);
        if let Some(risen) = risen {
            let for_life = tiers.counted_rules().filter(|rule| rule.lifetime && rule.rank() <= risen.rank());
            let for_life = for_life.max_by_key(|rule| rule.rank());
            if let Some(rule) = for_life.filter(|rule| floor.is_none_or(|floor| floor.rank() < rule.rank())) {
                decided.push((head, self.kept(Some(rule), None, KeptWhy::Lifetime)));
                floor = Some(rule);
            }
        }
        let mut best = floor;
        for (who, held) in held {
            if held.invited.as_ref().is_some_and(|invited| invited.until.is_some_and(|until| until <= at)) {
                decided.push((who, self.kept(None, None, KeptWhy::Invited)));
            }
            let Some(kept) = &held.kept else { continue };
            let again = self.review(kept, floor, at);
            let tier = again.as_ref().map_or(Some(&kept.tier), |again| again.tier.as_ref());
            let rule = tier.and_then(|tier| tiers.rule(tier));
            best = best.into_iter().chain(rule).max_by_key(|rule| rule.rank());
            decided.extend(again.map(|again| (who, again)));
        }
        let risen = risen.filter(|risen| risen.from > 0 && !tiers.only_counted());
        if let Some(rule) = risen.filter(|risen| best.is_none_or(|best| best.rank() < risen.rank())) {
            // It takes the place of what was decided about a lower one just now.
            decided.retain(|(who, kept)| *who != head || kept.why.stands_alone());
            decided.push((head, self.keep(rule, KeptWhy::Reached, at)));
        }
        decided
    }

    /// The tier that somebody rises to at an instant, if it is higher than what they have.
    fn risen(&self, at: Timestamp) -> Option<&'a TierRule> {
        match (self.tiers().rises, self.tiers().kept_until_end_of) {
            (Rises::AtOnce, _) | (Rises::AtPeriodEnd, None) => self.reached(at),
            (Rises::AtPeriodEnd, Some(period)) => {
                let ends = period.begin(at, self.program.zone) == at;
                if ends { self.reached(at.minus(TICK)) } else { None }
            }
        }
    }

    /// Looks at what is kept; none leaves it as it is. What is not above `floor` is had anyway.
    fn review(&self, kept: &Kept, floor: Option<&TierRule>, at: Timestamp) -> Option<TierKept> {
        let tiers = self.tiers();
        let due = kept.until.filter(|until| *until <= at);
        let Some(rule) = tiers.rule(&kept.tier) else {
            // There is no such tier any more, but there may be one again.
            return due.map(|_| self.kept(None, None, KeptWhy::Period));
        };
        let again = match (due, kept.until) {
            (Some(until), _) => {
                // Of a period counts what was there as of its last instant.
                let by_period = tiers.kept_until_end_of.is_some();
                let has = self.reached(if by_period { until.minus(TICK) } else { at });
                let then = kept.then.as_ref().and_then(|then| tiers.rule(then));
                let has = has.into_iter().chain(then).max_by_key(|rule| rule.rank());
                if has.is_some_and(|has| has.rank() >= rule.rank()) {
                    self.keep(rule, KeptWhy::Period, at)
                } else {
                    self.lose(kept, rule, has, until, at)
                }
            }
            (None, Some(_)) => {
                let by_period = tiers.kept_until_end_of.is_some();
                let borrowed = kept.why == KeptWhy::Grace || (kept.why == KeptWhy::OneStep && !by_period);
                let has_again = borrowed
                    && tiers.rises == Rises::AtOnce
                    && self.reached(at).is_some_and(|has| has.name == rule.name);
                has_again.then(|| self.keep(rule, KeptWhy::Reached, at))?
            }
            // Since it was reached tiers have come to be kept for periods.
            (None, None) if tiers.kept_until_end_of.is_some() => self.keep(rule, KeptWhy::Reached, at),
            (None, None) => {
                let has = self.reached(at);
                let stays = tiers.downgrade == Downgrade::None || has.is_some_and(|has| has.rank() >= rule.rank());
                (!stays).then(|| self.lose(kept, rule, has, at, at))?
            }
        };
        let tier = again.tier.as_ref().and_then(|tier| tiers.rule(tier));
        let had_anyway = tier.zip(floor).is_some_and(|(tier, floor)| tier.rank() <= floor.rank());
        Some(if had_anyway { self.kept(None, None, again.why) } else { again })
    }

    /// What becomes of somebody who has the count for a lower tier only.
    fn lose(
        &self,
        kept: &Kept,
        rule: &TierRule,
        has: Option<&'a TierRule>,
        since: Timestamp,
        at: Timestamp,
    ) -> TierKept {
        let tiers = self.tiers();
        if tiers.downgrade == Downgrade::None {
            return self.keep(rule, KeptWhy::Period, at);
        }
        if let Some(grace) = tiers.grace.filter(|_| kept.why != KeptWhy::Grace) {
            // Where the count is looked at at once, it is at the end of the grace too.
            let then = has.filter(|_| tiers.kept_until_end_of.is_some());
            let then = then.map(|rule| rule.name.clone());
            return TierKept { then, ..self.kept(Some(rule), Some(since.plus(grace)), KeptWhy::Grace) };
        }
        let lower = match tiers.downgrade {
            Downgrade::Reevaluate | Downgrade::None => has,
            Downgrade::OneStep => tiers.below(rule),
        };
        let Some(lower) = lower.filter(|lower| lower.from > 0) else {
            return self.kept(None, None, KeptWhy::Period);
        };
        if has.is_some_and(|has| has.rank() >= lower.rank()) {
            return self.keep(lower, KeptWhy::Period, at);
        }
        self.kept(Some(lower), Some(self.step_ends(at)), KeptWhy::OneStep)
    }

    /// Keeps a tier that the count is there for.
    fn keep(&self, rule: &TierRule, why: KeptWhy, at: Timestamp) -> TierKept {
        let tiers = self.tiers();
        match tiers.kept_until_end_of {
            _ if tiers.only_counted() || rule.from == 0 => self.kept(None, None, why),
            Some(period) => self.kept(Some(rule), Some(period.end(at, self.program.zone)), why),
            None => self.kept(Some(rule), None, KeptWhy::Reached),
        }
    }

    /// Until when somebody stays who fell by one tier.
    fn step_ends(&self, at: Timestamp) -> Timestamp {
        let tiers = self.tiers();
        match (tiers.kept_until_end_of, tiers.window) {
            (Some(period), _) | (None, Window::Calendar(period)) => period.end(at, self.program.zone),
            (None, Window::Rolling(span)) => at.plus(span),
            // It is refused when tiers are defined.
            (None, Window::Ever) => Timestamp::MAX,
        }
    }

    fn kept(&self, rule: Option<&TierRule>, until: Option<Timestamp>, why: KeptWhy) -> TierKept {
        TierKept { program: self.id.clone(), tier: rule.map(|rule| rule.name.clone()), until, why, then: None }
    }

    /// When the tier falls by the count alone, if nothing more happens.
    pub(crate) fn falls(&self, at: Timestamp) -> Option<Timestamp> {
        match self.tiers().kept_until_end_of {
            None => self.tally.falls_below(self.reached(at)?.from, at),
            Some(_) => None,
        }
    }

    /// When something is to be decided next, if nothing more happens.
    pub(crate) fn next_review(&self, held: &[Held], at: Timestamp) -> Option<Timestamp> {
        let tiers = self.tiers();
        let until = held.iter().flat_map(|held| {
            let kept = held.kept.as_ref().and_then(|kept| kept.until);
            [kept, held.invited.as_ref().and_then(|invited| invited.until)]
        });
        let ends = match (tiers.rises, tiers.kept_until_end_of) {
            (Rises::AtPeriodEnd, Some(period)) => {
                let rises = self.reached(at).filter(|reached| reached.from > 0 && !self.has(held, reached));
                rises.map(|_| period.end(at, self.program.zone))
            }
            (Rises::AtOnce, _) | (Rises::AtPeriodEnd, None) => None,
        };
        until.flatten().chain(ends).filter(|next| *next < Timestamp::MAX).min()
    }

    /// Whether a tier or a higher one is kept but by invitation.
    fn has(&self, held: &[Held], rule: &TierRule) -> bool {
        let kept = held.iter().flat_map(|held| [held.kept.as_ref().map(|kept| &kept.tier), held.lifetime.as_ref()]);
        kept.flatten().filter_map(|tier| self.tiers().rule(tier)).any(|kept| kept.rank() >= rule.rank())
    }
}

impl KeptWhy {
    /// Whether it is kept beside what is kept for other reasons.
    const fn stands_alone(self) -> bool {
        match self {
            KeptWhy::Lifetime | KeptWhy::Invited => true,
            KeptWhy::Reached | KeptWhy::Period | KeptWhy::Grace | KeptWhy::OneStep => false,
        }
    }
}

impl Shown<'_> {
    /// Until when it is there: what is counted may end at any time.
    fn lasts(&self) -> Timestamp {
        match (self.until, self.why) {
            (Some(until), _) => until,
            (None, KeptWhy::Lifetime | KeptWhy::Invited) => Timestamp::MAX,
            (None, KeptWhy::Reached | KeptWhy::Period | KeptWhy::Grace | KeptWhy::OneStep) => Timestamp::MIN,
        }
    }
}
