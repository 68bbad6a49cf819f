//! What workflows do: each is called for what it listens to, and what it asks for is carried out like a
//! command, which may call others in turn.

use std::sync::Arc;

use crm_core::change::Cause;
use crm_core::event::Deed;
use crm_core::workflow::{Actor, Faulted, PluginStamp, Remembered};
use crm_core::{EventId, SmolStr};

use super::{CALLS_MAX, CHAIN_MAX, NeedHistory, Pending, Planner};
use crate::workflow::{Workflow, WorkflowCall};

/// The most that a workflow may keep for one customer, in bytes.
const MEMORY_MAX: usize = 64 * 1024;

impl Planner<'_> {
    /// Calls workflows until none has anything more to say.
    pub(super) fn react(&mut self) -> Result<(), NeedHistory> {
        while let Some(pending) = self.triggers.pop_front() {
            let workflows = self.context.workflows;
            for workflow in workflows.iter().filter(|workflow| workflow.listens(&pending.trigger.kind)) {
                if self.calls_left == 0 {
                    self.fault(workflow.stamp(), &pending, &format!("more than {CALLS_MAX} calls"));
                    self.triggers.clear();
                    return Ok(());
                }
                self.calls_left -= 1;
                if pending.chain.len() > CHAIN_MAX {
                    let chain = pending.chain.join(" → ");
                    self.fault(workflow.stamp(), &pending, &format!("more than {CHAIN_MAX} reactions: {chain}"));
                } else {
                    self.call(workflow, &pending)?;
                }
            }
        }
        Ok(())
    }

    fn call(&mut self, workflow: &Arc<dyn Workflow>, pending: &Pending) -> Result<(), NeedHistory> {
        let at = self.instant();
        let stamp = workflow.stamp();
        let call = WorkflowCall {
            trigger: &pending.trigger,
            customer: &self.customer,
            at,
            definitions: self.context.definitions,
            memory: self.customer.memory(&stamp.name),
        };
        let reply = match workflow.handle(&call) {
            Ok(reply) => reply,
            Err(fault) => {
                self.fault(stamp, pending, &fault.kind);
                return Ok(());
            }
        };
        let mut first: Option<EventId> = None;
        for command in reply.commands {
            // Whether a coupon is used up or a reward has run out shows only when it is committed, too late to refuse
            // it alone. And what was spent comes back by the history.
            if command.is_of_shop() {
                let what = format!("asked to {}, which only the shop can", command.name());
                self.fault(stamp, pending, &what);
                continue;
            }
            match command.decide(&self.customer, self.through, at, self.context.definitions) {
                Ok(deeds) => {
                    for deed in deeds {
                        let by = Actor::Plugin(stamp.clone());
                        first = first.or(self.decide(at, &by, deed, pending.cause, &pending.chain));
                    }
                }
                Err(refusal) => self.fault(stamp, pending, &format!("refused: {refusal}")),
            }
        }
        if let Some(memory) = reply.memory.filter(|memory| memory != self.customer.memory(&stamp.name)) {
            if memory.len() > MEMORY_MAX {
                self.fault(stamp, pending, "more memory than 64 KiB");
            } else {
                let deed = Deed::Remembered(Remembered { memory });
                self.decide(at, &Actor::Plugin(stamp.clone()), deed, pending.cause, &pending.chain);
            }
        }
        if let Some(id) = first {
            self.follow(at, Cause::Event(id), &pending.chain)?;
        }
        Ok(())
    }

    /// Records that a plugin failed.
    fn fault(&mut self, stamp: &PluginStamp, pending: &Pending, what: &str) {
        tracing::warn!(plugin = %stamp.name, trigger = %pending.trigger.kind, fault = what, "a plugin failed");
        let fault: String = what.chars().take(512).collect();
        let deed = Deed::Faulted(Faulted { trigger: pending.trigger.kind.clone(), fault: SmolStr::new(fault) });
        self.decide(self.instant(), &Actor::Plugin(stamp.clone()), deed, pending.cause, &pending.chain);
    }
}
