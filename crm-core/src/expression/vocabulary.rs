//! The names that a rule may use, beside those of the language itself.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use crate::declared::DeclaredKind;
use crate::definitions::Definitions;
use crate::money::Currency;
use crate::score::ScoreOutput;
use crate::time::Timestamp;

/// What a shop has defined by an instant, against which the text of a rule is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    pub(super) currency: Currency,
    pub(super) programs: BTreeSet<SmolStr>,
    pub(super) segments: BTreeSet<SmolStr>,
    pub(super) kinds: BTreeSet<SmolStr>,
    pub(super) scorers: BTreeMap<SmolStr, BTreeSet<ScoreOutput>>,
    pub(super) attributes: BTreeMap<SmolStr, DeclaredKind>,
    pub(super) lists: BTreeSet<SmolStr>,
    pub(super) badges: BTreeSet<SmolStr>,
}

impl Vocabulary {
    /// What is in force at an instant.
    #[must_use]
    pub fn of(definitions: &Definitions, at: Timestamp) -> Self {
        let names = |all: &mut dyn Iterator<Item = &str>| all.map(SmolStr::new).collect();
        let programs = definitions.program_ids().filter(|id| definitions.program(id, at).is_some());
        Vocabulary {
            currency: definitions.currency(at),
            programs: names(&mut programs.map(AsRef::as_ref)),
            segments: names(&mut definitions.segments(at).map(|(name, _)| name.as_str())),
            attributes: definitions.attributes(at).map(|(name, kind)| (name.clone().into(), kind.clone())).collect(),
            scorers: definitions.scorers(at).map(|(name, all)| (name.clone().into(), all.clone())).collect(),
            kinds: names(&mut definitions.kinds(at).map(AsRef::as_ref)),
            badges: names(&mut definitions.badges(at).map(|(name, _)| name.as_str())),
            lists: names(&mut definitions.lists(at).map(|(name, _)| name.as_str())),
        }
    }
}

/// The name that is most like another one, if any is like it at all: at most a third of its letters differ.
pub(super) fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
    let distance = |other: &str| strsim::damerau_levenshtein(name, other);
    let likely = names.into_iter().map(|other| (distance(other), other)).min()?;
    let letters = name.chars().count().max(likely.1.chars().count());
    (likely.0 * 3 <= letters.max(3)).then(|| likely.1.to_owned())
}
