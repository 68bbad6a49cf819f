//! Ways to reach somebody, in the order they like.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use unicode_normalization::UnicodeNormalization as _;

use super::address::Place;
use super::error::CardError;
use super::line::CardLine;

/// What kind of contact point it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContactKind {
    /// An e-mail address.
    Email,
    /// A telephone.
    Phone,
    /// A mobile telephone.
    Mobile,
    /// A fax.
    Fax,
    /// An account of a messaging service, as a URI such as `xmpp:ana@example.com`.
    Messaging,
    /// A page on the web, by `http` or `https`.
    Web,
}

impl ContactKind {
    /// Whether it has a telephone number.
    #[must_use]
    pub const fn is_phone(self) -> bool {
        matches!(self, ContactKind::Phone | ContactKind::Mobile | ContactKind::Fax)
    }
}

/// How much one is preferred over others: 1 is the most, 100 the least (RFC 6350, section 5.3). One that says
/// nothing comes after all that do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Preference(u8);

impl Preference {
    /// The most preferred.
    pub const FIRST: Preference = Preference(1);

    /// A preference of 1 to 100.
    ///
    /// # Errors
    ///
    /// `Form` for another number.
    pub const fn new(preference: u8) -> Result<Self, CardError> {
        match preference {
            1..=100 => Ok(Preference(preference)),
            _ => Err(CardError::Form { what: "preference", form: "a number of 1 to 100" }),
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Preference {
    type Error = CardError;

    fn try_from(preference: u8) -> Result<Self, CardError> {
        Self::new(preference)
    }
}

impl From<Preference> for u8 {
    fn from(preference: Preference) -> u8 {
        preference.0
    }
}

/// A way to reach somebody. It prints masked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct ContactPoint {
    /// None counts as the last.
    rank: u8,
    kind: ContactKind,
    value: CardLine,
    place: Option<Place>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    kind: ContactKind,
    value: SmolStr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<Place>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    preference: Option<Preference>,
}

const UNRANKED: u8 = 101;

impl ContactPoint {
    /// Checks a value of a kind and brings it into one form: the domain of an e-mail address in small letters,
    /// a telephone number as `+` and digits or, where the country is not known, as digits.
    ///
    /// # Errors
    ///
    /// `CardError` if it is empty, too long or not of the form of its kind.
    pub fn new(kind: ContactKind, value: &str) -> Result<Self, CardError> {
        let value = match kind {
            ContactKind::Email => email(value)?,
            ContactKind::Phone | ContactKind::Mobile | ContactKind::Fax => phone(value)?,
            ContactKind::Messaging => uri("messaging account", value, &[])?,
            ContactKind::Web => uri("web page", value, &["http", "https"])?,
        };
        Ok(ContactPoint { rank: UNRANKED, kind, value, place: None })
    }

    /// An e-mail address.
    ///
    /// # Errors
    ///
    /// As for [`ContactPoint::new`].
    pub fn email(address: &str) -> Result<Self, CardError> {
        Self::new(ContactKind::Email, address)
    }

    /// A telephone.
    ///
    /// # Errors
    ///
    /// As for [`ContactPoint::new`].
    pub fn phone(number: &str) -> Result<Self, CardError> {
        Self::new(ContactKind::Phone, number)
    }

    /// At a place.
    #[must_use]
    pub const fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// With a preference over others.
    #[must_use]
    pub const fn preferred(mut self, preference: Preference) -> Self {
        self.rank = preference.0;
        self
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> ContactKind {
        self.kind
    }

    /// Its value, in one form.
    #[must_use]
    pub fn value(&self) -> &str {
        self.value.as_str()
    }

    /// Where it is, if that is known.
    #[must_use]
    pub const fn place(&self) -> Option<Place> {
        self.place
    }

    /// The preference over others.
    #[must_use]
    pub const fn preference(&self) -> Option<Preference> {
        if self.rank < UNRANKED { Some(Preference(self.rank)) } else { None }
    }

    /// What makes two contact points one.
    pub(super) fn key(&self) -> (ContactKind, CardLine) {
        (self.kind, self.value.clone())
    }
}

impl TryFrom<Parts> for ContactPoint {
    type Error = CardError;

    fn try_from(parts: Parts) -> Result<Self, CardError> {
        let point = ContactPoint::new(parts.kind, &parts.value)?;
        Ok(ContactPoint { rank: parts.preference.map_or(UNRANKED, Preference::get), place: parts.place, ..point })
    }
}

impl From<ContactPoint> for Parts {
    fn from(point: ContactPoint) -> Parts {
        Parts { preference: point.preference(), kind: point.kind, value: point.value.into(), place: point.place }
    }
}

impl std::fmt::Debug for ContactPoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ContactPoint({:?}, ***)", self.kind)
    }
}

/// The local part stays as it was told: RFC 5321 lets its case count.
fn email(text: &str) -> Result<CardLine, CardError> {
    let address = CardLine::named("e-mail address", text)?;
    let wrong = || CardError::Form { what: "e-mail address", form: "a local part, @ and a domain" };
    let options = email_address::Options::default().without_display_text().without_domain_literal();
    email_address::EmailAddress::parse_with_options(address.as_str(), options).map_err(|_| wrong())?;
    let (local, domain) = address.as_str().rsplit_once('@').ok_or_else(wrong)?;
    CardLine::named("e-mail address", &format!("{local}@{}", domain.to_lowercase()))
}

/// The most digits of a number (ITU-T E.164).
pub(super) const PHONE_DIGITS_MAX: usize = 15;

/// Digits of any script and the marks that are written between them. Letters and extensions are refused: they
/// would be lost.
fn phone(text: &str) -> Result<CardLine, CardError> {
    let what = "telephone number";
    let text = CardLine::named(what, text)?;
    let wrong =
        CardError::Form { what, form: "3 to 15 digits, a + before them, and spaces and ( ) - . / between them" };
    let mut number = String::with_capacity(PHONE_DIGITS_MAX + 1);
    for c in text.as_str().nfkc() {
        match c {
            '+' if number.is_empty() => number.push('+'),
            ' ' | '(' | ')' | '-' | '.' | '/' | '\u{2010}'..='\u{2013}' => {}
            c => match digit(c) {
                Some(digit) => number.push(digit),
                None => return Err(wrong),
            },
        }
    }
    let digits = number.trim_start_matches('+').len();
    if (3..=PHONE_DIGITS_MAX).contains(&digits) { CardLine::named(what, &number) } else { Err(wrong) }
}

/// An ASCII, Arabic-Indic, Persian or Devanagari digit as an ASCII one.
pub(super) fn digit(c: char) -> Option<char> {
    let zero = match c {
        '0'..='9' => '0',
        '\u{660}'..='\u{669}' => '\u{660}',
        '\u{6f0}'..='\u{6f9}' => '\u{6f0}',
        '\u{966}'..='\u{96f}' => '\u{966}',
        _ => return None,
    };
    char::from_digit(c as u32 - zero as u32, 10)
}

/// A scheme, a colon and something without white space; the scheme in small letters.
fn uri(what: &'static str, text: &str, schemes: &[&str]) -> Result<CardLine, CardError> {
    let text = CardLine::named(what, text)?;
    let wrong = || CardError::Form { what, form: "a URI" };
    let (scheme, rest) = text.as_str().split_once(':').ok_or_else(wrong)?;
    let scheme = scheme.to_ascii_lowercase();
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    // A page that is a script would be run by whoever shows it as a link.
    let is_harmful = matches!(scheme.as_str(), "javascript" | "data" | "vbscript" | "file");
    let is_known = schemes.is_empty() || schemes.contains(&scheme.as_str()) && rest.starts_with("//");
    let is_plain = !rest.is_empty() && !rest.contains(char::is_whitespace);
    if is_scheme && is_known && is_plain && !is_harmful {
        CardLine::named(what, &format!("{scheme}:{rest}"))
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_form_however_it_is_written() {
        for written in
            ["+49 (30) 123-456", "+49/30/123456", "+49 30 123 456", "＋４９ ３０ １２３４５６", "+٤٩٣٠١٢٣٤٥٦"]
        {
            assert_eq!(ContactPoint::phone(written).unwrap().value(), "+4930123456", "{written}");
        }
        assert_eq!(ContactPoint::phone("030 123456").unwrap().value(), "030123456");
        for bad in ["", "12", "+49 CALL ME", "+49 30 123 ext. 5", "1234567890123456", "+49+30123", "++4930123456"] {
            assert!(ContactPoint::phone(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_keeps_its_local_part_and_loses_the_case_of_its_domain() {
        assert_eq!(ContactPoint::email("Ana.Lopes@Example.COM").unwrap().value(), "Ana.Lopes@example.com");
        let long = format!("{}@example.com", "a".repeat(1_000_000));
        for bad in ["", "ana", "ana@", "ana＠example.com", "a@b\r\nBcc: c@d.com", "Ana <ana@example.com>", &long] {
            let error = ContactPoint::email(bad).unwrap_err();
            assert!(bad.is_empty() || !error.to_string().contains(bad), "{error}");
        }
    }

    #[test]
    fn a_link_that_would_run_is_refused() {
        for bad in ["javascript:alert(1)", "http:x", "https://a b", "data:text/html,x", "example.com"] {
            assert!(ContactPoint::new(ContactKind::Web, bad).is_err(), "{bad}");
        }
        assert!(ContactPoint::new(ContactKind::Messaging, "JavaScript:alert(1)").is_err());
        assert_eq!(
            ContactPoint::new(ContactKind::Web, "HTTPS://example.com/a").unwrap().value(),
            "https://example.com/a"
        );
        assert_eq!(
            ContactPoint::new(ContactKind::Messaging, "xmpp:ana@example.com").unwrap().value(),
            "xmpp:ana@example.com"
        );
    }

    #[test]
    fn nothing_personal_is_printed_and_what_is_stored_is_checked_again() {
        let point = ContactPoint::email("canary@example.com").unwrap().at(Place::Work).preferred(Preference::FIRST);
        assert_eq!(format!("{point:?}"), "ContactPoint(Email, ***)");
        let text = serde_json::to_string(&point).unwrap();
        assert_eq!(serde_json::from_str::<ContactPoint>(&text).unwrap(), point);
        assert!(serde_json::from_str::<ContactPoint>(r#"{"kind":"email","value":"canary"}"#).is_err());
    }
}
