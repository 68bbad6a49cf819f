//! What a person is known by. An identifier is normalised once, here, and from then on only its keyed
//! hash is used: events, state and look-ups never hold the clear value.

mod event;
mod merge;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use smol_str::SmolStr;

pub use event::{Identified, IdentifierAttached};
pub use merge::{Join, MEMBERS_MAX, MergeReason, Merged, Parted, Precedence};

use crate::id::{TenantId, hex_bytes};
use crate::text::{TextError, checked, text_type};

text_type!(
    /// A system outside the shop that hands out customer numbers, such as `erp`.
    ExternalSystem, "external system", 64
);

/// Which kind of identifier it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IdentifierKind {
    /// An e-mail address.
    Email,
    /// A telephone number in E.164.
    Phone,
    /// The number of a member card.
    Card,
    /// A device or a browser cookie.
    Device,
    /// An account of a messaging service.
    Messaging,
    /// An issuer and a subject of OpenID Connect.
    OpenId,
    /// A radio tag.
    Rfid,
    /// The key of another system, such as the shop's own customer number.
    External,
}

impl IdentifierKind {
    /// The name it is stored under.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            IdentifierKind::Email => "email",
            IdentifierKind::Phone => "phone",
            IdentifierKind::Card => "card",
            IdentifierKind::Device => "device",
            IdentifierKind::Messaging => "messaging",
            IdentifierKind::OpenId => "open_id",
            IdentifierKind::Rfid => "rfid",
            IdentifierKind::External => "external",
        }
    }
}

/// Why an identifier was refused. The value itself is never part of the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentifierError {
    /// Empty, too long, or with a control character.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Not an address of the form RFC 5321 allows.
    #[error("not an e-mail address")]
    Email,
    /// Not `+` and 8 to 15 digits (ITU-T E.164).
    #[error("not a telephone number in E.164, which is + and 8 to 15 digits")]
    Phone,
}

/// Something one person is known by, normalised. It prints masked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    kind: IdentifierKind,
    /// The issuing system where there is one, else empty.
    scope: SmolStr,
    value: SmolStr,
}

impl Identifier {
    /// The longest value in bytes.
    pub const MAX_BYTES: usize = 320;

    /// An e-mail address. Two spellings that differ in case only are one address: no provider in use
    /// tells them apart, although RFC 5321 lets it.
    ///
    /// # Errors
    ///
    /// `IdentifierError` if it is not a plain address.
    pub fn email(address: &str) -> Result<Self, IdentifierError> {
        let address = checked("e-mail address", address, Self::MAX_BYTES)?;
        let options = email_address::Options::default().without_display_text().without_domain_literal();
        email_address::EmailAddress::parse_with_options(&address, options).map_err(|_| IdentifierError::Email)?;
        Ok(Self::scoped(IdentifierKind::Email, "", SmolStr::new(address.to_lowercase())))
    }

    /// A telephone number already in E.164, such as `+4930123456`; spaces are dropped.
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

    /// The key that another system gives this person, such as the shop's customer number. Case counts.
    ///
    /// # Errors
    ///
    /// `Text` if the key is empty, too long, or has a control character.
    pub fn external(system: &ExternalSystem, key: &str) -> Result<Self, IdentifierError> {
        let key = checked("external key", key, Self::MAX_BYTES)?;
        Ok(Self::scoped(IdentifierKind::External, system.as_str(), key))
    }

    /// The number of a member card. Spaces and hyphens are dropped, letters become capitals.
    ///
    /// # Errors
    ///
    /// `Text` if nothing is left, or it is too long, or has a control character.
    pub fn card(number: &str) -> Result<Self, IdentifierError> {
        let number = checked("card number", number, 64)?;
        let plain: String = number.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let plain = checked("card number", &plain.to_uppercase(), 64)?;
        Ok(Self::scoped(IdentifierKind::Card, "", plain))
    }

    /// A device or browser cookie. Case counts.
    ///
    /// # Errors
    ///
    /// `Text` if it is empty, too long, or has a control character.
    pub fn device(id: &str) -> Result<Self, IdentifierError> {
        Ok(Self::scoped(IdentifierKind::Device, "", checked("device id", id, Self::MAX_BYTES)?))
    }

    /// An issuer and a subject, as an ID token of OpenID Connect names them. Case counts.
    ///
    /// # Errors
    ///
    /// `Text` if either is empty, too long, or has a control character.
    pub fn open_id(issuer: &str, subject: &str) -> Result<Self, IdentifierError> {
        let issuer = checked("issuer", issuer, Self::MAX_BYTES)?;
        let subject = checked("subject", subject, Self::MAX_BYTES)?;
        Ok(Self::scoped(IdentifierKind::OpenId, &issuer, subject))
    }

    /// An account of a messaging service, such as `telegram` and a user id. Case counts.
    ///
    /// # Errors
    ///
    /// `Text` if either is empty, too long, or has a control character.
    pub fn messaging(service: &ExternalSystem, account: &str) -> Result<Self, IdentifierError> {
        let account = checked("messaging account", account, Self::MAX_BYTES)?;
        Ok(Self::scoped(IdentifierKind::Messaging, service.as_str(), account))
    }

    /// A radio tag by its number in hexadecimal; letters become capitals, spaces are dropped.
    ///
    /// # Errors
    ///
    /// `Text` if nothing is left, or it is too long, or has a control character.
    pub fn rfid(number: &str) -> Result<Self, IdentifierError> {
        let number: String = checked("radio tag", number, 64)?.chars().filter(|c| *c != ' ').collect();
        Ok(Self::scoped(IdentifierKind::Rfid, "", checked("radio tag", &number.to_uppercase(), 64)?))
    }

    fn scoped(kind: IdentifierKind, scope: &str, value: SmolStr) -> Self {
        Identifier { kind, scope: SmolStr::new(scope), value }
    }

    /// Which kind it is.
    #[must_use]
    pub const fn kind(&self) -> IdentifierKind {
        self.kind
    }
}

impl std::fmt::Debug for Identifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identifier({}, ***)", self.kind.name())
    }
}

/// The keyed hash of an identifier: what events and look-ups hold in its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IdentifierKey {
    /// Which kind of identifier it stands for.
    pub kind: IdentifierKind,
    /// The first 16 bytes of HMAC-SHA-256.
    #[serde(with = "hex_bytes")]
    pub hash: [u8; 16],
}

impl std::fmt::Debug for IdentifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.kind.name())?;
        self.hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The secret under which identifiers are hashed (HMAC, RFC 2104). Whoever lacks it cannot find out
/// whether somebody is in a database that fell into their hands.
#[derive(Clone)]
pub struct LookupKey(Hmac<Sha256>);

impl LookupKey {
    /// From 32 secret bytes, which have to stay the same as long as the database lives.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        // HMAC pads a key that is shorter than a block with zeros.
        let mut block = [0_u8; 64];
        block[..32].copy_from_slice(secret);
        LookupKey(Hmac::new(&block.into()))
    }

    /// A key that everybody knows. With it look-ups work and hide nothing: for tests, demonstrations,
    /// and shops whose database is as well guarded as a key would be.
    #[must_use]
    pub fn public() -> Self {
        Self::new(b"crm: this look-up key is public!")
    }

    /// The hash that stands for an identifier within a tenant.
    #[must_use]
    pub fn hash(&self, tenant: &TenantId, identifier: &Identifier) -> IdentifierKey {
        let digest = self.digest(&[
            tenant.as_str(),
            identifier.kind.name(),
            identifier.scope.as_str(),
            identifier.value.as_str(),
        ]);
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        IdentifierKey { kind: identifier.kind, hash }
    }

    /// A value by which a store can tell that it is opened with the key it was made with.
    #[must_use]
    pub fn check_value(&self) -> [u8; 32] {
        self.digest(&["check value"])
    }

    fn digest(&self, parts: &[&str]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&(part.len() as u32).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }
}

impl std::fmt::Debug for LookupKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LookupKey(***)")
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
    }

    #[test]
    fn what_is_no_identifier_is_refused_without_repeating_it() {
        for bad in
            ["", "ana", "ana@", "@example.com", "ana＠example.com", "a@b\r\nBcc: c@d.com", "Ana <ana@example.com>"]
        {
            let error = Identifier::email(bad).unwrap_err();
            assert!(bad.is_empty() || !error.to_string().contains(bad), "{error}");
        }
        for bad in ["030123456", "+0301234567", "+49", "+49301234567890123", "+49 30 CALL ME"] {
            assert!(Identifier::phone(bad).is_err(), "{bad}");
        }
        assert!(Identifier::email(&format!("{}@example.com", "a".repeat(1_000_000))).is_err());
    }

    #[test]
    fn the_hash_depends_on_key_tenant_kind_and_value() {
        let (one, other) = (TenantId::default(), TenantId::new("b").unwrap());
        let erp = ExternalSystem::new("erp").unwrap();
        let id = Identifier::external(&erp, "7").unwrap();
        let key = LookupKey::public();
        assert_eq!(key.hash(&one, &id), key.hash(&one, &id));
        assert_ne!(key.hash(&one, &id), key.hash(&other, &id));
        assert_ne!(key.hash(&one, &id), LookupKey::new(&[1; 32]).hash(&one, &id));
        assert_ne!(key.hash(&one, &id).hash, key.hash(&one, &Identifier::device("7").unwrap()).hash);
    }

    #[test]
    fn nothing_personal_is_printed() {
        assert_eq!(format!("{:?}", Identifier::email("ana@example.com").unwrap()), "Identifier(email, ***)");
    }
}
