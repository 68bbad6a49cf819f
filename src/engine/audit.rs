//! The audit log: one chain for each tenant, kept as the events of a stream that is no customer.

use crm_core::audit::{
    AUDIT_KIND, AUDIT_SHAPE, ActorName, AuditAction, AuditActor, AuditEntry, AuditError, AuditRecord, Checkpoint, Head,
    Verified, Verifier, VerifyingKey,
};
use crm_core::consent::Objection;
use crm_core::customer::Customer;
use crm_core::event::Fact;
use crm_core::{Remark, SmolStr, Source, Timestamp};
use crm_storage::{Commit, Cursor, CustomerWrite, Entries, Entry, EventRow, Expected, StateRow};

use futures_util::lock::Mutex;

use super::{ATTEMPTS_MAX, Crm, PAGE};
use crate::error::Error;
use crate::plan::Prepared;

/// Those who append to one log take turns: each entry holds the hash of the one before it, so of several that
/// are written at one time all but one would be refused. Several logs share a turn.
pub(super) type Turns = [Mutex<()>; 16];

/// A place in the log from which to read on. Good as long as the store is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditCursor(Cursor);

/// A page of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries, in their order.
    pub records: Vec<AuditRecord>,
    /// Where to go on; none at the end.
    pub next: Option<AuditCursor>,
}

impl Crm {
    /// Notes something in the tenant's audit log: what the host itself does with personal data. The entry is
    /// durable when this returns, if the store is. Noted again it is there twice.
    ///
    /// ```
    /// use crm::{ActorName, AuditAction, AuditActor, AuditEntry, Crm, ReadPurpose};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let by = AuditActor::Host(ActorName::new("support:17")?);
    /// let read = AuditAction::PersonalRead { purpose: ReadPurpose::new("ticket 4711")? };
    /// let noted = crm.audit(AuditEntry::new(by, read).with_number("fields", 3)?).await?;
    /// assert_eq!(noted.sequence, 1);
    /// assert_eq!(crm.audit_log(None, 10).await?.records, [noted]);
    /// assert_eq!(crm.verify_audit(&[], &[]).await?.head.sequence, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Audit` for a checkpoint, which is written by [`audit_checkpoint`](Self::audit_checkpoint) alone, `Storage`
    /// if the store failed, `Busy` if other writers were first each time.
    pub async fn audit(&self, entry: AuditEntry) -> Result<AuditRecord, Error> {
        if matches!(entry.action(), AuditAction::Checkpoint { .. }) {
            return Err(AuditError::Checkpoint.into());
        }
        let _turn = self.audit_turn().lock().await;
        for _ in 0..ATTEMPTS_MAX {
            let (head, expected) = self.audit_head().await?;
            let record = AuditRecord::next(&self.tenant, &head, self.now(), entry.clone());
            if self.append_audit(self.audit_row(std::slice::from_ref(&record), expected)).await? {
                return Ok(record);
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// A page of the audit log, at most `limit` entries (at least one, at most a thousand) after a place.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed, or if an entry cannot be read: [`verify_audit`](Self::verify_audit) tells
    /// which one.
    pub async fn audit_log(&self, after: Option<AuditCursor>, limit: usize) -> Result<AuditPage, Error> {
        let (rows, next) = self.audit_rows(after.map(|AuditCursor(after)| after), limit.clamp(1, PAGE)).await?;
        let read = |row: Entry| self.genuine(&row).ok_or_else(|| Error::corrupt("an audit entry that cannot be read"));
        let records = rows.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(AuditPage { records, next: next.map(AuditCursor) })
    }

    /// Signs the audit log as it is, notes that in it, and gives the checkpoint to be kept elsewhere, where
    /// nobody who can write to the store can write too. Do it regularly: what came after the last one can be
    /// cut off unnoticed.
    ///
    /// # Errors
    ///
    /// `NoSigner` if the CRM was built without one, `Signing` if it failed, `Storage` if the store did, `Busy` if
    /// other writers were first each time.
    pub async fn audit_checkpoint(&self) -> Result<Checkpoint, Error> {
        let signer = self.inner.signer.as_ref().ok_or(Error::NoSigner)?;
        let _turn = self.audit_turn().lock().await;
        for _ in 0..ATTEMPTS_MAX {
            let (head, expected) = self.audit_head().await?;
            let unsigned = Checkpoint::unsigned(self.tenant.clone(), head, self.now());
            let signature = signer.sign(&self.tenant, &unsigned.message()).await?;
            let checkpoint = Checkpoint { signature, ..unsigned };
            let entry = AuditEntry::new(AuditActor::Rule, AuditAction::Checkpoint { signature });
            let record = AuditRecord::next(&self.tenant, &head, checkpoint.at, entry);
            if self.append_audit(self.audit_row(&[record], expected)).await? {
                return Ok(checkpoint);
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// Checks the whole audit log, page by page: that it is a chain without a gap, signed where it says so,
    /// and that it holds what checkpoints say that were kept elsewhere. `keys` are those that they and the ones
    /// in the log were signed under, older ones too. What is noted meanwhile may or may not be checked.
    ///
    /// # Errors
    ///
    /// `Tampered` with what was found first, `Storage` if the store failed.
    pub async fn verify_audit(&self, kept: &[Checkpoint], keys: &[VerifyingKey]) -> Result<Verified, Error> {
        let mut verifier = Verifier::new(&self.tenant, kept, keys)?;
        let loaded = self.store().load(&self.tenant, &[self.audit_stream]).await?;
        let state = loaded.rows.into_iter().next().flatten().map(|row| row.state);
        if let Some(head) = state.and_then(|state| Head::decode(state.shape, &state.bytes)) {
            verifier = verifier.ending_at(head)?;
        }
        let mut after = None;
        loop {
            let (rows, next) = self.audit_rows(after, PAGE).await?;
            for row in rows {
                match self.genuine(&row) {
                    Some(record) => verifier.push(&record)?,
                    None => verifier.push_unreadable()?,
                }
            }
            after = next;
            if after.is_none() {
                return Ok(verifier.finish()?);
            }
        }
    }

    pub(super) fn audit_turn(&self) -> &Mutex<()> {
        let turns = &self.inner.audit_turns;
        &turns[usize::from(self.audit_stream.as_uuid().as_bytes()[0]) % turns.len()]
    }

    /// The write that notes entries in the audit log, for a commit that does what they say: so that neither is there
    /// without the other; and the number of the last of them. Whoever asks for it has the turn. A conflict about this row
    /// is one like any other: load and decide again.
    pub(super) async fn audit_write(&self, entries: Vec<AuditEntry>) -> Result<(Option<u64>, CustomerWrite), Error> {
        let (mut head, expected) = self.audit_head().await?;
        let mut records = Vec::with_capacity(entries.len());
        for entry in entries {
            let record = AuditRecord::next(&self.tenant, &head, self.now(), entry);
            head = record.head();
            records.push(record);
        }
        Ok((records.last().map(|record| record.sequence), self.audit_row(&records, expected)))
    }

    fn audit_row(&self, records: &[AuditRecord], expected: Expected) -> CustomerWrite {
        let head = records.last().map_or(Head::EMPTY, AuditRecord::head);
        let state = StateRow { shape: Head::STATE_SHAPE, bytes: head.encode() };
        let mut write = CustomerWrite::new(self.audit_stream, expected, state);
        let row = |record: &AuditRecord| EventRow {
            id: record.id(&self.tenant),
            at: record.at,
            recorded_at: record.at,
            kind: SmolStr::new_static(AUDIT_KIND),
            shape: AUDIT_SHAPE,
            source: None,
            cause: None,
            body: record.encode(),
        };
        write.events = records.iter().map(row).collect();
        write
    }

    /// Whether nobody else was first.
    async fn append_audit(&self, write: CustomerWrite) -> Result<bool, Error> {
        self.try_settle(Commit { writes: vec![write], ..Commit::default() }).await
    }

    /// Where the log ends. That is a cache like every state: one that cannot be read is read from the log.
    async fn audit_head(&self) -> Result<(Head, Expected), Error> {
        let loaded = self.store().load(&self.tenant, &[self.audit_stream]).await?;
        let Some(row) = loaded.rows.into_iter().next().flatten() else { return Ok((Head::EMPTY, Expected::New)) };
        let expected = Expected::At(row.version);
        if let Some(head) = Head::decode(row.state.shape, &row.state.bytes) {
            return Ok((head, expected));
        }
        tracing::warn!("the end of the audit log is looked up anew");
        let (mut after, mut last) = (None, None);
        loop {
            let (rows, next) = self.audit_rows(after, PAGE).await?;
            last = rows.into_iter().next_back().or(last);
            after = next;
            if after.is_none() {
                break;
            }
        }
        let Some(last) = last else { return Ok((Head::EMPTY, expected)) };
        let record = self.genuine(&last).ok_or_else(|| Error::corrupt("an audit log whose end cannot be read"))?;
        Ok((record.head(), expected))
    }

    async fn audit_rows(&self, after: Option<Cursor>, limit: usize) -> Result<(Vec<Entry>, Option<Cursor>), Error> {
        let page = self.store().history(&self.tenant, self.audit_stream, Entries::All, after, limit).await?;
        Ok((page.rows, page.next))
    }

    /// The entry of a row, if all of the row is as it was written. Whether its hash is right is not asked.
    fn genuine(&self, row: &Entry) -> Option<AuditRecord> {
        let Entry::Event(row) = row else { return None };
        let record = AuditRecord::decode(&row.body).ok()?;
        let told: (_, [Timestamp; 2], _, _) = (row.id, [row.at, row.recorded_at], row.kind.as_str(), row.shape);
        let expected = (record.id(&self.tenant), [record.at; 2], AUDIT_KIND, AUDIT_SHAPE);
        (told == expected && row.source.is_none() && row.cause.is_none()).then_some(record)
    }
}

/// What the CRM itself asks to be done, in the name of the shop.
pub(super) fn by_shop() -> Result<AuditActor, Error> {
    Ok(AuditActor::Host(ActorName::new("shop").map_err(Error::corrupt)?))
}

/// What a source told to be done.
pub(super) fn by_source(source: &Source) -> Result<AuditActor, Error> {
    Ok(AuditActor::Host(ActorName::new(source.as_str()).map_err(Error::corrupt)?))
}

/// An entry with a reason. A long one is cut off: all of it is in the history.
pub(super) fn because(entry: AuditEntry, reason: Option<&Remark>) -> Result<AuditEntry, Error> {
    let Some(reason) = reason.map(Remark::as_str) else { return Ok(entry) };
    let fits = |end: &usize| *end <= REASON_BYTES_MAX && reason.is_char_boundary(*end);
    let end = (0..=reason.len()).rev().find(fits).unwrap_or(0);
    Ok(entry.with_text("reason", &reason[..end])?)
}

/// The longest text of a detail.
const REASON_BYTES_MAX: usize = 256;

/// Whether it may move what is allowed to be done with somebody's data, so that the audit log has it.
pub(super) const fn bars(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::Restricted(_)
            | Fact::RestrictionLifted(_)
            | Fact::Objected(_)
            | Fact::ObjectionWithdrawn(_)
            | Fact::Voided(_)
    )
}

/// What bars the use of somebody's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bars {
    restricted: bool,
    marketing: bool,
    profiling: bool,
}

impl Bars {
    pub(super) fn of(customer: &Customer) -> Self {
        Bars {
            restricted: customer.restricted_since().is_some(),
            marketing: customer.objects_since(Objection::Marketing).is_some(),
            profiling: customer.objects_since(Objection::Profiling).is_some(),
        }
    }
}

/// What the audit log has of a fact that may bar the use of data: that it was told, by its source; and of one that
/// takes another out of the fold, what it moves. Facts say who told them, which is who did it.
#[allow(clippy::wildcard_enum_match_arm, reason = "every other fact bars nothing")]
pub(super) fn entries_of(prepared: &Prepared, before: Bars, after: &Customer) -> Result<Vec<AuditEntry>, Error> {
    let told = |objection: Objection| match objection {
        Objection::Marketing => "marketing",
        Objection::Profiling => "profiling",
    };
    let mut actions: Vec<(AuditAction, Option<&'static str>)> = Vec::new();
    match &prepared.fact {
        Fact::Restricted(_) => actions.push((AuditAction::Restricted, None)),
        Fact::RestrictionLifted(_) => actions.push((AuditAction::RestrictionLifted, None)),
        Fact::Objected(objected) => actions.push((AuditAction::Objected, Some(told(objected.to)))),
        Fact::ObjectionWithdrawn(back) => actions.push((AuditAction::ObjectionWithdrawn, Some(told(back.to)))),
        fact if bars(fact) => {
            let now = Bars::of(after);
            if before.restricted != now.restricted {
                let action = if now.restricted { AuditAction::Restricted } else { AuditAction::RestrictionLifted };
                actions.push((action, None));
            }
            let objections = [
                (Objection::Marketing, before.marketing, now.marketing),
                (Objection::Profiling, before.profiling, now.profiling),
            ];
            for (objection, _, on) in objections.into_iter().filter(|(_, was, on)| was != on) {
                let action = if on { AuditAction::Objected } else { AuditAction::ObjectionWithdrawn };
                actions.push((action, Some(told(objection))));
            }
        }
        _ => {}
    }
    let by = by_source(&prepared.source)?;
    let entry = |(action, to): (AuditAction, Option<&'static str>)| -> Result<AuditEntry, Error> {
        let mut entry = AuditEntry::new(by.clone(), action).about(after.id());
        if let Some(to) = to {
            entry = entry.with_text("to", to)?;
        }
        if matches!(prepared.fact, Fact::Voided(_)) {
            entry = entry.with_text("why", "a fact was voided")?;
        }
        Ok(entry.with_text("event", &prepared.id.to_string())?.with_text("at", &prepared.at.to_string())?)
    };
    actions.into_iter().map(entry).collect()
}
