//! One spelling for what is written in several ways. Unicode has more than one sequence of characters for
//! the same text, and characters that nobody sees: the first are brought to one form (NFC, UAX #15), the
//! second are refused, so that two values that look alike are either one or visibly not a value.

use smol_str::SmolStr;
use unicode_normalization::UnicodeNormalization as _;

use super::IdentifierError;
use crate::text::checked;

/// By how much normalising may shrink a text: an input longer than its limit times this is refused unread.
const RAW_FACTOR: usize = 4;

/// Trims, refuses control and unseen characters, and brings to NFC; `max` bytes hold for the result.
pub(super) fn plain(what: &'static str, text: &str, max: usize) -> Result<SmolStr, IdentifierError> {
    let text = checked(what, text, max * RAW_FACTOR)?;
    if let Some((at, _)) = text.char_indices().find(|(_, c)| is_unseen(*c)) {
        return Err(IdentifierError::Unseen { what, at });
    }
    if text.is_ascii() {
        return Ok(checked(what, &text, max)?);
    }
    Ok(checked(what, &nfc(&text), max)?)
}

/// In NFC.
pub(super) fn nfc(text: &str) -> String {
    text.nfc().collect()
}

/// Whether a character is one that nobody sees: it makes two values that look the same differ, turns the
/// order of others around, or ends a line. These are the `Default_Ignorable_Code_Point`s of Unicode 16
/// (zero-width space and joiners, soft hyphen, bidirectional controls of UAX #9, byte-order mark, variation
/// selectors, tags, Hangul fillers), line and paragraph separators, and the marks of interlinear notes.
pub(super) const fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn composed_and_decomposed_are_one() {
        assert_eq!(plain("key", "Jose\u{301}", 64).unwrap(), plain("key", "Jos\u{e9}", 64).unwrap());
    }

    #[test]
    fn what_nobody_sees_is_refused_and_its_place_told() {
        for c in ['\u{200B}', '\u{200D}', '\u{202E}', '\u{2066}', '\u{AD}', '\u{2028}'] {
            let refused = plain("key", &format!("ab{c}c"), 64);
            assert_eq!(refused, Err(IdentifierError::Unseen { what: "key", at: 2 }), "{c:?}");
        }
    }

    #[test]
    fn ten_thousand_combining_marks_are_too_long_and_cost_nothing() {
        let marks = format!("a{}", "\u{301}".repeat(10_000));
        assert!(matches!(plain("key", &marks, 320), Err(IdentifierError::Text(_))));
    }
}
