//! Undoing a posting in a long history.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::cell::Cell;

use crm_core::customer::{Command, Customer, PointsStep};
use crm_core::event::{Decision, Deed, EventBody};
use crm_core::loyalty::{AwardPoints, Program, ProgramId, UndoPosting};
use crm_core::workflow::Actor;
use crm_core::{Currency, CustomerId, Definition, DefinitionVersion, Definitions, EventId, Span, Timestamp};

fn day(day: u32) -> Timestamp {
    Timestamp::parse("2020-01-01").unwrap().plus(Span::days(day))
}

fn somebody() -> CustomerId {
    CustomerId::new(Timestamp::MIN, [1; 10])
}

/// How many events of the history are looked at to undo the newest of so many awards, of which all but a few have expired
/// in postings of their own.
fn looked_at(awards: u32) -> (usize, usize) {
    let program = ProgramId::new("points").unwrap();
    let scheme = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(8));
    let mut definitions = Definitions::default();
    let definition = Definition::Program(program.clone(), Some(scheme));
    definitions.add(DefinitionVersion { from: Timestamp::MIN, definition }).unwrap();
    let mut customer = Customer::new(somebody());
    let mut history: Vec<(EventId, EventBody)> = Vec::new();
    for n in 0..awards {
        let reason = "test".parse().unwrap();
        let award = Command::AwardPoints(AwardPoints { program: program.clone(), points: 10, reason });
        let expired = customer.points_due(PointsStep::Expiry, day(n), &definitions);
        let deeds = expired.into_iter().map(|(_, deed)| deed);
        let deeds: Vec<Deed> =
            deeds.chain(award.decide(&customer, somebody(), day(n), &definitions).unwrap()).collect();
        for deed in deeds {
            let decision = Decision { by: Actor::Shop, deed };
            let id = EventId::of_decision(somebody(), customer.decisions());
            customer.apply_decision_of(somebody(), day(n), &decision);
            history.push((id, EventBody::Decision(decision)));
        }
    }
    let undo = UndoPosting { posting: history.last().unwrap().0, reason: "test".parse().unwrap() };
    let looked = Cell::new(0);
    let events = history.iter().map(|(id, body)| {
        looked.set(looked.get() + 1);
        (somebody(), *id, body)
    });
    let (_, posting) = customer.undo_posting(&undo, events, day(awards), &definitions).unwrap();
    assert_eq!(posting.points(), -10);
    (looked.get(), history.len())
}

#[test]
fn undoing_looks_at_each_event_of_a_history_a_few_times_however_long_it_is() {
    for awards in [50, 500] {
        let (looked, events) = looked_at(awards);
        assert!(looked <= 4 * events, "{looked} of {events}");
    }
}
