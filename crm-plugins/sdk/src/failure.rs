//! Declining to answer.

use alloc::string::String;
use core::fmt;

/// Why a plugin does not answer. The host records the code and drops the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    code: String,
    message: String,
}

impl Failure {
    /// A failure. `code` is a word in kebab-case of at most 64 bytes, for records; `message` is for
    /// the author, and hosts keep it out of their logs because it may hold personal data.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Failure { code: code.into(), message: message.into() }
    }

    /// The word for records.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What is for the author.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl core::error::Error for Failure {}
