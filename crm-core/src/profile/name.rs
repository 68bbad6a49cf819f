//! Names, as people write them.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::error::CardError;
use super::line::CardLine;
use super::script::is_cjk;

/// The name of a person or an organisation. Any part may be missing, but not all: there are people with one
/// name only, and people who tell but how it is written in full. It prints masked.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Name(Parts);

#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parts {
    #[serde(skip_serializing_if = "Option::is_none")]
    full: Option<CardLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    given: Option<CardLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<CardLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional: Option<CardLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<CardLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suffix: Option<CardLine>,
}

impl Name {
    /// A name as it is written in full: of a person with one name, or of an organisation.
    ///
    /// # Errors
    ///
    /// `CardError` if it is empty, too long, or has a control character.
    pub fn full(full: &str) -> Result<Self, CardError> {
        Ok(Name(Parts { full: Some(CardLine::named("full name", full)?), ..Parts::default() }))
    }

    /// A given and a family name.
    ///
    /// # Errors
    ///
    /// As for [`Name::full`].
    pub fn new(given: &str, family: &str) -> Result<Self, CardError> {
        let (given, family) = (CardLine::named("given name", given)?, CardLine::named("family name", family)?);
        Ok(Name(Parts { given: Some(given), family: Some(family), ..Parts::default() }))
    }

    /// With the full name as it is written.
    ///
    /// # Errors
    ///
    /// As for [`Name::full`].
    pub fn written(mut self, full: &str) -> Result<Self, CardError> {
        self.0.full = Some(CardLine::named("full name", full)?);
        Ok(self)
    }

    /// With titles before it and after it, and names between; an empty text leaves one out.
    ///
    /// # Errors
    ///
    /// `CardError` if one is too long or has a control character.
    pub fn with_titles(mut self, prefix: &str, additional: &str, suffix: &str) -> Result<Self, CardError> {
        let part = |what, text: &str| {
            if text.trim().is_empty() { Ok(None) } else { CardLine::named(what, text).map(Some) }
        };
        self.0.prefix = part("name prefix", prefix)?;
        self.0.additional = part("additional name", additional)?;
        self.0.suffix = part("name suffix", suffix)?;
        Ok(self)
    }

    /// A name from whatever parts there are.
    ///
    /// # Errors
    ///
    /// `Empty` if there is neither a given, a family nor a full name, `CardError` if a part is wrong.
    pub fn from_parts(full: Option<&str>, given: Option<&str>, family: Option<&str>) -> Result<Self, CardError> {
        let part = |what, text: Option<&str>| text.map(|text| CardLine::named(what, text)).transpose();
        let parts = Parts {
            full: part("full name", full)?,
            given: part("given name", given)?,
            family: part("family name", family)?,
            ..Parts::default()
        };
        Name::try_from(parts)
    }

    /// The given name.
    #[must_use]
    pub fn given(&self) -> Option<&str> {
        self.0.given.as_ref().map(CardLine::as_str)
    }

    /// The family name.
    #[must_use]
    pub fn family(&self) -> Option<&str> {
        self.0.family.as_ref().map(CardLine::as_str)
    }

    /// The full name, if it was told as it is written.
    #[must_use]
    pub fn as_written(&self) -> Option<&str> {
        self.0.full.as_ref().map(CardLine::as_str)
    }

    /// Names between the given and the family name.
    #[must_use]
    pub fn additional(&self) -> Option<&str> {
        self.0.additional.as_ref().map(CardLine::as_str)
    }

    /// Titles before the name.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        self.0.prefix.as_ref().map(CardLine::as_str)
    }

    /// Titles after the name.
    #[must_use]
    pub fn suffix(&self) -> Option<&str> {
        self.0.suffix.as_ref().map(CardLine::as_str)
    }

    /// The full name as it is written. Where nobody told it is put together: in Chinese, Japanese and Korean
    /// script the family name comes first and nothing between, else the given name and a space.
    #[must_use]
    pub fn display(&self) -> SmolStr {
        if let Some(full) = self.as_written() {
            return SmolStr::new(full);
        }
        let of = |part: Option<&str>| SmolStr::new(part.unwrap_or_default());
        match (self.given(), self.family()) {
            (Some(given), Some(family)) if given.chars().chain(family.chars()).all(is_cjk) => {
                smol_str::format_smolstr!("{family}{given}")
            }
            (Some(given), Some(family)) => match self.additional() {
                Some(additional) => smol_str::format_smolstr!("{given} {additional} {family}"),
                None => smol_str::format_smolstr!("{given} {family}"),
            },
            (given, family) => of(given.or(family)),
        }
    }
}

impl TryFrom<Parts> for Name {
    type Error = CardError;

    fn try_from(parts: Parts) -> Result<Self, CardError> {
        if parts.full.is_none() && parts.given.is_none() && parts.family.is_none() {
            return Err(CardError::Empty { what: "name" });
        }
        Ok(Name(parts))
    }
}

impl From<Name> for Parts {
    fn from(name: Name) -> Parts {
        name.0
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Name(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_put_together_by_its_script() {
        assert_eq!(Name::new("小明", "王").unwrap().display(), "王小明");
        assert_eq!(Name::new("Miles", "O'Brien").unwrap().display(), "Miles O'Brien");
        assert_eq!(Name::new("小明", "Wang").unwrap().display(), "小明 Wang");
        assert_eq!(Name::full("Teller").unwrap().display(), "Teller");
        assert_eq!(Name::new("Ana", "Silva").unwrap().written("Silva, Ana").unwrap().display(), "Silva, Ana");
        assert_eq!(Name::from_parts(None, None, Some("Sukarno")).unwrap().display(), "Sukarno");
    }

    #[test]
    fn a_name_without_a_name_is_refused() {
        assert_eq!(Name::from_parts(None, None, None), Err(CardError::Empty { what: "name" }));
        assert_eq!(Name::full("  "), Err(CardError::Empty { what: "full name" }));
        assert!(serde_json::from_str::<Name>("{\"prefix\":\"Dr\"}").is_err());
        assert_eq!(format!("{:?}", Name::full("Canary").unwrap()), "Name(***)");
    }
}
