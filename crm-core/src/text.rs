//! Short texts that name things: each has a type of its own, is checked once and is then simply true.

use smol_str::SmolStr;

/// Why a text was refused as a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// Nothing but white space.
    #[error("{what} is empty")]
    Empty {
        /// What the text was to be.
        what: &'static str,
    },
    /// Longer than the limit of its type.
    #[error("{what} has {bytes} bytes, more than {max}")]
    TooLong {
        /// What the text was to be.
        what: &'static str,
        /// Its length in bytes.
        bytes: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// Has a control character, such as a line break or NUL.
    #[error("{what} has a control character at byte {at}")]
    Control {
        /// What the text was to be.
        what: &'static str,
        /// Where, in bytes from the start.
        at: usize,
    },
}

/// Checks a name: surrounding white space is dropped, and what is left is neither empty, nor longer
/// than `max` bytes, nor does it hold a control character.
pub(crate) fn checked(what: &'static str, text: &str, max: usize) -> Result<SmolStr, TextError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(TextError::Empty { what });
    }
    if text.len() > max {
        return Err(TextError::TooLong { what, bytes: text.len(), max });
    }
    // Most names are plain ASCII, and then one pass over the bytes settles it.
    let plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if !plain && let Some((at, _)) = text.char_indices().find(|(_, c)| c.is_control()) {
        return Err(TextError::Control { what, at });
    }
    Ok(SmolStr::new(text))
}

/// Reads a text and what it is to be from it at once: a state has many, and a text of its own for each of them would be
/// thrown away.
pub(crate) fn read<'de, D, T, E>(from: D, into: impl Fn(&str) -> Result<T, E>) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    E: std::fmt::Display,
{
    struct Text<F>(F);

    impl<T, E: std::fmt::Display, F: Fn(&str) -> Result<T, E>> serde::de::Visitor<'_> for Text<F> {
        type Value = T;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<R: serde::de::Error>(self, text: &str) -> Result<T, R> {
            (self.0)(text).map_err(R::custom)
        }
    }

    from.deserialize_str(Text(into))
}

/// Declares a checked text type: name, what it is called in errors, and its limit in bytes. With `masked` before them
/// it prints nothing of the text in `Debug`: people write it, and they write about people.
macro_rules! text_type {
    ($(#[$doc:meta])* masked $name:ident, $what:literal, $max:literal) => {
        $crate::text::text_type!(@all $(#[$doc])* $name, $what, $max);

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(***)"))
            }
        }
    };
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal) => {
        $crate::text::text_type!(@all $(#[$doc])* $name, $what, $max);

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.as_str())
            }
        }
    };
    (@all $(#[$doc:meta])* $name:ident, $what:literal, $max:literal) => {
        $(#[$doc])*
        #[doc = concat!("\n\nAt most ", $max, " bytes of UTF-8 without control characters, not empty; surrounding white space is dropped. Cloning is cheap.")]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(smol_str::SmolStr);

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::text::read(from, |text| Self::new(text))
            }
        }

        impl $name {
            /// Checks a text.
            ///
            /// # Errors
            ///
            /// `TextError` if it is empty, too long, or has a control character.
            pub fn new(text: impl AsRef<str>) -> Result<Self, $crate::text::TextError> {
                $crate::text::checked($what, text.as_ref(), $max).map(Self)
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl TryFrom<smol_str::SmolStr> for $name {
            type Error = $crate::text::TextError;
            fn try_from(text: smol_str::SmolStr) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = $crate::text::TextError;
            fn try_from(text: &str) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::text::TextError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl From<$name> for smol_str::SmolStr {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use text_type;

text_type!(
    /// A word or two that a shop or a plugin puts on a customer, such as `vip`.
    Tag, "tag", 64
);
text_type!(
    /// A short remark: why something was done. It prints masked.
    masked Remark, "remark", 512
);

macro_rules! remark_from {
    ($($name:ident),*) => {$(
        impl From<crate::loyalty::$name> for Remark {
            /// A name is shorter than a remark, and checked alike.
            fn from(name: crate::loyalty::$name) -> Self {
                Remark(name.into())
            }
        }
    )*};
}
remark_from!(RewardName, BadgeName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_checked_once() {
        assert_eq!(Tag::new("  vip ").unwrap().as_str(), "vip");
        assert_eq!(Tag::new(" \t "), Err(TextError::Empty { what: "tag" }));
        assert_eq!(Tag::new("x".repeat(65)), Err(TextError::TooLong { what: "tag", bytes: 65, max: 64 }));
        assert_eq!(Tag::new("a\u{0}b"), Err(TextError::Control { what: "tag", at: 1 }));
        assert_eq!(Tag::new("é\u{85}b"), Err(TextError::Control { what: "tag", at: 2 }));
        assert_eq!(Tag::new("王小明").unwrap().as_str(), "王小明");
    }

    #[test]
    fn a_remark_prints_nothing_of_itself() {
        let remark = Remark::new("Canary asked for it").unwrap();
        assert_eq!((format!("{remark:?}").as_str(), remark.as_str()), ("Remark(***)", "Canary asked for it"));
        assert_eq!(format!("{:?}", Tag::new("vip").unwrap()), "Tag(\"vip\")");
        assert!(!format!("{:?}", Remark::new("Canary\n")).contains("Canary"));
    }

    #[test]
    fn what_is_read_back_is_checked_again() {
        assert!(serde_json::from_str::<Tag>("\"vip\"").is_ok());
        assert!(serde_json::from_str::<Tag>("\"\"").is_err());
    }
}
