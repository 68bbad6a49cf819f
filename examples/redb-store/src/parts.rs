//! Rows as tuples: the values of the tables, made of what redb itself can keep. What has a narrower type in the
//! contract (instants, names of sets) is checked when it is read.

use crm_core::{Column, Columns, CustomerId, Digest, EventId, SetKey, Source, Timestamp};
use crm_storage::{
    ChangeRow, CustomerRow, DeadLetter, Entry, EventRow, LeaseToken, Leased, OutboxEntry, ScoreRow, StateRow, Traits,
    Version,
};
use uuid::Uuid;

use crate::fault::Fault;

/// Version, shape and bytes.
pub(crate) type CustomerParts<'a> = (u64, u16, &'a [u8]);

pub(crate) fn customer_row(
    customer: CustomerId,
    (version, shape, bytes): CustomerParts<'_>,
    sets: Vec<SetKey>,
) -> CustomerRow {
    CustomerRow { customer, version: Version(version), state: StateRow { shape, bytes: bytes.into() }, sets }
}

/// The numbers, as many as there were columns then, and the sets.
pub(crate) type TraitParts<'a> = (Vec<Option<i64>>, Vec<&'a str>);

pub(crate) fn trait_parts(traits: &Traits) -> TraitParts<'_> {
    (traits.columns.values().collect(), traits.sets.iter().map(SetKey::as_str).collect())
}

pub(crate) fn traits((numbers, sets): TraitParts<'_>) -> Result<Traits, Fault> {
    let mut columns = Columns::NONE;
    for (column, number) in Column::ALL.into_iter().zip(numbers) {
        columns.set(column, number);
    }
    let set = |text| SetKey::parse(text).map_err(|error| Fault::damaged("a set", error));
    Ok(Traits { columns, sets: sets.into_iter().map(set).collect::<Result<_, _>>()? })
}

/// When, kind and body; and, if it is an event, what only events have.
pub(crate) type EntryParts<'a> = (i64, &'a str, &'a [u8], Option<EventParts<'a>>);
/// Id, when it was recorded, shape, source and cause.
type EventParts<'a> = (Uuid, i64, u16, Option<&'a str>, Option<Uuid>);

pub(crate) fn event_parts(event: &EventRow) -> EntryParts<'_> {
    let EventRow { id, at, recorded_at, kind, shape, source, cause, body } = event;
    let (source, cause) = (source.as_ref().map(Source::as_str), cause.map(|cause| *cause.as_uuid()));
    (at.as_millis(), kind, body, Some((*id.as_uuid(), recorded_at.as_millis(), *shape, source, cause)))
}

pub(crate) fn change_parts(ChangeRow { at, kind, body }: &ChangeRow) -> EntryParts<'_> {
    (at.as_millis(), kind, body, None)
}

pub(crate) fn entry((at, kind, body, event): EntryParts<'_>) -> Result<Entry, Fault> {
    let (at, kind, body) = (instant(at)?, kind.into(), body.into());
    let Some((id, recorded_at, shape, source, cause)) = event else {
        return Ok(Entry::Change(ChangeRow { at, kind, body }));
    };
    let source = source.map(Source::new).transpose().map_err(|error| Fault::damaged("a source", error))?;
    let (id, recorded_at, cause) = (EventId::from_uuid(id), instant(recorded_at)?, cause.map(EventId::from_uuid));
    Ok(Entry::Event(EventRow { id, at, recorded_at, kind, shape, source, cause, body }))
}

/// Value, version, digest, input, inputs, when it was kept, and terms.
pub(crate) type ScoreParts<'a> = (f64, &'a str, &'a [u8; 32], &'a [u8; 32], &'a [u8], Option<i64>, &'a str);

pub(crate) fn score_parts(score: &ScoreRow) -> ScoreParts<'_> {
    // Adding zero takes the sign off a negative zero.
    let recorded_at = score.recorded_at.map(Timestamp::as_millis);
    let (digest, input) = (score.digest.as_bytes(), score.input.as_bytes());
    (score.value + 0.0, &score.version, digest, input, &score.inputs, recorded_at, &score.terms)
}

pub(crate) fn score(plugin: &str, output: &str, at: i64, parts: ScoreParts<'_>) -> Result<ScoreRow, Fault> {
    let (value, version, digest, input, inputs, recorded_at, terms) = parts;
    let (digest, input) = (Digest::from_bytes(*digest), Digest::from_bytes(*input));
    let (plugin, output, version) = (plugin.into(), output.into(), version.into());
    let (at, recorded_at) = (instant(at)?, recorded_at.map(instant).transpose()?);
    let (inputs, terms) = (inputs.into(), terms.into());
    Ok(ScoreRow { plugin, output, at, value, version, digest, input, inputs, recorded_at, terms })
}

/// An outbox entry with what became of it so far.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) entry: OutboxEntry,
    /// How often it was leased.
    pub(crate) attempts: u32,
    /// What settles it: the token of its latest lease, if that was not settled, or the one that gave it up.
    pub(crate) token: Option<u64>,
    /// Why it was given up, if it was.
    pub(crate) reason: Option<String>,
}

/// Customer, topic, due and body; attempts, token and reason.
pub(crate) type LetterParts<'a> = (Uuid, &'a str, i64, &'a [u8], u32, Option<u64>, Option<&'a str>);

impl Letter {
    pub(crate) fn parts(&self) -> LetterParts<'_> {
        let OutboxEntry { customer, topic, due_at, body, .. } = &self.entry;
        let reason = self.reason.as_deref();
        (*customer.as_uuid(), topic, due_at.as_millis(), body, self.attempts, self.token, reason)
    }

    pub(crate) fn new(id: Uuid, parts: LetterParts<'_>) -> Result<Self, Fault> {
        let (customer, topic, due_at, body, attempts, token, reason) = parts;
        let (id, customer) = (EventId::from_uuid(id), CustomerId::from_uuid(customer));
        let entry = OutboxEntry { id, customer, topic: topic.into(), due_at: instant(due_at)?, body: body.into() };
        Ok(Letter { entry, attempts, token, reason: reason.map(String::from) })
    }

    /// Its place among those that wait, or among the dead.
    pub(crate) fn place(&self) -> (i64, Uuid) {
        (self.entry.due_at.as_millis(), *self.entry.id.as_uuid())
    }

    pub(crate) fn leased(self, token: u64) -> Leased {
        Leased { entry: self.entry, token: LeaseToken(token), attempt: self.attempts }
    }

    pub(crate) fn dead(self) -> Result<DeadLetter, Fault> {
        let (Some(token), Some(reason)) = (self.token, self.reason) else {
            return Err(Fault::Damaged("a dead letter without a token or a reason".into()));
        };
        let (token, reason) = (LeaseToken(token), reason.into());
        Ok(DeadLetter { entry: self.entry, attempts: self.attempts, reason, token })
    }
}

pub(crate) fn instant(millis: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_millis(millis).map_err(|error| Fault::damaged("an instant", error))
}
