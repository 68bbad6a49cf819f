//! Regular expressions that take time in proportion to the text.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// A regular expression as the `regex` crate has them: without look-around and references back, matched in time that
/// grows with the text and no faster. At most [`Pattern::MAX`] bytes, and at most 64 KiB once compiled.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct Pattern {
    text: SmolStr,
    compiled: Regex,
}

/// A text that is no [`Pattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a regular expression of at most {} bytes: {reason}", Pattern::MAX)]
pub struct NoPattern {
    /// What is wrong with it.
    pub reason: String,
}

impl Pattern {
    /// The longest, in bytes.
    pub const MAX: usize = 512;
    const COMPILED_MAX: usize = 64 << 10;

    /// Compiles a regular expression.
    ///
    /// # Errors
    ///
    /// `NoPattern` if it is too long, malformed, or too large once compiled.
    pub fn new(text: &str) -> Result<Self, NoPattern> {
        if text.len() > Self::MAX {
            return Err(NoPattern { reason: format!("it has {} bytes", text.len()) });
        }
        let mut builder = RegexBuilder::new(text);
        builder.size_limit(Self::COMPILED_MAX).dfa_size_limit(Self::COMPILED_MAX).nest_limit(32);
        let last_line = |error: regex::Error| {
            let told = error.to_string();
            let line = told.lines().last().unwrap_or_default();
            NoPattern { reason: line.trim_start_matches("error: ").to_owned() }
        };
        Ok(Pattern { text: SmolStr::new(text), compiled: builder.build().map_err(last_line)? })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches somewhere in a text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.compiled.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl std::fmt::Debug for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pattern({:?})", self.text)
    }
}

impl TryFrom<SmolStr> for Pattern {
    type Error = NoPattern;
    fn try_from(text: SmolStr) -> Result<Self, NoPattern> {
        Self::new(&text)
    }
}

impl From<Pattern> for SmolStr {
    fn from(pattern: Pattern) -> SmolStr {
        pattern.text
    }
}
