//! vCards in and out.
#![cfg(feature = "vcard")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;

use crm::blocking::Crm;
use crm::vcard::{self, VcardError};
use crm::{
    Address, Birthday, Card, CardLine, CardUpdate, ContactKind, ContactPoint, Country, Error, Identifier, Language,
    Name, PartyKind, Place, Preference, SearchQuery, Source, TimeZone, Timestamp,
};
use proptest::prelude::*;

fn at() -> Timestamp {
    Timestamp::parse("2026-01-05").unwrap()
}

fn card(update: CardUpdate) -> Card {
    Card::new(update.check(at(), &Source::new("vcard").unwrap(), None).unwrap())
}

fn there_and_back(card_before: &Card) -> Card {
    let text = vcard::write(card_before, PartyKind::Person);
    let mut read = vcard::read(&text).unwrap();
    assert_eq!((read.len(), read[0].skipped.as_slice()), (1, &[][..]), "{text}");
    card(read.remove(0).update)
}

fn line(text: &str) -> CardLine {
    CardLine::new(text).unwrap()
}

#[test]
fn a_card_survives_being_a_vcard() {
    let name = Name::new("Miles", "O'Brien; Esq, \\ Sr").unwrap().written("Chief O'Brien, Miles").unwrap();
    let before = card(
        CardUpdate::new()
            .name(name.with_titles("Chief", "Edward", "Jr.").unwrap())
            .employer(line("Deep Space; Nine, Ltd"))
            .position(line("操作主任"))
            .birthday(Birthday::parse("--02-29").unwrap())
            .language(Language::new("en-IE").unwrap())
            .time_zone(TimeZone::new("Europe/Dublin").unwrap())
            .addresses(vec![
                Address::new(
                    &["1, Promenade; upper", "Flat 2"],
                    "Bajor",
                    "Cork",
                    "T12",
                    Some(Country::new("IE").unwrap()),
                )
                .unwrap()
                .at(Place::Home)
                .preferred(Preference::FIRST),
                Address::new(&[], "台北", "", "", None).unwrap(),
            ])
            .contact_points(vec![
                ContactPoint::email("Miles@example.com")
                    .unwrap()
                    .at(Place::Work)
                    .preferred(Preference::new(2).unwrap()),
                ContactPoint::new(ContactKind::Mobile, "+353861234567").unwrap().preferred(Preference::FIRST),
                ContactPoint::new(ContactKind::Fax, "+35312345678").unwrap(),
                ContactPoint::phone("0123456").unwrap(),
                ContactPoint::new(ContactKind::Messaging, "xmpp:miles@example.com").unwrap(),
                ContactPoint::new(ContactKind::Web, "https://example.com/a;b,c?d=e").unwrap(),
            ])
            .keywords(vec![line("engineer, chief"), line("darts; pub")])
            .interests(vec![line("kayaking"), line("ポートレート")]),
    );
    assert_eq!(there_and_back(&before), before);
    let text = vcard::write(&before, PartyKind::Organisation);
    assert!(text.starts_with("BEGIN:VCARD\r\nVERSION:4.0\r\nKIND:ORG\r\n"), "{text}");
    assert!(text.ends_with("END:VCARD\r\n"));
    assert!(text.lines().all(|line| line.len() <= 75), "folded at 75 bytes");
    assert_eq!(vcard::read(&text).unwrap()[0].kind, PartyKind::Organisation);
}

fn words() -> impl Strategy<Value = String> {
    "[a-zA-Z王明é,;:\\\\\"'=^ ]{1,90}".prop_filter("not blank", |text| !text.trim().is_empty())
}

proptest! {
    /// Every text survives folding and escaping; several spaces within a keyword become one.
    #[test]
    fn every_text_survives(given in words(), family in words(), employer in words(), street in words(), keys in proptest::collection::vec(words(), 1..4)) {
        let Ok(name) = Name::new(&given, &family) else { return Ok(()) };
        let Ok(address) = Address::new(&[&street], &family, "", "", None) else { return Ok(()) };
        let (Ok(employer), Ok(keys)) =
            (CardLine::new(employer), keys.iter().map(|key| CardLine::new(key.split_whitespace().collect::<Vec<_>>().join(" "))).collect::<Result<Vec<_>, _>>()) else { return Ok(()) };
        let before = card(CardUpdate::new().name(name).employer(employer).addresses(vec![address]).keywords(keys));
        prop_assert_eq!(there_and_back(&before), before);
    }

    /// No text hurts.
    #[test]
    fn no_text_hurts(lines in proptest::collection::vec("(BEGIN:VCARD|END:VCARD|VERSION:[234].[01]|N:[a-z;,\\\\]{0,9}|FN[;:=]\\PC{0,9}|BDAY:[-0-9T]{0,9}|TEL;TYPE=\"[a-z,]{0,5}:[0-9+]{0,9}|ADR:;;;,,;|PHOTO;ENCODING=b:[A-Z=]{0,9}| [a-z]{0,4}|\\PC{0,12})", 0..20)) {
        if let Ok(read) = vcard::read(&lines.join("\r\n")) {
            prop_assert!(read.len() <= lines.len());
        }
    }
}

const FILE: &str = "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Ana Lopes\r\nN:Lopes;Ana;;;\r\nEMAIL;PREF=1:ana@example.com\r\n\
    NOTE:Canary note\r\nTEL:call me Canary\r\nBDAY:20261332\r\nEND:VCARD\r\n\
    \r\n\
    BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Jos\u{e9}\r\nTEL;TYPE=CELL,PREF:+351 912 345 678\r\n\
    ADR;TYPE=HOME:;;Rua Nova 1;Po\r\n rto;;4000;Portugal\r\nBDAY:1990-02-28\r\nEND:VCARD\r\n\
    BEGIN:VCARD\nVERSION:2.1\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=E7=8E=8B;=E5=B0=8F=E6=98=8E\nUID:urn:1\nEND:VCARD\n\
    BEGIN:VCARD\r\nVERSION:4.0\r\nKIND:org\r\nFN:Nobody\r\nEND:VCARD\r\n";

#[test]
fn a_file_of_several_is_taken_in_one_by_one() {
    let crm = Crm::in_memory();
    let source = Source::new("address book").unwrap();
    let imported = crm.import_vcards(FILE, &source, at()).unwrap();
    assert_eq!(imported.len(), 4);
    let skipped: Vec<_> = imported[0].skipped.iter().map(|(name, _)| *name).collect();
    assert_eq!(skipped, ["TEL", "BDAY"]);
    assert!(!format!("{imported:?}").contains("Canary"));
    let ana = imported[0].updated.as_ref().unwrap().customer;
    assert_eq!(crm.customer(Identifier::email("ana@example.com").unwrap()).unwrap().unwrap().id(), ana);
    let jose = imported[1].updated.as_ref().unwrap().customer;
    let card = crm.card(jose).unwrap();
    assert_eq!(card.birthday(), Some(Birthday::parse("1990-02-28").unwrap()));
    assert!(imported[1].skipped.iter().any(|(name, _)| *name == "ADR"), "a country by its name");
    let point = &card.contact_points()[0];
    assert_eq!(
        (point.kind(), point.value(), point.preference()),
        (ContactKind::Mobile, "+351912345678", Some(Preference::FIRST))
    );
    let wang = imported[2].updated.as_ref().unwrap().customer;
    assert_eq!(crm.search(&SearchQuery::new("王小明").unwrap(), 5).unwrap()[0].customer, wang);
    assert!(matches!(imported[3].updated, Err(Error::Card(_))), "nothing that somebody is known by");

    let again = crm.import_vcards(FILE, &source, at()).unwrap();
    assert!(again[..3].iter().all(|one| one.updated.as_ref().unwrap().event.is_none()));
    assert!(crm.vcard(ana).unwrap().contains("EMAIL;PREF=1:ana@example.com\r\n"));
}

#[test]
fn an_organisation_is_described_as_one() {
    let crm = Crm::in_memory();
    let text = "BEGIN:VCARD\r\nVERSION:4.0\r\nKIND:org\r\nFN:Acme\r\nEMAIL:office@acme.example\r\nEND:VCARD\r\n";
    let imported = crm.import_vcards(text, &Source::new("erp").unwrap(), at()).unwrap();
    let acme = imported[0].updated.as_ref().unwrap().customer;
    let party = crm.customer(acme).unwrap().unwrap().facts().party().unwrap().clone();
    assert_eq!(party.kind(), PartyKind::Organisation);
    assert!(crm.vcard(acme).unwrap().contains("KIND:ORG\r\n"));
}

#[test]
fn what_is_no_vcard_is_refused_before_anything_is_taken_in() {
    let crm = Crm::in_memory();
    let source = Source::new("address book").unwrap();
    let good = "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Ana\r\nEMAIL:ana@example.com\r\nEND:VCARD\r\n";
    let bad = [
        format!("{good}BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Canary\r\n"),
        format!("{good}BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n"),
        format!("{good}canary\r\n"),
        "BEGIN:VCARD\r\n".repeat(50_000),
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n".repeat(40_000),
        "A\n".repeat(100_001),
        "x".repeat(vcard::TEXT_BYTES_MAX + 1),
    ];
    for text in &bad {
        let error = crm.import_vcards(text, &source, at()).unwrap_err();
        assert!(matches!(error, Error::Vcard(VcardError::NoVcard { .. } | VcardError::TooLarge { .. })), "{error:?}");
        assert!(!format!("{error} {error:?}").to_lowercase().contains("canary"));
    }
    assert_eq!(crm.overview().unwrap().customers, 0);
    assert!(vcard::read("").unwrap().is_empty());
    assert!(vcard::read("\u{feff}BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Ana\r\nEND:VCARD").unwrap().len() == 1);
}

#[test]
fn what_is_beyond_a_limit_is_skipped_and_told() {
    let many: String = (0..40).map(|n| format!("EMAIL:a{n}@example.com\r\n")).collect();
    let long = "x".repeat(100_000);
    let text = format!(
        "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:{long}\r\nN:a\\nb;c;;;\r\n{many}CATEGORIES:{}\r\nPHOTO:data:image/png;base64,{long}\r\nEND:VCARD\r\n",
        "k,".repeat(70)
    );
    let read = vcard::read(&text).unwrap().remove(0);
    let told: BTreeMap<&str, usize> = read.skipped.iter().fold(BTreeMap::new(), |mut told, (name, _)| {
        *told.entry(*name).or_default() += 1;
        told
    });
    assert_eq!(told, BTreeMap::from([("N", 1), ("EMAIL", 8), ("CATEGORIES", 1)]));
    assert!(read.update.fields().count() > 0);
}
