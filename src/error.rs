//! What can go wrong between a host and the CRM.

use crm_core::audit::{AuditError, Tampering};
use crm_core::customer::{MergeRefusal, Refusal};
use crm_core::expression::{ExpressionError, LimitError};
use crm_core::privacy::{Blocked, HoldRefusal, ViewName};
use crm_core::profile::CardError;
use crm_core::segment::{ListError, SegmentName, TooManyDays};
use crm_core::{CustomerId, DefinitionError, Timestamp};
use crm_storage::StorageError;

use crate::audit::SignError;
use crate::engine::{ConsentRefusal, ImportError, PointsImportError, RectifyRefusal, ReplayError, ScoreRunError};
use crate::ids::NoRandom;
use crate::ledger::LedgerError;
use crate::personal::PersonalError;
use crate::plan::FactRefusal;

/// Why a call failed. Whatever it was, nothing was lost: the state is as it was, unless the store says
/// that the outcome is unknown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The fact was refused.
    #[error(transparent)]
    Fact(#[from] FactRefusal),
    /// The command was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no such customer.
    #[error("there is no customer {customer}")]
    NoCustomer {
        /// The id given.
        customer: CustomerId,
    },
    /// The idempotency key was used before, for another command.
    #[error("the idempotency key was used before with another command")]
    KeyReused,
    /// An idempotency key is empty or longer than 255 bytes.
    #[error("an idempotency key has between 1 and 255 bytes, not {bytes}")]
    KeyLength {
        /// Its length.
        bytes: usize,
    },
    /// The definition was refused.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// Customers were not merged, or not parted.
    #[error(transparent)]
    Merge(#[from] MergeRefusal),
    /// The text of a rule was refused.
    #[error(transparent)]
    Expression(#[from] ExpressionError),
    /// The predicate was refused.
    #[error(transparent)]
    Predicate(#[from] LimitError),
    /// A value was refused for a card, or a question.
    #[error(transparent)]
    Card(#[from] CardError),
    /// A text is no vCards.
    #[cfg(feature = "vcard")]
    #[error(transparent)]
    Vcard(#[from] crate::vcard::VcardError),
    /// Other writers were first, again and again.
    #[error("gave up after {attempts} attempts: other writers were first each time")]
    Busy {
        /// How often it was tried.
        attempts: u32,
    },
    /// Another writer was first, inside a transaction of the shop's: roll it back, or load again and decide
    /// again. It is never tried again here.
    #[error("another writer was first")]
    Conflict,
    /// A token, or what was asked about consent, was refused.
    #[error(transparent)]
    Consent(#[from] ConsentRefusal),
    /// A personal value could not be sealed or opened.
    #[error(transparent)]
    Personal(#[from] PersonalError),
    /// Something stands against erasing somebody.
    #[error(transparent)]
    Blocked(#[from] Blocked),
    /// A legal hold was refused.
    #[error(transparent)]
    Hold(#[from] HoldRefusal),
    /// An identifier was not put right.
    #[error(transparent)]
    Rectify(#[from] RectifyRefusal),
    /// The ledger of erasures failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The store does not know of erasures that the ledger has: it was restored from a backup, or they were cut off.
    /// Call [`reapply_erasures`](crate::Crm::reapply_erasures) first.
    #[error("the store does not know that {customers} customers were erased: reapply the erasures first")]
    NotReapplied {
        /// How many customers.
        customers: usize,
    },
    /// What was to be taken in is no export, or contradicts what is there.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Points of another system were not taken in.
    #[error(transparent)]
    PointsImport(#[from] PointsImportError),
    /// There is no such list.
    #[error(transparent)]
    List(#[from] ListError),
    /// A report over too many days.
    #[error(transparent)]
    Days(#[from] TooManyDays),
    /// A replay of the past that cannot be.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A scoring run did not go on.
    #[error(transparent)]
    ScoreRun(#[from] ScoreRunError),
    /// There is no such segment in force.
    #[error("there is no segment {segment}")]
    NoSegment {
        /// Its name.
        segment: SegmentName,
    },
    /// There is no such view.
    #[error("there is no view {view}")]
    NoView {
        /// Its name.
        view: ViewName,
    },
    /// Their data may not be used for this (GDPR, Art. 18).
    #[error("the data of {customer} is restricted since {since}")]
    Restricted {
        /// Whose.
        customer: CustomerId,
        /// Since when.
        since: Timestamp,
    },
    /// The entry for the audit log was refused.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The audit log was tampered with.
    #[error("the audit log was tampered with: {0}")]
    Tampered(#[from] Tampering),
    /// The CRM was built without anything that signs checkpoints.
    #[error("there is nothing to sign checkpoints with")]
    NoSigner,
    /// A checkpoint of the audit log could not be signed.
    #[error(transparent)]
    Signing(#[from] SignError),
    /// The store was made with another look-up key.
    #[error("the store was made with another look-up key: nobody would be found with this one")]
    LookupKey,
    /// No code for a voucher could be drawn.
    #[error(transparent)]
    Random(#[from] NoRandom),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Error {
    pub(crate) fn corrupt(what: impl std::fmt::Display) -> Self {
        Error::Storage(StorageError::Corrupt { what: what.to_string() })
    }
}
