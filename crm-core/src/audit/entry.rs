//! What an entry says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Head;
use super::checkpoint::Signature;
use super::hash::entry_hash;
use crate::exact::json;
use crate::id::{CustomerId, Digest, EventId, TenantId};
use crate::privacy::RetentionName;
use crate::text::{TextError, text_type};
use crate::time::Timestamp;
use crate::workflow::PluginName;

text_type!(
    /// Who did something, as the host calls them, such as `support:17`. Nothing that is personal about a
    /// customer.
    ActorName, "audit actor", 64
);
text_type!(
    /// What for personal data was read, such as `ticket 4711`. Nothing that is personal about a customer.
    ReadPurpose, "purpose", 256
);
text_type!(
    /// The name of an action of the host's own, such as `report_printed`.
    ActionName, "audit action", 64
);
text_type!(
    /// What a detail is, such as `fields`.
    DetailName, "name of an audit detail", 64
);
text_type!(
    /// A detail in words. Nothing that is personal about a customer.
    DetailText, "audit detail", 256
);

/// How many details an entry may have.
pub const DETAILS_MAX: usize = 16;

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditActor {
    /// Somebody or something of the host's.
    Host(ActorName),
    /// A rule of the CRM.
    Rule,
    /// A plugin.
    Plugin(PluginName),
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuditAction {
    /// Personal values were read.
    PersonalRead {
        /// What for.
        purpose: ReadPurpose,
    },
    /// Everything about the customer was given out (GDPR, articles 15 and 20).
    Exported,
    /// What is personal was erased (article 17).
    Erased,
    /// Personal values were put right (article 16).
    Rectified,
    /// Processing was restricted (article 18).
    Restricted,
    /// It may go on.
    RestrictionLifted,
    /// The customer objected to processing (article 21).
    Objected,
    /// They took that back.
    ObjectionWithdrawn,
    /// It was shown how consent was given (article 7).
    ConsentProofRead,
    /// The customer was merged into another one.
    Merged {
        /// Into whom.
        into: CustomerId,
    },
    /// That was undone.
    Unmerged {
        /// Out of whom.
        from: CustomerId,
    },
    /// Keys that personal values are sealed under were replaced.
    KeysRotated,
    /// A rule about personal data was changed, such as how long it is kept.
    PolicyChanged,
    /// The log up to the entry before this one was signed, at this entry's time. Only the CRM writes it.
    Checkpoint {
        /// The signature.
        signature: Signature,
    },
    /// What was kept long enough went (article 5(1)(e)).
    RetentionApplied {
        /// By which policy.
        policy: RetentionName,
    },
    /// A plugin was kept from something: what it asked for was not granted, or the customer's data may not be used.
    /// The details say what and why.
    PluginRefused,
    /// Addresses are not written to any more, whoever has them. Which ones is not said.
    Suppressed,
    /// An address may be written to again, because its holder asked for it.
    SuppressionLifted,
    /// What another system, or another store, had of somebody was taken in: a whole customer, or consents.
    Imported,
    /// Something of the host's own.
    Other(ActionName),
}

impl AuditAction {
    /// Its name, as it is hashed.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            AuditAction::PersonalRead { .. } => "personal_read",
            AuditAction::Exported => "exported",
            AuditAction::Erased => "erased",
            AuditAction::Rectified => "rectified",
            AuditAction::Restricted => "restricted",
            AuditAction::RestrictionLifted => "restriction_lifted",
            AuditAction::Objected => "objected",
            AuditAction::ObjectionWithdrawn => "objection_withdrawn",
            AuditAction::ConsentProofRead => "consent_proof_read",
            AuditAction::Merged { .. } => "merged",
            AuditAction::Unmerged { .. } => "unmerged",
            AuditAction::KeysRotated => "keys_rotated",
            AuditAction::PolicyChanged => "policy_changed",
            AuditAction::Checkpoint { .. } => "checkpoint",
            AuditAction::RetentionApplied { .. } => "retention_applied",
            AuditAction::PluginRefused => "plugin_refused",
            AuditAction::Suppressed => "suppressed",
            AuditAction::SuppressionLifted => "suppression_lifted",
            AuditAction::Imported => "imported",
            AuditAction::Other(_) => "other",
        }
    }

    /// What belongs to the name, as it is hashed; empty if nothing does.
    pub(super) fn argument(&self) -> &[u8] {
        match self {
            AuditAction::PersonalRead { purpose } => purpose.as_str().as_bytes(),
            AuditAction::Merged { into: customer } | AuditAction::Unmerged { from: customer } => {
                customer.as_uuid().as_bytes()
            }
            AuditAction::Checkpoint { signature } => signature.as_bytes(),
            AuditAction::RetentionApplied { policy } => policy.as_str().as_bytes(),
            AuditAction::Other(name) => name.as_str().as_bytes(),
            AuditAction::Exported
            | AuditAction::Erased
            | AuditAction::Rectified
            | AuditAction::Restricted
            | AuditAction::RestrictionLifted
            | AuditAction::Objected
            | AuditAction::ObjectionWithdrawn
            | AuditAction::ConsentProofRead
            | AuditAction::KeysRotated
            | AuditAction::PolicyChanged
            | AuditAction::PluginRefused
            | AuditAction::Suppressed
            | AuditAction::SuppressionLifted
            | AuditAction::Imported => &[],
        }
    }
}

/// A detail of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Detail {
    /// A whole number.
    Int(i64),
    /// A few words.
    Text(DetailText),
}

/// Why an entry was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// More details than an entry may have.
    #[error("an audit entry has more than {max} details")]
    TooManyDetails {
        /// The limit.
        max: usize,
    },
    /// A text is empty, too long, or has a control character.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A checkpoint is written by the CRM, with its signature, and by nobody else.
    #[error("a checkpoint is not an entry of the host's")]
    Checkpoint,
}

/// What is to be noted in the log.
///
/// ```
/// use crm_core::audit::{ActorName, AuditAction, AuditActor, AuditEntry, ReadPurpose};
///
/// let by = AuditActor::Host(ActorName::new("support:17")?);
/// let read = AuditAction::PersonalRead { purpose: ReadPurpose::new("ticket 4711")? };
/// let entry = AuditEntry::new(by, read).with_number("fields", 3)?;
/// assert_eq!(entry.details().count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    pub(super) by: AuditActor,
    pub(super) action: AuditAction,
    pub(super) subject: Option<CustomerId>,
    pub(super) details: BTreeMap<DetailName, Detail>,
}

impl AuditEntry {
    /// Somebody did something.
    #[must_use]
    pub const fn new(by: AuditActor, action: AuditAction) -> Self {
        AuditEntry { by, action, subject: None, details: BTreeMap::new() }
    }

    /// To whom it was done.
    #[must_use]
    pub const fn about(mut self, customer: CustomerId) -> Self {
        self.subject = Some(customer);
        self
    }

    /// With a number, in the place of what had that name.
    ///
    /// # Errors
    ///
    /// `AuditError` for a name that is none, and for more than [`DETAILS_MAX`] details.
    pub fn with_number(self, name: &str, number: i64) -> Result<Self, AuditError> {
        self.with(name, Detail::Int(number))
    }

    /// With a text of at most 256 bytes, in the place of what had that name.
    ///
    /// # Errors
    ///
    /// `AuditError` for a name or a text that is none, and for more than [`DETAILS_MAX`] details.
    pub fn with_text(self, name: &str, text: &str) -> Result<Self, AuditError> {
        let text = Detail::Text(DetailText::new(text)?);
        self.with(name, text)
    }

    fn with(mut self, name: &str, detail: Detail) -> Result<Self, AuditError> {
        self.details.insert(DetailName::new(name)?, detail);
        if self.details.len() > DETAILS_MAX {
            return Err(AuditError::TooManyDetails { max: DETAILS_MAX });
        }
        Ok(self)
    }

    /// Who did it.
    #[must_use]
    pub const fn by(&self) -> &AuditActor {
        &self.by
    }

    /// What was done.
    #[must_use]
    pub const fn action(&self) -> &AuditAction {
        &self.action
    }

    /// To whom, if to one customer.
    #[must_use]
    pub const fn subject(&self) -> Option<CustomerId> {
        self.subject
    }

    /// What more there is to it, by name.
    pub fn details(&self) -> impl Iterator<Item = (&DetailName, &Detail)> {
        self.details.iter()
    }
}

/// An entry in its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its number: 1 for the first, and each one more than the one before it.
    pub sequence: u64,
    /// The hash of the entry before it; zeros before the first.
    pub previous: Digest,
    /// When it was noted, as the clock of the host told. The order of entries is that of their numbers.
    pub at: Timestamp,
    /// What it says.
    pub entry: AuditEntry,
    /// Its own hash.
    pub hash: Digest,
}

/// A stored entry that is not as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an entry of an audit log as it is written")]
pub struct AuditDecodeError;

/// An entry as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<'a> {
    sequence: u64,
    previous: Digest,
    at: Timestamp,
    by: std::borrow::Cow<'a, AuditActor>,
    action: std::borrow::Cow<'a, AuditAction>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<CustomerId>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    details: std::borrow::Cow<'a, BTreeMap<DetailName, Detail>>,
    hash: Digest,
}

impl AuditRecord {
    /// The next entry of a tenant's log.
    #[must_use]
    pub fn next(tenant: &TenantId, head: &Head, at: Timestamp, entry: AuditEntry) -> Self {
        let Head { sequence, hash: previous } = *head;
        let mut record = AuditRecord { sequence: sequence.saturating_add(1), previous, at, entry, hash: previous };
        record.hash = record.computed(tenant);
        record
    }

    /// The hash that it has in a tenant's log if it is as it was written.
    #[must_use]
    pub fn computed(&self, tenant: &TenantId) -> Digest {
        entry_hash(tenant, self)
    }

    /// The log's end if this is its last entry.
    #[must_use]
    pub const fn head(&self) -> Head {
        Head { sequence: self.sequence, hash: self.hash }
    }

    /// The id under which it is stored as an event.
    #[must_use]
    pub fn id(&self, tenant: &TenantId) -> EventId {
        EventId::of_audit(tenant, self.sequence)
    }

    /// As JSON, without white space, fields in the order of the documentation.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        use std::borrow::Cow::Borrowed;
        let AuditEntry { by, action, subject, details } = &self.entry;
        json(&Stored {
            sequence: self.sequence,
            previous: self.previous,
            at: self.at,
            by: Borrowed(by),
            action: Borrowed(action),
            subject: *subject,
            details: Borrowed(details),
            hash: self.hash,
        })
    }

    /// Reads it back. An entry has one form only: what means the same and is written otherwise is refused,
    /// so that no byte can change unnoticed. Whether the hash is right is for the [`Verifier`](super::Verifier).
    ///
    /// # Errors
    ///
    /// `AuditDecodeError` if it was not written by [`encode`](Self::encode).
    pub fn decode(body: &[u8]) -> Result<Self, AuditDecodeError> {
        let Stored { sequence, previous, at, by, action, subject, details, hash } =
            serde_json::from_slice(body).map_err(|_| AuditDecodeError)?;
        let (by, action, details) = (by.into_owned(), action.into_owned(), details.into_owned());
        let record = AuditRecord { sequence, previous, at, entry: AuditEntry { by, action, subject, details }, hash };
        let fits = record.entry.details.len() <= DETAILS_MAX;
        if fits && record.encode() == body { Ok(record) } else { Err(AuditDecodeError) }
    }
}
