//! Countries, languages and time zones, by the names that their registries give them.

use std::str::FromStr as _;

use smol_str::SmolStr;

use super::error::CardError;

/// Declares a text that is checked and brought into one form by a function.
macro_rules! registered {
    ($(#[$doc:meta])* $name:ident, $read:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "SmolStr", into = "SmolStr")]
        pub struct $name(SmolStr);

        impl $name {
            /// Checks a text.
            ///
            /// # Errors
            ///
            /// `Form` if there is no such thing.
            pub fn new(text: &str) -> Result<Self, CardError> {
                $read(text.trim()).map($name)
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<SmolStr> for $name {
            type Error = CardError;

            fn try_from(text: SmolStr) -> Result<Self, CardError> {
                Self::new(&text)
            }
        }

        impl From<$name> for SmolStr {
            fn from(value: $name) -> SmolStr {
                value.0
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(***)"))
            }
        }
    };
}

registered!(
    /// A country by its two letters in ISO 3166-1, such as `PT`; small letters become capitals.
    Country, country
);
registered!(
    /// A language by its tag in BCP 47 (RFC 5646), such as `pt-BR` or `zh-Hant`; letters get their usual case.
    Language, language
);
registered!(
    /// A time zone by its name in the IANA database, such as `Asia/Shanghai`; case counts.
    TimeZone, zone
);

impl TimeZone {
    /// The rules of the zone.
    #[must_use]
    pub fn rules(&self) -> chrono_tz::Tz {
        // Checked when it was made.
        chrono_tz::Tz::from_str(&self.0).unwrap_or(chrono_tz::Tz::UTC)
    }
}

fn country(text: &str) -> Result<SmolStr, CardError> {
    let wrong = || CardError::Form { what: "country", form: "two letters of ISO 3166-1" };
    let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let code = if is_plain { text.to_ascii_uppercase() } else { return Err(wrong()) };
    iso_country::Country::from_str(&code).map(|_| SmolStr::new(&code)).map_err(|_| wrong())
}

/// RFC 5646 sets no limit; it asks for room for at least 35 characters.
const LANGUAGE_BYTES_MAX: usize = 64;

fn language(text: &str) -> Result<SmolStr, CardError> {
    let wrong = || CardError::Form { what: "language", form: "a tag of BCP 47" };
    if text.len() > LANGUAGE_BYTES_MAX {
        return Err(wrong());
    }
    oxilangtag::LanguageTag::parse_and_normalize(text).map(|tag| SmolStr::new(tag.as_str())).map_err(|_| wrong())
}

fn zone(text: &str) -> Result<SmolStr, CardError> {
    let wrong = |_| CardError::Form { what: "time zone", form: "a name of the IANA database" };
    chrono_tz::Tz::from_str(text).map(|zone| SmolStr::new_static(zone.name())).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_registered_is_taken() {
        assert_eq!(Country::new("pt").unwrap().as_str(), "PT");
        assert_eq!(Language::new("PT-br").unwrap().as_str(), "pt-BR");
        assert_eq!(Language::new("zh-hant-tw").unwrap().as_str(), "zh-Hant-TW");
        assert_eq!(TimeZone::new("Asia/Shanghai").unwrap().rules(), chrono_tz::Tz::Asia__Shanghai);
        for bad in ["", "P", "ZZ", "XX", "PRT", "ＰＴ", "P\0"] {
            assert!(Country::new(bad).is_err(), "{bad}");
        }
        let long = "a-".repeat(100_000);
        for bad in ["", "p", "portuguese!", "-", &long] {
            assert!(Language::new(bad).is_err(), "{}", bad.len());
        }
        for bad in ["", "Mars/Olympus", "asia/shanghai", "UTC+2", "../etc/passwd"] {
            assert!(TimeZone::new(bad).is_err(), "{bad}");
        }
    }
}
