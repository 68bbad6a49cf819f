//! The fold of a customer's decisions, in the order in which they were recorded.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::event::{Decision, Deed};
use crate::loyalty::{PointsBook, ProgramId};
use crate::text::Tag;
use crate::workflow::{Actor, PluginName};

/// What the CRM decided about a customer so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidedState {
    pub(super) count: u64,
    pub(super) books: BTreeMap<ProgramId, PointsBook>,
    pub(super) tags: BTreeSet<Tag>,
    pub(super) actions: BTreeMap<SmolStr, u64>,
    pub(super) memories: BTreeMap<PluginName, Vec<u8>>,
}

impl DecidedState {
    pub(super) fn apply(&mut self, decision: &Decision) {
        self.count += 1;
        if let (Actor::Plugin(_), Some(action)) = (&decision.by, decision.deed.action()) {
            *self.actions.entry(SmolStr::new_static(action)).or_default() += 1;
        }
        match &decision.deed {
            Deed::PointsPosted(posting) => {
                // Looked up first, so that the key is copied only for the first posting.
                match self.books.get_mut(&posting.program) {
                    Some(book) => book.apply(posting),
                    None => self.books.entry(posting.program.clone()).or_default().apply(posting),
                }
            }
            Deed::TagAdded(added) => {
                self.tags.insert(added.tag.clone());
            }
            Deed::TagRemoved(removed) => {
                self.tags.remove(&removed.tag);
            }
            Deed::Remembered(remembered) => {
                if let Actor::Plugin(plugin) = &decision.by {
                    self.memories.insert(plugin.name.clone(), remembered.memory.clone());
                }
            }
            Deed::Notified(_) | Deed::Faulted(_) => {}
        }
    }
}
