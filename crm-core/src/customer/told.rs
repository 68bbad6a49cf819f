//! Which facts the members of a merged customer were told.

use serde::{Deserialize, Serialize};

use crate::id::EventId;

/// Of how many facts a mark is kept: 8 kB of a state.
const TOLD_MAX: usize = 2_048;

/// Marks of the facts that somebody was told who was merged, through whichever member: of each, four bytes of its
/// id. A store notices an id that comes twice within one history; this notices one that comes through another
/// member. It tells for certain what is new, and where it does not the histories do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Told {
    /// In order, and each once.
    Marks(Vec<[u8; 4]>),
    /// Too many to keep marks of: any fact may have been told.
    Many,
}

impl Default for Told {
    fn default() -> Self {
        Told::Marks(Vec::new())
    }
}

impl Told {
    pub(super) fn note(&mut self, id: EventId) {
        let Told::Marks(marks) = self else { return };
        let mark = mark(id);
        if let Err(place) = marks.binary_search(&mark) {
            marks.insert(place, mark);
        }
        self.forget_too_many();
    }

    /// Whether a fact may have been told. Of facts that were not, one in some millions may have been.
    pub(super) fn may_have(&self, id: EventId) -> bool {
        match self {
            Told::Marks(marks) => marks.binary_search(&mark(id)).is_ok(),
            Told::Many => true,
        }
    }

    fn forget_too_many(&mut self) {
        if let Told::Marks(marks) = self
            && marks.len() > TOLD_MAX
        {
            *self = Told::Many;
        }
    }
}

impl FromIterator<EventId> for Told {
    fn from_iter<I: IntoIterator<Item = EventId>>(ids: I) -> Self {
        let mut marks: Vec<[u8; 4]> = ids.into_iter().map(mark).collect();
        marks.sort_unstable();
        marks.dedup();
        let mut told = Told::Marks(marks);
        told.forget_too_many();
        told
    }
}

/// The end of an id is a hash, whatever it was made of.
fn mark(id: EventId) -> [u8; 4] {
    let [.., a, b, c, d] = *id.as_uuid().as_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Source, TenantId};

    fn id(n: usize) -> EventId {
        EventId::of_fact(&TenantId::default(), &Source::new("test").unwrap(), &n.to_string())
    }

    #[test]
    fn what_was_told_is_always_known_and_the_order_does_not_matter() {
        for count in [0, 1, 100, TOLD_MAX, TOLD_MAX + 1, TOLD_MAX + 100] {
            let at_once: Told = (0..count).map(id).collect();
            let mut one_by_one = Told::default();
            (0..count).rev().for_each(|n| one_by_one.note(id(n)));
            (0..count).for_each(|n| one_by_one.note(id(n)));
            assert_eq!(at_once, one_by_one, "{count}");
            assert!((0..count).all(|n| at_once.may_have(id(n))));
            assert_eq!(at_once.may_have(id(count + 1)), count > TOLD_MAX);
        }
    }
}
