//! Which segments a customer is in, kept up to date at the cost of what changed: asked again are those whose inputs an
//! event touched, those whose time has come, and those that ask about others that moved.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::Customer;
use crate::change::{Cause, Change, ChangeBody};
use crate::definitions::Definitions;
use crate::expression::{Inputs, Subject};
use crate::segment::{BY_OVERRIDE, OVERRIDE_ENDED, Override, Places, SegmentName, SegmentSet};
use crate::time::Timestamp;

/// What is noted so that not every segment is asked at every event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Watch {
    /// What was touched since segments were asked.
    touched: Inputs,
    /// Under which versions of segments they were asked: see [`SegmentSet::mark`].
    mark: u32,
    /// When segments change although nothing happens, by segment.
    due: Vec<(SegmentName, Timestamp)>,
}

impl Default for Watch {
    fn default() -> Self {
        Watch { touched: Inputs::ALL, mark: 0, due: Vec::new() }
    }
}

impl Watch {
    pub(super) fn touch(&mut self, inputs: Inputs) {
        self.touched = self.touched.and(inputs);
    }

    /// When the first segment changes although nothing happens.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.due.iter().map(|(_, at)| *at).min()
    }

    /// Asks a segment at the next opportunity.
    pub(super) fn ask(&mut self, name: &SegmentName) {
        self.note(name, Some(Timestamp::MIN));
    }

    fn note(&mut self, name: &SegmentName, due: Option<Timestamp>) {
        let place = self.due.binary_search_by(|(own, _)| own.cmp(name));
        match (place, due) {
            (Ok(place), Some(at)) => self.due[place].1 = at,
            (Ok(place), None) => drop(self.due.remove(place)),
            (Err(place), Some(at)) => self.due.insert(place, (name.clone(), at)),
            (Err(_), None) => {}
        }
    }
}

impl Customer {
    /// Brings the segments up to date and tells which were entered and left.
    pub(super) fn derive_segments(
        &mut self,
        set: &SegmentSet,
        at: Timestamp,
        cause: Cause,
        definitions: &Definitions,
        changes: &mut Vec<Change>,
    ) {
        let touched = std::mem::replace(&mut self.watch.touched, Inputs::NONE);
        let mut asked = self.asked_now(set, touched, at, cause, changes);
        let currency = definitions.currency(at);
        let mut place = 0;
        while let Some(next) = asked.take_from(place) {
            place = next;
            let Some(segment) = set.rules.get(next) else { break };
            let subject = Subject::noted(self, at, currency);
            let overridden = self.override_of(&segment.name, at, definitions).map(|overridden| &overridden.asked);
            let (is_in, due) = match overridden {
                Some(asked) => (asked.to == Override::In, asked.until),
                None => (segment.rule.holds(&subject), segment.rule.next_change(&subject)),
            };
            let was_in = self.standing.segments.contains(&segment.name);
            if is_in != was_in {
                let because = match overridden {
                    Some(_) => SmolStr::new_static(BY_OVERRIDE),
                    None if self.override_ends(&segment.name, at) => SmolStr::new_static(OVERRIDE_ENDED),
                    None => SmolStr::new(segment.rule.deciding(&subject, touched).in_currency(currency).to_string()),
                };
                let because = Some(because);
                let name = segment.name.clone();
                let body = if is_in {
                    self.standing.segments.insert(name.clone());
                    ChangeBody::SegmentEntered { segment: name, because }
                } else {
                    self.standing.segments.remove(&name);
                    ChangeBody::SegmentLeft { segment: name, because }
                };
                changes.push(Change { at, cause, body });
                if segment.remembered {
                    self.spells.note(&segment.name, is_in, at);
                }
                // They come later in the set.
                segment.asked_by.iter().for_each(|place| asked.add(*place));
            }
            self.watch.note(&segment.name, due);
        }
    }

    /// Whether an override of a segment ends at this very instant.
    fn override_ends(&self, segment: &SegmentName, at: Timestamp) -> bool {
        self.decided.overrides.get(segment).is_some_and(|overridden| overridden.asked.until == Some(at))
    }

    /// The places of the segments to be asked. Those that are no longer in force are left at once.
    fn asked_now(
        &mut self,
        set: &SegmentSet,
        touched: Inputs,
        at: Timestamp,
        cause: Cause,
        changes: &mut Vec<Change>,
    ) -> Places {
        if self.watch.mark != set.mark {
            self.watch.mark = set.mark;
            self.watch.due.clear();
            let spells = &mut self.spells;
            self.standing.segments.retain(|name| {
                let stays = set.place(name).is_some();
                if !stays {
                    spells.note(name, false, at);
                    let body = ChangeBody::SegmentLeft { segment: name.clone(), because: None };
                    changes.push(Change { at, cause, body });
                }
                stays
            });
            return Places::all_of(set.rules.len());
        }
        if touched == Inputs::ALL {
            // Those too that ask about nothing but the past of others.
            return Places::all_of(set.rules.len());
        }
        let mut asked = Places::none_of(set.rules.len());
        set.depending(touched).for_each(|place| asked.add(place));
        // One that is not in force is not asked.
        self.watch.due.retain(|(name, due)| *due > at || set.place(name).is_some());
        let due = self.watch.due.iter().filter(|(_, due)| *due <= at);
        due.filter_map(|(name, _)| set.place(name)).for_each(|place| asked.add(place));
        asked
    }
}
