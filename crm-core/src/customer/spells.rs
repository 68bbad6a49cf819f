//! Since when a customer is in the segments of whose past rules ask. In order it is noted as it comes: everything that
//! moves a membership happens at an instant of its own. What corrects the past makes it stale, and then the history is
//! gone through anew: see [`past`](super::past).

use serde::{Deserialize, Serialize};

use super::Customer;
use crate::definitions::Definitions;
use crate::flat::FlatMap;
use crate::segment::{SegmentName, Spell};
use crate::time::Timestamp;

/// Who somebody was: since when they are in which segment, and when they last left it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spells {
    /// What was asked about the past when it was gone through: see [`Past::mark`](crate::segment::Past); 0 for nothing.
    pub(super) mark: u64,
    /// Whether the past was corrected since.
    pub(super) stale: bool,
    pub(super) of: FlatMap<SegmentName, Spell>,
}

impl Spells {
    /// Those of one segment; none there if its past is not kept.
    #[must_use]
    pub fn of(&self, segment: &SegmentName) -> Spell {
        self.of.get(segment).copied().unwrap_or_default()
    }

    /// All that are kept, by the name of the segment; whoever was never in one has none there.
    pub fn iter(&self) -> impl Iterator<Item = (&SegmentName, Spell)> {
        self.of.iter().map(|(name, spell)| (name, *spell))
    }

    pub(super) fn note(&mut self, segment: &SegmentName, is_in: bool, at: Timestamp) {
        if let Some(spell) = self.of.get_mut(segment) {
            spell.note(is_in, at);
            // Whoever came and went at once was never there.
            if !spell.ever() {
                self.of.remove(segment);
            }
        } else if is_in {
            self.of.get_or_default(segment).note(true, at);
        }
    }
}

impl Customer {
    /// Since when the customer is in the segments of whose past others in force ask.
    #[must_use]
    pub const fn spells(&self) -> &Spells {
        &self.spells
    }

    /// Whether what is asked about the past at an instant is known. If not, [`recall`](Self::recall) works it out.
    #[must_use]
    pub fn remembers(&self, at: Timestamp, definitions: &Definitions) -> bool {
        match definitions.past(at) {
            Some(past) => !self.spells.stale && self.spells.mark == past.mark,
            None => true,
        }
    }

    /// The past was corrected.
    pub(super) const fn forget_spells(&mut self) {
        self.spells.stale = true;
    }
}
