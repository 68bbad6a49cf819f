//! Under what terms a score was made: what for, and what the plugin asked for and was not given. It is kept with the
//! score, because grants change, and because some of them are known to nobody but whoever loaded the plugin.
//!
//! It is written as JSON, and as no text at all where there is nothing to say.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::consent::Purpose;

/// What a score was made for, and what was withheld from the plugin.
///
/// ```
/// use crm_core::score::ScoreTerms;
///
/// assert_eq!(ScoreTerms::default().encode(), "");
/// let terms = ScoreTerms::decode(r#"{"for":["marketing"],"withheld":["spend"]}"#)?;
/// assert!(terms.withheld.contains("spend"));
/// assert_eq!(ScoreTerms::decode(&terms.encode()), Ok(terms));
/// # Ok::<(), crm_core::score::TermsError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreTerms {
    /// The purposes of all grants of the plugin: those it was loaded with, and those that were defined.
    #[serde(rename = "for", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub purposes: BTreeSet<Purpose>,
    /// The features that the plugin asked for and was not granted: they were missing for everybody.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub withheld: BTreeSet<SmolStr>,
}

/// Terms that cannot be read: a later version wrote them, or they are damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the terms of this score cannot be read")]
pub struct TermsError;

impl ScoreTerms {
    /// As they are kept.
    #[must_use]
    pub fn encode(&self) -> SmolStr {
        if *self == ScoreTerms::default() {
            return SmolStr::default();
        }
        // Sets of texts have a JSON form.
        serde_json::to_string(self).map(SmolStr::new).unwrap_or_default()
    }

    /// Reads what was kept. Of scores from before terms were kept it is nothing.
    ///
    /// # Errors
    ///
    /// `TermsError` of what this version does not know.
    pub fn decode(text: &str) -> Result<Self, TermsError> {
        if text.is_empty() { Ok(ScoreTerms::default()) } else { serde_json::from_str(text).map_err(|_| TermsError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_that_this_version_does_not_know_are_refused() {
        for text in ["{", r#"{"until":5}"#, r#"{"for":[""]}"#, r#"{"for":"marketing"}"#] {
            assert_eq!(ScoreTerms::decode(text), Err(TermsError), "{text}");
        }
    }
}
