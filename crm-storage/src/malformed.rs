//! Which commits contradict themselves. It needs no stored row, so every store asks it first.

use std::collections::{HashMap, HashSet};

use crm_core::{CustomerId, EventId};

use crate::commit::{ClaimKey, Commit, CustomerWrite, Expected};
use crate::error::CommitError;
use crate::row::ScoreRow;

/// Up to this many items comparing each with each is faster than hashing them.
const FEW: usize = 16;

impl Commit {
    /// Judges the commit by itself, as each store does before anything else.
    ///
    /// # Errors
    ///
    /// `Malformed` if a customer comes twice, an event id comes twice in one write, a write without a
    /// state has events, an alarm or something personal or is for a new customer, sets are not in order and
    /// each once, the places of changes are not one for each in rising order and within the events, a personal field
    /// comes twice, a score is not finite, a key has more than
    /// [`ClaimKey::MAX_BYTES`] bytes, the name of something has more than [`Commit::NAME_MAX_BYTES`], one key is
    /// claimed for two owners, or one is released twice.
    pub fn check(&self) -> Result<(), CommitError> {
        self.writes.iter().try_for_each(check_write)?;
        self.check_names()?;
        require(all_different(self.writes.iter().map(|write| write.customer)), "a customer comes twice")?;
        require(
            self.claims.iter().all(|claim| claim.key.key.len() <= ClaimKey::MAX_BYTES),
            "a claim's key is too long",
        )?;
        require(self.claims_agree(), "one key is claimed for two owners")?;
        let released = |at: usize| &self.releases[at].key;
        require(
            (0..self.releases.len()).all(|at| (0..at).all(|before| released(before) != released(at))),
            "one key is released twice",
        )
    }

    fn check_names(&self) -> Result<(), CommitError> {
        require(self.claims.iter().all(|claim| is_name(&claim.key.kind)), "the kind of a key is too long")?;
        require(self.counters.iter().all(|step| is_name(&step.name)), "a counter's name is too long")?;
        let given_up = self.dead_letters.iter().map(|letter| &letter.entry);
        require(self.outbox.iter().chain(given_up).all(|entry| is_name(&entry.topic)), "a topic is too long")
    }

    fn claims_agree(&self) -> bool {
        let owner = |at: usize| (self.claims[at].customer, self.claims[at].event);
        if self.claims.len() <= FEW {
            let pairs = (0..self.claims.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
            let mut same_key = pairs.filter(|&(a, b)| self.claims[a].key == self.claims[b].key);
            return same_key.all(|(a, b)| owner(a) == owner(b));
        }
        let mut owners = HashMap::with_capacity(self.claims.len());
        (0..self.claims.len()).all(|at| *owners.entry(&self.claims[at].key).or_insert(owner(at)) == owner(at))
    }
}

fn check_write(write: &CustomerWrite) -> Result<(), CommitError> {
    if write.state.is_none() {
        require(write.events.is_empty(), "events without a state")?;
        require(write.alarm.is_none(), "an alarm without a state")?;
        require(write.personal.is_none(), "personal rows without a state")?;
        require(write.expected != Expected::New, "a new customer without a state")?;
    }
    let after = &write.changes_after;
    let in_place = after.is_sorted() && after.last().is_none_or(|last| *last as usize <= write.events.len());
    require(after.is_empty() || (after.len() == write.changes.len() && in_place), "changes that stand nowhere")?;
    require(write.traits.sets.is_sorted_by(|a, b| a < b), "sets that are not in order and each once")?;
    let fields = write.personal.as_ref().map_or(&[][..], |personal| &personal.fields);
    let twice = |at: usize| fields[..at].iter().any(|(name, _)| *name == fields[at].0);
    require(!(0..fields.len()).any(twice), "a personal field comes twice")?;
    require(fields.iter().all(|(name, _)| is_name(name)), "a personal field's name is too long")?;
    require(write.scores.iter().all(|score| score.value.is_finite()), "a score that is not finite")?;
    let named = |score: &ScoreRow| is_name(&score.plugin) && is_name(&score.output);
    require(write.scores.iter().all(named), "the name of a plugin or of its output is too long")?;
    require(all_different(write.events.iter().map(|event| event.id)), "an event id comes twice")
}

const fn is_name(name: &str) -> bool {
    name.len() <= Commit::NAME_MAX_BYTES
}

fn require(holds: bool, otherwise: &'static str) -> Result<(), CommitError> {
    if holds { Ok(()) } else { Err(CommitError::Malformed { what: otherwise }) }
}

/// An id that is cheap to compare and to hash.
trait Id: Copy + Eq + std::hash::Hash {}
impl Id for CustomerId {}
impl Id for EventId {}

fn all_different<T: Id>(ids: impl ExactSizeIterator<Item = T> + Clone) -> bool {
    if ids.len() <= FEW {
        return ids.clone().enumerate().all(|(at, id)| ids.clone().take(at).all(|other| other != id));
    }
    let mut seen = HashSet::with_capacity(ids.len());
    ids.into_iter().all(|id| seen.insert(id))
}
