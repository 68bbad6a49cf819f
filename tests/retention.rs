//! What was kept long enough goes, when time is let pass: over each store, cut off at any place.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod failing;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crm::blocking::Crm;
use crm::{
    ActorName, AuditAction, AuditActor, Birthday, Blocker, CardUpdate, Channel, ContactPoint, Contacted, Currency,
    CustomerId, Deed, Definition, EventBody, Fact, Field, FieldName, FileLedger, Forget, HoldPlaced, Identifier,
    IdentifierKind, Incoming, Ingestion, LegalHoldName, ManualClock, MemoryStore, Money, Name, OrderPlaced, Purpose,
    Record, Refunded, Restricted, RestrictionLifted, RetentionName, RetentionPolicy, RetentionSince, SearchQuery,
    Source, Span, Stage, Store, Strength, Tie, TieKind, Timestamp, Visited, Voided,
};
use failing::{Failing, Fate};
use proptest::prelude::*;

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
    AuditActor::Host(ActorName::new("dpo").unwrap())
}

fn field(text: &str) -> FieldName {
    FieldName::new(text).unwrap()
}

fn called(text: &str) -> RetentionName {
    RetentionName::new(text).unwrap()
}

fn visit() -> Visited {
    Visited { channel: Channel::Web, place: None }
}

/// Whoever never bought goes a hundred days after they were last heard of.
fn prospects() -> RetentionPolicy {
    RetentionPolicy::erase(RetentionSince::LastActivity, Span::days(100)).of_stages([Stage::Prospect, Stage::Intent])
}

struct Shop {
    crm: Crm,
    clock: Arc<ManualClock>,
    store: Arc<dyn Store>,
    fates: Arc<Mutex<Vec<Fate>>>,
}

impl Shop {
    fn on(inner: Arc<dyn Store>, builder: crm::CrmBuilder) -> Self {
        let clock = Arc::new(ManualClock::at(day(0)));
        let fates = Arc::new(Mutex::new(Vec::new()));
        let failing = Failing { inner: Arc::clone(&inner), fates: Arc::clone(&fates) };
        let crm = builder.store(failing).ids(crm::DerivedIds).clock(Arc::clone(&clock)).build();
        Shop { crm: Crm::from(crm), clock, store: inner, fates }
    }

    fn in_memory() -> Self {
        Self::on(Arc::new(MemoryStore::new()), crm::Crm::builder())
    }

    fn keeps(&self, name: &str, policy: RetentionPolicy) {
        self.crm.define(day(0), Definition::Retention(called(name), Some(policy))).unwrap();
        self.crm.refresh().unwrap();
    }

    fn tells(&self, who: impl Into<crm::Who>, on: u32, fact: impl Into<Fact>) -> crm::Recorded {
        self.crm.record(Incoming::new(who, day(on), source(), fact)).unwrap()
    }

    fn visitor(&self, who: &str) -> CustomerId {
        self.tells(email(who), 0, visit()).customer
    }

    /// Lets time pass up to the start of a day.
    fn on_day(&self, on: u32) -> u64 {
        self.clock.set(day(on));
        self.crm.advance(day(on)).unwrap()
    }

    fn is_erased(&self, who: CustomerId) -> bool {
        self.crm.customer(who).unwrap().unwrap().is_erased()
    }

    /// When the customer goes by the policy that is first.
    fn goes_on(&self, who: CustomerId) -> Option<Timestamp> {
        self.crm.retention_of(who).unwrap().first().and_then(|due| due.goes_at)
    }

    /// The audit log: what was done about whom, and at which step.
    fn applied(&self) -> Vec<(String, String)> {
        let log = self.crm.audit_log(None, 1_000).unwrap().records;
        let applied = log.iter().filter_map(|record| {
            let AuditAction::RetentionApplied { policy } = record.entry.action() else { return None };
            let step = record.entry.details().find(|(name, _)| name.as_str() == "step");
            Some((policy.as_str().to_owned(), format!("{:?}", step.unwrap().1)))
        });
        self.crm.verify_audit(&[], &[]).unwrap();
        applied
            .map(|(policy, step)| (policy, step.replace(['"', '(', ')'], "").replace("TextDetailText", "")))
            .collect()
    }
}

fn over_each_store(check: impl Fn(Shop)) {
    check(Shop::in_memory());
    #[cfg(feature = "sqlite")]
    {
        let folder = tempfile::tempdir().unwrap();
        check(Shop::on(Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()), crm::Crm::builder()));
    }
}

/// A stored state is a cache: folded anew from the stored events it is the same.
fn is_its_fold(crm: &Crm, who: CustomerId) {
    let story = crm.story(who).unwrap().unwrap();
    let events = story.events.iter().map(|event| (event.customer, event.id, event.at, &event.body));
    let until = story.customer.clock().unwrap();
    let again = crm::Customer::replay(story.customer.id(), events, until, &crm.definitions().unwrap());
    assert_eq!(again.facts(), story.customer.facts());
    assert_eq!(again.digest(), story.customer.digest());
}

#[test]
fn who_never_bought_goes_when_it_is_time_and_not_before() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        let (ana, ben) = (shop.visitor("ana"), shop.visitor("ben"));
        shop.tells(ben, 0, OrderPlaced::new(Money::new(5_000, Currency::EUR)));
        crm.keep_personal(ana, &[(field("city"), Some("Porto"))]).unwrap();
        shop.keeps("prospects", prospects());
        let due = crm.retention_of(ana).unwrap();
        assert_eq!((due.len(), due[0].due_at, due[0].goes_at), (1, day(100), Some(day(100))));
        assert!(crm.retention_of(ben).unwrap().is_empty());

        shop.on_day(99);
        assert!(!shop.is_erased(ana) && shop.applied().is_empty());
        // Nobody looked for a month, and it is as if they had.
        assert!(shop.on_day(130) >= 1);
        assert!(shop.is_erased(ana) && !shop.is_erased(ben));
        assert!(crm.personal(ana).unwrap().is_empty() && crm.customer(email("ana")).unwrap().is_none());
        assert!(crm.retention_of(ana).unwrap().is_empty());
        let story = crm.story(ana).unwrap().unwrap();
        let erased = story.events.iter().find(|event| event.body.kind() == "erased").unwrap();
        assert_eq!(erased.at, day(100));
        let EventBody::Decision(decision) = &erased.body else { panic!("a decision") };
        let Deed::Erased(deed) = &decision.deed else { panic!("an erasure") };
        assert_eq!(deed.retention.as_ref().map(|mark| (mark.policy.as_str(), mark.at)), Some(("prospects", day(100))));
        let steps: Vec<_> = ["decided", "done"].map(|step| ("prospects".to_owned(), step.to_owned())).into();
        assert_eq!(shop.applied(), steps);
        assert_eq!(shop.on_day(131), 0);
        assert_eq!(shop.applied(), steps, "once");
        is_its_fold(crm, ana);
    });
}

#[test]
fn what_they_do_moves_the_date_and_what_the_shop_does_leaves_it() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        shop.keeps("prospects", prospects());
        let ana = shop.visitor("ana");
        shop.clock.set(day(90));
        shop.tells(
            ana,
            90,
            Contacted { purpose: Purpose::new("service").unwrap(), channel: Channel::Email, scope: None },
        );
        assert_eq!(shop.goes_on(ana), Some(day(100)));
        // A visit of before becomes known.
        let late = shop.tells(ana, 40, visit()).event;
        assert_eq!(shop.goes_on(ana), Some(day(140)));
        shop.tells(ana, 90, Voided { event: late, reason: None });
        assert_eq!(shop.goes_on(ana), Some(day(100)));
        // She is back after the day, and before anybody looked.
        shop.clock.set(day(110));
        shop.tells(ana, 110, visit());
        shop.on_day(209);
        assert!(!shop.is_erased(ana));
        shop.on_day(210);
        assert!(shop.is_erased(ana));
        is_its_fold(crm, ana);
    });
}

#[test]
fn what_stands_against_an_erasure_postpones_it_to_its_end() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        let hold = |name: &str, until| {
            let name = LegalHoldName::new(name).unwrap();
            HoldPlaced { name, record: Record::Everything, until }
        };
        shop.keeps("all", RetentionPolicy::erase(RetentionSince::FirstSeen, Span::days(10)));
        let [ana, ben, cleo, dan] = ["ana", "ben", "cleo", "dan"].map(|who| shop.visitor(who));
        crm.hold(ana, hold("audit", Some(day(30))), by()).unwrap();
        crm.hold(ben, hold("suit", None), by()).unwrap();
        shop.clock.set(day(8));
        shop.tells(cleo, 8, OrderPlaced::new(Money::new(5_000, Currency::EUR)));
        shop.tells(dan, 8, Restricted { reason: None });
        assert_eq!([ana, ben, cleo, dan].map(|who| shop.goes_on(who)), [Some(day(30)), None, Some(day(22)), None]);
        assert!(matches!(&crm.retention_of(ben).unwrap()[0].waits_for[..], [Blocker::LegalHold { .. }]));
        let overview = crm.retention_overview(day(25)).unwrap();
        let count = overview.policies[&called("all")];
        assert_eq!((overview.customers, overview.erased, count.goes, count.held), (4, 1, 1, 3));
        let erased = |on: u32| {
            shop.on_day(on);
            [ana, ben, cleo, dan].map(|who| shop.is_erased(who))
        };
        assert_eq!(erased(21), [false; 4]);
        assert_eq!(erased(29), [false, false, true, false]);
        assert_eq!(erased(30), [true, false, true, false]);
        crm.release_hold(ben, &LegalHoldName::new("suit").unwrap(), by()).unwrap();
        shop.tells(dan, 30, RestrictionLifted { reason: None });
        assert_eq!(erased(30), [true; 4]);
    });
}

#[test]
fn of_whom_every_fact_was_voided_it_is_counted_from_the_last_voiding() {
    over_each_store(|shop| {
        shop.keeps("prospects", prospects());
        let ana = shop.visitor("ana");
        let visit = shop.tells(ana, 3, visit());
        let first = visit_of(&shop, ana);
        shop.tells(ana, 10, Voided { event: visit.event, reason: None });
        shop.tells(ana, 20, Voided { event: first, reason: None });
        shop.on_day(20);
        assert_eq!(shop.goes_on(ana), Some(day(120)));
        is_its_fold(&shop.crm, ana);
        shop.on_day(119);
        assert!(!shop.is_erased(ana));
        shop.on_day(120);
        assert!(shop.is_erased(ana));
    });
}

/// The first visit of somebody.
fn visit_of(shop: &Shop, who: CustomerId) -> crm::EventId {
    let is_visit = |event: &crm::Event| matches!(event.body, EventBody::Fact(Fact::Visited(_)));
    shop.crm.story(who).unwrap().unwrap().events.into_iter().find(is_visit).unwrap().id
}

#[test]
fn an_order_that_was_sent_back_makes_a_prospect_of_them_again() {
    let shop = Shop::in_memory();
    shop.keeps("prospects", prospects());
    let buyers = RetentionPolicy::erase(RetentionSince::LastOrder, Span::days(1_000)).of_stages([Stage::Historical]);
    shop.keeps("buyers", buyers);
    let ana = shop.visitor("ana");
    let order = OrderPlaced::new(Money::new(5_000, Currency::EUR)).with_order("1".parse().unwrap());
    shop.tells(ana, 0, order);
    // She will be historical by then.
    assert_eq!(shop.goes_on(ana), Some(day(1_000)));
    shop.clock.set(day(20));
    shop.tells(ana, 20, Refunded { order: Some("1".parse().unwrap()), amount: Money::new(5_000, Currency::EUR) });
    assert_eq!(shop.goes_on(ana), Some(day(120)));
}

#[test]
fn device_identifiers_go_each_in_its_own_time_and_count_again_when_they_are_told_again() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        let policy = RetentionPolicy::forget(
            Forget::identifiers([IdentifierKind::Device]),
            RetentionSince::FirstSeen,
            Span::days(395),
        );
        shop.keeps("devices", policy);
        let ana = shop.visitor("ana");
        let [old, new] = ["old-cookie", "new-cookie"].map(|text| Identifier::device(text).unwrap());
        shop.tells(ana, 1, crm.identified(&old));
        shop.clock.set(day(200));
        let both = crm::Who::Presented(vec![email("ana").verified(), new.clone().verified()]);
        assert_eq!(shop.tells(both, 200, visit()).customer, ana);
        assert_eq!(shop.goes_on(ana), Some(day(396)));

        shop.on_day(400);
        let known = |who: &Identifier| crm.customer(who).unwrap().map(|customer| customer.id());
        assert_eq!((known(&old), known(&new), known(&email("ana"))), (None, Some(ana), Some(ana)));
        assert_eq!(crm.customer(ana).unwrap().unwrap().identifiers().count(), 2);
        is_its_fold(crm, ana);
        // A late word about it does not bring it back; a new one does.
        shop.tells(ana, 300, crm.identified(&old));
        assert_eq!(known(&old), None);
        is_its_fold(crm, ana);
        shop.tells(ana, 400, crm.identified(&old));
        assert_eq!(known(&old), Some(ana));
        is_its_fold(crm, ana);
        shop.on_day(595);
        assert_eq!((known(&old), known(&new)), (Some(ana), None));
        shop.on_day(795);
        assert_eq!(known(&old), None);
        is_its_fold(crm, ana);
        assert!(shop.applied().iter().all(|(policy, step)| policy == "devices" && step == "decided"));
    });
}

#[test]
fn fields_go_and_the_customer_stays_and_what_is_told_anew_is_kept_anew() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        let ana = shop.visitor("ana");
        let card = || {
            CardUpdate::new()
                .name(Name::new("Ana", "Silva").unwrap())
                .birthday(Birthday::new(Some(1980), 2, 29).unwrap())
                .contact_points(vec![ContactPoint::email("ana@example.com").unwrap()])
        };
        crm.update_card(ana, card(), &source(), day(0)).unwrap();
        crm.keep_personal(ana, &[(field("shoe"), Some("38")), (field("city"), Some("Porto"))]).unwrap();
        let forget =
            Forget { personal: [field("shoe")].into(), ..Forget::card([Field::Birthday, Field::ContactPoints]) };
        shop.keeps("less", RetentionPolicy::forget(forget, RetentionSince::LastActivity, Span::days(50)));
        shop.on_day(49);
        assert!(crm.card(ana).unwrap().birthday().is_some());
        let found = |text: &str| crm.search(&SearchQuery::new(text).unwrap(), 5).unwrap().len();
        assert_eq!((found("ana@example.com"), found("Silva")), (1, 1));
        shop.on_day(50);
        let card_now = crm.card(ana).unwrap();
        assert_eq!(card_now.fields().collect::<Vec<_>>(), [&Field::Name]);
        assert!(crm.card_history(ana).unwrap().iter().all(|change| change.field == Field::Name));
        assert_eq!(crm.personal(ana).unwrap(), BTreeMap::from([(field("city"), "Porto".to_owned())]));
        assert_eq!((found("ana@example.com"), found("Silva")), (0, 1));
        assert!(!shop.is_erased(ana) && shop.goes_on(ana).is_none());
        is_its_fold(crm, ana);

        // The shop is told again, of before even: it counts from when it was told.
        shop.clock.set(day(60));
        crm.update_card(ana, card(), &source(), day(10)).unwrap();
        assert_eq!(shop.goes_on(ana), Some(day(110)));
        shop.clock.set(day(70));
        crm.keep_personal(ana, &[(field("shoe"), Some("39"))]).unwrap();
        assert_eq!(shop.goes_on(ana), Some(day(120)));
        is_its_fold(crm, ana);
        shop.on_day(120);
        assert!(crm.card(ana).unwrap().birthday().is_none() && crm.personal(ana).unwrap().len() == 1);
        assert_eq!(shop.applied().len(), 4);
    });
}

#[test]
fn whoever_was_merged_is_one_person_and_goes_as_one() {
    over_each_store(|shop| {
        let crm = &shop.crm;
        shop.keeps("prospects", prospects());
        let ana = shop.visitor("ana");
        shop.clock.set(day(50));
        let anna = shop.tells(email("anna"), 50, visit()).customer;
        for who in [ana, anna] {
            crm.keep_personal(who, &[(field("city"), Some("Porto"))]).unwrap();
        }
        crm.merge(ana, anna, "one".parse().unwrap()).unwrap();
        assert_eq!([ana, anna].map(|who| shop.goes_on(who)), [Some(day(150)); 2]);
        shop.on_day(149);
        assert!(!shop.is_erased(ana));
        shop.on_day(150);
        for (who, address) in [(ana, "ana"), (anna, "anna")] {
            assert!(shop.is_erased(who) && crm.personal(who).unwrap().is_empty());
            assert!(crm.customer(email(address)).unwrap().is_none());
            is_its_fold(crm, who);
        }
        assert_eq!(shop.applied().len(), 2);
    });
}

#[test]
fn whoever_goes_is_tied_to_nobody_and_taken_for_nobody() {
    over_each_store(|shop| {
        shop.keeps("prospects", prospects());
        let (ana, ben) = (shop.visitor("ana"), shop.visitor("ben"));
        let tie = Tie { from: ana, to: ben, kind: TieKind::Referred, strength: Strength::FULL };
        shop.crm.tie(tie, day(1), source(), "tie".parse().unwrap()).unwrap();
        shop.tells(ben, 50, visit());
        shop.on_day(100);
        assert!(shop.is_erased(ana) && !shop.is_erased(ben));
        let ben = shop.crm.customer(ben).unwrap().unwrap();
        assert_eq!((ben.ties().count(), ben.past_ties().count()), (0, 1));
        let counts = shop.crm.audit_log(None, 1_000).unwrap().records;
        let ties = counts.iter().flat_map(|record| record.entry.details().filter(|(name, _)| name.as_str() == "ties"));
        assert_eq!(ties.map(|(_, count)| format!("{count:?}")).collect::<Vec<_>>(), ["Int(1)"]);
    });
}

#[test]
fn consent_that_ended_is_counted_from_its_end() {
    use crm::{ConsentGiven, ConsentWithdrawn, Digest, Locale, Method, Proof, Wording};
    let shop = Shop::in_memory();
    let marketing = || Purpose::new("marketing").unwrap();
    let since = RetentionSince::ConsentEnded(marketing());
    shop.keeps("consent", RetentionPolicy::erase(since, Span::days(30)));
    let (ana, ben) = (shop.visitor("ana"), shop.visitor("ben"));
    let wording =
        Wording { version: "1".parse().unwrap(), sha256: Digest::of(b"yes"), locale: Locale::new("en").unwrap() };
    let proof = Proof::new(Method::Form, wording, "checkout".parse().unwrap());
    let given = ConsentGiven::new(marketing(), Channel::Sms, proof);
    assert_eq!(shop.goes_on(ana), None, "nobody asked her");
    shop.tells(ana, 0, given.clone());
    shop.tells(ben, 0, given);
    // It ends by itself after two years unused.
    assert_eq!(shop.goes_on(ana), Some(day(730 + 30)));
    shop.clock.set(day(40));
    shop.tells(ana, 40, ConsentWithdrawn::new(marketing(), Channel::Sms, Method::Reply));
    assert_eq!(shop.goes_on(ana), Some(day(70)));
    shop.on_day(70);
    assert!(shop.is_erased(ana) && !shop.is_erased(ben));
    shop.on_day(759);
    assert!(!shop.is_erased(ben));
    shop.on_day(760);
    assert!(shop.is_erased(ben));
}

#[test]
fn what_was_decided_is_finished_though_it_was_cut_off() {
    // The decision, and after it that the rows are gone: each lost, or done and not answered.
    let cuts: [&[Fate]; 4] =
        [&[Fate::Lost], &[Fate::Unanswered], &[Fate::Lost, Fate::Fine], &[Fate::Unanswered, Fate::Fine]];
    for cut in cuts {
        for by_erasing in [false, true] {
            over_each_store(|shop| {
                let crm = &shop.crm;
                let ana = shop.visitor("ana");
                crm.keep_personal(ana, &[(field("city"), Some("Porto"))]).unwrap();
                shop.keeps("prospects", prospects());
                shop.clock.set(day(100));
                *shop.fates.lock().unwrap() = cut.to_vec();
                assert!(crm.advance(day(100)).is_err());
                let decided = cut != [Fate::Lost];
                assert_eq!(shop.is_erased(ana), decided);
                if by_erasing {
                    crm.erase(ana).unwrap();
                } else {
                    crm.advance(day(100)).unwrap();
                }
                assert!(shop.is_erased(ana) && crm.personal(ana).unwrap().is_empty());
                let customer = crm.customer(ana).unwrap().unwrap();
                assert!(customer.removal().is_none() && customer.alarm().is_none());
                assert_eq!(shop.on_day(101), 0);
                if decided {
                    assert_eq!(shop.applied().len(), 2, "{cut:?}");
                }
                is_its_fold(crm, ana);
            });
        }
    }
}

/// Records in memory; on the first of them somebody else tells of a visit.
#[derive(Debug, Default, Clone)]
struct Notebook {
    records: Arc<Mutex<Vec<crm::ErasureRecord>>>,
    racer: Arc<Mutex<Option<(crm::Crm, CustomerId)>>>,
}

impl Notebook {
    /// How many records there are, and how many of them stand.
    fn counts(&self) -> (usize, usize) {
        let records = self.records.lock().unwrap().clone();
        (records.len(), crm::ErasureRecord::standing(records).count())
    }
}

#[async_trait::async_trait]
impl crm::ErasureLedger for Notebook {
    async fn append(&self, record: &crm::ErasureRecord) -> Result<(), crm::LedgerError> {
        self.records.lock().unwrap().push(record.clone());
        let racer = self.racer.lock().unwrap().take();
        if let Some((crm, customer)) = racer {
            crm.record(Incoming::new(customer, crm.now(), source(), visit())).await.unwrap();
        }
        Ok(())
    }

    async fn records(&self) -> Result<Vec<crm::ErasureRecord>, crm::LedgerError> {
        Ok(self.records.lock().unwrap().clone())
    }
}

#[test]
fn what_a_policy_decides_is_in_the_ledger_before_and_taken_back_if_it_was_not_decided() {
    let notebook = Notebook::default();
    let shop = Shop::on(Arc::new(MemoryStore::new()), crm::Crm::builder().erasure_ledger(notebook.clone()));
    let ana = shop.visitor("ana");
    shop.keeps("prospects", prospects());
    shop.clock.set(day(100));
    for (fate, records) in [(Fate::Lost, 2), (Fate::Unheard, 4)] {
        *shop.fates.lock().unwrap() = vec![fate];
        assert!(shop.crm.advance(day(100)).is_err());
        assert_eq!(notebook.counts(), (records, 0), "taken back");
    }

    // Just before it is decided she comes back, so it is not.
    let other = crm::Crm::builder().shared_store(Arc::clone(&shop.store)).clock(Arc::clone(&shop.clock)).build();
    *notebook.racer.lock().unwrap() = Some((other, ana));
    shop.crm.advance(day(100)).unwrap();
    assert!(!shop.is_erased(ana));
    assert_eq!(notebook.counts(), (6, 0));
    assert_eq!(shop.crm.erased_at(&email("ana"), &notebook).unwrap(), None);
    assert_eq!(shop.crm.reapply_erasures(&notebook).unwrap(), 0);

    // Decided, and the answer was lost: it stands, and is there before the rows go.
    shop.clock.set(day(300));
    *shop.fates.lock().unwrap() = vec![Fate::Unanswered];
    assert!(shop.crm.advance(day(300)).is_err());
    assert!(shop.is_erased(ana));
    assert_eq!(notebook.counts(), (7, 1));
    assert_eq!(shop.crm.erased_at(&email("ana"), &notebook).unwrap(), Some(day(300)));
    shop.crm.advance(day(300)).unwrap();
    assert_eq!(notebook.counts(), (7, 1), "finishing it is not another erasure");
}

#[test]
fn who_goes_is_in_the_ledger_so_that_a_backup_does_not_bring_them_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let shop = Shop::on(Arc::new(MemoryStore::new()), crm::Crm::builder().erasure_ledger(FileLedger::new(&path)));
    let ana = shop.visitor("ana");
    shop.keeps("prospects", prospects());
    shop.on_day(100);
    assert!(shop.is_erased(ana));
    assert_eq!(shop.crm.erased_at(&email("ana"), &FileLedger::new(&path)).unwrap(), Some(day(100)));
}

#[test]
fn a_policy_can_be_looked_at_before_it_holds_and_says_in_the_log_that_it_does() {
    let shop = Shop::in_memory();
    let crm = &shop.crm;
    let ana = shop.visitor("ana");
    shop.visitor("ben");
    shop.tells(ana, 0, OrderPlaced::new(Money::new(5_000, Currency::EUR)));
    let preview = |until| crm.retention_preview(day(0), called("p"), prospects(), until).unwrap();
    assert!(preview(day(99)).policies.is_empty());
    assert_eq!(preview(day(100)).policies[&called("p")].goes, 1);
    assert!(crm.retention_overview(day(100)).unwrap().policies.is_empty(), "it was only looked at");
    crm.define(day(0), Definition::Retention(called("p"), Some(prospects()))).unwrap();
    let log = crm.audit_log(None, 10).unwrap().records;
    assert!(log.len() == 1 && *log[0].entry.action() == AuditAction::PolicyChanged);
    for wrong in [
        RetentionPolicy::erase(RetentionSince::FirstSeen, Span::days(0)),
        prospects().of_stages([]),
        RetentionPolicy::forget(Forget::default(), RetentionSince::FirstSeen, Span::days(1)),
        RetentionPolicy::forget(Forget::personal([field("card.name")]), RetentionSince::FirstSeen, Span::days(1)),
    ] {
        assert!(crm.define(day(1), Definition::Retention(called("w"), Some(wrong))).is_err());
    }
}

#[test]
fn a_policy_that_was_ended_does_nothing_more_and_a_later_one_acts_from_its_own_day() {
    let shop = Shop::in_memory();
    shop.keeps("p", prospects());
    let ana = shop.visitor("ana");
    shop.crm.define(day(90), Definition::Retention(called("p"), None)).unwrap();
    shop.crm.refresh().unwrap();
    shop.on_day(120);
    assert!(!shop.is_erased(ana));
    shop.crm.define(day(130), Definition::Retention(called("p"), Some(prospects()))).unwrap();
    shop.crm.refresh().unwrap();
    assert_eq!(shop.goes_on(ana), Some(day(130)));
    shop.on_day(130);
    assert!(shop.is_erased(ana));
}

#[cfg(feature = "sqlite")]
#[test]
fn nothing_of_what_went_is_left_in_any_file() {
    use crm_storage::{Parts, block_on};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crm.db");
    let shop = Shop::on(Arc::new(crm::SqliteStore::open(&path).unwrap()), crm::Crm::builder());
    let crm = &shop.crm;
    let tenant = crm.as_async().tenant_id().clone();
    // Others around them, so that rows move between pages.
    for n in 0..60 {
        let who = shop.tells(email(&format!("other{n}")), 0, OrderPlaced::new(Money::new(1, Currency::EUR))).customer;
        crm.keep_personal(who, &[(field("notes"), Some(&"x".repeat(n * 37)))]).unwrap();
    }
    let (ana, ben) = (shop.visitor("ana"), shop.visitor("ben"));
    shop.tells(ben, 0, OrderPlaced::new(Money::new(1, Currency::EUR)));
    for who in [ana, ben] {
        for text in ["Porto", "Lisbon", "Faro"] {
            crm.keep_personal(who, &[(field("shoe"), Some(&text.repeat(200))), (field("city"), Some(text))]).unwrap();
        }
    }
    let topic = "welcome".parse().unwrap();
    let fields = crm::Fields::from([(field("to"), crm::FieldValue::Text("CanaryInTheOutbox".into()))]);
    crm.execute(ana, crm::Command::Notify { topic, fields }, "k").unwrap();
    let rows = |who: CustomerId| {
        block_on(shop.store.details(&tenant, &[who], Parts::PERSONAL)).unwrap().pop().flatten().unwrap()
    };
    let mut gone: Vec<Vec<u8>> = vec![b"CanaryInTheOutbox".to_vec()];
    let of_ana = rows(ana);
    gone.extend(of_ana.key);
    gone.extend(of_ana.personal.into_iter().map(|(_, value)| value));
    let stays = rows(ben).personal.into_iter().find(|(name, _)| name == "city").unwrap().1;
    gone.extend(rows(ben).personal.into_iter().filter(|(name, _)| name == "shoe").map(|(_, value)| value));
    assert_eq!(gone.len(), 5);
    // Where a value begins: a long one goes over several pages.
    gone.iter_mut().for_each(|bytes| bytes.truncate(20));
    let files = || -> Vec<u8> {
        let files = ["", "-wal"].map(|end| std::fs::read(format!("{}{end}", path.display())).unwrap_or_default());
        files.concat()
    };
    let is_in = |bytes: &[u8], all: &[u8]| all.windows(bytes.len()).any(|window| window == bytes);
    assert!(gone.iter().all(|bytes| is_in(bytes, &files())));

    shop.keeps("prospects", prospects());
    let less = Forget::personal([field("shoe")]);
    shop.keeps("less", RetentionPolicy::forget(less, RetentionSince::LastOrder, Span::days(100)));
    shop.on_day(100);
    assert!(shop.is_erased(ana) && crm.personal(ben).unwrap().len() == 1);
    let all = files();
    assert_eq!(gone.iter().filter(|bytes| is_in(bytes, &all)).count(), 0);
    assert!(is_in(&stays, &all));
}

#[derive(Debug, Clone)]
enum What {
    Visit,
    Order,
    Refund,
    Device(u8),
    Hold(u32),
}

fn what() -> impl Strategy<Value = (u8, u32, What)> {
    let what = prop_oneof![
        3 => Just(What::Visit),
        2 => Just(What::Order),
        1 => Just(What::Refund),
        2 => (0..3_u8).prop_map(What::Device),
        1 => (1..60_u32).prop_map(What::Hold),
    ];
    (0..3_u8, 0..150_u32, what)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("CRM_SOAK").is_some() { 640 } else { 64 }))]

    /// One advance is any number of advances to instants in between; nothing goes before it is due, nor while
    /// something stands against it; and what is stored is the fold of the events.
    #[test]
    fn one_advance_equals_any_split_of_it_and_nothing_goes_early(
        facts in proptest::collection::vec(what(), 1..16),
        mut stops in proptest::collection::vec(60..600_u32, 0..8),
    ) {
        let run = |stops: &[u32]| {
            let shop = Shop::in_memory();
            let crm = &shop.crm;
            shop.keeps("prospects", RetentionPolicy { keep: Span::days(40), ..prospects() });
            let buyers = RetentionPolicy::erase(RetentionSince::LastOrder, Span::days(300));
            shop.keeps("buyers", buyers.of_stages([Stage::Purchase, Stage::Historical]));
            let devices = Forget::identifiers([IdentifierKind::Device]);
            shop.keeps("devices", RetentionPolicy::forget(devices, RetentionSince::FirstSeen, Span::days(25)));
            let birthdays = Forget::card([Field::Birthday]);
            shop.keeps("birthdays", RetentionPolicy::forget(birthdays, RetentionSince::LastActivity, Span::days(30)));
            // What happens after this day waits for its time.
            shop.clock.set(day(60));
            let mut ids = Vec::new();
            for (n, (who, on, what)) in facts.iter().enumerate() {
                let who = email(&format!("c{who}"));
                let fact: Fact = match what {
                    What::Visit | What::Hold(_) => visit().into(),
                    What::Order => OrderPlaced::new(Money::new(100, Currency::EUR)).into(),
                    What::Refund => Refunded { order: None, amount: Money::new(100, Currency::EUR) }.into(),
                    What::Device(n) => crm.identified(&Identifier::device(&format!("{who:?} cookie {n}")).unwrap()).into(),
                };
                let incoming = Incoming::new(who, day(*on), source(), fact).with_key(format!("{n}").parse().unwrap());
                let customer = match crm.record(incoming) {
                    Ok(recorded) => recorded.customer,
                    Err(_) => continue,
                };
                ids.push(customer);
                if let What::Hold(days) = what {
                    let name = LegalHoldName::new("h").unwrap();
                    let hold = HoldPlaced { name, record: Record::Everything, until: Some(day(60 + days)) };
                    crm.hold(customer, hold, by()).unwrap();
                }
            }
            for stop in stops {
                shop.on_day(*stop);
            }
            shop.on_day(700);
            ids.sort_unstable();
            ids.dedup();
            let mut seen = Vec::new();
            for id in ids {
                let story = crm.story(id).unwrap().unwrap();
                is_its_fold(crm, id);
                let events = story.events.iter().map(|event| (event.id, event.at, event.body.clone()));
                seen.push((id, story.customer.digest(), events.collect::<Vec<_>>(), story.changes));
            }
            seen
        };
        stops.sort_unstable();
        let whole = run(&[]);
        for (_, _, events, _) in &whole {
            let active = events.iter().filter(|(_, _, body)| matches!(body, EventBody::Fact(fact) if fact.is_activity()));
            let active: Vec<Timestamp> = active.map(|(_, at, _)| *at).collect();
            // Who never did anything is counted from the first fact.
            let facts = events.iter().filter(|(_, _, body)| matches!(body, EventBody::Fact(_)));
            let mut all: Vec<Timestamp> = facts.map(|(_, at, _)| *at).collect();
            all.sort_unstable();
            for (_, at, body) in events {
                let EventBody::Decision(decision) = body else { continue };
                let Deed::Erased(erased) = &decision.deed else { continue };
                let last = active.iter().filter(|activity| *activity <= at).max().or(all.first()).unwrap();
                prop_assert!(*at >= last.plus(Span::days(40)));
                let mut held = events.iter().filter_map(|(_, _, body)| match body {
                    EventBody::Decision(decision) => if let Deed::HoldPlaced(hold) = &decision.deed { hold.until } else { None },
                    EventBody::Fact(_) | EventBody::Unrecognised { .. } => None,
                });
                // One of the same name takes the place of the one before.
                prop_assert!(held.next_back().is_none_or(|until| until <= *at), "{erased:?}");
            }
        }
        prop_assert_eq!(run(&stops), whole);
    }
}

#[test]
fn history_that_is_taken_in_is_all_there_before_anything_goes() {
    let shop = Shop::in_memory();
    shop.keeps("prospects", prospects());
    shop.clock.set(day(500));
    let visits = [0, 300, 450].map(|on| Incoming::new(email("ana"), day(on), source(), visit()));
    shop.crm.ingest(visits, Ingestion::history().with_batch(1)).unwrap();
    let ana = shop.crm.customer(email("ana")).unwrap().unwrap().id();
    shop.on_day(500);
    assert!(!shop.is_erased(ana), "she was there fifty days ago");
    shop.on_day(550);
    assert!(shop.is_erased(ana));
}
