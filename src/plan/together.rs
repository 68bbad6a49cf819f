//! What is decided of one customer while another one's part goes into the same commit.

use crm_core::change::Cause;
use crm_core::customer::{Customer, Refusal};
use crm_core::event::{Decision, Deed, Event, EventBody};
use crm_core::loyalty::{LoyaltyError, PoolMoved, PoolStep, Posting};
use crm_core::workflow::Actor;
use crm_core::{CustomerId, EventId, Timestamp};

use super::{Chain, Need, Outcome, Planner, Prepared};

/// Deeds, and of which member each is; of nobody in particular where that follows from what it is.
pub(crate) type Deeds = Vec<(Option<CustomerId>, Deed)>;

/// What is decided of one customer, and what else came of deciding.
pub(crate) type Decided<T> = Result<(Deeds, T), LoyaltyError>;

/// The decisions as they were recorded, with what else came of them.
pub(crate) type Recorded<T> = Result<(Vec<EventId>, T), Refusal>;

/// What is worked off before something is decided.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Before {
    /// All that is due by now, when it is decided.
    Now,
    /// What is due by an instant, at which it is decided; what is due after it stays for later.
    Until(Timestamp),
}

impl<'a> Planner<'a> {
    /// As [`decide_together`](Self::decide_together), and then takes in facts that are told with it, each through a
    /// member. Says besides whether all of them could be.
    pub(crate) fn decide_and_tell<T>(
        &mut self,
        by: &Actor,
        before: Before,
        told: &'a [(CustomerId, Prepared)],
        decide: &dyn Fn(&Customer, Timestamp) -> Decided<T>,
    ) -> Result<Recorded<(T, bool)>, Need> {
        let (ids, came) = match self.decide_together(by, before, decide)? {
            Ok(recorded) => recorded,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut all = true;
        for (member, fact) in told {
            all &= !matches!(self.fact_through(*member, fact)?, Outcome::Refused(_));
        }
        if !told.is_empty() {
            self.catch_up()?;
            self.elapse(self.context.now)?;
        }
        Ok(Ok((ids, (came, all))))
    }

    /// Records what is decided, after what is due, and works out what moves by it. Gives the decisions, and what else
    /// came of deciding.
    pub(crate) fn decide_together<T>(
        &mut self,
        by: &Actor,
        before: Before,
        decide: &dyn Fn(&Customer, Timestamp) -> Decided<T>,
    ) -> Result<Recorded<T>, Need> {
        let at = match before {
            Before::Now => {
                self.elapse(self.context.now)?;
                self.instant()
            }
            Before::Until(until) => {
                self.work_off(until)?;
                self.customer.clock().map_or(until, |clock| clock.max(until))
            }
        };
        let (deeds, else_came) = match decide(&self.customer, at) {
            Ok(decided) => decided,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
        let mut ids = Vec::with_capacity(deeds.len());
        for (member, deed) in deeds {
            ids.extend(match member {
                Some(member) => Some(self.decide_of(member, at, by.clone(), deed, None, &Chain::NEW)),
                None => self.decide(at, by, deed, None, &Chain::NEW),
            });
        }
        if let Some(first) = ids.first().copied() {
            self.follow(at, Cause::Event(first), &Chain::NEW)?;
            self.react()?;
        }
        match before {
            Before::Now => self.elapse(self.context.now)?,
            Before::Until(until) => self.work_off(until)?,
        }
        Ok(Ok((ids, else_came)))
    }
}

/// What a member of a pool can spend again when the posting that spent it is undone, and in whose history that is; none
/// if it spent nothing of a pool. Of a pool whose owner is several, what one posting of several took counts with the
/// first of them.
pub(super) fn unspent_of_pool(history: &[Event], undone: EventId, undoing: &Posting) -> Option<(CustomerId, Deed)> {
    let back = i64::try_from(undoing.points()).unwrap_or(i64::MAX);
    history.iter().find_map(|event| {
        let EventBody::Decision(Decision { deed: Deed::PoolMoved(moved), .. }) = &event.body else { return None };
        let PoolStep::Spent { member, points, counted, posting } = &moved.step else { return None };
        let (member, points, counted) = (*member, back.min(*points), *counted);
        let step = PoolStep::Unspent { member, points, counted, posting: undone };
        let moved = PoolMoved { program: moved.program.clone(), step };
        (*posting == undone).then_some((event.customer, Deed::PoolMoved(moved)))
    })
}
