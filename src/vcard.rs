//! Cards as vCards: version 4.0 (RFC 6350, with interests by RFC 6715 and country codes by RFC 8605) out, versions
//! 2.1 to 4.0 in.
//!
//! | card | vCard |
//! |---|---|
//! | name | `N` and `FN` |
//! | contact points | `EMAIL`, `TEL`, `IMPP`, `URL`, with `PREF` and `TYPE` |
//! | addresses | `ADR`, with `PREF`, `TYPE` and `CC` |
//! | employer, position | `ORG` (its first part), `TITLE` |
//! | birthday | `BDAY` |
//! | language, time zone | `LANG`, `TZ` |
//! | keywords, interests | `CATEGORIES`, `INTEREST` |
//!
//! The parser makes one space of several within a keyword.
//!
//! What else a vCard has is passed over, and what else a card has is not written: member numbers, preferences,
//! the customer's own keywords and free attributes have no place in a vCard, and neither have sources and times.

use calcard::common::{IanaString as _, PartialDateTime};
use calcard::vcard::{
    VCard, VCardEntry, VCardKind, VCardParameter, VCardParameterName, VCardParameterValue, VCardProperty, VCardType,
    VCardValue, VCardVersion,
};
use calcard::{Entry, Parser};
use crm_core::identity::{ExternalSystem, Identifier};
use crm_core::profile::{
    Address, Birthday, Card, CardError, CardLine, CardUpdate, CardValue, ContactKind, ContactPoint, Country, Language,
    Name, Party, PartyDescribed, PartyKind, Place, Preference, TimeZone,
};
use crm_core::{CustomerId, FactKey, Source, Timestamp};

use crate::engine::{CardUpdated, Crm};
use crate::error::Error;
use crate::incoming::Incoming;

/// The longest text that is read, in bytes.
pub const TEXT_BYTES_MAX: usize = 4 << 20;
/// The most lines that are read.
pub const LINES_MAX: usize = 100_000;

/// Why a text was not read as vCards.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VcardError {
    /// Too large.
    #[error("a text of vCards with {count} {what}, more than {max}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// Something that is no vCard, or one that does not end.
    #[error("entry {at} is no whole vCard")]
    NoVcard {
        /// Which, counted from 1.
        at: usize,
    },
}

/// One vCard, as it was read. Printing it shows no value.
#[derive(Debug, Clone, PartialEq)]
pub struct VcardRead {
    /// What it says.
    pub update: CardUpdate,
    /// Whether it is of a person or of an organisation.
    pub kind: PartyKind,
    /// Its own name for itself (`UID`).
    pub uid: Option<CardLine>,
    /// What it has that no card can have: the property, and why.
    pub skipped: Vec<(&'static str, CardError)>,
    emails: Vec<CardLine>,
    phones: Vec<CardLine>,
}

/// What became of one vCard of an import.
#[derive(Debug)]
pub struct VcardImported {
    /// Of whom it is, and what it changed. `Card(Empty)` for one that names nothing by which somebody is known.
    pub updated: Result<CardUpdated, Error>,
    /// What was passed over, and why.
    pub skipped: Vec<(&'static str, CardError)>,
}

/// Reads vCards, at most [`TEXT_BYTES_MAX`] bytes and [`LINES_MAX`] lines of them. A property that no card can have
/// is skipped and told; the rest of its vCard is read.
///
/// # Errors
///
/// `VcardError` if the text is too large, or anything in it is no whole vCard.
pub fn read(text: &str) -> Result<Vec<VcardRead>, VcardError> {
    let within = |what, count, max| {
        if count <= max { Ok(()) } else { Err(VcardError::TooLarge { what, count, max }) }
    };
    within("bytes", text.len(), TEXT_BYTES_MAX)?;
    within("lines", text.bytes().filter(|byte| *byte == b'\n').count(), LINES_MAX)?;
    let mut parser = Parser::new(text).strict();
    let mut cards = Vec::new();
    loop {
        match parser.entry() {
            Entry::Eof => return Ok(cards),
            Entry::VCard(card) => cards.push(read_one(card)),
            // A blank line between two vCards, or at the end.
            Entry::InvalidLine(line) if line.trim().is_empty() => {}
            Entry::ICalendar(_)
            | Entry::InvalidLine(_)
            | Entry::UnexpectedComponentEnd { .. }
            | Entry::UnterminatedComponent(_)
            | Entry::TooManyComponents
            | _ => return Err(VcardError::NoVcard { at: cards.len() + 1 }),
        }
    }
}

/// The properties that are read.
static PROPERTIES: [(VCardProperty, &str); 16] = [
    (VCardProperty::Fn, "FN"),
    (VCardProperty::N, "N"),
    (VCardProperty::Email, "EMAIL"),
    (VCardProperty::Tel, "TEL"),
    (VCardProperty::Impp, "IMPP"),
    (VCardProperty::Url, "URL"),
    (VCardProperty::Adr, "ADR"),
    (VCardProperty::Org, "ORG"),
    (VCardProperty::Title, "TITLE"),
    (VCardProperty::Bday, "BDAY"),
    (VCardProperty::Lang, "LANG"),
    (VCardProperty::Tz, "TZ"),
    (VCardProperty::Categories, "CATEGORIES"),
    (VCardProperty::Interest, "INTEREST"),
    (VCardProperty::Uid, "UID"),
    (VCardProperty::Kind, "KIND"),
];

fn read_one(card: VCard) -> VcardRead {
    let mut read = Reading::default();
    for entry in card.entries {
        let Some((_, name)) = PROPERTIES.iter().find(|(property, _)| *property == entry.name) else { continue };
        if let Err(problem) = read.take(name, &entry)
            && read.skipped.len() < SKIPPED_MAX
        {
            read.skipped.push((name, problem));
        }
    }
    read.finish()
}

/// How many skipped properties of one vCard are told.
const SKIPPED_MAX: usize = 100;

/// A vCard while it is read.
#[derive(Default)]
struct Reading {
    full: Option<String>,
    parts: Vec<String>,
    points: Vec<ContactPoint>,
    addresses: Vec<Address>,
    employer: Option<CardLine>,
    position: Option<CardLine>,
    birthday: Option<Birthday>,
    languages: Vec<(u8, Language)>,
    zone: Option<TimeZone>,
    keywords: Vec<CardLine>,
    interests: Vec<CardLine>,
    uid: Option<CardLine>,
    kind: PartyKind,
    skipped: Vec<(&'static str, CardError)>,
}

impl Reading {
    fn take(&mut self, name: &str, entry: &VCardEntry) -> Result<(), CardError> {
        let text = || first_text(entry);
        match name {
            // Of several the first counts; others are the same in other languages.
            "FN" if self.full.is_none() => self.full = Some(text()),
            "N" if self.parts.is_empty() => {
                self.parts = entry.values.iter().take(5).map(|value| whole_text(value, " ")).collect();
            }
            "EMAIL" | "TEL" | "IMPP" | "URL" => {
                room("contact points", self.points.len(), CardValue::CONTACT_POINTS_MAX)?;
                self.points.push(contact_point(name, entry)?);
            }
            "ADR" => {
                room("addresses", self.addresses.len(), CardValue::ADDRESSES_MAX)?;
                self.addresses.push(address(entry)?);
            }
            "ORG" if self.employer.is_none() => self.employer = Some(CardLine::new(text())?),
            "TITLE" if self.position.is_none() => self.position = Some(CardLine::new(text())?),
            "BDAY" if self.birthday.is_none() => self.birthday = Some(birthday(entry)?),
            "LANG" => {
                room("languages", self.languages.len(), CardValue::LINES_MAX)?;
                let rank = preference(entry).map_or(u8::MAX, Preference::get);
                self.languages.push((rank, Language::new(&text())?));
            }
            "TZ" if self.zone.is_none() => self.zone = Some(TimeZone::new(&text())?),
            "CATEGORIES" => {
                for value in &entry.values {
                    room("keywords", self.keywords.len(), CardValue::LINES_MAX)?;
                    self.keywords.push(CardLine::new(whole_text(value, ","))?);
                }
            }
            "INTEREST" => {
                room("interests", self.interests.len(), CardValue::LINES_MAX)?;
                self.interests.push(CardLine::new(text())?);
            }
            "UID" => self.uid = Some(CardLine::new(text())?),
            "KIND" => {
                if let Some(VCardValue::Kind(VCardKind::Org)) = entry.values.first() {
                    self.kind = PartyKind::Organisation;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(mut self) -> VcardRead {
        let mut update = CardUpdate::new();
        match self.name() {
            Ok(Some(name)) => update = update.name(name),
            Ok(None) => {}
            Err(problem) => self.skipped.push(("N", problem)),
        }
        let of_kind = |is: fn(ContactKind) -> bool| {
            let mut points: Vec<&ContactPoint> = self.points.iter().filter(|point| is(point.kind())).collect();
            points.sort();
            points.iter().filter_map(|point| CardLine::new(point.value()).ok()).collect()
        };
        let emails = of_kind(|kind| kind == ContactKind::Email);
        let phones = of_kind(ContactKind::is_phone);
        if !self.points.is_empty() {
            update = update.contact_points(self.points);
        }
        if !self.addresses.is_empty() {
            update = update.addresses(self.addresses);
        }
        if !self.keywords.is_empty() {
            update = update.keywords(self.keywords);
        }
        if !self.interests.is_empty() {
            update = update.interests(self.interests);
        }
        if let Some(employer) = self.employer {
            update = update.employer(employer);
        }
        if let Some(position) = self.position {
            update = update.position(position);
        }
        if let Some(birthday) = self.birthday {
            update = update.birthday(birthday);
        }
        if let Some((_, language)) = self.languages.into_iter().min_by_key(|(rank, _)| *rank) {
            update = update.language(language);
        }
        if let Some(zone) = self.zone {
            update = update.time_zone(zone);
        }
        VcardRead { update, kind: self.kind, uid: self.uid, skipped: self.skipped, emails, phones }
    }

    /// The full name is kept if it says more than the parts do.
    fn name(&self) -> Result<Option<Name>, CardError> {
        let part = |at: usize| self.parts.get(at).map(String::as_str).filter(|part| !part.trim().is_empty());
        let full = self.full.as_deref().filter(|full| !full.trim().is_empty());
        if part(0).is_none() && part(1).is_none() {
            return full.map(Name::full).transpose();
        }
        let titles = |at| part(at).unwrap_or_default();
        let name = Name::from_parts(None, part(1), part(0))?.with_titles(titles(3), titles(2), titles(4))?;
        match full {
            Some(full) if CardLine::new(full)?.as_str() != name.display() => name.written(full).map(Some),
            Some(_) | None => Ok(Some(name)),
        }
    }
}

/// Whether a list has room for one more.
fn room(what: &'static str, count: usize, max: usize) -> Result<(), CardError> {
    if count < max { Ok(()) } else { Err(CardError::TooMany { what, count: count + 1, max }) }
}

fn whole_text(value: &VCardValue, between: &str) -> String {
    match value {
        VCardValue::Text(text) => text.clone(),
        VCardValue::Component(parts) => parts.join(between),
        VCardValue::Integer(_)
        | VCardValue::Float(_)
        | VCardValue::Boolean(_)
        | VCardValue::PartialDateTime(_)
        | VCardValue::Binary(_)
        | VCardValue::Sex(_)
        | VCardValue::GramGender(_)
        | VCardValue::Kind(_) => String::new(),
    }
}

fn first_text(entry: &VCardEntry) -> String {
    entry.values.first().map(|value| whole_text(value, ",")).unwrap_or_default()
}

fn has_type(entry: &VCardEntry, wanted: VCardType) -> bool {
    let name = |value: &VCardParameterValue| {
        if let VCardParameterValue::Text(text) = value {
            return text.split(',').any(|text| text.eq_ignore_ascii_case(wanted.as_str()));
        }
        *value == VCardParameterValue::Type(wanted.clone())
    };
    entry.params.iter().any(|param| param.name == VCardParameterName::Type && name(&param.value))
}

fn place(entry: &VCardEntry) -> Option<Place> {
    if has_type(entry, VCardType::Work) {
        Some(Place::Work)
    } else {
        has_type(entry, VCardType::Home).then_some(Place::Home)
    }
}

/// Versions before 4.0 have a type in its place.
fn preference(entry: &VCardEntry) -> Option<Preference> {
    entry.params.iter().find_map(|param| match (&param.name, &param.value) {
        (VCardParameterName::Pref, VCardParameterValue::Integer(rank)) => {
            u8::try_from(*rank).ok().and_then(|rank| Preference::new(rank).ok())
        }
        (VCardParameterName::Type, VCardParameterValue::Text(text)) if text.eq_ignore_ascii_case("pref") => {
            Some(Preference::FIRST)
        }
        _ => None,
    })
}

fn contact_point(name: &str, entry: &VCardEntry) -> Result<ContactPoint, CardError> {
    let text = first_text(entry);
    let mut point = match name {
        "EMAIL" => ContactPoint::email(text.strip_prefix("mailto:").unwrap_or(&text))?,
        "TEL" => {
            let kind = if has_type(entry, VCardType::Fax) {
                ContactKind::Fax
            } else if has_type(entry, VCardType::Cell) {
                ContactKind::Mobile
            } else {
                ContactKind::Phone
            };
            // Of a URI (RFC 3966); an extension would be lost, and is refused as it stands.
            ContactPoint::new(kind, text.strip_prefix("tel:").unwrap_or(&text))?
        }
        "IMPP" => ContactPoint::new(ContactKind::Messaging, &text)?,
        _ => ContactPoint::new(ContactKind::Web, &text)?,
    };
    if let Some(place) = place(entry) {
        point = point.at(place);
    }
    Ok(preference(entry).map_or(point.clone(), |rank| point.preferred(rank)))
}

fn address(entry: &VCardEntry) -> Result<Address, CardError> {
    let part = |at: usize| entry.values.get(at).map(|value| whole_text(value, ", ")).unwrap_or_default();
    let list = |at: usize| match entry.values.get(at) {
        Some(VCardValue::Component(parts)) => parts.clone(),
        Some(value) => vec![whole_text(value, "")],
        None => Vec::new(),
    };
    // Post office box and flat come first; RFC 6350 wants them empty.
    let lines: Vec<String> = [list(0), list(1), list(2)].concat();
    let lines: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !line.trim().is_empty()).collect();
    let code = entry.params.iter().find_map(|param| match (&param.name, &param.value) {
        (VCardParameterName::Cc, VCardParameterValue::Text(code)) => Some(code.clone()),
        _ => None,
    });
    let country = code.unwrap_or_else(|| part(6));
    let country = if country.trim().is_empty() { None } else { Some(Country::new(&country)?) };
    let mut address = Address::new(&lines, &part(3), &part(4), &part(5), country)?;
    if let Some(place) = place(entry) {
        address = address.at(place);
    }
    Ok(preference(entry).map_or(address.clone(), |rank| address.preferred(rank)))
}

fn birthday(entry: &VCardEntry) -> Result<Birthday, CardError> {
    match entry.values.first() {
        Some(VCardValue::PartialDateTime(PartialDateTime { year, month: Some(month), day: Some(day), .. })) => {
            Birthday::new(*year, *month, *day)
        }
        _ => Birthday::parse(&first_text(entry)),
    }
}

/// Writes a card as a vCard of version 4.0. Lines are folded at 75 bytes and end with CR LF.
#[must_use]
pub fn write(card: &Card, kind: PartyKind) -> String {
    let mut entries = Vec::new();
    let mut put = |name: VCardProperty, values: Vec<VCardValue>, params: Vec<VCardParameter>| {
        entries.push(VCardEntry { group: None, name, params, values });
    };
    let text = |text: &str| VCardValue::Text(text.to_owned());
    if kind == PartyKind::Organisation {
        put(VCardProperty::Kind, vec![VCardValue::Kind(VCardKind::Org)], Vec::new());
    }
    // A vCard has to have a full name; somebody without one is called by what else is known.
    let name = card.name();
    let full = name.map(Name::display);
    let full = full.as_deref().or(card.employer()).or(card.contact_points().first().map(ContactPoint::value));
    put(VCardProperty::Fn, vec![text(full.unwrap_or_default())], Vec::new());
    if let Some(name) = name.filter(|name| name.given().or(name.family()).is_some()) {
        let parts = [name.family(), name.given(), name.additional(), name.prefix(), name.suffix()];
        put(VCardProperty::N, parts.map(|part| text(part.unwrap_or_default())).to_vec(), Vec::new());
    }
    for point in card.contact_points() {
        let (property, kind) = match point.kind() {
            ContactKind::Email => (VCardProperty::Email, None),
            ContactKind::Phone => (VCardProperty::Tel, None),
            ContactKind::Mobile => (VCardProperty::Tel, Some(VCardType::Cell)),
            ContactKind::Fax => (VCardProperty::Tel, Some(VCardType::Fax)),
            ContactKind::Messaging => (VCardProperty::Impp, None),
            ContactKind::Web => (VCardProperty::Url, None),
        };
        put(property, vec![text(point.value())], params(kind, point.place(), point.preference()));
    }
    for address in card.addresses() {
        let street = VCardValue::Component(address.lines().map(str::to_owned).collect());
        let country = address.country().map(Country::as_str);
        let rest = [address.locality(), address.region(), address.postal_code(), country];
        let values = [text(""), text(""), street].into_iter().chain(rest.map(|part| text(part.unwrap_or_default())));
        let mut params = params(None, address.place(), address.preference());
        if let Some(country) = country {
            params.push(VCardParameter::cc(country.to_owned()));
        }
        put(VCardProperty::Adr, values.collect(), params);
    }
    if let Some(employer) = card.employer() {
        put(VCardProperty::Org, vec![text(employer)], Vec::new());
    }
    if let Some(position) = card.position() {
        put(VCardProperty::Title, vec![text(position)], Vec::new());
    }
    if let Some(born) = card.birthday() {
        let date = PartialDateTime {
            year: born.year(),
            month: Some(born.month()),
            day: Some(born.day()),
            ..PartialDateTime::default()
        };
        put(VCardProperty::Bday, vec![VCardValue::PartialDateTime(date)], Vec::new());
    }
    if let Some(language) = card.language() {
        put(VCardProperty::Lang, vec![text(language.as_str())], Vec::new());
    }
    if let Some(zone) = card.time_zone() {
        put(VCardProperty::Tz, vec![text(zone.as_str())], Vec::new());
    }
    if !card.keywords().is_empty() {
        put(VCardProperty::Categories, card.keywords().iter().map(|word| text(word.as_str())).collect(), Vec::new());
    }
    for interest in card.interests() {
        put(VCardProperty::Interest, vec![text(interest.as_str())], Vec::new());
    }
    let mut written = String::new();
    // Writing to a string cannot fail.
    match (VCard { entries }).write_to(&mut written, VCardVersion::V4_0) {
        Ok(()) => written,
        Err(std::fmt::Error) => String::new(),
    }
}

fn params(kind: Option<VCardType>, place: Option<Place>, preference: Option<Preference>) -> Vec<VCardParameter> {
    let place = place.map(|place| match place {
        Place::Home => VCardType::Home,
        Place::Work => VCardType::Work,
    });
    let types = kind.into_iter().chain(place).map(VCardParameter::typ);
    types.chain(preference.map(|rank| VCardParameter::pref(u32::from(rank.get())))).collect()
}

impl Crm {
    /// Takes in vCards, each as what a source tells about somebody's card at one time. They are whoever has the
    /// preferred e-mail address of the vCard, else its preferred telephone with a country, else whoever is known by
    /// its `UID` in the system `vcard`; somebody new if nobody is. An organisation that is new is described as one.
    /// What a vCard does not have stays as it is. The same text at the same time again changes nothing.
    ///
    /// # Errors
    ///
    /// `Vcard` if the text is not read at all, `Storage` if the store failed. Those of single vCards are in the
    /// answers, which come in order.
    pub async fn import_vcards(&self, text: &str, source: &Source, at: Timestamp) -> Result<Vec<VcardImported>, Error> {
        let mut imported = Vec::new();
        for VcardRead { update, kind, uid, skipped, emails, phones } in read(text)? {
            let known_by = known_by(&emails, &phones, uid.as_ref());
            let updated = match known_by {
                Some(identifier) => self.import_one(identifier, update, kind, source, at).await,
                None => Err(CardError::Empty { what: "what somebody is known by" }.into()),
            };
            match updated {
                Err(Error::Storage(failed)) => return Err(failed.into()),
                updated => imported.push(VcardImported { updated, skipped }),
            }
        }
        Ok(imported)
    }

    async fn import_one(
        &self,
        identifier: Identifier,
        update: CardUpdate,
        kind: PartyKind,
        source: &Source,
        at: Timestamp,
    ) -> Result<CardUpdated, Error> {
        let customer: CustomerId = match self.customer(&identifier).await? {
            Some(customer) => customer.id(),
            None => {
                let identified = self.identified(&identifier);
                // The identifier's own hash, so that the fact is the same whenever it is sent.
                let key = FactKey::new(format!("vcard {:?}", identified.identifier)).map_err(Error::corrupt)?;
                let fact = Incoming::new(&identifier, at, source.clone(), identified).with_key(key.clone());
                let customer = self.record(fact).await?.customer;
                if kind == PartyKind::Organisation {
                    let described = PartyDescribed { party: Party::organisation() };
                    let key = FactKey::new(format!("{key} kind")).map_err(Error::corrupt)?;
                    self.record(Incoming::new(customer, at, source.clone(), described).with_key(key)).await?;
                }
                customer
            }
        };
        self.update_card(customer, update, source, at).await
    }

    /// A customer's card as a vCard of version 4.0; see [`crate::vcard`] for what it has.
    ///
    /// # Errors
    ///
    /// `NoCustomer`, `Personal` if a value cannot be opened, `Storage` if the store failed.
    pub async fn vcard(&self, customer: CustomerId) -> Result<String, Error> {
        let loaded = self.customer(customer).await?.ok_or(Error::NoCustomer { customer })?;
        let kind = loaded.facts().party().map_or(PartyKind::Person, Party::kind);
        Ok(write(&self.card(customer).await?, kind))
    }
}

fn known_by(emails: &[CardLine], phones: &[CardLine], uid: Option<&CardLine>) -> Option<Identifier> {
    let email = || emails.iter().find_map(|email| Identifier::email(email.as_str()).ok());
    let phone = || phones.iter().find_map(|phone| Identifier::phone(phone.as_str()).ok());
    let external = || {
        let system = ExternalSystem::new("vcard").ok()?;
        Identifier::external(&system, uid?.as_str()).ok()
    };
    email().or_else(phone).or_else(external)
}
