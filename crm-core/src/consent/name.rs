//! Names of purposes and scopes, and of those who collect consent.

use smol_str::SmolStr;

use crate::text::text_type;

/// Why a name of a purpose or a scope was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a {what} has 1 to {} characters out of a-z, 0-9, dot, underscore and hyphen", NAME_MAX)]
pub struct NoName {
    /// What it was to be.
    pub what: &'static str,
}

/// The longest name in bytes.
pub const NAME_MAX: usize = 64;

fn named(what: &'static str, name: &str) -> Result<SmolStr, NoName> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-');
    let fits = (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(plain);
    if fits { Ok(SmolStr::new(name)) } else { Err(NoName { what }) }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        ///
        /// 1 to 64 characters out of `a-z`, `0-9`, `.`, `_` and `-`, so that names of sets, which join them by
        /// slashes, are unambiguous. Cloning is cheap.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "SmolStr", into = "SmolStr")]
        pub struct $name(SmolStr);

        impl $name {
            /// Checks a name.
            ///
            /// # Errors
            ///
            /// `NoName` for any other character or length.
            pub fn new(name: impl AsRef<str>) -> Result<Self, NoName> {
                named($what, name.as_ref()).map(Self)
            }

            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl TryFrom<SmolStr> for $name {
            type Error = NoName;
            fn try_from(name: SmolStr) -> Result<Self, NoName> {
                Self::new(name)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NoName;
            fn from_str(name: &str) -> Result<Self, NoName> {
                Self::new(name)
            }
        }

        impl From<$name> for SmolStr {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.as_str())
            }
        }
    };
}

name_type!(
    /// What somebody is contacted or profiled for, such as `newsletter`.
    Purpose, "purpose"
);
name_type!(
    /// Within which part of the business a consent holds: a brand or a group of brands.
    Scope, "scope"
);

impl Purpose {
    /// A name that is known to be one.
    pub(crate) const fn well_known(name: &'static str) -> Self {
        Purpose(SmolStr::new_static(name))
    }
}

text_type!(
    /// The version of a wording, as the shop numbers it, such as `2026-01`.
    WordingVersion, "wording version", 64
);
text_type!(
    /// Who or what collected a consent: a form, a till, a call centre. A name of a place or a role, never of
    /// a person; see [`Proof::check`](super::Proof::check).
    Collector, "collector", 64
);
text_type!(
    /// A short opaque reference to evidence that is kept elsewhere: a scan's number, a call's id. Never the
    /// evidence itself; see [`Proof::check`](super::Proof::check).
    Evidence, "evidence", 128
);

/// The language of a wording as a tag of BCP 47, such as `de-AT`: letters, digits and hyphens, 2 to 35
/// characters (RFC 5646, section 4.4.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct Locale(SmolStr);

impl Locale {
    /// Checks a tag.
    ///
    /// # Errors
    ///
    /// `NoLocale` for any other form. Whether there is such a language is not looked up.
    pub fn new(tag: impl AsRef<str>) -> Result<Self, NoLocale> {
        let tag = tag.as_ref();
        let fits = (2..=35).contains(&tag.len())
            && tag
                .split('-')
                .all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        if fits { Ok(Locale(SmolStr::new(tag))) } else { Err(NoLocale) }
    }

    /// The tag.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Not a language tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a language tag of BCP 47")]
pub struct NoLocale;

impl TryFrom<SmolStr> for Locale {
    type Error = NoLocale;
    fn try_from(tag: SmolStr) -> Result<Self, NoLocale> {
        Self::new(tag)
    }
}

impl From<Locale> for SmolStr {
    fn from(locale: Locale) -> Self {
        locale.0
    }
}

impl std::fmt::Debug for Locale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Locale({:?})", self.as_str())
    }
}

/// Whether a text could name a person: an address, a number to reach them by, or an IP address.
pub(super) fn could_be_personal(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_number = text.trim_start().starts_with('+') && digits >= 8;
    text.contains('@') || is_number || text.parse::<std::net::IpAddr>().is_ok()
}
