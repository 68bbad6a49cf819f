//! What the passing of time does.

use crm_core::change::Cause;
use crm_core::customer::{OrdersTouched, PointsStep};
use crm_core::workflow::Actor;
use crm_core::{Alarm, AlarmKind, Timestamp};

use super::{Chain, Need, Planner};

impl Planner<'_> {
    /// Works off everything that is due at or before an instant, each at its own time, and lets the
    /// customer's clock reach it. A clock that is later already stays.
    pub(crate) fn elapse(&mut self, until: Timestamp) -> Result<(), Need> {
        self.work_off(until)?;
        if self.customer.clock().is_some() {
            self.customer.elapse(until, &mut self.moves);
        }
        Ok(())
    }

    /// Works off what is due, and leaves the customer's clock at the last of it: what any number of
    /// calls for instants in between would do.
    pub(crate) fn work_off(&mut self, until: Timestamp) -> Result<(), Need> {
        if self.customer.clock().is_none() {
            return Ok(());
        }
        while let Some(alarm) = self.next_heeded().filter(|alarm| alarm.due_at <= until) {
            if alarm.kind == AlarmKind::Retention && self.retain(alarm)? {
                return Ok(());
            }
            if alarm.kind != AlarmKind::Retention {
                self.ring(alarm)?;
            }
        }
        Ok(())
    }

    /// The next alarm that is worked off now. What is recorded may put off what retention would do, so that is done
    /// only when time is let pass.
    fn next_heeded(&mut self) -> Option<Alarm> {
        let next = self.next_alarm();
        // What a pool is to have goes there before anything later happens to it, where time is let pass on purpose.
        if self.retaining && next.is_some_and(|next| next.kind == AlarmKind::PoolShare) {
            return None;
        }
        // What writes two customers is none of one customer's plan, and no plan asks a plugin for a score.
        let elsewhere = |kind| matches!(kind, AlarmKind::Referral | AlarmKind::Score | AlarmKind::PoolShare);
        let own = next.filter(|next| !elsewhere(next.kind));
        let heeded = own.filter(|next| self.retaining || next.kind != AlarmKind::Retention);
        heeded.or_else(|| next.and_then(|_| self.customer.next_but_retention(self.context.definitions)))
    }

    pub(super) fn next_alarm(&mut self) -> Option<Alarm> {
        let (customer, definitions) = (&self.customer, self.context.definitions);
        *self.next.get_or_insert_with(|| customer.next_alarm(definitions))
    }

    pub(super) fn ring(&mut self, alarm: Alarm) -> Result<(), Need> {
        // What came late can be due before the time that has passed already.
        let at = self.instant().max(alarm.due_at);
        if let Some((happens_at, event)) = self.customer.fact_due(at) {
            return self.come_due(event, happens_at);
        }
        self.customer.elapse(at, &mut self.moves);
        if alarm.kind == AlarmKind::Loyalty {
            for (member, deed) in self.customer.end_reservations(alarm.due_at) {
                self.decide_of(member, alarm.due_at, Actor::Rule, deed, None, &Chain::NEW);
            }
            for step in PointsStep::ALL {
                for (member, deed) in self.customer.points_due(step, alarm.due_at, self.context.definitions) {
                    self.decide_of(member, alarm.due_at, Actor::Rule, deed, None, &Chain::NEW);
                }
            }
            self.expire_credit(alarm.due_at);
        }
        self.settle(at, Cause::Alarm(alarm.kind), OrdersTouched::None)?;
        self.next = None;
        self.react()?;
        Ok(())
    }
}
