//! How far lanes are known to have come, so that the end of one is found without reading what lies long before it.
//!
//! What is known here is never believed: a statement looks for the last entry from there on. If it is too little, because
//! another process wrote, the statement reads more. If it is too much, because the server lost what it had
//! committed, the statement finds nothing and fails, and the careful way looks without it.

use std::sync::atomic::{AtomicI64, Ordering};

/// After how many positions a lane is asked again where it ends, since others may write to it as well.
const ASKED_AFTER: i64 = 64;

/// For each lane, a position that it had come to. 8 bytes a lane.
#[derive(Debug)]
pub(super) struct Ends(Box<[AtomicI64]>);

impl Ends {
    /// Nothing is known of any lane.
    pub(super) fn unknown(lanes: u16) -> Self {
        Ends((0..lanes).map(|_| AtomicI64::new(0)).collect())
    }

    fn of(&self, lane: i16) -> Option<&AtomicI64> {
        usize::try_from(lane).ok().and_then(|lane| self.0.get(lane))
    }

    /// A position that the lane has come to, 0 if none is known.
    pub(super) fn known(&self, lane: i16) -> i64 {
        self.of(lane).map_or(0, |end| end.load(Ordering::Relaxed))
    }

    /// The lane has come to a position: what was known before it was written to, and as many as were written, or
    /// what it answered.
    pub(super) fn came_to(&self, lane: i16, position: i64) {
        if let Some(end) = self.of(lane) {
            end.fetch_max(position, Ordering::Relaxed);
        }
    }

    /// The lane ends at a position, and nobody can write to it now.
    pub(super) fn is(&self, lane: i16, position: i64) {
        if let Some(end) = self.of(lane) {
            end.store(position, Ordering::Relaxed);
        }
    }

    /// Whether a lane should be asked where it ends when so many entries are added: if nothing is known of it, and
    /// every now and then.
    pub(super) const fn should_ask(known: i64, added: i64) -> bool {
        known == 0 || known / ASKED_AFTER != known.saturating_add(added) / ASKED_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_asked_when_nothing_is_known_of_it_and_now_and_then() {
        assert!(Ends::should_ask(0, 1));
        let asked = (1..=640).filter(|known| Ends::should_ask(*known, 1)).count();
        assert_eq!(asked, 10);
        assert!(Ends::should_ask(1, 64), "also if a commit adds many");
    }

    #[test]
    fn what_is_known_only_falls_when_the_lane_was_looked_at() {
        let ends = Ends::unknown(2);
        ends.came_to(1, 7);
        ends.came_to(1, 5);
        assert_eq!((ends.known(0), ends.known(1)), (0, 7));
        ends.is(1, 5);
        assert_eq!(ends.known(1), 5);
        // There are no such lanes.
        ends.came_to(2, 9);
        ends.is(-1, 9);
        assert_eq!((ends.known(2), ends.known(-1)), (0, 0));
    }
}
