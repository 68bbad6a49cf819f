//! Values that name nobody. A program that has no customer at hand still fills the field: with zeros,
//! `null`, `anonymous`. Such a value would make one person of all who came with it.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::rules::PatternError;

/// Which values a rule is about. Case of ASCII letters does not count. Each takes time in proportion to
/// the value, which has at most 320 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Pattern {
    /// This value.
    Exact(SmolStr),
    /// Values that begin so.
    Prefix(SmolStr),
    /// Values that have these pieces in this order, with anything where a `*` stands: `*@*.invalid`.
    Glob(SmolStr),
    /// Values made of nothing but these characters: `0-` for zeros and dashes.
    OnlyOf(SmolStr),
    /// Values that are one letter or digit again and again, at least so often; other characters are
    /// passed over, so that `+1 111 1111` is one.
    Repeated(u8),
}

impl Pattern {
    /// The longest text in bytes.
    pub const TEXT_MAX: usize = 128;
    /// The least that [`Repeated`](Self::Repeated) may ask for: `7`, `11` and `777` are customer numbers.
    pub const REPEATED_MIN: u8 = 4;

    /// Checks the limits.
    ///
    /// # Errors
    ///
    /// `PatternError` if a text is empty, too long, or a pattern would match every value.
    pub fn check(&self) -> Result<(), PatternError> {
        match self {
            Pattern::Exact(text) | Pattern::Prefix(text) | Pattern::Glob(text) | Pattern::OnlyOf(text) => {
                if text.len() > Self::TEXT_MAX {
                    return Err(PatternError::TooLong { bytes: text.len(), max: Self::TEXT_MAX });
                }
                let is_glob = matches!(self, Pattern::Glob(_));
                if text.is_empty() || (is_glob && text.chars().all(|c| c == '*')) {
                    return Err(PatternError::Everything);
                }
                Ok(())
            }
            Pattern::Repeated(least) if *least < Self::REPEATED_MIN => {
                Err(PatternError::TooFew { least: *least, min: Self::REPEATED_MIN })
            }
            Pattern::Repeated(_) => Ok(()),
        }
    }

    /// Whether it is about a value.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Pattern::Exact(text) => text.eq_ignore_ascii_case(value),
            Pattern::Prefix(text) => value.get(..text.len()).is_some_and(|head| head.eq_ignore_ascii_case(text)),
            Pattern::Glob(glob) => is_like(&value.to_ascii_lowercase(), &glob.to_ascii_lowercase()),
            Pattern::OnlyOf(set) => {
                !value.is_empty() && value.chars().all(|c| set.chars().any(|one| one.eq_ignore_ascii_case(&c)))
            }
            Pattern::Repeated(least) => {
                let mut letters = value.chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_lowercase());
                let first = letters.next();
                let mut count = usize::from(first.is_some());
                let all = letters.all(|c| {
                    count += 1;
                    Some(c) == first
                });
                all && count >= usize::from(*least)
            }
        }
    }
}

/// Each piece is looked for after the one before it; taking the first place is enough, because what stands
/// between is free.
fn is_like(value: &str, glob: &str) -> bool {
    let Some((head, rest)) = glob.split_once('*') else { return value == glob };
    let Some(mut left) = value.strip_prefix(head) else { return false };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in middle.split('*').filter(|piece| !piece.is_empty()) {
        let Some(at) = left.find(piece) else { return false };
        left = &left[at + piece.len()..];
    }
    left.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(pattern: &Pattern, yes: &[&str], no: &[&str]) {
        for value in yes {
            assert!(pattern.matches(value), "{pattern:?} {value}");
        }
        for value in no {
            assert!(!pattern.matches(value), "{pattern:?} {value}");
        }
    }

    #[test]
    fn a_pattern_is_about_what_it_says() {
        check(&Pattern::Exact("null".into()), &["null", "NULL"], &["nullarbor", ""]);
        check(&Pattern::Prefix("noreply@".into()), &["noreply@a.de", "NoReply@b.de"], &["noreply.ana@a.de"]);
        check(&Pattern::Glob("*@*.invalid".into()), &["a@b.invalid"], &["a@invalid", "a@b.invalid.de"]);
        check(&Pattern::Glob("a*b*c".into()), &["abc", "aXbYc", "abbc"], &["acb", "ab", "xabc"]);
        check(&Pattern::Glob("ab*ba".into()), &["abba", "abXba"], &["aba"]);
        check(&Pattern::OnlyOf("0-".into()), &["0", "0000-00", "-"], &["01", ""]);
        check(&Pattern::Repeated(6), &["111111", "+1111111", "AA-AA-AA"], &["11111", "111112", "", "---"]);
    }

    #[test]
    fn what_would_block_everybody_is_refused() {
        for pattern in [Pattern::Prefix("".into()), Pattern::Glob("**".into()), Pattern::OnlyOf("".into())] {
            assert_eq!(pattern.check(), Err(PatternError::Everything));
        }
        assert!(matches!(Pattern::Repeated(1).check(), Err(PatternError::TooFew { .. })));
        assert!(matches!(Pattern::Exact("x".repeat(129).into()).check(), Err(PatternError::TooLong { .. })));
    }

    proptest! {
        /// A glob agrees with the plain definition: every way of splitting the value tried.
        #[test]
        fn a_glob_finds_what_trying_everything_finds(glob in "[ab*]{1,6}", value in "[ab]{0,8}") {
            fn slow(value: &[u8], glob: &[u8]) -> bool {
                match glob.split_first() {
                    None => value.is_empty(),
                    Some((b'*', rest)) => (0..=value.len()).any(|skip| slow(&value[skip..], rest)),
                    Some((c, rest)) => value.first() == Some(c) && slow(&value[1..], rest),
                }
            }
            prop_assert_eq!(is_like(&value, &glob), slow(value.as_bytes(), glob.as_bytes()));
        }
    }
}
