//! Which segments a customer is in, kept up to date at the cost of what changed: asked again are those whose inputs an
//! event touched, those whose time has come, and those that ask about others that moved.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::Customer;
use super::rewards::BadgeWatch;
use crate::change::{Cause, Change, ChangeBody};
use crate::definitions::Definitions;
use crate::expression::{Inputs, Subject};
use crate::segment::{BY_OVERRIDE, OVERRIDE_ENDED, Override, Places, SegmentName, SegmentRule, SegmentSet};
use crate::time::Timestamp;

/// What is noted so that not every segment is asked at every event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Watch {
    /// What was touched since segments were asked.
    touched: Inputs,
    /// Under which versions of segments they were asked: see [`SegmentSet::mark`].
    mark: u32,
    /// One more than there were versions of segments when all were asked last; 0 if they never were.
    known: u32,
    /// As of when all were asked last.
    asked_at: Timestamp,
    /// When segments change although nothing happens, by segment.
    due: Vec<(SegmentName, Timestamp)>,
    /// When the first older version that still answers changes although nothing happens.
    former_due: Option<Timestamp>,
    /// The same for badges, where there are any.
    pub(super) badges: Option<Box<BadgeWatch>>,
}

impl Default for Watch {
    fn default() -> Self {
        let (mark, known, asked_at) = (0, 0, Timestamp::MIN);
        Watch { touched: Inputs::ALL, mark, known, asked_at, due: Vec::new(), former_due: None, badges: None }
    }
}

impl Watch {
    pub(super) fn touch(&mut self, inputs: Inputs) {
        self.touched = self.touched.and(inputs);
        if let Some(badges) = &mut self.badges {
            badges.touched = badges.touched.and(inputs);
        }
    }

    /// When the first segment changes although nothing happens.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.due.iter().map(|(_, at)| *at).chain(self.former_due).min()
    }

    /// Whether the customer was asked before, and not under this version.
    fn is_new(&self, segment: &SegmentRule) -> bool {
        self.known > 0 && (segment.born + 1 >= self.known || segment.from > self.asked_at)
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

/// An instant, and what made segments be asked at it.
#[derive(Debug, Clone, Copy)]
struct Moved {
    at: Timestamp,
    cause: Cause,
    touched: Inputs,
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
        self.note_barred_scores(at, definitions);
        let touched = std::mem::replace(&mut self.watch.touched, Inputs::NONE);
        let moved = Moved { at, cause, touched };
        if set.is_past {
            let mut asked = self.asked_now(set, touched, at);
            if self.watch.mark != set.mark {
                self.watch.mark = set.mark;
                self.leave_ended(set, moved, &[], changes);
                asked = Places::all_of(set.rules.len());
            }
            return self.ask(set, asked, moved, definitions, changes);
        }
        let anew = self.watch.mark != set.mark || self.watch.known == 0;
        if anew || !set.former.is_empty() || self.standing.memberships.is_told_apart() {
            self.derive_versions(set, moved, anew, definitions, changes);
        } else {
            let asked = self.asked_now(set, touched, at);
            self.ask(set, asked, moved, definitions, changes);
        }
    }

    /// The same where there are versions that the customer was not asked under, or an older one answers.
    fn derive_versions(
        &mut self,
        set: &SegmentSet,
        moved: Moved,
        anew: bool,
        definitions: &Definitions,
        changes: &mut Vec<Change>,
    ) {
        let Moved { at, touched, .. } = moved;
        let book = definitions.segment_book();
        // Whoever is in by a version that is not in force yet stays so until it is.
        let later: Vec<(SegmentName, u32)> = self
            .standing
            .memberships
            .held()
            .filter(|(name, _)| set.place(name).is_none() && book.begins_after(name, at))
            .map(|(name, version)| (name.clone(), version))
            .collect();
        self.standing.memberships.answered = self.standing.memberships.told_names();
        let asked = if anew {
            self.leave_ended(set, moved, &later, changes);
            Places::all_of(set.rules.len())
        } else {
            self.asked_now(set, touched, at)
        };
        self.ask(set, asked, moved, definitions, changes);
        if anew {
            self.watch.mark = set.mark;
            self.watch.known = book.born() + 1;
            self.watch.asked_at = at;
        }
        let told = self.standing.memberships.answered.clone();
        let by_now = set.rules.iter().filter(|segment| told.contains(&segment.name));
        let mut held: Vec<(SegmentName, u32)> =
            by_now.map(|segment| (segment.name.clone(), segment.version)).chain(later).collect();
        self.ask_former(set, at, definitions);
        let answered = self.standing.memberships.answered.clone();
        let former = set.former.iter().filter(|segment| answered.contains(&segment.name));
        held.extend(former.map(|segment| (segment.name.clone(), segment.version)));
        let apart = set.former.iter().map(|segment| (segment.name.clone(), told.contains(&segment.name))).collect();
        self.standing.memberships.settle(answered, held, apart);
    }

    /// Those that are no longer in force are left at once.
    fn leave_ended(&mut self, set: &SegmentSet, moved: Moved, later: &[(SegmentName, u32)], changes: &mut Vec<Change>) {
        self.watch.due.clear();
        let spells = &mut self.spells;
        self.standing.memberships.answered.retain(|name| {
            let stays = set.place(name).is_some() || later.iter().any(|(own, _)| own == name);
            if !stays {
                spells.note(name, false, moved.at);
                let body = ChangeBody::SegmentLeft { segment: name.clone(), because: None };
                changes.push(Change { at: moved.at, cause: Cause::Definition, body });
            }
            stays
        });
    }

    /// Asks some segments, and those that ask about the ones that move.
    fn ask(
        &mut self,
        set: &SegmentSet,
        mut asked: Places,
        moved: Moved,
        definitions: &Definitions,
        changes: &mut Vec<Change>,
    ) {
        let Moved { at, cause, touched } = moved;
        let currency = definitions.currency(at);
        let mut place = 0;
        while let Some(next) = asked.take_from(place) {
            place = next;
            let Some(segment) = set.rules.get(next) else { break };
            let subject = Subject::noted(self, at, currency);
            let (is_in, due) = self.asked_of(segment, &subject, definitions);
            let was_in = self.standing.is_in(&segment.name);
            if is_in != was_in {
                let because = if self.override_of(&segment.name, at, definitions).is_some() {
                    SmolStr::new_static(BY_OVERRIDE)
                } else if self.override_ends(&segment.name, at) {
                    SmolStr::new_static(OVERRIDE_ENDED)
                } else {
                    SmolStr::new(segment.rule.deciding(&subject, touched).in_currency(currency).to_string())
                };
                let because = Some(because);
                let cause = if self.watch.is_new(segment) { Cause::Definition } else { cause };
                let name = segment.name.clone();
                let body = if is_in {
                    self.standing.memberships.enter(&name, segment.version);
                    ChangeBody::SegmentEntered { segment: name, because }
                } else {
                    self.standing.memberships.leave(&name);
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

    /// Whether the customer is in a segment, by an override or else by its rule, and when that changes by time alone.
    fn asked_of(
        &self,
        segment: &SegmentRule,
        subject: &Subject<'_>,
        definitions: &Definitions,
    ) -> (bool, Option<Timestamp>) {
        match self.override_of(&segment.name, subject.at, definitions) {
            Some(overridden) => (overridden.asked.to == Override::In, overridden.asked.until),
            None => (segment.rule.holds(subject), segment.rule.next_change(subject)),
        }
    }

    /// Whether an override of a segment ends at this very instant.
    fn override_ends(&self, segment: &SegmentName, at: Timestamp) -> bool {
        self.decided.overrides.get(segment).is_some_and(|overridden| overridden.asked.until == Some(at))
    }

    /// Asks the older versions that still answer. There are few of them, and not for long: all are asked each time.
    fn ask_former(&mut self, set: &SegmentSet, at: Timestamp, definitions: &Definitions) {
        self.watch.former_due = None;
        for segment in &set.former {
            self.standing.memberships.answered.remove(&segment.name);
        }
        let currency = definitions.currency(at);
        for segment in &set.former {
            let subject = Subject::noted(self, at, currency);
            let (is_in, due) = self.asked_of(segment, &subject, definitions);
            if is_in {
                self.standing.memberships.answered.insert(segment.name.clone());
            }
            self.watch.former_due = self.watch.former_due.into_iter().chain(due).min();
        }
    }

    /// The places of the segments to be asked.
    fn asked_now(&mut self, set: &SegmentSet, touched: Inputs, at: Timestamp) -> Places {
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
