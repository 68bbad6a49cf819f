//! Facts that come with several identifiers: whose they are, who is one person by them, and what an address
//! that nobody answers for does not do.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    Assurance, Channel, CustomerId, Error, ExternalSystem, FactRefusal, Identified, Identifier, Incoming, Ingestion,
    ManualClock, Presented, Source, Timestamp, VerificationMethod, Visited, Who,
};
use proptest::prelude::*;

fn hour(hour: i64) -> Timestamp {
    Timestamp::from_millis(hour * 3_600_000).unwrap()
}

fn shop() -> (Arc<ManualClock>, Crm) {
    let clock = Arc::new(ManualClock::at(hour(1)));
    let crm = crm::Crm::builder().clock(Arc::clone(&clock)).ids(crm::DerivedIds).build();
    (clock, Crm::from(crm))
}

fn email(name: &str) -> Identifier {
    Identifier::email(&format!("{name}@example.com")).unwrap()
}

fn device(name: &str) -> Presented {
    Identifier::device(name).unwrap().into()
}

fn erp(number: &str) -> Presented {
    Identifier::external(&ExternalSystem::new("erp").unwrap(), number).unwrap().into()
}

fn visit(who: impl Into<Who>, at: i64, key: &str) -> Incoming {
    let visit = Visited { channel: Channel::Web, place: None };
    Incoming::new(who, hour(at), Source::new("test").unwrap(), visit).with_key(key.parse().unwrap())
}

fn came(crm: &Crm, who: impl Into<Who>, key: &str) -> CustomerId {
    crm.record(visit(who, 1, key)).unwrap().customer
}

fn verified(crm: &Crm, identifier: &Identifier) -> Identified {
    crm.identified(identifier).assured(Assurance::Verified { by: VerificationMethod::new("one_time_code").unwrap() })
}

#[test]
fn nobody_creates_one_attaches_and_several_are_one_where_the_rules_say_so() {
    let (_, crm) = shop();
    let anonymous = came(&crm, device("tablet"), "1");
    let ana = came(&crm, [email("ana").verified()], "2");
    assert_ne!(anonymous, ana);
    // Signed in on the tablet: the anonymous visitor was Ana, who is known and survives.
    let signed_in = came(&crm, [device("tablet"), email("ana").verified(), erp("7")], "3");
    assert_eq!(signed_in, ana);
    let customer = crm.customer(anonymous).unwrap().unwrap();
    assert_eq!((customer.id(), customer.facts().visits(), customer.identifiers().count()), (ana, 3, 3));
    for who in [device("tablet"), email("ana").into(), erp("7")] {
        assert_eq!(crm.customer(who).unwrap().unwrap().id(), ana);
    }
    assert_eq!(crm.overview().unwrap().customers, 1);
    // The merge says why.
    let story = crm.story(ana).unwrap().unwrap();
    assert!(story.events.iter().any(|event| event.body.kind() == "merged"));
}

#[test]
fn the_weakest_is_set_aside_rather_than_two_people_fused() {
    let (_, crm) = shop();
    let ana = came(&crm, [device("tablet"), email("ana").verified(), erp("1")], "1");
    let ben = came(&crm, [email("ben").verified(), erp("2")], "2");
    // Ben signs in on Ana's tablet.
    assert_eq!(came(&crm, [device("tablet"), email("ben").verified()], "3"), ben);
    let aside: Vec<_> = crm.customer(ben).unwrap().unwrap().set_aside().map(|(key, _)| key.kind).collect();
    assert_eq!(aside, [crm::IdentifierKind::Device]);
    let events = crm.story(ben).unwrap().unwrap().events.len();
    assert_eq!(came(&crm, [device("tablet"), email("ben").verified()], "4"), ben);
    assert_eq!(crm.story(ben).unwrap().unwrap().events.len(), events + 1, "it is noted once");
    // One who has Ana's number and Ben's address is asked about, and nobody is merged.
    assert_eq!(came(&crm, [erp("1"), email("ben").verified()], "5"), ana);
    let doubts: Vec<_> = crm.customer(ana).unwrap().unwrap().doubts().collect();
    assert_eq!(doubts.iter().map(|(other, doubt)| (*other, doubt.rejected)).collect::<Vec<_>>(), [(ben, false)]);
    crm.reject_duplicate(ana, ben, "two people".parse().unwrap()).unwrap();
    came(&crm, [erp("1"), email("ben").verified()], "6");
    for (one, other) in [(ana, ben), (ben, ana)] {
        assert!(crm.customer(one).unwrap().unwrap().doubt(other).unwrap().rejected);
    }
    assert_eq!(crm.overview().unwrap().customers, 2);
}

#[test]
fn a_stated_address_leads_to_nobody_until_it_is_proved() {
    let (_, crm) = shop();
    let ana = came(&crm, [email("ana").verified()], "1");
    // Three guests give it; each is somebody else, and none sees anything of Ana's.
    let guests: Vec<_> = (0..3).map(|n| came(&crm, [email("ana").unverified()], &format!("g{n}"))).collect();
    for guest in &guests {
        let customer = crm.customer(*guest).unwrap().unwrap();
        assert_eq!((customer.facts().visits(), customer.identifiers().count()), (1, 0));
        assert_ne!(*guest, ana);
    }
    assert_eq!(crm.overview().unwrap().customers, 4);
    assert!(crm.customer(email("ana").unverified()).unwrap().is_none());
    // The same fact again is the same guest.
    let again = crm.record(visit([email("ana").unverified()], 1, "g1")).unwrap();
    assert!(again.known && again.customer == guests[1]);
    // One of them follows the link in the mail.
    let proof = verified(&crm, &email("ana"));
    crm.record(Incoming::new(guests[1], hour(1), Source::new("mail").unwrap(), proof)).unwrap();
    let customer = crm.customer(guests[1]).unwrap().unwrap();
    assert_eq!((customer.id(), customer.facts().visits()), (ana, 4), "and so are the others who gave it");
    assert_eq!(crm.overview().unwrap().customers, 1);
}

#[test]
fn a_guest_who_later_registers_is_one_person() {
    let (clock, crm) = shop();
    let first = came(&crm, [email("ana").unverified(), device("phone")], "order 1");
    let second = came(&crm, [email("ana").unverified()], "order 2");
    assert_ne!(first, second);
    clock.set(hour(2));
    let registered = came(&crm, [email("ana").verified(), erp("7")], "sign-up");
    assert_eq!(registered, first.min(second));
    for id in [first, second, registered] {
        let customer = crm.customer(id).unwrap().unwrap();
        assert_eq!((customer.id(), customer.facts().visits()), (registered, 3));
    }
    assert_eq!(crm.customer(email("ana")).unwrap().unwrap().id(), registered);
    assert_eq!(crm.customer(erp("7")).unwrap().unwrap().id(), registered);
}

#[test]
fn whoever_was_erased_becomes_one_with_nobody_by_an_address_proved_later() {
    let (_, crm) = shop();
    let (ben, guest) = (came(&crm, device("phone"), "1"), came(&crm, [email("ana").unverified()], "2"));
    crm.erase(ben).unwrap();
    let told = |key: &str| {
        let fact = Incoming::new(ben, hour(1), Source::new("mail").unwrap(), verified(&crm, &email("ana")));
        fact.with_key(key.parse().unwrap())
    };
    assert!(!crm.record(told("3")).unwrap().known);
    let report = crm.ingest([told("4")], Ingestion::live()).unwrap();
    assert_eq!((report.recorded, report.refused.len()), (1, 0));
    let erased = crm.customer(ben).unwrap().unwrap();
    assert!(erased.is_erased() && !erased.is_merged() && erased.identifiers().count() == 0);
    assert!(!crm.customer(guest).unwrap().unwrap().is_merged());
    assert!(crm.customer(email("ana")).unwrap().is_none());
}

#[test]
fn a_fact_is_recorded_though_its_identifiers_are_of_more_than_can_be_one() {
    let (clock, crm) = shop();
    let ana = came(&crm, [email("ana").verified()], "ana");
    // Browsers renew what they are known by: Ana visits by a new one each week, and signs in.
    let mut strangers = Vec::new();
    for week in 0..crm::MEMBERS_MAX {
        clock.set(hour(1 + week as i64 * 24 * 7));
        let browser = || device(&format!("browser-{week}"));
        strangers.push(came(&crm, browser(), &format!("visit-{week}")));
        assert_eq!(came(&crm, [browser(), email("ana").verified()], &format!("sign-in-{week}")), ana);
        let report = crm
            .ingest([visit([browser(), email("ana").verified()], 1, &format!("order-{week}"))], Ingestion::live())
            .unwrap();
        assert_eq!((report.recorded, report.refused.len()), (1, 0));
    }
    let customer = crm.customer(ana).unwrap().unwrap();
    assert_eq!(customer.members().count(), crm::MEMBERS_MAX);
    assert!(customer.is(strangers[30]) && !customer.is(strangers[31]));
    assert_eq!(customer.set_aside().count(), 1);
    // And whoever proves an address that more guests gave than can be one.
    let guests: Vec<_> =
        (0..crm::MEMBERS_MAX).map(|n| came(&crm, [email("ben").unverified()], &format!("guest-{n}"))).collect();
    let ben = came(&crm, [email("ben").verified(), erp("7")], "ben");
    assert_eq!(crm.customer(ben).unwrap().unwrap().members().count(), crm::MEMBERS_MAX);
    assert!(guests.iter().all(|guest| crm.customer(*guest).unwrap().unwrap().is(ben)));
    let proof = verified(&crm, &email("ben"));
    let told = Incoming::new(strangers[31], hour(1), Source::new("mail").unwrap(), proof);
    let refused = crm.record(told).unwrap_err();
    assert!(matches!(refused, Error::Fact(FactRefusal::IdentifierTaken { .. })), "{refused}");
}

#[test]
fn of_those_who_stated_an_address_none_are_one_who_disagree_with_each_other() {
    let (_, crm) = shop();
    let guest = came(&crm, [email("ana").unverified()], "1");
    let ana = came(&crm, [email("ana").unverified(), erp("1")], "2");
    let anna = came(&crm, [email("ana").unverified(), erp("2")], "3");
    let proved = came(&crm, [email("ana").verified()], "4");
    let [guest, ana, anna] = [guest, ana, anna].map(|id| crm.customer(id).unwrap().unwrap());
    assert_eq!(proved, guest.id());
    assert_eq!([ana.is(proved), anna.is(proved)].into_iter().filter(|is| *is).count(), 1);
    assert_ne!(ana.id(), anna.id(), "each has a number of their own");
}

#[test]
fn values_that_name_nobody_are_set_aside() {
    let (_, crm) = shop();
    let ana = came(&crm, [erp("0000"), email("ana").verified()], "1");
    let ben = came(&crm, [erp("0000"), email("ben").verified()], "2");
    assert_ne!(ana, ben);
    assert_eq!(crm.customer(ana).unwrap().unwrap().set_aside().count(), 1);
    for who in [vec![erp("null")], vec![]] {
        let refused = crm.record(visit(who, 1, "3")).unwrap_err();
        assert!(matches!(refused, Error::Fact(FactRefusal::NamesNobody)), "{refused}");
    }
    let many: Vec<Presented> = (0..33).map(|n| device(&format!("d{n}"))).collect();
    assert!(matches!(crm.record(visit(many, 1, "4")), Err(Error::Fact(FactRefusal::Identifiers(_)))));
    assert_eq!(crm.overview().unwrap().customers, 2);
}

#[test]
fn batches_with_several_identifiers_come_to_the_same() {
    let facts = || {
        vec![
            visit([device("a")], 1, "1"),
            visit([email("ana").verified()], 2, "2"),
            visit([device("a"), email("ana").verified()], 3, "3"),
            visit([email("ana").unverified()], 4, "4"),
            visit(email("ana"), 5, "5"),
        ]
    };
    let (clock, one_by_one) = shop();
    clock.set(hour(9));
    facts().into_iter().for_each(|fact| drop(one_by_one.record(fact).unwrap()));
    let (clock, at_once) = shop();
    clock.set(hour(9));
    let report = at_once.ingest(facts(), Ingestion::live()).unwrap();
    assert_eq!((report.recorded, report.refused.len()), (5, 0));
    assert_eq!(at_once.ingest(facts(), Ingestion::live()).unwrap().known, 5);
    let seen = |crm: &Crm| {
        let mut visits = Vec::new();
        crm.for_each_customer(|customer| visits.push(customer.facts().visits())).unwrap();
        visits.sort_unstable();
        visits
    };
    assert_eq!(seen(&at_once), seen(&one_by_one));
    assert_eq!(seen(&at_once), [1, 4]);
}

/// What somebody comes with: which address, whether it is proved, and perhaps a device and a number.
type Came = (u8, bool, Option<u8>, Option<u8>);

fn came_with((address, proved, device_, number): Came) -> Vec<Presented> {
    let address = email(&format!("a{address}"));
    let mut all = vec![if proved { address.verified() } else { address.unverified() }];
    all.extend(device_.map(|n| device(&format!("d{n}"))));
    all.extend(number.map(|n| erp(&format!("e{n}"))));
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Whoever gives an address that nobody answers for, and nothing else that leads to somebody, is nobody who
    /// was there before; and whoever ever had an address keeps it.
    #[test]
    fn no_sequence_of_records_attaches_an_unverified_address_to_somebody_elses_history(
        records in proptest::collection::vec((0..3_u8, any::<bool>(), proptest::option::of(0..3_u8), proptest::option::of(0..2_u8)), 1..8),
    ) {
        let (_, crm) = shop();
        let mut proved: BTreeMap<u8, CustomerId> = BTreeMap::new();
        for (n, came) in records.iter().enumerate() {
            let (address, is_proved, device_, number) = *came;
            let mut before = Vec::new();
            crm.for_each_customer(|customer| before.push(customer.id())).unwrap();
            let others: Vec<Presented> = came_with(*came).split_off(1);
            let led_to: Vec<CustomerId> = others.iter()
                .filter_map(|one| crm.customer(one.clone()).unwrap().map(|customer| customer.id()))
                .collect();
            let owner = crm.customer(email(&format!("a{address}"))).unwrap().map(|customer| customer.id());
            let customer = crm.record(visit(came_with(*came), 1, &n.to_string())).unwrap().customer;
            if is_proved {
                proved.insert(address, customer);
            } else {
                let is_new = !before.contains(&customer);
                prop_assert!(is_new || led_to.contains(&customer), "{came:?}");
                // Its owner, if there is one, is the same as before and has no more than before by it.
                let now = crm.customer(email(&format!("a{address}"))).unwrap().map(|customer| customer.id());
                let still = owner.map(|owner| crm.customer(owner).unwrap().unwrap().id());
                prop_assert_eq!(now, still);
                if device_.is_none() && number.is_none() {
                    prop_assert!(is_new);
                    prop_assert_eq!(crm.customer(customer).unwrap().unwrap().facts().visits(), 1);
                }
            }
        }
        for (address, customer) in proved {
            let owner = crm.customer(email(&format!("a{address}"))).unwrap().unwrap();
            prop_assert!(owner.identifiers().count() > 0 && crm.customer(customer).unwrap().is_some(), "{address}");
        }
        // Nobody is lost: every visit is somebody's.
        let mut visits = 0;
        crm.for_each_customer(|customer| visits += customer.facts().visits()).unwrap();
        prop_assert_eq!(visits as usize, records.len());
    }
}

/// Two who look alike, and one who does not.
fn people(crm: &Crm) -> Vec<CustomerId> {
    use crm::{Birthday, CardUpdate, ContactPoint, Name};
    let card = |name: Name, phone: &str| {
        let points = vec![ContactPoint::phone(phone).unwrap()];
        CardUpdate::new().name(name).birthday(Birthday::parse("1980-02-29").unwrap()).contact_points(points)
    };
    let people = [
        ("Katherine", "O'Brien", "+49301234567"),
        ("Catherine", "OBrien", "+49301234567"),
        ("Wei", "Zhang", "+49307654321"),
    ];
    let come = |(n, (given, family, phone)): (usize, &(&str, &str, &str))| {
        let customer = came(crm, device(&format!("d-{n}")), &n.to_string());
        let update = card(Name::new(given, family).unwrap(), phone);
        crm.update_card(customer, update, &Source::new("form").unwrap(), hour(1)).unwrap();
        customer
    };
    people.iter().enumerate().map(come).collect()
}

#[test]
fn nobody_is_taken_for_somebody_who_was_erased() {
    let (_, crm) = shop();
    let people = people(&crm);
    crm.suggest_duplicates(people[0]).unwrap();
    crm.erase(people[1]).unwrap();
    assert!(crm.customer(people[0]).unwrap().unwrap().doubt(people[1]).unwrap().rejected);
    let events = crm.story(people[0]).unwrap().unwrap().events.len();
    crm.erase(people[1]).unwrap();
    assert_eq!(crm.story(people[0]).unwrap().unwrap().events.len(), events, "it is told once");
}

#[test]
fn who_may_be_one_person_by_an_identifier_is_told_to_both_once_and_settled_when_either_is_erased() {
    for erased in [0, 1] {
        let (_, crm) = shop();
        let ana = came(&crm, [email("ana").verified(), erp("1")], "1");
        let ben = came(&crm, [email("ben").verified(), erp("2")], "2");
        let both = [ana, ben];
        let rejected = |one: usize, other: usize| {
            crm.customer(both[one]).unwrap().unwrap().doubt(both[other]).map(|doubt| doubt.rejected)
        };
        assert_eq!((rejected(0, 1), rejected(1, 0)), (None, None));
        assert_eq!(came(&crm, [erp("1"), email("ben").verified()], "3"), ana);
        assert_eq!((rejected(0, 1), rejected(1, 0)), (Some(false), Some(false)));
        let events = || both.map(|id| crm.story(id).unwrap().unwrap().events.len());
        let before = events();
        assert_eq!(came(&crm, [erp("1"), email("ben").verified()], "4"), ana);
        assert_eq!(events(), [before[0] + 1, before[1]], "it is noted once");
        // What speaks against it is said of the other one in either history.
        for (own, other) in [(ana, ben), (ben, ana)] {
            let story = crm.story(own).unwrap().unwrap();
            let noted = story.events.iter().find_map(|event| {
                if let crm::EventBody::Decision(decision) = &event.body
                    && let crm::Deed::DuplicateSuggested(suggested) = &decision.deed
                {
                    return Some(suggested);
                }
                None
            });
            let noted = noted.unwrap();
            assert_eq!(noted.other, other);
            assert!(matches!(noted.against, Some(crm::Aside::Disagrees { with, .. }) if with == Some(other)));
        }
        crm.erase(both[erased]).unwrap();
        assert_eq!(rejected(1 - erased, erased), Some(true));
    }
}

#[test]
fn people_who_look_alike_are_suggested_and_a_rejection_is_remembered() {
    let (_, crm) = shop();
    let people = people(&crm);
    let suggested = crm.suggest_duplicates(people[0]).unwrap();
    assert_eq!(suggested.len(), 1, "{suggested:?}");
    assert_eq!([suggested[0].a, suggested[0].b], [people[0].min(people[1]), people[0].max(people[1])]);
    assert!(suggested[0].clues.len() >= 3 && suggested[0].score >= 500);
    for (one, other) in [(0, 1), (1, 0)] {
        assert!(!crm.customer(people[one]).unwrap().unwrap().doubt(people[other]).unwrap().rejected);
    }
    let events = crm.story(people[0]).unwrap().unwrap().events.len();
    assert_eq!(crm.suggest_duplicates(people[1]).unwrap().len(), 1);
    assert_eq!(crm.story(people[0]).unwrap().unwrap().events.len(), events, "it is noted once");
    crm.reject_duplicate(people[1], people[0], "sisters".parse().unwrap()).unwrap();
    assert!(crm.suggest_duplicates(people[0]).unwrap().is_empty());
    assert!(crm.suggest_duplicates(people[1]).unwrap().is_empty());
}
