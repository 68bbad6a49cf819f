//! The fields of a card.

use smol_str::SmolStr;

use super::error::CardError;
use super::schema::AttributeName;

/// A field of a card. Each is told, kept and erased by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
#[non_exhaustive]
pub enum Field {
    /// The name.
    Name,
    /// Where they work.
    Employer,
    /// As what they work.
    Position,
    /// Their birthday.
    Birthday,
    /// The language they like to be spoken to in.
    Language,
    /// Their time zone.
    TimeZone,
    /// Postal addresses.
    Addresses,
    /// Ways to reach them, in the order they like.
    ContactPoints,
    /// The numbers of their member cards.
    MemberNumbers,
    /// What they prefer, in words of the shop's.
    Preferences,
    /// What they are interested in.
    Interests,
    /// Keywords of the shop's.
    Keywords,
    /// Keywords that the customer chose.
    OwnKeywords,
    /// An attribute that the shop declared.
    Attribute(AttributeName),
}

const PLAIN: [(&str, Field); 13] = [
    ("name", Field::Name),
    ("employer", Field::Employer),
    ("position", Field::Position),
    ("birthday", Field::Birthday),
    ("language", Field::Language),
    ("time_zone", Field::TimeZone),
    ("addresses", Field::Addresses),
    ("contact_points", Field::ContactPoints),
    ("member_numbers", Field::MemberNumbers),
    ("preferences", Field::Preferences),
    ("interests", Field::Interests),
    ("keywords", Field::Keywords),
    ("own_keywords", Field::OwnKeywords),
];
const ATTRIBUTE: &str = "attribute.";

impl Field {
    /// Every field but the attributes that the shop declares.
    pub fn plain() -> impl Iterator<Item = Field> {
        PLAIN.iter().map(|(_, field)| field.clone())
    }

    /// The name it is stored under; attributes of the shop's begin with `attribute.`.
    #[must_use]
    pub fn name(&self) -> SmolStr {
        if let Field::Attribute(name) = self {
            return smol_str::format_smolstr!("{ATTRIBUTE}{name}");
        }
        let known = PLAIN.iter().find(|(_, field)| field == self).map_or("", |(name, _)| name);
        SmolStr::new_static(known)
    }

    /// The field of a name.
    ///
    /// # Errors
    ///
    /// `Form` if there is none.
    pub fn parse(name: &str) -> Result<Self, CardError> {
        if let Some((_, field)) = PLAIN.iter().find(|(known, _)| *known == name) {
            return Ok(field.clone());
        }
        name.strip_prefix(ATTRIBUTE)
            .and_then(|name| AttributeName::new(name).ok())
            .map(Field::Attribute)
            .ok_or(CardError::Form { what: "field of a card", form: "the name of a field" })
    }

    /// Whether customers are searched by it.
    #[must_use]
    pub const fn is_searched(&self) -> bool {
        matches!(self, Field::Name | Field::ContactPoints | Field::MemberNumbers)
    }
}

impl TryFrom<SmolStr> for Field {
    type Error = CardError;

    fn try_from(name: SmolStr) -> Result<Self, CardError> {
        Self::parse(&name)
    }
}

impl From<Field> for SmolStr {
    fn from(field: Field) -> SmolStr {
        field.name()
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_has_a_name_of_its_own_that_is_read_back() {
        let shoe = Field::Attribute(AttributeName::new("shoe size").unwrap());
        for field in PLAIN.iter().map(|(_, field)| field).chain([&shoe]) {
            assert_eq!(Field::parse(&field.name()).as_ref(), Ok(field));
        }
        for bad in ["", "attribute.", "nom", "Name"] {
            assert!(Field::parse(bad).is_err(), "{bad}");
        }
    }
}
