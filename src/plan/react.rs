//! What workflows do: each is called for what it listens to, and what it asks for is carried out like a
//! command, which may call others in turn.

use crm_core::consent::Barred;
use crm_core::event::Deed;
use crm_core::workflow::{Faulted, Held, NotGranted, PluginStamp, Usage};
use crm_core::{SmolStr, Timestamp};

use super::{Actor, CALLS_MAX, CHAIN_MAX, Need, Pending, Planner};
use crate::installed::{Installed, has_turn};

impl<'a> Planner<'a> {
    /// Calls workflows until none has anything more to say.
    pub(super) fn react(&mut self) -> Result<(), Need> {
        while let Some(pending) = self.triggers.pop_front() {
            let workflows = self.context.workflows;
            // Chosen before any is called: when one version is done with a run, the next begins with the next event.
            let is_called = |place: &usize| {
                workflows[*place].workflow.listens(&pending.trigger.kind) && has_turn(workflows, *place, &self.customer)
            };
            let turns: Vec<usize> = (0..workflows.len()).filter(is_called).collect();
            for installed in turns.into_iter().map(|place| &workflows[place]) {
                let workflow = &installed.workflow;
                let Some(held) = self.admit(installed, &pending) else { continue };
                let chain = || pending.chain.text();
                if self.calls_left == 0 {
                    self.fault(workflow.stamp(), &pending, &format!("more than {CALLS_MAX} calls: {}", chain()));
                    self.triggers.clear();
                    return Ok(());
                }
                self.calls_left -= 1;
                if pending.chain.kinds.len() > CHAIN_MAX {
                    self.fault(workflow.stamp(), &pending, &format!("more than {CHAIN_MAX} reactions: {}", chain()));
                } else {
                    self.call(installed, held, &pending)?;
                }
            }
        }
        Ok(())
    }

    /// What a workflow is granted, if it is to be called: its grants have the kind of event, the
    /// customer's data may be processed for its purpose, and it has decisions left today.
    fn admit(&mut self, installed: &'a Installed, pending: &Pending) -> Option<Held<'a>> {
        let (at, definitions) = (self.instant(), self.context.definitions);
        let stamp = installed.workflow.stamp();
        let held = Held::new(&installed.grants, definitions.grants(&stamp.name, at));
        let kind = &pending.trigger.kind;
        if !held.hears(kind) {
            return None;
        }
        let allowed = self.customer.may_process(held.purposes(), held.though_restricted(), at, definitions);
        if let Err(barred) = allowed {
            tracing::debug!(plugin = %stamp.name, trigger = %kind, %barred, "a plugin is not called");
            // Who objects is left in peace each time; who is restricted is to know whenever it would have been used.
            if matches!(barred, Barred::Restricted { .. }) {
                self.refused.insert((stamp.name.clone(), barred.reason()), barred.to_string());
            }
            return None;
        }
        (!self.is_exhausted(stamp, held, pending, at)).then_some(held)
    }

    pub(super) fn today(&self, stamp: &PluginStamp, at: Timestamp) -> Usage {
        self.customer.plugin(&stamp.name).map(|kept| kept.today(at)).unwrap_or_default()
    }

    /// Whether a plugin has done all that it may for the customer on this day. That is recorded once, as its last
    /// decision of the day.
    pub(super) fn is_exhausted(
        &mut self,
        stamp: &PluginStamp,
        held: Held<'a>,
        pending: &Pending,
        at: Timestamp,
    ) -> bool {
        let (done, max) = (self.today(stamp, at).decisions(), held.limits().decisions_a_day);
        if done == max {
            let chain = pending.chain.text();
            self.fault(stamp, pending, &format!("more than {max} decisions a day: {chain}"));
        }
        done >= max
    }

    /// Records that a plugin asked for what it was not granted. The audit log has it too, once for each reason.
    pub(super) fn not_granted(&mut self, stamp: &PluginStamp, pending: &Pending, what: &NotGranted) {
        self.note_not_granted(stamp, what);
        self.fault(stamp, pending, &format!("not granted: {what}"));
    }

    pub(super) fn note_not_granted(&mut self, stamp: &PluginStamp, what: &NotGranted) {
        self.refused.insert((stamp.name.clone(), what.reason()), format!("not granted: {what}"));
    }

    /// Records that a plugin failed.
    pub(super) fn fault(&mut self, stamp: &PluginStamp, pending: &Pending, what: &str) {
        tracing::warn!(plugin = %stamp.name, trigger = %pending.trigger.kind, fault = what, "a plugin failed");
        let fault: String = what.chars().take(512).collect();
        let deed = Deed::Faulted(Faulted { trigger: pending.trigger.kind.clone(), fault: SmolStr::new(fault) });
        self.decide(self.instant(), &Actor::Plugin(stamp.clone()), deed, pending.cause, &pending.chain);
    }
}
