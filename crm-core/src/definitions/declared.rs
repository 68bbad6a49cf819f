//! What shops declare to be there: kinds of events, and attributes that rules ask about.

use super::Definitions;
use crate::custom::{KindName, KindSchema};
use crate::declared::{AttributeSet, DeclaredError, DeclaredKind, DeclaredName};
use crate::time::Timestamp;

impl Definitions {
    /// The schema of a kind of event in force.
    #[must_use]
    pub fn kind(&self, name: &KindName, at: Timestamp) -> Option<&KindSchema> {
        self.kinds.get(name)?.at(at)?.as_ref()
    }

    /// The kinds of events in force that the shop declared.
    pub fn kinds(&self, at: Timestamp) -> impl Iterator<Item = &KindName> {
        self.kinds.iter().filter_map(move |(name, versions)| versions.at(at)?.as_ref().map(|_| name))
    }

    /// What an attribute for rules takes, if it is in force.
    #[must_use]
    pub fn attribute(&self, name: &DeclaredName, at: Timestamp) -> Option<&DeclaredKind> {
        self.attributes.get(name)?.at(at)?.as_ref()
    }

    /// The attributes for rules in force, by name.
    pub fn attributes(&self, at: Timestamp) -> impl Iterator<Item = (&DeclaredName, &DeclaredKind)> {
        self.attributes.iter().filter_map(move |(name, versions)| Some((name, versions.at(at)?.as_ref()?)))
    }

    /// Checks a fact about an attribute for rules against its declaration at the time of the fact. What is known of one
    /// that was ended can still be taken away.
    ///
    /// # Errors
    ///
    /// `DeclaredError` if it is not declared, or takes another value.
    pub fn check_attribute(&self, set: &AttributeSet, at: Timestamp) -> Result<(), DeclaredError> {
        let undeclared = || DeclaredError::Undeclared { attribute: set.attribute.clone() };
        match &set.value {
            Some(value) => self.attribute(&set.attribute, at).ok_or_else(undeclared)?.takes(&set.attribute, value),
            None if self.attributes.contains_key(&set.attribute) => Ok(()),
            None => Err(undeclared()),
        }
    }
}
