//! Postal addresses.

use serde::{Deserialize, Serialize};

use super::contact_point::Preference;
use super::error::CardError;
use super::line::CardLine;
use super::locale::Country;

/// Where somebody is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// At home.
    Home,
    /// At work.
    Work,
}

/// A postal address: whatever of it is known, and at least something. It prints masked.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Address(Parts);

#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parts {
    #[serde(skip_serializing_if = "Option::is_none")]
    preference: Option<Preference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<Country>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<CardLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locality: Option<CardLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    postal_code: Option<CardLine>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lines: Vec<CardLine>,
}

impl Address {
    /// How many lines stand before the locality at most.
    pub const LINES_MAX: usize = 8;

    /// An address of street lines, locality, region, postal code and country; an empty text leaves one out.
    ///
    /// # Errors
    ///
    /// `Empty` if all are left out, `TooMany` lines, `CardError` if a part is wrong.
    pub fn new(
        lines: &[&str],
        locality: &str,
        region: &str,
        postal_code: &str,
        country: Option<Country>,
    ) -> Result<Self, CardError> {
        let part =
            |what, text: &str| if text.trim().is_empty() { Ok(None) } else { CardLine::named(what, text).map(Some) };
        if lines.len() > Self::LINES_MAX {
            return Err(CardError::TooMany { what: "lines of an address", count: lines.len(), max: Self::LINES_MAX });
        }
        let lines = lines.iter().filter_map(|line| part("street", line).transpose()).collect::<Result<_, _>>()?;
        Address::try_from(Parts {
            preference: None,
            place: None,
            country,
            region: part("region", region)?,
            locality: part("locality", locality)?,
            postal_code: part("postal code", postal_code)?,
            lines,
        })
    }

    /// At a place.
    #[must_use]
    pub const fn at(mut self, place: Place) -> Self {
        self.0.place = Some(place);
        self
    }

    /// With a preference over other addresses.
    #[must_use]
    pub const fn preferred(mut self, preference: Preference) -> Self {
        self.0.preference = Some(preference);
        self
    }

    /// Street, house, flat: what stands before the locality.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.lines.iter().map(CardLine::as_str)
    }

    /// The city or village.
    #[must_use]
    pub fn locality(&self) -> Option<&str> {
        self.0.locality.as_ref().map(CardLine::as_str)
    }

    /// The state or province.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.0.region.as_ref().map(CardLine::as_str)
    }

    /// The postal code.
    #[must_use]
    pub fn postal_code(&self) -> Option<&str> {
        self.0.postal_code.as_ref().map(CardLine::as_str)
    }

    /// The country.
    #[must_use]
    pub const fn country(&self) -> Option<&Country> {
        self.0.country.as_ref()
    }

    /// Whether it is at home or at work, if that is known.
    #[must_use]
    pub const fn place(&self) -> Option<Place> {
        self.0.place
    }

    /// The preference over other addresses.
    #[must_use]
    pub const fn preference(&self) -> Option<Preference> {
        self.0.preference
    }

    /// What makes two addresses one: everything but place and preference.
    pub(super) fn key(&self) -> Address {
        Address(Parts { preference: None, place: None, ..self.0.clone() })
    }
}

impl TryFrom<Parts> for Address {
    type Error = CardError;

    fn try_from(parts: Parts) -> Result<Self, CardError> {
        let empty = parts.lines.is_empty()
            && parts.locality.is_none()
            && parts.region.is_none()
            && parts.postal_code.is_none()
            && parts.country.is_none();
        if empty { Err(CardError::Empty { what: "address" }) } else { Ok(Address(parts)) }
    }
}

impl From<Address> for Parts {
    fn from(address: Address) -> Parts {
        address.0
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_nothing_is_refused_and_any_part_will_do() {
        assert_eq!(Address::new(&[" "], "", "", "", None), Err(CardError::Empty { what: "address" }));
        let country = Country::new("PT").unwrap();
        assert!(Address::new(&[], "", "", "", Some(country.clone())).is_ok());
        assert!(matches!(Address::new(&["x"; 9], "", "", "", None), Err(CardError::TooMany { .. })));
        let home = Address::new(&["Canary 1"], "Porto", "", "4000-001", Some(country)).unwrap().at(Place::Home);
        assert_eq!(format!("{home:?}"), "Address(***)");
        let text = serde_json::to_string(&home).unwrap();
        assert_eq!(serde_json::from_str::<Address>(&text).unwrap(), home);
    }
}
