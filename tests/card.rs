//! The relationship card: told field by field, kept sealed with its history, asked about, and erased.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod drawer;

use std::collections::BTreeSet;
use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    Address, AttributeKind, AttributeName, AttributeValue, Birthday, Card, CardError, CardLine, CardSchema, CardTold,
    CardUpdate, CardValue, Channel, CompletenessRules, ContactKind, ContactPoint, Country, CustomerId, Definition,
    Error, Field, FieldName, Identifier, Incoming, Language, ManualClock, Name, Party, PartyDescribed, PersonalError,
    Role, SearchQuery, Source, Stage, TimeZone, Timestamp, Visited, Want, Wanted,
};
use drawer::Drawer;
use proptest::prelude::*;

fn day(day: u8) -> Timestamp {
    Timestamp::parse(&format!("2026-01-{day:02}")).unwrap()
}

fn source(name: &str) -> Source {
    Source::new(name).unwrap()
}

fn line(text: &str) -> CardLine {
    CardLine::new(text).unwrap()
}

fn employer(text: &str) -> CardUpdate {
    CardUpdate::new().employer(line(text))
}

fn visit(crm: &Crm, who: &str) -> CustomerId {
    let visit = Visited { channel: Channel::Web, place: None };
    let who = Identifier::email(who).unwrap();
    crm.record(Incoming::new(who, day(1), source("shop"), visit)).unwrap().customer
}

/// On each store there is without a server, at one time.
fn on_each_store(test: impl Fn(Crm)) {
    let clock = || Arc::new(ManualClock::at(day(28)));
    test(Crm::from(crm::Crm::builder().clock(clock()).build()));
    test(Crm::from(crm::Crm::builder().clock(clock()).person_keys(Drawer::default()).build()));
    #[cfg(feature = "sqlite")]
    {
        let folder = tempfile::tempdir().unwrap();
        test(Crm::from(
            crm::Crm::builder()
                .clock(clock())
                .store(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap())
                .build(),
        ));
    }
}

fn everything() -> CardUpdate {
    CardUpdate::new()
        .name(Name::new("小明", "王").unwrap())
        .employer(line("Canary Ltd"))
        .position(line("Canary-in-chief"))
        .birthday(Birthday::parse("--02-29").unwrap())
        .language(Language::new("zh-Hant").unwrap())
        .time_zone(TimeZone::new("Asia/Taipei").unwrap())
        .addresses(vec![
            Address::new(&["Canary Road 1"], "台北", "", "100", Some(Country::new("TW").unwrap())).unwrap(),
        ])
        .contact_points(vec![
            ContactPoint::email("canary@example.com").unwrap(),
            ContactPoint::new(ContactKind::Mobile, "+886 912 345 678").unwrap(),
        ])
        .member_numbers(vec![line("CANARY-77")])
        .interests(vec![line("canary birds")])
        .keywords(vec![line("canary keyword")])
        .own_keywords(vec![line("my canary")])
}

#[test]
fn a_card_is_told_field_by_field_and_read_whole() {
    on_each_store(|crm| {
        let wang = visit(&crm, "wang@example.com");
        assert!(crm.card(wang).unwrap().is_empty());
        let told = crm.update_card(wang, everything(), &source("form"), day(2)).unwrap();
        assert_eq!(told.fields.len(), 12);
        crm.update_card(wang, CardUpdate::new().without(Field::Position), &source("clerk"), day(3)).unwrap();
        let card = crm.card(wang).unwrap();
        assert_eq!(card.name().unwrap().display(), "王小明");
        assert_eq!((card.employer(), card.position()), (Some("Canary Ltd"), None));
        assert_eq!(card.contact_point(ContactKind::Mobile).unwrap().value(), "+886912345678");
        let told = card.telling(&Field::Position).unwrap();
        assert_eq!((told.at, told.source.as_str(), told.value.is_none()), (day(3), "clerk", true));
        assert_eq!(card.telling(&Field::Name).unwrap().source.as_str(), "form");
        let nobody = CustomerId::new(Timestamp::MIN, [9; 10]);
        assert!(crm.card(nobody).unwrap().is_empty());
        assert!(matches!(
            crm.update_card(nobody, everything(), &source("form"), day(2)),
            Err(Error::NoCustomer { .. })
        ));
    });
}

#[test]
fn an_older_value_that_comes_late_takes_nothing_over_and_is_in_the_history() {
    on_each_store(|crm| {
        let ana = visit(&crm, "ana@example.com");
        for (text, from, at) in [("Third", "form", 9), ("First", "import", 3), ("Second", "clerk", 5)] {
            let told = crm.update_card(ana, employer(text), &source(from), day(at)).unwrap();
            assert_eq!(told.fields, BTreeSet::from([Field::Employer]));
        }
        assert_eq!(crm.card(ana).unwrap().employer(), Some("Third"));
        let value = |text: &str| Some(CardValue::Line(line(text)));
        let history: Vec<_> = crm.card_history(ana).unwrap();
        let told: Vec<_> =
            history.iter().map(|change| (change.source.as_str(), change.from.clone(), change.to.clone())).collect();
        assert_eq!(
            told,
            [
                ("form", value("Second"), value("Third")),
                ("clerk", value("First"), value("Second")),
                ("import", None, value("First"))
            ]
        );
        assert_eq!(history[2].at, day(3));
    });
}

#[test]
fn the_same_again_changes_nothing() {
    on_each_store(|crm| {
        let ana = visit(&crm, "ana@example.com");
        let first = crm.update_card(ana, everything(), &source("form"), day(2)).unwrap();
        assert!(first.event.is_some());
        let story = crm.story(ana).unwrap();
        let again = crm.update_card(ana, everything(), &source("form"), day(2)).unwrap();
        assert_eq!((again.event, again.fields.len()), (None, 0));
        assert_eq!(crm.story(ana).unwrap(), story);

        // Under a key it is recorded once, whatever it says.
        let keyed = |text| employer(text).with_key("row 7".parse().unwrap());
        assert!(crm.update_card(ana, keyed("Acme"), &source("import"), day(4)).unwrap().event.is_some());
        assert!(crm.update_card(ana, keyed("Other"), &source("import"), day(4)).unwrap().event.is_none());
        assert_eq!(crm.card(ana).unwrap().employer(), Some("Acme"));

        // Without one, two that name the same field at the same time are two.
        let ben = visit(&crm, "ben@example.com");
        assert!(crm.update_card(ben, employer("B"), &source("form"), day(5)).unwrap().event.is_some());
        assert!(crm.update_card(ben, employer("A"), &source("form"), day(5)).unwrap().event.is_some());
        assert_eq!(crm.card(ben).unwrap().employer(), Some("B"), "of one time the last in the order of values");
        assert_eq!(crm.card_history(ben).unwrap().len(), 2);
        crm.erase(ana).unwrap();
        let told = crm.update_card(ana, keyed("Acme"), &source("import"), day(4));
        assert!(matches!(told, Err(Error::Personal(PersonalError::Erased { .. }))));
        assert!(crm.card(ana).unwrap().is_empty());
    });
}

#[test]
fn the_history_of_a_field_keeps_the_newest_twenty_one() {
    on_each_store(|crm| {
        let ana = visit(&crm, "ana@example.com");
        for n in 1..=25 {
            // Every second one comes late.
            let at = if n % 2 == 0 { n - 1 } else { (n + 1).min(25) };
            crm.update_card(ana, employer(&format!("Employer {at}")), &source("form"), day(at)).unwrap();
        }
        let days: Vec<Timestamp> = crm.card_history(ana).unwrap().iter().map(|change| change.at).collect();
        assert_eq!(days, (5..=25).rev().map(day).collect::<Vec<_>>());
        assert_eq!(crm.card(ana).unwrap().employer(), Some("Employer 25"));
        let late = crm.update_card(ana, employer("too old"), &source("form"), day(1)).unwrap();
        assert!(late.event.is_none());
        assert_eq!(crm.erase(ana).unwrap().fields, 21);
    });
}

#[test]
fn the_history_of_the_customer_names_fields_and_no_values() {
    on_each_store(|crm| {
        let ana = visit(&crm, "ana@example.com");
        crm.update_card(ana, everything(), &source("form"), day(2)).unwrap();
        let story = crm.story(ana).unwrap().unwrap();
        let event = story.events.last().unwrap();
        assert_eq!((event.body.kind().as_str(), event.source.as_ref().unwrap().as_str()), ("card_changed", "form"));
        assert!(String::from_utf8(event.body.encode()).unwrap().contains("\"contact_points\""));
        let text = format!("{story:?} {:?} {:?}", crm.card(ana).unwrap(), crm.card_history(ana).unwrap());
        let state = String::from_utf8_lossy(&story.customer.encode()).into_owned();
        for secret in ["anary", "小明", "王", "886912", "--02-29", "Taipei", "台北"] {
            assert!(!text.contains(secret) && !state.contains(secret), "{secret}");
        }
        let export = crm.export(ana).unwrap().unwrap();
        assert_eq!(export["card"]["employer"][0]["value"]["line"], "Canary Ltd");
        assert!(!export["events"].to_string().contains("anary"));
        assert!(export["personal"].as_object().unwrap().is_empty());
    });
}

#[test]
fn what_is_kept_raw_stays_beside_the_card() {
    on_each_store(|crm| {
        let ana = visit(&crm, "ana@example.com");
        let name = FieldName::new("name").unwrap();
        crm.keep_personal(ana, &[(name.clone(), Some("raw"))]).unwrap();
        crm.update_card(ana, CardUpdate::new().name(Name::full("Card").unwrap()), &source("form"), day(2)).unwrap();
        assert_eq!(crm.personal(ana).unwrap().into_iter().collect::<Vec<_>>(), [(name, "raw".to_owned())]);
        for reserved in ["card.name", "was.name.0"] {
            let refused = crm.keep_personal(ana, &[(FieldName::new(reserved).unwrap(), Some("x"))]);
            assert!(matches!(refused, Err(Error::Personal(PersonalError::Reserved { .. }))));
        }
        assert_eq!(crm.card(ana).unwrap().name().unwrap().display(), "Card");
    });
}

#[test]
fn a_refused_update_changes_nothing_and_repeats_no_value() {
    on_each_store(|crm| {
        let ana = visit(&crm, "ana@example.com");
        let before = crm.story(ana).unwrap();
        let pet = AttributeName::new("pet").unwrap();
        let undeclared = employer("Acme").attribute(pet, AttributeValue::Flag(true));
        let wrong_kind = employer("Acme").set(Field::Name, CardValue::Line(line("Canary")));
        let many = employer("Acme").interests(vec![line("Canary"); 65]);
        for update in [undeclared, wrong_kind, many] {
            let error = crm.update_card(ana, update, &source("form"), day(2)).unwrap_err();
            assert!(matches!(error, Error::Card(_)), "{error:?}");
            assert!(!format!("{error} {error:?}").contains("Canary"));
        }
        let ahead = crm.update_card(ana, employer("Acme"), &source("form"), Timestamp::parse("2126-01-01").unwrap());
        assert!(matches!(ahead, Err(Error::Card(CardError::Ahead { .. }))));
        assert!(crm.card(ana).unwrap().is_empty());
        assert_eq!(crm.story(ana).unwrap(), before);
    });
}

#[test]
fn attributes_are_as_they_were_declared() {
    on_each_store(|crm| {
        let ana = visit(&crm, "ana@example.com");
        let pet = AttributeName::new("pet").unwrap();
        let schema = CardSchema { attributes: [(pet.clone(), AttributeKind::Flag)].into() };
        assert!(crm.define(day(1), Definition::CardSchema(schema.clone())).unwrap());
        assert!(!crm.define(day(1), Definition::CardSchema(schema)).unwrap());
        let update = CardUpdate::new().attribute(pet.clone(), AttributeValue::Flag(true));
        crm.update_card(ana, update.clone(), &source("form"), day(2)).unwrap();
        // When it is declared no more, what is there stays, and may be taken back.
        crm.define(day(20), Definition::CardSchema(CardSchema::default())).unwrap();
        assert!(matches!(
            crm.update_card(ana, update, &source("form"), day(3)),
            Err(Error::Card(CardError::Undeclared { .. }))
        ));
        assert_eq!(crm.card(ana).unwrap().attribute(&pet), Some(&AttributeValue::Flag(true)));
        crm.update_card(ana, CardUpdate::new().without(Field::Attribute(pet.clone())), &source("form"), day(4))
            .unwrap();
        assert_eq!(crm.card(ana).unwrap().attribute(&pet), None);
        let wrong = CardSchema { attributes: [(pet, AttributeKind::OneOf(Vec::new()))].into() };
        assert!(matches!(crm.define(day(21), Definition::CardSchema(wrong)), Err(Error::Definition(_))));
    });
}

#[test]
fn completeness_follows_the_stage() {
    on_each_store(|crm| {
        let ana = visit(&crm, "ana@example.com");
        assert_eq!(crm.completeness(ana).unwrap().per_mille, 1_000, "nothing is wanted yet");
        let wanted = |want, weight, question: &str| Wanted { want, weight, question: Some(question.parse().unwrap()) };
        let prospect = vec![
            wanted(Want::Field(Field::Name), 1, "your name?"),
            wanted(Want::Contact(ContactKind::Email), 3, "your address?"),
        ];
        let purchase = vec![wanted(Want::Field(Field::Addresses), 1, "where to?")];
        let stages = [(Stage::Prospect, prospect), (Stage::Purchase, purchase)].into();
        crm.define(day(1), Definition::Completeness(CompletenessRules { stages })).unwrap();
        let at_first = crm.completeness(ana).unwrap();
        assert_eq!(at_first.per_mille, 0);
        assert_eq!(at_first.next_best_question().unwrap().question.as_ref().unwrap().as_str(), "your address?");
        crm.update_card(ana, CardUpdate::new().name(Name::full("Ana").unwrap()), &source("form"), day(2)).unwrap();
        assert_eq!(crm.completeness(ana).unwrap().per_mille, 250);
        let order = crm::OrderPlaced::new(crm::Money::parse("5.00", crm::Currency::EUR).unwrap());
        crm.record(Incoming::new(ana, day(3), source("shop"), order)).unwrap();
        assert_eq!(crm.completeness(ana).unwrap().missing[0].want, Want::Field(Field::Addresses));
    });
}

#[test]
fn parties_are_found_by_their_roles() {
    on_each_store(|crm| {
        let (ana, acme) = (visit(&crm, "ana@example.com"), visit(&crm, "office@acme.example"));
        let describe = |who, at, party| {
            crm.record(Incoming::new(who, day(at), source("erp"), PartyDescribed { party })).unwrap();
        };
        describe(acme, 2, Party::organisation().with_role(Role::Retailer).key_customer());
        describe(
            ana,
            2,
            Party::person().member_of(acme, Role::Buyer).unwrap().member_of(acme, Role::DecisionMaker).unwrap(),
        );
        assert_eq!(crm.in_role(Role::Retailer, None, None, 10).unwrap(), [acme]);
        assert_eq!(crm.in_role(Role::Buyer, Some(acme), None, 10).unwrap(), [ana]);
        assert!(crm.in_role(Role::Employee, Some(acme), None, 10).unwrap().is_empty());
        let party = crm.customer(acme).unwrap().unwrap();
        assert!(party.facts().party().unwrap().is_key_customer());
        // The newest says all of it, and an older one that comes late nothing.
        describe(ana, 5, Party::person());
        describe(ana, 4, Party::person().member_of(acme, Role::Buyer).unwrap());
        assert!(crm.in_role(Role::Buyer, Some(acme), None, 10).unwrap().is_empty());
        assert_eq!(crm.refresh().unwrap(), 0);
    });
}

#[test]
fn erasing_takes_the_card_its_history_and_its_tokens() {
    on_each_store(|crm| {
        let ana = visit(&crm, "ana@example.com");
        crm.update_card(ana, everything(), &source("form"), day(2)).unwrap();
        crm.update_card(ana, employer("Acme"), &source("form"), day(3)).unwrap();
        let query = SearchQuery::new("王小明").unwrap();
        assert_eq!(crm.search(&query, 10).unwrap()[0].customer, ana);
        let erased = crm.erase(ana).unwrap();
        assert_eq!(erased.fields, 13);
        assert!(erased.tokens > 10);
        assert!(crm.card(ana).unwrap().is_empty() && crm.card_history(ana).unwrap().is_empty());
        assert!(crm.search(&query, 10).unwrap().is_empty());
        let export = crm.export(ana).unwrap().unwrap();
        assert_eq!(export["search_tokens"], 0);
        assert!(!export.to_string().to_lowercase().contains("canary"));
    });
}

#[test]
fn many_cards_are_told_at_once_and_each_is_judged_by_itself() {
    on_each_store(|crm| {
        let (ana, ben) = (visit(&crm, "ana@example.com"), visit(&crm, "ben@example.com"));
        let nobody = CustomerId::new(Timestamp::MIN, [9; 10]);
        let told = |customer, update, at| CardTold { customer, update, source: source("import"), at: day(at) };
        let wrong = CardUpdate::new().set(Field::Name, CardValue::Line(line("x")));
        let batch = [
            told(ben, employer("Old"), 2),
            told(nobody, employer("x"), 2),
            told(ana, wrong, 2),
            told(ben, employer("New"), 4),
            told(ana, everything(), 3),
        ];
        let answers = crm.update_cards(&batch).unwrap();
        assert!(matches!(answers[1], Err(Error::NoCustomer { .. })));
        assert!(matches!(answers[2], Err(Error::Card(_))));
        assert!([0, 3, 4].into_iter().all(|n| answers[n].as_ref().unwrap().event.is_some()));
        let cards = crm.cards(&[ben, nobody, ana]).unwrap();
        assert_eq!((cards[0].employer(), cards[1].is_empty()), (Some("New"), true));
        assert_eq!(Card::join(&cards).employer(), Some("New"), "of one time and more the newest");
        assert_eq!(Card::join(&cards).name().unwrap().display(), "王小明");
        let again = crm.update_cards(&batch).unwrap();
        assert!([0, 3, 4].into_iter().all(|n| again[n].as_ref().unwrap().event.is_none()));
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever order tellings come in, the card and its history are the same.
    #[test]
    fn the_order_of_arrival_does_not_matter(told in proptest::collection::vec((1_u8..20, "[abc]", proptest::bool::ANY), 1..30), turn in any::<usize>()) {
        let tell = |told: &[(u8, String, bool)]| {
            let crm = Crm::from(crm::Crm::builder().clock(Arc::new(ManualClock::at(day(28)))).build());
            let ana = visit(&crm, "ana@example.com");
            for (at, text, taken_back) in told {
                let update = if *taken_back { CardUpdate::new().without(Field::Employer) } else { employer(text) };
                crm.update_card(ana, update, &source("form"), day(*at)).unwrap();
            }
            (crm.card(ana).unwrap(), crm.card_history(ana).unwrap())
        };
        let mut turned = told.clone();
        turned.rotate_left(turn % told.len());
        turned.reverse();
        prop_assert_eq!(tell(&told), tell(&turned));
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn nothing_of_a_card_can_be_read_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crm.db");
    let log = path.with_extension("db-wal");
    let store = crm::SqliteStore::open(&path).unwrap();
    let crm = Crm::from(crm::Crm::builder().clock(Arc::new(ManualClock::at(day(28)))).store(store).build());
    let ana = visit(&crm, "ana@example.com");
    crm.update_card(ana, everything(), &source("form"), day(2)).unwrap();
    crm.update_card(ana, employer("Canary Two"), &source("form"), day(3)).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend(std::fs::read(&log).unwrap_or_default());
    drop(crm);
    bytes.extend(std::fs::read(&path).unwrap());
    let lower: Vec<u8> = bytes.to_ascii_lowercase();
    let has = |text: &str| lower.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("card.employer"), "the names of the fields are there");
    for secret in ["canary", "小明", "王", "886912345678", "02-29", "taipei", "台北", "zh-hant"] {
        assert!(!has(secret), "{secret}");
    }
}

/// On each store there is without a server, at one time, twice: each id is the same in both.
fn on_two_of_each_store(test: impl Fn(&Crm, &Crm)) {
    let build = || crm::Crm::builder().clock(Arc::new(ManualClock::at(day(28)))).ids(crm::DerivedIds);
    let two = |one: crm::CrmBuilder, other: crm::CrmBuilder| test(&Crm::from(one.build()), &Crm::from(other.build()));
    two(build(), build());
    two(build().person_keys(Drawer::default()), build().person_keys(Drawer::default()));
    #[cfg(feature = "sqlite")]
    {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let on =
            |folder: &tempfile::TempDir| build().store(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap());
        two(on(&folders[0]), on(&folders[1]));
    }
}

/// Customers as they are before a shop's cards come in: two who were merged, one who was erased.
fn met_before(crm: &Crm) -> Vec<CustomerId> {
    let ids: Vec<CustomerId> = (0..6).map(|n| visit(crm, &format!("c{n}@example.com"))).collect();
    crm.merge(ids[3], ids[4], "one person".parse().unwrap()).unwrap();
    crm.erase(ids[5]).unwrap();
    ids
}

/// Updates of nearly every fate: new, again, twice for one customer, late, older, with a key, for one who was merged by
/// either id, for one who was erased, for nobody, and of a time that is yet to come.
fn cards_of_a_shop(ids: &[CustomerId]) -> Vec<CardTold> {
    let told = |n: usize, update, at| CardTold { customer: ids[n], update, source: source("old system"), at: day(at) };
    let named = |given: &str| CardUpdate::new().name(Name::new(given, "Silva").unwrap());
    let mut all = vec![
        told(0, everything(), 5),
        told(1, named("Berta"), 5),
        told(0, employer("Second"), 9),
        told(2, employer("Ahead"), 31),
        told(0, employer("Older"), 7),
        told(1, named("Berta"), 5),
        told(2, named("Carla").with_key("card 2".parse().unwrap()), 6),
        told(2, named("Clara").with_key("card 2".parse().unwrap()), 6),
        told(3, employer("Merged"), 6),
        told(4, named("Marta"), 6),
        told(5, named("Erased"), 6),
        told(1, employer("At one time"), 5),
        told(1, employer("At one time, too"), 5),
        told(4, employer("Merged, by the other"), 8),
    ];
    all.push(CardTold { customer: CustomerId::new(Timestamp::MIN, [9; 10]), ..all[0].clone() });
    // Before the visit, so that it comes late.
    all.push(CardTold { at: Timestamp::parse("2025-12-01").unwrap(), ..told(2, named("Carlotta"), 1) });
    all
}

#[test]
fn cards_that_are_imported_are_what_they_are_one_by_one() {
    for batch in [1, 3, 5, 1_000] {
        on_two_of_each_store(|bulk, single| {
            let ids = met_before(bulk);
            assert_eq!(met_before(single), ids);
            let told = cards_of_a_shop(&ids);
            let one_by_one: Vec<_> = told
                .iter()
                .map(|told| single.update_card(told.customer, told.update.clone(), &told.source, told.at))
                .collect();
            let mut seen = 0;
            let how = crm::Ingestion::live().with_batch(batch);
            let report = bulk.import_cards_with_progress(told.clone(), how, |report| seen = report.read).unwrap();
            let count = |is: &dyn Fn(&Result<crm::CardUpdated, Error>) -> bool| {
                one_by_one.iter().filter(|answer| is(answer)).count() as u64
            };
            assert_eq!((report.read, seen), (told.len() as u64, told.len() as u64));
            assert_eq!(report.updated, count(&|answer| answer.as_ref().is_ok_and(|answer| answer.event.is_some())));
            assert_eq!(report.known, count(&|answer| answer.as_ref().is_ok_and(|answer| answer.event.is_none())));
            let refused = |answers: &mut dyn Iterator<Item = (u64, &Error)>| -> Vec<(u64, String)> {
                answers.map(|(number, error)| (number, error.to_string())).collect()
            };
            let wrong =
                one_by_one.iter().enumerate().filter_map(|(n, answer)| Some((n as u64, answer.as_ref().err()?)));
            let told_of = report.refusals.iter().map(|(number, error)| (*number, error));
            assert_eq!(refused(&mut { told_of }), refused(&mut { wrong }));
            assert_eq!(report.refused.values().sum::<u64>(), report.refusals.len() as u64);
            for reason in ["card", "no_customer", "erased"] {
                assert_eq!(report.refused.get(reason), Some(&1), "{reason}");
            }
            for id in &ids {
                let [one, other] = [bulk, single].map(|crm| crm.customer(*id).unwrap().unwrap());
                assert_eq!(one.digest(), other.digest());
                assert_eq!(bulk.card(*id).unwrap(), single.card(*id).unwrap());
                assert_eq!(bulk.card_history(*id).unwrap(), single.card_history(*id).unwrap());
            }
            for text in
                ["小明", "Berta", "Silva", "Marta", "Carl", "canary@example.com", "345678", "CANARY-77", "Bertha"]
            {
                let query = SearchQuery::new(text).unwrap();
                let [one, other] = [bulk, single].map(|crm| crm.search(&query, 10).unwrap());
                assert_eq!(one, other, "{text}");
                assert!(!one.is_empty(), "{text}");
            }
            let again = bulk.import_cards(told.clone(), how).unwrap();
            assert_eq!((again.updated, again.known + report.refusals.len() as u64), (0, told.len() as u64));
        });
    }
}

#[test]
fn an_import_of_cards_tells_only_the_first_refusals_in_full() {
    let build = || crm::Crm::builder().clock(Arc::new(ManualClock::at(day(28)))).ids(crm::DerivedIds);
    let crm = Crm::from(build().lookup_key(crm::LookupKey::new(&[1; 32])).build());
    assert_eq!(crm.import_cards([], crm::Ingestion::history()).unwrap().read, 0, "nothing is nothing");
    let ids = met_before(&crm);
    let few = crm::Ingestion::history().telling_refusals(1);
    let report = crm.import_cards(cards_of_a_shop(&ids), few).unwrap();
    assert_eq!((report.refusals.len(), report.refused.values().sum::<u64>()), (1, 3));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// However many are taken in together, it is what one after the other comes to.
    #[test]
    fn the_size_of_a_batch_does_not_matter(
        told in proptest::collection::vec((0_usize..3, 1_u8..20, "[abc]", proptest::bool::ANY), 1..30),
        batch in 1_usize..12,
    ) {
        let shop = || Crm::from(crm::Crm::builder().clock(Arc::new(ManualClock::at(day(28)))).ids(crm::DerivedIds).build());
        let (bulk, single) = (shop(), shop());
        let ids: Vec<CustomerId> = (0..3).map(|n| visit(&bulk, &format!("c{n}@example.com"))).collect();
        for n in 0..3 {
            visit(&single, &format!("c{n}@example.com"));
        }
        let told: Vec<CardTold> = told
            .iter()
            .map(|(n, at, text, named)| {
                let update = if *named {
                    CardUpdate::new().name(Name::full(text).unwrap())
                } else {
                    employer(text)
                };
                CardTold { customer: ids[*n], update, source: source("old system"), at: day(*at) }
            })
            .collect();
        for told in &told {
            single.update_card(told.customer, told.update.clone(), &told.source, told.at).unwrap();
        }
        bulk.import_cards(told, crm::Ingestion::live().with_batch(batch)).unwrap();
        for id in ids {
            let [one, other] = [&bulk, &single].map(|crm| crm.customer(id).unwrap().unwrap().digest());
            prop_assert_eq!(one, other);
            prop_assert_eq!(bulk.card(id).unwrap(), single.card(id).unwrap());
            prop_assert_eq!(bulk.card_history(id).unwrap(), single.card_history(id).unwrap());
        }
    }
}
