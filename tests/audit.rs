//! The audit log: whatever is done to it in the store is found out, and it is nobody's customer.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod failing;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use crm::blocking::Crm;
use crm::{
    ActionName, ActorName, Attribute, AuditAction, AuditActor, AuditEntry, AuditError, AuditRecord, Channel,
    Checkpoint, CheckpointSigner, Command, Comparison, CustomerId, Ed25519Signer, Error, ExternalSystem, FactRefusal,
    Head, Identifier, Incoming, Ingestion, ManualClock, MemoryStore, Predicate, ReadPurpose, SignError, Signature,
    Source, Span, Store, Strength, Tag, Tampering, TenantId, Tie, TieKind, Timestamp, VerifyingKey, Visited,
};
use failing::{Failing, Fate};
use sha2::Digest as _;

fn day(day: u32) -> Timestamp {
    Timestamp::parse("2026-01-05").unwrap().plus(Span::days(day))
}

fn signer() -> Ed25519Signer {
    Ed25519Signer::new(&[7; 32])
}

fn keys() -> [VerifyingKey; 1] {
    [signer().verifying_key()]
}

fn crm(store: Arc<dyn Store>) -> Crm {
    let clock = Arc::new(ManualClock::at(day(0)));
    Crm::from(crm::Crm::builder().shared_store(store).clock(clock).checkpoint_signer(signer()).build())
}

fn by() -> AuditActor {
    AuditActor::Host(ActorName::new("support:17").unwrap())
}

fn read(n: i64) -> AuditEntry {
    let purpose = ReadPurpose::new("ticket 4711").unwrap();
    AuditEntry::new(by(), AuditAction::PersonalRead { purpose }).with_number("n", n).unwrap()
}

fn visit(who: &str) -> Incoming {
    let who = Identifier::external(&ExternalSystem::new("shop").unwrap(), who).unwrap();
    let visit = Visited { channel: Channel::Web, place: None };
    Incoming::new(who, day(0), Source::new("shop").unwrap(), visit)
}

/// Does something with a CRM over each store.
fn over_each_store(work: impl Fn(Crm)) {
    work(crm(Arc::new(MemoryStore::new())));
    #[cfg(feature = "sqlite")]
    {
        let folder = tempfile::tempdir().unwrap();
        work(crm(Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap())));
    }
}

fn whole_log(crm: &Crm) -> Vec<AuditRecord> {
    let mut records = Vec::new();
    let mut after = None;
    loop {
        let page = crm.audit_log(after, 7).unwrap();
        assert!(page.records.len() <= 7);
        records.extend(page.records);
        after = page.next;
        if after.is_none() {
            return records;
        }
    }
}

#[test]
fn a_log_is_read_page_by_page_signed_and_checked_and_tenants_have_their_own() {
    over_each_store(|crm| {
        assert_eq!(crm.verify_audit(&[], &keys()).unwrap().head, Head::EMPTY);
        assert!(whole_log(&crm).is_empty());
        let ana = crm.record(visit("ana")).unwrap().customer;
        for n in 0..20 {
            let noted = crm.audit(read(n).about(ana)).unwrap();
            assert_eq!((noted.sequence, noted.at, noted.entry.subject()), (n as u64 + 1, day(0), Some(ana)));
        }
        let first = crm.audit_checkpoint().unwrap();
        crm.audit(AuditEntry::new(AuditActor::Rule, AuditAction::Erased).about(ana)).unwrap();
        let last = crm.audit_checkpoint().unwrap();
        assert_eq!((first.sequence, last.sequence), (20, 22));
        let log = whole_log(&crm);
        assert_eq!(log.iter().map(|record| record.sequence).collect::<Vec<_>>(), (1..=23).collect::<Vec<_>>());
        let verified = crm.verify_audit(&[last.clone(), first.clone()], &keys()).unwrap();
        assert_eq!((verified.head, verified.checkpoints, verified.signed), (log[22].head(), 2, 22));

        let other = crm.tenant(TenantId::new("other").unwrap());
        assert!(whole_log(&other).is_empty());
        other.audit(read(1)).unwrap();
        assert_eq!((whole_log(&other).len(), whole_log(&crm).len()), (1, 23));
        let found = other.verify_audit(&[first], &keys());
        assert!(matches!(found, Err(Error::Tampered(Tampering::OtherTenant { .. }))), "{found:?}");
        // A key that is not the one is noticed at the first checkpoint.
        let stranger = [Ed25519Signer::new(&[8; 32]).verifying_key()];
        let found = crm.verify_audit(&[], &stranger);
        assert!(matches!(found, Err(Error::Tampered(Tampering::BadSignature { sequence: 20 }))), "{found:?}");
    });
}

#[test]
fn the_log_is_nobody_and_is_nowhere_among_customers() {
    over_each_store(|crm| {
        let stream = CustomerId::of_audit_log(crm.as_async().tenant_id());
        crm.audit(read(0)).unwrap();
        let nobody = |crm: &Crm, customers: u64| {
            assert_eq!(crm.overview().unwrap().customers, customers);
            let mut seen = 0;
            crm.for_each_customer(|customer| {
                assert_ne!(customer.id(), stream);
                seen += 1;
            })
            .unwrap();
            assert_eq!(seen, customers);
            let everybody = Predicate::All(Vec::new());
            let few_orders = Predicate::Not(Box::new(Predicate::compare(Attribute::Orders, Comparison::Gt, 0)));
            let no_order = Predicate::missing(Attribute::RecencyDays);
            let quiet = Predicate::orders_in_last(3, Comparison::Le, 5);
            let many = Predicate::Not(Box::new(Predicate::Any((0..900).map(|_| Predicate::Any(vec![])).collect())));
            for predicate in [everybody, few_orders, no_order, quiet, many] {
                assert_eq!(crm.count(&predicate).unwrap(), customers, "{predicate:?}");
                let selected = crm.select(&predicate, None, 9).unwrap().customers;
                assert!(selected.len() as u64 == customers && !selected.contains(&stream), "{predicate:?}");
            }
        };
        nobody(&crm, 0);
        assert_eq!(crm.refresh().unwrap(), 0);
        let ana = crm.record(visit("ana")).unwrap().customer;
        nobody(&crm, 1);
        crm.advance(day(400)).unwrap();
        crm.refresh().unwrap();
        assert!(crm.customer(stream).unwrap().is_none() && crm.story(stream).unwrap().is_none());
        assert!(crm.export(stream).unwrap().is_none() && crm.personal(stream).unwrap().is_empty());
        let to_stream =
            Incoming::new(stream, day(0), Source::new("shop").unwrap(), Visited { channel: Channel::Web, place: None });
        let refused = crm.record(to_stream.clone());
        assert!(matches!(refused, Err(Error::Fact(FactRefusal::NoCustomer { .. }))), "{refused:?}");
        assert_eq!(crm.ingest([to_stream], Ingestion::live()).unwrap().refused["no_customer"], 1);
        let tag = Command::AddTag(Tag::new("vip").unwrap());
        assert!(matches!(crm.execute(stream, tag, "k"), Err(Error::NoCustomer { .. })));
        assert!(matches!(crm.keep_personal(stream, &[]), Err(Error::NoCustomer { .. })));
        for (from, to) in [(ana, stream), (stream, ana)] {
            let tie = Tie { from, to, kind: TieKind::Follows, strength: Strength::FULL };
            assert!(crm.tie(tie, day(0), Source::new("shop").unwrap(), "t".parse().unwrap()).is_err());
        }
        crm.erase(stream).unwrap();
        crm.audit(read(1)).unwrap();
        assert_eq!(crm.verify_audit(&[], &keys()).unwrap().head.sequence, 2);
    });
}

#[test]
fn entries_noted_by_many_at_once_make_one_chain() {
    over_each_store(|crm| {
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let crm = &crm;
                scope.spawn(move || {
                    for n in 0..25 {
                        crm.audit(read(thread * 100 + n)).unwrap();
                        if n == 12 {
                            crm.audit_checkpoint().unwrap();
                        }
                    }
                });
            }
        });
        let verified = crm.verify_audit(&[], &keys()).unwrap();
        assert_eq!((verified.head.sequence, verified.checkpoints), (8 * 26, 8));
    });
}

#[test]
fn a_failing_store_leaves_a_whole_chain() {
    let fates = Arc::new(Mutex::new(Vec::new()));
    let crm = crm(Arc::new(Failing { inner: Arc::new(MemoryStore::new()), fates: Arc::clone(&fates) }));
    let mut noted = 0;
    for n in 0..30 {
        let fate = [Fate::Fine, Fate::Lost, Fate::Unanswered][n % 3];
        fates.lock().unwrap().push(fate);
        let result = if n % 5 == 0 { crm.audit_checkpoint().map(drop) } else { crm.audit(read(0)).map(drop) };
        assert_eq!(result.is_ok(), fate == Fate::Fine);
        noted += u64::from(fate != Fate::Lost);
        assert_eq!(crm.verify_audit(&[], &keys()).unwrap().head.sequence, noted);
    }
}

#[test]
fn a_log_of_more_than_a_page_is_checked_to_its_end() {
    let crm = crm(Arc::new(MemoryStore::new()));
    for n in 0..2_100 {
        crm.audit(read(n)).unwrap();
    }
    let kept = crm.audit_checkpoint().unwrap();
    let verified = crm.verify_audit(std::slice::from_ref(&kept), &keys()).unwrap();
    assert_eq!((verified.head.sequence, verified.signed), (2_101, 2_100));
}

/// A key service that is out of order.
#[derive(Debug)]
struct Away;

#[async_trait]
impl CheckpointSigner for Away {
    async fn sign(&self, _: &TenantId, _: &[u8]) -> Result<Signature, SignError> {
        Err(SignError { source: None })
    }
}

#[test]
fn a_checkpoint_is_signed_or_not_there() {
    let without = Crm::in_memory();
    assert!(matches!(without.audit_checkpoint(), Err(Error::NoSigner)));
    let failing = Crm::from(crm::Crm::builder().checkpoint_signer(Away).build());
    assert!(matches!(failing.audit_checkpoint(), Err(Error::Signing(_))));
    assert!(whole_log(&without).is_empty() && whole_log(&failing).is_empty());
    let by_hand = AuditAction::Checkpoint { signature: Signature::from_bytes([0; 64]) };
    let refused = without.audit(AuditEntry::new(by(), by_hand));
    assert!(matches!(refused, Err(Error::Audit(AuditError::Checkpoint))), "{refused:?}");
}

/// The encoding as `docs/privacy.md` tells it, by somebody who has only that and the stored JSON.
fn hash_by_hand(tenant: &str, body: &serde_json::Value) -> String {
    let hex = |text: &serde_json::Value| -> Vec<u8> {
        let text: String = text.as_str().unwrap().chars().filter(|c| *c != '-').collect();
        (0..text.len() / 2).map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap()).collect()
    };
    let number = |number: &serde_json::Value| number.as_i64().unwrap().to_be_bytes().to_vec();
    // A name alone, or one with what belongs to it.
    let named = |value: &serde_json::Value| match value.as_str() {
        Some(name) => (name.to_owned(), serde_json::Value::Null),
        None => value.as_object().unwrap().iter().map(|(name, with)| (name.clone(), with.clone())).next().unwrap(),
    };
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().as_bytes().to_vec();
    let (by, who) = named(&body["by"]);
    let (action, with) = named(&body["action"]);
    let argument = match action.as_str() {
        "personal_read" => text(&with["purpose"]),
        "merged" => hex(&with["into"]),
        "unmerged" => hex(&with["from"]),
        "checkpoint" => hex(&with["signature"]),
        _ => text(&with),
    };
    let mut parts = vec![
        b"crm audit entry 1".to_vec(),
        tenant.as_bytes().to_vec(),
        number(&body["sequence"]),
        hex(&body["previous"]),
        number(&body["at"]),
        by.into_bytes(),
        text(&who),
        action.into_bytes(),
        argument,
        body.get("subject").map(hex).unwrap_or_default(),
    ];
    for (name, value) in body.get("details").and_then(|details| details.as_object()).into_iter().flatten() {
        parts.push(name.as_bytes().to_vec());
        parts.push(match value.as_i64() {
            Some(_) => [b"i".to_vec(), number(value)].concat(),
            None => [b"t".to_vec(), text(value)].concat(),
        });
    }
    let mut hash = sha2::Sha256::new();
    for part in parts {
        hash.update((part.len() as u32).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a checkpoint signs, likewise.
fn message_by_hand(checkpoint: &Checkpoint) -> Vec<u8> {
    let parts = [
        b"crm audit checkpoint 1".to_vec(),
        checkpoint.tenant.as_str().as_bytes().to_vec(),
        checkpoint.sequence.to_be_bytes().to_vec(),
        checkpoint.hash.as_bytes().to_vec(),
        checkpoint.at.as_millis().to_be_bytes().to_vec(),
    ];
    parts.iter().flat_map(|part| [&(part.len() as u32).to_be_bytes()[..], part].concat()).collect()
}

#[test]
fn a_log_can_be_checked_with_code_of_ones_own() {
    let crm = crm(Arc::new(MemoryStore::new())).tenant(TenantId::new("shop 2").unwrap());
    let ana = crm.record(visit("ana")).unwrap().customer;
    let actions = [
        AuditAction::Exported,
        AuditAction::Merged { into: ana },
        AuditAction::Unmerged { from: ana },
        AuditAction::Other(ActionName::new("printed").unwrap()),
        AuditAction::PersonalRead { purpose: ReadPurpose::new("päckchen \"7\"").unwrap() },
    ];
    for action in actions {
        crm.audit(AuditEntry::new(by(), action.clone())).unwrap();
        let plugin = AuditActor::Plugin("winback".parse().unwrap());
        let entry = AuditEntry::new(plugin, action).about(ana).with_number("b", -1).unwrap();
        crm.audit(entry.with_text("a", "x").unwrap().with_text("C", "y").unwrap()).unwrap();
    }
    let kept = crm.audit_checkpoint().unwrap();
    assert!(keys()[0].verifies(&message_by_hand(&kept), &kept.signature));
    let log = whole_log(&crm);
    assert_eq!(log.len(), 11);
    for record in log {
        let body: serde_json::Value = serde_json::from_slice(&record.encode()).unwrap();
        assert_eq!(hash_by_hand("shop 2", &body), record.hash.to_string(), "{body}");
        assert_eq!(body["hash"], record.hash.to_string());
    }
}

#[cfg(feature = "sqlite")]
mod in_a_file {
    use super::*;
    use std::path::PathBuf;

    use rusqlite::{Connection, params};
    use tempfile::TempDir;

    /// Does something to the rows of the log in a file, and answers what is found.
    struct Vandal {
        file: PathBuf,
        _folder: TempDir,
        crm: Crm,
        kept: Checkpoint,
    }

    impl Vandal {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("crm.db");
            let crm = crm(Arc::new(crm::SqliteStore::open(&file).unwrap()));
            crm.record(visit("ana")).unwrap();
            for n in 0..5 {
                crm.audit(read(n)).unwrap();
            }
            crm.audit_checkpoint().unwrap();
            crm.audit(AuditEntry::new(AuditActor::Rule, AuditAction::KeysRotated)).unwrap();
            let kept = crm.audit_checkpoint().unwrap();
            Vandal { file, _folder: folder, crm, kept }
        }

        /// What is found once something was done; it is undone after that.
        fn found(&self, kept: &[Checkpoint], vandalise: impl FnOnce(&Connection)) -> Result<(), Tampering> {
            let mut file = Connection::open(&self.file).unwrap();
            file.execute_batch(
                "CREATE TABLE IF NOT EXISTS saved_entry AS SELECT * FROM crm_entry; \
                 CREATE TABLE IF NOT EXISTS saved_customer AS SELECT * FROM crm_customer",
            )
            .unwrap();
            let transaction = file.transaction().unwrap();
            vandalise(&transaction);
            transaction.commit().unwrap();
            let found = match self.crm.verify_audit(kept, &keys()) {
                Ok(_) => Ok(()),
                Err(Error::Tampered(tampering)) => Err(tampering),
                Err(other) => panic!("{other:?}"),
            };
            file.execute_batch(
                "BEGIN; DELETE FROM crm_entry; INSERT INTO crm_entry SELECT * FROM saved_entry; \
                 DELETE FROM crm_customer; INSERT INTO crm_customer SELECT * FROM saved_customer; COMMIT",
            )
            .unwrap();
            found
        }

        fn positions(&self) -> Vec<i64> {
            let file = Connection::open(&self.file).unwrap();
            let mut rows =
                file.prepare("SELECT position FROM crm_entry WHERE kind = 'audit' ORDER BY position").unwrap();
            rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        }
    }

    #[test]
    fn whatever_is_done_to_a_row_is_found() {
        let vandal = Vandal::new();
        let positions = vandal.positions();
        assert_eq!(positions.len(), 8);
        assert_eq!(vandal.found(std::slice::from_ref(&vandal.kept), |_| {}), Ok(()));
        for (n, position) in positions.iter().enumerate() {
            let altered = Err(Tampering::Altered { sequence: n as u64 + 1 });
            let columns = [
                "at = at + 1",
                "recorded_at = recorded_at + 1",
                "kind = 'audi'",
                "shape = 2",
                "source = 'x'",
                "cause = id",
                "id = zeroblob(16)",
                "body = x'7b7d'",
                "id = NULL",
            ];
            for column in columns {
                let sql = format!("UPDATE crm_entry SET {column} WHERE position = ?1");
                let found = vandal.found(&[], |file| assert_eq!(file.execute(&sql, [position]).unwrap(), 1));
                assert_eq!(found, altered, "{column} of {n}");
            }
        }
        // One bit of each byte of an entry; which of the bits it is does not matter to how it is found.
        let position = positions[2];
        let file = Connection::open(&vandal.file).unwrap();
        let body: Vec<u8> =
            file.query_row("SELECT body FROM crm_entry WHERE position = ?1", [position], |row| row.get(0)).unwrap();
        for at in 0..body.len() {
            let mut flipped = body.clone();
            flipped[at] ^= 1 << (at % 8);
            let found = vandal.found(&[], |file| {
                file.execute("UPDATE crm_entry SET body = ?2 WHERE position = ?1", params![position, flipped]).unwrap();
            });
            assert_eq!(found, Err(Tampering::Altered { sequence: 3 }), "byte {at}");
        }
    }

    #[test]
    fn rows_that_are_gone_moved_or_doubled_are_found() {
        let vandal = Vandal::new();
        let positions = vandal.positions();
        let delete = |file: &Connection, from: i64, to: i64| {
            file.execute("DELETE FROM crm_entry WHERE kind = 'audit' AND position BETWEEN ?1 AND ?2", [from, to])
                .unwrap();
        };
        for (n, position) in positions.iter().enumerate() {
            let expected = n as u64 + 1;
            let last = n + 1 == positions.len();
            let gap = match last {
                true => Tampering::CutTail { expected: 8, found: 7 },
                false => Tampering::Gap { expected, found: expected + 1 },
            };
            assert_eq!(vandal.found(&[], |file| delete(file, *position, *position)), Err(gap));
            // What the state of the log says is enough to find a cut; who sets that back needs to forge a checkpoint.
            let cut = Err(Tampering::CutTail { expected: 8, found: n as u64 });
            assert_eq!(vandal.found(&[], |file| delete(file, *position, i64::MAX)), cut);
            let found = vandal.found(std::slice::from_ref(&vandal.kept), |file| {
                delete(file, *position, i64::MAX);
                file.execute("UPDATE crm_customer SET shape = 9 WHERE orders IS NULL", []).unwrap();
            });
            let seven = Err(Tampering::CutTail { expected: 7, found: n as u64 });
            // The last row is the entry of the checkpoint itself, which signs what is before it.
            assert_eq!(found, if last { Ok(()) } else { seven });
            for other in &positions[n + 1..] {
                let found = vandal.found(&[], |file| {
                    for (from, to) in [(*position, -1), (*other, *position), (-1, *other)] {
                        file.execute("UPDATE crm_entry SET position = ?2 WHERE position = ?1", [from, to]).unwrap();
                    }
                });
                assert_eq!(found, Err(Tampering::Swapped { sequence: expected }), "{position} and {other}");
            }
            // The same again at the end; the index of ids does not allow the same id.
            let found = vandal.found(&[], |file| {
                let copied = "INSERT INTO crm_entry SELECT (SELECT max(position) + 1 FROM crm_entry), tenant, customer, \
                     zeroblob(16), at, recorded_at, kind, shape, source, cause, body FROM crm_entry WHERE position = ?1";
                file.execute(copied, [position]).unwrap();
            });
            assert_eq!(found, Err(Tampering::Altered { sequence: 9 }));
        }
    }

    #[test]
    fn a_log_goes_on_after_its_state_was_lost_and_never_twice_from_one_place() {
        let vandal = Vandal::new();
        let file = Connection::open(&vandal.file).unwrap();
        // As after an update that changes the shape of all states.
        file.execute("UPDATE crm_customer SET shape = 9", []).unwrap();
        assert_eq!(vandal.crm.overview().unwrap().customers, 1);
        assert_eq!(vandal.crm.audit(read(9)).unwrap().sequence, 9);
        assert_eq!(vandal.crm.verify_audit(&[], &keys()).unwrap().head.sequence, 9);
        // Set back, so that an entry would be written beside another: its id is taken.
        let head = Head { sequence: 3, hash: crm::Digest::of(b"x") };
        file.execute("UPDATE crm_customer SET state = ?1 WHERE orders IS NULL", [head.encode()]).unwrap();
        assert!(matches!(vandal.crm.audit(read(9)), Err(Error::Storage(_))));
        let found = vandal.crm.verify_audit(&[], &keys());
        assert!(matches!(found, Err(Error::Tampered(Tampering::Rewritten { sequence: 3 }))), "{found:?}");
    }

    #[test]
    fn an_entry_is_noted_inside_a_transaction_of_the_shops_or_not_at_all() {
        let vandal = Vandal::new();
        let mut shop = Connection::open(&vandal.file).unwrap();
        crm::sqlite::install(&mut shop).unwrap();
        for keep in [false, true] {
            let transaction = shop.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
            let mut inside = vandal.crm.within(&transaction).unwrap();
            inside.run(|crm| async move { crm.audit(read(1)).await }).unwrap();
            inside.run(|crm| async move { crm.audit_checkpoint().await }).unwrap();
            drop(inside);
            if keep {
                transaction.commit().unwrap();
            } else {
                transaction.rollback().unwrap();
            }
            let verified = vandal.crm.verify_audit(&[], &keys()).unwrap();
            assert_eq!(verified.head.sequence, if keep { 10 } else { 8 });
        }
    }
}

#[test]
fn suppressing_exporting_and_taking_in_are_noted_and_nothing_of_whom() {
    over_each_store(|crm| {
        let address = |who: &str| crm::Identifier::email(&format!("{who}@example.com")).unwrap();
        let came = |who: &str| {
            let visit = Visited { channel: Channel::Web, place: None };
            Incoming::new(address(who), day(0), Source::new("shop").unwrap(), visit)
        };
        let ana = crm.record(came("canaryana")).unwrap().customer;
        let provider = Source::new("provider").unwrap();
        let complaint = crm::SuppressionReason::Complaint;
        assert!(crm.suppress(&address("canaryana"), complaint, &provider).unwrap());
        assert!(!crm.suppress(&address("canaryana"), complaint, &provider).unwrap(), "nothing new, and not noted");
        let wording = crm::Wording {
            version: "1".parse().unwrap(),
            sha256: crm::Digest::of(b"yes"),
            locale: crm::Locale::new("en").unwrap(),
        };
        let proof = |method| crm::Proof::new(method, wording.clone(), "support".parse().unwrap());
        assert!(crm.unsuppress(ana, &address("canaryana"), proof(crm::Method::Call)).unwrap());
        let export = crm.export(ana).unwrap().unwrap();
        crm.export_for(ana, by()).unwrap();

        // Consents of another system; the second time they are known.
        let given_at = day(0).minus(Span::days(30));
        let original =
            crm::Original { method: crm::Method::Paper, at: given_at, collected_by: "old shop".parse().unwrap() };
        let proved = proof(crm::Method::Import).first_given(original);
        let given = crm::ConsentGiven::new(crm::Purpose::new("marketing").unwrap(), Channel::Email, proved);
        let consents = || {
            ["canaryben", "canarycleo"].map(|who| {
                Incoming::new(address(who), given_at, Source::new("old").unwrap(), given.clone())
                    .with_key(who.parse().unwrap())
            })
        };
        assert_eq!(crm.ingest(consents(), Ingestion::history()).unwrap().recorded, 2);
        assert_eq!(crm.ingest(consents(), Ingestion::history()).unwrap().known, 2);
        let other = Crm::from(crm::Crm::in_memory());
        other.import(&export).unwrap();
        let log = whole_log(&crm);
        let noted: Vec<String> = log.iter().map(|record| record.entry.action().name().to_owned()).collect();
        let before = ["suppressed", "suppression_lifted", "exported", "exported"];
        assert_eq!(noted[..4], before);
        assert_eq!(noted[4..], ["imported"], "{log:?}");
        let whom: Vec<_> = log.iter().map(|record| record.entry.subject()).collect();
        assert_eq!(whom, [None, Some(ana), Some(ana), Some(ana), None]);
        assert_eq!(*log[0].entry.by(), AuditActor::Host(ActorName::new("provider").unwrap()));
        let imported = whole_log(&other);
        assert_eq!(imported.len(), 1);
        assert_eq!((imported[0].entry.action().name(), imported[0].entry.subject()), ("imported", Some(ana)));
        assert!(!format!("{log:?} {imported:?}").contains("canary"));
        crm.verify_audit(&[], &[]).unwrap();
    });
}
