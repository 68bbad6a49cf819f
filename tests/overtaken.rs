//! Whoever finds that somebody else was first, by a version or by a key, decides again: it is no damage.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod failing;

use std::sync::{Arc, Mutex};

use crm::blocking::Crm;
use crm::{
    CardUpdate, CardValue, Channel, Command, CustomerId, Error, ExternalSystem, Field, FieldName, Fields, Identifier,
    Incoming, ManualClock, MemoryStore, Source, Tag, Timestamp, Visited,
};
use failing::{Failing, Fate};

type Deed = fn(&Crm, CustomerId, CustomerId) -> Result<(), Error>;

fn why() -> crm::Remark {
    "test".parse().unwrap()
}

fn came(crm: &Crm, n: u8) -> CustomerId {
    let who = Identifier::external(&ExternalSystem::new("shop").unwrap(), &n.to_string()).unwrap();
    let visit = Visited { channel: Channel::Web, place: None };
    crm.record(Incoming::new(&who, crm.now(), Source::new("test").unwrap(), visit)).unwrap().customer
}

#[test]
fn whoever_loses_a_key_to_somebody_else_decides_again() {
    let deeds: [(&str, Deed); 9] = [
        ("a command", |crm, ana, _| crm.execute(ana, Command::AddTag(Tag::new("vip").unwrap()), "k").map(drop)),
        ("a notification", |crm, ana, _| {
            let fields = Fields::new();
            crm.execute(ana, Command::Notify { topic: "mail".parse().unwrap(), fields }, "k").map(drop)
        }),
        ("a fact", |crm, ana, _| {
            let visit = Visited { channel: Channel::Web, place: None };
            crm.record(Incoming::new(ana, crm.now(), Source::new("test").unwrap(), visit)).map(drop)
        }),
        ("a card", |crm, ana, _| {
            let update = CardUpdate::new().set(Field::Position, CardValue::Line(crm::CardLine::new("cook").unwrap()));
            crm.update_card(ana, update, &Source::new("test").unwrap(), crm.now()).map(drop)
        }),
        ("personal values", |crm, ana, _| crm.keep_personal(ana, &[(FieldName::new("note").unwrap(), Some("tall"))])),
        ("a merge", |crm, ana, ben| crm.merge(ana, ben, why()).map(drop)),
        ("a parting", |crm, ana, ben| {
            crm.merge(ana, ben, why())?;
            crm.part(ana, ben, why()).map(drop)
        }),
        ("an erasure", |crm, ana, _| crm.erase(ana).map(drop)),
        ("a refresh", |crm, _, _| crm.advance(crm.now()).map(drop)),
    ];
    for (what, deed) in deeds {
        for at in 0..3 {
            let fates = Arc::new(Mutex::new(Vec::new()));
            let store = Failing { inner: Arc::new(MemoryStore::new()), fates: Arc::clone(&fates) };
            let clock = Arc::new(ManualClock::at(Timestamp::parse("2026-01-05").unwrap()));
            let crm = Crm::from(crm::Crm::builder().store(store).clock(clock).ids(crm::DerivedIds).build());
            let (ana, ben) = (came(&crm, 1), came(&crm, 2));
            // The fates are worked off from the end.
            *fates.lock().unwrap() =
                std::iter::once(Fate::Overtaken).chain(std::iter::repeat_n(Fate::Fine, at)).collect();
            let done = deed(&crm, ana, ben);
            assert!(done.is_ok(), "{what}, commit {at}: {done:?}");
        }
    }
}
