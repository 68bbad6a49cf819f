//! One call of a workflow: what it is given, and what becomes of its answer.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crm_core::change::Cause;
use crm_core::customer::Command;
use crm_core::event::Deed;
use crm_core::profile::{Card, Field};
use crm_core::workflow::{Held, PluginStamp, Remembered, TookOver, points_given};
use crm_core::{EventId, Timestamp};

use super::judge::{Asker, Denied, judge};
use super::{Actor, Need, Pending, Planner};
use crate::installed::Installed;
use crate::lookup::{Answer, LookupFault, Wanted};
use crate::workflow::{Notes, Reach, WorkflowCall, check_memory};

impl<'a> Planner<'a> {
    /// Calls a workflow, and carries out what it asks for as far as it is granted and the rules allow it.
    pub(super) fn call(&mut self, installed: &'a Installed, held: Held<'a>, pending: &Pending) -> Result<(), Need> {
        let at = self.instant();
        let Installed { workflow, .. } = installed;
        let stamp = workflow.stamp();
        let card = match self.card_of(installed, held, at)? {
            Ok(card) => card,
            Err(fault) => {
                self.fault(stamp, pending, &fault.to_string());
                return Ok(());
            }
        };
        let around = self.context.around;
        let call = WorkflowCall {
            trigger: &pending.trigger,
            customer: &self.customer,
            at,
            definitions: self.context.definitions,
            memory: self.customer.memory(&stamp.name),
            reach: Reach { plugin: &stamp.name, held, around, card, record: None, notes: Mutex::default() },
        };
        let reply = workflow.handle(&call);
        let notes = call.reach.notes.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Notes { looked_up, refused, wanted, unrecorded: _ } = notes;
        if let Some(wanted) = wanted {
            return Err(Need::LookUp(wanted));
        }
        let by = Actor::Plugin(stamp.clone());
        for looked_up in looked_up {
            if self.is_exhausted(stamp, held, pending, at) {
                break;
            }
            // Once for an instant: a replay of the call finds it by when it was.
            let noted = (stamp.name.clone(), at, looked_up);
            if !self.looked_up.contains(&noted) {
                self.decide(at, &by, Deed::LookedUp(noted.2.clone()), pending.cause, &pending.chain);
                self.looked_up.push(noted);
            }
        }
        if let Some(refused) = refused {
            self.note_not_granted(stamp, &refused);
        }
        let reply = match reply {
            Ok(reply) => reply,
            Err(fault) => {
                self.fault(stamp, pending, &fault.kind);
                return Ok(());
            }
        };
        let mut first = None;
        for command in reply.commands {
            if self.is_exhausted(stamp, held, pending, at) {
                break;
            }
            self.carry_out(command, stamp, held, pending, &mut first);
        }
        if !self.is_exhausted(stamp, held, pending, at) {
            self.remember(stamp, reply.memory, pending, at);
        }
        match first {
            Some(id) => self.follow(at, Cause::Event(id), &pending.chain),
            None => Ok(()),
        }
    }

    fn carry_out(
        &mut self,
        command: Command,
        stamp: &PluginStamp,
        held: Held<'a>,
        pending: &Pending,
        first: &mut Option<EventId>,
    ) {
        let at = self.instant();
        let today = self.today(stamp, at);
        let given = *self.given(stamp, pending);
        let asker = Asker { through: self.through, held, today: &today, given };
        let deeds = match judge(command, &self.customer, asker, at, self.context.definitions) {
            Ok(deeds) => deeds,
            Err(Denied::NotGranted(what)) => return self.not_granted(stamp, pending, &what),
            Err(Denied::Refused(refusal)) => return self.fault(stamp, pending, &format!("refused: {refusal}")),
            Err(denied @ Denied::OfShop(_)) => return self.fault(stamp, pending, &denied.to_string()),
        };
        for deed in deeds {
            let points = points_given(&deed);
            let given = self.given(stamp, pending);
            *given = given.saturating_add(points);
            let by = Actor::Plugin(stamp.clone());
            let id = self.decide(at, &by, deed, pending.cause, &pending.chain);
            *first = first.or(id);
        }
    }

    /// The points that a plugin gave for the event that a trigger follows from, by whatever reactions in between.
    fn given(&mut self, stamp: &PluginStamp, pending: &Pending) -> &mut u64 {
        let began = pending.chain.began;
        let there = self.given.iter().position(|(plugin, of, _)| *plugin == stamp.name && *of == began);
        let place = there.unwrap_or_else(|| {
            self.given.push((stamp.name.clone(), began, 0));
            self.given.len() - 1
        });
        &mut self.given[place].2
    }

    /// Keeps what it wants to be given the next time. Where another version wrote what is there, this one takes it over,
    /// and that is recorded even if it stays as it is.
    fn remember(&mut self, stamp: &PluginStamp, memory: Option<Vec<u8>>, pending: &Pending, at: Timestamp) {
        let kept = self.customer.plugin(&stamp.name);
        let run = kept.and_then(|kept| kept.run()).filter(|(_, digest)| **digest != stamp.digest);
        let from = run.map(|(version, digest)| TookOver { version: version.into(), digest: *digest });
        let before = self.customer.memory(&stamp.name);
        let memory = match memory {
            Some(memory) if memory != before || from.is_some() => memory,
            None if from.is_some() => before.to_vec(),
            Some(_) | None => return,
        };
        if let Err(fault) = check_memory(&memory) {
            return self.fault(stamp, pending, &fault.kind);
        }
        let deed = Deed::Remembered(Remembered { memory, from });
        self.decide(at, &Actor::Plugin(stamp.clone()), deed, pending.cause, &pending.chain);
    }

    /// What a workflow sees of the card: the fields that it asks for and that its view shows. The outer error is that
    /// the card has to be read, the inner one a fault.
    fn card_of(
        &mut self,
        installed: &'a Installed,
        held: Held<'a>,
        at: Timestamp,
    ) -> Result<Result<Option<Card>, LookupFault>, Need> {
        let asked = &installed.workflow.asks().fields;
        let Some(name) = held.view().filter(|_| !asked.is_empty()) else { return Ok(Ok(None)) };
        let Some(view) = self.context.definitions.view(name, at) else { return Ok(Ok(None)) };
        let fields: BTreeSet<Field> = asked.iter().filter(|field| view.fields.contains(field)).cloned().collect();
        let barred = self.customer.restricted_since().is_some() && !view.though_restricted;
        if fields.is_empty() || barred || self.customer.is_erased() {
            return Ok(Ok(None));
        }
        let plugin = &installed.workflow.stamp().name;
        let wanted = || Wanted::Card {
            customer: self.customer.id(),
            members: self.customer.members().collect(),
            view: name.clone(),
            fields,
            plugin: plugin.clone(),
        };
        match self.context.around.desk.card(plugin, name, wanted) {
            Answer::Here(card) => Ok(Ok(Some(card))),
            Answer::Wanted(wanted) => Err(Need::LookUp(wanted)),
            Answer::Not(why) => Ok(Err(why)),
        }
    }
}
