//! From columns to the types of the contract, and back. Whatever a column holds, reading it gives a
//! value that is legal or says that the file is damaged.

use crm_core::{
    Alarm, AlarmKind, Column, Columns as Numbers, CustomerId, Digest, EventId, SetKey, SmolStr, Source, TenantId,
    Timestamp,
};
use rusqlite::Row;
use rusqlite::types::FromSql;

use super::fault::Fault;
use super::write::SEPARATOR;
use crate::commit::{Traits, Version};
use crate::row::{ChangeRow, Entry, EventRow};

/// Reads the columns of a row from left to right.
pub(super) struct Columns<'row> {
    row: &'row Row<'row>,
    next: usize,
}

impl<'row> Columns<'row> {
    pub(super) fn of(row: &'row Row<'row>) -> Self {
        Columns { row, next: 0 }
    }

    pub(super) fn plain<T: FromSql>(&mut self) -> Result<T, Fault> {
        let column = self.next;
        self.next += 1;
        Ok(self.row.get(column)?)
    }

    /// Bytes as they are, without copying them.
    fn slice(&mut self) -> Result<Option<&'row [u8]>, Fault> {
        let column = self.next;
        self.next += 1;
        let value = self.row.get_ref(column)?;
        value.as_blob_or_null().map_err(|_| damaged("a column that is not bytes"))
    }

    fn text_or_null(&mut self) -> Result<Option<&'row str>, Fault> {
        let column = self.next;
        self.next += 1;
        let value = self.row.get_ref(column)?;
        value.as_str_or_null().map_err(|_| damaged("a column that is not text"))
    }

    fn array<const N: usize>(&mut self) -> Result<Option<[u8; N]>, Fault> {
        let Some(bytes) = self.slice()? else { return Ok(None) };
        bytes.try_into().map(Some).map_err(|_| damaged(format!("{} bytes where there should be {N}", bytes.len())))
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, Fault> {
        Ok(self.slice()?.ok_or_else(missing)?.to_vec())
    }

    pub(super) fn text(&mut self) -> Result<SmolStr, Fault> {
        Ok(SmolStr::new(self.text_or_null()?.ok_or_else(missing)?))
    }

    pub(super) fn customer(&mut self) -> Result<CustomerId, Fault> {
        self.array()?.map(|id| CustomerId::from_uuid(uuid::Uuid::from_bytes(id))).ok_or_else(missing)
    }

    pub(super) fn event(&mut self) -> Result<EventId, Fault> {
        self.event_or_null()?.ok_or_else(missing)
    }

    pub(super) fn event_or_null(&mut self) -> Result<Option<EventId>, Fault> {
        Ok(self.array()?.map(|id| EventId::from_uuid(uuid::Uuid::from_bytes(id))))
    }

    pub(super) fn digest(&mut self) -> Result<Digest, Fault> {
        self.array()?.map(Digest::from_bytes).ok_or_else(missing)
    }

    pub(super) fn source(&mut self) -> Result<Option<Source>, Fault> {
        let Some(text) = self.text_or_null()? else { return Ok(None) };
        Source::new(text).map(Some).map_err(|error| damaged(format!("a source: {error}")))
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, Fault> {
        Timestamp::from_millis(self.plain()?).map_err(|error| damaged(error.to_string()))
    }

    pub(super) fn time_or_null(&mut self) -> Result<Option<Timestamp>, Fault> {
        let millis: Option<i64> = self.plain()?;
        millis.map(Timestamp::from_millis).transpose().map_err(|error| damaged(error.to_string()))
    }

    pub(super) fn version(&mut self) -> Result<Version, Fault> {
        let version: i64 = self.plain()?;
        u64::try_from(version).map(Version).map_err(|_| damaged("a negative version"))
    }

    pub(super) fn tenant(&mut self) -> Result<TenantId, Fault> {
        TenantId::new(self.text_or_null()?.ok_or_else(missing)?).map_err(|error| damaged(error.to_string()))
    }

    /// In order: one that was added by itself stands at the end of the text.
    pub(super) fn sets(&mut self) -> Result<Vec<SetKey>, Fault> {
        let sets = self.text_or_null()?.unwrap_or_default().split(SEPARATOR).filter(|name| !name.is_empty());
        let sets: Result<Vec<SetKey>, _> =
            sets.map(|name| SetKey::parse(name).map_err(|error| damaged(error.to_string()))).collect();
        let mut sets = sets?;
        sets.sort_unstable();
        Ok(sets)
    }

    pub(super) fn traits(&mut self) -> Result<Traits, Fault> {
        let mut traits = Traits { columns: Numbers::NONE, sets: self.sets()? };
        for column in Column::ALL {
            traits.columns.set(column, self.plain()?);
        }
        Ok(traits)
    }

    /// An event, or a change, which has no id.
    pub(super) fn entry(&mut self) -> Result<Entry, Fault> {
        let id = self.event_or_null()?;
        let (at, kind, body) = (self.time()?, self.text()?, self.bytes()?);
        let recorded_at: Option<i64> = self.plain()?;
        let shape: Option<u16> = self.plain()?;
        let (source, cause) = (self.source()?, self.event_or_null()?);
        let Some(id) = id else { return Ok(Entry::Change(ChangeRow { at, kind, body })) };
        let recorded_at = Timestamp::from_millis(recorded_at.ok_or_else(missing)?);
        let recorded_at = recorded_at.map_err(|error| damaged(error.to_string()))?;
        Ok(Entry::Event(EventRow { id, at, recorded_at, kind, shape: shape.ok_or_else(missing)?, source, cause, body }))
    }

    pub(super) fn alarm(&mut self) -> Result<Alarm, Fault> {
        let due_at = self.time()?;
        let rank: i64 = self.plain()?;
        let kind = u8::try_from(rank).ok().and_then(AlarmKind::by_rank);
        let kind = kind.ok_or_else(|| damaged("an alarm of an unknown kind"))?;
        Ok(Alarm { due_at, kind })
    }
}

pub(super) fn damaged(what: impl Into<String>) -> Fault {
    Fault::Damaged(what.into())
}

fn missing() -> Fault {
    damaged("a column without a value")
}
