//! From columns to the types of the contract. Whatever a column holds, reading it gives a value that is
//! legal or says that it is damaged.

use crm_core::{Alarm, AlarmKind, Column, CustomerId, Digest, EventId, SetKey, SmolStr, Source, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use super::fault::Fault;
use crate::commit::{Traits, Version};

/// Reads the columns of a row from left to right.
pub(super) struct Columns<'row> {
    row: &'row Row,
    next: usize,
}

impl<'row> Columns<'row> {
    pub(super) fn of(row: &'row Row) -> Self {
        Columns { row, next: 0 }
    }

    pub(super) fn plain<T: FromSql<'row>>(&mut self) -> Result<T, Fault> {
        let column = self.next;
        self.next += 1;
        self.row.try_get(column).map_err(|error| damaged(error.to_string()))
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, Fault> {
        Ok(self.plain::<&[u8]>()?.to_vec())
    }

    pub(super) fn bytes_or_null(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.plain::<Option<&[u8]>>()?.map(<[u8]>::to_vec))
    }

    /// A text that is kept as bytes.
    pub(super) fn text(&mut self) -> Result<SmolStr, Fault> {
        let text = std::str::from_utf8(self.plain()?).map_err(|error| damaged(error.to_string()))?;
        Ok(SmolStr::new(text))
    }

    pub(super) fn customer(&mut self) -> Result<CustomerId, Fault> {
        Ok(CustomerId::from_uuid(self.plain()?))
    }

    /// Whether the next column, which holds an id, holds none. It is still the next one then.
    pub(super) fn is_null_id(&self) -> Result<bool, Fault> {
        let id: Option<Uuid> = self.row.try_get(self.next).map_err(|error| damaged(error.to_string()))?;
        Ok(id.is_none())
    }

    pub(super) fn event(&mut self) -> Result<EventId, Fault> {
        Ok(EventId::from_uuid(self.plain()?))
    }

    pub(super) fn event_or_null(&mut self) -> Result<Option<EventId>, Fault> {
        Ok(self.plain::<Option<Uuid>>()?.map(EventId::from_uuid))
    }

    pub(super) fn digest(&mut self) -> Result<Digest, Fault> {
        let bytes: &[u8] = self.plain()?;
        let length = bytes.len();
        bytes.try_into().map(Digest::from_bytes).map_err(|_| damaged(format!("a digest of {length} bytes")))
    }

    pub(super) fn source(&mut self) -> Result<Option<Source>, Fault> {
        let Some(text) = self.plain::<Option<&str>>()? else { return Ok(None) };
        Source::new(text).map(Some).map_err(|error| damaged(format!("a source: {error}")))
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, Fault> {
        Timestamp::from_millis(self.plain()?).map_err(|error| damaged(error.to_string()))
    }

    pub(super) fn time_or_null(&mut self) -> Result<Option<Timestamp>, Fault> {
        let millis: Option<i64> = self.plain()?;
        millis.map(Timestamp::from_millis).transpose().map_err(|error| damaged(error.to_string()))
    }

    /// A number that is never negative.
    pub(super) fn count(&mut self) -> Result<u64, Fault> {
        u64::try_from(self.plain::<i64>()?).map_err(|_| damaged("a negative count"))
    }

    pub(super) fn version(&mut self) -> Result<Version, Fault> {
        self.count().map(Version)
    }

    pub(super) fn shape(&mut self) -> Result<u16, Fault> {
        u16::try_from(self.plain::<i32>()?).map_err(|_| damaged("a shape that is no small number"))
    }

    pub(super) fn alarm(&mut self) -> Result<Alarm, Fault> {
        let due_at = self.time()?;
        let kind = u8::try_from(self.plain::<i16>()?).ok().and_then(AlarmKind::by_rank);
        Ok(Alarm { due_at, kind: kind.ok_or_else(|| damaged("an alarm of an unknown kind"))? })
    }

    pub(super) fn sets(&mut self) -> Result<Vec<SetKey>, Fault> {
        let names: Vec<&str> = self.plain()?;
        let set = |name| SetKey::parse(name).map_err(|_| damaged(format!("a set {name:?}")));
        let mut sets = names.into_iter().map(set).collect::<Result<Vec<_>, _>>()?;
        sets.sort_unstable();
        Ok(sets)
    }

    /// The sets and then each column.
    pub(super) fn traits(&mut self) -> Result<Traits, Fault> {
        let mut traits = Traits { sets: self.sets()?, ..Traits::NONE };
        for column in Column::ALL {
            traits.columns.set(column, self.plain()?);
        }
        Ok(traits)
    }
}

pub(super) fn damaged(what: impl Into<String>) -> Fault {
    Fault::Damaged(what.into())
}
