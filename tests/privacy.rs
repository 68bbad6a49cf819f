//! Erasing with what stands against it, again from a backup, and who sees what: over each store.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod failing;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crm::blocking::Crm;
use crm::{
    ActorName, AuditAction, AuditActor, Barred, Blocker, CardUpdate, Channel, ContactPoint, ContactQuery, Currency,
    CustomerId, Definition, ErasureRecord, ErasureRequest, Error, Field, FieldName, FileLedger, HoldPlaced,
    HoldRefusal, Identifier, Incoming, LegalHoldName, ManualClock, Money, Name, OrderPlaced, PersonalError,
    PrivacyPolicy, Purpose, Record, Refunded, Restricted, Source, Span, Tag, Timestamp, View, ViewName, Visited,
};

use failing::{Failing, Fate};

fn day(day: u32) -> Timestamp {
    Timestamp::parse("2026-01-05").unwrap().plus(Span::days(day))
}

fn source() -> Source {
    Source::new("shop").unwrap()
}

fn email(who: &str) -> Identifier {
    Identifier::email(&format!("{who}@example.com")).unwrap()
}

fn by() -> AuditActor {
    AuditActor::Host(ActorName::new("support:17").unwrap())
}

fn name(text: &str) -> FieldName {
    FieldName::new(text).unwrap()
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

    fn visitor(&self, who: &str) -> CustomerId {
        let visit = Visited { channel: Channel::Web, place: None };
        self.crm.record(Incoming::new(email(who), self.clock_now(), source(), visit)).unwrap().customer
    }

    fn buys(&self, who: CustomerId, number: &str) -> crm::EventId {
        let mut order = OrderPlaced::new(Money::new(5_000, Currency::EUR));
        order.order = Some(number.parse().unwrap());
        self.crm.record(Incoming::new(who, self.clock_now(), source(), order)).unwrap().event
    }

    fn clock_now(&self) -> Timestamp {
        self.crm.now()
    }
}

fn over_each_store(check: impl Fn(Shop)) {
    // With ids that follow from whom they are given to, so that somebody may be given one that is taken.
    let builder = || crm::Crm::builder().ids(crm::DerivedIds);
    check(Shop::on(builder()));
    #[cfg(feature = "sqlite")]
    {
        let folder = tempfile::tempdir().unwrap();
        check(Shop::on(builder().store(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap())));
    }
}

#[test]
fn an_open_order_stands_against_an_erasure_until_it_cannot_be_sent_back() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        let ana = shop.visitor("ana");
        let event = shop.buys(ana, "1");
        let before = crm.story(ana).unwrap();
        let Err(Error::Blocked(blocked)) = crm.erase(ana) else { panic!("an open order") };
        let order = Some("1".parse().unwrap());
        assert_eq!(blocked.by, [Blocker::OpenOrder { event, order, until: day(14) }]);
        assert!(blocked.to_string().contains(&format!("{event} is open until")), "{blocked}");
        assert_eq!(crm.story(ana).unwrap(), before, "nothing changed");
        assert_eq!(crm.customer(email("ana")).unwrap().unwrap().id(), ana);
        assert!(crm.audit_log(None, 10).unwrap().records.is_empty());

        shop.clock.set(day(14));
        assert_eq!(crm.erase(ana).unwrap().identifiers, 1);
    });
}

#[test]
fn the_time_to_send_an_order_back_begins_when_it_arrives() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        let until = |who| {
            let Err(Error::Blocked(blocked)) = crm.erase(who) else { panic!("an open order") };
            let [Blocker::OpenOrder { until, .. }] = blocked.by[..] else { panic!("{blocked:?}") };
            until
        };
        let (ana, ben) = (shop.visitor("ana"), shop.visitor("ben"));
        shop.buys(ana, "1");
        shop.buys(ben, "2");
        assert_eq!([until(ana), until(ben)], [day(14); 2], "this shop does not say how long orders take");
        let slow = PrivacyPolicy::DEFAULT.delivers_within(Span::days(30));
        crm.define(day(0), Definition::Privacy(slow)).unwrap();
        assert_eq!([until(ana), until(ben)], [day(44); 2], "on their way for thirty days, and then fourteen");
        shop.clock.set(day(5));
        let arrived = crm::OrderDelivered { order: "1".parse().unwrap() };
        crm.record(Incoming::new(ana, day(5), source(), arrived)).unwrap();
        assert_eq!([until(ana), until(ben)], [day(19), day(44)]);
        shop.clock.set(day(40));
        let late = crm::OrderDelivered { order: "2".parse().unwrap() };
        crm.record(Incoming::new(ben, day(40), source(), late)).unwrap();
        assert_eq!(until(ben), day(54), "later than was expected");
        crm.erase(ana).unwrap();
        shop.clock.set(day(54));
        crm.erase(ben).unwrap();
    });
}

#[test]
fn an_order_that_was_sent_back_does_not_stand_against_it_and_a_forced_erasure_says_so() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        let (ana, ben) = (shop.visitor("ana"), shop.visitor("ben"));
        shop.buys(ana, "1");
        let refund = Refunded { order: Some("1".parse().unwrap()), amount: Money::new(5_000, Currency::EUR) };
        crm.record(Incoming::new(ana, crm.now(), source(), refund)).unwrap();
        crm.erase(ana).unwrap();

        shop.buys(ben, "2");
        assert!(matches!(crm.erase(ben), Err(Error::Blocked(_))));
        let forced = crm.erase_with(ben, ErasureRequest::new(by()).forced()).unwrap();
        assert_eq!(forced.audit.len(), 2);
        let told: Vec<bool> = [ana, ben].into_iter().map(|id| was_forced(crm, id)).collect();
        assert_eq!(told, [false, true]);
        crm.define(day(0), Definition::Privacy(PrivacyPolicy::returns_within(Span::days(0)))).unwrap();
        let cleo = shop.visitor("cleo");
        shop.buys(cleo, "3");
        crm.erase(cleo).unwrap();
        for long in [
            PrivacyPolicy::returns_within(Span::days(4_000)),
            PrivacyPolicy::DEFAULT.delivers_within(Span::days(4_000)),
        ] {
            assert!(matches!(crm.define(day(1), Definition::Privacy(long)), Err(Error::Definition(_))));
        }
    });
}

fn was_forced(crm: &Crm, customer: CustomerId) -> bool {
    let story = crm.story(customer).unwrap().unwrap();
    let deeds = story.events.iter().filter_map(|event| match &event.body {
        crm::EventBody::Decision(decision) => Some(&decision.deed),
        crm::EventBody::Fact(_) | crm::EventBody::Unrecognised { .. } => None,
    });
    let forced: Vec<bool> = deeds
        .filter_map(|deed| if let crm::Deed::Erased(erased) = deed { Some(erased.forced) } else { None })
        .collect();
    assert_eq!(forced.len(), 1);
    forced[0]
}

#[test]
fn nothing_goes_over_a_legal_hold_until_it_is_over_or_released() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        let ana = shop.visitor("ana");
        let named = |text| LegalHoldName::new(text).unwrap();
        let until = Some(day(30));
        let hold = HoldPlaced { name: named("audit"), record: Record::Everything, until };
        crm.hold(ana, hold.clone(), by()).unwrap();
        crm.hold(ana, hold, by()).unwrap();
        let suit = HoldPlaced { name: named("suit"), record: Record::Order("1".parse().unwrap()), until: None };
        crm.hold(ana, suit, by()).unwrap();
        for request in [ErasureRequest::new(by()), ErasureRequest::new(by()).forced()] {
            let Err(Error::Blocked(blocked)) = crm.erase_with(ana, request) else { panic!("held") };
            assert_eq!(blocked.by.len(), 2);
        }
        shop.clock.set(day(30));
        let Err(Error::Blocked(blocked)) = crm.erase(ana) else { panic!("held") };
        assert!(matches!(&blocked.by[..], [Blocker::LegalHold { name, until: None, .. }] if *name == named("suit")));
        assert!(crm.release_hold(ana, &named("suit"), by()).unwrap());
        assert!(!crm.release_hold(ana, &named("suit"), by()).unwrap());
        let noted: Vec<String> = crm
            .audit_log(None, 10)
            .unwrap()
            .records
            .iter()
            .map(|record| record.entry.action().name().to_owned())
            .collect();
        assert_eq!(noted.len(), 3, "one for each that changed something: {noted:?}");
        crm.erase(ana).unwrap();
        crm.verify_audit(&[], &[]).unwrap();
        let over = HoldPlaced { name: named("old"), record: Record::Everything, until: Some(day(30)) };
        assert!(matches!(crm.hold(ana, over, by()), Err(Error::Hold(HoldRefusal::Over { .. }))));
    });
}

#[test]
fn a_merged_customer_is_erased_whole_and_stays_erased_when_parted() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        let (ana, other) = (shop.visitor("ana"), shop.visitor("anna"));
        crm.keep_personal(ana, &[(name("city"), Some("Porto"))]).unwrap();
        crm.keep_personal(other, &[(name("city"), Some("Lisbon"))]).unwrap();
        crm.merge(ana, other, "one".parse().unwrap()).unwrap();
        let erased = crm.erase(other).unwrap();
        assert_eq!((erased.customers.len(), erased.fields, erased.identifiers), (2, 2, 2));
        assert_eq!(erased.keys, 2);
        for id in [ana, other] {
            let customer = crm.customer(id).unwrap().unwrap();
            assert!(customer.is_erased() && customer.identifiers().count() == 0);
            assert!(matches!(
                crm.keep_personal(id, &[(name("city"), Some("Faro"))]),
                Err(Error::Personal(PersonalError::Erased { .. }))
            ));
        }
        crm.part(ana, other, "two".parse().unwrap()).unwrap();
        for (id, who) in [(ana, "ana"), (other, "anna")] {
            assert!(crm.customer(id).unwrap().unwrap().is_erased());
            assert!(crm.customer(email(who)).unwrap().is_none());
        }
    });
}

#[test]
fn what_comes_after_an_erasure_is_kept_by_id_and_leads_to_nobody() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        let ana = shop.visitor("ana");
        shop.buys(ana, "1");
        shop.clock.set(day(20));
        crm.erase(ana).unwrap();
        let refund = Refunded { order: Some("1".parse().unwrap()), amount: Money::new(2_000, Currency::EUR) };
        crm.record(Incoming::new(ana, crm.now(), source(), refund)).unwrap();
        crm.record(Incoming::new(ana, crm.now(), source(), crm.identified(&email("ana")))).unwrap();
        let customer = crm.customer(ana).unwrap().unwrap();
        assert_eq!((customer.facts().orders().list()[0].refunded, customer.identifiers().count()), (2_000, 0));
        assert!(crm.customer(email("ana")).unwrap().is_none(), "no claim was made");
        let late = Visited { channel: Channel::Web, place: None };
        crm.record(Incoming::new(ana, day(1), source(), late)).unwrap();
        let folded_anew = crm.customer(ana).unwrap().unwrap();
        assert_eq!((folded_anew.facts().visits(), folded_anew.identifiers().count()), (2, 0));
        let again = shop.visitor("ana");
        assert_ne!(again, ana);
        let query = ContactQuery::new(Purpose::new("service").unwrap(), Channel::Email, crm.now());
        assert_eq!(crm.may_contact(ana, &query, None).unwrap(), Err(Barred::Erased));
        assert!(crm.may_contact(again, &query, Some(&email("ana"))).unwrap().is_ok());
        let update = CardUpdate::new().name(Name::new("Ana", "Silva").unwrap());
        let refused = crm.update_card(ana, update, &source(), crm.now());
        assert!(matches!(refused, Err(Error::Personal(PersonalError::Erased { .. }))));
    });
}

#[test]
fn who_comes_back_after_an_erasure_at_the_very_instant_they_first_came_is_somebody_new() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        let visit =
            |who: crm::Who| Incoming::new(who, day(0), source(), Visited { channel: Channel::Web, place: None });
        let presented = || crm::Who::Presented(vec![crm::Presented { identifier: email("ana"), verified: true }]);
        let mut met = vec![shop.visitor("ana")];
        for _ in 0..2 {
            crm.erase(*met.last().unwrap()).unwrap();
            met.push(crm.record(visit(email("ana").into())).unwrap().customer);
            crm.erase(*met.last().unwrap()).unwrap();
            met.push(crm.record(visit(presented())).unwrap().customer);
            crm.erase(*met.last().unwrap()).unwrap();
            let report = crm.ingest([visit(email("ana").into())], crm::Ingestion::live()).unwrap();
            assert_eq!(report.recorded, 1);
            met.push(crm.customer(email("ana")).unwrap().unwrap().id());
        }
        let count = met.len();
        met.sort_unstable();
        met.dedup();
        assert_eq!(met.len(), count, "each of them is another one");
    });
}

#[test]
fn the_report_and_the_audit_log_say_how_much_and_nothing_of_whom() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        let ana = shop.visitor("ana");
        let card = CardUpdate::new()
            .name(Name::new("Canary", "Silva").unwrap())
            .contact_points(vec![ContactPoint::email("canary@example.com").unwrap()]);
        crm.update_card(ana, card, &source(), crm.now()).unwrap();
        let erased = crm.erase_with(ana, ErasureRequest::new(by()).because("she asked".parse().unwrap())).unwrap();
        assert!(erased.fields == 2 && erased.keys == 1 && erased.tokens > 5 && erased.identifiers == 1);
        let log = crm.audit_log(None, 10).unwrap().records;
        assert_eq!(log.iter().map(|record| record.sequence).collect::<Vec<_>>(), erased.audit);
        assert!(log.iter().all(|record| *record.entry.action() == AuditAction::Erased && *record.entry.by() == by()));
        let text = format!("{log:?} {erased:?} {:?}", crm.story(ana).unwrap());
        assert!(!text.to_lowercase().contains("canary") && text.contains("personal fields"), "{text}");
        let again = crm.erase(ana).unwrap();
        assert_eq!((again.fields, again.identifiers, again.audit.len()), (0, 0, 1));
        crm.verify_audit(&[], &[]).unwrap();
    });
}

#[test]
fn a_ledger_that_fails_keeps_everything_as_it_was() {
    let shop = Shop::on(crm::Crm::builder().erasure_ledger(FileLedger::new("/nowhere/at/all")));
    let ana = shop.visitor("ana");
    assert!(matches!(shop.crm.erase(ana), Err(Error::Ledger(_))));
    assert!(!shop.crm.customer(email("ana")).unwrap().unwrap().is_erased());
}

/// Records in memory; on the first of them somebody else places a hold.
#[derive(Debug, Default, Clone)]
struct Notebook {
    records: Arc<Mutex<Vec<ErasureRecord>>>,
    racer: Arc<Mutex<Option<(crm::Crm, CustomerId)>>>,
}

impl Notebook {
    /// How many records there are, and how many of them stand.
    fn counts(&self) -> (usize, usize) {
        let records = self.records.lock().unwrap().clone();
        (records.len(), ErasureRecord::standing(records).count())
    }

    fn standing(&self) -> usize {
        self.counts().1
    }
}

#[async_trait::async_trait]
impl crm::ErasureLedger for Notebook {
    async fn append(&self, record: &ErasureRecord) -> Result<(), crm::LedgerError> {
        self.records.lock().unwrap().push(record.clone());
        let racer = self.racer.lock().unwrap().take();
        if let Some((crm, customer)) = racer {
            crm.hold(customer, suit(), by()).await.unwrap();
        }
        Ok(())
    }

    async fn records(&self) -> Result<Vec<ErasureRecord>, crm::LedgerError> {
        Ok(self.records.lock().unwrap().clone())
    }
}

fn suit() -> HoldPlaced {
    HoldPlaced { name: LegalHoldName::new("suit").unwrap(), record: Record::Everything, until: None }
}

struct Raced {
    shop: Shop,
    notebook: Notebook,
    fates: Arc<Mutex<Vec<Fate>>>,
    /// Another process over the same store, without the ledger.
    other: crm::Crm,
    store: Arc<dyn crm::Store>,
}

fn raced() -> Raced {
    let (notebook, fates) = (Notebook::default(), Arc::new(Mutex::new(Vec::new())));
    let inner: Arc<dyn crm::Store> = Arc::new(crm::MemoryStore::new());
    let failing = Failing { inner: Arc::clone(&inner), fates: Arc::clone(&fates) };
    let shop = Shop::on(crm::Crm::builder().store(failing).erasure_ledger(notebook.clone()));
    let other = crm::Crm::builder().shared_store(Arc::clone(&inner)).clock(Arc::clone(&shop.clock)).build();
    Raced { shop, notebook, fates, other, store: inner }
}

#[test]
fn an_erasure_that_a_hold_came_before_is_not_done_later_by_the_ledger() {
    let Raced { shop, notebook, other, .. } = raced();
    let crm = &shop.crm;
    let ana = shop.visitor("ana");
    *notebook.racer.lock().unwrap() = Some((other.clone(), ana));
    assert!(matches!(crm.erase(ana), Err(Error::Blocked(_))));
    assert_eq!(notebook.counts(), (2, 0), "it was taken back");
    assert_eq!(crm.erased_at(&email("ana"), &notebook).unwrap(), None);
    // Another process starts, and does again what the ledger has.
    let started = Crm::from(other);
    assert_eq!(started.reapply_erasures(&notebook).unwrap(), 0);
    assert!(!crm.customer(ana).unwrap().unwrap().is_erased(), "the hold holds");
    assert!(crm.release_hold(ana, &suit().name, by()).unwrap());
    crm.erase(ana).unwrap();
    assert_eq!(notebook.standing(), 1);
}

#[test]
fn an_erasure_that_the_store_failed_to_decide_is_taken_back_and_one_that_it_may_have_decided_is_not() {
    for (fate, erased) in [(Fate::Lost, false), (Fate::Unheard, false), (Fate::Unanswered, true)] {
        let Raced { shop, notebook, fates, .. } = raced();
        let ana = shop.visitor("ana");
        fates.lock().unwrap().push(fate);
        assert!(matches!(shop.crm.erase(ana), Err(Error::Storage(_))), "{fate:?}");
        assert_eq!(shop.crm.customer(ana).unwrap().unwrap().is_erased(), erased, "{fate:?}");
        assert_eq!(notebook.standing(), usize::from(erased), "{fate:?}");
        shop.crm.erase(ana).unwrap();
        assert_eq!(notebook.standing(), 1, "{fate:?}");
    }
}

#[test]
fn what_the_store_does_not_know_of_is_to_be_reapplied_before_anything_else() {
    let Raced { shop, notebook, fates, store, .. } = raced();
    let (ana, ben) = (shop.visitor("ana"), shop.visitor("ben"));
    shop.crm.keep_personal(ana, &[(name("city"), Some("Porto"))]).unwrap();
    // Decided, and cut off before the rows went.
    fates.lock().unwrap().push(Fate::Unanswered);
    assert!(shop.crm.erase(ana).is_err());
    // The process that is running goes on; one that is started does not, whatever it is asked.
    assert!(shop.crm.customer(ben).is_ok());
    let started = Shop::on(crm::Crm::builder().shared_store(store).erasure_ledger(notebook.clone()));
    let crm = &started.crm;
    let waits = |answer: Result<(), Error>| assert!(matches!(answer, Err(Error::NotReapplied { customers: 1 })));
    waits(crm.customer(ben).map(drop));
    waits(crm.personal(ana).map(drop));
    waits(crm.advance(day(1)).map(drop));
    waits(crm.deliver(day(1), |_| crm::Delivered::Done).map(drop));
    waits(crm.erase(ben).map(drop));
    waits(crm.record(Incoming::new(ben, day(0), source(), Visited { channel: Channel::Web, place: None })).map(drop));
    // Another tenant has nothing to do with it.
    assert!(crm.tenant(crm::TenantId::new("other").unwrap()).customer(ben).is_ok());
    assert_eq!(crm.reapply_erasures(&notebook).unwrap(), 1);
    assert!(crm.personal(ana).unwrap().is_empty() && crm.customer(ben).is_ok());
    assert_eq!(crm.reapply_erasures(&notebook).unwrap(), 0);
}

#[test]
fn a_guest_who_only_stated_an_address_is_known_to_have_been_erased() {
    let Raced { shop, notebook, .. } = raced();
    let crm = &shop.crm;
    let order = OrderPlaced::new(Money::new(5_000, Currency::EUR));
    let guest = Incoming::new([email("guest").unverified()], shop.clock_now(), source(), order);
    let guest = crm.record(guest.with_key("guest".parse().unwrap())).unwrap().customer;
    shop.clock.set(day(60));
    assert_eq!(crm.erase(guest).unwrap().identifiers, 0, "it led nobody to them");
    // An old list is taken in: its addresses are asked for first.
    assert_eq!(crm.erased_at(&email("guest"), &notebook).unwrap(), Some(day(60)));
    assert_eq!(crm.erased_at(&email("else"), &notebook).unwrap(), None);
}

#[cfg(feature = "sqlite")]
#[test]
fn a_restored_backup_erases_the_person_again() {
    let folder = tempfile::tempdir().unwrap();
    let [path, backup, ledger] = ["live", "backup", "ledger"].map(|name| folder.path().join(name));
    let open = |path: &PathBuf| {
        let store = crm::SqliteStore::open(path).unwrap();
        Shop::on(crm::Crm::builder().store(store).erasure_ledger(FileLedger::new(&ledger)))
    };
    let shop = open(&path);
    let (ana, ben, cleo) = (shop.visitor("ana"), shop.visitor("ben"), shop.visitor("cleo"));
    shop.crm.keep_personal(ana, &[(name("city"), Some("Porto"))]).unwrap();
    shop.crm.keep_personal(cleo, &[(name("town"), Some("Faro"))]).unwrap();
    // By mistake, and in the backup it still is so.
    shop.crm.merge(ana, cleo, "looked alike".parse().unwrap()).unwrap();
    drop(shop);
    std::fs::copy(&path, &backup).unwrap();

    let shop = open(&path);
    shop.crm.part(ana, cleo, "they are two".parse().unwrap()).unwrap();
    shop.crm.erase(ana).unwrap();
    assert_eq!(shop.crm.reapply_erasures(&FileLedger::new(&ledger)).unwrap(), 0, "nobody is back");
    drop(shop);
    let line = std::fs::read_to_string(&ledger).unwrap();
    assert!(!line.contains(&ana.to_string()) && !line.contains("ana@"), "{line}");

    let has_her = Crm::from(crm::Crm::builder().store(crm::SqliteStore::open(&backup).unwrap()).build());
    assert_eq!(has_her.personal(ana).unwrap()[&name("city")], "Porto", "the backup has her");
    drop(has_her);
    let shop = open(&backup);
    let crm = &shop.crm;
    assert!(matches!(crm.personal(ana), Err(Error::NotReapplied { customers: 1 })), "and nobody reads it");
    let ledger_file = FileLedger::new(&ledger);
    assert_eq!(crm.reapply_erasures(&ledger_file).unwrap(), 1);
    assert!(crm.customer(ana).unwrap().unwrap().is_erased() && crm.personal(ana).unwrap().is_empty());
    assert!(crm.customer(email("ana")).unwrap().is_none());
    for (id, who) in [(ben, "ben"), (cleo, "cleo")] {
        assert!(!crm.customer(id).unwrap().unwrap().is_erased());
        assert_eq!(crm.customer(email(who)).unwrap().unwrap().id(), id);
    }
    assert_eq!(crm.personal(cleo).unwrap()[&name("town")], "Faro");
    assert_eq!(crm.reapply_erasures(&ledger_file).unwrap(), 0);
    assert_eq!(crm.erased_at(&email("ana"), &ledger_file).unwrap(), Some(day(0)));
    assert_eq!(crm.erased_at(&email("cleo"), &ledger_file).unwrap(), None);
    // Whoever comes with her address now is somebody new and stays.
    let again = shop.visitor("ana");
    assert_eq!(crm.reapply_erasures(&ledger_file).unwrap(), 0);
    assert!(!crm.customer(again).unwrap().unwrap().is_erased());

    // A line that a crash cut off is passed over, one that was damaged is not.
    std::fs::write(&ledger, format!("{line}\n{}", &line.trim()[..40])).unwrap();
    assert_eq!(crm.reapply_erasures(&ledger_file).unwrap(), 0);
    std::fs::write(&ledger, format!("{line}\n{{\"at\":1}}\n")).unwrap();
    assert!(matches!(crm.reapply_erasures(&ledger_file), Err(Error::Ledger(_))));
}

#[test]
fn a_view_shows_its_fields_and_no_others_and_is_noted() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        let ana = shop.visitor("ana");
        let card = CardUpdate::new()
            .name(Name::new("Ana", "Silva").unwrap())
            .contact_points(vec![ContactPoint::email("ana@example.com").unwrap()]);
        crm.update_card(ana, card, &source(), crm.now()).unwrap();
        let (greeting, legal) = (ViewName::new("greeting").unwrap(), ViewName::new("legal").unwrap());
        assert!(matches!(crm.card_for(ana, &greeting, by()), Err(Error::NoView { .. })));
        let of_name = View::of([Field::Name]);
        crm.define(day(0), Definition::View(greeting.clone(), Some(of_name.clone()))).unwrap();
        let exempt = View { though_restricted: true, ..of_name };
        crm.define(day(0), Definition::View(legal.clone(), Some(exempt))).unwrap();
        let seen = crm.card_for(ana, &greeting, by()).unwrap();
        assert_eq!(seen.fields().collect::<Vec<_>>(), [&Field::Name]);
        let noted = &crm.audit_log(None, 10).unwrap().records[0];
        assert!(
            matches!(noted.entry.action(), AuditAction::PersonalRead { purpose } if purpose.as_str() == "greeting")
        );

        crm.record(Incoming::new(ana, crm.now(), source(), Restricted { reason: None })).unwrap();
        assert!(matches!(crm.card_for(ana, &greeting, by()), Err(Error::Restricted { .. })));
        assert!(crm.card_for(ana, &legal, by()).unwrap().name().is_some());
        let noted: Vec<_> = crm.audit_log(None, 10).unwrap().records;
        let noted: Vec<_> = noted.iter().map(|record| record.entry.action().name()).collect();
        assert_eq!(noted, ["personal_read", "restricted", "personal_read"], "what was refused was not read");
        crm.define(day(1), Definition::View(legal.clone(), None)).unwrap();
        shop.clock.set(day(1));
        assert!(matches!(crm.card_for(ana, &legal, by()), Err(Error::NoView { .. })));
    });
}

#[test]
fn what_is_put_right_is_in_the_card_and_in_the_audit_log() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        let ana = shop.visitor("ana");
        let named = |given| CardUpdate::new().name(Name::new(given, "Silva").unwrap());
        crm.update_card(ana, named("Anna"), &source(), day(0)).unwrap();
        shop.clock.set(day(1));
        crm.rectify(ana, named("Ana"), &source(), day(1), by()).unwrap();
        assert_eq!(crm.card(ana).unwrap().name().unwrap().display(), "Ana Silva");
        let log = crm.audit_log(None, 10).unwrap().records;
        assert!(log.len() == 1 && *log[0].entry.action() == AuditAction::Rectified);
        crm.execute(ana, crm::Command::AddTag(Tag::new("vip").unwrap()), "k").unwrap();
        crm.verify_audit(&[], &[]).unwrap();
    });
}

#[test]
fn who_was_erased_is_on_no_list_and_is_merged_with_nobody() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        let visit = || Visited { channel: Channel::Web, place: None };
        let guest = Incoming::new([email("ana").unverified()], shop.clock_now(), source(), visit());
        let guest = crm.record(guest.with_key("guest".parse().unwrap())).unwrap().customer;
        let ben = shop.visitor("ben");
        assert_eq!(crm.erase(guest).unwrap().identifiers, 0);
        let refused = crm.merge(ben, guest, "one".parse().unwrap()).unwrap_err();
        assert!(matches!(refused, Error::Merge(crm::MergeRefusal::Erased { customer }) if customer == guest));
        // Whoever proves the address later is not led to who was erased.
        let ana = Incoming::new([email("ana").verified()], shop.clock_now(), source(), visit());
        let ana = crm.record(ana.with_key("ana".parse().unwrap())).unwrap().customer;
        assert_ne!(ana, guest);
        let erased = crm.customer(guest).unwrap().unwrap();
        assert_eq!((erased.id(), erased.stated_identifiers().count(), erased.is_merged()), (guest, 0, false));
    });
}
