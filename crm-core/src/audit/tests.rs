//! Whatever is done to a log is found out, and nothing is found in one that nobody touched.

use proptest::prelude::*;

use super::*;
use crate::id::{CustomerId, TenantId};
use crate::time::Timestamp;
use crate::workflow::PluginName;

fn tenant() -> TenantId {
    TenantId::default()
}

fn signer() -> Ed25519Signer {
    Ed25519Signer::new(&[7; 32])
}

fn keys() -> [VerifyingKey; 1] {
    [signer().verifying_key()]
}

fn second(second: u64) -> Timestamp {
    Timestamp::from_millis(1_767_571_200_000 + second as i64 * 1_000).unwrap()
}

fn somebody(n: u8) -> CustomerId {
    CustomerId::new(second(0), [n; 10])
}

fn host(name: &str) -> AuditActor {
    AuditActor::Host(ActorName::new(name).unwrap())
}

/// What a host might note.
fn entry(n: u8) -> AuditEntry {
    let name = |text: &str| ActionName::new(text).unwrap();
    let (by, action) = match n % 11 {
        0 => (host("support:17"), AuditAction::PersonalRead { purpose: ReadPurpose::new("ticket 4711").unwrap() }),
        1 => (AuditActor::Rule, AuditAction::Erased),
        2 => (AuditActor::Plugin(PluginName::new("winback").unwrap()), AuditAction::Objected),
        3 => (host("dpo"), AuditAction::Merged { into: somebody(9) }),
        4 => (host("dpo"), AuditAction::KeysRotated),
        5 => (host("dpo"), AuditAction::Other(name("report printed"))),
        6 => (host("王小明"), AuditAction::Exported),
        7 => (host("shop"), AuditAction::Suppressed),
        8 => (host("shop"), AuditAction::SuppressionLifted),
        9 => (host("shop"), AuditAction::Imported),
        _ => (host("dpo"), AuditAction::PolicyChanged),
    };
    let entry = AuditEntry::new(by, action);
    let entry = if n.is_multiple_of(3) { entry.about(somebody(n)) } else { entry };
    match n % 4 {
        0 => entry.with_number("fields", i64::from(n) - 3).unwrap().with_text("why", "she asked").unwrap(),
        1 => entry.with_text("why", "a\"b\\c").unwrap(),
        _ => entry,
    }
}

/// A log and its end.
#[derive(Clone)]
struct Log {
    tenant: TenantId,
    records: Vec<AuditRecord>,
}

impl Log {
    fn new(tenant: TenantId) -> Self {
        Log { tenant, records: Vec::new() }
    }

    fn of(entries: impl IntoIterator<Item = u8>) -> Self {
        let mut log = Log::new(tenant());
        entries.into_iter().for_each(|n| log.add(entry(n)));
        log
    }

    fn head(&self) -> Head {
        self.records.last().map_or(Head::EMPTY, AuditRecord::head)
    }

    fn add(&mut self, entry: AuditEntry) {
        let record = AuditRecord::next(&self.tenant, &self.head(), second(self.records.len() as u64), entry);
        self.records.push(record);
    }

    fn checkpoint(&mut self, signer: &Ed25519Signer) -> Checkpoint {
        let unsigned = Checkpoint::unsigned(self.tenant.clone(), self.head(), second(self.records.len() as u64));
        let signature = signer.sign(&unsigned.message());
        self.add(AuditEntry::new(AuditActor::Rule, AuditAction::Checkpoint { signature }));
        Checkpoint { signature, ..unsigned }
    }

    fn verify(&self, kept: &[Checkpoint]) -> Result<Verified, Tampering> {
        verify(&self.tenant, &self.records, kept, &keys())
    }
}

/// A small log with a checkpoint in its middle, and one over its end, which is kept elsewhere.
fn small() -> (Log, Checkpoint, Checkpoint) {
    let mut log = Log::of([0, 1, 2]);
    let middle = log.checkpoint(&signer());
    [3, 4, 5, 6, 7].into_iter().for_each(|n| log.add(entry(n)));
    let mut signed = log.clone();
    let end = signed.checkpoint(&signer());
    (log, middle, end)
}

#[test]
fn a_log_that_nobody_touched_verifies() {
    let (log, middle, end) = small();
    let verified = log.verify(&[end.clone(), middle]).unwrap();
    assert_eq!(verified, Verified { head: log.head(), checkpoints: 1, signed: 9 });
    assert_eq!(log.verify(&[]).unwrap().signed, 3);
    assert_eq!(Log::new(tenant()).verify(&[]).unwrap().head, Head::EMPTY);
    let mut fresh = Log::new(tenant());
    let before_all = fresh.checkpoint(&signer());
    assert_eq!((before_all.sequence, before_all.hash), (0, FIRST));
    assert_eq!(fresh.verify(&[before_all]).unwrap().head.sequence, 1);
    assert_eq!(end, serde_json::from_slice(&serde_json::to_vec(&end).unwrap()).unwrap());
}

#[test]
fn every_flipped_bit_is_found_at_the_entry_it_is_in() {
    let (log, ..) = small();
    let stored: Vec<Vec<u8>> = log.records.iter().map(AuditRecord::encode).collect();
    let mut flips = 0;
    let keys = keys();
    let mut untouched = Verifier::new(&tenant(), &[], &keys).unwrap();
    for (at, stored) in stored.iter().enumerate() {
        for bit in 0..stored.len() * 8 {
            let mut verifier = untouched.clone();
            let mut body = stored.clone();
            body[bit / 8] ^= 1 << (bit % 8);
            let found = verifier.push_stored(&body);
            assert_eq!(found, Err(Tampering::Altered { sequence: at as u64 + 1 }), "bit {bit} of {at}");
            flips += 1;
        }
        untouched.push_stored(stored).unwrap();
    }
    assert!(flips > 20_000, "{flips}");
}

#[test]
fn every_cut_tail_is_found_by_a_checkpoint_that_was_kept_elsewhere() {
    let (log, _, end) = small();
    for length in 0..log.records.len() {
        let mut cut = log.clone();
        cut.records.truncate(length);
        assert!(cut.verify(&[]).is_ok(), "nobody can tell without one");
        let found = length as u64;
        assert_eq!(cut.verify(std::slice::from_ref(&end)), Err(Tampering::CutTail { expected: 9, found }));
        let known = Verifier::new(&tenant(), &[], &[]).unwrap().ending_at(log.head()).unwrap();
        assert_eq!(known.finish(), Err(Tampering::CutTail { expected: 9, found: 0 }));
        // Whoever goes on writing after the cut does not hide it.
        while cut.records.len() < 12 {
            cut.add(entry(1));
        }
        assert_eq!(cut.verify(std::slice::from_ref(&end)), Err(Tampering::Rewritten { sequence: 9 }));
    }
}

#[test]
fn every_swap_every_deletion_and_every_repetition_is_found() {
    let (log, _, end) = small();
    let count = log.records.len();
    for one in 0..count {
        for other in one + 1..count {
            let mut swapped = log.clone();
            swapped.records.swap(one, other);
            let sequence = one as u64 + 1;
            assert_eq!(swapped.verify(&[]), Err(Tampering::Swapped { sequence }), "{one} and {other}");
        }
        let mut lacking = log.clone();
        lacking.records.remove(one);
        let expected = one as u64 + 1;
        let found = match one + 1 == count {
            true => Tampering::CutTail { expected, found: expected - 1 },
            false => Tampering::Gap { expected, found: expected + 1 },
        };
        assert_eq!(lacking.verify(std::slice::from_ref(&end)), Err(found));
        for place in one..=count {
            let mut doubled = log.clone();
            doubled.records.insert(place, log.records[one].clone());
            let found = doubled.verify(&[]);
            assert_eq!(found, Err(Tampering::Repeated { sequence: one as u64 + 1 }), "{one} at {place}");
        }
    }
}

#[test]
fn a_log_written_anew_with_right_hashes_is_found_by_what_was_signed() {
    let (log, middle, end) = small();
    for at in 0..log.records.len() {
        // Another entry in its place, and all that follow hashed again, checkpoints copied.
        let mut anew = log.clone();
        anew.records.truncate(at);
        anew.add(AuditEntry::new(host("nobody"), AuditAction::Other(ActionName::new("nothing").unwrap())));
        for record in &log.records[at + 1..] {
            let next = AuditRecord::next(&tenant(), &anew.head(), record.at, record.entry.clone());
            anew.records.push(next);
        }
        let found = anew.verify(&[middle.clone(), end.clone()]).unwrap_err();
        let expected = match at {
            0..=2 => Tampering::Rewritten { sequence: 3 },
            _ => Tampering::Rewritten { sequence: 9 },
        };
        assert_eq!(found, expected, "from {at} on");
        if at <= 2 {
            assert_eq!(anew.verify(&[]), Err(Tampering::BadSignature { sequence: 3 }), "the one inside tells as well");
        }
        // An entry alone that was hashed again is not the one that the next follows.
        let mut patched = log.clone();
        patched.records[at].entry.subject = Some(somebody(77));
        patched.records[at].hash = patched.records[at].computed(&tenant());
        let found = patched.verify(std::slice::from_ref(&end)).unwrap_err();
        let sequence = at as u64 + 1;
        let last = at + 1 == log.records.len();
        let expected =
            if last { Tampering::Rewritten { sequence } } else { Tampering::Unlinked { sequence: sequence + 1 } };
        assert_eq!(found, expected);
    }
}

#[test]
fn a_log_or_a_checkpoint_of_another_tenant_is_none_of_this_one() {
    let (log, ..) = small();
    let other = TenantId::new("other").unwrap();
    assert_eq!(verify(&other, &log.records, &[], &keys()), Err(Tampering::Altered { sequence: 1 }));
    let theirs = Log::new(other.clone()).checkpoint(&signer());
    assert_eq!(log.verify(std::slice::from_ref(&theirs)), Err(Tampering::OtherTenant { tenant: other }));
    let renamed = Checkpoint { tenant: tenant(), ..theirs };
    assert_eq!(log.verify(&[renamed]), Err(Tampering::BadSignature { sequence: 0 }));
    let stream = CustomerId::of_audit_log;
    assert_ne!(stream(&tenant()), stream(&TenantId::new("other").unwrap()));
}

#[test]
fn a_forged_checkpoint_is_found_inside_and_outside() {
    let forger = Ed25519Signer::new(&[8; 32]);
    let mut log = Log::of([0, 1]);
    let forged = log.checkpoint(&forger);
    assert_eq!(log.verify(&[]), Err(Tampering::BadSignature { sequence: 2 }));
    let (log, _, end) = small();
    assert_eq!(log.verify(&[forged]), Err(Tampering::BadSignature { sequence: 2 }));
    for bit in 0..SIGNATURE_BYTES * 8 {
        let mut bytes = *end.signature.as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let forged = Checkpoint { signature: Signature::from_bytes(bytes), ..end.clone() };
        assert_eq!(log.verify(&[forged]), Err(Tampering::BadSignature { sequence: 9 }), "bit {bit}");
    }
    for forged in [
        Checkpoint { sequence: 8, ..end.clone() },
        Checkpoint { hash: FIRST, ..end.clone() },
        Checkpoint { at: second(99), ..end.clone() },
    ] {
        assert!(matches!(log.verify(&[forged]), Err(Tampering::BadSignature { .. })));
    }
    // After a change of keys both are given.
    let mut log = Log::of([0]);
    log.checkpoint(&signer());
    log.checkpoint(&forger);
    let both = [signer().verifying_key(), forger.verifying_key()];
    assert_eq!(verify(&tenant(), &log.records, &[], &both).unwrap().checkpoints, 2);
}

#[test]
fn an_entry_is_limited_and_has_one_form() {
    let mut entry = AuditEntry::new(AuditActor::Rule, AuditAction::Exported);
    for n in 0..DETAILS_MAX {
        entry = entry.with_number(&format!("n{n:02}"), n as i64).unwrap();
    }
    assert!(entry.clone().with_number("n00", 1).is_ok());
    assert_eq!(entry.clone().with_number("more", 1), Err(AuditError::TooManyDetails { max: DETAILS_MAX }));
    assert!(matches!(entry.with_text("n01", &"x".repeat(257)), Err(AuditError::Text(_))));
    let record = Log::of([0]).records.remove(0);
    let text = String::from_utf8(record.encode()).unwrap();
    assert_eq!(AuditRecord::decode(text.as_bytes()), Ok(record));
    for other in [
        text.replace(',', ", "),
        text.replace("\"sequence\":1", "\"sequence\":1,\"more\":1"),
        text.to_uppercase(),
        format!(" {text}"),
    ] {
        assert_eq!(AuditRecord::decode(other.as_bytes()), Err(AuditDecodeError), "{other}");
    }
    let mut many: serde_json::Value = serde_json::from_str(&text).unwrap();
    many["details"] = (0..=DETAILS_MAX).map(|n| (format!("n{n:02}"), serde_json::Value::from(n))).collect();
    assert_eq!(AuditRecord::decode(many.to_string().as_bytes()), Err(AuditDecodeError));
}

#[test]
fn entries_are_read_as_an_event_of_a_kind_that_is_not_folded() {
    let record = Log::of([0]).records.remove(0);
    let event = crate::event::EventBody::decode(AUDIT_KIND, AUDIT_SHAPE, &record.encode()).unwrap();
    assert!(matches!(event, crate::event::EventBody::Unrecognised { .. }));
}

/// Logs are kept for years: what is written and hashed today stays so.
#[test]
fn what_is_written_and_hashed_stays_the_same() {
    let (log, middle, _) = small();
    let bodies: Vec<String> = log.records.iter().map(|r| String::from_utf8(r.encode()).unwrap()).collect();
    assert_eq!(bodies[0], FIRST_BODY);
    assert_eq!(bodies[1], SECOND_BODY);
    assert_eq!(log.head().hash.to_string(), HEAD_HASH);
    assert_eq!(format!("{:?}", middle.signature), MIDDLE_SIGNATURE);
}

const FIRST_BODY: &str = r#"{"sequence":1,"previous":"0000000000000000000000000000000000000000000000000000000000000000","at":1767571200000,"by":{"host":"support:17"},"action":{"personal_read":{"purpose":"ticket 4711"}},"subject":"019b8b74-1800-7000-8000-000000000000","details":{"fields":-3,"why":"she asked"},"hash":"b9f18bec4e1e1ab97fc102a057ba8005d15df8e5e75db717351f7b77c8401ad1"}"#;
const SECOND_BODY: &str = r#"{"sequence":2,"previous":"b9f18bec4e1e1ab97fc102a057ba8005d15df8e5e75db717351f7b77c8401ad1","at":1767571201000,"by":"rule","action":"erased","details":{"why":"a\"b\\c"},"hash":"6aa08c89b93bfbf7808ba6097fc3d4329da3f5a9b033731defdeabba08663030"}"#;
const HEAD_HASH: &str = "e2c47ec9ea2f7fe0ace655bde88da947ed013fce2bd38ff2b45e1d0868ac7c00";
const MIDDLE_SIGNATURE: &str = "c2cb91f1e971c12ef1e1dde78005e9266d9638f99b7e077238bdce63a77f7c686475a10b242a19cf545e0148a56ef7bac4ca0db32214411e2ba7240387c3cb08";

#[test]
fn a_head_is_no_state_of_a_customer() {
    let head = Log::of([0, 1]).head();
    assert_eq!(Head::decode(Head::STATE_SHAPE, &head.encode()), Some(head));
    assert_eq!(Head::decode(1, &head.encode()), None);
    assert_eq!(Head::decode(Head::STATE_SHAPE, &head.encode()[1..]), None);
    assert!(crate::customer::Customer::decode(Head::STATE_SHAPE, &head.encode(), &[], &Default::default()).is_err());
}

proptest! {
    /// Any log that nobody touched verifies, read back from how it is stored, with all its checkpoints; and it
    /// does not once any byte of it is another one.
    #[test]
    fn logs_verify_until_they_are_touched(
        entries in proptest::collection::vec((any::<u8>(), any::<bool>()), 1..30),
        at in any::<prop::sample::Index>(),
        byte in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let mut log = Log::new(tenant());
        let mut kept = Vec::new();
        for (n, signed) in entries {
            log.add(entry(n));
            if signed {
                kept.push(log.checkpoint(&signer()));
            }
        }
        let mut stored: Vec<Vec<u8>> = log.records.iter().map(AuditRecord::encode).collect();
        let keys = keys();
        let check = |stored: &[Vec<u8>]| {
            let mut verifier = Verifier::new(&tenant(), &kept, &keys)?;
            stored.iter().try_for_each(|body| verifier.push_stored(body))?;
            verifier.finish()
        };
        let verified = check(&stored).unwrap();
        prop_assert_eq!((verified.head, verified.checkpoints), (log.head(), kept.len() as u64));
        let at = at.index(stored.len());
        let byte = byte.index(stored[at].len());
        if stored[at][byte] != to {
            stored[at][byte] = to;
            prop_assert_eq!(check(&stored), Err(Tampering::Altered { sequence: at as u64 + 1 }));
        }
    }
}
