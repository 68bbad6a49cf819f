//! What customers want of the shop after or beside a sale: cases. So far: which are open, and when there were any.
//!
//! A case goes by the shop's number. It is opened once; told again under its number it is the same case. What closes a
//! case that is not open does nothing, whether it was never opened, is closed already, or is opened only later. What
//! reopens one that is not known, because its opening was never told or was forgotten, opens it as of then.

mod event;

use serde::{Deserialize, Serialize};

pub use event::{CaseClosed, CaseOpened, CaseReopened};

use crate::flat::FlatMap;
use crate::interaction::Instants;
use crate::text::text_type;
use crate::time::Timestamp;

text_type!(
    /// The shop's own number of a case.
    CaseRef, "case number", 256
);

/// What kind of case it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CaseKind {
    /// The customer wants to know something.
    Question,
    /// The customer wants something done.
    Request,
    /// The customer is dissatisfied and expects an answer (ISO 10002).
    Complaint,
    /// Something that was bought does not work.
    Fault,
    /// Something is to go back.
    Return,
    /// Something else.
    Other,
}

impl CaseKind {
    /// All of them.
    pub const ALL: [CaseKind; 6] = [
        CaseKind::Question,
        CaseKind::Request,
        CaseKind::Complaint,
        CaseKind::Fault,
        CaseKind::Return,
        CaseKind::Other,
    ];

    /// The name it is stored under.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            CaseKind::Question => "question",
            CaseKind::Request => "request",
            CaseKind::Complaint => "complaint",
            CaseKind::Fault => "fault",
            CaseKind::Return => "return",
            CaseKind::Other => "other",
        }
    }
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CaseOutcome {
    /// What was wanted was done.
    Resolved,
    /// It was not, and will not be.
    Unresolved,
    /// The customer wants it no more.
    Withdrawn,
    /// It is the same as another case.
    Duplicate,
}

impl CaseOutcome {
    /// The name it is stored under.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            CaseOutcome::Resolved => "resolved",
            CaseOutcome::Unresolved => "unresolved",
            CaseOutcome::Withdrawn => "withdrawn",
            CaseOutcome::Duplicate => "duplicate",
        }
    }
}

/// A case, as far as a state knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// What kind; none of one that was reopened and whose opening is not known.
    pub kind: Option<CaseKind>,
    /// When it was opened: the first time, if it was reopened since and that is known.
    pub opened_at: Timestamp,
}

/// How many open cases of a customer a state keeps. When there are more, the one that has been open longest is
/// forgotten.
pub const OPEN_MAX: usize = 256;
/// How many closed cases a state keeps, so that they can be reopened as what they were.
pub const CLOSED_MAX: usize = 64;

/// A customer's cases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cases {
    opened: FlatMap<CaseKind, Instants>,
    open: FlatMap<CaseRef, Case>,
    /// The last that were closed, in the order of that.
    closed: Vec<(CaseRef, Case)>,
}

impl Cases {
    /// Those that are open, by number.
    pub fn open(&self) -> impl Iterator<Item = (&CaseRef, &Case)> {
        self.open.iter()
    }

    /// When cases were opened, a list for each kind that was asked for; none is any. Whoever reopens one opens none.
    pub fn opened(&self, kind: Option<CaseKind>) -> impl Iterator<Item = &Instants> {
        self.opened.iter().filter(move |(own, _)| kind.is_none_or(|kind| kind == **own)).map(|(_, instants)| instants)
    }

    /// Whether the opening of a case is known, be it open or closed.
    #[must_use]
    pub fn has_told(&self, case: &CaseRef) -> bool {
        let closed = self.closed.iter().find(|(own, _)| own == case).map(|(_, case)| case);
        self.open.get(case).or(closed).is_some_and(|case| case.kind.is_some())
    }

    pub(crate) fn fold_opened(&mut self, at: Timestamp, told: &CaseOpened) {
        if self.has_told(&told.case) {
            // Closed before it was opened once more, it is open again; otherwise it is open already.
            self.fold_reopened(at, &told.case);
            return;
        }
        self.closed.retain(|(own, _)| *own != told.case);
        self.opened.get_or_default(&told.kind).note(at);
        self.put(told.case.clone(), Case { kind: Some(told.kind), opened_at: at });
    }

    pub(crate) fn fold_closed(&mut self, told: &CaseClosed) {
        let Some(case) = self.open.remove(&told.case) else { return };
        if self.closed.len() == CLOSED_MAX {
            self.closed.remove(0);
        }
        self.closed.push((told.case.clone(), case));
    }

    pub(crate) fn fold_reopened(&mut self, at: Timestamp, reference: &CaseRef) {
        if self.open.get(reference).is_some() {
            return;
        }
        let place = self.closed.iter().position(|(own, _)| own == reference);
        let case = place.map(|place| self.closed.remove(place).1);
        self.put(reference.clone(), case.unwrap_or(Case { kind: None, opened_at: at }));
    }

    fn put(&mut self, reference: CaseRef, case: Case) {
        self.open.insert(reference, case);
        if self.open.len() > OPEN_MAX {
            let longest =
                self.open.iter().min_by_key(|(_, case)| case.opened_at).map(|(reference, _)| reference.clone());
            longest.and_then(|longest| self.open.remove(&longest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: i64) -> Timestamp {
        Timestamp::from_millis(day * 86_400_000).unwrap()
    }

    fn name(n: i64) -> CaseRef {
        CaseRef::new(n.to_string()).unwrap()
    }

    fn opened(n: i64, kind: CaseKind) -> CaseOpened {
        CaseOpened { case: name(n), kind, topic: None }
    }

    fn closed(n: i64) -> CaseClosed {
        CaseClosed { case: name(n), outcome: CaseOutcome::Resolved }
    }

    fn open(cases: &Cases) -> Vec<(i64, Option<CaseKind>, Timestamp)> {
        cases.open().map(|(case, of)| (case.as_str().parse().unwrap(), of.kind, of.opened_at)).collect()
    }

    fn count(cases: &Cases, kind: Option<CaseKind>) -> u32 {
        cases.opened(kind).map(Instants::count).sum()
    }

    #[test]
    fn a_case_is_open_from_its_opening_until_it_is_closed() {
        let mut cases = Cases::default();
        cases.fold_closed(&closed(1));
        cases.fold_opened(day(1), &opened(1, CaseKind::Complaint));
        assert_eq!(open(&cases), [(1, Some(CaseKind::Complaint), day(1))], "what closed it before does nothing");
        cases.fold_opened(day(2), &opened(1, CaseKind::Question));
        assert_eq!((open(&cases).len(), count(&cases, None)), (1, 1), "told twice it is one case");
        cases.fold_opened(day(3), &opened(2, CaseKind::Question));
        cases.fold_closed(&closed(1));
        cases.fold_closed(&closed(1));
        assert_eq!(open(&cases), [(2, Some(CaseKind::Question), day(3))]);
        assert_eq!((count(&cases, Some(CaseKind::Complaint)), count(&cases, None)), (1, 2));
    }

    #[test]
    fn a_case_that_is_reopened_is_the_one_it_was() {
        let mut cases = Cases::default();
        cases.fold_opened(day(1), &opened(1, CaseKind::Fault));
        cases.fold_reopened(day(2), &name(1));
        cases.fold_closed(&closed(1));
        cases.fold_reopened(day(3), &name(1));
        assert_eq!((open(&cases), count(&cases, None)), (vec![(1, Some(CaseKind::Fault), day(1))], 1));
        cases.fold_reopened(day(4), &name(2));
        assert_eq!(open(&cases)[1], (2, None, day(4)), "nobody told of its opening");
        cases.fold_opened(day(5), &opened(2, CaseKind::Return));
        assert_eq!(open(&cases)[1], (2, Some(CaseKind::Return), day(5)), "until now");
    }

    #[test]
    fn a_state_has_room_for_so_many_cases() {
        let mut cases = Cases::default();
        for n in 0..300 {
            cases.fold_opened(day(n), &opened(n, CaseKind::Request));
        }
        assert_eq!((cases.open().count(), count(&cases, None)), (OPEN_MAX, 300));
        assert!(open(&cases).iter().all(|(n, ..)| *n >= 44), "those that were open longest are forgotten");
        for n in 44..300 {
            cases.fold_closed(&closed(n));
        }
        cases.fold_reopened(day(400), &name(299));
        cases.fold_reopened(day(400), &name(100));
        let kinds: Vec<_> = open(&cases).into_iter().map(|(n, kind, _)| (n, kind)).collect();
        assert_eq!(kinds, [(100, None), (299, Some(CaseKind::Request))]);
    }
}
