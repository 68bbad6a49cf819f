//! Personal texts. They are in normal form C (Unicode Standard Annex 15), so that two spellings of one name
//! are one value, and print masked.

use smol_str::SmolStr;
use unicode_normalization::{UnicodeNormalization as _, is_nfc};

use super::error::CardError;

/// A personal text of 1 to `MAX` bytes in normal form C, without control characters, line breaks or characters
/// that turn the direction of text; surrounding white space is dropped. It prints masked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct PersonalText<const MAX: usize>(SmolStr);

/// A line such as a name or a street: at most 256 bytes.
pub type CardLine = PersonalText<256>;
/// A longer text: at most 2,048 bytes.
pub type CardText = PersonalText<2048>;

impl<const MAX: usize> PersonalText<MAX> {
    /// The longest text in bytes, in normal form.
    pub const MAX_BYTES: usize = MAX;

    /// Checks a text.
    ///
    /// # Errors
    ///
    /// `Empty`, `TooLong` or `Control`.
    pub fn new(text: impl AsRef<str>) -> Result<Self, CardError> {
        Self::named("text", text.as_ref())
    }

    /// Checks a text that errors call by a name.
    pub(crate) fn named(what: &'static str, text: &str) -> Result<Self, CardError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(CardError::Empty { what });
        }
        let too_long = |bytes| CardError::TooLong { what, bytes, max: MAX };
        // No text shrinks to less than a quarter in normal form; what is longer is not even looked at.
        if text.len() > MAX.saturating_mul(4) {
            return Err(too_long(text.len()));
        }
        if let Some((at, _)) = text.char_indices().find(|(_, c)| is_unseen_control(*c)) {
            return Err(CardError::Control { what, at });
        }
        let text = if is_nfc(text) { SmolStr::new(text) } else { text.nfc().collect() };
        if text.len() > MAX { Err(too_long(text.len())) } else { Ok(PersonalText(text)) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, separators of lines and paragraphs, and the controls of direction (Unicode Standard
/// Annex 9), by which a text can be made to look like another. Joiners stay: some scripts are written with them.
fn is_unseen_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

impl<const MAX: usize> TryFrom<SmolStr> for PersonalText<MAX> {
    type Error = CardError;

    fn try_from(text: SmolStr) -> Result<Self, CardError> {
        Self::new(&text)
    }
}

impl<const MAX: usize> From<PersonalText<MAX>> for SmolStr {
    fn from(text: PersonalText<MAX>) -> SmolStr {
        text.0
    }
}

impl<const MAX: usize> std::fmt::Debug for PersonalText<MAX> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl<const MAX: usize> AsRef<str> for PersonalText<MAX> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_of_one_name_are_one_value() {
        assert_eq!(CardLine::new(" Jose\u{301} ").unwrap(), CardLine::new("José").unwrap());
        assert_eq!(CardLine::new("王小明").unwrap().as_str(), "王小明");
        assert_eq!(
            CardLine::new("می\u{200c}خواهم").unwrap().as_str(),
            "می\u{200c}خواهم",
            "a joiner belongs to the word"
        );
    }

    #[test]
    fn what_would_hurt_is_refused_without_repeating_it() {
        let long = "x".repeat(1_000_000);
        let marks = format!("e{}", "\u{301}".repeat(10_000));
        for bad in
            ["", " \u{3000} ", "a\0b", "a\r\nb", "Canary\u{202e}gpj", "a\u{2028}b", "\u{feff}a\u{feff}b", &long, &marks]
        {
            let error = CardLine::new(bad).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("Canary"), "{error}");
        }
        assert!(CardLine::new("é".repeat(128)).is_ok());
        assert!(matches!(CardLine::new("é".repeat(129)), Err(CardError::TooLong { bytes: 258, max: 256, .. })));
        assert!(serde_json::from_str::<CardLine>("\"a\\u0000\"").is_err(), "what is read back is checked again");
        assert_eq!(format!("{:?}", CardLine::new("Canary").unwrap()), "***");
    }
}
