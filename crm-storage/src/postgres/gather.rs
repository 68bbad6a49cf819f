//! From commits to the rows that they change.

use std::collections::btree_map::Entry;

use crm_core::{Alarm, CustomerId, EventId, SmolStr, TenantId};

use super::known::Known;
use super::writes::{Counted, Moved, Put, Writes};
use crate::commit::{AlarmMove, Claim, ClaimKey, Commit, CounterStep, CustomerWrite, Expected, PersonalMove, Release};
use crate::lane::Lane;
use crate::row::{ClaimOwner, Due};

/// A tenant's name and number, and over how many lanes its rows are spread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'t> {
    pub(super) name: &'t TenantId,
    pub(super) number: i64,
    pub(super) lanes: u16,
}

impl Place<'_> {
    pub(super) fn of_customer(&self, customer: CustomerId) -> i16 {
        small(Lane::of_customer(self.name, customer, self.lanes))
    }

    pub(super) fn of_claim(&self, key: &ClaimKey) -> i16 {
        small(Lane::of_claim(self.name, key, self.lanes))
    }

    pub(super) fn of_counter(&self, name: &SmolStr) -> i16 {
        small(Lane::of_counter(self.name, name, self.lanes))
    }

    pub(super) fn of_outbox(&self, entry: EventId) -> i16 {
        small(Lane::of_outbox(self.name, entry, self.lanes))
    }

    pub(super) fn of_tenant(&self) -> i16 {
        small(Lane::of_tenant(self.name, self.lanes))
    }
}

/// A lane as it is stored. There are fewer lanes than 2^15, so none is cut.
const fn small(lane: Lane) -> i16 {
    lane.0 as i16
}

/// The version that a write expects, 0 for a new customer. None if no row can have it.
fn expected(write: &CustomerWrite) -> Option<i64> {
    match write.expected {
        Expected::New => Some(0),
        Expected::At(version) => i64::try_from(version.0).ok().filter(|version| *version < i64::MAX),
    }
}

/// What commits change if none of them is refused, written so that the statement fails if one should be.
/// None if that cannot be said without looking: when two of them touch the same row.
pub(super) fn unjudged<'a>(place: &Place<'_>, commits: &[&'a Commit]) -> Option<Writes<'a>> {
    let mut writes = Writes::default();
    let mut written = 0;
    for commit in commits {
        for write in &commit.writes {
            expected(write)?;
        }
        written += commit.writes.len();
        if let Some(request) = &commit.request {
            let key = (place.of_customer(request.customer), request.customer, request.key.as_str());
            if writes.requests.contains_key(&key) {
                return None;
            }
        }
        for Release { key, customer } in &commit.releases {
            if writes.claims.insert((place.of_claim(key), key), Moved::Dropped(*customer)).is_some() {
                return None;
            }
        }
        for Claim { key, customer, event } in &commit.claims {
            let owner = ClaimOwner { customer: *customer, event: *event };
            let at = (place.of_claim(key), key);
            let moved = match writes.claims.get(&at) {
                None => Moved::Taken(owner),
                Some(Moved::Dropped(before)) if commit.releases.iter().any(|release| release.key == *key) => {
                    Moved::Passed(*before, owner)
                }
                Some(_) => return None,
            };
            writes.claims.insert(at, moved);
        }
        for CounterStep { name, by, limit } in &commit.counters {
            if writes.counters.insert((place.of_counter(name), name), Counted::By(*by, *limit)).is_some() {
                return None;
            }
        }
        writes.add(place, commit)?;
    }
    // A customer who came twice is there once.
    if writes.customers.len() + writes.held.len() != written {
        return None;
    }
    writes.sort();
    Some(writes)
}

impl<'a> Writes<'a> {
    /// Adds what a commit changes that was judged in order, but for keys and counters. None for a version
    /// that no row can have.
    pub(super) fn add(&mut self, place: &Place<'_>, commit: &'a Commit) -> Option<()> {
        for write in &commit.writes {
            self.add_write(place, write)?;
        }
        for entry in &commit.outbox {
            let at = (place.of_outbox(entry.id), entry.id);
            if !self.dead.contains_key(&at) {
                self.outbox.entry(at).or_insert(entry);
            }
        }
        for letter in &commit.dead_letters {
            let at = (place.of_outbox(letter.entry.id), letter.entry.id);
            // What is there already is left; of one batch that is what came first.
            if !self.outbox.contains_key(&at) {
                self.dead.entry(at).or_insert(letter);
            }
        }
        if let Some(request) = &commit.request {
            let key = (place.of_customer(request.customer), request.customer, request.key.as_str());
            self.requests.insert(key, request);
        }
        Some(())
    }

    fn add_write(&mut self, place: &Place<'_>, write: &'a CustomerWrite) -> Option<()> {
        let customer = write.customer;
        let lane = place.of_customer(customer);
        let at = (lane, customer);
        let version = expected(write)?;
        match &write.state {
            Some(state) => {
                let found = match write.expected {
                    Expected::New => None,
                    Expected::At(_) => Some(version),
                };
                let put = Put { found, version: version + 1, state, traits: &write.traits };
                match self.customers.entry(at) {
                    Entry::Vacant(place) => drop(place.insert(put)),
                    Entry::Occupied(mut before) => {
                        let found = before.get().found;
                        before.insert(Put { found, ..put });
                    }
                }
                self.held.remove(&at);
            }
            None if self.customers.contains_key(&at) => {}
            None => {
                self.held.insert(at, version);
            }
        }
        self.entries.extend(write.appended().map(|appended| (lane, customer, appended)));
        for gone in &write.scores_gone {
            let key = (gone.plugin.as_str(), gone.output.as_str(), gone.at.as_millis());
            self.scores.entry(at).or_default().insert(key, None);
        }
        for score in &write.scores {
            let key = (score.plugin.as_str(), score.output.as_str(), score.at.as_millis());
            self.scores.entry(at).or_default().insert(key, Some(score));
        }
        if let Some(AlarmMove { from, to }) = write.alarm
            && from != to
        {
            let mut put = |alarm: Option<Alarm>, stays| {
                alarm.map(|alarm| self.alarms.insert((lane, Due { alarm, customer }), stays));
            };
            put(from, false);
            put(to, true);
        }
        if let Some(moved) = &write.personal {
            self.add_person(at, moved);
        }
        Some(())
    }

    fn add_person(&mut self, at: (i16, CustomerId), moved: &'a PersonalMove) {
        let person = self.persons.entry(at).or_default();
        if let Some(key) = &moved.key {
            person.key = Some(key);
        }
        person.fields.extend(moved.fields.iter().map(|(name, value)| (name.as_str(), value.as_deref())));
        if let Some(tokens) = &moved.tokens {
            person.tokens = Some(tokens.iter().copied().collect());
        }
    }

    /// Adds what became of keys and counters, from what was found to what is known now.
    pub(super) fn add_moves(&mut self, place: &Place<'_>, known: &Known, commits: &[&'a Commit]) {
        let released = commits.iter().flat_map(|commit| commit.releases.iter().map(|release| &release.key));
        let claimed = commits.iter().flat_map(|commit| commit.claims.iter().map(|claim| &claim.key));
        for key in released.chain(claimed) {
            let moved = match (known.owner_found(key), known.owner_now(key)) {
                (None, Some(owner)) => Moved::Taken(owner),
                (Some(before), None) => Moved::Dropped(before.customer),
                (Some(before), Some(owner)) if before != owner => Moved::Passed(before.customer, owner),
                (None, None) | (Some(_), Some(_)) => continue,
            };
            self.claims.insert((place.of_claim(key), key), moved);
        }
        for CounterStep { name, .. } in commits.iter().flat_map(|commit| &commit.counters) {
            let counted = match (known.counter_found(name), known.counter_now(name)) {
                (None, Some(value)) => Counted::New(value),
                (Some(before), Some(value)) if before != value => Counted::Set(value),
                (None | Some(_), None) | (Some(_), Some(_)) => continue,
            };
            self.counters.insert((place.of_counter(name), name), counted);
        }
    }

    /// Whether nothing is to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.customers.is_empty()
            && self.held.is_empty()
            && self.requests.is_empty()
            && self.claims.is_empty()
            && self.counters.is_empty()
            && self.outbox.is_empty()
            && self.dead.is_empty()
    }
}
