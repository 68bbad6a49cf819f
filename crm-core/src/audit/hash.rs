//! How entries and checkpoints are hashed. `docs/privacy.md` tells the same to those who check a log with
//! code of their own; what is written here never changes, a new way would get a new first part.
//!
//! What is hashed is a list of parts. Before each part stands its length in bytes, as 4 bytes, big-endian, so that no
//! two lists look alike. Numbers are 8 bytes, big-endian, two's complement; texts are UTF-8; ids are the
//! 16 bytes of the UUID; times are milliseconds since 1970.

use sha2::{Digest as _, Sha256};

use super::checkpoint::Checkpoint;
use super::entry::{AuditActor, AuditRecord, Detail};
use crate::id::{Digest, TenantId};

/// The first part of an entry.
const ENTRY: &[u8] = b"crm audit entry 1";
/// The first part of a checkpoint.
const CHECKPOINT: &[u8] = b"crm audit checkpoint 1";

fn put(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u32).to_be_bytes());
    hash.update(part);
}

/// SHA-256 over: `crm audit entry 1`, tenant, sequence, previous hash, time, kind of actor, name of the actor
/// or nothing, name of the action, its argument or nothing, subject or nothing; then for each detail, in
/// the order of their names' bytes, its name, and its value after a byte that says what it is: `i` for a
/// number, `t` for a text.
pub(super) fn entry_hash(tenant: &TenantId, record: &AuditRecord) -> Digest {
    let mut hash = Sha256::new();
    let mut part = |part: &[u8]| put(&mut hash, part);
    let entry = &record.entry;
    let (kind, name) = match &entry.by {
        AuditActor::Host(name) => ("host", name.as_str()),
        AuditActor::Rule => ("rule", ""),
        AuditActor::Plugin(name) => ("plugin", name.as_str()),
    };
    part(ENTRY);
    part(tenant.as_str().as_bytes());
    part(&record.sequence.to_be_bytes());
    part(record.previous.as_bytes());
    part(&record.at.as_millis().to_be_bytes());
    part(kind.as_bytes());
    part(name.as_bytes());
    part(entry.action.name().as_bytes());
    part(entry.action.argument());
    part(entry.subject.as_ref().map_or(&[][..], |subject| &subject.as_uuid().as_bytes()[..]));
    for (name, detail) in &entry.details {
        part(name.as_str().as_bytes());
        match detail {
            Detail::Int(number) => part(&[b"i", &number.to_be_bytes()[..]].concat()),
            Detail::Text(text) => part(&[b"t", text.as_str().as_bytes()].concat()),
        }
    }
    Digest::from_bytes(hash.finalize().into())
}

/// What a checkpoint signs, in the same parts and not hashed again: `crm audit checkpoint 1`, tenant, sequence,
/// hash, time.
pub(super) fn checkpoint_message(checkpoint: &Checkpoint) -> Vec<u8> {
    let parts: [&[u8]; 5] = [
        CHECKPOINT,
        checkpoint.tenant.as_str().as_bytes(),
        &checkpoint.sequence.to_be_bytes(),
        checkpoint.hash.as_bytes(),
        &checkpoint.at.as_millis().to_be_bytes(),
    ];
    let with_length = |part: &[u8]| [&(part.len() as u32).to_be_bytes()[..], part].concat();
    parts.into_iter().flat_map(with_length).collect()
}
