//! Finding customers by what they are called, in values that are sealed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod drawer;

use crm::blocking::Crm;
use crm::{
    Asked, CardLine, CardUpdate, Channel, ContactPoint, CustomerId, Field, Identifier, Incoming, Matched, Name,
    SearchQuery, Source, TenantId, Timestamp, Visited,
};
use drawer::Drawer;

fn at(day: u8) -> Timestamp {
    Timestamp::parse(&format!("2026-01-{day:02}")).unwrap()
}

fn shop() -> Source {
    Source::new("shop").unwrap()
}

fn person(crm: &Crm, n: u32, update: CardUpdate) -> CustomerId {
    let visit = Visited { channel: Channel::Web, place: None };
    let who = Identifier::email(&format!("person{n}@example.com")).unwrap();
    let id = crm.record(Incoming::new(who, at(1), shop(), visit)).unwrap().customer;
    crm.update_card(id, update, &shop(), at(2)).unwrap();
    id
}

fn named(crm: &Crm, n: u32, given: &str, family: &str) -> CustomerId {
    person(crm, n, CardUpdate::new().name(Name::new(given, family).unwrap()))
}

fn search(crm: &Crm, text: &str) -> Vec<CustomerId> {
    let found = crm.search(&SearchQuery::new(text).unwrap(), 20).unwrap();
    assert!(found.is_sorted_by(|a, b| a.score >= b.score));
    found.into_iter().map(|found| found.customer).collect()
}

fn on_each_store(test: impl Fn(Crm)) {
    test(Crm::in_memory());
    test(Crm::from(crm::Crm::builder().person_keys(Drawer::default()).build()));
    #[cfg(feature = "sqlite")]
    {
        let folder = tempfile::tempdir().unwrap();
        test(Crm::from(
            crm::Crm::builder().store(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()).build(),
        ));
    }
}

#[test]
fn the_best_match_comes_first_and_says_why() {
    on_each_store(|crm| {
        let fragment = named(&crm, 1, "Amarta", "Silva");
        let prefix = named(&crm, 2, "Martamaria", "Costa");
        let exact = named(&crm, 3, "Marta", "Lopes");
        let other = named(&crm, 4, "Carla", "Sousa");
        assert_eq!(search(&crm, "marta"), [exact, prefix, fragment]);
        assert_eq!(search(&crm, "MARTA LOPES"), [exact]);
        assert_eq!(search(&crm, "Carls Sousa"), [other], "but for a letter");
        assert!(search(&crm, "zzz").is_empty());
        let found = crm.search(&SearchQuery::new("marta lopes").unwrap(), 1).unwrap();
        assert_eq!((found[0].score, found[0].matched.as_slice()), (1_000, &[(Asked::Name, Matched::Exact)][..]));
    });
}

#[test]
fn chinese_names_of_two_characters_are_found() {
    on_each_store(|crm| {
        let ming = person(&crm, 1, CardUpdate::new().name(Name::full("王明").unwrap()));
        let xiaoming = named(&crm, 2, "小明", "王");
        let li = named(&crm, 3, "明", "李");
        assert_eq!(search(&crm, "王明"), [ming]);
        assert_eq!(search(&crm, "王小明"), [xiaoming]);
        assert_eq!(search(&crm, "小明"), [xiaoming]);
        assert_eq!(search(&crm, "王"), [xiaoming, ming], "the family name by itself is a word of the one");
        assert_eq!(search(&crm, "李明"), [li]);
    });
}

#[test]
fn addresses_numbers_and_cards_are_found_by_their_parts() {
    on_each_store(|crm| {
        let points =
            |mail: &str, phone: &str| vec![ContactPoint::email(mail).unwrap(), ContactPoint::phone(phone).unwrap()];
        let number = |number: &str| vec![CardLine::new(number).unwrap()];
        let one = CardUpdate::new().contact_points(points("ana.lopes@one.example", "+351 912 345 678"));
        let ana = person(&crm, 1, one.member_numbers(number("M-1001-22")));
        let two = CardUpdate::new().contact_points(points("ben@two.example", "+351 912 999 678"));
        let ben = person(&crm, 2, two.member_numbers(number("M-1002-22")));
        for (query, expected) in [
            ("ana.lopes@one.example", vec![ana]),
            ("Ana.Lopes", vec![ana]),
            ("@two.example", vec![ben]),
            ("345 678", vec![ana]),
            ("0912 9996", vec![ben]),
            ("351912", vec![ana, ben]),
            ("m1001", vec![ana]),
            ("M-1002-22", vec![ben]),
            ("55555", vec![]),
        ] {
            let (mut found, mut expected) = (search(&crm, query), expected);
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{query}");
        }
        let only = SearchQuery::new("1001").unwrap().only(&[Asked::Phone]);
        assert!(crm.search(&only, 10).unwrap().is_empty(), "asked for telephones alone");
    });
}

#[test]
fn whoever_is_called_otherwise_is_found_otherwise() {
    on_each_store(|crm| {
        let ana = named(&crm, 1, "Ana", "Lopes");
        crm.update_card(ana, CardUpdate::new().name(Name::new("Ana", "Silva").unwrap()), &shop(), at(5)).unwrap();
        assert!(search(&crm, "lopes").is_empty());
        assert_eq!(search(&crm, "silva"), [ana]);
        // What is told late, and what is not searched by, leaves it.
        crm.update_card(ana, CardUpdate::new().name(Name::new("Ana", "Costa").unwrap()), &shop(), at(3)).unwrap();
        crm.update_card(ana, CardUpdate::new().employer(CardLine::new("Acme").unwrap()), &shop(), at(6)).unwrap();
        crm.keep_personal(ana, &[("note".parse().unwrap(), Some("raw"))]).unwrap();
        assert!(search(&crm, "costa").is_empty() && search(&crm, "acme").is_empty());
        assert_eq!(search(&crm, "ana silva"), [ana]);
        crm.update_card(ana, CardUpdate::new().without(Field::Name), &shop(), at(7)).unwrap();
        assert!(search(&crm, "silva").is_empty());
    });
}

#[test]
fn tenants_and_other_keys_find_nothing() {
    on_each_store(|crm| {
        named(&crm, 1, "Ana", "Lopes");
        let other = crm.tenant(TenantId::new("other").unwrap());
        assert!(search(&other, "ana").is_empty());
    });
}

#[cfg(feature = "sqlite")]
#[test]
fn a_store_made_with_another_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = |secret: u8| {
        let store = crm::SqliteStore::open(folder.path().join("crm.db")).unwrap();
        Crm::from(crm::Crm::builder().store(store).lookup_key(crm::LookupKey::new(&[secret; 32])).build())
    };
    named(&open(1), 1, "Ana", "Lopes");
    let query = SearchQuery::new("ana").unwrap();
    assert!(matches!(open(2).search(&query, 10), Err(crm::Error::LookupKey)));
    assert_eq!(open(1).search(&query, 10).unwrap().len(), 1);
}

#[test]
fn one_whose_key_is_gone_does_not_hide_the_others() {
    let drawer = Drawer::default();
    let crm = Crm::from(crm::Crm::builder().person_keys(drawer.clone()).build());
    let (ana, ben) = (named(&crm, 1, "Ana", "Lopes"), named(&crm, 2, "Ben", "Lopes"));
    drawer.0.lock().unwrap().remove(&(TenantId::default(), ana));
    assert_eq!(search(&crm, "lopes"), [ben]);
    assert!(crm.card(ana).is_err());
}
