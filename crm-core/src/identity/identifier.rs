//! Something one person is known by.

use smol_str::SmolStr;

use super::phone::{self, PhoneError, Region};
use super::{ExternalSystem, IdentifierKind, email, normalise};
use crate::text::{TextError, checked};

/// Why an identifier was refused. The value itself is never part of the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentifierError {
    /// Empty, too long, or with a control character.
    #[error(transparent)]
    Text(#[from] TextError),
    /// With a character that nobody sees, such as a zero-width joiner or a mark of direction.
    #[error("{what} has a character at byte {at} that nobody sees")]
    Unseen {
        /// What the text was to be.
        what: &'static str,
        /// Where, in bytes from the start.
        at: usize,
    },
    /// Not an address of the form RFC 5321 allows, in the letters of RFC 6531.
    #[error("not an e-mail address")]
    Email,
    /// Not `+` and 8 to 15 digits (ITU-T E.164).
    #[error("not a telephone number in E.164, which is + and 8 to 15 digits")]
    Phone,
    /// A national spelling that is no number of its region.
    #[error("telephone number")]
    PhoneNumber(#[from] PhoneError),
}

/// Something one person is known by, normalised. It prints masked.
///
/// Texts are in Unicode's form NFC, without control characters and without those that nobody sees; white
/// space around them is dropped.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    pub(super) kind: IdentifierKind,
    /// The issuing system where there is one, else empty.
    pub(super) scope: SmolStr,
    pub(super) value: SmolStr,
}

impl Identifier {
    /// The longest value in bytes, once normalised.
    pub const MAX_BYTES: usize = 320;

    /// An e-mail address, its local part at most 64 octets and its domain at most 255.
    ///
    /// Two spellings that differ in case only are one address: no provider in use tells them apart, although
    /// RFC 5321 lets it. A domain in another script is the same as its ASCII form (UTS 46), a local part in
    /// another script is allowed (RFC 6531). Dots and `+tags` count: without the provider's word they are
    /// other mailboxes. A full-width `＠` and a dot at the end are refused.
    ///
    /// ```
    /// use crm_core::identity::Identifier;
    ///
    /// assert_eq!(Identifier::email("Ana@Bücher.example")?, Identifier::email("ana@xn--bcher-kva.example")?);
    /// # Ok::<(), crm_core::identity::IdentifierError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `IdentifierError` if it is not a plain address at a host name.
    pub fn email(address: &str) -> Result<Self, IdentifierError> {
        Ok(Self::scoped(IdentifierKind::Email, "", email::normal(address)?))
    }

    /// A telephone number already in E.164, such as `+4930123456`; spaces are dropped. The caller is believed:
    /// no numbering plan is asked. Use [`phone_in`](Self::phone_in) for what people typed.
    ///
    /// # Errors
    ///
    /// `Phone` if it is anything else.
    pub fn phone(number: &str) -> Result<Self, IdentifierError> {
        let number: String = checked("telephone number", number, 64)?.chars().filter(|c| *c != ' ').collect();
        let digits = number.strip_prefix('+').ok_or(IdentifierError::Phone)?;
        let is_e164 = (8..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if is_e164 {
            Ok(Self::scoped(IdentifierKind::Phone, "", SmolStr::new(number)))
        } else {
            Err(IdentifierError::Phone)
        }
    }

    /// A telephone number as it is written in a region; one with a country code (`+49`, or `0049` where that
    /// is how one dials abroad) may be of any. Digits of any script and full-width ones are read, letters are
    /// those on the keys (`1-800-FLOWERS`), an extension makes another telephone than the switchboard. A
    /// number counts if its length is one that the numbering plan has, whether or not its range is in use.
    ///
    /// The first call reads the numbering plans (about 230 KB, in the program); each region's patterns are
    /// compiled when they are first needed.
    ///
    /// ```
    /// use crm_core::identity::{Identifier, Region};
    ///
    /// let berlin = Identifier::phone_in("030 901820", Region::new("DE")?)?;
    /// assert_eq!(berlin, Identifier::phone("+49 30 901820")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `PhoneNumber` with the reason, `Text` for more than 128 bytes.
    pub fn phone_in(number: &str, region: Region) -> Result<Self, IdentifierError> {
        Ok(Self::scoped(IdentifierKind::Phone, "", phone::normal(number, region)?))
    }

    /// The key that another system gives this person, such as the shop's customer number. Case counts.
    ///
    /// # Errors
    ///
    /// `Text` if the key is empty, too long, or has a control character; `Unseen` for what nobody sees.
    pub fn external(system: &ExternalSystem, key: &str) -> Result<Self, IdentifierError> {
        let key = normalise::plain("external key", key, Self::MAX_BYTES)?;
        Self::issued(IdentifierKind::External, system.as_str(), key)
    }

    /// The number of a member card. Spaces and hyphens are dropped, letters become capitals.
    ///
    /// # Errors
    ///
    /// As [`external`](Self::external), with at most 64 bytes.
    pub fn card(number: &str) -> Result<Self, IdentifierError> {
        let number = normalise::plain("card number", number, 64)?;
        let plain: String = number.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let plain = normalise::plain("card number", &plain.to_uppercase(), 64)?;
        Ok(Self::scoped(IdentifierKind::Card, "", plain))
    }

    /// A device or browser cookie. Case counts.
    ///
    /// # Errors
    ///
    /// As [`external`](Self::external).
    pub fn device(id: &str) -> Result<Self, IdentifierError> {
        Ok(Self::scoped(IdentifierKind::Device, "", normalise::plain("device id", id, Self::MAX_BYTES)?))
    }

    /// An issuer and a subject, as an ID token of OpenID Connect names them. Both are compared character by
    /// character (OpenID Connect Core 1.0, section 5.7): a slash more is another issuer.
    ///
    /// # Errors
    ///
    /// As [`external`](Self::external), for either.
    pub fn open_id(issuer: &str, subject: &str) -> Result<Self, IdentifierError> {
        let issuer = normalise::plain("issuer", issuer, Self::MAX_BYTES)?;
        let subject = normalise::plain("subject", subject, Self::MAX_BYTES)?;
        Self::issued(IdentifierKind::OpenId, &issuer, subject)
    }

    /// An account of a messaging service, such as `telegram` and a user id. Case counts.
    ///
    /// # Errors
    ///
    /// As [`external`](Self::external).
    pub fn messaging(service: &ExternalSystem, account: &str) -> Result<Self, IdentifierError> {
        let account = normalise::plain("messaging account", account, Self::MAX_BYTES)?;
        Self::issued(IdentifierKind::Messaging, service.as_str(), account)
    }

    /// A radio tag by its number in hexadecimal; letters become capitals, spaces are dropped.
    ///
    /// # Errors
    ///
    /// As [`external`](Self::external), with at most 64 bytes.
    pub fn rfid(number: &str) -> Result<Self, IdentifierError> {
        let number: String = normalise::plain("radio tag", number, 64)?.chars().filter(|c| *c != ' ').collect();
        let number = normalise::plain("radio tag", &number.to_uppercase(), 64)?;
        Ok(Self::scoped(IdentifierKind::Rfid, "", number))
    }

    fn issued(kind: IdentifierKind, issuer: &str, value: SmolStr) -> Result<Self, IdentifierError> {
        Ok(Self::scoped(kind, &normalise::plain("issuer", issuer, Self::MAX_BYTES)?, value))
    }

    fn scoped(kind: IdentifierKind, scope: &str, value: SmolStr) -> Self {
        Identifier { kind, scope: SmolStr::new(scope), value }
    }

    /// Which kind it is.
    #[must_use]
    pub const fn kind(&self) -> IdentifierKind {
        self.kind
    }

    /// As one that was proved to be the person's: they signed in with it, or answered what was sent to it.
    #[must_use]
    pub const fn verified(self) -> Presented {
        Presented { identifier: self, verified: true }
    }

    /// As one that the person merely gave. It is noted and leads to nobody: whoever types somebody else's
    /// address does not become them.
    #[must_use]
    pub const fn unverified(self) -> Presented {
        Presented { identifier: self, verified: false }
    }
}

impl std::fmt::Debug for Identifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identifier({}, ***)", self.kind.name())
    }
}

/// An identifier, and whether anybody answers for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Presented {
    /// Which.
    pub identifier: Identifier,
    /// Whether it is the person's: proved, or vouched for by the shop.
    pub verified: bool,
}

impl From<Identifier> for Presented {
    /// An identifier given bare is one that the caller vouches for: it comes from a signed-in session or
    /// from the shop's own records. What a visitor typed into a form is [`Identifier::unverified`].
    fn from(identifier: Identifier) -> Self {
        identifier.verified()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_identifier_are_one() {
        assert_eq!(Identifier::email(" Ana@Example.COM ").unwrap(), Identifier::email("ana@example.com").unwrap());
        assert_eq!(Identifier::card("ab-12 34").unwrap(), Identifier::card("AB1234").unwrap());
        assert_eq!(Identifier::phone("+49 30 123456").unwrap(), Identifier::phone("+4930123456").unwrap());
        assert_eq!(Identifier::rfid("e2 00 34").unwrap(), Identifier::rfid("E20034").unwrap());
        assert_eq!(Identifier::device("Jose\u{301}").unwrap(), Identifier::device("Jos\u{e9}").unwrap());
    }

    #[test]
    fn an_issuer_is_compared_character_by_character() {
        let subject = |issuer| Identifier::open_id(issuer, "7").unwrap();
        assert_ne!(subject("https://id.example"), subject("https://id.example/"));
        assert_ne!(subject("https://id.example"), subject("https://ID.example"));
    }

    #[test]
    fn what_is_no_identifier_is_refused_without_repeating_it() {
        for bad in [
            "",
            "   ",
            "ana",
            "ana@",
            "@example.com",
            "ana＠example.com",
            "a@b\r\nBcc: c@d.com",
            "Ana <ana@example.com>",
            "an\u{200D}a@example.com",
            "\u{202E}ana@example.com",
            "ana\0@example.com",
        ] {
            let error = Identifier::email(bad).unwrap_err();
            assert!(bad.trim().is_empty() || !error.to_string().contains(bad), "{error}");
        }
        for bad in ["030123456", "+0301234567", "+49", "+49301234567890123", "+49 30 CALL ME", "+٤٩٣٠١٢٣٤٥٦"]
        {
            assert!(Identifier::phone(bad).is_err(), "{bad}");
        }
        assert!(Identifier::email(&format!("{}@example.com", "a".repeat(1_000_000))).is_err());
        assert!(Identifier::card(" - - ").is_err());
        let erp = ExternalSystem::new("erp").unwrap();
        assert!(matches!(Identifier::external(&erp, "7\u{200B}"), Err(IdentifierError::Unseen { at: 1, .. })));
        assert!(matches!(Identifier::external(&erp, "7\n8"), Err(IdentifierError::Text(_))));
        // A lone surrogate never becomes a text in the first place.
        assert!(serde_json::from_str::<ExternalSystem>(r#""\ud800""#).is_err());
    }

    #[test]
    fn an_identifier_given_bare_is_vouched_for() {
        let ana = Identifier::email("ana@example.com").unwrap();
        assert!(Presented::from(ana.clone()).verified);
        assert!(!ana.unverified().verified);
    }

    #[test]
    fn nothing_personal_is_printed() {
        let ana = Identifier::email("ana@example.com").unwrap();
        assert_eq!(format!("{ana:?}"), "Identifier(email, ***)");
        assert!(!format!("{:?}", ana.unverified()).contains("ana"));
    }
}
