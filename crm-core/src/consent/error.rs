//! Why facts and policies about consent are refused.

use super::event::Basis;
use super::name::{Purpose, Scope};
use crate::interaction::Channel;

/// Why a fact about consent was refused. Withdrawals and refusals never are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsentError {
    /// A part of a proof looks like personal data, which belongs among the personal values.
    #[error("the {part} of a proof looks personal: keep it apart, and refer to it")]
    Personal {
        /// Which part.
        part: &'static str,
    },
    /// No policy in force at the time of the fact has the purpose.
    #[error("no purpose {purpose} is defined then")]
    UnknownPurpose {
        /// The purpose.
        purpose: Purpose,
    },
    /// No policy in force at the time of the fact has the scope.
    #[error("no scope {scope} is defined then")]
    UnknownScope {
        /// The scope.
        scope: Scope,
    },
    /// The policy does not allow the purpose on this basis.
    #[error("{purpose} cannot rest on {basis:?}")]
    Basis {
        /// The purpose.
        purpose: Purpose,
        /// The basis.
        basis: Basis,
    },
    /// What was taken over does not prove that somebody consented: it can deny, and not allow.
    #[error("a consent that is not proved: {why}")]
    Unproved {
        /// What is missing.
        why: Unproved,
    },
    /// A consent or a request ends before it begins.
    #[error("it ends before it begins")]
    EndsBefore,
}

/// What a consent lacks so that it proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unproved {
    /// How, when and by whom it was first collected.
    #[error("how, when and by whom it was first collected is not said")]
    NoOriginal,
    /// An import of an import: somebody collected it in some way.
    #[error("it was first collected by an import")]
    ImportOfImport,
    /// A consent happened when it was given, not when it was taken over.
    #[error("its time is not the one at which it was first given")]
    OtherTime,
    /// A restriction or an objection is lifted by what somebody says now.
    #[error("a restriction or an objection cannot be lifted by history")]
    LiftedInHistory,
    /// A double opt-in without a reference to the confirmation.
    #[error("a double opt-in without a reference to its confirmation")]
    NoConfirmation,
}

impl ConsentError {
    /// A short name of the reason, to count by.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            ConsentError::Personal { .. } => "consent_personal",
            ConsentError::UnknownPurpose { .. } => "consent_unknown_purpose",
            ConsentError::UnknownScope { .. } => "consent_unknown_scope",
            ConsentError::Basis { .. } => "consent_basis",
            ConsentError::Unproved { .. } => "consent_unproved",
            ConsentError::EndsBefore => "consent_ends_before",
        }
    }
}

/// Why a policy was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// More of something than there may be.
    #[error("{count} {what}, at most {max}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// Something is there twice.
    #[error("a {what} comes twice")]
    Twice {
        /// What.
        what: &'static str,
    },
    /// A purpose without a basis.
    #[error("{purpose} rests on no basis")]
    NoBasis {
        /// Which.
        purpose: Purpose,
    },
    /// Silence is no consent (GDPR, recital 32): what one has to opt out of cannot rest on it.
    #[error("{purpose} is opt-out and rests on consent")]
    SilentConsent {
        /// Which.
        purpose: Purpose,
    },
    /// What one has to opt out of cannot wait for a confirmation.
    #[error("{purpose} is opt-out and wants double opt-in")]
    ConfirmedSilence {
        /// Which.
        purpose: Purpose,
    },
    /// Marketing and profiling are not transactional.
    #[error("{purpose} is transactional and marketing or profiling")]
    NotTransactional {
        /// Which.
        purpose: Purpose,
    },
    /// Quiet hours on no day.
    #[error("quiet hours without a day")]
    NoDay,
    /// The quiet hours of a channel leave less than an hour a week.
    #[error("the quiet hours of {channel:?} leave less than an hour a week")]
    AlwaysQuiet {
        /// Which channel.
        channel: Channel,
    },
    /// A cap counts from 1 to 64 contacts.
    #[error("a cap of {count} contacts: 1 to {max} can be counted")]
    CapCount {
        /// The count asked for.
        count: u32,
        /// The limit.
        max: u32,
    },
    /// A cap looks back from a millisecond to 400 days.
    #[error("a cap over {millis} ms: 1 ms to {max_days} days can be looked back over")]
    CapSpan {
        /// The span asked for.
        millis: i64,
        /// The limit.
        max_days: u32,
    },
    /// A cap on a purpose that the policy does not have.
    #[error("a cap on {purpose}, which is not defined")]
    CapPurpose {
        /// Which.
        purpose: Purpose,
    },
}
