//! Checking a log: entry by entry, holding one hash.

use super::checkpoint::{Checkpoint, VerifyingKey};
use super::entry::{AuditAction, AuditRecord};
use super::{FIRST, Head};
use crate::id::{Digest, TenantId};

/// What was found to be wrong with a log. The first thing that is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Tampering {
    /// An entry is not what its hash says, or was not written by this code. An entry of another tenant's is
    /// such a one.
    #[error("entry {sequence} was altered")]
    Altered {
        /// Its number, by its place.
        sequence: u64,
    },
    /// Entries are missing.
    #[error("entry {found} comes where {expected} was expected: entries are missing")]
    Gap {
        /// The first that is missing.
        expected: u64,
        /// What comes in its place.
        found: u64,
    },
    /// An entry comes after later ones.
    #[error("entry {sequence} comes after later ones")]
    Swapped {
        /// Its number.
        sequence: u64,
    },
    /// An entry comes again.
    #[error("entry {sequence} comes again")]
    Repeated {
        /// Its number.
        sequence: u64,
    },
    /// An entry follows another one than the one before it: what is before it was written anew.
    #[error("entry {sequence} does not follow the one before it")]
    Unlinked {
        /// Its number.
        sequence: u64,
    },
    /// The log was longer once.
    #[error("the log ends with entry {found}, and had {expected}")]
    CutTail {
        /// How many entries it had at least.
        expected: u64,
        /// The number of the last one.
        found: u64,
    },
    /// An entry is another one than the one that was signed, or than the log's end says: the log was written anew.
    #[error("entry {sequence} is not the one that is vouched for")]
    Rewritten {
        /// Its number.
        sequence: u64,
    },
    /// A checkpoint was not signed by the owner of a key that was given.
    #[error("the checkpoint of entry {sequence} is not signed by a key that was given")]
    BadSignature {
        /// The number that the checkpoint is about: for one in the log, of the entry before it.
        sequence: u64,
    },
    /// A checkpoint of another log.
    #[error("a checkpoint of tenant {tenant}")]
    OtherTenant {
        /// Whose.
        tenant: TenantId,
    },
}

/// A log with which nothing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Its end.
    pub head: Head,
    /// How many checkpoints are in it.
    pub checkpoints: u64,
    /// The number up to which it is signed, by a checkpoint in it or outside; what is after that is only
    /// linked.
    pub signed: u64,
}

/// Checks a log entry by entry, in the order in which they are kept. Takes the same memory however long the
/// log is.
#[derive(Debug, Clone)]
pub struct Verifier<'k> {
    tenant: TenantId,
    keys: &'k [VerifyingKey],
    /// Which hashes entries are known to have, by number.
    vouched: Vec<(u64, Digest)>,
    /// How many of them were passed.
    passed: usize,
    head: Head,
    checkpoints: u64,
    signed: u64,
    /// The first entry that did not come, and what came in its place.
    missing: Option<(u64, u64)>,
}

impl<'k> Verifier<'k> {
    /// For a tenant's log, with checkpoints that were kept elsewhere, in any order, and the keys they and those in the
    /// log were signed under: more than one if the key was changed.
    ///
    /// # Errors
    ///
    /// `OtherTenant` or `BadSignature` if one of the checkpoints is not to be trusted.
    pub fn new(tenant: &TenantId, kept: &[Checkpoint], keys: &'k [VerifyingKey]) -> Result<Self, Tampering> {
        for checkpoint in kept {
            if checkpoint.tenant != *tenant {
                return Err(Tampering::OtherTenant { tenant: checkpoint.tenant.clone() });
            }
            if !checkpoint.is_signed_by(keys) {
                return Err(Tampering::BadSignature { sequence: checkpoint.sequence });
            }
        }
        let mut verifier = Verifier {
            tenant: tenant.clone(),
            keys,
            vouched: Vec::with_capacity(kept.len() + 1),
            passed: 0,
            head: Head::EMPTY,
            checkpoints: 0,
            signed: kept.iter().map(|checkpoint| checkpoint.sequence).max().unwrap_or(0),
            missing: None,
        };
        for Checkpoint { sequence, hash, .. } in kept {
            verifier.vouch(Head { sequence: *sequence, hash: *hash })?;
        }
        Ok(verifier)
    }

    /// Of a log that had this end at least.
    ///
    /// # Errors
    ///
    /// `Rewritten` if it contradicts what a log begins with.
    pub fn ending_at(mut self, head: Head) -> Result<Self, Tampering> {
        self.vouch(head)?;
        Ok(self)
    }

    fn vouch(&mut self, Head { sequence, hash }: Head) -> Result<(), Tampering> {
        if sequence == 0 {
            return if hash == FIRST { Ok(()) } else { Err(Tampering::Rewritten { sequence }) };
        }
        let place = self.vouched.partition_point(|(other, _)| *other <= sequence);
        self.vouched.insert(place, (sequence, hash));
        Ok(())
    }

    /// The number of the entry that is expected next.
    #[must_use]
    pub const fn expected(&self) -> u64 {
        self.head.sequence.saturating_add(1)
    }

    /// Takes the next entry as it is stored.
    ///
    /// # Errors
    ///
    /// `Tampering`, once and for all: nothing more is to be asked of the log.
    pub fn push_stored(&mut self, body: &[u8]) -> Result<(), Tampering> {
        match AuditRecord::decode(body) {
            Ok(record) => self.push(&record),
            Err(_) => self.push_unreadable(),
        }
    }

    /// Takes note of an entry that cannot be read.
    ///
    /// # Errors
    ///
    /// `Altered`, unless entries before it are missing: then whether they come later is what counts.
    pub fn push_unreadable(&mut self) -> Result<(), Tampering> {
        if self.missing.is_some() { Ok(()) } else { Err(Tampering::Altered { sequence: self.expected() }) }
    }

    /// Takes the next entry.
    ///
    /// # Errors
    ///
    /// `Tampering`, once and for all: nothing more is to be asked of the log. That entries are missing and do not
    /// come later is told by [`finish`](Self::finish).
    pub fn push(&mut self, record: &AuditRecord) -> Result<(), Tampering> {
        let sequence = record.sequence;
        let genuine = record.computed(&self.tenant) == record.hash;
        if let Some((missing, _)) = self.missing {
            return if genuine && sequence == missing { Err(Tampering::Swapped { sequence }) } else { Ok(()) };
        }
        let expected = self.expected();
        if !genuine {
            return Err(Tampering::Altered { sequence: expected });
        }
        if sequence < expected {
            return Err(Tampering::Repeated { sequence });
        }
        if sequence > expected {
            self.missing = Some((expected, sequence));
            return Ok(());
        }
        if record.previous != self.head.hash {
            return Err(Tampering::Unlinked { sequence });
        }
        if let AuditAction::Checkpoint { signature } = record.entry.action {
            let unsigned = Checkpoint::unsigned(self.tenant.clone(), self.head, record.at);
            if !(Checkpoint { signature, ..unsigned }).is_signed_by(self.keys) {
                return Err(Tampering::BadSignature { sequence: self.head.sequence });
            }
            self.checkpoints += 1;
            self.signed = self.signed.max(self.head.sequence);
        }
        while let Some((_, hash)) = self.vouched.get(self.passed).filter(|(vouched, _)| *vouched == sequence) {
            if *hash != record.hash {
                return Err(Tampering::Rewritten { sequence });
            }
            self.passed += 1;
        }
        self.head = record.head();
        Ok(())
    }

    /// There are no more entries.
    ///
    /// # Errors
    ///
    /// `Gap` if entries did not come, `CutTail` if the log was longer once.
    pub fn finish(self) -> Result<Verified, Tampering> {
        if let Some((expected, found)) = self.missing {
            return Err(Tampering::Gap { expected, found });
        }
        let found = self.head.sequence;
        match self.vouched.last() {
            Some((expected, _)) if *expected > found => Err(Tampering::CutTail { expected: *expected, found }),
            Some(_) | None => Ok(Verified { head: self.head, checkpoints: self.checkpoints, signed: self.signed }),
        }
    }
}

/// Checks a whole log of a tenant's, given in the order in which it is kept, as [`Verifier`] does.
///
/// Without a checkpoint that was kept elsewhere a log that was cut short, or written anew from some entry on,
/// cannot be told from one that never had more.
///
/// # Errors
///
/// `Tampering`.
pub fn verify<'e>(
    tenant: &TenantId,
    entries: impl IntoIterator<Item = &'e AuditRecord>,
    kept: &[Checkpoint],
    keys: &[VerifyingKey],
) -> Result<Verified, Tampering> {
    let mut verifier = Verifier::new(tenant, kept, keys)?;
    entries.into_iter().try_for_each(|record| verifier.push(record))?;
    verifier.finish()
}
