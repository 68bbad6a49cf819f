//! A wrong identifier is put right, and what was done with somebody's data is in the audit log: over each store.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    ActorName, AuditAction, AuditActor, AuditRecord, CardUpdate, Channel, CustomerId, Deed, Error, EventBody, Fact,
    Identifier, Incoming, Ingestion, ManualClock, Name, Objected, Objection, ObjectionWithdrawn, Rectification,
    RectifyRefusal, Restricted, RestrictionLifted, Source, Span, Timestamp, Visited, Voided, Who,
};

fn day(day: u32) -> Timestamp {
    Timestamp::parse("2026-01-05").unwrap().plus(Span::days(day))
}

fn source() -> Source {
    Source::new("helpdesk").unwrap()
}

fn email(who: &str) -> Identifier {
    Identifier::email(&format!("{who}@example.com")).unwrap()
}

fn by() -> AuditActor {
    AuditActor::Host(ActorName::new("support:17").unwrap())
}

struct Shop {
    crm: Crm,
    clock: Arc<ManualClock>,
}

impl Shop {
    fn on(builder: crm::CrmBuilder) -> Self {
        let clock = Arc::new(ManualClock::at(day(0)));
        Shop { crm: Crm::from(builder.clock(Arc::clone(&clock)).build()), clock }
    }

    fn tells(&self, who: impl Into<Who>, fact: impl Into<Fact>) -> crm::Recorded {
        self.crm.record(Incoming::new(who, self.crm.now(), source(), fact)).unwrap()
    }

    fn visitor(&self, who: &str) -> CustomerId {
        self.tells(email(who), visit()).customer
    }

    fn known(&self, who: &Identifier) -> Option<CustomerId> {
        self.crm.customer(who).unwrap().map(|customer| customer.id())
    }

    fn log(&self) -> Vec<AuditRecord> {
        self.crm.verify_audit(&[], &[]).unwrap();
        self.crm.audit_log(None, 100).unwrap().records
    }

    fn actions(&self) -> Vec<&'static str> {
        self.log().iter().map(|record| record.entry.action().name()).collect()
    }

    /// A stored state is a cache: folded anew from the stored events it is the same.
    fn is_its_fold(&self, who: CustomerId) {
        let story = self.crm.story(who).unwrap().unwrap();
        let events = story.events.iter().map(|event| (event.customer, event.id, event.at, &event.body));
        let until = story.customer.clock().unwrap();
        let again = crm::Customer::replay(story.customer.id(), events, until, &self.crm.definitions().unwrap());
        assert_eq!(again.digest(), story.customer.digest());
    }
}

fn visit() -> Visited {
    Visited { channel: Channel::Web, place: None }
}

fn over_each_store(check: impl Fn(Shop)) {
    check(Shop::on(crm::Crm::builder()));
    #[cfg(feature = "sqlite")]
    {
        let folder = tempfile::tempdir().unwrap();
        check(Shop::on(crm::Crm::builder().store(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap())));
    }
}

fn why() -> Rectification {
    Rectification::new(by()).because("mistyped at the till".parse().unwrap())
}

#[test]
fn the_right_address_leads_to_them_and_the_wrong_one_to_nobody() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        let ana = shop.visitor("anna");
        shop.tells(ana, crm.identified(&email("anna")));
        shop.clock.set(day(1));
        for _ in 0..2 {
            crm.rectify_identifier(ana, &email("anna"), &email("ana").verified(), why()).unwrap();
        }
        assert_eq!((shop.known(&email("anna")), shop.known(&email("ana"))), (None, Some(ana)));
        assert_eq!(crm.customer(ana).unwrap().unwrap().identifiers().count(), 1);
        shop.is_its_fold(ana);
        let log = shop.log();
        assert_eq!(log.len(), 1, "the same again changes nothing");
        assert!(*log[0].entry.action() == AuditAction::Rectified && *log[0].entry.by() == by());
        let told = format!("{:?}", log[0].entry);
        assert!(told.contains("mistyped at the till") && told.contains("email") && !told.contains('@'), "{told}");
        let story = crm.story(ana).unwrap().unwrap();
        let corrected = story.events.iter().find_map(|event| match &event.body {
            EventBody::Decision(decision) => {
                if let Deed::IdentifierCorrected(corrected) = &decision.deed {
                    Some(corrected)
                } else {
                    None
                }
            }
            EventBody::Fact(_) | EventBody::Unrecognised { .. } => None,
        });
        assert!(corrected.unwrap().reason.is_some());

        // Whoever comes with the wrong one is somebody else, and a late word about it changes nothing.
        let late = Incoming::new(ana, day(0), source(), crm.identified(&email("anna")));
        crm.record(late.with_key("late".parse().unwrap())).unwrap();
        assert_eq!(shop.known(&email("anna")), None);
        shop.is_its_fold(ana);
        let anna = shop.visitor("anna");
        assert_ne!(anna, ana);
        let taken = crm.rectify_identifier(ana, &email("ana"), &email("anna").verified(), by());
        assert!(matches!(taken, Err(Error::Rectify(RectifyRefusal::Taken { customer })) if customer == anna));
        // What was exported is taken in again with the same digest.
        let export = crm.export(ana).unwrap().unwrap();
        let again = crm::blocking::Crm::in_memory();
        again.import(&export).unwrap();
        assert_eq!(again.customer(email("ana")).unwrap().map(|customer| customer.id()), Some(ana));
        crm.erase(ana).unwrap();
        assert_eq!(shop.known(&email("ana")), None);
    });
}

#[test]
fn a_correction_is_of_what_is_known_and_by_what_can_be() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        let ana = shop.visitor("anna");
        let refusal = |wrong: &Identifier, right: crm::Presented| match crm.rectify_identifier(ana, wrong, &right, by())
        {
            Err(Error::Rectify(refusal)) => refusal,
            other => panic!("{other:?}"),
        };
        let nobody = refusal(&email("ben"), email("ana").verified());
        assert_eq!(nobody, RectifyRefusal::NotKnown { customer: ana });
        let phone = Identifier::phone("+351912345678").unwrap();
        assert!(matches!(refusal(&email("anna"), phone.verified()), RectifyRefusal::OtherKind { .. }));
        // What nobody proved is what they stated, and leads to nobody.
        crm.rectify_identifier(ana, &email("anna"), &email("ana").unverified(), by()).unwrap();
        assert_eq!([email("anna"), email("ana")].map(|who| shop.known(&who)), [None, None]);
        let customer = crm.customer(ana).unwrap().unwrap();
        assert_eq!((customer.identifiers().count(), customer.stated_identifiers().count()), (0, 1));
        crm.rectify_identifier(ana, &email("ana"), &email("annie").verified(), by()).unwrap();
        assert_eq!(shop.known(&email("annie")), Some(ana));
        shop.is_its_fold(ana);
        assert_eq!(shop.actions(), ["rectified"; 2]);
    });
}

#[test]
fn of_somebody_who_was_merged_the_one_is_put_right_who_has_it_and_stays_so_when_parted() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        let (ana, ben) = (shop.visitor("anna"), shop.visitor("ben"));
        crm.merge(ana, ben, "one".parse().unwrap()).unwrap();
        crm.rectify_identifier(ben, &email("anna"), &email("ana").verified(), why()).unwrap();
        shop.is_its_fold(ana);
        crm.part(ana, ben, "two".parse().unwrap()).unwrap();
        let known = ["anna", "ana", "ben"].map(|who| shop.known(&email(who)));
        assert_eq!(known, [None, Some(ana), Some(ben)]);
        for (who, address) in [(ana, "ana"), (ben, "ben")] {
            shop.is_its_fold(who);
            let held: Vec<_> = crm.customer(who).unwrap().unwrap().identifiers().copied().collect();
            let other = crm.customer(email(address)).unwrap().unwrap();
            assert_eq!(held, other.identifiers().copied().collect::<Vec<_>>());
            assert_eq!(held.len(), 1);
        }
    });
}

#[test]
fn the_reason_for_a_correction_of_the_card_is_in_the_audit_log() {
    over_each_store(|shop| {
        let ana = shop.visitor("ana");
        let card = CardUpdate::new().name(Name::new("Ana", "Silva").unwrap());
        shop.crm.rectify(ana, card, &source(), day(0), why()).unwrap();
        let told = format!("{:?}", shop.log());
        assert!(told.contains("mistyped at the till") && !told.contains("Silva"), "{told}");
    });
}

#[test]
fn merging_and_parting_are_noted_with_who_did_it() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        let (ana, ben) = (shop.visitor("ana"), shop.visitor("ben"));
        let into = crm.merge_by(ana, ben, "shown at the till".parse().unwrap(), by()).unwrap().customer;
        let other = if into == ana { ben } else { ana };
        crm.merge(ana, ben, "again".parse().unwrap()).unwrap();
        crm.part_by(other, into, "sisters".parse().unwrap(), by()).unwrap();
        let log = shop.log();
        assert_eq!(log.len(), 2);
        assert_eq!(*log[0].entry.action(), AuditAction::Merged { into });
        assert_eq!(*log[1].entry.action(), AuditAction::Unmerged { from: into });
        assert!(log.iter().all(|record| record.entry.subject() == Some(other) && *record.entry.by() == by()));
        let told = format!("{log:?}");
        assert!(told.contains("shown at the till") && told.contains("sisters"));

        // By a rule: a card and an address of two customers come with one fact.
        let card = Identifier::card("4711").unwrap();
        let holder = shop.tells(card.clone(), visit()).customer;
        let both = Who::Presented(vec![card.verified(), email("ana").verified()]);
        let one = shop.tells(both, visit()).customer;
        let log = shop.log();
        assert_eq!(log.len(), 3);
        assert!(matches!(log[2].entry.action(), AuditAction::Merged { into } if *into == one));
        assert_eq!(*log[2].entry.by(), AuditActor::Rule);
        assert!([ana, holder].contains(&log[2].entry.subject().unwrap()));
    });
}

#[test]
fn what_bars_the_use_of_data_is_noted_once_with_its_source() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        let ana = shop.visitor("ana");
        let restricted = || Incoming::new(ana, day(0), source(), Restricted { reason: None });
        let key = || "r".parse().unwrap();
        let event = crm.record(restricted().with_key(key())).unwrap().event;
        assert!(crm.record(restricted().with_key(key())).unwrap().known);
        assert_eq!(crm.ingest([restricted().with_key(key())], Ingestion::live()).unwrap().known, 1);
        assert_eq!(shop.actions(), ["restricted"]);
        let noted = shop.log().remove(0).entry;
        assert_eq!(*noted.by(), AuditActor::Host(ActorName::new("helpdesk").unwrap()));
        assert_eq!(noted.subject(), Some(ana));
        shop.clock.set(day(1));
        shop.tells(ana, Voided { event, reason: None });
        assert_eq!(shop.actions()[1..], ["restriction_lifted"]);
        // A voiding that bars nothing is no matter of privacy.
        let visited = shop.tells(ana, visit()).event;
        shop.tells(ana, Voided { event: visited, reason: None });
        shop.tells(email("ana"), Objected { to: Objection::Marketing });
        let back = ObjectionWithdrawn { to: Objection::Marketing };
        let new = Incoming::new(email("new"), day(1), source(), Restricted { reason: None });
        let lifted = Incoming::new(ana, day(1), source(), RestrictionLifted { reason: None });
        let presented = Incoming::new([email("ana").verified()], day(1), source(), back);
        let report = crm.ingest([new, lifted, presented], Ingestion::live()).unwrap();
        assert_eq!((report.recorded, report.refused.len()), (3, 0));
        let mut last = shop.actions().split_off(2);
        last.sort_unstable();
        assert_eq!(last, ["objected", "objection_withdrawn", "restricted", "restriction_lifted"]);
    });
}

#[cfg(feature = "sqlite")]
#[test]
fn a_merge_inside_a_transaction_of_the_shops_is_noted_with_it_or_not_at_all() {
    use crm::sqlite::{
        install,
        rusqlite::{Connection, TransactionBehavior},
    };
    let mut shop = Connection::open_in_memory().unwrap();
    install(&mut shop).unwrap();
    let crm = crm::Crm::in_memory();
    let card = Identifier::card("4711").unwrap();
    for commits in [false, true, true] {
        let transaction = shop.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        let mut inside = crm.within(&transaction).unwrap();
        let facts = [
            Incoming::new(&card, day(0), source(), visit()).with_key("card".parse().unwrap()),
            Incoming::new(email("ana"), day(0), source(), visit()).with_key("mail".parse().unwrap()),
        ];
        for fact in facts {
            inside.record(fact).unwrap();
        }
        let both = Who::Presented(vec![card.clone().verified(), email("ana").verified()]);
        inside.record(Incoming::new(both, day(0), source(), visit()).with_key("both".parse().unwrap())).unwrap();
        let log = inside.run(|crm| async move { crm.audit_log(None, 10).await }).unwrap().records;
        assert_eq!(log.len(), 1);
        assert!(matches!(log[0].entry.action(), AuditAction::Merged { .. }));
        drop(inside);
        if commits { transaction.commit().unwrap() } else { drop(transaction) }
    }
}

#[test]
fn the_wrong_address_leads_to_one_who_was_parted_and_is_known_by_it() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        let (ana, ben) = (shop.visitor("ana"), shop.visitor("ben"));
        let remark = || "test".parse::<crm::Remark>().unwrap();
        crm.merge(ana, ben, remark()).unwrap();
        for one in [ana, ben] {
            shop.tells(one, crm.identified(&email("both")));
        }
        crm.part(ana, ben, remark()).unwrap();
        assert_eq!(shop.known(&email("both")), Some(ana));
        crm.rectify_identifier(ana, &email("both"), &email("own").verified(), why()).unwrap();
        assert_eq!((shop.known(&email("both")), shop.known(&email("own"))), (Some(ben), Some(ana)));
    });
}
