//! The card: for each field what was told last, by whom and when. Order of arrival does not matter: of two
//! tellings the one with the later time holds, and of two with one time the one that comes last in an order of
//! all values, so that everybody who has heard both holds the same.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::birthday::Birthday;
use super::contact_point::{ContactKind, ContactPoint};
use super::error::CardError;
use super::field::Field;
use super::line::CardLine;
use super::locale::{Language, TimeZone};
use super::name::Name;
use super::schema::{AttributeName, AttributeValue, CardSchema};
use crate::id::{FactKey, Source};
use crate::time::Timestamp;

/// A value with the time at which it was told and who told it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sourced<T> {
    // The order of the fields is the order of tellings.
    /// When.
    pub at: Timestamp,
    /// What.
    pub value: T,
    /// By whom.
    pub source: Source,
}

/// Something that was told about a field: a value, or that there is none any more.
pub type Telling = Sourced<Option<CardValue>>;

/// What the customer prefers, by a name of the shop's, such as `delivery` and `evenings`. It prints masked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomPreference {
    /// In what.
    pub name: CardLine,
    /// What.
    pub value: CardLine,
}

impl std::fmt::Debug for CustomPreference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CustomPreference(***)")
    }
}

/// The value of a field. It prints masked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CardValue {
    /// A name.
    Name(Name),
    /// One line: employer, position.
    Line(CardLine),
    /// A birthday.
    Birthday(Birthday),
    /// A language.
    Language(Language),
    /// A time zone.
    TimeZone(TimeZone),
    /// Addresses.
    Addresses(Vec<Address>),
    /// Contact points.
    ContactPoints(Vec<ContactPoint>),
    /// Some lines: member numbers, interests, keywords.
    Lines(Vec<CardLine>),
    /// Preferences.
    Preferences(Vec<CustomPreference>),
    /// The value of a free attribute.
    Attribute(AttributeValue),
}

impl std::fmt::Debug for CardValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CardValue(***)")
    }
}

impl CardValue {
    /// The most addresses.
    pub const ADDRESSES_MAX: usize = 16;
    /// The most contact points.
    pub const CONTACT_POINTS_MAX: usize = 32;
    /// The most lines of one field.
    pub const LINES_MAX: usize = 64;
    /// The most preferences.
    pub const PREFERENCES_MAX: usize = 64;

    /// Checks that it is a value of a field and within its limits, and brings a list into its order: what is
    /// preferred first, and each once.
    pub(super) fn settle(self, field: &Field) -> Result<Self, CardError> {
        let within = |what, count: usize, max: usize| {
            if count <= max { Ok(()) } else { Err(CardError::TooMany { what, count, max }) }
        };
        match (field, self) {
            (Field::Name, value @ CardValue::Name(_))
            | (Field::Employer | Field::Position, value @ CardValue::Line(_))
            | (Field::Birthday, value @ CardValue::Birthday(_))
            | (Field::Language, value @ CardValue::Language(_))
            | (Field::TimeZone, value @ CardValue::TimeZone(_))
            | (Field::Attribute(_), value @ CardValue::Attribute(_)) => Ok(value),
            (Field::Addresses, CardValue::Addresses(list)) => {
                within("addresses", list.len(), Self::ADDRESSES_MAX)?;
                Ok(CardValue::Addresses(super::merge::addresses(list)))
            }
            (Field::ContactPoints, CardValue::ContactPoints(list)) => {
                within("contact points", list.len(), Self::CONTACT_POINTS_MAX)?;
                Ok(CardValue::ContactPoints(super::merge::contact_points(list)))
            }
            (
                Field::MemberNumbers | Field::Interests | Field::Keywords | Field::OwnKeywords,
                CardValue::Lines(list),
            ) => {
                within("lines of a field", list.len(), Self::LINES_MAX)?;
                Ok(CardValue::Lines(super::merge::lines(list)))
            }
            (Field::Preferences, CardValue::Preferences(list)) => {
                within("preferences", list.len(), Self::PREFERENCES_MAX)?;
                Ok(CardValue::Preferences(super::merge::preferences(list)))
            }
            (field, _) => Err(CardError::WrongKind { field: field.clone() }),
        }
    }
}

/// A relationship card: what is known of a person or an organisation, each value with its source and time.
/// Printing it shows the names of the fields and no value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Card(pub(super) BTreeMap<Field, Telling>);

impl Card {
    /// A card of what was told last about each field.
    #[must_use]
    pub fn new(tellings: BTreeMap<Field, Telling>) -> Self {
        Card(tellings)
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields().next().is_none()
    }

    /// The fields that have a value.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.0.iter().filter(|(_, telling)| telling.value.is_some()).map(|(field, _)| field)
    }

    /// What was told last about a field, with time and source: none if nothing ever was, and a telling without
    /// a value if the value was taken back.
    #[must_use]
    pub fn telling(&self, field: &Field) -> Option<&Telling> {
        self.0.get(field)
    }

    /// The value of a field.
    #[must_use]
    pub fn value(&self, field: &Field) -> Option<&CardValue> {
        self.0.get(field)?.value.as_ref()
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        if let Some(CardValue::Name(name)) = self.value(&Field::Name) { Some(name) } else { None }
    }

    /// Where they work.
    #[must_use]
    pub fn employer(&self) -> Option<&str> {
        self.line(&Field::Employer)
    }

    /// As what they work.
    #[must_use]
    pub fn position(&self) -> Option<&str> {
        self.line(&Field::Position)
    }

    fn line(&self, field: &Field) -> Option<&str> {
        if let Some(CardValue::Line(line)) = self.value(field) { Some(line.as_str()) } else { None }
    }

    /// The birthday.
    #[must_use]
    pub fn birthday(&self) -> Option<Birthday> {
        if let Some(CardValue::Birthday(birthday)) = self.value(&Field::Birthday) { Some(*birthday) } else { None }
    }

    /// The language they like to be spoken to in.
    #[must_use]
    pub fn language(&self) -> Option<&Language> {
        if let Some(CardValue::Language(language)) = self.value(&Field::Language) { Some(language) } else { None }
    }

    /// The time zone.
    #[must_use]
    pub fn time_zone(&self) -> Option<&TimeZone> {
        if let Some(CardValue::TimeZone(zone)) = self.value(&Field::TimeZone) { Some(zone) } else { None }
    }

    /// Addresses, the preferred first.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        if let Some(CardValue::Addresses(list)) = self.value(&Field::Addresses) { list } else { &[] }
    }

    /// Ways to reach them, the preferred first.
    #[must_use]
    pub fn contact_points(&self) -> &[ContactPoint] {
        if let Some(CardValue::ContactPoints(list)) = self.value(&Field::ContactPoints) { list } else { &[] }
    }

    /// The preferred contact point of a kind.
    #[must_use]
    pub fn contact_point(&self, kind: ContactKind) -> Option<&ContactPoint> {
        self.contact_points().iter().find(|point| point.kind() == kind)
    }

    /// The numbers of their member cards.
    #[must_use]
    pub fn member_numbers(&self) -> &[CardLine] {
        self.lines(&Field::MemberNumbers)
    }

    /// What they are interested in.
    #[must_use]
    pub fn interests(&self) -> &[CardLine] {
        self.lines(&Field::Interests)
    }

    /// Keywords of the shop's.
    #[must_use]
    pub fn keywords(&self) -> &[CardLine] {
        self.lines(&Field::Keywords)
    }

    /// Keywords that the customer chose.
    #[must_use]
    pub fn own_keywords(&self) -> &[CardLine] {
        self.lines(&Field::OwnKeywords)
    }

    fn lines(&self, field: &Field) -> &[CardLine] {
        if let Some(CardValue::Lines(list)) = self.value(field) { list } else { &[] }
    }

    /// What they prefer.
    #[must_use]
    pub fn preferences(&self) -> &[CustomPreference] {
        if let Some(CardValue::Preferences(list)) = self.value(&Field::Preferences) { list } else { &[] }
    }

    /// The value of a free attribute.
    #[must_use]
    pub fn attribute(&self, name: &AttributeName) -> Option<&AttributeValue> {
        let value = self.value(&Field::Attribute(name.clone()));
        if let Some(CardValue::Attribute(value)) = value { Some(value) } else { None }
    }
}

/// Shows which fields there are.
impl std::fmt::Debug for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Card").field(&self.fields().collect::<Vec<_>>()).finish()
    }
}

/// What is told about some fields at one time. Fields that it does not name stay as they are. Printing it shows
/// the names of the fields and no value.
#[derive(Clone, Default, PartialEq)]
pub struct CardUpdate {
    values: BTreeMap<Field, Option<CardValue>>,
    key: Option<FactKey>,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident, $field:ident, $variant:ident($value:ty);)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(self, value: $value) -> Self {
            self.set(Field::$field, CardValue::$variant(value))
        }
    )*};
}

impl CardUpdate {
    /// The most fields of one update: all that there are, and all attributes that can be declared.
    pub const FIELDS_MAX: usize = 13 + CardSchema::ATTRIBUTES_MAX;

    /// An update of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With the key that its source gives it: under the same key it is recorded once, whatever it says.
    #[must_use]
    pub fn with_key(mut self, key: FactKey) -> Self {
        self.key = Some(key);
        self
    }

    /// With a value of a field.
    #[must_use]
    pub fn set(mut self, field: Field, value: CardValue) -> Self {
        self.values.insert(field, Some(value));
        self
    }

    /// With the word that a field has no value any more.
    #[must_use]
    pub fn without(mut self, field: Field) -> Self {
        self.values.insert(field, None);
        self
    }

    setters! {
        /// With a name.
        name, Name, Name(Name);
        /// With an employer.
        employer, Employer, Line(CardLine);
        /// With a position.
        position, Position, Line(CardLine);
        /// With a birthday.
        birthday, Birthday, Birthday(Birthday);
        /// With a language.
        language, Language, Language(Language);
        /// With a time zone.
        time_zone, TimeZone, TimeZone(TimeZone);
        /// With all addresses, in the place of those that are there.
        addresses, Addresses, Addresses(Vec<Address>);
        /// With all contact points, in the place of those that are there.
        contact_points, ContactPoints, ContactPoints(Vec<ContactPoint>);
        /// With all member numbers.
        member_numbers, MemberNumbers, Lines(Vec<CardLine>);
        /// With all preferences.
        preferences, Preferences, Preferences(Vec<CustomPreference>);
        /// With all interests.
        interests, Interests, Lines(Vec<CardLine>);
        /// With all keywords of the shop's.
        keywords, Keywords, Lines(Vec<CardLine>);
        /// With all keywords of the customer's.
        own_keywords, OwnKeywords, Lines(Vec<CardLine>);
    }

    /// With a free attribute.
    #[must_use]
    pub fn attribute(self, name: AttributeName, value: AttributeValue) -> Self {
        self.set(Field::Attribute(name), CardValue::Attribute(value))
    }

    /// The key that its source gives it.
    #[must_use]
    pub const fn key(&self) -> Option<&FactKey> {
        self.key.as_ref()
    }

    /// The fields that it names.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.values.keys()
    }

    /// What it tells, checked: every value is of its field and within the limits, and every attribute is
    /// declared. An attribute that is no longer declared may be taken back.
    ///
    /// # Errors
    ///
    /// `CardError`, naming the first field that is wrong.
    pub fn check(
        self,
        at: Timestamp,
        source: &Source,
        schema: Option<&CardSchema>,
    ) -> Result<BTreeMap<Field, Telling>, CardError> {
        let count = self.values.len();
        if count > Self::FIELDS_MAX {
            return Err(CardError::TooMany { what: "fields", count, max: Self::FIELDS_MAX });
        }
        let tellings = self.values.into_iter().map(|(field, value)| {
            if let (Field::Attribute(name), Some(CardValue::Attribute(value))) = (&field, &value) {
                let undeclared = || CardError::Undeclared { attribute: name.clone() };
                schema.ok_or_else(undeclared)?.takes(name, value)?;
            }
            let value = value.map(|value| value.settle(&field)).transpose()?;
            Ok((field, Sourced { at, value, source: source.clone() }))
        });
        tellings.collect()
    }
}

impl std::fmt::Debug for CardUpdate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fields: BTreeSet<&Field> = self.values.keys().collect();
        f.debug_struct("CardUpdate").field("fields", &fields).field("key", &self.key.is_some()).finish()
    }
}

/// The newest tellings of one field, the newest first, each once. It depends on what was told and not on the
/// order in which it was heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tellings(Vec<Telling>);

impl Tellings {
    /// How many are kept: the one that holds and 20 before it.
    pub const KEPT_MAX: usize = 21;

    /// Those that were kept, in any order.
    pub fn of(tellings: impl IntoIterator<Item = Telling>) -> Self {
        let mut all: Vec<Telling> = tellings.into_iter().collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.dedup();
        all.truncate(Self::KEPT_MAX);
        Tellings(all)
    }

    /// Takes in another; false if it is known, or older than all that are kept.
    pub fn tell(&mut self, telling: Telling) -> bool {
        let Err(place) = self.0.binary_search_by(|kept| telling.cmp(kept)) else { return false };
        if place >= Self::KEPT_MAX {
            return false;
        }
        self.0.insert(place, telling);
        self.0.truncate(Self::KEPT_MAX);
        true
    }

    /// The newest first.
    #[must_use]
    pub fn as_slice(&self) -> &[Telling] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(at: i64, value: Option<&str>, source: &str) -> Telling {
        let value = value.map(|text| CardValue::Line(CardLine::new(text).unwrap()));
        Sourced { at: Timestamp::from_millis(at).unwrap(), value, source: Source::new(source).unwrap() }
    }

    fn telling() -> impl Strategy<Value = Telling> {
        (0_i64..40, proptest::option::of("[ab]"), "[xy]")
            .prop_map(|(at, value, source)| told(at, value.as_deref(), &source))
    }

    proptest! {
        /// What is kept does not depend on the order in which it was heard, nor on hearing it twice.
        #[test]
        fn the_order_of_arrival_does_not_matter(mut all in proptest::collection::vec(telling(), 0..60), seed in any::<u64>()) {
            let hear = |all: &[Telling]| {
                let mut tellings = Tellings::default();
                for telling in all {
                    tellings.tell(telling.clone());
                }
                tellings
            };
            let one = hear(&all);
            prop_assert_eq!(&one, &Tellings::of(all.clone()));
            let len = all.len().max(1);
            let turn = (seed as usize % len).min(all.len());
            all.rotate_left(turn);
            all.reverse();
            all.extend(all.clone());
            prop_assert_eq!(one, hear(&all));
        }
    }

    #[test]
    fn an_older_value_that_comes_late_takes_nothing_over() {
        let mut tellings = Tellings::default();
        assert!(tellings.tell(told(5, Some("new"), "shop")));
        assert!(tellings.tell(told(3, Some("old"), "shop")));
        assert!(!tellings.tell(told(3, Some("old"), "shop")));
        assert!(tellings.tell(told(9, None, "shop")));
        let values: Vec<_> = tellings.as_slice().iter().map(|telling| telling.at.as_millis()).collect();
        assert_eq!(values, [9, 5, 3]);
    }

    #[test]
    fn a_value_of_another_kind_and_a_list_too_long_are_refused() {
        let (at, source) = (Timestamp::MIN, Source::new("shop").unwrap());
        let check = |update: CardUpdate| update.check(at, &source, None).map(|_| ());
        let line = CardLine::new("Canary").unwrap();
        let wrong = CardUpdate::new().set(Field::Name, CardValue::Line(line.clone()));
        assert_eq!(check(wrong), Err(CardError::WrongKind { field: Field::Name }));
        let many = CardUpdate::new().interests((0..65).map(|n| CardLine::new(n.to_string()).unwrap()).collect());
        assert!(matches!(check(many), Err(CardError::TooMany { count: 65, max: 64, .. })));
        let attribute = CardUpdate::new().attribute(AttributeName::new("pet").unwrap(), AttributeValue::Flag(true));
        assert!(matches!(check(attribute), Err(CardError::Undeclared { .. })));
        let back = CardUpdate::new().without(Field::Attribute(AttributeName::new("pet").unwrap()));
        assert_eq!(check(back), Ok(()));
        let update = CardUpdate::new().employer(line);
        assert_eq!(format!("{update:?}"), "CardUpdate { fields: {Employer}, key: false }");
        let card = Card::new(update.check(at, &source, None).unwrap());
        assert_eq!(card.employer(), Some("Canary"));
        assert_eq!(format!("{card:?} {:?}", card.telling(&Field::Employer)).matches("Canary").count(), 0);
    }
}
