//! A customer's tiers: which are shown, what is decided when they are looked at, when that is, and what is told of it.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{Customer, Refusal};
use crate::change::{Cause, Change, ChangeBody};
use crate::definitions::Definitions;
use crate::event::Deed;
use crate::expression::Inputs;
use crate::flat::FlatMap;
use crate::id::CustomerId;
use crate::loyalty::{
    Held, InviteToTier, KeptWhy, Loss, Program, ProgramId, RevokeTier, Tally, TierKept, TierName, TierOutlook,
    TierRefusal, TierRule, TierView,
};
use crate::time::Timestamp;

/// When tiers move although nothing happens, and what was told ahead of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TierWatch(Option<Box<Watched>>);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Watched {
    /// When the count alone moves a tier.
    falls: Option<Timestamp>,
    /// When something is to be decided, or told.
    review: Option<Timestamp>,
    /// Of which loss it was told ahead, by when it comes.
    told: FlatMap<ProgramId, Timestamp>,
}

impl TierWatch {
    /// When the count alone moves a tier.
    pub(super) fn falls(&self) -> Option<Timestamp> {
        self.0.as_ref()?.falls
    }

    /// When a tier moves, is looked at, or is told to be at risk.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.as_ref().and_then(|watched| watched.falls.into_iter().chain(watched.review).min())
    }
}

/// A tier in a programme and what is to come of it.
struct Now<'a> {
    program: &'a ProgramId,
    rule: Option<&'a TierRule>,
    falls: Option<Timestamp>,
    review: Option<Timestamp>,
    /// What is to be told by now.
    loss: Option<Loss>,
}

type All<'a> = SmallVec<[Now<'a>; 1]>;

impl Customer {
    fn tier_view<'a>(&'a self, id: &'a ProgramId, program: &'a Program) -> TierView<'a> {
        let tally = Tally::new(program, self.book(id), self.facts.orders());
        TierView { id, program, tally }
    }

    fn held(&self, program: &ProgramId) -> &[Held] {
        self.decided.tiers.of(program)
    }

    /// The programmes in force that have tiers.
    fn tier_views<'a>(
        &'a self,
        at: Timestamp,
        definitions: &'a Definitions,
    ) -> impl Iterator<Item = TierView<'a>> + 'a {
        let programs = definitions.program_ids().filter_map(move |id| Some((id, definitions.program(id, at)?)));
        programs.filter(|(_, program)| !program.tiers.rules.is_empty()).map(|(id, program)| self.tier_view(id, program))
    }

    /// What is decided about tiers at an instant, and about whom: nothing unless something is reached that is kept, or
    /// what is kept is due or, where tiers are looked at at once, no longer there.
    #[must_use]
    pub fn tier_decisions(&self, at: Timestamp, definitions: &Definitions) -> Vec<(CustomerId, Deed)> {
        let mut deeds = Vec::new();
        for view in self.tier_views(at, definitions) {
            let decided = match self.held_by_members(view.id) {
                None => view.decide(self.held(view.id).iter().map(|held| (self.id, held)), self.id, at),
                Some(held) => view.decide(held, self.id, at),
            };
            deeds.extend(decided.into_iter().map(|(member, kept)| (member, Deed::TierKept(kept))));
        }
        deeds
    }

    /// The tier in a programme at an instant, as if nothing happened since the customer's clock.
    pub(crate) fn tier_at<'a>(
        &'a self,
        program: &'a ProgramId,
        at: Timestamp,
        definitions: &'a Definitions,
    ) -> Option<&'a TierName> {
        let view = self.tier_view(program, definitions.program(program, at)?);
        let held = self.held(program);
        let shown = match self.clock.filter(|clock| *clock < at) {
            Some(clock) => view.shown(&view.held_at(held, clock, at), at),
            None => view.shown(held, at),
        };
        shown.map(|shown| &shown.rule.name)
    }

    /// When the tier in a programme may move after an instant, as if nothing happened since the customer's clock.
    pub(crate) fn tier_moves(
        &self,
        program: &ProgramId,
        at: Timestamp,
        definitions: &Definitions,
    ) -> Option<Timestamp> {
        let view = self.tier_view(program, definitions.program(program, at)?);
        let held = self.held(program);
        match self.clock.filter(|clock| *clock < at) {
            Some(clock) => view.next(&view.held_at(held, clock, at), at),
            None => view.next(held, at),
        }
    }

    /// Where the customer stands in the tiers of a programme at an instant, as if nothing happened since their clock: what
    /// they have, what is missing of more, and what becomes of it. None if no such programme is in force then.
    #[must_use]
    pub fn tier_outlook(&self, program: &ProgramId, at: Timestamp, definitions: &Definitions) -> Option<TierOutlook> {
        let view = self.tier_view(program, definitions.program(program, at)?);
        let held = self.held(program);
        let clock = self.clock.unwrap_or(at);
        Some(view.outlook(&view.held_at(held, clock.min(at), at), at))
    }

    /// The tiers at an instant, and what is to come of them.
    fn tiers_now<'a>(&'a self, at: Timestamp, definitions: &'a Definitions) -> All<'a> {
        let mut all = All::new();
        for view in self.tier_views(at, definitions) {
            let held = self.held(view.id);
            if held.is_empty() && !view.tally.took_part() {
                continue;
            }
            let mut now = Now {
                program: view.id,
                rule: view.shown(held, at).map(|shown| shown.rule),
                falls: view.falls(at),
                review: view.next_review(held, at),
                loss: None,
            };
            if let Some(notice) = view.program.tiers.notice
                && let Some(loss) = view.loss(held, at)
            {
                let tell_at = loss.on.minus(notice);
                if tell_at > at {
                    now.review = now.review.into_iter().chain([tell_at]).min();
                } else {
                    now.loss = Some(loss);
                }
            }
            all.push(now);
        }
        all
    }

    /// Works out the tiers at an instant without changes being told; what was to be told by then was.
    pub(super) fn stand_tiers(
        &self,
        at: Timestamp,
        definitions: &Definitions,
    ) -> (FlatMap<ProgramId, TierName>, TierWatch) {
        let now = self.tiers_now(at, definitions);
        let watch = watch_of(&now, |now| now.loss.as_ref().map(|loss| loss.on));
        (named(&now), watch)
    }

    pub(super) fn derive_tiers(
        &mut self,
        at: Timestamp,
        cause: Cause,
        definitions: &Definitions,
        changes: &mut Vec<Change>,
    ) {
        let now = self.tiers_now(at, definitions);
        if now.is_empty() && self.standing.tiers.len() == 0 && self.standing.tier_watch.0.is_none() {
            return;
        }
        let told = |now: &Now<'_>| self.standing.tier_watch.0.as_ref()?.told.get(now.program).copied();
        let mut at_risk = Vec::new();
        let watch = watch_of(&now, |now| {
            let told = told(now);
            match &now.loss {
                Some(loss) if told != Some(loss.on) => {
                    let Loss { tier, on, missing } = loss.clone();
                    at_risk.push(ChangeBody::TierAtRisk { program: now.program.clone(), tier, on, missing });
                    Some(loss.on)
                }
                // It may be at risk again before that.
                _ => told.filter(|on| *on > at),
            }
        });
        let shown = now.iter().filter_map(|now| Some((now.program, &now.rule?.name)));
        let tiers = (!shown.eq(self.standing.tiers.iter())).then(|| named(&now));
        drop(now);
        self.standing.tier_watch = watch;
        if let Some(tiers) = tiers {
            self.tell_tiers(tiers, at, cause, definitions, changes);
        }
        changes.extend(at_risk.into_iter().map(|body| Change { at, cause, body }));
    }

    /// Notes the tiers and tells how they moved.
    fn tell_tiers(
        &mut self,
        now: FlatMap<ProgramId, TierName>,
        at: Timestamp,
        cause: Cause,
        definitions: &Definitions,
        changes: &mut Vec<Change>,
    ) {
        let before = std::mem::take(&mut self.standing.tiers);
        let rank = |program: &ProgramId, tier: &TierName| {
            let program = definitions.program(program, at)?;
            program.tiers.rule(tier).map(|rule| rule.from)
        };
        for (program, to) in now.iter() {
            let from = before.get(program).cloned();
            if from.as_ref() == Some(to) {
                continue;
            }
            let fell = from.as_ref().and_then(|from| rank(program, from)) > rank(program, to);
            let body = match from {
                Some(from) if fell => ChangeBody::TierLost { program: program.clone(), from, to: Some(to.clone()) },
                from => ChangeBody::TierReached { program: program.clone(), from, to: to.clone() },
            };
            changes.push(Change { at, cause, body });
        }
        for (program, from) in before.iter() {
            if now.get(program).is_none() {
                let body = ChangeBody::TierLost { program: program.clone(), from: from.clone(), to: None };
                changes.push(Change { at, cause, body });
            }
        }
        self.standing.tiers = now;
        self.watch.touch(Inputs::TIERS);
    }

    pub(super) fn decide_invitation(
        &self,
        invite: InviteToTier,
        at: Timestamp,
        definitions: &Definitions,
    ) -> Result<Vec<Deed>, Refusal> {
        let InviteToTier { program, tier, until } = invite;
        by_invitation(&program, &tier, at, definitions)?;
        if let Some(until) = until.filter(|until| *until <= at) {
            return Err(TierRefusal::Over { until, now: at }.into());
        }
        if self.held(&program).iter().any(|held| held.is_invited(&tier, until)) {
            return Ok(Vec::new());
        }
        let why = KeptWhy::Invited;
        Ok(vec![Deed::TierKept(TierKept { program, tier: Some(tier), until, why, then: None })])
    }

    pub(super) fn decide_revocation(
        &self,
        revoke: RevokeTier,
        at: Timestamp,
        definitions: &Definitions,
    ) -> Result<Vec<Deed>, Refusal> {
        let RevokeTier { program, tier } = revoke;
        by_invitation(&program, &tier, at, definitions)?;
        let invited = self.held(&program).iter().any(|held| held.is_invited_to(&tier));
        let kept = TierKept { program, tier: None, until: None, why: KeptWhy::Invited, then: Some(tier) };
        Ok(if invited { vec![Deed::TierKept(kept)] } else { Vec::new() })
    }
}

/// Whether a tier is there, and is one to be invited to.
fn by_invitation(
    program: &ProgramId,
    tier: &TierName,
    at: Timestamp,
    definitions: &Definitions,
) -> Result<(), TierRefusal> {
    let none = || TierRefusal::NoProgram { program: program.clone() };
    let tiers = &definitions.program(program, at).ok_or_else(none)?.tiers;
    let (program, tier) = (program.clone(), tier.clone());
    match tiers.rule(&tier) {
        None => Err(TierRefusal::NoTier { program, tier }),
        Some(rule) if !rule.by_invitation => Err(TierRefusal::NotByInvitation { program, tier }),
        Some(_) => Ok(()),
    }
}

fn named(now: &All<'_>) -> FlatMap<ProgramId, TierName> {
    now.iter().filter_map(|now| Some((now.program.clone(), now.rule?.name.clone()))).collect()
}

fn watch_of<'a>(now: &All<'a>, mut told: impl FnMut(&Now<'a>) -> Option<Timestamp>) -> TierWatch {
    let mut watched = Watched::default();
    for now in now {
        watched.falls = watched.falls.into_iter().chain(now.falls).min();
        watched.review = watched.review.into_iter().chain(now.review).min();
        if let Some(on) = told(now) {
            watched.told.insert(now.program.clone(), on);
        }
    }
    let some = watched != Watched::default();
    TierWatch(some.then(|| Box::new(watched)))
}
